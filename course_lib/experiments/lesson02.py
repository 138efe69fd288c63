"""Recorded runs of lesson 2: where inside its receptive field an activation looks, before and after training (C12)."""

import torch
from torch import Tensor, nn

from course_lib.backbone import Backbone
from course_lib.data import load
from course_lib.experiments.runner import Experiment
from course_lib.receptive_field import (
    effective_side,
    field_box,
    layer_geometry,
    receptive_field,
    sensitivity,
    share_inside,
)
from course_lib.single_object import SingleObjectDetector
from course_lib.training import train
from course_lib.weights import load_weights

CANVASES = 32  # each is three by three pictures, so that the largest field lies inside and no seam near its centre
RINGS = 12
STEPS, BATCH = 200, 32  # of the detector, as in lesson 1


def canvases(pictures: list[tuple[Tensor, dict]], count: int, seed: int) -> Tensor:
    """`count` canvases [count, 3, 3 H, 3 W], each of nine pictures, drawn without putting back while they last."""
    order = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(seed)).tolist()
    chosen = [pictures[order[i % len(order)]][0] for i in range(9 * count)]
    rows = [torch.cat(chosen[i : i + 3], dim=2) for i in range(0, len(chosen), 3)]
    return torch.stack([torch.cat(rows[i : i + 3], dim=1) for i in range(0, len(rows), 3)])


def rings(heat: Tensor, box: Tensor) -> list[float]:
    """Mean of `heat` in RINGS square rings from the centre of `box` to its edge, as multiples of the mean over the box."""
    x1, y1, x2, y2 = box.int().tolist()
    inside = heat[y1:y2, x1:x2]
    axis = (torch.arange(x2 - x1) - (x2 - x1 - 1) / 2).abs() / ((x2 - x1) / 2)
    ring = (torch.maximum(axis[:, None], axis[None]) * RINGS).long()
    return [round((inside[ring == i].mean() / inside.mean()).item(), 4) for i in range(RINGS)]


def network(settings: dict, seed: int) -> Backbone:
    """A backbone at the start (random or crop-trained), or after the training of lesson 1's detector."""
    torch.manual_seed(seed)
    backbone = Backbone()
    if settings["start"] == "crops":
        load_weights("backbone_crops", backbone)
    if settings.get("detector"):
        pictures = load("one-object", "train")
        model = SingleObjectDetector(backbone, Backbone.channels[-1] * 4 * 4, len(pictures.class_names))
        train(model, pictures, STEPS, BATCH, seed=seed)
        backbone = model.base
    return backbone.eval()


def run(settings: dict, seed: int, device: str = "cpu") -> dict:
    """Sensitivity of one activation of each map to the pixels of held-out scenes, summarised."""
    backbone = network(settings, seed)
    images = canvases(load("standard", "val"), CANVASES, seed) - 0.5
    scores: dict = {}
    for level, stride in enumerate(Backbone.strides):
        part = nn.Sequential(backbone.stem, *backbone.stages[: level + 1])
        field = receptive_field(layer_geometry(part))
        index = images.shape[-1] // 2 // stride
        heat = torch.stack([sensitivity(part, some, index, index) for some in images.split(8)]).mean(dim=0)
        box = field_box(field, index, index)
        edge = (field[0] + 1) // 4
        middle = box + torch.tensor([edge, edge, -edge, -edge])
        columns = torch.arange(heat.shape[1]) + 0.5 - (box[0] + box[2]) / 2
        rows = torch.arange(heat.shape[0]) + 0.5 - (box[1] + box[3]) / 2
        scores |= {
            f"middle share {stride}": share_inside(heat, middle),
            f"half side {stride}": effective_side(heat, box, 0.5) / field[0],
            f"most side {stride}": effective_side(heat, box, 0.9) / field[0],
            f"shift x {stride}": ((heat * columns).sum() / heat.sum()).item(),
            f"shift y {stride}": ((heat * rows[:, None]).sum() / heat.sum()).item(),
            f"rings {stride}": rings(heat, box),
        }
    return scores


LESSON02 = Experiment(
    name="lesson02",
    plan=(
        "Claim C12: inside its receptive field an activation depends most on the centre. Metric: share of the "
        "sensitivity (mean |gradient| of the activation, channels summed, over 32 canvases of 3 x 3 held-out scenes) "
        "that falls on the middle of the field, a square of about half its side; spread evenly it would be the share "
        "of the area, less than a quarter. Confirmed for a map if the lower end of the 95 % interval over seeds "
        "exceeds a quarter, at random start, for the committed base, and after the training of lesson 1's detector "
        "from either. Second claim, from a pilot with a base trained for 700 steps on draft scenes: after training, "
        "the centre of gravity of the sensitivity of the stride-32 map lies right of and below the centre of the field, "
        "towards the middle of the cell (15.5 pixels away); confirmed if the interval of shift x and of shift y "
        "lies above 0 for both detectors. Seeds: weights and canvases (random); canvases only (crops: one committed "
        "checkpoint); head or all weights, order of pictures and canvases (detectors). Also recorded: sides of the "
        "squares that hold half and nine tenths, as a share of the field's side; mean over square rings."
    ),
    run=run,
    arms={
        "random": {"start": "random"},
        "crops": {"start": "crops"},
        "detector": {"start": "crops", "detector": True},
        "detector from random": {"start": "random", "detector": True},
    },
    seeds={"random": list(range(8)), "": list(range(5))},
    cpu_only=True,
    pairs=[("crops", "random"), ("detector", "random"), ("detector", "crops"), ("detector from random", "random")],
)

EXPERIMENTS = [LESSON02]
