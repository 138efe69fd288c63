"""The lessons that take a folder of photographs run on real ones, from the first cell to the last."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from course_lib.data import VOCFolder

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("COURSE_SHARED_DATA", ROOT.parent / "shared" / "data"))


def run_on(lesson: str, folder: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a lesson on a folder of photographs; returns everything it printed. A cell that raises fails the test."""
    found = sorted((ROOT / "notebooks").glob(f"{lesson}_*.ipynb"))
    if not found:
        pytest.skip(f"there is no lesson {lesson} yet")
    if not (SHARED / folder).is_dir():
        pytest.skip(f"no photographs: the folder {folder} lies neither beside the project nor in COURSE_SHARED_DATA")
    monkeypatch.setenv("COURSE_DATA", str(SHARED / folder))
    monkeypatch.setenv("COURSE_QUIET", "1")
    notebook = nbformat.read(found[0], as_version=4)
    NotebookClient(notebook, timeout=3600, resources={"metadata": {"path": str(found[0].parent)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.get("text", "") for output in outputs)


def test_lesson_1_on_microcontroller_boards(monkeypatch):
    printed = run_on("01", "micro", monkeypatch)
    assert "micro/train: 100 pictures, 121 objects, 4 classes; read as Pascal VOC" in printed
    assert "15 had more and keep their largest" in printed
    for metric in ("accuracy", "edge_error_share"):
        (line,) = [line for line in printed.splitlines() if line.startswith(f"{metric}: ")]
        assert line.endswith("better than the baseline") and "baseline " in line
    assert "recorded band" not in printed


@pytest.mark.parametrize("folder", ["micro", "bccd"])
def test_lesson_4_on_photographs(folder, monkeypatch):
    assert f"{folder}/" in run_on("04", folder, monkeypatch)


OTHERS = [("01", "bccd"), *((lesson, folder) for lesson in ("05", "07", "09") for folder in ("micro", "bccd"))]


@pytest.mark.slow
@pytest.mark.parametrize("lesson, folder", OTHERS)
def test_every_lesson_that_takes_photographs(lesson, folder, monkeypatch):
    assert f"{folder}/" in run_on(lesson, folder, monkeypatch)


def test_lesson_9_counts_the_objects_of_the_test_pictures():
    cells = nbformat.read(ROOT / "notebooks" / "09_real_photographs.ipynb", as_version=4).cells
    (source,) = [cell.source for cell in cells if cell.id == "kinds-of-errors"]
    for folder in ("bccd", "micro"):
        if not (SHARED / folder).is_dir():
            pytest.skip(
                f"no photographs: the folder {folder} lies neither beside the project nor in COURSE_SHARED_DATA"
            )
        test = VOCFolder(SHARED / folder, "test", size=(64, 64), quiet=True)
        objects = sum(int((~target["difficult"]).sum()) for target in test.targets)
        assert f'"{folder}": {objects}' in source  # the lesson prints them beside shares of them
