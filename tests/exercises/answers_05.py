"""Wrong and right answers to lesson 5's exercises."""

import torch
from torchvision.ops import batched_nms, box_iou
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
