"""load(): scenes by default, a folder of photographs on request, the test split under lock."""

from pathlib import Path
from types import ModuleType

import pytest
import torch

import course_lib.data as data
from course_lib.data import DataError, load, on_scenes
from course_lib.data.voc import VOCFolder, write_voc

CLASSES = ("cat", "dog", "owl")


def picture(height: int, width: int, boxes: list, labels: list, difficult: list | None = None) -> tuple:
    """A picture with its first box painted white, and its target."""
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    for x1, y1, x2, y2 in boxes[:1]:
        image[:, y1:y2, x1:x2] = 255
    target = {"boxes": torch.tensor(boxes).float().reshape(-1, 4), "labels": torch.tensor(labels, dtype=torch.int64)}
    if difficult is not None:
        target["difficult"] = torch.tensor(difficult)
    return image, target


@pytest.fixture
def photographs(tmp_path: Path, monkeypatch) -> Path:
    """A folder with a wide, a tall, an empty and a difficult picture."""
    pairs = [
        picture(50, 100, [[10, 5, 40, 45], [60, 10, 70, 20]], [2, 1]),
        picture(90, 30, [[3, 3, 27, 60]], [3]),
        picture(40, 40, [], []),
        picture(40, 60, [[0, 0, 60, 40], [5, 5, 25, 15]], [1, 2], [True, False]),
    ]
    root = write_voc(tmp_path / "pictures", {"train": pairs, "val": pairs[:2], "test": pairs[1:2]}, CLASSES, ".png")
    monkeypatch.setenv("COURSE_DATA", str(root))
    return root


@pytest.fixture
def scenes(tmp_path: Path, monkeypatch) -> ModuleType:
    """A stand-in for the scenes, so that these tests are about load()."""
    module = ModuleType("course_lib.data.scenes")
    module.VERSION, module.CLASSES, module.calls = "t1", CLASSES, []

    def write_scenes(
        root: Path, kind: str = "standard", size: tuple[int, int] = (128, 128), split: str | None = None
    ) -> Path:
        folder = root / f"scenes-{module.VERSION}-{kind}-{size[0]}x{size[1]}"
        if not folder.is_dir():
            module.calls.append((kind, size))
            one = picture(*size, [[1, 2, 9, 12]], [2])
            write_voc(folder, {"train": [one] * 3, "val": [one] * 2, "test": [one]}, CLASSES)
        return folder

    module.write_scenes = write_scenes
    monkeypatch.setitem(__import__("sys").modules, "course_lib.data.scenes", module)
    monkeypatch.setattr(data, "scenes", module, raising=False)
    monkeypatch.setattr(data, "CACHE", tmp_path / "cache")
    return module


def test_scenes_are_drawn_once_per_kind_and_size_and_read_without_a_word(scenes, capsys) -> None:
    for kind, size in (("standard", (16, 24)), ("standard", (16, 24)), ("crowded", (16, 24)), ("crowded", (24, 16))):
        assert load(kind, "train", size)[0][0].shape == (3, *size)
    assert scenes.calls == [("standard", (16, 24)), ("crowded", (16, 24)), ("crowded", (24, 16))]
    assert capsys.readouterr().out == ""


def test_another_version_is_another_folder(scenes) -> None:
    load("standard", "val", (16, 24))
    scenes.VERSION = "t2"
    load("standard", "val", (16, 24))
    assert len(scenes.calls) == 2


@pytest.mark.parametrize("kind", data.KINDS)
def test_real_scenes_are_read_as_they_were_drawn(kind, tmp_path, monkeypatch) -> None:
    """Few pictures, drawn in this process: the reader finds nothing to mend and every box where it was drawn."""
    from course_lib.data import scenes

    monkeypatch.setattr(scenes, "SPLITS", {"train": 4, "val": 2, "test": 1})
    monkeypatch.setattr(data, "CACHE", tmp_path)
    scenes.write_scenes(tmp_path, kind, (96, 128), workers=1)
    val = load(kind, "val", (96, 128))
    assert not val.notes and len(val) == 2 and val.class_names == scenes.CLASSES
    for index, (image, target) in enumerate(zip(*val[:], strict=True)):
        scene = scenes.draw_scene((1, index), kind, (96, 128))
        assert target["boxes"].tolist() == scene.boxes.tolist() and target["labels"].tolist() == scene.labels.tolist()
        assert (image.permute(1, 2, 0) * 255 - torch.from_numpy(scene.image)).abs().mean() < 4  # JPEG


