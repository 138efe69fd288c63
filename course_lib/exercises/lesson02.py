"""Checkers of lesson 2: dilated kernels, who sees an object whole, a share of a field, a stride that moves."""

from collections.abc import Iterator

import torch
from torch import Tensor

from course_lib.exercises.framework import Case, Draw, case, explain, fix, predict, write

INSIDE = '''
def inside_share(field_box, height, width):
    """Share of a field, a box [4], that lies inside a picture of height × width pixels; the rest is padding."""
    x1, y1 = field_box[:2].clamp(min=0)
    x2, y2 = field_box[2:].clamp(max=height)
    area = (field_box[2:] - field_box[:2]).prod()
    return (x2 - x1) * (y2 - y1) / area
'''

# sees_whole: property, boxes, field, rows and columns of the map
FIELDS = [
    ("a single place whose field holds the box should say True", [[2, 1, 6, 3]], (8, 4, -1), 1, 1),
    ("a place that sees only a part of the box should say False", [[2, 1, 6, 3]], (6, 4, -1), 1, 1),
    ("a box that fits the field exactly is seen whole", [[3, 3, 9, 9]], (6, 4, -1), 2, 3),
    ("a box larger than the field is seen whole by nobody", [[0, 0, 12, 3]], (9, 4, -3), 2, 4),
    ("a field may have an odd size", [[0, 0, 5, 5]], (5, 4, 0), 1, 1),
    ("rows should follow y and columns x", [[9, 1, 13, 3]], (7, 4, -2), 2, 4),
    ("no boxes should give an empty [0, rows, columns] result", [], (9, 4, -3), 2, 3),
    ("there may be more rows than columns, any stride and any start", [[3, 27, 11, 34]], (9, 6, 2), 5, 2),
    ("corners need not be whole numbers", [[1, 1, 5.5, 5]], (4, 4, 1), 1, 1),
    ("corners need not be whole numbers", [[1, 1, 5, 5.05]], (4, 4, 1), 1, 1),
    ("corners need not be whole numbers", [[0.6, 1, 3, 3]], (4, 4, 1), 1, 1),
    ("corners need not be whole numbers", [[1, 0.6, 3, 3]], (4, 4, 1), 1, 1),
    ("coordinates may be large", [[1000.9, 1005, 1010, 1010]], (30, 4, 1001), 1, 1),
    ("a box without width or height is seen as well", [[2, 2, 2, 3]], (4, 4, 1), 1, 1),
    ("a box without width or height is seen as well", [[2, 2, 3, 2]], (4, 4, 1), 1, 1),
    ("what lies outside the picture is a part of the box as well", [[-2, 0, 3, 3]], (4, 4, 0), 1, 1),
    ("what lies outside the picture is a part of the box as well", [[0, -2, 3, 3]], (4, 4, 0), 1, 1),
    ("a field may begin outside the picture", [[-2, -1, 3, 3]], (8, 4, -4), 1, 1),
    ("a box a little larger than the field is not seen whole", [[1, 1, 5, 5.004]], (4, 4, 1), 1, 1),
]


@write("2.1", "dilated_field", minutes=10, difficulty=1)
def dilated_field(draw: Draw) -> Iterator[Case]:
    """Oracle: the set of pixels that places 0 and 1 reach, walked back layer by layer."""

    def reached(layers: list[tuple[int, int, int, int]], place: int) -> set[int]:
        places = {place}
        for kernel, stride, padding, dilation in layers[::-1]:
            places = {i * stride - padding + tap * dilation for i in places for tap in range(kernel)}
        return places

    def oracle(layers: list[tuple[int, int, int, int]]) -> tuple[int, int, int]:
        one, two = reached(layers, 0), reached(layers, 1)
        return max(one) - min(one) + 1, min(two) - min(one), min(one)

    yield case("no layers at all: a pixel sees itself", oracle, [])
    yield case(
        "with dilation 1 nothing should differ from the lesson", oracle, [(3, 2, 1, 1), (2, 1, 0, 1), (3, 2, 1, 1)]
    )
    yield case("any number of layers may follow one another", oracle, [(3, 1, 1, 1), (2, 1, 0, 2)] * 4)
    yield case("a kernel of 3 with dilation 2 should span 5 pixels, from 0 on, with stride 1", oracle, [(3, 1, 0, 2)])
    yield case("a kernel of 1 should span 1 pixel whatever its dilation", oracle, [(1, 1, 0, 4)])
    yield case("a kernel of 2 with dilation 3 should span 4 pixels", oracle, [(2, 1, 0, 3)])
    yield case("each layer has its own dilation", oracle, [(2, 1, 0, 3), (2, 1, 0, 1)])
    yield case("the paddings of several layers add up", oracle, [(2, 1, 1, 1), (2, 1, 0, 1)])
    yield case("a wide dilation should count in full", oracle, [(3, 1, 6, 6), (2, 1, 0, 1)])
    yield case("dilation should widen the kernel, not the padding", oracle, [(3, 1, 2, 2)])
    yield case("a layer's stride should lengthen the steps of later layers only", oracle, [(3, 2, 1, 2), (3, 1, 1, 3)])
    yield case("a large kernel should count in full", oracle, [(7, 2, 3, 1), (5, 1, 2, 3)])
    yield case("a layer with kernel 1 still has its stride", oracle, [(1, 2, 0, 1), (3, 1, 0, 1)])
    yield case("a layer with kernel 1 still has its padding", oracle, [(1, 1, 1, 1)])
    for stride in (3, 4):
        yield case("the steps of a later layer are multiplied by the stride", oracle, [(2, stride, 0, 1), (2, 1, 0, 1)])
        yield case("the strides of several layers are multiplied", oracle, [(2, stride, 0, 1), (2, 3, 0, 1)])
    for depth in (3, 4):
        shapes = [draw.integer(*limits) for _ in range(depth) for limits in ((1, 6), (1, 5), (0, 4), (1, 4))]
        some = [tuple(shapes[i : i + 4]) for i in range(0, len(shapes), 4)]
        yield case(f"{depth} layers of any kind should work", oracle, some)


