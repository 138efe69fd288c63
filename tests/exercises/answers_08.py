"""Wrong and right answers to lesson 8's exercises."""

import torch
from trials import right, wrong

from course_lib.boxes import cxcywh_to_xyxy
from course_lib.default_boxes import grid_centres
from course_lib.yolo import decode_cells

# --- 8.2 decode_v2 -----------------------------------------------------------------------------------------------


def _cells(said, size):
    """Side lengths of a cell, (width, height)."""
    return said.new_tensor([size[1] / said.shape[2], size[0] / said.shape[1]])


def _corners(said):
    rows, columns = said.shape[1:3]
    row, column = torch.meshgrid(torch.arange(rows).to(said), torch.arange(columns).to(said), indexing="ij")
    return torch.stack([column, row], dim=-1)[:, :, None]


def _boxes(centres, sides):
    return torch.cat([centres - sides / 2, centres + sides / 2], dim=-1)


@right("8.2", "corners of cells and halves")
def v2_corners(predictions, priors, image_size):
    centres = (_corners(predictions) + predictions[..., :2].sigmoid()) * _cells(predictions, image_size)
    return _boxes(centres, priors * predictions[..., 2:].exp())


@right("8.2", "the lesson's centres, and its conversion")
def v2_centres(predictions, priors, image_size):
    _, rows, columns, _, _ = predictions.shape
    middle = grid_centres(rows, columns, image_size).to(predictions).view(rows, columns, 1, 2)
    shift = (torch.sigmoid(predictions[..., :2]) - 0.5) * _cells(predictions, image_size)
    return cxcywh_to_xyxy(torch.cat([middle + shift, torch.exp(predictions[..., 2:]) * priors], dim=-1))


@right("8.2", "one number after the other")
def v2_columns(predictions, priors, image_size):
    x, y, w, h = predictions.unbind(-1)
    height, width = image_size
    rows, columns = x.shape[1:3]
    cx = (torch.arange(columns).to(x).view(1, 1, -1, 1) + 1 / (1 + (-x).exp())) / columns * width
    cy = (torch.arange(rows).to(x).view(1, -1, 1, 1) + 1 / (1 + (-y).exp())) / rows * height
    across, down = priors[:, 0] * w.exp() / 2, priors[:, 1] * h.exp() / 2
    return torch.stack((cx - across, cy - down, cx + across, cy + down), -1)


@wrong("8.2", "the lesson's own function", says="the middle of the cell")
def v2_lesson(predictions, priors, image_size):
    return decode_cells(predictions, image_size)


@wrong("8.2", "zeros of the right shape", says="the middle of the cell")
def v2_zeros(predictions, priors, image_size):
    return torch.zeros_like(predictions)


@wrong("8.2", "no sigmoid", says="the middle of the cell")
def v2_plain(predictions, priors, image_size):
    centres = (_corners(predictions) + predictions[..., :2]) * _cells(predictions, image_size)
    return _boxes(centres, priors * predictions[..., 2:].exp())


@wrong("8.2", "offset from the middle, without a sigmoid", says="x should become its sigmoid")
def v2_linear(predictions, priors, image_size):
    centres = (_corners(predictions) + 0.5 + predictions[..., :2]) * _cells(predictions, image_size)
    return _boxes(centres, priors * predictions[..., 2:].exp())


@wrong("8.2", "centre and size returned", says="the middle of the cell")
def v2_cxcywh(predictions, priors, image_size):
    centres = (_corners(predictions) + predictions[..., :2].sigmoid()) * _cells(predictions, image_size)
    return torch.cat([centres, priors * predictions[..., 2:].exp()], dim=-1)


@wrong("8.2", "no exponential", says="the middle of the cell")
def v2_no_exp(predictions, priors, image_size):
    centres = (_corners(predictions) + predictions[..., :2].sigmoid()) * _cells(predictions, image_size)
    return _boxes(centres, priors * predictions[..., 2:])


@wrong("8.2", "one plus the number in place of the exponential", says="times the exponential")
def v2_one_plus(predictions, priors, image_size):
    centres = (_corners(predictions) + predictions[..., :2].sigmoid()) * _cells(predictions, image_size)
    return _boxes(centres, priors * (1 + predictions[..., 2:]))


@wrong("8.2", "height and width of the prior swapped", says="width, then height")
def v2_priors_swapped(predictions, priors, image_size):
    return v2_corners(predictions, priors.flip(1), image_size)


