"""`nms` and `nms_per_class` against torchvision, and their properties."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import batched_nms
from torchvision.ops import nms as their_nms

from course_lib.boxes import iou, nms, nms_per_class, survivors


def random_boxes(n: int, seed: int = 0, width: float = 50.0, height: float = 30.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(2, n, 2, generator=generator) * torch.tensor([width, height])
    return torch.cat([corners.min(dim=0).values, corners.max(dim=0).values + 0.5], dim=1)


def whole_boxes(max_size: int = 12) -> st.SearchStrategy[list[list[float]]]:
    """Boxes at whole pixels: overlaps tie and meet thresholds exactly, empty boxes among them."""
    edge = st.integers(0, max_size)
    box = st.tuples(edge, edge, edge, edge).map(
        lambda c: [float(min(c[0], c[2])), float(min(c[1], c[3])), float(max(c[0], c[2])), float(max(c[1], c[3]))]
    )
    return st.lists(box, max_size=12)


def test_two_boxes_by_hand():
    boxes = torch.tensor([[0.0, 0, 4, 2], [1, 0, 5, 2], [6, 0, 7, 5]])  # IoU of the first two: 6 / 10
    scores = torch.tensor([0.4, 0.9, 0.3])
    assert nms(boxes, scores, 0.5).tolist() == [1, 2]
    assert nms(boxes, scores, 0.65).tolist() == [1, 0, 2]


def test_a_suppressed_box_suppresses_nobody():
    boxes = torch.tensor([[0.0, 0, 6, 2], [2, 0, 8, 2], [4, 0, 10, 2]])  # a chain: IoU .5, .5 and .2
    assert nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.4).tolist() == [0, 2]


def test_exactly_at_the_threshold_both_stay():
    boxes = torch.tensor([[0.0, 0, 4, 2], [0, 0, 2, 2]])  # IoU 1 / 2
    assert nms(boxes, torch.tensor([0.9, 0.8]), 0.5).tolist() == [0, 1]


def test_no_boxes():
    none = torch.zeros(0, 4)
    assert nms(none, torch.zeros(0)).shape == (0,) and nms(none, torch.zeros(0)).dtype == torch.int64
    assert nms_per_class(none, torch.zeros(0), torch.zeros(0, dtype=torch.int64)).shape == (0,)


def test_identical_boxes_with_equal_scores_leave_the_first():
    boxes = random_boxes(1).repeat(5, 1)
    assert nms(boxes, torch.full((5,), 0.5)).tolist() == [0]
    assert nms_per_class(boxes, torch.full((5,), 0.5), torch.tensor([2, 1, 2, 1, 3])).tolist() == [0, 1, 4]


@pytest.mark.parametrize("seed", range(60))
def test_equals_torchvision_on_random_boxes(seed):
    boxes, threshold = random_boxes(1 + 5 * seed, seed), 0.1 + 0.8 * (seed % 9) / 9
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(len(boxes), generator=generator)
    labels = torch.randint(1, 5, (len(boxes),), generator=generator)
    if seed % 2:
        scores = (scores * 4).round() / 4  # ties
    assert torch.equal(nms(boxes, scores, threshold), their_nms(boxes, scores, threshold))
    ours, theirs = nms_per_class(boxes, scores, labels, threshold), batched_nms(boxes, scores, labels, threshold)
    assert torch.equal(scores[ours], scores[theirs]) and sorted(ours.tolist()) == sorted(theirs.tolist())


@settings(deadline=None, max_examples=150)
@given(whole_boxes(), st.sampled_from([0.1, 0.2, 0.25, 0.3, 0.5, 0.6, 0.7]), st.data())
def test_equals_torchvision_where_everything_ties(boxes, threshold, data):
    boxes = torch.tensor(boxes).reshape(-1, 4)
    scores = torch.tensor(data.draw(st.lists(st.sampled_from([0.25, 0.5]), min_size=len(boxes), max_size=len(boxes))))
    scores = scores.reshape(-1).float()
    assert torch.equal(nms(boxes, scores, threshold), their_nms(boxes, scores, threshold))
    labels = torch.tensor(data.draw(st.lists(st.integers(1, 2), min_size=len(boxes), max_size=len(boxes))))
    labels = labels.reshape(-1).long()
    one_by_one = [(labels == c).nonzero()[:, 0] for c in (1, 2)]
    kept = torch.cat([mine[their_nms(boxes[mine], scores[mine], threshold)] for mine in one_by_one])
    assert sorted(nms_per_class(boxes, scores, labels, threshold).tolist()) == sorted(kept.tolist())


def test_twice_is_once_and_survivors_do_not_overlap():
    boxes, scores = random_boxes(80), torch.rand(80, generator=torch.Generator().manual_seed(1))
    kept = nms(boxes, scores, 0.3)
    assert torch.equal(nms(boxes[kept], scores[kept], 0.3), torch.arange(len(kept)))
    assert iou(boxes[kept], boxes[kept]).fill_diagonal_(0).max() <= 0.3
    assert scores[kept].diff().max() <= 0


def test_inputs_stay_as_they_are():
    boxes, scores, clashes = random_boxes(9), torch.rand(9), torch.ones(3, 3, dtype=torch.bool)
    before = boxes.clone(), scores.clone()
    nms(boxes, scores), survivors(clashes)
    assert torch.equal(boxes, before[0]) and torch.equal(scores, before[1]) and clashes.all()


def test_lengths_that_differ_are_named():
    with pytest.raises(ValueError, match="scores"):
        nms(random_boxes(3), torch.zeros(2))
