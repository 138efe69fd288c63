"""Wrong and right answers to lesson 9's exercises."""

import math

import torch
from trials import right, wrong

# --- 9.2 upright_boxes -------------------------------------------------------------------------------------------


def _mirror(boxes, size):
    x1, y1, x2, y2 = boxes.unbind(1)
    return torch.stack([size[1] - x2, y1, size[1] - x1, y2], 1)


def _flip(boxes, size):
    x1, y1, x2, y2 = boxes.unbind(1)
    return torch.stack([x1, size[0] - y2, x2, size[0] - y1], 1)


@right("9.2", "mirrors before the change of places")
def upright_moves(boxes, image_size, orientation):
    if orientation in (2, 3, 7, 8):
        boxes = _mirror(boxes, image_size)
    if orientation in (3, 4, 6, 7):
        boxes = _flip(boxes, image_size)
    return boxes[:, [1, 0, 3, 2]] if orientation > 4 else boxes.clone()


@right("9.2", "a table of formulas")
def upright_table(boxes, image_size, orientation):
    (h, w), (a, b, c, d) = image_size, boxes.unbind(1)
    rows = {
        1: (a, b, c, d),
        2: (w - c, b, w - a, d),
        3: (w - c, h - d, w - a, h - b),
        4: (a, h - d, c, h - b),
        5: (b, a, d, c),
        6: (h - d, a, h - b, c),
        7: (h - d, w - c, h - b, w - a),
        8: (b, w - c, d, w - a),
    }
    return torch.stack(rows[orientation], dim=-1)


@right("9.2", "corners moved, then ordered")
def upright_corners(boxes, image_size, orientation):
    height, width = image_size
    points = boxes.reshape(-1, 2, 2)
    x, y = points[..., 0], points[..., 1]
    x = width - x if orientation in (2, 3, 7, 8) else x
    y = height - y if orientation in (3, 4, 6, 7) else y
    points = torch.stack((y, x) if orientation >= 5 else (x, y), dim=-1)
    return torch.cat([points.amin(dim=1), points.amax(dim=1)], dim=1)


@wrong("9.2", "the boxes as they are", says="orientation 2 should mirror")
def upright_same(boxes, image_size, orientation):
    return boxes.clone()


@wrong("9.2", "zeros of the right shape", says="orientation 1 should change nothing")
def upright_zeros(boxes, image_size, orientation):
    return torch.zeros_like(boxes)


@wrong("9.2", "6 and 8 exchanged", says="a quarter clockwise")
def upright_exchanged(boxes, image_size, orientation):
    return upright_moves(boxes, image_size, {6: 8, 8: 6}.get(orientation, orientation))


@wrong("9.2", "corners not ordered", says="orientation 2 should mirror")
def upright_unordered(boxes, image_size, orientation):
    out = upright_moves(boxes, image_size, orientation)
    return out[:, [2, 1, 0, 3]] if orientation in (2, 3, 7, 8) else out


@wrong("9.2", "height and width exchanged", says="orientation 2 should mirror")
def upright_size(boxes, image_size, orientation):
    return upright_moves(boxes, image_size[::-1], orientation)


@wrong("9.2", "the last pixel's number for the far edge", says="orientation 2 should mirror")
def upright_pixel(boxes, image_size, orientation):
    return upright_moves(boxes, (image_size[0] - 1, image_size[1] - 1), orientation)


@wrong("9.2", "mirrors counted before the turn in the turned picture", says="a quarter clockwise")
def upright_old_size(boxes, image_size, orientation):
    if orientation < 5:
        return upright_moves(boxes, image_size, orientation)
    boxes = boxes[:, [1, 0, 3, 2]]
    boxes = _mirror(boxes, image_size) if orientation in (6, 7) else boxes
    return _flip(boxes, image_size) if orientation in (7, 8) else boxes.clone()


@wrong("9.2", "changed in place", says="unchanged", only_behaviour=True)
def upright_in_place(boxes, image_size, orientation):
    boxes.copy_(upright_moves(boxes, image_size, orientation))
    return boxes


@wrong("9.2", "crashes without boxes", says="no boxes should give")
def upright_crash(boxes, image_size, orientation):
    return torch.stack([upright_moves(box[None], image_size, orientation)[0] for box in boxes])


# --- 9.3 cheapest_threshold --------------------------------------------------------------------------------------


