"""Lessons 1, 4, 5, 7 and 9 run from first to last cell on tiny folders of somebody's own pictures, with a few steps."""

import re
from pathlib import Path

import nbformat
import pytest
import torch
from nbclient import NotebookClient

from course_lib.data import ROOT
from course_lib.data.voc_writer import write_voc

NAMES = ("cat", "dog", "hen")


def pairs(count: int, classes: int, seed: int) -> list[tuple[torch.Tensor, dict]]:
    """Rectangles on grey, 120 × 160; the second picture has two objects, every fifth from the fourth on none."""
    generator, found = torch.Generator().manual_seed(seed), []
    for index in range(count):
        image = torch.full((3, 120, 160), 0.6)
        objects = 0 if index % 5 == 3 else 2 if index % 5 == 1 else 1
        boxes, labels = [], []
        for number in range(objects):
            x, y = (int(v) for v in torch.randint(5, 70, (2,), generator=generator))
            w, h = (int(v) for v in torch.randint(12, 45, (2,), generator=generator))
            label = (index + number) % classes
            image[label % 3, y : y + h, x : x + w] = 0.1 * number
            boxes.append([x, y, x + w, y + h])
            labels.append(label + 1)
        target = {
            "boxes": torch.tensor(boxes).reshape(-1, 4).float(),
            "labels": torch.tensor(labels, dtype=torch.int64),
        }
        found.append((image, target))
    return found


def shortened(source: str) -> str:
    """The cell with every training cut to three steps, the lesson's own to twelve (its curve averages ten)."""
    source = re.sub(r"steps=\d+", "steps=3", source)
    return re.sub(r'load_result\("lesson\d+"\)\["budget"\]', "dict(steps=12, batch_size=4, lr=1e-3)", source)


LESSONS = ("01", "04", "05", "07", "09")
QUICK = [(lesson, 1, 1) for lesson in LESSONS] + [(lesson, 8, 2) for lesson in LESSONS[:-1]]
SLOW = [("09", 8, 2), *((lesson, count, 3) for lesson in LESSONS for count in (8, 40))]


@pytest.mark.parametrize(
    "lesson, count, classes", [*QUICK, *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW)]
)
def test_lesson_runs_on_a_small_folder(lesson: str, count: int, classes: int, tmp_path: Path, monkeypatch) -> None:
    splits = {"train": pairs(count, classes, 1), "val": pairs(max(1, count // 4), classes, 2)}
    write_voc(tmp_path / "own", splits, NAMES[:classes])
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "own"))
    path = next((ROOT / "notebooks").glob(f"{lesson}_*.ipynb"))
    notebook = nbformat.read(path, 4)
    for cell in notebook.cells:
        cell.source = shortened(cell.source) if cell.cell_type == "code" else cell.source
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=1800, resources=resources).execute()
