"""Wrong and right answers to lesson 2's exercises."""

import math

import torch
import torchvision
from trials import right, wrong

# 2.1 dilated_field


@wrong("2.1", "the lesson's own, blind to dilation", says="a kernel of 3 with dilation 2 should span 5 pixels")
def blind(layers):
    size, jump, start = 1, 1, 0
    for kernel, stride, padding, _ in layers:
        size += (kernel - 1) * jump
        start -= padding * jump
        jump *= stride
    return size, jump, start


@wrong("2.1", "the kernel times the dilation", says="should span")
def times_kernel(layers):
    return blind([(dilation * kernel, stride, padding, 1) for kernel, stride, padding, dilation in layers])


@wrong("2.1", "padding dilated as well", says="dilation should widen the kernel, not the padding")
def dilated_padding(layers):
    spread = [(d * (k - 1) + 1, s, d * p, 1) for k, s, p, d in layers]
    return blind(spread)


@wrong("2.1", "the stride first", says="later layers only")
def stride_first(layers):
    size, jump, start = 1, 1, 0
    for kernel, stride, padding, dilation in layers:
        jump *= stride
        size += dilation * (kernel - 1) * jump
        start -= padding * jump
    return size, jump, start


@wrong("2.1", "strides forgotten", says="should")
def no_stride(layers):
    return 1 + sum(d * (k - 1) for k, _, _, d in layers), 1, -sum(p for _, _, p, _ in layers)


@wrong("2.1", "dilation taken for a stride", says="should")
def dilation_as_stride(layers):
    return blind([(k, s * d, p, 1) for k, s, p, d in layers])


@wrong("2.1", "start positive", says="should")
def positive_start(layers):
    size, jump, start = dilated(layers)
    return size, jump, -start


@wrong("2.1", "crashes without layers", says="no layers at all")
def needs_layers(layers):
    if layers[0]:
        return dilated(layers)


@wrong("2.1", "empties the list", says="layers", only_behaviour=True)
def empties(layers):
    result = dilated(layers)
    layers.clear()
    return result


def dilated(layers):
    size, jump, start = 1, 1, 0
    for kernel, stride, padding, dilation in layers:
        size, start, jump = size + dilation * (kernel - 1) * jump, start - padding * jump, jump * stride
    return size, jump, start


right("2.1", "one more factor")(dilated)


@right("2.1", "a dilated kernel is a longer kernel")
def longer_kernel(layers):
    return blind([(dilation * (kernel - 1) + 1, stride, padding, 1) for kernel, stride, padding, dilation in layers])


@right("2.1", "from the last layer to the first")
def backwards(layers):
    size, jump, start = 1, 1, 0
    for kernel, stride, padding, dilation in reversed(layers):
        size = (size - 1) * stride + dilation * (kernel - 1) + 1
        start, jump = start * stride - padding, jump * stride
    return size, jump, start


@wrong("2.1", "kernels up to 4 only", says="a large kernel should count in full")
def small_kernels(layers):
    return dilated([(min(kernel, 4), stride, padding, dilation) for kernel, stride, padding, dilation in layers])


# 2.2 sees_whole


def edges(field, rows, columns, device):
    size, stride, start = field
    left = start + torch.arange(columns, device=device)[None, None, :] * stride
    top = start + torch.arange(rows, device=device)[None, :, None] * stride
    return left, top, left + size, top + size


@right("2.2", "four comparisons")
def four_comparisons(boxes, field, rows, columns):
    left, top, right_edge, bottom = edges(field, rows, columns, boxes.device)
    x1, y1, x2, y2 = boxes[:, :, None, None].unbind(dim=1)
    return (left <= x1) & (top <= y1) & (x2 <= right_edge) & (y2 <= bottom)


@right("2.2", "one axis at a time")
def axis_by_axis(boxes, field, rows, columns):
    size, stride, start = field

    def along(low, high, count):
        first = start + stride * torch.arange(count, device=low.device)
        return (low[:, None] >= first) & (high[:, None] <= first + size)

    across, down = along(boxes[:, 0], boxes[:, 2], columns), along(boxes[:, 1], boxes[:, 3], rows)
    return down[:, :, None] & across[:, None, :]


@wrong("2.2", "x and y swapped", says="rows should follow y and columns x")
def swapped(boxes, field, rows, columns):
    return four_comparisons(boxes[:, [1, 0, 3, 2]], field, rows, columns)


