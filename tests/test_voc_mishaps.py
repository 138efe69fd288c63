"""A good folder is damaged in every way that real sets are: each is mended and counted, or raises with the remedy."""

import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from course_lib.data.voc import LEFT_OUT, MENDED, NOTED, DataError, VOCFolder, write_voc

WIDTH, HEIGHT = 60, 40
BOXES = {
    "train_00000": [[4, 6, 24, 36], [30, 10, 55, 20]],
    "train_00001": [[10, 2, 20, 38]],
    "val_00000": [[8, 8, 50, 30]],
}
LABELS = {"train_00000": [2, 1], "train_00001": [1], "val_00000": [3]}
CLASSES = ("cat", "dog", "owl")


def painted(boxes: list, width: int = WIDTH, height: int = HEIGHT) -> torch.Tensor:
    """A black picture with its boxes filled in grey, 100 for the first, 200 for the second."""
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    for index, (x1, y1, x2, y2) in enumerate(boxes):
        image[:, y1:y2, x1:x2] = 100 * (index + 1)
    return image


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A sound folder: two pictures to train on, one to validate, H ≠ W."""
    splits: dict[str, list] = {"train": [], "val": []}
    for name, boxes in BOXES.items():
        target = {"boxes": torch.tensor(boxes, dtype=torch.float32), "labels": torch.tensor(LABELS[name])}
        splits[name.split("_")[0]].append((painted(boxes), target))
    return write_voc(tmp_path / "good", splits, CLASSES)


def xml(root: Path, name: str = "train_00000") -> Path:
    return root / "Annotations" / f"{name}.xml"


def jpg(root: Path, name: str = "train_00000") -> Path:
    return root / "JPEGImages" / f"{name}.jpg"


def split_list(root: Path) -> Path:
    return root / "ImageSets" / "Main" / "train.txt"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, "the damage must hit something"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def edit_xml(old: str, new: str, name: str = "train_00000") -> Callable[[Path], None]:
    return lambda root: edit(xml(root, name), old, new)


def resave(mode: str, suffix: str = ".png", change: Callable = lambda picture: picture) -> Callable[[Path], None]:
    """Store the first picture in another colour mode and format, under a name that fits."""

    def damage(root: Path) -> None:
        with Image.open(jpg(root)) as picture:
            if mode == "P":
                picture, change_to = picture.quantize(16), "P"
            else:
                change_to = "L" if mode.startswith("I") else mode
            other = change(picture.convert(change_to))
        jpg(root).unlink()
        other.save(jpg(root).with_suffix(suffix))
        edit(xml(root), "train_00000.jpg", f"train_00000{suffix}")

    return damage


def sixteen_bit(top: int) -> Callable:
    return lambda grey: Image.fromarray((np.asarray(grey).astype(np.float64) * top / 255).astype(np.uint16))


def turned(orientation: int, redraw: bool = False) -> Callable[[Path], None]:
    """Store the picture as a camera does: turned, with the EXIF tag that turns it back.

    With `redraw` the label says what it would if it had been drawn on the picture as stored.
    """

    def damage(root: Path) -> None:
        with Image.open(jpg(root)) as picture:
            back = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
            stored = picture.transpose(back[orientation])
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored.save(jpg(root), exif=exif, quality=95)
        if redraw:  # stored is 40 wide and 60 high; a box (x1, y1, x2, y2) lies at (y1, W − x2, y2, W − x1)
            text = re.sub(r"<object>.*</object>", "", xml(root).read_text())
            text = text.replace("<width>60</width><height>40</height>", "<width>40</width><height>60</height>")
            corners = "<xmin>7</xmin><ymin>37</ymin><xmax>36</xmax><ymax>56</ymax>"
            text = text.replace(
                "</annotation>", f"<object><name>dog</name><bndbox>{corners}</bndbox></object></annotation>"
            )
            xml(root).write_text(text)

    return damage


def resized(factor: float) -> Callable[[Path], None]:
    """Resize the picture but not its label."""

    def damage(root: Path) -> None:
        with Image.open(jpg(root)) as picture:
            small = picture.resize((int(WIDTH * factor), int(HEIGHT * factor)), Image.Resampling.BOX)
        small.save(jpg(root), quality=95)

    return damage


def rename(folder: str, old: str, new: str) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        path = root / folder / old
        middle = path.with_name("middle.tmp")  # for file systems that ignore case
        path.rename(middle)
        middle.rename(path.with_name(new))

    return damage


def listed(text: str, encoding: str = "utf-8") -> Callable[[Path], None]:
    return lambda root: split_list(root).write_bytes(text.encode(encoding))


def copied(new: str) -> Callable[[Path], None]:
    return lambda root: (root / "Annotations" / new).write_bytes(xml(root).read_bytes())


def renamed_to(name: str, line: str) -> Callable[[Path], None]:
    """Call the first picture and its annotation `name` and list it as `line`."""

    def damage(root: Path) -> None:
        edit(xml(root), "train_00000.jpg", f"{name}.jpg")
        jpg(root).rename(root / "JPEGImages" / f"{name}.jpg")
        xml(root).rename(root / "Annotations" / f"{name}.xml")
        split_list(root).write_text(f"{line}\ntrain_00001\n", encoding="utf-8")

    return damage


FIRST, SECOND = [4, 6, 24, 36], [30, 10, 55, 20]
NO_OBJECTS = lambda root: xml(root).write_text("<annotation/>")  # noqa: E731
# (what, damage, notes by kind, boxes of the first picture afterwards)
SURVIVED = [
    ("nothing wrong", lambda root: None, {}, [FIRST, SECOND]),
    ("swapped corners", edit_xml("<xmin>5</xmin><ymin>7</ymin><xmax>24</xmax>", "<xmin>24</xmin><ymin>7</ymin><xmax>5</xmax>"), {"swapped": 1}, [FIRST, SECOND]),
    ("counted from 0", edit_xml("<xmin>5<", "<xmin>0<"), {"zero": 1}, [[0, 6, 24, 36], SECOND]),
    ("over the edge", edit_xml("<xmax>55<", "<xmax>75<"), {"clipped": 1}, [FIRST, [30, 10, 60, 20]]),
    ("negative corner", edit_xml("<ymin>7<", "<ymin>-9<"), {"clipped": 1}, [[4, 0, 24, 36], SECOND]),
    ("wholly outside", edit_xml("<xmin>31</xmin><ymin>11</ymin><xmax>55<", "<xmin>71</xmin><ymin>11</ymin><xmax>95<"), {"outside": 1}, [FIRST]),
    ("no width", edit_xml("<xmin>31<", "<xmin>55<"), {"tiny": 1}, [FIRST]),
    ("no height", edit_xml("<ymin>7</ymin><xmax>24</xmax><ymax>36<", "<ymin>36</ymin><xmax>24</xmax><ymax>36<"), {"tiny": 1}, [SECOND]),
    ("float coordinates", edit_xml("<xmin>5<", "<xmin>5.5<"), {}, [[4.5, 6, 24, 36], SECOND]),
    ("declared size wrong", edit_xml("<width>60<", "<width>99<"), {"size": 1}, [FIRST, SECOND]),
    ("width and height swapped", edit_xml("<width>60</width><height>40<", "<width>40</width><height>60<"), {"size": 1}, [FIRST, SECOND]),
    ("declared size 0", edit_xml("<width>60</width><height>40<", "<width>0</width><height>0<"), {"size": 1}, [FIRST, SECOND]),
    ("half a declared size", edit_xml("<height>40<", "<height>unknown<"), {"size": 1}, [FIRST, SECOND]),
    ("no declared size", edit_xml("<size><width>60</width><height>40</height><depth>3</depth></size>", ""), {"size": 1}, [FIRST, SECOND]),
    ("declared larger, boxes fit", edit_xml("<width>60</width><height>40<", "<width>600</width><height>400<"), {"size": 1}, [FIRST, SECOND]),
    ("picture made smaller", resized(0.5), {"scaled": 1}, [[2, 3, 12, 18], [15, 5, 27.5, 10]]),
    ("picture made larger", resized(2), {"scaled": 1}, [[8, 12, 48, 72], [60, 20, 110, 40]]),
    ("EXIF 6, drawn upright", turned(6), {"turned": 1}, [FIRST, SECOND]),
    ("EXIF 8, drawn upright", turned(8), {"turned": 1}, [FIRST, SECOND]),
    ("EXIF 3", turned(3), {"turned": 1}, [FIRST, SECOND]),
    ("EXIF 6, drawn as stored", turned(6, redraw=True), {"unturned": 1}, [[6, 36, 36, 56]]),
    ("grey", resave("L"), {"rgb": 1}, [FIRST, SECOND]),
    ("black and white", resave("1"), {"rgb": 1}, [FIRST, SECOND]),
    ("palette", resave("P"), {"rgb": 1}, [FIRST, SECOND]),
    ("GIF", resave("P", ".gif"), {"rgb": 1}, [FIRST, SECOND]),
    ("CMYK", resave("CMYK", ".jpg"), {"rgb": 1}, [FIRST, SECOND]),
    ("RGBA", resave("RGBA"), {"rgb": 1}, [FIRST, SECOND]),
    ("grey with alpha", resave("LA"), {"rgb": 1}, [FIRST, SECOND]),
    ("16 bits", resave("I;16", change=sixteen_bit(65535)), {"rgb": 1}, [FIRST, SECOND]),
    ("12 bits", resave("I;16", change=sixteen_bit(4095)), {"rgb": 1}, [FIRST, SECOND]),
    (".JPG", rename("JPEGImages", "train_00000.jpg", "train_00000.JPG"), {}, [FIRST, SECOND]),
    (".XML", rename("Annotations", "train_00000.xml", "train_00000.XML"), {}, [FIRST, SECOND]),
    (".jpeg", rename("JPEGImages", "train_00000.jpg", "train_00000.jpeg"), {}, [FIRST, SECOND]),
    ("PNG called .jpg", lambda root: Image.fromarray(painted([FIRST, SECOND]).permute(1, 2, 0).numpy()).save(jpg(root), format="png"), {}, [FIRST, SECOND]),
    ("label names another file", edit_xml("train_00000.jpg", "IMG_1.jpg"), {"filename": 1}, [FIRST, SECOND]),
    ("label names a path", edit_xml("train_00000.jpg", "C:\\pictures\\train_00000.jpg"), {}, [FIRST, SECOND]),
    ("bare & in the XML", edit_xml("<filename>", "<path>C:\\cats & dogs</path><filename>"), {"markup": 1}, [FIRST, SECOND]),
    ("XML with a byte-order mark", lambda root: xml(root).write_bytes(b"\xef\xbb\xbf" + xml(root).read_bytes()), {}, [FIRST, SECOND]),
    ("nested part", edit_xml("</bndbox></object>", "</bndbox><part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></part></object>"), {"part": 1}, [FIRST, SECOND]),
    ("part before the box", edit_xml("<object><name>dog", "<object><part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></part><name>dog"), {"part": 1}, [FIRST, SECOND]),
    ("blanks round a class name", edit_xml("<name>dog<", "<name> dog\n<"), {}, [FIRST, SECOND]),
    ("unreadable difficult", edit_xml("<difficult>0<", "<difficult>perhaps<"), {"difficult": 1}, [FIRST, SECOND]),
    ("no difficult", edit_xml("<difficult>0</difficult>", ""), {}, [FIRST, SECOND]),
    ("no objects", NO_OBJECTS, {"size": 1, "empty": 1}, []),
    ("class in two spellings", edit_xml("<name>cat<", "<name>Cat<", "train_00001"), {"case": 2}, [FIRST, SECOND]),
    ("copy 'train_00000 (1).xml'", copied("train_00000 (1).xml"), {"stray": 1}, [FIRST, SECOND]),
    ("copy '._train_00000.xml'", copied("._train_00000.xml"), {"stray": 1}, [FIRST, SECOND]),
    ("copy '.XML'", copied("train_00000.XML"), {"stray": 1}, [FIRST, SECOND]),
    ("annotation without picture", copied("ghost.xml"), {"stray": 1}, [FIRST, SECOND]),
    ("hidden files", lambda root: [(root / part / ".DS_Store").touch() for part in ("JPEGImages", "Annotations")], {}, [FIRST, SECOND]),
    ("list with byte-order mark, CRLF, blank lines", listed("\ufefftrain_00000\r\n\r\n  \r\ntrain_00001\r\n"), {}, [FIRST, SECOND]),
    ("list in UTF-16", listed("train_00000\r\ntrain_00001\r\n", "utf-16"), {}, [FIRST, SECOND]),
    ("list with 1/-1 column", listed("train_00000  1\ntrain_00001 -1\n"), {}, [FIRST, SECOND]),
    ("list with suffixes and folders", listed("train_00000.jpg\nJPEGImages/train_00001.JPG\n"), {}, [FIRST, SECOND]),
    ("list in other case", listed("TRAIN_00000\ntrain_00001\n"), {"spelling": 1}, [FIRST, SECOND]),
    ("name listed twice", listed("train_00000\ntrain_00001\ntrain_00000\n"), {"repeated": 1}, [FIRST, SECOND]),
    ("name with dots, blank and digit", renamed_to("cat v1.5 1", "cat v1.5 1"), {}, [FIRST, SECOND]),
    ("the same with its column", renamed_to("cat v1.5 1", "cat v1.5 1 -1"), {}, [FIRST, SECOND]),
    ("class names that look alike", edit_xml("<name>cat<", "<name>c\u200bat<", "train_00001"), {"name": 1}, [FIRST, SECOND]),
    ("object listed twice", lambda root: xml(root).write_text(re.sub("(<object>.*?</object>)", r"\1\1", xml(root).read_text(), count=1)), {"duplicate": 1}, [FIRST, SECOND]),
    ("accents in two pieces", renamed_to("e\u0301te\u0301", "\u00e9t\u00e9"), {}, [FIRST, SECOND]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("damage", "notes", "boxes"), [case[1:] for case in SURVIVED], ids=[case[0] for case in SURVIVED]
)
def test_mended_and_counted(good: Path, capsys, damage, notes, boxes) -> None:
    damage(good)
    dataset = VOCFolder(good, "train")
    printed = capsys.readouterr().out.splitlines()
    assert Counter(note.kind for note in dataset.notes) == Counter(notes)
    assert printed == [dataset.summary]
    for kind, count in notes.items():
        assert f"{ {**MENDED, **LEFT_OUT, **NOTED}[kind] } ({count})" in dataset.summary
    assert len(dataset) == 2
    image, target = dataset[0]
    assert target["boxes"].tolist() == boxes
    assert image.dtype == torch.float32 and image.shape[0] == 3 and 0 <= image.min() and image.max() <= 1
    left_out = sum(notes.get(kind, 0) for kind in ("outside", "tiny", "other", "duplicate"))
    assert dataset.found == sum(len(t["labels"]) for t in dataset.targets) + left_out


PAINTED = [case for case in SURVIVED if len(case[3]) == 2 and case[0] not in ("black and white", "declared larger, boxes fit")
           and not {"clipped", "zero"} & set(case[2]) and case[0] != "float coordinates"]  # fmt: skip


@pytest.mark.parametrize(
    ("damage", "notes", "boxes"), [case[1:] for case in PAINTED], ids=[case[0] for case in PAINTED]
)
def test_boxes_still_enclose_what_was_painted(good: Path, damage, notes, boxes) -> None:
    """The pixels inside each box, a pixel from its edge, are the painted grey: picture and boxes moved together."""
    damage(good)
    image, target = VOCFolder(good, "train", quiet=True)[0]
    for index, box in enumerate(target["boxes"].round().int().tolist()):
        x1, y1, x2, y2 = box
        inside = image[:, y1 + 1 : y2 - 1, x1 + 1 : x2 - 1]
        assert (inside - (index + 1) * 100 / 255).abs().max() < 0.08
    outside = image.clone()
    for x1, y1, x2, y2 in target["boxes"].round().int().tolist():
        outside[:, max(0, y1 - 1) : y2 + 1, max(0, x1 - 1) : x2 + 1] = 0
    assert outside.max() < 0.08


def cut(share: float) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        raw = jpg(root).read_bytes()
        jpg(root).write_bytes(raw[: int(len(raw) * share)])

    return damage


def real_numbers(root: Path) -> None:
    Image.fromarray(np.ones((HEIGHT, WIDTH), np.float32)).save(jpg(root).with_suffix(".tif"))
    jpg(root).unlink()


def twins(root: Path) -> None:
    jpg(root).with_suffix(".png").write_bytes(jpg(root).read_bytes())
    edit(xml(root), "train_00000.jpg", "other.jpg")


OBJECT_1 = r"Annotations/train_00000\.xml, object 1 \(dog\): "
# (what, damage, what the message says)
RAISED = [
    ("cut-short picture", cut(0.8), r"JPEGImages/train_00000\.jpg: cut short.*fetch it again"),
    ("picture of 0 bytes", cut(0), r"JPEGImages/train_00000\.jpg: not a picture.*save it anew"),
    ("web page called .jpg", lambda root: jpg(root).write_text("<html>404</html>"), r"train_00000\.jpg: not a picture"),
    ("real-number picture", real_numbers, r"train_00000\.tif: real numbers.*save it as 8-bit"),
    ("missing picture", lambda root: jpg(root).unlink(), r"JPEGImages/train_00000\.jpg: missing; restore it"),
    ("missing annotation", lambda root: xml(root).unlink(), r"Annotations/train_00000\.xml: missing.*restore it"),
    ("two pictures of one name", twins, r"/train_00000\.jpg, JPEGImages/train_00000\.png share one name; remove"),
    ("annotation of 0 bytes", lambda root: xml(root).write_text(""), r"train_00000\.xml: the file is empty; restore"),
    ("bad XML", edit_xml("</annotation>", ""), r"train_00000\.xml: not well-formed XML.*repair"),
    ("another XML", lambda root: xml(root).write_text("<svg/>"), r"train_00000\.xml: the outermost tag is <svg>"),
    ("no bndbox", edit_xml("bndbox", "polygon"), r"not well-formed"),
    ("no box", lambda root: xml(root).write_text("<annotation><object><name>dog</name></object></annotation>"), OBJECT_1 + "no <bndbox>; write"),
    ("no class name", edit_xml("<name>dog</name>", ""), r"train_00000\.xml, object 1: no <name>; write its class"),
    ("blank class name", edit_xml("<name>dog</name>", "<name> </name>"), r"train_00000\.xml, object 1: no <name>"),
    ("missing corner", edit_xml("<ymin>7</ymin>", ""), OBJECT_1 + "<ymin> is '', not a number; correct it"),
    ("corner in words", edit_xml("<ymin>7<", "<ymin>seven<"), OBJECT_1 + "<ymin> is 'seven', not a number"),
    ("decimal comma", edit_xml("<ymin>7<", "<ymin>7,5<"), OBJECT_1 + "<ymin> is '7,5', not a number"),
    ("corner NaN", edit_xml("<xmax>24<", "<xmax>nan<"), OBJECT_1 + "<xmax> is 'nan', not a number"),
    ("corner infinite", edit_xml("<xmax>24<", "<xmax>1e999<"), OBJECT_1 + "<xmax> is '1e999', not a number"),
    ("missing split list", lambda root: split_list(root).unlink(), r"no split list ImageSets/Main/train\.txt \(there: val\); write it"),
    ("empty split list", listed("\ufeff\r\n \r\n"), r"ImageSets/Main/train\.txt: no names in it; write"),
    ("list that is no text", lambda root: split_list(root).write_bytes(b"\x89PNG\xff\x00"), r"train\.txt: not UTF-8 text.*save it"),
    ("list in UTF-16 without a mark", listed("train_00000\n", "utf-16-le"), r"train\.txt: not UTF-8 text \(it holds zero bytes\); save it"),
    ("list names a stranger", listed("train_00000\nstranger\n"), r"Annotations/stranger\.xml: missing"),
    ("no Annotations", lambda root: shutil.rmtree(root / "Annotations"), r"no annotations of its pictures found .*Point to the folder"),
    ("lists without train and val", lambda root: [split_list(root).rename(split_list(root).with_name("dev2.txt")), split_list(root).with_name("val.txt").unlink()], r"no split list ImageSets/Main/train\.txt \(there: dev2\); write it"),
    ("no objects anywhere", lambda root: [path.write_text("<annotation/>") for path in (root / "Annotations").iterdir()], r"not one object"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "message"), [case[1:] for case in RAISED], ids=[case[0] for case in RAISED])
def test_raised_with_file_object_and_remedy(good: Path, damage, message) -> None:
    damage(good)
    with pytest.raises(DataError) as caught:
        VOCFolder(good, "train")
    assert re.search(message, str(caught.value)), caught.value


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_cut_short_png_raises(good: Path, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    Image.fromarray(noise).save(jpg(good), format="png")
    cut(share)(good)
    with pytest.raises(DataError, match="cut short|not a picture"):
        VOCFolder(good, "train")


def test_all_problems_are_named_at_once(good: Path) -> None:
    jpg(good).unlink()
    edit(xml(good, "train_00001"), "<ymin>3<", "<ymin>x<")
    with pytest.raises(DataError) as caught:
        VOCFolder(good, "train", CLASSES)
    assert (
        "(2)" in str(caught.value) and "train_00000.jpg" in str(caught.value) and "<ymin> is 'x'" in str(caught.value)
    )


def test_unknown_class_raises_with_the_nearest_name(good: Path) -> None:
    with pytest.raises(DataError, match=r"train_00000\.xml, object 1 \(dog\): not one of .*others='drop'.*mean 'dogs'"):
        VOCFolder(good, "train", class_names=("cat", "dogs"))


def test_unknown_class_left_out_when_asked_is_counted(good: Path) -> None:
    dataset = VOCFolder(good, "train", class_names=("cat",), others="drop")
    assert [target["boxes"].tolist() for target in dataset.targets] == [[SECOND], BOXES["train_00001"]]
    assert [target["labels"].tolist() for target in dataset.targets] == [[1], [1]]
    assert dataset.found == 3 and "objects of other classes (1)" in dataset.summary


def test_difficult_stays_with_its_object_when_another_is_left_out(good: Path) -> None:
    text = xml(good).read_text()
    second = text.rindex("<difficult>0<")
    xml(good).write_text(text[:second] + "<difficult>1<" + text[second + len("<difficult>0<") :])
    edit(xml(good), "<xmin>5<", "<xmin>24<")
    target = VOCFolder(good, "train", CLASSES)[0][1]
    assert target["boxes"].tolist() == [SECOND]
    assert target["difficult"].tolist() == [True] and target["labels"].tolist() == [1]


def test_one_pixel_boxes_are_kept_when_asked(good: Path) -> None:
    edit(xml(good), "<xmin>31<", "<xmin>55<")
    assert VOCFolder(good, "train", smallest=1)[0][1]["boxes"].tolist() == [FIRST, [54, 10, 55, 20]]


def test_transparent_pixels_are_shown_on_white(good: Path) -> None:
    with Image.open(jpg(good)) as picture:
        clear = picture.convert("RGBA")
    clear.putalpha(0)
    clear.save(jpg(good).with_suffix(".png"))
    jpg(good).unlink()
    assert VOCFolder(good, "train")[0][0].min() == 1


def test_every_kind_of_note_is_made_by_some_damage() -> None:
    made = {kind for case in SURVIVED for kind in case[2]}
    made |= {"other", "smaller", "damaged", "lost", "unlabelled", "homeless"}  # each has its own test
    assert made == {*MENDED, *LEFT_OUT, *NOTED}
    assert len(SURVIVED) + len(RAISED) > 20


def test_labels_and_classes_of_a_sound_folder(good: Path) -> None:
    train, val = VOCFolder(good, "train"), VOCFolder(good, "val")
    assert train.class_names == val.class_names == CLASSES, "the classes are the folder's, not the split's"
    assert [target["labels"].tolist() for target in train.targets] == [[2, 1], [1]]
    assert [target["labels"].tolist() for target in val.targets] == [[3]]
    assert VOCFolder(good, "train", class_names=("owl", "cat", "dog"))[0][1]["labels"].tolist() == [3, 2]


def test_without_lists_a_split_is_made_and_announced(good: Path) -> None:
    shutil.rmtree(good / "ImageSets")
    train, val = VOCFolder(good, "train"), VOCFolder(good, "val")
    assert sorted(train.names + val.names) == sorted(BOXES) and len(val) == 1
    assert "split made here, 80 to 20, seed 0" in train.summary


def test_hidden_copies_of_pictures_are_no_pictures(good: Path) -> None:
    """macOS leaves `._NAME` twins of pictures and annotations on foreign disks."""
    (good / "JPEGImages" / "._train_00000.jpg").write_bytes(b"\0\5\26\7")
    (good / "Annotations" / "._train_00000.xml").write_bytes(b"\0\5\26\7")
    everything = VOCFolder(good, None)
    assert everything.names == ["train_00000", "train_00001", "val_00000"]
    assert [note.file for note in everything.notes] == ["Annotations/._train_00000.xml"]


def test_of_two_spellings_of_a_suffix_the_lower_case_one_is_read(good: Path) -> None:
    twin = xml(good).with_suffix(".XML")
    twin.write_text(xml(good).read_text().replace("<xmin>5<", "<xmin>9<"))
    if xml(good).read_text() == twin.read_text():
        pytest.skip("this file system does not tell x.xml from x.XML")
    assert VOCFolder(good, "train")[0][1]["boxes"][0].tolist() == FIRST
