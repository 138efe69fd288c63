"""`make test-all`: in a real notebook's kernel a run-away answer is stopped and named, and the kernel lives on."""

import nbformat
import pytest
from house.notebooks import ROOT
from nbclient import NotebookClient

pytestmark = pytest.mark.slow
BODIES = {
    "while True: pass": "it should end within seconds, yours was still running when it was stopped, for features = [[[",
    "time.sleep(1000)": "it should end within seconds, yours was still running when it was stopped, for features = [[[",
    "return torch.zeros(10**10)": "it takes more than 2 GB of memory in the line `return torch.zeros(10**10)`",
    "return [torch.ones(10**6) for _ in iter(int, 1)]": "it takes more than 2 GB of memory",
    "return twin(features)": "it raises RecursionError",
    "sys.exit()": "it calls exit()",
    "exit()": "it calls exit()",
    "return input()": "it cannot ask for them with input()",
    "return [print(k, 'x' * 60) for k in range(20_000)] and mirrored(features)": "print nothing, yours prints '0 xxx",
    "return plt.plot([1]) and mirrored(features)": "show nothing, yours draws or displays something",
    "return nirrored(features)": "`twin` uses the name `nirrored` in the line",
}
START = """
import sys, time
import matplotlib.pyplot as plt
import torch
from course_lib.exercises import check, summary

def mirrored(features):
    return features.flatten(1).roll(1, dims=1).reshape(features.shape)
"""


def lines(*sources: str) -> list[str]:
    """What each cell printed, in one kernel; a cell that raises does not stop the next."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    resources = {"metadata": {"path": str(ROOT / "notebooks")}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", allow_errors=True, resources=resources).execute()
    return [
        "".join(out.get("text", "") for out in cell.outputs if out.get("name") == "stdout") for cell in notebook.cells
    ]


def test_answers_that_run_away():
    cells = [[f"def twin(features):\n    {body}", 'check("1.3", twin)'] for body in BODIES]
    found = lines(START, *sum(cells, []), "twin = mirrored", 'check("1.3", twin)', "summary(1)")
    for (body, says), line in zip(BODIES.items(), found[2::2], strict=False):
        assert line.startswith("Exercise 1.3  not yet: ") and says in line and line.count("\n") == 1, f"{body}: {line}"
    assert found[-2:] == ["Exercise 1.3  correct\n", "1 of 6 solved\n"]


def test_a_cell_with_a_syntax_error_behind_an_older_function():
    right, broken = (
        "def twin(features):\n    return mirrored(features)",
        "def twin(features:\n    return mirrored(features)",
    )
    check = 'check("1.3", twin)'
    found = lines(START, "def twin(features):\n    ...", broken, check, right, check, broken, check, right, check)
    assert "1.3  not yet: the cell with `twin` is not valid Python" in found[3] and "line 1" in found[3]
    assert found[5] == found[9] == "Exercise 1.3  correct\n"
    assert found[7] == found[3]
