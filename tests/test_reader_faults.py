"""What a folder's evidence says before a single box is mended, and what bytes, codecs and suffixes are read."""

import io
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from test_reader_layouts import (
    NAMES,
    TRUTH,
    any_spelling,
    coco,
    coco_one_file,
    coco_split_folders,
    files,
    images_annotations,
    picture,
    put,
    rows,
    split_folders,
    xml,
    yolo_classes_txt,
)

import course_lib.data as data
from course_lib.data.voc import DataError, VOCFolder
from course_lib.data.voc_files import picture_suffixes, read_annotation

WIDTH, HEIGHT = 320, 300
FAR = [(217, 235, 278, 288), (30, 40, 130, 160), (150, 60, 240, 110), (260, 20, 300, 70), (180, 200, 230, 290)]


def write(root: Path, corners: list, size: tuple[int, int] | None = (WIDTH, HEIGHT), real: list | None = None) -> Path:
    """A VOC folder, side by side: one dog a picture with these four numbers as its corners."""
    for k, (x1, y1, x2, y2) in enumerate(corners):
        picture(root / f"p{k}.jpg", real[k] if real else size or (WIDTH, HEIGHT))
        put(root / f"p{k}.xml", xml([("dog", (x1 - 1, y1 - 1, x2, y2))], f"p{k}.jpg", size))
    return root


# (what, the numbers written for a box, what is suspected)
FAULTS: dict[str, tuple[Callable, str]] = {
    "width and height as corners": (lambda a, b, c, d: (a, b, c - a, d - b), "4 of 5 boxes .*width and height"),
    "ymax repeats xmin": (lambda a, b, c, d: (a, b, c, a), "3 of 5 boxes .*another order"),
    "shares of the sides": (lambda a, b, c, d: (a / 320, b / 300, c / 320, d / 300), "5 of 5 boxes .*shares"),
    "per cent": (lambda a, b, c, d: (a / 3.2, b / 3, c / 3.2, d / 3), "5 of 5 boxes .*per cent"),
    "corners exchanged": (lambda a, b, c, d: (c, d, a, b), "5 of 5 boxes .*another order"),
    "xmin, xmax, ymin, ymax": (lambda a, b, c, d: (a, c, b, d), "2 of 5 boxes .*xmin, xmax, ymin, ymax"),
    "pictures made smaller": (lambda a, b, c, d: (a * 3, b * 3, c * 3, d * 3), "of 5 boxes .*another size"),
}  # fmt: skip


@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_of_the_whole_folder_is_refused_with_the_suspicion(what: str, tmp_path: Path) -> None:
    wrong, message = FAULTS[what]
    write(tmp_path, [wrong(*box) for box in FAR])
    with pytest.raises(DataError, match=message + r".*\? Nothing is mended; ") as caught:
        VOCFolder(tmp_path, None)
    assert str(tmp_path) in str(caught.value)


def test_one_swapped_box_among_sound_ones_is_mended(tmp_path: Path) -> None:
    (a, b, c, d), *others = FAR
    dataset = VOCFolder(write(tmp_path, [(c, b, a, d), *others]), None)
    assert [note.kind for note in dataset.notes] == ["swapped"]
    assert dataset.targets[0]["boxes"].tolist() == [[a - 1, b - 1, c, d]]


def test_x_and_y_exchanged_is_suspected_by_name(tmp_path: Path) -> None:
    wide = [(300, 20, 390, 60), (10, 10, 350, 80), (200, 5, 399, 90), (220, 40, 260, 95), (30, 20, 130, 60)]
    write(tmp_path, [(b, a, d, c) for a, b, c, d in wide], (400, 100))
    with pytest.raises(DataError, match="are x and y exchanged"):
        VOCFolder(tmp_path, None)


