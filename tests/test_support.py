"""Support modules: figures with alt text, silent progress, weights, bands, the experiment runner."""

import base64

import pytest
import torch
from torch import nn

from course_lib import plots, progress, weights


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


def test_weights_in_eight_bits(monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "WEIGHTS", tmp_path)
    torch.manual_seed(0)
    one, other = (
        nn.Sequential(nn.Conv2d(3, 40, 5), nn.BatchNorm2d(40)),
        nn.Sequential(nn.Conv2d(3, 40, 5), nn.BatchNorm2d(40)),
    )
    with torch.no_grad():
        one[0].weight[1] *= 1000  # a loud row must not make the others coarse
        one[0].weight[2] = 0
    small, large = (weights.save_weights("eight", one, {"bits": n}, n).stat().st_size for n in (8, 16))
    assert small < 0.75 * large
    weights.save_weights("eight", one, bits=8)
    weights.load_weights("eight", other)
    rows = one[0].weight.flatten(1)
    assert ((other[0].weight.flatten(1) - rows).abs() <= rows.abs().amax(dim=1, keepdim=True) / 253).all()
    assert not other[0].weight[2].any() and torch.equal(other[0].bias, one[0].bias.half().float())


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
    monkeypatch.setattr(weights, "VERSION", "another")
    with pytest.raises(weights.WeightsError, match="scenes another"):
        weights.load_weights("tiny", other)
