"""The scenes are not easy: the statistics that design §6 fixes, measured on the train and val splits.

Boxes, labels and pictures are those that `load` has drawn for the lessons. How many distractors a scene holds, and how
much of each object is hidden, only the drawing knows: val is drawn again for it, and everything in `make test-all`.
"""

import contextlib
import io
import re
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from PIL import Image

from course_lib.data import load
from course_lib.data.scenes import CLASSES, SPLITS, Scene, draw_scene

Split = list[Scene]


def read_split(kind: str, split: str) -> Split:
    """The scenes of a split as `load` reads them; occlusion 1 where the file says "occluded" (20 % or more), else 0."""
    dataset, scenes = load(kind, split), []
    for index, name in enumerate(dataset.names):
        image, target = dataset[index]
        text = (dataset.root / "Annotations" / f"{name}.xml").read_text(encoding="utf-8")
        hidden = np.array([float(mark) for mark in re.findall(r"<occluded>([01])<", text)])
        pixels = (image * 255).round().byte().permute(1, 2, 0).numpy()
        scenes.append(Scene(pixels, target["boxes"].long().numpy(), target["labels"].numpy(), hidden, -1))
    return scenes


def draw(job: tuple[str, int, int]) -> Scene:
    """One scene of a split; job: kind, split, index."""
    return draw_scene(job[1:], job[0])


def draw_split(kind: str, split: str) -> Split:
    """The scenes of a split, drawn anew."""
    jobs = [(kind, list(SPLITS).index(split), i) for i in range(SPLITS[split])]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        return list(pool.map(draw, jobs, chunksize=50))


@pytest.fixture(scope="session")
def standard() -> tuple[Split, Split]:
    return read_split("standard", "train"), read_split("standard", "val")


@pytest.fixture(scope="session")
def single() -> tuple[Split, Split]:
    return read_split("one-object", "train"), read_split("one-object", "val")


def sizes(split: Split) -> np.ndarray:
    """√(box area) / √(picture area) of every object."""
    areas = [(s.boxes[:, 2:] - s.boxes[:, :2]).prod(axis=1) / s.image[..., 0].size for s in split]
    return np.sqrt(np.concatenate(areas))


