"""A band belongs to a budget: what a lesson trains is what its experiment recorded."""

import ast
import importlib

import pytest

from house.notebooks import lessons

NUMBERS = {"01_single_object_detector": "lesson1", "05_ssd": "lesson5"}


def numbers_given(source: str) -> set[float]:
    """Every number that a cell hands over by name or binds to a name."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.keyword | ast.Assign):
            found |= {
                n.value for n in ast.walk(node.value) if isinstance(n, ast.Constant) and type(n.value) in (int, float)
            }
    return found


def test_numbers_given() -> None:
    assert numbers_given("STEPS, LR = 250, 6e-3\ntrain(m, p, steps=20, lr=LR)") == {250, 0.006, 20}


@pytest.mark.parametrize("stem", NUMBERS)
def test_a_lesson_trains_as_long_as_its_recorded_runs(stem: str) -> None:
    notebook = next((n for n in lessons() if n.name.startswith(stem)), None)
    if notebook is None:
        pytest.skip(f"{stem}.ipynb is not written yet")
    experiment = importlib.import_module(f"course_lib.experiments.{NUMBERS[stem]}")
    given = set().union(*(numbers_given(cell.source) for cell in notebook.cells if cell.kind == "code"))
    assert experiment.STEPS in given, f"the runs were recorded with {experiment.STEPS} steps"
    for name, usual in (("BATCH", 32), ("LR", 1e-3)):  # the defaults of `train` need not be written
        value = getattr(experiment, name, usual)
        assert value == usual or value in given, f"the runs were recorded with {name} {value}"
