"""Wrong and right answers to lesson 1's exercises."""

import math
import re

import numpy
import torch
import torchvision
from torchvision import tv_tensors
from torchvision.transforms import v2
from trials import right, wrong

# --- 1.1 read_yolo -----------------------------------------------------------------------------------------------


def _parse(text):
    rows = [[float(word) for word in line.split()] for line in text.splitlines() if line.strip()]
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 5)


def _result(boxes, rows, first=1):
    return {"boxes": boxes, "labels": rows[:, 0].long() + first}


def _corners(rows):
    return torch.cat([rows[:, 1:3] - rows[:, 3:] / 2, rows[:, 1:3] + rows[:, 3:] / 2], dim=1)


@right("1.1", "one tensor")
def read_yolo_tensor(text, size):
    rows = _parse(text)
    height, width = size
    return _result(_corners(rows) * torch.tensor([width, height, width, height]), rows)


@right("1.1", "line by line")
def read_yolo_lines(text, size):
    height, width = size
    boxes, labels = [], []
    for line in text.splitlines():
        if not line.strip():
            continue
        number, cx, cy, w, h = line.split()
        cx, w = float(cx) * width, float(w) * width
        cy, h = float(cy) * height, float(h) * height
        boxes.append([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2])
        labels.append(int(number) + 1)
    return {"labels": torch.tensor(labels).long(), "boxes": torch.tensor(boxes).reshape(-1, 4)}


@right("1.1", "with torchvision's conversion")
def read_yolo_torchvision(text, size):
    rows = _parse(text)
    shares = torchvision.ops.box_convert(rows[:, 1:], "cxcywh", "xyxy")
    return _result(shares * torch.tensor(size).flip(0).repeat(2), rows)


@wrong("1.1", "height and width swapped", says="x is a share of the width")
def read_yolo_swapped(text, size):
    rows = _parse(text)
    width, height = size
    return _result(_corners(rows) * torch.tensor([width, height, width, height]), rows)


@wrong("1.1", "square pictures only", says="x is a share of the width")
def read_yolo_square(text, size):
    rows = _parse(text)
    return _result(_corners(rows) * size[1], rows)


@wrong("1.1", "shares left as they are", says="x is a share of the width")
def read_yolo_shares(text, size):
    rows = _parse(text)
    return _result(_corners(rows), rows)


@wrong("1.1", "centre taken for the corner (the lesson's xywh)", says="x is a share of the width")
def read_yolo_corner(text, size):
    rows = _parse(text)
    boxes = torch.cat([rows[:, 1:3], rows[:, 1:3] + rows[:, 3:]], dim=1)
    return _result(boxes * torch.tensor([size[1], size[0]] * 2), rows)


@wrong("1.1", "still centre and size", says="x is a share of the width")
def read_yolo_cxcywh(text, size):
    rows = _parse(text)
    return _result(rows[:, 1:] * torch.tensor([size[1], size[0]] * 2), rows)


@wrong("1.1", "labels from 0", says="class 0 becomes label 1: yours gives [0] at")
def read_yolo_labels(text, size):
    return _result(read_yolo_tensor(text, size)["boxes"], _parse(text), first=0)


@wrong("1.1", "float labels", says="should be int64, yours is float32")
def read_yolo_float_labels(text, size):
    result = read_yolo_tensor(text, size)
    return {"boxes": result["boxes"], "labels": result["labels"].float()}


@wrong("1.1", "empty text crashes", says="a text without lines")
def read_yolo_no_empty(text, size):
    lines = [line.split() for line in text.splitlines() if line.strip()]
    rows = torch.stack([torch.tensor([float(word) for word in line]) for line in lines])
    return _result(_corners(rows) * torch.tensor([size[1], size[0]] * 2), rows)


@wrong("1.1", "empty result of the wrong shape", says="should have shape [0, 4], yours has [0]")
def read_yolo_flat_empty(text, size):
    result = read_yolo_tensor(text, size)
    return result if len(result["labels"]) else {"boxes": torch.tensor([]), "labels": result["labels"]}


@wrong("1.1", "blank lines crash", says="blank lines")
def read_yolo_blank(text, size):
    if not text:
        return read_yolo_tensor(text, size)
    for line in text.split("\n"):
        float(line.split()[0])
    return read_yolo_tensor(text, size)


@wrong("1.1", "only the first line", says="two equal lines are two objects")
def read_yolo_first(text, size):
    lines = [line for line in text.splitlines() if line.strip()][:1]
    return read_yolo_tensor("\n".join(lines), size)


@wrong("1.1", "sorted by class", says="in the same order")
def read_yolo_sorted(text, size):
    return read_yolo_tensor("\n".join(sorted(text.splitlines(), reverse=True)), size)


@wrong("1.1", "zeros of the right shape", says="x is a share of the width")
def read_yolo_zeros(text, size):
    result = read_yolo_tensor(text, size)
    return {"boxes": result["boxes"] * 0, "labels": result["labels"] * 0}


@wrong("1.1", "tuple instead of dict", says="should be a dict of 2, yours is a tuple of 2")
def read_yolo_tuple(text, size):
    return tuple(read_yolo_tensor(text, size).values())


@wrong("1.1", "rounded to whole pixels", says="yours gives")
def read_yolo_rounded(text, size):
    result = read_yolo_tensor(text, size)
    return {"boxes": result["boxes"].round(), "labels": result["labels"]}


@wrong("1.1", "split at single blanks", says="blanks may come doubled")
def read_yolo_single_blanks(text, size):
    for line in text.split("\n"):
        if line.strip():
            [float(word) for word in line.strip().split(" ")]
    return read_yolo_tensor(text, size)


@wrong("1.1", "a line of blanks crashes", says="alone on a line")
def read_yolo_line_of_blanks(text, size):
    for line in text.split("\n"):
        if line != "":
            line.split()[0]
    return read_yolo_tensor(text, size)


@wrong("1.1", "cut at the right edge", says="a box that hangs over the edge should stay")
def read_yolo_right_edge(text, size):
    result = read_yolo_tensor(text, size)
    left, top, right_edge, bottom = result["boxes"].unbind(dim=1)
    return {**result, "boxes": torch.stack([left, top, right_edge.clamp(max=size[1]), bottom], dim=1)}


@wrong("1.1", "cut at the upper edge", says="a box that hangs over the edge should stay")
def read_yolo_upper_edge(text, size):
    left, top, right_edge, bottom = read_yolo_tensor(text, size)["boxes"].unbind(dim=1)
    boxes = torch.stack([left, top.clamp(min=0), right_edge, bottom], dim=1)
    return {**read_yolo_tensor(text, size), "boxes": boxes}


@wrong("1.1", "remembers a text, forgets the size", says="the same line means other pixels in another picture")
def read_yolo_remembers(text, size, known={}):  # noqa: B006
    if text not in known:
        known[text] = read_yolo_tensor(text, size)
    return {key: value.clone() for key, value in known[text].items()}


@wrong("1.1", "one dict for all calls", says="a later call should leave an earlier result alone", only_behaviour=True)
def read_yolo_one_dict(text, size, target={}):  # noqa: B006
    target.update(read_yolo_tensor(text, size))
    return target


BUFFER = torch.zeros(100, 4)


@wrong(
    "1.1", "boxes of all calls in one tensor", says="a later call should leave an earlier result", only_behaviour=True
)
def read_yolo_one_tensor(text, size):
    result = read_yolo_tensor(text, size)
    return {**result, "boxes": BUFFER[: len(result["labels"])].copy_(result["boxes"])}


@wrong("1.1", "boxes that require a gradient", says="should not require a gradient", only_behaviour=True)
def read_yolo_gradient(text, size):
    result = read_yolo_tensor(text, size)
    return {**result, "boxes": result["boxes"].requires_grad_()}


@wrong("1.1", "stops at the first blank line", says="what follows it counts")
def read_yolo_stops(text, size):
    lines = []
    for line in text.strip().split("\n"):
        if not line.strip():
            break
        lines.append(line)
    return read_yolo_lines("\n".join(lines), size)


@wrong("1.1", "objects with their centre outside left out", says="centre outside")
def read_yolo_outside(text, size):
    inside = [line for line in text.split("\n") if all(0 <= float(w) <= 1 for w in line.split()[1:3])]
    return read_yolo_lines("\n".join(inside), size)


@wrong("1.1", "shares stopped at 0 and 1", says="centre outside")
def read_yolo_clamped(text, size):
    rows = _parse(text)
    rows[:, 1:] = rows[:, 1:].clamp(0, 1)
    return _result(_corners(rows) * torch.tensor(size).flip(0).repeat(2), rows)


