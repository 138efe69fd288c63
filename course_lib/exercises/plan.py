"""What is called to check an answer, and what is made of it: cases, the plan of calls, the verdict."""

import contextlib
import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch

from course_lib.exercises import guard
from course_lib.exercises.values import clone, describe, difference, restore, show, size, snapshot, tensors

NOT_STARTED, NOT_YET, CORRECT = "not started", "not yet", "correct"


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
    call: Callable | None = None
    right: object = None
    misconceptions: list = field(default_factory=list)
    otherwise: str = ""

    @property
    def counted(self) -> bool:
        """Explain exercises are not counted in "k of n solved"."""
        return self.kind != "explain"


@dataclass(frozen=True)
class Result:
    """The state of one exercise and, for "not yet", what is wrong."""

    number: str
    state: str
    message: str = ""

    def __str__(self) -> str:
        return f"Exercise {self.number}  {self.state}" + (f": {self.message}" if self.message else "")


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
    """The calls that check one answer, with what each should give. Made before the answer runs, without it."""

    def __init__(self, exercise: Exercise, seed: int) -> None:
        self.exercise = exercise
        self.cases = list(exercise.cases(Draw(seed)))
        self.expected = [snapshot(c.oracle(*clone(c.args))) if c.oracle else None for c in self.cases]
        self.names = self._names()
        self.plan = [(i, "plain") for i in range(len(self.cases))]
        self.plan += [(i, mode) for mode, most in self._modes() for i in self._smallest(mode, most)]
        self.in_double = {i: self._in_double(i) for i, mode in self.plan if mode == "double"}
        self._add_large_gradient()
        self.probes = [guard.Probe(self.cases[i].args, mode, self.exercise.gradient) for i, mode in self.plan]

    def _modes(self) -> list[tuple[str, int]]:
        e = self.exercise
        wanted = [
            ("gradient", 3 if e.gradient else 0),
            ("double", 3 if e.dtype else 0),
            ("device", 3 if e.device else 0),
            ("twice", 1),
        ]
        return [(mode, most) for mode, most in wanted if most]

    def _smallest(self, mode: str, most: int) -> list[int]:
        """The smallest cases without empty inputs; for dtype, device and gradient they must hold a float tensor."""
        full = [
            i
            for i, c in enumerate(self.cases)
            if not is_empty(c.args) and (mode == "twice" or any(t.is_floating_point() for t in tensors(c.args)))
        ]
        return sorted(full, key=lambda i: size(self.cases[i].args))[:most]

    def _add_large_gradient(self) -> None:
        """Also hold the gradient of a larger case against the oracle's, off all ties: every number moved a little."""
        fit = [c for c in self.cases if c.oracle and not is_empty(c.args) and size(c.args) <= 100]
        if not self.exercise.gradient or not fit:
            return
        largest = max(fit, key=lambda c: size(c.args))
        near = Case(largest.says, _nudged(largest.args, torch.Generator().manual_seed(1)), oracle=largest.oracle)
        with contextlib.suppress(Exception):
            if math.isfinite(self._total(near, guard.double(clone(near.args)))):
                self.plan.append((len(self.cases), "gradient"))
                self.cases.append(near)
                self.expected.append(snapshot(near.oracle(*clone(near.args))))

    def _in_double(self, i: int) -> dict | None:
        """What the oracle gives for float64 input, as a snapshot; None where it cannot."""
        with contextlib.suppress(Exception):
            if self.cases[i].oracle:
                return _single(snapshot(self.cases[i].oracle(*guard.double(clone(self.cases[i].args)))))
        return None

    def _names(self) -> list[str]:
        """The names of the answer's arguments, from the first oracle or judge that has them."""
        first = self.cases[0]
        names = list(inspect.signature(first.oracle or first.judge).parameters)
        return names if first.oracle else names[1:]

    def inputs(self, index: int) -> str:
        """The arguments of a case, as a reader can retype them."""
        shown = (f"{name} = {show(arg)}" for name, arg in zip(self.names, self.cases[index].args, strict=False))
        return "for " + ", ".join(shown)

    def judge(self, run: guard.Run) -> Result:
        """The state that follows from what was seen; the broken property with the smallest input is named."""
        number = self.exercise.number
        if run.seen and all(seen.get("unwritten") for seen in run.seen):
            return Result(number, NOT_STARTED)
        faults = [
            (rank, is_empty(self.cases[i].args), size(self.cases[i].args), text)
            for (i, mode), seen in zip(self.plan, run.seen, strict=False)
            for rank, text in self._faults(i, mode, seen)
        ]
        if run.stopped:
            i = self.plan[min(len(run.seen), len(self.plan) - 1)][0]
            why = {
                "time": "it should end within seconds, yours was still running when it was stopped",
                "memory": "it takes more than 2 GB of memory",
                "interrupt": "interrupted",
            }[run.stopped]
            faults.append((0, False, 0, f"{why}, {self.inputs(i)}"))
        if run.effects:
            faults.append(
                (5, False, 0, f"an answer should leave its surroundings alone, yours does not: {run.effects[0]}")
            )
        if run.printed.strip() and self.exercise.quiet:
            line = run.printed.strip().splitlines()[0][:60]
            faults.append((6, False, 0, f"it should return its result and print nothing, yours prints {line!r}"))
        if not faults:
            return Result(number, CORRECT)
        text = min(faults, key=lambda fault: fault[:3])[3]
        return Result(number, NOT_YET, " ".join(text.split())[:600])

    def _faults(self, i: int, mode: str, seen: dict) -> Iterator[tuple[int, str]]:
        """(rank, message) of every property that this call broke; rank 1 is told first."""
        says, where = self.cases[i].says, self.inputs(i)
        if "error" in seen:
            yield (1 if mode == "plain" else 3), f"{self._context(mode) or says}, but {seen['error']}, {where}"
            return
        if mode in ("plain", "twice"):
            wrong = self.wrong(i, seen["output"])
            if wrong and mode == "plain":
                yield 1, f"{says}: {wrong}, {where}"
            elif wrong:
                yield 2, f"the same input should give the same result every time: {wrong} the second time, {where}"
        if mode == "plain" and self.exercise.inputs_unchanged:
            before, after = snapshot(self.cases[i].args)["items"], seen["after"]["items"]
            changed = [
                n
                for n, a, b in zip(self.names, before, after, strict=False)
                if difference(a, b, 0.0) or _each(a, "grad") != _each(b, "grad")
            ]
            if changed:
                yield 2, f"the input should stay unchanged, yours changes {' and '.join(changed)}, {where}"
        if seen.get("overwritten"):
            yield 2, f"a later call should leave an earlier result alone, yours overwrites the one {where}"
        if mode == "plain":
            yield from ((4, f"{text}, {where}") for text in self._manners(i, seen["output"]))
        if mode == "gradient":
            wrong = self._wrong_gradient(i, seen["gradient"])
            if wrong:
                yield 3, f"{wrong}, {where}"
        if mode == "double" and "float32" in _each(seen["output"], "dtype"):
            yield 4, f"the dtype should be kept: float64 goes in, float32 comes out, {where}"
        elif mode == "double" and (wrong := self._wrong_in_double(i, seen["output"])):
            yield 4, f"float64 numbers should give the same result as float32: {wrong}, {where}"
        if mode == "device" and seen["device"]:
            yield (
                4,
                f"the device should be kept (on a GPU this fails: {seen['device']}; give device=… of the input), {where}",
            )

    def _manners(self, i: int, output: dict) -> Iterator[str]:
        """What is wrong with a result whose numbers may be right: it asks for a gradient, or changes the dtype."""
        if True in _each(output, "grad") and not self.exercise.call:
            yield "the result should not require a gradient where no input does"
        floats = {str(t.dtype).removeprefix("torch.") for t in tensors(self.cases[i].args) if t.is_floating_point()}
        other = [d for d in _each(output, "dtype") if "float" in d and d not in floats]
        if self.cases[i].judge and self.exercise.dtype and floats and other:
            yield f"the dtype should be kept: {min(floats)} goes in, {other[0]} comes out"

    def _wrong_in_double(self, i: int, output: dict) -> str | None:
        if self.cases[i].judge:
            return self.wrong(i, output)
        return self.in_double[i] and difference(self.in_double[i], _single(output), self.exercise.tolerance)

    def _context(self, mode: str) -> str:
        return {
            "gradient": "the input should be allowed to require a gradient",
            "twice": "a second call should work",
            "double": "a float64 input should work",
        }.get(mode, "")

    def wrong(self, i: int, output: dict) -> str | None:
        """What is wrong with the result of case i (a snapshot), or None."""
        one = self.cases[i]
        if one.oracle:
            return difference(self.expected[i], output, self.exercise.tolerance)
        if "." in output["kind"]:
            return f"the result has the wrong form, yours is {describe(output)}"
        try:
            return one.judge(restore(output), *clone(one.args))
        except Exception:
            return f"the result has the wrong form, yours is {describe(output)}"

    def _wrong_gradient(self, i: int, got: list) -> str | None:
        names = [self.names[k] for k in self.exercise.gradient]
        if not got:
            return f"the gradient should flow back to {' and '.join(names)}, but the result is cut off from it"
        if not self.cases[i].oracle:
            return None if all(g is not None for g in got) else f"no gradient reaches {names[got.index(None)]}"
        many = sum(t.numel() for t in tensors(restore(self.expected[i]))) > 1
        what = "the gradient of all results, added up with unequal weights," if many else "the gradient"
        flat = [x for g, t in zip(got, self._inputs(i), strict=True) for x in (g if g else [0.0] * t.numel())]
        for k, (below, above) in enumerate(self._slopes(i)):
            low, high = min(below, above), max(below, above)
            slack = 0.02 * max(1.0, abs(low), abs(high))
            if not low - slack <= flat[k] <= high + slack:
                return (
                    f"the gradient should flow: {what} is {flat[k]:.3g} at number {k + 1} of {', '.join(names)}, "
                    f"right is {below:.3g}"
                )
        return None

    def _inputs(self, i: int) -> list[torch.Tensor]:
        return [t for k in self.exercise.gradient for t in tensors(self.cases[i].args[k])]

    def _slopes(self, i: int) -> Iterator[tuple[float, float]]:
        """Left and right finite differences of the oracle, number by number; at a kink they differ."""
        step = 1e-5
        args = guard.double(clone(self.cases[i].args))
        case = self.cases[i]
        total = self._total(case, args)
        for k in self.exercise.gradient:
            for tensor in tensors(args[k]):
                for flat in range(tensor.numel()):
                    at = tensor.view(-1)
                    kept = at[flat].item()
                    at[flat] = kept + step
                    above = (self._total(case, args) - total) / step
                    at[flat] = kept - step
                    below = (total - self._total(case, args)) / step
                    at[flat] = kept
                    yield below, above

    def _total(self, case: Case, args: tuple) -> float:
        floats = [t for t in tensors(case.oracle(*clone(args))) if t.is_floating_point()]
        return sum(float((t.double() * guard.weights_for(t.double())).sum()) for t in floats)


