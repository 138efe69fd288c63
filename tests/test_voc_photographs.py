"""The two real sets, read with every object accounted for; counted by a regular expression, not by an XML parser."""

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