@wrong("1.1", "the sign lost by a pattern of digits", says="centre outside")
def read_yolo_pattern(text, size):
    lines = [" ".join(re.findall(r"[\d.]+", line)) for line in text.split("\n")]
    return read_yolo_lines("\n".join(lines), size)


@wrong("1.1", "objects without width or height left out", says="a box without width or height")
def read_yolo_flat(text, size):
    solid = [line for line in text.split("\n") if all(float(w) > 0 for w in line.split()[3:])]
    return read_yolo_lines("\n".join(solid), size)


@wrong("1.1", "half precision inside", says="yours gives")
def read_yolo_half(text, size):
    rows = _parse(text)
    shares = _corners(rows).half().float()
    return _result(shares * torch.tensor(size).flip(0).repeat(2), rows)


# --- 1.2 balanced_l1 ---------------------------------------------------------------------------------------------

ALPHA, GAMMA = 0.5, 1.5
B = math.exp(GAMMA / ALPHA) - 1


def _inner(error):
    return ALPHA / B * (B * error + 1) * (B * error + 1).log() - ALPHA * error


def _outer(error):
    return GAMMA * error + GAMMA / B - ALPHA


def _each(predicted, true):
    error = (predicted - true).abs()
    return torch.where(error < 1, _inner(error), _outer(error))


@right("1.2", "where")
def balanced_l1_where(predicted, true):
    return _each(predicted, true).sum() / max(len(true), 1)


@right("1.2", "near and far part of the error")
def balanced_l1_parts(predicted, true):
    if len(true) == 0:
        return predicted.sum()
    error = (predicted - true).abs()
    near = error.clamp(max=1)
    return (_inner(near) + GAMMA * (error - near)).sum(dim=1).mean()


@right("1.2", "box by box")
def balanced_l1_loop(predicted, true):
    total = 0 * predicted.sum()
    for p, t in zip(predicted, true, strict=True):
        for error in (p - t).abs():
            total = total + (_inner(error) if error < 1 else _outer(error))
    return total / max(len(true), 1)


@wrong("1.2", "the lesson's L1", says="below 1 pixel")
def balanced_l1_lesson(predicted, true):
    return (predicted - true).abs().sum(dim=1).mean() if len(true) else predicted.sum()


@wrong("1.2", "smooth L1", says="below 1 pixel")
def balanced_l1_smooth(predicted, true):
    return torch.nn.functional.smooth_l1_loss(predicted, true, reduction="sum") / max(len(true), 1)


@wrong("1.2", "cut at 6,000 pixels", says="should not saturate")
def balanced_l1_cut(predicted, true):
    x = (predicted - true).abs().clamp(max=6000)
    b = math.exp(3) - 1
    near = 0.5 / b * (b * x + 1) * (b * x + 1).log() - 0.5 * x
    far = 1.5 * (x - 1) + 0.5 / b * (b + 1) * math.log(b + 1) - 0.5
    return torch.where(x < 1, near, far).sum() / max(len(true), 1)


@wrong("1.2", "zero", says="below 1 pixel")
def balanced_l1_zero(predicted, true):
    return (predicted * 0).sum()


@wrong("1.2", "mean of the four errors", says="below 1 pixel")
def balanced_l1_mean(predicted, true):
    return _each(predicted, true).sum() / max(true.numel(), 1)


@wrong("1.2", "sum over the pairs", says="the four errors should be summed, the pairs averaged")
def balanced_l1_sum(predicted, true):
    return _each(predicted, true).sum()


@wrong("1.2", "one branch only", says="from 1 pixel on")
def balanced_l1_inner(predicted, true):
    return _inner((predicted - true).abs()).sum() / max(len(true), 1)


@wrong("1.2", "jump at 1 pixel", says="without a jump")
def balanced_l1_jump(predicted, true):
    error = (predicted - true).abs()
    return torch.where(error < 1, _inner(error), GAMMA * error).sum() / max(len(true), 1)


@wrong("1.2", "no absolute value", says="to the left")
def balanced_l1_signed(predicted, true):
    error = predicted - true
    return torch.where(error < 1, _inner(error.clamp(min=0)), _outer(error)).sum() / max(len(true), 1)


@wrong("1.2", "alpha forgotten in b", says="below 1 pixel")
def balanced_l1_b(predicted, true):
    b, error = math.exp(GAMMA) - 1, (predicted - true).abs()
    near = ALPHA / b * (b * error + 1) * (b * error + 1).log() - ALPHA * error
    return torch.where(error < 1, near, GAMMA * error + GAMMA / b - ALPHA).sum() / max(len(true), 1)


@wrong("1.2", "no pairs give nan", says="no pairs at all should cost 0")
def balanced_l1_nan(predicted, true):
    return _each(predicted, true).sum(dim=1).mean()


@wrong("1.2", "gradient detached", says="gradient should flow", only_behaviour=True)
def balanced_l1_detached(predicted, true):
    return balanced_l1_where(predicted.detach(), true.detach())


@wrong("1.2", "gradient through one box only", says="gradient should flow", only_behaviour=True)
def balanced_l1_half(predicted, true):
    return balanced_l1_where(predicted, true.detach())


@wrong("1.2", "gradient of the logarithm detached", says="gradient should flow", only_behaviour=True)
def balanced_l1_log(predicted, true):
    error = (predicted - true).abs()
    near = ALPHA / B * (B * error + 1) * (B * error + 1).log().detach() - ALPHA * error
    return torch.where(error < 1, near, _outer(error)).sum() / max(len(true), 1)


@wrong("1.2", "a Python number", says="should be a float32 tensor", only_behaviour=True)
def balanced_l1_float(predicted, true):
    return balanced_l1_where(predicted, true).item()


@wrong("1.2", "input changed in place", says="input should stay unchanged", only_behaviour=True)
def balanced_l1_inplace(predicted, true):
    with torch.no_grad():
        predicted.sub_(true)
    return balanced_l1_where(predicted, true * 0)


@wrong("1.2", "float32 inside", says="dtype should be kept", only_behaviour=True)
def balanced_l1_float32(predicted, true):
    return balanced_l1_where(predicted.float(), true.float())


@wrong("1.2", "new tensor on the CPU", says="device should be kept", only_behaviour=True)
def balanced_l1_cpu(predicted, true):
    total = torch.zeros(4, dtype=predicted.dtype)
    return (total + _each(predicted, true).sum(dim=0)).sum() / max(len(true), 1)


@wrong("1.2", "gradient of errors to the left detached", says="gradient should flow", only_behaviour=True)
def balanced_l1_left(predicted, true):
    difference = predicted - true
    error = torch.where(difference >= 0, difference, -difference.detach())
    return torch.where(error < 1, _inner(error), _outer(error)).sum() / max(len(true), 1)


@wrong("1.2", "gradient through the first pair only", says="gradient should flow", only_behaviour=True)
def balanced_l1_first(predicted, true):
    losses = [_each(p, t if k == 0 else t.detach()) for k, (p, t) in enumerate(zip(predicted, true, strict=True))]
    losses = [loss if k == 0 else loss.detach() for k, loss in enumerate(losses)]
    return sum(loss.sum() for loss in losses) / max(len(true), 1) + 0 * predicted.sum()


@wrong("1.2", "very small errors count for nothing", says="very small errors should count as well")
def balanced_l1_dead(predicted, true):
    error = (predicted - true).abs()
    return torch.where(error < 0.2, 0 * error, _each(predicted, true)).sum() / max(len(true), 1)


@wrong("1.2", "right in float32 only", says="float64 numbers should give the same result", only_behaviour=True)
def balanced_l1_double(predicted, true):
    halves = 2 if predicted.dtype == torch.float64 else 1
    return balanced_l1_where(predicted, true) / halves


@wrong("1.2", "the input is asked for a gradient", says="input should stay unchanged", only_behaviour=True)
def balanced_l1_asks(predicted, true):
    predicted.requires_grad_()
    return balanced_l1_where(predicted, true)


@wrong("1.2", "one result tensor for all calls", says="a later call should leave", only_behaviour=True)
def balanced_l1_shared(predicted, true, total=torch.zeros(())):  # noqa: B008
    result = balanced_l1_where(predicted, true)
    return result if result.requires_grad or result.dtype == torch.float64 else total.copy_(result)


@wrong("1.2", "an error of exactly 1 belongs to neither branch", says="an error of exactly 1")
def balanced_l1_masks(predicted, true):
    x = (predicted - true).abs()
    return ((x < 1) * _inner(x) + (x > 1) * _outer(x)).sum() / max(len(true), 1)


