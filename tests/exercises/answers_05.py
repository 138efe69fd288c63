"""Wrong and right answers to lesson 5's exercises."""

import heapq
from fractions import Fraction

import numpy
import torch
from torchvision.ops import batched_nms, box_iou, nms
from trials import right, wrong

# --- 5.2 soft_suppression ----------------------------------------------------------------------------------------


def _soft(boxes, scores, labels, iou_threshold, score_threshold, *, clash=None, factor=None, at_least=False):
    """Soft suppression with replaceable parts."""
    table, now = box_iou(boxes, boxes), scores.clone()
    clash = clash or (lambda row, same: same & (row > iou_threshold))
    factor = factor or (lambda row: 1 - row)
    left, indices, points = list(range(len(boxes))), [], []
    while left:
        best = max(left, key=lambda i: (now[i].item(), -i))
        if now[best] < score_threshold or now[best] == score_threshold and not at_least:
            break
        left.remove(best)
        indices.append(best)
        points.append(now[best].item())
        lower = clash(table[best], labels == labels[best])
        for i in left:
            if lower[i]:
                now[i] = now[i] * factor(table[best])[i]
    return torch.tensor(indices, dtype=torch.int64, device=boxes.device), scores.new_tensor(points)


@right("5.2", "a list of those that are left")
def soft_list(boxes, scores, labels, iou_threshold, score_threshold):
    return _soft(boxes, scores, labels, iou_threshold, score_threshold)


@right("5.2", "whole table of factors first")
def soft_factors(boxes, scores, labels, iou_threshold, score_threshold):
    table = box_iou(boxes, boxes)
    factors = torch.where((labels[:, None] == labels) & (table > iou_threshold), 1 - table, torch.ones_like(table))
    now, gone = scores.clone(), torch.zeros(len(scores), dtype=torch.bool, device=boxes.device)
    indices, points = [scores.new_zeros(0, dtype=torch.int64)], [scores.new_zeros(0)]
    for _ in range(len(scores)):
        value, place = torch.where(gone, -torch.ones_like(now), now).max(dim=0)
        if not value > score_threshold:
            break
        indices.append(place[None])
        points.append(value[None])
        gone[place] = True
        now = now * factors[place]
    return torch.cat(indices), torch.cat(points)


@wrong("5.2", "the lesson's own suppression", says="lower score")
def soft_hard(boxes, scores, labels, iou_threshold, score_threshold):
    kept = batched_nms(boxes, scores, labels, iou_threshold)
    kept = kept[scores[kept] > score_threshold]
    return kept, scores[kept]


@wrong("5.2", "keep everything", says="not above `score_threshold`")
def soft_everything(boxes, scores, labels, iou_threshold, score_threshold):
    order = scores.argsort(descending=True, stable=True)
    return order, scores[order]


@wrong("5.2", "keep all above score_threshold, unchanged", says="lower score")
def soft_unchanged(boxes, scores, labels, iou_threshold, score_threshold):
    order = scores.argsort(descending=True, stable=True)
    order = order[scores[order] > score_threshold]
    return order, scores[order]


@wrong("5.2", "keep nothing", says="lone box")
def soft_nothing(boxes, scores, labels, iou_threshold, score_threshold):
    return torch.zeros(0, dtype=torch.int64, device=boxes.device), scores.new_zeros(0)


@wrong("5.2", "class-agnostic", says="different classes")
def soft_agnostic(boxes, scores, labels, iou_threshold, score_threshold):
    return _soft(boxes, scores, torch.ones_like(labels), iou_threshold, score_threshold)


@wrong("5.2", "only other classes", says="a better one should stay")
def soft_other_classes(boxes, scores, labels, iou_threshold, score_threshold):
    return _soft(
        boxes, scores, labels, iou_threshold, score_threshold, clash=lambda row, same: ~same & (row > iou_threshold)
    )


@wrong("5.2", "sorted once and for all", says="another box may be the best")
def soft_sorted_once(boxes, scores, labels, iou_threshold, score_threshold):
    table, now = box_iou(boxes, boxes), scores.clone()
    indices, points = [], []
    order = scores.argsort(descending=True, stable=True).tolist()
    for place, i in enumerate(order):
        if now[i] <= score_threshold:
            continue
        indices.append(i)
        points.append(now[i].item())
        for j in order[place + 1 :]:
            if labels[i] == labels[j] and table[i, j] > iou_threshold:
                now[j] = now[j] * (1 - table[i, j])
    return torch.tensor(indices, dtype=torch.int64, device=boxes.device), scores.new_tensor(points)


@wrong("5.2", "in the order of the list", says="lower score")
def soft_list_order(boxes, scores, labels, iou_threshold, score_threshold):
    indices, points = _soft(boxes, scores, labels, iou_threshold, score_threshold)
    order = indices.argsort()
    return indices[order], points[order]


@wrong("5.2", "worst first", says="lower score")
def soft_worst_first(boxes, scores, labels, iou_threshold, score_threshold):
    indices, points = _soft(boxes, scores, labels, iou_threshold, score_threshold)
    return indices.flip(0), points.flip(0)


@wrong("5.2", "at the threshold as well", says="exactly the threshold")
def soft_at_threshold(boxes, scores, labels, iou_threshold, score_threshold):
    return _soft(
        boxes, scores, labels, iou_threshold, score_threshold, clash=lambda row, same: same & (row >= iou_threshold)
    )


@wrong("5.2", "scores equal to score_threshold are kept", says="not above `score_threshold`")
def soft_at_least(boxes, scores, labels, iou_threshold, score_threshold):
    return _soft(boxes, scores, labels, iou_threshold, score_threshold, at_least=True)


@wrong("5.2", "ranks in place of indices", says="lower score")
def soft_ranks(boxes, scores, labels, iou_threshold, score_threshold):
    order = scores.argsort(descending=True, stable=True)
    return _soft(boxes[order], scores[order], labels[order], iou_threshold, score_threshold)


@wrong("5.2", "later one first among equals", says="earlier box should go first")
def soft_later_first(boxes, scores, labels, iou_threshold, score_threshold):
    indices, points = _soft(boxes.flip(0), scores.flip(0), labels.flip(0), iou_threshold, score_threshold)
    return len(boxes) - 1 - indices, points


@wrong("5.2", "multiplied by the IoU", says="lower score")
def soft_times_iou(boxes, scores, labels, iou_threshold, score_threshold):
    return _soft(boxes, scores, labels, iou_threshold, score_threshold, factor=lambda row: row)


