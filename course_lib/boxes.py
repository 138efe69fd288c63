"""Boxes: formats (lesson 1), offsets (lesson 3), intersection over union (lesson 4), suppression (lesson 5).

A box is xyxy in pixels: left, top, right, bottom edge, float32. Any other format is in the name.
"""

import math

import torch
from torch import Tensor

from course_lib.checks import check_boxes, check_precise, check_same_length

LARGEST_LOG_SCALE = math.log(1000 / 16)  # a box grows at most 62.5 times, as in torchvision and detectron2


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


def encode(boxes: Tensor, default_boxes: Tensor, variances: tuple[float, ...] = (0.1, 0.1, 0.2, 0.2)) -> Tensor:
    """The four offsets that lead from each default box to its object: [N, 4] and [N, 4] → [N, 4], no units.

    Args:
        boxes: objects, xyxy pixels, with positive width and height.
        default_boxes: one for each object, xyxy pixels.
        variances: typical size of the four offsets, by which they are divided: x, y, width, height.

    Source: Liu et al. 2016 (SSD), equation 2; the variances are those of the authors' code.
    """
    check_boxes(boxes)
    check_boxes(default_boxes, "default_boxes")
    (x1, y1, x2, y2), (a1, b1, a2, b2) = boxes.unbind(-1), default_boxes.unbind(-1)
    w, h = a2 - a1, b2 - b1
    x = (x1 + x2 - a1 - a2) / (2 * w * variances[0])
    y = (y1 + y2 - b1 - b2) / (2 * h * variances[1])
    width = ((x2 - x1) / w).log() / variances[2]
    height = ((y2 - y1) / h).log() / variances[3]
    return torch.stack([x, y, width, height], dim=-1)


def clip_boxes(boxes: Tensor, image_size: tuple[int, int]) -> Tensor:
    """Cut boxes [..., 4] (xyxy pixels) at the edges of a picture of (H, W): what lies outside is moved to the edge."""
    check_boxes(boxes)
    height, width = image_size
    return boxes.clamp(min=0).minimum(boxes.new_tensor([width, height, width, height]))


def decode(offsets: Tensor, default_boxes: Tensor, variances: tuple[float, ...] = (0.1, 0.1, 0.2, 0.2)) -> Tensor:
    """The boxes [N, 4] (xyxy pixels) that offsets [N, 4] make of default boxes [N, 4]; the inverse of `encode`.

    No box grows more than 62.5 times: a wild offset of an untrained network would overflow the exponential.

    Args:
        offsets: as `encode` gives them; [..., N, 4] works too.
        default_boxes: xyxy pixels.
        variances: the same as for `encode`.

    Source: Liu et al. 2016 (SSD), equation 2, solved for the box.
    """
    check_boxes(offsets, "offsets")
    check_boxes(default_boxes, "default_boxes")
    x1, y1, x2, y2 = default_boxes.unbind(-1)
    w, h = x2 - x1, y2 - y1
    cx = (x1 + x2) / 2 + offsets[..., 0] * variances[0] * w
    cy = (y1 + y2) / 2 + offsets[..., 1] * variances[1] * h
    half_w = (offsets[..., 2] * variances[2]).clamp(max=LARGEST_LOG_SCALE).exp() * w / 2
    half_h = (offsets[..., 3] * variances[3]).clamp(max=LARGEST_LOG_SCALE).exp() * h / 2
    return torch.stack([cx - half_w, cy - half_h, cx + half_w, cy + half_h], dim=-1)