def coco_folder(root: Path, change: Callable) -> Path:
    """Five pictures and one COCO file, its boxes changed."""
    for k in range(5):
        picture(root / f"p{k}.jpg", (WIDTH, HEIGHT))
    table = json.loads(coco({f"p{k}.jpg": [("red", box)] for k, box in enumerate(FAR)}))
    for image in table["images"]:
        image |= {"width": WIDTH, "height": HEIGHT}
    for row in table["annotations"]:
        row["bbox"] = list(change(*row["bbox"]))
    put(root / "labels.json", json.dumps(table))
    return root


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y, w, h: (x, y, x + w, y + h), "corners where width and height belong"),
        (lambda x, y, w, h: (x / 320, y / 300, w / 320, h / 300), "5 of 5 boxes have no corner above 1"),
    ],
)
def test_faults_of_a_coco_file(change: Callable, message: str, tmp_path: Path) -> None:
    assert VOCFolder(coco_folder(tmp_path, lambda *box: box), None).found == 5
    with pytest.raises(DataError, match=message):
        VOCFolder(coco_folder(tmp_path, change), None)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (lambda a, b, c, d: (a, b, c - a, d - b), "pixels instead of shares"),
        (lambda a, b, c, d: (a / 320, b / 300, c / 320, d / 300), "corners where centre and size belong"),
    ],
)
def test_faults_of_yolo_files(line: Callable, message: str, tmp_path: Path) -> None:
    for k, box in enumerate(FAR):
        picture(tmp_path / f"p{k}.jpg", (WIDTH, HEIGHT))
        put(tmp_path / f"p{k}.txt", " ".join(map(str, (0, *line(*box)))))
    put(tmp_path / "classes.txt", "dog\n")
    with pytest.raises(DataError, match=message):
        VOCFolder(tmp_path, None)


# ------------------------------------------------------------------------------------------------------ one size rule


@pytest.mark.parametrize(
    ("real", "declared", "kind", "factor"),
    [((600, 400), (300, 200), "size", 1), ((300, 200), (600, 400), "scaled", 0.5)],
)
def test_one_size_rule_for_all_pictures(real, declared, kind, factor, tmp_path: Path) -> None:
    boxes = [(20, 20, 200, 150), (50, 60, 280, 190), (300, 100, 580, 390), (400, 250, 590, 395)]
    dataset = VOCFolder(write(tmp_path, boxes, declared, [real] * 4), None)
    assert Counter(note.kind for note in dataset.notes) == {kind: 4}
    for target, (a, b, c, d) in zip(dataset.targets, boxes, strict=True):
        assert target["boxes"][0].tolist() == [v * factor for v in (a - 1, b - 1, c, d)]


def test_the_size_rule_is_the_folders_and_not_the_splits(tmp_path: Path) -> None:
    """Alone, p0's picture might be an enlargement; p3's box does not fit into what is declared."""
    boxes = [(20, 20, 200, 150), (50, 60, 280, 190), (300, 100, 580, 390), (400, 250, 590, 395)]
    write(tmp_path, boxes, (300, 200), [(600, 400)] * 4)
    put(tmp_path / "val.txt", "p0\n")
    put(tmp_path / "train.txt", "p1\np2\np3\n")
    for split in ("val", "train"):
        assert {note.kind for note in VOCFolder(tmp_path, split).notes} == {"size"}


def test_a_fault_is_seen_from_every_split(tmp_path: Path) -> None:
    write(tmp_path, [(a, b, c - a, d - b) for a, b, c, d in FAR])
    put(tmp_path / "val.txt", "p1\n")  # the one box that could be right
    with pytest.raises(DataError, match="4 of 5 boxes"):
        VOCFolder(tmp_path, "val")


def test_one_declared_size_for_pictures_of_several_is_refused(tmp_path: Path) -> None:
    real = [(200, 150), (220, 180), (120, 160), (100, 100)]
    write(tmp_path, [(5, 5, 60, 70)] * 4, (100, 100), real)
    with pytest.raises(
        DataError, match="all 4 annotations declare 100 × 100 pixels, and 3 of the pictures .* take <size> out"
    ):
        VOCFolder(tmp_path, None)
    for path in tmp_path.glob("*.xml"):
        path.write_text(re.sub("<size>.*</size>", "", path.read_text()))
    assert Counter(note.kind for note in VOCFolder(tmp_path, None).notes) == {"size": 4}


def test_boxes_that_follow_neither_size_are_named(tmp_path: Path) -> None:
    write(tmp_path / "a", [(5, 5, 190, 90)] + [(5, 5, 90, 60)] * 3, (200, 100), [(100, 200)] + [(200, 100)] * 3)
    with pytest.raises(DataError, match=r"p0.xml: declared \(200, 100\), real \(100, 200\), and .* the picture turned"):
        VOCFolder(tmp_path / "a", None)
    for k, (box, size, real) in enumerate(
        [((5, 5, 190, 90), (200, 100), (150, 140)), ((5, 5, 90, 190), (150, 100), (100, 200))]
    ):
        picture(tmp_path / "b" / f"p{k}.jpg", real)
        put(tmp_path / "b" / f"p{k}.xml", xml([("dog", box)], "", size))
    with pytest.raises(DataError, match=r"\(2\):(\n.*the folder's boxes follow neither; correct <size>.*){2}"):
        VOCFolder(tmp_path / "b", None)