@wrong("5.2", "the Gaussian version", says="lower score")
def soft_gaussian(boxes, scores, labels, iou_threshold, score_threshold):
    return _soft(boxes, scores, labels, iou_threshold, score_threshold, factor=lambda row: (-(row**2) / 0.5).exp())


@wrong("5.2", "the original scores are returned", says="lower score")
def soft_old_scores(boxes, scores, labels, iou_threshold, score_threshold):
    indices, _ = _soft(boxes, scores, labels, iou_threshold, score_threshold)
    return indices, scores[indices]


@wrong("5.2", "every overlap counts, whatever the threshold", says="exactly the threshold")
def soft_no_threshold(boxes, scores, labels, iou_threshold, score_threshold):
    return _soft(boxes, scores, labels, iou_threshold, score_threshold, clash=lambda row, same: same & (row > 0))


@wrong("5.2", "lowered by the best box only", says="earlier box should go first")
def soft_once(boxes, scores, labels, iou_threshold, score_threshold):
    table, now = box_iou(boxes, boxes), scores.clone()
    for i in range(len(boxes)):
        better = [
            j
            for j in range(len(boxes))
            if scores[j] > scores[i] and labels[i] == labels[j] and table[i, j] > iou_threshold
        ]
        if better:
            now[i] = scores[i] * (1 - table[i, max(better, key=lambda j: scores[j].item())])
    order = now.argsort(descending=True, stable=True)
    order = order[now[order] > score_threshold]
    return order, now[order]


@wrong("5.2", "crashes on nothing", says="two empty tensors")
def soft_crash(boxes, scores, labels, iou_threshold, score_threshold):
    scores.argmax()
    return _soft(boxes, scores, labels, iou_threshold, score_threshold)


@wrong("5.2", "scores changed in place", says="input should stay", only_behaviour=True)
def soft_in_place(boxes, scores, labels, iou_threshold, score_threshold):
    result = _soft(boxes, scores, labels, iou_threshold, score_threshold)
    scores[result[0]] = result[1]
    return result


def _moved_apart(boxes, scores, labels, iou_threshold, score_threshold, shift):
    """Classes kept apart by moving each somewhere else."""
    return _soft(
        boxes + (labels * shift).to(boxes)[:, None], scores, torch.ones_like(labels), iou_threshold, score_threshold
    )


@wrong("5.2", "classes moved apart by the largest corner", says="wherever they lie")
def soft_offset(boxes, scores, labels, iou_threshold, score_threshold):
    shift = boxes.max() + 1 if boxes.numel() else 0
    return _moved_apart(boxes, scores, labels, iou_threshold, score_threshold, shift)


@wrong("5.2", "classes moved apart by 1000", says="wherever they lie")
def soft_thousand(boxes, scores, labels, iou_threshold, score_threshold):
    return _moved_apart(boxes, scores, labels, iou_threshold, score_threshold, 1000)


@wrong("5.2", "boxes cut at the picture", says="wherever they lie")
def soft_cut(boxes, scores, labels, iou_threshold, score_threshold):
    moved = boxes.clamp(min=0)
    return _soft(moved, scores, labels, iou_threshold, score_threshold)


@wrong("5.2", "on the CPU without boxes", says="device should be kept", only_behaviour=True)
def soft_empty_cpu(boxes, scores, labels, iou_threshold, score_threshold):
    if len(boxes) == 0:
        return torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=scores.dtype)
    return _soft(boxes, scores, labels, iou_threshold, score_threshold)


@wrong("5.2", "float32 without boxes", says="dtype should be kept", only_behaviour=True)
def soft_empty_float32(boxes, scores, labels, iou_threshold, score_threshold):
    if len(boxes) == 0:
        return labels.new_zeros(0), torch.zeros(0, device=boxes.device)
    return _soft(boxes, scores, labels, iou_threshold, score_threshold)


@right("5.2", "recursion with those that are left")
def soft_recursion(boxes, scores, labels, iou_threshold, score_threshold):
    def go(left):
        i = min(left, key=lambda j: (-left[j].item(), j), default=None)
        if i is None or not left[i] > score_threshold:
            return []
        rest = {}
        for j in left.keys() - {i}:
            overlap = box_iou(boxes[i : i + 1], boxes[j : j + 1])[0, 0]
            lower = labels[i] == labels[j] and overlap > iou_threshold
            rest[j] = left[j] * (1 - overlap) if lower else left[j]
        return [(i, left[i]), *go(rest)]

    taken = go(dict(enumerate(scores)))
    places = torch.tensor([i for i, _ in taken], dtype=torch.long, device=scores.device)
    return places, torch.stack([s for _, s in taken]) if taken else scores[:0]


@right("5.2", "class by class, then by score and place")
def soft_by_class(boxes, scores, labels, iou_threshold, score_threshold):
    found = []
    for label in labels.unique():
        own = (labels == label).nonzero()[:, 0]
        kept, points = _soft(boxes[own], scores[own], labels[own], iou_threshold, score_threshold)
        found += zip((-points).tolist(), own[kept].tolist(), strict=True)
    found.sort()
    places = torch.tensor([i for _, i in found], dtype=torch.int64, device=scores.device)
    return places, scores.new_tensor([-s for s, _ in found])


@right("5.2", "numpy, factors with ones on the diagonal")
def soft_numpy(boxes, scores, labels, iou_threshold, score_threshold):
    table, kinds = box_iou(boxes, boxes).cpu().numpy(), labels.cpu().numpy()
    lower = (kinds[:, None] == kinds) & (table > iou_threshold)
    numpy.fill_diagonal(lower, False)
    factors = numpy.where(lower, 1 - table, 1)
    now, free, kept, points = scores.cpu().numpy().copy(), numpy.ones(len(scores), dtype=bool), [], []
    while free.any():
        i = int(numpy.where(free, now, -numpy.inf).argmax())
        if now[i] <= score_threshold:
            break
        kept.append(i)
        points.append(float(now[i]))
        free[i] = False
        now = numpy.where(free, now * factors[i], now)
    return torch.tensor(kept, dtype=torch.int64, device=scores.device), scores.new_tensor(points)


def _each_class(boxes, scores, labels, iou_threshold, score_threshold):
    """What soft suppression gives, class after class."""
    kept, points = [labels.new_zeros(0)], [scores.new_zeros(0)]
    for label in labels.unique():
        own = (labels == label).nonzero()[:, 0]
        k, p = _soft(boxes[own], scores[own], labels[own], iou_threshold, score_threshold)
        kept.append(own[k])
        points.append(p)
    return torch.cat(kept), torch.cat(points)


