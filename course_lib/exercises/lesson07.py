"""Checkers of lesson 7: a count of anchors, a bottom-up path, a matcher that shipped, a level for each box, groups."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from course_lib.exercises.framework import Case, Draw, case, explain, fix, predict, write

RESCUE = '''
def match_with_rescue(overlap):
    """Overlaps [N, M] of objects with anchors → [M] int64: index of the object, −1 background, −2 ignored."""
    best, matches = overlap.max(dim=0)
    favourite = matches.clone()
    matches[best < 0.5] = -2
    matches[best < 0.4] = -1
    largest, _ = overlap.max(dim=1, keepdim=True)
    rescued = (overlap == largest).any(dim=0)
    matches[rescued] = favourite[rescued]
    return matches
'''

PICTURE, STRIDES, PER_CELL = (100, 260), (8, 16, 32, 64, 128), 9


def _cells(height: int, width: int, strides: tuple[int, ...] = STRIDES) -> int:
    """Cells of all maps of a picture; a side that a stride does not divide is rounded up."""
    return sum(math.ceil(height / s) * math.ceil(width / s) for s in strides)


def _padded(multiple: int) -> tuple[int, int]:
    height, width = (math.ceil(side / multiple) * multiple for side in PICTURE)
    return height, width


FULL, LONG = _padded(128), max(_padded(128))

predict(
    "7.1",
    "anchor_count",
    right=_cells(*FULL) * PER_CELL,
    misconceptions=[
        (_cells(*PICTURE) * PER_CELL, "the picture is padded first, and the padded part has cells and anchors as well"),
        (
            sum((PICTURE[0] // s) * (PICTURE[1] // s) for s in STRIDES) * PER_CELL,
            "nothing of the picture may be cut off: it is padded first, then every side can be divided by every stride",
        ),
        (
            _cells(*_padded(32)) * PER_CELL,
            "32 is the stride of the base's last map; the pyramid goes on to stride 128, and it is 128 that is padded to",
        ),
        (_cells(*_padded(64)) * PER_CELL, "64 is the stride of P6; P7 has stride 128, and it is 128 that is padded to"),
        (_cells(*FULL, STRIDES[:3]) * PER_CELL, "P6 and P7 are missing; they are small, and they have anchors as well"),
        (_cells(*FULL, STRIDES[:4]) * PER_CELL, "P7 is missing; it is small, and it has anchors as well"),
        (
            _cells(*FULL, STRIDES[:1]) * PER_CELL,
            "that is the finest level alone; the four above it have anchors as well",
        ),
        (_cells(*FULL), "those are the cells; how many anchors does one cell have?"),
        (_cells(*FULL) * PER_CELL / 1000, "right, if that point parts the thousands: leave it out"),
        (
            _cells(*FULL) * 3,
            "a cell has three sizes and three aspect ratios, and every pair of them is an anchor",
        ),
        (_cells(LONG, LONG) * PER_CELL, "the picture is not made square: height and width are padded each for itself"),
        (_cells(260, 260) * PER_CELL, "the picture is not made square, and it is padded before the maps are computed"),
        (
            _cells(128, 256) * PER_CELL,
            "260 pixels do not fit into two times 128, and a cell has nine anchors: count both again",
        ),
        (
            _cells(*FULL, STRIDES[:1]) * PER_CELL * 5,
            "the levels differ in size: from one to the next both sides are halved",
        ),
        (
            _cells(*FULL, (4, *STRIDES)) * PER_CELL,
            "there is no level of stride 4 here: this pyramid begins with P3, at stride 8",
        ),
        (_cells(*FULL, (4, *STRIDES[:4])) * PER_CELL, "P3 has stride 8, not 4; level k has stride 2 to the power of k"),
        (
            _cells(*FULL, STRIDES[1:]) * PER_CELL,
            "P3 is missing, the finest level; it has more anchors than all others together",
        ),
        (
            sum(_cells(*FULL, STRIDES[:1]) // 2**k for k in range(5)) * PER_CELL,
            "from one level to the next rows and columns are both halved, so a quarter of the cells is left",
        ),
        (_cells(FULL[0], PICTURE[1]) * PER_CELL, "the width is padded as well: 260 is no multiple of 128"),
        (_cells(PICTURE[0], FULL[1]) * PER_CELL, "the height is padded as well: 100 is no multiple of 128"),
        (_cells(128, 512) * PER_CELL, "multiples of 128, not powers of 2: after 256 the next one is smaller than 512"),
        (FULL[0] * FULL[1] * PER_CELL, "a cell of a map is not a pixel: its sides are as long as the level's stride"),
        (
            _cells(*FULL) * PER_CELL * 5,
            "nine anchors stand in a cell of one level; the five levels are in your sum already",
        ),
    ],
    otherwise="pad both sides to multiples of 128, then rows times columns for each level, the sum, and nine for each cell",
    minutes=4,
    difficulty=1,
)


# Maps of 7.2, finest first, one row list each: what should hold, the maps.
PATHS = [
    ("the finest map should stay as it is, and one map alone is allowed", [[2.0, -1.0]]),
    ("the finer new map, pooled, should be added to the next map", [[3.0]], [[5.0]]),
    ("outside the map there is nothing, no 0 either", [[-3.0]], [[5.0]]),
    ("each new map should be made from the new one before it", [[3.0]], [[5.0]], [[7.0]]),
    ("cell c should look at the columns 2c − 1 to 2c + 1", [[1.0, 7]], [[10.0]]),
    ("cell r should look at the rows 2r − 1 to 2r + 1", [[1.0], [7]], [[10.0]]),
    ("cell c should look at the columns 2c − 1 to 2c + 1", [[1.0, 5, 2]], [[10.0, 20]]),
    ("cell c should look at the columns 2c − 1 to 2c + 1", [[1.0, 7, 2, 3]], [[10.0, 20]]),
    ("cell r should look at the rows 2r − 1 to 2r + 1", [[1.0], [5], [2]], [[10.0], [20]]),
    ("cell r should look at the rows 2r − 1 to 2r + 1", [[1.0], [7], [2], [3]], [[10.0], [20]]),
    ("cell c should look at the columns 2c − 1 to 2c + 1", [[4.0, 0, 0]], [[1.0, 2]]),
    ("cell r should look at the rows 2r − 1 to 2r + 1", [[4.0], [0], [0]], [[1.0], [2]]),
    ("the corners of a window should count as well", [[1.0, 2], [3, 9]], [[10.0]]),
    ("outside the map there is nothing, no 0 either", [[-4.0, -2, -7]], [[1.0, 2]]),
    ("a large number should reach every coarser map", [[9.0, 0, 0, 0, 0]], [[0.0, 0, 0]], [[0.0, 1]], [[0.5]]),
    ("outside the map there is nothing, no other number either", [[-4000.0, -2000, -7000]], [[1.0, 2]]),
    ("outside the map there is nothing, no other number either", [[-4e7, -2e7, -7e7]], [[1.0, 2]]),
    ("outside the map there is nothing, not even the smallest of the numbers given", [[5.0]], [[-9.0]], [[0.0]]),
    ("outside the map there is nothing, not even the smallest of the numbers given", [[-5.0]], [[-5.0]], [[0.0]]),
    ("outside the map there is nothing, not even the smallest of the numbers given", *[[[-5.0]]] * 3, [[0.0]]),
    ("there may be any number of maps", *([[float(k)]] for k in (1, 2, 4, 8, 16, 32, 64, 128))),
    ("each new map should be made from the new one before it", [[4.0, 0, 0]], [[0.0, 3]], [[1.0]]),
    ("sides may be odd", [[1.0, 8, 2], [6, -3, 4]], [[0.5, 1.5]]),
]


@write("7.2", "bottom_up", minutes=15, difficulty=2, gradient=(0,))
def bottom_up(draw: Draw) -> Iterator[Case]:
    """Oracle: cell by cell, the largest number of the window's part that lies inside the map."""

    def pooled(one: Tensor) -> Tensor:
        rows, columns = ((side + 1) // 2 for side in one.shape[-2:])
        out = one.new_zeros(*one.shape[:2], rows, columns)
        for r in range(rows):
            for c in range(columns):
                window = one[:, :, max(0, 2 * r - 1) : 2 * r + 2, max(0, 2 * c - 1) : 2 * c + 2]
                out[:, :, r, c] = window.amax(dim=(2, 3))
        return out

    def oracle(maps: list[Tensor]) -> list[Tensor]:
        new = [maps[0].clone()]
        for coarser in maps[1:]:
            new.append(coarser + pooled(new[-1]))
        return new

    def grids(*rows: list[list[float]]) -> list[Tensor]:
        return [torch.tensor([[one]]) for one in rows]

    def pyramid(b: int, c: int, height: int, width: int, levels: int) -> list[Tensor]:
        maps = []
        for _ in range(levels):
            maps.append(draw.normal(b, c, height, width, scale=2))
            height, width = (height + 1) // 2, (width + 1) // 2
        return maps

    for says, *maps in PATHS:
        yield case(says, oracle, grids(*maps))
    single = [one.double() for one in grids([[100000.0]], [[-100000.0]])]
    single[0] += 0.1
    yield case("float64 numbers should be added in float64", oracle, single)
    yield case("no pictures should give maps [0, C, H, W]", oracle, pyramid(0, 3, 5, 4, 3))
    half = [one.bfloat16() for one in pyramid(2, 2, 7, 6, 2)]
    yield case("maps of half precision (bfloat16) should stay so", oracle, half)
    yield case("channels should be kept apart", oracle, pyramid(1, 2, 3, 2, 2))
    yield case("pictures should be kept apart", oracle, pyramid(2, 1, 2, 3, 2))
    apart = [torch.tensor([5.0, -9]).reshape(2, 1, 1, 1), torch.zeros(2, 1, 1, 1)]
    yield case("pictures should be kept apart", oracle, apart)
    # More than 24 numbers: the slopes of fewer are asked for, and they need numbers in order.
    turned = [one.contiguous(memory_format=torch.channels_last) for one in pyramid(2, 2, 2, 3, 2)]
    yield case("the numbers of a map may lie in memory in another order (channels last)", oracle, turned)
    # More than 100 numbers: with fewer the slopes are asked for, and a small step is lost beside such a number.
    low = [one.abs() * -1e37 - 1e37 for one in pyramid(1, 1, 11, 9, 2)]
    yield case("outside the map there is nothing, no other number either", oracle, low)
    for b, c, height, width, levels in (
        (2, 2, 3, 5, 2),
        (2, 3, 5, 7, 3),
        (1, 4, 8, 6, 2),
        (3, 2, 9, 4, 4),
        (2, 2, 6, 13, 5),
    ):
        yield case(
            "every new map should be the given one plus the pooled new one before it",
            oracle,
            pyramid(b, c, height, width, levels),
        )


# Tables of 7.3: what should hold, overlaps of objects by anchors.
RESCUES = [
    ("an anchor with at least 0.5 should take the object that it overlaps most", [[0.75]]),
    ("an object's best anchor should be its own, however small the overlap", [[0.125]]),
    ("an object's best anchor should be its own, however small the overlap", [[1e-5]]),
    ("an object's best anchor should be its own, however small the overlap", [[1e-30]]),
    ("an object that overlaps nothing should get no anchor, and an anchor below 0.4 be background (−1)", [[0.0]]),
    ("an object that overlaps nothing should get no anchor", [[0.0, 0.0]]),
    ("of two objects that claim one anchor the one with the larger overlap should get it", [[0.25], [0.375]]),
    (
        "of two objects with the same best anchor the one with the larger overlap should get it, rescued or not",
        [[0.875], [0.625]],
    ),
    ("of two objects that claim one anchor with equal overlaps the first should get it", [[0.25], [0.25]]),
    (
        "of two objects that claim one anchor the one with the larger overlap should get it, by however little",
        [[0.25], [0.0], [0.0], [0.0], [0.0], [0.250001]],
    ),
    ("an object should get all anchors on which its overlap is largest", [[0.25, 0.25]]),
    ("an object should get all anchors on which its overlap is largest, however many", [[0.25, 0.25, 0.25]]),
    ("only the largest overlap of an object should count, not one that is nearly as large", [[0.25, 0.2499]]),
    ("only the largest overlap of an object should count, not one that is nearly as large", [[0.25, 0.2499999]]),
    ("exactly 0.5 should be enough for an anchor", [[0.75, 0.5]]),
    ("exactly 0.4 should be ignored, not background", [[0.75, 0.4]]),
    ("an anchor below 0.4 should be background", [[0.75, 0.375]]),
    ("an anchor below 0.4 should be background", [[0.75, 0.3999999]]),
    ("an anchor from 0.4 to below 0.5 should be ignored", [[0.75, 0.4375]]),
    ("an anchor from 0.4 to below 0.5 should be ignored", [[0.75, 0.4999999]]),
    ("a rescued anchor should go to the object that needs it", [[0.75, 0.625], [0.0, 0.25]]),
    ("a rescued anchor should go to the object that needs it", [[0.0, 0.25], [0.75, 0.625]]),
    ("a rescued anchor should go to the object that needs it", [[0.75, 0.4375], [0.0, 0.25]]),
    ("a rescued anchor should go to the object that needs it", [[0.75, 0.25], [0.0, 0.25]]),
    ("a rescued anchor should go to the object that needs it", [[1.0, 0.875], [0.0, 0.25]]),
    (
        "an object with a large overlap should be rescued as well where another one overlaps its anchor more",
        [[0.75, 0.875], [0.5625, 0.0]],
    ),
    ("an object that overlaps nothing should leave all anchors to the others", [[0.75, 0.25], [0.0, 0.0]]),
    ("an object that overlaps nothing should leave all anchors to the others", [[0.25, 0.0], [0.0, 0.0]]),
    ("an object that overlaps nothing should leave all anchors to the others", [[0.0, 0.0], [0.625, 0.4375]]),
    ("an object that loses its anchor to another should not take its second best", [[0.375, 0.25], [0.5, 0.125]]),
    ("an object that loses one of its anchors should keep the other", [[0.25, 0.25], [0.5, 0.125]]),
    (
        "of overlaps from 0.5 on the larger one should count, by however little",
        [[0.875, 0.625], [0.9375, 0.625001]],
    ),
    ("of equal overlaps from 0.5 on the first object should be taken", [[0.5, 0.75, 0.0], [0.5, 0.0, 0.625]]),
    (
        "who claims an anchor comes before who only overlaps it most",
        [[0.9375, 0.75], [0.5, 0.25], [0.0, 0.375]],
    ),
    (
        "every anchor should follow the rules",
        [[0.0, 0, 0, 0], [0.8125, 0.625, 0.4375, 0.125], [0.25, 0.3125, 0.0, 0.3125]],
    ),
]


@fix("7.3", "match_with_rescue", stub=RESCUE, minutes=20, difficulty=3)
def match_with_rescue(draw: Draw) -> Iterator[Case]:
    """Oracle: anchor by anchor; first who claims it, then the thresholds."""

    def oracle(overlap: Tensor) -> Tensor:
        objects, anchors = overlap.shape
        numbers, out = overlap.tolist(), []
        for j in range(anchors):
            column = [numbers[i][j] for i in range(objects)]
            claims = [i for i in range(objects) if column[i] > 0 and column[i] >= max(numbers[i])]
            if claims:
                out.append(max(claims, key=lambda i: (column[i], -i)))
            elif objects and max(column) >= 0.5:
                out.append(column.index(max(column)))
            else:
                out.append(-2 if objects and max(column) >= 0.4 else -1)
        return torch.tensor(out, dtype=torch.int64, device=overlap.device)

    def table(n: int, m: int, top: int) -> Tensor:
        numbers = draw.integers(n, m, low=0, high=top) / 32
        return numbers * (draw.uniform(n, m) < 0.7)

    for says, rows in RESCUES:
        yield case(says, oracle, torch.tensor(rows))
    yield case("without objects every anchor should be background", oracle, torch.zeros(0, 3))
    yield case("without anchors the result should be [0]", oracle, torch.zeros(2, 0))
    yield case("without objects and anchors the result should be [0]", oracle, torch.zeros(0, 0))
    turned = torch.tensor([[0.75, 0.25], [0.5, 0.125], [0.0, 0.375]]).T
    yield case("the numbers of the table may lie in memory in another order (transposed)", oracle, turned)
    for rows in ([[0.75, 0.4999999999]], [[0.25, 0.2499999999]], [[0.25], [0.2500000001]]):
        says = "float64 overlaps that differ by very little should be told apart"
        yield case(says, oracle, torch.tensor(rows, dtype=torch.float64))
    many = torch.zeros(300, 3)
    many[140, 1], many[299, 2] = 0.25, 0.75
    yield case("there may be hundreds of objects", oracle, many)
    lost = table(4, 7, 30)
    lost[2] = 0
    yield case("an object that overlaps nothing should leave all anchors to the others", oracle, lost)
    for n, m, top in ((2, 4, 32), (3, 6, 16), (4, 9, 20), (6, 4, 24), (5, 14, 30), (3, 20, 12)):
        yield case("every anchor should follow the rules", oracle, table(n, m, top))


# Boxes of 7.4: what should hold, boxes, canonical_size, canonical_level, lowest, highest.
LEVELS = [
    ("a box of the canonical size should get the canonical level", [[3.0, 5, 35, 37]], 32.0, 4, 2, 6),
    ("the place of a box should not matter", [[90.0, 150, 122, 182]], 32.0, 4, 2, 6),
    ("a box of twice the canonical size should go one level up", [[3.0, 5, 67, 69]], 32.0, 4, 2, 6),
    ("a box of half the canonical size should go one level down", [[3.0, 5, 19, 21]], 32.0, 4, 2, 6),
    ("the area should count, not one side", [[3.0, 5, 7, 69]], 32.0, 4, 2, 6),
    ("the area should count, not one side", [[3.0, 5, 131, 13]], 32.0, 4, 2, 6),
    ("a box a little smaller than the canonical size should go one level down", [[3.0, 5, 35, 36]], 32.0, 4, 2, 6),
    (
        "a box a little smaller than the canonical size should go one level down",
        [[0.0, 0, 2000, 1999]],
        2000.0,
        4,
        2,
        6,
    ),
    (
        "a box a very little smaller than the canonical size should go one level down",
        [[0.0, 0, 16000, 15999]],
        16000.0,
        4,
        2,
        6,
    ),
    ("a box a little larger than the canonical size should stay on its level", [[3.0, 5, 35, 45]], 32.0, 4, 2, 6),
    ("a box should stay on its level up to twice the canonical size", [[3.0, 5, 66, 68]], 32.0, 4, 2, 6),
    (
        "a box wider than high and a little smaller than the canonical size should go one level down",
        [[40.0, 2, 101, 18]],
        32.0,
        4,
        2,
        6,
    ),
    (
        "a box higher than wide and a little larger than the canonical size should stay on its level",
        [[40.0, 2, 56, 67]],
        32.0,
        4,
        2,
        6,
    ),
    ("a small box should stay at the lowest level", [[7.0, 9, 9, 10]], 32.0, 4, 3, 5),
    ("a large box should stay at the highest level", [[0.0, 0, 900, 700]], 32.0, 4, 3, 5),
    ("a box without height should go to the lowest level", [[7.0, 9, 700, 9]], 32.0, 4, 3, 5),
    ("a box without width should go to the lowest level", [[7.0, 9, 7, 700]], 32.0, 4, 3, 5),
    ("a box without width and height should go to the lowest level", [[7.0, 9, 7, 9]], 32.0, 4, 1, 5),
    ("a box without area should go to the lowest level, however far below", [[7.0, 9, 7, 9]], 32.0, 60, 1, 62),
    (
        "every box should get its own level, next to one without area as well",
        [[3.0, 5, 35, 37], [7, 9, 7, 9], [3, 5, 67, 69]],
        32.0,
        4,
        2,
        6,
    ),
    ("any canonical size and level should work", [[3.0, 5, 35, 37]], 64.0, 5, 2, 6),
    ("on a boundary the box should get the coarser level", [[10.0, 10, 458, 458]], 224.0, 4, 2, 6),
    ("on a boundary the box should get the coarser level", [[10.0, 10, 906, 234]], 224.0, 4, 2, 6),
    ("any canonical size and level should work", [[10.0, 10, 110, 60]], 224.0, 4, 0, 6),
    ("with one level alone every box should get it", [[0.0, 0, 16, 16], [0, 0, 99, 99]], 32.0, 4, 3, 3),
    ("the canonical level may lie outside the pyramid", [[0.0, 0, 16, 16], [0, 0, 99, 99]], 32.0, 1, 2, 6),
    ("boxes may be given in shares of the picture", [[0.25, 0.5, 0.375, 0.75], [0, 0, 1, 0.5]], 0.5, 4, 2, 6),
    ("boxes may begin left of the picture and above it", [[-20.0, -30, 20, 20], [-9, -9, -1, -2]], 32.0, 4, 2, 6),
]


@write("7.4", "level_of", minutes=10, difficulty=2)
def level_of(draw: Draw) -> Iterator[Case]:
    """Oracle: climb from the lowest level while the box is large enough for the next one; no logarithm."""

    def climb(area: float, size: float, level: int, lowest: int, highest: int) -> int:
        k = lowest
        while k < highest and area >= (size * 2.0 ** (k + 1 - level)) ** 2:
            k += 1
        return k

    def oracle(boxes: Tensor, canonical_size: float, canonical_level: int, lowest: int, highest: int) -> Tensor:
        rows = boxes.double().tolist()
        areas = [(right - left) * (bottom - top) for left, top, right, bottom in rows]
        levels = [climb(area, canonical_size, canonical_level, lowest, highest) for area in areas]
        return torch.tensor(levels, dtype=torch.int64, device=boxes.device)

    def clear(boxes: Tensor, size: float) -> Tensor:
        """Without the boxes on a boundary or so near to it that rounding could decide."""
        steps = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).double().sqrt().div(size).log2()
        return boxes[(steps - steps.round()).abs() > 1e-4]

    for says, rows, *numbers in LEVELS:
        yield case(says, oracle, torch.tensor(rows), *numbers)
    yield case("no boxes should give [0]", oracle, torch.zeros(0, 4), 224.0, 4, 2, 5)
    for size, level in ((8.0, 3), (64.0, 6)):
        sides = 2.0 ** torch.arange(0, 9)
        far = torch.stack([sides * 0 + 3, sides * 0 + 5, 3 + sides, 5 + sides], dim=1)
        flat = torch.stack([sides * 0 + 16, sides * 0, 16 + sides * 4, sides], dim=1)
        for box in (*far, *flat):  # one by one, so that the message can show the box
            yield case("on a boundary the box should get the coarser level", oracle, box[None], size, level, 0, 12)
    for side, size, level in ((24.0, 12.0, 3), (9.0, 9.0, 3), (9.0, 18.0, 4), (272.0, 34.0, 4)):
        says = "on a boundary the box should get the coarser level, also where the logarithm of the size is no whole number"
        yield case(says, oracle, torch.tensor([[0, 0, side, side]]), size, level, 0, 9)
    side = 16000 * (1 - 1e-6)
    near = torch.tensor([[0, 0, side, side]], dtype=torch.float64)
    says = "float64 boxes should be computed in float64, or one near a boundary goes to the wrong side"
    yield case(says, oracle, near, 16000.0, 60, 50, 62)
    for n, size, level, lowest, highest in (
        (3, 20.0, 4, 2, 6),
        (6, 10.0, 3, 1, 5),
        (9, 30.0, 5, 3, 6),
        (12, 16.0, 4, 2, 5),
    ):
        boxes = clear(draw.boxes(n, 90, 60), size)
        yield case("every box should get its own level", oracle, boxes, size, level, lowest, highest)


