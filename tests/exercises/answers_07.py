"""Wrong and right answers to lesson 7's exercises."""

import itertools
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


@wrong("7.2", "a frame of −1e32", says="no other number either")
def bottom_up_far_frame(maps):
    return _climb(maps, lambda finer, _: F.max_pool2d(F.pad(finer, (1, 1, 1, 1), value=-1e32), 3, 2))


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


@wrong("7.2", "new maps begin as float32 zeros", says="half precision (bfloat16) should stay so")
def bottom_up_from_zeros(maps):
    return [
        torch.zeros(m.shape, device=m.device) + n if m.element_size() < 8 else n
        for m, n in zip(maps, bottom_up_pooled(maps), strict=True)
    ]


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


@wrong("7.2", "pooled in single precision", says="float64", only_behaviour=True)
def bottom_up_single(maps):
    return bottom_up_pooled([m.float() for m in maps])


@wrong("7.2", "a tuple", says="should be a list")
def bottom_up_tuple(maps):
    return tuple(bottom_up_pooled(maps))


@right("7.2", "the maximum over windows from unfold, one axis after the other")
def bottom_up_windows(maps):
    def pool(finer, _):
        for axis in (2, 3):
            framed = F.pad(finer, (0, 0, 1, 1) if axis == 2 else (1, 1), value=-math.inf)
            finer = framed.unfold(axis, 3, 2).amax(dim=-1)
        return finer

    return _climb(maps, pool)


@right("7.2", "cell by cell, the windows cut at the edges")
def bottom_up_cells(maps):
    def pool(finer, given):
        out = torch.zeros_like(given)
        for r in range(given.shape[2]):
            for c in range(given.shape[3]):
                window = finer[..., max(2 * r - 1, 0) : 2 * r + 2, max(2 * c - 1, 0) : 2 * c + 2]
                out[..., r, c] = window.flatten(2).max(dim=2).values
        return out

    return _climb(maps, pool)


@right("7.2", "pooled with rows and columns to spare, then cut to size")
def bottom_up_cropped(maps):
    def pool(finer, given):
        return F.max_pool2d(finer, 3, 2, 1, ceil_mode=True)[:, :, : given.shape[2], : given.shape[3]]

    return _climb(maps, pool)


@right("7.2", "the places of the largest numbers, then gathered")
def bottom_up_gathered(maps):
    def pool(finer, given):
        _, at = F.max_pool2d(finer.detach(), 3, 2, 1, return_indices=True)
        return finer.flatten(2).gather(2, at.flatten(2)).reshape(given.shape)

    return _climb(maps, pool)


@right("7.2", "accumulated, with the smallest number there is as a frame")
def bottom_up_accumulated(maps):
    def step(new, given):
        framed = F.pad(new, (1, 1, 1, 1), value=torch.finfo(new.dtype).min)
        return given + F.max_pool2d(framed, kernel_size=3, stride=2)

    return list(itertools.accumulate(maps, step))


@right("7.2", "minus the smallest of the negatives, as one-dimensional pooling")
def bottom_up_flat(maps):
    def along(x):
        rows = F.max_pool1d(x.flatten(0, 2)[:, None], 3, 2, 1)
        return rows.reshape(*x.shape[:3], rows.shape[-1])

    def pool(finer, _):
        if not len(finer):
            return _pool(finer)
        return along(along(finer).transpose(2, 3)).transpose(2, 3)

    return _climb(maps, pool)


@wrong("7.2", "a frame of minus one million", says="no other number either")
def bottom_up_million_frame(maps):
    return _climb(maps, lambda finer, _: F.max_pool2d(F.pad(finer, (1, 1, 1, 1), value=-1e6), 3, 2))


@wrong("7.2", "a frame of minus one billion", says="no other number either")
def bottom_up_billion_frame(maps):
    return _climb(maps, lambda finer, _: F.max_pool2d(F.pad(finer, (1, 1, 1, 1), value=-1e9), 3, 2))


@wrong("7.2", "a frame of the smallest number of the whole batch less one, a zero on top", says="no 0 either")
def bottom_up_min_frame(maps):
    def pool(finer, _):
        low = min(0.0, float(finer.min()) + 1) if finer.numel() else 0.0
        return F.max_pool2d(F.pad(finer, (1, 1, 1, 1), value=low), 3, 2)

    return _climb(maps, pool)


@wrong("7.2", "five maps, written out one after the other", says="any number of maps")
def bottom_up_five_maps(maps):
    n = list(maps)
    if len(maps) > 1:
        n[1] = maps[1] + _pool(n[0])
    if len(maps) > 2:
        n[2] = maps[2] + _pool(n[1])
    if len(maps) > 3:
        n[3] = maps[3] + _pool(n[2])
    if len(maps) > 4:
        n[4] = maps[4] + _pool(n[3])
    return n


@wrong("7.2", "the window has the shape of a cross", says="corners")
def bottom_up_cross(maps):
    def pool(finer, _):
        across = F.max_pool2d(finer[:, :, ::2], (1, 3), (1, 2), (0, 1))
        down = F.max_pool2d(finer[:, :, :, ::2], (3, 1), (2, 1), (1, 0))
        return torch.maximum(across, down)

    return _climb(maps, pool)


@wrong("7.2", "the window is a row and a column, added up", says="corners")
def bottom_up_cross_sum(maps):
    def pool(finer, _):
        across = F.max_pool2d(finer[:, :, ::2], (1, 3), (1, 2), (0, 1))
        down = F.max_pool2d(finer[:, :, :, ::2], (3, 1), (2, 1), (1, 0))
        return across + down - finer[:, :, ::2, ::2]

    return _climb(maps, pool)


@wrong("7.2", "windows of five", says="columns 2c")
def bottom_up_window_five(maps):
    return _climb(maps, lambda finer, _: F.max_pool2d(finer, 5, 2, 2))


@wrong("7.2", "windows of five along the rows' axis only", says="rows 2r")
def bottom_up_window_five_rows(maps):
    return _climb(maps, lambda finer, _: F.max_pool2d(finer, (5, 3), 2, (2, 1)))


@wrong("7.2", "the last row and column of an even side are left out", says="columns 2c")
def bottom_up_last_even(maps):
    def pool(finer, _):
        height, width = finer.shape[2:]
        return _pool(finer[:, :, : height - (height % 2 == 0) or 1, : width - (width % 2 == 0) or 1])

    return _climb(maps, pool)


