"""`make test-all`: whole lessons run with nothing solved, everything solved and everything wrong."""

import copy

import pytest
from book import NUMBERS, WRONG, lesson_of, of
from test_exercise_cells import solved

from course_lib.cli import render
from course_lib.exercises import framework

pytestmark = pytest.mark.slow


def wrong_cells(number: int) -> dict[str, str]:
    """A cell for each exercise of a lesson that puts a wrong answer in place of the reader's."""
    cells = {}
    for exercise in framework.lesson(number):
        if exercise.kind == "predict":
            cells[exercise.number] = f"{exercise.answer} = {exercise.misconceptions[0][0]!r}"
        elif exercise.counted:
            answer = of(exercise, WRONG)[0].answer
            module, name = f"answers_{number:02d}", answer.__name__
            cells[exercise.number] = (
                f"import sys\nsys.path.insert(0, '../tests/exercises')\nfrom {module} import {name} as {exercise.answer}"
            )
    return cells


@pytest.mark.parametrize("number", NUMBERS, ids=[f"lesson{n:02d}" for n in NUMBERS])
@pytest.mark.parametrize("kind", ["nothing", "everything", "wrong"])
def test_run_all(number, kind):
    path = lesson_of(framework.lesson(number)[0]).path
    n = len([e for e in framework.lesson(number) if e.counted])
    answers = {"nothing": {}, "everything": solved(number), "wrong": wrong_cells(number)}[kind]
    notebook = copy.deepcopy(render.read(path))
    for cell in notebook.cells:
        tag = next((t for t in cell.metadata.get("tags", []) if t.startswith("exercise-")), "")
        if cell.cell_type == "code" and tag:
            cell.source = answers.get(tag.partition("-")[2], cell.source)
    ran = render.run(notebook, path)
    lines = ["".join(o.get("text", "") for o in c.outputs).strip() for c in ran.cells if c.cell_type == "code"]
    state = {"nothing": "not started", "everything": "correct", "wrong": "not yet"}[kind]
    verdicts = [line.split("  ")[1].partition(":")[0] for line in lines if line.startswith("Exercise ")]
    assert verdicts == [state] * n
    assert lines[-1] == f"{n if kind == 'everything' else 0} of {n} solved"
    assert [c.execution_count for c in ran.cells if c.cell_type == "code"] == list(range(1, len(lines) + 1))
