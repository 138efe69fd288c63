"""Support modules: figures with alt text, silent progress, weights, bands, the experiment runner."""

import base64
import json

import pytest
import torch
from torch import nn

from course_lib import checks, experiments, plots, progress, weights
from course_lib.experiments import runner


def shown(fig, monkeypatch, **options):
    caught = []
    monkeypatch.setattr(plots, "display", caught.append)
    plots.show(fig, **options)
    return caught[0]._repr_mimebundle_()


def test_figure_stores_alt_text_and_format(monkeypatch):
    fig, ax = plots.plt.subplots()
    ax.plot([1, 2])
    data, metadata = shown(fig, monkeypatch, alt="a line that rises")
    assert metadata == {"image/png": {"alt": "a line that rises"}}
    png = base64.b64decode(data["image/png"])
    assert png.startswith(b"\x89PNG") and b"Software" not in png
    assert not plots.plt.fignum_exists(fig.number)
    fig, ax = plots.plt.subplots()
    plots.picture(ax, torch.rand(3, 20, 30))
    data, _ = shown(fig, monkeypatch, alt="a picture of coloured noise")
    assert base64.b64decode(data["image/jpeg"]).startswith(b"\xff\xd8")


def test_figure_bytes_repeat(monkeypatch):
    def draw():
        fig, ax = plots.plt.subplots()
        plots.picture(ax, torch.ones(3, 8, 12) * 0.3, torch.tensor([[1.0, 2, 6, 7]]), ["cup"])
        return shown(fig, monkeypatch, alt="one box with a name")[0]

    assert draw() == draw()


def test_figure_needs_alt_text():
    fig, _ = plots.plt.subplots()
    with pytest.raises(ValueError, match="too short"):
        plots.show(fig, alt="a plot")
    plots.plt.close(fig)


def test_picture_axes_are_pixels():
    fig, ax = plots.plt.subplots()
    plots.picture(ax, torch.rand(3, 20, 30), torch.tensor([[0.0, 5, 30, 20]]))
    assert ax.get_xlim() == (0, 30) and ax.get_ylim() == (20, 0)
    x, y, w, h = ax.patches[-1].get_x(), ax.patches[-1].get_y(), ax.patches[-1].get_width(), ax.patches[-1].get_height()
    assert (x, y, w, h) == (0, 5, 30, 15)
    plots.plt.close(fig)


def test_progress_is_silent_when_nobody_watches(monkeypatch, capsys):
    monkeypatch.setenv("COURSE_QUIET", "1")
    assert list(progress.progress(range(3), "x")) == [0, 1, 2]
    out = capsys.readouterr()
    assert out.out == "" and out.err == ""


def test_progress_shows_a_person_rate_and_label(monkeypatch, capsys):
    monkeypatch.setattr(progress, "is_quiet", lambda: False)
    assert list(progress.progress(iter(range(3)), "reading", total=3)) == [0, 1, 2]
    out = capsys.readouterr()
    assert "reading" in out.out and "it/s" in out.out and out.err == ""
    assert out.out.split("\r")[-1].strip() == ""  # the bar removes itself


def test_weights_round_trip_and_refusals(monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "WEIGHTS", tmp_path)
    one, other = nn.Linear(3, 2), nn.Linear(3, 2)
    weights.save_weights("tiny", one, {"steps": 5})
    assert weights.load_weights("tiny", other) == {"steps": 5}
    assert torch.equal(other.weight, one.weight.half().float()) and other.weight.dtype == torch.float32
    with pytest.raises(weights.WeightsError, match="does not fit Linear"):
        weights.load_weights("tiny", nn.Linear(4, 2))
    with pytest.raises(weights.WeightsError, match="make weights"):
        weights.load_weights("absent", other)
    monkeypatch.setattr("course_lib.data.scenes.VERSION", "another")
    with pytest.raises(weights.WeightsError, match="scenes another"):
        weights.load_weights("tiny", other)


@pytest.fixture
def results(monkeypatch, tmp_path):
    monkeypatch.setattr(experiments, "RESULTS", tmp_path)
    monkeypatch.setattr(runner, "RESULTS", tmp_path)
    return tmp_path