@wrong("8.2", "x and y of the picture swapped", says="width, y by its height")
def v2_size_swapped(predictions, priors, image_size):
    return v2_corners(predictions, priors, image_size[::-1])


@wrong("8.2", "row and column swapped", says="further right")
def v2_grid_swapped(predictions, priors, image_size):
    centres = (_corners(predictions).flip(-1) + predictions[..., :2].sigmoid()) * _cells(predictions, image_size)
    return _boxes(centres, priors * predictions[..., 2:].exp())


@wrong("8.2", "every cell as if it were the first", says="further right")
def v2_first_cell(predictions, priors, image_size):
    centres = predictions[..., :2].sigmoid() * _cells(predictions, image_size)
    return _boxes(centres, priors * predictions[..., 2:].exp())


@wrong("8.2", "the first prior for all boxes", says="its own prior")
def v2_first_prior(predictions, priors, image_size):
    return v2_corners(predictions, priors[:1], image_size)


@wrong("8.2", "square cells", says="scaled by the picture's width")
def v2_square_cells(predictions, priors, image_size):
    side = image_size[0] / predictions.shape[1]
    centres = (_corners(predictions) + predictions[..., :2].sigmoid()) * side
    return _boxes(centres, priors * predictions[..., 2:].exp())


@wrong("8.2", "clipped to the picture", says="not be clipped")
def v2_clipped(predictions, priors, image_size):
    height, width = image_size
    boxes = v2_corners(predictions, priors, image_size)
    return boxes.clamp(min=0).minimum(boxes.new_tensor([width, height, width, height]))


@wrong("8.2", "the first picture only", says="boxes of its own")
def v2_one_picture(predictions, priors, image_size):
    return torch.stack([v2_corners(predictions[:1], priors, image_size)[0]] * len(predictions))


@wrong("8.2", "sigmoid in place", says="input should stay", only_behaviour=True)
def v2_in_place(predictions, priors, image_size):
    with torch.no_grad():
        predictions[..., :2] = predictions[..., :2].sigmoid()
    centres = (_corners(predictions) + predictions[..., :2]) * _cells(predictions, image_size)
    return _boxes(centres, priors * predictions[..., 2:].exp())


@wrong("8.2", "detached", says="gradient should flow", only_behaviour=True)
def v2_detached(predictions, priors, image_size):
    return v2_corners(predictions.detach(), priors, image_size)


# --- 8.3 confidence_loss -----------------------------------------------------------------------------------------


def _parts(confidences, owned, overlaps, empty_weight, target=None, others=True, pictures=True):
    """The loss, with its three faults as choices."""
    best = overlaps.argmax(dim=1, keepdim=True)
    mine = torch.zeros_like(overlaps).scatter(1, best, 1.0).bool()
    inside = confidences[owned]
    aim = overlaps if target is None else torch.full_like(overlaps, target)
    total = (inside - aim)[mine].square().sum() + empty_weight * confidences[~owned].square().sum()
    if others:
        total = total + empty_weight * inside[~mine].square().sum()
    return total / len(confidences) if pictures else total


@right("8.3", "targets and weights for every confidence")
def loss_targets(confidences, owned, overlaps, empty_weight):
    k = overlaps.shape[1]
    chosen = torch.arange(k, device=overlaps.device) == overlaps.argmax(dim=1, keepdim=True)
    target, weight = torch.zeros_like(confidences), torch.full_like(confidences, empty_weight)
    target[owned] = torch.where(chosen, overlaps, 0.0)
    weight[owned] = torch.where(chosen, 1.0, weight[owned])
    return (weight * (confidences - target) ** 2).sum() / confidences.shape[0]


@right("8.3", "all as empty, then the responsible ones corrected")
def loss_corrected(confidences, owned, overlaps, empty_weight):
    best = overlaps.argmax(dim=1, keepdim=True)
    said, aim = confidences[owned].gather(1, best), overlaps.gather(1, best)
    everything = empty_weight * confidences.square().sum()
    return (everything + ((said - aim).square() - empty_weight * said.square()).sum()) / len(confidences)


@wrong("8.3", "only the target mended", says="the other box")
def loss_target_only(confidences, owned, overlaps, empty_weight):
    return _parts(confidences, owned, overlaps, empty_weight, others=False, pictures=False)


@wrong("8.3", "only the other box mended", says="learn its overlap")
def loss_others_only(confidences, owned, overlaps, empty_weight):
    return _parts(confidences, owned, overlaps, empty_weight, target=1.0, pictures=False)