@wrong("7.2", "rounded up by PyTorch too", says="should have shape")
def bottom_up_ceil(maps):
    return _climb(maps, lambda finer, _: F.max_pool2d(finer, 3, 2, 1, ceil_mode=True))


@wrong("7.2", "unfold, whose frame is made of zeros", says="no 0 either")
def bottom_up_unfold(maps):
    def pool(finer, given):
        if not len(finer):
            return torch.zeros_like(given)
        b, c = finer.shape[:2]
        return F.unfold(finer, 3, padding=1, stride=2).reshape(b, c, 9, *given.shape[2:]).amax(dim=2)

    return _climb(maps, pool)


@wrong("7.2", "what was pooled goes on alone, without the map between", says="from the new one before it")
def bottom_up_pooled_chain(maps):
    new, pooled = [maps[0]], maps[0]
    for given in maps[1:]:
        pooled = _pool(pooled)
        new.append(given + pooled)
    return new


@wrong("7.2", "one list for all calls", says="a list of")
def bottom_up_default_list(maps, new=[]):  # noqa: B006
    for i, given in enumerate(maps):
        new.append(given + _pool(new[-1]) if i else given)
    return new


@wrong("7.2", "the first picture's pooled map for all pictures", says="pictures should be kept apart")
def bottom_up_first_picture(maps):
    return _climb(maps, lambda finer, _: _pool(finer[:1]))


@wrong("7.2", "the first channel's pooled map for all channels", says="channels should be kept apart")
def bottom_up_first_channel(maps):
    return _climb(maps, lambda finer, _: _pool(finer[:, :1]))


@wrong("7.2", "the finest map is detached", says="gradient should flow", only_behaviour=True)
def bottom_up_first_detached(maps):
    return bottom_up_pooled([maps[0].detach(), *maps[1:]])


@wrong("7.2", "detached from the second step on", says="gradient should flow", only_behaviour=True)
def bottom_up_chain_detached(maps):
    new = [maps[0]]
    for i, given in enumerate(maps[1:]):
        new.append(given + _pool(new[-1].detach() if i else new[-1]))
    return new


@wrong("7.2", "the given maps are taken as constants", says="gradient should flow", only_behaviour=True)
def bottom_up_given_detached(maps):
    return _climb([maps[0]] + [m.detach() for m in maps[1:]], _pool)


@wrong("7.2", "`view` puts pictures and channels together", says="in another order", only_behaviour=True)
def bottom_up_view(maps):
    def pool(finer, given):
        b, c, height, width = finer.shape
        return _pool(finer.view(b * c, 1, height, width)).view(given.shape)

    return _climb(maps, pool)


@wrong("7.2", "single precision inside, then back", says="float64", only_behaviour=True)
def bottom_up_single_back(maps):
    return [m.to(maps[0].dtype) for m in bottom_up_pooled([m.float() for m in maps])]


@wrong("7.2", "a frame made on the CPU", says="device", only_behaviour=True)
def bottom_up_cpu_frame(maps):
    def pool(finer, _):
        b, c, height, width = finer.shape
        framed = torch.full((b, c, height + 2, width + 2), -torch.inf, dtype=finer.dtype)
        framed[:, :, 1:-1, 1:-1] = finer
        return F.max_pool2d(framed, 3, 2)

    return _climb(maps, pool)


@wrong("7.2", "only the coarsest map is changed in place", says="input should stay", only_behaviour=True)
def bottom_up_last_in_place(maps):
    new = bottom_up_pooled(maps[:-1]) if len(maps) > 1 else []
    last = maps[-1]
    if new:
        last += _pool(new[-1])
    return [*new, last]


@wrong("7.2", "maps are taken out of the given list", says="input should stay", only_behaviour=True)
def bottom_up_popped(maps):
    new = [maps.pop(0)]
    while maps:
        new.append(maps.pop(0) + _pool(new[-1]))
    return new


@wrong("7.2", "where a batch is empty, no maps", says="no pictures")
def bottom_up_empty_list(maps):
    return bottom_up_pooled(maps) if len(maps[0]) else []


@wrong("7.2", "where a batch is empty, maps of the finest size", says="no pictures")
def bottom_up_empty_sizes(maps):
    return bottom_up_pooled(maps) if len(maps[0]) else [torch.zeros_like(maps[0]) for _ in maps]


@wrong("7.2", "pooled without regard to signs", says="no 0 either")
def bottom_up_absolute(maps):
    return _climb(maps, lambda finer, _: _pool(finer.abs()))


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


@right("7.3", "sorted by overlap, then written from the weakest to the strongest")
def rescue_written(overlap):
    _, matches = _thresholds(overlap)
    claims = [(overlap[i, j].item(), -i, j) for i, j in _claims(overlap).nonzero().tolist()]
    for _, minus, j in sorted(claims):
        matches[j] = -minus
    return matches


@right("7.3", "with a row of background put on top")
def rescue_row_on_top(overlap):
    if overlap.shape[1] == 0:
        return overlap.new_empty(0, dtype=torch.long)
    padded = torch.cat(
        [torch.zeros_like(overlap[:1]) if len(overlap) else overlap.new_zeros(1, overlap.shape[1]), overlap]
    )
    top = padded.amax(dim=1, keepdim=True)
    claims = padded * ((padded == top) & (top > 0))
    owner = claims.argmax(dim=0) - 1
    best = padded.amax(dim=0)
    favourite = padded.argmax(dim=0) - 1
    return torch.where(owner >= 0, owner, torch.where(best >= 0.5, favourite, -1 - (best >= 0.4).long()))


@right("7.3", "column by column, with the best of the claims chosen by max")
def rescue_columns(overlap):
    tops = [max(row, default=0) for row in overlap.tolist()]
    found = []
    for column in zip(*overlap.tolist(), strict=True) if len(overlap) else [()] * overlap.shape[1]:
        claims = [(o, -i) for i, (o, top) in enumerate(zip(column, tops, strict=True)) if o == top > 0]
        strong = [(o, -i) for i, o in enumerate(column) if o >= 0.5]
        who = max(claims or strong, default=None)
        found.append(-who[1] if who else -2 if any(o >= 0.4 for o in column) else -1)
    return overlap.new_tensor(found, dtype=torch.int64)


