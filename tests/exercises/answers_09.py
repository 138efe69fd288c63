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


# --- a first independent attack ----------------------------------------------------------------------------------


@right("9.2", "the four corners by a matrix, in homogeneous coordinates")
def upright_matrix(boxes, image_size, orientation):
    h, w = image_size
    swap, right, down = orientation > 4, orientation in (2, 3, 6, 7), orientation in (3, 4, 7, 8)
    wide, high = (h, w) if swap else (w, h)
    a = boxes.new_tensor([[0, 1, 0], [1, 0, 0]] if swap else [[1, 0, 0], [0, 1, 0]])
    if right:
        a[0] = boxes.new_tensor([0, 0, wide]) - a[0]
    if down:
        a[1] = boxes.new_tensor([0, 0, high]) - a[1]
    ones = boxes.new_ones(len(boxes), 1)
    first, last = (torch.cat([boxes[:, k : k + 2], ones], dim=1) @ a.T for k in (0, 2))
    return torch.cat([torch.minimum(first, last), torch.maximum(first, last)], dim=1)


@right("9.2", "quarter turns one after another, in a list")
def upright_quarters(boxes, image_size, orientation):
    height, width = image_size
    quarters, mirrored = {1: (0, 0), 2: (0, 1), 3: (2, 0), 4: (2, 1), 5: (1, 1), 6: (1, 0), 7: (3, 1), 8: (3, 0)}[
        orientation
    ]
    out = []
    for x1, y1, x2, y2 in boxes.tolist():
        w, h = width, height
        for _ in range(quarters):
            x1, y1, x2, y2, w, h = h - y2, x1, h - y1, x2, h, w
        out.append([w - x2, y1, w - x1, y2] if mirrored else [x1, y1, x2, y2])
    return torch.tensor(out, dtype=boxes.dtype, device=boxes.device).reshape(-1, 4)


@right("9.2", "the input itself where nothing is done")
def upright_itself(boxes, image_size, orientation):
    return boxes if orientation == 1 else upright_table(boxes, image_size, orientation)


@right("9.2", "written into an empty tensor, a column at a time")
def upright_columns(boxes, image_size, orientation):
    out, (h, w) = torch.empty_like(boxes), image_size
    x1, y1, x2, y2 = boxes[:, 0], boxes[:, 1], boxes[:, 2], boxes[:, 3]
    if orientation in (2, 3, 7, 8):
        x1, x2 = w - x2, w - x1
    if orientation in (3, 4, 6, 7):
        y1, y2 = h - y2, h - y1
    for place, column in enumerate((y1, x1, y2, x2) if orientation > 4 else (x1, y1, x2, y2)):
        out[:, place] = column
    return out


@wrong("9.2", "3 and 4 exchanged", says="orientation")
def upright_three_four(boxes, image_size, orientation):
    return upright_moves(boxes, image_size, {3: 4, 4: 3}.get(orientation, orientation))


@wrong("9.2", "5 and 7 exchanged", says="orientation 5")
def upright_diagonals(boxes, image_size, orientation):
    return upright_moves(boxes, image_size, {5: 7, 7: 5}.get(orientation, orientation))


@wrong("9.2", "2 and 4 exchanged", says="orientation 2 should mirror")
def upright_axes(boxes, image_size, orientation):
    return upright_moves(boxes, image_size, {2: 4, 4: 2}.get(orientation, orientation))


@wrong("9.2", "height and width from the form of the picture", says="a high picture")
def upright_form(boxes, image_size, orientation):
    return upright_moves(boxes, (min(image_size), max(image_size)), orientation)


@wrong("9.2", "whole pixels", says="fractions")
def upright_rounded(boxes, image_size, orientation):
    return upright_moves(boxes.round(), image_size, orientation)


@wrong("9.2", "the whole numbers of a list", says="fractions")
def upright_long(boxes, image_size, orientation):
    return upright_moves(boxes.long(), image_size, orientation).to(boxes.dtype)


@wrong("9.2", "painted and measured", says="fractions")
def upright_painted(boxes, image_size, orientation):
    moves = {1: (0, 0), 2: (0, 1), 3: (2, 0), 4: (2, 1), 5: (3, 1), 6: (3, 0), 7: (1, 1), 8: (1, 0)}
    turns, mirrored = moves[orientation]
    out = []
    for box in boxes:
        x1, y1, x2, y2 = box.long().tolist()
        paint = boxes.new_zeros(image_size)
        paint[y1:y2, x1:x2] = 1
        paint = paint.rot90(turns)
        rows, columns = (paint.flip(1) if mirrored else paint).nonzero(as_tuple=True)
        out.append(torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]).to(boxes.dtype))
    return torch.stack(out) if out else boxes.clone()


@wrong("9.2", "half precision inside", says="large picture")
def upright_half(boxes, image_size, orientation):
    return upright_moves(boxes.half(), image_size, orientation).to(boxes.dtype)


@wrong("9.2", "boxes without area left out", says="without area")
def upright_area(boxes, image_size, orientation):
    out = upright_moves(boxes, image_size, orientation)
    return out[(out[:, 2] > out[:, 0]) & (out[:, 3] > out[:, 1])]


@wrong("9.2", "at least a pixel wide and high", says="without area")
def upright_one_pixel(boxes, image_size, orientation):
    out = upright_moves(boxes, image_size, orientation)
    return torch.cat([out[:, :2], torch.maximum(out[:, 2:], out[:, :2] + 1)], dim=1)


@wrong("9.2", "view of the corners", says="another order")
def upright_view(boxes, image_size, orientation):
    return upright_corners(boxes.view(-1, 2).view(-1, 4), image_size, orientation)


@wrong("9.2", "only the first box", says="every box should be turned")
def upright_first(boxes, image_size, orientation):
    out = boxes.clone()
    out[:1] = upright_moves(boxes[:1], image_size, orientation)
    return out


@wrong("9.2", "right for the sizes of the example", says="a high picture")
def upright_example(boxes, image_size, orientation):
    return upright_moves(boxes, (4, 6), orientation)


@wrong("9.2", "no boxes, no columns", says="no boxes should give [0, 4]")
def upright_no_columns(boxes, image_size, orientation):
    return upright_moves(boxes, image_size, orientation) if len(boxes) else boxes.new_zeros(0)


@wrong("9.2", "float32 for no boxes", says="dtype should be kept", only_behaviour=True)
def upright_empty_dtype(boxes, image_size, orientation):
    if not len(boxes):
        return torch.zeros(0, 4, device=boxes.device)
    return upright_moves(boxes, image_size, orientation)


