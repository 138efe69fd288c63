"""Checkers of lesson 6: a first loss, asymmetric loss, a focal loss that shipped, a balanced prior, who pays."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from course_lib.exercises.framework import Case, Draw, case, explain, fix, judged, predict, write

SHIPPED = '''
def shipped_focal_loss(logits, answers, gamma, alpha):
    """Focal loss of every question, [M, n]; answers [M, n] are 1 (yes), 0 (no) or −1 (not asked)."""
    p = logits.sigmoid().clamp(1e-4, 1 - 1e-4)
    right = torch.where(answers == 1, p, 1 - p)
    weight = (1 - right).detach() ** gamma
    weight = weight * torch.where(answers == 1, 1 - alpha, alpha)
    return torch.where(answers >= 0, -weight * right.log(), 0.0)
'''

BOXES, POSITIVE, CLASSES, PRIOR = 1000, 20, 80, 0.01
YES, NO = (
    -math.log(PRIOR),
    -math.log(1 - PRIOR),
)  # cost of one output that should say yes, and of one that should say no
FIRST = (BOXES * CLASSES - POSITIVE) * NO + POSITIVE * YES  # the sum over all boxes and classes

predict(
    "6.1",
    "first_loss",
    right=FIRST / POSITIVE,
    misconceptions=[
        (((BOXES - POSITIVE) * NO + POSITIVE * YES) / POSITIVE, "every box answers for every class, not once"),
        (FIRST, "that is the sum; what is it divided by?"),
        (FIRST / BOXES, "the sum is divided by the number of positive boxes, not by that of all boxes"),
        (
            FIRST / (BOXES * CLASSES),
            "that is the mean over all outputs; the loss is a sum, divided by the positive boxes",
        ),
        (FIRST / POSITIVE / CLASSES, "the classes are summed, too, not averaged"),
        (
            FIRST / (BOXES - POSITIVE),
            "the sum is divided by the number of positive boxes, not by that of the negative ones",
        ),
        (
            (BOXES - POSITIVE) * CLASSES * NO / POSITIVE,
            "the positive boxes pay as well, once for their class and once for each class that they are not",
        ),
        (
            BOXES * CLASSES * NO / POSITIVE,
            "the outputs that should say yes are few, but to say 1 in 100 there is dear",
        ),
        (
            ((BOXES - POSITIVE) * CLASSES * NO + POSITIVE * YES) / POSITIVE,
            "nearly: a positive box has other classes, too, and there the answer should be no",
        ),
        (BOXES * CLASSES * math.log(2) / POSITIVE, "that is the start without a prior, with every output at one half"),
        (FIRST / POSITIVE / math.log(10), "the logarithm of cross-entropy is the natural one"),
        (
            ((BOXES * CLASSES - POSITIVE) * YES + POSITIVE * NO) / POSITIVE,
            "turn it round: nearly all outputs should say no, and saying 1 in 100 is nearly right for them",
        ),
        (
            ((BOXES * (CLASSES + 1) - POSITIVE) * NO + POSITIVE * YES) / POSITIVE,
            "with sigmoids background has no output of its own",
        ),
        (
            ((BOXES - POSITIVE) * CLASSES * NO + POSITIVE * CLASSES * YES) / POSITIVE,
            "a positive box holds one object of one class: only one of its outputs should say yes",
        ),
        (
            BOXES * CLASSES * (PRIOR * YES + (1 - PRIOR) * NO) / POSITIVE,
            "no output pays both prices in part: the right answer is known, and each pays the price of that one",
        ),
        (FIRST / POSITIVE / math.log(2), "the logarithm of cross-entropy is the natural one, not that to the base 2"),
        (YES, "that is what one positive box pays for its own class; what do the others pay?"),
    ],
    otherwise="count the outputs that should say yes and those that should say no; each kind has one price",
    minutes=4,
    difficulty=1,
    tolerance=5e-3,
)


def _log_yes(z: float) -> float:
    """ln p of a logit, with plain numbers."""
    return -math.log1p(math.exp(-z))


EASY = "an easy answer should cost little, and exactly that little"
DOUBLE = "float64 logits should be computed in float64"
TURNED = "the numbers of the logits may lie in memory in another order (transposed)"


def relative(oracle: Callable, share: float = 0.02) -> Callable:
    """A judge for one number that may be tiny: within `share` of the oracle's in float64, however small."""

    def judge(result: object, logits: Tensor, *others: object) -> str | None:
        right = oracle(logits.double(), *others)
        if not isinstance(result, Tensor) or result.shape != right.shape:
            return f"the result should be a tensor of shape {list(right.shape)}"
        yours, right = result.item(), right.item()
        digits = 3 if share > 1e-3 else 12
        near = abs(yours - right) <= share * right
        return None if near else f"yours gives {yours:.{digits}g}, right is {right:.{digits}g}"

    return judge