@wrong("2.2", "transposed result", says="should")
def transposed(boxes, field, rows, columns):
    return four_comparisons(boxes, field, rows, columns).transpose(1, 2)


@wrong("2.2", "sees some of it", says="only a part")
def sees_some(boxes, field, rows, columns):
    left, top, right_edge, bottom = edges(field, rows, columns, boxes.device)
    x1, y1, x2, y2 = boxes[:, :, None, None].unbind(dim=1)
    return (left < x2) & (top < y2) & (x1 < right_edge) & (y1 < bottom)


@wrong("2.2", "the middle lies in the field", says="only a part")
def middle_only(boxes, field, rows, columns):
    left, top, right_edge, bottom = edges(field, rows, columns, boxes.device)
    x, y = ((boxes[:, :2] + boxes[:, 2:]) / 2)[:, :, None, None].unbind(dim=1)
    return (left <= x) & (top <= y) & (x <= right_edge) & (y <= bottom)


@wrong("2.2", "strictly inside", says="fits the field exactly")
def strictly(boxes, field, rows, columns):
    left, top, right_edge, bottom = edges(field, rows, columns, boxes.device)
    x1, y1, x2, y2 = boxes[:, :, None, None].unbind(dim=1)
    return (left < x1) & (top < y1) & (x2 < right_edge) & (y2 < bottom)


@wrong("2.2", "the cell instead of the field", says="should")
def cell_only(boxes, field, rows, columns):
    return four_comparisons(boxes, (field[1], field[1], 0), rows, columns)


@wrong("2.2", "start forgotten", says="of the box should say")
def no_start(boxes, field, rows, columns):
    return four_comparisons(boxes, (field[0], field[1], 0), rows, columns)


@wrong("2.2", "numbers instead of truth values", says="bool")
def as_numbers(boxes, field, rows, columns):
    return four_comparisons(boxes, field, rows, columns).float()


@wrong("2.2", "everybody sees everything", says="only a part")
def everybody(boxes, field, rows, columns):
    return torch.ones(len(boxes), rows, columns, dtype=torch.bool, device=boxes.device)


@wrong("2.2", "crashes without boxes", says="no boxes should give an empty")
def needs_boxes(boxes, field, rows, columns):
    return torch.stack([four_comparisons(box[None], field, rows, columns)[0] for box in boxes])


@wrong("2.2", "the stride of the lesson written in", says="any stride")
def stride_of_four(boxes, field, rows, columns):
    return four_comparisons(boxes, (field[0], 4, field[2]), rows, columns)


@wrong("2.2", "the longer side runs across", says="there may be more rows than columns")
def longer_across(boxes, field, rows, columns):
    return four_comparisons(boxes, field, min(rows, columns), max(rows, columns))


@wrong("2.2", "the start always left of the picture", says="any start")
def start_left(boxes, field, rows, columns):
    return four_comparisons(boxes, (field[0], field[1], -abs(field[2])), rows, columns)


# 2.3 inside_share


def clipped(field_box, height, width):
    limits = field_box.new_tensor([width, height, width, height])
    x1, y1, x2, y2 = torch.minimum(field_box.clamp(min=0), limits)
    return (x2 - x1) * (y2 - y1) / (field_box[2:] - field_box[:2]).prod()


right("2.3", "one limit for each edge")(clipped)


@right("2.3", "by axis")
def by_axis(field_box, height, width):
    x1, y1, x2, y2 = field_box
    across = x2.clamp(max=width) - x1.clamp(min=0)
    down = y2.clamp(max=height) - y1.clamp(min=0)
    return across * down / ((x2 - x1) * (y2 - y1))


@right("2.3", "a picture of ones, padded")
def by_mask(field_box, height, width):
    x1, y1, x2, y2 = (int(v) for v in field_box)
    ones = torch.ones(height, width)[max(y1, 0) : y2, max(x1, 0) : x2]
    return field_box.new_tensor(ones.sum() / ((x2 - x1) * (y2 - y1)))


@wrong("2.3", "cut at the width both times", says="in a")
def width_twice(field_box, height, width):
    return clipped(field_box, width, width)


@wrong("2.3", "cut at the height both times", says="in a wide picture")
def height_twice(field_box, height, width):
    return clipped(field_box, height, height)


@wrong("2.3", "height and width swapped", says="in a")
def limits_swapped(field_box, height, width):
    return clipped(field_box, width, height)