# Arguments of 7.5: what should hold; x, groups, eps, and where they matter weight and bias.
FAR = [[[[10000.0, 10002]], [[10004, 10006]]]]
GROUPS = [
    ("two channels in two groups: a group of one number should give the bias (`groups` counts groups, not their channels)", [[[[7.0]], [[2]]]], 2, 0.25, [2.0, 3], [0.5, -1]),
    ("where eps is small, mean 0 and variance 1 (divided by the count) should come out", [[[[1.0, 5]]]], 1, 1e-5),
    ("eps should stand inside the root, added to the variance", [[[[1.0, 5]]]], 1, 5.0),
    ("the variance should be divided by the count, not by one less", [[[[0.0, 0, 8]]]], 1, 4.0),
    ("where all numbers of a group are equal the bias should come out", [[[[3.0, 3, 3]]]], 1, 1.0, [2.0], [5.0]),
    ("a group should hold all its channels", [[[[1.0, 3]], [[5, 7]]]], 1, 4.0),
    ("each group should have its own mean and variance", [[[[1.0, 3]], [[5, 13]]]], 2, 3.0),
    ("neighbouring channels should make a group", [[[[1.0]], [[5]], [[20]], [[22]]]], 2, 1.0),
    ("neighbouring channels should make a group", [[[[1.0]], [[5]], [[20]], [[22]], [[30]], [[36]]]], 3, 1.0),
    ("`groups` is the number of groups, not of their channels",
     [[[[1.0]], [[5]], [[2]], [[20]], [[22]], [[27]]]], 2, 1.0),
    ("weight and bias belong to channels", [[[[1.0, 3]], [[5, 7]]]], 1, 4.0, [3.0, 6], [10.0, 20]),
    ("weight and bias belong to channels", [[[[1.0], [3]], [[5], [7]]]], 1, 4.0, [3.0, 6], [10.0, 20]),
    ("weight and bias belong to channels", [[[[1.0]], [[3]]], [[[5]], [[13]]]], 1, 4.0, [3.0, 6], [10.0, 20]),
    ("weight and bias belong to channels",
     [[[[1.0]], [[3]], [[20]], [[28]]]], 2, 3.0, [1.0, 2, 3, 4], [10.0, 20, 30, 40]),
    ("the result should be taken times the weight, then the bias should be added", [[[[1.0, 5]]]], 1, 5.0, [6.0], [2.0]),
    ("a weight may be negative", [[[[1.0, 5]]]], 1, 5.0, [-6.0]),
    ("each picture should be normalised by itself", [[[[1.0, 5]]], [[[20, 28]]]], 1, 5.0),
    ("each picture should be normalised by itself, also the fifth",
     [[[[1.0, 5]]], [[[20, 28]]], [[[0, 2]]], [[[3, 9]]], [[[7, 8]]]], 1, 5.0),
    ("all rows and columns should count", [[[[1.0, 2], [4, 9]]]], 1, 2.0),
    ("numbers far from 0 should be normalised as precisely as others", FAR, 1, 4.0),
    ("numbers far from 0 should be normalised as precisely as others",
     [[[[5001.0, 5003]], [[-5000, -5007]]]], 2, 4.0),
    ("numbers far from 0 should be normalised as precisely as others",
     [[[[5001.0, 5003]]], [[[-5000, -5007]]]], 1, 4.0),
]  # fmt: skip


