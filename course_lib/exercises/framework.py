"""What a lesson's checker module is written with, and what `check` and `summary` do with it.

A checker is one decorated generator function. It holds an oracle, written independently of the solution, and yields
cases, small ones first:

    @write("4.2", "generalised_iou", minutes=15, difficulty=2, gradient=(0, 1))
    def generalised_iou(draw: Draw) -> Iterator[Case]:
        def oracle(boxes, other):                  # slow loops; its argument names are used in the messages
            ...

        yield case("a box and itself should give 1", oracle, torch.tensor([[1.0, 2, 5, 4]]), torch.tensor([[1.0, 2, 5, 4]]))
        yield case("no boxes should give an empty [0, M] table", oracle, torch.zeros(0, 4), draw.boxes(3))
        yield case("every box should meet every other", oracle, draw.boxes(2), draw.boxes(3))

In the lesson stand a Markdown cell (task, difficulty, minutes, hints), the stub (tag `exercise-4.2`) and
`check("4.2", generalised_iou)` (tag `check-4.2`); in `notebooks/solutions` the solution with the same tags; in
`tests/exercises/answers_04.py` at least six wrong and two right answers. Then
`pytest tests/exercises -k lesson04` says what is missing. A good set of cases has pictures wider than high and
higher than wide, different numbers on both sides, ties, large numbers, and nothing at all.
"""

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

from course_lib.exercises import guard, verdict
from course_lib.exercises.plan import Case, Draw, Exercise, Plan, case, judged
from course_lib.exercises.values import describe, prediction, snapshot
from course_lib.exercises.verdict import CORRECT, NOT_STARTED, NOT_YET, Result

__all__ = [
    "CORRECT",
    "NOT_STARTED",
    "NOT_YET",
    "Draw",
    "Exercise",
    "Plan",
    "Result",
    "case",
    "check",
    "evaluate",
    "explain",
    "find",
    "fix",
    "is_stub",
    "judge_value",
    "judged",
    "lesson",
    "predict",
    "summary",
    "write",
]
_EXERCISES: dict[str, Exercise] = {}
_SOLVED: dict[str, str] = {}


def write(number: str, answer: str, *, minutes: int, difficulty: int, **options: object) -> Callable:
    """Register a write-it exercise; decorates a generator function `cases(draw)` that yields `case(...)`.

    Options (all switchable): `gradient=(0,)` indices of the arguments that gradient must reach, and its values are
    compared with the oracle's finite differences; `dtype` (float64 in, float64 out), `device`, `inputs_unchanged`,
    `quiet` (prints nothing), `empty` (the tests insist on a case with an empty input), `tolerance`.
    """
    return _register(Exercise(number, "write", answer, minutes, difficulty, **options))


def fix(number: str, answer: str, *, stub: str, minutes: int, difficulty: int, **options: object) -> Callable:
    """Register a fix-the-bug exercise: as `write`, plus the source of the broken function as it stands in the stub."""
    return _register(Exercise(number, "fix", answer, minutes, difficulty, stub=textwrap.dedent(stub), **options))


def predict(
    number: str,
    answer: str,
    *,
    right: object,
    misconceptions: list[tuple[object, str]],
    otherwise: str,
    minutes: int,
    difficulty: int,
    tolerance: float = 1e-2,
) -> None:
    """Register a prediction: the right value, at least three wrong ones with their own message, and one for the rest.

    A value is a number, a string (compared without case and blanks), a bool, or a tuple, list or tensor of numbers.
    """
    _EXERCISES[number] = Exercise(
        number,
        "predict",
        answer,
        minutes,
        difficulty,
        right=right,
        otherwise=otherwise,
        misconceptions=misconceptions,
        tolerance=tolerance,
    )


def explain(number: str, *, minutes: int, difficulty: int) -> None:
    """Register an exercise that is answered in words: no checker, not counted."""
    _EXERCISES[number] = Exercise(number, "explain", "", minutes, difficulty)


def _register(exercise: Exercise) -> Callable:
    def decorate(cases: Callable[[Draw], Iterator[Case]]) -> Callable:
        exercise.cases = cases
        _EXERCISES[exercise.number] = exercise
        return cases

    return decorate


def lesson(number: int) -> list[Exercise]:
    """The exercises of one lesson, in order."""
    importlib.import_module(f"course_lib.exercises.lesson{number:02d}")
    mine = [e for e in _EXERCISES.values() if e.number.split(".")[0] == str(number)]
    return sorted(mine, key=lambda e: int(e.number.split(".")[1]))


class Unknown(Exception):
    """No exercise has the number asked for; says in words for a reader why."""


def find(number: str) -> Exercise:
    """The exercise with this number. Raises Unknown if there is none."""
    if not isinstance(number, str):
        raise Unknown(f'the number of an exercise stands in quotes: check("{number}", …)')
    if number in _EXERCISES:
        return _EXERCISES[number]
    parts = re.fullmatch(r"(\d{1,2})\.\d+", number)
    if not parts or not Path(__file__).with_name(f"lesson{int(parts[1]):02d}.py").exists():
        raise Unknown("no exercise has this number; it is lesson, point, exercise, as in the heading above the cell")
    known = [e.number for e in lesson(int(parts[1]))]
    if number not in known:
        raise Unknown(f"no exercise has this number; lesson {parts[1]} has {', '.join(known)}")
    return _EXERCISES[number]


def check(number: str, answer: object) -> None:
    """Print one line: not started, not yet (and why), or correct. Never raises."""
    try:
        exercise = find(number)
        result = _overtaken(exercise, answer) or evaluate(exercise, answer)
    except Unknown as error:
        result = Result(str(number), NOT_YET, str(error))
    except Exception as error:
        result = Result(number, NOT_YET, f"the checker could not run your answer ({type(error).__name__}: {error})")
    _SOLVED[str(number)] = result.state
    print(result)


