"""Grading: a CSV row an exercise, whatever a submission does to itself, to others or to the process it runs in."""

import ast
import csv
import json
import subprocess
import sys

import pytest
from house.notebooks import ROOT, solutions

from course_lib.cli import grade as grading
from course_lib.exercises import framework

LESSON = 1
STUBS = {
    "1.1": "def read_yolo(text, size):\n    ...",
    "1.2": "def balanced_l1(predicted, true):\n    ...",
    "1.3": "def twin(features):\n    ...",
    "1.4": "pixels = None",
    "1.5": framework.find("1.5").stub,
    "1.6": framework.find("1.6").stub,
}
TWIN = "def twin(features):\n    return features.flatten(1).roll(1, dims=1).reshape(features.shape)"


def solved() -> dict[str, str]:
    """The solutions' cells by exercise."""
    book = next(b for b in solutions() if b.number == LESSON)
    return {t.partition("-")[2]: c.source for c in book.code for t in c.tags if t.startswith("exercise-")}


def notebook(answers: dict[str, str], before: list[str] = (), tags: bool = True) -> dict:
    """A submission: imports, further cells, then stubs or answers, each with its check cell."""
    cells = [
        (
            "import math\nimport torch\nfrom course_lib.boxes import *\nfrom course_lib.boxes import cxcywh_to_xyxy, "
            "xyxy_to_cxcywh\nfrom course_lib.exercises import check, summary",
            [],
        )
    ]
    cells += [(source, []) for source in before]
    for number, stub in STUBS.items():
        cells += [(answers.get(number, stub), [f"exercise-{number}"] if tags else [])]
        cells += [(f'check("{number}", {framework.find(number).answer})', [f"check-{number}"] if tags else [])]
    made = [
        dict(cell_type="code", id=f"c{k}", metadata={"tags": t}, source=s, outputs=[], execution_count=None)
        for k, (s, t) in enumerate(cells)
    ]
    return dict(cells=made, metadata={}, nbformat=4, nbformat_minor=5)


def states(path, text: str | dict, seconds: float = 2.0, name: str = "01_a.ipynb") -> dict[str, tuple[str, str]]:
    """Exercise → (state, message) of one submission."""
    (path / name).write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
    return {number: (state, message) for _, number, state, message in grading.grade(path, seconds=seconds)}


def with_twin(path, source: str, **options) -> tuple[str, str]:
    """State and message of one answer to 1.3; all else must still be judged as before."""
    found = states(path, notebook({**solved(), "1.3": source}, **options))
    assert [found[n][0] for n in found if n != "1.3"] == ["correct"] * 5, found
    return found["1.3"]


def test_the_command_writes_a_table(tmp_path):
    (tmp_path / "in" / "anna").mkdir(parents=True)
    (tmp_path / "in" / ".ipynb_checkpoints").mkdir()
    (tmp_path / "in" / "anna" / "01_x.ipynb").write_text(json.dumps(notebook(solved())), encoding="utf-8")
    (tmp_path / "in" / "=cmd, ben.ipynb").write_text(json.dumps(notebook({})), encoding="utf-8")
    (tmp_path / "in" / ".ipynb_checkpoints" / "01_x.ipynb").write_text("{}", encoding="utf-8")
    out = tmp_path / "grades.csv"
    command = [sys.executable, "-m", "course_lib.cli.grade", str(tmp_path / "in"), "--output", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    with open(out, newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["name", "exercise", "state", "message"]
    assert [r["state"] for r in rows if r["name"] == "anna/01_x"] == ["correct"] * 6
    assert [r["state"] for r in rows if r["name"] == "'=cmd, ben"] == ["not started"] * 6
    assert len(rows) == 12 and "6 of 6" in done.stderr


def test_inputs_are_fresh(tmp_path):
    seen = set()
    for _ in range(2):
        found = states(tmp_path, notebook({"1.3": "def twin(features):\n    return features"}))
        seen.add(found["1.3"][1])
    assert len(seen) == 2


def test_lost_tags_and_lost_name(tmp_path):
    found = states(tmp_path, notebook(solved(), tags=False), name="my homework.ipynb")
    assert [state for state, _ in found.values()] == ["correct"] * 6


def test_an_answer_moved_to_another_cell_with_helpers(tmp_path):
    before = [
        "def helper(features):\n    return features.flatten(1).roll(STEP, dims=1)",
        "STEP = 1",
        "1 / 0",
        "%matplotlib inline",
    ]
    answer = "!ls\nprint(undefined)\ndef twin(features):\n    return helper(features).reshape(features.shape)\nraise ValueError"
    assert with_twin(tmp_path, answer, before=before)[0] == "correct"


def test_a_cell_that_does_not_parse_costs_only_itself(tmp_path):
    state, message = with_twin(tmp_path, "def twin(features:\n    return features")
    assert state == "not yet" and "not valid Python in line 1" in message


def test_a_missing_cell(tmp_path):
    book = notebook(solved())
    book["cells"] = [c for c in book["cells"] if "exercise-1.3" not in c["metadata"]["tags"]]
    found = states(tmp_path, book)
    assert found["1.3"] == ("not yet", "no cell defines `twin`")
    assert [state for state, _ in found.values()].count("correct") == 5


def test_a_half_saved_file_is_graded_as_far_as_it_goes(tmp_path):
    text = json.dumps(notebook(solved()))
    found = states(tmp_path, text[: text.index("exercise-1.4")])
    assert [state for state, _ in found.values()] == ["correct"] * 3 + ["not yet"] * 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "no notebook",
        "[]",
        '{"cells": 3}',
        '{"cells": [3, {}]}',
        "[" * 10**5,
        '{"cells": [{"cell_type": "code", "source": 3, "metadata": []}]}',
    ],
)
def test_files_that_are_no_notebooks(tmp_path, text):
    assert {state for state, _ in states(tmp_path, text).values()} == {"not yet"}
    assert [state for state, _ in states(tmp_path, text, name="x.ipynb").values()][0] == "not yet"