# ---------------------------------------------------------------------------------------------------- damaged or double


def three(root: Path) -> Path:
    return write(root, FAR[:3])


def test_all_problems_of_a_folder_stand_in_one_error(tmp_path: Path) -> None:
    three(tmp_path)
    for k in range(3):
        path = tmp_path / f"p{k}.xml"
        path.write_text(path.read_text().replace("<xmin>", "<xmin>x"))
    with pytest.raises(DataError, match=r"\(3\)(.|\n)*p0.xml(.|\n)*p1.xml(.|\n)*p2.xml"):
        VOCFolder(tmp_path, None)


def test_what_no_list_names_blocks_nothing(tmp_path: Path) -> None:
    three(tmp_path)
    put(tmp_path / "train.txt", "p0\np1\n")
    put(tmp_path / "p2.xml", "")
    put(tmp_path / "p3.jpg", "<html>404</html>")
    put(tmp_path / "p3.xml", xml([("cat", (1, 2, 30, 40))]))
    assert VOCFolder(tmp_path, "train").names == ["p0", "p1"]


def test_damaged_pictures_and_annotations_are_left_out_when_asked(tmp_path: Path, monkeypatch) -> None:
    write(tmp_path, FAR)
    (tmp_path / "p1.jpg").write_bytes((tmp_path / "p1.jpg").read_bytes()[:-30])
    put(tmp_path / "p2.xml", "<annotation>")
    dataset = VOCFolder(tmp_path, None, damaged="skip", size=(30, 32))
    assert dataset.names == ["p0", "p3", "p4"] and len(dataset[:][0]) == 3
    assert Counter(note.kind for note in dataset.notes) == {"damaged": 2, "lost": 1}
    assert "left out: objects of damaged pictures (1), damaged pictures or annotations (2)" in dataset.summary
    assert dataset.found == 4 == sum(len(t["labels"]) for t in dataset.targets) + 1
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    with pytest.raises(DataError, match="p1.jpg: cut short(.|\n)*\nCOURSE_DAMAGED=skip, or damaged='skip', leaves"):
        data.load("standard", "train")
    monkeypatch.setenv("COURSE_DAMAGED", "skip")
    assert data.load("standard", "train").names == ["p0", "p3", "p4"]
    with pytest.raises(ValueError, match="'ignore': choose one of 'raise', 'skip'"):
        VOCFolder(tmp_path, None, damaged="ignore")


def test_where_everything_is_damaged_nothing_is_left_to_skip(tmp_path: Path) -> None:
    put(three(tmp_path) / "p0.xml", "")
    put(tmp_path / "train.txt", "p0\n")
    with pytest.raises(DataError, match="p0.xml: the file is empty"):
        VOCFolder(tmp_path, "train", damaged="skip")


