"""Losses over default boxes (lessons 5 and 6): classification over all of them, localization over the positive ones.

Every classification loss has the signature (logits [B, M, C], classes [B, M]) → [B, M]: one loss per box. `classes` is
0 for background and −1 for a box that is ignored; with softmax C = n + 1 and channel 0 is background, with sigmoids
C = n and channel c is label c + 1.
"""

import math
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.checks import check_boxes, check_class_scores, check_prior, check_same_shape


def softmax_cross_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    """Softmax over n + 1 classes, background first, then cross-entropy: [..., M, n + 1] and [..., M] → [..., M].

    Args:
        logits: any real numbers; channel 0 is background, channel c is label c.
        classes: int64, 0 for background; a box with −1 gets loss 0 and no gradient.

    Source: Liu et al. 2016 (SSD), equation 3.
    """
    check_class_scores(logits, classes, largest=logits.shape[-1] - 1)
    chosen = logits.gather(-1, classes.clamp(min=0)[..., None])[..., 0]
    return (logits.logsumexp(dim=-1) - chosen).masked_fill(classes < 0, 0)


def sigmoid_cross_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    """One yes-or-no question a class, binary cross-entropy summed over the n classes: [..., M, n], [..., M] → [..., M].

    Args:
        logits: any real numbers; channel c is label c + 1. Background has no channel: all answers are no.
        classes: int64, 0 for background; a box with −1 gets loss 0 and no gradient.

    Source: Lin et al. 2017, "Focal loss for dense object detection", section 3 (cross-entropy for each class).
    """
    check_class_scores(logits, classes, largest=logits.shape[-1])
    yes = torch.arange(1, logits.shape[-1] + 1, device=logits.device) == classes[..., None]
    wrong = torch.where(yes, -logits, logits)  # how strongly the wrong answer is given
    losses = torch.logaddexp(wrong, torch.zeros_like(wrong))  # log(exp(wrong) + exp(0)) without overflow
    return losses.sum(dim=-1).masked_fill(classes < 0, 0)


def smooth_l1(predicted: Tensor, true: Tensor) -> Tensor:
    """A parabola up to a difference of 1, a straight line beyond, summed over the last axis: [..., 4] → [...].

    Args:
        predicted: offsets.
        true: offsets of the same shape.

    Source: Girshick 2015, "Fast R-CNN", equation 3.
    """
    check_same_shape(predicted=predicted, true=true)
    difference = (predicted - true).abs()
    return torch.where(difference < 1, difference**2 / 2, difference - 0.5).sum(dim=-1)


def giou_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """1 − GIoU of each pair of boxes: [..., 4], [..., 4] → [...], from 0 (equal) to 2 (far apart).

    GIoU is the IoU minus the share of the smallest enclosing box that neither of the two covers; unlike the IoU it still
    pulls where they do not touch.

    Args:
        predicted: xyxy pixels.
        true: xyxy pixels, of the same shape.

    Source: Rezatofighi et al. 2019, "Generalized intersection over union", algorithm 1.
    """
    check_boxes(predicted, "predicted")
    check_boxes(true, "true")
    check_same_shape(predicted=predicted, true=true)
    (x1, y1, x2, y2), (u1, v1, u2, v2) = predicted.unbind(-1), true.unbind(-1)
    width = (torch.minimum(x2, u2) - torch.maximum(x1, u1)).clamp(min=0)
    height = (torch.minimum(y2, v2) - torch.maximum(y1, v1)).clamp(min=0)
    overlap = width * height
    areas = (x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1)
    union = areas - overlap
    hull = (torch.maximum(x2, u2) - torch.minimum(x1, u1)) * (torch.maximum(y2, v2) - torch.minimum(y1, v1))
    return 1 - overlap / (union + 1e-7) + (hull - union) / (hull + 1e-7)


def hard_negatives(losses: Tensor, classes: Tensor, ratio: int = 3) -> Tensor:
    """Choose the background boxes with the largest loss, `ratio` of them for each box with an object: [B, M] bool.

    Args:
        losses: classification loss [B, M] of every box.
        classes: [B, M] int64, 0 for background, −1 for boxes that are left out.
        ratio: negatives a positive, picture by picture; a picture without objects counts as one with one positive.

    Never more than there are, and never a box with an object. Source: Liu et al. 2016 (SSD), section 2.2.
    """
    check_same_shape(losses=losses, classes=classes)
    background = classes == 0
    wanted = ratio * (classes > 0).sum(dim=1).clamp(min=1)
    hardest = losses.detach().masked_fill(~background, -torch.inf)
    hardest_first = hardest.argsort(dim=1, descending=True, stable=True)  # of equal losses the earlier box
    rank = hardest_first.argsort(dim=1)
    return background & (rank < wanted[:, None])


