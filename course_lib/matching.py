"""Matching (lesson 4): which default box is responsible for which object, and what each box has to learn.

Source: Liu et al. 2016, "SSD: Single Shot MultiBox Detector", section 2.2; the ignore band: Ren et al. 2015, "Faster
R-CNN", section 3.1.2, and Lin et al. 2017, "Focal loss for dense object detection", section 4.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from course_lib.boxes import encode, iou, xyxy_to_cxcywh
from course_lib.checks import check_boxes, check_objects, check_thresholds

BACKGROUND = -1  # a box that overlaps no object enough
IGNORED = -2  # a box that is neither object nor background; the loss leaves it out


def one_box_each(closeness: Tensor, above: float = -torch.inf) -> Tensor:
    """Give every object a box of its own: take the largest number, cross out its row and column, repeat.

    Args:
        closeness: [N, M], objects by boxes; larger is closer.
        above: only larger numbers make a pair.

    Returns:
        The index of each object's box, [N] int64; −1 for an object with no possible box left. Of equal numbers the first
        object goes first, and takes the first of its equally good boxes.
        Source: the bipartite step of Liu et al. 2016, section 2.2 (after Erhan et al. 2014, MultiBox).
    """
    closeness = closeness.clone()
    best, box = (column.tolist() for column in closeness.max(dim=1))
    chosen = [-1] * len(best)
    while max(best, default=above) > above:
        winner = best.index(max(best))
        taken = chosen[winner] = box[winner]
        best[winner] = -torch.inf
        closeness[:, taken] = -torch.inf
        for i in range(len(best)):
            if box[i] == taken and best[i] > -torch.inf:
                best[i], box[i] = (number.item() for number in closeness[i].max(dim=0))
    return torch.tensor(chosen, dtype=torch.int64, device=closeness.device)


def match(boxes: Tensor, default_boxes: Tensor, foreground: float = 0.5, background: float = 0.5) -> Tensor:
    """Say for every default box which object it is responsible for.

    A box takes the object it overlaps most, if their IoU reaches `foreground`. Below `background` it is background;
    between the two it is neither. Besides, every object gets one box of its own whatever their IoU: pairs are made in
    the order of their IoU. An object whose overlapping boxes have all gone to others takes the free box whose
    centre is nearest; only when there are more objects than boxes do some go without.

    Args:
        boxes: objects [N, 4], xyxy pixels; N may be 0, then all boxes are background.
        default_boxes: [M, 4], xyxy pixels.
        foreground: smallest IoU of a box with its object.
        background: a box whose largest IoU is below this is background; at most `foreground`.

    Returns:
        [M] int64: the index of the object, BACKGROUND (−1) or IGNORED (−2).

    Raises:
        ValueError: an object has no area (no box can learn it), or `background` is above `foreground`.
    """
    check_boxes(boxes)
    check_boxes(default_boxes, "default_boxes")
    check_objects(boxes)
    check_thresholds(foreground, background)
    table = iou(boxes, default_boxes)
    if table.numel() == 0:
        return torch.full((len(default_boxes),), BACKGROUND, device=default_boxes.device)
    best, matches = table.max(dim=0)
    matches[best < foreground] = IGNORED
    matches[best < background] = BACKGROUND
    chosen = one_box_each(table, above=0)
    lost = chosen < 0
    if lost.any():
        centres, others = xyxy_to_cxcywh(boxes[lost])[:, :2], xyxy_to_cxcywh(default_boxes)[:, :2]
        distance = torch.cdist(centres, others)
        distance[:, chosen[~lost]] = torch.inf
        chosen[lost] = one_box_each(-distance)
    served = (chosen >= 0).nonzero()[:, 0]
    matches[chosen[served]] = served
    return matches


def recall_ceiling(boxes: Tensor, default_boxes: Tensor, threshold: float = 0.5) -> Tensor:
    """Share of the objects that at least one default box reaches at this IoU, before anything is learned: a scalar.

    Args:
        boxes: objects [N, 4] with N ≥ 1, xyxy pixels.
        default_boxes: [M, 4] with M ≥ 1.
        threshold: the IoU that counts as reached.

    Source: Zitnick and Dollár 2014, "Edge boxes", section 4 (recall of a set of candidate boxes at an IoU).
    """
    return (iou(boxes, default_boxes).amax(dim=1) >= threshold).float().mean()


def match_targets(
    target: dict[str, Tensor],
    default_boxes: Tensor,
    matches: Tensor,
    variances: tuple[float, ...] = (0.1, 0.1, 0.2, 0.2),
) -> tuple[Tensor, Tensor]:
    """What every default box has to learn: a class and four offsets.

    Args:
        target: dict(boxes [N, 4] xyxy pixels, labels [N] from 1) of one picture.
        default_boxes: [M, 4], xyxy pixels.
        matches: [M] as `match` returns them for this target's boxes.
        variances: as for `encode`.

    Returns:
        Classes [M] int64: the object's label, 0 for background, −1 for a box that the loss leaves out. Offsets [M, 4]
        that lead from the box to its object (`encode`), 0 where there is none.
        Source: Liu et al. 2016, section 2.2, equation 2.
    """
    classes = matches.new_zeros(len(matches))
    offsets = default_boxes.new_zeros(len(matches), 4)
    positive = matches >= 0
    classes[positive] = target["labels"][matches[positive]].to(classes)
    classes[matches == IGNORED] = -1
    offsets[positive] = encode(target["boxes"][matches[positive]], default_boxes[positive], variances)
    return classes, offsets


def batch_targets(
    targets: Sequence[dict[str, Tensor]],
    default_boxes: Tensor,
    foreground: float = 0.5,
    background: float = 0.5,
    variances: tuple[float, ...] = (0.1, 0.1, 0.2, 0.2),
) -> tuple[Tensor, Tensor]:
    """What every default box of every picture has to learn: classes [B, M] int64 and offsets [B, M, 4].

    Args:
        targets: one dict(boxes, labels) a picture. A box that answers for a `difficult` object (bool or 0/1) gets
            class −1: the loss leaves it out, so it learns neither the object nor that there is none.
        default_boxes: [M, 4], xyxy pixels.
        foreground: as for `match`.
        background: as for `match`.
        variances: as for `encode`.

    Source: Liu et al. 2016 (SSD), section 2.2; with two thresholds Lin et al. 2017 (RetinaNet), section 4, "Anchors".
    """
    rows = []
    for target in targets:
        if "difficult" in target:
            target = target | {"labels": target["labels"].masked_fill(target["difficult"].bool(), -1)}
        matches = match(target["boxes"], default_boxes, foreground, background)
        rows.append(match_targets(target, default_boxes, matches, variances))
    classes, offsets = zip(*rows, strict=True)
    return torch.stack(classes), torch.stack(offsets)  # B tensors [M] → [B, M], B tensors [M, 4] → [B, M, 4]