@wrong("1.2", "averaged over the pairs that differ", says="a perfect pair counts")
def balanced_l1_differing(predicted, true):
    loss = _each(predicted, true).sum(dim=1)
    return loss.sum() / max(int((loss > 0).sum()), 1)


@wrong(
    "1.2",
    "the absolute value by a square root",
    says="the gradient is nan at [0, 0] of predicted, right is 0",
    only_behaviour=True,
)
def balanced_l1_root(predicted, true):
    x = ((predicted - true) ** 2).sqrt()
    return torch.where(x < 1, _inner(x), _outer(x)).sum() / max(len(true), 1)


@wrong("1.2", "a new tensor without pairs", says="cut off from it", only_behaviour=True)
def balanced_l1_early(predicted, true):
    if len(true) == 0:
        return torch.tensor(0.0, dtype=predicted.dtype, device=predicted.device)
    return balanced_l1_where(predicted, true)


@wrong("1.2", "float32 without pairs", says="dtype should be kept", only_behaviour=True)
def balanced_l1_early_float32(predicted, true):
    if len(true) == 0:
        return torch.tensor(0.0, device=predicted.device).requires_grad_(predicted.requires_grad)
    return balanced_l1_where(predicted, true)


@right("1.2", "pair by pair with vmap")
def balanced_l1_vmap(predicted, true):
    if len(true) == 0:
        return predicted.sum()
    return torch.vmap(lambda p, t: _each(p, t).sum())(predicted, true).mean()


# --- 1.3 twin ----------------------------------------------------------------------------------------------------


@right("1.3", "roll by one place")
def twin_roll(features):
    return features.flatten(1).roll(1, dims=1).reshape(features.shape)


@right("1.3", "sorted places, last first")
def twin_swap(features):
    flat = features.flatten(1).clone()
    strongest = int(flat.sum(dim=0).argmax())
    other = (strongest + 1) % flat.shape[1]
    flat[:, [strongest, other]] = flat[:, [other, strongest]]
    return flat.reshape(features.shape)


@right("1.3", "flatten the strongest, raise another")
def twin_move(features):
    result = features.clone()
    _, rows, columns = features.shape
    place = int(features.sum(dim=0).argmax())
    r, c = divmod(place, columns)
    r2, c2 = divmod((place + 1) % (rows * columns), columns)
    extra = features[:, r, c] - features[:, r2, c2]
    result[:, r, c] -= extra
    result[:, r2, c2] += extra
    return result


@wrong("1.3", "the same map", says="should have moved")
def twin_same(features):
    return features.clone()


@wrong("1.3", "mirrored", says="should have moved")
def twin_flip(features):
    return features.flip(1, 2)


@wrong("1.3", "rolled along the columns only", says="should have moved")
def twin_roll_columns(features):
    return features.roll(1, dims=2)


@wrong("1.3", "rolled by eleven places", says="should have moved")
def twin_roll_eleven(features):
    return features.flatten(1).roll(11, dims=1).reshape(features.shape)


@wrong("1.3", "zeros", says="each channel's mean")
def twin_zeros(features):
    return torch.zeros_like(features)


@wrong("1.3", "twice as strong", says="each channel's mean")
def twin_double(features):
    return 2 * features.flatten(1).roll(1, dims=1).reshape(features.shape)


@wrong("1.3", "the pooled vector", says="should have shape")
def twin_pooled(features):
    return features.mean(dim=(1, 2))


@wrong("1.3", "random numbers", says="each channel's mean should stay")
def twin_other_noise(features):
    return torch.rand_like(features)


@wrong("1.3", "channels swapped", says="should have moved")
def twin_channels(features):
    return features.flip(0)


@wrong("1.3", "transposed", says="should have shape")
def twin_transposed(features):
    return features.transpose(1, 2)


@wrong("1.3", "constant map", says="should have moved")
def twin_constant(features):
    return features.mean(dim=(1, 2), keepdim=True).expand_as(features).clone()


@wrong("1.3", "changed in place", says="input should stay unchanged", only_behaviour=True)
def twin_inplace(features):
    features.copy_(twin_roll(features))
    return features


def _exchange(features, place):
    flat = features.flatten(1).clone()
    other = (int(place) + 1) % flat.shape[1]
    flat[:, [int(place), other]] = flat[:, [other, int(place)]]
    return flat.reshape(features.shape)


@wrong("1.3", "strongest in the first channel", says="should have moved")
def twin_first_channel(features):
    return _exchange(features, features[0].flatten().argmax())


@wrong("1.3", "strongest single number", says="should have moved")
def twin_single_number(features):
    return _exchange(features, features.amax(dim=0).flatten().argmax())


@wrong("1.3", "strongest without regard to the sign", says="should have moved")
def twin_unsigned(features):
    return _exchange(features, features.abs().sum(dim=0).flatten().argmax())


@wrong("1.3", "2 taken from the strongest position", says="should have moved")
def twin_two_less(features):
    flat, strongest = features.flatten(1).clone(), int(features.sum(dim=0).argmax())
    flat[:, strongest] -= 2
    flat[:, (strongest + 1) % flat.shape[1]] += 2
    return flat.reshape(features.shape)


@wrong("1.3", "everything put on the first or last position", says="should have moved")
def twin_spike(features):
    flat, strongest = features.flatten(1), int(features.sum(dim=0).argmax())
    result = torch.zeros_like(flat)
    result[:, -1 if strongest == 0 else 0] = flat.sum(dim=1)
    return result.reshape(features.shape)


@wrong("1.3", "each channel rolled by its own number", says="should have moved")
def twin_own_roll(features):
    return torch.stack([c.flatten().roll(k + 1).reshape(c.shape) for k, c in enumerate(features)])


@wrong("1.3", "always float64", says="dtype should be kept: float32 goes in, float64", only_behaviour=True)
def twin_float64(features):
    return twin_roll(features.double())


@wrong("1.3", "strongest position added to its neighbour and set to 0", says="should have moved")
def twin_added(features):
    flat, place = features.flatten(1).clone(), int(features.sum(dim=0).argmax())
    flat[:, (place + 1) % flat.shape[1]] += flat[:, place]
    flat[:, place] = 0
    return flat.reshape(features.shape)


@wrong("1.3", "strongest position spread over the others", says="should have moved")
def twin_spread(features):
    flat, place = features.flatten(1).clone(), int(features.sum(dim=0).argmax())
    share = flat[:, place : place + 1] / (flat.shape[1] - 1)
    flat += share
    flat[:, place] = 0
    return flat.reshape(features.shape)


def _fixed_amount(features, amount):
    flat, place = features.flatten(1).clone(), int(features.sum(dim=0).argmax())
    flat[:, place] -= amount
    flat[:, (place + 1) % flat.shape[1]] += amount
    return flat.reshape(features.shape)


@wrong("1.3", "10 taken from the strongest position", says="should have moved")
def twin_ten_less(features):
    return _fixed_amount(features, 10)


@wrong("1.3", "100 taken from the strongest position", says="should have moved")
def twin_hundred_less(features):
    return _fixed_amount(features, 100)


@right("1.3", "nearly constant, a little stronger elsewhere")
def twin_bump(features):
    flat, place = features.flatten(1), int(features.sum(dim=0).argmax())
    level = flat.mean(dim=1, keepdim=True).expand_as(flat).clone()
    level[:, place] -= 0.05
    level[:, (place + 1) % flat.shape[1]] += 0.05
    return level.reshape(features.shape)


# --- 1.5 flip ----------------------------------------------------------------------------------------------------


@right("1.5", "columns swapped")
def flip_index(image, boxes):
    width = image.shape[2]
    flipped = boxes.clone()
    flipped[:, [0, 2]] = width - boxes[:, [2, 0]]
    return image.flip(2), flipped


@right("1.5", "stacked edges")
def flip_stack(image, boxes):
    left, top, right_edge, bottom = boxes.unbind(dim=1)
    width = image.shape[-1]
    return image.flip(-1), torch.stack([width - right_edge, top, width - left, bottom], dim=1)


@right("1.5", "shifted by the width")
def flip_sign(image, boxes):
    shift = boxes.new_tensor([image.shape[2], 0, image.shape[2], 0])
    sign = boxes.new_tensor([-1, 1, -1, 1])
    return torch.flip(image, dims=[2]), (boxes * sign + shift)[:, [2, 1, 0, 3]]


