"""Sliding windows: a classifier at every position and scale (counted in lesson 1, a detector in lesson 8)."""

import torch
from torch import Tensor


def count_windows(image_size: tuple[int, int], window: tuple[int, int], stride: int) -> int:
    """How many windows of (height, width) pixels fit into a picture of (H, W) when they move by `stride` pixels.

    A window larger than the picture fits nowhere: 0.
    """
    rows = (image_size[0] - window[0]) // stride + 1
    columns = (image_size[1] - window[1]) // stride + 1
    return max(rows, 0) * max(columns, 0)


def sliding_windows(image_size: tuple[int, int], window: tuple[int, int], stride: int) -> Tensor:
    """The windows themselves as boxes [count, 4], xyxy pixels, row by row; none where the window is larger than the picture."""
    y = torch.arange(0, max(image_size[0] - window[0] + 1, 0), stride)
    x = torch.arange(0, max(image_size[1] - window[1] + 1, 0), stride)
    top, left = torch.meshgrid(y, x, indexing="ij")
    corners = torch.stack([left, top, left + window[1], top + window[0]], dim=-1)
    return corners.reshape(-1, 4).float()