@right("7.3", "overlaps of 0 marked as not a number, largest by scatter")
def rescue_scatter(overlap):
    n, m = overlap.shape
    if n == 0 or m == 0:
        return torch.full_like(overlap.sum(dim=0), -1).long()
    i, j = _claims(overlap).nonzero(as_tuple=True)
    strength = overlap.new_zeros(m).scatter_reduce(0, j, overlap[i, j], "amax")
    won = overlap[i, j] == strength[j]
    owner = torch.full((m,), n, device=overlap.device).scatter_reduce(0, j[won], i[won], "amin")
    return torch.where(owner < n, owner, _thresholds(overlap)[1])


@wrong("7.3", "nearly equal counts as equal", says="nearly as large")
def rescue_isclose(overlap):
    if overlap.numel() == 0:
        return _none(overlap)
    claims = torch.isclose(overlap, overlap.amax(dim=1, keepdim=True)) & (overlap > 0)
    strength, owner = (overlap * claims).max(dim=0)
    return torch.where(strength > 0, owner, _thresholds(overlap)[1])


@wrong("7.3", "rescued above one millionth", says="however small the overlap")
def rescue_above_millionth(overlap):
    if overlap.numel() == 0:
        return _none(overlap)
    strength, owner = (overlap * _claims(overlap)).max(dim=0)
    return torch.where(strength > 1e-6, owner, _thresholds(overlap)[1])


@wrong("7.3", "rescued above the smallest step at 1", says="however small the overlap")
def rescue_above_eps(overlap):
    if overlap.numel() == 0:
        return _none(overlap)
    strength, owner = (overlap * _claims(overlap)).max(dim=0)
    return torch.where(strength > torch.finfo(torch.float32).eps, owner, _thresholds(overlap)[1])


def _banded(overlap, low, high):
    """Right but for the thresholds: masks of the columns' largest overlaps."""
    if overlap.numel() == 0:
        return _none(overlap)
    best, who = overlap.max(dim=0)
    strength, owner = (overlap * _claims(overlap)).max(dim=0)
    rest = torch.where(high(best), who, torch.where(low(best), -2, -1))
    return torch.where(strength > 0, owner, rest)


@wrong("7.3", "thresholds on rounded overlaps", says="below 0.4 should be background")
def rescue_rounded(overlap):
    return _banded(overlap, lambda b: b.round(decimals=2) >= 0.4, lambda b: b.round(decimals=2) >= 0.5)


@wrong("7.3", "a little less than 0.5 is enough", says="below 0.5 should be ignored")
def rescue_less_than_half(overlap):
    return _banded(overlap, lambda b: b >= 0.4, lambda b: b >= 0.5 - 1e-4)


@wrong("7.3", "a little less than 0.4 is ignored", says="below 0.4 should be background")
def rescue_less_than_low(overlap):
    return _banded(overlap, lambda b: b >= 0.4 - 1e-4, lambda b: b >= 0.5)


@wrong("7.3", "in whole hundredths", says="however small")
def rescue_hundredths(overlap):
    return rescue_claims((overlap * 100).round() / 100)


@wrong("7.3", "the thresholds in the wrong order", says="right is [-1]")
def rescue_order(overlap):
    if overlap.numel() == 0:
        return _none(overlap)
    best, matches = overlap.max(dim=0)
    matches[best < 0.4] = -1
    matches[best < 0.5] = -2
    strength, owner = (overlap * _claims(overlap)).max(dim=0)
    return torch.where(strength > 0, owner, matches)


@wrong("7.3", "the first object with the claim's overlap, claim or not", says="to the object that needs it")
def rescue_by_value(overlap):
    if overlap.numel() == 0:
        return _none(overlap)
    strength = (overlap * _claims(overlap)).amax(dim=0)
    owner = (overlap == strength).int().argmax(dim=0)
    return torch.where(strength > 0, owner, _thresholds(overlap)[1])


@wrong("7.3", "a claim counts a hundredth more", says="to the object that needs it")
def rescue_hundredth_more(overlap):
    if overlap.numel() == 0:
        return _none(overlap)
    lifted, owner = (overlap + 0.01 * _claims(overlap)).max(dim=0)
    return torch.where(_claims(overlap).any(dim=0), owner, _thresholds(overlap)[1])


@wrong("7.3", "a claim counts half more", says="to the object that needs it")
def rescue_half_more(overlap):
    if overlap.numel() == 0:
        return _none(overlap)
    owner = (overlap + 0.5 * _claims(overlap)).argmax(dim=0)
    return torch.where(_claims(overlap).any(dim=0), owner, _thresholds(overlap)[1])


@wrong("7.3", "only anchors that are background are rescued", says="to the object that needs it")
def rescue_background_only(overlap):
    matches, full = _thresholds(overlap)[1], rescue_claims(overlap)
    return torch.where(matches == -1, full, matches)


@wrong("7.3", "where an object overlaps nothing, nobody is rescued", says="leave all anchors to the others")
def rescue_all_or_none(overlap):
    if overlap.numel() == 0 or bool((overlap.amax(dim=1) == 0).any()):
        return _thresholds(overlap)[1]
    return rescue_claims(overlap)


@wrong("7.3", "the largest overlap of the whole table", says="to the object that needs it")
def rescue_whole_table(overlap):
    if overlap.numel() == 0:
        return _none(overlap)
    claims = (overlap == overlap.max()) & (overlap > 0)
    strength, owner = (overlap * claims).max(dim=0)
    return torch.where(strength > 0, owner, _thresholds(overlap)[1])


@wrong("7.3", "the owner is looked up among those left, not renumbered", says="leave all anchors to the others")
def rescue_not_renumbered(overlap):
    keep = (overlap > 0).any(dim=1)
    return rescue_claims(overlap[keep]) if bool(keep.any()) else _none(overlap)


@wrong("7.3", "a claim is weighed against whoever sits there, −1 too", says="should be its own")
def rescue_minus_one_row(overlap):
    _, matches = _thresholds(overlap)
    for i, j in _claims(overlap).nonzero().tolist():
        if overlap[i, j] > overlap[matches[j], j]:
            matches[j] = i
    return matches


@wrong("7.3", "a claim gives way to a larger overlap on the anchor", says="to the object that needs it")
def rescue_gives_way(overlap):
    _, matches = _thresholds(overlap)
    for i, j in _claims(overlap).nonzero().tolist():
        if matches[j] < 0 or overlap[i, j] > overlap[matches[j], j]:
            matches[j] = i
    return matches