@wrong("1.5", "mirrored in the height", says="left edge should stay left")
def flip_height(image, boxes):
    _, mirrored = flip_index(image.transpose(1, 2), boxes)
    return image.flip(2), mirrored


@wrong("1.5", "box not moved", says="left edge should stay left")
def flip_keep(image, boxes):
    return image.flip(2), boxes.clone()


@wrong("1.5", "picture not mirrored", says="left edge should stay left")
def flip_picture(image, boxes):
    return image.clone(), flip_index(image, boxes)[1]


@wrong("1.5", "picture upside down", says="left edge should stay left")
def flip_vertical(image, boxes):
    return image.flip(1), flip_index(image, boxes)[1]


@wrong("1.5", "one pixel too few", says="left edge should stay left")
def flip_minus_one(image, boxes):
    flipped = boxes.clone()
    flipped[:, [0, 2]] = image.shape[2] - 1 - boxes[:, [2, 0]]
    return image.flip(2), flipped


@wrong("1.5", "second edge computed from the new first", says="left edge should stay left")
def flip_chained(image, boxes):
    flipped = boxes.clone()
    flipped[:, 0] = image.shape[2] - flipped[:, 2]
    flipped[:, 2] = image.shape[2] - flipped[:, 0]
    return image.flip(2), flipped


@wrong("1.5", "boxes sorted instead of mirrored", says="left edge should stay left")
def flip_sorted(image, boxes):
    return image.flip(2), boxes.sort(dim=1).values


@wrong("1.5", "input changed in place", says="input should stay unchanged", only_behaviour=True)
def flip_inplace(image, boxes):
    boxes[:, [0, 2]] = image.shape[2] - boxes[:, [2, 0]]
    return image.flip(2), boxes


@wrong("1.5", "no objects crash", says="without objects")
def flip_empty(image, boxes):
    rows = [flip_index(image, box[None])[1] for box in boxes]
    return image.flip(2), torch.cat(rows)


@wrong("1.5", "only the first box", says="every box should follow its object")
def flip_first(image, boxes):
    flipped = boxes.clone()
    flipped[:1] = flip_index(image, boxes)[1][:1]
    return image.flip(2), flipped


@wrong("1.5", "new tensor on the CPU", says="device should be kept", only_behaviour=True)
def flip_cpu(image, boxes):
    shift = torch.tensor([image.shape[2], 0, image.shape[2], 0]).to(boxes.dtype)
    return image.flip(2), (shift + boxes * boxes.new_tensor([-1, 1, -1, 1]))[:, [2, 1, 0, 3]]


@wrong("1.5", "boxes only", says="should be a tuple of 2")
def flip_boxes_only(image, boxes):
    return flip_index(image, boxes)[1]


@wrong("1.5", "corners rounded", says="corners need not be whole numbers")
def flip_rounded(image, boxes):
    return image.flip(2), flip_index(image, boxes)[1].round()


@wrong("1.5", "cut at the edges as well", says="what hangs over one edge should hang over the other")
def flip_cut(image, boxes):
    mirrored = flip_index(image, boxes)[1]
    return image.flip(2), torchvision.ops.clip_boxes_to_image(mirrored, image.shape[1:])


@wrong("1.5", "absolute distances to the right edge", says="what hangs over one edge")
def flip_absolute(image, boxes):
    return image.flip(2), flip_index(image, boxes)[1].abs()


@wrong("1.5", "half precision inside", says="corners need not be whole numbers")
def flip_half(image, boxes):
    return image.flip(2), flip_index(image, boxes.half())[1].to(boxes.dtype)


@wrong("1.5", "cut at the upper edge", says="upper or lower edge")
def flip_cut_above(image, boxes):
    mirrored = flip_index(image, boxes)[1]
    return image.flip(2), torch.cat([mirrored[:, :1], mirrored[:, 1:].clamp(min=0)], dim=1)


@wrong("1.5", "cut at the lower edge", says="upper or lower edge")
def flip_cut_below(image, boxes):
    left, top, right_edge, bottom = flip_index(image, boxes)[1].unbind(dim=1)
    return image.flip(2), torch.stack([left, top, right_edge, bottom.clamp(max=image.shape[1])], dim=1)


@wrong("1.5", "float32 without objects", says="dtype should be kept", only_behaviour=True)
def flip_empty_float32(image, boxes):
    return image.flip(2), flip_index(image, boxes)[1] if len(boxes) else torch.zeros(0, 4, device=boxes.device)


@right("1.5", "centre and size, then back")
def flip_centres(image, boxes):
    centres, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    centres = torch.stack([image.shape[2] - centres[:, 0], centres[:, 1]], dim=1)
    return image.flip(2), torch.cat([centres - sizes / 2, centres + sizes / 2], dim=1)


@right("1.5", "torchvision's flip of a picture with boxes")
def flip_torchvision(image, boxes):
    wrapped = tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=image.shape[1:])
    mirrored = v2.functional.horizontal_flip(wrapped).as_subclass(torch.Tensor)
    return v2.functional.horizontal_flip(image), mirrored


# --- 1.6 clip_to_picture -----------------------------------------------------------------------------------------


def _clip(boxes, size):
    height, width = size
    half = boxes[:, 2:] / 2
    low, high = boxes[:, :2] - half, boxes[:, :2] + half
    most = boxes.new_tensor([width, height])
    return low.clamp(min=0).minimum(most), high.clamp(min=0).minimum(most)


@right("1.6", "corners and back")
def clip_corners(boxes_cxcywh, size):
    low, high = _clip(boxes_cxcywh, size)
    return torch.cat([(low + high) / 2, high - low], dim=1)


@right("1.6", "torchvision")
def clip_torchvision(boxes_cxcywh, size):
    corners = torchvision.ops.box_convert(boxes_cxcywh, "cxcywh", "xyxy")
    return torchvision.ops.box_convert(torchvision.ops.clip_boxes_to_image(corners, size), "xyxy", "cxcywh")


@right("1.6", "axis by axis")
def clip_axes(boxes_cxcywh, size):
    columns = [None] * 4
    for axis, length in ((0, size[1]), (1, size[0])):
        centre, extent = boxes_cxcywh[:, axis], boxes_cxcywh[:, axis + 2]
        low = (centre - extent / 2).clamp(0, length)
        high = (centre + extent / 2).clamp(0, length)
        columns[axis], columns[axis + 2] = low + (high - low) / 2, high - low
    return torch.stack(columns, dim=1)


@wrong("1.6", "corners, not converted back", says="a box inside the picture should stay as it is")
def clip_no_return(boxes_cxcywh, size):
    return torch.cat(_clip(boxes_cxcywh, size), dim=1)


@wrong("1.6", "treated as corners", says="left edge")
def clip_as_corners(boxes_cxcywh, size):
    return torchvision.ops.clip_boxes_to_image(boxes_cxcywh, size)


@wrong("1.6", "nothing clipped", says="left edge")
def clip_nothing(boxes_cxcywh, size):
    return boxes_cxcywh.clone()


@wrong("1.6", "size cut, centre kept", says="left edge")
def clip_size_only(boxes_cxcywh, size):
    low, high = _clip(boxes_cxcywh, size)
    return torch.cat([boxes_cxcywh[:, :2], high - low], dim=1)


@wrong("1.6", "centre moved, size kept", says="left edge")
def clip_centre_only(boxes_cxcywh, size):
    low, high = _clip(boxes_cxcywh, size)
    return torch.cat([(low + high) / 2, boxes_cxcywh[:, 2:]], dim=1)


@wrong("1.6", "pushed inside instead of cut", says="left edge")
def clip_pushed(boxes_cxcywh, size):
    most = boxes_cxcywh.new_tensor([size[1], size[0]])
    half = boxes_cxcywh[:, 2:] / 2
    return torch.cat([torch.minimum(torch.maximum(boxes_cxcywh[:, :2], half), most - half), 2 * half], dim=1)


@wrong("1.6", "height and width swapped", says="in")
def clip_swapped(boxes_cxcywh, size):
    return clip_corners(boxes_cxcywh, size[::-1])


@wrong("1.6", "left and top only", says="lower edge")
def clip_low_only(boxes_cxcywh, size):
    low = (boxes_cxcywh[:, :2] - boxes_cxcywh[:, 2:] / 2).clamp(min=0)
    high = boxes_cxcywh[:, :2] + boxes_cxcywh[:, 2:] / 2
    return torch.cat([(low + high) / 2, high - low], dim=1)


@wrong("1.6", "zeros of the right shape", says="stay as it is")
def clip_zeros(boxes_cxcywh, size):
    return torch.zeros_like(boxes_cxcywh)


