"""Recorded results: reading them, bands, and the recorder that several processes may share."""

import json
import multiprocessing
import sys
import time

import pytest

from course_lib.experiments import runner
from course_lib.experiments.__main__ import known
from course_lib.results import RESULTS, in_band, load_claims, load_result, load_runs


@pytest.fixture
def folder(monkeypatch, tmp_path):
    folder = tmp_path / "data" / "results"
    folder.mkdir(parents=True)
    monkeypatch.setattr("course_lib.results.RESULTS", folder)
    return folder


def test_band(folder, monkeypatch, capsys):
    monkeypatch.delenv("COURSE_DATA", raising=False)
    (folder / "r.json").write_text(json.dumps({"bands": {"accuracy": {"low": 0.7, "high": 0.9}}}))
    in_band("r", "accuracy", 0.8)
    assert capsys.readouterr().out == "accuracy lies in the recorded band 0.70 to 0.90\n"
    with pytest.raises(AssertionError, match="accuracy 0.650 lies outside"):
        in_band("r", "accuracy", 0.65)
    with pytest.raises(AssertionError):
        in_band("r", "accuracy", 0.95)
    with pytest.raises(FileNotFoundError, match="python -m course_lib.experiments absent"):
        in_band("absent", "accuracy", 0.8)


def test_claims_know_the_cells_that_show_them(folder, tmp_path):
    claims = [{"id": "C01", "claim": "a"}, {"id": "C02", "claim": "b"}]
    (tmp_path / "data" / "claims.json").write_text(json.dumps({"claims": claims}))
    for name, tags in (("02_b.ipynb", [["claim-C01"], ["claim-C01"]]), ("01_a.ipynb", [[], ["x", "claim-C01"]])):
        cells = [{"id": f"cell-{i}", "metadata": {"tags": each}} for i, each in enumerate(tags)]
        (tmp_path / name).write_text(json.dumps({"cells": [*cells, {"id": "words", "metadata": {}}]}))
    first, second = load_claims(tmp_path)
    assert first == claims[0] | {"shown": ["01_a.ipynb#cell-1", "02_b.ipynb#cell-0"]}
    assert second["shown"] == []


def test_claims_are_found_from_a_folder_without_lessons(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sum(bool(claim["shown"]) for claim in load_claims()) > 40


def test_band_on_photographs_compares_with_the_baseline(monkeypatch, capsys):
    monkeypatch.setattr("course_lib.results.on_scenes", lambda: False)
    in_band("any", "accuracy", 0.6, baseline=0.3)
    in_band("any", "error", 0.6, baseline=0.3, lower_is_better=True)
    in_band("any", "error", 0.6)
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
    def run(settings, seed, device):
        calls.append((settings["x"], seed))
        return {"score": settings["x"] + 0.1 * seed, "list": [1, 2]}

    base = dict(name="e", plan="p", run=run, arms={"one": {"x": 1}, "two": {"x": 3}}, seeds={"": [0, 1, 2]},
                pairs=[("two", "one")], bands={"score": "one"}, needs_scenes=False)  # fmt: skip
    return runner.Experiment(**(base | changes))


def test_runner_records_pairs_and_adds_what_is_missing(folder):
    calls = []
    result = runner.record(experiment(calls))
    assert len(calls) == 6 and result["arms"]["one"]["score"]["mean"] == pytest.approx(1.1)
    assert result["pairs"]["two - one"]["score"] == {"mean": 2.0, "sd": 0.0, "n": 3, "low": 2.0, "high": 2.0}
    assert result["bands"]["score"] == {"low": 0.7, "high": 1.5, "n": 3, "arm": "one"}
    lines = (folder / "e.runs.jsonl").read_text().splitlines(keepends=True)
    (folder / "e.runs.jsonl").write_text("".join(lines[:4]))  # as if interrupted
    assert runner.record(experiment(calls)) | {"runs": 0} == result | {"runs": 0}
    assert calls[6:] == [(3, 1), (3, 2)]
    assert len(load_result("e")["runs"]) == 6


def test_every_run_says_where_and_how_it_was_made(folder):
    runner.record(experiment([], arms={"one": {"x": 1, "dtype": "bfloat16"}}, pairs=[]), seeds=[2])
    (run,) = load_runs("e")
    assert (run["arm"], run["seed"], run["device"], run["dtype"]) == ("one", 2, "cpu", "bfloat16")
    assert run["settings"] == {"x": 1, "dtype": "bfloat16"} and run["threads"] >= 1 and run["processor"]
    assert {"commit", "date", "versions", "seconds"} <= set(run)


def test_primary_arms_come_first_seed_by_seed():
    tasks = experiment([], arms={"a": {}, "b": {}, "c": {}}, seeds={"": [0, 1]}, primary=["c", "b"]).tasks()
    assert list(tasks) == [("c", 0), ("b", 0), ("c", 1), ("b", 1), ("a", 0), ("a", 1)]


def test_the_order_in_which_runs_finish_does_not_matter():
    runs = [{"arm": arm, "seed": seed, "scores": {"score": 0.1 * seed}} for arm in ("one", "two") for seed in (0, 1, 2)]
    assert runner.summarise(experiment([]), runs) == runner.summarise(experiment([]), runs[::-1])


def test_a_score_that_some_runs_lack_is_left_out():
    runs = [{"arm": "one", "seed": 0, "scores": {"score": 1.0}}]
    runs.append({"arm": "one", "seed": 1, "scores": {"score": 1.0, "new": 2.0}})
    assert list(runner.summarise(experiment([]), runs)["arms"]["one"]) == ["score"]


def _record(folder, number):
    import course_lib.results

    course_lib.results.RESULTS = folder

    def run(settings, seed, device):
        time.sleep(0.002)
        return {"score": float(seed), "process": number}

    for seed in range(number, 60, 3):  # a third of the seeds each
        runner.one_run(experiment([], run=run), "one", seed)


def test_processes_share_an_experiment(folder):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_record, args=(folder, number)) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    runs = load_runs("e")
    assert sorted(run["seed"] for run in runs) == list(range(60))
    assert {run["scores"]["process"] for run in runs} == {0, 1, 2}


