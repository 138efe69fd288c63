"""What is called to check an answer: exercises, their cases, and the plan of calls with what each should give."""

import contextlib
import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy
import torch

from course_lib.exercises.guard import Probe
from course_lib.exercises.values import clone, double, show, single, size, snapshot, tensors, weights_for


@dataclass(frozen=True)
class Case:
    """One call of the answer: the property it tests, the arguments, and what to hold the result against."""

    says: str
    args: tuple
    oracle: Callable | None = None
    judge: Callable | None = None


def case(says: str, oracle: Callable, *args: object) -> Case:
    """The answer's result for `args` must equal the oracle's, which gets copies and runs first.

    `says` states the property as a sentence: "two boxes that only touch should have IoU 0".
    """
    return Case(says, args, oracle=oracle)


def judged(says: str, judge: Callable, *args: object) -> Case:
    """For answers that are not unique: `judge(result, *args)` returns None, or what is wrong as a phrase."""
    return Case(says, args, judge=judge)


@dataclass
class Exercise:
    """A registered exercise: its number, kind, and how it is checked."""

    number: str
    kind: str
    answer: str
    minutes: int
    difficulty: int
    cases: Callable | None = None
    stub: str = ""
    gradient: tuple[int, ...] = ()
    dtype: bool = True
    device: bool = True
    inputs_unchanged: bool = True
    quiet: bool = True
    empty: bool = True
    tolerance: float = 1e-4
    right: object = None
    misconceptions: list = field(default_factory=list)
    otherwise: str = ""

    @property
    def counted(self) -> bool:
        """Explain exercises are not counted in "k of n solved"."""
        return self.kind != "explain"


class Draw:
    """Random inputs for cases, all from one seed."""

    def __init__(self, seed: int = 0) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
        """Floats between `low` and `high`, rounded to two digits so that a message can show them."""
        values = torch.rand(*shape, generator=self.generator) * (high - low) + low
        return (values * 100).round() / 100

    def normal(self, *shape: int, scale: float = 1.0) -> torch.Tensor:
        """Normally distributed floats, rounded to two digits."""
        return (torch.randn(*shape, generator=self.generator) * scale * 100).round() / 100

    def integers(self, *shape: int, low: int = 0, high: int = 10) -> torch.Tensor:
        """int64 numbers, `low` included, `high` not."""
        return torch.randint(low, high, shape, generator=self.generator)

    def integer(self, low: int, high: int) -> int:
        """One int, `low` included, `high` not."""
        return int(self.integers(1, low=low, high=high))

    def boxes(self, n: int, width: int = 50, height: int = 30) -> torch.Tensor:
        """n boxes [n, 4] xyxy with whole-number corners inside a picture, at least 2 pixels wide and high."""

        def edges(length: int) -> tuple[torch.Tensor, torch.Tensor]:
            first = torch.randint(0, length - 2, (n,), generator=self.generator)
            share = torch.rand(n, generator=self.generator)
            return first, first + 2 + (share * (length - first - 1)).long().clamp(max=length - 2).minimum(
                length - 2 - first
            )

        (left, right), (top, bottom) = edges(width), edges(height)
        return torch.stack([left, top, right, bottom], dim=1).float().reshape(n, 4)