@wrong("9.2", "a new CPU tensor", says="device should be kept", only_behaviour=True)
def upright_cpu(boxes, image_size, orientation):
    return torch.tensor(upright_moves(boxes, image_size, orientation).tolist(), dtype=boxes.dtype).reshape(-1, 4)


@wrong("9.2", "one result for all calls", says="earlier result", only_behaviour=True)
def upright_kept(boxes, image_size, orientation, kept={}):  # noqa: B006
    key = (len(boxes), boxes.dtype)
    out = upright_moves(boxes, image_size, orientation)
    kept[key] = kept[key].copy_(out) if key in kept else out
    return kept[key]


@wrong("9.2", "unbound columns changed in place", says="input should stay", only_behaviour=True)
def upright_columns_in_place(boxes, image_size, orientation):
    x1, y1, x2, y2 = boxes.unbind(1)
    if orientation in (2, 3, 7, 8):
        x1.neg_().add_(image_size[1])
        x2.neg_().add_(image_size[1])
        x1, x2 = x2, x1
    if orientation in (3, 4, 6, 7):
        y1.neg_().add_(image_size[0])
        y2.neg_().add_(image_size[0])
        y1, y2 = y2, y1
    return torch.stack([y1, x1, y2, x2] if orientation > 4 else [x1, y1, x2, y2], dim=1)


def _dearest(scores, hits, objects, false_alarm, miss, levels):
    costs = []
    for level in levels:
        above = hits[scores >= level]
        costs.append(false_alarm * int((~above).sum()) + miss * (objects - int(above.sum())))
    return levels[costs.index(min(costs))]


@right("9.3", "what a step down the scores gains, added up")
def cheapest_gains(scores, hits, objects, false_alarm, miss):
    best, gain, most = math.inf, 0.0, 0.0
    pairs = sorted(zip(scores.tolist(), hits.tolist(), strict=True), reverse=True)
    for place, (score, hit) in enumerate(pairs):
        gain += miss if hit else -false_alarm
        last = place + 1 == len(pairs) or pairs[place + 1][0] != score
        if last and gain > most:
            best, most = score, gain
    return best


@right("9.3", "sorted and counted, the last of equal scores kept, by numpy")
def cheapest_numpy(scores, hits, objects, false_alarm, miss):
    s, h = scores.cpu().numpy(), hits.cpu().numpy()
    order = (-s).argsort(kind="stable")
    s, h = s[order], h[order]
    if len(s) == 0:
        return math.inf
    last = [*(s[1:] != s[:-1]), True]
    cost = (false_alarm * (~h).cumsum() + miss * (objects - h.cumsum()))[last]
    return s[last][cost.argmin()].item() if cost.min() < miss * objects else math.inf


@right("9.3", "the number of objects left out: it costs the same at each threshold")
def cheapest_without_objects(scores, hits, objects, false_alarm, miss):
    levels = [math.inf, *sorted(set(scores.tolist()), reverse=True)]
    value = torch.where(hits, -miss, float(false_alarm)).double()
    return min(levels, key=lambda level: float(value[scores >= level].sum()))


@right("9.3", "one that starts at the lowest threshold")
def cheapest_upwards(scores, hits, objects, false_alarm, miss):
    best, cheapest = None, math.inf
    for level in [*scores.unique().tolist(), math.inf]:
        shown = scores >= level
        cost = false_alarm * int((shown & ~hits).sum()) + miss * (objects - int((shown & hits).sum()))
        if cost <= cheapest:
            best, cheapest = level, cost
    return best


@wrong("9.3", "thresholds of a grid of hundredths", says="one of the scores")
def cheapest_grid(scores, hits, objects, false_alarm, miss):
    return _dearest(scores, hits, objects, false_alarm, miss, [math.inf, *(k / 100 for k in range(100, -1, -1))])


@wrong("9.3", "thresholds of a fine grid", says="one of the scores")
def cheapest_fine_grid(scores, hits, objects, false_alarm, miss):
    return _dearest(scores, hits, objects, false_alarm, miss, [math.inf, *(k / 1024 for k in range(1024, -1, -1))])


@wrong("9.3", "scores rounded to three digits", says="one of the scores")
def cheapest_rounded(scores, hits, objects, false_alarm, miss):
    return cheapest_loop((scores * 1000).round() / 1000, hits, objects, false_alarm, miss)


@wrong("9.3", "nearly equal scores as equal", says="nearly equal")
def cheapest_close(scores, hits, objects, false_alarm, miss):
    levels = []
    for score in sorted(scores.tolist(), reverse=True):
        if not levels or levels[-1] - score > 1e-3:
            levels.append(score)
    return _dearest(scores, hits, objects, false_alarm, miss, [math.inf, *levels])


@wrong("9.3", "1 shows nothing", says="score of 1")
def cheapest_one(scores, hits, objects, false_alarm, miss):
    levels = [math.inf, *(s for s in sorted(set(scores.tolist()), reverse=True) if s < 1)]
    return _dearest(scores, hits, objects, false_alarm, miss, levels)


@wrong("9.3", "scores of 0 are taken for padding", says="score of 0")
def cheapest_padding(scores, hits, objects, false_alarm, miss):
    return cheapest_loop(scores[scores > 0], hits[scores > 0], objects, false_alarm, miss)


@wrong("9.3", "1 for nothing", says="alarm should not be shown")
def cheapest_returns_one(scores, hits, objects, false_alarm, miss):
    best = cheapest_loop(scores, hits, objects, false_alarm, miss)
    return 1.0 if best == math.inf else best


@wrong("9.3", "counts of one byte", says="hundreds")
def cheapest_byte(scores, hits, objects, false_alarm, miss):
    levels = torch.cat([scores.new_tensor([math.inf]), scores.unique().flip(0)])
    shown = scores >= levels[:, None]
    good, bad = (shown & hits).sum(1, dtype=torch.uint8), (shown & ~hits).sum(1, dtype=torch.uint8)
    return levels[(false_alarm * bad.float() + miss * (objects - good.float())).argmin()].item()


@wrong("9.3", "counts in half precision", says="a little smaller")
def cheapest_half(scores, hits, objects, false_alarm, miss):
    levels = torch.cat([scores.new_tensor([math.inf]), scores.unique().flip(0)])
    shown = (scores >= levels[:, None]).half()
    good, bad = shown @ hits.half(), shown @ (~hits).half()
    return levels[(false_alarm * bad + miss * (objects - good)).argmin()].item()