def iou(boxes: Tensor, other: Tensor) -> Tensor:
    """Intersection over union (Jaccard index) of every box with every other box: [N, 4] and [M, 4] → [N, M].

    Both in xyxy, in the same units. 1 for a box with itself, 0 for boxes that only touch, and 0 (not NaN) for two boxes
    without area. float32 or wider. Source: Everingham et al. 2010, "The Pascal Visual Object Classes challenge", section 4.2.
    """
    check_boxes(boxes)
    check_boxes(other, "other")
    check_precise(boxes, other)
    x1, y1, x2, y2 = boxes.T.contiguous()[:, :, None]
    u1, v1, u2, v2 = other.T.contiguous()[:, None, :]
    width = (torch.minimum(x2, u2) - torch.maximum(x1, u1)).clamp(min=0)
    height = (torch.minimum(y2, v2) - torch.maximum(y1, v1)).clamp(min=0)
    overlap = width * height
    union = (x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - overlap
    return overlap / union.clamp(min=torch.finfo(union.dtype).tiny)


def survivors(clashes: Tensor) -> Tensor:
    """Go down a list, best first; whoever still stands removes everyone below that it clashes with: [N, N] → [N] bool.

    Args:
        clashes: True where two boxes may not both stay; rows and columns in descending order of score.

    Source: Neubeck and Van Gool 2006, "Efficient non-maximum suppression", section 2 (the greedy algorithm).
    """
    table = clashes.cpu().numpy()  # single steps are several times faster there
    alive = torch.ones(len(table), dtype=torch.bool)
    standing = alive.numpy()  # the same memory
    for row in range(len(table)):
        if standing[row]:
            standing[row + 1 :] &= ~table[row, row + 1 :]
    return alive.to(clashes.device)


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float = 0.5) -> Tensor:
    """Non-maximum suppression: of boxes whose IoU is above `iou_threshold`, only the best-scoring stays.

    Args:
        boxes: [N, 4], xyxy pixels; N may be 0.
        scores: [N]; of equal scores the earlier box goes first.
        iou_threshold: the largest IoU two survivors may have.

    Returns:
        Indices of the survivors, [K] int64, best score first. The table of all pairs takes N² numbers: keep the few
        hundred best candidates before. Source: Liu et al. 2016 (SSD), section 2.2; Girshick et al. 2014, section 2.2.
    """
    check_boxes(boxes)
    check_same_length(boxes=boxes, scores=scores)
    order = scores.sort(descending=True, stable=True).indices
    overlap = iou(boxes[order], boxes[order]).cpu()
    clashes = overlap.double() > iou_threshold  # double: the threshold itself is not rounded
    return order[survivors(clashes).to(order.device)]


def nms_per_class(boxes: Tensor, scores: Tensor, labels: Tensor, iou_threshold: float = 0.5) -> Tensor:
    """Non-maximum suppression in which boxes of different classes leave each other alone.

    Args:
        boxes: [N, 4], xyxy pixels; N may be 0.
        scores: [N].
        labels: [N] int64.
        iou_threshold: the largest IoU two survivors of one class may have.

    Returns:
        Indices of the survivors of all classes, [K] int64, best score first.
        Source: Liu et al. 2016 (SSD), section 2.2.
    """
    check_boxes(boxes)
    check_same_length(boxes=boxes, scores=scores, labels=labels)
    order = scores.sort(descending=True, stable=True).indices
    boxes, labels = boxes[order], labels[order]
    clashes = (iou(boxes, boxes).cpu().double() > iou_threshold) & (labels[:, None] == labels).cpu()
    return order[survivors(clashes).to(order.device)]


def pick_detections(
    boxes: Tensor,
    scores: Tensor,
    score_threshold: float = 0.05,
    iou_threshold: float = 0.45,
    top_k: int = 200,
    max_detections: int = 100,
) -> dict[str, Tensor]:
    """One picture's detections, best score first, from its decoded boxes [M, 4] and class scores [M, n].

    Score threshold first, then the best `top_k` pairs of box and class, suppression within each class, and of the
    survivors the best `max_detections`. A box in which no class passes `score_threshold` is background; one in which
    two classes pass is a detection of both.

    Args:
        boxes: xyxy pixels, in no particular order.
        scores: channel c is label c + 1; background has no channel.
        score_threshold: scores up to this are background.
        iou_threshold: the largest IoU two detections of one class may have.
        top_k: pairs that reach suppression.
        max_detections: detections that are returned.

    Returns:
        dict(boxes [K, 4], labels [K], scores [K]) on the device of `boxes`.
        Source: Liu et al. 2016 (SSD), section 3.1; Lin et al. 2017 (RetinaNet), section 4.1, "Inference".
    """
    place, column = torch.where(scores > score_threshold)
    score, order = scores[place, column].topk(min(top_k, len(place)))
    box, label = boxes[place[order]], column[order] + 1
    kept = nms_per_class(box, score, label, iou_threshold)[:max_detections]
    return {"boxes": box[kept], "labels": label[kept], "scores": score[kept]}