class Plan:
    """The calls that check one answer, with what each should give. Made before the answer runs, without it.

    `calls` holds pairs (index of a case, mode), `probes` the same for `guard.run`; `expected` and `in_double` are
    snapshots of what the oracle gives, in float64 for the second.
    """

    def __init__(self, exercise: Exercise, seed: int) -> None:
        self.exercise = exercise
        self.cases = list(exercise.cases(Draw(seed)))
        self.expected = [snapshot(c.oracle(*clone(c.args))) if c.oracle else None for c in self.cases]
        first = self.cases[0]
        names = list(inspect.signature(first.oracle or first.judge).parameters)
        self.names = names if first.oracle else names[1:]
        self.calls = [(i, "plain") for i in range(len(self.cases))]
        modes = {"gradient": bool(exercise.gradient), "double": exercise.dtype, "device": exercise.device}
        self.calls += [(i, mode) for mode, wanted in modes.items() if wanted for i in self._smallest(mode)]
        self.calls += [(i, "twice") for i in self._by_size() if not is_empty(self.cases[i].args)][:1]
        self.calls = list(dict.fromkeys(self.calls))
        self.in_double = {i: self._in_double(i) for i, mode in self.calls if mode == "double"}
        self._add_large_gradient()
        self.probes = [Probe(self.cases[i].args, mode, exercise.gradient) for i, mode in self.calls]

    def _by_size(self) -> list[int]:
        return sorted(range(len(self.cases)), key=lambda i: size(self.cases[i].args))

    def _smallest(self, mode: str) -> list[int]:
        """The three smallest cases with float tensors (all small ones for "gradient"), and the smallest of each empty kind.

        A kind of emptiness is which axes of which tensors have length 0: an answer may return early for each of them.

        A gradient through nothing is asked for only where there is one number to call `backward` on: a loss. Where no
        case has floats (groups, ids), the device is asked for with whole numbers.
        """
        fit = [i for i in self._by_size() if any(t.is_floating_point() for t in tensors(self.cases[i].args))]
        if mode == "device" and not fit:
            fit = [i for i in self._by_size() if tensors(self.cases[i].args)]
        empty = [i for i in fit if is_empty(self.cases[i].args) and (mode != "gradient" or self._is_scalar(i))]
        kinds = {_empty_axes(self.cases[i].args): i for i in reversed(empty)}
        full = [i for i in fit if not is_empty(self.cases[i].args)]
        small = [i for i in full if size(self.cases[i].args) <= 24]  # the oracle's slopes take a call a number
        return (max(full[:3], small, key=len) if mode == "gradient" else full[:3]) + sorted(kinds.values())

    def _is_scalar(self, i: int) -> bool:
        return self.expected[i] is not None and self.expected[i].get("shape") == []

    def _in_double(self, i: int) -> dict | None:
        """What the oracle gives for float64 input, as a snapshot; None where it cannot."""
        with contextlib.suppress(Exception):
            if self.cases[i].oracle:
                return single(snapshot(self.cases[i].oracle(*double(clone(self.cases[i].args)))))
        return None

    def _add_large_gradient(self) -> None:
        """Also hold the gradient of a larger case against the oracle's, off all ties: every number moved a little."""
        fit = [c for c in self.cases if c.oracle and not is_empty(c.args) and size(c.args) <= 100]
        if not self.exercise.gradient or not fit:
            return
        largest = max(fit, key=lambda c: size(c.args))
        near = Case(largest.says, _nudged(largest.args, torch.Generator().manual_seed(1)), oracle=largest.oracle)
        with contextlib.suppress(Exception):
            if math.isfinite(_total(near, double(clone(near.args)))):
                self.calls.append((len(self.cases), "gradient"))
                self.cases.append(near)
                self.expected.append(snapshot(near.oracle(*clone(near.args))))

    def inputs(self, index: int) -> str:
        """The arguments of a case, as a reader can retype them: with all digits of a float32, and most of a float64."""
        pairs = zip(self.names, self.cases[index].args, strict=False)
        shown = (f"{name} = {show(arg, 12 if _doubles(arg) else 7)}" for name, arg in pairs)
        return "for " + ", ".join(shown)

    def slopes(self, i: int) -> Iterator[tuple[str, float, float]]:
        """Left and right finite differences of the oracle, number by number, each with its place; at a kink they differ."""
        step, one = 1e-5, self.cases[i]
        args = double(clone(one.args))
        total = _total(one, args)
        for k in self.exercise.gradient:
            for tensor in tensors(args[k]):
                for at in numpy.ndindex(*tensor.shape):
                    kept = tensor[at].item()
                    tensor[at] = kept + step
                    above = (_total(one, args) - total) / step
                    tensor[at] = kept - step
                    below = (total - _total(one, args)) / step
                    tensor[at] = kept
                    yield f"{list(at)} of {self.names[k]}", below, above


def _total(one: Case, args: tuple) -> float:
    """What the gradient is taken of: the oracle's numbers, added up with unequal weights."""
    floats = [t for t in tensors(one.oracle(*clone(args))) if t.is_floating_point()]
    return sum(float((t.double() * weights_for(t.double())).sum()) for t in floats)


def _doubles(arg: object) -> bool:
    """Whether an argument holds a float64 tensor."""
    return any(one.dtype == torch.float64 for one in tensors(arg))


def is_empty(args: object) -> bool:
    """Whether some argument holds nothing: a tensor without numbers, an empty list or string."""
    if isinstance(args, torch.Tensor):
        return args.numel() == 0
    if isinstance(args, dict):
        args = list(args.values())
    if isinstance(args, str):
        return not args.strip()
    return isinstance(args, (list, tuple)) and (len(args) == 0 or any(is_empty(a) for a in args))


def _empty_axes(args: tuple) -> tuple:
    """Which arguments are empty, and which axes of their tensors have length 0."""
    axes = (tuple(side == 0 for side in one.shape) for one in tensors(args))
    return tuple(map(is_empty, args)), tuple(axes)


def _nudged(value: object, generator: torch.Generator) -> object:
    """An argument whose floats are each moved by a thousandth or so, so that no two are equal; within 0–1 they stay there."""
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        less, more = torch.rand(2, *value.shape, generator=generator).to(value.dtype)
        return value * (1 - 0.001 * (0.3 + 0.7 * less)) + 0.0002 * more
    if isinstance(value, (list, tuple)):
        return type(value)(_nudged(item, generator) for item in value)
    return {k: _nudged(v, generator) for k, v in value.items()} if isinstance(value, dict) else value
