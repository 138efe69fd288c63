"""The shipped RetinaNet: it fits, it is small, and it detects what its record says."""

import base64
import json

import pytest
import torch

from course_lib import preview
from course_lib.average_precision import average_precision, detect_all
from course_lib.data import ROOT, load
from course_lib.experiments.detectors import build_retinanet
from course_lib.weights import WEIGHTS, WeightsError, load_weights


def test_the_checkpoint_is_small_and_fits_lesson_7s_detector():
    assert (WEIGHTS / f"{preview.NAME}.pt").stat().st_size <= 4e6
    val = load("standard", "val")
    model = build_retinanet(len(val.class_names), start="random", score_threshold=0.05).eval()
    load_weights(preview.NAME, model)
    images, _ = val[:2]
    for one, same in zip(
        model.detect(images), preview.trained_detections(images, len(val.class_names), 0.05), strict=True
    ):
        assert (
            len(one["boxes"])
            and torch.equal(one["boxes"], same["boxes"])
            and torch.equal(one["scores"], same["scores"])
        )


def test_it_scores_what_was_recorded():
    """On a quarter of val, within four standard errors or so; half precision costs nothing that matters."""
    val = load("standard", "val")
    model = preview.trained_form(len(val.class_names)).eval()
    recorded = load_weights(preview.NAME, model)["AP50"]
    model.score_threshold = 0.001
    part = torch.utils.data.Subset(val, range(100))
    found = average_precision(detect_all(model, part), [val.targets[i] for i in range(100)], len(val.class_names))
    assert found.nanmean().item() == pytest.approx(recorded, abs=0.08)


def test_only_sure_detections_are_shown():
    images, _ = load("standard", "val")[:2]
    for one in preview.trained_detections(images, 10, sure=0.6):
        assert (one["scores"] > 0.6).all() and len(one["boxes"]) == len(one["labels"]) == len(one["scores"])


def test_another_number_of_classes_is_refused():
    with pytest.raises(WeightsError, match="retinanet_scenes"):
        preview.trained_detections([torch.zeros(3, 64, 64)], 3)


def test_readme_shows_lesson_1s_first_figure():
    """`make render` stores it."""
    cells = json.loads((ROOT / "notebooks" / "01_single_object_detector.ipynb").read_text(encoding="utf-8"))["cells"]
    (cell,) = [cell for cell in cells if cell["id"] == "where-we-end"]
    stored = base64.b64decode("".join(cell["outputs"][0]["data"]["image/jpeg"]))
    assert (ROOT / "data" / "detections.jpg").read_bytes() == stored
    assert "(data/detections.jpg)" in (ROOT / "README.md").read_text(encoding="utf-8")
