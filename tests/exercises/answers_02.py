"""Wrong and right answers to lesson 2's exercises."""

import torch
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
