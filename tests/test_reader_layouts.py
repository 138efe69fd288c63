"""The same pictures in every layout that occurs: the same targets, the same notes, and every object accounted for."""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

import course_lib.data as data
from course_lib.data.voc import DataError, VOCFolder

SIZE = (60, 40)  # (W, H)
NAMES = [f"p{k}" for k in range(10)]
TRAIN, VAL = NAMES[:8], NAMES[8:]
CLASSES = ("blue", "red")
Box = tuple[int, int, int, int]
# The truth: class and xyxy of every object; p3 has none, p5 has two.
TRUTH: dict[str, list[tuple[str, Box]]] = {
    name: [(CLASSES[k % 2], (2 + 4 * k, 3 + k, 14 + 4 * k, 20 + k))] for k, name in enumerate(NAMES)
}
TRUTH["p3"] = []
TRUTH["p5"].append(("red", (1, 2, 9, 12)))


def put(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def picture(path: Path, size: tuple[int, int] = SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (90, 120, 30)).save(path)


def xml(objects: list, filename: str = "", size: tuple[int, int] | None = SIZE) -> str:
    """A VOC annotation; corners count from 1."""
    rows = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{a + 1}</xmin><ymin>{b + 1}</ymin><xmax>{c}</xmax><ymax>{d}</ymax>"
        "</bndbox></object>"
        for name, (a, b, c, d) in objects
    )
    declared = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>" if size else ""
    return f"<annotation><filename>{filename}</filename>{declared}{rows}</annotation>"


def coco(files: dict[str, list]) -> str:
    """A COCO file: {file name: objects}; a class that nothing belongs to, as Roboflow writes one, comes first."""
    images = [{"id": k, "file_name": f, "width": SIZE[0], "height": SIZE[1]} for k, f in enumerate(files)]
    rows = [(k, name, box) for k, objects in enumerate(files.values()) for name, box in objects]
    annotations = [
        {"id": n, "image_id": k, "category_id": 7 + CLASSES.index(name), "bbox": [a, b, c - a, d - b], "iscrowd": 0}
        for n, (k, name, (a, b, c, d)) in enumerate(rows)
    ]
    categories = [{"id": 0, "name": "things"}] + [{"id": 7 + k, "name": name} for k, name in enumerate(CLASSES)]
    return json.dumps({"images": images, "annotations": annotations, "categories": categories})


def yolo(objects: list) -> str:
    """A YOLO file; "red" is class 0 there."""
    return "".join(
        f"{1 - CLASSES.index(name)} {(a + c) / 2 / SIZE[0]} {(b + d) / 2 / SIZE[1]} {(c - a) / SIZE[0]} {(d - b) / SIZE[1]}\n"
        for name, (a, b, c, d) in objects
    )


def voc_folder(
    root: Path, images: str = "JPEGImages", labels: str = "Annotations", sub: Callable = lambda name: ""
) -> None:
    """Pictures and annotations; `sub` gives each a subfolder."""
    for name in NAMES:
        picture(root / images / sub(name) / f"{name}.jpg")
        put(root / labels / sub(name) / f"{name}.xml", xml(TRUTH[name], f"{name}.jpg"))


def lists(folder: Path, prefix: str = "") -> None:
    for split, names in (("train", TRAIN), ("val", VAL)):
        put(folder / f"{split}.txt", "".join(f"{prefix}{name}\n" for name in names))


def split_folder(name: str) -> str:
    return "train" if name in TRAIN else "valid"


def classic(root: Path) -> None:
    voc_folder(root)
    lists(root / "ImageSets" / "Main")


def folder_above(root: Path) -> None:
    classic(root / "VOCdevkit" / "VOC2007")
    picture(root / "VOCdevkit" / "VOC2007" / "SegmentationClass" / "p1.png")


def no_lists(root: Path) -> None:
    voc_folder(root)


def side_by_side(root: Path) -> None:
    voc_folder(root, ".", ".")