def test_item_slice_and_targets(scenes) -> None:
    train = load("standard", "train", (16, 24))
    image, target = train[-1]
    assert image.dtype == torch.float32 and 0.9 < image[:, 6, 5].min() <= 1
    assert target["boxes"].tolist() == [[1, 2, 9, 12]] and target["boxes"].dtype == torch.float32
    assert target["labels"].tolist() == [2] and target["labels"].dtype == torch.int64
    assert target["difficult"].tolist() == [False] and target["difficult"].dtype == torch.bool
    assert len(train) == 3 and train.class_names == CLASSES
    images, targets = train[1:]
    assert len(images) == len(targets) == 2 and torch.equal(images[1], image)
    assert [t["labels"].tolist() for t in train.targets] == [[2]] * 3
    with pytest.raises(IndexError):
        train[3]


def test_changing_an_item_leaves_the_data_as_they_were(scenes) -> None:
    train = load("standard", "train", (16, 24))
    image, target = train[0]
    before = image.clone()
    image.zero_()
    target["boxes"] += 5
    train.targets[0]["boxes"] += 5
    assert torch.equal(train[0][0], before) and train[0][1]["boxes"].tolist() == [[1, 2, 9, 12]]


def test_a_split_is_read_once_and_no_change_to_it_is_seen_again(scenes, monkeypatch) -> None:
    first, read = load("standard", "train", (16, 24)), []
    monkeypatch.setattr("course_lib.data.voc.read_picture", lambda *a: read.append(a))
    image, target = first[0]
    image.zero_()
    first.targets[0]["boxes"] += 5
    first.names.clear()
    first.original_sizes.clear()
    again = load("standard", "train", (16, 24))
    assert not read and again[0][0].max() > 0.9 and again[0][1]["boxes"].tolist() == [[1, 2, 9, 12]]
    assert len(again.names) == len(again.original_sizes) == 3


def test_select_keeps_order(photographs) -> None:
    train = load("standard", "train")
    two = train.select([1, 0])
    assert two.names == ["train_00001", "train_00000"] and len(two) == 2 and len(train) == 4
    assert torch.equal(two[1][0], train[0][0])
    assert two.original_sizes == [(90, 30), (50, 100)]


def test_pictures_beyond_the_memory_limit_are_read_again(photographs, monkeypatch) -> None:
    monkeypatch.setattr("course_lib.data.voc.KEEP_BYTES", 0)
    lean = load("standard", "train", (32, 48))
    monkeypatch.setattr("course_lib.data.voc.KEEP_BYTES", 1 << 30)
    kept = load("standard", "train", (32, 48))
    assert all(pixels is None for pixels in lean._pixels) and not any(pixels is None for pixels in kept._pixels)
    for ours, theirs in zip(lean[:][0], kept[:][0], strict=True):
        assert torch.equal(ours, theirs)
    assert lean.found == kept.found and lean.summary == kept.summary


@pytest.mark.parametrize("photographic", [False, True])
def test_the_test_split_needs_confirmation(scenes, photographs, monkeypatch, photographic) -> None:
    if not photographic:
        monkeypatch.delenv("COURSE_DATA")
    with pytest.raises(ValueError, match="confirm=True"):
        load("standard", "test", (16, 24))
    assert len(load("standard", "test", (16, 24), confirm=True)) == 1


@pytest.mark.parametrize(("kind", "split"), [("single", "train"), ("standard", "training")])
def test_unknown_names_raise_with_the_choices(scenes, kind, split) -> None:
    with pytest.raises(ValueError, match="one-object, standard, crowded|train, val, test"):
        load(kind, split)


def test_on_scenes(monkeypatch) -> None:
    for value, expected in ((None, True), ("", True), (" ", True), ("../shared/data/micro", False)):
        monkeypatch.delenv("COURSE_DATA", raising=False)
        if value is not None:
            monkeypatch.setenv("COURSE_DATA", value)
        assert on_scenes() is expected