def crops(split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Every box cut out at 32 × 32, float [N, 32, 32, 3] in 0–1, and its label [N]."""
    pictures, labels = [], []
    for scene in split:
        image = Image.fromarray(scene.image)
        for box, label in zip(scene.boxes.tolist(), scene.labels.tolist(), strict=True):
            small = image.resize((32, 32), Image.Resampling.BILINEAR, box=tuple(box))
            pictures.append(np.asarray(small) / 255)
            labels.append(label)
    return np.array(pictures), np.array(labels)


def views(pictures: np.ndarray) -> list[np.ndarray]:
    """RGB, standardised grey, standardised gradient magnitude, each [N, …] flat."""
    grey = pictures.mean(axis=3)
    slope = np.hypot(*np.gradient(grey, axis=(1, 2)))
    flat = [pictures.reshape(len(pictures), -1)]
    for plane in (grey, slope):
        plane = plane.reshape(len(plane), -1)
        flat.append((plane - plane.mean(axis=1, keepdims=True)) / (plane.std(axis=1, keepdims=True) + 1e-6))
    return flat


def nearest_mean_accuracy(train: tuple, val: tuple) -> float:
    """The highest accuracy over the three views of the class whose train mean is nearest."""
    best = 0.0
    for known, new in zip(views(train[0]), views(val[0]), strict=True):
        classes = np.unique(train[1])
        means = np.stack([known[train[1] == c].mean(axis=0) for c in classes])
        distance = (means**2).sum(axis=1) - 2 * new @ means.T
        best = max(best, float((classes[distance.argmin(axis=1)] == val[1]).mean()))
    return best


def mean_box_ap50(train: Split, val: Split) -> float:
    """AP50 by pycocotools of predicting, in every picture and for every class, that class's mean box of train."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    boxes, labels = (np.concatenate([getattr(s, name) for s in train]) for name in ("boxes", "labels"))
    truth = {"images": [{"id": i} for i in range(1, len(val) + 1)], "annotations": []}
    truth["categories"] = [{"id": c} for c in np.unique(labels).tolist()]
    for i, scene in enumerate(val, start=1):
        for (x1, y1, x2, y2), label in zip(scene.boxes.tolist(), scene.labels.tolist(), strict=True):
            entry = {"image_id": i, "category_id": label, "bbox": [x1, y1, x2 - x1, y2 - y1], "iscrowd": 0}
            truth["annotations"].append(entry | {"id": len(truth["annotations"]) + 1, "area": (x2 - x1) * (y2 - y1)})
    found = []
    for c in np.unique(labels).tolist():
        x1, y1, x2, y2 = boxes[labels == c].mean(axis=0).tolist()
        score = float((labels == c).mean())
        found += [
            {"image_id": i, "category_id": c, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score}
            for i in range(1, len(val) + 1)
        ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[1])


def mean_box_edge_error(train: Split, val: Split) -> float:
    """Mean absolute edge error of the mean box, as a share of the side."""
    mean = np.concatenate([s.boxes for s in train]).mean(axis=0)
    return float(np.abs(np.concatenate([s.boxes for s in val]) - mean).mean() / np.sqrt(train[0].image[..., 0].size))


def test_sizes(standard) -> None:
    found = sizes(standard[0] + standard[1])
    assert np.quantile(found, [0.05, 0.5, 0.95]) == pytest.approx([0.09, 0.25, 0.65], rel=0.15)
    assert (found < 0.16).mean() >= 0.25


def test_occlusion(standard) -> None:
    hidden = np.concatenate([s.occlusion for s in standard[0] + standard[1]])
    assert (hidden >= 0.2).mean() >= 0.2


@pytest.mark.parametrize("split", ["val", pytest.param("train", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("kind", "distractors"), [("standard", 2), ("one-object", 1)])
def test_what_only_the_drawing_knows(kind: str, distractors: int, split: str) -> None:
    """Distractors and occlusion of every scene; and the files hold the same boxes, labels and marks."""
    drawn, files = draw_split(kind, split), read_split(kind, split)
    assert min(s.distractors for s in drawn) >= distractors
    assert max(s.occlusion.max() for s in drawn) <= 0.6
    for ours, theirs in zip(drawn, files, strict=True):
        assert np.array_equal(ours.boxes, theirs.boxes) and np.array_equal(ours.labels, theirs.labels)
        assert np.array_equal(ours.occlusion >= 0.2, theirs.occlusion >= 0.2)


def test_number_of_objects(standard, single) -> None:
    assert {len(s.labels) for s in standard[0] + standard[1]} == {1, 2, 3, 4, 5, 6}
    assert {len(s.labels) for s in single[0] + single[1]} == {1}


def test_every_class_is_equally_common(standard, single) -> None:
    for kind in (standard, single):
        counts = np.bincount(np.concatenate([s.labels for s in kind[0]]), minlength=len(CLASSES) + 1)[1:]
        assert counts.min() >= 0.75 * counts.mean() and counts.max() <= 1.25 * counts.mean(), counts


def test_classes_are_not_told_by_their_mean_on_standard_scenes(standard) -> None:
    assert nearest_mean_accuracy(crops(standard[0]), crops(standard[1])) <= 0.6


def test_classes_are_not_told_by_their_mean_on_single_objects(single) -> None:
    assert nearest_mean_accuracy(crops(single[0]), crops(single[1])) <= 0.6


def test_mean_box_is_no_detector(standard, single) -> None:
    assert mean_box_ap50(*standard) <= 0.05
    assert mean_box_edge_error(*single) >= 0.12


def test_single_objects_take_a_quarter_of_the_side(single) -> None:
    assert sizes(single[0] + single[1]).min() >= 0.25


def test_splits_share_no_picture(standard) -> None:
    pictures = [s.image.tobytes() for s in standard[0] + standard[1]]
    assert len(set(pictures)) == len(pictures)


# The yardsticks themselves, on sets where the answer is known: each bar above can be failed.


def fake(boxes: list, labels: list, colours: list | None = None) -> Scene:
    """A grey picture whose boxes are filled with one colour each."""
    image = np.full((64, 64, 3), 90, dtype=np.uint8)
    for (x1, y1, x2, y2), colour in zip(boxes, colours or [], strict=False):
        image[y1:y2, x1:x2] = colour
    return Scene(image, np.array(boxes), np.array(labels), np.zeros(len(boxes)), 0)


def test_yardstick_nearest_mean_knows_colours() -> None:
    red, blue = fake([[3, 4, 30, 40]], [1], [(200, 30, 30)]), fake([[9, 9, 50, 30]], [2], [(30, 30, 200)])
    assert nearest_mean_accuracy(crops([red, blue]), crops([red, red, blue])) == 1


def test_yardstick_mean_box_finds_boxes_that_never_move() -> None:
    still = [fake([[3, 4, 30, 40], [40, 8, 60, 50]], [1, 2])] * 5
    assert mean_box_ap50(still, still) == pytest.approx(1)
    assert mean_box_edge_error(still, [fake([[21, 6, 45, 45]], [1])]) == pytest.approx(0.125 / 64)


def test_yardstick_sizes() -> None:
    assert sizes([fake([[0, 0, 16, 4], [10, 10, 42, 42]], [1, 1])]) == pytest.approx([8 / 64, 32 / 64])
