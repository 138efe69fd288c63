"""Exercises stand in the lessons as design §4 says, and Run All finishes whatever the reader wrote."""

import ast
import builtins
import re
from contextlib import suppress

import pytest
from book import EXERCISES, NUMBERS, WRONG, each, execute, lesson_of, of, solutions_of
from house.notebooks import Cell, Notebook, markdown

from course_lib.exercises import framework

PROMISED = ("write", "fix", "predict")


def tagged(book: Notebook, tag: str) -> Cell:
    """The one cell with this tag."""
    found = [cell for cell in book.cells if tag in cell.tags]
    assert len(found) == 1, f"{book.name}: {len(found)} cells tagged {tag}"
    return found[0]


def introduction(book: Notebook, cell: Cell) -> str:
    """The Markdown cell right before a stub."""
    before = book.cells[book.cells.index(cell) - 1]
    assert before.kind == "markdown", f"{book.name}: no Markdown cell before {cell.id}"
    return before.source


def folds(text: str) -> dict[str, str]:
    """Folded parts of a Markdown text: summary → content."""
    found = re.findall(r"<details>\s*<summary>(.*?)</summary>\n\n(.*?)\n\n</details>", text, re.S)
    return {summary.strip(): content.strip() for summary, content in found}


def missing(exercise: framework.Exercise, text: str, file: str) -> list[str]:
    """What an exercise's introduction lacks."""
    found = folds(text)
    hints = [found.get(next((s for s in found if s.startswith(f"Hint {k}")), "")) for k in (1, 2, 3)]
    wanted = {
        f"heading '### Exercise {exercise.number}'": f"### Exercise {exercise.number} " in text,
        f"'Difficulty {exercise.difficulty} of 3'": f"Difficulty {exercise.difficulty} of 3" in text,
        f"'about {exercise.minutes} minutes'": f"about {exercise.minutes} minutes" in text,
        "three folded hints": all(hints),
        f"hint 3 links to solutions/{file}": f"(solutions/{file})" in (hints[2] or ""),
        "a folded 'This error means …'": exercise.kind not in ("write", "fix")
        or any(summary.startswith("This error means") for summary in found),
        "'<details>' and '</details>' in pairs": text.count("<details>") == text.count("</details>") == len(found),
    }
    return [what for what, there in wanted.items() if not there]


@each("write", "fix", "predict", "explain")
def test_introduction(exercise):
    book = lesson_of(exercise)
    text = introduction(book, tagged(book, f"exercise-{exercise.number}"))
    assert not missing(exercise, text, book.name)


def test_a_bare_introduction_is_noticed():
    exercise = framework.Exercise("4.2", "write", "f", 10, 2)
    assert len(missing(exercise, markdown("### Exercise 4.3  F").source, "04.ipynb")) == 6


@each(*PROMISED)
def test_stub_and_check_cells(exercise):
    book = lesson_of(exercise)
    stub, check = (tagged(book, f"{kind}-{exercise.number}") for kind in ("exercise", "check"))
    assert book.cells.index(check) == book.cells.index(stub) + 1
    assert check.source.strip() == f'check("{exercise.number}", {exercise.answer})'
    assert check.text.strip() == f"Exercise {exercise.number}  not started"
    names = [n.name for n in stub.tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    if exercise.kind == "predict":
        assert ast.unparse(stub.tree.body[0]) in (f"{exercise.answer} = None", f"{exercise.answer} = ...")
    else:
        assert names == [exercise.answer]
        assert framework.is_stub(stub.tree, exercise.stub), "the checker does not take the stub for not started"


@pytest.mark.parametrize("number", NUMBERS, ids=[f"lesson{n:02d}" for n in NUMBERS])
def test_last_cell_counts(number):
    book = lesson_of(framework.lesson(number)[0])
    counted = [e for e in framework.lesson(number) if e.counted]
    assert book.code[-1].source.strip() == f"summary({number})"
    assert book.code[-1].text.strip() == f"0 of {len(counted)} solved"
    numbers = {tag.partition("-")[2] for cell in book.cells for tag in cell.tags if tag.startswith("exercise-")}
    assert numbers == {e.number for e in framework.lesson(number)}


@each("write", "fix", "predict", "explain")
def test_solution(exercise):
    book = solutions_of(exercise)
    cell = tagged(book, f"exercise-{exercise.number}")
    heading = cell.source if exercise.kind == "explain" else introduction(book, cell)
    assert f"## Exercise {exercise.number}" in heading
    assert len(heading.split()) >= 20, "a solution has a short explanation"
    if exercise.counted:
        check = tagged(book, f"check-{exercise.number}")
        assert check.source.strip() == f'check("{exercise.number}", {exercise.answer})'
        assert check.text.strip() == f"Exercise {exercise.number}  correct"


@each(*PROMISED)
def test_solution_passes_its_checker_with_fresh_inputs(exercise):
    book, namespace = solutions_of(exercise), {}
    execute(book.code[0].source, namespace, "imports")
    execute(tagged(book, f"exercise-{exercise.number}").source, namespace, exercise.number)
    for seed in (0, 11, 12, 13):
        result = framework.evaluate(framework.find(exercise.number), namespace[exercise.answer], seed)
        assert result.state == framework.CORRECT, result.message


def names(source: str) -> tuple[set[str], set[str]]:
    """The names that some code makes (assigns, imports, defines), and those that it reads."""
    made, read = set(), set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            made |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            made.add(node.name)
        elif isinstance(node, ast.arg):
            made.add(node.arg)
        elif isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else made).add(node.id)
    return made, read


