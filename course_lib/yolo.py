"""YOLO v1 (lesson 8): a grid over the picture, and the cell that holds an object's centre answers for the object.

Source: Redmon et al. 2016, "You only look once: unified, real-time object detection".
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from course_lib.boxes import clip_boxes, cxcywh_to_xyxy, iou, pick_detections, xyxy_to_cxcywh
from course_lib.checks import check_all_objects, check_same_size, check_top
from course_lib.default_boxes import grid_centres


def cells_of(boxes: Tensor, image_size: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """The cell that holds each box's centre: [N, 4] xyxy pixels → [N, 2] int64, row and column.

    Args:
        boxes: objects; N may be 0.
        image_size: (H, W) of the picture.
        grid: (rows, columns). A centre on the line between two cells belongs to the lower or right one.

    Source: Redmon et al. 2016, section 2.
    """
    cells = xyxy_to_cxcywh(boxes)[:, [1, 0]] * boxes.new_tensor([grid[0] / image_size[0], grid[1] / image_size[1]])
    return cells.long().clamp(min=0).minimum(boxes.new_tensor([grid[0] - 1, grid[1] - 1]).long())


def cell_is_taken(cells: Tensor) -> Tensor:
    """Whether an earlier object has its centre in the same cell: [N, 2] → [N] bool. Such an object cannot be learned."""
    same = (cells[:, None] == cells).all(dim=-1)
    return same.tril(diagonal=-1).any(dim=1)


def count_taken(targets: Sequence[dict], image_size: tuple[int, int], grid: tuple[int, int]) -> int:
    """How many objects of all pictures find their cell taken: what no training can bring back.

    Source: Redmon et al. 2016, section 2.4 (each cell "can only have one class").
    """
    return sum(int(cell_is_taken(cells_of(target["boxes"], image_size, grid)).sum()) for target in targets)


def decode_cells(coordinates: Tensor, image_size: tuple[int, int]) -> Tensor:
    """Boxes in pixels from the cells' four numbers: [..., rows, columns, k, 4] → the same shape, xyxy.

    Args:
        coordinates: x and y of the centre, in cells from the upper left corner of its own cell; square roots of width and
            height as shares of the picture. A root below 0 is no size at all: it counts as 0, and its square is not taken.
        image_size: (H, W) of the picture.

    Source: Redmon et al. 2016, section 2; that the network says the roots themselves is the authors' code.
    """
    (height, width), (rows, columns) = image_size, coordinates.shape[-4:-2]
    centres = grid_centres(rows, columns, image_size).view(rows, columns, 1, 2).to(coordinates)
    xy = centres + (coordinates[..., :2] - 0.5) * coordinates.new_tensor([width / columns, height / rows])
    sizes = coordinates[..., 2:].clamp(min=0).square() * coordinates.new_tensor([width, height])
    return cxcywh_to_xyxy(torch.cat([xy, sizes], dim=-1))


def cell_targets(
    targets: Sequence[dict], image_size: tuple[int, int], grid: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """What every cell has to learn: classes [B, R, C] int64, boxes [B, R, C, 4] in pixels, coordinates [B, R, C, 4].

    The first object of a cell stays; later ones are lost. A class is a label, 0 in an empty cell, and −1 where the only
    objects are `difficult`: the loss leaves that cell's confidence out. Boxes and coordinates are 0 where there is none.

    Args:
        targets: one dict(boxes, labels) a picture, optionally `difficult`.
        image_size: (H, W) of the pictures.
        grid: (rows, columns), that of the network's own output.

    Raises:
        ValueError: an object has no area.
    """
    check_all_objects(targets)
    classes, boxes, coordinates = [], [], []
    for target in targets:
        labels = target["labels"].long()
        if "difficult" in target:
            labels = labels.masked_fill(target["difficult"].bool(), -1)
        order = (labels < 0).int().argsort(stable=True)  # whoever counts goes first
        cells = cells_of(target["boxes"][order], image_size, grid)
        first = ~cell_is_taken(cells)
        (row, column), chosen = cells[first].T, order[first]
        true = target["boxes"][chosen]
        share = xyxy_to_cxcywh(true) / true.new_tensor([*image_size[::-1], *image_size[::-1]])
        xy = share[:, :2] * true.new_tensor([grid[1], grid[0]]) - torch.stack([column, row], dim=1)
        classes.append(labels.new_zeros(grid).index_put((row, column), labels[chosen]))
        boxes.append(true.new_zeros(*grid, 4).index_put((row, column), true))
        coordinates.append(true.new_zeros(*grid, 4).index_put((row, column), torch.cat([xy, share[:, 2:].sqrt()], 1)))
    return torch.stack(classes), torch.stack(boxes), torch.stack(coordinates)


def connected_top(channels: int, grid: tuple[int, int], numbers: int) -> nn.Sequential:
    """A top that flattens the map: every cell sees the whole picture, through weights of its own.

    [B, channels, rows, columns] → [B, numbers, rows, columns].
    Source: Redmon et al. 2016, section 2.1, with fewer channels; the leaky rectifiers are those of its equation 2.
    """
    few, (rows, columns) = 32, grid
    return nn.Sequential(
        nn.Conv2d(channels, few, kernel_size=1),
        nn.LeakyReLU(0.1),
        nn.Flatten(),
        nn.Linear(few * rows * columns, 256),
        nn.LeakyReLU(0.1),
        nn.Linear(256, numbers * rows * columns),
        nn.Unflatten(1, (numbers, rows, columns)),
    )


def convolutional_top(channels: int, grid: tuple[int, int], numbers: int) -> nn.Sequential:
    """A top of convolutions: the same numbers for the same cells, with weights that all cells share.

    [B, channels, rows, columns] → [B, numbers, rows, columns].
    Source: YOLO v2 (Redmon and Farhadi 2017, section 2) without its anchors.
    """
    return nn.Sequential(
        nn.Conv2d(channels, 256, kernel_size=3, padding=1),
        nn.LeakyReLU(0.1),
        nn.Conv2d(256, numbers, kernel_size=1),
    )


def start_in_the_middle(layer: nn.Linear | nn.Conv2d, k: int, num_classes: int) -> None:
    """Set the last layer's bias: boxes start in the middle of their cell, a quarter of the picture wide and high."""
    start = torch.tensor([0.5, 0.5, 0.5, 0.5, 0.0] * k + [0.0] * num_classes)
    with torch.no_grad():
        layer.bias.copy_(start.repeat_interleave(len(layer.bias) // len(start)))


def overlaps_with_own(predicted: Tensor, boxes: Tensor) -> Tensor:
    """IoU of the k boxes of each cell with the object of that cell: [P, k, 4], [P, 4] → [P, k]."""
    return torch.stack([iou(some, boxes).diagonal() for some in predicted.unbind(1)], dim=1)


def yolo_loss(
    outputs: dict[str, Tensor],
    classes: Tensor,
    boxes: Tensor,
    coordinates: Tensor,
    image_size: tuple[int, int],
    coordinate_weight: float = 5.0,
    empty_weight: float = 0.5,
) -> dict[str, Tensor]:
    """Squared errors of everything, summed over a picture's cells and averaged over the pictures.

    In a cell with an object the box that overlaps it most is responsible: it learns the four coordinates, and as its
    confidence their IoU. All other boxes, those of the same cell too, learn confidence 0. The cell learns the class.

    Args:
        outputs: as YOLO's `forward` gives them.
        classes, boxes, coordinates: as `cell_targets` gives them.
        image_size: (H, W) of the pictures.
        coordinate_weight, empty_weight: λ_coord and λ_noobj of the paper.

    Source: Redmon et al. 2016, equation 3.
    """
    owned = classes > 0  # P cells of all pictures
    predicted = decode_cells(outputs["coordinates"].detach(), image_size)[owned]  # [P, k, 4]
    overlap = overlaps_with_own(predicted, boxes[owned])
    best = overlap.argmax(dim=1, keepdim=True)
    responsible = best == torch.arange(overlap.shape[1], device=best.device)  # [P, k]
    confidence = torch.zeros_like(outputs["confidences"])
    confidence[owned] = overlap * responsible
    weight = torch.full_like(confidence, empty_weight).masked_fill((classes < 0)[..., None], 0)
    weight[owned] = weight[owned].masked_fill(responsible, 1)
    right = classes[owned][:, None] == torch.arange(1, outputs["classes"].shape[-1] + 1, device=classes.device)
    parts = {
        "coordinates": (outputs["coordinates"][owned][responsible] - coordinates[owned]).square(),
        "confidences": weight * (outputs["confidences"] - confidence).square(),
        "classes": (outputs["classes"][owned] - right.float()).square(),
    }
    sums = {name: part.sum() / len(classes) for name, part in parts.items()}
    return {
        "classification": sums["confidences"] + sums["classes"],
        "localization": coordinate_weight * sums["coordinates"],
    }


class YOLO(nn.Module):
    """A grid of cells, each with k boxes of five numbers and one set of class numbers for all of them.

    Pictures have a fixed size, `image_size`; the grid is that of the base's last map.

    Args:
        base: [B, 3, H, W] → a list of maps, of which the last is used; `base.channels` and `base.strides` describe them.
        num_classes: background not counted.
        image_size: (H, W) of every picture.
        k: boxes a cell, B in the paper.
        top: "connected" for `connected_top`, "convolutional" for `convolutional_top`.
        coordinate_weight, empty_weight: λ_coord and λ_noobj of the paper.
        score_threshold, iou_threshold, top_k, max_detections: as for `pick_detections`.

    Raises:
        ValueError: `top` is neither.

    Source: Redmon et al. 2016, section 2.
    """

    def __init__(
        self,
        base: nn.Module,
        num_classes: int,
        image_size: tuple[int, int] = (128, 128),
        k: int = 2,
        top: str = "connected",
        coordinate_weight: float = 5.0,
        empty_weight: float = 0.5,
        score_threshold: float = 0.05,
        iou_threshold: float = 0.45,
        top_k: int = 200,
        max_detections: int = 100,
    ) -> None:
        check_top(top)
        super().__init__()
        self.base, self.image_size, self.k, self.num_classes = base, image_size, k, num_classes
        self.coordinate_weight, self.empty_weight = coordinate_weight, empty_weight
        self.score_threshold, self.iou_threshold = score_threshold, iou_threshold
        self.top_k, self.max_detections = top_k, max_detections
        grid = tuple(math.ceil(side / base.strides[-1]) for side in image_size)
        build = connected_top if top == "connected" else convolutional_top
        self.top = build(base.channels[-1], grid, 5 * k + num_classes)
        start_in_the_middle([layer for layer in self.top if hasattr(layer, "bias")][-1], k, num_classes)

    def forward(self, images: Sequence[Tensor]) -> dict[str, Tensor]:
        """Pictures [3, H, W] → coordinates [B, R, C, k, 4] as for `decode_cells`, confidences [B, R, C, k], classes [B, R, C, n].

        Any real numbers, float32: nothing squeezes them into 0–1 (section 2.2: "a linear activation function").

        Raises:
            ValueError: a picture is not of the detector's size.
        """
        check_same_size(images, self.image_size)
        numbers = self.top(self.base(torch.stack(list(images)))[-1]).float().permute(0, 2, 3, 1)  # [B, R, C, 5k + n]
        boxes, classes = numbers.split([5 * self.k, self.num_classes], dim=-1)
        boxes = boxes.unflatten(-1, (self.k, 5))
        return {"coordinates": boxes[..., :4], "confidences": boxes[..., 4], "classes": classes}

    def loss(self, outputs: dict[str, Tensor], targets: Sequence[dict]) -> dict[str, Tensor]:
        """Named parts, as `yolo_loss` gives them.

        Args:
            outputs: as `forward` gives them.
            targets: one dict(boxes, labels) a picture, optionally `difficult`; a picture may have no objects.
        """
        known = cell_targets(targets, self.image_size, tuple(outputs["classes"].shape[1:3]))
        return yolo_loss(outputs, *known, self.image_size, self.coordinate_weight, self.empty_weight)

    @torch.no_grad()
    def detect(self, images: Sequence[Tensor]) -> list[dict]:
        """Boxes (clipped to the picture), labels and scores of every picture, best score first.

        A score is confidence times class number (section 2, equation 1). Both may be below 0; a confidence below 0
        counts as 0, else two wrongs would make a right. Call `eval()` before: a detector in training mode normalises by the batch.
        """
        outputs = self(images)
        boxes = clip_boxes(decode_cells(outputs["coordinates"], self.image_size), self.image_size).flatten(1, 3)
        scores = outputs["confidences"].clamp(min=0)[..., None] * outputs["classes"][..., None, :]
        limits = self.score_threshold, self.iou_threshold, self.top_k, self.max_detections
        return [pick_detections(*pair, *limits) for pair in zip(boxes, scores.flatten(1, 3), strict=True)]