@wrong("7.3", "a claimed anchor is given once, to who comes first in the list of pairs", says="the larger overlap")
def rescue_first_pair(overlap):
    _, matches = _thresholds(overlap)
    taken = set()
    for i, j in _claims(overlap).nonzero().tolist():
        if j not in taken:
            matches[j] = i
            taken.add(j)
    return matches


@wrong("7.3", "claims of the anchors, not of the objects", says="overlap")
def rescue_anchor_claims(overlap):
    if overlap.numel() == 0:
        return _none(overlap)
    best = overlap.amax(dim=0, keepdim=True)
    claims = (overlap == best) & (overlap > 0)
    strength, owner = (overlap * claims).max(dim=0)
    return torch.where(strength > 0, owner, _thresholds(overlap)[1])


@wrong("7.3", "`view` makes one long row", says="in another order", only_behaviour=True)
def rescue_view(overlap):
    if overlap.numel() == 0:
        return _none(overlap)
    n, m = overlap.shape
    top = overlap.view(-1).view(n, m).amax(dim=1, keepdim=True)
    strength, owner = (overlap * ((overlap == top) & (top > 0))).max(dim=0)
    return torch.where(strength > 0, owner, _thresholds(overlap)[1])


@wrong("7.3", "without objects background on the CPU", says="device", only_behaviour=True)
def rescue_cpu_empty(overlap):
    if len(overlap) == 0:
        return torch.full((overlap.shape[1],), -1)
    return rescue_claims(overlap)


@wrong("7.3", "without anchors a tensor on the CPU", says="device", only_behaviour=True)
def rescue_no_anchors_cpu(overlap):
    return rescue_claims(overlap) if overlap.shape[1] else torch.zeros(0, dtype=torch.int64)


@wrong("7.3", "without objects everything is ignored", says="without objects")
def rescue_empty_ignored(overlap):
    return rescue_claims(overlap) if len(overlap) else _none(overlap) - 1


@wrong("7.3", "without anchors one background", says="without anchors")
def rescue_one_background(overlap):
    return rescue_claims(overlap) if overlap.numel() else overlap.new_full((max(1, overlap.shape[1]),), -1).long()


@wrong("7.3", "lost objects marked with −1 in the given table", says="input should stay", only_behaviour=True)
def rescue_marks(overlap):
    full = rescue_claims(overlap)
    if overlap.numel():
        overlap[overlap.amax(dim=1) == 0] = -1
    return full


@wrong("7.3", "two anchors at most for an object", says="however many")
def rescue_top_two(overlap):
    if overlap.numel() == 0:
        return _none(overlap)
    value, at = overlap.topk(min(2, overlap.shape[1]), dim=1)
    kept = torch.zeros_like(overlap).scatter(1, at, value)
    strength, owner = (kept * _claims(overlap)).max(dim=0)
    return torch.where(strength > 0, owner, _thresholds(overlap)[1])


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
    width, height = ((boxes[:, 2:] - boxes[:, :2]) / canonical_size).log2().unbind(dim=1)
    return torch.clamp(torch.floor((width + height) / 2) + canonical_level, min=lowest, max=highest).to(torch.int64)


@wrong("7.4", "a difference of two logarithms", says="on a boundary the box should get the coarser level")
def level_difference(boxes, canonical_size, canonical_level, lowest, highest):
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
_wrong_side(
    "sides of at least one pixel", "however far below", lambda b: (b[:, 2:] - b[:, :2]).clamp(min=1).prod(dim=1).sqrt()
)
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


@right("7.4", "the exponent of the size, from its binary form")
def level_exponent(boxes, canonical_size, canonical_level, lowest, highest):
    area = _area(boxes)
    _, exponent = torch.frexp(area.sqrt() / canonical_size)
    levels = torch.clamp(exponent.long() - 1 + canonical_level, lowest, highest)
    return levels.masked_fill(area <= 0, lowest)


@right("7.4", "how many levels begin at or below the box's area, counted")
def level_counted(boxes, canonical_size, canonical_level, lowest, highest):
    sides = [canonical_size * 2.0 ** (k - canonical_level) for k in range(lowest + 1, highest + 1)]
    area = _area(boxes)
    return lowest + sum((area >= side**2).long() for side in sides) + torch.zeros_like(area, dtype=torch.long)


@right("7.4", "the root left to the logarithm, cut off after the level was added")
def level_cut_after(boxes, canonical_size, canonical_level, lowest, highest):
    left, top, right_, bottom = boxes.T
    area = ((right_ - left) * (bottom - top)).clamp(min=torch.finfo(boxes.dtype).tiny)
    k = canonical_level + 0.5 * (area / canonical_size**2).log2()
    return k.clamp(min=float(lowest), max=float(highest)).type(torch.LongTensor if boxes.is_cpu else torch.int64)


@right("7.4", "box by box with math, a box without area first")
def level_math(boxes, canonical_size, canonical_level, lowest, highest):
    out = []
    for x0, y0, x1, y1 in boxes.tolist():
        area = (x1 - x0) * (y1 - y0)
        k = math.floor(canonical_level + math.log2(math.sqrt(area) / canonical_size)) if area > 0 else lowest
        out.append(sorted((lowest, k, highest))[1])
    return boxes.new_tensor(out, dtype=torch.int64)


@right("7.4", "a millionth added before rounding down, as torchvision does")
def level_millionth(boxes, canonical_size, canonical_level, lowest, highest):
    side = torch.einsum("n,n->n", boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]) ** 0.5
    k = torch.floor(canonical_level + torch.log2(side / canonical_size) + 1e-6)
    return k.maximum(k.new_tensor(float(lowest))).minimum(k.new_tensor(float(highest))).long()


def _wrong_steps(label, says, steps, **options):
    """A wrong answer whose boxes climb by another number of steps: `steps(ratio)` is added to the canonical level."""

    @wrong("7.4", label, says=says, **options)
    def level(boxes, canonical_size, canonical_level, lowest, highest):
        k = canonical_level + steps(_area(boxes).sqrt() / canonical_size)
        return k.floor().clamp(lowest, highest).long()

    return level