def summary(number: int) -> None:
    """Print how many of a lesson's exercises this session has solved: "k of n solved"."""
    counted = [e.number for e in lesson(number) if e.counted]
    print(f"{sum(_SOLVED.get(n) == CORRECT for n in counted)} of {len(counted)} solved")


def evaluate(exercise: Exercise, answer: object, seed: int = 0, seconds: float = guard.SECONDS) -> Result:
    """The state of `answer`; inputs are drawn from `seed`."""
    if exercise.kind == "predict":
        return judge_value(exercise, snapshot(prediction(answer)))
    if not started(exercise, answer):
        return Result(exercise.number, NOT_STARTED)
    if not callable(answer):
        kind = describe(snapshot(answer))
        return Result(exercise.number, NOT_YET, f"`{exercise.answer}` should be a function, yours is {kind}")
    calls = Plan(exercise, seed)
    return verdict.judge(calls, guard.run(answer, calls.probes, seconds))


# --- has the reader begun? ---------------------------------------------------------------------------------------


def started(exercise: Exercise, answer: object) -> bool:
    """False where the answer is still the stub: nothing but docstring, `...`, pass, raise or return None."""
    if answer is None or answer is ...:
        return False
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(answer)))
    except (OSError, TypeError, SyntaxError):
        return True
    return not is_stub(tree, exercise.stub)


def _overtaken(exercise: Exercise, answer: object) -> Result | None:
    """Where the last cell that defines the answer is no valid Python, an older function is still there: say so."""
    shell = guard.notebook_shell() if getattr(answer, "__name__", "") == exercise.answer else None
    cells = shell.history_manager.input_hist_raw if shell else []
    begins = re.compile(rf"^\s*(?:async\s+)?(?:def|class)\s+{exercise.answer}\b", re.MULTILINE)
    last = next((cell for cell in reversed(cells) if begins.search(cell)), "")
    try:
        ast.parse(shell.transform_cell(last) if last else "")
    except SyntaxError as error:
        return Result(
            exercise.number,
            NOT_YET,
            f"the cell with `{exercise.answer}` is not valid Python ({error.msg}, line {error.lineno}), so the function "
            "from before is still in place; mend the cell and run it again",
        )
    return None


def is_stub(tree: ast.AST, stub: str = "") -> bool:
    """Whether the source is an empty body, or (fix-it) the broken function as it was given."""
    if stub:
        return ast.dump(_bare(tree)) == ast.dump(_bare(ast.parse(stub)))
    functions = [n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return bool(functions) and all(_says_nothing(s) for f in functions for s in f.body)


def _says_nothing(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.Return):
        return (
            statement.value is None
            or isinstance(statement.value, ast.Constant)
            and statement.value.value in (None, ...)
        )
    if isinstance(statement, ast.Raise):
        return "NotImplementedError" in ast.dump(statement)
    return isinstance(statement, ast.Pass)


def _bare(tree: ast.AST) -> ast.AST:
    """The definitions of a piece of source without docstrings, type hints and decorators."""
    tree = ast.Module([n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))], [])
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            node.decorator_list = []
            if ast.get_docstring(node) is not None:
                node.body = node.body[1:] or [ast.Pass()]
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
    return tree


# --- predictions -------------------------------------------------------------------------------------------------


def judge_value(exercise: Exercise, snap: dict) -> Result:
    """The state of a predicted value, given as a snapshot."""
    if snap["kind"] in ("NoneType", ".ellipsis") or snap.get("value") == "":
        return Result(exercise.number, NOT_STARTED)
    guess, right = _plain(snap), _plain(snapshot(exercise.right))
    if isinstance(right, (int, float)) and isinstance(guess, str) and re.fullmatch(r"\d+/[1-9]\d*", guess):
        guess = float(Fraction(guess))
    if guess is None or _sort(guess) != _sort(right):
        text = f"`{exercise.answer}` should be {_sort(right)}, yours is {describe(snap)}"
        if snap["kind"] == "tuple" and _sort(right) == "a number":
            text += ": a comma makes a tuple, write a decimal point, and nothing between thousands"
        return Result(exercise.number, NOT_YET, text)
    if _same_value(exercise.right, guess, exercise.tolerance):
        return Result(exercise.number, CORRECT)
    for value, message in exercise.misconceptions:
        if _same_value(value, guess, exercise.tolerance):
            return Result(exercise.number, NOT_YET, message)
    return Result(exercise.number, NOT_YET, exercise.otherwise)


def _sort(value: object) -> str:
    return "a string" if isinstance(value, str) else "a list of numbers" if isinstance(value, list) else "a number"


def _plain(snap: dict) -> object:
    if snap["kind"] == "tensor":
        return snap["values"] if snap["shape"] else snap["values"][0]
    if snap["kind"] in ("list", "tuple"):
        items = [_plain(item) for item in snap["items"]]
        return None if None in items else items
    if snap["kind"] == "str":
        return "".join(snap["value"].split()).strip(".'\"").casefold()
    return snap.get("value")


def _same_value(right: object, guess: object, tolerance: float) -> bool:
    right = _plain(snapshot(right))
    if isinstance(right, list):
        return (
            isinstance(guess, list)
            and len(right) == len(guess)
            and all(_same_value(a, b, tolerance) for a, b in zip(right, guess, strict=True))
        )
    if isinstance(right, (bool, str)) or isinstance(guess, (bool, str, list)):
        return type(right) is type(guess) and right == guess
    return abs(right - guess) <= (1e-6 if isinstance(right, int) else tolerance) * abs(right)
