"""Wrong and right answers to lesson 7's exercises."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.detection._utils import Matcher
from torchvision.ops.poolers import LevelMapper
from trials import right, wrong

from course_lib.matching import one_box_each

# --- 7.2 bottom_up -----------------------------------------------------------------------------------------------


def _climb(maps, pool):
    """The bottom-up path with any pooling in place of the right one."""
    new = [maps[0]]
    for given in maps[1:]:
        new.append(given + pool(new[-1], given))
    return new


def _pool(finer, _=None):
    return F.max_pool2d(finer, 3, 2, 1)


@right("7.2", "max_pool2d, one map after the other")
def bottom_up_pooled(maps):
    return _climb(maps, _pool)


@right("7.2", "the largest of nine shifted maps")
def bottom_up_shifted(maps):
    def pool(finer, given):
        height, width = given.shape[-2:]
        framed = F.pad(finer, (1, 1, 1, 1), value=-torch.inf)
        shifts = [framed[..., r::2, c::2][..., :height, :width] for r in range(3) for c in range(3)]
        return torch.stack(shifts).amax(dim=0)

    return _climb(maps, pool)


@right("7.2", "rows first, then columns")
def bottom_up_separable(maps):
    down = nn.MaxPool2d((3, 1), stride=(2, 1), padding=(1, 0))
    across = nn.MaxPool2d((1, 3), stride=(1, 2), padding=(0, 1))
    out = []
    for given in maps:
        out.append(given if not out else across(down(out[-1])) + given)
    return out


@right("7.2", "by recursion, the last map split off")
def bottom_up_recursive(maps):
    if len(maps) == 1:
        return list(maps)
    below = bottom_up_recursive(maps[:-1])
    return [*below, maps[-1] + torch.max_pool2d(below[-1], [3, 3], [2, 2], [1, 1])]


@right("7.2", "all cells pooled, then every second one taken")
def bottom_up_dense(maps):
    return _climb(maps, lambda finer, _: F.max_pool2d(finer, 3, stride=1, padding=1)[:, :, ::2, ::2])


@wrong("7.2", "the lesson's top-down path", says="the finer new map, pooled, should be added to the next map")
def bottom_up_top_down(maps):
    merged = list(maps)
    for i in reversed(range(len(merged) - 1)):
        merged[i] = merged[i] + F.interpolate(merged[i + 1], size=merged[i].shape[-2:], mode="nearest")
    return merged


@wrong("7.2", "zeros of the right shapes", says="stay as it is")
def bottom_up_zeros(maps):
    return [torch.zeros_like(m) for m in maps]


@wrong("7.2", "the maps as they came", says="should be added to the next map")
def bottom_up_nothing(maps):
    return list(maps)


@wrong("7.2", "the given finer map is pooled, not the new one", says="from the new one before it")
def bottom_up_no_chain(maps):
    return [maps[0]] + [given + _pool(finer) for finer, given in zip(maps[:-1], maps[1:], strict=True)]


@wrong("7.2", "every new map also gets all pooled finer maps again", says="from the new one before it")
def bottom_up_double(maps):
    new = [maps[0]]
    for i, given in enumerate(maps[1:]):
        pooled = _pool(new[-1])
        new.append(given + pooled + (_pool(_pool(new[-2])) if i else 0))
    return new


@wrong("7.2", "every given map pooled by itself, all the way, and added", says="from the new one before it")
def bottom_up_separately(maps):
    new = []
    for i, given in enumerate(maps):
        total = given
        for j, other in enumerate(maps[:i]):
            for _ in range(i - j):
                other = _pool(other)
            total = total + other
        new.append(total)
    return new


@wrong("7.2", "a frame of −1000", says="no other number either")
def bottom_up_number_frame(maps):
    return _climb(maps, lambda finer, _: F.max_pool2d(F.pad(finer, (1, 1, 1, 1), value=-1000.0), 3, 2))


@wrong("7.2", "average pooling", says="columns 2c")
def bottom_up_average(maps):
    return _climb(maps, lambda finer, _: F.avg_pool2d(finer, 3, 2, 1, count_include_pad=False))


@wrong("7.2", "windows of two", says="columns 2c")
def bottom_up_two(maps):
    return _climb(maps, lambda finer, _: F.max_pool2d(finer, 2, 2, ceil_mode=True))


@wrong("7.2", "windows that are fitted to the map", says="columns 2c")
def bottom_up_adaptive(maps):
    return _climb(maps, lambda finer, given: F.adaptive_max_pool2d(finer, given.shape[-2:]))


@wrong("7.2", "every second cell", says="columns 2c")
def bottom_up_every_second(maps):
    return _climb(maps, lambda finer, _: finer[:, :, ::2, ::2])


@wrong("7.2", "resized like the top-down path", says="columns 2c")
def bottom_up_interpolated(maps):
    return _climb(maps, lambda finer, given: F.interpolate(finer, size=given.shape[-2:], mode="nearest"))


@wrong("7.2", "a frame of zeros", says="no 0 either")
def bottom_up_zero_frame(maps):
    return _climb(maps, lambda finer, _: F.max_pool2d(F.pad(finer, (1, 1, 1, 1)), 3, 2))


@wrong("7.2", "a ReLU on the way", says="no 0 either")
def bottom_up_relu(maps):
    return _climb(maps, lambda finer, _: _pool(finer.relu()))


@wrong("7.2", "windows of three without a frame", says="it raises")
def bottom_up_no_frame(maps):
    return _climb(maps, lambda finer, _: F.max_pool2d(finer, 3, 2, ceil_mode=True))


@wrong("7.2", "the window begins at cell 2c", says="columns 2c")
def bottom_up_late(maps):
    return _climb(maps, lambda finer, _: F.max_pool2d(F.pad(finer, (0, 2, 0, 2), value=-torch.inf), 3, 2))


@wrong("7.2", "the frame above and on the left only, the window shifted by one", says="columns 2c")
def bottom_up_early(maps):
    return _climb(maps, lambda finer, _: F.max_pool2d(F.pad(finer, (2, 1, 2, 1), value=-torch.inf), 3, 2))


@wrong("7.2", "pooled along the rows only", says="rows 2r")
def bottom_up_across(maps):
    return _climb(maps, lambda finer, _: F.max_pool2d(finer[:, :, ::2], (1, 3), (1, 2), (0, 1)))


@wrong("7.2", "the larger in place of the sum", says="should be added to the next map")
def bottom_up_larger(maps):
    new = [maps[0]]
    for given in maps[1:]:
        new.append(torch.maximum(given, _pool(new[-1])))
    return new


@wrong("7.2", "the pooled map alone", says="should be added to the next map")
def bottom_up_pooled_only(maps):
    new = [maps[0]]
    for _ in maps[1:]:
        new.append(_pool(new[-1]))
    return new


@wrong("7.2", "the mean of the two", says="should be added to the next map")
def bottom_up_mean(maps):
    new = [maps[0]]
    for given in maps[1:]:
        new.append((given + _pool(new[-1])) / 2)
    return new


@wrong("7.2", "the coarsest map first", says="should be added to the next map")
def bottom_up_reversed(maps):
    return bottom_up_pooled(maps)[::-1]


@wrong("7.2", "without the finest map", says="one map alone")
def bottom_up_without_first(maps):
    return bottom_up_pooled(maps)[1:]


@wrong("7.2", "the last new map only", says="a list of 1")
def bottom_up_last(maps):
    return bottom_up_pooled(maps)[-1]


@wrong("7.2", "stops after two maps", says="from the new one before it")
def bottom_up_two_maps(maps):
    return bottom_up_pooled(maps[:2]) + list(maps[2:])


@wrong("7.2", "needs two maps", says="one map alone")
def bottom_up_needs_two(maps):
    first = [maps[0], maps[1] + _pool(maps[0])]
    for given in maps[2:]:
        first.append(given + _pool(first[-1]))
    return first


@wrong("7.2", "pooled over channels as well", says="channels should be kept apart")
def bottom_up_channels(maps):
    return _climb(maps, lambda finer, _: _pool(finer).amax(dim=1, keepdim=True))


@wrong("7.2", "pictures mixed", says="pictures should be kept apart")
def bottom_up_pictures(maps):
    if not len(maps[0]):
        return bottom_up_pooled(maps)
    return _climb(maps, lambda finer, _: _pool(finer).amax(dim=0, keepdim=True))


@wrong("7.2", "one picture at a time, then stacked", says="no pictures")
def bottom_up_stacked(maps):
    rows = [bottom_up_pooled([m[i : i + 1] for m in maps]) for i in range(len(maps[0]))]
    return [torch.cat(levels) for levels in zip(*rows, strict=True)]


@wrong("7.2", "added in place", says="input should stay", only_behaviour=True)
def bottom_up_in_place(maps):
    for i in range(1, len(maps)):
        maps[i] += _pool(maps[i - 1])
    return maps


@wrong("7.2", "new maps put into the given list", says="input should stay", only_behaviour=True)
def bottom_up_same_list(maps):
    for i in range(1, len(maps)):
        maps[i] = maps[i] + _pool(maps[i - 1])
    return maps


@wrong("7.2", "the pooled map is detached", says="gradient should flow", only_behaviour=True)
def bottom_up_detached(maps):
    return _climb(maps, lambda finer, _: _pool(finer.detach()))


@wrong("7.2", "new tensors from numbers", says="gradient should flow", only_behaviour=True)
def bottom_up_numbers(maps):
    return [torch.tensor(m.tolist()).to(m).reshape(m.shape) for m in bottom_up_pooled(maps)]


@wrong("7.2", "pooled in single precision", says="dtype", only_behaviour=True)
def bottom_up_single(maps):
    return bottom_up_pooled([m.float() for m in maps])


@wrong("7.2", "a tuple", says="should be a list")
def bottom_up_tuple(maps):
    return tuple(bottom_up_pooled(maps))


# --- 7.3 match_with_rescue ---------------------------------------------------------------------------------------


def _thresholds(overlap):
    """(each anchor's largest overlap, its object or −1 or −2); any N and M."""
    if overlap.numel() == 0:
        return overlap.new_zeros(overlap.shape[1]), torch.full_like(overlap[:1].sum(dim=0), -1, dtype=torch.int64)
    best, matches = overlap.max(dim=0)
    matches[best < 0.5] = -2
    matches[best < 0.4] = -1
    return best, matches


def _claims(overlap):
    """Where an object's largest overlap lies, if it is above 0."""
    if overlap.numel() == 0:
        return overlap > 0
    return (overlap == overlap.amax(dim=1, keepdim=True)) & (overlap > 0)


def _none(overlap):
    return torch.full((overlap.shape[1],), -1, dtype=torch.int64, device=overlap.device)


@right("7.3", "claims kept, the rest set to 0")
def rescue_claims(overlap):
    if overlap.numel() == 0:
        return _none(overlap)
    _, matches = _thresholds(overlap)
    strength, owner = (overlap * _claims(overlap)).max(dim=0)
    return torch.where(strength > 0, owner, matches)


@right("7.3", "object by object, from the weakest claim to the strongest")
def rescue_sorted(overlap):
    _, matches = _thresholds(overlap)
    if overlap.numel():
        claims = _claims(overlap)
        strengths = [(value, -i) for i, value in enumerate(overlap.amax(dim=1).tolist())]
        for _, minus in sorted(strengths):
            matches[claims[-minus]] = -minus
    return matches


@right("7.3", "claims lifted above all overlaps")
def rescue_lifted(overlap):
    objects, anchors = overlap.shape
    if objects == 0 or anchors == 0:
        return overlap.new_full((anchors,), -1).long()
    lifted = overlap + 2.0 * _claims(overlap)
    value, owner = lifted.max(dim=0)
    band = (value >= 0.4).long() * -1 - 1
    return torch.where(value >= 0.5, owner, band)


@right("7.3", "anchor by anchor, with plain numbers")
def rescue_loop(overlap):
    rows = overlap.tolist()
    tops = [max(row, default=0.0) for row in rows]
    found = []
    for j in range(overlap.shape[1]):
        owner, strength, best, who = -1, 0.0, 0.0, -1
        for i, row in enumerate(rows):
            if row[j] > best:
                best, who = row[j], i
            if row[j] == tops[i] and row[j] > strength:
                strength, owner = row[j], i
        found.append(owner if owner >= 0 else who if best >= 0.5 else -2 if best >= 0.4 else -1)
    return torch.tensor(found, dtype=torch.int64, device=overlap.device)


def _shipped(overlap, claims=None, owners=None):
    """The shipped matcher, with its two faults as choices."""
    if overlap.numel() == 0:
        return _none(overlap)
    _, favourite = overlap.max(dim=0)
    _, matches = _thresholds(overlap)
    claims = overlap == overlap.amax(dim=1, keepdim=True) if claims is None else claims
    rescued = claims.any(dim=0)
    matches[rescued] = (favourite if owners is None else owners)[rescued]
    return matches


@wrong("7.3", "as shipped, but for the crash", says="overlaps nothing should get no anchor")
def rescue_shipped(overlap):
    return _shipped(overlap)


@wrong("7.3", "torchvision's matcher", says="overlaps nothing should get no anchor")
def rescue_torchvision(overlap):
    return Matcher(0.5, 0.4, allow_low_quality_matches=True)(overlap)


@wrong("7.3", "only the lost objects mended", says="to the object that needs it")
def rescue_only_lost(overlap):
    return _shipped(overlap, _claims(overlap))


@wrong("7.3", "only the owner mended", says="overlaps nothing should get no anchor")
def rescue_only_owner(overlap):
    if overlap.numel() == 0:
        return _none(overlap)
    claims = overlap == overlap.amax(dim=1, keepdim=True)
    return _shipped(overlap, claims, torch.where(claims, overlap, -1).argmax(dim=0))


@wrong("7.3", "all right, but objects are needed", says="without objects every anchor should be background")
def rescue_crash(overlap):
    best, matches = overlap.max(dim=0)
    matches[best < 0.5] = -2
    matches[best < 0.4] = -1
    if overlap.shape[1]:
        strength, owner = (overlap * _claims(overlap)).max(dim=0)
        matches[strength > 0] = owner[strength > 0]
    return matches


@wrong("7.3", "all right, but anchors are needed", says="without anchors")
def rescue_crash_anchors(overlap):
    if len(overlap) == 0:
        return _none(overlap)
    largest = overlap.max(dim=1).values
    return rescue_claims(overlap) if largest.max() > -1 else _none(overlap)


@wrong("7.3", "nothing for a picture without objects", says="without objects every anchor should be background")
def rescue_empty(overlap):
    return rescue_claims(overlap) if len(overlap) else torch.zeros(0, dtype=torch.int64, device=overlap.device)


@wrong("7.3", "no rescue at all", says="however small the overlap")
def rescue_none(overlap):
    return _thresholds(overlap)[1]


@wrong("7.3", "only anchors that are free are rescued", says="to the object that needs it")
def rescue_free_only(overlap):
    matches, full = _thresholds(overlap)[1], rescue_claims(overlap)
    return torch.where(matches >= 0, matches, full)


@wrong("7.3", "only objects without an anchor from 0.5 on are rescued", says="large overlap should be rescued as well")
def rescue_low_only(overlap):
    if overlap.numel() == 0:
        return _none(overlap)
    low = overlap.amax(dim=1, keepdim=True) < 0.5
    strength, owner = (overlap * (_claims(overlap) & low)).max(dim=0)
    return torch.where(strength > 0, owner, _thresholds(overlap)[1])


@wrong(
    "7.3",
    "only objects that the thresholds left without an anchor are rescued",
    says="the larger overlap should get it",
)
def rescue_needy_only(overlap):
    if overlap.numel() == 0:
        return _none(overlap)
    _, matches = _thresholds(overlap)
    needy = torch.tensor([not bool((matches == i).any()) for i in range(len(overlap))], device=overlap.device)
    strength, owner = (overlap * (_claims(overlap) & needy[:, None])).max(dim=0)
    return torch.where(strength > 0, owner, matches)


@wrong("7.3", "one anchor for each object", says="all anchors on which its overlap is largest")
def rescue_one_each(overlap):
    if overlap.numel() == 0:
        return _none(overlap)
    first = F.one_hot(overlap.argmax(dim=1), overlap.shape[1])
    strength, owner = (overlap * first).max(dim=0)
    return torch.where(strength > 0, owner, _thresholds(overlap)[1])


@wrong("7.3", "the last object takes all", says="the larger overlap should get it")
def rescue_last(overlap):
    _, matches = _thresholds(overlap)
    for i, mine in enumerate(_claims(overlap)):
        matches[mine] = i
    return matches


@wrong("7.3", "the first object keeps all", says="the larger overlap should get it")
def rescue_first(overlap):
    _, matches = _thresholds(overlap)
    claims = _claims(overlap)
    for i in reversed(range(len(overlap))):
        matches[claims[i]] = i
    return matches


@wrong("7.3", "the last of equal claims", says="equal overlaps the first should get it")
def rescue_last_tie(overlap):
    if overlap.numel() == 0:
        return _none(overlap)
    strength, owner = (overlap * _claims(overlap)).flip(0).max(dim=0)
    return torch.where(strength > 0, len(overlap) - 1 - owner, _thresholds(overlap)[1])


@wrong("7.3", "of equal overlaps without a claim the last", says="the first object should be taken")
def rescue_last_best(overlap):
    if overlap.numel() == 0:
        return _none(overlap)
    best, owner = overlap.flip(0).max(dim=0)
    matches = torch.where(best >= 0.5, len(overlap) - 1 - owner, _thresholds(overlap)[1])
    strength, owner = (overlap * _claims(overlap)).max(dim=0)
    return torch.where(strength > 0, owner, matches)


@wrong("7.3", "lesson 4's pairs: the loser takes another anchor", says="second best")
def rescue_pairs(overlap):
    _, matches = _thresholds(overlap)
    if overlap.numel():
        strength, owner = (overlap * _claims(overlap)).max(dim=0)
        matches = torch.where(strength > 0, owner, matches)
        for i, j in enumerate(one_box_each(overlap, above=0).tolist()):
            matches[j] = i if j >= 0 else matches[j]
    return matches


@wrong("7.3", "above 0.5 only", says="exactly 0.5")
def rescue_above_half(overlap):
    best, _ = _thresholds(overlap)
    full = rescue_claims(overlap)
    return torch.where((best == 0.5) & ~_claims(overlap).any(dim=0), -2, full)


@wrong("7.3", "up to 0.4 is background", says="exactly 0.4")
def rescue_up_to(overlap):
    full = rescue_claims(overlap)
    best, _ = _thresholds(overlap)
    return torch.where((full == -2) & (best <= 0.4), -1, full)


@wrong("7.3", "nothing is ignored", says="should be ignored")
def rescue_no_band(overlap):
    full = rescue_claims(overlap)
    return torch.where(full == -2, -1, full)


@wrong("7.3", "background and ignored exchanged", says="yours gives [-2], right is [-1]")
def rescue_exchanged(overlap):
    full = rescue_claims(overlap)
    return torch.where(full < 0, -3 - full, full)


@wrong("7.3", "one threshold, at 0.4", says="0.4")
def rescue_one_threshold(overlap):
    if overlap.numel() == 0:
        return _none(overlap)
    return torch.where(rescue_claims(overlap) == -2, overlap.argmax(dim=0), rescue_claims(overlap))


@wrong("7.3", "rescued from 0.2 on", says="however small the overlap")
def rescue_from(overlap):
    if overlap.numel() == 0:
        return _none(overlap)
    strength, owner = (overlap * _claims(overlap)).max(dim=0)
    return torch.where(strength >= 0.2, owner, _thresholds(overlap)[1])


@wrong("7.3", "rescued above a small number", says="however small the overlap")
def rescue_above_small(overlap):
    if overlap.numel() == 0:
        return _none(overlap)
    strength, owner = (overlap * _claims(overlap)).max(dim=0)
    return torch.where(strength > 1e-3, owner, _thresholds(overlap)[1])


@wrong("7.3", "lost objects left out, and their numbers with them", says="leave all anchors to the others")
def rescue_renumbered(overlap):
    return rescue_claims(overlap[(overlap > 0).any(dim=1)])


@wrong("7.3", "who loses one anchor loses all", says="keep the other")
def rescue_loses_all(overlap):
    if overlap.numel() == 0:
        return _none(overlap)
    claims = _claims(overlap)
    strength, owner = (overlap * claims).max(dim=0)
    index = torch.arange(len(overlap), device=overlap.device)[:, None]
    beaten = (claims & (owner != index)).any(dim=1, keepdim=True)
    strength, owner = (overlap * (claims & ~beaten)).max(dim=0)
    return torch.where(strength > 0, owner, _thresholds(overlap)[1])


@wrong("7.3", "nearly the largest overlap is enough", says="nearly as large")
def rescue_nearly(overlap):
    if overlap.numel() == 0:
        return _none(overlap)
    claims = (overlap > overlap.amax(dim=1, keepdim=True) - 1e-3) & (overlap > 0)
    strength, owner = (overlap * claims).max(dim=0)
    return torch.where(strength > 0, owner, _thresholds(overlap)[1])


@wrong("7.3", "rescued before the thresholds, which take it back", says="however small the overlap")
def rescue_too_early(overlap):
    best, matches = _thresholds(overlap)
    full = rescue_claims(overlap)
    return torch.where(best >= 0.5, full, matches)


@wrong("7.3", "a rescued anchor below 0.4 is ignored", says="small")
def rescue_ignored(overlap):
    best, matches = _thresholds(overlap)
    full = rescue_claims(overlap)
    return torch.where((full >= 0) & (best < 0.4), -2, full)


@wrong("7.3", "objects and anchors exchanged", says="shape")
def rescue_transposed(overlap):
    return rescue_claims(overlap.T)


@wrong("7.3", "everything background", says="at least 0.5")
def rescue_background(overlap):
    return _none(overlap)


@wrong("7.3", "everything positive", says="overlaps nothing")
def rescue_everything(overlap):
    return overlap.argmax(dim=0) if overlap.numel() else _none(overlap)


@wrong("7.3", "a lost object gets the first anchor", says="overlaps nothing should get no anchor")
def rescue_lost_first(overlap):
    full = rescue_claims(overlap)
    if overlap.numel():
        for i in (overlap.amax(dim=1) == 0).nonzero().flatten().tolist():
            full[0] = i
    return full


@wrong("7.3", "32 bits", says="int64")
def rescue_int32(overlap):
    return rescue_claims(overlap).int()


@wrong("7.3", "floats", says="int64")
def rescue_floats(overlap):
    return rescue_claims(overlap).to(overlap)


@wrong("7.3", "overlaps set to 0 in place", says="input should stay", only_behaviour=True)
def rescue_in_place(overlap):
    full = rescue_claims(overlap)
    overlap[~_claims(overlap)] = 0
    return full


# --- 7.4 level_of ------------------------------------------------------------------------------------------------


def _area(boxes):
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _level(side, canonical_size, canonical_level, lowest, highest):
    """The rule for the side of a square of the same area."""
    return (canonical_level + torch.log2(side / canonical_size)).floor().clamp(lowest, highest).long()


@right("7.4", "the formula")
def level_formula(boxes, canonical_size, canonical_level, lowest, highest):
    return _level(_area(boxes).sqrt(), canonical_size, canonical_level, lowest, highest)


@right("7.4", "torchvision's mapper")
def level_torchvision(boxes, canonical_size, canonical_level, lowest, highest):
    return LevelMapper(lowest, highest, canonical_size, canonical_level)([boxes]) + lowest


@right("7.4", "the logarithms of width and height, added up")
def level_logarithms(boxes, canonical_size, canonical_level, lowest, highest):
    width, height = (boxes[:, 2:] - boxes[:, :2]).log2().unbind(dim=1)
    steps = (width + height) / 2 - math.log2(canonical_size)
    return torch.clamp(torch.floor(steps) + canonical_level, min=lowest, max=highest).to(torch.int64)


@right("7.4", "a sorted list of the areas at which a level begins")
def level_bucketize(boxes, canonical_size, canonical_level, lowest, highest):
    begins = [(canonical_size * 2.0 ** (k - canonical_level)) ** 2 for k in range(lowest + 1, highest + 1)]
    edges = torch.tensor(begins, dtype=boxes.dtype, device=boxes.device)
    return lowest + torch.bucketize(_area(boxes), edges, right=True)


@right("7.4", "box by box, halved and doubled")
def level_loop(boxes, canonical_size, canonical_level, lowest, highest):
    found = []
    for left, top, right_, bottom in boxes.tolist():
        side, k = math.sqrt((right_ - left) * (bottom - top)), canonical_level
        while side >= 2 * canonical_size and k < highest:
            side, k = side / 2, k + 1
        while side < canonical_size and k > lowest:
            side, k = side * 2, k - 1
        found.append(min(max(k, lowest), highest))
    return torch.tensor(found, dtype=torch.int64, device=boxes.device)


def _wrong_side(label, says, side, **options):
    """A wrong answer that measures a box in another way."""

    @wrong("7.4", label, says=says, **options)
    def level(boxes, canonical_size, canonical_level, lowest, highest):
        return _level(side(boxes), canonical_size, canonical_level, lowest, highest)

    return level


_wrong_side("the longer side", "area should count", lambda b: (b[:, 2:] - b[:, :2]).amax(dim=1))
_wrong_side("the shorter side", "area should count", lambda b: (b[:, 2:] - b[:, :2]).amin(dim=1))
_wrong_side("the mean of both sides", "area should count", lambda b: (b[:, 2:] - b[:, :2]).mean(dim=1))
_wrong_side("the width", "area should count", lambda b: b[:, 2] - b[:, 0])
_wrong_side("the height", "area should count", lambda b: b[:, 3] - b[:, 1])
_wrong_side("the diagonal", "yours gives", lambda b: (b[:, 2:] - b[:, :2]).norm(dim=1))
_wrong_side("the area, without a root", "yours gives", _area)
_wrong_side("right and bottom taken for width and height", "place of a box", lambda b: (b[:, 2] * b[:, 3]).sqrt())
_wrong_side("x and y mixed", "yours gives", lambda b: ((b[:, 1] - b[:, 0]) * (b[:, 3] - b[:, 2])).abs().sqrt())
_wrong_side("sides of at least one pixel", "shares", lambda b: (b[:, 2:] - b[:, :2]).clamp(min=1).prod(dim=1).sqrt())
_wrong_side("one pixel added to the area", "yours gives", lambda b: (_area(b) + 1).sqrt())
_wrong_side("corners that count pixels inclusively", "yours gives", lambda b: (b[:, 2:] - b[:, :2] + 1).prod(1).sqrt())


@wrong("7.4", "rounded", says="a little smaller")
def level_rounded(boxes, canonical_size, canonical_level, lowest, highest):
    k = canonical_level + torch.log2(_area(boxes).sqrt() / canonical_size)
    return k.round().clamp(lowest, highest).long()


@wrong("7.4", "rounded up", says="a little smaller")
def level_ceil(boxes, canonical_size, canonical_level, lowest, highest):
    k = canonical_level + torch.log2(_area(boxes).sqrt() / canonical_size)
    return k.ceil().clamp(lowest, highest).long()


@wrong("7.4", "on a boundary the finer level", says="canonical size should get the canonical level")
def level_finer(boxes, canonical_size, canonical_level, lowest, highest):
    k = canonical_level + torch.log2(_area(boxes).sqrt() / canonical_size)
    return (k.ceil() - 1).clamp(lowest, highest).long()


@wrong("7.4", "cut off before the level is added", says="a little smaller")
def level_cut(boxes, canonical_size, canonical_level, lowest, highest):
    steps = torch.log2(_area(boxes).sqrt() / canonical_size).trunc()
    return (canonical_level + steps).clamp(lowest, highest).long()


@wrong("7.4", "not held at the ends", says="should")
def level_not_held(boxes, canonical_size, canonical_level, lowest, highest):
    return (canonical_level + torch.log2(_area(boxes).sqrt().clamp(min=1e-3) / canonical_size)).floor().long()


@wrong("7.4", "not held at the upper end", says="stay at the highest")
def level_not_held_above(boxes, canonical_size, canonical_level, lowest, highest):
    return level_formula(boxes, canonical_size, canonical_level, lowest, 99)


@wrong("7.4", "not held at the lower end", says="lowest level")
def level_not_held_below(boxes, canonical_size, canonical_level, lowest, highest):
    return level_formula(boxes, canonical_size, canonical_level, -99, highest)


@wrong("7.4", "a box without area at the canonical level", says="should go to the lowest level")
def level_without_area(boxes, canonical_size, canonical_level, lowest, highest):
    levels = level_formula(boxes, canonical_size, canonical_level, lowest, highest)
    return torch.where(_area(boxes) > 0, levels, min(max(canonical_level, lowest), highest))


@wrong("7.4", "boxes without area left out", says="shape")
def level_left_out(boxes, canonical_size, canonical_level, lowest, highest):
    return level_formula(boxes[_area(boxes) > 0], canonical_size, canonical_level, lowest, highest)


@wrong("7.4", "the paper's numbers, whatever was given", says="yours gives")
def level_paper(boxes, canonical_size, canonical_level, lowest, highest):
    return level_formula(boxes, 224, 4, lowest, highest)


@wrong("7.4", "the paper's level, whatever was given", says="yours gives")
def level_paper_level(boxes, canonical_size, canonical_level, lowest, highest):
    return level_formula(boxes, canonical_size, 4, lowest, highest)


@wrong("7.4", "turned round: large boxes to fine levels", says="twice the canonical size should go one level up")
def level_turned(boxes, canonical_size, canonical_level, lowest, highest):
    k = canonical_level + torch.log2(canonical_size / _area(boxes).sqrt())
    return k.floor().clamp(lowest, highest).long()


@wrong("7.4", "natural logarithms", says="yours gives")
def level_natural(boxes, canonical_size, canonical_level, lowest, highest):
    k = canonical_level + torch.log(_area(boxes).sqrt() / canonical_size)
    return k.floor().clamp(lowest, highest).long()


@wrong("7.4", "a generous addition before rounding down", says="a little smaller")
def level_generous(boxes, canonical_size, canonical_level, lowest, highest):
    k = canonical_level + torch.log2(_area(boxes).sqrt() / canonical_size) + 0.05
    return k.floor().clamp(lowest, highest).long()


@wrong("7.4", "counted from the lowest level", says="canonical size should get the canonical level")
def level_from_lowest(boxes, canonical_size, canonical_level, lowest, highest):
    return level_formula(boxes, canonical_size, canonical_level, lowest, highest) - lowest


@wrong("7.4", "floats", says="int64")
def level_floats(boxes, canonical_size, canonical_level, lowest, highest):
    return level_formula(boxes, canonical_size, canonical_level, lowest, highest).to(boxes)


@wrong("7.4", "one level for all boxes", says="yours gives [2, 2], right is [2, 4]")
def level_one(boxes, canonical_size, canonical_level, lowest, highest):
    levels = level_formula(boxes, canonical_size, canonical_level, lowest, highest)
    return levels if len(levels) < 2 or lowest == highest else levels[:1].expand(len(levels))


@wrong("7.4", "crashes without boxes", says="no boxes")
def level_crash(boxes, canonical_size, canonical_level, lowest, highest):
    largest = boxes.max()
    return level_formula(boxes, canonical_size, canonical_level, lowest, highest) + (largest * 0).long()


@wrong("7.4", "levels lie on the CPU", says="device should be kept", only_behaviour=True)
def level_cpu(boxes, canonical_size, canonical_level, lowest, highest):
    return torch.tensor(level_formula(boxes, canonical_size, canonical_level, lowest, highest).tolist()).long()


@wrong("7.4", "boxes turned into widths in place", says="input should stay", only_behaviour=True)
def level_in_place(boxes, canonical_size, canonical_level, lowest, highest):
    boxes[:, 2:] -= boxes[:, :2]
    return _level(boxes[:, 2:].prod(dim=1).sqrt(), canonical_size, canonical_level, lowest, highest)


# --- 7.5 group_norm ----------------------------------------------------------------------------------------------


def _grouped(x, groups):
    b, c, height, width = x.shape
    return x.reshape(b, groups, c // groups, height, width)


def _finish(normal, x, weight, bias):
    return normal.reshape(x.shape) * weight[:, None, None] + bias[:, None, None]


@right("7.5", "an axis for the groups")
def norm_axis(x, groups, weight, bias, eps):
    own = _grouped(x, groups)
    centred = own - own.mean(dim=(2, 3, 4), keepdim=True)
    variance = centred.square().mean(dim=(2, 3, 4), keepdim=True)
    return _finish(centred / (variance + eps).sqrt(), x, weight, bias)


@right("7.5", "group by group")
def norm_groups(x, groups, weight, bias, eps):
    parts = []
    for part in x.split(x.shape[1] // groups, dim=1):
        variance, mean = torch.var_mean(part, dim=(1, 2, 3), correction=0, keepdim=True)
        parts.append((part - mean) * torch.rsqrt(variance + eps))
    return torch.cat(parts, dim=1) * weight.reshape(1, -1, 1, 1) + bias.reshape(1, -1, 1, 1)


@right("7.5", "channel by channel")
def norm_channels(x, groups, weight, bias, eps):
    out, k = torch.empty_like(x), x.shape[1] // groups
    for c in range(x.shape[1]):
        first = c // k * k
        own = x[:, first : first + k].flatten(1)
        scale = weight[c] / (own.var(dim=1, unbiased=False) + eps) ** 0.5
        out[:, c] = (x[:, c] - own.mean(dim=1)[:, None, None]) * scale[:, None, None] + bias[c]
    return out


@right("7.5", "as layer normalisation of each group")
def norm_layer(x, groups, weight, bias, eps):
    shape = (x.shape[1] // groups, *x.shape[2:])
    return _finish(F.layer_norm(_grouped(x, groups), shape, eps=eps), x, weight, bias)


def _norm(x, groups, weight, bias, eps, dims=(2, 3, 4), **options):
    own = _grouped(x, groups)
    variance, mean = torch.var_mean(own, dim=dims, keepdim=True, **{"correction": 0, **options})
    return _finish((own - mean) / (variance + eps).sqrt(), x, weight, bias)


@wrong("7.5", "PyTorch's own, which refuses a single number", says="a group of one number")
def norm_pytorch(x, groups, weight, bias, eps):
    return F.group_norm(x, groups, weight, bias, eps)


@wrong("7.5", "divided by one less than the count", says="divided by the count")
def norm_unbiased(x, groups, weight, bias, eps):
    return _norm(x, groups, weight, bias, eps, correction=1)


@wrong("7.5", "divided by one less than the count, but never by 0", says="divided by the count")
def norm_unbiased_guarded(x, groups, weight, bias, eps):
    k = x[:1].numel() // groups if len(x) else 2
    return _norm(x, groups, weight, bias, eps, correction=int(k > 1))


@wrong("7.5", "eps added to the root", says="eps should stand inside the root")
def norm_outside(x, groups, weight, bias, eps):
    own = _grouped(x, groups)
    std, mean = torch.std_mean(own, dim=(2, 3, 4), correction=0, keepdim=True)
    return _finish((own - mean) / (std + eps), x, weight, bias)


@wrong("7.5", "eps left out", says="eps should stand inside the root")
def norm_no_eps(x, groups, weight, bias, eps):
    return _norm(x, groups, weight, bias, 0.0)


@wrong("7.5", "an eps of its own", says="eps should stand inside the root")
def norm_own_eps(x, groups, weight, bias, eps):
    return _norm(x, groups, weight, bias, 1e-5)


@wrong("7.5", "the variance held above eps", says="eps should stand inside the root")
def norm_clamped(x, groups, weight, bias, eps):
    own = _grouped(x, groups)
    variance, mean = torch.var_mean(own, dim=(2, 3, 4), correction=0, keepdim=True)
    return _finish((own - mean) / variance.clamp(min=eps).sqrt(), x, weight, bias)


@wrong("7.5", "divided by the variance", says="variance 1")
def norm_variance(x, groups, weight, bias, eps):
    own = _grouped(x, groups)
    variance, mean = torch.var_mean(own, dim=(2, 3, 4), correction=0, keepdim=True)
    return _finish((own - mean) / (variance + eps), x, weight, bias)


@wrong("7.5", "the mean is not subtracted", says="yours gives")
def norm_no_mean(x, groups, weight, bias, eps):
    own = _grouped(x, groups)
    return _finish(own / (own.var(dim=(2, 3, 4), correction=0, keepdim=True) + eps).sqrt(), x, weight, bias)


@wrong("7.5", "batch normalisation: all pictures together", says="each picture should be normalised by itself")
def norm_batch(x, groups, weight, bias, eps):
    return _norm(x, groups, weight, bias, eps, (0, 2, 3, 4)) if len(x) else x


@wrong("7.5", "every channel by itself", says="a group should hold all its channels")
def norm_instance(x, groups, weight, bias, eps):
    return _norm(x, groups, weight, bias, eps, (3, 4))


@wrong("7.5", "all channels together", says="yours gives")
def norm_all_channels(x, groups, weight, bias, eps):
    return _norm(x, 1, weight, bias, eps)


@wrong("7.5", "every cell by itself", says="yours gives")
def norm_cells(x, groups, weight, bias, eps):
    return _norm(x, groups, weight, bias, eps, (2,))


@wrong("7.5", "every row by itself", says="all rows and columns")
def norm_rows(x, groups, weight, bias, eps):
    return _norm(x, groups, weight, bias, eps, (2, 4))


@wrong("7.5", "every column by itself", says="yours gives")
def norm_columns(x, groups, weight, bias, eps):
    return _norm(x, groups, weight, bias, eps, (2, 3))


@wrong("7.5", "every second channel", says="neighbouring channels")
def norm_interleaved(x, groups, weight, bias, eps):
    b, c, height, width = x.shape
    own = x.reshape(b, c // groups, groups, height, width)
    variance, mean = torch.var_mean(own, dim=(1, 3, 4), correction=0, keepdim=True)
    return _finish((own - mean) / (variance + eps).sqrt(), x, weight, bias)


@wrong("7.5", "`groups` taken for the channels of a group", says="two channels in two groups")
def norm_group_size(x, groups, weight, bias, eps):
    return _norm(x, x.shape[1] // groups, weight, bias, eps)


@wrong("7.5", "weight and bias of the group's first channel", says="belong to channels")
def norm_group_weight(x, groups, weight, bias, eps):
    k = x.shape[1] // groups
    return _norm(x, groups, weight[::k].repeat_interleave(k), bias[::k].repeat_interleave(k), eps)


@wrong("7.5", "weight and bias along the width", says="should have shape [1, 2, 1, 1], yours has [1, 2, 1, 2]")
def norm_width(x, groups, weight, bias, eps):
    return _norm(x, groups, torch.ones_like(weight), torch.zeros_like(bias), eps) * weight + bias


@wrong("7.5", "the weight after the bias", says="times the weight, then the bias")
def norm_order(x, groups, weight, bias, eps):
    normal = _norm(x, groups, torch.ones_like(weight), torch.zeros_like(bias), eps)
    return (normal + bias[:, None, None]) * weight[:, None, None]


@wrong("7.5", "no bias", says="then the bias should be added")
def norm_no_bias(x, groups, weight, bias, eps):
    return _norm(x, groups, weight, bias * 0, eps)


@wrong("7.5", "no weight", says="times the weight")
def norm_no_weight(x, groups, weight, bias, eps):
    return _norm(x, groups, torch.ones_like(weight), bias, eps)


@wrong("7.5", "mean of the squares minus square of the mean", says="far from 0")
def norm_squares(x, groups, weight, bias, eps):
    own = _grouped(x, groups)
    mean, squares = (v.mean(dim=(2, 3, 4), keepdim=True) for v in (own, own.square()))
    variance = (squares - mean.square()).clamp(min=0)
    return _finish((own - mean) / (variance + eps).sqrt(), x, weight, bias)


@wrong("7.5", "no pictures cannot be reshaped", says="no pictures")
def norm_crash(x, groups, weight, bias, eps):
    own = x.reshape(x.shape[0], groups, -1)
    variance, mean = torch.var_mean(own, dim=2, correction=0, keepdim=True)
    return _finish((own - mean) / (variance + eps).sqrt(), x, weight, bias)


@wrong("7.5", "a result with an axis for the groups", says="should have shape")
def norm_shape(x, groups, weight, bias, eps):
    return _grouped(norm_axis(x, groups, weight, bias, eps), groups)


@wrong("7.5", "the statistics are detached", says="gradient should flow", only_behaviour=True)
def norm_detached(x, groups, weight, bias, eps):
    own = _grouped(x, groups)
    variance, mean = torch.var_mean(own.detach(), dim=(2, 3, 4), correction=0, keepdim=True)
    return _finish((own - mean) / (variance + eps).sqrt(), x, weight, bias)


@wrong("7.5", "the variance is detached", says="gradient should flow", only_behaviour=True)
def norm_variance_detached(x, groups, weight, bias, eps):
    own = _grouped(x, groups)
    variance, mean = torch.var_mean(own, dim=(2, 3, 4), correction=0, keepdim=True)
    return _finish((own - mean) / (variance.detach() + eps).sqrt(), x, weight, bias)


@wrong("7.5", "the weight is taken as a constant", says="gradient should flow", only_behaviour=True)
def norm_weight_constant(x, groups, weight, bias, eps):
    return _norm(x, groups, weight.detach(), bias, eps)


@wrong("7.5", "single precision inside", says="dtype", only_behaviour=True)
def norm_single(x, groups, weight, bias, eps):
    return norm_axis(x.float(), groups, weight.float(), bias.float(), eps)


@wrong("7.5", "normalised in place", says="input should stay", only_behaviour=True)
def norm_in_place(x, groups, weight, bias, eps):
    result = norm_axis(x, groups, weight, bias, eps)
    with torch.no_grad():
        x.copy_(result)
    return result


@wrong("7.5", "x returned", says="yours gives")
def norm_nothing(x, groups, weight, bias, eps):
    return x * weight[:, None, None] + bias[:, None, None]


@wrong("7.5", "zeros of the right shape", says="variance 1")
def norm_zeros(x, groups, weight, bias, eps):
    return torch.zeros_like(x) * x