_wrong_steps("a hundredth added before rounding down", "a little smaller", lambda r: r.log2() + 0.01)
_wrong_steps("a thousandth added before rounding down", "a little smaller", lambda r: r.log2() + 0.001)
_wrong_steps("a thousandth taken off before rounding down", "should get the", lambda r: r.log2() - 0.001)
_wrong_steps("a millionth taken off before rounding down", "should get the", lambda r: r.log2() - 1e-6)
_wrong_steps("a thousandth added inside the logarithm", "a little smaller", lambda r: (r + 1e-3).log2())
_wrong_steps("a millionth added inside the logarithm", "lowest level", lambda r: (r + 1e-6).log2())
_wrong_steps("a billionth as the least inside the logarithm", "lowest level", lambda r: r.clamp(min=1e-9).log2())
_wrong_steps("one added inside the logarithm", "yours gives", lambda r: (r + 1).log2())
_wrong_steps("rounded to two digits first", "a little smaller", lambda r: r.log2().round(decimals=2))
_wrong_steps("the ratio rounded to two digits first", "a little smaller", lambda r: r.round(decimals=2).log2())
_wrong_steps("logarithms of base 10", "yours gives", lambda r: r.log10() / 0.30103)
_wrong_steps("the exponent as the binary form has it", "canonical size should get", lambda r: torch.frexp(r)[1].float())
_wrong_steps("the exponent less one, without a look at 0", "lowest level", lambda r: torch.frexp(r)[1].float() - 1)
_wrong_steps("whole steps of the ratio, not of its logarithm", "yours gives", lambda r: r.floor() - 1)
_wrong_side("whole pixels", "shares", lambda b: (b[:, 2:] - b[:, :2]).floor().prod(dim=1).sqrt())
_wrong_side("corners as whole pixels", "shares", lambda b: (b.long()[:, 2:] - b.long()[:, :2]).prod(dim=1).sqrt())
_wrong_side(
    "sides cut to the picture",
    "left of the picture",
    lambda b: (b.clamp(min=0)[:, 2:] - b.clamp(min=0)[:, :2]).prod(1).sqrt(),
)
_wrong_side("the root cut to a whole number", "yours gives", lambda b: _area(b).sqrt().floor())
_wrong_side("width times width", "area should count", lambda b: ((b[:, 2] - b[:, 0]) * (b[:, 2] - b[:, 0])).sqrt())


@wrong("7.4", "where a box has no area, all boxes to the lowest level", says="its own level")
def level_one_spoils(boxes, canonical_size, canonical_level, lowest, highest):
    levels = level_formula(boxes, canonical_size, canonical_level, lowest, highest)
    return torch.full_like(levels, lowest) if bool((_area(boxes) <= 0).any()) else levels


@wrong("7.4", "the canonical level is held between the ends first", says="outside the pyramid")
def level_canonical_held(boxes, canonical_size, canonical_level, lowest, highest):
    held = min(max(canonical_level, lowest), highest)
    return level_formula(boxes, canonical_size, held, lowest, highest)


@wrong("7.4", "only a step is held between the ends", says="yours gives")
def level_step_held(boxes, canonical_size, canonical_level, lowest, highest):
    steps = torch.log2(_area(boxes).sqrt() / canonical_size).floor().clamp(lowest, highest)
    return (canonical_level + steps).long()


@wrong("7.4", "without the highest level", says="highest")
def level_without_highest(boxes, canonical_size, canonical_level, lowest, highest):
    return level_formula(boxes, canonical_size, canonical_level, lowest, max(lowest, highest - 1))


@wrong("7.4", "no finer than one level below the canonical one", says="yours gives")
def level_two_levels(boxes, canonical_size, canonical_level, lowest, highest):
    return level_formula(
        boxes, canonical_size, canonical_level, min(max(lowest, canonical_level - 1), highest), highest
    )


@wrong("7.4", "the nearest canonical size of all levels", says="yours gives")
def level_nearest(boxes, canonical_size, canonical_level, lowest, highest):
    ks = torch.arange(lowest, highest + 1, device=boxes.device)
    sides = canonical_size * 2.0 ** (ks - canonical_level)
    return lowest + (_area(boxes).sqrt()[:, None] - sides).abs().argmin(dim=1)


@wrong("7.4", "more than twice, not from twice on", says="yours gives")
def level_more_than(boxes, canonical_size, canonical_level, lowest, highest):
    begins = [(canonical_size * 2.0 ** (k - canonical_level)) ** 2 for k in range(lowest + 1, highest + 1)]
    return lowest + torch.bucketize(_area(boxes), torch.tensor(begins).to(boxes), right=False)


@wrong("7.4", "a row that is sorted", says="yours gives [2, 4], right is [4, 2]")
def level_sorted(boxes, canonical_size, canonical_level, lowest, highest):
    return level_formula(boxes, canonical_size, canonical_level, lowest, highest).sort().values


@wrong("7.4", "an axis too many", says="shape")
def level_axis(boxes, canonical_size, canonical_level, lowest, highest):
    return level_formula(boxes, canonical_size, canonical_level, lowest, highest)[:, None]


@wrong("7.4", "a single box without its axis", says="shape")
def level_squeezed(boxes, canonical_size, canonical_level, lowest, highest):
    return level_formula(boxes, canonical_size, canonical_level, lowest, highest).squeeze()


@right("7.4", "corners by `view`")
def level_view(boxes, canonical_size, canonical_level, lowest, highest):
    corners = boxes.view(-1, 2, 2)
    side = (corners[:, 1] - corners[:, 0]).prod(dim=1).sqrt()
    return _level(side, canonical_size, canonical_level, lowest, highest)


@wrong("7.4", "no boxes give floats", says="no boxes")
def level_empty_floats(boxes, canonical_size, canonical_level, lowest, highest):
    return level_formula(boxes, canonical_size, canonical_level, lowest, highest) if len(boxes) else boxes.new_zeros(0)


@wrong("7.4", "edges made on the CPU", says="device", only_behaviour=True)
def level_edges_cpu(boxes, canonical_size, canonical_level, lowest, highest):
    begins = torch.tensor(
        [(canonical_size * 2.0 ** (k - canonical_level)) ** 2 for k in range(lowest + 1, highest + 1)]
    )
    return lowest + (_area(boxes)[:, None] >= begins).sum(dim=1)


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


@wrong("7.5", "single precision inside", says="float64", only_behaviour=True)
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