def split_folders(root: Path) -> None:
    voc_folder(root, ".", ".", split_folder)


def split_folders_of_two(root: Path) -> None:
    voc_folder(root, ".", ".", lambda name: split_folder(name).replace("valid", "test"))


def images_annotations(root: Path) -> None:
    voc_folder(root, "images", "annotations/xmls")


def any_spelling(root: Path) -> None:
    voc_folder(root, "Bilder", "Etiketten")


def split_named_folders(root: Path) -> None:
    for name in NAMES:
        split = split_folder(name)
        picture(root / f"{split}_images" / f"{name}.jpg")
        put(root / f"{split}_annotations" / f"{name}.xml", xml(TRUTH[name], f"{name}.jpg"))


def subfolders(root: Path) -> None:
    """Two cameras whose pictures have the same last parts."""
    for k, name in enumerate(NAMES):
        picture(root / f"JPEGImages/cam{k % 2}/{k // 2}.jpg")
        put(root / f"Annotations/cam{k % 2}/{k // 2}.xml", xml(TRUTH[name], f"{k // 2}.jpg"))
    for split, names in (("train", TRAIN), ("val", VAL)):
        numbers = [NAMES.index(name) for name in names]
        put(root / f"ImageSets/Main/{split}.txt", "".join(f"cam{k % 2}/{k // 2}\n" for k in numbers))


def coco_one_file(root: Path) -> None:
    for name in NAMES:
        picture(root / "images" / f"{name}.jpg")
    put(root / "annotations" / "annotations.json", coco({f"{name}.jpg": TRUTH[name] for name in NAMES}))


def coco_file_a_split(root: Path) -> None:
    """As COCO itself: the same file names in train2017 and val2017, and files beside that hold no boxes."""
    for split, names in (("train", TRAIN), ("val", VAL)):
        for k in range(len(names)):
            picture(root / f"{split}2017" / f"{k:012d}.jpg")
        files = {f"{k:012d}.jpg": TRUTH[name] for k, name in enumerate(names)}
        put(root / "annotations" / f"instances_{split}2017.json", coco(files))
        put(root / "annotations" / f"captions_{split}2017.json", coco({file: [] for file in files}))


def coco_split_folders(root: Path) -> None:
    for split, names in (("train", TRAIN), ("valid", VAL)):
        for name in names:
            picture(root / split / f"{name}.jpg")
        put(root / split / "_annotations.coco.json", coco({f"{name}.jpg": TRUTH[name] for name in names}))


def yolo_images_labels(root: Path, names: str = "names: [red, blue]\n", pattern: str = "{kind}/{split}") -> None:
    for name in NAMES:
        split = split_folder(name).replace("valid", "val") if pattern.startswith("{kind}") else split_folder(name)
        picture(root / pattern.format(kind="images", split=split) / f"{name}.jpg")
        if TRUTH[name]:  # a picture without objects needs no file
            put(root / pattern.format(kind="labels", split=split) / f"{name}.txt", yolo(TRUTH[name]))
    put(root / "data.yaml", f"path: ../x\ntrain: images/train\nval: images/val\nnc: 2\n{names}")


def yolo_split_folders(root: Path) -> None:
    yolo_images_labels(root, "names:\n  0: red\n  1: blue\n", "{split}/{kind}")


def yolo_side_by_side(root: Path) -> None:
    """As Darknet has it: pictures and labels in one folder, lists of paths, names in obj.names."""
    for name in NAMES:
        picture(root / "obj_train_data" / f"{name}.jpg")
        put(root / "obj_train_data" / f"{name}.txt", yolo(TRUTH[name]))
    put(root / "obj.names", "red\nblue\n")
    for split, names in (("train", TRAIN), ("val", VAL)):
        put(root / f"{split}.txt", "".join(f"data/obj_train_data/{name}.jpg\n" for name in names))