@wrong("2.3", "left and top not cut", says="hangs over the corner")
def left_open(field_box, height, width):
    x1, y1 = field_box[:2]
    x2, y2 = torch.minimum(field_box[2:], field_box.new_tensor([width, height]))
    return (x2 - x1) * (y2 - y1) / (field_box[2:] - field_box[:2]).prod()


@wrong("2.3", "share of the picture", says="should give 1")
def of_picture(field_box, height, width):
    return clipped(field_box, height, width) * (field_box[2:] - field_box[:2]).prod() / (height * width)


@wrong("2.3", "cut in place", says="unchanged", only_behaviour=True)
def in_place(field_box, height, width):
    result = clipped(field_box, height, width)
    field_box[:2].clamp_(min=0)
    return result


@wrong("2.3", "always the whole field", says="hangs over the corner")
def all_of_it(field_box, height, width):
    return field_box.new_ones(())


@wrong("2.3", "every field is taken for a square", says="a field may be wider than high")
def square_field(field_box, height, width):
    x1, y1, x2, y2 = field_box
    return clipped(field_box, height, width) * (y2 - y1) / (x2 - x1)


@wrong("2.1", "layers with kernel 1 skipped", says="a layer with kernel 1 still has its")
def skips_one(layers):
    return dilated([layer for layer in layers if layer[0] > 1])


@wrong("2.1", "padding of a layer with kernel 1 forgotten", says="a layer with kernel 1 still has its padding")
def unpadded_one(layers):
    return dilated([(k, s, p if k > 1 else 0, d) for k, s, p, d in layers])


@wrong("2.1", "the stride doubles or does nothing", says="multiplied")
def doubling(layers):
    return dilated([(k, 2 if s > 1 else 1, p, d) for k, s, p, d in layers])


@wrong("2.1", "the stride as a power of two", says="multiplied")
def shifting(layers):
    return dilated([(k, 1 << (s - 1), p, d) for k, s, p, d in layers])


@wrong("2.1", "strides added up", says="multiplied")
def adding(layers):
    size, jump, start = 1, 1, 0
    for kernel, stride, padding, dilation in layers:
        size, start, jump = size + dilation * (kernel - 1) * jump, start - padding * jump, jump + stride - 1
    return size, jump, start


@wrong("2.2", "corners made whole, towards 0", says="corners need not be whole numbers")
def cut_off(boxes, field, rows, columns):
    return four_comparisons(boxes.long(), field, rows, columns)


@wrong("2.2", "corners rounded", says="corners need not be whole numbers")
def rounded(boxes, field, rows, columns):
    return four_comparisons(boxes.round(), field, rows, columns)


@wrong("2.2", "corners made whole, place by place", says="corners need not be whole numbers")
def whole_numbers(boxes, field, rows, columns):
    whole = [[int(v) for v in box] for box in boxes]
    return four_comparisons(torch.tensor(whole, device=boxes.device).reshape(-1, 4), field, rows, columns)


@wrong("2.2", "what lies outside the picture is left out", says="what lies outside the picture is a part")
def inside_only(boxes, field, rows, columns):
    return four_comparisons(boxes.clamp(min=0), field, rows, columns)


@wrong("2.2", "fields stopped at the picture's edge", says="of the box should say")
def stopped_fields(boxes, field, rows, columns):
    return four_comparisons(boxes, (field[0], field[1], max(field[2], 0)), rows, columns)


@wrong("2.2", "on the CPU without boxes", says="device should be kept", only_behaviour=True)
def empty_cpu(boxes, field, rows, columns):
    if len(boxes) == 0:
        return torch.zeros(0, rows, columns, dtype=torch.bool)
    return four_comparisons(boxes, field, rows, columns)


@right("2.2", "box by box with vmap")
def with_vmap(boxes, field, rows, columns):
    if len(boxes) == 0:
        return four_comparisons(boxes, field, rows, columns)
    left, top, right_edge, bottom = (edge[0] for edge in edges(field, rows, columns, boxes.device))
    held = torch.vmap(lambda b: (left <= b[0]) & (top <= b[1]) & (b[2] <= right_edge) & (b[3] <= bottom))
    return held(boxes)


@right("2.2", "the device by its name")
def by_name(boxes, field, rows, columns):
    return four_comparisons(boxes, field, rows, columns) & torch.ones(rows, columns, device=str(boxes.device)).bool()


@right("2.2", "the device by its type")
def by_type(boxes, field, rows, columns):
    return torch.ones(rows, columns, device=boxes.device.type).bool() & four_comparisons(boxes, field, rows, columns)


