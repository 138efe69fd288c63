"""The embedded data set: exact boxes, the same bytes everywhere, and hard enough (design §6)."""

import hashlib
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image

from course_lib.data import VOCFolder, drawings, scenes
from course_lib.data.scenes import CLASSES, KINDS, draw_scene, write_scenes

HERE = Path(__file__).parent
REFERENCES = {"standard": (128, 128), "crowded": (96, 160), "one-object": (128, 128)}
HASH = "fb6a41007c3bee4c80fbfbd0e5e190afa189f781e4472438f693f9757959e0d3"


def reference_scene(kind: str) -> scenes.Scene:
    """The scene of a kind that is held against the stored picture."""
    return draw_scene((0, 7), kind, REFERENCES[kind])


# ------------------------------------------------------------------------------------------------- one scene at a time


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(128, 128), (96, 160), (200, 70)])
def test_shapes_types_and_boxes_inside_the_picture(kind: str, size: tuple[int, int]) -> None:
    most = {"one-object": 1, "standard": 6, "crowded": 25}[kind]
    for seed in range(4):
        scene = draw_scene(seed, kind, size)
        assert scene.image.shape == (*size, 3) and scene.image.dtype == np.uint8
        assert 1 <= len(scene.labels) <= most and scene.boxes.shape == (len(scene.labels), 4)
        assert scene.boxes.dtype == np.int64 and scene.labels.dtype == np.int64
        assert scene.labels.min() >= 1 and scene.labels.max() <= len(CLASSES)
        assert (scene.boxes[:, :2] >= 0).all() and (scene.boxes[:, 2:] <= [size[1], size[0]]).all()
        assert (scene.boxes[:, 2:] > scene.boxes[:, :2]).all()
        assert ((0 <= scene.occlusion) & (scene.occlusion <= 0.6)).all()


def test_crowded_scenes_reach_many_objects() -> None:
    counts = [len(draw_scene(seed, "crowded").labels) for seed in range(40)]
    assert min(counts) >= 8 and max(counts) >= 22


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="'easy' is none of one-object, standard, crowded"):
        draw_scene(0, "easy")
    with pytest.raises(ValueError, match="not 16 × 128"):
        draw_scene(0, size=(16, 128))


def test_seed_kind_and_split_change_the_picture() -> None:
    images = [draw_scene(seed, kind).image.tobytes() for seed in (0, 1, (0, 1), (1, 0)) for kind in KINDS]
    assert len(set(images)) == len(images)
    assert draw_scene((0, 1)).image.tobytes() == draw_scene([0, 1]).image.tobytes()


def test_at_least_eight_classes_of_several_aspects() -> None:
    """Drawn large and upright, some class is far wider and some far taller than square."""
    light, ratios = np.array([-0.6, -0.8]), {}
    assert len(CLASSES) >= 8
    for name, draw in drawings.CLASSES.items():
        solids = [scenes.make_thing(np.random.default_rng(i), draw, 0, 60, light).solid for i in range(12)]
        ratios[name] = np.median([np.ptp(np.nonzero(s)[1]) / np.ptp(np.nonzero(s)[0]) for s in solids])
    assert min(ratios.values()) < 0.6 and max(ratios.values()) > 1.6, ratios


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_varies_in_shape_and_colour(name: str) -> None:
    """No two drawings of a class are alike, and their silhouettes overlap by less than 95 % on average."""
    light, masks, colours = np.array([-0.6, -0.8]), [], []
    for i in range(12):
        sprite = scenes.make_object(np.random.default_rng(i), CLASSES.index(name) + 1, 48, light)
        ys, xs = np.nonzero(sprite.solid)
        crop = Image.fromarray(sprite.solid[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1])
        masks.append(np.asarray(crop.resize((32, 32))))
        colours.append(sprite.colour[sprite.solid].mean(axis=0))
    pairs = [(i, j) for i in range(12) for j in range(i)]
    overlap = [(masks[i] & masks[j]).sum() / (masks[i] | masks[j]).sum() for i, j in pairs]
    assert np.mean(overlap) < 0.95 and max(overlap) < 1
    assert np.std(colours, axis=0).max() > 0.05


# --------------------------------------------------------------------------- visible pixels, counted another way


class Ledger(scenes.Stage):
    """A stage that remembers every thing put on it, so that visibility can be counted from scratch."""

    puts: list = []

    def put(self, sprite: scenes.Sprite, x: int, y: int, label: int) -> None:
        Ledger.puts.append((sprite.solid, x, y, label))
        super().put(sprite, x, y, label)


