"""The kinds of errors, and lesson 9's experiment where its photographs are missing."""

import pytest
import torch

from course_lib.error_kinds import KINDS, what_happened
from course_lib.experiments import lesson09


def a_picture() -> tuple[dict, dict]:
    """Four objects, one of each kind, and a duplicate of the first."""
    boxes = torch.tensor([[0.0, 0, 10, 20], [30, 0, 40, 20], [60, 0, 70, 20], [90, 0, 100, 20]])
    said = torch.tensor([[0.0, 0, 10, 20], [0, 0, 10, 19], [30, 12, 40, 32], [60, 0, 70, 20], [90, 0, 100, 20]])
    found = {"boxes": said, "labels": torch.tensor([1, 1, 1, 2, 1]), "scores": torch.tensor([0.9, 0.8, 0.7, 0.9, 0.2])}
    return found, {
        "boxes": boxes,
        "labels": torch.ones(4, dtype=torch.int64),
        "difficult": torch.zeros(4, dtype=torch.bool),
    }


def test_one_object_of_each_kind():
    kind, twice = what_happened(*a_picture())
    assert [KINDS[k] for k in kind] == ["found", "poorly placed", "wrong class", "missed"]
    assert twice.tolist() == [1, 0, 0, 0]


def test_nothing_found_and_nothing_there():
    found, target = a_picture()
    nothing = {key: value[:0] for key, value in found.items()}
    assert what_happened(nothing, target)[0].tolist() == [3, 3, 3, 3]
    assert what_happened(found, {key: value[:0] for key, value in target.items()})[0].tolist() == []


def test_shares_leave_difficult_objects_out():
    found, target = a_picture()
    target["difficult"][3] = True
    shares = lesson09.kinds([found], [target])
    assert shares["found"] == shares["wrong class"] == pytest.approx(1 / 3) == shares["duplicates"]
    assert shares["missed"] == 0


def test_missing_photographs_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_PHOTOGRAPHS", str(tmp_path))
    assert "bccd: no such folder" in lesson09.lacking() and "COURSE_PHOTOGRAPHS" in lesson09.lacking()
    for name in lesson09.SIZES:
        (tmp_path / name).mkdir()
    assert lesson09.lacking() == ""