@wrong("5.2", "class after class", says="earlier box should go first")
def soft_class_after_class(boxes, scores, labels, iou_threshold, score_threshold):
    return _each_class(boxes, scores, labels, iou_threshold, score_threshold)


@wrong("5.2", "class after class, sorted by score alone", says="of equal scores the earlier box should go first")
def soft_class_sorted(boxes, scores, labels, iou_threshold, score_threshold):
    kept, points = _each_class(boxes, scores, labels, iou_threshold, score_threshold)
    order = points.argsort(descending=True, stable=True)
    return kept[order], points[order]


@wrong("5.2", "places among those above score_threshold", says="places in the list as it came")
def soft_dropped_first(boxes, scores, labels, iou_threshold, score_threshold):
    keep = scores > score_threshold
    return _soft(boxes[keep], scores[keep], labels[keep], iou_threshold, score_threshold)


@wrong("5.2", "sorted anew each time, from the order before", says="of scores that become equal the earlier box")
def soft_resorted(boxes, scores, labels, iou_threshold, score_threshold):
    table, now, left = box_iou(boxes, boxes), scores.clone(), list(range(len(boxes)))
    kept, points = [], []
    while left:
        left.sort(key=lambda i: -now[i].item())
        i = left.pop(0)
        if now[i] <= score_threshold:
            break
        kept.append(i)
        points.append(now[i].item())
        for j in left:
            now[j] *= 1 - table[i, j] if labels[i] == labels[j] and table[i, j] > iou_threshold else 1
    return torch.tensor(kept, dtype=torch.int64, device=scores.device), scores.new_tensor(points)


@wrong("5.2", "the largest overlap counts, not all of them", says="lowered more than once")
def soft_largest_only(boxes, scores, labels, iou_threshold, score_threshold):
    table, worst, kept, points = box_iou(boxes, boxes), torch.zeros_like(scores), [], []
    while len(kept) < len(scores):
        now = scores * (1 - worst)
        now[kept] = -torch.inf
        i = int(now.argmax())
        if now[i] <= score_threshold:
            break
        kept.append(i)
        points.append(now[i].item())
        lower = (labels == labels[i]) & (table[i] > iou_threshold)
        worst = torch.where(lower, torch.maximum(worst, table[i]), worst)
    return torch.tensor(kept, dtype=torch.int64, device=scores.device), scores.new_tensor(points)


@wrong("5.2", "score_threshold asked before anything is lowered", says="identical boxes should leave one")
def soft_threshold_first(boxes, scores, labels, iou_threshold, score_threshold):
    keep = (scores > score_threshold).nonzero()[:, 0]
    kept, points = _soft(boxes[keep], scores[keep], labels[keep], iou_threshold, -1.0)
    return keep[kept], points


@wrong("5.2", "those taken are lowered as well", says="stay with a lower score")
def soft_taken_lowered(boxes, scores, labels, iou_threshold, score_threshold):
    kept, _ = _soft(boxes, scores, labels, iou_threshold, score_threshold)
    table, now = box_iou(boxes, boxes), scores.clone()
    for i in kept.tolist():
        lower = (labels == labels[i]) & (table[i] > iou_threshold)
        lower[i] = False
        now[lower] *= 1 - table[i][lower]
    return kept, now[kept]


@wrong("5.2", "taken marked with minus infinity, then multiplied", says="stay with a lower score")
def soft_infinity(boxes, scores, labels, iou_threshold, score_threshold):
    table, now, kept, points = box_iou(boxes, boxes), scores.clone(), [], []
    while len(now) and now.max() > score_threshold:
        i = int(now.argmax())
        kept.append(i)
        points.append(now[i].item())
        now[i] = -torch.inf
        now = torch.where((labels == labels[i]) & (table[i] > iou_threshold), now * (1 - table[i]), now)
    return torch.tensor(kept, dtype=torch.int64, device=scores.device), scores.new_tensor(points)