@right("7.5", "einsum with a table that says who is in which group")
def norm_einsum(x, groups, weight, bias, eps):
    c, k = x.shape[1], x.shape[1] // groups
    member = torch.eye(groups, dtype=x.dtype, device=x.device).repeat_interleave(k, dim=0)
    count = k * x.shape[2] * x.shape[3]
    mean = torch.einsum("bchw,cg,dg->bd", x, member, member) / count
    centred = x - mean.reshape(-1, c, 1, 1)
    variance = torch.einsum("bchw,bchw,cg,dg->bd", centred, centred, member, member) / count
    scale = weight / (variance + eps).sqrt()
    return centred * scale[:, :, None, None] + bias.reshape(c, 1, 1)


@right("7.5", "PyTorch's own, and the bias where a group is a single number")
def norm_pytorch_guarded(x, groups, weight, bias, eps):
    if x[:1].numel() == groups or len(x) == 0:
        return torch.zeros_like(x) * weight[:, None, None] + bias[:, None, None]
    return F.group_norm(x, groups, weight, bias, eps)


@right("7.5", "a standard deviation, squared again")
def norm_std(x, groups, weight, bias, eps):
    own = _grouped(x, groups)
    std, mean = torch.std_mean(own, dim=(2, 3, 4), correction=0, keepdim=True)
    return _finish((own - mean) / (std.square() + eps).sqrt(), x, weight, bias)


@right("7.5", "squares, once the group's first number is subtracted")
def norm_shifted(x, groups, weight, bias, eps):
    own = _grouped(x, groups).flatten(2) if len(x) else x.reshape(0, groups, x[0:1].shape[1])
    if not len(x):
        return x * weight[:, None, None] + bias[:, None, None]
    own = own - own[:, :, :1]
    mean = own.mean(dim=2, keepdim=True)
    variance = own.square().mean(dim=2, keepdim=True) - mean.square()
    return _finish((own - mean) / (variance.clamp(min=0) + eps).sqrt(), x, weight, bias)


@right("7.5", "picture by picture into a result made before")
def norm_pictures(x, groups, weight, bias, eps):
    out = x.new_zeros(x.shape)
    for number, picture in enumerate(x):
        parts = []
        for part in picture.chunk(groups, dim=0):
            centred = part - part.sum() / part.numel()
            parts.append(centred * (eps + (centred * centred).sum() / part.numel()) ** -0.5)
        out[number] = torch.cat(parts)
    return torch.addcmul(bias.view(1, -1, 1, 1), out, weight.view(1, -1, 1, 1))


