"""What the course ends with, to be looked at before it is built: the shipped RetinaNet of lesson 7, in one call."""

from collections.abc import Sequence
from functools import cache

from torch import Tensor

from course_lib.backbone import Backbone
from course_lib.default_boxes import level_shapes
from course_lib.retinanet import RetinaNet
from course_lib.weights import load_weights

NAME = "retinanet_scenes"  # of the checkpoint in data/weights
SIDES = (16, 32, 56, 80, 110)  # of the square box of each level, as in lessons 5 to 7
# Eight channels a group, as in torchvision's second version: a 128-pixel picture has a P7 of one cell, so a group of two
# channels would be normalised by two numbers, which leaves nothing of them but which is larger.
RETINANET = {"width": 64, "convolutions": 2, "group_norm": 8}


def trained_form(num_classes: int) -> RetinaNet:
    """Lesson 7's RetinaNet as the checkpoint `data/weights/retinanet_scenes.pt` fills it."""
    return RetinaNet(Backbone(), num_classes, level_shapes(SIDES), **RETINANET)


@cache
def _trained(num_classes: int) -> RetinaNet:
    """Loaded once a session."""
    model = trained_form(num_classes)
    load_weights(NAME, model)
    return model.eval()


def trained_detections(images: Sequence[Tensor], num_classes: int, sure: float = 0.4) -> list[dict]:
    """Boxes, labels and scores that the shipped RetinaNet reports on drawn scenes, those that score above `sure`.

    Args:
        images: pictures [3, H, W] of any sizes.
        num_classes: of the scenes.
        sure: score threshold.

    Raises:
        WeightsError: the checkpoint is missing or does not fit.
    """
    found = _trained(num_classes).detect(images)
    return [{key: value[one["scores"] > sure] for key, value in one.items()} for one in found]
