"""`iou` against torchvision, against counted pixels, and its properties."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import box_iou

from course_lib.boxes import iou


def random_boxes(n: int, seed: int = 0, width: float = 50.0, height: float = 30.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(2, n, 2, generator=generator) * torch.tensor([width, height])
    return torch.cat([corners.min(dim=0).values, corners.max(dim=0).values + 0.5], dim=1)


def whole_boxes(max_size: int = 9) -> st.SearchStrategy[list[list[float]]]:
    """Lists of boxes at whole pixels, empty ones among them."""
    edge = st.integers(0, max_size)
    box = st.tuples(edge, edge, edge, edge).map(
        lambda c: [min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3])]
    )
    return st.lists(box.map(lambda b: [float(v) for v in b]), min_size=1, max_size=5)


def tensor(boxes: list[list[float]]) -> torch.Tensor:
    return torch.tensor(boxes).reshape(-1, 4)


def test_by_hand():
    a = torch.tensor([[0.0, 0, 4, 2]])
    b = torch.tensor([[3.0, 1, 5, 4], [6, 3, 8, 5], [4, 0, 6, 2], [0, 0, 4, 2], [1, 0, 2, 1]])
    assert torch.allclose(iou(a, b), torch.tensor([[1 / 13, 0, 0, 1, 1 / 8]]))


def test_width_and_height_are_not_mixed_up():
    wide, high = torch.tensor([[0.0, 0, 8, 2]]), torch.tensor([[0.0, 0, 2, 8]])
    assert iou(wide, high).item() == pytest.approx(4 / 28)


@pytest.mark.parametrize("n, m", [(1, 1), (3, 21), (20, 8732), (0, 5), (5, 0), (0, 0)])
def test_equals_torchvision(n, m):
    a, b = random_boxes(n, 1), random_boxes(m, 2)
    assert iou(a, b).shape == (n, m)
    assert torch.allclose(iou(a, b), box_iou(a, b), atol=1e-6)


def test_boxes_without_area_have_iou_0_and_not_nan():
    point = torch.tensor([[3.0, 2, 3, 2]])
    line = torch.tensor([[1.0, 2, 5, 2]])
    box = torch.tensor([[0.0, 0, 6, 4]])
    every = torch.cat([point, line])
    assert box_iou(point, point).isnan().all()  # what torchvision says
    assert torch.equal(iou(every, torch.cat([every, box])), torch.zeros(2, 3))


def test_inverted_boxes_overlap_nothing():
    inverted = torch.tensor([[5.0, 4, 1, 1], [5, 1, 1, 4], [1, 4, 5, 1]])
    normal = torch.tensor([[0.0, 0, 8, 8], [1, 1, 5, 4]])
    assert torch.equal(iou(inverted, normal), torch.zeros(3, 2))


@given(whole_boxes(), whole_boxes())
@settings(max_examples=60, deadline=None)
def test_counts_pixels(a, b):
    table = iou(tensor(a), tensor(b))
    for i, one in enumerate(a):
        for j, two in enumerate(b):
            first, second = torch.zeros(9, 9, dtype=torch.bool), torch.zeros(9, 9, dtype=torch.bool)
            first[int(one[1]) : int(one[3]), int(one[0]) : int(one[2])] = True
            second[int(two[1]) : int(two[3]), int(two[0]) : int(two[2])] = True
            union = (first | second).sum().item()
            right = (first & second).sum().item() / union if union else 0.0
            assert table[i, j].item() == pytest.approx(right, abs=1e-6)


@given(st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_symmetric_and_in_range(seed):
    a, b = random_boxes(7, seed), random_boxes(5, seed + 1)
    table = iou(a, b)
    assert torch.equal(table, iou(b, a).T)
    assert ((table >= 0) & (table <= 1)).all()
    assert torch.equal(iou(a, a).diagonal(), torch.ones(7))


@given(st.integers(0, 10**6), st.floats(-500, 500), st.floats(-500, 500), st.floats(0.05, 20))
@settings(max_examples=60, deadline=None)
def test_does_not_change_when_both_are_moved_or_scaled(seed, dx, dy, scale):
    a, b = random_boxes(6, seed).double(), random_boxes(4, seed + 1).double()
    move = torch.tensor([dx, dy, dx, dy], dtype=torch.float64)
    assert torch.allclose(iou(a + move, b + move), iou(a, b), atol=1e-9)
    assert torch.allclose(iou(a * scale, b * scale), iou(a, b), atol=1e-9)


def test_inputs_unchanged_dtype_kept_gradient_flows():
    a, b = random_boxes(4).double().requires_grad_(), random_boxes(3, 5).double()
    before = a.detach().clone(), b.clone()
    table = iou(a, b)
    table.sum().backward()
    assert table.dtype == torch.float64 and a.grad.abs().sum() > 0 and a.grad.isfinite().all()
    assert torch.equal(a.detach(), before[0]) and torch.equal(b, before[1])


def test_wrong_input_is_named():
    with pytest.raises(TypeError, match="expected floats"):
        iou(torch.tensor([[0, 0, 2, 2]]), random_boxes(1))
    with pytest.raises(ValueError, match="other: expected shape"):
        iou(random_boxes(1), torch.zeros(3, 5))


def test_half_precision_is_refused():
    """300 × 300 pixels overflow float16 (65,504): the union would be infinite and the result not a number."""
    boxes = torch.tensor([[0.0, 0, 300, 300]])
    for half in (torch.float16, torch.bfloat16):
        with pytest.raises(TypeError, match=r"boxes: torch\..*float16 is too coarse.*boxes\.float\(\)"):
            iou(boxes.to(half), boxes.to(half))
    assert iou(boxes, boxes).item() == 1