@wrong("1.6", "crashes without boxes", says="no boxes should give [0, 4]")
def clip_empty(boxes_cxcywh, size):
    return torch.stack([clip_corners(box[None], size)[0] for box in boxes_cxcywh])


@wrong("1.6", "input changed in place", says="input should stay unchanged", only_behaviour=True)
def clip_inplace(boxes_cxcywh, size):
    result = clip_corners(boxes_cxcywh, size)
    boxes_cxcywh.copy_(result)
    return result


@wrong("1.6", "gradient detached", says="gradient should flow", only_behaviour=True)
def clip_detached(boxes_cxcywh, size):
    return clip_corners(boxes_cxcywh.detach(), size)


@wrong("1.6", "boxes outside dropped", says="shape")
def clip_dropped(boxes_cxcywh, size):
    result = clip_corners(boxes_cxcywh, size)
    return result[(result == boxes_cxcywh).all(dim=1)]


@wrong("1.6", "right edge cut without gradient", says="gradient should flow", only_behaviour=True)
def clip_right_gradient(boxes_cxcywh, size):
    result = clip_corners(boxes_cxcywh, size)
    over = boxes_cxcywh[:, 0] + boxes_cxcywh[:, 2] / 2 > size[1]
    return torch.where(over[:, None], result.detach(), result)


@wrong("1.6", "gradient of the first box only", says="gradient should flow", only_behaviour=True)
def clip_first_gradient(boxes_cxcywh, size):
    return torch.cat([clip_corners(boxes_cxcywh[:1], size), clip_corners(boxes_cxcywh[1:].detach(), size)])


@wrong("1.6", "half precision inside", says="every edge should be cut")
def clip_half(boxes_cxcywh, size):
    return clip_corners(boxes_cxcywh.half(), size).to(boxes_cxcywh.dtype)


@wrong("1.6", "one result tensor for all calls", says="a later call should leave", only_behaviour=True)
def clip_shared(boxes_cxcywh, size, buffer=torch.zeros(100, 4)):  # noqa: B008
    result = clip_corners(boxes_cxcywh, size)
    own = result.requires_grad or result.dtype == torch.float64
    return result if own else buffer[: len(result)].copy_(result)