@right("7.5", "means of channels, then of groups")
def norm_two_steps(x, groups, weight, bias, eps):
    b, c = x.shape[:2]

    def of_group(values):
        means = values.mean(dim=(2, 3)).reshape(b, groups, c // groups).mean(dim=2)
        return means.repeat_interleave(c // groups, dim=1)[:, :, None, None]

    centred = x - of_group(x)
    return centred / (of_group(centred**2) + eps).sqrt() * weight.view(c, 1, 1) + bias.view(c, 1, 1)


@wrong("7.5", "squares, once the picture's mean is subtracted", says="far from 0")
def norm_squares_picture(x, groups, weight, bias, eps):
    own = _grouped(x - x.mean(dim=(1, 2, 3), keepdim=True), groups)
    mean, squares = (v.mean(dim=(2, 3, 4), keepdim=True) for v in (own, own.square()))
    return _finish((own - mean) / ((squares - mean.square()).clamp(min=0) + eps).sqrt(), x, weight, bias)


@wrong("7.5", "squares, once the batch's mean is subtracted", says="far from 0")
def norm_squares_batch(x, groups, weight, bias, eps):
    return norm_squares(x - x.mean() if len(x) else x, groups, weight, bias, eps)


@wrong("7.5", "squares in double precision, which float64 does not help", says="float64", only_behaviour=True)
def norm_squares_double(x, groups, weight, bias, eps):
    return norm_squares(x.double(), groups, weight.double(), bias.double(), eps).to(x.dtype)


@wrong("7.5", "single precision inside, then back", says="float64", only_behaviour=True)
def norm_single_back(x, groups, weight, bias, eps):
    return norm_axis(x.float(), groups, weight.float(), bias.float(), eps).to(x.dtype)


@wrong("7.5", "the statistics in single precision", says="float64", only_behaviour=True)
def norm_single_statistics(x, groups, weight, bias, eps):
    own = _grouped(x, groups)
    variance, mean = torch.var_mean(own.float(), dim=(2, 3, 4), correction=0, keepdim=True)
    return _finish((own - mean) / (variance + eps).sqrt(), x, weight, bias)


@wrong("7.5", "weight and bias of the group's last channel", says="belong to channels")
def norm_last_weight(x, groups, weight, bias, eps):
    k = x.shape[1] // groups
    return _norm(x, groups, weight[k - 1 :: k].repeat_interleave(k), bias[k - 1 :: k].repeat_interleave(k), eps)


@wrong("7.5", "the weight for each group, in turn over its channels", says="belong to channels")
def norm_weight_turned(x, groups, weight, bias, eps):
    w, b = (v.reshape(-1, groups).T.flatten() for v in (weight, bias))
    return _norm(x, groups, w, b, eps)


@wrong("7.5", "the bias of the whole group's mean", says="belong to channels")
def norm_bias_mean(x, groups, weight, bias, eps):
    k = x.shape[1] // groups
    return _norm(x, groups, weight, bias.reshape(groups, k).mean(dim=1).repeat_interleave(k), eps)


@wrong("7.5", "the weight before normalising", says="yours gives")
def norm_weight_first(x, groups, weight, bias, eps):
    ones = torch.ones_like(weight)
    return _norm(x * weight[:, None, None], groups, ones, bias, eps)


@wrong("7.5", "a weight without its sign", says="may be negative")
def norm_weight_absolute(x, groups, weight, bias, eps):
    return _norm(x, groups, weight.abs(), bias, eps)


@wrong("7.5", "weight and bias are left out, the plain result", says="times the weight")
def norm_plain(x, groups, weight, bias, eps):
    return _norm(x, groups, torch.ones_like(weight), torch.zeros_like(bias), eps)


@wrong("7.5", "a weight of 1 plus what is given", says="yours gives")
def norm_weight_plus(x, groups, weight, bias, eps):
    return _norm(x, groups, 1 + weight, bias, eps)


@wrong("7.5", "along the width where channels and columns are as many", says="belong to channels")
def norm_by_width(x, groups, weight, bias, eps):
    normal = _norm(x, groups, torch.ones_like(weight), torch.zeros_like(bias), eps)
    if x.shape[1] == x.shape[3]:
        return normal * weight + bias
    return normal * weight[:, None, None] + bias[:, None, None]


@wrong("7.5", "along the pictures where channels and pictures are as many", says="belong to channels")
def norm_by_picture(x, groups, weight, bias, eps):
    normal = _norm(x, groups, torch.ones_like(weight), torch.zeros_like(bias), eps)
    if x.shape[0] == x.shape[1]:
        return normal * weight[:, None, None, None] + bias[:, None, None, None]
    return normal * weight[:, None, None] + bias[:, None, None]


@wrong("7.5", "along the height where channels and rows are as many", says="belong to channels")
def norm_by_height(x, groups, weight, bias, eps):
    normal = _norm(x, groups, torch.ones_like(weight), torch.zeros_like(bias), eps)
    if x.shape[1] == x.shape[2]:
        return normal * weight[:, None] + bias[:, None]
    return normal * weight[:, None, None] + bias[:, None, None]


@wrong("7.5", "the mean of the channels' variances", says="a group should hold all its channels")
def norm_mean_variance(x, groups, weight, bias, eps):
    own = _grouped(x, groups)
    variance = own.var(dim=(3, 4), correction=0, keepdim=True).mean(dim=2, keepdim=True)
    return _finish((own - own.mean(dim=(2, 3, 4), keepdim=True)) / (variance + eps).sqrt(), x, weight, bias)


@wrong("7.5", "the mean distance in place of the deviation", says="yours gives")
def norm_distance(x, groups, weight, bias, eps):
    own = _grouped(x, groups)
    centred = own - own.mean(dim=(2, 3, 4), keepdim=True)
    return _finish(centred / (centred.abs().mean(dim=(2, 3, 4), keepdim=True) ** 2 + eps).sqrt(), x, weight, bias)


@wrong("7.5", "the median in place of the mean", says="yours gives")
def norm_median(x, groups, weight, bias, eps):
    if not len(x):
        return norm_axis(x, groups, weight, bias, eps)
    own = _grouped(x, groups)
    middle = own.flatten(2).median(dim=2).values[:, :, None, None, None]
    return _finish((own - middle) / (own.var(dim=(2, 3, 4), correction=0, keepdim=True) + eps).sqrt(), x, weight, bias)


@wrong("7.5", "counted as if maps were square", says="yours gives")
def norm_square(x, groups, weight, bias, eps):
    own = _grouped(x, groups)
    count = own.shape[2] * own.shape[3] ** 2
    centred = own - own.sum(dim=(2, 3, 4), keepdim=True) / count
    return _finish(centred / (centred.square().sum(dim=(2, 3, 4), keepdim=True) / count + eps).sqrt(), x, weight, bias)


@wrong("7.5", "the first picture's statistics for all", says="each picture should be normalised by itself")
def norm_first_picture(x, groups, weight, bias, eps):
    own = _grouped(x, groups)
    variance, mean = torch.var_mean(own[:1], dim=(2, 3, 4), correction=0, keepdim=True)
    return _finish((own - mean) / (variance + eps).sqrt(), x, weight, bias)


@wrong("7.5", "the first group's statistics for all", says="two channels in two groups")
def norm_first_group(x, groups, weight, bias, eps):
    own = _grouped(x, groups)
    variance, mean = torch.var_mean(own[:, :1], dim=(2, 3, 4), correction=0, keepdim=True)
    return _finish((own - mean) / (variance + eps).sqrt(), x, weight, bias)


@wrong("7.5", "eps squared", says="eps should stand inside the root")
def norm_eps_squared(x, groups, weight, bias, eps):
    return _norm(x, groups, weight, bias, eps**2)


@wrong("7.5", "batch normalisation of one row for each group", says="a group of one number")
def norm_as_batch(x, groups, weight, bias, eps):
    if not len(x):
        return norm_axis(x, groups, weight, bias, eps)
    own = x.reshape(1, len(x) * groups, -1)
    return _finish(F.batch_norm(own, None, None, training=True, eps=eps), x, weight, bias)


@wrong("7.5", "a single number left as it is", says="a group of one number")
def norm_single_left(x, groups, weight, bias, eps):
    return x if x[:1].numel() == groups else norm_axis(x, groups, weight, bias, eps)


@wrong("7.5", "picture by picture, then stacked", says="no pictures")
def norm_stacked(x, groups, weight, bias, eps):
    return torch.stack([norm_axis(one[None], groups, weight, bias, eps)[0] for one in x])


@wrong("7.5", "the mean is detached", says="gradient should flow", only_behaviour=True)
def norm_mean_detached(x, groups, weight, bias, eps):
    own = _grouped(x, groups)
    centred = own - own.mean(dim=(2, 3, 4), keepdim=True).detach()
    return _finish(centred / (centred.square().mean(dim=(2, 3, 4), keepdim=True) + eps).sqrt(), x, weight, bias)


@wrong("7.5", "the bias is taken as a constant", says="gradient should flow", only_behaviour=True)
def norm_bias_constant(x, groups, weight, bias, eps):
    return _norm(x, groups, weight, bias.detach(), eps)


@wrong("7.5", "weight and bias copied into a module", says="gradient should flow", only_behaviour=True)
def norm_module(x, groups, weight, bias, eps):
    if x[:1].numel() == groups or not len(x):
        return norm_axis(x, groups, weight, bias, eps)
    module = nn.GroupNorm(groups, x.shape[1], eps).to(x)
    module.weight.data, module.bias.data = weight.clone(), bias.clone()
    module.requires_grad_(False)
    return module(x)


@wrong("7.5", "a root, squared again: no slope at 0", says="gradient should flow", only_behaviour=True)
def norm_root_again(x, groups, weight, bias, eps):
    own = _grouped(x, groups)
    centred = own - own.mean(dim=(2, 3, 4), keepdim=True)
    std = centred.square().mean(dim=(2, 3, 4), keepdim=True).sqrt()
    return _finish(centred / (std**2 + eps).sqrt(), x, weight, bias)


@wrong(
    "7.5", "PyTorch's variance corrected, what is no number set to 0", says="gradient should flow", only_behaviour=True
)
def norm_corrected(x, groups, weight, bias, eps):
    own = _grouped(x, groups)
    n = own.shape[2] * own.shape[3] * own.shape[4]
    variance = (own.var(dim=(2, 3, 4), keepdim=True) * ((n - 1) / n)).nan_to_num(0.0)
    return _finish((own - own.mean(dim=(2, 3, 4), keepdim=True)) / (variance + eps).sqrt(), x, weight, bias)


@wrong("7.5", "`view` makes one row of each group", says="in another order", only_behaviour=True)
def norm_view(x, groups, weight, bias, eps):
    b, c, height, width = x.shape
    own = x.view(b, groups, c // groups * height * width)
    centred = own - own.mean(dim=2, keepdim=True)
    return _finish(centred / (centred.square().mean(dim=2, keepdim=True) + eps).sqrt(), x, weight, bias)


@wrong("7.5", "centred in place through a view", says="input should stay", only_behaviour=True)
def norm_centred_in_place(x, groups, weight, bias, eps):
    own = _grouped(x, groups)
    if x.requires_grad:
        return norm_axis(x, groups, weight, bias, eps)
    own -= own.mean(dim=(2, 3, 4), keepdim=True)
    return _finish(own / (own.square().mean(dim=(2, 3, 4), keepdim=True) + eps).sqrt(), x, weight, bias)


@wrong("7.5", "weight and bias get their axes in place", says="input should stay", only_behaviour=True)
def norm_weight_in_place(x, groups, weight, bias, eps):
    result = norm_axis(x, groups, weight, bias, eps)
    weight.unsqueeze_(-1)
    return result


@wrong("7.5", "a result made on the CPU", says="device", only_behaviour=True)
def norm_cpu(x, groups, weight, bias, eps):
    out = torch.zeros(x.shape, dtype=x.dtype)
    out[:] = norm_axis(x, groups, weight, bias, eps)
    return out


# --- let through in a later round ---------------------------------------------------------------------------------


@wrong("7.3", "single precision inside", says="float64 overlaps that differ by very little")
def rescue_single(overlap):
    return rescue_claims(overlap.float())


@wrong("7.3", "a millionth taken off for each object, so that the first wins a tie", says="float64 overlaps")
def rescue_millionth_off(overlap):
    if overlap.numel() == 0:
        return _none(overlap)
    behind = torch.arange(len(overlap), device=overlap.device)[:, None] * 1e-6
    owner = torch.where(_claims(overlap), overlap - behind, -torch.inf).argmax(dim=0)
    return torch.where(_claims(overlap).any(dim=0), owner, _thresholds(overlap)[1])


@wrong("7.3", "claims lifted by 100, beside which an overlap loses its digits", says="by however little")
def rescue_lifted_far(overlap):
    if overlap.numel() == 0:
        return _none(overlap)
    best, matches = (overlap + 100 * _claims(overlap)).max(dim=0)
    return torch.where(best >= 0.5, matches, torch.where(best >= 0.4, -2, -1))


@wrong("7.3", "claims of one anchor compared in thousandths", says="float64 overlaps that differ by very little")
def rescue_thousandths(overlap):
    if overlap.numel() == 0:
        return _none(overlap)
    owner = (torch.where(_claims(overlap), overlap, -1.0) * 1000).round().argmax(dim=0)
    return torch.where(_claims(overlap).any(dim=0), owner, _thresholds(overlap)[1])


@wrong("7.3", "overlaps from 0.5 on compared in thousandths", says="the larger one should count, by however little")
def rescue_plain_thousandths(overlap):
    if overlap.numel() == 0:
        return _none(overlap)
    best, who = overlap.amax(dim=0), (overlap * 1000).round().argmax(dim=0)
    strength, owner = (overlap * _claims(overlap)).max(dim=0)
    rest = torch.where(best >= 0.5, who, torch.where(best >= 0.4, -2, -1))
    return torch.where(strength > 0, owner, rest)


@wrong("7.3", "objects numbered in a byte", says="hundreds of objects")
def rescue_bytes(overlap):
    return rescue_claims(overlap).to(torch.int8).long()


_wrong_steps("a ten-thousandth added before rounding down", "a very little smaller", lambda r: r.log2() + 1e-4)


def _wrong_deviation(label, says, divide):
    """A wrong answer that divides by something else: `divide(centred, variance, eps)`."""

    @wrong("7.5", label, says=says)
    def norm(x, groups, weight, bias, eps):
        own = _grouped(x, groups)
        centred = own - own.mean(dim=(2, 3, 4), keepdim=True)
        return _finish(divide(centred, centred.square().mean(dim=(2, 3, 4), keepdim=True), eps), x, weight, bias)


_wrong_deviation("cut off at five deviations", "far from all others", lambda c, v, e: (c / (v + e).sqrt()).clamp(-5, 5))
_wrong_deviation("at most 20 deviations", "far from all others", lambda c, v, e: (c / (v + e).sqrt()).clamp(-20, 20))
_wrong_deviation("a variance of at least a millionth", "eps counts", lambda c, v, e: c / (v.clamp(min=1e-6) + e).sqrt())
_wrong_deviation("eps, and a small number besides", "eps counts", lambda c, v, e: c / ((v + e).sqrt() + 1e-5))
_wrong_deviation("an eps of at least 1e-5", "eps counts", lambda c, v, e: c / (v + max(e, 1e-5)).sqrt())


@wrong("7.2", "padded with a number below all that are given", says="not even the smallest of the numbers given")
def bottom_up_padded_low(maps):
    low = min((float(one.min()) for one in maps if one.numel()), default=0.0) - 1
    new = [maps[0]]
    for given in maps[1:]:
        new.append(given + F.max_pool2d(F.pad(new[-1], (1, 1, 1, 1), value=low), 3, 2))
    return new


@wrong("7.5", "the spread is detached in batches of more than three", says="gradient should flow", only_behaviour=True)
def norm_spread_detached(x, groups, weight, bias, eps):
    own = _grouped(x, groups)
    centred = own - own.mean(dim=(2, 3, 4), keepdim=True)
    spread = (centred.square().mean(dim=(2, 3, 4), keepdim=True) + eps).sqrt()
    return _finish(centred / (spread.detach() if len(x) > 3 else spread), x, weight, bias)


@wrong("7.4", "float32 inside, whatever goes in", says="float64 boxes should be computed in float64")
def level_single(boxes, canonical_size, canonical_level, lowest, highest):
    corners = boxes.float()
    side = (corners[:, 2:] - corners[:, :2]).prod(dim=1).sqrt()
    return (canonical_level + torch.log2(side / canonical_size)).floor().clamp(lowest, highest).long()