STRONG_CLASSES = [
    [200.0, -200, 1, -1],
    [-200, 200, -3, 2],
    [200, 200, -200, -200],
    [0.5, -90, 90, 40],
    [-40, 18, -18, 0.25],
    [30, -30, 2, -200],
    [1, -2, 200, -0.5],
]
# Cases of 6.2: what should hold, logits, classes, gamma_positive, gamma_negative, margin; the first three also show the gradient.
ASYMMETRIC = [
    ("a yes should cost its focal loss with gamma_positive", [[-1.0]], [1], 2.0, 4.0, 0.0),
    ("gammas need not be whole numbers", [[-1.0]], [1], 0.5, 0.5, 0.0),
    (
        "a no should cost its focal loss with gamma_negative, at the lowered probability",
        [[1.0]],
        [0],
        0.5,
        2.0,
        0.2,
    ),
    ("the margin should lower a no where both gammas are equal, too", [[1.0]], [0], 2.0, 2.0, 0.2),
    ("a no with less than the margin should cost 0", [[-4.0]], [0], 1.0, 0.5, 0.05),
    ("a no with less than the margin should cost 0, whatever gamma_negative", [[-4.0]], [0], 1.0, 0.0, 0.05),
    ("a no with less than the margin should have no gradient either", [[-1.0]], [0], 1.0, 0.0, 0.5),
    ("a small margin should count, too", [[-4.0]], [0], 1.0, 0.0, 0.005),
    ("the margin should leave a yes alone", [[-1.0]], [1], 0.0, 0.0, 0.5),
    ("with margin 0 no probability should be lowered", [[-1.0]], [0], 2.0, 0.5, 0.0),
    ("with margin 0 a very wrong no should cost its whole logit", [[200.0]], [0], 2.0, 1.0, 0.0),
    ("with a margin a very wrong no should stay finite", [[200.0]], [0], 2.0, 1.0, 0.05),
    ("a very wrong yes should cost its whole logit", [[-200.0]], [1], 2.0, 1.0, 0.05),
    ("a very right yes should cost 0", [[200.0]], [1], 0.5, 1.0, 0.05),
    ("with a tiny margin a very wrong no should be precise as well", [[16.0]], [0], 2.0, 2.0, 1e-6),
    ("the costs of all classes should be added up", [[0.5, -1.5]], [2], 1.0, 3.0, 0.1),
    ("background should pay for every class", [[0.5, -1.5]], [0], 1.0, 3.0, 0.1),
    ("an ignored box should cost 0", [[0.5, -1.5]], [-1], 1.0, 3.0, 0.1),
    ("label c has channel c - 1, also for the last class", [[0.5, -1.5, 1.0]], [3], 1.0, 2.0, 0.1),
    ("with both gammas and the margin at 0 it should be cross-entropy", [[0.5, -1.5, 3.0]], [1], 0.0, 0.0, 0.0),
]