def test_the_check_cells_are_not_run(tmp_path):
    book = notebook(solved())
    for cell in book["cells"]:
        if any(tag.startswith("check-") for tag in cell["metadata"]["tags"]):
            cell["source"] = "import os\nos._exit(0)"
    assert [state for state, _ in states(tmp_path, book).values()] == ["correct"] * 6


FAKE = '{"exercise": "1.3", "seen": [], "stopped": "", "printed": "", "drew": false}'
CHEATS = {
    "prints a CSV": "print('01_a,1.3,correct,')",
    "writes to file descriptors": "import os\nfor fd in range(1, 40):\n    try:\n        os.write(fd, b'''"
    + FAKE
    + "\\n''')\n"
    "    except OSError:\n        pass",
    "exits with 0": "import os\nos._exit(0)",
    "sys.exit": "import sys\nsys.exit(0)",
    "kills its process": "import os\nos.kill(os.getpid(), 9)",
    "kills itself softly": "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)",
    "replaces the framework": "import sys\nfor m in list(sys.modules.values()):\n    for n in ('difference', 'evaluate', 'judge', "
    "'snapshot', 'run'):\n        if hasattr(m, n) and 'course' in m.__name__:\n            setattr(m, n, "
    "lambda *a, **k: None)",
    "imports the checker": "from course_lib.exercises import lesson01",
    "imports the framework": "from course_lib.exercises.framework import find",
    "replaces json": "import json\njson.dumps = lambda *a, **k: '''"
    + FAKE.replace('"stopped"', '"value": 1, "stopped"')
    + "'''",
    "replaces torch": "import torch\ntorch.Tensor.tolist = lambda t: [0.0]\ntorch.equal = lambda *a: True",
    "never ends": "while True:\n    pass",
    "sleeps": "import time\ntime.sleep(1000)",
    "eats memory": "x = []\nwhile True:\n    x.append(bytearray(10**7))",
    "recursion": "import sys\nsys.setrecursionlimit(10**9)\ndef r(): return r()\nr()",
    "floods": "while True:\n    print('x' * 10**6)",
    "crashes the interpreter": "import ctypes\nctypes.string_at(0)",
    "starts a thread": "import threading, time\nthreading.Thread(target=lambda: time.sleep(1000)).start()",
    "at exit": "import atexit\natexit.register(print, 'correct')",
    "an object that equals all": "class Yes:\n    def __eq__(self, other): return True\ndef twin(features): return Yes()",
}


QUICK = (
    "prints a CSV",
    "writes to file descriptors",
    "exits with 0",
    "replaces the framework",
    "imports the checker",
    "replaces json",
    "an object that equals all",
)