def is_empty(args: object) -> bool:
    """Whether some argument holds nothing: a tensor without numbers, an empty list or string."""
    if isinstance(args, torch.Tensor):
        return args.numel() == 0
    if isinstance(args, dict):
        args = list(args.values())
    if isinstance(args, str):
        return not args.strip()
    return isinstance(args, (list, tuple)) and (len(args) == 0 or any(is_empty(a) for a in args))


def _each(snap: dict, key: str) -> list:
    """`key` of every tensor in a snapshot, in order."""
    if "items" in snap:
        items = snap["items"].values() if isinstance(snap["items"], dict) else snap["items"]
        return [found for item in items for found in _each(item, key)]
    return [snap[key]] if key in snap else []


def _single(snap: dict) -> dict:
    """A snapshot with float64 tensors called float32, to compare numbers only."""
    if "items" in snap:
        items = snap["items"]
        items = {k: _single(v) for k, v in items.items()} if isinstance(items, dict) else [_single(v) for v in items]
        return {**snap, "items": items}
    return {**snap, "dtype": "float32"} if snap.get("dtype") == "float64" else snap


def _nudged(value: object, generator: torch.Generator) -> object:
    """An argument whose floats are each moved by a thousandth or so, so that no two are equal; within 0–1 they stay there."""
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        less, more = torch.rand(2, *value.shape, generator=generator).to(value.dtype)
        return value * (1 - 0.001 * (0.3 + 0.7 * less)) + 0.0002 * more
    if isinstance(value, (list, tuple)):
        return type(value)(_nudged(item, generator) for item in value)
    return {k: _nudged(v, generator) for k, v in value.items()} if isinstance(value, dict) else value
