"""What the exercise tests read: checkers, answers and notebooks of each lesson."""

import importlib
import linecache
import sys
from pathlib import Path

import pytest
import torch
from house.notebooks import ROOT, Notebook, lessons, solutions
from trials import RIGHT, WRONG, Trial

from course_lib.exercises import framework
from course_lib.exercises.framework import Exercise

NUMBERS = sorted(int(p.stem[6:]) for p in (ROOT / "course_lib" / "exercises").glob("lesson[0-9][0-9].py"))
EXERCISES = [exercise for number in NUMBERS for exercise in framework.lesson(number)]
torch.set_num_threads(1)

for _path in sorted(Path(__file__).parent.glob("answers_[0-9][0-9].py")):
    importlib.import_module(_path.stem)


def name(exercise: Exercise) -> str:
    """Test id such as "lesson04-4.2", so that `-k lesson04` picks one lesson."""
    return f"lesson{int(exercise.number.split('.')[0]):02d}-{exercise.number}"


def each(*kinds: str):
    """Parametrise a test by exercise, of these kinds."""
    chosen = [e for e in EXERCISES if e.kind in kinds]
    return pytest.mark.parametrize("exercise", chosen, ids=[name(e) for e in chosen])


def each_trial(trials: list[Trial]):
    """Parametrise a test by wrong or right answer."""
    ids = [f"{name(framework.find(t.number))}-{t.label}" for t in trials]
    return pytest.mark.parametrize("trial", trials, ids=ids)


def of(exercise: Exercise, trials: list[Trial]) -> list[Trial]:
    """The wrong or right answers to one exercise."""
    return [t for t in trials if t.number == exercise.number]


def notebook(exercise: Exercise, where: list[Notebook]) -> Notebook:
    """The lesson or solutions notebook that holds an exercise; skips while it is not written."""
    number = int(exercise.number.split(".")[0])
    found = [book for book in where if book.number == number]
    if not found:
        pytest.skip(f"the notebook of lesson {number} is not written yet")
    return found[0]


def lesson_of(exercise: Exercise) -> Notebook:
    """The lesson's notebook; skips while it has no exercises yet."""
    book = notebook(exercise, lessons())
    if not any(cell.exercise for cell in book.cells):
        pytest.skip(f"{book.name} has no exercise cells yet")
    return book


def solutions_of(exercise: Exercise) -> Notebook:
    """The solutions notebook."""
    return notebook(exercise, solutions())


def execute(source: str, namespace: dict, label: str) -> None:
    """Run a cell's source so that `inspect.getsource` finds it, as in a notebook."""
    filename = f"<cell {label} {len(linecache.cache)}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    exec(compile(source, filename, "exec"), namespace)


def import_answers(number: int):
    """The answers module of a lesson."""
    return sys.modules[f"answers_{number:02d}"]


__all__ = ["RIGHT", "WRONG", "each", "each_trial", "execute", "lesson_of", "of", "solutions_of"]
