"""Average precision against pycocotools, against published values, and by hand."""

import contextlib
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from course_lib.average_precision import (
    COCO_THRESHOLDS,
    area_under,
    average_precision,
    claim_objects,
    detect_all,
    precision_recall,
)
from course_lib.boxes import iou
from course_lib.experiments.scoring import SIZES_COCO, SIZES_COURSE, average_precision_coco

SHARED = Path(os.environ.get("COURSE_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def target(boxes, labels, **more):
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
        **{key: torch.tensor(value, dtype=torch.bool) for key, value in more.items()},
    }


def detection(boxes, labels, scores):
    return target(boxes, labels) | {"scores": torch.tensor(scores, dtype=torch.float32)}


def whole_boxes(n: int, generator: torch.Generator, size: int = 40) -> torch.Tensor:
    """Boxes at whole pixels, so that overlaps are exact fractions and meet thresholds exactly."""
    corner = torch.randint(0, size - 8, (n, 2), generator=generator)
    return torch.cat([corner, corner + torch.randint(1, 20, (n, 2), generator=generator)], dim=1).float()


def random_case(seed: int, crowds: bool = False, scale: int = 1) -> tuple[list[dict], list[dict], int]:
    """A few pictures with crowding, ties, empty pictures and classes without objects; sides are `scale` to 19 · `scale`."""
    generator = torch.Generator().manual_seed(seed)
    classes = 1 + seed % 4
    detections, targets = [], []
    for _ in range(1 + seed % 6):
        n = int(torch.randint(0, 7, (1,), generator=generator))
        boxes = whole_boxes(n, generator)
        labels = torch.randint(1, classes + 1, (n,), generator=generator)
        if classes > 2:
            labels = labels.clamp(max=classes - 1)  # the last class has no object
        truth = {"boxes": boxes, "labels": labels}
        if crowds:
            truth["crowd"] = torch.rand(n, generator=generator) < 0.3
        targets.append(truth)
        near = boxes.repeat(3, 1) + torch.randint(-2, 3, (3 * n, 4), generator=generator)
        near[:, 2:] = torch.maximum(near[:, 2:], near[:, :2] + 1)
        stray = int(torch.randint(0, 6, (1,), generator=generator))
        boxes = torch.cat([near, whole_boxes(stray, generator)])
        guessed = torch.randint(1, classes + 1, (len(boxes),), generator=generator)
        same = torch.rand(len(near), generator=generator) < 0.7
        guessed[: len(near)][same] = labels.repeat(3)[same]
        scores = torch.rand(len(boxes), generator=generator)
        if seed % 2:
            scores = (scores * 4).round() / 4
        detections.append({"boxes": boxes, "labels": guessed, "scores": scores})
    for picture in targets + detections:
        picture["boxes"] = scale * picture["boxes"]
    return detections, targets, classes


def by_pycocotools(detections, targets, classes, thresholds, size=(0.0, 1e5)) -> np.ndarray:
    """Average precision [T, n] as the reference implementation computes it."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def xywh(box):
        return [box[0], box[1], box[2] - box[0], box[3] - box[1]]

    annotations, results = [], []
    for image, truth in enumerate(targets):
        crowd = truth.get("crowd", torch.zeros(len(truth["labels"]), dtype=torch.bool)).tolist()
        for box, label, many in zip(truth["boxes"].tolist(), truth["labels"].tolist(), crowd, strict=True):
            box = xywh(box)
            annotations.append(
                {"id": len(annotations) + 1, "image_id": image + 1, "category_id": label, "bbox": box}
                | {"area": box[2] * box[3], "iscrowd": int(many)}
            )
    for image, found in enumerate(detections):
        rows = zip(*(found[key].tolist() for key in ("boxes", "labels", "scores")), strict=True)
        for box, label, score in rows:
            results.append({"image_id": image + 1, "category_id": label, "bbox": xywh(box), "score": score})
    with contextlib.redirect_stdout(io.StringIO()):
        truth, nothing = COCO(), COCO()
        for coco, rows in ((truth, annotations), (nothing, [])):
            images, categories = [{"id": i + 1} for i in range(len(targets))], [{"id": c + 1} for c in range(classes)]
            coco.dataset = {"info": {}, "images": images, "categories": categories, "annotations": rows}
            coco.createIndex()
        judge = COCOeval(truth, truth.loadRes(results) if results else nothing, "bbox")
        judge.params.iouThrs = np.array(thresholds)
        judge.params.areaRng, judge.params.areaRngLbl = [[size[0] ** 2, size[1] ** 2]], ["all"]
        judge.params.maxDets = [100]
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][:, :, :, 0, 0]  # [T, R, K]
    return np.where(precision[:, 0] < 0, np.nan, precision.mean(axis=1))


@pytest.mark.parametrize("block", range(4))
def test_equals_pycocotools_on_random_cases(block):
    for seed in range(block * 60, block * 60 + 60):
        detections, targets, classes = random_case(seed)
        ours = average_precision(detections, targets, classes, "coco", COCO_THRESHOLDS)
        theirs = by_pycocotools(detections, targets, classes, COCO_THRESHOLDS)
        np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-6, err_msg=f"seed {seed}")


@pytest.mark.parametrize("size", [(0.0, 1e5), (0.0, 9.0), (6.0, 12.0)])
def test_equals_pycocotools_with_crowds_and_sizes(size):
    for seed in range(80):
        detections, targets, classes = random_case(seed, crowds=True)
        ours = average_precision_coco(detections, targets, classes, COCO_THRESHOLDS, size)
        theirs = by_pycocotools(detections, targets, classes, COCO_THRESHOLDS, size)
        np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-6, err_msg=f"seed {seed}")


@pytest.mark.parametrize("sizes, scale", [(SIZES_COURSE, 4), (SIZES_COCO, 8)])
@pytest.mark.parametrize("name", ["small", "middle", "large"])
def test_size_ranges_equal_pycocotools(sizes, scale, name):
    """The course's ranges and COCO's; some objects lie exactly on a bound, and belong to both sides of it."""
    ours_all, on_a_bound = [], 0
    for seed in range(60):
        detections, targets, classes = random_case(seed, scale=scale)
        ours = average_precision_coco(detections, targets, classes, COCO_THRESHOLDS, sizes[name])
        theirs = by_pycocotools(detections, targets, classes, COCO_THRESHOLDS, sizes[name])
        np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-6, err_msg=f"seed {seed}")
        ours_all.append(ours[0])
        area = torch.cat([truth["boxes"] for truth in targets]).unflatten(1, (2, 2)).diff(dim=1).prod(dim=2)
        on_a_bound += int((area == sizes["middle"][0] ** 2).sum() + (area == sizes["middle"][1] ** 2).sum())
    scores = torch.cat(ours_all)
    assert on_a_bound > 5 and 0.1 < scores.nanmean() < 0.95 and scores.isnan().any()


def test_without_a_single_detection():
    """Zero for every class that has objects, by both; and the other pictures' detections count where one picture has none."""
    _, targets, classes = random_case(31)
    nothing = [detection([], [], [])] * len(targets)
    theirs = by_pycocotools(nothing, targets, classes, COCO_THRESHOLDS)
    assert np.nansum(theirs) == 0 and not np.isnan(theirs).all()
    for size in (SIZES_COURSE["small"], (0.0, 1e5)):
        np.testing.assert_array_equal(average_precision_coco(nothing, targets, classes, size=size).numpy(), theirs)
    np.testing.assert_array_equal(average_precision(nothing, targets, classes, "coco", COCO_THRESHOLDS).numpy(), theirs)
    detections, targets, classes = random_case(29)
    assert min(len(found["scores"]) for found in detections[1:]) > 0
    detections[0] = nothing[0]
    ours = average_precision(detections, targets, classes, "coco", COCO_THRESHOLDS)
    np.testing.assert_allclose(ours.numpy(), by_pycocotools(detections, targets, classes, COCO_THRESHOLDS), atol=1e-6)


def test_more_than_a_hundred_detections_of_one_class():
    generator = torch.Generator().manual_seed(0)
    truth = [{"boxes": whole_boxes(30, generator), "labels": torch.ones(30, dtype=torch.int64)}]
    boxes = torch.cat([whole_boxes(90, generator), truth[0]["boxes"]])
    found = [{"boxes": boxes, "labels": torch.ones(120, dtype=torch.int64), "scores": torch.rand(120)}]
    ours = average_precision_coco(found, truth, 1)
    np.testing.assert_allclose(ours.numpy(), by_pycocotools(found, truth, 1, COCO_THRESHOLDS), atol=1e-6)


def test_a_curve_by_hand():
    # Three objects; hits at ranks 1, 3 and 4 of five: precision 1, 1/2, 2/3, 3/4, 3/5; recall 1/3, 1/3, 2/3, 1, 1.
    precision, recall = precision_recall(
        torch.tensor([0.5, 0.9, 0.7, 0.6, 0.4]), torch.tensor([True, True, False, True, False]), 3
    )
    assert torch.allclose(precision, torch.tensor([1, 1 / 2, 2 / 3, 3 / 4, 3 / 5]).double())
    assert torch.allclose(recall, torch.tensor([1 / 3, 1 / 3, 2 / 3, 1, 1]).double())
    assert area_under(precision, recall, "voc") == pytest.approx(1 / 3 + 2 / 3 * 3 / 4)
    assert area_under(precision, recall, "voc11") == pytest.approx((4 + 7 * 0.75) / 11)  # recalls 0, .1, .2, .3: best 1
    assert area_under(precision, recall, "coco") == pytest.approx((34 + 67 * 0.75) / 101)


def test_duplicates_are_false_alarms_and_rules_differ_on_the_second_best():
    objects = [target([[0, 0, 10, 10], [2, 0, 12, 10]], [1, 1])]  # IoU of the two: 2/3
    twice = [detection([[0, 0, 10, 10], [0, 0, 10, 10]], [1, 1], [0.9, 0.8])]
    assert average_precision(twice, objects, 1, "voc").item() == pytest.approx(0.5)  # its best object is taken
    assert average_precision(twice, objects, 1, "coco").item() == pytest.approx(1.0)  # the next best is free
    alone = [target([[0, 0, 10, 10]], [1])]
    for rule in ("voc", "voc11", "coco"):
        assert average_precision(twice, alone, 1, rule).item() == pytest.approx(
            1.0
        )  # the duplicate comes after recall 1
    two = [target([[0, 0, 10, 10], [30, 0, 40, 10]], [1, 1])]
    found = [detection([[0, 0, 10, 10], [0, 0, 10, 10], [30, 0, 40, 10]], [1, 1, 1], [0.9, 0.8, 0.7])]
    assert average_precision(found, two, 1, "voc").item() == pytest.approx(0.5 + 0.5 * 2 / 3)


@pytest.mark.parametrize("rule", ["voc", "voc11", "coco"])
def test_difficult_objects_neither_count_nor_punish(rule):
    objects = [target([[0, 0, 10, 10], [30, 0, 40, 10]], [1, 1], difficult=[True, False])]
    found = [detection([[0, 0, 10, 10], [0, 0, 10, 9], [30, 0, 40, 10]], [1, 1, 1], [0.9, 0.8, 0.7])]
    assert average_precision(found, objects, 1, rule).item() == pytest.approx(1.0)
    wrong = [detection([[0, 20, 10, 30], [30, 0, 40, 10]], [1, 1], [0.9, 0.7])]
    assert average_precision(wrong, objects, 1, rule).item() == pytest.approx(0.5)
    only = [target([[0, 0, 10, 10]], [1], difficult=[True])]
    assert average_precision(found, only, 1, rule).isnan().all()


def test_classes_without_objects_are_left_out_and_missed_ones_are_zero():
    objects = [target([[0, 0, 10, 10]], [2]), target([], [])]
    nothing = [detection([], [], [])] * 2
    table = average_precision(nothing, objects, 3)
    assert table.shape == (1, 3) and table[0, 1] == 0 and table[0, [0, 2]].isnan().all()
    false_alarm = [detection([[0, 0, 10, 10]], [1], [0.9]), detection([[0, 0, 5, 5]], [3], [0.9])]
    assert average_precision(false_alarm, objects, 3).nanmean() == 0


def test_order_within_a_picture_does_not_matter():
    detections, targets, classes = random_case(30)
    shuffled = []
    for found in detections:
        order = torch.randperm(len(found["scores"]), generator=torch.Generator().manual_seed(3))
        shuffled.append({key: value[order] for key, value in found.items()})
    a, b = (average_precision(d, targets, classes, "voc") for d in (detections, shuffled))
    assert torch.allclose(a, b, equal_nan=True)


def published(name: str) -> tuple[list[dict], list[dict], dict]:
    path = SHARED / "average_precision" / f"{name}.json"
    if not path.exists():
        pytest.skip("published values are not here: set COURSE_SHARED_DATA to the shared data's folder")
    data = json.loads(path.read_text(encoding="utf-8"))
    names = sorted({row["image"] for row in data["gt"] + data["det"]})
    truth = [[row for row in data["gt"] if row["image"] == name] for name in names]
    found = [[row for row in data["det"] if row["image"] == name] for name in names]
    one = torch.tensor([0.0, 0, 1, 1])  # the last pixel belongs to the box
    targets = [target([r["box"] for r in rows], [1] * len(rows)) for rows in truth]
    detections = [detection([r["box"] for r in rows], [1] * len(rows), [r["score"] for r in rows]) for rows in found]
    for picture in targets + detections:
        picture["boxes"] = picture["boxes"] + one
    return detections, targets, data["expected"]["iou_thr"]


def test_published_values_of_seven_pictures():
    detections, targets, expected = published("padilla7")
    for threshold, values in expected.items():
        area = average_precision(detections, targets, 1, "voc", (float(threshold),)).item()
        assert area == pytest.approx(values["all"], abs=1e-6), threshold
        eleven = average_precision(detections, targets, 1, "voc11", (float(threshold),)).item()
        if threshold != "0.1":
            assert eleven == pytest.approx(values["11pt"], abs=1e-6), threshold


def test_the_published_eleven_points_at_a_tenth_exist_only_through_rounding():
    """At IoU 0.1 a recall is 9/15 = 0.6, and numpy's linspace(0, 1, 11)[6] is a little more than that.

    The published value is the mean over numpy's eleven points. Over the exact ones 0.6 brings another 9/23.
    """
    detections, targets, expected = published("padilla7")
    hits = []
    for found, truth in zip(detections, targets, strict=True):
        order = found["scores"].argsort(descending=True, stable=True)
        every, claims = [True] * len(truth["labels"]), torch.empty(len(order), dtype=torch.int64)
        claims[order] = torch.tensor(
            claim_objects(iou(found["boxes"], truth["boxes"])[order], 0.1, every, every, "voc")
        )
        hits.append(claims >= 0)
    scores = torch.cat([found["scores"] for found in detections])
    precision, recall = precision_recall(scores, torch.cat(hits), sum(len(truth["labels"]) for truth in targets))
    assert 0.6 in recall.tolist()

    def eleven(points) -> float:
        return (
            sum(
                max((p for p, r in zip(precision.tolist(), recall.tolist(), strict=True) if r >= x), default=0.0)
                for x in points
            )
            / 11
        )

    rounded = np.linspace(0, 1, 11)
    assert rounded[3] > 3 / 10 and rounded[6] > 6 / 10
    assert eleven(rounded) == pytest.approx(expected["0.1"]["11pt"], abs=1e-9)
    exact = average_precision(detections, targets, 1, "voc11", (0.1,)).item()
    assert exact == pytest.approx(eleven([x / 10 for x in range(11)]), abs=1e-9)
    assert exact - eleven(rounded) == pytest.approx(9 / 23 / 11, abs=1e-9)


def test_published_values_of_twelve_cats():
    detections, targets, expected = published("toycats12")
    for threshold, values in expected.items():
        for rule, key in (("voc", "all"), ("voc11", "11pt")):
            value = average_precision(detections, targets, 1, rule, (float(threshold),)).item()
            assert value == pytest.approx(values[key], abs=6e-5), (threshold, rule)


def test_size_ranges_share_out_the_objects():
    detections, targets, classes = random_case(33)
    small = average_precision_coco(detections, targets, classes, (0.5,), SIZES_COURSE["small"])
    large = average_precision_coco(detections, targets, classes, (0.5,), SIZES_COURSE["large"])
    assert not small.isnan().all() and large.isnan().all()


def test_wrong_calls_are_named():
    with pytest.raises(ValueError, match="choose 'coco'"):
        average_precision([], [], 1, "best")
    one = [target([[0, 0, 4, 4]], [3])]
    with pytest.raises(ValueError, match="targets: labels from 3 to 3, but there are 2 classes"):
        average_precision([detection([], [], [])], one, 2)
    with pytest.raises(ValueError, match="detections: labels from 0 to 0"):
        average_precision([detection([[0, 0, 4, 4]], [0], [0.5])], one, 3)
    with pytest.raises(ValueError, match="targets"):
        average_precision([detection([], [], [])], [], 1)


def test_no_pictures_leave_every_class_out():
    table = average_precision([], [], 3, thresholds=(0.5, 0.75))
    assert table.shape == (2, 3) and table.isnan().all() and table.dtype == torch.float64


def test_detect_all_works_through_all_pictures_in_evaluation_mode():
    class Counter(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.batches = []

        def detect(self, images):
            assert not self.training
            self.batches.append(len(images))
            return [
                {"boxes": torch.zeros(1, 4), "labels": torch.ones(1, dtype=torch.int64), "scores": image.mean()[None]}
                for image in images
            ]

    model = Counter().train()
    pictures = [(torch.full((3, 2, 2), float(i)), {}) for i in range(7)]
    found = detect_all(model, pictures, batch_size=3)
    assert model.batches == [3, 3, 1] and [one["scores"].item() for one in found] == list(range(7))
    assert detect_all(model, []) == []
