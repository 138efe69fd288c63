"""Recorded measurements of lesson 4: how many objects default boxes reach, and which level serves which size.

On scenes, and on two sets of photographs. Nothing is trained; a "seed" is one of five disjoint fifths of a set's pictures.
"""

import os
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from course_lib.boxes import iou
from course_lib.data import ROOT, VOCFolder, load
from course_lib.data.transforms import letterbox_margins
from course_lib.default_boxes import box_shapes, default_boxes, level_shapes
from course_lib.experiments.runner import Experiment
from course_lib.experiments.scoring import ranks
from course_lib.matching import match

STRIDES = (8, 16, 32, 64)
THREE = (0.5, 1.0, 2.0)
SHAPES = {  # sizes an octave, ratios
    "1": (1, (1.0,)),
    "3 sizes": (3, (1.0,)),
    "3": (1, THREE),
    "9": (3, THREE),
}


@lru_cache(maxsize=4)
def originals(name: str) -> list[tuple[tuple[int, int], Tensor]]:
    """Every picture's own size (H, W) and its objects [N, 4]; read once."""
    if name == "scenes":
        pictures = load("standard", "train")
    else:
        shared = Path(os.environ.get("COURSE_SHARED_DATA", ROOT.parent / "shared" / "data"))
        pictures = VOCFolder(shared / name, "trainval", quiet=True)
    return list(zip(pictures.original_sizes, [target["boxes"] for target in pictures.targets], strict=True))


def objects_of(name: str, fold: int, side: int) -> list[Tensor]:
    """The objects of one fifth of a set's pictures, as they lie in pictures letterboxed to side × side pixels."""
    found = []
    for (height, width), boxes in originals(name)[fold::5]:
        left, top, new_width, new_height = letterbox_margins((height, width), (side, side))
        scale = torch.tensor([new_width / width, new_height / height] * 2)
        found.append(boxes * scale + torch.tensor([left, top, left, top]))
    return found


def share_of_clashes(pictures: list[Tensor], side: int) -> float:
    """Share of the pictures in which two objects have the same best box among the 21 of lesson 3."""
    boxes21 = default_boxes((side, side), [(n, n) for n in (4, 2, 1)], [box_shapes(side / n, [1.0]) for n in (4, 2, 1)])
    pictures = [objects for objects in pictures if len(objects)]
    clash = [len(iou(objects, boxes21).argmax(dim=1).unique()) < len(objects) for objects in pictures]
    return sum(clash) / len(clash)


def run(settings: dict, seed: int, device: str = "cpu") -> dict:
    """Share of objects reached at IoU 0.5, forced objects, boxes a picture by role, and size against level."""
    side, k, last = settings.get("side", 128), settings.get("k", "9"), settings.get("levels", 4)
    strides = STRIDES[len(STRIDES) - last :]
    grids = [(side // stride, side // stride) for stride in strides]
    per_octave, ratios = SHAPES[k]
    shapes = level_shapes([2.0 * stride for stride in strides], ratios, per_octave)
    boxes = default_boxes((side, side), grids, shapes)
    level_of = torch.arange(last).repeat_interleave(
        torch.tensor([r * c * len(s) for (r, c), s in zip(grids, shapes, strict=True)])
    )
    reached, sizes, levels, positives = [], [], [], []
    for objects in objects_of(settings["data"], seed, side):
        matches = match(objects, boxes)
        positive = matches >= 0
        positives.append(positive.sum())
        if len(objects):
            reached.append(iou(objects, boxes).amax(dim=1) >= 0.5)
        sizes.append((objects[:, 2:] - objects[:, :2]).prod(dim=1)[matches[positive]])
        levels.append(level_of[positive])
    scores = {"reached": torch.cat(reached).float().mean().item(), "objects": float(len(torch.cat(reached)))}
    answering = torch.stack(positives).float().mean().item()
    scores |= {
        "boxes": float(len(boxes)),
        "boxes_with_object": answering,
        "background_per_object_box": len(boxes) / answering - 1,
    }
    size, level = ranks(torch.cat(sizes)), ranks(torch.cat(levels).double())
    if boxes.shape[0] == 3060:
        scores["two_share_their_best_of_21"] = share_of_clashes(objects_of(settings["data"], seed, side), side)
    if last == 4:
        scores["size_and_level"] = torch.corrcoef(torch.stack([size, level]))[0, 1].item()
    return scores


CHOICES = {
    "k=1": {"k": "1"},
    "k=3": {"k": "3"},
    "k=3 sizes": {"k": "3 sizes"},
    "k=9": {},
    "levels=1": {"levels": 1},
    "levels=2": {"levels": 2},
    "levels=3": {"levels": 3},
    "side=64": {"side": 64},
    "side=256": {"side": 256},
    "side=384": {"side": 384},
}
SETS = ("scenes", "bccd", "micro")

LESSON04 = Experiment(
    name="lesson04",
    plan=(
        "No training. Objects of the training scenes, of bccd and of micro, letterboxed to a square. Claim C17: more "
        "shapes a cell reach more objects (share with some default box at IoU 0.5, k = 9 against k = 1, on scenes); "
        "also against the number of levels (coarsest first) and the picture's side, strides and box sizes in pixels "
        "unchanged. Claim C13, first half: rank correlation between an object's size and the level of the boxes that "
        "answer for it (k = 9, four levels, scenes) is positive. A seed is one fifth of the pictures; Student t "
        "interval over the five fifths."
    ),
    run=run,
    arms={f"{name} {choice}": {"data": name} | settings for name in SETS for choice, settings in CHOICES.items()},
    seeds={"": list(range(5))},
    cpu_only=True,
    pairs=[(f"{name} k=9", f"{name} {other}") for name in SETS for other in ("k=1", "k=3", "levels=1", "side=64")],
)

EXPERIMENTS = [LESSON04]
