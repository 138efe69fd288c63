"""Wrong and right answers to lesson 8's exercises."""

import math

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


# --- answers of somebody who did not write the checkers -----------------------------------------------------------


def _v2_centres(predictions, image_size):
    return (_corners(predictions) + predictions[..., :2].sigmoid()) * _cells(predictions, image_size)


_KEPT: dict = {}


def _v2(predictions, priors, cell, xy=None):
    """Boxes of cells with the sides `cell`, a pair of numbers."""
    xy = predictions[..., :2].sigmoid() if xy is None else xy
    return _boxes((_corners(predictions) + xy) * predictions.new_tensor(cell), priors * predictions[..., 2:].exp())


@right("8.2", "cell by cell, stacked")
def v2_stacked(predictions, priors, image_size):
    height, width = image_size
    _, rows, columns, k, _ = predictions.shape
    boxes = torch.empty_like(predictions)
    for r in range(rows):
        for c in range(columns):
            for j in range(k):
                x, y, w, h = predictions[:, r, c, j].unbind(1)
                middle_x, middle_y = (c + x.sigmoid()) * width / columns, (r + y.sigmoid()) * height / rows
                w, h = priors[j, 0] * w.exp() / 2, priors[j, 1] * h.exp() / 2
                boxes[:, r, c, j] = torch.stack([middle_x - w, middle_y - h, middle_x + w, middle_y + h], dim=1)
    return boxes


@right("8.2", "a hyperbolic tangent, edges of cells by linspace, sides by their logarithms")
def v2_tanh(predictions, priors, image_size):
    height, width = image_size
    _, rows, columns, _, _ = predictions.shape
    left = torch.linspace(0, width, columns + 1).to(predictions)[:-1]
    top = torch.linspace(0, height, rows + 1).to(predictions)[:-1]
    part = predictions[..., :2].div(2).tanh().add(1).div(2)
    x = left[None, None, :, None] + part[..., 0] * (width / columns)
    y = top[None, :, None, None] + part[..., 1] * (height / rows)
    half = (priors.log() + predictions[..., 2:]).exp() / 2
    return torch.stack([x - half[..., 0], y - half[..., 1], x + half[..., 0], y + half[..., 1]], dim=-1)