@wrong("8.3", "all but the division mended", says="divided by the pictures")
def loss_not_divided(confidences, owned, overlaps, empty_weight):
    return _parts(confidences, owned, overlaps, empty_weight, pictures=False)


@wrong("8.3", "all but the target mended", says="learn its overlap")
def loss_target_one(confidences, owned, overlaps, empty_weight):
    return _parts(confidences, owned, overlaps, empty_weight, target=1.0)


@wrong("8.3", "all but the other box mended", says="the other box")
def loss_without_others(confidences, owned, overlaps, empty_weight):
    return _parts(confidences, owned, overlaps, empty_weight, others=False)


@wrong("8.3", "divided by the cells", says="cells with and without an object should be told apart")
def loss_by_cells(confidences, owned, overlaps, empty_weight):
    return _parts(confidences, owned, overlaps, empty_weight, pictures=False) / owned.numel()


@wrong("8.3", "divided by the objects", says="divided by the pictures")
def loss_by_objects(confidences, owned, overlaps, empty_weight):
    return _parts(confidences, owned, overlaps, empty_weight, pictures=False) / max(1, len(overlaps))


@wrong("8.3", "every box of a cell learns its overlap", says="learn 0")
def loss_every_box(confidences, owned, overlaps, empty_weight):
    inside = (confidences[owned] - overlaps).square().sum()
    return (inside + empty_weight * confidences[~owned].square().sum()) / len(confidences)


@wrong("8.3", "the other box counts in full", says="the other box")
def loss_other_in_full(confidences, owned, overlaps, empty_weight):
    chosen = torch.arange(overlaps.shape[1], device=overlaps.device) == overlaps.argmax(dim=1, keepdim=True)
    inside = (confidences[owned] - overlaps * chosen).square().sum()
    return (inside + empty_weight * confidences[~owned].square().sum()) / len(confidences)


@wrong("8.3", "the box of the highest confidence is responsible", says="overlaps most should be responsible")
def loss_confident(confidences, owned, overlaps, empty_weight):
    chosen = torch.arange(overlaps.shape[1], device=overlaps.device) == confidences[owned].argmax(dim=1, keepdim=True)
    target, weight = torch.zeros_like(confidences), torch.full_like(confidences, empty_weight)
    target[owned] = torch.where(chosen, overlaps, 0.0)
    weight[owned] = torch.where(chosen, 1.0, weight[owned])
    return (weight * (confidences - target) ** 2).sum() / len(confidences)


@wrong("8.3", "zero", says="learn its overlap")
def loss_zero(confidences, owned, overlaps, empty_weight):
    return (confidences * 0).sum()


@wrong("8.3", "confidences below 0 count as 0", says="below 0")
def loss_clamped(confidences, owned, overlaps, empty_weight):
    return _parts(confidences.clamp(min=0), owned, overlaps, empty_weight)


@wrong("8.3", "the empty weight is fixed", says="the weight of an empty one")
def loss_fixed_weight(confidences, owned, overlaps, empty_weight):
    return _parts(confidences, owned, overlaps, 0.5)


@wrong("8.3", "detached", says="gradient should flow", only_behaviour=True)
def loss_detached(confidences, owned, overlaps, empty_weight):
    return _parts(confidences.detach(), owned, overlaps, empty_weight)


@wrong("8.3", "overlaps emptied on the way", says="input should stay", only_behaviour=True)
def loss_in_place(confidences, owned, overlaps, empty_weight):
    result = _parts(confidences, owned, overlaps, empty_weight)
    overlaps.mul_(overlaps == overlaps.amax(dim=1, keepdim=True)).sub_(0.1)
    return result


# --- 8.4 not_beaten ----------------------------------------------------------------------------------------------


@right("8.4", "a table of all pairs")
def beaten_table(milliseconds, accuracies):
    no_slower, no_worse = milliseconds[:, None] <= milliseconds, accuracies[:, None] >= accuracies
    better = (milliseconds[:, None] < milliseconds) | (accuracies[:, None] > accuracies)
    return ~(no_slower & no_worse & better).any(dim=0)


@right("8.4", "one detector after the other")
def beaten_loop(milliseconds, accuracies):
    stays = torch.ones_like(milliseconds, dtype=torch.bool)
    for i in range(len(milliseconds)):
        faster = (milliseconds < milliseconds[i]) & (accuracies >= accuracies[i])
        finer = (milliseconds <= milliseconds[i]) & (accuracies > accuracies[i])
        stays[i] = not bool((faster | finer).any())
    return stays


