"""Before a night of training: do boxes and classes look right, can the anchors reach them, can a batch be learned by heart?"""

import copy
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

from course_lib.average_precision import average_precision, detect_all
from course_lib.boxes import iou
from course_lib.data import VOCFolder
from course_lib.data.layouts import find_labels
from course_lib.data.voc_files import picture_size
from course_lib.training import train

LEVELS, FINEST = 5, 8  # levels of both detectors, and the stride of the finest in pixels
HEART_STEPS, HEART_PICTURES = 50, 4


def picture_shape(root: Path, longer: int, form: str | None = None) -> tuple[int, int]:
    """(H, W) in the proportions that most pictures of a folder have, in multiples of 32 pixels; only headers are read.

    Args:
        root: the folder.
        longer: wanted length of the longer side, in pixels.
        form: as for `VOCFolder`.
    """
    labels = find_labels(Path(root), form)
    paths = [labels.folder.files[entry.pictures[0]] for entry in labels.entries.values() if entry.pictures]
    sizes = [size for path in paths if (size := picture_size(path))]
    ratio = median(width / height for width, height in sizes) if sizes else 1.0
    width, height = longer * min(1, ratio), longer / max(1, ratio)
    return tuple(max(32, round(side / 32) * 32) for side in (height, width))


def objects_of(pictures: VOCFolder) -> tuple[Tensor, Tensor]:
    """Boxes [N, 4] and labels [N] of all objects that are not difficult."""
    easy = [{key: value[~target["difficult"]] for key, value in target.items()} for target in pictures.targets]
    boxes = torch.cat([torch.zeros(0, 4), *(target["boxes"] for target in easy)])
    return boxes, torch.cat([torch.zeros(0, dtype=torch.int64), *(target["labels"] for target in easy)])


def weighted_quantiles(values: Tensor, weights: Tensor, shares: Sequence[float]) -> list[float]:
    """The values below which these shares of the weight lie: [N], [N] → as many numbers as shares."""
    order = values.argsort()
    below = weights[order].double().cumsum(0) / weights.double().sum()
    places = torch.searchsorted(below, torch.tensor(shares, dtype=torch.float64)).clamp(max=len(values) - 1)
    return values[order][places].tolist()


def fit_anchors(boxes: Tensor, labels: Tensor) -> tuple[list[float], list[float]]:
    """Sides of the five levels and ratios width : height of the anchors, from the objects; every class weighs the same.

    The finest level starts at the 10 % quantile of √area (between two and four strides: smaller ones would lie
    too far apart, and the coarsest ones should not be larger than they have to be), each further level is twice as large. The ratios
    are the 10 and 90 % quantiles, at least a quarter away from the median, and their geometric mean.

    Args:
        boxes: [N, 4] in pixels of the detector's pictures, N ≥ 1.
        labels: [N].
    """
    width, height = (boxes[:, 2:] - boxes[:, :2]).unbind(1)
    weights = 1 / labels.bincount()[labels].float()
    (start,) = weighted_quantiles((width * height).sqrt(), weights, [0.1])
    start = round(min(max(start, 2 * FINEST), 4 * FINEST), 1)
    low, middle, high = weighted_quantiles(width / height, weights, [0.1, 0.5, 0.9])
    low, high = min(low, 0.8 * middle), max(high, 1.25 * middle)  # objects of one shape: a little play around it
    ratios = [round(ratio, 2) for ratio in (low, (low * high) ** 0.5, high)]
    return [start * 2**level for level in range(LEVELS)], ratios


@torch.no_grad()
def anchors_of(detector: nn.Module, size: tuple[int, int]) -> Tensor:
    """The anchors [M, 4] that a dense detector lays over a picture of (H, W)."""
    mode = detector.training
    boxes = detector.eval()([torch.zeros(3, *size)])["boxes"]
    detector.train(mode)
    return boxes


def best_overlaps(boxes: Tensor, anchors: Tensor) -> Tensor:
    """The largest IoU of each object with an anchor, [N]."""
    return torch.cat([torch.zeros(0), *(iou(some, anchors).amax(dim=1) for some in boxes.split(200) if len(some))])


def class_table(pictures: VOCFolder, val: VOCFolder, anchors: Tensor) -> list[dict]:
    """One row a class: label, name, objects in both splits, quantiles of √area in pixels, share that an anchor reaches.

    Reached means an IoU of at least .5; an object that is not reached learns from one anchor that fits it badly.
    """
    (boxes, labels), (_, val_labels) = objects_of(pictures), objects_of(val)
    best, sizes = best_overlaps(boxes, anchors), (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).sqrt()
    rows = []
    for label, name in enumerate(pictures.class_names, start=1):
        mine = labels == label
        row = {"label": label, "name": name, "train": int(mine.sum()), "val": int((val_labels == label).sum())}
        reached = (best[mine] >= 0.5).float().mean().item() if mine.any() else float("nan")
        spread = sizes[mine].quantile(torch.tensor([0.05, 0.5, 0.95])).tolist() if mine.any() else [float("nan")] * 3
        rows.append(row | {"sizes": spread, "reached": reached})
    return rows


def learn_by_heart(detector: nn.Module, pictures: VOCFolder, lr: float, steps: int = HEART_STEPS) -> dict:
    """Train a copy on one small batch, unchanged pictures; AP50 on the same pictures should come near 1.

    Args:
        detector: stays as it is.
        pictures: the first few with objects are taken.
        lr: highest learning rate.
        steps: updates.
    """
    chosen = [i for i, target in enumerate(pictures.targets) if (~target["difficult"]).any()][:HEART_PICTURES]
    few, pupil = pictures.select(chosen), copy.deepcopy(detector)
    losses = [sum(parts.values()) for parts in train(pupil, few, steps, len(few), lr)]
    score = average_precision(detect_all(pupil, few), few.targets, len(pictures.class_names))[0].nanmean().item()
    return {"pictures": len(few), "steps": steps, "first_loss": losses[0], "last_loss": losses[-1], "AP50": score}
