"""Design §4: what an answer adds stands nowhere in the lessons, nor in course_lib outside `exercises`.

Not counted: the stub's own lines, imports, signatures, docstrings, statements the reader met in a cell before the
exercise, and statements without any call, operator or index (such as `height, width = size` or `return total`).
"""

import ast
import functools
import re
import textwrap

import pytest
from book import each, lesson_of, solutions_of
from house.notebooks import ROOT, Cell, Notebook, code, lessons, make, markdown
from test_exercise_cells import tagged

WORK = (ast.Call, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Subscript, ast.Lambda, ast.ListComp, ast.DictComp)


def statements(tree: ast.AST) -> dict[str, str]:
    """All statements of a syntax tree that do some work: normalised form → source. Of a loop or if: its head."""
    found = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt) or isinstance(
            node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef, ast.Import, ast.ImportFrom)
        ):
            continue
        head = ast.parse(ast.unparse(node)).body[0] if not isinstance(node, ast.Return) else node
        for part in ("body", "orelse", "finalbody", "handlers"):
            if hasattr(head, part):
                setattr(head, part, [])
        if isinstance(head, ast.AnnAssign) and head.value is not None:
            head = ast.Assign([head.target], head.value)
        if any(isinstance(inner, WORK) for inner in ast.walk(head)):
            found[ast.dump(head)] = ast.unparse(ast.fix_missing_locations(head))
    return found


def parsed(source: str) -> ast.AST:
    """The tree of a piece of text, empty where it is no Python."""
    try:
        return ast.parse(textwrap.dedent(source))
    except (SyntaxError, ValueError):
        return ast.Module([], [])


@functools.cache
def in_code(source: str) -> dict[str, str]:
    """Statements of a cell or a module."""
    return statements(ast.parse(source))


@functools.cache
def in_prose(text: str) -> dict[str, str]:
    """Statements in fenced blocks, indented blocks and code spans of a Markdown text."""
    pieces = re.findall(r"^```\w*\n(.*?)^```", text, re.S | re.M) + re.findall(r"`([^`\n]+)`", text)
    pieces += re.findall(r"(?:^(?: {4}|\t).*\n?)+", text, re.M)
    return {key: value for piece in pieces for key, value in statements(parsed(piece)).items()}


@functools.cache
def squeezed(text: str) -> str:
    """Text without white space, for a search that no line break can hide from."""
    return re.sub(r"\s+", "", text)


def met_before(books: list[Notebook], stub: Cell) -> dict[str, str]:
    """Statements of the code cells before a stub, in its lesson and in earlier ones."""
    found = {}
    for book in books:
        for cell in book.cells:
            if cell is stub:
                return found
            if cell.kind == "code" and not cell.exercise:
                found |= in_code(cell.source)
    return found


def added(solution: Cell, stub: Cell, before: dict[str, str]) -> dict[str, str]:
    """What the answer adds to the stub and to what the reader has met."""
    own = statements(solution.tree)
    known = set(statements(stub.tree)) | set(before)
    return {key: text for key, text in own.items() if key not in known}


def leaks(answer: dict[str, str], books: list[Notebook], library: dict[str, str], own: Cell | None = None) -> list[str]:
    """Where statements of an answer stand: cells, prose, outputs, library."""
    found = []
    for key, text in answer.items():
        for book in books:
            for cell in book.cells:
                inside = in_code(cell.source) if cell.kind == "code" else in_prose(cell.source)
                printed = squeezed(cell.source if cell.kind == "markdown" else cell.text)
                if key in inside or squeezed(text) in printed:
                    found.append(f"{book.name}, cell {cell.id}: {text}")
        found += [f"{file}: {text}" for file, source in library.items() if key in in_code(source)]
    return found


@functools.cache
def library() -> dict[str, str]:
    """course_lib outside exercises: file name → source."""
    paths = [p for p in (ROOT / "course_lib").rglob("*.py") if "exercises" not in p.relative_to(ROOT).parts]
    return {str(p.relative_to(ROOT)): p.read_text(encoding="utf-8") for p in paths}


@each("write", "fix", "predict")
def test_the_answer_stands_nowhere(exercise):
    name, books = lesson_of(exercise).name, lessons()
    stub = tagged(next(b for b in books if b.name == name), f"exercise-{exercise.number}")
    answer = added(tagged(solutions_of(exercise), f"exercise-{exercise.number}"), stub, met_before(books, stub))
    assert answer, "nothing of the solution is new to the reader"
    found = leaks(answer, books, library())
    assert not found, "\n".join(found)


STUB = code("def f(x):\n    y = x + 1\n    ...", "exercise-9.1")
ANSWER = code(
    "def f(x: int) -> int:\n    y = x + 1\n    z = g(y)\n    for i in range(y):\n        z = h(z,  i)\n    return z"
)


def test_what_counts():
    before = met_before([make("01_a.ipynb", "z = g(y)"), make("09_b.ipynb", STUB, "z = h(z, i)")], STUB)
    assert list(added(ANSWER, STUB, before).values()) == ["for i in range(y):", "z = h(z, i)"]


@pytest.mark.parametrize(
    "cell",
    [
        code("if True:\n    z = h( z, i )  # later"),
        code("def other(z, i):\n    z: int = h(z,\n              i)"),
        markdown("the step\n\n```python\nz = h(z, i)\n```\n"),
        markdown("the step\n\n    z = h(z,i)\n"),
        markdown("the step `z = h(z, i)` repeats"),
        markdown("<pre>z = h(z,  i)</pre>"),
        code("show()", printed="z = h(z, i)"),
    ],
)
def test_leaks_are_found(cell):
    answer = added(ANSWER, STUB, {})
    assert len(leaks(answer, [make("09_b.ipynb", STUB, cell)], {})) == 1
    assert not leaks(answer, [make("09_b.ipynb", STUB, "z = h(z, j)")], {"boxes.py": "z = h(z)"})
    assert leaks(answer, [], {"boxes.py": "def f():\n    while True:\n        z = h(z, i)"})