@right("8.2", "all cells in one row, nothing to do without pictures")
def v2_in_a_row(predictions, priors, image_size):
    if not len(predictions):
        return predictions
    b, rows, columns, k, _ = predictions.shape
    number = torch.arange(rows * columns, device=predictions.device)
    corner = torch.stack([number % columns, number // columns], dim=1).to(predictions.dtype)[:, None]
    flat = predictions.reshape(b, rows * columns, k, 4)
    scale = torch.tensor(image_size[::-1]).to(predictions) / torch.tensor([columns, rows]).to(predictions)
    middle = (corner + flat[..., :2].sigmoid()) * scale
    return _boxes(middle, flat[..., 2:].exp() * priors).reshape(b, rows, columns, k, 4)


@wrong("8.2", "a cell has a whole number of pixels", says="a cell need not be a whole number of pixels wide")
def v2_whole_cells(predictions, priors, image_size):
    return _v2(predictions, priors, [image_size[1] // predictions.shape[2], image_size[0] // predictions.shape[1]])


@wrong("8.2", "cells rounded up to whole pixels", says="a cell need not be a whole number of pixels wide")
def v2_cells_up(predictions, priors, image_size):
    _, rows, columns, _, _ = predictions.shape
    return _v2(predictions, priors, [-(-image_size[1] // columns), -(-image_size[0] // rows)])


@wrong("8.2", "corners by steps of whole pixels", says="a cell need not be a whole number of pixels wide")
def v2_steps(predictions, priors, image_size):
    height, width = image_size
    _, rows, columns, _, _ = predictions.shape
    left = torch.arange(0, width, width // columns).to(predictions)
    top = torch.arange(0, height, height // rows).to(predictions)
    corner = torch.stack(torch.broadcast_tensors(left, top[:, None]), dim=-1)[:, :, None]
    middle = corner + predictions[..., :2].sigmoid() * _cells(predictions, image_size)
    return _boxes(middle, priors * predictions[..., 2:].exp())


@wrong(
    "8.2",
    "the exponential capped, as in torchvision",
    says="a side should follow the exponential, however large its number is",
)
def v2_capped(predictions, priors, image_size):
    sides = priors * predictions[..., 2:].clamp(max=math.log(1000 / 16)).exp()
    return _boxes(_v2_centres(predictions, image_size), sides)


@wrong(
    "8.2",
    "the exponential kept from getting small",
    says="a side should follow the exponential, however small its number is",
)
def v2_never_small(predictions, priors, image_size):
    return _boxes(_v2_centres(predictions, image_size), priors * predictions[..., 2:].clamp(min=-4).exp())


@wrong("8.2", "sides of at least a pixel", says="a side should follow the exponential, however small its number is")
def v2_one_pixel(predictions, priors, image_size):
    sides = (priors * predictions[..., 2:].exp()).clamp(min=1)
    return _boxes(_v2_centres(predictions, image_size), sides)


@wrong("8.2", "a sigmoid that overflows", says="a very large number should put the centre at the cell's far edge")
def v2_overflow(predictions, priors, image_size):
    power = predictions[..., :2].exp()
    return _v2(predictions, priors, _cells(predictions, image_size).tolist(), power / (1 + power))


@wrong("8.2", "view in place of reshape", says="the numbers may lie in memory in another order (permuted)")
def v2_view(predictions, priors, image_size):
    b, rows, columns, k, _ = predictions.shape
    flat = predictions.view(b, rows * columns, k, 4)
    corner = _corners(predictions).reshape(rows * columns, 1, 2)
    middle = (corner + flat[..., :2].sigmoid()) * _cells(predictions, image_size)
    return _boxes(middle, flat[..., 2:].exp() * priors).view(b, rows, columns, k, 4)


@wrong("8.2", "−1 for the cells", says="no pictures should give [0, R, C, k, 4]")
def v2_minus_one(predictions, priors, image_size):
    b, rows, columns, k, _ = predictions.shape
    flat = predictions.reshape(b, -1, k, 4)
    corner = _corners(predictions).reshape(-1, 1, 2)
    middle = (corner + flat[..., :2].sigmoid()) * _cells(predictions, image_size)
    return _boxes(middle, flat[..., 2:].exp() * priors).reshape(b, rows, columns, k, 4)


@wrong("8.2", "no pictures give [0, 4]", says="no pictures should give [0, R, C, k, 4]")
def v2_empty(predictions, priors, image_size):
    return v2_corners(predictions, priors, image_size) if len(predictions) else predictions.new_zeros(0, 4)


@wrong("8.2", "no pictures give float32", says="the dtype should be kept", only_behaviour=True)
def v2_empty_single(predictions, priors, image_size):
    return v2_corners(predictions, priors, image_size) if len(predictions) else torch.zeros(predictions.shape)


@wrong("8.2", "a grid on the CPU", says="the device should be kept", only_behaviour=True)
def v2_cpu(predictions, priors, image_size):
    columns, rows = torch.arange(predictions.shape[2]), torch.arange(predictions.shape[1])
    corner = torch.stack(torch.broadcast_tensors(columns, rows[:, None]), dim=-1)[:, :, None]
    return _boxes(
        (corner + predictions[..., :2].sigmoid()) * _cells(predictions, image_size), priors * predictions[..., 2:].exp()
    )


@wrong("8.2", "numbered down the columns", says="cells need not be square")
def v2_down(predictions, priors, image_size):
    _, rows, columns, _, _ = predictions.shape
    number = torch.arange(rows * columns, device=predictions.device)
    corner = torch.stack([number // rows, number % rows], dim=1).to(predictions).reshape(rows, columns, 1, 2)
    return _boxes(
        (corner + predictions[..., :2].sigmoid()) * _cells(predictions, image_size), priors * predictions[..., 2:].exp()
    )


@wrong("8.2", "corners spread up to the far edge", says="a cell in the next column should lie further right")
def v2_spread(predictions, priors, image_size):
    height, width = image_size
    _, rows, columns, _, _ = predictions.shape
    left, top = torch.linspace(0, width, columns).to(predictions), torch.linspace(0, height, rows).to(predictions)
    corner = torch.stack(torch.broadcast_tensors(left, top[:, None]), dim=-1)[:, :, None]
    middle = corner + predictions[..., :2].sigmoid() * _cells(predictions, image_size)
    return _boxes(middle, priors * predictions[..., 2:].exp())


@wrong("8.2", "the priors without a gradient", says="the gradient should flow", only_behaviour=True)
def v2_priors_detached(predictions, priors, image_size):
    return v2_corners(predictions, priors.detach(), image_size)


@wrong("8.2", "priors in cells", says="0 should put the centre in the middle of the cell, and give the prior's size")
def v2_priors_in_cells(predictions, priors, image_size):
    return v2_corners(predictions, priors * _cells(predictions, image_size), image_size)


@wrong(
    "8.2",
    "one output that is filled again",
    says="a later call should leave an earlier result alone",
    only_behaviour=True,
)
def v2_filled_again(predictions, priors, image_size):
    boxes = v2_corners(predictions, priors, image_size)
    if boxes.requires_grad or boxes.dtype != torch.float32:
        return boxes
    kept = _KEPT.setdefault(boxes.shape, boxes)
    return kept.copy_(boxes)


@wrong("8.2", "centres kept inside the picture, by a hand's breadth", says="a large number should not leave the cell")
def v2_centres_inside(predictions, priors, image_size):
    xy = predictions[..., :2].sigmoid().clamp(0.05, 0.95)
    return _v2(predictions, priors, _cells(predictions, image_size).tolist(), xy)


@right("8.3", "cell by cell, in the order of owned")
def loss_by_cell(confidences, owned, overlaps, empty_weight):
    total = confidences.new_zeros(())
    rows = iter(overlaps)
    for numbers, has in zip(confidences.reshape(-1, confidences.shape[-1]), owned.reshape(-1).tolist(), strict=True):
        own = next(rows) if has else None
        best = int(own.argmax()) if has else -1
        for j, number in enumerate(numbers):
            total = total + ((number - own[j]) ** 2 if j == best else empty_weight * number**2)
    return total / confidences.shape[0]


@right("8.3", "the last of equal boxes, by sorting")
def loss_sorted(confidences, owned, overlaps, empty_weight):
    best = overlaps.argsort(dim=1, stable=True)[:, -1:]
    mask = torch.zeros_like(overlaps, dtype=torch.bool).scatter(1, best, True)
    inside = confidences[owned]
    full = (inside[mask] - overlaps[mask]).pow(2).sum()
    rest = inside[~mask].pow(2).sum() + confidences[~owned].pow(2).sum()
    return (full + empty_weight * rest) / confidences.size(0)


@right("8.3", "masked everywhere, with one_hot and masked_scatter")
def loss_masked(confidences, owned, overlaps, empty_weight):
    k = overlaps.shape[1]
    chosen = torch.nn.functional.one_hot(overlaps.topk(1, dim=1).indices[:, 0], k).bool()
    everywhere = owned[..., None].expand_as(confidences)
    full = torch.zeros_like(everywhere).masked_scatter(everywhere, chosen)
    aim = torch.zeros_like(confidences).masked_scatter(everywhere, overlaps)
    return torch.where(full, (confidences - aim) ** 2, empty_weight * confidences**2).flatten(1).sum(1).mean()


@wrong(
    "8.3",
    "all boxes of the largest overlap are responsible",
    says="of equal overlaps one should be responsible, not all",
)
def loss_equal_to_largest(confidences, owned, overlaps, empty_weight):
    mine, inside = overlaps == overlaps.amax(dim=1, keepdim=True), confidences[owned]
    total = torch.where(mine, (inside - overlaps).square(), empty_weight * inside.square()).sum()
    return (total + empty_weight * confidences[~owned].square().sum()) / len(confidences)


@wrong("8.3", "no responsible box where nothing overlaps", says="an overlap of 0 should be learned as well")
def loss_only_overlapping(confidences, owned, overlaps, empty_weight):
    chosen = torch.zeros_like(overlaps).scatter(1, overlaps.argmax(1, keepdim=True), 1.0)
    target, weight = torch.zeros_like(confidences), torch.full_like(confidences, empty_weight)
    target[owned] = chosen * overlaps
    weight[target > 0] = 1
    return (weight * (confidences - target).square()).sum() / len(confidences)


@wrong("8.3", "no responsible box where it says 0", says="a responsible box that says 0 should learn its overlap")
def loss_only_said(confidences, owned, overlaps, empty_weight):
    best, inside = overlaps.argmax(1, keepdim=True), confidences[owned]
    said = torch.zeros_like(inside).scatter(1, best, inside.gather(1, best))
    full = (said - overlaps)[said != 0].square().sum()
    others = inside.square().sum() - said.square().sum()
    return (full + empty_weight * (others + confidences[~owned].square().sum())) / len(confidences)


@wrong("8.3", "the best box of all cells together", says="of equal overlaps one should be responsible, not all")
def loss_best_of_all(confidences, owned, overlaps, empty_weight):
    if not len(overlaps):
        return empty_weight * confidences.square().sum() / len(confidences)
    mine, inside = overlaps == overlaps.max(), confidences[owned]
    total = torch.where(mine, (inside - overlaps).square(), empty_weight * inside.square()).sum()
    return (total + empty_weight * confidences[~owned].square().sum()) / len(confidences)


@wrong("8.3", "the largest along the cells", says="the other box of a cell with an object should learn 0")
def loss_wrong_axis(confidences, owned, overlaps, empty_weight):
    if not len(overlaps):
        return empty_weight * confidences.square().sum() / len(confidences)
    best = overlaps.argmax(dim=0, keepdim=True)[:, :1].clamp(max=overlaps.shape[1] - 1).expand(len(overlaps), 1)
    said, aim = confidences[owned].gather(1, best), overlaps.gather(1, best)
    everything = empty_weight * confidences.square().sum()
    return (everything + ((said - aim).square() - empty_weight * said.square()).sum()) / len(confidences)


@wrong("8.3", "the other of two boxes", says="all other boxes should learn 0")
def loss_other_of_two(confidences, owned, overlaps, empty_weight):
    best, inside = overlaps.argmax(dim=1, keepdim=True), confidences[owned]
    full = (inside.gather(1, best) - overlaps.gather(1, best)).square().sum()
    other = inside.gather(1, 1 - best).square().sum() if overlaps.shape[1] > 1 else 0
    return (full + empty_weight * (other + confidences[~owned].square().sum())) / len(confidences)


@wrong("8.3", "one of the other boxes", says="all other boxes should learn 0")
def loss_next_box(confidences, owned, overlaps, empty_weight):
    k = overlaps.shape[1]
    best, inside = overlaps.argmax(dim=1, keepdim=True), confidences[owned]
    full = (inside.gather(1, best) - overlaps.gather(1, best)).square().sum()
    other = inside.gather(1, (best + 1) % k).square().sum() if k > 1 else 0
    return (full + empty_weight * (other + confidences[~owned].square().sum())) / len(confidences)


@wrong("8.3", "divided by the pictures with an object", says="the sum should be divided by the pictures")
def loss_by_pictures_with(confidences, owned, overlaps, empty_weight):
    return _parts(confidences, owned, overlaps, empty_weight, pictures=False) / owned.flatten(1).any(1).sum().clamp(
        min=1
    )


@wrong(
    "8.3", "pictures without an object left out", says="an empty cell should cost its confidences, squared and weighted"
)
def loss_skips_pictures(confidences, owned, overlaps, empty_weight):
    has = owned.flatten(1).any(1)
    return _parts(confidences[has], owned[has], overlaps, empty_weight, pictures=False) / len(confidences)


@wrong(
    "8.3", "without any object the loss is 0", says="an empty cell should cost its confidences, squared and weighted"
)
def loss_nothing_there(confidences, owned, overlaps, empty_weight):
    return _parts(confidences, owned, overlaps, empty_weight) if len(overlaps) else (confidences * 0).sum()


@wrong("8.3", "without any object not divided", says="the sum should be divided by the pictures")
def loss_nothing_divided(confidences, owned, overlaps, empty_weight):
    if not owned.any():
        return empty_weight * confidences.square().sum()
    return _parts(confidences, owned, overlaps, empty_weight)


@wrong(
    "8.3", "without any object no gradient", says="the gradient should flow back to confidences", only_behaviour=True
)
def loss_nothing_detached(confidences, owned, overlaps, empty_weight):
    result = _parts(confidences, owned, overlaps, empty_weight)
    return result if len(overlaps) else result.detach()


@wrong("8.3", "the weight squared along", says="the other box of a cell with an object should learn 0")
def loss_weight_squared(confidences, owned, overlaps, empty_weight):
    return _parts(confidences, owned, overlaps, empty_weight**2)


@wrong(
    "8.3",
    "the other boxes at the weight of a full one less the empty one",
    says="the other box should have the weight of an empty one",
)
def loss_rest_weight(confidences, owned, overlaps, empty_weight):
    mine, inside = torch.zeros_like(overlaps).scatter(1, overlaps.argmax(1, keepdim=True), 1.0), confidences[owned]
    price = mine + (1 - mine) * (1 - empty_weight)
    total = (price * (inside - mine * overlaps).square()).sum()
    return (total + empty_weight * confidences[~owned].square().sum()) / len(confidences)


@wrong("8.3", "beyond an error of 1 a straight line", says="an error above 1 should be squared like any other")
def loss_straight(confidences, owned, overlaps, empty_weight):
    mine = torch.zeros_like(overlaps).scatter(1, overlaps.argmax(1, keepdim=True), 1.0)
    target, weight = torch.zeros_like(confidences), torch.full_like(confidences, empty_weight)
    target[owned], weight[owned] = mine * overlaps, mine + (1 - mine) * empty_weight
    error = torch.nn.functional.smooth_l1_loss(confidences, target, reduction="none")
    return 2 * (weight * error).sum() / len(confidences)


@wrong("8.3", "overlaps below a half are no objects", says="learn its overlap, however small")
def loss_half(confidences, owned, overlaps, empty_weight):
    return _parts(confidences, owned, torch.where(overlaps < 0.5, 0.0, overlaps), empty_weight)


@wrong("8.3", "cells read down the columns", says="overlaps come in the order of confidences[owned]")
def loss_down(confidences, owned, overlaps, empty_weight):
    return _parts(confidences.transpose(1, 2), owned.transpose(1, 2), overlaps, empty_weight)


@wrong("8.3", "view in place of reshape", says="the numbers may lie in memory in another order (permuted)")
def loss_view(confidences, owned, overlaps, empty_weight):
    flat = confidences.view(len(confidences), -1, 1, confidences.shape[-1])
    return _parts(flat, owned.reshape(len(owned), -1, 1), overlaps, empty_weight)


@wrong("8.3", "a Python number", says="a responsible box should learn its overlap")
def loss_item(confidences, owned, overlaps, empty_weight):
    return _parts(confidences, owned, overlaps, empty_weight).item()


@wrong("8.3", "an axis of length 1", says="a responsible box should learn its overlap")
def loss_with_axis(confidences, owned, overlaps, empty_weight):
    return _parts(confidences, owned, overlaps, empty_weight)[None]


@wrong("8.3", "summed in float64", says="a responsible box should learn its overlap")
def loss_double(confidences, owned, overlaps, empty_weight):
    return _parts(confidences.double(), owned, overlaps.double(), empty_weight)


@wrong("8.3", "a target in float32", says="a float64 input should work", only_behaviour=True)
def loss_single(confidences, owned, overlaps, empty_weight):
    target = torch.zeros(confidences.shape, device=confidences.device)
    weight = torch.full(confidences.shape, empty_weight, device=confidences.device)
    mine = torch.zeros_like(overlaps).scatter(1, overlaps.argmax(1, keepdim=True), 1.0)
    target[owned], weight[owned] = mine * overlaps, mine + (1 - mine) * empty_weight
    return (weight * (confidences - target) ** 2).sum() / len(confidences)


@wrong(
    "8.3", "the cells with an object taken out of owned", says="the input should stay unchanged", only_behaviour=True
)
def loss_owned_inverted(confidences, owned, overlaps, empty_weight):
    result = _parts(confidences, owned, overlaps, empty_weight)
    owned.logical_not_()
    return result


@right("8.4", "the sum of two signs")
def beaten_signs(milliseconds, accuracies):
    faster = torch.sign(milliseconds - milliseconds[:, None])
    finer = torch.sign(accuracies[:, None] - accuracies)
    return (faster + finer).le(0).all(dim=0)


@right("8.4", "a sweep from fast to slow, of equal times the most accurate first")
def beaten_cummax(milliseconds, accuracies):
    if not len(milliseconds):
        return torch.zeros_like(milliseconds, dtype=torch.bool)
    order = sorted(range(len(milliseconds)), key=lambda i: (float(milliseconds[i]), -float(accuracies[i])))
    stays, best = torch.zeros_like(milliseconds, dtype=torch.bool), (float("inf"), -float("inf"))
    for i in order:
        here = float(milliseconds[i]), float(accuracies[i])
        if here[1] > best[1]:
            best = here
        stays[i] = here == best
    return stays


@right("8.4", "negative times, as pairs")
def beaten_pairs(milliseconds, accuracies):
    pairs = torch.stack([-milliseconds, accuracies], dim=1)
    as_good = (pairs[:, None] >= pairs).all(dim=-1)
    return ~(as_good & ~as_good.T).any(dim=0)


def _sweep(order, milliseconds, accuracies):
    """Who is at least as accurate as all before in this order, and who equals the last of those."""
    stays, best = torch.zeros_like(milliseconds, dtype=torch.bool), None
    for i in order:
        here = float(milliseconds[i]), float(accuracies[i])
        if best is None or here[1] > best[1]:
            best = here
        stays[i] = here == best
    return stays


@wrong("8.4", "whole milliseconds", says="slower is slower, by however little")
def beaten_whole(milliseconds, accuracies):
    return beaten_table(milliseconds.round(), accuracies)


@wrong("8.4", "accuracies rounded to two digits", says="less accurate is less accurate, by however little")
def beaten_two_digits(milliseconds, accuracies):
    return beaten_table(milliseconds, (accuracies * 100).round())


@wrong("8.4", "a point of accuracy is nothing", says="less accurate is less accurate, by however little")
def beaten_margin(milliseconds, accuracies):
    no_slower, no_worse = milliseconds[:, None] <= milliseconds, accuracies[:, None] >= accuracies
    better = (milliseconds[:, None] < milliseconds) | (accuracies[:, None] > accuracies + 0.01)
    return ~(no_slower & no_worse & better).any(dim=0)


@wrong("8.4", "sorted by time less accuracy", says="faster is faster, by however little")
def beaten_one_key(milliseconds, accuracies):
    return _sweep((milliseconds - accuracies).argsort(stable=True).tolist(), milliseconds, accuracies)


@wrong("8.4", "sorted by a thousand times the time less accuracy", says="faster is faster, by however little")
def beaten_thousand(milliseconds, accuracies):
    return _sweep((1000 * milliseconds - accuracies).argsort(stable=True).tolist(), milliseconds, accuracies)


@wrong("8.4", "half precision", says="faster is faster, by however little")
def beaten_half(milliseconds, accuracies):
    return beaten_table(milliseconds.half(), accuracies.half())


@wrong("8.4", "whole pictures per second", says="slower is slower, by however little")
def beaten_pictures(milliseconds, accuracies):
    return beaten_table(-(1000 // milliseconds), accuracies)


@wrong("8.4", "sorted by time only", says="an equally fast and less accurate detector should be beaten")
def beaten_time_only(milliseconds, accuracies):
    return _sweep(milliseconds.argsort(stable=True).tolist(), milliseconds, accuracies)


@wrong("8.4", "the answer in sorted order", says="a slower and less accurate detector should be beaten")
def beaten_in_order(milliseconds, accuracies):
    return beaten_table(milliseconds, accuracies)[milliseconds.argsort(stable=True)]


@wrong("8.4", "of equal detectors the first", says="two equal detectors should not beat each other")
def beaten_first_of_equal(milliseconds, accuracies):
    same = (milliseconds[:, None] == milliseconds) & (accuracies[:, None] == accuracies)
    return beaten_table(milliseconds, accuracies) & ~same.triu(1).any(dim=0)


@wrong("8.4", "the convex hull", says="a detector between two others may stay, even far below the line that joins them")
def beaten_hull(milliseconds, accuracies):
    stays = beaten_table(milliseconds, accuracies)
    front = [i for i in range(len(stays)) if stays[i]]
    for i in front:
        for a in front:
            for b in front:
                t, u, v = (float(milliseconds[j]) for j in (a, i, b))
                if t < u < v:
                    part = (u - t) / (v - t)
                    if accuracies[i] < (1 - part) * accuracies[a] + part * accuracies[b]:
                        stays[i] = False
    return stays


@wrong("8.4", "no time is longer than a second", says="a time above a second counts like any other")
def beaten_second(milliseconds, accuracies):
    stays = beaten_table(milliseconds, accuracies)
    for i in range(len(stays)):
        rivals = milliseconds[accuracies > accuracies[i]].tolist()
        stays[i] = stays[i] and min([1000.0, *rivals]) > milliseconds[i]
    return stays


@wrong("8.4", "no accuracy is above 1", says="an accuracy above 1, in percent, counts like any other")
def beaten_errors(milliseconds, accuracies):
    return beaten_table(milliseconds, accuracies.clamp(max=1))


@wrong("8.4", "only against earlier ones", says="a slower and less accurate detector should be beaten")
def beaten_before(milliseconds, accuracies):
    no_slower, no_worse = milliseconds[:, None] <= milliseconds, accuracies[:, None] >= accuracies
    better = (milliseconds[:, None] < milliseconds) | (accuracies[:, None] > accuracies)
    return ~(no_slower & no_worse & better).triu(1).any(dim=0)


@wrong(
    "8.4", "of equal times only the last is asked", says="an equally fast and less accurate detector should be beaten"
)
def beaten_by_one_per_time(milliseconds, accuracies):
    best = dict(zip(milliseconds.tolist(), accuracies.tolist(), strict=True))  # the last of equal times
    stays = [
        all(b < a for t, b in best.items() if t < s) and a >= best[s]
        for s, a in zip(milliseconds.tolist(), accuracies.tolist(), strict=True)
    ]
    return torch.tensor(stays, dtype=torch.bool, device=milliseconds.device)


@wrong("8.4", "accuracy per millisecond", says="a slower and less accurate detector should be beaten")
def beaten_ratio(milliseconds, accuracies):
    worth = accuracies / milliseconds
    return worth >= worth.median() if len(worth) else worth > 0


@wrong("8.4", "0 and 1", says="a detector alone should not be beaten")
def beaten_numbers_01(milliseconds, accuracies):
    return beaten_table(milliseconds, accuracies).to(milliseconds)


@wrong("8.4", "no detectors give floats", says="no detectors should give [0]")
def beaten_empty_float(milliseconds, accuracies):
    return beaten_table(milliseconds, accuracies) if len(milliseconds) else milliseconds.clone()


@wrong("8.4", "no detectors on the CPU", says="the device should be kept", only_behaviour=True)
def beaten_empty_cpu(milliseconds, accuracies):
    return beaten_table(milliseconds, accuracies) if len(milliseconds) else torch.zeros(0, dtype=torch.bool)


@wrong("8.4", "a new tensor on the CPU", says="the device should be kept", only_behaviour=True)
def beaten_cpu(milliseconds, accuracies):
    return torch.tensor(beaten_table(milliseconds, accuracies).tolist(), dtype=torch.bool)


@wrong("8.4", "accuracies sorted in place", says="the input should stay unchanged", only_behaviour=True)
def beaten_sorts(milliseconds, accuracies):
    result = beaten_table(milliseconds, accuracies)
    accuracies.copy_(accuracies.sort().values)
    return result


# --- a second round, after the checkers were mended ---------------------------------------------------------------


@right("8.2", "permuted to have the boxes first, and back")
def v2_boxes_first(predictions, priors, image_size):
    x, y, w, h = predictions.permute(4, 0, 3, 1, 2)  # each [B, k, R, C]
    (height, width), (rows, columns) = image_size, x.shape[2:]
    ones = torch.ones_like(x)
    x = (ones.cumsum(3) - 1 + x.sigmoid()) * width / columns
    y = (ones.cumsum(2) - 1 + y.sigmoid()) * height / rows
    w, h = (ones * priors.T[i][:, None, None] * side.exp() for i, side in enumerate((w, h)))
    return torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2]).permute(1, 3, 4, 2, 0)


@wrong("8.2", "all boxes in one row by view", says="the numbers may lie in memory in another order (permuted)")
def v2_view_all(predictions, priors, image_size):
    b, rows, columns, k, _ = predictions.shape
    flat = predictions.view(b * rows * columns * k, 4)
    corner = _corners(predictions).expand(b, rows, columns, k, 2).reshape(-1, 2)
    sides = priors.repeat(b * rows * columns, 1) * flat[:, 2:].exp()
    return _boxes((corner + flat[:, :2].sigmoid()) * _cells(predictions, image_size), sides).view(predictions.shape)


@wrong(
    "8.2",
    "priors repeated cell by cell in place of box by box",
    says="each box of a cell should have its own prior, the same in every cell",
)
def v2_interleaved(predictions, priors, image_size):
    b, rows, columns, k, _ = predictions.shape
    flat = predictions.reshape(b * rows * columns * k, 4)
    corner = _corners(predictions).expand(b, rows, columns, k, 2).reshape(-1, 2)
    sides = priors.repeat_interleave(b * rows * columns, 0) * flat[:, 2:].exp()
    return _boxes((corner + flat[:, :2].sigmoid()) * _cells(predictions, image_size), sides).reshape(predictions.shape)


@wrong(
    "8.2",
    "an overflowing sigmoid, its holes filled with 0",
    says="a very large number should put the centre at the cell's far edge",
)
def v2_holes(predictions, priors, image_size):
    power = predictions[..., :2].exp()
    return _v2(predictions, priors, _cells(predictions, image_size).tolist(), (power / (1 + power)).nan_to_num(0))


@wrong("8.2", "priors multiplied in place", says="the input should stay unchanged", only_behaviour=True)
def v2_priors_in_place(predictions, priors, image_size):
    boxes = v2_corners(predictions, priors, image_size)
    with torch.no_grad():
        priors.div_(2)
    return boxes


@wrong("8.2", "cells of the finer side for both", says="x should be scaled by the picture's width, y by its height")
def v2_finer_side(predictions, priors, image_size):
    side = _cells(predictions, image_size).min()
    return _v2(predictions, priors, [float(side), float(side)])


@right("8.3", "differences of products, without any mask")
def loss_products(confidences, owned, overlaps, empty_weight):
    order = overlaps.argsort(dim=1, descending=True)
    said, own = confidences[owned].gather(1, order), overlaps.gather(1, order)
    full = said[:, 0] * said[:, 0] - 2 * said[:, 0] * own[:, 0] + own[:, 0] * own[:, 0]
    rest = torch.einsum("pk,pk->", said[:, 1:], said[:, 1:]) + (confidences * confidences)[owned.logical_not()].sum()
    return (full.sum() + empty_weight * rest) / owned.shape[0]


@wrong("8.3", "all cells in one row by view", says="the numbers may lie in memory in another order (permuted)")
def loss_view_all(confidences, owned, overlaps, empty_weight):
    flat = confidences.view(-1, confidences.shape[-1])[:, None, None]
    return _parts(flat, owned.reshape(-1, 1, 1), overlaps, empty_weight, pictures=False) / len(confidences)


@wrong("8.3", "owned in one row by view", says="the numbers may lie in memory in another order (permuted)")
def loss_view_owned(confidences, owned, overlaps, empty_weight):
    flat = confidences.reshape(-1, confidences.shape[-1])[:, None, None]
    return _parts(flat, owned.view(-1, 1, 1), overlaps, empty_weight, pictures=False) / len(confidences)


@wrong("8.3", "one_hot without the number of boxes", says="the other box of a cell with an object should learn 0")
def loss_one_hot(confidences, owned, overlaps, empty_weight):
    chosen = torch.nn.functional.one_hot(overlaps.argmax(dim=1)).bool()
    target, weight = torch.zeros_like(confidences), torch.full_like(confidences, empty_weight)
    target[owned] = torch.where(chosen, overlaps, 0.0)
    weight[owned] = torch.where(chosen, 1.0, weight[owned])
    return (weight * (confidences - target) ** 2).sum() / len(confidences)


@wrong("8.3", "only the full part divided", says="the sum should be divided by the pictures")
def loss_part_divided(confidences, owned, overlaps, empty_weight):
    empty = _parts(confidences, owned, overlaps, empty_weight) - _parts(confidences, owned, overlaps, 0.0)
    return _parts(confidences, owned, overlaps, 0.0) + empty * len(confidences)


@wrong("8.3", "the other boxes without a gradient", says="the gradient should flow", only_behaviour=True)
def loss_others_detached(confidences, owned, overlaps, empty_weight):
    mine = torch.zeros_like(overlaps).scatter(1, overlaps.argmax(1, keepdim=True), 1.0).bool()
    rest = empty_weight * confidences[owned].detach()[~mine].square().sum() / len(confidences)
    return _parts(confidences, owned, overlaps, empty_weight, others=False) + rest


@wrong("8.3", "divided by the weight on the way", says="with a weight of 0 only responsible boxes should count")
def loss_weight_divided(confidences, owned, overlaps, empty_weight):
    full = _parts(confidences, owned, overlaps, 0.0)
    return (full / empty_weight + (_parts(confidences, owned, overlaps, 1.0) - full)) * empty_weight


@wrong("8.3", "a weight of 0 read as none given", says="with a weight of 0 only responsible boxes should count")
def loss_no_weight(confidences, owned, overlaps, empty_weight):
    return _parts(confidences, owned, overlaps, empty_weight or 0.5)


@wrong("8.3", "equal boxes share the object", says="of equal overlaps one should be responsible, not all")
def loss_shared(confidences, owned, overlaps, empty_weight):
    mine, inside = (overlaps == overlaps.amax(dim=1, keepdim=True)).to(overlaps), confidences[owned]
    mine = mine / mine.sum(dim=1, keepdim=True)
    price = mine + (1 - mine) * empty_weight
    total = (price * (inside - (mine > 0) * overlaps).square()).sum()
    return (total + empty_weight * confidences[~owned].square().sum()) / len(confidences)


@right("8.4", "sorted, with searchsorted and cummax")
def beaten_searched(milliseconds, accuracies):
    if milliseconds.numel() == 0:
        return milliseconds.bool()
    order = milliseconds.argsort()
    times = milliseconds[order].contiguous()
    best = accuracies[order].cummax(0).values
    before = torch.searchsorted(times, milliseconds.contiguous())  # how many are strictly faster
    upto = torch.searchsorted(times, milliseconds.contiguous(), right=True) - 1
    beaten_faster = (before > 0) & (best[(before - 1).clamp(min=0)] >= accuracies)
    return ~(beaten_faster | (best[upto] > accuracies))


@wrong("8.4", "by way of numpy", says="the device should be kept", only_behaviour=True)
def beaten_numpy(milliseconds, accuracies):
    return torch.from_numpy(beaten_table(milliseconds, accuracies).numpy()).to(milliseconds.device)


@wrong("8.4", "milliseconds cut off at the point", says="slower is slower, by however little")
def beaten_floor(milliseconds, accuracies):
    return beaten_table(milliseconds.floor(), accuracies)


@wrong("8.4", "a percent of time is nothing", says="faster is faster, by however little")
def beaten_time_margin(milliseconds, accuracies):
    no_slower, no_worse = milliseconds[:, None] <= milliseconds * 1.01, accuracies[:, None] >= accuracies
    better = (milliseconds[:, None] < milliseconds) | (accuracies[:, None] > accuracies)
    return ~(no_slower & no_worse & better).any(dim=0)


@wrong("8.4", "better in one thing is enough", says="a faster and less accurate detector should stay")
def beaten_either(milliseconds, accuracies):
    return ~((milliseconds[:, None] < milliseconds) | (accuracies[:, None] > accuracies)).any(dim=0)


@wrong("8.4", "only against later ones", says="a slower and less accurate detector should be beaten")
def beaten_by_front_only(milliseconds, accuracies):
    stays, gone = torch.ones_like(milliseconds, dtype=torch.bool), set()
    for i in range(len(milliseconds)):
        for j in range(i + 1, len(milliseconds)):  # forgets that a later one may beat an earlier one
            faster = bool(milliseconds[i] <= milliseconds[j]) and bool(accuracies[i] >= accuracies[j])
            if i not in gone and faster and (milliseconds[i] != milliseconds[j] or accuracies[i] != accuracies[j]):
                gone.add(j)
                stays[j] = False
    return stays


@wrong(
    "8.4",
    "best accuracy so far, equal times in any order",
    says="an equally fast and less accurate detector should be beaten",
)
def beaten_cummax_only(milliseconds, accuracies):
    if not len(milliseconds):
        return torch.zeros_like(milliseconds, dtype=torch.bool)
    order = milliseconds.argsort(stable=True)
    best = accuracies[order].cummax(0).values
    stays = torch.zeros_like(milliseconds, dtype=torch.bool)
    stays[order] = accuracies[order] >= best
    return stays


@wrong("8.2", "a grid kept from an earlier call, on the CPU", says="the device should be kept", only_behaviour=True)
def v2_grid_kept(predictions, priors, image_size):
    size = predictions.shape[1:3]
    if size not in _KEPT:
        _KEPT[size] = _corners(torch.zeros(1, *size, 1))
    middle = (_KEPT[size] + predictions[..., :2].sigmoid()) * _cells(predictions, image_size)
    return _boxes(middle, priors * predictions[..., 2:].exp())


@wrong("8.2", "a box no larger than its picture", says="boxes should not be clipped to the picture")
def v2_not_larger(predictions, priors, image_size):
    sides = torch.minimum(priors * predictions[..., 2:].exp(), priors.new_tensor(image_size[::-1]))
    return _boxes(_v2_centres(predictions, image_size), sides)


@wrong(
    "8.3",
    "the larger of 1 and the weight for the responsible box",
    says="a weight above 1 should count as it is, and not for the responsible box",
)
def loss_larger_weight(confidences, owned, overlaps, empty_weight):
    chosen = torch.zeros_like(overlaps).scatter(1, overlaps.argmax(1, keepdim=True), 1.0)
    target, weight = torch.zeros_like(confidences), torch.zeros_like(confidences)
    target[owned], weight[owned] = chosen * overlaps, chosen
    return (weight.clamp(min=empty_weight) * (confidences - target).square()).sum() / len(confidences)


@wrong("8.3", "a weight of at most 1", says="a weight above 1 should count as it is, and not for the responsible box")
def loss_weight_capped(confidences, owned, overlaps, empty_weight):
    return _parts(confidences, owned, overlaps, min(empty_weight, 1.0))


@wrong(
    "8.3", "nobody responsible where the weight is that of all", says="a weight of 1 should leave the target as it is"
)
def loss_found_by_weight(confidences, owned, overlaps, empty_weight):
    chosen = torch.zeros_like(overlaps).scatter(1, overlaps.argmax(1, keepdim=True), 1.0)
    weight, target = torch.full_like(confidences, empty_weight), torch.zeros_like(confidences)
    weight[owned] = chosen + (1 - chosen) * empty_weight
    target[weight != empty_weight] = overlaps[chosen.bool() & (weight[owned] != empty_weight)]
    return (weight * (confidences - target).square()).sum() / len(confidences)


@wrong("8.4", "times equal within a thousandth", says="faster is faster, by however little")
def beaten_close(milliseconds, accuracies):
    same = torch.isclose(milliseconds[:, None], milliseconds, rtol=1e-3)
    no_slower, no_worse = (milliseconds[:, None] < milliseconds) | same, accuracies[:, None] >= accuracies
    better = (milliseconds[:, None] < milliseconds) & ~same | (accuracies[:, None] > accuracies)
    return ~(no_slower & no_worse & better).any(dim=0)


# --- let through in a later round ---------------------------------------------------------------------------------


def _by_rounded(confidences, owned, overlaps, empty_weight, rounded):
    """The loss, the responsible box chosen by other numbers."""
    chosen = torch.zeros_like(overlaps).scatter(1, rounded.argmax(dim=1, keepdim=True), 1.0)
    target, weight = torch.zeros_like(confidences), torch.full_like(confidences, empty_weight)
    target[owned], weight[owned] = chosen * overlaps, chosen + (1 - chosen) * empty_weight
    return (weight * (confidences - target).square()).sum() / len(confidences)


@wrong("8.3", "the best box found in half precision", says="by however little it is better")
def loss_best_half(confidences, owned, overlaps, empty_weight):
    return _by_rounded(confidences, owned, overlaps, empty_weight, overlaps.half())


@wrong("8.3", "the first box that is nearly the best", says="by however little it is better")
def loss_best_close(confidences, owned, overlaps, empty_weight):
    near = torch.isclose(overlaps, overlaps.amax(dim=1, keepdim=True), atol=1e-4)
    return _by_rounded(confidences, owned, overlaps, empty_weight, near.int())


@wrong("8.3", "the best box found in single precision", says="a float64 input should work, and the best box")
def loss_best_single(confidences, owned, overlaps, empty_weight):
    return _by_rounded(confidences, owned, overlaps, empty_weight, overlaps.float())


def _beaten_by(milliseconds, accuracies):
    """The rule, for numbers that were changed before."""
    no_worse = (milliseconds[:, None] <= milliseconds) & (accuracies[:, None] >= accuracies)
    better = (milliseconds[:, None] < milliseconds) | (accuracies[:, None] > accuracies)
    return ~(no_worse & better).any(dim=0)


@wrong("8.4", "in single precision", says="by however little, in float64 too")
def beaten_single(milliseconds, accuracies):
    return _beaten_by(milliseconds.float(), accuracies.float())


@wrong("8.4", "pictures per second", says="by however little")
def beaten_rate(milliseconds, accuracies):
    return _beaten_by(-1000 / milliseconds, accuracies)


@wrong("8.4", "nearly equal accuracies are equal", says="by however little")
def beaten_close_accuracies(milliseconds, accuracies):
    same = torch.isclose(accuracies[:, None], accuracies)
    no_worse = (milliseconds[:, None] <= milliseconds) & ((accuracies[:, None] > accuracies) | same)
    better = (milliseconds[:, None] < milliseconds) | (accuracies[:, None] > accuracies) & ~same
    return ~(no_worse & better).any(dim=0)


@wrong("8.4", "differences below a billionth are nothing", says="by however little, in float64 too")
def beaten_billionth(milliseconds, accuracies):
    slower, better = milliseconds[:, None] - milliseconds, accuracies[:, None] - accuracies
    return ~((slower <= 1e-9) & (better >= -1e-9) & ((slower < -1e-9) | (better > 1e-9))).any(dim=0)
