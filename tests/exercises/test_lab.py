"""The working copy: refreshed where untouched, kept where edited, and nothing a student wrote is ever lost."""

import json
import subprocess
import sys

import pytest
from house.notebooks import ROOT

from course_lib.cli import lab


def book(*sources: str, outputs: bool = False) -> str:
    """A small notebook as text; the first source is Markdown."""
    cells = [
        dict(cell_type="code" if k else "markdown", id=f"c{k}", metadata={}, source=s.splitlines(keepends=True))
        for k, s in enumerate(sources)
    ]
    for cell in cells[1:]:
        cell |= dict(
            execution_count=7 if outputs else None,
            outputs=[dict(output_type="stream", name="stdout", text="x")] if outputs else [],
        )
    return json.dumps(dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5))


@pytest.fixture
def course(tmp_path):
    """A released course of two lessons and its working copy, updated once."""

    class Course:
        lessons, copy = tmp_path / "notebooks", tmp_path / "my_course"

        def release(self, name: str, *sources: str) -> None:
            (self.lessons / name).write_text(book(*sources), encoding="utf-8")

        def save(self, name: str, *sources: str, outputs: bool = False) -> None:
            (self.copy / name).write_text(book(*sources, outputs=outputs), encoding="utf-8")

        def sources(self, name: str) -> list[str]:
            return ["".join(c["source"]) for c in json.loads((self.copy / name).read_text(encoding="utf-8"))["cells"]]

        def update(self) -> list[str]:
            return lab.update(self.lessons, self.copy)

        def files(self) -> list[str]:
            return sorted(p.name for p in self.copy.iterdir() if p.suffix == ".ipynb")

    made = Course()
    (made.lessons / "solutions").mkdir(parents=True)
    (made.lessons / "solutions" / "01_a.ipynb").write_text(book("answers"), encoding="utf-8")
    made.release("01_a.ipynb", "# A, see [here](solutions/01_a.ipynb)", "x = 1")
    made.release("02_b.ipynb", "# B", "y = 1")
    assert made.update() == []
    return made


def test_first_copy_holds_the_lessons_and_no_solutions(course):
    assert course.files() == ["01_a.ipynb", "02_b.ipynb"]
    assert course.sources("01_a.ipynb")[0] == "# A, see [here](../notebooks/solutions/01_a.ipynb)"


def test_nothing_new_changes_nothing(course):
    before = {p.name: p.stat().st_mtime_ns for p in course.copy.glob("*.ipynb")}
    assert course.update() == []
    assert {p.name: p.stat().st_mtime_ns for p in course.copy.glob("*.ipynb")} == before


def test_untouched_copy_is_refreshed(course):
    course.release("02_b.ipynb", "# B", "y = 2")
    notices = course.update()
    assert course.sources("02_b.ipynb")[1] == "y = 2" and len(notices) == 1 and "refreshed" in notices[0]
    assert course.files() == ["01_a.ipynb", "02_b.ipynb"]


def test_executed_but_unedited_copy_is_refreshed(course):
    course.save("02_b.ipynb", "# B", "y = 1", "", outputs=True)
    course.release("02_b.ipynb", "# B", "y = 2")
    course.update()
    assert course.sources("02_b.ipynb") == ["# B", "y = 2"]


def test_executed_copy_keeps_its_outputs_while_nothing_is_new(course):
    course.save("02_b.ipynb", "# B", "y = 1", outputs=True)
    course.update()
    assert '"execution_count": 7' in (course.copy / "02_b.ipynb").read_text(encoding="utf-8")


def test_edited_copy_stays_and_the_new_version_lies_beside_it(course):
    course.save("02_b.ipynb", "# B", "y = 1  # mine")
    assert course.update() == []
    course.release("02_b.ipynb", "# B", "y = 2")
    notices = course.update()
    assert course.sources("02_b.ipynb")[1] == "y = 1  # mine"
    assert course.sources("02_b_new.ipynb")[1] == "y = 2"
    assert len(notices) == 1 and "02_b_new.ipynb" in notices[0] and "\n" not in notices[0]
    assert course.update() == []