@pytest.mark.parametrize("kind", KINDS)
def test_boxes_and_occlusion_against_a_count_from_scratch(kind: str, monkeypatch) -> None:
    """Painting all masks again on a larger canvas gives each object's drawn and visible pixels independently."""
    monkeypatch.setattr(scenes, "Stage", Ledger)
    height, width, margin = 96, 140, 200
    for seed in range(6):
        Ledger.puts = []
        monkeypatch.setattr(scenes, "acceptable", lambda stage, kind: len(stage.labels) > 0)
        scene = draw_scene(seed, kind, (height, width))
        canvas = np.zeros((height + 2 * margin, width + 2 * margin), dtype=int)
        for number, (solid, x, y, _) in enumerate(Ledger.puts, start=1):
            there = canvas[y + margin : y + margin + solid.shape[0], x + margin : x + margin + solid.shape[1]]
            there[solid] = number
        picture = canvas[margin:-margin, margin:-margin]
        objects = [number for number, put in enumerate(Ledger.puts, start=1) if put[3]]
        assert [Ledger.puts[number - 1][3] for number in objects] == scene.labels.tolist()
        assert len(Ledger.puts) - len(objects) == scene.distractors
        for number, box, hidden in zip(objects, scene.boxes.tolist(), scene.occlusion, strict=True):
            ys, xs = np.nonzero(picture == number)
            assert box == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
            assert hidden == pytest.approx(1 - len(ys) / Ledger.puts[number - 1][0].sum())


def test_an_object_alone_is_where_its_box_says() -> None:
    """The same stage with and without the object differs inside the box, and outside it only by the soft shadow."""
    light = np.array([-0.6, -0.8])
    sprite = scenes.make_object(np.random.default_rng(3), 1, 40, light)
    stage = scenes.Stage(np.full((90, 120, 3), 0.8), light)
    stage.put(sprite, 31, 17, 1)
    x1, y1, x2, y2 = stage.box(0)
    changed = np.abs(stage.picture - 0.8).max(axis=2)
    inside = changed[y1:y2, x1:x2]
    assert (inside[[0, -1]].max(axis=1) > 0.05).all() and (inside[:, [0, -1]].max(axis=0) > 0.05).all()
    far = changed.copy()
    far[max(y1 - 8, 0) : y2 + 8, max(x1 - 8, 0) : x2 + 8] = 0
    assert far.max() == 0


# ------------------------------------------------------------------------------------------------ the same everywhere


def constraints_hold() -> bool:
    """Whether numpy and Pillow are the constraints file's, on a 64-bit Intel or AMD processor."""
    lines = (HERE.parent / "constraints.txt").read_text(encoding="utf-8").lower().splitlines()
    wanted = {f"numpy=={np.__version__}", f"pillow=={PIL.__version__}"}
    return wanted <= set(lines) and platform.machine().lower() in ("x86_64", "amd64")


@pytest.mark.skipif(not constraints_hold(), reason="other versions or processor than the hash was made with")
def test_hash_of_three_scenes() -> None:
    found = hashlib.sha256(b"".join(reference_scene(kind).image.tobytes() for kind in REFERENCES)).hexdigest()
    assert found == HASH, "The pixels changed: a new VERSION, new weights and new results are needed."


@pytest.mark.parametrize("kind", REFERENCES)
def test_reference_pictures(kind: str) -> None:
    """Within one grey level on average under any versions, boxes and labels equal."""
    scene = reference_scene(kind)
    stored = np.load(HERE / "data" / "scenes_reference.npz")
    assert np.abs(scene.image.astype(int) - stored[f"{kind}-image"]).mean() <= 1
    assert scene.boxes.tolist() == stored[f"{kind}-boxes"].tolist()
    assert scene.labels.tolist() == stored[f"{kind}-labels"].tolist()