@write("6.2", "asymmetric_loss", minutes=20, difficulty=2, gradient=(0,))
def asymmetric_loss(draw: Draw) -> Iterator[Case]:
    """Oracle: answer by answer, with plain numbers; for a no with probability near 1 the logarithm is taken of 1 − p."""

    def yes(z: float, gamma: float) -> float:
        return -(math.exp(_log_yes(-z)) ** gamma) * _log_yes(z)

    def no(z: float, gamma: float, margin: float) -> float:
        low = 1 / (1 + math.exp(-z)) - margin
        if low <= 0:
            return 0.0
        log = _log_yes(-z) if margin == 0 else math.log(math.exp(_log_yes(-z)) + margin)
        return -(low**gamma) * log

    def oracle(logits: Tensor, classes: Tensor, gamma_positive: float, gamma_negative: float, margin: float) -> Tensor:
        out = []
        for row, label in zip(logits.tolist(), classes.tolist(), strict=True):
            cost = 0.0
            for channel, z in enumerate(row):
                asked = channel + 1 == label
                cost += yes(z, gamma_positive) if asked else no(z, gamma_negative, margin)
            out.append(cost if label >= 0 else 0.0)
        return logits.new_tensor(out)

    def given(rows: list, classes: list, gamma_positive: float, gamma_negative: float, margin: float) -> tuple:
        return torch.tensor(rows), torch.tensor(classes), gamma_positive, gamma_negative, margin

    for says, rows, classes, *numbers in ASYMMETRIC:
        yield case(says, oracle, *given(rows, classes, *numbers))
    for z, label, *gammas in ((-6.0, 0, 1.0, 2.0), (-9.0, 0, 1.0, 0.5), (8.0, 1, 0.5, 1.0)):
        yield judged(EASY, relative(oracle), *given([[z]], [label], *gammas, 0.0))
    for label in (0, 1):
        z, classes = torch.tensor([[0.1]], dtype=torch.float64), torch.tensor([label])
        yield judged(DOUBLE, relative(oracle, 1e-10), z, classes, 1.0, 2.0, 0.0)
    turned = draw.normal(6, 5, scale=2).T
    yield case(TURNED, oracle, turned, draw.integers(5, low=-1, high=7), 2.0, 0.5, 0.1)
    yield case("no boxes should give [0]", oracle, torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64), 1.0, 2.0, 0.05)
    for m, n, *numbers in ((2, 3, 0.0, 4.0, 0.05), (5, 3, 2.0, 0.5, 0.0), (7, 2, 5.0, 2.0, 0.3), (4, 5, 0.5, 5.0, 0.1)):
        classes = draw.integers(m, low=-1, high=n + 1)
        yield case("every box should pay for itself", oracle, draw.normal(m, n, scale=2), classes, *numbers)
    for gamma, other, margin in ((0.5, 0.5, 0.0), (2.0, 5.0, 0.2)):
        yield case(
            "strong answers should stay finite, value and gradient",
            oracle,
            *given(STRONG_CLASSES, [1, 1, 0, 3, -1, 4, 2], gamma, other, margin),
        )


STRONG_ANSWERS = [
    [200.0, -200, 1],
    [-200, 200, -1],
    [200, -200, 40],
    [-40, 18, -18],
    [90, -90, 0.25],
    [-200, 200, 2],
    [30, 3, -30],
]
# Cases of 6.3: what should hold, logits, answers, gamma, alpha; the first three also show the gradient.
FOCAL = [
    ("an answer should cost its weight times −ln p", [[-1.0]], [[1]], 2.0, 0.5),
    ("a very wrong answer should cost all it is wrong by", [[-10.0]], [[1]], 2.0, 0.5),
    ("gamma need not be a whole number", [[1.0]], [[1]], 0.5, 0.5),
    ("alpha should weigh the yes, 1 − alpha the no", [[1.0]], [[0]], 0.5, 0.25),
    ("alpha should weigh the yes, 1 − alpha the no", [[0.5]], [[1]], 0.0, 0.25),
    ("with alpha 0 only the no should cost, with alpha 1 only the yes", [[1.0, -0.5]], [[1, 0]], 2.0, 0.0),
    ("with alpha 0 only the no should cost, with alpha 1 only the yes", [[1.0, -0.5]], [[1, 0]], 2.0, 1.0),
    ("a very wrong answer should cost all it is wrong by", [[200.0]], [[0]], 2.0, 0.5),
    ("a very wrong answer should cost all it is wrong by", [[-200.0]], [[1]], 0.5, 0.5),
    ("a very right answer should cost 0", [[200.0]], [[1]], 0.5, 0.5),
    ("a question that is not asked should cost 0", [[0.5]], [[-1]], 2.0, 0.5),
    ("gamma 0 and alpha one half should give half the cross-entropy", [[0.5, -1.5]], [[1, 0]], 0.0, 0.5),
    (
        "a box may have a yes for two classes, and a class that is not asked",
        [[2.0, -1, 0.5]],
        [[1, 1, -1]],
        1.0,
        0.75,
    ),
]


