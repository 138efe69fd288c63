"""Default boxes (lesson 3): every expected box written out, SSD300 against torchvision, the order of predictions."""

import pytest
import torch
from torch import nn
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList

from course_lib.boxes import xyxy_to_cxcywh
from course_lib.default_boxes import (
    SSD300,
    box_shapes,
    default_boxes,
    flatten_predictions,
    grid_centres,
    predictor,
    ssd_shapes,
)


def test_centres_height_is_not_width():
    # a picture 4 high and 12 wide, 2 rows of 3: cells of 2 × 4, the first centre half a cell in
    assert grid_centres(2, 3, (4, 12)).tolist() == [[2, 1], [6, 1], [10, 1], [2, 3], [6, 3], [10, 3]]


@pytest.mark.parametrize("rows, columns", [(1, 1), (2, 3), (5, 2), (7, 7)])
def test_centres_are_symmetric_about_the_middle(rows, columns):
    centres = grid_centres(rows, columns, (60, 100))
    assert torch.allclose(centres + centres.flip(0), torch.tensor([100.0, 60.0]).expand(rows * columns, 2))


def test_shapes_have_one_area():
    shapes = box_shapes(16.0, [1.0, 4.0, 0.25])
    assert shapes.tolist() == [[16, 16], [32, 8], [8, 32]]
    assert torch.allclose(box_shapes(30.0, [1, 2, 3, 0.5, 1 / 3]).prod(dim=1), torch.tensor(900.0))


def test_every_box_written_out():
    boxes = default_boxes((4, 12), [(1, 2), (1, 1)], [torch.tensor([[2.0, 2], [4, 1]]), torch.tensor([[12.0, 4]])])
    assert boxes.tolist() == [
        [2, 1, 4, 3], [1, 1.5, 5, 2.5],  # left cell, centre (3, 2)
        [8, 1, 10, 3], [7, 1.5, 11, 2.5],  # right cell, centre (9, 2)
        [0, 0, 12, 4],
    ]  # fmt: skip
    assert boxes.dtype == torch.float32


def test_twenty_one_boxes():
    boxes = default_boxes((224, 224), [(4, 4), (2, 2), (1, 1)], [box_shapes(s, [1.0]) for s in (56, 112, 224)])
    assert boxes.shape == (21, 4)
    assert boxes[0].tolist() == [0, 0, 56, 56] and boxes[16].tolist() == [0, 0, 112, 112]
    assert boxes[20].tolist() == [0, 0, 224, 224]


def test_ssd300_equals_torchvision():
    grids, scales, ratios = SSD300["grids"], SSD300["scales"], SSD300["ratios"]
    shapes = [ssd_shapes(*level) for level in zip(scales, scales[1:], ratios, strict=False)]
    ours = default_boxes(SSD300["image_size"], grids, shapes)
    generator = DefaultBoxGenerator(ratios, scales=[s / 300 for s in scales], clip=False)
    maps = [torch.zeros(1, 1, *g) for g in grids]
    theirs = generator(ImageList(torch.zeros(1, 3, 300, 300), [(300, 300)]), maps)[0]
    assert ours.shape == theirs.shape == (8732, 4)
    assert (ours - theirs).abs().max() <= 1e-4


def test_ssd_shapes():
    # 4 and 16: a square of 4, one of √(4 · 16) = 8, then ratio 4 wide and high: 8 × 2 and 2 × 8
    assert ssd_shapes(4, 16, [4]).tolist() == [[4, 4], [8, 8], [8, 2], [2, 8]]


def test_wide_pictures_have_no_swapped_axes():
    boxes = default_boxes((30, 90), [(1, 3)], [torch.tensor([[30.0, 30]])])
    assert boxes.tolist() == [[0, 0, 30, 30], [30, 0, 60, 30], [60, 0, 90, 30]]


def test_wrong_levels_are_named():
    with pytest.raises(ValueError, match="2 grids but 1 tensors"):
        default_boxes((4, 4), [(1, 1), (2, 2)], [torch.ones(1, 2)])
    with pytest.raises(ValueError, match=r"shapes\[1\]: expected \[k, 2\]"):
        default_boxes((4, 4), [(1, 1), (2, 2)], [torch.ones(1, 2), torch.ones(3)])


@pytest.mark.parametrize("level, row, column, shape", [(0, 0, 0, 0), (0, 1, 2, 1), (1, 2, 0, 2), (1, 0, 4, 0)])
def test_one_hot_activation_lands_on_its_box(level, row, column, shape):
    grids, k, n = [(2, 3), (4, 5)], [2, 3], 4
    shapes = [torch.tensor([[8.0, 8], [12, 5]]), torch.tensor([[4.0, 4], [6, 2], [2, 6]])]
    boxes = default_boxes((40, 60), grids, shapes)
    maps = [torch.zeros(2, size * n, *grid) for size, grid in zip(k, grids, strict=True)]
    maps[level][1, shape * n + 2, row, column] = 1.0  # picture 1, third number of this shape
    flat = torch.cat([flatten_predictions(m, n) for m in maps], dim=1)
    assert flat.shape == (2, len(boxes), n) and flat[0].sum() == 0
    index, number = flat[1].nonzero()[0].tolist()
    assert number == 2
    rows, columns = grids[level]
    centre = [(column + 0.5) * 60 / columns, (row + 0.5) * 40 / rows]
    assert xyxy_to_cxcywh(boxes[index]).tolist() == pytest.approx(centre + shapes[level][shape].tolist())


@pytest.mark.parametrize("grid", [(4, 4), (2, 2), (1, 1), (3, 5)])
def test_predictors_keep_the_grid(grid):
    assert predictor(16, 3, 4)(torch.zeros(2, 16, *grid)).shape == (2, 12, *grid)


def test_flatten_agrees_with_a_convolution():
    conv = nn.Conv2d(8, 3 * 4, 3, padding=1)
    features = torch.randn(2, 8, 3, 5)
    flat = flatten_predictions(conv(features), 4)
    assert flat.shape == (2, 45, 4)
    assert torch.equal(flat[1, (2 * 5 + 4) * 3 + 1], conv(features)[1, 4:8, 2, 4])
    with pytest.raises(ValueError, match="multiple of the 5"):
        flatten_predictions(conv(features), 5)
