"""Default boxes (lesson 3): a fixed set of boxes that tiles a picture, level by level, and the order of their predictions.

Order everywhere: level, then row, then column, then shape. The article's "anchor" is the centre of a cell, its "anchor
box" is what SSD calls a default box and Faster R-CNN an anchor.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from course_lib.boxes import cxcywh_to_xyxy
from course_lib.checks import check_levels, check_prediction_map


def grid_centres(rows: int, columns: int, image_size: tuple[int, int]) -> Tensor:
    """Centres (x, y) of the cells of a grid laid over a picture, [rows · columns, 2] in pixels, row by row.

    Args:
        rows: cells from top to bottom.
        columns: cells from left to right.
        image_size: (H, W) of the picture.

    Source: Liu et al. 2016 (SSD), section 2.2: ((i + 0.5) / columns, (j + 0.5) / rows) of the picture.
    """
    height, width = image_size
    y = (torch.arange(rows) + 0.5) * height / rows
    x = (torch.arange(columns) + 0.5) * width / columns
    return torch.cartesian_prod(y, x).flip(1)


def box_shapes(scale: float, ratios: Sequence[float]) -> Tensor:
    """Widths and heights [k, 2] of boxes that all have the area scale², one for each ratio width : height.

    Args:
        scale: side of the square box, in pixels.
        ratios: width divided by height.

    Source: Liu et al. 2016 (SSD), section 2.2: w = s·√a, h = s / √a.
    """
    root = torch.tensor(ratios, dtype=torch.float32).sqrt()
    return torch.stack([scale * root, scale / root], dim=1)


def default_boxes(image_size: tuple[int, int], grids: Sequence[tuple[int, int]], shapes: Sequence[Tensor]) -> Tensor:
    """All default boxes of a detector, [M, 4] xyxy pixels, not clipped at the picture's edge.

    Args:
        image_size: (H, W) of the picture.
        grids: (rows, columns) of each level's feature map.
        shapes: one [k, 2] tensor of widths and heights a level; k may differ between levels.

    Raises:
        ValueError: grids and shapes differ in number, or a tensor of shapes is not [k, 2].
    """
    check_levels(grids, shapes)
    levels = []
    for (rows, columns), sizes in zip(grids, shapes, strict=True):
        centres = grid_centres(rows, columns, image_size)[:, None].expand(-1, len(sizes), -1)  # [cells, k, 2]
        boxes = torch.cat([centres, sizes.expand(len(centres), -1, -1)], dim=-1)  # [cells, k, 4]
        levels.append(cxcywh_to_xyxy(boxes).reshape(-1, 4))
    return torch.cat(levels)


def level_shapes(sides: Sequence[float], ratios: Sequence[float] = (0.5, 1.0, 2.0), sizes: int = 2) -> list[Tensor]:
    """Box shapes of every level: each ratio at `sizes` sizes an octave, from the level's side up, [sizes · ratios, 2] a level.

    With two sizes the second is √2 times the level's side, half-way (in octaves) to the double.

    Args:
        sides: of the square box of each level, in pixels.
        ratios: width divided by height.
        sizes: how many sizes from one side to its double; RetinaNet has three.

    Source: after Lin et al. 2017 (RetinaNet), section 4, "Anchors".
    """
    return [torch.cat([box_shapes(side * 2 ** (i / sizes), ratios) for i in range(sizes)]) for side in sides]


def predictor(channels: int, k: int, n: int) -> nn.Conv2d:
    """The convolution that says n numbers for each of k boxes a cell: [B, channels, R, C] → [B, k·n, R, C].

    Source: Liu et al. 2016 (SSD), section 2.1: a small 3 × 3 kernel at each location of the map.
    """
    return nn.Conv2d(channels, k * n, kernel_size=3, padding=1)


def flatten_predictions(prediction: Tensor, n: int) -> Tensor:
    """A predictor's map in the order of the default boxes: [B, k·n, rows, columns] → [B, rows · columns · k, n].

    Args:
        prediction: what a convolution with k·n output channels gives; channel i·n + j is number j of shape i.
        n: numbers a box: 4 offsets, or one score a class.

    Raises:
        ValueError: the number of channels is not a multiple of n.
    """
    check_prediction_map(prediction, n)
    return prediction.permute(0, 2, 3, 1).reshape(len(prediction), -1, n)


SSD300 = {
    "image_size": (300, 300),
    "grids": [(38, 38), (19, 19), (10, 10), (5, 5), (3, 3), (1, 1)],
    "scales": [21, 45, 99, 153, 207, 261, 315],  # one more than levels: each level also looks at the next scale
    "ratios": [[2], [2, 3], [2, 3], [2, 3], [2], [2]],
}


def ssd_shapes(scale: float, next_scale: float, ratios: Sequence[float]) -> Tensor:
    """SSD's shapes of one level: two squares, then a wide and a high box for each ratio, [2 + 2 · ratios, 2] in pixels.

    The second square's side is the geometric mean of this level's scale and the next one's.

    Source: Liu et al. 2016 (SSD), section 2.2; `SSD300` holds the settings of section 3.1 in the authors' code.
    """
    squares = [box_shapes(scale, [1.0]), box_shapes((scale * next_scale) ** 0.5, [1.0])]
    pairs = [box_shapes(scale, [ratio, 1 / ratio]) for ratio in ratios]
    return torch.cat(squares + pairs)