@write("2.2", "sees_whole", minutes=15, difficulty=2)
def sees_whole(draw: Draw) -> Iterator[Case]:
    """Oracle: place by place."""

    def oracle(boxes: Tensor, field: tuple[int, int, int], rows: int, columns: int) -> Tensor:
        size, stride, start = field
        out = torch.zeros(len(boxes), rows, columns, dtype=torch.bool, device=boxes.device)
        for n, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
            for r in range(rows):
                for c in range(columns):
                    left, top = start + c * stride, start + r * stride
                    out[n, r, c] = left <= x1 and top <= y1 and x2 <= left + size and y2 <= top + size
        return out

    for says, boxes, field, rows, columns in FIELDS:
        yield case(says, oracle, torch.tensor(boxes).float().reshape(-1, 4), field, rows, columns)
    for n in (2, 4):
        field = draw.integer(14, 26), draw.integer(2, 7), draw.integer(-6, 1)
        yield case("every box should meet every place", oracle, draw.boxes(n, 40, 24) * 0.6, field, 5, 9)


@fix("2.3", "inside_share", stub=INSIDE, minutes=10, difficulty=2, empty=False)
def inside_share(draw: Draw) -> Iterator[Case]:
    """Oracle: pixel by pixel."""

    def oracle(field_box: Tensor, height: int, width: int) -> Tensor:
        x1, y1, x2, y2 = (int(v) for v in field_box.tolist())
        inside = sum(0 <= x < width and 0 <= y < height for x in range(x1, x2) for y in range(y1, y2))
        return field_box.new_tensor(inside / ((x2 - x1) * (y2 - y1)))

    yield case("a field inside the picture should give 1", oracle, torch.tensor([1.0, 2, 4, 5]), 9, 9)
    yield case(
        "a field that hangs over the corner should lose what hangs over", oracle, torch.tensor([-3.0, -3, 6, 6]), 8, 8
    )
    yield case("in a wide picture the right end of a field should count", oracle, torch.tensor([5.0, 0, 9, 4]), 4, 12)
    yield case(
        "in a high picture the right end should be cut at the width", oracle, torch.tensor([3.0, 0, 9, 6]), 12, 5
    )
    yield case(
        "a field larger than the picture should give their ratio", oracle, torch.tensor([-5.0, -5, 14, 14]), 4, 7
    )
    yield case("a field may be wider than high", oracle, torch.tensor([-2.0, 1, 10, 4]), 6, 9)
    yield case("a field may be higher than wide", oracle, torch.tensor([1.0, -2, 4, 10]), 6, 9)
    yield case("each end is cut, whether the other end is or not", oracle, torch.tensor([1.0, 5, 4, 9]), 6, 9)
    yield case("each end is cut, whether the other end is or not", oracle, torch.tensor([5.0, 1, 9, 4]), 9, 6)
    yield case("each end is cut, whether the other end is or not", oracle, torch.tensor([1.0, -3, 4, 1]), 6, 9)
    yield case("each end is cut, whether the other end is or not", oracle, torch.tensor([-3.0, 1, 1, 4]), 6, 9)
    far = torch.tensor([600.0, 440, 660, 500])
    yield case("a picture may have any size", oracle, far, 480, 640)
    for _ in range(3):
        left, top, side = draw.integer(-8, 4), draw.integer(-8, 4), draw.integer(9, 18)
        box = torch.tensor([left, top, left + side, top + side]).float()
        yield case("any field in any picture", oracle, box, draw.integer(5, 12), draw.integer(13, 22))


predict(
    "2.4", "pixels_gained", right=4, minutes=5, difficulty=2,
    misconceptions=[
        (0, "both stacks make a map of the same size, but whose kernel counts in longer steps?"),
        (2, "one later layer takes longer steps now; is it the only one?"),
        (6, "a stride lengthens the steps of the layers *after* its own; does it also stretch its own kernel?"),
        (11, "that is a size; the question asks by how much it grew"),
        (7, "that is a size; the question asks by how much it grew"),
        (-4, "the other way round: behind which of the two stacks do more kernels count in longer steps?"),
        (11 / 7, "that is how many times as large the field gets; the question asks for a difference in pixels"),
        (8, "the sizes are not doubled: only what the later kernels add is"),
    ],
    otherwise="make the lesson's table, one row a layer, for both stacks",
)  # fmt: skip

explain("2.5", minutes=10, difficulty=2)
