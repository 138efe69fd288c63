"""Checkers of lesson 5: suppression by hand, soft suppression, a score that knows its box, a scorer, a score threshold."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from course_lib.exercises.framework import Case, Draw, case, explain, fix, predict, write

HITS = '''
def find_hits(boxes, scores, objects):
    """Whether each of the detections (boxes [D, 4], scores [D]) is a hit, [D] bool, for objects [N, 4]."""
    table = iou(boxes, objects)
    overlap, _ = table.max(dim=1)
    return overlap >= 0.5
'''

predict(
    "5.1",
    "left_over",
    right=[1, 3],
    misconceptions=[
        ([1], "3 does not overlap 1 enough; who could have crossed it out, and was that one still there?"),
        ([1, 0], "0 is a neighbour of 1, and neighbours overlap by 7 of 13"),
        ([1, 2], "2 is a neighbour of 1, and neighbours overlap by 7 of 13"),
        ([3, 1], "the best score comes first"),
        ([0, 2], "the walk goes down the scores, not down the list"),
        ([1, 3, 2, 0], "nobody was crossed out: compute the IoU of two neighbours"),
        ([0, 1, 2, 3], "nobody was crossed out: compute the IoU of two neighbours"),
        ([1, 3, 0], "0 is a neighbour of 1, and neighbours overlap by 7 of 13"),
        ([3], "the walk begins with the best score"),
        ([2, 0], "those are the ones that are crossed out"),
        ([0, 2, 1], "the worst score does not come first"),
        ([1, 3, 2], "2 is a neighbour of 1, and neighbours overlap by 7 of 13"),
        ([0, 1, 3], "0 is a neighbour of 1, and the better of two neighbours goes first"),
        ([2, 4], "the detections are counted from 0"),
        ([0.9, 0.8], "give the numbers of the detections, not their scores"),
        ([False, True, False, True], "give the numbers of those that are left, not a yes or no for each"),
        ([0, 1, 0, 1], "give the numbers of those that are left, not a yes or no for each"),
    ],
    otherwise="sort by score; who still stands crosses out whom it overlaps by more than half; who is gone crosses out nobody",
    minutes=4,
    difficulty=1,
)


# Cases of 5.2: what should hold, rows (x1, y1, x2, y2, score, label), iou_threshold, score_threshold.
SOFT = [
    ("a lone box should keep its score", [(2.0, 1, 7, 4, 0.8, 1)], 0.4, 0.1),
    ("a box whose score is not above `score_threshold` should go", [(2.0, 1, 7, 4, 0.25, 3)], 0.4, 0.25),
    ("nothing should give two empty tensors", [], 0.4, 0.1),
    ("a box that overlaps a better one should stay with a lower score",
     [(2.0, 1, 7, 4, 0.8, 1), (3, 1, 8, 4, 0.9, 1)], 0.4, 0.1),
    ("boxes of different classes should leave each other alone",
     [(2.0, 1, 7, 4, 0.8, 2), (3, 1, 8, 4, 0.9, 1)], 0.4, 0.1),
    ("an IoU that is exactly the threshold should cost nothing",
     [(0.0, 0, 4, 2, 0.75, 1), (0, 0, 2, 2, 0.5, 1)], 0.5, 0.1),
    ("after a score was lowered another box may be the best",
     [(2.0, 1, 7, 4, 0.8, 1), (3, 1, 8, 4, 0.9, 1), (20, 1, 25, 4, 0.5, 1)], 0.4, 0.1),
    ("a box may be lowered more than once, and drop out",
     [(0.0, 0, 10, 3, 0.9, 1), (1, 0, 11, 3, 0.8, 1), (2, 0, 12, 3, 0.7, 1), (3, 0, 13, 3, 0.6, 1)], 0.4, 0.05),
    ("of equal scores the earlier box should go first",
     [(9.0, 1, 12, 5, 0.5, 2), (1, 1, 5, 4, 0.5, 1), (1, 1, 5, 3, 0.5, 1)], 0.4, 0.1),
    ("boxes of different classes should leave each other alone, wherever they lie",
     [(-30.0, -30, 10, 10, 0.9, 1), (-30, -30, 10, 10, 0.8, 2)], 0.3, 0.1),
    ("boxes of different classes should leave each other alone, wherever they lie",
     [(1000.0, 1000, 1040, 1040, 0.9, 1), (0, 0, 40, 40, 0.8, 2)], 0.3, 0.1),
    ("boxes of one class should lower each other, wherever they lie",
     [(-3.0, -9, 5, -3, 0.9, 3), (-3, -7, 5, -1, 0.8, 3)], 0.3, 0.1),
    ("the numbers should be places in the list as it came, whoever was dropped",
     [(9.0, 1, 12, 5, 0.05, 1), (1, 1, 5, 4, 0.5, 1)], 0.4, 0.1),
    ("of scores that become equal the earlier box should go first",
     [(20.0, 1, 25, 4, 0.25, 1), (0, 0, 2, 2, 0.5, 1), (0, 0, 4, 2, 0.75, 1)], 0.4, 0.1),
    ("boxes should lower each other wherever they stand in the list",
     [(2.0, 1, 7, 4, 0.8, 1), (20, 1, 25, 4, 0.2, 1), (3, 1, 8, 4, 0.9, 1)], 0.4, 0.1),
    ("identical boxes should leave one",
     [(1.0, 2, 5, 9, 0.5, 4), (1, 2, 5, 9, 0.75, 4), (1, 2, 5, 9, 0.25, 4)], 0.4, 0.1),
]  # fmt: skip

# Cases of 5.4: what should hold, detections, their scores, objects.
THING, PAIR = [[1.0, 1, 5, 4]], [[0.0, 0, 10, 4], [2, 0, 12, 4]]
ROW = [[0.0, 0, 10, 4], [1, 0, 11, 4], [2, 0, 12, 4]]
CLAIMED = [
    ("a box on an object should be a hit", THING, [0.9], THING),
    ("an IoU of exactly one half should be enough", [[0.0, 0, 2, 2]], [0.9], [[0.0, 0, 4, 2]]),
    ("without objects nothing should be a hit", THING, [0.9], []),
    ("no detections should give [0]", [], [], THING),
    ("an object should be claimed once", THING * 2, [0.9, 0.6], THING),
    ("the better score should go first", [[1.0, 1, 4, 4], [1, 1, 5, 4]], [0.6, 0.9], THING),
    ("two detections on two objects should both be hits", [[0.0, 0, 4, 4], [20, 0, 24, 4]], [0.9, 0.8],
     [[0.0, 0, 4, 4], [20, 0, 24, 4]]),
    ("a score of 0 should count, too", THING, [0.0], THING),
    ("scores may lie close together", [[1.0, 1, 4, 4], [1, 1, 5, 4]], [0.601, 0.604], THING),
    ("each result should stand at its detection's own place",
     [[1.0, 1, 5, 4], [20, 0, 24, 4], [30, 0, 34, 4]], [0.5, 0.9, 0.7], THING),
    ("an object that was claimed stays claimed", [[1.0, 1, 4, 4], [1, 1, 5, 4]], [0.9, 0.6], THING),
    ("of equal scores the first should claim the object", [[1.0, 1, 4, 4], [1, 1, 5, 4]], [0.5, 0.5], THING),
    ("a detection that reaches no object should leave it to the next", [[0.0, 0, 2, 3], [1, 1, 5, 4]], [0.9, 0.5], THING),
    ("without objects and without detections the result should be [0]", [], [], []),
    ("a detection should take the object that is left", [[0.0, 0, 10, 4], [1, 0, 10, 4]], [0.9, 0.8], PAIR),
    ("a detection should take the object that is left, however many are gone",
     [[0.0, 0, 10, 4]] * 3, [0.9, 0.8, 0.7], ROW),
    ("a detection should take the object that it overlaps most",
     [[2.0, 0, 12, 4], [4, 0, 14, 4], [0, 0, 10, 4]], [0.9, 0.8, 0.7], PAIR),
]  # fmt: skip


def _logit(p: float) -> float:
    return math.log(p / (1 - p))


# Cases of 5.3: what should hold, logits of one box, its class, its quality.
QUALITIES = [
    ("the true class wants the quality, the others 0", [_logit(0.8), _logit(0.1)], 1, 0.5),
    ("quality 1 is a plain yes", [_logit(0.3)], 1, 1.0),
    ("background should cost something, whatever stands in quality", [_logit(0.8), _logit(0.1)], 0, 0.7),
    ("a box that is not asked should cost 0", [_logit(0.8), _logit(0.1)], -1, 0.7),
    ("label c has column c - 1, also for the last class", [_logit(0.2), _logit(0.6), _logit(0.9)], 3, 0.4),
    ("large logits should stay finite, and cost in full", [200.0, -150.0], 2, 0.25),
    ("large wrong logits should stay finite", [-200.0, 90.0], 1, 0.75),
    ("an over-sure answer should cost more than one that equals the quality", [_logit(0.99)], 1, 0.6),
    ("large logits should stay finite, and cost in full", [200.0, -150.0], 0, 0.5),
    ("large logits should stay finite, and cost in full", [-200.0, 150.0], 2, 0.5),
    ("quality 0 is a plain no", [1.0], 1, 0.0),
    ("a low quality should count as it is", [1.0], 1, 0.25),
    (
        "with a single class, too, background should cost something, and wants 0 whatever its quality says",
        [1.0],
        0,
        0.7,
    ),
    ("with a single class, too, a box that is not asked should cost 0", [1.0], -1, 0.7),
]


def _ratio(a: list[float], b: list[float]) -> float:
    """IoU of two boxes, with plain numbers."""
    across = min(a[2], b[2]) - max(a[0], b[0])
    down = min(a[3], b[3]) - max(a[1], b[1])
    shared = across * down if across > 0 and down > 0 else 0.0
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


@write("5.2", "soft_suppression", minutes=25, difficulty=3, tolerance=1e-3)
def soft_suppression(draw: Draw) -> Iterator[Case]:
    """Oracle: a list of those that wait, with plain numbers."""

    def oracle(boxes: Tensor, scores: Tensor, labels: Tensor, iou_threshold: float, score_threshold: float) -> tuple:
        waiting = [[s, i] for i, s in enumerate(scores.tolist())]
        places, kinds, kept = boxes.tolist(), labels.tolist(), []
        while waiting:
            top = max(waiting, key=lambda pair: (pair[0], -pair[1]))
            if not top[0] > score_threshold:
                break
            waiting.remove(top)
            kept.append(top)
            for pair in waiting:
                ratio = _ratio(places[top[1]], places[pair[1]])
                if kinds[pair[1]] == kinds[top[1]] and ratio > iou_threshold:
                    pair[0] *= 1 - ratio
        indices = torch.tensor([i for _, i in kept], dtype=torch.int64, device=boxes.device)
        return indices, scores.new_tensor([s for s, _ in kept])

    for says, rows, iou_threshold, score_threshold in SOFT:
        table = torch.tensor(rows).reshape(-1, 6)
        yield case(says, oracle, table[:, :4], table[:, 4], table[:, 5].long(), iou_threshold, score_threshold)
    for n in (3, 5, 9, 14):
        scores = (torch.randperm(n, generator=draw.generator) + 1) / (n + 1)
        labels = draw.integers(n, low=1, high=4)
        yield case(
            "every box should be lowered by each better box of its class that it overlaps",
            oracle,
            draw.boxes(n, 22, 14),
            scores,
            labels,
            0.3,
            0.02,
        )


@write("5.3", "quality_loss", minutes=15, difficulty=2, gradient=(0,))
def quality_loss(draw: Draw) -> Iterator[Case]:
    """Oracle: question by question, with plain numbers."""

    def cost(logit: float, wanted: float) -> float:
        no = logit if logit > 30 else math.log1p(math.exp(logit))
        yes = -logit if logit < -30 else math.log1p(math.exp(-logit))
        return wanted * yes + (1 - wanted) * no

    def oracle(logits: Tensor, classes: Tensor, quality: Tensor) -> Tensor:
        out = []
        for row, label, q in zip(logits.tolist(), classes.tolist(), quality.tolist(), strict=True):
            costs = [cost(z, q if c + 1 == label else 0.0) for c, z in enumerate(row)]
            out.append(sum(costs) if label >= 0 else 0.0)
        return logits.new_tensor(out)

    for says, row, label, q in QUALITIES:
        yield case(says, oracle, torch.tensor([row]), torch.tensor([label]), torch.tensor([q]))
    yield case("no boxes should give [0]", oracle, torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64), torch.zeros(0))
    for m, n in ((2, 3), (4, 2), (7, 5)):
        classes = draw.integers(m, low=-1, high=n + 1)
        yield case("every box should pay for itself", oracle, draw.normal(m, n, scale=2), classes, draw.uniform(m))


@fix("5.4", "find_hits", stub=HITS, minutes=12, difficulty=2)
def find_hits(draw: Draw) -> Iterator[Case]:
    """Oracle: detection by detection, with plain numbers."""

    def oracle(boxes: Tensor, scores: Tensor, objects: Tensor) -> Tensor:
        rows, points, things = boxes.tolist(), scores.tolist(), objects.tolist()
        free, out = list(range(len(things))), [False] * len(rows)
        for i in sorted(range(len(rows)), key=lambda i: (-points[i], i)):
            best = max(free, key=lambda j: _ratio(rows[i], things[j]), default=None)
            if best is not None and _ratio(rows[i], things[best]) >= 0.5:
                out[i] = True
                free.remove(best)
        return torch.tensor(out, dtype=torch.bool, device=boxes.device)

    def near(things: Tensor, n: int) -> tuple[Tensor, Tensor]:
        chosen = things[draw.integers(n, high=len(things))]
        moved = chosen + draw.integers(n, 4, low=-1, high=2)
        return moved, (torch.randperm(n, generator=draw.generator) + 1) / (n + 1)

    for says, detections, scores, objects in CLAIMED:
        boxes, things = (torch.tensor(rows).reshape(-1, 4) for rows in (detections, objects))
        yield case(says, oracle, boxes, torch.tensor(scores), things)
    for d, n in ((3, 2), (6, 3), (12, 4)):
        things = draw.boxes(n, 30, 20)
        boxes, scores = near(things, d)
        yield case(
            "going down the scores, each detection should claim the free object that it overlaps most",
            oracle,
            boxes,
            scores,
            things,
        )


@write("5.5", "best_threshold", minutes=20, difficulty=2, tolerance=1e-5)
def best_threshold(draw: Draw) -> Iterator[Case]:
    """Oracle: threshold by threshold, counting."""

    def oracle(scores: Tensor, hits: Tensor, objects: int) -> tuple[float, float]:
        points, right, best = scores.tolist(), hits.tolist(), (1.0, 0.0)
        if points:
            best = (max(points), -1.0)
        for threshold in sorted(set(points), reverse=True):
            passing = [h for s, h in zip(points, right, strict=True) if s >= threshold]
            value = 2 * sum(passing) / (len(passing) + objects)
            if value > best[1] + 1e-12:
                best = (threshold, value)
        return best

    def given(scores: list[float], hits: str, objects: int) -> tuple:
        return torch.tensor(scores), torch.tensor([h == "+" for h in hits]), objects

    yield case("one detection, one object, one hit", oracle, *given([0.75], "+", 1))
    yield case("without detections (1.0, 0.0)", oracle, torch.zeros(0), torch.zeros(0, dtype=torch.bool), 3)
    yield case("missed objects should cost as well", oracle, *given([0.5], "+", 4))
    yield case("without a hit the highest score, with F1 0", oracle, *given([0.25, 0.75], "--", 2))
    yield case("false positives should cost as well", oracle, *given([0.75, 0.5], "-+", 1))
    yield case("equal scores should pass together", oracle, *given([0.75, 0.75], "+-", 1))
    yield case("of equally good thresholds the highest", oracle, *given([0.5, 0.75], "-+", 1))
    yield case("a small gain in F1 should count, too", oracle, *given([0.75, 0.25], "++", 3000))
    yield case("a lower threshold may be better", oracle, *given([0.25, 0.75, 0.5], "+++", 3))
    yield case("a threshold may be better after a worse one", oracle, *given([0.9, 0.8, 0.7, 0.6], "+-++", 4))
    yield case("only scores that occur can be chosen, with all their digits", oracle, *given([0.12345], "+", 1))
    yield case(
        "only scores that occur can be chosen, with all their digits", oracle, *given([0.98765, 0.00123], "-+", 1)
    )
    yield case("scores may be very near to each other", oracle, *given([0.903, 0.901], "+-", 1))
    yield case("a score of 0 may be the threshold, too", oracle, *given([0.0], "+", 1))
    falling = [0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]
    yield case("two thresholds with the same F1 should give the higher one", oracle, *given(falling, "-+++--+", 5))
    yield case(
        "two thresholds with the same F1 should give the higher one",
        oracle,
        *given([0.875, 0.75, 0.625, 0.5], "+--+", 2),
    )
    yield case(
        "scores need not be sorted, and ties may be anywhere", oracle, *given([0.875, 0.5, 0.875, 0.25], "++--", 4)
    )
    yield case(
        "any number of thresholds should be tried", oracle, *given([k / 16 for k in range(16, 0, -1)], "+" * 16, 16)
    )
    for d, objects in ((5, 3), (9, 4), (20, 30)):
        scores = draw.integers(d, low=1, high=8) / 8 + draw.integer(0, 99) / 1000
        yield case("the best threshold of all should be found", oracle, scores, draw.uniform(d) < 0.6, objects)


explain("5.6", minutes=10, difficulty=2)
