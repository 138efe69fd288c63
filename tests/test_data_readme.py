"""data/README.md line by line: every row and every bullet stands for a case that the tests draw, and none is missing."""

import re
from pathlib import Path

import pytest
import test_reader_faults as faults
import test_reader_layouts as layouts
import test_voc_mishaps as mishaps

from course_lib.data.mending import MISHAPS

README = (Path(__file__).parents[1] / "data" / "README.md").read_text(encoding="utf-8")
SURVIVED = {case[0]: case for case in mishaps.SURVIVED}
RAISED = {case[0]: case for case in mishaps.RAISED}
# Each bullet, and the cases of test_voc_mishaps.py, or the tests, that hold it.
SILENT = {
    "every suffix of a format that Pillow can open, in upper case too, or one that does not fit the format": [".JPG", ".jpeg", "PNG called .jpg", "test_every_suffix_that_pillow_opens_is_read"],
    "annotations called `a.jpg.xml` or `a.xml.xml`": ["test_annotation_names_as_tools_write_them"],
    "annotations in any codec that Python has: the byte-order mark counts, then the declaration, then UTF-8": ["XML with a byte-order mark", "test_every_codec_that_an_annotation_declares_is_read", "test_bytes_that_are_read_all_the_same"],
    "fractional coordinates": ["float coordinates"],
    "blanks round a class name": ["blanks round a class name"],
    "no `<difficult>`": ["no difficult"],
    "lists with a byte-order mark, Windows line ends or blank lines, or in UTF-16": ["list with byte-order mark, CRLF, blank lines", "list in UTF-16"],
    "lists with VOC's column of 1, 0 and −1 (all names count), with suffixes or folders": ["list with 1/-1 column", "list with suffixes and folders"],
    "accents as macOS stores them": ["accents in two pieces"],
    "hidden files": ["hidden files"],
}  # fmt: skip
LOUD = {
    "a picture that is missing, cut short, or no picture": ["missing picture", "cut-short picture", "picture of 0 bytes", "web page called .jpg"],
    "a picture that Pillow cannot open, such as HEIC": ["test_a_suffix_that_pillow_cannot_open_is_named"],
    "a picture beyond Pillow's size limit": ["test_a_picture_beyond_pillows_limit_is_too_large_not_damaged"],
    "a picture of real numbers": ["real-number picture"],
    "one of two pictures of the same name": ["two pictures of one name"],
    "an annotation that is missing, empty, not well-formed, or no VOC annotation": ["missing annotation", "annotation of 0 bytes", "bad XML", "another XML"],
    "text in no known codec": ["test_bytes_of_no_codec_name_file_and_remedy"],
    "an object without a class, without a box, with a corner that is missing or no number": ["no class name", "no box", "missing corner", "corner in words"],
    "a class that is not in `class_names=`": ["test_unknown_class_raises_with_the_nearest_name"],
    "a category or class number without a name": ["test_other_formats_name_file_object_and_remedy"],
    "a split list that is missing, empty or no text": ["missing split list", "empty split list", "list that is no text"],
    "a folder without annotations": ["no Annotations"],
    "a folder without one object": ["no objects anywhere"],
}  # fmt: skip
ASKED = {
    "several Pascal VOC sets in one folder: set `COURSE_DATA` to one of them": "test_several_voc_sets_are_asked_for",
    "several COCO files for the same pictures: set `COURSE_DATA` to one of the files": "test_several_coco_files_are_asked_for_and_one_can_be_named",
    "several formats in one folder: set `COURSE_FORMAT` to `voc`, `coco` or `yolo`": "test_several_formats_are_asked_for",
    "a line of a list that fits pictures in two subfolders: write the folder before the name": "test_a_last_part_that_occurs_twice_is_asked_for",
}  # fmt: skip


def section(title: str) -> str:
    """The text under a heading of the third level."""
    return re.split(r"\n#+ ", README.split(f"\n### {title}\n")[1])[0]


def rows(title: str) -> list[str]:
    """First cells of the section's table, without its head."""
    return re.findall(r"^\| (.+?) \|", section(title), re.M)[1:]


def bullets(title: str) -> list[str]:
    return re.findall(r"^- (.+)$", section(title), re.M)


@pytest.mark.parametrize("title", MISHAPS)
def test_every_mishap_has_its_row(title: str) -> None:
    assert rows(title.capitalize()) == list(MISHAPS[title].values())


def test_every_layout_has_its_row() -> None:
    assert rows("Layouts") == list(layouts.LAYOUTS)


def test_every_refused_fault_has_its_row() -> None:
    assert rows("Refused") == list(faults.FAULTS)


@pytest.mark.parametrize(
    ("title", "lines", "cases"), [("Read without a word", SILENT, SURVIVED), ("Raised", LOUD, RAISED)]
)
def test_every_bullet_is_held_by_a_case(title: str, lines: dict, cases: dict) -> None:
    assert bullets(title) == list(lines)
    for name in [name for names in lines.values() for name in names]:
        if name.startswith("test_"):
            assert any(hasattr(module, name) for module in (faults, layouts, mishaps)), name
        else:
            assert name in cases, name
            assert cases is RAISED or not SURVIVED[name][2], f"{name} is not read without a word"


def test_what_is_asked_is_tested() -> None:
    assert bullets("Layouts") == list(ASKED) and all(hasattr(layouts, name) for name in ASKED.values())


def test_the_example_runs() -> None:
    space: dict = {}
    exec(re.search(r"```python\n(.*?)```", README, re.S)[1], space)
    assert space["image"].shape == (3, 128, 128) and len(space["images"]) == len(space["targets"]) == 8
    assert len(space["target"]["boxes"]) == len(space["target"]["labels"])