def test_a_picture_pasted_into_a_text_cell_is_an_edit(course):
    notebook = json.loads((course.copy / "02_b.ipynb").read_text(encoding="utf-8"))
    notebook["cells"][0]["attachments"] = {"sketch.png": {"image/png": "aGk="}}
    (course.copy / "02_b.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    course.release("02_b.ipynb", "# B", "y = 2")
    course.update()
    assert "sketch.png" in (course.copy / "02_b.ipynb").read_text(encoding="utf-8")


def test_two_updates_in_a_row_beside_an_edited_copy(course):
    course.save("02_b.ipynb", "# B", "mine")
    for value in (2, 3):
        course.release("02_b.ipynb", "# B", f"y = {value}")
        course.update()
    assert course.files() == ["01_a.ipynb", "02_b.ipynb", "02_b_new.ipynb"]
    assert course.sources("02_b_new.ipynb")[1] == "y = 3" and course.sources("02_b.ipynb")[1] == "mine"


def test_work_in_the_neighbour_is_kept_too(course):
    course.save("02_b.ipynb", "# B", "mine")
    course.release("02_b.ipynb", "# B", "y = 2")
    course.update()
    course.save("02_b_new.ipynb", "# B", "y = 2  # mine as well")
    course.release("02_b.ipynb", "# B", "y = 3")
    course.update()
    assert course.sources("02_b_new.ipynb")[1] == "y = 2  # mine as well"
    assert course.sources("02_b_new_2.ipynb")[1] == "y = 3" and course.sources("02_b.ipynb")[1] == "mine"


def test_the_neighbour_moved_over_the_old_copy_is_untouched_again(course):
    course.save("02_b.ipynb", "# B", "mine")
    course.release("02_b.ipynb", "# B", "y = 2")
    course.update()
    (course.copy / "02_b_new.ipynb").replace(course.copy / "02_b.ipynb")
    assert course.update() == []
    course.release("02_b.ipynb", "# B", "y = 3")
    course.update()
    assert course.sources("02_b.ipynb")[1] == "y = 3" and course.files() == ["01_a.ipynb", "02_b.ipynb"]


def test_renamed_copy_stays_and_a_fresh_one_appears(course):
    course.save("02_b.ipynb", "# B", "mine")
    (course.copy / "02_b.ipynb").rename(course.copy / "my lesson.ipynb")
    course.release("02_b.ipynb", "# B", "y = 2")
    notices = course.update()
    assert course.sources("my lesson.ipynb")[1] == "mine" and course.sources("02_b.ipynb")[1] == "y = 2"
    assert len(notices) == 1


def test_deleted_copy_comes_back(course):
    (course.copy / "02_b.ipynb").unlink()
    assert len(course.update()) == 1
    assert course.sources("02_b.ipynb")[1] == "y = 1"


@pytest.mark.parametrize(
    "damaged", [b"", b"{", book("# B", "mine").encode()[:-40], b"\xff\xfe\x00junk", b"[]", b'{"cells": 3}']
)
def test_half_saved_copy_is_kept(course, damaged):
    (course.copy / "02_b.ipynb").write_bytes(damaged)
    notices = course.update()
    assert (course.copy / "02_b.ipynb").read_bytes() == damaged
    assert course.sources("02_b_new.ipynb")[1] == "y = 1" and "cannot be read" in notices[0]
    assert course.update() == []
    course.release("02_b.ipynb", "# B", "y = 2")
    course.update()
    assert (course.copy / "02_b.ipynb").read_bytes() == damaged and course.sources("02_b_new.ipynb")[1] == "y = 2"


def test_checkpoints_and_other_files_are_left_alone(course):
    checkpoints = course.copy / ".ipynb_checkpoints"
    checkpoints.mkdir()
    (checkpoints / "02_b-checkpoint.ipynb").write_text("old", encoding="utf-8")
    (course.copy / "notes.txt").write_text("mine", encoding="utf-8")
    course.release("02_b.ipynb", "# B", "y = 2")
    course.update()
    assert (checkpoints / "02_b-checkpoint.ipynb").read_text(encoding="utf-8") == "old"
    assert (course.copy / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_a_new_lesson_appears(course):
    course.release("03_c.ipynb", "# C", "z = 1")
    assert course.update() == [] and course.sources("03_c.ipynb")[1] == "z = 1"


def test_a_lesson_that_is_withdrawn_stays_in_the_copy(course):
    (course.lessons / "02_b.ipynb").unlink()
    course.update()
    assert course.sources("02_b.ipynb")[1] == "y = 1"


@pytest.mark.parametrize("record", ["", "{", "[1]", '{"02_b.ipynb": 3}', '{"02_b.ipynb": {"given": "abc"}}', None])
def test_a_lost_record_loses_no_work(course, record):
    course.save("02_b.ipynb", "# B", "mine")
    path = course.copy / lab.RECORD
    path.unlink() if record is None else path.write_text(record, encoding="utf-8")
    course.release("02_b.ipynb", "# B", "y = 2")
    course.release("01_a.ipynb", "# A", "x = 2")
    course.update()
    assert course.sources("02_b.ipynb")[1] == "mine"
    assert {"x = 1", "x = 2"} & {course.sources(name)[1] for name in course.files() if name.startswith("01")}


def test_a_folder_in_the_way_is_left_alone(course):
    (course.copy / "03_c.ipynb").mkdir()
    course.release("03_c.ipynb", "# C", "z = 1")
    course.update()
    assert (course.copy / "03_c.ipynb").is_dir() and course.sources("03_c_new.ipynb")[1] == "z = 1"


def test_a_broken_release_changes_nothing(course):
    (course.lessons / "02_b.ipynb").write_text("<<<<<<< HEAD", encoding="utf-8")
    assert "cannot be read" in course.update()[0]
    assert course.sources("02_b.ipynb")[1] == "y = 1"


def test_the_command(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "course_lib.cli.lab", "--no-open", "--folder", str(tmp_path / "mine")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
    wanted = sorted(p.name for p in (ROOT / "notebooks").glob("*.ipynb"))
    assert sorted(p.name for p in (tmp_path / "mine").glob("*.ipynb")) == wanted


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    for folder, reason in (
        (tmp_path / "no" / "such" / "mine", "there is no folder"),
        (tmp_path / "file", "is a file"),
        (tmp_path / "file" / "mine", "is a file"),
    ):
        monkeypatch.setattr(sys, "argv", ["lab", "--no-open", "--folder", str(folder)])
        with pytest.raises(SystemExit) as left:
            lab.main()
        assert reason in left.value.code and "choose another" in left.value.code and "\n" not in left.value.code
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_lab_stops_where_the_notebooks_would_import_another_copy(tmp_path, monkeypatch):
    monkeypatch.setattr(lab, "check_kernel", lambda folder: "another copy: run this.")
    monkeypatch.setattr(sys, "argv", ["lab", "--folder", str(tmp_path / "mine")])
    monkeypatch.setattr(lab.subprocess, "call", lambda *args, **more: pytest.fail("JupyterLab was opened"))
    with pytest.raises(SystemExit, match="kernel: another copy: run this."):
        lab.main()


def test_jupyterlab_opens_without_its_question_about_news(monkeypatch):
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "elsewhere")
    assert lab.environment()["JUPYTER_CONFIG_PATH"].endswith("elsewhere")
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", lab.environment()["JUPYTER_CONFIG_PATH"])
    from jupyterlab_server.config import get_static_page_config

    disabled = get_static_page_config(level="all")["disabledExtensions"]
    assert disabled["@jupyterlab/apputils-extension:announcements"] is True


def test_the_copy_holds_no_outputs():
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(lab.released(path))["cells"]
        assert all(
            not cell["outputs"] and cell["execution_count"] is None for cell in cells if cell["cell_type"] == "code"
        )
        assert lab.fingerprint(lab.released(path)) is not None