@wrong("5.2", "the overlap as a share of the smaller box", says="stay with a lower score")
def soft_smaller_box(boxes, scores, labels, iou_threshold, score_threshold):
    iou, area = box_iou(boxes, boxes), (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    table = iou * (area[:, None] + area) / (1 + iou) / torch.minimum(area[:, None], area)
    rows = iter(table[_soft(boxes, scores, labels, iou_threshold, score_threshold)[0]])
    return _soft(boxes, scores, labels, iou_threshold, score_threshold, factor=lambda row: 1 - next(rows))


@wrong("5.2", "only neighbours in the list lower each other", says="wherever they stand in the list")
def soft_neighbours(boxes, scores, labels, iou_threshold, score_threshold):
    here = torch.arange(len(boxes), device=boxes.device)

    def clash(row, same):
        return same & (row > iou_threshold) & ((here - row.argmax()).abs() <= 1)

    return _soft(boxes, scores, labels, iou_threshold, score_threshold, clash=clash)


@wrong("5.2", "ten at most", says="every box should be lowered by each better box")
def soft_ten(boxes, scores, labels, iou_threshold, score_threshold):
    kept, points = _soft(boxes, scores, labels, iou_threshold, score_threshold)
    return kept[:10], points[:10]


@wrong("5.2", "a list of numbers without a type", says="the result[0] should be int64", only_behaviour=False)
def soft_untyped(boxes, scores, labels, iou_threshold, score_threshold):
    kept, points = _soft(boxes, scores, labels, iou_threshold, score_threshold)
    return torch.tensor(kept.tolist(), device=scores.device), points


@wrong("5.2", "always on the CPU, in float32", says="dtype should be kept", only_behaviour=True)
def soft_cpu(boxes, scores, labels, iou_threshold, score_threshold):
    kept, points = _soft(boxes, scores, labels, iou_threshold, score_threshold)
    return torch.tensor(kept.tolist(), dtype=torch.int64), torch.tensor(points.tolist())


# --- 5.3 quality_loss --------------------------------------------------------------------------------------------


def _wanted(logits, classes, quality):
    columns = torch.arange(1, logits.shape[1] + 1, device=logits.device)
    return torch.where(classes[:, None] == columns, quality[:, None].to(logits), torch.zeros_like(logits))


def _quality(logits, wanted):
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")


@right("5.3", "PyTorch's cross-entropy")
def quality_pytorch(logits, classes, quality):
    return _quality(logits, _wanted(logits, classes, quality)).sum(dim=1).masked_fill(classes < 0, 0)


@right("5.3", "by one-hot rows")
def quality_one_hot(logits, classes, quality):
    n = logits.shape[1]
    hot = torch.nn.functional.one_hot(classes.clamp(min=0), n + 1)[:, 1:].to(logits)
    q = hot * quality.to(logits).unsqueeze(1)
    zero = torch.zeros_like(logits)
    cost = q * torch.logaddexp(zero, -logits) + (1 - q) * torch.logaddexp(zero, logits)
    return torch.where(classes < 0, zero.sum(dim=1), cost.sum(dim=1))


@wrong("5.3", "the lesson's own loss: a plain yes", says="over-sure")
def quality_plain(logits, classes, quality):
    return quality_pytorch(logits, classes, torch.ones_like(quality))


@wrong("5.3", "zeros of the right shape", says="plain yes")
def quality_zeros(logits, classes, quality):
    return (logits * 0).sum(dim=1)


@wrong("5.3", "quality as a weight", says="over-sure")
def quality_weight(logits, classes, quality):
    cost = quality_pytorch(logits, classes, torch.ones_like(quality))
    return torch.where(classes > 0, cost * quality.to(logits), cost)


@wrong("5.3", "logarithms of probabilities", says="should stay finite")
def quality_unstable(logits, classes, quality):
    p, q = logits.sigmoid(), _wanted(logits, classes, quality)
    return (-(q * p.log()) - (1 - q) * (1 - p).log()).sum(dim=1).masked_fill(classes < 0, 0)


@wrong("5.3", "probabilities clamped", says="should stay finite")
def quality_clamped(logits, classes, quality):
    p, q = logits.sigmoid().clamp(1e-4, 1 - 1e-4), _wanted(logits, classes, quality)
    return (-(q * p.log()) - (1 - q) * (1 - p).log()).sum(dim=1).masked_fill(classes < 0, 0)


@wrong("5.3", "label c in column c", says="plain yes")
def quality_column(logits, classes, quality):
    columns = torch.arange(logits.shape[1], device=logits.device)
    wanted = torch.where(
        (classes[:, None] == columns) & (classes[:, None] > 0), quality[:, None].to(logits), torch.zeros_like(logits)
    )
    return _quality(logits, wanted).sum(dim=1).masked_fill(classes < 0, 0)


@wrong("5.3", "background left out", says="background should cost")
def quality_no_background(logits, classes, quality):
    return quality_pytorch(logits, classes, quality).masked_fill(classes <= 0, 0)


@wrong("5.3", "boxes that are not asked pay as background", says="not asked")
def quality_asked(logits, classes, quality):
    return _quality(logits, _wanted(logits, classes, quality)).sum(dim=1)


@wrong("5.3", "only the true class's question", says="wants the quality")
def quality_only_true(logits, classes, quality):
    mask = torch.arange(1, logits.shape[1] + 1, device=logits.device) == classes[:, None]
    cost = _quality(logits, _wanted(logits, classes, quality))
    return torch.where(classes > 0, (cost * mask).sum(dim=1), cost.sum(dim=1)).masked_fill(classes < 0, 0)


@wrong("5.3", "mean over the classes", says="wants the quality")
def quality_mean(logits, classes, quality):
    return quality_pytorch(logits, classes, quality) / logits.shape[1]


@wrong("5.3", "one number for all boxes", says="pay for itself")
def quality_summed(logits, classes, quality):
    return quality_pytorch(logits, classes, quality).sum()[None]


@wrong("5.3", "gradient detached", says="gradient should flow", only_behaviour=True)
def quality_detached(logits, classes, quality):
    return quality_pytorch(logits.detach(), classes, quality)


@wrong("5.3", "classes changed in place", says="input should stay", only_behaviour=True)
def quality_in_place(logits, classes, quality):
    result = quality_pytorch(logits, classes.clone(), quality)
    classes.clamp_(min=0)
    return result


@wrong(
    "5.3",
    "softplus by hand, its gradient nan",
    says="gradient should flow: the gradient is nan at [0, 0]",
    only_behaviour=True,
)
def quality_by_hand(logits, classes, quality):
    softplus = torch.where(logits > 30, logits, torch.log1p(torch.exp(logits)))
    cost = (softplus - _wanted(logits, classes, quality) * logits).sum(dim=1)
    return torch.where(classes < 0, torch.zeros_like(cost), cost)


@wrong("5.3", "class -1 used as a column", says="with a single class, too")
def quality_minus_two(logits, classes, quality):
    wanted = torch.zeros_like(logits)
    wanted[torch.arange(len(logits), device=logits.device), classes - 1] = quality.to(logits) * (classes > 0)
    return _quality(logits, wanted).sum(dim=1).masked_fill(classes < 0, 0)


@wrong("5.3", "quality 0 taken for not asked", says="quality 0 is a plain no")
def quality_zero(logits, classes, quality):
    return quality_pytorch(logits, classes, quality).masked_fill((classes > 0) & (quality == 0), 0)


@wrong("5.3", "on the CPU without boxes", says="device should be kept", only_behaviour=True)
def quality_empty_cpu(logits, classes, quality):
    return quality_pytorch(logits, classes, quality) if len(logits) else torch.zeros(0, dtype=logits.dtype)


@wrong("5.3", "float32 without boxes", says="dtype should be kept", only_behaviour=True)
def quality_empty_float32(logits, classes, quality):
    return quality_pytorch(logits, classes, quality) if len(logits) else torch.zeros(0, device=logits.device)


@right("5.3", "question by question")
def quality_loop(logits, classes, quality):
    costs = [logits.new_zeros(0)]
    for row, c, q in zip(logits, classes.tolist(), quality, strict=True):
        total = row.sum() * 0
        for column, z in enumerate(row if c >= 0 else [], start=1):
            total = total + torch.logaddexp(torch.zeros_like(z), z) - (q * z if column == c else 0)
        costs.append(total[None])
    return torch.cat(costs)


@right("5.3", "the qualities scattered, unasked boxes multiplied away")
def quality_scattered(logits, classes, quality):
    place = torch.nn.functional.one_hot(classes.clamp(min=0), logits.shape[1] + 1)[:, 1:].bool()
    wanted = torch.zeros_like(logits).masked_scatter(place, quality[classes > 0].to(logits))
    return torch.einsum("mn,m->m", _quality(logits, wanted), (classes >= 0).to(logits))


@right("5.3", "all as background, objects corrected")
def quality_corrected(logits, classes, quality):
    yes, no = (-torch.nn.functional.logsigmoid(z) for z in (logits, -logits))
    places = (classes > 0).nonzero()[:, 0]
    column = classes[places] - 1
    more = quality[places].to(logits) * (yes[places, column] - no[places, column])
    return torch.where(classes == -1, 0.0, no.sum(dim=-1).index_add(0, places, more))


@wrong("5.3", "column -1 for background", says="background should cost something")
def quality_last_column(logits, classes, quality):
    wanted = torch.zeros_like(logits)
    wanted[torch.arange(len(classes)), classes.clamp(min=0) - 1] = quality.to(logits)
    return _quality(logits, wanted).sum(dim=1).masked_fill(classes < 0, 0)


@wrong("5.3", "the divergence: 0 where p is the quality", says="over-sure")
def quality_divergence(logits, classes, quality):
    q = _wanted(logits, classes, quality)
    own = torch.special.entr(q) + torch.special.entr(1 - q)
    return (_quality(logits, q) - own).sum(dim=1).masked_fill(classes < 0, 0)


@wrong("5.3", "logits stopped at 50", says="and cost in full")
def quality_stopped(logits, classes, quality):
    return quality_pytorch(logits.clamp(-50, 50), classes, quality)


@wrong("5.3", "BCELoss, which stops logarithms at -100", says="large logits should stay finite")
def quality_bce(logits, classes, quality):
    wanted = _wanted(logits, classes, quality)
    cost = torch.nn.functional.binary_cross_entropy(logits.sigmoid(), wanted, reduction="none")
    return cost.sum(dim=1).masked_fill(classes < 0, 0)


@wrong("5.3", "the paper's weight as well", says="quality 1 is a plain yes")
def quality_paper(logits, classes, quality):
    q = _wanted(logits, classes, quality)
    cost = (q - logits.sigmoid()).square() * _quality(logits, q)
    return cost.sum(dim=1).masked_fill(classes < 0, 0)


@wrong("5.3", "the quality weighs all questions of its box", says="over-sure")
def quality_weighs_box(logits, classes, quality):
    return quality_pytorch(logits, classes, torch.ones_like(quality)) * torch.where(classes > 0, quality, 1.0)


@wrong("5.3", "the quality for every class", says="the true class wants the quality, the others 0")
def quality_everywhere(logits, classes, quality):
    wanted = torch.where(classes > 0, quality.to(logits), 0.0)[:, None].expand_as(logits)
    return _quality(logits, wanted).sum(dim=1).masked_fill(classes < 0, 0)


@wrong("5.3", "a quality below one half is a plain no", says="a low quality should count as it is")
def quality_threshold(logits, classes, quality):
    return quality_pytorch(logits, classes, torch.where(quality < 0.5, 0.0, quality))


@wrong("5.3", "the quality in tenths", says="a low quality should count as it is")
def quality_tenths(logits, classes, quality):
    return quality_pytorch(logits, classes, (quality * 10).round() / 10)


@wrong("5.3", "logarithm of one plus the exponential", says="large logits should stay finite")
def quality_overflow(logits, classes, quality):
    cost = torch.log1p(logits.exp()) - _wanted(logits, classes, quality) * logits
    return cost.sum(dim=1).masked_fill(classes < 0, 0)


@wrong("5.3", "unasked boxes left out of the list", says="should have shape [1]")
def quality_left_out(logits, classes, quality):
    return quality_pytorch(logits, classes, quality)[classes >= 0]


@wrong("5.3", "no axis of length 1", says="should have shape [1]")
def quality_squeezed(logits, classes, quality):
    return quality_pytorch(logits, classes, quality).squeeze()


@wrong("5.3", "in float32, whatever comes in", says="dtype should be kept", only_behaviour=True)
def quality_float32(logits, classes, quality):
    return quality_pytorch(logits.float(), classes, quality.float())


@wrong("5.3", "qualities that mean nothing set to 0 in place", says="input should stay", only_behaviour=True)
def quality_cleared(logits, classes, quality):
    quality[classes <= 0] = 0
    return quality_pytorch(logits, classes, quality)


# --- 5.4 find_hits -----------------------------------------------------------------------------------------------


def _hits(boxes, objects, order, *, enough=lambda v: v >= 0.5, cross=True):
    """Going down `order`, each answer claims the free object it overlaps most."""
    table = box_iou(boxes, objects)
    out = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    free = torch.ones(len(objects), dtype=torch.bool, device=boxes.device)
    for i in order:
        row = torch.where(free, table[i], -torch.ones_like(table[i])) if cross else table[i]
        if len(row) and enough(row.max()) and free[row.argmax()]:
            out[i] = True
            free[row.argmax()] = False
    return out


def _by_score(scores):
    return scores.sort(descending=True, stable=True).indices.tolist()


@right("5.4", "a mask of the free")
def hits_mask(boxes, scores, objects):
    return _hits(boxes, objects, _by_score(scores))


@right("5.4", "a set of the free")
def hits_set(boxes, scores, objects):
    table, free = box_iou(boxes, objects).tolist(), set(range(len(objects)))
    out = [False] * len(boxes)
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i].item()):
        choice = sorted((-table[i][j], j) for j in free)
        if choice and choice[0][0] <= -0.5:
            out[i] = True
            free.remove(choice[0][1])
    return torch.tensor(out, dtype=torch.bool, device=boxes.device)