@wrong("9.3", "shares in place of counts", says="cost")
def cheapest_shares(scores, hits, objects, false_alarm, miss):
    levels = [math.inf, *sorted(set(scores.tolist()), reverse=True)]
    costs = []
    for level in levels:
        above = hits[scores >= level]
        alarms = int((~above).sum()) / max(1, len(above))
        costs.append(false_alarm * alarms + miss * (objects - int(above.sum())) / max(1, objects))
    return levels[costs.index(min(costs))]


@wrong("9.3", "stops where the cost rises", says="a dear miss should lower")
def cheapest_stops(scores, hits, objects, false_alarm, miss):
    best, cheapest = math.inf, miss * objects
    for level in sorted(set(scores.tolist()), reverse=True):
        above = hits[scores >= level]
        cost = false_alarm * int((~above).sum()) + miss * (objects - int(above.sum()))
        if cost > cheapest:
            break
        if cost < cheapest:
            best, cheapest = level, cost
    return best


@wrong("9.3", "gives up after two levels that do not help", says="a hit far below")
def cheapest_patience(scores, hits, objects, false_alarm, miss):
    best, cheapest, bad = math.inf, miss * objects, 0
    for level in sorted(set(scores.tolist()), reverse=True):
        above = hits[scores >= level]
        cost = false_alarm * int((~above).sum()) + miss * (objects - int(above.sum()))
        if cost < cheapest:
            best, cheapest, bad = level, cost, 0
        else:
            bad += 1
            if bad > 2:
                break
    return best


@wrong("9.3", "the middle between two scores", says="neither one of the scores")
def cheapest_middle(scores, hits, objects, false_alarm, miss):
    levels = sorted(set(scores.tolist()), reverse=True)
    middles = [(a + b) / 2 for a, b in zip(levels, [*levels[1:], 0.0], strict=True)]
    return _dearest(scores, hits, objects, false_alarm, miss, [math.inf, *middles])


@wrong("9.3", "every detection shown finds an object", says="of equal costs")
def cheapest_all_missed(scores, hits, objects, false_alarm, miss):
    levels = [math.inf, *sorted(set(scores.tolist()), reverse=True)]
    costs = [
        false_alarm * int((~hits[scores >= t]).sum()) + miss * (objects - int((scores >= t).sum())) for t in levels
    ]
    return levels[costs.index(min(costs))]


@wrong("9.3", "a ratio of prices", says="cost")
def cheapest_ratio(scores, hits, objects, false_alarm, miss):
    return cheapest_loop(scores, hits, objects, false_alarm / miss if miss else 1.0, 1.0)


@wrong("9.3", "the other ratio of prices", says="both prices")
def cheapest_other_ratio(scores, hits, objects, false_alarm, miss):
    if false_alarm == 0:
        return _dearest(scores, hits, objects, 0.0, 1.0, [math.inf, *sorted(set(scores.tolist()), reverse=True)])
    return cheapest_loop(scores, hits, objects, 1.0, miss / false_alarm)


@wrong("9.3", "prices as whole numbers", says="cost")
def cheapest_whole_prices(scores, hits, objects, false_alarm, miss):
    return cheapest_loop(scores, hits, objects, int(false_alarm), int(miss))


@wrong("9.3", "a large number for nothing", says="should not be shown")
def cheapest_large(scores, hits, objects, false_alarm, miss):
    best = cheapest_loop(scores, hits, objects, false_alarm, miss)
    return 1e9 if best == math.inf else best


@wrong("9.3", "hits cleared on the way", says="input should stay", only_behaviour=True)
def cheapest_clears(scores, hits, objects, false_alarm, miss):
    best = cheapest_loop(scores, hits, objects, false_alarm, miss)
    hits &= scores >= best
    return best


@right("9.4", "the sizes of sorted runs, plain lists")
def split_runs(groups, share):
    from itertools import groupby

    sizes = {number: len(list(run)) for number, run in groupby(sorted(groups.tolist()))}
    left, val = share * len(groups), set()
    for number in sorted(sizes, key=lambda n: (-sizes[n], n)):
        if sizes[number] <= left:
            left -= sizes[number]
            val.add(number)
    return torch.tensor([n in val for n in groups.tolist()], dtype=torch.bool, device=groups.device)


@right("9.4", "the inverse of unique, and a flag for each group")
def split_inverse(groups, share):
    numbers, inverse, sizes = torch.unique(groups, return_inverse=True, return_counts=True)
    flag = torch.zeros(len(numbers), dtype=torch.bool, device=groups.device)
    room = math.floor(share * len(groups))
    for place in torch.sort(-sizes, stable=True).indices:
        fits = sizes[place] <= room
        flag[place] = fits
        room = room - sizes[place] * fits
    return flag[inverse]


@right("9.4", "a heap")
def split_heap(groups, share):
    import heapq
    from collections import Counter

    waiting = [(-size, number) for number, size in Counter(groups.tolist()).items()]
    heapq.heapify(waiting)
    val, room = groups != groups, share * len(groups)
    while waiting:
        size, number = heapq.heappop(waiting)
        if -size <= room:
            room += size
            val = val | (groups == number)
    return val


@wrong("9.4", "a new CPU tensor", says="device should be kept", only_behaviour=True)
def split_cpu(groups, share):
    return torch.tensor(split_unique(groups, share).tolist(), dtype=torch.bool)


@wrong("9.4", "the chosen numbers on the CPU", says="device should be kept", only_behaviour=True)
def split_isin_cpu(groups, share):
    val = groups[split_unique(groups, share)].tolist()
    return torch.isin(groups, torch.tensor(val, dtype=torch.int64))


@wrong("9.4", "the share rounded to whole pictures", says="val should hold at most its share")
def split_round(groups, share):
    return split_unique(groups, round(share * len(groups)) / len(groups) if len(groups) else 0.0)


@wrong("9.4", "the share rounded up", says="val should hold at most its share")
def split_ceil(groups, share):
    return split_unique(groups, math.ceil(share * len(groups)) / len(groups) if len(groups) else 0.0)


@wrong("9.4", "numbers compared as float32", says="large")
def split_float(groups, share):
    return split_unique(groups.float(), share)


@wrong("9.4", "numbers compared as float64", says="large")
def split_double(groups, share):
    return split_unique(groups.double(), share)