def test_the_same_run_made_twice_counts_once(folder):
    for _ in range(2):
        runner.one_run(experiment([]), "one", 0)
    assert len(load_runs("e")) == 1 and len((folder / "e.runs.jsonl").read_text().splitlines()) == 2


def test_a_half_written_line_is_named(folder):
    runner.one_run(experiment([]), "one", 0)
    with (folder / "e.runs.jsonl").open("a") as file:
        file.write('{"arm": "one", "se')
    with pytest.raises(ValueError, match="line 2: not a complete run"):
        load_runs("e")


def test_a_run_does_not_continue_a_half_written_line(folder):
    (folder / "e.runs.jsonl").write_text('{"arm": "one", "se')
    runner.one_run(experiment([]), "one", 0)
    lines = (folder / "e.runs.jsonl").read_text().splitlines()
    assert len(lines) == 2 and json.loads(lines[1])["seed"] == 0
    with pytest.raises(ValueError, match="line 1: not a complete run"):
        load_runs("e")


def test_an_experiment_without_runs_leaves_no_file(folder):
    assert runner.write_summary(experiment([]))["runs"] == [] and not (folder / "e.json").exists()


PROGRAM = """
import json, sys
folder, arm, seed = sys.argv[1:]
if seed == "1" and arm == "two":
    sys.exit(3)
run = {"arm": arm, "seed": int(seed), "scores": {"score": 1.0}, "settings": {"x": 1 if arm == "one" else 3}}
open(folder + "/e.runs.jsonl", "a").write(json.dumps(run) + chr(10))
"""


def test_side_by_side_fills_what_is_missing_and_names_what_failed(folder):
    runner.one_run(experiment([]), "one", 0)
    started = []

    def command(arm, seed):
        started.append((arm, seed))
        return [sys.executable, "-c", PROGRAM, str(folder), arm, str(seed)]

    with pytest.raises(RuntimeError, match=r"failed.*\('two', 1\)"):
        runner.record_side_by_side(experiment([]), 2, command=command)
    assert ("one", 0) not in started and len(started) == 5 and len(load_runs("e")) == 5
    assert load_result("e")["arms"]["two"]["score"]["n"] == 2


def test_runner_does_not_mix_settings(folder):
    runner.record(experiment([]))
    with pytest.raises(RuntimeError, match="arm 'two' was recorded with other settings"):
        runner.record(experiment([], arms={"one": {"x": 1}, "two": {"x": 4}}))


def test_runner_does_not_mix_scenes(folder, monkeypatch):
    runner.record(experiment([], needs_scenes=True))
    monkeypatch.setattr(runner, "VERSION", "another")
    with pytest.raises(RuntimeError, match="recorded on other scenes"):
        runner.record(experiment([], needs_scenes=True))


def test_quick_run_compares_with_the_record(folder):
    runner.record(experiment([]))
    assert runner.quick(experiment([]))
    assert not runner.quick(experiment([], run=lambda settings, seed, device: {"score": 9.0, "list": []}))


def test_quick_run_passes_over_arms_that_were_run_once(folder):
    seeds = {"one": [100], "two": [0, 1, 2]}
    runner.record(experiment([], seeds=seeds))
    calls = []
    assert runner.quick(experiment(calls, seeds=seeds)) and calls == [(3, 0)]


def test_quick_run_repeats_the_lesson_s_own_arm(folder):
    """The one that makes the band, not the first that was recorded, which may take ten times as long."""
    runner.record(experiment([], bands={"score": "two"}))
    calls = []
    assert runner.quick(experiment(calls, bands={"score": "two"})) and calls == [(3, 0)]


@pytest.mark.parametrize("name", [name for name in known() if (RESULTS / f"{name}.json").exists()])
def test_recorded_results_follow_from_their_runs(name, tmp_path, monkeypatch):
    """What lessons quote is what the runs say: the committed summary, computed again."""
    stored = load_result(name)
    for suffix in (".json", ".runs.jsonl"):
        (tmp_path / f"{name}{suffix}").write_bytes((RESULTS / f"{name}{suffix}").read_bytes())
    monkeypatch.setattr("course_lib.results.RESULTS", tmp_path)
    assert json.loads(json.dumps(runner.write_summary(known()[name]))) == stored