@wrong("5.4", "duplicates count, only the crash is mended", says="claimed once")
def hits_duplicates(boxes, scores, objects):
    if len(objects) == 0:
        return torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    return box_iou(boxes, objects).amax(dim=1) >= 0.5


@wrong("5.4", "in the order of the list", says="better score should go first")
def hits_unsorted(boxes, scores, objects):
    return _hits(boxes, objects, range(len(boxes)))


@wrong("5.4", "crashes without objects", says="without objects")
def hits_crash(boxes, scores, objects):
    box_iou(boxes, objects).max(dim=1)
    return _hits(boxes, objects, _by_score(scores))


@wrong("5.4", "Pascal VOC's rule", says="object that is left")
def hits_voc(boxes, scores, objects):
    return _hits(boxes, objects, _by_score(scores), cross=False)


@wrong("5.4", "result in the order of the scores", says="better score should go first")
def hits_sorted_result(boxes, scores, objects):
    return hits_mask(boxes, scores, objects)[_by_score(scores)]


@wrong("5.4", "above one half only", says="exactly one half")
def hits_above(boxes, scores, objects):
    return _hits(boxes, objects, _by_score(scores), enough=lambda v: v > 0.5)


@wrong("5.4", "worst score first", says="claimed once")
def hits_worst_first(boxes, scores, objects):
    return _hits(boxes, objects, scores.sort(stable=True).indices.tolist())