@fix("6.3", "shipped_focal_loss", stub=SHIPPED, minutes=15, difficulty=2, gradient=(0,))
def shipped_focal_loss(draw: Draw) -> Iterator[Case]:
    """Oracle: question by question, with plain numbers."""

    def oracle(logits: Tensor, answers: Tensor, gamma: float, alpha: float) -> Tensor:
        out = []
        for row, wanted in zip(logits.tolist(), answers.tolist(), strict=True):
            costs = []
            for z, answer in zip(row, wanted, strict=True):
                z, share = (z, alpha) if answer == 1 else (-z, 1 - alpha)
                cost = -share * math.exp(gamma * _log_yes(-z)) * _log_yes(z)
                costs.append(cost if answer >= 0 else 0.0)
            out.append(costs)
        return logits.new_tensor(out).reshape(logits.shape)

    for says, rows, answers, gamma, alpha in FOCAL:
        yield case(says, oracle, torch.tensor(rows), torch.tensor(answers), gamma, alpha)
    for z, answer in ((8.0, 1), (12.0, 1), (-8.0, 0), (-10.0, 0)):
        yield judged(EASY, relative(oracle), torch.tensor([[z]]), torch.tensor([[answer]]), 0.5, 0.25)
    for answer in (0, 1):
        z = torch.tensor([[0.1]], dtype=torch.float64)
        yield judged(DOUBLE, relative(oracle, 1e-10), z, torch.tensor([[answer]]), 2.0, 0.25)
    yield case(TURNED, oracle, draw.normal(6, 5, scale=2).T, draw.integers(5, 6, low=-1, high=2), 2.0, 0.25)
    yield case(
        "no boxes should give [0, n]", oracle, torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int64), 2.0, 0.25
    )
    for m, n, gamma, alpha in ((2, 3, 2.0, 0.25), (5, 3, 0.5, 0.75), (7, 2, 5.0, 0.1), (4, 5, 1.0, 0.25)):
        answers = draw.integers(m, n, low=-1, high=2)
        yield case("every question should pay for itself", oracle, draw.normal(m, n, scale=2), answers, gamma, alpha)
    answers = [[1, 1, 1], [0, 0, 0], [-1, -1, 1], [1, 1, 0], [0, 1, 1], [1, 1, -1], [0, 1, 0]]
    yield case(
        "strong answers should stay finite, value and gradient",
        oracle,
        torch.tensor(STRONG_ANSWERS),
        torch.tensor(answers),
        0.5,
        0.25,
    )