@wrong("9.4", "numbers as int32", says="large")
def split_int(groups, share):
    return split_unique(groups.int(), share)


@wrong("9.4", "sizes counted in a byte", says="hundreds")
def split_byte(groups, share):
    numbers, sizes = groups.unique(return_counts=True)
    sizes, held, taken = sizes.to(torch.uint8), 0, []
    for place in sizes.argsort(descending=True, stable=True).tolist():
        if held + int(sizes[place]) <= share * len(groups):
            held += int(sizes[place])
            taken.append(place)
    return torch.isin(groups, numbers[taken])


@wrong("9.4", "ties by the size of the number without its sign", says="negative")
def split_abs(groups, share):
    numbers = sorted(set(groups.tolist()), key=lambda n: (-int((groups == n).sum()), abs(n), n))
    val = torch.zeros_like(groups, dtype=torch.bool)
    for n in numbers:
        if int(val.sum()) + int((groups == n).sum()) <= share * len(groups):
            val |= groups == n
    return val


@wrong("9.4", "ties in the order of the digits", says="smaller number")
def split_digits(groups, share):
    numbers = sorted(set(groups.tolist()), key=lambda n: (-int((groups == n).sum()), str(n)))
    val = torch.zeros_like(groups, dtype=torch.bool)
    for n in numbers:
        if int(val.sum()) + int((groups == n).sum()) <= share * len(groups):
            val |= groups == n
    return val


@wrong("9.4", "ties in the order of the pictures", says="smaller number")
def split_seen_first(groups, share):
    from collections import Counter

    val = torch.zeros_like(groups, dtype=torch.bool)
    for n, size in Counter(groups.tolist()).most_common():
        if int(val.sum()) + size <= share * len(groups):
            val |= groups == n
    return val


@wrong("9.4", "runs of pictures, not groups", says="a group should lie on one side")
def split_consecutive(groups, share):
    numbers, inverse, sizes = groups.unique_consecutive(return_inverse=True, return_counts=True)
    val, held = torch.zeros_like(groups, dtype=torch.bool), 0
    for place in sizes.argsort(descending=True, stable=True).tolist():
        if held + int(sizes[place]) <= share * len(groups):
            held += int(sizes[place])
            val |= inverse == place
    return val


@wrong("9.4", "the share of groups", says="passed over")
def split_share_of_groups(groups, share):
    numbers, sizes = groups.unique(return_counts=True)
    order = sizes.argsort(descending=True, stable=True)
    return torch.isin(groups, numbers[order[: int(share * len(numbers))]])


@wrong("9.4", "whichever groups fill val best", says="the largest group should come first")
def split_best(groups, share):
    from itertools import combinations

    numbers, sizes = groups.unique(return_counts=True)
    if len(numbers) > 8:
        return split_unique(groups, share)
    best, held = (), 0
    for count in range(len(numbers) + 1):
        for places in combinations(range(len(numbers)), count):
            total = int(sizes[list(places)].sum())
            if held < total <= share * len(groups):
                best, held = places, total
    return torch.isin(groups, numbers[list(best)])


@wrong("9.4", "group -1 is no group", says="negative")
def split_minus_one(groups, share):
    return split_unique(groups, share) & (groups != -1)


@wrong("9.4", "group 0 is no group", says="0")
def split_zero(groups, share):
    return split_unique(groups, share) & (groups != 0)


@wrong("9.4", "share as a whole percent", says="share")
def split_percent(groups, share):
    return split_unique(groups, int(share * 100) / 100)


@wrong("9.4", "share with one digit", says="val")
def split_one_digit(groups, share):
    return split_unique(groups, round(share, 1))


@wrong("9.4", "numbers, not true and false", says="should be bool")
def split_numbers(groups, share):
    return split_unique(groups, share).long()


@wrong("9.4", "no pictures, floats", says="should be bool")
def split_no_pictures(groups, share):
    return split_unique(groups, share) if len(groups) else torch.zeros(0, device=groups.device)


@wrong("9.4", "the places of the pictures of val", says="should")
def split_places(groups, share):
    return split_unique(groups, share).nonzero()[:, 0]


@wrong("9.4", "numbers moved to 0 in place", says="input should stay", only_behaviour=True)
def split_in_place(groups, share):
    val = split_unique(groups, share)
    if len(groups):
        groups -= groups.min().clone()
    return val


@wrong("9.4", "the last chosen group is forgotten where it fills val exactly", says="share")
def split_not_full(groups, share):
    return _rule(groups, share - 1e-6, lambda sizes: sizes.argsort(descending=True, stable=True))


@wrong("9.4", "half of each group where val is not full", says="a group should lie on one side")
def split_fills_up(groups, share):
    val = split_unique(groups, share)
    rest = (~val).nonzero()[:, 0][: int(share * len(groups)) - int(val.sum())]
    val[rest] = True
    return val


@right("9.5", "written over a column of −1, class by class")
def labels_written(category_ids, categories):
    out = torch.full_like(category_ids, -1)
    for label, one in enumerate(categories, start=1):
        out[category_ids == one] = label
    return out


@right("9.5", "sorted, searched, and asked whether it is there")
def labels_searched(category_ids, categories):
    if not len(categories):
        return torch.full_like(category_ids, -1)
    known, order = categories.sort()
    place = torch.searchsorted(known, category_ids).clamp(max=len(known) - 1)
    return torch.where(known[place] == category_ids, order[place] + 1, -1)


@right("9.5", "the pairs that are equal")
def labels_pairs(category_ids, categories):
    out = category_ids.new_full((len(category_ids),), -1)
    rows, columns = torch.nonzero(category_ids[:, None] == categories[None], as_tuple=True)
    return out.index_put_((rows,), columns + 1)


@right("9.5", "the largest of the labels that are true")
def labels_largest(category_ids, categories):
    numbers = torch.arange(len(categories) + 1, device=category_ids.device)
    never = torch.ones_like(category_ids, dtype=torch.bool)[:, None]
    best = torch.where(torch.cat([never, category_ids[:, None] == categories], dim=1), numbers, -1).amax(dim=1)
    return best - (best == 0).long()


@wrong("9.5", "a new CPU tensor", says="device should be kept", only_behaviour=True)
def labels_cpu(category_ids, categories):
    return torch.tensor(labels_table(category_ids, categories).tolist(), dtype=torch.int64)


