"""The two real sets, read with every object accounted for; counted by a regular expression, not by an XML parser."""

import json
import os
import re
from collections import Counter
from pathlib import Path

import pytest
import torch

from course_lib.data import load
from course_lib.data.voc import VOCFolder

SHARED = Path(os.environ.get("COURSE_SHARED_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
SETS = {"bccd": 364, "micro": 149}
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="no shared photographs beside the repository")


def objects_by_regex(root: Path) -> Counter[str]:
    """Class names of all objects, found without the reader."""
    text = "".join(path.read_text() for path in sorted((root / "Annotations").glob("*.xml")))
    assert text.count("<object>") == len(re.findall(r"<object>\s*<name>", text))
    return Counter(re.findall(r"<object>\s*<name>([^<]+)</name>", text))


@pytest.mark.parametrize("name", SETS)
def test_every_object_is_accounted_for(name: str) -> None:
    by_hand = objects_by_regex(SHARED / name)
    everything = VOCFolder(SHARED / name, None)
    left_out = Counter(note.kind for note in everything.notes)
    kept = Counter(everything.class_names[c - 1] for target in everything.targets for c in target["labels"].tolist())
    assert len(everything) == SETS[name]
    assert everything.found == sum(by_hand.values())
    assert sum(kept.values()) + left_out["outside"] + left_out["tiny"] + left_out["other"] == everything.found
    assert kept == by_hand and not everything.notes, "both sets are sound: nothing needs mending"
    assert everything.class_names == tuple(sorted(by_hand))


@pytest.mark.parametrize("name", SETS)
def test_boxes_are_the_corners_less_one(name: str) -> None:
    folder = VOCFolder(SHARED / name, "val")
    for index, target in enumerate(folder.targets):
        text = (SHARED / name / "Annotations" / f"{folder.names[index]}.xml").read_text()
        number = r"\s*<{0}>(\d+)</{0}>"
        pattern = "".join(number.format(tag) for tag in ("xmin", "ymin", "xmax", "ymax"))
        corners = torch.tensor([[float(v) for v in row] for row in re.findall(pattern, text)])
        assert torch.equal(target["boxes"] + torch.tensor([1.0, 1, 0, 0]), corners)


@pytest.mark.parametrize("form", ["coco", "yolo"])
@pytest.mark.parametrize("name", SETS)
def test_the_same_set_in_another_format_gives_the_same_targets(name: str, form: str, tmp_path: Path) -> None:
    """Written from the XML files by regular expressions; the pictures are linked."""
    (tmp_path / "images").symlink_to(SHARED / name / "JPEGImages", target_is_directory=True)
    names, files, rows, lines = sorted(objects_by_regex(SHARED / name)), [], [], {}
    number = r"<{0}>(\d+)</{0}>"
    for k, path in enumerate(sorted((SHARED / name / "Annotations").glob("*.xml"))):
        text = re.sub(r">\s+<", "><", path.read_text())
        width, height = (int(re.search(number.format(tag), text)[1]) for tag in ("width", "height"))
        files.append({"id": k, "file_name": f"{path.stem}.jpg", "width": width, "height": height})
        for word, inside in re.findall(r"<object><name>([^<]+)</name>(.*?)</object>", text):
            a, b, c, d = (int(re.search(number.format(tag), inside)[1]) for tag in ("xmin", "ymin", "xmax", "ymax"))
            box = [a - 1, b - 1, c - a + 1, d - b + 1]
            rows.append({"id": len(rows), "image_id": k, "category_id": names.index(word), "bbox": box})
            centre = (box[0] + box[2] / 2) / width, (box[1] + box[3] / 2) / height
            line = f"{names.index(word)} {centre[0]} {centre[1]} {box[2] / width} {box[3] / height}\n"
            lines[path.stem] = lines.get(path.stem, "") + line
    if form == "coco":
        categories = [{"id": k, "name": word} for k, word in enumerate(names)]
        table = {"images": files, "annotations": rows, "categories": categories}
        (tmp_path / "annotations.json").write_text(json.dumps(table))
    else:
        (tmp_path / "labels").mkdir()
        for stem, text in lines.items():
            (tmp_path / "labels" / f"{stem}.txt").write_text(text)
        (tmp_path / "classes.txt").write_text("\n".join(names))
    voc, other = VOCFolder(SHARED / name, None, quiet=True), VOCFolder(tmp_path, None, quiet=True)
    assert other.names == voc.names and other.found == voc.found and other.notes == voc.notes == []
    for ours, theirs in zip(voc.targets, other.targets, strict=True):
        assert torch.allclose(ours["boxes"], theirs["boxes"], atol=1e-3)
        assert torch.equal(ours["labels"], theirs["labels"]) and torch.equal(ours["difficult"], theirs["difficult"])


@pytest.mark.parametrize("name", SETS)
def test_splits_share_no_picture_and_are_complete(name: str) -> None:
    names = {split: set(VOCFolder(SHARED / name, split).names) for split in ("train", "val", "test", "trainval")}
    assert names["train"] | names["val"] == names["trainval"]
    assert not names["trainval"] & names["test"] and not names["train"] & names["val"]
    assert sum(len(names[split]) for split in ("train", "val", "test")) == SETS[name]


def test_one_object_keeps_the_largest_and_says_so(monkeypatch, capsys) -> None:
    monkeypatch.setenv("COURSE_DATA", str(SHARED / "micro"))
    full = load("standard", "train", size=(96, 160))
    one = load("one-object", "train", size=(96, 160))
    said = capsys.readouterr().out.splitlines()[-1]
    several = sum(len(target["labels"]) > 1 for target in full.targets)
    assert several > 0 and f"of {len(full)} pictures, {several} had more" in said
    assert len(one) == len(full)
    for all_of_it, largest in zip(full.targets, one.targets, strict=True):
        sizes = all_of_it["boxes"][:, 2:] - all_of_it["boxes"][:, :2]
        best = sizes.prod(dim=1).argmax()
        assert torch.equal(largest["boxes"], all_of_it["boxes"][best : best + 1])
        assert torch.equal(largest["labels"], all_of_it["labels"][best : best + 1])
    assert one[0][0].shape == (3, 96, 160)