@wrong("5.4", "everything is a hit", says="claimed once")
def hits_everything(boxes, scores, objects):
    return torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)


@wrong("5.4", "nothing is a hit", says="on an object")
def hits_nothing(boxes, scores, objects):
    return torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)


@wrong("5.4", "the first free object that fits", says="overlaps most")
def hits_first_fit(boxes, scores, objects):
    table, free = box_iou(boxes, objects), list(range(len(objects)))
    out = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    for i in _by_score(scores):
        for j in free:
            if table[i, j] >= 0.5:
                out[i] = True
                free.remove(j)
                break
    return out


@wrong("5.4", "scores changed in place", says="input should stay", only_behaviour=True)
def hits_in_place(boxes, scores, objects):
    result = hits_mask(boxes, scores, objects)
    scores.zero_()
    return result


@wrong("5.4", "a miss claims as well", says="leave it to the next")
def hits_miss_claims(boxes, scores, objects):
    table, free = box_iou(boxes, objects), list(range(len(objects)))
    out = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    for i in _by_score(scores):
        if free:
            best = max(free, key=lambda j: table[i, j].item())
            out[i] = table[i, best] >= 0.5
            free.remove(best)
    return out


@wrong("5.4", "the largest overlap first, whatever the scores", says="stays claimed")
def hits_best_overlap(boxes, scores, objects):
    table, pairs = box_iou(boxes, objects), []
    out = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    for value, i, j in sorted((-table[i, j].item(), i, j) for i in range(len(boxes)) for j in range(len(objects))):
        if -value >= 0.5 and all(i != a and j != b for a, b in pairs):
            pairs.append((i, j))
            out[i] = True
    return out


@wrong("5.4", "first and second choice only", says="however many are gone")
def hits_two_choices(boxes, scores, objects):
    table, gone = box_iou(boxes, objects), set()
    out = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    for i in _by_score(scores) if len(objects) else []:
        for j in table[i].argsort(descending=True, stable=True)[:2].tolist():
            if table[i, j] >= 0.5 and j not in gone and not out[i]:
                out[i] = True
                gone.add(j)
    return out


@wrong("5.4", "on the CPU without objects", says="device should be kept", only_behaviour=True)
def hits_empty_cpu(boxes, scores, objects):
    return hits_mask(boxes, scores, objects) if len(objects) else torch.zeros(len(boxes), dtype=torch.bool)


@right("5.4", "of objects that it overlaps equally the last")
def hits_last_of_equals(boxes, scores, objects):
    return _hits(boxes, objects.flip(0), _by_score(scores))


@right("5.4", "numpy, with a column for nobody")
def hits_nobody(boxes, scores, objects):
    table = box_iou(boxes, objects).cpu().numpy()
    table = numpy.concatenate([table, numpy.zeros((len(table), 1))], axis=1)
    hit = numpy.zeros(len(table), dtype=bool)
    for i in numpy.argsort(-scores.cpu().numpy(), kind="stable"):
        j = table[i].argmax()
        if table[i, j] >= 0.5:
            hit[i], table[:, j] = True, 0
    return torch.from_numpy(hit).to(boxes.device)


@right("5.4", "a heap of scores")
def hits_heap(boxes, scores, objects):
    heap = [(-s, i) for i, s in enumerate(scores.tolist())]
    heapq.heapify(heap)
    free = torch.ones(len(objects), dtype=torch.bool, device=boxes.device)
    result = scores.new_zeros(len(scores)).bool()
    while heap and free.any():
        _, i = heapq.heappop(heap)
        places = free.nonzero()[:, 0]
        overlaps = box_iou(boxes[i][None], objects[places])[0]
        if overlaps.max() >= 0.5:
            result[i], free[places[overlaps.argmax()]] = True, False
    return result


@right("5.4", "recursion on the objects that are free")
def hits_recursion(boxes, scores, objects):
    def go(waiting, free):
        near = max(
            ((box_iou(boxes[i][None], objects[j][None]).item(), -j) for i in waiting[:1] for j in free), default=(0, 0)
        )
        if not waiting:
            return set()
        if near[0] >= 0.5:
            return {waiting[0]} | go(waiting[1:], [j for j in free if j != -near[1]])
        return go(waiting[1:], free)

    hits = go(_by_score(scores), list(range(len(objects))))
    return torch.tensor([i in hits for i in range(len(scores))], dtype=torch.bool, device=boxes.device)


@wrong("5.4", "stops at the first miss", says="leave it to the next")
def hits_stops(boxes, scores, objects):
    order = _by_score(scores)
    right = hits_mask(boxes, scores, objects)
    first = next((k for k, i in enumerate(order) if not right[i]), len(order))
    right[order[first:]] = False
    return right


@wrong("5.4", "object by object, the best score that fits", says="the object that it overlaps most")
def hits_by_object(boxes, scores, objects):
    table = box_iou(boxes, objects)
    out = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    for j in range(len(objects)):
        fits = [i for i in _by_score(scores) if table[i, j] >= 0.5 and not out[i]]
        out[fits[:1]] = True
    return out


@wrong("5.4", "scores of 0 are never reached", says="a score of 0 should count")
def hits_zero_score(boxes, scores, objects):
    return _hits(boxes, objects, [i for i in _by_score(scores) if scores[i] > 0])


@wrong("5.4", "scores in whole per cents", says="scores may lie close together")
def hits_per_cent(boxes, scores, objects):
    return hits_mask(boxes, (scores * 100).round(), objects)


@wrong("5.4", "sorted back by the order itself", says="at its detection's own place")
def hits_order_twice(boxes, scores, objects):
    order = torch.tensor(_by_score(scores), dtype=torch.int64, device=boxes.device)
    return hits_mask(boxes, scores, objects)[order][order]


@wrong("5.4", "of equal scores the last", says="of equal scores the first should claim")
def hits_last_score(boxes, scores, objects):
    return _hits(boxes, objects, sorted(range(len(boxes)), key=lambda i: (-scores[i].item(), -i)))


@wrong("5.4", "of equal scores the larger overlap", says="of equal scores the first should claim")
def hits_larger_overlap(boxes, scores, objects):
    best = box_iou(boxes, objects).amax(dim=1).tolist() if len(objects) else [0] * len(boxes)
    return _hits(boxes, objects, sorted(range(len(boxes)), key=lambda i: (-scores[i].item(), -best[i])))


