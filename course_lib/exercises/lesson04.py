"""Checkers of lesson 4: a moved square, generalised IoU, a matcher that loses objects, adaptive thresholds."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from course_lib.exercises.framework import Case, Draw, case, explain, fix, predict, write

LOST = '''
def match_table(table):
    """Table [N, M] of IoUs, objects by boxes → [M]: the object each box answers for, or −1."""
    largest, matches = table.max(dim=0)
    matches[table.argmax(dim=1)] = torch.arange(len(table), device=table.device)
    matches[largest < 0.5] = -1
    return matches
'''

predict(
    "4.1",
    "moved_iou",
    right=1 / 3,
    misconceptions=[
        (0.5, "half of each square is shared, but the two together cover more than one square"),
        (0.25, "the square moved in one direction only, so half of it is shared, not a quarter"),
        (2 / 3, "that is the part of the covered area that only one of the squares covers"),
        (0.75, "that would be little more than a nudge: count the squares that both cover"),
        (3.0, "turn it round: overlap divided by union is never more than 1"),
        (0.6, "that square moved by a quarter of its width only"),
        (0.4, "the two together cover more than that: what the moved square gave up, it covers anew elsewhere"),
        (1 / 7, "that is a move to the right and down; this square moved to the right only"),
        (0.0, "they still overlap: IoU is 0 only when nothing is shared"),
    ],
    otherwise="draw both on squared paper, count the squares in both and the squares in at least one",
    minutes=3,
    difficulty=1,
)


# Cases of 4.4: what should hold, an object, the default boxes, the boxes of each level; always k = 1.
ONE_EACH = [
    ("the threshold is the candidates' mean plus standard deviation",
     [4.0, 4, 20, 28], [[0.0, 0, 16, 32], [0, 0, 32, 32]], [1, 1]),
    ("a threshold may be high", [0.0, 0, 17, 32], [[0.0, 0, 16, 32], [0, 0, 32, 32]], [1, 1]),
    ("an object that no box overlaps has the threshold 0",
     [0.0, 0, 2, 3], [[10.0, 10, 20, 20], [10, 10, 30, 30]], [1, 1]),
    ("of every level only the k nearest boxes should count",
     [10.0, 10, 30, 22], [[11.0, 11, 31, 23], [26, 20, 40, 30], [0, 0, 50, 30]], [2, 1]),
    ("nearest is the box whose centre is nearest, not the one with the largest IoU",
     [10.0, 10, 30, 22], [[18.0, 13, 24, 19], [11, 8, 33, 24], [0, 0, 50, 30]], [2, 1]),
    ("a candidate should count also where the object hardly overlaps it, or not at all",
     [0.0, 0, 8, 8], [[0.0, 0, 8, 6], [1, 1, 9, 9], [6, 6, 14, 14]], [1, 1, 1]),
    ("a candidate should count also where the object hardly overlaps it, or not at all",
     [0.0, 0, 8, 8], [[0.0, 0, 8, 6], [1, 1, 9, 9], [20, 20, 24, 24]], [1, 1, 1]),
]  # fmt: skip
STRAIGHT = "near is the straight distance between centres, across and down alike"
BETWEEN = "centres may lie between whole pixels"
# What should hold, the centres of an object and of two boxes: which is nearer depends on how distance is measured.
NEAR = [
    (STRAIGHT, (10.0, 10.0), (16.0, 10.0), (14.0, 14.0)),  # the second; the first if across and down are added up
    (STRAIGHT, (10.0, 10.0), (15.0, 10.0), (14.0, 14.0)),  # the first; the second if only the longer way counts
    (STRAIGHT, (10.0, 10.0), (10.0, 19.0), (14.0, 10.0)),  # the second; the first if only the way across counts
    (STRAIGHT, (10.0, 10.0), (19.0, 10.0), (10.0, 14.0)),  # the second; the first if only the way down counts
    (BETWEEN, (10.75, 10.0), (8.0, 10.0), (13.0, 10.0)),  # the second; the first if the object's is cut off to 10
    (BETWEEN, (10.25, 10.0), (8.0, 10.0), (12.25, 10.0)),  # the second; the first if all are rounded up
    (BETWEEN, (10.25, 10.0), (12.75, 10.0), (8.0, 10.0)),  # the second; the first if the object's is rounded up to 11
    (BETWEEN, (10.0, 10.0), (12.75, 10.0), (7.5, 10.0)),  # the second; the first if the boxes' are cut off
]

# Tables of 4.3: what should hold, IoUs of objects by boxes.
TABLES = [
    ("an object whose best box is bad should keep it", [[0.3, 0.2]]),
    ("two objects with the same best box should both get one", [[0.9, 0.1, 0.2], [0.8, 0.1, 0.3]]),
    ("the surest pair should go first", [[0.6, 0.2, 0.1], [0.9, 0.4, 0.3]]),
    ("the surest pair should go first, whatever the others get", [[0.48, 0.42, 0.1], [0.44, 0.1, 0.2]]),
    ("a box should take the object that it overlaps most, from 0.5 on", [[0.5, 0.9, 0.49], [0.4, 0.6, 0.45]]),
    ("with more objects than boxes the surest are served", [[0.3, 0.2], [0.4, 0.25], [0.35, 0.1]]),
    ("with more objects than boxes the surest are served", [[0.2, 0.1], [0.3, 0.25], [0.4, 0.35]]),
    ("an object should get its own box also where it has others", [[0.9, 0.8, 0.1], [0.2, 0.7, 0.6]]),
    ("of equal pairs the first object and the first box should go first", [[0.3, 0.3]]),
    ("of equal pairs the first object and the first box should go first", [[0.3, 0.1, 0.2], [0.3, 0.2, 0.1]]),
    ("an object should get a box of its own, however little they overlap", [[0.02, 0.01]]),
    ("the surest pair should go first, however little surer it is", [[0.301, 0.303]]),
    ("a box with a little less than 0.5 is background", [[0.9, 0.499, 0.1]]),
    ("a box that no object needs should take the one that it overlaps most", [[0.9, 0.6, 0.2], [0.1, 0.7, 0.8]]),
]


def _overlap(a: list[float], b: list[float]) -> float:
    """Shared area of two boxes, with plain numbers."""
    across = min(a[2], b[2]) - max(a[0], b[0])
    down = min(a[3], b[3]) - max(a[1], b[1])
    return across * down if across > 0 and down > 0 else 0.0


def _area(a: list[float]) -> float:
    return (a[2] - a[0]) * (a[3] - a[1])


def _ratio(a: list[float], b: list[float]) -> float:
    shared = _overlap(a, b)
    return shared / (_area(a) + _area(b) - shared)


@write("4.2", "generalised_iou", minutes=15, difficulty=2, gradient=(0, 1))
def generalised_iou(draw: Draw) -> Iterator[Case]:
    """Oracle: pair by pair, in plain Python."""

    def oracle(boxes: Tensor, other: Tensor) -> Tensor:
        out = boxes.new_zeros(len(boxes), len(other))
        for i, a in enumerate(boxes.tolist()):
            for j, b in enumerate(other.tolist()):
                union = _area(a) + _area(b) - _overlap(a, b)
                hull = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
                out[i, j] = _overlap(a, b) / union - (hull - union) / hull
        return out

    def one(*numbers: float) -> Tensor:
        return torch.tensor([numbers])

    yield case("a box and itself should give 1", oracle, one(2.0, 1, 7, 4), one(2.0, 1, 7, 4))
    yield case(
        "the part of the enclosing box that neither covers is subtracted", oracle, one(2.0, 1, 7, 4), one(4.0, 2, 9, 6)
    )
    yield case("boxes far apart should give a number below 0", oracle, one(2.0, 1, 7, 4), one(10.0, 6, 12, 9))
    yield case("boxes apart in one direction only share nothing", oracle, one(2.0, 1, 7, 4), one(9.0, 2, 13, 5))
    yield case("the further apart, the smaller the number", oracle, one(0.0, 0, 2, 1), one(30.0, 4, 32, 5))
    yield case("no boxes should give an empty [0, M] table", oracle, torch.zeros(0, 4), draw.boxes(3))
    for n, m in ((3, 0), (0, 0)):
        yield case("no other boxes should give an empty [N, 0] table", oracle, draw.boxes(n), torch.zeros(m, 4))
    yield case("boxes may be given in shares of the picture", oracle, one(0.1, 0.1, 0.4, 0.5), one(0.2, 0.2, 0.6, 0.6))
    yield case("boxes may begin left of the picture and above it", oracle, one(-5.0, -3, 2, 4), one(-2.0, -9, 6, 1))
    yield case("every box should meet every other", oracle, draw.boxes(2), draw.boxes(3))
    yield case("many boxes should work too", oracle, draw.boxes(7), draw.boxes(5))


@fix("4.3", "match_table", stub=LOST, minutes=15, difficulty=2)
def match_table(draw: Draw) -> Iterator[Case]:
    """Oracle: all pairs sorted once, then the threshold box by box."""

    def oracle(table: Tensor) -> Tensor:
        rows, columns = table.shape
        numbers = table.tolist()
        out = [-1] * columns
        for j in range(columns):
            for i in range(rows):
                if numbers[i][j] >= 0.5 and (out[j] < 0 or numbers[i][j] > numbers[out[j]][j]):
                    out[j] = i
        served, taken = set(), set()
        for _, i, j in sorted((-numbers[i][j], i, j) for i in range(rows) for j in range(columns)):
            if i not in served and j not in taken:
                served.add(i)
                taken.add(j)
                out[j] = i
        return torch.tensor(out, dtype=torch.int64, device=table.device)

    def table(n: int, m: int, top: float = 1.0) -> Tensor:
        numbers = torch.randperm(99, generator=draw.generator)[: n * m] + 1  # all different: no tie in any column
        return (numbers * top * 100).round().reshape(n, m) / 10000

    for says, rows in TABLES:
        yield case(says, oracle, torch.tensor(rows))
    yield case("without objects every box is background", oracle, torch.zeros(0, 2))
    for n, m, top in ((2, 4, 1.0), (3, 6, 0.45), (4, 8, 1.0), (6, 4, 0.7)):
        yield case(
            "every object should get its own box, and every other box the object that it overlaps most, from 0.5 on",
            oracle,
            table(n, m, top),
        )


@write("4.4", "adaptive_thresholds", minutes=25, difficulty=3)
def adaptive_thresholds(draw: Draw) -> Iterator[Case]:
    """Oracle: object by object, level by level, with sorted lists."""

    def oracle(boxes: Tensor, default_boxes: Tensor, counts: list[int], k: int) -> Tensor:
        thresholds = []
        for a in boxes.tolist():
            found, start = [], 0
            for count in counts:
                level = default_boxes[start : start + count].tolist()
                start += count
                x, y = (a[0] + a[2]) / 2, (a[1] + a[3]) / 2
                level.sort(key=lambda b: math.hypot((b[0] + b[2]) / 2 - x, (b[1] + b[3]) / 2 - y))
                found += [_ratio(a, b) for b in level[:k]]
            mean = sum(found) / len(found)
            thresholds.append(mean + math.sqrt(sum((v - mean) ** 2 for v in found) / (len(found) - 1)))
        return boxes.new_tensor(thresholds).reshape(len(boxes))

    def grid(rows: int, columns: int, height: float, width: float, larger: float = 1.0) -> Tensor:
        out = []
        for r in range(rows):
            for c in range(columns):
                x, y = (c + 0.5) * width / columns, (r + 0.5) * height / rows
                w, h = larger * width / columns / 2, larger * height / rows / 2
                out.append([x - w, y - h, x + w, y + h])
        return torch.tensor(out)

    def around(x: float, y: float) -> list[float]:
        return [x - 6, y - 4, x + 6, y + 4]

    for says, thing, default_boxes, counts in ONE_EACH:
        yield case(says, oracle, torch.tensor([thing]), torch.tensor(default_boxes), counts, 1)
    levels = torch.cat([grid(2, 3, 30, 48), grid(1, 1, 30, 48)])
    yield case(
        "every level should give its k nearest boxes", oracle, torch.tensor([[3.0, 2, 14, 13]]), levels, [6, 1], 1
    )
    yield case(
        "a level with fewer than k boxes gives all it has", oracle, torch.tensor([[3.0, 2, 14, 13]]), levels, [6, 1], 3
    )
    four = torch.cat([levels, grid(1, 1, 30, 48, 0.7), grid(1, 1, 30, 48, 0.4)])
    yield case("any number of levels should count", oracle, torch.tensor([[3.0, 2, 24, 23]]), four, [6, 1, 1, 1], 2)
    yield case("no objects should give no thresholds", oracle, torch.zeros(0, 4), levels, [6, 1], 2)
    for says, centre, first, second in NEAR:
        near = torch.tensor([around(*first), around(*second), [0, 0, 20, 20]])
        yield case(says, oracle, torch.tensor([around(*centre)]), near, [2, 1], 1)
    turned = torch.cat([grid(1, 1, 30, 48), grid(2, 3, 30, 48)])
    yield case("levels may come in any order", oracle, torch.tensor([[3.0, 2, 14, 13]]), turned, [1, 6], 2)
    aside = torch.tensor([0.13, 0.29, 0.13, 0.29])  # no object half-way between two boxes
    yield case("every object has a threshold of its own", oracle, draw.boxes(2) + aside, levels, [6, 1], 2)
    boxes = torch.cat([grid(4, 5, 30, 50, 1.6), grid(2, 3, 30, 50, 1.3), grid(1, 1, 30, 50)])
    for n, k in ((2, 3), (4, 5), (3, 9)):
        yield case("every object has a threshold of its own", oracle, draw.boxes(n) + aside, boxes, [20, 6, 1], k)


explain("4.5", minutes=10, difficulty=2)
