"""Boxes: formats (lesson 1), offsets (lesson 3), intersection over union (lesson 4), suppression (lesson 5).

A box is xyxy in pixels: left, top, right, bottom edge, float32. Any other format is in the name.
"""

import torch
from torch import Tensor

from course_lib.checks import check_boxes


def xyxy_to_xywh(boxes: Tensor) -> Tensor:
    """Corners (left, top, right, bottom) → upper left corner, width, height: [..., 4] → [..., 4]."""
    check_boxes(boxes)
    return torch.cat([boxes[..., :2], boxes[..., 2:] - boxes[..., :2]], dim=-1)


def xywh_to_xyxy(boxes_xywh: Tensor) -> Tensor:
    """Upper left corner, width, height → corners (left, top, right, bottom): [..., 4] → [..., 4]."""
    check_boxes(boxes_xywh, "boxes_xywh")
    return torch.cat([boxes_xywh[..., :2], boxes_xywh[..., :2] + boxes_xywh[..., 2:]], dim=-1)


def xyxy_to_cxcywh(boxes: Tensor) -> Tensor:
    """Corners → centre, width, height: [..., 4] → [..., 4]."""
    check_boxes(boxes)
    return torch.cat([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], dim=-1)


def cxcywh_to_xyxy(boxes_cxcywh: Tensor) -> Tensor:
    """Centre, width, height → corners: [..., 4] → [..., 4]."""
    check_boxes(boxes_cxcywh, "boxes_cxcywh")
    half = boxes_cxcywh[..., 2:] / 2
    return torch.cat([boxes_cxcywh[..., :2] - half, boxes_cxcywh[..., :2] + half], dim=-1)