@right("9.3", "a table of candidates")
def cheapest_table(scores, hits, objects, false_alarm, miss):
    levels = torch.cat([scores.new_tensor([math.inf]), scores.unique().flip(0)])
    shown = scores >= levels[:, None]
    good, bad = (shown & hits).sum(1), (shown & ~hits).sum(1)
    return levels[(false_alarm * bad + miss * (objects - good)).argmin()].item()


@right("9.3", "one after the other")
def cheapest_loop(scores, hits, objects, false_alarm, miss):
    cost = {math.inf: miss * objects}
    for level in sorted(set(scores.tolist()), reverse=True):
        above = hits[scores >= level]
        cost[level] = false_alarm * int((~above).sum()) + miss * (objects - int(above.sum()))
    return min(cost, key=cost.get)


@wrong("9.3", "F1's prices", says="a miss costs nothing")
def cheapest_f1(scores, hits, objects, false_alarm, miss):
    return cheapest_loop(scores, hits, objects, 1.0, 1.0)


@wrong("9.3", "the prices exchanged", says="costs")
def cheapest_exchanged(scores, hits, objects, false_alarm, miss):
    return cheapest_loop(scores, hits, objects, miss, false_alarm)


@wrong("9.3", "the lowest of equal costs", says="of equal costs")
def cheapest_lowest(scores, hits, objects, false_alarm, miss):
    levels = [*sorted(set(scores.tolist())), math.inf]
    costs = []
    for level in levels:
        above = hits[scores >= level]
        costs.append(false_alarm * int((~above).sum()) + miss * (objects - int(above.sum())))
    return levels[costs.index(min(costs))]


@wrong("9.3", "never shows nothing", says="a lone false alarm")
def cheapest_never_nothing(scores, hits, objects, false_alarm, miss):
    levels = sorted(set(scores.tolist()), reverse=True)
    costs = []
    for level in levels:
        above = hits[scores >= level]
        costs.append(false_alarm * int((~above).sum()) + miss * (objects - int(above.sum())))
    return levels[costs.index(min(costs))] if levels else math.inf


@wrong("9.3", "equal scores one by one", says="equal scores should be shown together")
def cheapest_one_by_one(scores, hits, objects, false_alarm, miss):
    order = scores.sort(descending=True, stable=True).indices
    good = torch.cat([torch.zeros(1), hits[order].float().cumsum(0)])
    bad = torch.cat([torch.zeros(1), (~hits[order]).float().cumsum(0)])
    levels = torch.cat([torch.tensor([math.inf]), scores[order]])
    return levels[(false_alarm * bad + miss * (objects - good)).argmin()].item()


@wrong("9.3", "shown only above the threshold", says="a lone hit")
def cheapest_above(scores, hits, objects, false_alarm, miss):
    cost = {math.inf: miss * objects}
    for level in sorted(set(scores.tolist()), reverse=True):
        above = hits[scores > level]
        cost[level] = false_alarm * int((~above).sum()) + miss * (objects - int(above.sum()))
    return min(cost, key=cost.get)


@wrong("9.3", "a tensor", says="should be a Python float", only_behaviour=True)
def cheapest_tensor(scores, hits, objects, false_alarm, miss):
    return torch.tensor(cheapest_loop(scores, hits, objects, false_alarm, miss))


@wrong("9.3", "scores not sorted", says="scores should be sorted")
def cheapest_unsorted(scores, hits, objects, false_alarm, miss):
    best, cheapest = math.inf, miss * objects
    for place, score in enumerate(scores.tolist(), start=1):
        good = int(hits[:place].sum())
        cost = false_alarm * (place - good) + miss * (objects - good)
        if cost < cheapest:
            best, cheapest = score, cost
    return best


@wrong("9.3", "crashes without detections", says="without detections")
def cheapest_crash(scores, hits, objects, false_alarm, miss):
    scores.max()
    return cheapest_loop(scores, hits, objects, false_alarm, miss)


# --- 9.4 split_groups --------------------------------------------------------------------------------------------


@right("9.4", "unique, stable sort, isin")
def split_unique(groups, share):
    numbers, sizes = groups.unique(return_counts=True)
    taken, held = [], 0
    for place in sizes.argsort(descending=True, stable=True).tolist():
        if held + int(sizes[place]) <= share * len(groups):
            held += int(sizes[place])
            taken.append(place)
    return torch.isin(groups, numbers[taken])


@right("9.4", "plain counting")
def split_counting(groups, share):
    from collections import Counter

    val = torch.zeros(len(groups), dtype=torch.bool, device=groups.device)
    for group, size in sorted(Counter(groups.tolist()).items(), key=lambda item: (-item[1], item[0])):
        if int(val.sum()) + size <= share * len(groups):
            val |= groups == group
    return val


