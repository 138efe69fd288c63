"""The zip for students holds the course and not one line of a solution."""

import ast
import functools
import io
import json
import re
import zipfile

import pytest
from book import EXERCISES, NUMBERS
from house.notebooks import ROOT, lessons, solutions
from test_leaks import in_code, met_before, squeezed, statements

from course_lib.cli import release
from course_lib.exercises import framework


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> dict[str, bytes]:
    """The files of a release: path inside the zip → content."""
    path = release.release(tmp_path_factory.mktemp("dist"))
    assert path.name == f"course-{release.version()}.zip"
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def test_the_course_is_in_it(packed):
    for name in ("README.md", "Makefile", "pyproject.toml", "course_lib/boxes.py", "course_lib/exercises/lesson01.py"):
        assert name in packed
    assert {p.path.name for p in lessons()} == {n.split("/")[-1] for n in packed if n.startswith("notebooks/")}


def test_no_solutions_tests_or_caches(packed):
    bad = [n for n in packed if re.search(r"solutions|answers_|(^|/)tests/|cache|\.pyc|ipynb_checkpoints|my_course", n)]
    assert not bad


def test_no_link_leads_to_a_solution(packed):
    for name, content in packed.items():
        if name.endswith((".ipynb", ".md")):
            assert not re.search(rb"\]\([^)]*solutions/", content), name


def test_the_third_hint_asks_the_teacher(packed):
    for name, content in packed.items():
        if name.endswith(".ipynb"):
            text = "\n".join("".join(c["source"]) for c in json.loads(content)["cells"])
            hints = re.findall(r"<summary>Hint 3.*?</summary>\n\n(.*?)\n\n</details>", text, re.S)
            assert all(hint == "Ask your teacher." for hint in hints), name


@functools.cache
def solution_lines() -> dict[str, str]:
    """Every working line of every solution that is not in the stub and not met in a lesson before: line → exercise."""
    found, books = {}, lessons()
    stubs = {t: c for b in books for c in b.cells for t in c.tags if c.kind == "code"}
    for book in solutions():
        for cell in book.code:
            tag = next((t for t in cell.tags if t.startswith("exercise-")), None)
            if tag:
                stub = stubs.get(tag)
                known = met_before(books, stub) | (statements(stub.tree) if stub else {})
                exercise = framework.find(tag.partition("-")[2])
                known |= statements(ast.parse(exercise.stub))
                found |= {text: tag for key, text in statements(cell.tree).items() if key not in known}
    return found


def test_no_solution_line_is_in_it(packed):
    lines = solution_lines()
    assert len(lines) >= len(NUMBERS)
    texts = {
        name: squeezed(content.decode("utf-8", errors="ignore"))
        for name, content in packed.items()
        if not name.endswith((".pt", ".png", ".jpg"))
    }
    raw = {
        name: squeezed("\n".join("".join(c["source"]) for c in json.loads(packed[name])["cells"]))
        for name in packed
        if name.endswith(".ipynb")
    }
    inside = {
        key for name, content in packed.items() if name.endswith(".py") for key in in_code(content.decode("utf-8"))
    }
    for line, tag in lines.items():
        wanted = re.compile(r"(?<![A-Za-z0-9_])" + re.escape(squeezed(line)))
        files = [name for name, text in (texts | raw).items() if squeezed(line) in text and wanted.search(text)]
        assert not files, f"{tag}: {line}"
        assert not inside & set(statements(ast.parse(line if not line.endswith(":") else line + " pass"))), (
            f"{tag}: {line}"
        )


def test_a_planted_line_would_be_found():
    line = next(iter(solution_lines()))
    assert squeezed(line) in squeezed("print(1)\n" + line.replace(" ", "  "))


def test_twice_the_same_bytes(tmp_path):
    first, second = (release.release(tmp_path / name).read_bytes() for name in ("a", "b"))
    assert first == second


def test_every_lesson_with_exercises_is_released(packed):
    assert EXERCISES and all(f"course_lib/exercises/lesson{n:02d}.py" in packed for n in NUMBERS)
    assert (ROOT / "notebooks" / "solutions").is_dir()
