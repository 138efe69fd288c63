"""Wrong and right answers to lesson 4's exercises."""

import torch
from torchvision.ops import box_iou, generalized_box_iou
from trials import right, wrong

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