@wrong("9.4", "pictures, not groups", says="a group")
def split_pictures(groups, share):
    return torch.arange(len(groups), device=groups.device) < int(share * len(groups))


@wrong("9.4", "all train", says="with share 1 all should be val")
def split_nothing(groups, share):
    return torch.zeros(len(groups), dtype=torch.bool, device=groups.device)


@wrong("9.4", "all val", says="with share 0 nothing should be val")
def split_all(groups, share):
    return torch.ones(len(groups), dtype=torch.bool, device=groups.device)


def _rule(groups, share, order, stop=False, over=False):
    numbers, sizes = groups.unique(return_counts=True)
    val, most = torch.zeros(len(groups), dtype=torch.bool, device=groups.device), share * len(groups)
    for place in order(sizes).tolist():
        held = int(val.sum())
        if held < most if over else held + int(sizes[place]) <= most:
            val |= groups == numbers[place]
        elif stop:
            break
    return val


@wrong("9.4", "stops at the first that is too large", says="passed over")
def split_stops(groups, share):
    return _rule(groups, share, lambda sizes: sizes.argsort(descending=True, stable=True), stop=True)


@wrong("9.4", "the smallest first", says="the largest group should come first")
def split_smallest(groups, share):
    return _rule(groups, share, lambda sizes: sizes.argsort(stable=True))


@wrong("9.4", "one group too many", says="val should hold at most its share")
def split_over(groups, share):
    return _rule(groups, share, lambda sizes: sizes.argsort(descending=True, stable=True), over=True)


@wrong("9.4", "of equals the larger number first", says="the smaller number should come first")
def split_ties(groups, share):
    return _rule(groups, share, lambda sizes: sizes.argsort(stable=True).flip(0))


@wrong("9.4", "train and val exchanged", says="with share 0 nothing should be val")
def split_exchanged(groups, share):
    return ~split_unique(groups, share)


@wrong("9.4", "crashes on negative numbers", says="numbers may be negative")
def split_bincount(groups, share):
    if len(groups) and int(groups.max()) < 10**6:
        groups.bincount()
    return split_unique(groups, share)


# --- 9.5 labels_of -----------------------------------------------------------------------------------------------


@right("9.5", "a table of comparisons")
def labels_table(category_ids, categories):
    same = category_ids[:, None] == categories
    place = (same * torch.arange(1, len(categories) + 1, device=categories.device)).sum(dim=1)
    return torch.where(place > 0, place, -1)


@right("9.5", "a dictionary")
def labels_dictionary(category_ids, categories):
    label = {one: c for c, one in enumerate(categories.tolist(), start=1)}
    found = [label.get(one, -1) for one in category_ids.tolist()]
    return torch.tensor(found, dtype=torch.int64, device=category_ids.device)


@wrong("9.5", "counted from 0", says="0 is background")
def labels_from_0(category_ids, categories):
    out = labels_table(category_ids, categories)
    return torch.where(out > 0, out - 1, out)


@wrong("9.5", "the order of the ids", says="the file's order")
def labels_sorted(category_ids, categories):
    return labels_table(category_ids, categories.sort().values)


@wrong("9.5", "the id is the label", says="0 is background")
def labels_id(category_ids, categories):
    return torch.where(torch.isin(category_ids, categories), category_ids, -1)


@wrong("9.5", "the id less the smallest one, plus 1", says="the second declared category")
def labels_gap(category_ids, categories):
    known = torch.isin(category_ids, categories)
    return torch.where(known, category_ids - (categories.min() if len(categories) else 0) + 1, -1)


@wrong("9.5", "unknown ids are background", says="should be −1")
def labels_background(category_ids, categories):
    return labels_table(category_ids, categories).clamp(min=0)


@wrong("9.5", "unknown ids get the first label", says="should be −1")
def labels_first(category_ids, categories):
    return labels_table(category_ids, categories).abs()


@wrong("9.5", "crashes without categories", says="no objects and no categories")
def labels_crash(category_ids, categories):
    same = category_ids[:, None] == categories
    return torch.where(same.any(dim=1), same.int().argmax(dim=1) + 1, -1)


@wrong("9.5", "unknown ids left out", says="should be −1")
def labels_left_out(category_ids, categories):
    out = labels_table(category_ids, categories)
    return out[out > 0]
