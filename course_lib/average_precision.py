"""Average precision (lesson 5): one number a class for how well boxes, labels and scores agree with the truth.

Three rules, as they are in use: "voc" (area under the curve, Pascal VOC since 2010), "voc11" (eleven points, VOC 2007)
and "coco" (101 points). They also differ in which object a detection claims, see `claim_objects`.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from course_lib.boxes import iou
from course_lib.checks import check_detections, check_rule

COCO_THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())


def claim_objects(
    overlap: Tensor, threshold: float, counted: Sequence[bool], once: Sequence[bool], rule: str = "coco"
) -> list[int]:
    """Let the detections of one picture, best score first, claim its objects; which one each gets, −1 for none.

    COCO: the free object that it overlaps most, objects that count before those that do not; of equal overlaps the last.
    VOC: the object that it overlaps most, or none if a better-scoring detection already has it; of equals the first.

    Args:
        overlap: IoU [D, N] of detections with objects, negative where the classes differ.
        threshold: smallest IoU of a claim.
        counted: N booleans, False for objects that neither count nor punish.
        once: N booleans, whether an object is gone once it has been claimed.
        rule: "coco", "voc" or "voc11".

    Source: Everingham et al. 2010, section 4.2; for COCO the authors' evaluation code, `cocoeval.py`.
    """
    free, claims = set(range(overlap.shape[1])), [-1] * len(overlap)
    near = (overlap >= threshold).any(dim=1).nonzero()[:, 0].tolist()  # most detections are near no object
    for d, row in zip(near, overlap[near].tolist(), strict=True):
        within = [(counted[i], value, i) for i, value in enumerate(row) if value >= threshold]
        if rule == "coco":
            claim = max((pair for pair in within if pair[2] in free), default=None)
        else:
            claim = max(within, key=lambda pair: pair[1])
            claim = claim if claim[2] in free else None
        if claim:
            claims[d] = claim[2]
        if claim and once[claim[2]]:
            free.discard(claim[2])
    return claims


def precision_recall(scores: Tensor, hits: Tensor, objects: int) -> tuple[Tensor, Tensor]:
    """Precision and recall after each detection, going down the scores: [D], [D] → [D], [D] float64.

    Args:
        scores: [D]; equal scores keep their order.
        hits: [D] bool, True where the detection found an object that nobody before it had found.
        objects: how many objects there are, at least 1.
    """
    order = scores.sort(descending=True, stable=True).indices
    found = hits[order].double().cumsum(0)
    shown = torch.arange(1, len(hits) + 1, device=hits.device)
    return found / shown, found / objects


def area_under(precision: Tensor, recall: Tensor, rule: str = "coco") -> float:
    """Average precision: the area under the curve, in which precision at a recall is the best at that recall or beyond.

    Args:
        precision: [D] as `precision_recall` gives it.
        recall: [D], not falling.
        rule: "voc" measures the area; "voc11" and "coco" average over 11 and 101 recalls from 0 to 1.

    Source: Everingham et al. 2010, section 4.2 (eleven points); the VOC 2010 development kit, section 3.4.1 (area);
    for 101 points COCO's `cocoeval.py`, whose recalls are those of `numpy.linspace`.
    """
    if len(precision) == 0:
        return 0.0
    best = precision.flip(0).cummax(0).values.flip(0)
    if rule == "voc":
        return float((best * recall.diff(prepend=recall.new_zeros(1))).sum())
    points = torch.arange(11, dtype=torch.float64) / 10 if rule == "voc11" else torch.from_numpy(np.linspace(0, 1, 101))
    first = torch.searchsorted(recall, points.to(recall.device))
    return float(best[first[first < len(best)]].sum() / len(points))


def areas(scores: Tensor, labels: Tensor, hits: Tensor, kept: Tensor, objects: Tensor, rule: str) -> Tensor:
    """Average precision of every threshold and class, [T, n] float64; NaN for a class without an object.

    Args:
        scores: [D], the detections of all pictures.
        labels: [D] from 1 to n.
        hits: [T, D] bool, found an object that counts.
        kept: [T, D] bool, False for detections that are left out.
        objects: [n], how many objects of each class count.
        rule: "coco", "voc" or "voc11".
    """
    table = torch.full((len(hits), len(objects)), torch.nan, dtype=torch.float64)
    for c in objects.nonzero()[:, 0].tolist():
        of_class = (labels == c + 1).nonzero()[:, 0]
        for t in range(len(hits)):
            these = of_class[kept[t, of_class]]
            table[t, c] = area_under(*precision_recall(scores[these], hits[t, these], int(objects[c])), rule)
    return table


def average_precision(
    detections: Sequence[dict],
    targets: Sequence[dict],
    num_classes: int,
    rule: str = "coco",
    thresholds: Sequence[float] = (0.5,),
) -> Tensor:
    """Average precision for every threshold and class, [T, n] float64 on the CPU; NaN for a class without an object.

    `average_precision(...).nanmean()` is AP50; with `thresholds=COCO_THRESHOLDS` it is AP (.50 : .95).

    Args:
        detections: one dict(boxes, labels, scores) a picture, on the CPU as `detect_all` returns them; every detection
            counts, however low its score. Without any picture every class is NaN.
        targets: one dict(boxes, labels) a picture; objects that are `difficult` neither count nor punish.
        num_classes: n; labels run from 1 to n.
        rule: "coco", "voc" or "voc11".
        thresholds: the smallest IoU at which a detection finds an object.

    Raises:
        ValueError: an unknown rule, not one detection dict for each target, or a label that is not from 1 to n.
    """
    check_rule(rule)
    check_detections(detections, targets, num_classes)
    hits, kept, objects = [], [], torch.zeros(num_classes, dtype=torch.int64)
    for found, target in zip(detections, targets, strict=True):
        order = found["scores"].sort(descending=True, stable=True).indices
        overlap = iou(found["boxes"].double(), target["boxes"].double())[order]
        overlap[found["labels"][order][:, None] != target["labels"]] = -1
        counted = ~target.get("difficult", torch.zeros(len(target["labels"]))).bool()
        once, claims = counted.tolist(), torch.empty(len(thresholds), len(order), dtype=torch.int64)
        given = [claim_objects(overlap, threshold, once, once, rule) for threshold in thresholds]
        claims[:, order] = torch.tensor(given, dtype=torch.int64)
        counts = torch.cat([counted, counted.new_ones(1)])[claims]  # of the claimed object; a miss counts as well
        hits.append((claims >= 0) & counts)
        kept.append(counts)
        objects += torch.bincount(target["labels"][counted] - 1, minlength=num_classes)
    if not hits:
        return torch.full((len(thresholds), num_classes), torch.nan, dtype=torch.float64)
    scores, labels = (torch.cat([found[key] for found in detections]) for key in ("scores", "labels"))
    return areas(scores, labels, torch.cat(hits, dim=1), torch.cat(kept, dim=1), objects, rule)


def detect_all(model: nn.Module, pictures: Sequence[tuple[Tensor, dict]], batch_size: int = 50) -> list[dict]:
    """Detections of every picture, on the CPU, in evaluation mode: one dict(boxes, labels, scores) a picture.

    Args:
        model: a detector; it stays in evaluation mode.
        pictures: anything with a length whose items are (image [3, H, W], target).
        batch_size: pictures the detector sees at once.
    """
    model.eval()
    found = []
    for start in range(0, len(pictures), batch_size):
        batch = model.detect([pictures[i][0] for i in range(start, min(start + batch_size, len(pictures)))])
        found += [{key: value.cpu() for key, value in one.items()} for one in batch]
    return found