def yolo_classes_txt(root: Path) -> None:
    for name in NAMES:
        picture(root / "images" / f"{name}.jpg")
        put(root / "labels" / f"{name}.txt", yolo(TRUTH[name]))
    put(root / "classes.txt", "red\r\nblue\r\n")


# What data/README.md calls the layout: (make, what the summary says, whether the splits are the drawn ones)
LAYOUTS: dict[str, tuple[Callable, str, bool]] = {
    "`JPEGImages/`, `Annotations/`, `ImageSets/Main/train.txt`": (classic, "Pascal VOC, split listed in ImageSets/Main/train.txt", True),
    "a folder above it, such as `VOCdevkit/VOC2007/`": (folder_above, "Pascal VOC, split listed in VOCdevkit/VOC2007/Image", True),
    "`JPEGImages/`, `Annotations/` without lists": (no_lists, "Pascal VOC, split made here, 80 to 20, seed 0", False),
    "pictures and XML side by side": (side_by_side, "Pascal VOC, split made here, 80 to 20, seed 0", False),
    "side by side in `train/`, `valid/`, `test/`": (split_folders, "Pascal VOC, split by folder or file", True),
    "side by side in `train/` and `test/`: val is made from train": (split_folders_of_two, "Pascal VOC, split made here, 80 to 20", False),
    "`images/` and `annotations/xmls/`": (images_annotations, "Pascal VOC, split made here", False),
    "folders of any name, such as `Bilder/` and `Etiketten/`": (any_spelling, "Pascal VOC, split made here", False),
    "`train_images/` and `train_annotations/`": (split_named_folders, "Pascal VOC, split by folder or file", True),
    "subfolders: `JPEGImages/cam1/`, `Annotations/cam1/`": (subfolders, "Pascal VOC, split listed in ImageSets/Main/train.txt", True),
    "`images/` and one COCO JSON": (coco_one_file, "COCO JSON, split made here, 80 to 20, seed 0", False),
    "`train2017/`, `annotations/instances_train2017.json`": (coco_file_a_split, "COCO JSON, split by folder or file", True),
    "`train/_annotations.coco.json` beside its pictures": (coco_split_folders, "COCO JSON, split by folder or file", True),
    "`images/train/`, `labels/train/`, `data.yaml`": (yolo_images_labels, "YOLO txt, split by folder or file", True),
    "`train/images/`, `train/labels/`, `data.yaml`": (yolo_split_folders, "YOLO txt, split by folder or file", True),
    "pictures and txt side by side, `obj.names`, `train.txt`": (yolo_side_by_side, "YOLO txt, split listed in train.txt", True),
    "`images/`, `labels/`, `classes.txt`": (yolo_classes_txt, "YOLO txt, split made here, 80 to 20, seed 0", False),
}  # fmt: skip


def rows(dataset: VOCFolder) -> list[list[tuple[str, Box]]]:
    """Classes and boxes of every picture, sorted, whatever the pictures are called."""
    named = [
        [(dataset.class_names[label - 1], tuple(round(v, 3) for v in box)) for label, box in zip(t["labels"].tolist(), t["boxes"].tolist(), strict=True)]
        for t in dataset.targets
    ]  # fmt: skip
    return sorted(sorted(picture) for picture in named)


def expected(names: list[str]) -> list[list[tuple[str, Box]]]:
    return sorted(sorted(TRUTH[name]) for name in names)


def files(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_targets(layout: str, tmp_path: Path, monkeypatch, capsys) -> None:
    make, said, drawn = LAYOUTS[layout]
    make(tmp_path / "set")
    before = files(tmp_path)
    whole = VOCFolder(tmp_path / "set", None)
    assert rows(whole) == expected(NAMES) and whole.class_names == CLASSES
    assert whole.found == 10 and Counter(note.kind for note in whole.notes) == {"empty": 1}
    assert len(set(whole.names)) == 10 and not any(name.startswith("/") for name in whole.names)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "set"))
    capsys.readouterr()
    train, val = data.load("standard", "train", (20, 30)), data.load("standard", "val", (20, 30))
    assert said in capsys.readouterr().out.splitlines()[0]
    assert train[0][0].shape == val[0][0].shape == (3, 20, 30) and not set(train.names) & set(val.names)
    for dataset in (train, val):
        assert dataset.found == sum(len(target["labels"]) for target in dataset.targets)
    if drawn:
        halved = [[(name, tuple(v / 2 for v in box)) for name, box in picture] for picture in expected(TRAIN)]
        assert rows(train) == halved and len(val) == 2
    else:
        assert len(train) + len(val) in (8, 10) and len(val) == 2
    assert files(tmp_path) == before, "nothing is written into the folder"


