"""What is made of an answer's calls: the state of an exercise, and what is wrong in words that help."""

from collections.abc import Iterator
from dataclasses import dataclass

from course_lib.exercises.guard import Run
from course_lib.exercises.plan import Plan, is_empty
from course_lib.exercises.values import clone, describe, difference, each, restore, single, size, snapshot, tensors

NOT_STARTED, NOT_YET, CORRECT = "not started", "not yet", "correct"
_STOPPED = {
    "time": "it should end within seconds, yours was still running when it was stopped",
    "memory": "it takes more than 2 GB of memory",
    "interrupt": "interrupted",
}
_ALLOWED = {
    "gradient": "the input should be allowed to require a gradient",
    "twice": "a second call should work",
    "double": "a float64 input should work",
}


@dataclass(frozen=True)
class Result:
    """The state of one exercise and, for "not yet", what is wrong."""

    number: str
    state: str
    message: str = ""

    def __str__(self) -> str:
        return f"Exercise {self.number}  {self.state}" + (f": {self.message}" if self.message else "")


def judge(plan: Plan, run: Run) -> Result:
    """The state that follows from what was seen; the broken property with the smallest input is named."""
    number = plan.exercise.number
    if run.seen and all(seen.get("cause") == "unwritten" for seen in run.seen):
        return Result(number, NOT_STARTED)
    faults = [
        (rank, is_empty(plan.cases[i].args), size(plan.cases[i].args), text)
        for (i, mode), seen in zip(plan.calls, run.seen, strict=False)
        for rank, text in _faults(plan, i, mode, seen)
    ]
    if run.stopped:
        i = plan.calls[min(len(run.seen), len(plan.calls) - 1)][0]
        faults.append((0, False, 0, f"{_STOPPED[run.stopped]}, {plan.inputs(i)}"))
    if run.drew:
        faults.append((5, False, 0, "it should return its result and show nothing, yours draws or displays something"))
    if run.printed.strip() and plan.exercise.quiet:
        line = run.printed.strip().splitlines()[0][:60]
        faults.append((6, False, 0, f"it should return its result and print nothing, yours prints {line!r}"))
    if not faults:
        return Result(number, CORRECT)
    text = min(faults, key=lambda fault: fault[:3])[3]
    return Result(number, NOT_YET, " ".join(text.split())[:600])


def _faults(plan: Plan, i: int, mode: str, seen: dict) -> Iterator[tuple[int, str]]:
    """(rank, message) of every property that this call broke; rank 0 is told first."""
    where = plan.inputs(i)
    if "error" in seen:
        yield (1 if mode == "plain" else 3), _error(plan, i, mode, seen)
        return
    if mode == "plain":
        yield from ((rank, f"{text}, {where}") for rank, text in _plain_faults(plan, i, seen))
    if mode == "twice" and (wrong := wrong_result(plan, i, seen["output"])):
        yield 2, f"the same input should give the same result every time: {wrong} the second time, {where}"
    if mode == "gradient" and (wrong := _wrong_gradient(plan, i, seen["gradient"])):
        yield 3, f"{wrong}, {where}"
    if mode == "double" and "float32" in each(seen["output"], "dtype"):
        yield 4, f"the dtype should be kept: float64 goes in, float32 comes out, {where}"
    elif mode == "double" and (wrong := _wrong_in_double(plan, i, seen["output"])):
        yield 4, f"float64 numbers should give the same result as float32: {wrong}, {where}"
    if mode == "device" and seen["device"]:
        yield (
            4,
            f"the device should be kept (on a GPU this fails: {seen['device']}; give device=… of the input), {where}",
        )


def _error(plan: Plan, i: int, mode: str, seen: dict) -> str:
    """What an error in a call means."""
    name, error = plan.exercise.answer, seen["error"]
    if seen["cause"] == "call":
        return f"`{name}` should take ({', '.join(plan.names)}), but it could not be called with them: {error}"
    if seen["cause"] == "name":
        return f"`{name}` {error}, but nothing has that name: is it misspelt, or made in a cell that has not run?"
    return f"{_ALLOWED.get(mode, plan.cases[i].says)}, but {error}, {plan.inputs(i)}"


