"""`match`: no object is lost, the threshold, the ignore band, objects that overlap nothing, too many objects."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_iou import random_boxes
from torchvision.models.detection._utils import SSDMatcher
from torchvision.ops import box_iou

from course_lib.boxes import decode, iou
from course_lib.data import ROOT, VOCFolder, load
from course_lib.default_boxes import default_boxes, level_shapes
from course_lib.matching import BACKGROUND, IGNORED, match, match_targets, one_box_each, recall_ceiling

SHARED = torch.tensor([[0.5625, 0.0, 0.173], [0.5625, 0.0, 0.070]])  # both objects want box 0


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def grid(n: int, height: float = 96.0, width: float = 160.0) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
    cells = torch.stack([columns, rows, columns + 1, rows + 1], dim=-1).reshape(-1, 4)
    return cells * torch.tensor([width, height, width, height]) / n


BOXES21 = torch.cat([grid(4), grid(2), grid(1)])
BOXES21_SQUARE = torch.cat([grid(n, 128, 128) for n in (4, 2, 1)])


def slow_pairs(closeness: torch.Tensor) -> list[int]:
    """All pairs sorted once, in plain Python."""
    rows, columns = closeness.shape
    pairs = sorted((-closeness[i, j].item(), i, j) for i in range(rows) for j in range(columns))
    chosen, used = [-1] * rows, set()
    for minus, i, j in pairs:
        if minus < torch.inf and chosen[i] < 0 and j not in used:
            chosen[i] = j
            used.add(j)
    return chosen


def slow_match(boxes: torch.Tensor, default_boxes: torch.Tensor, foreground: float, background: float) -> list[int]:
    """The rules, one box at a time."""
    table = box_iou(boxes, default_boxes)
    matches = []
    for j in range(len(default_boxes)):
        best = max(range(len(boxes)), key=lambda i: table[i, j].item())
        largest = table[best, j].item()
        matches.append(best if largest >= foreground else IGNORED if largest >= background else BACKGROUND)
    # a gap counts as minus the distance of the centres, so every overlap comes before every gap
    centre, other = (boxes[:, :2] + boxes[:, 2:]) / 2, (default_boxes[:, :2] + default_boxes[:, 2:]) / 2
    first = slow_pairs(torch.where(table > 0, table, torch.tensor(-torch.inf)))
    gaps = -(centre[:, None] - other[None]).norm(dim=2)
    for i, j in enumerate(first):
        if j >= 0:
            gaps[i], gaps[:, j] = -torch.inf, -torch.inf
    second = slow_pairs(gaps)
    for i, j in enumerate(first):
        j = j if j >= 0 else second[i]
        if j >= 0:
            matches[j] = i
    return matches


def served(matches: torch.Tensor) -> set[int]:
    return set(matches[matches >= 0].tolist())


def test_two_objects_that_want_one_box_both_get_one():
    assert one_box_each(SHARED).tolist() == [0, 2]  # a tie: the first object goes first, the other takes box 2
    assert one_box_each(SHARED.flip(0)).tolist() == [0, 2]


def test_the_surer_object_goes_first():
    assert one_box_each(torch.tensor([[0.6, 0.5, 0.1], [0.9, 0.2, 0.0]])).tolist() == [1, 0]
    assert one_box_each(torch.tensor([[0.6, 0.5, 0.1], [0.9, 0.2, 0.0], [0.1, 0.55, 0.3]])).tolist() == [2, 0, 1]


def test_minus_infinity_is_out_of_the_question():
    none = -torch.inf
    assert one_box_each(torch.tensor([[0.3, none], [0.4, none]])).tolist() == [-1, 0]
    assert one_box_each(torch.tensor([[none, none]])).tolist() == [-1]


def test_small_example():
    boxes = torch.tensor([[0.0, 0, 10, 20], [30, 10, 60, 20]])
    default_boxes = torch.tensor([[0.0, 0, 10, 19], [0, 0, 10, 11], [0, 0, 10, 9], [80, 0, 90, 9], [58, 12, 70, 40]])
    assert match(boxes, default_boxes).tolist() == [0, 0, BACKGROUND, BACKGROUND, 1]
    assert match(boxes, default_boxes, 0.6, 0.5).tolist() == [0, IGNORED, BACKGROUND, BACKGROUND, 1]
    assert match(boxes, default_boxes, 0.6, 0.4).tolist() == [0, IGNORED, IGNORED, BACKGROUND, 1]


def test_threshold_is_reached_at_equality():
    box, half = torch.tensor([[0.0, 0, 4, 8]]), torch.tensor([[0.0, 0, 4, 8], [0, 0, 4, 4]])
    assert match(box, half).tolist() == [0, 0]
    assert match(box, half, 0.5001, 0.5).tolist() == [0, IGNORED]


@pytest.mark.parametrize("n, m", [(1, 1), (1, 21), (5, 21), (21, 21), (30, 21), (12, 300)])
@pytest.mark.parametrize("foreground, background", [(0.5, 0.5), (0.5, 0.4), (0.9, 0.1)])
def test_equals_the_slow_rules(n, m, foreground, background):
    for seed in range(10):
        boxes = random_boxes(n, seed, 160, 96)
        default_boxes = BOXES21 if m == 21 else random_boxes(m, seed + 100, 160, 96)
        ours = match(boxes, default_boxes, foreground, background)
        assert ours.tolist() == slow_match(boxes, default_boxes, foreground, background)


@given(st.integers(0, 10**6), st.integers(1, 40), st.sampled_from([0.02, 0.1, 0.5, 1.0]))
@settings(max_examples=150, deadline=None)
def test_no_object_is_lost(seed, n, crowd):
    """Up to 40 objects, from spread out to all in one corner, on 21 boxes and on 340."""
    boxes = random_boxes(n, seed, 160 * crowd, 96 * crowd)
    for grids in (BOXES21, torch.cat([grid(16), BOXES21[:-1], grid(8)])):
        matches = match(boxes, grids)
        assert len(served(matches)) == min(n, len(grids))


def test_an_object_that_overlaps_nothing_takes_the_nearest_free_box():
    default_boxes = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]])
    outside = torch.tensor([[60.0, 0, 70, 10]])
    assert match(outside, default_boxes).tolist() == [BACKGROUND, BACKGROUND, 0]
    both = torch.tensor([[40.0, 0, 50, 9], [41, 0, 50, 8]])  # only the last box overlaps them: the worse one moves over
    assert match(both, default_boxes).tolist() == [BACKGROUND, 1, 0]


def test_more_objects_than_boxes():
    default_boxes = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10]])
    boxes = torch.tensor([[0.0, 0, 10, 9], [0, 0, 10, 8], [0, 0, 10, 7]])
    assert match(boxes, default_boxes).tolist() == [0, 1]


def test_a_picture_without_objects_is_all_background():
    assert match(torch.zeros(0, 4), BOXES21).tolist() == [BACKGROUND] * 21
    assert match(random_boxes(3), torch.zeros(0, 4)).shape == (0,)


def test_an_object_without_area_is_named():
    with pytest.raises(ValueError, match=r"boxes\[1\].*no area"):
        match(torch.tensor([[0.0, 0, 4, 4], [7, 3, 7, 9]]), BOXES21)


def test_thresholds_in_the_wrong_order_are_named():
    with pytest.raises(ValueError, match="background 0.5"):
        match(random_boxes(2), BOXES21, foreground=0.4)


def test_inputs_unchanged_and_labels_of_the_result():
    boxes, default_boxes = random_boxes(4), random_boxes(30, 9)
    before = boxes.clone(), default_boxes.clone()
    matches = match(boxes, default_boxes, 0.6, 0.3)
    assert torch.equal(boxes, before[0]) and torch.equal(default_boxes, before[1])
    assert matches.dtype == torch.int64 and matches.shape == (30,)
    assert matches.min() >= IGNORED and matches.max() < 4


def test_torchvision_loses_an_object_and_we_do_not():
    assert served(SSDMatcher(0.5)(SHARED)) == {1}
    lost = 0
    for seed in range(200):
        boxes = random_boxes(5, seed, 160, 96)
        lost += len(served(SSDMatcher(0.5)(iou(boxes, BOXES21)))) < 5
        assert len(served(match(boxes, BOXES21))) == 5
    assert lost > 10


def test_agrees_with_torchvision_where_no_two_objects_compete():
    for seed in range(50):
        boxes = random_boxes(3, seed, 160, 96)
        table = iou(boxes, BOXES21)
        if len(set(table.argmax(dim=1).tolist())) == 3:
            assert torch.equal(match(boxes, BOXES21), SSDMatcher(0.5)(table))


def test_recall_ceiling_counts_objects_that_some_box_reaches():
    default_boxes = torch.tensor([[0.0, 0, 10, 20], [20, 0, 30, 20]])
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [21, 0, 31, 20], [60, 0, 70, 20]])
    assert recall_ceiling(boxes, default_boxes).item() == 0.5
    assert recall_ceiling(boxes, default_boxes, 0.9).item() == 0
    assert recall_ceiling(boxes, default_boxes, 0.4).item() == 0.75


def test_targets_say_class_and_way_to_the_object():
    default_boxes = torch.tensor([[0.0, 0, 10, 19], [0, 0, 10, 11], [0, 0, 10, 9], [80, 0, 90, 9], [58, 12, 70, 40]])
    target = {"boxes": torch.tensor([[0.0, 0, 10, 20], [30, 10, 60, 20]]), "labels": torch.tensor([7, 3])}
    matches = match(target["boxes"], default_boxes, 0.5, 0.4)
    classes, offsets = match_targets(target, default_boxes, matches)
    assert classes.tolist() == [7, 7, -1, 0, 3] and classes.dtype == torch.int64
    assert torch.equal(offsets[2:4], torch.zeros(2, 4))
    positive = torch.tensor([0, 1, 4])
    assert torch.allclose(decode(offsets[positive], default_boxes[positive]), target["boxes"][[0, 0, 1]], atol=1e-4)


def test_targets_of_a_picture_without_objects_are_background():
    target = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    classes, offsets = match_targets(target, BOXES21, match(target["boxes"], BOXES21))
    assert classes.tolist() == [0] * 21 and offsets.shape == (21, 4) and not offsets.any()


# ---------------------------------------------------------------- real pictures and scenes: nobody is lost


def course_boxes(side: int) -> torch.Tensor:
    shapes = level_shapes([2.0 * stride for stride in (8, 16, 32, 64)], sizes=3)
    return default_boxes((side, side), [(side // stride, side // stride) for stride in (8, 16, 32, 64)], shapes)


def nobody_is_lost(boxes: torch.Tensor, boxes3060: torch.Tensor) -> None:
    for grids in (boxes3060, BOXES21_SQUARE):
        assert len(served(match(boxes, grids))) == min(len(boxes), len(grids))


@pytest.mark.parametrize("name", ["bccd", "micro"])
def test_no_object_of_real_photographs_is_lost(name):
    shared = Path(os.environ.get("COURSE_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not (shared / name).is_dir():
        pytest.skip(f"the photographs of {name} are not here (COURSE_SHARED_DATA)")
    targets = VOCFolder(shared / name, None, size=(128, 128), quiet=True).targets
    assert len(targets) > 100
    boxes3060 = course_boxes(128)
    for target in targets:
        nobody_is_lost(target["boxes"], boxes3060)


def test_no_object_of_random_crowds_is_lost():
    """Crowds of 1 to 40 boxes as small as those of crowded scenes; no picture is drawn."""
    boxes3060 = course_boxes(128)
    for seed in range(60):
        generator = torch.Generator().manual_seed(seed)
        count = int(torch.randint(1, 41, (1,), generator=generator))
        corner = 110 * torch.rand(count, 2, generator=generator)
        sides = 8 + 40 * torch.rand(count, 2, generator=generator) ** 3
        nobody_is_lost(torch.cat([corner, corner + sides], dim=1), boxes3060)


@pytest.mark.slow
def test_no_object_of_2000_scenes_is_lost():
    """1,800 scenes of the standard set and 200 crowded ones; crowds of up to 40 by putting scenes' objects together."""
    sets = [load("standard", "train"), load("standard", "val"), load("crowded", "val")]
    objects = [target["boxes"] for pictures in sets for target in pictures.targets]
    assert len(objects) >= 2000
    boxes3060 = course_boxes(128)
    for boxes in objects:
        nobody_is_lost(boxes, boxes3060)
    for start in range(0, 400, 8):
        nobody_is_lost(torch.cat(objects[start : start + 12])[:40], boxes3060)