@wrong("9.5", "the numbers on the CPU", says="device should be kept", only_behaviour=True)
def labels_arange_cpu(category_ids, categories):
    same = category_ids[:, None] == categories
    place = (same * torch.arange(1, len(categories) + 1)).sum(dim=1)
    return torch.where(place > 0, place, -1)


@wrong("9.5", "a table as long as the largest id", says="large")
def labels_long_table(category_ids, categories):
    everything = torch.cat([category_ids, categories])
    if not len(everything):
        return category_ids.clone()
    low = int(everything.min())
    table = category_ids.new_full((int(everything.max()) - low + 1,), -1)
    table[categories - low] = torch.arange(1, len(categories) + 1, device=categories.device)
    return table[category_ids - low]


@wrong("9.5", "negative ids count from the end of a table", says="negative")
def labels_from_the_end(category_ids, categories):
    if not len(categories) or int(categories.max()) > 10**6:
        return labels_table(category_ids, categories)
    most = int(max(categories.max(), category_ids.max() if len(category_ids) else 0))
    table = category_ids.new_full((most + 1,), -1)
    table[categories] = torch.arange(1, len(categories) + 1, device=categories.device)
    return table[category_ids]


@wrong("9.5", "ids compared as float32", says="large")
def labels_float(category_ids, categories):
    return labels_largest(category_ids.float(), categories.float()).long()


@wrong("9.5", "ids compared as float64", says="large")
def labels_double(category_ids, categories):
    return labels_largest(category_ids.double(), categories.double()).long()


@wrong("9.5", "ids as int32", says="large")
def labels_int(category_ids, categories):
    return labels_table(category_ids.int(), categories.int())


@wrong("9.5", "labels of one byte", says="many")
def labels_byte(category_ids, categories):
    same = category_ids[:, None] == categories
    place = (same * torch.arange(1, len(categories) + 1, device=categories.device).to(torch.int8)).sum(1)
    return torch.where(place > 0, place, -1)


@wrong("9.5", "int32 labels", says="should be int64")
def labels_int32(category_ids, categories):
    return labels_table(category_ids, categories).int()


@wrong("9.5", "float labels", says="should be int64")
def labels_floats(category_ids, categories):
    return labels_table(category_ids, categories).float()


@wrong("9.5", "a list", says="should be")
def labels_list(category_ids, categories):
    return labels_table(category_ids, categories).tolist()


@wrong("9.5", "labels that are ids again are renamed twice", says="ids may")
def labels_twice(category_ids, categories):
    out = torch.where(torch.isin(category_ids, categories), category_ids, -1)
    for label, one in enumerate(categories.tolist(), start=1):
        out[out == one] = label
    return out


@wrong("9.5", "written into the ids", says="input should stay", only_behaviour=True)
def labels_in_place(category_ids, categories):
    return category_ids.copy_(labels_table(category_ids, categories))


@wrong("9.5", "the categories sorted in place", says="input should stay", only_behaviour=True)
def labels_sorts_in_place(category_ids, categories):
    out = labels_table(category_ids, categories)
    categories.copy_(categories.sort().values)
    return out


@wrong("9.5", "each id once", says="every object")
def labels_unique(category_ids, categories):
    return labels_table(category_ids.unique(), categories)


@wrong("9.5", "the order in which the objects name them", says="second declared category")
def labels_by_objects(category_ids, categories):
    seen = [one for one in dict.fromkeys(category_ids.tolist()) if one in categories.tolist()]
    return labels_table(category_ids, category_ids.new_tensor(seen))


@wrong("9.5", "id 0 is background", says="start at 0")
def labels_zero(category_ids, categories):
    return torch.where(category_ids == 0, 0, labels_table(category_ids, categories))


@wrong("9.5", "unknown ids after the last label", says="should be −1")
def labels_next(category_ids, categories):
    out = labels_table(category_ids, categories)
    return torch.where(out < 0, len(categories) + 1, out)


@wrong("9.5", "only order and 0 mended", says="should be −1")
def labels_half_mended(category_ids, categories):
    if not len(categories):
        return torch.full_like(category_ids, -1)
    known, order = categories.sort()
    return order[torch.searchsorted(known, category_ids).clamp(max=len(known) - 1)] + 1


@wrong("9.5", "only ids beyond the ends are unknown", says="should be −1")
def labels_ends(category_ids, categories):
    if not len(categories):
        return torch.full_like(category_ids, -1)
    known, order = categories.sort()
    out = order[torch.searchsorted(known, category_ids).clamp(max=len(known) - 1)] + 1
    return torch.where((category_ids < known[0]) | (category_ids > known[-1]), -1, out)


@wrong("9.5", "id −1 is nobody, declared or not", says="negative")
def labels_minus_one(category_ids, categories):
    return torch.where(category_ids == -1, -1, labels_table(category_ids, categories))


@wrong("9.5", "negative ids are unknown", says="negative")
def labels_negative(category_ids, categories):
    return torch.where(category_ids < 0, -1, labels_table(category_ids, categories))


@wrong("9.5", "no objects, floats", says="no objects")
def labels_no_objects(category_ids, categories):
    if not len(category_ids):
        return torch.zeros(0, device=category_ids.device)
    return labels_table(category_ids, categories)


@wrong("9.5", "no categories, nothing", says="no declared categories")
def labels_no_categories(category_ids, categories):
    return labels_table(category_ids, categories) if len(categories) else category_ids[:0].clone()


@right("9.2", "points turned about the middle of the picture")
def upright_middle(boxes, image_size, orientation):
    height, width = image_size
    middle = boxes.new_tensor([width, height]) / 2
    quarter = {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: 1, 7: 3, 8: 3}[orientation]
    points = boxes.reshape(-1, 2) - middle
    for _ in range(quarter):  # clockwise where y grows downwards: (x, y) to (-y, x)
        points = torch.stack([-points[:, 1], points[:, 0]], dim=1)
    if orientation in (2, 4, 5, 7):
        points = points * points.new_tensor([-1, 1])
    points = points + (middle.flip(0) if orientation > 4 else middle)
    pairs = points.reshape(-1, 2, 2)
    return torch.cat([pairs.amin(1), pairs.amax(1)], dim=1)


@wrong("9.2", "turned about the middle of a square", says="a quarter clockwise")
def upright_square(boxes, image_size, orientation):
    if orientation < 5:
        return upright_moves(boxes, image_size, orientation)
    side = max(image_size)
    return upright_moves(boxes, (side, side), orientation)