def _plain_faults(plan: Plan, i: int, seen: dict) -> Iterator[tuple[int, str]]:
    """What is wrong with a plain call: its result, what it did to its inputs and to an earlier result, its manners."""
    if wrong := wrong_result(plan, i, seen["output"]):
        yield 1, f"{plan.cases[i].says}: {wrong}"
    if plan.exercise.inputs_unchanged:
        before, after = snapshot(plan.cases[i].args)["items"], seen["after"]["items"]
        changed = [
            name
            for name, a, b in zip(plan.names, before, after, strict=False)
            if difference(a, b, 0.0) or each(a, "grad") != each(b, "grad")
        ]
        if changed:
            yield 2, f"the input should stay unchanged, yours changes {' and '.join(changed)}"
    if seen.get("overwritten"):
        yield 2, "a later call should leave an earlier result alone, yours overwrites it"
    yield from ((4, text) for text in _manners(plan, i, seen["output"]))


def _manners(plan: Plan, i: int, output: dict) -> Iterator[str]:
    """What is wrong with a result whose numbers may be right: it asks for a gradient, or changes the dtype."""
    if True in each(output, "grad"):
        yield "the result should not require a gradient where no input does (a tensor made anew is cut off from the inputs)"
    floats = {str(t.dtype).removeprefix("torch.") for t in tensors(plan.cases[i].args) if t.is_floating_point()}
    other = [d for d in each(output, "dtype") if "float" in d and d not in floats]
    if plan.cases[i].judge and plan.exercise.dtype and floats and other:
        yield f"the dtype should be kept: {min(floats)} goes in, {other[0]} comes out"


def wrong_result(plan: Plan, i: int, output: dict) -> str | None:
    """What is wrong with the result of case i (a snapshot), or None."""
    one = plan.cases[i]
    if one.oracle:
        return difference(plan.expected[i], output, plan.exercise.tolerance)
    if "." in output["kind"]:
        return f"the result has the wrong form, yours is {describe(output)}"
    try:
        return one.judge(restore(output), *clone(one.args))
    except Exception:
        return f"the result has the wrong form, yours is {describe(output)}"


def _wrong_in_double(plan: Plan, i: int, output: dict) -> str | None:
    if plan.cases[i].judge:
        return wrong_result(plan, i, output)
    return plan.in_double[i] and difference(plan.in_double[i], single(output), plan.exercise.tolerance)


def _wrong_gradient(plan: Plan, i: int, got: list) -> str | None:
    """What is wrong with the gradients of case i, one list of numbers (or None) for each tensor they should reach."""
    names = [plan.names[k] for k in plan.exercise.gradient]
    if not got:
        return f"the gradient should flow back to {' and '.join(names)}, but the result is cut off from it"
    if not plan.cases[i].oracle:
        return None if all(g is not None for g in got) else f"no gradient reaches {names[got.index(None)]}"
    many = sum(t.numel() for t in tensors(restore(plan.expected[i]))) > 1
    what = "the gradient of all results, added up with unequal weights," if many else "the gradient"
    inputs = [t for k in plan.exercise.gradient for t in tensors(plan.cases[i].args[k])]
    flat = [x for g, t in zip(got, inputs, strict=True) for x in (g if g else [0.0] * t.numel())]
    for found, (place, below, above) in zip(flat, plan.slopes(i), strict=True):
        low, high = min(below, above), max(below, above)
        slack = 0.02 * max(1.0, abs(low), abs(high))
        if not low - slack <= found <= high + slack:
            right = 0.0 if low - 1e-3 <= 0 <= high + 1e-3 else below  # a slope that small is rounding
            return f"the gradient should flow: {what} is {found:.3g} at {place}, right is {right:.3g}"
    return None
