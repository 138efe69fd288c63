"""The bench command: its registry, its numbers, its exit code."""

import time

import pytest

from course_lib.cli import bench


def test_measures_a_ratio_and_restores_threads():
    timing = bench.measure(lambda: (lambda: time.sleep(0.0005), lambda: time.sleep(0.002)), rounds=20)
    assert 0.15 < timing.ratio < 0.6 and timing.low <= timing.ratio <= timing.high


def test_every_comparison_prepares_and_runs():
    assert {"iou", "match"} <= set(bench.COMPARISONS)
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
    with pytest.raises(SystemExit):
        bench.main(["nothing"])
