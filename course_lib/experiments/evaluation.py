"""What a report says about a detector: curves and score thresholds of each class, confusions, best and worst pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from course_lib.average_precision import COCO_THRESHOLDS, average_precision, claim_objects, precision_recall
from course_lib.boxes import iou
from course_lib.experiments.checkpoints import above

IOU = 0.5  # smallest overlap at which a detection finds an object


@dataclass
class Curve:
    """One class: scores falling, precision and recall after each; objects; the threshold with the best F1, and its values."""

    scores: Tensor
    precision: Tensor
    recall: Tensor
    objects: int
    threshold: float = 0.5
    best: tuple[float, float, float] = (0.0, 0.0, 0.0)  # precision, recall, F1


def counted(target: dict) -> Tensor:
    """Which objects count, [N] bool: all but difficult ones."""
    return ~target.get("difficult", torch.zeros(len(target["labels"]))).bool()


def claimed(found: dict, target: dict, any_class: bool = False) -> Tensor:
    """The object that each detection of a picture finds, [D], −1 for none; the rule is COCO's.

    Args:
        found: dict(boxes, labels, scores), best score first.
        target: dict(boxes, labels), optionally `difficult`.
        any_class: a second round gives objects that nobody found to detections of other classes.
    """
    overlap = iou(found["boxes"].double(), target["boxes"].double())
    same = found["labels"][:, None] == target["labels"]
    counts = counted(target).tolist()
    claims = torch.tensor(claim_objects(overlap.masked_fill(~same, -1), IOU, counts, counts), dtype=torch.int64)
    if any_class:
        taken = torch.zeros(len(counts), dtype=torch.bool)
        taken[claims[claims >= 0]] = True
        taken &= counted(target)
        rest = overlap.masked_fill(taken | (claims >= 0)[:, None], -1)
        claims = claims.maximum(torch.tensor(claim_objects(rest, IOU, counts, counts), dtype=torch.int64))
    return claims


def sorted_detections(found: dict) -> dict:
    """A picture's detections, best score first."""
    order = found["scores"].sort(descending=True, stable=True).indices
    return {key: value[order] for key, value in found.items()}


def curves(detections: Sequence[dict], targets: Sequence[dict], num_classes: int) -> list[Curve]:
    """Precision, recall and the score threshold with the best F1 of each class.

    Args:
        detections: one dict(boxes, labels, scores) a picture.
        targets: one dict(boxes, labels) a picture; difficult objects neither count nor punish.
        num_classes: n.
    """
    rows, objects = [], torch.zeros(num_classes, dtype=torch.int64)
    for found, target in zip(map(sorted_detections, detections), targets, strict=True):
        counts, claims = counted(target), claimed(found, target)
        kept = torch.cat([counts, counts.new_ones(1)])[claims]
        rows.append((found["scores"][kept], found["labels"][kept], claims[kept] >= 0))
        objects += torch.bincount(target["labels"][counts] - 1, minlength=num_classes)
    scores, labels, hits = (torch.cat(part) for part in zip(*rows, strict=True))
    made = []
    for c in range(num_classes):
        mine = labels == c + 1
        order = scores[mine].sort(descending=True, stable=True).indices
        curve = precision_recall(scores[mine], hits[mine], max(1, int(objects[c])))
        made.append(Curve(scores[mine][order], *curve, int(objects[c])))
        choose_threshold(made[-1])
    return made


def choose_threshold(curve: Curve) -> None:
    """Set the threshold with the best F1 (of equals the highest); it stays .5 where no object was found."""
    f1 = 2 * curve.precision * curve.recall / (curve.precision + curve.recall).clamp(min=1e-12)
    last = torch.cat([curve.scores[1:] < curve.scores[:-1], torch.ones(len(f1[:1]), dtype=torch.bool)])
    f1 = f1.masked_fill(~last, -1)  # equal scores stand or fall together
    if len(f1) and f1.max() > 0:
        place = int(f1.argmax())
        curve.threshold = curve.scores[place].item()
        curve.best = curve.precision[place].item(), curve.recall[place].item(), f1[place].item()


def confusion(detections: Sequence[dict], targets: Sequence[dict], num_classes: int) -> Tensor:
    """What became of every object, and of every detection: [n + 1, n + 1] counts, rows are the truth, columns what was said.

    Row 0 is background: detections where there is no object. Column 0: objects that nothing found. A detection finds the
    object of its own class first; objects left over may be taken by a detection of another class. Difficult objects, and
    detections of them, are left out.

    Args:
        detections: those that reach their thresholds.
        targets: one dict(boxes, labels) a picture.
        num_classes: n.
    """
    table = torch.zeros(num_classes + 1, num_classes + 1, dtype=torch.int64)
    for found, target in zip(map(sorted_detections, detections), targets, strict=True):
        counts, claims = counted(target), claimed(found, target, any_class=True)
        kept = torch.cat([counts, counts.new_ones(1)])[claims]
        truth = torch.cat([target["labels"], target["labels"].new_zeros(1)])[claims]
        table.index_put_((truth[kept], found["labels"][kept]), torch.ones(int(kept.sum()), dtype=torch.int64), True)
        missed = counts.clone()
        missed[claims[claims >= 0]] = False
        table[:, 0] += torch.bincount(target["labels"][missed], minlength=num_classes + 1)
    return table


def picture_f1(found: dict, target: dict) -> float:
    """F1 of one picture: 2 · hits / (detections + objects); 1 where both are none. Difficult objects do not count."""
    found = sorted_detections(found)
    counts, claims = counted(target), claimed(found, target)
    kept = torch.cat([counts, counts.new_ones(1)])[claims]
    total = int(kept.sum()) + int(counts.sum())
    return 2 * int(((claims >= 0) & kept).sum()) / total if total else 1.0


def metrics(
    detections: Sequence[dict], targets: Sequence[dict], names: Sequence[str], thresholds: Sequence[float]
) -> dict:
    """All numbers of a report, as plain values.

    Args:
        detections: one dict(boxes, labels, scores) a picture, with low scores too.
        targets: one dict(boxes, labels) a picture.
        names: class names; label c is `names[c - 1]`.
        thresholds: smallest score of each class; all that is not AP is counted at these.
    """
    n = len(names)
    table = average_precision(detections, targets, n, thresholds=COCO_THRESHOLDS)  # the same number as in the log
    shown = [above(found, thresholds) for found in detections]
    matrix, classes = confusion(shown, targets, n), {}
    for c, name in enumerate(names):
        objects, hits = int(matrix[c + 1].sum()), int(matrix[c + 1, c + 1])
        said = int(matrix[:, c + 1].sum())
        precision, recall = hits / said if said else None, hits / objects if objects else None
        classes[name] = {"objects": objects, "AP50": table[0, c].item(), "AP": table[:, c].mean().item()}
        f1 = 2 * hits / (said + objects) if said + objects else None
        classes[name] |= {"threshold": thresholds[c], "precision": precision, "recall": recall, "F1": f1}
    return {
        "pictures": len(targets),
        "AP": table.nanmean().item(),
        "AP50": table[0].nanmean().item(),
        "AP75": table[5].nanmean().item(),
        "predict nothing": {"AP": 0.0, "AP50": 0.0},
        "classes": classes,
        "confusion": {"labels": ["background", *names], "rows": "truth", "columns": "said", "counts": matrix.tolist()},
        "picture_f1": [picture_f1(found, target) for found, target in zip(shown, targets, strict=True)],
    }