def test_a_duplicate_is_read_once_and_counted(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    put(tmp_path / "a.xml", xml([("dog", (4, 6, 24, 36))] * 3 + [("cat", (4, 6, 24, 36))]))
    dataset = VOCFolder(tmp_path, None)
    assert [note.object for note in dataset.notes if note.kind == "duplicate"] == [2, 3]
    assert len(dataset.targets[0]["labels"]) == 2 and dataset.found == 4


@pytest.mark.parametrize("other", ["red\u200bcell", "red  cell", "red\u00a0cell", "\ufeffred cell", "red\tcell"])
def test_class_names_that_look_alike_are_one_and_counted(other: str, tmp_path: Path) -> None:
    other = other.replace("\u200b", " \u200b")
    picture(tmp_path / "a.jpg")
    picture(tmp_path / "b.jpg")
    put(tmp_path / "a.xml", xml([("red cell", (4, 6, 24, 36))]))
    put(tmp_path / "b.xml", xml([(other, (4, 6, 24, 36))]))
    dataset = VOCFolder(tmp_path, None)
    assert dataset.class_names == ("red cell",) and [t["labels"].tolist() for t in dataset.targets] == [[1], [1]]
    assert [(note.kind, note.file, note.object) for note in dataset.notes] == [("name", "b.xml", 1)]
    assert "class names freed of invisible characters" in dataset.summary


def test_class_names_in_two_unicode_forms_are_one(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    put(tmp_path / "a.xml", xml([("caf\u00e9", (4, 6, 24, 36)), ("cafe\u0301", (1, 2, 20, 30))]))
    assert VOCFolder(tmp_path, None).class_names == ("caf\u00e9",)


def test_a_single_spelling_stays_as_it_is(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    put(tmp_path / "a.xml", xml([("red  cell", (4, 6, 24, 36))]))
    dataset = VOCFolder(tmp_path, None)
    assert dataset.class_names == ("red  cell",) and not dataset.notes
    assert VOCFolder(tmp_path, None, class_names=("red cell",)).targets[0]["labels"].tolist() == [1]


def test_subsets_keep_their_own_account(tmp_path: Path) -> None:
    """Objects in the targets and those left out add up to `found`, in every part of a data set."""
    for name in NAMES:
        picture(tmp_path / f"{name}.jpg")
        put(tmp_path / f"{name}.xml", xml([*TRUTH[name], *TRUTH[name][:1], ("red", (30, 30, 31, 31))]))
    whole = VOCFolder(tmp_path, None)
    two = whole.select([5, 1])
    one = whole.keep_objects([[0][: len(target["labels"])] for target in whole.targets])
    for dataset in (whole, two, one, one.select([5])):
        gone = sum(note.kind in ("tiny", "duplicate", "smaller") for note in dataset.notes)
        assert dataset.found == sum(len(target["labels"]) for target in dataset.targets) + gone
    assert two.found == 4 + 3 and [note.object for note in one.notes if note.kind == "smaller"] == [2]
    assert len(whole.targets[5]["labels"]) == 2 and len(one.targets[5]["labels"]) == 1, "the whole stays as it was"


# ------------------------------------------------------------------------------------------------- bytes and suffixes

WORDS = {"gb2312": "狗", "GBK": "狗", "gb18030": "𠀀狗", "Shift_JIS": "犬", "EUC-JP": "犬", "big5": "狗", "euc-kr": "개",
         "windows-1251": "собака", "koi8-r": "собака", "iso-8859-1": "chiené", "windows-1252": "“chien”", "UTF-8": "狗é",
         "utf-16": "狗é", "utf-32": "狗é", "utf-7": "狗é", "cp437": "chiené"}  # fmt: skip


@pytest.mark.parametrize("codec", WORDS)
def test_every_codec_that_an_annotation_declares_is_read(codec: str, tmp_path: Path) -> None:
    text = f'<?xml version="1.0" encoding="{codec}"?>' + xml([(WORDS[codec], (4, 6, 24, 36))])
    put(tmp_path / "a.xml", text.encode(codec))
    if codec == "utf-7":
        text = text.replace(WORDS[codec], "&#29399;")
        put(tmp_path / "a.xml", text.encode())
    assert read_annotation(tmp_path / "a.xml").names == (["狗"] if codec == "utf-7" else [WORDS[codec]])


BYTES = {
    "a mark before another declaration": b"\xef\xbb\xbf" + f'<?xml version="1.0" encoding="gbk"?>{xml([("狗", (4, 6, 24, 36))])}'.encode(),
    "UTF-16 without a mark": xml([("狗", (4, 6, 24, 36))]).encode("utf-16-be"),
    "a codec that nobody has": f'<?xml version="1.0" encoding="Unicode"?>{xml([("狗", (4, 6, 24, 36))])}'.encode(),
    "a codec that is none for text": f'<?xml version="1.0" encoding="hex"?>{xml([("狗", (4, 6, 24, 36))])}'.encode(),
    "UTF-8 declared as ASCII": f'<?xml version="1.0" encoding="ascii"?>{xml([("狗", (4, 6, 24, 36))])}'.encode(),
    "a blank line before the declaration": f'\r\n<?xml version="1.0"?>{xml([("狗", (4, 6, 24, 36))])}'.encode(),
    "a character of HTML": xml([("&#29399;&zwnj;", (4, 6, 24, 36))]).encode(),
    "a namespace": xml([("狗", (4, 6, 24, 36))]).replace("<annotation>", '<annotation xmlns="http://x.org/voc">').encode(),
}  # fmt: skip


@pytest.mark.parametrize("what", BYTES)
def test_bytes_that_are_read_all_the_same(what: str, tmp_path: Path) -> None:
    put(tmp_path / "a.xml", BYTES[what])
    label = read_annotation(tmp_path / "a.xml")
    assert label.names[0].strip("\u200c") == "狗" and label.corners.tolist() == [[5, 7, 24, 36]]


def test_cdata_keeps_its_ampersand(tmp_path: Path) -> None:
    put(tmp_path / "a.xml", xml([("<![CDATA[cats & dogs]]>", (4, 6, 24, 36))]))
    assert read_annotation(tmp_path / "a.xml").names == ["cats & dogs"]


def test_bytes_of_no_codec_name_file_and_remedy(tmp_path: Path) -> None:
    put(tmp_path / "a.xml", b'<?xml version="1.0" encoding="ascii"?><annotation>\xff\xfe</annotation>')
    with pytest.raises(DataError, match=r"a\.xml: not ascii text .*; save it as UTF-8"):
        read_annotation(tmp_path / "a.xml")


def savable() -> list[str]:
    """Suffixes of formats that Pillow both opens and writes, tried out."""
    found = []
    for suffix in sorted(picture_suffixes()):
        try:
            buffer = io.BytesIO()
            Image.new("RGB", (60, 40)).save(buffer, Image.registered_extensions()[suffix])
            buffer.seek(0)
            with Image.open(buffer) as picture:
                picture.load()
        except Exception:
            continue
        found.append(suffix)
    return found


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of formats that Pillow will drop
def test_every_suffix_that_pillow_opens_is_read(tmp_path: Path) -> None:
    suffixes = savable()
    assert {".jpg", ".jpe", ".mpo", ".png", ".apng", ".tga", ".pnm", ".webp", ".gif", ".bmp", ".tif", ".ppm"} <= set(
        suffixes
    )
    for suffix in suffixes:
        kind = Image.registered_extensions()[suffix]
        Image.new("RGB", (60, 40), (90, 120, 30)).save(tmp_path / f"x{suffix[1:]}{suffix.upper()}", kind)
        put(tmp_path / f"x{suffix[1:]}.xml", xml([("dog", (4, 6, 24, 36))], f"x{suffix[1:]}{suffix}", None))
    dataset = VOCFolder(tmp_path, None)
    assert dataset.names == sorted(f"x{suffix[1:]}" for suffix in suffixes)


def test_a_suffix_that_pillow_cannot_open_is_named(tmp_path: Path) -> None:
    three(tmp_path)
    (tmp_path / "p1.jpg").rename(tmp_path / "p1.HEIC")
    with pytest.raises(DataError, match=r"p1\.HEIC: Pillow cannot open \.HEIC here; save it anew as JPEG or PNG"):
        VOCFolder(tmp_path, None)


@pytest.mark.parametrize(
    "make", [coco_one_file, coco_split_folders, yolo_classes_txt, images_annotations, any_spelling, split_folders]
)
def test_it_is_named_in_every_format(make: Callable, tmp_path: Path) -> None:
    make(tmp_path)
    (path,) = tmp_path.rglob("p1.jpg")
    path.rename(path.with_suffix(".HEIC"))
    with pytest.raises(DataError, match=r"\(1\):\n.*p1\.HEIC: Pillow cannot open \.HEIC here"):
        VOCFolder(tmp_path, None)


def test_a_picture_beyond_pillows_limit_is_too_large_not_damaged(tmp_path: Path, monkeypatch) -> None:
    three(tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match=r"p0\.jpg: too large \(.*\); save it with fewer pixels"):
        VOCFolder(tmp_path, None)


def test_pictures_lie_in_one_piece_of_memory(tmp_path: Path) -> None:
    dataset = VOCFolder(write(tmp_path, FAR), None, size=(30, 32))
    assert len({pixels.untyped_storage().data_ptr() for pixels in dataset._pixels}) == 1
    assert dataset._pixels[0].untyped_storage().nbytes() == 5 * 3 * 30 * 32


def test_reading_changes_no_file_and_repeats(tmp_path: Path) -> None:
    before = files(write(tmp_path, FAR))
    first, again = VOCFolder(tmp_path, None, size=(30, 32)), VOCFolder(tmp_path, None, size=(30, 32))
    assert files(tmp_path) == before and rows(first) == rows(again)
    assert all(torch.equal(a, b) for a, b in zip(first[:][0], again[:][0], strict=True))