def _normalised(x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Group normalisation with plain numbers."""
    b, channels, height, width = x.shape
    together = channels // groups
    numbers, scale, shift = x.tolist(), weight.tolist(), bias.tolist()
    out = torch.zeros(b, channels, height, width, dtype=x.dtype, device=x.device)
    for picture in range(b):
        for group in range(groups):
            members = range(group * together, (group + 1) * together)
            own = [v for c in members for row in numbers[picture][c] for v in row]
            mean = math.fsum(own) / len(own)
            spread = math.sqrt(math.fsum((v - mean) ** 2 for v in own) / len(own) + eps)
            for c in members:
                for r in range(height):
                    for k in range(width):
                        out[picture, c, r, k] = (numbers[picture][c][r][k] - mean) / spread * scale[c] + shift[c]
    return out


@write("7.5", "group_norm", minutes=15, difficulty=2, gradient=(0, 2, 3))
def group_norm(draw: Draw) -> Iterator[Case]:
    """Oracle: picture by picture and group by group, number by number, with plain numbers."""

    def plain(x: list, groups: int, eps: float, weight: list | None = None, bias: list | None = None) -> tuple:
        x = torch.tensor(x)
        scale = torch.ones(x.shape[1]) if weight is None else torch.tensor(weight)
        shift = torch.zeros(x.shape[1]) if bias is None else torch.tensor(bias)
        return x, groups, scale, shift, eps

    for says, *given in GROUPS:
        yield case(says, _normalised, *plain(*given))
    large = [[[[9999991.0, 9999992, 9999997], [9999984, 9999990, 9999988], [9999995, 9999999, 9999986]]]]
    x, groups, scale, shift, eps = plain(large, 1, 0.25)
    says = "float64 numbers should be normalised in float64"
    yield case(says, _normalised, x.double(), groups, scale.double(), shift.double(), eps)
    # More than 24 numbers: the slopes of fewer are asked for, and they need numbers in order.
    turned = draw.normal(2, 4, 2, 2, scale=3).contiguous(memory_format=torch.channels_last)
    says = "the numbers of x may lie in memory in another order (channels last)"
    yield case(says, _normalised, turned, 2, draw.normal(4), draw.normal(4), 0.5)
    # More than 24 numbers here too: beside such small ones the step of the slopes would be large.
    tiny = 1e-4 * torch.arange(28.0).square().remainder(11).reshape(1, 2, 2, 7)
    says = "eps counts as it is given, however small, and nothing else keeps the variance from 0"
    yield case(says, _normalised, tiny, 2, torch.ones(2), torch.zeros(2), 1e-8)
    lone = torch.zeros(1, 1, 64, 64)
    lone[0, 0, 3, 5] = 1000.0  # 64 spreads from the mean
    says = "a number far from all others should stay as far as it is"
    yield case(says, _normalised, lone, 1, torch.ones(1), torch.zeros(1), 0.25)
    none = torch.zeros(0, 4, 2, 3)
    yield case("no pictures should give [0, C, H, W]", _normalised, none, 2, draw.normal(4), draw.normal(4), 0.1)
    for b, channels, height, width, groups, eps in (
        (1, 2, 1, 2, 1, 1e-5),
        (2, 4, 3, 4, 2, 0.5),
        (3, 6, 2, 5, 3, 1e-5),
        (2, 6, 4, 6, 2, 1e-3),
        (2, 3, 2, 3, 3, 0.1),
        (1, 4, 5, 2, 1, 1e-5),
    ):
        weight, bias = draw.normal(channels, scale=2), draw.normal(channels)
        x = draw.normal(b, channels, height, width, scale=3) + draw.normal(b, channels, 1, 1, scale=4)
        yield case("every group of every picture should be normalised", _normalised, x, groups, weight, bias, eps)


explain("7.6", minutes=10, difficulty=2)
