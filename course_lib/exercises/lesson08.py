"""Checkers of lesson 8: the numbers of a grid, YOLO v2's boxes, a confidence loss that shipped, detectors not beaten."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from course_lib.exercises.framework import Case, Draw, case, explain, fix, judged, predict, write

SHIPPED = '''
def confidence_loss(confidences, owned, overlaps, empty_weight):
    """Squared errors of all confidences: [B, R, C, k], [B, R, C] bool, [P, k] → a number."""
    best = overlaps.argmax(dim=1, keepdim=True)
    said = confidences[owned].gather(1, best)
    full = (said - 1).square().sum()
    empty = confidences[~owned].square().sum()
    return full + empty_weight * empty
'''

ROWS, COLUMNS, K, CLASSES = math.ceil(100 / 32), math.ceil(260 / 32), 3, 20
CELLS, EACH = ROWS * COLUMNS, 5 * K + CLASSES

predict(
    "8.1",
    "yolo_numbers",
    right=CELLS * EACH,
    misconceptions=[
        (
            CELLS * K * (5 + CLASSES),
            "YOLO v1 has one set of class numbers per cell, not per box; one per box came with v2",
        ),
        (
            (100 // 32) * (260 // 32) * EACH,
            "the map does not cut off the rest of a picture: a side that 32 does not divide is rounded up",
        ),
        (CELLS * (5 * K + CLASSES + 1), "background is no class here: that nothing is there is what a confidence says"),
        (CELLS * (4 * K + CLASSES), "each box has a confidence as well as its four coordinates"),
        (CELLS * (5 + CLASSES), "that is a cell with one box; here a cell has three"),
        (CELLS * (6 * K + CLASSES), "a box has five numbers: x, y, two for its size, and one confidence"),
        (CELLS * K, "those are the boxes; how many numbers does one cell say?"),
        (CELLS, "those are the cells; how many numbers does one cell say?"),
        (EACH, "that is one cell; how many cells does this picture have?"),
        (CELLS * 5 * K, "the class numbers are missing: one set per cell"),
        (CELLS * CLASSES, "the boxes are missing: five numbers each"),
        (COLUMNS * COLUMNS * EACH, "the grid need not be square: rows and columns follow from height and width"),
        (ROWS * ROWS * EACH, "the grid need not be square: rows and columns follow from height and width"),
        (ROWS * (260 // 32) * EACH, "both sides are rounded up: 32 divides neither of them"),
        ((100 // 32) * COLUMNS * EACH, "both sides are rounded up: 32 divides neither of them"),
        (100 / 32 * 260 / 32 * EACH, "a map has whole rows and whole columns: round both up first"),
        (CELLS * (4 * K + 1 + CLASSES), "every box has a confidence of its own, not one per cell"),
        (CELLS * (5 * 2 + CLASSES), "that is with the paper's two boxes; here a cell has three"),
        (7 * 7 * (5 * 2 + CLASSES), "those are the paper's; here the grid and the boxes are others"),
        (7 * 7 * EACH, "7 × 7 is the paper's grid, for a picture of 448 × 448; here the grid follows from the stride"),
    ],
    otherwise="rows and columns of the map at stride 32, both rounded up; then five numbers per box and one set of classes per cell",
    minutes=4,
    difficulty=1,
)


def _one(*cells: list[list[list[float]]]) -> Tensor:
    """One picture: rows of columns of boxes."""
    return torch.tensor([list(cells)])


LOG_3 = math.log(3)  # its sigmoid is 3/4
SQUARE, WIDE = torch.tensor([[8.0, 8]]), torch.tensor([[12.0, 4]])
V2_CASES = [  # what the answer should do, predictions, priors, (H, W)
    ("0 should put the centre in the middle of the cell, and give the prior's size", _one([[[0.0] * 4]]), SQUARE, (16, 16)),
    ("a prior should be width, then height", _one([[[0.0] * 4]]), WIDE, (16, 16)),
    ("x should become its sigmoid, in cells", _one([[[LOG_3, 0.0, 0, 0]]]), SQUARE, (16, 16)),
    ("y should become its sigmoid, in cells", _one([[[0.0, LOG_3, 0, 0]]]), SQUARE, (16, 16)),
    ("the width should be the prior's times the exponential", _one([[[0.0, 0, math.log(2), 0]]]), SQUARE, (16, 16)),
    ("the height should be the prior's times the exponential", _one([[[0.0, 0, 0, math.log(2)]]]), SQUARE, (16, 16)),
    ("boxes should not be clipped to the picture", _one([[[0.0, 0, 1, 1]]]), SQUARE * 3, (16, 16)),
    ("a large number should not leave the cell", _one([[[9.0, -9.0, 0, 0]]]), SQUARE, (16, 16)),
    ("a very large number should put the centre at the cell's far edge", _one([[[100.0, 100.0, 0, 0]]]), SQUARE, (16, 16)),
    ("a side should follow the exponential, however large its number is", _one([[[0.0, 0, 6, 5]]]), SQUARE, (16, 16)),
    ("a side should follow the exponential, however small its number is", _one([[[0.0, 0, -6, -5]]]), SQUARE, (16, 16)),
    ("x should be scaled by the picture's width, y by its height", _one([[[LOG_3, LOG_3, 0, 0]]]), SQUARE, (16, 48)),
    ("a cell in the next column should lie further right", _one([[[0.0] * 4], [[0.0] * 4]]), SQUARE, (16, 32)),
    ("a cell in the next row should lie further down", _one([[[0.0] * 4]], [[[0.0] * 4]]), SQUARE, (32, 16)),
    ("a cell need not be a whole number of pixels wide", _one([[[0.0] * 4], [[0.0] * 4]]), SQUARE, (16, 25)),
    ("a cell need not be a whole number of pixels high", _one([[[0.0] * 4]], [[[0.0] * 4]]), SQUARE, (25, 16)),
    (
        "each box of a cell should have its own prior",
        _one([[[0.0] * 4, [0.0] * 4]]),
        torch.tensor([[8.0, 8], [2, 6]]),
        (16, 16),
    ),
    (
        "each box of a cell should have its own prior, the same in every cell",
        _one([[[0.0] * 4] * 2] * 2),
        torch.tensor([[8.0, 8], [2, 6]]),
        (16, 32),
    ),
    (
        "cells need not be square",
        _one([[[0.0] * 4], [[LOG_3, 0.0, 0, 0]]], [[[0.0, LOG_3, 0, 0]], [[0.0] * 4]]),
        SQUARE,
        (20, 64),
    ),
]  # fmt: skip


@write("8.2", "decode_v2", minutes=15, difficulty=2, gradient=(0, 1))
def decode_v2(draw: Draw) -> Iterator[Case]:
    """Oracle: picture by picture, cell by cell, box by box, with plain numbers."""

    def oracle(predictions: Tensor, priors: Tensor, image_size: tuple[int, int]) -> Tensor:
        b, rows, columns, k, _ = predictions.shape
        (height, width), said, prior = image_size, predictions.tolist(), priors.tolist()
        out = torch.zeros(b, rows, columns, k, 4, dtype=predictions.dtype, device=predictions.device)
        for picture in range(b):
            for r in range(rows):
                for c in range(columns):
                    for j in range(k):
                        x, y, w, h = said[picture][r][c][j]
                        middle_x = (c + 1 / (1 + math.exp(-x))) * width / columns
                        middle_y = (r + 1 / (1 + math.exp(-y))) * height / rows
                        wide, high = prior[j][0] * math.exp(w), prior[j][1] * math.exp(h)
                        box = middle_x - wide / 2, middle_y - high / 2, middle_x + wide / 2, middle_y + high / 2
                        for edge in range(4):
                            out[picture, r, c, j, edge] = box[edge]
        return out

    for says, predictions, priors, size in V2_CASES:
        yield case(says, oracle, predictions, priors, size)
    yield case(
        "no pictures should give [0, R, C, k, 4]", oracle, torch.zeros(0, 2, 3, 2, 4), draw.uniform(2, 2), (32, 48)
    )
    two = torch.cat([_one([[[0.0, 0, 0, 0]]]), _one([[[LOG_3, 0, 0, 0]]])])
    yield case("each picture should have boxes of its own", oracle, two, SQUARE, (16, 16))
    for b, rows, columns, k, size in ((1, 2, 3, 2, (41, 68)), (2, 3, 2, 1, (50, 21)), (3, 2, 5, 3, (63, 101))):
        predictions, priors = draw.normal(b, rows, columns, k, 4), draw.uniform(k, 2, low=4, high=30)
        yield case("every box should follow the formulas", oracle, predictions, priors, size)
    said, turned = draw.normal(2, 2, 4, 3, 2).permute(0, 4, 3, 1, 2), draw.uniform(2, 2, low=4, high=30).T
    yield case("the numbers may lie in memory in another order (permuted)", oracle, said, turned, (40, 66))


# Cells of 8.3 by hand: what should hold, confidences [B, R, C, k], owned [B, R, C], overlaps [P, k], empty_weight.
CONFIDENCES = [
    ("an empty cell should cost its confidences, squared and weighted", [[[[0.5]]]], [[[False]]], [], 0.5),
    ("a responsible box should learn its overlap", [[[[0.5]]]], [[[True]]], [[0.5]], 0.5),
    ("a responsible box should learn its overlap", [[[[1.0]]]], [[[True]]], [[0.5]], 0.5),
    ("a responsible box should learn its overlap, however small", [[[[0.5]]]], [[[True]]], [[0.25]], 0.5),
    ("a responsible box should count in full", [[[[0.25]]]], [[[True]]], [[0.75]], 0.125),
    ("an overlap of 0 should be learned as well", [[[[0.5]]]], [[[True]]], [[0.0]], 0.5),
    ("the other box of a cell with an object should learn 0", [[[[1.0, 0.5]]]], [[[True]]], [[1.0, 0.25]], 0.5),
    ("the other box of a cell with an object should learn 0", [[[[0.5, 1.0]]]], [[[True]]], [[0.25, 1.0]], 0.5),
    ("the other box should have the weight of an empty one", [[[[1.0, 0.5]]]], [[[True]]], [[1.0, 0.25]], 0.125),
    ("the box that overlaps most should be responsible", [[[[0.75, 0.5]]]], [[[True]]], [[0.25, 0.5]], 0.5),
    ("the sum should be divided by the pictures", [[[[0.5]]], [[[0.5]]]], [[[False]], [[False]]], [], 0.5),
    ("the sum should be divided by the pictures", [[[[0.5]]], [[[0.0]]]], [[[True]], [[False]]], [[1.0]], 0.5),
    ("the sum should be divided by the pictures", [[[[1.0, 0.5]]], [[[0.5, 1.0]]]], [[[True]], [[True]]], [[1.0, 0.0], [0.0, 1.0]], 0.5),
    ("cells with and without an object should be told apart", [[[[0.5], [0.25]]]], [[[False, True]]], [[0.75]], 0.5),
    ("all other boxes should learn 0", [[[[1.0, 0.5, 0.25]]]], [[[True]]], [[1.0, 0.25, 0.5]], 0.5),
    ("overlaps come in the order of confidences[owned]", [[[[0.5], [0.25]], [[0.75], [1.0]]]], [[[False, True], [True, False]]], [[0.25], [0.5]], 0.5),
    ("the best box should be responsible, however little it overlaps", [[[[0.75, 0.5]]]], [[[True]]], [[0.125, 0.25]], 0.5),
    ("the best box should be responsible, by however little it is better", [[[[0.75, 0.5]]]], [[[True]]], [[0.25, 0.2500001]], 0.5),
    ("the best box should be responsible, by however little it is better", [[[[0.75, 0.5]]]], [[[True]]], [[0.5, 0.500001]], 0.5),
    ("a responsible box that says 0 should learn its overlap", [[[[0.0]]]], [[[True]]], [[0.5]], 0.5),
    ("an error above 1 should be squared like any other", [[[[2.0]]]], [[[True]]], [[0.5]], 0.5),
    ("with a weight of 0 only responsible boxes should count", [[[[0.5, 0.25]]]], [[[True]]], [[0.25, 0.75]], 0.0),
    ("a weight of 1 should leave the target as it is", [[[[0.5]]]], [[[True]]], [[0.25]], 1.0),
    ("a weight above 1 should count as it is, and not for the responsible box", [[[[0.5, 0.25]]]], [[[True]]], [[0.25, 0.75]], 2.0),
    ("a confidence below 0 should be squared as it is", [[[[-0.5]]]], [[[True]]], [[0.5]], 0.5),
]  # fmt: skip


@fix("8.3", "confidence_loss", stub=SHIPPED, minutes=15, difficulty=2, gradient=(0,))
def confidence_loss(draw: Draw) -> Iterator[Case]:
    """Oracle: one confidence after the other, with plain numbers."""

    def oracle(confidences: Tensor, owned: Tensor, overlaps: Tensor, empty_weight: float) -> Tensor:
        rows = iter(overlaps.tolist())
        total = 0.0
        for numbers, has in zip(confidences.flatten(0, 2).tolist(), owned.flatten().tolist(), strict=True):
            own = next(rows) if has else None
            best = own.index(max(own)) if has else -1
            for j, number in enumerate(numbers):
                total += (number - own[j]) ** 2 if j == best else empty_weight * number**2
        return torch.tensor(total / len(confidences), dtype=confidences.dtype, device=confidences.device)

    for says, confidences, owned, overlaps, weight in CONFIDENCES:
        said = torch.tensor(confidences)
        yield case(says, oracle, said, torch.tensor(owned), torch.tensor(overlaps).reshape(-1, said.shape[-1]), weight)

    def judge(result: Tensor, confidences: Tensor, owned: Tensor, overlaps: Tensor, empty_weight: float) -> str | None:
        """Of boxes that overlap equally, all the boxes of one cell, any one may be responsible."""
        said, own = confidences.flatten().tolist(), overlaps.flatten().tolist()
        empty = [empty_weight * one**2 for one in said]
        right = [sum(empty) - empty[j] + (said[j] - own[j]) ** 2 for j in range(len(said))]
        if result.shape == () and min(abs(float(result) - one) for one in right) <= 1e-4:
            return None
        return f"yours gives {float(result):.4g}, right is {' or '.join(sorted({f'{one:.4g}' for one in right}))}"

    for numbers, equal in (([0.5, 0.5], 0.25), ([0.5, 0.5], 0.0), ([0.5, 0.75, 0.25], 0.5)):
        said, own = torch.tensor([[[numbers]]]), torch.full((1, len(numbers)), equal)
        yield judged(
            "of equal overlaps one should be responsible, not all", judge, said, torch.tensor([[[True]]]), own, 0.5
        )
    near = torch.tensor([[0.25, 0.25 + 1e-12]], dtype=torch.float64)
    says = "a float64 input should work, and the best box be responsible, by however little it is better"
    yield case(says, oracle, torch.tensor([[[[0.75, 0.5]]]]).double(), torch.tensor([[[True]]]), near, 0.5)
    nobody = draw.uniform(2, 3, 2, 2)
    yield case(
        "pictures without any object should have a loss",
        oracle,
        nobody,
        torch.zeros(2, 3, 2).bool(),
        torch.zeros(0, 2),
        0.5,
    )
    for b, rows, columns, k, weight in ((1, 2, 3, 2, 0.5), (2, 3, 2, 3, 0.25), (3, 2, 4, 2, 1.0)):
        owned = draw.uniform(b, rows, columns) < 0.4
        apart = torch.linspace(0.02, 0.9, int(owned.sum()) * k)  # no two overlaps are equal
        overlaps = apart[torch.randperm(len(apart), generator=draw.generator)].reshape(-1, k)
        confidences = draw.uniform(b, rows, columns, k, low=-0.3, high=1.2)
        yield case("every confidence should pay for its own error", oracle, confidences, owned, overlaps, weight)
    said = draw.uniform(2, 2, 3, 2).permute(0, 3, 2, 1)
    has = torch.tensor([[[True, False], [True, False], [False, True]]])
    owned, overlaps = torch.cat([has, ~has]).transpose(1, 2), torch.linspace(0.1, 0.9, 12).reshape(2, 6).T
    yield case("the numbers may lie in memory in another order (permuted)", oracle, said, owned, overlaps, 0.5)


# Detectors of 8.4: what should hold, milliseconds, accuracies.
DETECTORS = [
    ("a detector alone should not be beaten", [5.0], [0.5]),
    ("a slower and less accurate detector should be beaten", [5.0, 9.0], [0.5, 0.25]),
    ("a slower and less accurate detector should be beaten", [9.0, 5.0], [0.25, 0.5]),
    ("a faster and less accurate detector should stay", [5.0, 9.0], [0.25, 0.5]),
    ("an equally fast and less accurate detector should be beaten", [5.0, 5.0], [0.5, 0.25]),
    ("an equally fast and less accurate detector should be beaten", [5.0, 5.0], [0.25, 0.5]),
    ("an equally accurate and slower detector should be beaten", [5.0, 9.0], [0.5, 0.5]),
    ("an equally accurate and slower detector should be beaten", [9.0, 5.0], [0.5, 0.5]),
    ("slower is slower, by however little", [33.25, 33.0], [0.5, 0.5]),
    ("faster is faster, by however little", [5.0, 5.0005], [0.125, 0.875]),
    ("less accurate is less accurate, by however little", [5.0, 5.0], [0.5, 0.50390625]),
    ("more accurate is more accurate, by however little", [5.0, 9.0], [0.5, 0.50390625]),
    ("two equal detectors should not beat each other", [5.0, 5.0], [0.5, 0.5]),
    ("a detector between two others may stay", [2.0, 5.0, 9.0], [0.25, 0.5, 0.75]),
    ("a detector between two others may stay, even far below the line that joins them", [2.0, 8.0, 9.0], [0.25, 0.3125, 0.75]),
    ("a detector may be beaten by one that is beaten itself", [2.0, 5.0, 9.0], [0.75, 0.5, 0.25]),
    ("it takes one detector that is better in both, not two that are better in one each", [2.0, 5.0, 9.0], [0.25, 0.5, 0.5625]),
    ("equal detectors should be beaten together", [2.0, 5.0, 5.0], [0.75, 0.5, 0.5]),
    ("equal detectors should stay together", [2.0, 5.0, 5.0], [0.25, 0.5, 0.5]),
    ("an accuracy of 0 counts like any other", [2.0, 5.0], [0.0, 0.5]),
    ("an accuracy above 1, in percent, counts like any other", [2.0, 5.0], [40.0, 60.0]),
    ("a time above a second counts like any other", [1500.0, 4000.0], [0.25, 0.5]),
]  # fmt: skip


@write("8.4", "not_beaten", minutes=10, difficulty=2)
def not_beaten(draw: Draw) -> Iterator[Case]:
    """Oracle: each detector against each other one."""

    def oracle(milliseconds: Tensor, accuracies: Tensor) -> Tensor:
        pairs = list(zip(milliseconds.tolist(), accuracies.tolist(), strict=True))
        stays = [
            not any(t <= time and a >= accuracy and (t, a) != (time, accuracy) for t, a in pairs)
            for time, accuracy in pairs
        ]
        return torch.tensor(stays, dtype=torch.bool, device=milliseconds.device)

    for says, times, accuracies in DETECTORS:
        yield case(says, oracle, torch.tensor(times), torch.tensor(accuracies))
    more = 1.7 * (1 + 2.0**-23)  # float32's next number; in float32 both have the same reciprocal
    for times, accuracies, says in (
        ([1.7, more], [0.5, 0.5], "slower is slower"),
        ([1.7, more], [0.5, 0.75], "faster is faster"),
        ([5.0, 9.0], [0.5, 0.5000001], "more accurate is more accurate"),
        ([5.0, 5.0], [0.5000001, 0.5], "less accurate is less accurate"),
    ):
        says = f"{says}, by however little"
        yield case(says, oracle, torch.tensor(times), torch.tensor(accuracies))
        times, accuracies = torch.tensor(times).double(), torch.tensor(accuracies).double()
        near = times[0] + (times - times[0]) * 2.0**-20, accuracies[0] + (accuracies - accuracies[0]) * 2.0**-20
        yield case(f"{says}, in float64 too", oracle, *near)
    yield case("no detectors should give [0]", oracle, torch.zeros(0), torch.zeros(0))
    for n, steps, apart, finer in ((4, 4, 2.0, 32), (6, 3, 2.0, 32), (9, 8, 0.125, 256), (20, 30, 0.0625, 256)):
        times, accuracies = 2 + draw.integers(n, low=0, high=steps) * apart, draw.integers(n, low=0, high=steps) / finer
        yield case("every detector should be held against every other", oracle, times, accuracies)


explain("8.5", minutes=10, difficulty=2)