def test_a_made_split_is_the_same_every_time_and_complete(tmp_path: Path) -> None:
    side_by_side(tmp_path)
    first, again = VOCFolder(tmp_path, "train"), VOCFolder(tmp_path, "train")
    val = VOCFolder(tmp_path, "val")
    assert first.names == again.names and sorted(first.names + val.names) == NAMES and len(val) == 2
    assert first.names == sorted(first.names), "in the folder's order"
    with pytest.raises(DataError, match="no split list .*test"):
        VOCFolder(tmp_path, "test")


def test_one_picture_is_not_split(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    put(tmp_path / "a.xml", xml(TRUTH["p1"]))
    assert len(VOCFolder(tmp_path, None)) == 1
    with pytest.raises(DataError, match="one picture cannot be split"):
        VOCFolder(tmp_path, "train")


# ------------------------------------------------------------------------------------------------- which file is meant


def named(tmp_path: Path, annotations: dict[str, list], pictures: list[str]) -> VOCFolder:
    """A folder of these pictures in JPEGImages and these annotations, read whole."""
    for path in pictures:
        picture(tmp_path / "JPEGImages" / path)
    for path, objects in annotations.items():
        put(tmp_path / "Annotations" / path, xml(objects))
    return VOCFolder(tmp_path, None)


@pytest.mark.parametrize("name", ["a.xml", "a.jpg.xml", "a.xml.xml", "a.XML", "A.xml", "a.JPG.xml"])
def test_annotation_names_as_tools_write_them(name: str, tmp_path: Path) -> None:
    dataset = named(tmp_path, {name: TRUTH["p1"], "b.xml": TRUTH["p2"]}, ["a.jpg", "b.jpg"])
    assert dataset.names == ["a", "b"] and rows(dataset) == expected(["p1", "p2"]) and not dataset.notes


def test_two_suffixes_of_one_name_are_two_pictures_where_the_annotations_say_so(tmp_path: Path) -> None:
    dataset = named(tmp_path, {"a.jpg.xml": TRUTH["p1"], "a.png.xml": TRUTH["p2"]}, ["a.jpg", "a.png"])
    assert dataset.names == ["a.jpg", "a.png"]
    assert [rows(dataset.select([k])) for k in (0, 1)] == [expected(["p1"]), expected(["p2"])]


def test_a_picture_at_the_top_is_not_one_in_a_subfolder(tmp_path: Path) -> None:
    put(tmp_path / "ImageSets/Main/train.txt", "0001\ncam2/0001\n")
    whole = named(tmp_path, {"0001.xml": TRUTH["p1"], "cam2/0001.xml": TRUTH["p2"]}, ["0001.jpg", "cam2/0001.jpg"])
    train = VOCFolder(tmp_path, "train")
    assert train.names == whole.names == ["0001", "cam2/0001"]
    assert rows(train.select([1])) == expected(["p2"]) and not train.notes


def test_an_annotation_of_a_lost_picture_in_a_subfolder_is_not_anothers(tmp_path: Path) -> None:
    """cam2/0001.jpg is gone, 0001.jpg is another picture."""
    put(tmp_path / "ImageSets/Main/train.txt", "0001\ncam2/0001\n")
    whole = named(tmp_path, {"0001.xml": TRUTH["p1"], "cam2/0001.xml": TRUTH["p2"]}, ["0001.jpg"])
    assert rows(whole) == expected(["p1"]) and [note.kind for note in whole.notes] == ["stray"]
    with pytest.raises(DataError, match=r"\(1\):\n.*JPEGImages/cam2/0001\.jpg: missing; restore it"):
        VOCFolder(tmp_path, "train")


def test_two_annotations_that_may_be_a_pictures_are_not_chosen_from(tmp_path: Path) -> None:
    whole = named(tmp_path, {f"cam{k}/1.xml": TRUTH["p1"] for k in (1, 2)} | {"2.xml": TRUTH["p2"]}, ["1.jpg", "2.jpg"])
    assert whole.names == ["2"] and Counter(note.kind for note in whole.notes) == {"stray": 2, "unlabelled": 1}


def test_a_list_may_name_one_of_two_suffixes(tmp_path: Path) -> None:
    put(tmp_path / "ImageSets/Main/train.txt", "a.png\n")
    named(tmp_path, {"a.jpg.xml": TRUTH["p1"], "a.png.xml": TRUTH["p2"]}, ["a.jpg", "a.png"])
    assert rows(VOCFolder(tmp_path, "train")) == expected(["p2"])


def test_a_last_part_that_occurs_twice_is_asked_for(tmp_path: Path) -> None:
    put(tmp_path / "ImageSets/Main/train.txt", "0001\n")
    named(tmp_path, {f"cam{k}/0001.xml": TRUTH["p1"] for k in (1, 2)}, ["cam1/0001.jpg", "cam2/0001.jpg"])
    with pytest.raises(DataError, match="train.txt: 0001 may be cam1/0001 or cam2/0001; write the folder"):
        VOCFolder(tmp_path, "train")


def test_two_lines_that_mean_one_picture_are_not_one_name_listed_twice(tmp_path: Path) -> None:
    put(tmp_path / "ImageSets/Main/train.txt", "cam1/0001\ncam2/0001\n")
    named(tmp_path, {"0001.xml": TRUTH["p1"]}, ["0001.jpg"])
    with pytest.raises(DataError, match="cam1/0001 and cam2/0001 both mean 0001"):
        VOCFolder(tmp_path, "train")


def test_a_flat_annotation_that_fits_two_pictures_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cam1/0001.jpg, .*cam2/0001.jpg share one name"):
        named(tmp_path, {"0001.xml": TRUTH["p1"]}, ["cam1/0001.jpg", "cam2/0001.jpg"])


def test_several_voc_sets_are_asked_for(tmp_path: Path) -> None:
    classic(tmp_path / "VOC2007")
    classic(tmp_path / "VOC2012")
    with pytest.raises(DataError, match=r"several Pascal VOC sets \(VOC2007, VOC2012\); choose one of them"):
        VOCFolder(tmp_path, "train")
    assert len(VOCFolder(tmp_path / "VOC2012", "train")) == 8


def test_several_coco_files_are_asked_for_and_one_can_be_named(tmp_path: Path) -> None:
    coco_one_file(tmp_path)
    put(tmp_path / "annotations" / "second.json", coco({"p1.jpg": TRUTH["p1"]}))
    with pytest.raises(
        DataError, match=r"several COCO files \(annotations/annotations.json, annotations/second.json\)"
    ):
        VOCFolder(tmp_path, None)
    assert rows(VOCFolder(tmp_path / "annotations" / "second.json", None)) == expected(["p1"])


def test_several_formats_are_asked_for(tmp_path: Path, monkeypatch) -> None:
    yolo_classes_txt(tmp_path)
    for name in NAMES:
        put(tmp_path / "xml" / f"{name}.xml", xml(TRUTH[name]))
    with pytest.raises(
        DataError, match=r"holds Pascal VOC \('voc'\) and YOLO txt \('yolo'\); choose one with COURSE_FORMAT="
    ):
        VOCFolder(tmp_path, None)
    assert (
        rows(VOCFolder(tmp_path, None, form="yolo")) == rows(VOCFolder(tmp_path, None, form="voc")) == expected(NAMES)
    )
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    monkeypatch.setenv("COURSE_FORMAT", "yolo")
    assert "YOLO" in data.load("standard", "train").layout


def test_a_folder_without_annotations_says_what_is_there(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    put(tmp_path / "labels.csv", "a.jpg,1,2,3,4,dog")
    with pytest.raises(DataError, match=r"no annotations of its pictures found .*there are 1 \.\w+, 1 \.\w+\. Point"):
        VOCFolder(tmp_path, None)


def test_yolo_without_names_asks_for_them(tmp_path: Path) -> None:
    yolo_classes_txt(tmp_path)
    (tmp_path / "classes.txt").unlink()
    with pytest.raises(DataError, match=r"YOLO txt files .* without class names; write classes\.txt"):
        VOCFolder(tmp_path, None)


def test_two_suffixes_of_one_name_stay_in_their_split_folder(tmp_path: Path) -> None:
    split_folders(tmp_path)
    for suffix, name in (("jpg", "p1"), ("png", "p2")):
        picture(tmp_path / "train" / f"a.{suffix}")
        put(tmp_path / "train" / f"a.{suffix}.xml", xml(TRUTH[name]))
    train = VOCFolder(tmp_path, "train")
    assert len(train) == 10 and rows(train) == expected([*TRAIN, "p1", "p2"])


def test_yolo_files_without_a_picture_are_counted(tmp_path: Path) -> None:
    yolo_classes_txt(tmp_path)
    (tmp_path / "images" / "p1.jpg").unlink()
    put(tmp_path / "readme.txt", "drawn by hand\n")
    whole = VOCFolder(tmp_path, None)
    assert [note.file for note in whole.notes if note.kind == "stray"] == ["labels/p1.txt"] and len(whole) == 9


def test_one_coco_file_of_several_splits_finds_its_own_pictures(tmp_path: Path) -> None:
    coco_file_a_split(tmp_path)
    val = VOCFolder(tmp_path / "annotations" / "instances_val2017.json", None)
    assert rows(val) == expected(VAL) and all(name.startswith("val2017/") for name in val.names)


def test_pictures_without_an_annotation_are_counted(tmp_path: Path) -> None:
    side_by_side(tmp_path)
    picture(tmp_path / "extra.jpg")
    whole = VOCFolder(tmp_path, None)
    assert len(whole) == 10 and [note.file for note in whole.notes if note.kind == "unlabelled"] == ["extra.jpg"]
    assert "pictures without an annotation (1)" in whole.summary


def test_coco_marks_crowds_difficult_and_counts_the_homeless(tmp_path: Path) -> None:
    coco_one_file(tmp_path)
    path = tmp_path / "annotations" / "annotations.json"
    table = json.loads(path.read_text())
    table["annotations"][0]["iscrowd"] = 1
    table["annotations"].append(dict(table["annotations"][1], id=99, image_id=1234))
    path.write_text(json.dumps(table))
    whole = VOCFolder(tmp_path, None)
    assert sum(int(target["difficult"].sum()) for target in whole.targets) == 1 and whole.found == 10
    assert [note.detail for note in whole.notes if note.kind == "homeless"] == ["annotation 99"]


def test_a_yolo_polygon_gives_the_box_round_it(tmp_path: Path) -> None:
    yolo_classes_txt(tmp_path)
    put(tmp_path / "labels" / "p1.txt", "0 0.1 0.2 0.5 0.25 0.3 0.75\n")
    target = VOCFolder(tmp_path, None).targets[1]
    assert torch.allclose(target["boxes"], torch.tensor([[6.0, 8.0, 30.0, 30.0]]))


BROKEN = {
    "coco class": (coco_one_file, "annotations/annotations.json", '"category_id": 8', '"category_id": 3', r"p1\.jpg, object 1: no category 3"),
    "coco box": (coco_one_file, "annotations/annotations.json", '"bbox": [6, 4, 12, 17]', '"bbox": [6, 4]', r"p1\.jpg, object 1 \(red\): bbox is \[6, 4\]"),
    "coco picture": (coco_one_file, "annotations/annotations.json", '"p1.jpg"', '"q1.jpg"', r"q1\.jpg: missing; restore"),
    "coco number": (coco_one_file, "annotations/annotations.json", '"id": 1, "file_name"', '"id": 0, "file_name"', "images share a number"),
    "yolo class": (yolo_classes_txt, "labels/p1.txt", "0 ", "5 ", r"labels/p1\.txt, line 1: class 5 has no name"),
    "yolo line": (yolo_classes_txt, "labels/p1.txt", "0 ", "0 0.1 ", r"labels/p1\.txt, line 1: .* is no box; write class, centre"),
    "yolo table": (yolo_images_labels, "data.yaml", "names: [", "names: {[", r"data\.yaml: not well-formed YAML .*; repair"),
    "yolo value": (yolo_images_labels, "data.yaml", "names: [", "nc2: !!int ''\nnames: [", r"data\.yaml: not well-formed YAML .*; repair"),
    "yolo number": (yolo_images_labels, "data.yaml", "names: [red, blue]", "names: {\u00b3: red, 1: blue}", r"p1\.txt, line 1: class 0 has no name; add it"),
    "yolo blank name": (yolo_classes_txt, "classes.txt", "red", "white\r\n\r\nred", r"p0\.txt, line 1: class 1 has no name; add it"),
    "coco JSON": (coco_one_file, "annotations/annotations.json", "]}", "", r"annotations\.json: not well-formed JSON .*; repair"),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_other_formats_name_file_object_and_remedy(what: str, tmp_path: Path) -> None:
    make, path, old, new, message = BROKEN[what]
    make(tmp_path)
    text = (tmp_path / path).read_text()
    assert old in text
    (tmp_path / path).write_text(text.replace(old, new, 1))
    with pytest.raises(DataError) as caught:
        VOCFolder(tmp_path, None)
    assert re.search(message, str(caught.value)), caught.value


def test_a_class_that_is_not_asked_for_is_named_with_its_picture(tmp_path: Path) -> None:
    """A COCO file describes many pictures: messages and notes name the file and the picture."""
    coco_one_file(tmp_path)
    with pytest.raises(DataError, match=r"annotations\.json, p1\.jpg, object 1 \(red\): not one of the classes blue;"):
        VOCFolder(tmp_path, None, class_names=("blue",))
    whole = VOCFolder(tmp_path, None, class_names=("blue",), others="drop")
    assert ("other", "annotations/annotations.json, p5.jpg", 2) in [(n.kind, n.file, n.object) for n in whole.notes]


def test_links_lead_neither_round_in_circles_nor_hide_a_split(tmp_path: Path) -> None:
    split_folders(tmp_path)
    (tmp_path / "itself").symlink_to("itself")
    (tmp_path / "train" / "up").symlink_to(tmp_path)
    (tmp_path / "zz").symlink_to(tmp_path / "train")
    assert rows(VOCFolder(tmp_path, "train")) == expected(TRAIN) and len(VOCFolder(tmp_path, None)) == 10


def test_one_coco_file_may_be_named_from_its_own_folder(tmp_path: Path, monkeypatch) -> None:
    coco_one_file(tmp_path)
    monkeypatch.chdir(tmp_path / "annotations")
    assert len(VOCFolder("annotations.json", None)) == 10


def test_a_lost_pictures_objects_are_counted(tmp_path: Path) -> None:
    classic(tmp_path)
    (tmp_path / "JPEGImages" / "p5.jpg").unlink()
    train = VOCFolder(tmp_path, "train", damaged="skip")
    assert Counter(note.kind for note in train.notes) == {"damaged": 1, "lost": 2, "empty": 1} and train.found == 8