def test_band(results, monkeypatch, capsys):
    monkeypatch.delenv("COURSE_DATA", raising=False)
    (results / "r.json").write_text(json.dumps({"bands": {"accuracy": {"low": 0.7, "high": 0.9}}}))
    checks.in_band("r", "accuracy", 0.8)
    assert capsys.readouterr().out == "accuracy lies in the recorded band 0.70 to 0.90\n"
    with pytest.raises(AssertionError, match="accuracy 0.650 lies outside"):
        checks.in_band("r", "accuracy", 0.65)
    with pytest.raises(AssertionError):
        checks.in_band("r", "accuracy", 0.95)
    with pytest.raises(FileNotFoundError, match="python -m course_lib.experiments absent"):
        checks.in_band("absent", "accuracy", 0.8)


def test_band_on_photographs_compares_with_the_baseline(monkeypatch, capsys):
    monkeypatch.setattr("course_lib.data.on_scenes", lambda: False)
    checks.in_band("any", "accuracy", 0.6, baseline=0.3)
    checks.in_band("any", "error", 0.6, baseline=0.3, lower_is_better=True)
    checks.in_band("any", "error", 0.6)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(": better than the baseline") and lines[1].endswith(": not better than the baseline")
    assert "no recorded band" in lines[2]


def test_summary_is_the_t_interval():
    s = runner.summary([1.0, 2.0, 3.0, 4.0])
    assert (s["mean"], s["n"]) == (2.5, 4) and s["sd"] == pytest.approx(1.290994, abs=1e-6)
    # t(.975, 3) = 3.182446; 3.182446 * 1.290994 / 2 = 2.054260
    assert s["low"] == pytest.approx(2.5 - 2.054260, abs=1e-5) and s["high"] == pytest.approx(2.5 + 2.054260, abs=1e-5)


def test_band_is_never_narrow():
    assert runner.band([0.5, 0.5]) == {"low": 0.47, "high": 0.53, "n": 2}
    wide = runner.band([0.4, 0.6])  # sd .141421, four of them .565685
    assert wide["low"] == pytest.approx(-0.0657, abs=1e-4) and wide["high"] == pytest.approx(1.0657, abs=1e-4)


def experiment(calls, **changes):
    def run(settings, seed):
        calls.append((settings["x"], seed))
        return {"score": settings["x"] + 0.1 * seed, "list": [1, 2]}

    base = dict(name="e", plan="p", run=run, arms={"one": {"x": 1}, "two": {"x": 3}}, seeds={"": [0, 1, 2]},
                pairs=[("two", "one")], bands={"score": "one"}, needs_scenes=False)  # fmt: skip
    return runner.Experiment(**(base | changes))


def test_runner_records_pairs_and_resumes(results, capsys):
    calls = []
    result = runner.record(experiment(calls))
    assert len(calls) == 6 and result["arms"]["one"]["score"]["mean"] == pytest.approx(1.1)
    assert result["pairs"]["two - one"]["score"] == {"mean": 2.0, "sd": 0.0, "n": 3, "low": 2.0, "high": 2.0}
    assert result["bands"]["score"] == {"low": 0.7, "high": 1.5, "n": 3, "arm": "one"}
    stored = json.loads((results / "e.json").read_text())
    stored["runs"] = stored["runs"][:4]  # as if interrupted
    (results / "e.json").write_text(json.dumps(stored))
    runner.record(experiment(calls), resume=True)
    assert calls[6:] == [(3, 1), (3, 2)]
    runner.record(experiment(calls), only=["one"])
    assert calls[8:] == [(1, 0), (1, 1), (1, 2)]
    assert len(json.loads((results / "e.json").read_text())["runs"]) == 6


def test_runner_does_not_mix_settings(results):
    runner.record(experiment([]))
    with pytest.raises(RuntimeError, match="other settings"):
        runner.record(experiment([], arms={"one": {"x": 2}, "two": {"x": 3}}), resume=True)


def test_quick_run_compares_with_the_record(results, capsys):
    runner.record(experiment([]))
    assert runner.quick(experiment([]))
    assert not runner.quick(experiment([], run=lambda settings, seed: {"score": 9.0, "list": []}))
