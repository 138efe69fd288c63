"""Checkers of lesson 3: the place of a box, distances to four edges, scales of levels, the number of outputs."""

from collections.abc import Iterator

import torch
from torch import Tensor

from course_lib.exercises.framework import Case, Draw, case, explain, fix, predict, write

SCALES = '''
def level_scales(smallest, largest, levels):
    """Scales of the levels in pixels, evenly spaced: the first is `smallest`, the last `largest`."""
    step = (largest - smallest) // levels
    return [smallest + step * level for level in range(levels)]
'''


@write("3.1", "place_of", minutes=15, difficulty=2, empty=False)
def place_of(draw: Draw) -> Iterator[Case]:
    """Oracle: walks through all boxes in order and counts."""

    def oracle(index: int, grids: list[tuple[int, int]], k: list[int]) -> tuple[int, int, int, int]:
        places = [
            (level, row, column, shape)
            for level, (rows, columns) in enumerate(grids)
            for row in range(rows)
            for column in range(columns)
            for shape in range(k[level])
        ]
        return places[index]

    yield case("the first box is shape 0 of the first cell of the first level", oracle, 0, [(1, 2)], [2])
    yield case("the shapes of a cell come before the next cell", oracle, 1, [(1, 2)], [2])
    yield case("the cells of a row come before the next row", oracle, 3, [(2, 3)], [1])
    yield case("with more columns than rows, the row changes after all columns", oracle, 5, [(2, 4)], [1])
    yield case("after the last box of a level comes the first of the next", oracle, 6, [(2, 3), (1, 1)], [1, 1])
    yield case("each level has its own number of shapes", oracle, 14, [(2, 3), (1, 2)], [2, 3])
    for _ in range(6):
        grids = [(draw.integer(2, 5), draw.integer(5, 9)), (draw.integer(1, 4), draw.integer(2, 4)), (1, 2)]
        k = [draw.integer(1, 4), draw.integer(2, 6), draw.integer(1, 4)]
        total = sum(r * c * n for (r, c), n in zip(grids, k, strict=True))
        yield case("any box of any level should be found", oracle, draw.integer(0, total), grids, k)


@write("3.2", "edge_distances", minutes=12, difficulty=2, gradient=(0,))
def edge_distances(draw: Draw) -> Iterator[Case]:
    """Oracle: pair by pair, edge by edge (FCOS, Tian et al. 2019, equation 1)."""

    def oracle(boxes: Tensor, centres: Tensor, stride: int) -> Tensor:
        rows = []
        for (x1, y1, x2, y2), (x, y) in zip(boxes.tolist(), centres.tolist(), strict=True):
            rows.append([(x - x1) / stride, (y - y1) / stride, (x2 - x) / stride, (y2 - y) / stride])
        return boxes.new_tensor(rows).reshape(-1, 4)

    box = torch.tensor([[2.0, 3, 12, 7]])
    yield case("the right and bottom edges lie ahead of the centre", oracle, box, torch.tensor([[8.0, 4]]), 1)
    yield case("distances should be measured in strides", oracle, box, torch.tensor([[8.0, 4]]), 4)
    yield case(
        "an edge on the wrong side of the centre has a negative distance", oracle, box, torch.tensor([[1.0, 5]]), 2
    )
    yield case("no objects should give an empty [0, 4] result", oracle, torch.zeros(0, 4), torch.zeros(0, 2), 8)
    for n in (2, 5):
        centres = draw.uniform(n, 2, high=30)
        yield case("each object should meet its own centre", oracle, draw.boxes(n), centres, draw.integer(2, 9))


@fix("3.3", "level_scales", stub=SCALES, minutes=8, difficulty=1, empty=False, dtype=False, device=False)
def level_scales(draw: Draw) -> Iterator[Case]:
    """Oracle: weights of the two ends (Liu et al. 2016, equation 4, in pixels)."""

    def oracle(smallest: float, largest: float, levels: int) -> list[float]:
        if levels == 1:
            return [float(smallest)]
        ends = [(level / (levels - 1), 1 - level / (levels - 1)) for level in range(levels)]
        return [far * largest + near * smallest for far, near in ends]

    yield case("two levels should have the smallest and the largest scale", oracle, 10, 30, 2)
    yield case("the last level should have the largest scale", oracle, 20, 80, 3)
    yield case("steps that are no whole numbers should not be cut", oracle, 10, 25, 3)
    yield case("a single level should have the smallest scale", oracle, 16, 64, 1)
    for levels in (4, 6):
        low = draw.integer(5, 20)
        yield case("scales should be evenly spaced", oracle, low, low + draw.integer(30, 90), levels)


predict(
    "3.4", "outputs", right=5800, minutes=5, difficulty=2,
    misconceptions=[
        (5568, "in SSD the background is a class as well, and needs a score"),
        (232, "that is the number of boxes; how many numbers does each of them need?"),
        (928, "these are the offsets; the scores are missing"),
        (4872, "these are the scores; the offsets are missing"),
        (1300, "that would be right with one box a cell; how many shapes has each?"),
        (4640, "neither the offsets nor the background are in it"),
        (13000, "the two maps have different numbers of shapes; do not multiply all cells by all shapes"),
    ],
    otherwise="count the boxes of each map first: rows times columns times shapes; then the numbers each box needs",
)  # fmt: skip

explain("3.5", minutes=8, difficulty=2)
