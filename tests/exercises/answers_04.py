"""Wrong and right answers to lesson 4's exercises."""

import statistics

import numpy
import torch
from scipy.optimize import linear_sum_assignment
from torchvision.ops import box_iou, generalized_box_iou
from trials import right, wrong

from course_lib.matching import one_box_each

# --- 4.2 generalised_iou -----------------------------------------------------------------------------------------


def _areas(boxes):
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _iou_and_union(boxes, other, clamp=True):
    size = torch.minimum(boxes[:, None, 2:], other[:, 2:]) - torch.maximum(boxes[:, None, :2], other[:, :2])
    size = size.clamp(min=0) if clamp else size
    overlap = size[..., 0] * size[..., 1]
    union = _areas(boxes)[:, None] + _areas(other) - overlap
    return overlap / union, union


def _hull(boxes, other):
    size = torch.maximum(boxes[:, None, 2:], other[:, 2:]) - torch.minimum(boxes[:, None, :2], other[:, :2])
    return size[..., 0] * size[..., 1]


@right("4.2", "two tables and the enclosing box")
def giou_tables(boxes, other):
    iou, union = _iou_and_union(boxes, other)
    hull = _hull(boxes, other)
    return iou - 1 + union / hull


@right("4.2", "torchvision's")
def giou_torchvision(boxes, other):
    return generalized_box_iou(boxes, other)


