"""Checkers of lesson 3: the place of a box, distances to four edges, the order of centres, two predictions."""

from collections.abc import Iterator

import torch
from torch import Tensor

from course_lib.exercises.framework import Case, Draw, case, explain, fix, predict, write

CENTRES = """
def cell_centres(rows, columns, stride):
    x = (torch.arange(columns) + 0.5) * stride
    y = (torch.arange(rows) + 0.5) * stride
    x, y = torch.meshgrid(x, y, indexing="ij")
    return torch.stack([x, y], dim=2).reshape(-1, 2)
"""


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
    yield case("the last cell of a row still belongs to it", oracle, 2, [(2, 3)], [1])
    yield case("with more columns than rows, the row changes after all columns", oracle, 5, [(2, 4)], [1])
    yield case("after the last box of a level comes the first of the next", oracle, 6, [(2, 3), (1, 1)], [1, 1])
    yield case("each level has its own number of shapes", oracle, 14, [(2, 3), (1, 2)], [2, 3])
    yield case("within each level the count of boxes starts at 0 again", oracle, 4, [(1, 1), (1, 2)], [3, 2])
    yield case("each level has its own number of columns", oracle, 2, [(1, 1), (1, 3)], [1, 1])
    yield case("the last box of a level still belongs to it", oracle, 5, [(1, 3), (1, 2)], [2, 1])
    yield case("two levels may have equal grids", oracle, 1, [(1, 1), (1, 1)], [1, 1])
    yield case("the last box of a level still belongs to it", oracle, 9, [(1, 2), (2, 2), (1, 2)], [1, 2, 3])
    yield case("a third level should be found as well", oracle, 17, [(2, 3), (1, 2), (2, 2)], [1, 2, 3])
    yield case("a fourth level should be found as well", oracle, 4, [(1, 1), (1, 1), (1, 1), (2, 1)], [1, 1, 1, 1])
    yield case("there may be six levels, as in SSD", oracle, 7, [(1, 1)] * 5 + [(2, 2)], [1] * 6)
    yield case("the very last box should be found", oracle, 9, [(1, 2), (2, 1)], [2, 3])
    yield case("a large map should work", oracle, 9001, [(40, 60), (20, 30)], [4, 6])
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
    for centre in ([14.0, 5], [7.0, 2], [7.0, 9]):
        yield case(
            "an edge on the wrong side of the centre has a negative distance", oracle, box, torch.tensor([centre]), 2
        )
    yield case(
        "distances may be large", oracle, torch.tensor([[0.0, 0, 9000, 6000]]), torch.tensor([[5000.0, 2000]]), 2
    )
    yield case("no objects should give an empty [0, 4] result", oracle, torch.zeros(0, 4), torch.zeros(0, 2), 8)
    for n in (2, 5):
        centres = draw.uniform(n, 2, high=30)
        yield case("each object should meet its own centre", oracle, draw.boxes(n), centres, draw.integer(2, 9))


@fix("3.3", "cell_centres", stub=CENTRES, minutes=10, difficulty=2, empty=False, dtype=False, device=False)
def cell_centres(draw: Draw) -> Iterator[Case]:
    """Oracle: two loops, in the order in which we read."""

    def oracle(rows: int, columns: int, stride: int) -> Tensor:
        return torch.tensor([[column * stride + stride / 2, row * stride + stride / 2]
                             for row in range(rows) for column in range(columns)], dtype=torch.float32)  # fmt: skip

    yield case("the only centre of a map of one cell is half a stride in", oracle, 1, 1, 8)
    yield case("the centres of a single row run to the right", oracle, 1, 3, 4)
    yield case("the centres of a single column run down", oracle, 3, 1, 4)
    yield case("the second centre should be the next one of the first row", oracle, 2, 2, 4)
    yield case("the centres of a row should come before those of the next", oracle, 2, 4, 4)
    yield case("with more columns than rows, x should reach further than y", oracle, 2, 3, 4)
    yield case("with more rows than columns, y should reach further than x", oracle, 3, 2, 4)
    yield case("an odd stride has its middle at a half", oracle, 2, 3, 5)
    yield case("an odd stride has its middle at a half", oracle, 4, 3, 7)
    yield case("a map may have any number of cells", oracle, 11, 13, 8)
    yield case("a map may have any number of cells", oracle, 38, 2, 8)
    yield case("a map may have any number of cells", oracle, 2, 64, 128)
    yield case("a centre far from the corner should be exact as well", oracle, 2, 150, 33)
    for _ in range(3):
        yield case("any map should be listed row by row", oracle,
                   draw.integer(2, 6), draw.integer(2, 9), draw.integer(3, 33))  # fmt: skip


predict(
    "3.4", "outputs", right=5800, minutes=5, difficulty=2,
    misconceptions=[
        (5568, "in SSD the background is a class as well, and needs a score"),
        (232, "that is the number of boxes; how many numbers does each of them need?"),
        (928, "these are the offsets; the scores are missing"),
        (4872, "these are the scores; the offsets are missing"),
        (1300, "that would be right with one box a cell; how many shapes has each?"),
        (4640, "neither the offsets nor the background are in it"),
        (19488, "offsets and scores stand side by side: their numbers are added, not multiplied"),
        (24360, "a box has four offsets, whatever its class; you count four for every class"),
        (23432, "a box has four offsets, whatever its class; you count four for every class"),
        (1160, "a box has a score for every class, not one in all"),
        (949, "every box has scores of its own"),
        (4000, "that is the first map; how many boxes does the second add?"),
        (1800, "that is the second map; how many boxes does the first have?"),
        (257, "every box needs all these numbers: boxes and numbers are multiplied"),
        (13000, "the two maps have different numbers of shapes; do not multiply all cells by all shapes"),
    ],
    otherwise="count the boxes of each map first: rows times columns times shapes; then the numbers each box needs",
)  # fmt: skip

predict(
    "3.5", "times_as_wide", right=32, minutes=5, difficulty=2,
    misconceptions=[
        (2, "that would be drawn if both sides used the same variances; what number does the network put out?"),
        (10, "he forgets to multiply by 0.2, but that happens before the exponential, not after it"),
        (5, "a default box five times as wide does not depend on the object at all; where did its factor of 2 go?"),
        (0.4, "multiplying by 0.2 is what he forgot; and it happens before the exponential"),
        (3.47, "this is the offset; what does decode do to it?"),
        (3.4657, "this is the offset; what does decode do to it?"),
        (1.15, "the other way round: this box would be too narrow; did the network multiply or divide by 0.2?"),
        (16, "that is compared with the object; the question compares with the default box"),
        (64, "the object's factor of 2 is in the offset already; it does not count a second time"),
        (148.41, "that is the exponential of 5; what became of the logarithm of 2?"),
        (0.6931, "this is the logarithm of 2; which number does the network put out, and what does decode do to it?"),
        (6.931, "0.1 belongs to the shifts; and this is the offset, what does decode do to it?"),
        (25, "it is the factor of 2 that is multiplied with itself, not the 5"),
        (31, "that is by how much it is wider, counted in default boxes; the question asks how many times as wide it is"),
        (20, "0.1 belongs to the shifts; which variance belongs to the width?"),
        (1024, "0.1 belongs to the shifts; which variance belongs to the width?"),
    ],
    otherwise="write down the number that the network puts out for the width, then put it through decode",
)  # fmt: skip

explain("3.6", minutes=8, difficulty=2)
