"""The bench command: its registry, its numbers, its exit code."""

import time

import pytest
import torch

from course_lib.cli import bench


def test_measures_a_ratio_and_restores_threads(monkeypatch):
    clock, threads = [0.0], torch.get_num_threads()
    monkeypatch.setattr(bench.time, "perf_counter", lambda: clock[0])

    def work(seconds: float) -> None:
        assert torch.get_num_threads() == 1
        clock[0] += seconds

    timing = bench.measure(lambda: (lambda: work(0.5), lambda: work(2.0)), rounds=20)
    assert timing == bench.Timing(0.25, 0.25, 0.25, 500.0, 2000.0) and torch.get_num_threads() == threads


def test_every_comparison_prepares_and_runs():
    assert {"iou", "match", "encode", "decode", "nms", "ap"} <= set(bench.COMPARISONS)
    assert {f"{name}-{what}" for name in ("ssd", "retinanet") for what in ("step", "detect")} <= set(bench.COMPARISONS)
    families = {f"{name}-detect" for name in ("sliding", "two-stage", "yolo", "yolo-conv")}
    assert families <= {name for name, (what, _) in bench.COMPARISONS.items() if what.startswith("(for information)")}
    for what, prepare in bench.COMPARISONS.values():
        ours, theirs = prepare()
        ours(), theirs()
        assert len(what.split()) > 3


def test_command_line(capsys, monkeypatch):
    monkeypatch.setattr(
        bench, "COMPARISONS", {"nap": ("a short nap against a long one", lambda: (int, lambda: time.sleep(0.001)))}
    )
    assert bench.main(["nap", "--rounds", "20"]) == 0
    assert "nap" in capsys.readouterr().out
    prepare = lambda: (lambda: time.sleep(0.001), int)  # noqa: E731
    monkeypatch.setattr(bench, "COMPARISONS", {"nap": ("a long nap against a short one", prepare)})
    assert bench.main(["nap", "--rounds", "20"]) == 1
    monkeypatch.setattr(bench, "COMPARISONS", {"nap": ("(for information) the same once more", prepare)})
    assert bench.main(["nap", "--rounds", "20"]) == 0
    with pytest.raises(SystemExit):
        bench.main(["nothing"])