def test_photographs_are_letterboxed_with_their_boxes(photographs, capsys) -> None:
    train = load("standard", "train", size=(40, 80))
    assert all(image.shape == (3, 40, 80) for image, _ in (train[i] for i in range(4)))
    assert train[0][1]["boxes"].tolist() == [[8, 4, 32, 36], [48, 8, 56, 16]]
    assert train[1][1]["boxes"][0].tolist() == pytest.approx([33 + 1.3, 4 / 3, 33 + 11.7, 80 / 3], abs=1e-5)
    assert train[0][0][:, 6:34, 10:30].min() == 1 and train[0][0][:, :2].max() == 0
    assert train.original_sizes == [(50, 100), (90, 30), (40, 40), (40, 60)]
    assert capsys.readouterr().out.startswith(
        "pictures/train: 4 pictures, 5 objects, 3 classes; noted: pictures without"
    )


def test_one_object_leaves_out_the_empty_and_passes_over_the_difficult(photographs, capsys) -> None:
    train = load("one-object", "train", size=(100, 100))
    assert len(train) == 3 and [target["labels"].tolist() for target in train.targets] == [[2], [3], [2]]
    assert train[0][1]["boxes"].tolist() == [[10, 30, 40, 70]]
    said = capsys.readouterr().out.splitlines()[1]
    assert said == (
        "One object a picture: of 4 pictures, 2 had more and keep their largest; 1 left out for having "
        "none (difficult ones do not count)."
    )


def test_relative_paths_start_at_the_repository(photographs, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(data, "ROOT", tmp_path / "repository")
    monkeypatch.setenv("COURSE_DATA", "../pictures")
    monkeypatch.chdir("/")
    assert len(load("standard", "val")) == 2


def test_a_missing_folder_names_the_remedy(monkeypatch) -> None:
    monkeypatch.setenv("COURSE_DATA", "../no-such-folder")
    with pytest.raises(DataError, match="COURSE_DATA=../no-such-folder: no such folder.*repository's root.*unset"):
        load("standard", "train")


def test_a_folder_round_the_folder_is_read(photographs, monkeypatch) -> None:
    inside = load("standard", "train")
    monkeypatch.setenv("COURSE_DATA", str(photographs.parent))
    outside = load("standard", "train")
    assert outside.names == inside.names and outside.found == inside.found


def test_a_split_without_objects_cannot_be_one_object(photographs) -> None:
    (photographs / "ImageSets" / "Main" / "val.txt").write_text("train_00002\n")
    assert len(load("standard", "val")) == 1
    with pytest.raises(DataError, match="no picture of split 'val' has an object"):
        load("one-object", "val")


def test_missing_split_list_names_those_that_are_there(photographs) -> None:
    (photographs / "ImageSets" / "Main" / "val.txt").unlink()
    with pytest.raises(DataError, match=r"no split list ImageSets/Main/val\.txt \(there: test, train\); write it"):
        load("standard", "val")


def test_written_boxes_come_back_exactly(tmp_path) -> None:
    generator = torch.Generator().manual_seed(3)
    pairs = []
    for _ in range(20):
        low = torch.randint(0, 40, (5, 2), generator=generator)
        boxes = torch.cat([low, low + torch.randint(2, 20, (5, 2), generator=generator)], dim=1).float()
        pixels = torch.randint(0, 256, (3, 61, 73), generator=generator, dtype=torch.uint8)
        marks = torch.rand(5, generator=generator) < 0.5
        labels = torch.randint(1, 4, (5,), generator=generator)
        pairs.append((pixels, {"boxes": boxes, "labels": labels, "difficult": marks}))
    back = VOCFolder(write_voc(tmp_path, {"all": pairs}, CLASSES, ".png"), "all", CLASSES)
    assert not back.notes
    for (pixels, target), (image, read) in zip(pairs, [back[i] for i in range(20)], strict=True):
        assert torch.equal((image * 255).round().to(torch.uint8), pixels)
        assert all(torch.equal(target[key], read[key]) for key in ("boxes", "labels", "difficult"))