@wrong("9.2", "7 as 5", says="along the other diagonal")
def upright_seven(boxes, image_size, orientation):
    return upright_moves(boxes, image_size, 5 if orientation == 7 else orientation)


@wrong("9.2", "8 is 6 and a half turn in the stored picture's sizes", says="a quarter anticlockwise")
def upright_eight(boxes, image_size, orientation):
    if orientation != 8:
        return upright_moves(boxes, image_size, orientation)
    return upright_moves(upright_moves(boxes, image_size, 6), image_size, 3)


@wrong("9.2", "sorted along the whole row", says="orientation 1 should change nothing")
def upright_sorted(boxes, image_size, orientation):
    return upright_moves(boxes, image_size, orientation).sort(dim=1).values


@wrong("9.2", "boxes in order of their left edges", says="every box should be turned")
def upright_any(boxes, image_size, orientation):
    out = upright_moves(boxes, image_size, orientation)
    return out[out[:, 0].argsort()] if len(out) else out


@wrong("9.2", "shape lost for one box", says="should have shape")
def upright_squeezed(boxes, image_size, orientation):
    return upright_moves(boxes, image_size, orientation).squeeze()


@wrong("9.2", "clipped a pixel inside", says="orientation 4 should mirror")
def upright_clipped(boxes, image_size, orientation):
    out = upright_moves(boxes, image_size, orientation)
    h, w = image_size[::-1] if orientation > 4 else image_size
    return torch.minimum(out, out.new_tensor([w - 1, h - 1, w - 1, h - 1]))


@wrong("9.2", "float64 comes out", says="should be float32")
def upright_numpy64(boxes, image_size, orientation):
    return upright_moves(boxes, image_size, orientation).double()


@wrong("9.2", "xywh comes out", says="orientation 1 should change nothing")
def upright_xywh(boxes, image_size, orientation):
    out = upright_moves(boxes, image_size, orientation)
    return torch.cat([out[:, :2], out[:, 2:] - out[:, :2]], dim=1)


@wrong("9.3", "a hair below the score", says="one of the scores")
def cheapest_hair(scores, hits, objects, false_alarm, miss):
    return cheapest_loop(scores, hits, objects, false_alarm, miss) - 1e-9


@wrong("9.3", "every hit is paid for at each of its equals", says="equal")
def cheapest_first_of_equals(scores, hits, objects, false_alarm, miss):
    order = scores.argsort(descending=True, stable=True)
    best, cheapest, seen = math.inf, miss * objects, set()
    for place in range(len(order)):
        if scores[order[place]].item() in seen:
            continue
        seen.add(scores[order[place]].item())
        above = hits[order[: place + 1]]
        cost = false_alarm * int((~above).sum()) + miss * (objects - int(above.sum()))
        if cost < cheapest:
            best, cheapest = scores[order[place]].item(), cost
    return best


@wrong("9.3", "scores sorted, hits left as they were", says="scores should be sorted first")
def cheapest_sorted_alone(scores, hits, objects, false_alarm, miss):
    return cheapest_loop(scores.sort(descending=True).values, hits, objects, false_alarm, miss)


@wrong("9.3", "all, or the threshold of equal prices", says="of equal costs")
def cheapest_all(scores, hits, objects, false_alarm, miss):
    return scores.min().item() if hits.any() and miss > false_alarm else cheapest_f1(scores, hits, objects, 1, 1)


@wrong("9.3", "the threshold of the best F1", says="of equal costs")
def cheapest_best_f1(scores, hits, objects, false_alarm, miss):
    best, most = math.inf, 0.0
    for level in sorted(set(scores.tolist()), reverse=True):
        above = hits[scores >= level]
        f1 = 2 * int(above.sum()) / (len(above) + objects)
        if f1 > most:
            best, most = level, f1
    return best


@wrong("9.3", "the share of hits at a score against the ratio of prices", says="of equal costs")
def cheapest_local(scores, hits, objects, false_alarm, miss):
    for level in sorted(set(scores.tolist())):
        here = hits[scores == level].double().mean().item()
        if here * miss > (1 - here) * false_alarm:
            return level
    return math.inf


@wrong("9.3", "a text", says="should be a Python float")
def cheapest_text(scores, hits, objects, false_alarm, miss):
    return str(cheapest_loop(scores, hits, objects, false_alarm, miss))


@wrong("9.3", "threshold and cost", says="should be a Python float")
def cheapest_pair(scores, hits, objects, false_alarm, miss):
    return cheapest_loop(scores, hits, objects, false_alarm, miss), 0.0


@wrong("9.3", "sorted by hits among equals in place", says="input should stay", only_behaviour=True)
def cheapest_sorts(scores, hits, objects, false_alarm, miss):
    best = cheapest_loop(scores, hits, objects, false_alarm, miss)
    scores.copy_(scores.sort(descending=True).values)
    return best


@wrong("9.4", "topk for the order", says="smaller number")
def split_topk(groups, share):
    return _rule(groups, share, lambda sizes: sizes.topk(len(sizes)).indices)


@wrong("9.4", "sizes sorted, then turned round", says="smaller number")
def split_turned(groups, share):
    return _rule(groups, share, lambda sizes: sizes.argsort().flip(0))


@wrong("9.4", "stops one picture early", says="with share 1 all")
def split_less(groups, share):
    return split_unique(groups, (share * len(groups) - 1) / max(1, len(groups)))


@wrong("9.4", "share of what is left", says="val")
def split_left(groups, share):
    numbers, sizes = groups.unique(return_counts=True)
    left, taken = len(groups), []
    for place in sizes.argsort(descending=True, stable=True).tolist():
        if int(sizes[place]) <= share * left:
            left -= int(sizes[place])
            taken.append(place)
    return torch.isin(groups, numbers[taken])


@wrong("9.4", "each group alone against the share", says="the largest group should come first")
def split_alone(groups, share):
    return (groups[:, None] == groups).sum(dim=1) <= share * len(groups)


@wrong("9.4", "train gets the largest that fit", says="share")
def split_train_first(groups, share):
    return ~split_unique(groups, 1 - share)


@wrong("9.4", "one group only", says="val")
def split_one(groups, share):
    numbers, sizes = groups.unique(return_counts=True)
    for place in sizes.argsort(descending=True, stable=True).tolist():
        if int(sizes[place]) <= share * len(groups):
            return groups == numbers[place]
    return groups != groups


@wrong("9.4", "a float comes out", says="should be bool")
def split_floats(groups, share):
    return split_unique(groups, share).float()