def mined_cross_entropy(
    logits: Tensor, classes: Tensor, cross_entropy: Callable = softmax_cross_entropy, ratio: int = 3
) -> Tensor:
    """Cross-entropy of the positive boxes and of the hardest negatives, 0 for all others: [B, M, C], [B, M] → [B, M].

    Args:
        logits: as `cross_entropy` wants them.
        classes: int64, 0 for background, −1 for a box that is ignored.
        cross_entropy: `softmax_cross_entropy` or `sigmoid_cross_entropy`.
        ratio: as for `hard_negatives`.

    Source: Liu et al. 2016 (SSD), section 2.2, "Hard negative mining".
    """
    losses = cross_entropy(logits, classes)
    chosen = (classes > 0) | hard_negatives(losses, classes, ratio)
    return losses.masked_fill(~chosen, 0)


def focal_loss(logits: Tensor, classes: Tensor, gamma: float = 2.0, alpha: float | None = 0.25) -> Tensor:
    """Sigmoid cross-entropy in which each answer is weighted by how wrong it is: [..., M, n], [..., M] → [..., M].

    For an answer given with probability p to the truth: −α (1 − p)^γ log p, summed over the n classes. Computed from
    logits, so that value and gradient stay finite for any logit and any γ ≥ 0; γ = 0 without α is `sigmoid_cross_entropy`.

    Args:
        logits: any real numbers; channel c is label c + 1.
        classes: int64, 0 for background; a box with −1 gets loss 0 and no gradient.
        gamma: how fast easy answers lose weight.
        alpha: weight of the answers that should be yes; those that should be no get 1 − alpha. None: no weights.

    Source: Lin et al. 2017, "Focal loss for dense object detection", equation 5.
    """
    check_class_scores(logits, classes, largest=logits.shape[-1])
    yes = torch.arange(1, logits.shape[-1] + 1, device=logits.device) == classes[..., None]
    wrong = torch.where(yes, -logits, logits)  # how strongly the wrong answer is given
    log_p = F.logsigmoid(-wrong)
    losses = -(gamma * (log_p + wrong)).exp() * log_p  # (1 − p)^γ as a power of e; log (1 − p) = log p + wrong
    if alpha is not None:
        losses = losses * torch.where(yes, alpha, 1 - alpha)
    return losses.sum(dim=-1).masked_fill(classes < 0, 0)


def set_prior(layers: Iterable[nn.Conv2d | nn.Linear], prior: float) -> None:
    """Let the last layers of sigmoid scores say `prior` for every box and class at the start: their biases become its logit.

    Args:
        layers: changed in place; their weights are near 0 at the start, so that the bias decides.
        prior: a probability between 0 and 1.

    Source: Lin et al. 2017, "Focal loss for dense object detection", sections 3.3 and 4.1.
    """
    check_prior(prior)
    for layer in layers:
        nn.init.constant_(layer.bias, math.log(prior / (1 - prior)))


def detection_loss(
    outputs: dict[str, Tensor],
    classes: Tensor,
    offsets: Tensor,
    classification: Callable[[Tensor, Tensor], Tensor],
    localization: Callable[[Tensor, Tensor], Tensor] = smooth_l1,
) -> dict[str, Tensor]:
    """The two named parts of a dense detector's loss, each divided by the number of positive boxes (at least 1).

    Args:
        outputs: logits [B, M, C] and offsets [B, M, 4], as the detector's `forward` gives them.
        classes: [B, M] as `batch_targets` gives them: a label, 0 for background, −1 for ignored boxes.
        offsets: [B, M, 4], read only where a box is positive.
        classification: (logits [B, M, C], classes [B, M]) → [B, M].
        localization: (offsets [P, 4], true offsets [P, 4]) → [P]. One that compares boxes gets boxes in place of both
            offsets (`decode`).

    Source: Liu et al. 2016 (SSD), equation 1, both parts with weight 1; Lin et al. 2017, section 4.1, for the normaliser.
    """
    positive = classes > 0
    count = positive.sum().clamp(min=1)
    return {
        "classification": classification(outputs["logits"], classes).sum() / count,
        "localization": localization(outputs["offsets"][positive], offsets[positive]).sum() / count,
    }