@each(*PROMISED)
def test_solution_can_be_pasted_into_the_lesson(exercise):
    cell = tagged(solutions_of(exercise), f"exercise-{exercise.number}")
    made, read = names(cell.source)
    known = set(dir(builtins)).union(*(names(one.source)[0] for one in lesson_of(exercise).code))
    assert read <= made | known, f"the lesson has no {', '.join(sorted(read - made - known))}"


def test_a_missing_name_is_noticed():
    made, read = names("def f(x, *, k=3):\n    y = math.log(x)\n    return [y + z + k for z in range(3)]")
    assert (made, read) == ({"f", "x", "k", "y", "z"}, {"math", "x", "y", "z", "k", "range"})


def constant(statement: ast.stmt) -> bool:
    """Whether a statement gives a name in capitals a value, as functions may have it for a default."""
    return isinstance(statement, ast.Assign) and all(
        isinstance(t, ast.Name) and t.id.isupper() for t in statement.targets
    )


def only_exercises(number: int, answers: dict[str, str | object], capsys) -> list[str]:
    """Run a lesson's imports, definitions and exercise cells, with stubs replaced; return the printed lines."""
    book, namespace = lesson_of(framework.lesson(number)[0]), {}
    framework._SOLVED.clear()
    for cell in book.code:
        exercise = next((t.partition("-")[2] for t in cell.tags if t.startswith("exercise-")), None)
        answer = answers.get(exercise, cell.source)
        if exercise and not isinstance(answer, str):
            namespace[framework.find(exercise).answer] = answer[0]
        elif exercise or cell.exercise or cell is book.code[-1]:
            execute(answer, namespace, cell.id)
        else:
            for statement in cell.tree.body:
                if isinstance(statement, (ast.Import, ast.ImportFrom, ast.FunctionDef)):
                    execute(ast.unparse(statement), namespace, cell.id)
                elif constant(statement):
                    with suppress(NameError):  # it is made of results, which are left out here
                        execute(ast.unparse(statement), namespace, cell.id)
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("Exercise") or "solved" in line]


def solved(number: int) -> dict[str, str]:
    """The solutions' cells of a lesson, each with the solutions' imports before it."""
    counted = [e for e in framework.lesson(number) if e.counted]
    book = solutions_of(counted[0])
    imports = [line for line in book.code[0].source.splitlines() if "course_lib.exercises" not in line]
    return {e.number: "\n".join(imports) + "\n" + tagged(book, f"exercise-{e.number}").source for e in counted}


def all_wrong(number: int) -> dict[str, tuple]:
    """A wrong answer to each exercise of a lesson, as an object in a tuple."""
    counted = [e for e in framework.lesson(number) if e.counted]
    return {e.number: (e.misconceptions[0][0] if e.kind == "predict" else of(e, WRONG)[0].answer,) for e in counted}


@pytest.mark.parametrize("number", NUMBERS, ids=[f"lesson{n:02d}" for n in NUMBERS])
def test_nothing_everything_and_all_wrong(number, capsys):
    n = len([e for e in framework.lesson(number) if e.counted])
    for answers, state, count in (
        (dict(), "not started", 0),
        (solved(number), "correct", n),
        (all_wrong(number), "not yet", 0),
    ):
        lines = only_exercises(number, answers, capsys)
        assert [line.split("  ")[1].partition(":")[0] for line in lines[:-1]] == [state] * n
        assert lines[-1] == f"{count} of {n} solved"


def test_some_exercises_exist():
    assert {e.kind for e in EXERCISES} == {"write", "fix", "predict", "explain"}