@wrong("2.3", "no cut at the bottom where the field begins inside", says="each end is cut")
def bottom_open(field_box, height, width):
    x1, y1, x2, y2 = field_box
    across = x2.clamp(max=width) - x1.clamp(min=0)
    down = (y2 if y1 >= 0 else y2.clamp(max=height)) - y1.clamp(min=0)
    return across * down / ((x2 - x1) * (y2 - y1))


@wrong("2.3", "no cut at the right where the field begins inside", says="right end should be cut at the width")
def right_open(field_box, height, width):
    x1, y1, x2, y2 = field_box
    across = (x2 if x1 >= 0 else x2.clamp(max=width)) - x1.clamp(min=0)
    down = y2.clamp(max=height) - y1.clamp(min=0)
    return across * down / ((x2 - x1) * (y2 - y1))


@wrong("2.3", "no cut at the top where the field ends inside", says="hangs over the corner")
def top_open(field_box, height, width):
    x1, y1, x2, y2 = field_box
    across = x2.clamp(max=width) - x1.clamp(min=0)
    down = y2.clamp(max=height) - (y1.clamp(min=0) if y2 > height else y1)
    return across * down / ((x2 - x1) * (y2 - y1))


@wrong("2.3", "a plain number", says="should be a float32 tensor of shape [], yours is a float", only_behaviour=True)
def plain_number(field_box, height, width):
    return clipped(field_box, height, width).item()


# 2.1 again: a second, independent attack


def along(layers, reach, pad=lambda k, s, p, d: p, step=lambda k, s, p, d: s):
    size, jump, start = 1, 1, 0
    for layer in layers:
        size, start, jump = size + reach(*layer) * jump, start - pad(*layer) * jump, jump * step(*layer)
    return size, jump, start


def usual(k, s, p, d):
    return d * (k - 1)


@right("2.1", "recursion on the last layer")
def recursion(layers):
    if not layers:
        return 1, 1, 0
    size, jump, start = recursion(layers[:-1])
    kernel, stride, padding, dilation = layers[-1]
    return size + jump * dilation * (kernel - 1), stride * jump, start - jump * padding


@right("2.1", "first and last pixel of two places, walked back")
def walked_back(layers):
    ends = []
    for place in (0, 1):
        first = last = place
        for kernel, stride, padding, dilation in layers[::-1]:
            first, last = first * stride - padding, last * stride - padding + (kernel - 1) * dilation
        ends.append((first, last))
    (first, last), (second, _) = ends
    return last - first + 1, second - first, first


@right("2.1", "products of the strides before")
def products(layers):
    jumps = [math.prod(stride for _, stride, _, _ in layers[:i]) for i in range(len(layers) + 1)]
    size = 1 + sum(d * (k - 1) * jump for (k, _, _, d), jump in zip(layers, jumps, strict=False))
    return size, jumps[-1], -sum(p * jump for (_, _, p, _), jump in zip(layers, jumps, strict=False))


@wrong("2.1", "places times dilation, less one", says="a kernel of 3 with dilation 2 should span 5 pixels, from 0 on")
def times_less_one(layers):
    return along(layers, lambda k, s, p, d: k * d - 1)


@wrong("2.1", "the gaps counted once a kernel", says="a kernel of 3 with dilation 2 should span 5 pixels, from 0 on")
def gaps_once(layers):
    return along(layers, lambda k, s, p, d: k - 1 + d - 1)


@wrong(
    "2.1", "a gap after the last place as well", says="a kernel of 3 with dilation 2 should span 5 pixels, from 0 on"
)
def gap_after_last(layers):
    return along(layers, lambda k, s, p, d: k - 1 + k * (d - 1))


@wrong("2.1", "gaps in pixels of the picture", says="a layer's stride should lengthen the steps of later layers")
def gaps_in_pixels(layers):
    size, jump, start = blind(layers)
    return size + sum((k - 1) * (d - 1) for k, _, _, d in layers), jump, start