@right("8.4", "the best accuracy so far, from fast to slow")
def beaten_sorted(milliseconds, accuracies):
    stays = []
    for time, accuracy in zip(milliseconds.tolist(), accuracies.tolist(), strict=True):
        quick = accuracies[milliseconds < time].tolist()
        same = accuracies[milliseconds == time].tolist()
        stays.append(accuracy > max(quick, default=-1.0) and accuracy >= max(same))
    return torch.tensor(stays, dtype=torch.bool, device=milliseconds.device)


@wrong("8.4", "keep everything", says="slower and less accurate")
def beaten_none(milliseconds, accuracies):
    return torch.ones_like(milliseconds, dtype=torch.bool)


@wrong("8.4", "keep nothing", says="alone should not be beaten")
def beaten_all(milliseconds, accuracies):
    return torch.zeros_like(milliseconds, dtype=torch.bool)


@wrong("8.4", "better in both is needed", says="equally fast and less accurate")
def beaten_strictly(milliseconds, accuracies):
    return ~((milliseconds[:, None] < milliseconds) & (accuracies[:, None] > accuracies)).any(dim=0)


@wrong("8.4", "equal ones beat each other", says="alone should not be beaten")
def beaten_equal(milliseconds, accuracies):
    return ~((milliseconds[:, None] <= milliseconds) & (accuracies[:, None] >= accuracies)).any(dim=0)


@wrong("8.4", "equal others beat each other", says="two equal detectors")
def beaten_equal_others(milliseconds, accuracies):
    table = (milliseconds[:, None] <= milliseconds) & (accuracies[:, None] >= accuracies)
    return ~(table & ~torch.eye(len(table), dtype=torch.bool, device=table.device)).any(dim=0)


@wrong("8.4", "more milliseconds are better", says="slower and less accurate")
def beaten_slow(milliseconds, accuracies):
    return beaten_table(-milliseconds, accuracies)


@wrong("8.4", "rows and columns swapped", says="slower and less accurate")
def beaten_transposed(milliseconds, accuracies):
    no_slower, no_worse = milliseconds[:, None] <= milliseconds, accuracies[:, None] >= accuracies
    better = (milliseconds[:, None] < milliseconds) | (accuracies[:, None] > accuracies)
    return ~(no_slower & no_worse & better).any(dim=1)


@wrong("8.4", "only the fastest and the most accurate", says="between two others may stay")
def beaten_ends(milliseconds, accuracies):
    if not len(milliseconds):
        return milliseconds > 0
    fastest = (milliseconds == milliseconds.min()) & beaten_table(milliseconds, accuracies)
    return fastest | (accuracies == accuracies.max()) & beaten_table(milliseconds, accuracies)


@wrong("8.4", "only the neighbour in time is asked", says="every detector should be held against every other")
def beaten_by_neighbour(milliseconds, accuracies):
    if len(milliseconds) < 4:
        return beaten_table(milliseconds, accuracies)
    order = milliseconds.argsort(stable=True)
    stays = torch.ones_like(milliseconds, dtype=torch.bool)
    for before, here in zip(order[:-1], order[1:], strict=True):
        stays[here] = accuracies[here] > accuracies[before]
    return stays


@wrong("8.4", "two that are each better in one thing beat a third", says="between two others may stay")
def beaten_by_two(milliseconds, accuracies):
    others = ~torch.eye(len(milliseconds), dtype=torch.bool, device=milliseconds.device)
    faster = ((milliseconds[:, None] < milliseconds) & others).any(dim=0)
    finer = ((accuracies[:, None] > accuracies) & others).any(dim=0)
    return beaten_table(milliseconds, accuracies) & ~(faster & finer)


@wrong("8.4", "the numbers of those that stay", says="should be")
def beaten_numbers(milliseconds, accuracies):
    return beaten_table(milliseconds, accuracies).nonzero()[:, 0]


@wrong("8.4", "needs a detector", says="no detectors")
def beaten_crash(milliseconds, accuracies):
    return beaten_table(milliseconds, accuracies) & (milliseconds <= milliseconds.max())


@wrong("8.4", "a list", says="should be")
def beaten_list(milliseconds, accuracies):
    return beaten_table(milliseconds, accuracies).tolist()


@wrong("8.4", "milliseconds made seconds in place", says="input should stay", only_behaviour=True)
def beaten_in_place(milliseconds, accuracies):
    milliseconds /= 1000
    return beaten_table(milliseconds, accuracies)
