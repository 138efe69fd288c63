"""Checkers of lesson 9: a confusion matrix, boxes turned upright, a threshold for a price, groups, a label map that shipped."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from course_lib.exercises.framework import Case, Draw, case, explain, fix, judged, predict, write
from course_lib.exercises.values import apart

SHIPPED = '''
def labels_of(category_ids, categories):
    """Labels of COCO objects, [N], [n] int64 → [N] int64: 1 for the first declared category; −1 for unknown ids."""
    known = categories.sort().values
    return torch.searchsorted(known, category_ids)
'''

MATRIX = ((0, 6, 2), (5, 30, 5), (4, 9, 27))  # rows are the truth, columns what was said; background, cup, key
HITS, SAID, THERE = MATRIX[1][1], sum(row[1] for row in MATRIX), sum(MATRIX[1])
TOTAL = sum(sum(row) for row in MATRIX)

predict(
    "9.1",
    "precision",
    right=HITS / SAID,
    misconceptions=[
        (HITS / THERE, "that is the recall: of the cups that are there, the share that was found"),
        (HITS / (SAID - MATRIX[0][1]), "a detection where there is nothing also said cup; the background's row counts"),
        (HITS / (SAID - MATRIX[2][1]), "a key that was taken for a cup also said cup"),
        (2 * HITS / (SAID + THERE), "that is F1, which lies between precision and recall"),
        (
            HITS / (THERE - MATRIX[1][0]),
            "you left the missed cups out of the row; but precision is not read along a row",
        ),
        (
            sum(MATRIX[k][k] for k in range(3)) / TOTAL,
            "that is the share of the diagonal in the whole table; one class is asked for",
        ),
        (HITS / (SAID + THERE - HITS), "you put row and column together; precision needs one of them"),
        (HITS / TOTAL, "the denominator is not the whole table: which detections said cup?"),
        (MATRIX[2][2] / sum(row[2] for row in MATRIX), "that is the precision of the other class, key"),
        (1 - HITS / SAID, "that is the share of those that are wrong"),
        (MATRIX[2][2] / sum(MATRIX[2]), "that is the recall of the other class, key"),
        (
            (HITS + MATRIX[2][2]) / (SAID + sum(row[2] for row in MATRIX)),
            "you took both classes together; one of them is asked for",
        ),
        (
            (HITS / SAID + MATRIX[2][2] / sum(row[2] for row in MATRIX)) / 2,
            "that is the mean over both classes; one of them is asked for",
        ),
        ((HITS + MATRIX[2][2]) / (THERE + sum(MATRIX[2])), "that is the recall of both classes together"),
        (HITS, "so many are right; precision is a share of something"),
        (100 * HITS / SAID, "that is a percentage; a share lies between 0 and 1"),
        (0.67, "nearly; three digits are asked for"),
        (0.66, "nearly; three digits are asked for, and the last one is rounded"),
        (SAID / HITS, "turned round: a share is at most 1"),
    ],
    otherwise="all detections that said cup stand in one column; which share of them is right?",
    minutes=4,
    difficulty=1,
    tolerance=5e-3,
)

TURNS = {
    1: "orientation 1 should change nothing",
    2: "orientation 2 should mirror left to right",
    3: "orientation 3 should turn by a half",
    4: "orientation 4 should mirror top to bottom",
    5: "orientation 5 should let x and y change places",
    6: "orientation 6 should turn a quarter clockwise",
    7: "orientation 7 should mirror along the other diagonal",
    8: "orientation 8 should turn a quarter anticlockwise",
}


@write("9.2", "upright_boxes", minutes=25, difficulty=3)
def upright_boxes(draw: Draw) -> Iterator[Case]:
    """Oracle: each box is painted into a picture of its own, Pillow turns the picture, and the paint is measured.

    The picture has a dot for every eighth of a pixel (a small one for every sixteenth), the first on its left edge and
    the last on its right edge: so fractions can be painted, and boxes without area.
    """

    def oracle(boxes: Tensor, image_size: tuple[int, int], orientation: int) -> Tensor:
        height, width = image_size
        dots = 16 if height * width < 100 else 8
        out = []
        for x1, y1, x2, y2 in (boxes * dots).long().tolist():
            paint = np.zeros((dots * height + 1, dots * width + 1), dtype=np.uint8)
            paint[y1 : y2 + 1, x1 : x2 + 1] = 255
            picture = Image.fromarray(paint)
            picture.getexif()[0x0112] = orientation
            rows, columns = np.nonzero(np.asarray(ImageOps.exif_transpose(picture)))
            out.append([columns.min(), rows.min(), columns.max(), rows.max()])
        return boxes.new_tensor(np.array(out) / dots).reshape(-1, 4)

    small = [[1.0, 0.0, 3.0, 1.0]]
    for orientation in (1, 2, 4, 3, 5, 6, 8, 7):
        yield case(TURNS[orientation], oracle, torch.tensor(small), (4, 6), orientation)
    for orientation in (2, 4, 6, 7, 8):
        yield case(f"a high picture: {TURNS[orientation]}", oracle, torch.tensor(small), (7, 3), orientation)
    for orientation in (6, 8):
        yield case(f"as wide as high: {TURNS[orientation]}", oracle, torch.tensor(small), (5, 5), orientation)
    for orientation in (1, 2, 6):
        for edges in ([1.375, 0.5, 3.25, 1.625], [1.0625, 0.1875, 3.3125, 1.4375]):
            one = torch.tensor([edges])
            yield case("edges may be fractions of a pixel, and stay so", oracle, one, (4, 6), orientation)
    for orientation, flat in ((3, torch.tensor([[1.0, 2, 1, 2]])), (8, torch.tensor([[2.0, 0, 4, 0]]))):
        yield case("a box without area should stay one, and stay in its place", oracle, flat, (4, 6), orientation)
    turned = torch.tensor([[1.0, 0], [0, 1], [3, 4], [1, 2]]).T
    for orientation in (4, 5):
        yield case("every box should be turned with its picture", oracle, turned.contiguous(), (4, 6), orientation)
        says = "the numbers of boxes may lie in memory in another order (transposed)"
        yield case(says, oracle, turned, (4, 6), orientation)
    for size, orientation in (((3, 4097), 2), ((4097, 3), 6)):
        far = torch.tensor([[0.125, 0, 2, 3]] if size[0] == 3 else [[0, 0.125, 3, 2]])
        yield case("in a large picture nothing should be rounded", oracle, far, size, orientation)
    for orientation in (1, 3, 6):
        yield case("no boxes should give [0, 4]", oracle, torch.zeros(0, 4), (4, 6), orientation)
    for orientation in range(1, 9):
        yield case(
            "the whole picture should stay the whole picture",
            oracle,
            torch.tensor([[0.0, 0, 6, 4]]),
            (4, 6),
            orientation,
        )
    for orientation in range(1, 9):
        wide, high = draw.integer(40, 60), draw.integer(20, 35)
        size = (high, wide) if orientation % 2 else (wide, high)
        boxes = draw.boxes(4, 8 * size[1], 8 * size[0]) / 8 if orientation > 3 else draw.boxes(4, size[1], size[0])
        yield case("every box should be turned with its picture", oracle, boxes, size, orientation)
    yield case("every one of many boxes should be turned", oracle, draw.boxes(120, 16, 12), (12, 16), 6)


FLOAT = torch.float32


PRICED = [  # says, scores, hits, objects, price of a false alarm and of a miss
    ("a lone hit should be shown", [0.5], [True], 1, 1.0, 1.0),
    ("a lone false alarm should not be shown", [0.5], [False], 1, 1.0, 1.0),
    ("a dear miss should lower the threshold", [0.75, 0.5, 0.25], [True, False, True], 2, 1.0, 4.0),
    ("a dear false alarm should raise the threshold", [0.75, 0.5, 0.25], [True, False, True], 2, 4.0, 1.0),
    ("the threshold should be one of the scores", [0.337, 0.2113], [True, True], 2, 1.0, 1.0),
    ("a score of 1 should be a threshold like any other", [1.0, 0.5], [True, False], 1, 1.0, 1.0),
    ("a score of 0 should be a threshold like any other", [0.5, 0.0], [True, True], 2, 1.0, 1.0),
    ("of equal costs the highest threshold should be taken", [0.75, 0.5], [True, False], 2, 0.0, 1.0),
    ("of equal costs showing nothing should be taken", [0.5, 0.25], [False, True], 1, 1.0, 1.0),
    ("if a miss costs nothing, nothing should be shown", [0.75, 0.5], [True, False], 2, 1.0, 0.0),
    ("if both prices are 0, nothing should be shown", [0.75, 0.5], [True, False], 2, 0.0, 0.0),
    ("prices may be fractions", [0.75, 0.5], [True, False], 2, 0.25, 0.5),
]


@write("9.3", "cheapest_threshold", minutes=20, difficulty=2)
def cheapest_threshold(draw: Draw) -> Iterator[Case]:
    """Oracle: every threshold in turn, from infinity down, each detection looked at on its own."""

    def oracle(scores: list[float], hits: list[bool], objects: int, false_alarm: float, miss: float) -> float:
        best, cheapest = math.inf, miss * objects
        for threshold in sorted(set(scores), reverse=True):
            shown = [hit for score, hit in zip(scores, hits, strict=True) if score >= threshold]
            cost = false_alarm * shown.count(False) + miss * (objects - shown.count(True))
            if cost < cheapest:
                best, cheapest = threshold, cost
        return best

    def held(
        says: str, scores: list, hits: list, objects: int, false_alarm: float, miss: float, dtype: torch.dtype = FLOAT
    ) -> Case:
        table = torch.tensor(scores, dtype=dtype)

        def judge(
            result: object, scores: Tensor, hits: Tensor, objects: int, false_alarm: float, miss: float
        ) -> str | None:
            right = oracle(scores.tolist(), hits.tolist(), objects, false_alarm, miss)
            if isinstance(result, Tensor):
                return "the result should be a Python float, yours is a tensor: `.item()` makes a number of it"
            if not isinstance(result, float):
                return f"the result should be a Python float, yours is {type(result).__name__}"
            yours, ours = apart(result, right)
            if result not in (math.inf, *scores.tolist()):
                return f"yours gives {yours}, which is neither one of the scores nor infinity"
            return None if result == right else f"yours gives {yours}, right is {ours}"

        return judged(says, judge, table, torch.tensor(hits, dtype=torch.bool), objects, false_alarm, miss)

    for row in PRICED[:7]:
        yield held(*row)
    for low in (True, False):
        yield held("nearly equal scores should be told apart", [0.500004, 0.5], [True, low], 2, 1.0, 1.0)
        near = [0.5 + 1e-12, 0.5]
        says = "nearly equal float64 scores should be told apart"
        yield held(says, near, [True, low], 2, 1.0, 1.0, torch.float64)
    for row in PRICED[7:]:
        yield held(*row)
    for scores in ([0.75], [0.75, 0.5]):
        says, hits = "prices may be small: a cost that is a little smaller is smaller", [True, False][: len(scores)]
        yield held(says, scores, hits, 1, 2.0**-30, 2.0**-30)
    yield held("scores should be sorted first", [0.25, 0.5], [False, True], 1, 1.0, 1.0)
    yield held("equal scores should be shown together", [0.5, 0.5], [True, False], 1, 2.0, 1.0)
    yield held("equal scores should be shown together", [0.5, 0.5, 0.25], [False, True, True], 2, 1.0, 1.0)
    yield held("a second hit behind false alarms may be worth it", [0.875, 0.5, 0.25], [True, False, True], 3, 1.0, 2.0)
    for alarms in (4, 11):
        far = [k / 16 for k in range(15, 13 - alarms, -1)]
        says = "a hit far below may be worth many false alarms before it"
        yield held(says, far, [True, *[False] * alarms, True], 2, 1.0, 16.0)
    yield held("objects without any detection should cost the same everywhere", [0.5], [True], 9, 1.0, 0.125)
    yield held("a cost that is a little smaller is smaller", [0.5], [True], 200_000, 1.0, 1.0)
    yield held("without detections the threshold should be infinite", [], [], 3, 1.0, 1.0)
    yield held("without objects nothing should be shown", [0.5, 0.25], [False, False], 0, 1.0, 1.0)
    yield held("hundreds of hits should be counted", [0.5] * 256, [True] * 256, 256, 1.0, 1.0)
    many = [0.75, *[0.5] * 256, 0.25], [True, *[False] * 256, True]
    yield held("hundreds of false alarms should be counted", *many, 2, 1.0, 1.0)
    yield held("one more than thousands should count", [0.75] * 2048 + [0.5], [True] * 2049, 2049, 1.0, 1.0)
    for count in (6, 9, 14, 30):
        scores = (draw.integers(count, high=count) / 16).tolist()
        hits = (draw.integers(count, high=3) > 0).tolist()
        prices = (draw.integers(2, low=1, high=33) / 8).tolist()
        yield held("the cheapest threshold should be found", scores, hits, sum(hits) + draw.integer(0, 4), *prices)


GROUPED = [  # says, groups, share
    ("with share 0 nothing should be val", [4], 0.0),
    ("with share 1 all should be val", [3, 3], 1.0),
    ("with share 1 all should be val", [4, 4, 9], 1.0),
    ("val should hold at most its share, never more", [1, 1], 0.25),
    ("val should hold at most its share, never more", [1, 1, 2], 0.25),
    ("a group that is too large should be passed over, and smaller ones tried", [5, 5, 2], 0.375),
    ("the largest group should come first", [1, 2, 2], 0.75),
    ("a group should lie on one side", [2, 5, 2, 5], 0.25),
    ("a group that is too large should be passed over, and smaller ones tried", [5, 5, 5, 2], 0.5),
    ("the largest group should come first", [1, 2, 2, 2, 3, 3, 4, 4], 0.5),
    ("the largest group should come first, even where others would fill val better", [2, 2, 2, 3, 3, 4, 4], 0.625),
    ("of equally large groups the smaller number should come first", [8, 3, 3, 8], 0.5),
    ("of equally large groups the smaller number should come first", [10, 10, 9, 9], 0.5),
    ("0 should be a group's number like any other", [0, 0, 3], 0.75),
    ("of equally large groups the smaller number should come first", [6, 1, 1, 6, 1, 2, 1, 8], 0.375),
    ("pictures of one group need not stand together", [7, 3, 3, 7, 3, 5, 3, 9], 0.375),
    ("group numbers may have gaps and be large", [10**12, 3, 10**12, 3], 0.5),
    ("large numbers that differ by little should be different groups", [2**53, 2**53 + 1, 2**53 + 1], 0.375),
    ("large numbers should not be cut to 32 bits", [2**32 + 3, 3, 3], 0.375),
    ("group numbers may be negative", [-4, -4, -9], 0.25),
    ("group numbers may be negative", [-1, -1, 4], 0.75),
    ("group numbers may be negative, far below 0", [-3 - 10**12, -(10**12), -(10**12), -3 - 10**12], 0.5),
    ("group numbers may be negative, and the smaller one comes first", [-4, -4, -9, -9], 0.5),
]


@write("9.4", "split_groups", minutes=20, difficulty=2)
def split_groups(draw: Draw) -> Iterator[Case]:
    """Oracle: the groups one by one, by the rule, with plain lists."""

    def oracle(groups: Tensor, share: float) -> Tensor:
        members = groups.tolist()
        waiting = sorted(set(members), key=lambda group: (-members.count(group), group))
        chosen: list[int] = []
        for group in waiting:
            if sum(members.count(one) for one in [*chosen, group]) <= share * len(members):
                chosen.append(group)
        return torch.tensor([group in chosen for group in members], dtype=torch.bool, device=groups.device)

    for says, groups, share in GROUPED:
        yield case(says, oracle, torch.tensor(groups), share)
    for share in (0.0, 0.5, 1.0):
        yield case("without pictures there should be nothing", oracle, torch.zeros(0, dtype=torch.int64), share)
    yield case("groups of hundreds should be counted", oracle, torch.tensor([7] * 256 + [3] * 100 + [5] * 44), 0.5)
    yield case("with share 1 all should be val", oracle, torch.tensor([7] * 2048 + [3]), 1.0)
    for first, says in (
        (1001, "val should hold at most its share, never more"),
        (1000, "exactly the share is allowed"),
    ):
        thousands = torch.tensor([7] * first + [3] * (2000 - first))
        yield case(f"{says}, with thousands of pictures too", oracle, thousands, 0.5)
    alone = torch.randperm(24, generator=draw.generator)
    yield case("of many equally large groups the smaller numbers should come first", oracle, alone, 0.75)
    for count, kinds, eighths in ((10, 4, 3), (24, 7, 2), (40, 6, 5), (64, 20, 1)):
        groups = draw.integers(count, high=kinds) * 3 - 4
        yield case("whole groups should fill val, largest first", oracle, groups, eighths / 8)


DECLARED = [  # says, ids of objects, declared ids
    ("the first declared category should be 1, since 0 is background", [4], [4]),
    ("the second declared category should be 2", [9], [4, 9]),
    ("the file's order should count, not the ids' size", [2], [7, 2]),
    ("gaps between ids should not matter", [90], [1, 90]),
    ("an id that is not declared should be −1", [5], [7, 2, 90]),
    ("an id that is not declared should be −1", [5], [4]),
    ("an id that is not declared should be −1", [5], [7, 2]),
    ("an id below all declared ones should be −1", [1], [7, 2]),
    ("an id above all declared ones should be −1", [99], [7, 2]),
    ("ids may start at 0", [0, 1], [0, 1]),
    ("ids may be negative", [-5, 3], [3, -5]),
    ("ids may be negative, −1 too", [-1], [4, -1]),
    ("a negative id that is not declared should be −1", [-1], [0, 1]),
    ("ids may be far below 0", [-(10**12), -3], [3, -(10**12)]),
    ("ids may be large", [10**12], [3, 10**12]),
    ("large ids that differ by little should be told apart", [2**53, 2**53 + 1], [2**53, 2**53 + 1]),
    ("large ids should not be cut to 32 bits", [2**32 + 3], [2**32 + 4, 3]),
    ("every object should get its own label", [2, 90, 7, 5, 2], [7, 2, 90]),
    *(
        ("ids that end in the same digits should be told apart", [7, 7 + 10**k, 7 + 2 * 10**k], [7 + 10**k, 7])
        for k in range(1, 10)
    ),
    *(
        ("ids that end in the same bits should be told apart", [7, 7 + 2**k, 7 + 3 * 2**k], [7 + 2**k, 7])
        for k in (7, 8, 10, 12, 16, 20, 24, 31, 48)
    ),
]


@fix("9.5", "labels_of", stub=SHIPPED, minutes=15, difficulty=2)
def labels_of(draw: Draw) -> Iterator[Case]:
    """Oracle: each object's id is looked up in the list of declared ids."""

    def oracle(category_ids: Tensor, categories: Tensor) -> Tensor:
        declared = categories.tolist()
        labels = [declared.index(one) + 1 if one in declared else -1 for one in category_ids.tolist()]
        return torch.tensor(labels, dtype=torch.int64, device=category_ids.device)

    for says, ids, categories in DECLARED:
        yield case(says, oracle, torch.tensor(ids), torch.tensor(categories))
    nothing = torch.zeros(0, dtype=torch.int64)
    yield case("no objects should give [0]", oracle, nothing, torch.tensor([7, 2]))
    yield case("with no declared categories every id should be −1", oracle, torch.tensor([3, 1]), nothing)
    yield case("no objects and no categories should give [0]", oracle, nothing, nothing)
    hundreds = torch.arange(300).flip(0)
    yield case("there may be many categories", oracle, torch.tensor([299, 170, 40, 0, 300]), hundreds)
    for n, count in ((4, 6), (12, 20), (80, 40)):
        order = torch.randperm(2 * n, generator=draw.generator)[:n] + 1
        yield case("every object should get its own label", oracle, draw.integers(count, low=0, high=2 * n + 3), order)


explain("9.6", minutes=10, difficulty=2)
