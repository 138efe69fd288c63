"""Scores of the experiments: COCO's average precision in full (crowds, sizes, at most 100 detections), ranks, shuffled labels."""

from collections.abc import Sequence

import torch
from torch import Tensor

from course_lib.average_precision import COCO_THRESHOLDS, areas, claim_objects
from course_lib.boxes import iou

SIZES_COURSE = {"small": (0.0, 20.0), "middle": (20.0, 48.0), "large": (48.0, 1e5)}  # √area in pixels, of 128
SIZES_COCO = {"small": (0.0, 32.0), "middle": (32.0, 96.0), "large": (96.0, 1e5)}


def _areas_of(boxes: Tensor) -> Tensor:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _overlap(found: Tensor, boxes: Tensor, crowd: Tensor) -> Tensor:
    """IoU [D, N]; with a crowd, the share of the detection that lies in it."""
    sides = torch.minimum(found[:, None, 2:], boxes[:, 2:]) - torch.maximum(found[:, None, :2], boxes[:, :2])
    share = sides.clamp(min=0).prod(dim=2) / _areas_of(found)[:, None].clamp(min=torch.finfo(found.dtype).tiny)
    return torch.where(crowd, share, iou(found, boxes))


def _best_of_each_class(found: dict, limit: int) -> Tensor:
    """Indices of at most `limit` detections a class, best score first, equal scores in their order."""
    order = found["scores"].sort(descending=True, stable=True).indices
    labels = found["labels"][order]
    rank = (labels[:, None] == labels).tril(-1).sum(dim=1)
    return order[rank < limit]


def average_precision_coco(
    detections: Sequence[dict],
    targets: Sequence[dict],
    num_classes: int,
    thresholds: Sequence[float] = COCO_THRESHOLDS,
    size: tuple[float, float] = (0.0, 1e5),
    max_detections: int = 100,
) -> Tensor:
    """Average precision as `pycocotools` computes it, [T, n] float64; NaN for a class without an object in the range.

    Args:
        detections: one dict(boxes, labels, scores) a picture.
        targets: one dict(boxes, labels) a picture, optionally `crowd` and `difficult` [N] bool, which do not count.
        num_classes: n; labels run from 1 to n.
        thresholds: the smallest IoU at which a detection finds an object.
        size: range of √area in pixels, both ends included; other objects, and unmatched detections of other sizes,
            neither count nor punish.
        max_detections: how many detections a picture and class are looked at.
    """
    low, high = size[0] ** 2, size[1] ** 2
    scores, labels, hits, kept, objects = [], [], [], [], torch.zeros(num_classes, dtype=torch.int64)
    for found, target in zip(detections, targets, strict=True):
        none = torch.zeros(len(target["labels"]), dtype=torch.bool)
        crowd = target.get("crowd", none).bool()
        order = _best_of_each_class(found, max_detections)
        boxes, found_labels, area = (
            found["boxes"][order].double(),
            found["labels"][order],
            _areas_of(target["boxes"].double()),
        )
        counted = ~crowd & ~target.get("difficult", none).bool() & (area >= low) & (area <= high)
        overlap = _overlap(boxes, target["boxes"].double(), crowd)
        overlap[found_labels[:, None] != target["labels"]] = -1
        given = [claim_objects(overlap, t, counted.tolist(), (~crowd).tolist(), "coco") for t in thresholds]
        claims = torch.tensor(given, dtype=torch.int64).reshape(len(thresholds), len(order))
        fits = (_areas_of(boxes) >= low) & (_areas_of(boxes) <= high)
        free = torch.cat([counted, counted.new_ones(1)])[claims]
        hits.append((claims >= 0) & free)
        kept.append(torch.where(claims >= 0, free, fits))
        scores.append(found["scores"][order])
        labels.append(found_labels)
        objects += torch.bincount(target["labels"][counted] - 1, minlength=num_classes)
    return areas(torch.cat(scores), torch.cat(labels), torch.cat(hits, dim=1), torch.cat(kept, dim=1), objects, "coco")


def ap_scores(detections: Sequence[dict], targets: Sequence[dict], num_classes: int) -> dict[str, float]:
    """AP50, AP75, AP (.50 : .95), and AP50 and AP of small, middle and large objects by the course's bounds."""
    table = average_precision_coco(detections, targets, num_classes)
    scores = {"AP50": table[0].nanmean().item(), "AP75": table[5].nanmean().item(), "AP": table.nanmean().item()}
    for name, size in SIZES_COURSE.items():
        of_size = average_precision_coco(detections, targets, num_classes, size=size)
        scores |= {f"AP50 {name}": of_size[0].nanmean().item(), f"AP {name}": of_size.nanmean().item()}
    return scores


def ranks(values: Tensor) -> Tensor:
    """Ranks, equal values share their mean rank: [n] → [n] float64."""
    from scipy.stats import rankdata

    return torch.from_numpy(rankdata(values.numpy()))


def shuffled(pictures: Sequence[tuple[Tensor, dict]], seed: int) -> list[tuple[Tensor, dict]]:
    """Every picture with another picture's objects."""
    order = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(seed)).tolist()
    return [(pictures[i][0], pictures[order[k - 1]][1]) for k, i in enumerate(order)]