@pytest.mark.parametrize("where", ["when called", pytest.param("in its cell", marks=pytest.mark.slow)])
@pytest.mark.parametrize("label", [pytest.param(k, marks=() if k in QUICK else pytest.mark.slow) for k in CHEATS])
def test_no_cheat_gets_through(tmp_path, label, where):
    lines = CHEATS[label]
    if where == "when called":
        source = (
            "def twin(features):\n" + "\n".join("    " + line for line in lines.split("\n")) + "\n    return features"
        )
    else:
        source = "def twin(features):\n    return features\n" + lines
    state, message = with_twin(tmp_path, source)
    assert state == "not yet" and message


REPLACED = """
import sys
import torch
from unittest import mock

torch.equal = torch.allclose = lambda *args, **options: True
for name, module in list(sys.modules.items()):
    if module is not None and ("course_lib" in name or name == "__main__"):
        for key in ("judge", "wrong_result", "_plain_faults", "difference", "evaluate", "check"):
            setattr(module, key, lambda *args: None)
try:
    import course_lib.exercises
    course_lib.exercises.verdict.judge = course_lib.exercises.framework.evaluate = lambda *args: "correct"
except ImportError:
    pass

def twin(features):
    return features
"""


def test_the_verdict_is_made_where_no_student_code_runs(tmp_path):
    """A cell that replaces the judge turns "not yet" into "correct" where it runs itself, but not in the CSV."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "01_a.ipynb").write_text(json.dumps(notebook({**solved(), "1.3": REPLACED})), encoding="utf-8")
    out = tmp_path / "grades.csv"
    command = [sys.executable, "-m", "course_lib.cli.grade", str(tmp_path / "in"), "--output", str(out)]
    subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    with open(out, newline="", encoding="utf-8-sig") as file:
        states = {row["exercise"]: row["state"] for row in csv.DictReader(file)}
    assert states == {number: "not yet" if number == "1.3" else "correct" for number in STUBS}


def test_the_judge_is_never_given_an_answer(tmp_path, monkeypatch):
    """The grading process only reads cells: neither runs nor compiles them, and calls no answer."""

    def no(*args, **options):
        raise AssertionError("student code in the grading process")

    for module, name in ((framework, "evaluate"), (grading.guard, "run")):
        monkeypatch.setattr(module, name, no)
    monkeypatch.setattr("builtins.exec", no)
    monkeypatch.setattr("builtins.eval", no)
    assert with_twin(tmp_path, TWIN)[0] == "correct"


def test_an_answer_cannot_write_files(tmp_path):
    if sys.platform == "win32":
        pytest.skip("files can be written on Windows")
    target = tmp_path / "other.csv"
    source = f"open({str(target)!r}, 'w').write('correct')\n" + TWIN
    assert with_twin(tmp_path, source)[0] == "correct"
    assert not target.exists() or target.read_text() == ""


def test_the_documentation_says_what_is_not_defended():
    assert "NOT defended" in grading.__doc__ and "container" in grading.__doc__
    assert "cli.grade" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "source",
    [
        "def twin(x):\n    return x\ntwin?",
        "def twin(x):\n    return x\nfiles = !ls\nout = %time twin(1)\n!pip list",
        "    def twin(x):\n        return x",
        ">>> def twin(x):\n...     return x",
        "%%time\ndef twin(x):\n    return x",
        "def twin(x):\n    return (x\n            % 7 and x)",
    ],
)
def test_a_cell_is_read_as_jupyterlab_runs_it(source):
    tree = grading.tree_of(source)
    assert isinstance(tree, ast.Module) and grading.names(tree) == {"twin"}
    assert "get_ipython" not in ast.unparse(tree)


def test_a_cell_in_another_language_answers_nothing():
    assert grading.names(grading.tree_of("%%bash\ntwin=3")) == set()


def test_every_student_has_a_row_and_shadow_files_have_none(tmp_path):
    book = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
    files = {
        "anna/01.ipynb": book,
        "mac/._01.ipynb": "\0\5\26\7",
        "mac/__MACOSX/._01.ipynb": "\0\5\26\7",
        "mac/01.ipynb": book,
        "zip/work.zip": "PK",
        "upper/01.IPYNB": book,
        "saved/01.ipynb.json": book,
        "late/readme.txt": "later",
        "flat.zip": "PK",
        ".DS_Store": "x",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "empty").mkdir()
    rows = {name: message for name, _, _, message in grading.grade(tmp_path)}
    assert set(rows) == {"anna/01", "mac/01", "zip", "upper/01", "saved/01", "late", "flat.zip", "empty"}
    assert "no notebook, but work.zip" in rows["zip"] and "nothing at all" in rows["empty"]
