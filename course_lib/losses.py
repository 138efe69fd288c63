"""Losses over default boxes (lesson 5): classification over all of them, localization over the matched ones."""

import torch
from torch import Tensor

from course_lib.checks import check_class_scores, check_same_shape


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
    hardest_first = losses.detach().masked_fill(~background, -torch.inf).argsort(dim=1, descending=True)
    rank = hardest_first.argsort(dim=1)
    return background & (rank < wanted[:, None])
