"""Box formats (lesson 1): values on paper, parity with torchvision, round trips, clear errors."""

import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st

from course_lib.boxes import cxcywh_to_xyxy, xywh_to_xyxy, xyxy_to_cxcywh, xyxy_to_xywh

BOXES = torch.tensor([[20.0, 30, 90, 60], [5, 0, 8, 40]])


def test_values_on_paper():
    assert xyxy_to_xywh(BOXES).tolist() == [[20, 30, 70, 30], [5, 0, 3, 40]]
    assert xyxy_to_cxcywh(BOXES).tolist() == [[55, 45, 70, 30], [6.5, 20, 3, 40]]


@pytest.mark.parametrize("ours, source, target", [
    (xyxy_to_xywh, "xyxy", "xywh"), (xywh_to_xyxy, "xywh", "xyxy"),
    (xyxy_to_cxcywh, "xyxy", "cxcywh"), (cxcywh_to_xyxy, "cxcywh", "xyxy"),
])  # fmt: skip
def test_parity_with_torchvision(ours, source, target):
    assert torch.equal(ours(BOXES), torchvision.ops.box_convert(BOXES, source, target))


@pytest.mark.parametrize("there, back", [(xyxy_to_xywh, xywh_to_xyxy), (xyxy_to_cxcywh, cxcywh_to_xyxy)])
@given(corners=st.lists(st.tuples(*[st.integers(-1000, 1000)] * 4), max_size=5))
def test_round_trip(there, back, corners):
    boxes = torch.tensor(corners, dtype=torch.float32).reshape(-1, 4)
    before = boxes.clone()
    assert torch.equal(back(there(boxes)), boxes) and torch.equal(boxes, before)


@pytest.mark.parametrize("function", [xyxy_to_xywh, xywh_to_xyxy, xyxy_to_cxcywh, cxcywh_to_xyxy])
def test_shapes_and_errors(function):
    assert function(torch.zeros(0, 4)).shape == (0, 4)
    assert function(torch.ones(2, 3, 4)).shape == (2, 3, 4)
    with pytest.raises(ValueError, match=r"expected shape \[N, 4\], got \[2, 3\]"):
        function(torch.ones(2, 3))
    with pytest.raises(TypeError, match="expected floats, got torch.int64"):
        function(torch.ones(2, 4, dtype=torch.int64))
    with pytest.raises(TypeError, match="got list"):
        function([[1.0, 2, 3, 4]])