@wrong("5.4", "after a hit the last object leaves the list", says="two detections on two objects")
def hits_last_leaves(boxes, scores, objects):
    table, left = box_iou(boxes, objects), len(objects)
    out = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    for i in _by_score(scores):
        if left and table[i, :left].max() >= 0.5:
            out[i] = True
            left -= 1
    return out


@wrong("5.4", "suppression in place of claims", says="the object that is left")
def hits_suppressed(boxes, scores, objects):
    kept = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    kept[nms(boxes, scores, 0.5)] = True
    return kept & (box_iou(boxes, objects) >= 0.5).any(dim=1)


@wrong("5.4", "as many hits as objects that are overlapped", says="the object that it overlaps most")
def hits_counted(boxes, scores, objects):
    enough = box_iou(boxes, objects) >= 0.5
    out = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    near = [i for i in _by_score(scores) if enough[i].any()]
    out[near[: int(enough.any(dim=0).sum())]] = True
    return out


@wrong("5.4", "without objects zeros as numbers", says="should be bool")
def hits_empty_float(boxes, scores, objects):
    return hits_mask(boxes, scores, objects) if len(objects) else torch.zeros(len(boxes))


@wrong("5.4", "without detections a list without a type", says="should be bool")
def hits_untyped(boxes, scores, objects):
    return torch.tensor(hits_mask(boxes, scores, objects).tolist(), device=boxes.device)


# --- 5.5 best_threshold -----------------------------------------------------------------------------------------------


def _gates(scores, hits, objects, value=None):
    """(gate, F1) of every gate, highest first."""
    value = value or (lambda right, passing, objects: 2 * right / (passing + objects))
    rows = []
    for gate in sorted(set(scores.tolist()), reverse=True):
        passing = scores >= gate
        rows.append((gate, value(int((passing & hits).sum()), int(passing.sum()), objects)))
    return rows


@right("5.5", "gate by gate")
def gate_loop(scores, hits, objects):
    return max(_gates(scores, hits, objects), key=lambda row: row[1], default=(1.0, 0.0))


@right("5.5", "running sums, ties closed")
def gate_sums(scores, hits, objects):
    if scores.numel() == 0:
        return (1.0, 0.0)
    sorted_scores, order = scores.sort(descending=True)
    right_so_far = hits[order].double().cumsum(0)
    shown = torch.arange(1, len(scores) + 1, device=scores.device)
    f1 = 2 * right_so_far / (shown + objects)
    last = torch.cat([sorted_scores[1:] != sorted_scores[:-1], torch.ones(1, dtype=torch.bool, device=scores.device)])
    place = f1.masked_fill(~last, -1).argmax()
    return float(sorted_scores[place]), float(f1[place])


@wrong("5.5", "precision in place of F1", says="yours gives")
def gate_precision(scores, hits, objects):
    rows = _gates(scores, hits, objects, lambda right, passing, objects: right / passing)
    return max(rows, key=lambda row: row[1], default=(1.0, 0.0))


@wrong("5.5", "recall in place of F1", says="yours gives")
def gate_recall(scores, hits, objects):
    rows = _gates(scores, hits, objects, lambda right, passing, objects: right / objects)
    return max(rows, key=lambda row: row[1], default=(1.0, 0.0))


@wrong("5.5", "ties cut apart", says="pass together")
def gate_cut(scores, hits, objects):
    if len(scores) == 0:
        return 1.0, 0.0
    order = scores.argsort(descending=True, stable=True)
    f1 = 2 * hits[order].double().cumsum(0) / (torch.arange(1, len(scores) + 1) + objects)
    place = f1.argmax()
    return scores[order][place].item(), f1[place].item()


@wrong("5.5", "missed objects are free", says="missed objects")
def gate_no_missed(scores, hits, objects):
    found = max(int(hits.sum()), 1)
    rows = _gates(scores, hits, found)
    return max(rows, key=lambda row: row[1], default=(1.0, 0.0))


@wrong("5.5", "the lowest of equally good gates", says="highest score")
def gate_lowest(scores, hits, objects):
    return max(reversed(_gates(scores, hits, objects)), key=lambda row: row[1], default=(1.0, 0.0))


@wrong("5.5", "only answers above the gate pass", says="yours gives")
def gate_above(scores, hits, objects):
    rows = []
    for gate in sorted(set(scores.tolist()), reverse=True):
        passing = scores > gate
        rows.append((gate, 2 * int((passing & hits).sum()) / (int(passing.sum()) + objects)))
    return max(rows, key=lambda row: row[1], default=(1.0, 0.0))


@wrong("5.5", "crashes without answers", says="without detections")
def gate_crash(scores, hits, objects):
    return max(_gates(scores, hits, objects), key=lambda row: row[1])


@wrong("5.5", "always one half", says="yours gives")
def gate_half(scores, hits, objects):
    passing = scores >= 0.5
    return 0.5, 2 * int((passing & hits).sum()) / (int(passing.sum()) + objects)


@wrong("5.5", "answers need to be sorted", says="highest score")
def gate_unsorted(scores, hits, objects):
    if len(scores) == 0:
        return 1.0, 0.0
    f1 = 2 * hits.double().cumsum(0) / (torch.arange(1, len(scores) + 1) + objects)
    place = f1.argmax()
    return scores[place].item(), f1[place].item()


@wrong("5.5", "tensors in place of numbers", says="yours", only_behaviour=False)
def gate_tensors(scores, hits, objects):
    return torch.tensor(gate_loop(scores, hits, objects))


@wrong("5.5", "hits changed in place", says="input should stay", only_behaviour=True)
def gate_in_place(scores, hits, objects):
    result = gate_loop(scores, hits, objects)
    hits.zero_()
    return result


@wrong("5.5", "stops when F1 no longer rises", says="a threshold may be better after a worse one")
def gate_stops(scores, hits, objects):
    best = None
    for gate, f1 in _gates(scores, hits, objects):
        if best and f1 <= best[1]:
            break
        best = gate, f1
    return best or (1.0, 0.0)


@wrong("5.5", "stops when F1 falls", says="a threshold may be better after a worse one")
def gate_stops_falling(scores, hits, objects):
    best = None
    for gate, f1 in _gates(scores, hits, objects):
        if best and f1 < best[1]:
            break
        if not best or f1 > best[1]:
            best = gate, f1
    return best or (1.0, 0.0)