@wrong(
    "2.1",
    "an even kernel reaches as far as the next odd one",
    says="a kernel of 2 with dilation 3 should span 4 pixels",
)
def even_as_odd(layers):
    return along(layers, lambda k, s, p, d: 2 * (k // 2) * d)


@wrong(
    "2.1", "the start from a field in the middle", says="a kernel of 3 with dilation 2 should span 5 pixels, from 0 on"
)
def start_from_size(layers):
    size, jump, _ = dilated(layers)
    return size, jump, -((size - 1) // 2)


@wrong(
    "2.1",
    "the padding that keeps the size, whatever is given",
    says="a kernel of 3 with dilation 2 should span 5 pixels, from 0 on",
)
def same_padding(layers):
    return along(layers, usual, pad=lambda k, s, p, d: d * (k // 2))


@wrong("2.1", "the stride spread as well", says="a kernel of 3 with dilation 2 should span 5 pixels, from 0 on")
def spread_stride(layers):
    return along(layers, usual, step=lambda k, s, p, d: s * d)


@wrong("2.1", "the dilation of the layer before", says="a kernel of 3 with dilation 2 should span 5 pixels, from 0 on")
def dilation_before(layers):
    before = [1, *(d for *_, d in layers)]
    return dilated([(k, s, p, d) for (k, s, p, _), d in zip(layers, before, strict=False)])


@wrong("2.1", "the largest dilation in all layers", says="each layer has its own dilation")
def largest_dilation(layers):
    most = max((d for *_, d in layers), default=1)
    return dilated([(k, s, p, most) for k, s, p, _ in layers])


@wrong("2.1", "dilations multiplied from layer to layer", says="each layer has its own dilation")
def multiplied_dilations(layers):
    dilations = [math.prod(d for *_, d in layers[: i + 1]) for i in range(len(layers))]
    return dilated([(k, s, p, d) for (k, s, p, _), d in zip(layers, dilations, strict=True)])


@wrong("2.1", "the layers in reverse order", says="a layer's stride should lengthen the steps of later layers")
def last_first(layers):
    return dilated(layers[::-1])


@wrong("2.1", "the last layer's padding only", says="the paddings of several layers add up")
def last_padding(layers):
    size, jump, start = 1, 1, 0
    for kernel, stride, padding, dilation in layers:
        size, start, jump = size + dilation * (kernel - 1) * jump, -padding * jump, jump * stride
    return size, jump, start


@wrong("2.1", "the padding after the stride", says="a layer's stride should lengthen the steps of later layers")
def padding_after_stride(layers):
    return along(layers, usual, pad=lambda k, s, p, d: p * s)


@wrong(
    "2.1", "the paddings of a stack not stretched", says="a layer's stride should lengthen the steps of later layers"
)
def unstretched_padding(layers):
    size, jump, _ = dilated(layers)
    return size, jump, -sum(p for _, _, p, _ in layers)


@wrong("2.1", "the last layer's stride forgotten", says="the strides of several layers are multiplied")
def no_last_stride(layers):
    size, jump, start = dilated(layers)
    return size, jump // layers[-1][1] if layers else jump, start


@wrong("2.1", "dilation d for d gaps", says="a kernel of 3 with dilation 2 should span 5 pixels, from 0 on")
def gaps_for_dilation(layers):
    return dilated([(k, s, p, d + 1) for k, s, p, d in layers])


@wrong(
    "2.1",
    "numbers with a point",
    says="a kernel of 3 with dilation 2 should span 5 pixels, from 0 on",
    only_behaviour=True,
)
def with_a_point(layers):
    return tuple(float(v) for v in dilated(layers))


# 2.2 again


def held(boxes, x1, x2, y1, y2):
    across = (x1 <= boxes[:, 0, None]) & (boxes[:, 2, None] <= x2)
    down = (y1 <= boxes[:, 1, None]) & (boxes[:, 3, None] <= y2)
    return down[:, :, None] & across[:, None, :]


def begins(boxes, field, rows, columns):
    _, stride, start = field
    return [torch.arange(n, device=boxes.device) * stride + start for n in (columns, rows)]


@right("2.2", "plain numbers, place by place")
def plain_loops(boxes, field, rows, columns):
    size, stride, start = field
    out = torch.zeros(len(boxes), rows, columns, dtype=torch.bool, device=boxes.device)
    for n, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        for r in range(rows):
            for c in range(columns):
                left, top = start + c * stride, start + r * stride
                out[n, r, c] = min(x1 - left, y1 - top, left + size - x2, top + size - y2) >= 0
    return out


@right("2.2", "every place's field as a box")
def field_boxes(boxes, field, rows, columns):
    x, y = begins(boxes, field, rows, columns)
    low = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    b = boxes[:, None, None]
    return torch.cat([b[..., :2] >= low, b[..., 2:] <= low + field[0]], dim=-1).all(dim=-1)


@right("2.2", "the hull of box and field is no larger than the field")
def hull(boxes, field, rows, columns):
    left, top, right_edge, bottom = edges(field, rows, columns, boxes.device)
    x1, y1, x2, y2 = (edge.view(-1, 1, 1) for edge in boxes.unbind(dim=1))
    wide = torch.maximum(x2, right_edge) - torch.minimum(x1, left) > field[0]
    high = torch.maximum(y2, bottom) - torch.minimum(y1, top) > field[0]
    return ~(wide | high)


@wrong("2.2", "small enough and its middle inside", says="a place that sees only a part of the box should say False")
def small_enough(boxes, field, rows, columns):
    fits = (boxes[:, 2:] - boxes[:, :2] <= field[0]).all(dim=1)
    return middle_only(boxes, field, rows, columns) & fits[:, None, None]


@wrong("2.2", "half a pixel of tolerance", says="corners need not be whole numbers")
def tolerance(boxes, field, rows, columns):
    x, y = begins(boxes, field, rows, columns)
    return held(boxes, x - 0.5, x + field[0] + 0.5, y - 0.5, y + field[0] + 0.5)


@wrong("2.2", "fields one stride on", says="a single place whose field holds the box should say True")
def one_stride_on(boxes, field, rows, columns):
    return four_comparisons(boxes, (field[0], field[1], field[2] + field[1]), rows, columns)


@wrong("2.2", "fields about the middle of the cells", says="a field may have an odd size")
def about_cells(boxes, field, rows, columns):
    size, stride, _ = field
    x, y = ((torch.arange(n, device=boxes.device) + 0.5) * stride - size / 2 for n in (columns, rows))
    return held(boxes, x, x + size, y, y + size)


@wrong("2.2", "half the field as a whole number", says="a field may have an odd size")
def half_field(boxes, field, rows, columns):
    x, y = (v + field[0] // 2 for v in begins(boxes, field, rows, columns))
    half = field[0] // 2
    return held(boxes, x - half, x + half, y - half, y + half)


@wrong("2.2", "any corner inside", says="a place that sees only a part of the box should say False")
def any_corner(boxes, field, rows, columns):
    corners = [[i, j, i, j] for i in (0, 2) for j in (1, 3)]
    return torch.stack([four_comparisons(boxes[:, corner], field, rows, columns) for corner in corners]).any(dim=0)


@wrong("2.2", "the field in the box", says="a single place whose field holds the box should say True")
def field_in_box(boxes, field, rows, columns):
    left, top, right_edge, bottom = edges(field, rows, columns, boxes.device)
    x1, y1, x2, y2 = boxes[:, :, None, None].unbind(dim=1)
    return (x1 <= left) & (y1 <= top) & (right_edge <= x2) & (bottom <= y2)


@wrong("2.2", "the last pixel for the end", says="a box that fits the field exactly is seen whole")
def last_pixel(boxes, field, rows, columns):
    x, y = begins(boxes, field, rows, columns)
    return held(boxes, x, x + field[0] - 1, y, y + field[0] - 1)


@wrong("2.2", "columns before rows, folded into the shape", says="a box that fits the field exactly is seen whole")
def folded(boxes, field, rows, columns):
    return four_comparisons(boxes, field, rows, columns).transpose(1, 2).reshape(len(boxes), rows, columns)


@wrong("2.2", "only the first place that sees it", says="every box should meet every place")
def first_place(boxes, field, rows, columns):
    flat = four_comparisons(boxes, field, rows, columns).flatten(1)
    return (flat & (flat.cumsum(dim=1) == 1)).reshape(len(boxes), rows, columns)


@wrong("2.2", "the end not moved by the start", says="a place that sees only a part of the box should say False")
def end_unmoved(boxes, field, rows, columns):
    x, y = begins(boxes, field, rows, columns)
    return held(boxes, x, x + field[0] - field[2], y, y + field[0] - field[2])


@wrong("2.2", "fields end with the map's cells", says="a single place whose field holds the box should say True")
def end_with_map(boxes, field, rows, columns):
    x, y = begins(boxes, field, rows, columns)
    far_x, far_y = (x + field[0]).clamp(max=columns * field[1]), (y + field[0]).clamp(max=rows * field[1])
    return held(boxes, x, far_x, y, far_y)


@wrong("2.2", "the start in strides", says="a single place whose field holds the box should say True")
def start_in_strides(boxes, field, rows, columns):
    return four_comparisons(boxes, (field[0], field[1], field[1] * field[2]), rows, columns)


@wrong("2.2", "across only", says="a box that fits the field exactly is seen whole")
def across_only(boxes, field, rows, columns):
    x, y = begins(boxes, field, rows, columns)
    return held(boxes, x, x + field[0], y - 1e6, y + 1e6)


@wrong("2.2", "held across or down", says="a place that sees only a part of the box should say False")
def across_or_down(boxes, field, rows, columns):
    left, top, right_edge, bottom = edges(field, rows, columns, boxes.device)
    x1, y1, x2, y2 = boxes[:, :, None, None].unbind(dim=1)
    return (left <= x1) & (x2 <= right_edge) | (top <= y1) & (y2 <= bottom)


@wrong("2.2", "nine tenths of the box are enough", says="corners need not be whole numbers")
def nine_tenths(boxes, field, rows, columns):
    left, top, right_edge, bottom = edges(field, rows, columns, boxes.device)
    x1, y1, x2, y2 = boxes[:, :, None, None].unbind(dim=1)
    wide = (torch.minimum(x2, right_edge) - torch.maximum(x1, left)).clamp(min=0)
    high = (torch.minimum(y2, bottom) - torch.maximum(y1, top)).clamp(min=0)
    return wide * high >= 0.9 * (x2 - x1) * (y2 - y1)


@wrong("2.2", "the share of the box's area by division", says="a box without width or height is seen as well")
def divided_area(boxes, field, rows, columns):
    left, top, right_edge, bottom = edges(field, rows, columns, boxes.device)
    x1, y1, x2, y2 = boxes[:, :, None, None].unbind(dim=1)
    wide = (torch.minimum(x2, right_edge) - torch.maximum(x1, left)).clamp(min=0)
    high = (torch.minimum(y2, bottom) - torch.maximum(y1, top)).clamp(min=0)
    return wide * high / ((x2 - x1) * (y2 - y1)) > 0.999


@wrong("2.2", "no axis for one box", says="a single place whose field holds the box should say True")
def one_box_squeezed(boxes, field, rows, columns):
    return four_comparisons(boxes, field, rows, columns).squeeze(0)


# 2.3 again


def parts(field_box, height, width):
    x1, y1, x2, y2 = field_box
    across = (x2.clamp(max=width) - x1.clamp(min=0)) / (x2 - x1)
    down = (y2.clamp(max=height) - y1.clamp(min=0)) / (y2 - y1)
    return across, down


@right("2.3", "the shares across and down multiplied")
def multiplied_shares(field_box, height, width):
    across, down = parts(field_box, height, width)
    return across * down


@right("2.3", "what hangs over taken off")
def taken_off(field_box, height, width):
    x1, y1, x2, y2 = field_box.unbind()
    over_x = (-x1).clamp(min=0) + (x2 - width).clamp(min=0)
    over_y = (-y1).clamp(min=0) + (y2 - height).clamp(min=0)
    return (1 - over_x / (x2 - x1)) * (1 - over_y / (y2 - y1))


@right("2.3", "torchvision cuts the box")
def torchvision_cuts(field_box, height, width):
    cut = torchvision.ops.clip_boxes_to_image(field_box[None], (height, width))
    return (torchvision.ops.box_area(cut) / torchvision.ops.box_area(field_box[None]))[0]


@right("2.3", "the minimum with a box for the picture")
def picture_box(field_box, height, width):
    low = torch.maximum(field_box[:2], torch.zeros_like(field_box[:2]))
    high = torch.minimum(field_box[2:], field_box.new_tensor([width, height]))
    return torch.prod((high - low) / (field_box[2:] - field_box[:2]))


@wrong(
    "2.3",
    "the mean of the shares across and down",
    says="a field that hangs over the corner should lose what hangs over",
)
def mean_share(field_box, height, width):
    across, down = parts(field_box, height, width)
    return (across + down) / 2


@wrong(
    "2.3",
    "the smaller of the shares across and down",
    says="a field that hangs over the corner should lose what hangs over",
)
def smaller_share(field_box, height, width):
    return torch.minimum(*parts(field_box, height, width))


@wrong("2.3", "the share across only", says="a field that hangs over the corner should lose what hangs over")
def share_across(field_box, height, width):
    return parts(field_box, height, width)[0]


@wrong(
    "2.3", "the longer side of the picture for both", says="in a high picture the right end should be cut at the width"
)
def longer_side(field_box, height, width):
    return clipped(field_box, max(height, width), max(height, width))


@wrong(
    "2.3", "the shorter side of the picture for both", says="in a wide picture the right end of a field should count"
)
def shorter_side(field_box, height, width):
    return clipped(field_box, min(height, width), min(height, width))


@wrong("2.3", "the old answer, kept between 0 and 1", says="in a wide picture the right end of a field should count")
def kept_between(field_box, height, width):
    x1, y1 = field_box[:2].clamp(min=0)
    x2, y2 = field_box[2:].clamp(max=height)
    return ((x2 - x1) * (y2 - y1) / (field_box[2:] - field_box[:2]).prod()).clamp(0, 1)


@wrong("2.3", "the old answer, sides at least 0", says="in a wide picture the right end of a field should count")
def sides_not_negative(field_box, height, width):
    x1, y1 = field_box[:2].clamp(min=0)
    x2, y2 = field_box[2:].clamp(max=height)
    return (x2 - x1).clamp(min=0) * (y2 - y1).clamp(min=0) / (field_box[2:] - field_box[:2]).prod()


@wrong("2.3", "the last pixel for the edge", says="in a wide picture the right end of a field should count")
def last_pixel_edge(field_box, height, width):
    return clipped(field_box, height - 1, width - 1)


@wrong("2.3", "the share of the padding", says="a field inside the picture should give 1")
def padding_share(field_box, height, width):
    return 1 - clipped(field_box, height, width)


@wrong("2.3", "padding on one side of each axis", says="a field larger than the picture should give their ratio")
def one_side_padding(field_box, height, width):
    x1, y1, x2, y2 = field_box
    over_x = torch.maximum(x2 - width, -x1).clamp(min=0)
    over_y = torch.maximum(y2 - height, -y1).clamp(min=0)
    return (x2 - x1 - over_x) * (y2 - y1 - over_y) / ((x2 - x1) * (y2 - y1))


@wrong(
    "2.3",
    "corners of the padding taken off twice",
    says="a field that hangs over the corner should lose what hangs over",
)
def corners_twice(field_box, height, width):
    across, down = parts(field_box, height, width)
    return (across + down - 1).clamp(min=0)


@wrong("2.3", "the cut side to the square", says="in a high picture the right end should be cut at the width")
def squared(field_box, height, width):
    return parts(field_box, height, width)[1] ** 2


@wrong("2.3", "divided by the cut box", says="a field that hangs over the corner should lose what hangs over")
def by_cut_box(field_box, height, width):
    low, high = field_box[:2].clamp(min=0), torch.minimum(field_box[2:], field_box.new_tensor([width, height]))
    return (high - low).prod() / (field_box[2:] - low).prod()


@wrong("2.3", "a share with an axis", says="a field inside the picture should give 1")
def share_with_axis(field_box, height, width):
    return clipped(field_box, height, width)[None]


@wrong("2.3", "two digits", says="a field that hangs over the corner should lose what hangs over")
def two_digits(field_box, height, width):
    return clipped(field_box, height, width).mul(100).round() / 100


@wrong(
    "2.3", "over every edge it sees the whole picture", says="a field larger than the picture should give their ratio"
)
def whole_picture(field_box, height, width):
    limits = field_box.new_tensor([width, height])
    over = bool((field_box[:2] < 0).all() & (field_box[2:] > limits).all())
    return field_box.new_ones(()) if over else clipped(field_box, height, width)


# 2.2 and 2.3, a third round


@wrong("2.2", "half precision inside", says="coordinates may be large")
def half_precision(boxes, field, rows, columns):
    return four_comparisons(boxes.half().float(), field, rows, columns)


@wrong("2.3", "the size of her pictures written in", says="a picture may have any size")
def written_in(field_box, height, width):
    return clipped(field_box, min(height, 224), min(width, 224))


@wrong("2.2", "a hundredth of a pixel too kind", says="a box a little larger than the field is not seen whole")
def whole_with_tolerance(boxes, field, rows, columns):
    size, stride, start = field
    left = start + stride * torch.arange(columns, device=boxes.device)
    top = start + stride * torch.arange(rows, device=boxes.device)
    x1, y1, x2, y2 = (edge[:, None, None] for edge in boxes.unbind(1))
    across = (left <= x1 + 0.01) & (x2 <= left + size + 0.01)
    return across & (top[:, None] <= y1 + 0.01) & (y2 <= top[:, None] + size + 0.01)


@wrong("2.1", "four layers at most", says="any number of layers may follow one another")
def dilated_four(layers):
    size, stride, start = 1, 1, 0
    for kernel, step, padding, dilation in layers[:4]:
        size += (kernel - 1) * dilation * stride
        start -= padding * stride
        stride *= step
    return size, stride, start