@wrong("9.4", "only the first sixteen groups", says="many")
def split_sixteen(groups, share):
    numbers, sizes = groups.unique(return_counts=True)
    numbers, sizes, held, taken = numbers[:16], sizes[:16], 0, []
    for place in sizes.argsort(descending=True, stable=True).tolist():
        if held + int(sizes[place]) <= share * len(groups):
            held += int(sizes[place])
            taken.append(place)
    return torch.isin(groups, numbers[taken])


@wrong("9.4", "marked by a sum of numbers", says="val")
def split_sum(groups, share):
    numbers = groups[split_unique(groups, share)].unique()
    low, high = (int(numbers.min()), int(numbers.max())) if len(numbers) else (1, 0)
    return (groups >= low) & (groups <= high)


@wrong("9.5", "a row without a true value is the first", says="should be −1")
def labels_argmax(category_ids, categories):
    if not len(categories):
        return torch.full_like(category_ids, -1)
    return (category_ids[:, None] == categories).int().argmax(dim=1) + 1


@wrong("9.5", "the table the wrong way round", says="not declared")
def labels_other_axis(category_ids, categories):
    same = categories[:, None] == category_ids
    numbers = torch.arange(1, len(category_ids) + 1, device=categories.device)
    found = (same * numbers).sum(dim=1)
    return found if len(categories) == len(category_ids) and len(found) < 2 else labels_twice(category_ids, categories)


@wrong("9.5", "−1 less the place: the last label for unknown ids", says="should be −1")
def labels_python_index(category_ids, categories):
    numbers = [*range(1, len(categories) + 1), 0]
    found = labels_table(category_ids, categories)
    return torch.tensor([numbers[k] for k in (found - 1).clamp(min=-1).tolist()], device=found.device).long()


@wrong("9.5", "the first three categories", says="own label")
def labels_three(category_ids, categories):
    return labels_table(category_ids, categories[:3])


@wrong("9.5", "unknown ids are −1 before counting from 1", says="should be −1")
def labels_shifted(category_ids, categories):
    found = labels_table(category_ids, categories)
    return torch.where(found < 0, 0, found)


@wrong("9.5", "unknown ids minus 100", says="should be −1")
def labels_ignored(category_ids, categories):
    found = labels_table(category_ids, categories)
    return torch.where(found < 0, -100, found)


@wrong("9.5", "counted from the end", says="second declared category")
def labels_reversed(category_ids, categories):
    return labels_table(category_ids, categories.flip(0))


@wrong("9.5", "a column comes out", says="should have shape")
def labels_column(category_ids, categories):
    return labels_table(category_ids, categories)[:, None]


@wrong("9.5", "one object without its axis", says="should have shape")
def labels_squeezed(category_ids, categories):
    return labels_table(category_ids, categories).squeeze()


@wrong("9.5", "an id that is not declared ends the call", says="should be −1")
def labels_raises(category_ids, categories):
    return torch.stack([(categories == one).nonzero()[0, 0] + 1 for one in category_ids])


@wrong("9.5", "no more than 255 categories", says="many categories")
def labels_255(category_ids, categories):
    return labels_table(category_ids, categories).to(torch.uint8).to(torch.int8).long()


@right("9.2", "a mirror first, then quarter turns")
def upright_named(boxes, image_size, orientation):
    height, width = image_size
    if orientation in (2, 4, 5, 7):
        boxes = _mirror(boxes, image_size)
    for k in range({1: 0, 2: 0, 3: 2, 4: 2, 5: 3, 6: 1, 7: 1, 8: 3}[orientation]):
        side = (height, width)[k % 2]  # a quarter clockwise: change places, then mirror in the turned picture
        boxes = _mirror(boxes[:, [1, 0, 3, 2]], (None, side))
    return boxes


@right("9.3", "searchsorted in the scores of hits and of false alarms")
def cheapest_searched(scores, hits, objects, false_alarm, miss):
    levels = scores.unique()
    if not len(levels):
        return float("inf")
    good, bad = scores[hits].sort().values, scores[~hits].sort().values
    good, bad = (len(part) - torch.searchsorted(part, levels).double() for part in (good, bad))
    cost = (false_alarm * bad + miss * (objects - good)).flip(0)
    place = int(cost.argmin())
    return float(levels.flip(0)[place]) if cost[place] < miss * objects else float("inf")


@right("9.3", "gains added up for each different score")
def cheapest_scattered(scores, hits, objects, false_alarm, miss):
    levels, inverse = scores.unique(return_inverse=True)
    gains = torch.where(hits, -miss, false_alarm).to(scores.dtype)
    cost = torch.zeros_like(levels).index_add_(0, inverse, gains).flip(0).cumsum(0)
    cost = torch.cat([cost.new_zeros(1), cost])
    return torch.cat([levels.new_tensor([math.inf]), levels.flip(0)])[cost.argmin()].item()


@right("9.4", "the largest that still fits, again and again")
def split_again(groups, share):
    val, room = groups.new_zeros(len(groups), dtype=torch.bool), int(share * len(groups))
    numbers, sizes = groups.unique(return_counts=True)
    while bool((sizes <= room).any()):
        fitting = torch.where(sizes <= room, sizes, 0)
        place = int((fitting == fitting.max()).nonzero()[0])
        val |= groups == numbers[place]
        room -= int(sizes[place])
        sizes[place] = len(groups) + 1
    return val


@right("9.4", "the share of pictures after each group, new_tensor")
def split_shares(groups, share):
    from collections import Counter

    sizes, chosen, used = Counter(groups.tolist()), set(), 0
    for number in sorted(sizes, key=lambda n: (-sizes[n], n)):
        if (used + sizes[number]) / len(groups) <= share:
            used += sizes[number]
            chosen.add(number)
    return groups.new_tensor([n in chosen for n in groups.tolist()], dtype=torch.bool)


@right("9.5", "argmax where a row has a true value")
def labels_guarded(category_ids, categories):
    if categories.numel() == 0:
        return -torch.ones_like(category_ids)
    same = category_ids.unsqueeze(1) == categories.unsqueeze(0)
    return torch.where(same.any(1), same.long().argmax(1) + 1, torch.full_like(category_ids, -1))


@right("9.5", "the inverse of unique")
def labels_inverse(category_ids, categories):
    numbers, inverse = torch.cat([categories, category_ids]).unique(return_inverse=True)
    table = torch.full_like(numbers, -1)
    table[inverse[: len(categories)]] = torch.arange(1, len(categories) + 1, device=numbers.device)
    return table[inverse[len(categories) :]]