@wrong("5.5", "rounding decides between equals", says="two thresholds with the same F1")
def gate_harmonic(scores, hits, objects):
    def f1(right, passing, objects):
        p, r = right / passing, right / objects
        return 2 * p * r / (p + r) if right else 0.0

    return max(_gates(scores, hits, objects, f1), key=lambda row: row[1], default=(1.0, 0.0))


@wrong("5.5", "gates from a grid", says="only scores that occur")
def gate_grid(scores, hits, objects):
    best = (scores.max().item(), 0.0) if len(scores) else (1.0, 0.0)
    for gate in range(1000, 0, -1):
        passing = scores >= gate / 1000
        f1 = 2 * int((passing & hits).sum()) / (int(passing.sum()) + objects)
        best = (gate / 1000, f1) if f1 > best[1] else best
    return best


@wrong("5.5", "the gate rounded to three digits", says="only scores that occur")
def gate_rounded(scores, hits, objects):
    gate, f1 = gate_loop(scores, hits, objects)
    return round(gate, 3), f1


@wrong("5.5", "ten gates at most", says="any number of thresholds")
def gate_ten(scores, hits, objects):
    return max(_gates(scores, hits, objects)[:10], key=lambda row: row[1], default=(1.0, 0.0))


@right("5.5", "fractions, one group of equal scores after the other")
def gate_fractions(scores, hits, objects):
    groups = {}
    for score, hit in zip(scores.tolist(), hits.tolist(), strict=True):
        groups.setdefault(score, []).append(hit)
    passing, found, best = 0, 0, None
    for score in sorted(groups, reverse=True):
        passing, found = passing + len(groups[score]), found + sum(groups[score])
        f1 = Fraction(2 * found, passing + objects)
        if best is None or f1 > best[1]:
            best = score, f1
    return (best[0], float(best[1])) if best else (1.0, 0.0)


@right("5.5", "numpy, with searchsorted")
def gate_numpy(scores, hits, objects):
    if len(scores) == 0:
        return 1.0, 0.0
    order = numpy.argsort(-scores.cpu().numpy(), kind="stable")
    falling, found = scores.cpu().numpy()[order], numpy.cumsum(hits.cpu().numpy()[order])
    last = numpy.searchsorted(-falling, -falling, side="right") - 1
    f1 = 2 * found[last] / (last + 1 + objects)
    return float(falling[f1.argmax()]), float(f1.max())


@right("5.5", "a table of who passes")
def gate_table(scores, hits, objects):
    gates = scores.unique().flip(0)
    if not len(gates):
        return 1.0, 0.0
    passing = scores >= gates[:, None]
    f1 = 2 * (passing & hits).sum(dim=1).double() / (passing.sum(dim=1) + objects)
    place = int(f1.argmax())
    return gates[place].item(), f1[place].item()


@wrong("5.5", "without a hit no threshold", says="without a hit the highest score")
def gate_no_hit(scores, hits, objects):
    best = (1.0, 0.0)
    for gate, f1 in _gates(scores, hits, objects):
        best = (gate, f1) if f1 > best[1] else best
    return best


@wrong("5.5", "only scores of hits", says="without a hit the highest score")
def gate_only_hits(scores, hits, objects):
    rows = [row for row in _gates(scores, hits, objects) if row[0] in scores[hits].tolist()]
    return max(rows, key=lambda row: row[1], default=(1.0, 0.0))


@wrong("5.5", "half way to the next score", says="highest score")
def gate_half_way(scores, hits, objects):
    gate, f1 = gate_loop(scores, hits, objects)
    below = scores[scores < gate]
    return ((gate + below.max().item()) / 2 if len(below) else gate), f1


@wrong("5.5", "F1 rounded to three digits before the comparison", says="a small gain in F1 should count")
def gate_rounded_f1(scores, hits, objects):
    return max(_gates(scores, hits, objects), key=lambda row: round(row[1], 3), default=(1.0, 0.0))


@wrong("5.5", "a gain below a hundredth does not count", says="a small gain in F1 should count")
def gate_patience(scores, hits, objects):
    best = None
    for gate, f1 in _gates(scores, hits, objects):
        if best is None or f1 > best[1] + 0.01:
            best = gate, f1
    return best or (1.0, 0.0)


@wrong("5.5", "the threshold 0 without detections", says="without detections (1.0, 0.0)")
def gate_zero_gate(scores, hits, objects):
    return max(_gates(scores, hits, objects), key=lambda row: row[1], default=(0.0, 0.0))


@wrong("5.5", "scores sorted, hits not", says="yours gives")
def gate_hits_unsorted(scores, hits, objects):
    return gate_loop(scores.sort(descending=True).values, hits, objects)


@wrong("5.5", "the mean of precision and recall", says="missed objects should cost")
def gate_plain_mean(scores, hits, objects):
    rows = _gates(scores, hits, objects, lambda right, passing, objects: (right / passing + right / objects) / 2)
    return max(rows, key=lambda row: row[1], default=(1.0, 0.0))


@wrong("5.5", "misses are free", says="false positives should cost")
def gate_no_misses(scores, hits, objects):
    rows = _gates(scores, hits, objects, lambda right, passing, objects: 2 * right / (right + objects))
    return max(rows, key=lambda row: row[1], default=(1.0, 0.0))


@wrong("5.5", "the highest score is never tried", says="without a hit the highest score")
def gate_not_highest(scores, hits, objects):
    rows = _gates(scores, hits, objects)
    return max(rows[1:] or rows, key=lambda row: row[1], default=(1.0, 0.0))


@wrong("5.5", "scores of 0 are no scores", says="a score of 0 may be the threshold")
def gate_above_zero(scores, hits, objects):
    return gate_loop(scores[scores > 0], hits[scores > 0], objects)


@wrong("5.5", "scores below one twentieth dropped first", says="yours gives")
def gate_twentieth(scores, hits, objects):
    return gate_loop(scores[scores >= 0.05], hits[scores >= 0.05], objects)


@wrong("5.5", "thresholds on a grid of hundredths, snapped to a score", says="very near to each other")
def best_threshold_grid(scores, hits, objects):
    best = None
    for step in range(100, -1, -1):
        passing = scores >= step / 100
        if passing.any():
            value = 2 * (passing & hits).sum().item() / (passing.sum().item() + objects)
            if best is None or value > best[1]:
                best = (scores[passing].min().item(), value)
    return best or (1.0, 0.0)