@write("6.4", "balanced_prior", minutes=20, difficulty=3, empty=False)
def balanced_prior(draw: Draw) -> Iterator[Case]:
    """Oracle: the logarithm of one pull over the other has one zero; the interval of the *logit* is halved."""

    def log_pull(z: float, gamma: float) -> float:
        """ln of the pull of an answer with logit z to a question whose answer is no, without its share."""
        p = 1 / (1 + math.exp(-z))
        return gamma * _log_yes(z) + math.log(p - gamma * (1 - p) * _log_yes(-z))

    def oracle(ratio: float, gamma: float, alpha: float) -> float:
        low, high = -40.0, 40.0
        while high - low > 1e-12:
            z = (low + high) / 2
            ahead = math.log(ratio * (1 - alpha) / alpha) + log_pull(z, gamma) - log_pull(-z, gamma)
            low, high = (low, z) if ahead > 0 else (z, high)
        return 1 / (1 + math.exp(-low))

    def held(says: str, ratio: float, gamma: float, alpha: float) -> Case:
        right = oracle(ratio, gamma, alpha)

        def judge(result: object, ratio: float, gamma: float, alpha: float) -> str | None:
            if isinstance(result, Tensor):
                return "the result should be a Python float, yours is a tensor: `.item()` makes a number of it"
            if not isinstance(result, float):
                return f"the result should be a float between 0 and 1, yours is a {type(result).__name__}"
            near = " (near, but six digits are asked)" if abs(result - right) <= 1e-3 * right else ""
            wrong = abs(result - right) > 1e-6 * right
            return f"yours gives {result:.8g}, right is {right:.8g}{near}" if wrong else None

        return judged(says, judge, ratio, gamma, alpha)

    yield held("with gamma 0 and alpha one half it should be 1 / (1 + ratio)", 3.0, 0.0, 0.5)
    yield held("alpha should weigh the objects, 1 − alpha the background", 3.0, 0.0, 0.25)
    yield held("two equal parties should meet at one half", 1.0, 2.0, 0.5)
    yield held("the weight's own pull should count", 9.0, 1.0, 0.5)
    yield held("the exact equation should hold", 800.0, 2.0, 0.25)
    yield held("the exact equation should hold", 80000.0, 2.0, 0.25)
    yield held("the ratio need not be a whole number", 2.5, 1.0, 0.5)
    yield held("gamma need not be a whole number", 50.0, 0.5, 0.75)
    yield held("where objects pull harder the prior should be above one half", 0.1, 2.0, 0.95)
    yield held("a prior near 1 should be found", 0.1, 0.0, 0.95)
    yield held("a tiny prior should be precise as well", 1e6, 0.0, 0.05)
    yield held("a tiny prior with a small gamma should be precise as well", 1e6, 0.1, 0.05)
    yield held("a large gamma should work", 1e6, 5.0, 0.05)
    yield held("a gamma near 0 should work", 1e5, 0.02, 0.4)
    for _ in range(6):
        power, gamma, share = (float(draw.uniform(1, low=a, high=b)) for a, b in ((-1, 6), (0, 5), (0.05, 0.95)))
        yield held("any ratio, gamma and alpha should work", round(10**power, 1), round(gamma, 2), round(share, 2))


@write("6.5", "payers", minutes=15, difficulty=2)
def payers(draw: Draw) -> Iterator[Case]:
    """Oracle: one box after the other pays, the hardest first."""

    def oracle(losses: Tensor, shares: Tensor) -> Tensor:
        waiting, out = sorted(losses.tolist()), []
        for share in shares.tolist():
            count = 0
            while sum(waiting[len(waiting) - count :]) < share * sum(waiting):
                count += 1
            out.append(count)
        return torch.tensor(out, dtype=torch.int64, device=losses.device)

    def given(losses: list, shares: list) -> tuple:
        return torch.tensor(losses), torch.tensor(shares)

    for says, losses, shares in [
        ("one box should pay all", [2.0], [0.5]),
        ("share 0 should need nobody", [2.0], [0.0]),
        ("two equal boxes should pay one half each", [3.0, 3.0], [0.5]),
        ("a little more than one half should need both", [3.0, 3.0], [0.625]),
        ("the hardest box should pay first", [1.0, 7.0], [0.875]),
        ("boxes without a loss should not be counted", [0.0, 5.0], [1.0]),
        ("where nobody pays, nobody should be needed", [0.0, 0.0], [1.0]),
        ("every share should get its number", [1.0, 4.0, 2.0, 1.0], [1.0, 0.25, 0.75]),
        ("tiny losses should count like large ones", [2.0**-60, 2.0**-61, 2.0**-61], [0.75]),
        ("share 1 should need every box that pays, however little", [2.0**21, 1.0, 0.0, 0.0], [1.0]),
    ]:
        yield case(says, oracle, *given(losses, shares))
    precise = torch.tensor([1.0, 2.0**-40, 0.0, 0.0], dtype=torch.float64)
    yield case("float64 losses should be added in float64", oracle, precise, torch.tensor([1.0], dtype=torch.float64))
    yield case("without boxes nobody should be needed", oracle, torch.zeros(0), torch.tensor([0.0, 0.5, 1.0]))
    yield case("without shares there should be no numbers", oracle, torch.tensor([1.0, 3]), torch.zeros(0))
    for m, k in ((5, 3), (12, 4), (60, 7)):
        losses = (draw.uniform(m) ** 3 * 64).round() / 8
        yield case("the smallest number of boxes should be found", oracle, losses, draw.integers(k, high=9) / 8)


explain("6.6", minutes=10, difficulty=2)