def folder_bytes(folder: Path) -> dict[str, str]:
    """A digest of every file, by relative path."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture
def few(monkeypatch) -> dict[str, int]:
    """Sets of a dozen pictures."""
    small = {"train": 7, "val": 3, "test": 2}
    monkeypatch.setattr(scenes, "SPLITS", small)
    return small


def test_written_set_round_trips_through_the_reader(few, tmp_path: Path) -> None:
    folder = write_scenes(tmp_path, "crowded", (96, 160), workers=1)
    assert folder.name == f"scenes-{scenes.VERSION}-crowded-96x160"
    for k, (split, count) in enumerate(few.items()):
        dataset = VOCFolder(folder, split, CLASSES, quiet=True)
        assert len(dataset) == count
        for i in range(count):
            scene = draw_scene((k, i), "crowded", (96, 160))
            image, target = dataset[i]
            assert target["boxes"].tolist() == scene.boxes.tolist()
            assert target["labels"].tolist() == scene.labels.tolist()
            assert not target["difficult"].any()
            error = np.abs(image.permute(1, 2, 0).numpy() * 255 - scene.image)
            assert error.mean() < 6  # JPEG


def test_a_second_call_reuses_the_folder_and_leaves_no_draft(few, tmp_path: Path) -> None:
    folder = write_scenes(tmp_path, size=(64, 64), workers=1)
    stamp = (folder / "ImageSets/Main/val.txt").stat().st_mtime_ns
    assert write_scenes(tmp_path, size=(64, 64), workers=1) == folder
    assert (folder / "ImageSets/Main/val.txt").stat().st_mtime_ns == stamp
    assert [p.name for p in tmp_path.iterdir()] == [folder.name]


def test_an_interruption_leaves_nothing(few, tmp_path: Path, monkeypatch) -> None:
    real, calls = scenes.annotation_xml, []

    def stop_at_the_fifth(name: str, scene: scenes.Scene) -> str:
        calls.append(name)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return real(name, scene)

    monkeypatch.setattr(scenes, "annotation_xml", stop_at_the_fifth)
    with pytest.raises(KeyboardInterrupt):
        write_scenes(tmp_path, size=(64, 64), workers=1)
    assert list(tmp_path.iterdir()) == []


def test_losing_the_race_to_another_process_is_no_error(few, tmp_path: Path, monkeypatch) -> None:
    """While one process draws, another finishes first: its folder is returned, the draft is removed."""
    real = scenes.draw_set

    def slower(folder: Path, kind: str, size: tuple[int, int], workers: int, splits: list | None) -> None:
        real(folder, kind, size, workers, splits)
        first = tmp_path / f"scenes-{scenes.VERSION}-{kind}-{size[0]}x{size[1]}"
        (first / "ImageSets").mkdir(parents=True)

    monkeypatch.setattr(scenes, "draw_set", slower)
    folder = write_scenes(tmp_path, size=(64, 64), workers=1)
    assert [p.name for p in tmp_path.iterdir()] == [folder.name]
    assert not (folder / "JPEGImages").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_split_alone_has_the_whole_sets_bytes(few, tmp_path: Path, workers: int) -> None:
    alone = write_scenes(tmp_path / "one", size=(64, 64), workers=workers, split="val")
    assert alone.name == f"scenes-{scenes.VERSION}-standard-64x64-val"
    whole = folder_bytes(write_scenes(tmp_path / "all", size=(64, 64), workers=1))
    assert folder_bytes(alone) == {name: digest for name, digest in whole.items() if "val" in name}
    assert write_scenes(tmp_path / "one", size=(64, 64), split="val") == alone


def test_a_split_is_not_drawn_where_the_whole_set_lies(few, tmp_path: Path) -> None:
    whole = write_scenes(tmp_path, size=(64, 64), workers=1)
    assert write_scenes(tmp_path, size=(64, 64), split="test") == whole
    assert [path.name for path in tmp_path.iterdir()] == [whole.name]
    with pytest.raises(ValueError, match="'dev': choose one of train, val, test"):
        write_scenes(tmp_path, size=(64, 64), split="dev")


KILLED = """
import os, sys
from pathlib import Path
from course_lib.data import scenes
scenes.annotation_xml = lambda name, scene: os.kill(os.getpid(), 9)
scenes.write_scenes(Path(sys.argv[1]), size=(32, 32), workers=1)
"""


@pytest.mark.skipif(os.name != "posix", reason="there only a day makes a draft old")
def test_drafts_of_the_dead_and_of_yesterday_are_removed(few, tmp_path: Path) -> None:
    """A killed drawing leaves its draft; the next drawing removes it, and keeps that of a living process."""
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=HERE.parent)
    (dead,) = tmp_path.iterdir()
    alive = tmp_path / f".scenes-2-standard-16x16-{os.getpid()}-abc"
    yesterday = tmp_path / f".scenes-2-standard-16x16-{os.getpid()}-def"
    unnumbered = tmp_path / ".scenes-2-standard-16x16-ghi"
    for draft in (alive, yesterday, unnumbered):
        draft.mkdir()
    scenes.sweep_drafts(tmp_path)
    assert dead.exists(), "written to just now: its process may run on another machine"
    for path, age in ((dead, 100), *((path, 100) for path in dead.iterdir()), (yesterday, 90000)):
        os.utime(path, (time.time() - age,) * 2)
    folder = write_scenes(tmp_path, size=(64, 64), workers=1, split="val")
    assert {path.name for path in tmp_path.iterdir()} == {folder.name, alive.name, unnumbered.name}


SCRIPT = """
import sys
from pathlib import Path
from course_lib.data import scenes
scenes.SPLITS.update(train=40, val=9, test=5)
scenes.write_scenes(Path(sys.argv[1]), "one-object", (48, 64), int(sys.argv[2]))
"""


def test_the_same_bytes_with_any_number_of_workers_and_two_writers_at_once(tmp_path: Path) -> None:
    """Scripts without a main guard, in processes of their own: 1 worker, 3 workers, and two writers of one folder."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    env = dict(os.environ, PYTHONHASHSEED="7", OMP_NUM_THREADS="1")
    started = [
        subprocess.Popen([sys.executable, str(script), str(tmp_path / where), workers], env=env, cwd=tmp_path)
        for where, workers in (("one", "1"), ("three", "3"), ("both", "1"), ("both", "1"))
    ]
    assert [process.wait(timeout=1800) for process in started] == [0, 0, 0, 0]
    name = f"scenes-{scenes.VERSION}-one-object-48x64"
    digests = [folder_bytes(tmp_path / where / name) for where in ("one", "three", "both")]
    assert digests[0] == digests[1] == digests[2] and len(digests[0]) == 2 * 54 + 3
    assert [p.name for p in (tmp_path / "both").iterdir()] == [name]


def test_a_worker_that_dies_is_reported(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false" if Path("/bin/false").exists() else "false")
    with pytest.raises((RuntimeError, OSError)):
        write_scenes(tmp_path, "one-object", (32, 32), workers=2)
    assert list(tmp_path.iterdir()) == []