@right("4.2", "edge by edge")
def giou_edges(boxes, other):
    x1, y1, x2, y2 = (boxes[:, i, None] for i in range(4))
    u1, v1, u2, v2 = (other[None, :, i] for i in range(4))
    shared = (torch.min(x2, u2) - torch.max(x1, u1)).clamp(min=0) * (torch.min(y2, v2) - torch.max(y1, v1)).clamp(min=0)
    total = (x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - shared
    around = (torch.max(x2, u2) - torch.min(x1, u1)) * (torch.max(y2, v2) - torch.min(y1, v1))
    return shared / total - (around - total) / around


@wrong("4.2", "the lesson's own IoU", says="neither covers is subtracted")
def giou_plain(boxes, other):
    return box_iou(boxes, other)


@wrong("4.2", "zeros of the right shape", says="a box and itself should give 1")
def giou_zeros(boxes, other):
    return (boxes.sum() + other.sum()) * 0 + boxes.new_zeros(len(boxes), len(other))


@wrong("4.2", "never below 0", says="far apart should give a number below 0")
def giou_clamped(boxes, other):
    return giou_tables(boxes, other).clamp(min=0)


@wrong("4.2", "width and height of the overlap not stopped at 0", says="far apart should give a number below 0")
def giou_unclamped(boxes, other):
    iou, union = _iou_and_union(boxes, other, clamp=False)
    return iou - 1 + union / _hull(boxes, other)


@wrong("4.2", "the wrong share is subtracted", says="a box and itself should give 1")
def giou_share(boxes, other):
    iou, union = _iou_and_union(boxes, other)
    return iou - union / _hull(boxes, other)


@wrong("4.2", "the union instead of the enclosing box below the line", says="neither covers is subtracted")
def giou_over_union(boxes, other):
    iou, union = _iou_and_union(boxes, other)
    return iou - (_hull(boxes, other) - union) / union


@wrong("4.2", "pairs instead of a table", says="every box should meet every other")
def giou_pairs(boxes, other):
    n = min(len(boxes), len(other))
    table = giou_tables(boxes[:n], other[:n])
    return table.diagonal()[:, None] if len(boxes) == len(other) else table.diagonal()


@wrong("4.2", "objects and boxes the wrong way round", says="every box should meet every other")
def giou_turned(boxes, other):
    return giou_tables(other, boxes) if len(boxes) and len(other) else boxes.new_zeros(len(boxes), len(other))


@wrong("4.2", "x and y mixed up in the enclosing box", says="a box and itself should give 1")
def giou_mixed(boxes, other):
    iou, union = _iou_and_union(boxes, other)
    end = torch.maximum(boxes[:, None, 2:], other[:, 2:]).flip(-1)
    size = end - torch.minimum(boxes[:, None, :2], other[:, :2])
    hull = size.prod(dim=-1)
    return iou - (hull - union) / hull


@wrong("4.2", "gradient detached", says="gradient should flow", only_behaviour=True)
def giou_detached(boxes, other):
    return giou_tables(boxes.detach(), other)


@wrong("4.2", "input changed in place", says="input should stay", only_behaviour=True)
def giou_in_place(boxes, other):
    result = giou_tables(boxes.clone(), other)
    with torch.no_grad():
        boxes[:, 2:] -= boxes[:, :2]
    return result


@wrong("4.2", "the union never below 1", says="shares of the picture")
def giou_union_one(boxes, other):
    iou, union = _iou_and_union(boxes, other)
    return iou * union / union.clamp(min=1) - 1 + union / _hull(boxes, other)


@wrong("4.2", "a thousandth more below the line", says="shares of the picture")
def giou_thousandth(boxes, other):
    iou, union = _iou_and_union(boxes, other)
    return iou * union / (union + 1e-3) - 1 + union / _hull(boxes, other)


@wrong("4.2", "crashes without other boxes", says="no other boxes should give an empty [N, 0] table")
def giou_needs_other(boxes, other):
    return torch.stack([giou_tables(boxes, box[None])[:, 0] for box in other], dim=1)


@wrong("4.2", "boxes cut at the picture", says="left of the picture and above it")
def giou_cut(boxes, other):
    return giou_tables(boxes.clamp(min=0), other.clamp(min=0))


@wrong("4.2", "float32 without boxes", says="dtype should be kept", only_behaviour=True)
def giou_empty_float32(boxes, other):
    if len(boxes) == 0:
        return torch.zeros(0, len(other), device=boxes.device)
    return giou_tables(boxes, other)


@wrong("4.2", "on the CPU without boxes", says="device should be kept", only_behaviour=True)
def giou_empty_cpu(boxes, other):
    if len(boxes) == 0:
        return torch.zeros(0, len(other), dtype=boxes.dtype)
    return giou_tables(boxes, other)


@right("4.2", "the overlap's sides from the three other lengths")
def giou_lengths(boxes, other):
    hull, mine, theirs, shared = 1.0, 1.0, 1.0, 1.0
    for low, high in ((0, 2), (1, 3)):
        around = torch.max(boxes[:, None, high], other[:, high]) - torch.min(boxes[:, None, low], other[:, low])
        a, b = boxes[:, None, high] - boxes[:, None, low], other[None, :, high] - other[None, :, low]
        hull, mine, theirs, shared = hull * around, mine * a, theirs * b, shared * (a + b - around).relu()
    union = mine + theirs - shared
    return shared / union + union / hull - 1


@right("4.2", "pair by pair, with numbers")
def giou_loop(boxes, other):
    table = boxes.new_zeros(len(boxes), len(other))
    for i, (a, b, c, d) in enumerate(boxes):
        for j, (e, f, g, h) in enumerate(other):
            zero = torch.zeros_like(a)
            shared = max(min(c, g) - max(a, e), zero) * max(min(d, h) - max(b, f), zero)
            union = (c - a) * (d - b) + (g - e) * (h - f) - shared
            hull = (max(c, g) - min(a, e)) * (max(d, h) - min(b, f))
            table[i, j] = shared / union - 1 + union / hull
    return table


@right("4.2", "all pairs as one long list")
def giou_list(boxes, other):
    first, second = boxes.repeat_interleave(len(other), dim=0), other.repeat(len(boxes), 1)
    both = torch.stack([first, second])
    small, large = both.amin(0), both.amax(0)
    shared = (small[:, 2:] - large[:, :2]).clamp_min(0).prod(dim=1)
    union = _areas(first) + _areas(second) - shared
    hull = (large[:, 2:] - small[:, :2]).prod(dim=1)
    return (shared / union - (hull - union) / hull).reshape(len(boxes), len(other))


@wrong("4.2", "the overlap taken off the enclosing box in place of the union", says="neither covers is subtracted")
def giou_overlap_off(boxes, other):
    iou, union = _iou_and_union(boxes, other)
    hull = _hull(boxes, other)
    return iou - (hull - iou * union) / hull


@wrong("4.2", "the sum of the areas in place of the union", says="a box and itself should give 1")
def giou_sum_of_areas(boxes, other):
    hull = _hull(boxes, other)
    return box_iou(boxes, other) - (hull - _areas(boxes)[:, None] - _areas(other)) / hull


@wrong("4.2", "only boxes apart pay", says="neither covers is subtracted")
def giou_only_apart(boxes, other):
    iou = box_iou(boxes, other)
    return torch.where(iou > 0, iou, giou_tables(boxes, other))


@wrong("4.2", "all boxes apart get -1", says="far apart should give a number below 0")
def giou_apart_alike(boxes, other):
    return torch.where(box_iou(boxes, other) > 0, giou_tables(boxes, other), -1.0)


@wrong("4.2", "never below -0.9", says="the further apart, the smaller the number")
def giou_floor(boxes, other):
    return giou_tables(boxes, other).clamp(min=-0.9)


@wrong("4.2", "the enclosing box as wide as the wider box", says="neither covers is subtracted")
def giou_wider(boxes, other):
    iou, union = _iou_and_union(boxes, other)
    hull = torch.maximum((boxes[:, 2:] - boxes[:, :2])[:, None], other[:, 2:] - other[:, :2]).prod(dim=-1)
    return iou - (hull - union).clamp(min=0) / hull


@wrong("4.2", "the distance of the centres in place of areas", says="neither covers is subtracted")
def giou_centres(boxes, other):
    start, end = (f(boxes[:, None], other) for f in (torch.minimum, torch.maximum))
    far = torch.cdist(_centres(boxes), _centres(other)).square()
    return box_iou(boxes, other) - far / (end[..., 2:] - start[..., :2]).square().sum(dim=-1)


@wrong("4.2", "a pixel more on every side", says="neither covers is subtracted")
def giou_pixel(boxes, other):
    more = boxes.new_tensor([0, 0, 1, 1])
    return giou_tables(boxes + more, other + more)


@wrong("4.2", "no axis of length 1", says="the result should have shape [1, 1]")
def giou_squeezed(boxes, other):
    return giou_tables(boxes, other).squeeze(0)


@wrong("4.2", "the enclosing box as a constant", says="gradient should flow", only_behaviour=True)
def giou_hull_detached(boxes, other):
    iou, union = _iou_and_union(boxes, other)
    return iou - 1 + union / _hull(boxes, other).detach()


@wrong("4.2", "the other boxes as constants", says="of other, right is", only_behaviour=True)
def giou_other_detached(boxes, other):
    return giou_tables(boxes, other.detach())


# --- 4.3 match_table ---------------------------------------------------------------------------------------------


def _surest_first(table):
    rows, columns = table.shape
    taken = {}
    for place in table.flatten().sort(descending=True, stable=True).indices.tolist():
        i, j = place // columns, place % columns
        if i not in taken and j not in taken.values():
            taken[i] = j
    return taken


@right("4.3", "sorted once")
def lost_sorted(table):
    if len(table) == 0:
        return torch.full((table.shape[1],), -1, device=table.device)
    largest, matches = table.max(dim=0)
    matches[largest < 0.5] = -1
    for i, j in _surest_first(table).items():
        matches[j] = i
    return matches


@right("4.3", "crossing out")
def lost_crossing_out(table):
    out = torch.full((table.shape[1],), -1, device=table.device)
    for j in range(table.shape[1]):
        if len(table) and table[:, j].max() >= 0.5:
            out[j] = table[:, j].argmax()
    left = table.clone()
    for _ in range(min(table.shape)):
        i, j = divmod(int(left.argmax()), table.shape[1])
        out[j] = i
        left[i], left[:, j] = -1, -1
    return out


@wrong("4.3", "forced after the threshold, but not one each", says="both get one")
def lost_order_only(table):
    if len(table) == 0:
        return torch.full((table.shape[1],), -1, device=table.device)
    largest, matches = table.max(dim=0)
    matches[largest < 0.5] = -1
    matches[table.argmax(dim=1)] = torch.arange(len(table), device=table.device)
    return matches


@wrong("4.3", "one each, but the threshold has the last word", says="should keep it")
def lost_threshold_last(table):
    if len(table) == 0:
        return torch.full((table.shape[1],), -1, device=table.device)
    largest, matches = table.max(dim=0)
    for i, j in _surest_first(table).items():
        matches[j] = i
    matches[largest < 0.5] = -1
    return matches


@wrong("4.3", "crashes without objects", says="without objects every box is background")
def lost_crash(table):
    largest, matches = table.max(dim=0)
    matches[largest < 0.5] = -1
    for i, j in _surest_first(table).items():
        matches[j] = i
    return matches


@wrong("4.3", "first come, first served", says="surest pair should go first")
def lost_in_order(table):
    if len(table) == 0:
        return torch.full((table.shape[1],), -1, device=table.device)
    largest, matches = table.max(dim=0)
    matches[largest < 0.5] = -1
    free = torch.ones(table.shape[1], dtype=torch.bool)
    for i in range(min(table.shape)):
        j = table[i].masked_fill(~free, -1).argmax()
        matches[j], free[j] = i, False
    return matches


@wrong("4.3", "no threshold", says="should keep it")
def lost_everything(table):
    if len(table) == 0:
        return torch.full((table.shape[1],), -1, device=table.device)
    matches = table.argmax(dim=0)
    for i, j in _surest_first(table).items():
        matches[j] = i
    return matches


@wrong("4.3", "forced matches only", says="from 0.5 on")
def lost_forced_only(table):
    out = torch.full((table.shape[1],), -1, device=table.device)
    for i, j in _surest_first(table).items():
        out[j] = i
    return out


@wrong("4.3", "those without a box are written to the last place", says="surest are served")
def lost_last_place(table):
    if len(table) == 0:
        return torch.full((table.shape[1],), -1, device=table.device)
    largest, matches = table.max(dim=0)
    matches[largest < 0.5] = -1
    taken = _surest_first(table)
    matches[[taken.get(i, -1) for i in range(len(table))]] = torch.arange(len(table))
    return matches


@wrong("4.3", "all background", says="should keep it")
def lost_all(table):
    return torch.full((table.shape[1],), -1, device=table.device)


@wrong("4.3", "table changed in place", says="input should stay", only_behaviour=True)
def lost_in_place(table):
    matches = lost_sorted(table)
    table.zero_()
    return matches


def _with_pairs(table, pairs):
    """The threshold first, then the pairs in the order in which they are given."""
    if len(table) == 0:
        return torch.full((table.shape[1],), -1, device=table.device)
    largest, matches = table.max(dim=0)
    matches[largest < 0.5] = -1
    served, taken = set(), set()
    for i, j in pairs:
        if i not in served and j not in taken:
            served.add(i)
            taken.add(j)
            matches[j] = i
    return matches


@wrong("4.3", "no box of its own for an object that has one", says="also where it has others")
def lost_has_one(table):
    if len(table) == 0:
        return torch.full((table.shape[1],), -1, device=table.device)
    largest, matches = table.max(dim=0)
    matches[largest < 0.5] = -1
    have = set(matches.tolist())
    for i, j in _surest_first(table).items():
        if i not in have:
            matches[j] = i
    return matches


@wrong("4.3", "of equal pairs the last, by sorting triples", says="of equal pairs the first object and the first box")
def lost_triples(table):
    rows, columns = table.shape
    triples = sorted(((table[i, j].item(), i, j) for i in range(rows) for j in range(columns)), reverse=True)
    return _with_pairs(table, [(i, j) for _, i, j in triples])


@wrong("4.3", "of equal pairs the last, by a turned order", says="of equal pairs the first object and the first box")
def lost_turned(table):
    order = table.flatten().argsort(stable=True).flip(0).tolist()
    return _with_pairs(table, [divmod(place, table.shape[1]) for place in order])


@wrong("4.3", "on the CPU without objects", says="device should be kept", only_behaviour=True)
def lost_empty_cpu(table):
    return lost_sorted(table) if len(table) else torch.full((table.shape[1],), -1)


@right("4.3", "of equals in a column of its own choice the last")
def lost_last_of_equals(table):
    matches = lost_sorted(table)
    forced = set(_surest_first(table).values())
    for j in set(range(table.shape[1])) - forced:
        for i in range(len(table)):
            if table[i, j] >= 0.5 and table[i, j] >= table[matches[j], j]:
                matches[j] = i
    return matches


@right("4.3", "one row and one column less each time")
def lost_smaller_tables(table):
    def pairs(rows, columns):
        if not rows or not columns:
            return []
        i, j = divmod(int(table[rows][:, columns].argmax()), len(columns))
        rest = pairs(rows[:i] + rows[i + 1 :], columns[:j] + columns[j + 1 :])
        return [(rows[i], columns[j]), *rest]

    matches = table.new_full((table.shape[1],), -1, dtype=torch.long)
    for j, column in enumerate(table.T):
        if len(column) and column.max() >= 0.5:
            matches[j] = column.argmax()
    for i, j in pairs(list(range(len(table))), list(range(table.shape[1]))):
        matches[j] = i
    return matches


@right("4.3", "numpy, the pairs raised to 2 before the columns are compared")
def lost_raised(table):
    if len(table) == 0:
        return torch.full((table.shape[1],), -1, device=table.device)
    numbers = table.cpu().numpy().copy()
    left = numbers.copy()
    for _ in range(min(numbers.shape)):
        i, j = numpy.unravel_index(left.argmax(), left.shape)
        numbers[i, j], left[i], left[:, j] = 2, -1, -1
    found = numpy.where(numbers.max(0) >= 0.5, numbers.argmax(0), -1)
    return torch.from_numpy(found).to(table.device)


@right("4.3", "the lesson's one_box_each")
def lost_one_box_each(table):
    if len(table) == 0:
        return torch.full((table.shape[1],), -1, device=table.device)
    largest, matches = table.max(dim=0)
    matches = torch.where(largest >= 0.5, matches, -1)
    chosen = one_box_each(table)
    served = chosen >= 0
    matches[chosen[served]] = served.nonzero()[:, 0]
    return matches


@wrong("4.3", "the pairs with the largest sum", says="surest pair should go first, whatever the others get")
def lost_largest_sum(table):
    rows, columns = linear_sum_assignment(table.cpu().numpy(), maximize=True)
    return _with_pairs(table, zip(rows.tolist(), columns.tolist(), strict=True))


@wrong("4.3", "object by object, the one with the best box first", says="with more objects than boxes the surest are")
def lost_best_first(table):
    order = table.amax(dim=1).argsort(descending=True, stable=True).tolist() if table.numel() else []
    free, pairs = set(range(table.shape[1])), []
    for i in order[: table.shape[1]]:
        pairs.append((i, max(sorted(free), key=lambda j: table[i, j].item())))
        free.remove(pairs[-1][1])
    return _with_pairs(table, pairs)


@wrong("4.3", "first and second choice only", says="with more objects than boxes the surest are served")
def lost_two_choices(table):
    if len(table) == 0:
        return lost_sorted(table)
    two = table.topk(min(2, table.shape[1]), dim=1)
    order = two.values[:, 0].argsort(descending=True, stable=True).tolist()
    return _with_pairs(table, [(i, j) for i in order for j in two.indices[i].tolist()])


@wrong(
    "4.3", "objects beyond the number of boxes are cut off", says="with more objects than boxes the surest are served"
)
def lost_surplus(table):
    return _with_pairs(table, _surest_first(table[: table.shape[1]]).items())


@wrong("4.3", "of equal boxes the last", says="of equal pairs the first object and the first box")
def lost_last_box(table):
    last = table.shape[1] - 1
    return _with_pairs(table, [(i, last - j) for i, j in _surest_first(table.flip(1)).items()])


@wrong("4.3", "of equal objects the last", says="of equal pairs the first object and the first box")
def lost_last_object(table):
    return _with_pairs(table, [(len(table) - 1 - i, j) for i, j in _surest_first(table.flip(0)).items()])


@wrong("4.3", "forced from 0.1 on", says="however little they overlap")
def lost_from_a_tenth(table):
    return _with_pairs(table, [(i, j) for i, j in _surest_first(table).items() if table[i, j] > 0.1])


@wrong("4.3", "the IoUs rounded to two digits", says="however little surer it is")
def lost_rounded(table):
    return lost_sorted((table * 100).round() / 100)


@wrong("4.3", "0.499 taken for one half", says="a little less than 0.5 is background")
def lost_nearly_half(table):
    matches = lost_sorted(table)
    for j in range(table.shape[1]) if len(table) else []:
        if matches[j] < 0 and table[:, j].max() > 0.495:
            matches[j] = table[:, j].argmax()
    return matches


@wrong("4.3", "an object with a box of its own leaves the table", says="from 0.5 on")
def lost_served_leave(table):
    pairs = _surest_first(table)
    rest = table.clone()
    rest[list(pairs)] = 0
    return _with_pairs(rest, pairs.items())


@wrong("4.3", "more than 0.5 wanted", says="from 0.5 on")
def lost_above_half(table):
    return _with_pairs(torch.where(table == 0.5, 0.0, table), _surest_first(table).items())


@wrong("4.3", "only objects whose best box is bad are forced", says="both get one")
def lost_weak_forced(table):
    return _with_pairs(table, [(i, j) for i, j in _surest_first(table).items() if table[i].max() < 0.5])


@wrong("4.3", "a sure box takes the object it overlaps most, whomever it was given to", says="also where it has others")
def lost_sure_boxes(table):
    matches = lost_sorted(table)
    for j in range(table.shape[1]) if len(table) else []:
        if table[:, j].max() >= 0.7:
            matches[j] = table[:, j].argmax()
    return matches


@wrong("4.3", "without objects minus ones with a point", says="should be int64")
def lost_empty_float(table):
    return lost_sorted(table) if len(table) else -torch.ones(table.shape[1])


@wrong("4.3", "without objects no boxes", says="should have shape [2]")
def lost_empty_short(table):
    return lost_sorted(table) if len(table) else table.new_zeros(0, dtype=torch.int64)


# --- 4.4 adaptive_thresholds -------------------------------------------------------------------------------------


def _centres(boxes):
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def _candidates(boxes, default_boxes, counts, k, distance=None, iou=None):
    iou = box_iou(boxes, default_boxes) if iou is None else iou
    distance = torch.cdist(_centres(boxes), _centres(default_boxes)) if distance is None else distance
    found = []
    for far, values in zip(distance.split(counts, dim=1), iou.split(counts, dim=1), strict=True):
        nearest = far.topk(min(k, far.shape[1]), dim=1, largest=False).indices
        found.append(values.gather(1, nearest))
    return torch.cat(found, dim=1)


@right("4.4", "tables cut into levels")
def atss_tables(boxes, default_boxes, counts, k):
    found = _candidates(boxes, default_boxes, counts, k)
    return found.mean(dim=1) + found.std(dim=1)


@right("4.4", "object by object")
def atss_loop(boxes, default_boxes, counts, k):
    out = boxes.new_zeros(len(boxes))
    for i, box in enumerate(boxes):
        values, start = [], 0
        for count in counts:
            level = default_boxes[start : start + count]
            order = (_centres(level) - _centres(box[None])).norm(dim=1).argsort()[:k]
            values.append(box_iou(box[None], level[order])[0])
            start += count
        joined = torch.cat(values)
        out[i] = joined.mean() + joined.std()
    return out


@wrong("4.4", "mean only", says="mean plus standard deviation")
def atss_mean(boxes, default_boxes, counts, k):
    return _candidates(boxes, default_boxes, counts, k).mean(dim=1)


@wrong("4.4", "divided by n", says="mean plus standard deviation")
def atss_population(boxes, default_boxes, counts, k):
    found = _candidates(boxes, default_boxes, counts, k)
    return found.mean(dim=1) + found.std(dim=1, correction=0)


@wrong("4.4", "levels ignored", says="nearest")
def atss_all_levels(boxes, default_boxes, counts, k):
    found = _candidates(boxes, default_boxes, [len(default_boxes)], max(2, k * len(counts)))
    return found.mean(dim=1) + found.std(dim=1)


@wrong("4.4", "the k largest IoUs instead of the k nearest", says="nearest is the box whose centre is nearest")
def atss_by_iou(boxes, default_boxes, counts, k):
    iou = box_iou(boxes, default_boxes)
    found = _candidates(boxes, default_boxes, counts, k, distance=-iou)
    return found.mean(dim=1) + found.std(dim=1)


@wrong("4.4", "distance across only", says="across and down alike")
def atss_across(boxes, default_boxes, counts, k):
    distance = (_centres(boxes)[:, None, 0] - _centres(default_boxes)[:, 0]).abs()
    found = _candidates(boxes, default_boxes, counts, k, distance=distance)
    return found.mean(dim=1) + found.std(dim=1)


@wrong("4.4", "corners instead of centres", says="nearest is the box whose centre is nearest")
def atss_corners(boxes, default_boxes, counts, k):
    distance = torch.cdist(boxes[:, :2], default_boxes[:, :2])
    found = _candidates(boxes, default_boxes, counts, k, distance=distance)
    return found.mean(dim=1) + found.std(dim=1)


@wrong("4.4", "a level with fewer than k boxes crashes", says="fewer than k")
def atss_crash(boxes, default_boxes, counts, k):
    if k > min(counts):
        raise RuntimeError("selected index k out of range")
    return atss_tables(boxes, default_boxes, counts, k)


@wrong("4.4", "one threshold for all", says="a threshold of its own")
def atss_shared(boxes, default_boxes, counts, k):
    found = _candidates(boxes, default_boxes, counts, k)
    if len(boxes) == 0:
        return boxes.new_zeros(0)
    return (found.mean() + found.std()).expand(len(boxes)).clone()


@wrong("4.4", "zeros of the right shape", says="mean plus standard deviation")
def atss_zeros(boxes, default_boxes, counts, k):
    return boxes.new_zeros(len(boxes))


@wrong("4.4", "never above 0.6", says="a threshold may be high")
def atss_capped(boxes, default_boxes, counts, k):
    return atss_tables(boxes, default_boxes, counts, k).clamp(max=0.6)


@wrong("4.4", "three levels at most", says="any number of levels should count")
def atss_three_levels(boxes, default_boxes, counts, k):
    return atss_tables(boxes, default_boxes[: sum(counts[:3])], counts[:3], k)


def _by(measure):
    def thresholds(boxes, default_boxes, counts, k):
        ways = (_centres(boxes)[:, None] - _centres(default_boxes)).abs()
        found = _candidates(boxes, default_boxes, counts, k, distance=measure(ways))
        return found.mean(dim=1) + found.std(dim=1)

    return thresholds


@wrong("4.4", "the ways across and down added up", says="near is the straight distance between centres")
def atss_manhattan(boxes, default_boxes, counts, k):
    return _by(lambda ways: ways.sum(dim=-1))(boxes, default_boxes, counts, k)


@wrong("4.4", "the longer way only", says="near is the straight distance between centres")
def atss_chebyshev(boxes, default_boxes, counts, k):
    return _by(lambda ways: ways.amax(dim=-1))(boxes, default_boxes, counts, k)


@wrong("4.4", "distance down only", says="near is the straight distance between centres")
def atss_down(boxes, default_boxes, counts, k):
    return _by(lambda ways: ways[..., 1])(boxes, default_boxes, counts, k)


@wrong("4.4", "on the CPU without objects", says="device should be kept", only_behaviour=True)
def atss_empty_cpu(boxes, default_boxes, counts, k):
    return atss_tables(boxes, default_boxes, counts, k) if len(boxes) else torch.zeros(0, dtype=boxes.dtype)


@wrong("4.4", "float32 without objects", says="dtype should be kept", only_behaviour=True)
def atss_empty_float32(boxes, default_boxes, counts, k):
    return atss_tables(boxes, default_boxes, counts, k) if len(boxes) else torch.zeros(0, device=boxes.device)


@right("4.4", "plain numbers, with statistics.stdev")
def atss_statistics(boxes, default_boxes, counts, k):
    out = []
    for x1, y1, x2, y2 in boxes.tolist():
        found, rest = [], default_boxes.tolist()
        for count in counts:
            level, rest = rest[:count], rest[count:]
            level.sort(key=lambda b: (b[0] + b[2] - x1 - x2) ** 2 + (b[1] + b[3] - y1 - y2) ** 2)
            for a, b, c, d in level[:k]:
                shared = max(min(c, x2) - max(a, x1), 0) * max(min(d, y2) - max(b, y1), 0)
                found.append(shared / ((c - a) * (d - b) + (x2 - x1) * (y2 - y1) - shared))
        out.append(statistics.fmean(found) + statistics.stdev(found))
    return boxes.new_tensor(out)


@right("4.4", "numpy, with argpartition")
def atss_numpy(boxes, default_boxes, counts, k):
    table = box_iou(boxes, default_boxes).cpu().numpy()
    mine, theirs = _centres(boxes).cpu().numpy(), _centres(default_boxes).cpu().numpy()
    far = numpy.hypot(*(mine[:, None] - theirs[None]).transpose(2, 0, 1))
    picked, start = [], 0
    for count in counts:
        places = numpy.argpartition(far[:, start : start + count], min(k, count) - 1, axis=1)[:, :k] + start
        picked.append(numpy.take_along_axis(table, places, axis=1))
        start += count
    joined = numpy.concatenate(picked, axis=1)
    return torch.from_numpy(joined.mean(1) + joined.std(1, ddof=1)).to(boxes)


@right("4.4", "a mask of the candidates, sums of squares")
def atss_mask(boxes, default_boxes, counts, k):
    iou = box_iou(boxes, default_boxes)
    far = (_centres(boxes)[:, None] - _centres(default_boxes)).square().sum(dim=-1)
    rank = torch.cat([level.argsort(dim=1).argsort(dim=1) for level in far.split(counts, dim=1)], dim=1)
    mask = (rank < k).to(iou)
    number = mask.sum(dim=1)
    mean = (mask * iou).sum(dim=1) / number
    return mean + ((mask * (iou - mean[:, None]).square()).sum(dim=1) / (number - 1)).sqrt()


def _mean_and_std(found):
    return found.mean(dim=1) + found.std(dim=1)


@wrong("4.4", "the distance of all four edges", says="nearest is the box whose centre is nearest")
def atss_edges(boxes, default_boxes, counts, k):
    return _mean_and_std(_candidates(boxes, default_boxes, counts, k, distance=torch.cdist(boxes, default_boxes)))


@wrong("4.4", "the distance in sizes of the default box", says="nearest is the box whose centre is nearest")
def atss_in_sizes(boxes, default_boxes, counts, k):
    size = default_boxes[:, 2:] - default_boxes[:, :2]
    far = ((_centres(boxes)[:, None] - _centres(default_boxes)) / size).norm(dim=-1)
    return _mean_and_std(_candidates(boxes, default_boxes, counts, k, distance=far))


@wrong("4.4", "centres cut off to whole pixels", says="centres may lie between whole pixels")
def atss_whole_pixels(boxes, default_boxes, counts, k):
    far = torch.cdist(_centres(boxes).floor(), _centres(default_boxes).floor())
    return _mean_and_std(_candidates(boxes, default_boxes, counts, k, distance=far))


@wrong("4.4", "centres rounded up", says="centres may lie between whole pixels")
def atss_rounded_up(boxes, default_boxes, counts, k):
    far = torch.cdist(_centres(boxes).ceil(), _centres(default_boxes).ceil())
    return _mean_and_std(_candidates(boxes, default_boxes, counts, k, distance=far))


@wrong("4.4", "half a width added across and down", says="across and down alike")
def atss_half_width(boxes, default_boxes, counts, k):
    centre = boxes[:, :2] + (boxes[:, 2:3] - boxes[:, :1]) / 2
    far = torch.cdist(centre, _centres(default_boxes))
    return _mean_and_std(_candidates(boxes, default_boxes, counts, k, distance=far))


@wrong("4.4", "one box more than k", says="of every level only the k nearest boxes should count")
def atss_one_more(boxes, default_boxes, counts, k):
    return atss_tables(boxes, default_boxes, counts, k + 1)


@wrong("4.4", "k as small as the smallest level", says="fewer than k boxes gives all it has")
def atss_smallest_level(boxes, default_boxes, counts, k):
    return atss_tables(boxes, default_boxes, counts, min(k, *counts) if len(counts) > 1 else k)


@wrong("4.4", "levels with fewer than k boxes left out", says="fewer than k boxes gives all it has")
def atss_small_levels_out(boxes, default_boxes, counts, k):
    large = [count >= k for count in counts]
    if not any(large) or sum(min(c, k) for c, ok in zip(counts, large, strict=True) if ok) < 2:
        return atss_tables(boxes, default_boxes, counts, k)
    kept = [level for level, ok in zip(default_boxes.split(counts), large, strict=True) if ok]
    return atss_tables(boxes, torch.cat(kept), [len(level) for level in kept], k)


def _without(boxes, default_boxes, counts, k, left_out):
    """Object by object, without the candidates for which `left_out(box, candidates, ious)` is true, if two remain."""
    out = boxes.new_zeros(len(boxes))
    for i, box in enumerate(boxes):
        near = [
            level[(_centres(level) - _centres(box[None])).norm(dim=1).argsort()[:k]]
            for level in default_boxes.split(counts)
        ]
        near = torch.cat(near)
        found = box_iou(box[None], near)[0]
        kept = found[~left_out(box, near, found)]
        found = kept if len(kept) > 1 else found
        out[i] = found.mean() + found.std()
    return out


@wrong("4.4", "candidates without overlap left out", says="hardly overlaps it, or not at all")
def atss_only_overlapping(boxes, default_boxes, counts, k):
    return _without(boxes, default_boxes, counts, k, lambda box, near, found: found == 0)


@wrong("4.4", "candidates with their centre outside left out", says="hardly overlaps it, or not at all")
def atss_only_inside(boxes, default_boxes, counts, k):
    def outside(box, near, found):
        return ((_centres(near) <= box[:2]) | (_centres(near) >= box[2:])).any(dim=1)

    return _without(boxes, default_boxes, counts, k, outside)


@wrong("4.4", "the mean of the levels' means", says="fewer than k boxes gives all it has")
def atss_mean_of_means(boxes, default_boxes, counts, k):
    found = _candidates(boxes, default_boxes, counts, k)
    means = [level.mean(dim=1) for level in found.split([min(k, count) for count in counts], dim=1)]
    return torch.stack(means).mean(dim=0) + found.std(dim=1)


@wrong("4.4", "the standard deviation of all boxes", says="only the k nearest boxes should count")
def atss_std_of_all(boxes, default_boxes, counts, k):
    return _candidates(boxes, default_boxes, counts, k).mean(dim=1) + box_iou(boxes, default_boxes).std(dim=1)


@wrong("4.4", "the mean absolute deviation", says="mean plus standard deviation")
def atss_absolute(boxes, default_boxes, counts, k):
    found = _candidates(boxes, default_boxes, counts, k)
    mean = found.mean(dim=1, keepdim=True)
    return (mean + (found - mean).abs().mean(dim=1, keepdim=True))[:, 0]


@wrong("4.4", "no axis of length 1", says="should have shape [1]")
def atss_squeezed(boxes, default_boxes, counts, k):
    return atss_tables(boxes, default_boxes, counts, k).squeeze()


@wrong("4.4", "the list of counts used up", says="input should stay", only_behaviour=True)
def atss_counts_used_up(boxes, default_boxes, counts, k):
    result = atss_tables(boxes, default_boxes, list(counts), k)
    counts.clear()
    return result
