"""Checkers of lesson 1: box formats, a sibling of the localization loss, pooling, the weight a, two bugs."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from course_lib.exercises.framework import Case, Draw, case, explain, fix, judged, predict, write

FLIP = '''
def flip(image, boxes):
    """Mirror a picture [3, H, W] and its boxes [N, 4] left to right."""
    width = image.shape[2]
    flipped = boxes.clone()
    flipped[:, 0] = width - boxes[:, 0]
    flipped[:, 2] = width - boxes[:, 2]
    return image.flip(2), flipped
'''

CLIP = '''
def clip_to_picture(boxes_cxcywh, size):
    """Cut boxes [N, 4] (centre, width, height) at the edges of a picture of size (H, W)."""
    height, width = size
    cx = boxes_cxcywh[:, 0].clamp(0, width)
    cy = boxes_cxcywh[:, 1].clamp(0, height)
    w = boxes_cxcywh[:, 2].clamp(0, width)
    h = boxes_cxcywh[:, 3].clamp(0, height)
    return torch.stack([cx, cy, w, h], dim=1)
'''

# read_yolo: property, text, size of the picture
YOLO_TEXTS = [
    ("x is a share of the width, y of the height, and class 0 becomes label 1", "0 0.5 0.5 0.2 0.4", (50, 100)),
    ("YOLO counts classes from 0, the course's labels from 1", "3 0.25 0.5 0.5 0.9", (40, 80)),
    ("a share may be written without a point", "0 0.5 0.5 0.2 1", (50, 100)),
    ("a text without lines should give boxes [0, 4] and labels [0]", "", (60, 90)),
    ("a text of blank lines holds no object", "\n  \n", (60, 90)),
    ("blank lines and blanks at the end of a line hold no box", "\n1 0.3 0.6 0.2 0.2 \n\n", (30, 70)),
    ("blanks may come doubled, before the class, and alone on a line", "  1  0.3 0.6   0.2 0.2\n   \n", (30, 70)),
    ("the same line means other pixels in another picture", "0 0.5 0.5 0.2 0.4", (100, 50)),
    ("a picture may be higher than wide, and a class may have two digits", "17 0.5 0.5 0.2 0.2", (90, 30)),
    ("a box that hangs over the edge should stay as it is written", "2 0.05 0.9 0.2 0.4", (50, 100)),
    ("a box that hangs over the edge should stay as it is written", "2 0.95 0.1 0.2 0.4", (50, 100)),
    ("half of an odd side is no whole number", "0 0.5 0.5 0.25 0.3", (50, 100)),
    ("a class may have three digits", "365 0.5 0.5 0.2 0.2", (50, 100)),
    ("two equal lines are two objects, and small ones count", "0 0.5 0.5 0.02 0.02\n0 0.5 0.5 0.02 0.02\n", (30, 50)),
    ("a blank line holds no object, and what follows it counts", "0 .5 .5 .2 .4\n\n0 .4 .5 .2 .4", (50, 100)),
    ("a box with its centre outside the picture is an object as well", "0 -0.05 0.5 0.2 0.2", (50, 100)),
    ("a box with its centre outside the picture is an object as well", "0 1.05 0.5 0.2 0.2", (50, 100)),
    ("a box with its centre outside the picture is an object as well", "0 0.5 -0.05 0.2 0.2", (50, 100)),
    ("a box with its centre outside the picture is an object as well", "0 0.5 1.05 0.2 0.2", (50, 100)),
    ("a small share may be written with an exponent", "0 0.5 5e-02 0.2 1e-01", (50, 100)),
    ("a box quite outside the picture is an object as well", "0 -0.5 0.5 0.2 0.2", (50, 100)),
    ("a box quite outside the picture is an object as well", "0 1.5 0.5 0.2 0.2", (50, 100)),
    ("a box quite outside the picture is an object as well", "0 0.5 -0.5 0.2 0.2", (50, 100)),
    ("a box quite outside the picture is an object as well", "0 0.5 1.5 0.2 0.2", (50, 100)),
    ("a box may be wider or higher than the picture", "0 0.5 0.5 1.2 0.4", (50, 100)),
    ("a box may be wider or higher than the picture", "0 0.5 0.5 0.2 1.5", (50, 100)),
    ("a box without width or height is an object as well", "0 0.5 0.5 0 0.2", (50, 100)),
    ("a box without width or height is an object as well", "0 0.5 0.5 0.2 0", (50, 100)),
    ("a box without width or height is an object as well", "0 0.5 0.5 0 0", (50, 100)),
    ("all digits of a share count", "0 0.123456 0.654321 0.111111 0.222222", (900, 1200)),
]

# flip: property, rows and columns of the picture, boxes
MIRRORED = [
    ("the picture should be mirrored, and the left edge should stay left of the right edge", 1, 2, [[0, 0, 1, 1]]),
    ("a picture may have an odd width", 1, 3, [[0, 0, 1, 1]]),
    ("a picture without objects should keep boxes [0, 4]", 1, 3, []),
    ("a box in the upper left corner should end in the upper right one", 2, 4, [[0, 0, 1, 1]]),
    (
        "corners need not be whole numbers",
        2,
        17,
        [[10.300000190734863, 0.4000000059604645, 13.699999809265137, 1.600000023841858]],
    ),
    ("what hangs over one edge should hang over the other in the mirror", 1, 5, [[-2, 0, 1, 1]]),
    ("what hangs over one edge should hang over the other in the mirror", 1, 5, [[3, 0, 6, 1]]),
    ("a box without width should move as well", 1, 4, [[1, 0, 1, 1]]),
    ("what hangs over the upper or lower edge should stay there", 2, 3, [[0, -1, 1, 1]]),
    ("what hangs over the upper or lower edge should stay there", 2, 3, [[0, 1, 1, 3]]),
    ("a box without height should move as well", 2, 3, [[0, 1, 1, 1]]),
    ("a box quite outside the picture should lie outside on the other side", 1, 6, [[-4, 0, -2, 1]]),
    ("a box quite outside the picture should lie outside on the other side", 1, 6, [[7, 0, 9, 1]]),
    ("a box quite above or below the picture should move as well", 1, 6, [[0, -2, 2, 0]]),
    ("a box quite above or below the picture should move as well", 1, 6, [[0, 1, 2, 3]]),
    ("two equal boxes are two objects", 1, 6, [[2, 0, 4, 1], [2, 0, 4, 1]]),
]


@write("1.1", "read_yolo", minutes=15, difficulty=2)
def read_yolo(draw: Draw) -> Iterator[Case]:
    """Oracle: word by word, with plain numbers."""

    def oracle(text: str, size: tuple[int, int]) -> dict:
        rows, labels = [], []
        for line in text.split("\n"):
            words = line.split()
            if words:
                x, y, w, h = (float(word) for word in words[1:])
                across, down = size[1], size[0]
                rows += [(x - w / 2) * across, (y - h / 2) * down, (x + w / 2) * across, (y + h / 2) * down]
                labels.append(1 + int(words[0]))
        return {"boxes": torch.tensor(rows).reshape(-1, 4), "labels": torch.tensor(labels, dtype=torch.int64)}

    def lines(n: int) -> str:
        boxes = draw.boxes(n, 100, 100) / 100
        classes = draw.integers(n, high=8).tolist()
        shares = torch.cat([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], dim=1).tolist()
        return "\n".join(f"{c} " + " ".join(f"{v:.3f}" for v in row) for c, row in zip(classes, shares, strict=True))

    for says, text, size in YOLO_TEXTS:
        yield case(says, oracle, text, size)
    for n in (2, 3, 6, 17, 60):
        size = (draw.integer(20, 60), draw.integer(61, 120))
        yield case(f"{n} lines should give {n} boxes and {n} labels, in the same order", oracle, lines(n), size)


@write("1.2", "balanced_l1", minutes=15, difficulty=2, gradient=(0, 1))
def balanced_l1(draw: Draw) -> Iterator[Case]:
    """Oracle: number by number, with the formula of Libra R-CNN (Pang et al. 2019, equations 8 to 10)."""
    alpha, gamma = 0.5, 1.5

    def one(error: float) -> float:
        b = math.expm1(gamma / alpha)
        if error < 1:
            return alpha / b * (b * error + 1) * math.log(b * error + 1) - alpha * error
        return gamma * (error - 1) + alpha / b * (b + 1) * math.log(b + 1) - alpha

    def oracle(predicted: Tensor, true: Tensor) -> Tensor:
        pairs = zip(predicted.tolist(), true.tolist(), strict=True)
        sums = [sum(one(abs(p - t)) for p, t in zip(a, b, strict=True)) for a, b in pairs]
        return predicted.new_tensor(sum(sums) / max(len(sums), 1))

    def pair(*errors: float) -> tuple[Tensor, Tensor]:
        true = torch.tensor([[3.0, 5, 11, 8]])
        return true + torch.tensor([errors]), true

    yield case("a perfect box should cost 0", oracle, *pair(0, 0, 0, 0))
    yield case(
        "below 1 pixel the logarithm's branch counts (the four errors are summed, not averaged)",
        oracle,
        *pair(0.5, 0, 0, 0),
    )
    yield case("from 1 pixel on the loss should rise by 1.5 a pixel, without a jump", oracle, *pair(0, 0, 4, 0))
    yield case("an error to the left should cost as much as one to the right", oracle, *pair(0, -2, 0.25, -0.75))
    for error in (1, -1):
        yield case("an error of exactly 1 should cost as on either side of it", oracle, *pair(error, 0, 0, 0))
    perfect = torch.tensor([[3.0, 5, 11, 8]]).repeat(2, 1)
    two = torch.tensor([[2.0, 0, 0, -3], [0, 1.5, 0, 0]])
    yield case("the four errors should be summed, the pairs averaged", oracle, perfect + two, perfect)
    yield case(
        "a perfect pair counts in the average", oracle, perfect + torch.tensor([[0.0] * 4, [2.0, 0, 0, 0]]), perfect
    )
    yield case("very small errors should count as well", oracle, *pair(0.1, -0.05, 0, 0.02))
    yield case("no pairs at all should cost 0", oracle, torch.zeros(0, 4), torch.zeros(0, 4))
    yield case("a large error should not saturate", oracle, *pair(0, 50000, 0, -300))
    yield case(
        "the four errors should be summed, the pairs averaged",
        oracle,
        draw.boxes(2) + draw.normal(2, 4, scale=2),
        draw.boxes(2),
    )
    for n in (3, 5):
        true = draw.boxes(n)
        yield case("small and large errors may stand side by side", oracle, true + draw.normal(n, 4, scale=1.3), true)


@write("1.3", "twin", minutes=10, difficulty=2, empty=False)
def twin(draw: Draw) -> Iterator[Case]:
    """Not unique: pools to the same, but the strongest position lies elsewhere."""

    def judge(result: Tensor, features: Tensor) -> str | None:
        if not isinstance(result, Tensor) or list(result.shape) != list(features.shape):
            shape = list(result.shape) if isinstance(result, Tensor) else type(result).__name__
            return f"the result should have shape {list(features.shape)}, yours is {shape}"
        before, after = features.double().mean(dim=(1, 2)), result.double().mean(dim=(1, 2))
        slack = 1e-5 * features.abs().max().clamp(min=10)  # of what float32 loses when large numbers are moved
        if not torch.isfinite(after).all() or (before - after).abs().max() > slack:
            return f"each channel's mean should stay {[round(v, 5) for v in before.tolist()]}, yours has {[round(v, 5) for v in after.tolist()]}"
        place = int(features.sum(dim=0).flatten().argmax())
        strength = result.double().sum(dim=0).flatten()
        others = torch.cat([strength[:place], strength[place + 1 :]])
        if others.max() < strength[place] + 1e-3:
            row, column = divmod(place, features.shape[2])
            return (
                f"the strongest position should have moved, in yours none is stronger than row {row}, column {column}"
            )
        return None

    def blob(channels: int, rows: int, columns: int, row: int, column: int) -> Tensor:
        features = draw.uniform(channels, rows, columns)
        features[:, row, column] += 2
        return features

    says = "the twin should pool to the same numbers with the object elsewhere"
    yield judged(says, judge, blob(1, 1, 2, 0, 1))
    yield judged(says, judge, blob(1, 3, 1, 1, 0))
    yield judged(says, judge, blob(1, 2, 1, 0, 0))
    yield judged(says, judge, blob(1, 2, 2, 1, 0))
    yield judged(says, judge, torch.tensor([[[-1.0, -5]]]))
    yield judged(says, judge, torch.tensor([[[0.0, -5]]]))
    yield judged(says, judge, torch.tensor([[[-4.0, -1, -3]]]))
    yield judged(says, judge, blob(8, 1, 2, 0, 0))
    yield judged(says, judge, torch.tensor([[[100.0, 0]]]))
    yield judged(says, judge, torch.tensor([[[5000.0, 0.5]]]))
    yield judged(says, judge, torch.tensor([[[9.0, 1, 0.5]]]))
    yield judged(says, judge, torch.tensor([[[0.5, 1]], [[0, 3]]]))
    yield judged(says, judge, torch.tensor([[[2, -1, 0.5, -6, -0.5]]]))
    yield judged(says, judge, torch.tensor([[[2, -3, 3, 0.2, 0, 0.1]], [[2, -3, 0, 0.4, 3.2, 0.3]]]))
    yield judged(says, judge, torch.tensor([[[2, 3, -3, 0.2, 0, 0.1]], [[2, -3, 0.4, 0, 0.3, 3.2]]]))
    yield judged(says, judge, torch.tensor([[[0, 2, 2.5, 0]], [[0, 2, 0, 2.5]]]))
    yield judged(says, judge, blob(1, 1, 5, 0, 0))
    yield judged(says, judge, blob(1, 7, 1, 6, 0))
    yield judged(says, judge, blob(2, 1, 11, 0, 4))
    yield judged(says, judge, blob(2, 2, 3, 0, 0))
    yield judged(says, judge, blob(2, 3, 2, 2, 1))
    yield judged(says, judge, blob(2, 3, 3, 1, 1))
    yield judged(says, judge, blob(2, 1, 3, 0, 1))
    for rows, columns in ((2, 3), (4, 6)):
        yield judged(says, judge, blob(3, rows, columns, draw.integer(0, rows), draw.integer(0, columns)))


predict(
    "1.4",
    "pixels",
    right=0.2 * math.log(8),
    tolerance=0.025,
    minutes=5,
    difficulty=2,
    misconceptions=[
        (20 * math.log(8), "that is what the class is worth with a = 20; here a is a hundredth of it"),
        (math.log(8), "that is the confidence loss by itself; how much of it reaches the total loss?"),
        (0.2, "that is a by itself; what does it multiply?"),
        (math.log(8) / 0.2, "a multiplies the confidence loss; you divided by it"),
        (
            0.2 * math.log(8) * 4,
            "the localization loss is the sum of the four differences, not their mean: one edge that moves by "
            "one pixel changes it by one",
        ),
        (
            0.2 * math.log(8) / 4,
            "one edge moves, not all four: it alone must lower the localization loss by as much as the "
            "classification would",
        ),
        (
            0.2 * math.log(8) * 2,
            "an edge is one of the four numbers of a box: when it moves, only one of the four differences changes",
        ),
        (0.2 / 8, "the confidence loss is not the probability of the true class but minus its logarithm"),
        (0.2 * 7 / 8, "the confidence loss does not count the probability that is missing: it takes a logarithm"),
        (0.2 * math.log(7), "the true class is one of the 8 equally likely ones as well"),
        (-0.2 * math.log(8), "the right size with the wrong sign: how far must the edge move, whichever way?"),
        (0.2 * 8, "a network that has learned nothing has a confidence loss of ln 8, not of 8"),
        (0.2 * math.log2(8), "the logarithm is the natural one: the confidence loss of 8 equal classes is ln 8, not 3"),
        (0.2 * math.log10(8), "the logarithm is the natural one, not the one of base 10"),
        (0.4, "very nearly: give one digit more"),
        (0, "little, but not nothing: work out both sides"),
    ],
    otherwise="write the total loss down twice, with a useless and with a perfect classification; by how much do they differ, and how many "
    "pixels of one edge make the same difference?",
)


@fix("1.5", "flip", stub=FLIP, minutes=8, difficulty=1)
def flip(draw: Draw) -> Iterator[Case]:
    """Oracle: pixel by pixel and box by box."""

    def oracle(image: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        width = image.shape[2]
        mirrored = image.clone()
        for column in range(width):
            mirrored[:, :, column] = image[:, :, width - 1 - column]
        rows = [[width - right, top, width - left, bottom] for left, top, right, bottom in boxes.tolist()]
        return mirrored, boxes.new_tensor(rows).reshape(-1, 4)

    def picture(rows: int, columns: int) -> Tensor:
        return draw.uniform(3, rows, columns)

    for says, rows, columns, boxes in MIRRORED:
        yield case(says, oracle, picture(rows, columns), torch.tensor(boxes).float().reshape(-1, 4))
    for n, rows, columns in ((1, 3, 5), (1, 7, 3), (2, 4, 7), (4, 6, 9), (11, 12, 8)):
        yield case("every box should follow its object", oracle, picture(rows, columns), draw.boxes(n, columns, rows))


@fix("1.6", "clip_to_picture", stub=CLIP, minutes=10, difficulty=2, gradient=(0,))
def clip_to_picture(draw: Draw) -> Iterator[Case]:
    """Oracle: edge by edge."""

    def oracle(boxes_cxcywh: Tensor, size: tuple[int, int]) -> Tensor:
        rows = []
        for cx, cy, w, h in boxes_cxcywh.tolist():
            left, right = (min(max(edge, 0), size[1]) for edge in (cx - w / 2, cx + w / 2))
            top, bottom = (min(max(edge, 0), size[0]) for edge in (cy - h / 2, cy + h / 2))
            rows.append([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top])
        return boxes_cxcywh.new_tensor(rows).reshape(-1, 4)

    def boxes(n: int, height: int, width: int) -> Tensor:
        centres = draw.uniform(n, 2) * torch.tensor([width, height])
        return torch.cat([centres, draw.integers(n, 2, low=1, high=24)], dim=1)

    yield case("a box inside the picture should stay as it is", oracle, torch.tensor([[5.0, 3, 4, 2]]), (6, 10))
    yield case("a box that hangs over the left edge should end there", oracle, torch.tensor([[1.0, 3, 6, 2]]), (6, 10))
    yield case("a box that hangs over the lower edge should end there", oracle, torch.tensor([[5.0, 6, 2, 4]]), (7, 12))
    yield case("half of an odd side is no whole number", oracle, torch.tensor([[1.0, 3, 5, 3]]), (6, 10))
    yield case("half of an odd side is no whole number", oracle, torch.tensor([[5.0, 3, 4, 5]]), (5, 10))
    yield case("a box that hangs over the right edge should end there", oracle, torch.tensor([[9.0, 3, 6, 2]]), (6, 10))
    yield case("a box that hangs over the upper edge should end there", oracle, torch.tensor([[5.0, 1, 2, 4]]), (6, 10))
    yield case("no boxes should give [0, 4]", oracle, torch.zeros(0, 4), (6, 10))
    yield case(
        "a box larger than the picture should become the whole picture",
        oracle,
        torch.tensor([[7.0, 4, 40, 20]]),
        (8, 12),
    )
    for box in ([-1.0, 2, 6, 2], [10.0, 2, 6, 2], [4.0, -1, 2, 4], [4.0, 6, 2, 4]):
        yield case(
            "a box with its centre outside the picture should keep the part inside", oracle, torch.tensor([box]), (5, 9)
        )
    yield case("a picture may be higher than wide", oracle, torch.tensor([[3.0, 8, 8, 16]]), (12, 4))
    yield case("a sliver should stay a sliver", oracle, torch.tensor([[-1.75, 2, 4, 2]]), (5, 9))
    for n in (2, 3, 6, 13):
        yield case("every edge should be cut at the picture's own edge", oracle, boxes(n, 15, 28), (15, 28))


explain("1.7", minutes=8, difficulty=2)