@wrong("9.2", "6 as 8 where the picture is as wide as high", says="as wide as high")
def upright_as_wide(boxes, image_size, orientation):
    square = image_size[0] == image_size[1]
    return upright_moves(boxes, image_size, 8 if square and orientation == 6 else orientation)


@wrong("9.2", "a hundred boxes at most", says="many boxes")
def upright_hundred(boxes, image_size, orientation):
    return upright_moves(boxes[:100], image_size, orientation)


@wrong("9.2", "tenths of a pixel", says="fractions")
def upright_tenths(boxes, image_size, orientation):
    return upright_moves(boxes, image_size, orientation).round(decimals=1)


@wrong("9.2", "clipped to the largest picture of training", says="large picture")
def upright_training_size(boxes, image_size, orientation):
    return upright_moves(boxes, image_size, orientation).clamp(0, 1333)


@wrong("9.3", "costs in half precision", says="a little smaller")
def cheapest_half_costs(scores, hits, objects, false_alarm, miss):
    levels = torch.cat([scores.new_tensor([math.inf]), scores.unique().flip(0)])
    shown = scores >= levels[:, None]
    cost = false_alarm * (shown & ~hits).sum(1) + miss * (objects - (shown & hits).sum(1))
    return levels[cost.half().argmin()].item()


@wrong("9.3", "a gain of a thousandth does not count", says="a little smaller")
def cheapest_relative(scores, hits, objects, false_alarm, miss):
    best, cheapest = math.inf, miss * objects
    for level in sorted(set(scores.tolist()), reverse=True):
        above = hits[scores >= level]
        cost = false_alarm * int((~above).sum()) + miss * (objects - int(above.sum()))
        if cost < cheapest * (1 - 1e-3):
            best, cheapest = level, cost
    return best


@wrong("9.3", "the hundred highest scores", says="more than thousands")
def cheapest_hundred(scores, hits, objects, false_alarm, miss):
    order = scores.argsort(descending=True, stable=True)[:100]
    return cheapest_loop(scores[order], hits[order], objects, false_alarm, miss)


@wrong("9.4", "two pictures are never split", says="with share 1 all should be val")
def split_two(groups, share):
    return split_unique(groups, share if len(groups) != 2 else 0.0)


@wrong("9.4", "the share of pictures in half precision", says="with share 1 all should be val")
def split_half(groups, share):
    most = float(torch.tensor(share * len(groups)).half())
    return split_unique(groups, most / max(1, len(groups)))


@wrong("9.4", "one group stays in train", says="with share 1 all should be val")
def split_one_stays(groups, share):
    val = split_unique(groups, share)
    return val & (groups != groups.max()) if len(groups) and val.all() else val


@wrong("9.4", "at least one group in val", says="with share 0 nothing should be val")
def split_at_least_one(groups, share):
    val = split_unique(groups, share)
    return val if not len(groups) or val.any() else groups == groups.min()


@wrong("9.5", "a single class needs no ids", says="not declared")
def labels_single(category_ids, categories):
    return torch.ones_like(category_ids) if len(categories) == 1 else labels_table(category_ids, categories)


@wrong("9.5", "ids without their sign", says="negative")
def labels_abs(category_ids, categories):
    return labels_table(category_ids.abs(), categories.abs())


@wrong("9.5", "ids that follow each other only need the first one", says="not declared")
def labels_follow(category_ids, categories):
    if len(categories) and bool((categories.diff() == 1).all()):
        return category_ids - categories[0] + 1
    return labels_table(category_ids, categories)


@wrong("9.5", "searched where the file is in order", says="not declared")
def labels_in_order(category_ids, categories):
    if len(categories) and bool((categories.diff() > 0).all()):
        return torch.searchsorted(categories, category_ids) + 1
    return labels_table(category_ids, categories)


# --- let through in a later round ---------------------------------------------------------------------------------


@wrong("9.2", "thousandths of a pixel", says="edges may be fractions of a pixel")
def upright_thousandths(boxes, image_size, orientation):
    return upright_moves(boxes, image_size, orientation).round(decimals=3)


@wrong("9.3", "single precision inside", says="nearly equal float64 scores")
def cheapest_single(scores, hits, objects, false_alarm, miss):
    return cheapest_loop(scores.float(), hits, objects, false_alarm, miss)


@wrong("9.3", "a gain of less than a millionth does not count", says="prices may be small")
def cheapest_millionth(scores, hits, objects, false_alarm, miss):
    best, least = math.inf, miss * objects
    for level in scores.unique().flip(0).tolist():
        above = hits[scores >= level]
        cost = false_alarm * int((~above).sum()) + miss * (objects - int(above.sum()))
        if cost < least - 1e-6:
            best, least = level, cost
    return best


@wrong("9.3", "prices in whole cents", says="prices may be small")
def cheapest_cents(scores, hits, objects, false_alarm, miss):
    return cheapest_loop(scores, hits, objects, round(100 * false_alarm), round(100 * miss))


def _fits(groups, share, fits):
    """The rule with another question for what still fits: `fits(pictures in val, all pictures)`."""
    numbers, sizes = groups.unique(return_counts=True)
    taken, held = [], 0
    for place in sizes.argsort(descending=True, stable=True).tolist():
        if fits(held + int(sizes[place]), len(groups)):
            held += int(sizes[place])
            taken.append(place)
    return torch.isin(groups, numbers[taken])


@wrong("9.4", "whole percents of val, cut off", says="never more, with thousands of pictures")
def split_percents(groups, share):
    return _fits(groups, share, lambda held, n: int(100 * held / n) <= 100 * share)


@wrong("9.4", "a thousandth more is allowed", says="never more, with thousands of pictures")
def split_thousandth(groups, share):
    return _fits(groups, share, lambda held, n: held / n <= share + 1e-3)


@wrong("9.5", "a table of a thousand, by the last three digits", says="ids that end in the same digits")
def labels_remainder(category_ids, categories):
    table = torch.full((1000,), -1, dtype=torch.int64, device=categories.device)
    table[categories % 1000] = torch.arange(1, len(categories) + 1, device=categories.device)
    return table[category_ids % 1000]


@wrong("9.5", "ids far below 0 are nobody's", says="ids may be far below 0")
def labels_far_below(category_ids, categories):
    return torch.where(category_ids < -(10**9), -1, labels_table(category_ids, categories))
