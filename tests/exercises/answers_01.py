"""Wrong and right answers to lesson 1's exercises."""

import math
import re

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