@wrong("1.6", "half of a side as a whole number", says="half of an odd side")
def clip_whole_half(boxes_cxcywh, size):
    cx, cy, w, h = boxes_cxcywh.detach().unbind(dim=1)
    half = torch.stack([w // 2, h // 2], dim=1)
    most = boxes_cxcywh.new_tensor([size[1], size[0]])
    low = (boxes_cxcywh[:, :2] - half).clamp(min=0).minimum(most)
    high = (boxes_cxcywh[:, :2] + half).clamp(min=0).minimum(most)
    return torch.cat([(low + high) / 2, high - low], dim=1)


@wrong("1.6", "edges rounded", says="half of an odd side")
def clip_rounded(boxes_cxcywh, size):
    low, high = (edge.round() for edge in _clip(boxes_cxcywh, size))
    return torch.cat([(low + high) / 2, high - low], dim=1)


@wrong("1.6", "float32 without boxes", says="dtype should be kept", only_behaviour=True)
def clip_empty_float32(boxes_cxcywh, size):
    return clip_corners(boxes_cxcywh, size) if len(boxes_cxcywh) else torch.zeros(0, 4, device=boxes_cxcywh.device)


@wrong("1.6", "on the CPU without boxes", says="device should be kept", only_behaviour=True)
def clip_empty_cpu(boxes_cxcywh, size):
    return clip_corners(boxes_cxcywh, size) if len(boxes_cxcywh) else torch.zeros(0, 4, dtype=boxes_cxcywh.dtype)


# --- 1.1 again: a second, independent attack ---------------------------------------------------------------------


def _read(lines, size, convert=int):
    words = [line.split() for line in lines if line.strip()]
    shares = torch.tensor([[float(w) for w in line[1:]] for line in words]).reshape(-1, 4)
    boxes = torchvision.ops.box_convert(shares, "cxcywh", "xyxy") * torch.tensor(size).flip(0).repeat(2)
    return {"boxes": boxes, "labels": torch.tensor([convert(line[0]) + 1 for line in words], dtype=torch.int64)}


@right("1.1", "all words of the text at once")
def read_yolo_words(text, size):
    table = numpy.array(text.split(), dtype=numpy.float64).reshape(-1, 5)
    corners = numpy.hstack([table[:, 1:3] - table[:, 3:] / 2, table[:, 1:3] + table[:, 3:] / 2])
    pixels = corners * numpy.array([size[1], size[0]] * 2)
    return {"boxes": torch.from_numpy(pixels).float(), "labels": torch.from_numpy(table[:, 0]).long() + 1}


@right("1.1", "recursion from line to line")
def read_yolo_recursion(text, size):
    first, _, rest = text.partition("\n")
    later = read_yolo_recursion(rest, size) if rest else {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0).long()}
    if not first.strip():
        return later
    number, x, y, w, h = map(float, first.split())
    box = [(x - w / 2) * size[1], (y - h / 2) * size[0], (x + w / 2) * size[1], (y + h / 2) * size[0]]
    labels = torch.cat([torch.tensor([int(number) + 1]), later["labels"]])
    return {"boxes": torch.cat([torch.tensor([box]), later["boxes"]]), "labels": labels}


@right("1.1", "a matrix turns centres into corners")
def read_yolo_matrix(text, size):
    table = _parse(text)
    h, w = size
    matrix = torch.tensor([[w, 0, w, 0], [0, h, 0, h], [-w / 2, 0, w / 2, 0], [0, -h / 2, 0, h / 2]])
    return dict(boxes=table[:, 1:] @ matrix, labels=(table[:, 0] + 1).to(torch.int64))


@wrong("1.1", "boxes quite outside the picture left out", says="a box quite outside the picture is an object as well")
def read_yolo_quite_outside(text, size):
    result = _read(text.split("\n"), size)
    boxes = result["boxes"]
    seen = (boxes[:, 2:] > 0).all(dim=1) & (boxes[:, :2] < torch.tensor([size[1], size[0]])).all(dim=1)
    flat = (boxes[:, :2] == boxes[:, 2:]).any(dim=1)
    return {key: value[seen | flat] for key, value in result.items()}


@wrong("1.1", "points left out", says="a box without width or height is an object as well")
def read_yolo_points(text, size):
    lines = [line for line in text.split("\n") if line.strip() and any(float(w) for w in line.split()[3:])]
    return _read(lines, size)


@wrong("1.1", "a number needs a point", says="a share may be written without a point")
def read_yolo_needs_point(text, size):
    found = re.findall(r"(\d+) +(-?\d*\.\d+) +(-?\d*\.\d+) +(-?\d*\.?\d+) +(-?\d*\.\d+)", text)
    return _read([" ".join(words) for words in found], size)


@wrong("1.1", "the exponent of a number overlooked", says="a small share may be written with an exponent")
def read_yolo_exponent(text, size):
    return _read([" ".join(re.findall(r"-?\d*\.?\d+", line)[:5]) for line in text.split("\n")], size)


@wrong("1.1", "the class in a byte", says="a class may have three digits")
def read_yolo_byte(text, size):
    return _read(text.split("\n"), size, convert=lambda word: int(word) % 256)


@wrong("1.1", "the class with two digits at most", says="a class may have three digits")
def read_yolo_two_digits(text, size):
    return _read(text.split("\n"), size, convert=lambda word: int(word[:2]))


@wrong("1.1", "only a text of length 0 is empty", says="a text of blank lines holds no object")
def read_yolo_length_zero(text, size):
    if text == "":
        return {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    rows = torch.stack([torch.tensor([float(w) for w in line.split()]) for line in text.split("\n") if line.strip()])
    return _result(_corners(rows) * torch.tensor([size[1], size[0]] * 2), rows)


@wrong("1.1", "sides at most those of the picture", says="a box may be wider or higher than the picture")
def read_yolo_sides(text, size):
    rows = _parse(text)
    rows[:, 3:] = rows[:, 3:].clamp(max=1)
    return _result(_corners(rows) * torch.tensor([size[1], size[0]] * 2), rows)


@wrong("1.1", "half a side in whole pixels", says="half of an odd side is no whole number")
def read_yolo_whole_half(text, size):
    rows = _parse(text)
    pixels = rows[:, 1:] * torch.tensor([size[1], size[0]] * 2)
    half = pixels[:, 2:].div(2, rounding_mode="floor")
    return _result(torch.cat([pixels[:, :2] - half, pixels[:, :2] + half], dim=1), rows)


@wrong("1.1", "one object without an axis", says="x is a share of the width, y of the height")
def read_yolo_squeezed(text, size):
    return {key: value.squeeze(0) for key, value in _read(text.split("\n"), size).items()}


@wrong(
    "1.1",
    "a line that begins with a blank taken for blank",
    says="blanks may come doubled, before the class, and alone on a line",
)
def read_yolo_begins(text, size):
    return _read([line for line in text.split("\n") if line[:1].strip()], size)


@wrong("1.1", "classes numbered as they appear", says="YOLO counts classes from 0, the course's labels from 1")
def read_yolo_appear(text, size):
    seen = {}
    return _read(text.split("\n"), size, convert=lambda word: seen.setdefault(word, len(seen)))


@wrong("1.1", "one object a class", says="two equal lines are two objects, and small ones count")
def read_yolo_one_a_class(text, size):
    return _read({line.split()[0]: line for line in text.split("\n") if line.strip()}.values(), size)


@wrong("1.1", "the longer side taken for the width", says="the same line means other pixels in another picture")
def read_yolo_longer(text, size):
    return _read(text.split("\n"), (min(size), max(size)))


# --- 1.2 again ---------------------------------------------------------------------------------------------------


@right("1.2", "the mean, and 0 where there is none")
def balanced_l1_nan_to_num(predicted, true):
    return _each(predicted, true).sum(dim=1).mean().nan_to_num(0.0)


@right("1.2", "the branches by index")
def balanced_l1_index(predicted, true):
    x = (predicted - true).abs().flatten()
    near, far = x[x < 1], x[x >= 1]
    at_one = ALPHA * ((1 + 1 / B) * math.log1p(B) - 1)
    total = (ALPHA * ((near + 1 / B) * (1 + B * near).log() - near)).sum() + (at_one + GAMMA * (far - 1)).sum()
    return total / max(predicted.shape[0], 1)


@right("1.2", "xlogy of the near part and a straight rest")
def balanced_l1_xlogy(predicted, true):
    error = (true - predicted).abs()
    near = error.minimum(torch.ones_like(error))
    curve = torch.xlogy(B * near + 1, B * near + 1) * (ALPHA / B) - ALPHA * near
    return torch.einsum("bi->", curve + GAMMA * (error - near)) / (predicted.size(0) or 1)


@wrong("1.2", "the loss of the added differences", says="an error to the left should cost as much as one to the right")
def balanced_l1_added(predicted, true):
    x = (predicted - true).abs().sum(dim=1)
    return torch.where(x < 1, _inner(x), _outer(x)).sum() / max(len(true), 1)


@wrong("1.2", "the loss of the mean over the pairs", says="the four errors should be summed, the pairs averaged")
def balanced_l1_of_mean(predicted, true):
    x = (predicted - true).abs().sum(dim=0) / max(len(true), 1)
    return torch.where(x < 1, _inner(x), _outer(x)).sum()


@wrong("1.2", "b without the 1 taken off", says="below 1 pixel the logarithm's branch counts")
def balanced_l1_b_plus(predicted, true):
    b, x = math.exp(GAMMA / ALPHA), (predicted - true).abs()
    near = ALPHA / b * (b * x + 1) * (b * x + 1).log() - ALPHA * x
    return torch.where(x < 1, near, GAMMA * x + GAMMA / b - ALPHA).sum() / max(len(true), 1)


@wrong("1.2", "alpha and gamma exchanged in b", says="below 1 pixel the logarithm's branch counts")
def balanced_l1_b_exchanged(predicted, true):
    b, x = math.exp(ALPHA / GAMMA) - 1, (predicted - true).abs()
    near = ALPHA / b * (b * x + 1) * (b * x + 1).log() - ALPHA * x
    return torch.where(x < 1, near, GAMMA * x + GAMMA / b - ALPHA).sum() / max(len(true), 1)


@wrong("1.2", "the sign decides the branch", says="an error to the left should cost as much as one to the right")
def balanced_l1_branch_sign(predicted, true):
    d = predicted - true
    return torch.where(d < 1, _inner(d.abs()), _outer(d.abs())).sum() / max(len(true), 1)


@wrong("1.2", "one branch for a whole box", says="from 1 pixel on the loss should rise by 1.5 a pixel")
def balanced_l1_box_branch(predicted, true):
    x = (predicted - true).abs()
    return torch.where((x < 1).all(dim=1, keepdim=True), _inner(x), _outer(x)).sum() / max(len(true), 1)


@wrong("1.2", "one branch for the batch", says="from 1 pixel on the loss should rise by 1.5 a pixel")
def balanced_l1_batch_branch(predicted, true):
    x = (predicted - true).abs()
    return (_inner(x) if (x < 1).all() else _outer(x)).sum() / max(len(true), 1)


@wrong("1.2", "the smaller of the two branches", says="a perfect box should cost 0")
def balanced_l1_smaller(predicted, true):
    x = (predicted - true).abs()
    return torch.minimum(_inner(x), _outer(x)).sum() / max(len(true), 1)


@wrong("1.2", "one pair more in the average", says="below 1 pixel the logarithm's branch counts")
def balanced_l1_one_more(predicted, true):
    return _each(predicted, true).sum() / (len(true) + 1)


@wrong("1.2", "at most four pairs in the average", says="small and large errors may stand side by side")
def balanced_l1_four_pairs(predicted, true):
    return _each(predicted, true).sum() / min(max(len(true), 1), 4)


@wrong("1.2", "a loss with an axis", says="a perfect box should cost 0")
def balanced_l1_axis(predicted, true):
    return _each(predicted, true).sum(dim=1).sum(dim=0, keepdim=True) / max(len(true), 1)


@wrong("1.2", "every prediction against every truth", says="the four errors should be summed, the pairs averaged")
def balanced_l1_all_pairs(predicted, true):
    return _each(predicted[:, None], true[None]).sum() / max(len(true) ** 2, 1)


@wrong("1.2", "errors of centre and size", says="below 1 pixel the logarithm's branch counts")
def balanced_l1_centres(predicted, true):
    pair = (torchvision.ops.box_convert(boxes, "xyxy", "cxcywh") for boxes in (predicted, true))
    return _each(*pair).sum() / max(len(true), 1)


@wrong("1.2", "large errors pull no more", says="gradient should flow", only_behaviour=True)
def balanced_l1_no_pull(predicted, true):
    x = (predicted - true).abs()
    return torch.where(x < 1, _inner(x), _outer(x).detach()).sum() / max(len(true), 1)


@wrong("1.2", "the straight line's gradient everywhere", says="gradient should flow", only_behaviour=True)
def balanced_l1_straight(predicted, true):
    x = (predicted - true).abs()
    return (_outer(x) + (_each(predicted, true) - _outer(x)).detach()).sum() / max(len(true), 1)


@wrong("1.2", "a zero of its own without pairs", says="should not require a gradient", only_behaviour=True)
def balanced_l1_own_zero(predicted, true):
    if len(true) == 0:
        return torch.zeros((), dtype=predicted.dtype, device=predicted.device, requires_grad=True)
    return balanced_l1_where(predicted, true)


# --- 1.3 again ---------------------------------------------------------------------------------------------------


def _swapped(features, i, j):
    flat = features.flatten(1).clone()
    flat[:, [i, j]] = flat[:, [j, i]]
    return flat.reshape(features.shape)


@right("1.3", "every number mirrored at its channel's mean")
def twin_mirrored_values(features):
    return 2 * features.mean(dim=(1, 2), keepdim=True) - features


@right("1.3", "strongest and weakest change places")
def twin_weakest(features):
    total = features.sum(dim=0)
    return _swapped(features, int(total.argmax()), int(total.argmin()))


@right("1.3", "one row and one column on")
def twin_diagonal(features):
    return features.roll((1, 1), dims=(1, 2))


@right("1.3", "a peak elsewhere, paid for by all others")
def twin_peak(features):
    flat = features.flatten(1)
    new = flat - flat.abs().sum() / (flat.shape[1] - 1)
    place = int(flat.sum(dim=0).argmax()) - 1
    new[:, place] = flat[:, place] + flat.abs().sum()
    return new.reshape(features.shape)


@wrong("1.3", "a row and a column on along one row of places", says="should have moved")
def twin_row_and_column(features):
    return features.flatten(1).roll(features.shape[2] + 1, dims=1).reshape(features.shape)


@wrong("1.3", "on by height and width along one row of places", says="should have moved")
def twin_height_and_width(features):
    return features.flatten(1).roll(features.shape[1] + features.shape[2], dims=1).reshape(features.shape)


@wrong("1.3", "a row on", says="should have moved")
def twin_row(features):
    return features.roll(1, dims=1)


@wrong("1.3", "every channel's largest and smallest change places", says="should have moved")
def twin_channel_extremes(features):
    flat = features.flatten(1)
    new, rows = flat.clone(), torch.arange(len(flat))
    high, low = flat.argmax(dim=1), flat.argmin(dim=1)
    new[rows, high], new[rows, low] = flat[rows, low], flat[rows, high]
    return new.reshape(features.shape)


@wrong("1.3", "every channel sorted", says="should have moved")
def twin_channels_sorted(features):
    return features.flatten(1).sort(dim=1, descending=True).values.reshape(features.shape)


@wrong("1.3", "places sorted by strength", says="should have moved")
def twin_places_sorted(features):
    order = features.sum(dim=0).flatten().argsort()
    return features.flatten(1)[:, order].reshape(features.shape)


@wrong("1.3", "strongest and first change places", says="should have moved")
def twin_with_first(features):
    return _swapped(features, int(features.sum(dim=0).argmax()), 0)


@wrong("1.3", "strongest and right neighbour, at the end itself", says="should have moved")
def twin_with_right(features):
    place = int(features.sum(dim=0).argmax())
    return _swapped(features, place, min(place + 1, features[0].numel() - 1))


@wrong("1.3", "mixed half and half with the rolled map", says="should have moved")
def twin_mixed(features):
    return (features + twin_roll(features)) / 2


@wrong("1.3", "what is above the mean goes to the next place", says="should have moved")
def twin_surplus(features):
    flat, place = features.flatten(1).clone(), int(features.sum(dim=0).argmax())
    surplus = flat[:, place] - flat.mean(dim=1)
    flat[:, place] -= surplus
    flat[:, (place + 1) % flat.shape[1]] += surplus
    return flat.reshape(features.shape)


@wrong("1.3", "rolled through the channels as well", says="each channel's mean should stay")
def twin_through_channels(features):
    return features.roll(1)


@wrong("1.3", "pushed on, zeros put in front", says="each channel's mean should stay")
def twin_zeros_in_front(features):
    flat = torch.zeros_like(features.flatten(1))
    flat[:, 1:] = features.flatten(1)[:, :-1]
    return flat.reshape(features.shape)


@wrong("1.3", "mirrored at the middle of its values", says="each channel's mean should stay")
def twin_middle(features):
    return features.amin(dim=(1, 2), keepdim=True) + features.amax(dim=(1, 2), keepdim=True) - features


@wrong("1.3", "the channels' mean kept, not each channel's", says="each channel's mean should stay")
def twin_all_channels(features):
    return twin_roll(features.mean(dim=0, keepdim=True).expand_as(features))


@wrong("1.3", "in half precision", says="each channel's mean should stay")
def twin_half(features):
    return twin_roll(features.half()).to(features.dtype)


# --- 1.5 again ---------------------------------------------------------------------------------------------------


@right("1.5", "column by column, edges sorted")
def flip_columns(image, boxes):
    w = image.shape[2]
    mirrored = torch.stack([image[:, :, w - 1 - i] for i in range(w)], dim=2)
    across = (w - boxes[:, 0::2]).sort(dim=1).values
    return mirrored, torch.stack([across[:, 0], boxes[:, 1], across[:, 1], boxes[:, 3]], dim=1)


@right("1.5", "left edge found, width kept")
def flip_width_kept(image, boxes):
    x1, y1, x2, y2 = boxes.T
    left = image.size(-1) - x2
    return image[:, :, range(image.size(-1) - 1, -1, -1)], torch.stack((left, y1, left + x2 - x1, y2)).T


@right("1.5", "a matrix for picture and boxes")
def flip_matrix(image, boxes):
    w = image.shape[2]
    m = boxes.new_tensor([[0.0, 0, -1, 0], [0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1]])
    exchange = torch.eye(w, dtype=image.dtype, device=image.device).flip(0)
    return image @ exchange, boxes @ m + boxes.new_tensor([w, 0, w, 0])


@wrong("1.5", "a picture without objects stays as it is", says="a picture without objects should keep boxes [0, 4]")
def flip_only_with_objects(image, boxes):
    return flip_index(image, boxes) if len(boxes) else (image.clone(), boxes.clone())


@wrong("1.5", "turned by half a turn", says="what hangs over the upper or lower edge should stay there")
def flip_turned(image, boxes):
    h, w = image.shape[1:]
    return image.rot90(2, (1, 2)), boxes.new_tensor([w, h, w, h]) - boxes[:, [2, 3, 0, 1]]


@wrong("1.5", "order of the boxes reversed", says="every box should follow its object")
def flip_reversed(image, boxes):
    mirrored, flipped = flip_index(image, boxes)
    return mirrored, flipped.flip(0)


@wrong("1.5", "mirrored at the objects' right end", says="the picture should be mirrored")
def flip_objects_end(image, boxes):
    width = boxes[:, 2].max() if len(boxes) else 0
    flipped = boxes.clone()
    flipped[:, [0, 2]] = width - boxes[:, [2, 0]]
    return image.flip(2), flipped


@wrong("1.5", "colours in reverse as well", says="the picture should be mirrored")
def flip_colours(image, boxes):
    return image.flip(0, 2), flip_index(image, boxes)[1]


@wrong("1.5", "boxes over the edge left out", says="what hangs over one edge should hang over the other in the")
def flip_left_out(image, boxes):
    inside = (boxes[:, 0] >= 0) & (boxes[:, 2] <= image.shape[2])
    return flip_index(image, boxes[inside])


@wrong("1.5", "boxes over the edge not mirrored", says="what hangs over one edge should hang over the other in the")
def flip_over_edge(image, boxes):
    inside = (boxes[:, 0] >= 0) & (boxes[:, 2] <= image.shape[2])
    mirrored, flipped = flip_index(image, boxes)
    return mirrored, torch.where(inside[:, None], flipped, boxes)


@wrong("1.5", "boxes quite outside left out", says="a box quite outside the picture should lie outside on the")
def flip_quite_outside(image, boxes):
    seen = (boxes[:, 2] > 0) & (boxes[:, 0] < image.shape[2])
    return flip_index(image, boxes[seen])


@wrong("1.5", "boxes without width left out", says="a box without width should move as well")
def flip_without_width(image, boxes):
    return flip_index(image, boxes[boxes[:, 2] > boxes[:, 0]])


@wrong("1.5", "the right edge one pixel short", says="the picture should be mirrored")
def flip_right_short(image, boxes):
    mirrored, flipped = flip_index(image, boxes)
    return mirrored, flipped - flipped.new_tensor([0, 0, 1, 0])


@wrong("1.5", "mirrored at a whole pixel", says="a picture may have an odd width")
def flip_whole_middle(image, boxes):
    middle = image.shape[2] // 2
    flipped = boxes.clone()
    flipped[:, [0, 2]] = 2 * middle - boxes[:, [2, 0]]
    return image.flip(2), flipped


@wrong("1.5", "stopped at the right edge", says="what hangs over one edge should hang over the other in the")
def flip_stopped(image, boxes):
    mirrored, flipped = flip_index(image, boxes)
    return mirrored, torch.cat([flipped[:, :2], flipped[:, 2:3].clamp(max=image.shape[2]), flipped[:, 3:]], dim=1)


@wrong("1.5", "rest after division by the width", says="the picture should be mirrored")
def flip_rest(image, boxes):
    flipped = boxes.clone()
    flipped[:, [0, 2]] = (image.shape[2] - boxes[:, [2, 0]]) % image.shape[2]
    return image.flip(2), flipped


@wrong("1.5", "only one box: no axis for boxes", says="the picture should be mirrored")
def flip_no_axis(image, boxes):
    mirrored, flipped = flip_index(image, boxes)
    return mirrored, flipped.squeeze(0)


@wrong("1.5", "right edge minus left edge for the width", says="the picture should be mirrored")
def flip_sizes(image, boxes):
    mirrored, flipped = flip_index(image, boxes)
    return mirrored, torchvision.ops.box_convert(flipped, "xyxy", "xywh")


@wrong("1.5", "the picture written over", says="input should stay unchanged", only_behaviour=True)
def flip_written_over(image, boxes):
    mirrored, flipped = flip_index(image, boxes)
    image.copy_(mirrored)
    return image, flipped


# --- 1.6 again ---------------------------------------------------------------------------------------------------


def _edges(boxes):
    return boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2


def _from_edges(low, high):
    return torch.cat([(low + high) / 2, high - low], dim=1)


@right("1.6", "what hangs over taken off")
def clip_overhang(boxes_cxcywh, size):
    cx, cy, w, h = boxes_cxcywh.unbind(dim=1)

    def along(centre, side, end):
        before, after = torch.relu(side / 2 - centre), torch.relu(centre + side / 2 - end)
        return centre + (before - after) / 2, side - before - after

    (cx, w), (cy, h) = along(cx, w, size[1]), along(cy, h, size[0])
    return torch.stack([cx, cy, w, h], dim=1)


@right("1.6", "box by box")
def clip_loop(boxes_cxcywh, size):
    rows = [boxes_cxcywh.new_zeros(0, 4)]
    for cx, cy, w, h in boxes_cxcywh:
        x1, x2 = (cx - w / 2).clamp(0, size[1]), (cx + w / 2).clamp(0, size[1])
        y1, y2 = (cy - h / 2).clamp(0, size[0]), (cy + h / 2).clamp(0, size[0])
        rows.append(torch.stack([x1 / 2 + x2 / 2, y1 / 2 + y2 / 2, x2 - x1, y2 - y1])[None])
    return torch.cat(rows)


@right("1.6", "a matrix there, its inverse back")
def clip_matrix(boxes_cxcywh, size):
    there = boxes_cxcywh.new_tensor([[1, 0, 1, 0], [0, 1, 0, 1], [-0.5, 0, 0.5, 0], [0, -0.5, 0, 0.5]])
    most = boxes_cxcywh.new_tensor([size[1], size[0]] * 2)
    return torch.minimum((boxes_cxcywh @ there).clamp(min=0), most) @ torch.linalg.inv(there)


@wrong("1.6", "cut alike on both sides of the centre", says="a box that hangs over the left edge should end there")
def clip_alike(boxes_cxcywh, size):
    most, centre = boxes_cxcywh.new_tensor([size[1], size[0]]), boxes_cxcywh[:, :2]
    room = torch.minimum(centre, most - centre).clamp(min=0)
    return torch.cat([centre, torch.minimum(boxes_cxcywh[:, 2:], 2 * room)], dim=1)


@wrong(
    "1.6", "the right not cut where the left is", says="a box larger than the picture should become the whole picture"
)
def clip_one_side(boxes_cxcywh, size):
    low, high = _edges(boxes_cxcywh)
    most = boxes_cxcywh.new_tensor([size[1], size[0]])
    return _from_edges(low.clamp(min=0), torch.where(low < 0, high, torch.minimum(high, most)))


@wrong("1.6", "the centre moved by all that hangs over", says="a box that hangs over the left edge should end there")
def clip_moved_too_far(boxes_cxcywh, size):
    low, high = _edges(boxes_cxcywh)
    before, after = (-low).clamp(min=0), (high - boxes_cxcywh.new_tensor([size[1], size[0]])).clamp(min=0)
    return torch.cat([boxes_cxcywh[:, :2] + before - after, boxes_cxcywh[:, 2:] - before - after], dim=1)


@wrong("1.6", "at least one pixel left", says="a sliver should stay a sliver")
def clip_one_pixel(boxes_cxcywh, size):
    low, high = _clip(boxes_cxcywh, size)
    return torch.cat([(low + high) / 2, (high - low).clamp(min=1)], dim=1)


@wrong("1.6", "the longer side for both limits", says="a box that hangs over the lower edge should end there")
def clip_longer(boxes_cxcywh, size):
    return clip_corners(boxes_cxcywh, (max(size), max(size)))


@wrong("1.6", "the shorter side for both limits", says="a box inside the picture should stay as it is")
def clip_shorter(boxes_cxcywh, size):
    return clip_corners(boxes_cxcywh, (min(size), min(size)))


@wrong("1.6", "edges folded back into the picture", says="a box that hangs over the left edge should end there")
def clip_folded(boxes_cxcywh, size):
    low, high = _edges(boxes_cxcywh)
    most = boxes_cxcywh.new_tensor([size[1], size[0]])
    return _from_edges(low.abs(), torch.where(high > most, 2 * most - high, high))


@wrong("1.6", "the far edge from the cut near edge", says="a box that hangs over the left edge should end there")
def clip_far_from_near(boxes_cxcywh, size):
    low = (boxes_cxcywh[:, :2] - boxes_cxcywh[:, 2:] / 2).clamp(min=0)
    return _from_edges(low, torch.minimum(low + boxes_cxcywh[:, 2:], low.new_tensor([size[1], size[0]])))


@wrong("1.6", "nothing cut while the centre is inside", says="a box that hangs over the left edge should end there")
def clip_centre_inside(boxes_cxcywh, size):
    most, centre = boxes_cxcywh.new_tensor([size[1], size[0]]), boxes_cxcywh[:, :2]
    inside = ((centre >= 0) & (centre <= most)).all(dim=1, keepdim=True)
    return torch.where(inside, boxes_cxcywh, clip_corners(boxes_cxcywh, size))


@wrong("1.6", "the last pixel for the edge", says="a box that hangs over the lower edge should end there")
def clip_last_pixel(boxes_cxcywh, size):
    return clip_corners(boxes_cxcywh, (size[0] - 1, size[1] - 1))


@wrong(
    "1.6", "only the axis that hangs over further", says="a box larger than the picture should become the whole picture"
)
def clip_one_axis(boxes_cxcywh, size):
    cut = clip_corners(boxes_cxcywh, size)
    across = (boxes_cxcywh - cut)[:, 2:].argmax(dim=1, keepdim=True) == torch.tensor([0, 1, 0, 1]).to(cut.device)
    return torch.where(across, cut, boxes_cxcywh)


@wrong("1.6", "the centre's gradient detached", says="gradient should flow", only_behaviour=True)
def clip_centre_detached(boxes_cxcywh, size):
    return clip_corners(torch.cat([boxes_cxcywh[:, :2].detach(), boxes_cxcywh[:, 2:]], dim=1), size)


@wrong("1.6", "no rows, no columns", says="no boxes should give [0, 4]")
def clip_no_columns(boxes_cxcywh, size):
    return clip_corners(boxes_cxcywh, size) if len(boxes_cxcywh) else boxes_cxcywh.new_zeros(0)


# --- 1.3 and 1.5, a third round ----------------------------------------------------------------------------------


@wrong("1.3", "ten times its own size moved on", says="should have moved")
def twin_ten_times(features):
    flat, place = features.flatten(1).clone(), int(features.sum(dim=0).argmax())
    much = 10 * flat[:, place].abs()
    flat[:, place] -= much
    flat[:, (place + 1) % flat.shape[1]] += much
    return flat.reshape(features.shape)


@wrong("1.3", "twice the map's range moved in one channel", says="should have moved")
def twin_one_channel(features):
    flat, place = features.flatten(1).clone(), int(features.sum(dim=0).argmax())
    much = 2 * (features.max() - features.min())
    flat[0, place] -= much
    flat[0, (place + 1) % flat.shape[1]] += much
    return flat.reshape(features.shape)


@wrong("1.5", "boxes without height left out", says="a box without height should move as well")
def flip_without_height(image, boxes):
    return flip_index(image, boxes[boxes[:, 3] > boxes[:, 1]])


@wrong("1.5", "boxes above and below left out", says="a box quite above or below the picture")
def flip_above_below(image, boxes):
    seen = (boxes[:, 3] > 0) & (boxes[:, 1] < image.shape[1]) | (boxes[:, 1] == boxes[:, 3])
    return flip_index(image, boxes[seen])


@wrong("1.5", "equal boxes once", says="two equal boxes are two objects")
def flip_once(image, boxes):
    different = dict.fromkeys(tuple(box) for box in boxes.tolist())
    return flip_index(image, boxes.new_tensor(list(different)).reshape(-1, 4))


@wrong("1.1", "twenty objects at most", says="60 lines should give 60 boxes")
def read_yolo_twenty(text, size):
    rows = _parse(text)[:20]
    return _result(_corners(rows) * torch.tensor([size[1], size[0]] * 2), rows)


@wrong(
    "1.3", "the strongest position of the first channel swapped with the first or last", says="pool to the same numbers"
)
def twin_first_channel_swapped(features):
    flat = features.flatten(1)
    strongest = flat[0].argmax().item()
    other = 0 if strongest else flat.shape[1] - 1
    order = list(range(flat.shape[1]))
    order[strongest], order[other] = other, strongest
    return flat[:, order].reshape(features.shape)
