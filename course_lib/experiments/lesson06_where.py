"""Recorded runs of lesson 6, exploratory: where focal loss might pay. More background, a trained start, photographs."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from course_lib.average_precision import detect_all
from course_lib.data import VOCFolder, load
from course_lib.data.transforms import zoom_out
from course_lib.default_boxes import level_shapes
from course_lib.experiments import data_check
from course_lib.experiments.checkpoints import LIMITS
from course_lib.experiments.detectors import EXTRA, SIDES, base
from course_lib.experiments.devices import Placed
from course_lib.experiments.fit import Run
from course_lib.experiments.lesson06 import CHOSEN, LIVE_STEPS, SCORE_THRESHOLD, build, per_positive
from course_lib.experiments.lesson07 import FINE_SIDES, ShallowBackbone
from course_lib.experiments.lesson09 import lacking, photographs
from course_lib.experiments.runner import Experiment
from course_lib.experiments.scoring import ap_scores
from course_lib.experiments.standard_run import BATCH, classification
from course_lib.losses import set_prior
from course_lib.matching import batch_targets
from course_lib.ssd import SSD
from course_lib.training import train
from course_lib.weights import load_weights

SIDE = 256  # pixels of the canvas, twice a scene's side
LOSSES = CHOSEN | {"hard negatives": {"loss": "hard negatives", "lr": 0.006, "weight": 1.0, "prior": 0.01}}


def on_canvas(pictures: list[tuple[Tensor, dict]], seed: int) -> list[tuple[Tensor, dict]]:
    """Every picture at a random place of a grey canvas four times its area: the same objects, four times the boxes."""
    torch.manual_seed(seed)
    return [zoom_out(*pictures[i], factor=(2.0, 2.0)) for i in range(len(pictures))]


def backgrounds(settings: dict, seed: int, device: str = "cpu") -> dict:
    """Train an SSD where the background is raised in one or two ways; R is counted first and gives cross-entropy its prior."""
    pictures, val = load("standard", "train"), load("standard", "val")
    num_classes, size = len(val.class_names), (128, 128)
    if settings["canvas"]:
        pictures, val, size = on_canvas(pictures, 0), on_canvas(val, 1), (SIDE, SIDE)
    torch.manual_seed(seed)
    backbone = ShallowBackbone() if settings["finer"] else base("crops")
    if settings["finer"]:
        load_weights("backbone_crops", backbone)
    shapes, extra = (
        level_shapes(FINE_SIDES if settings["finer"] else SIDES),
        EXTRA[: 1 if settings["finer"] else 2],
    )  # five levels either way
    limits = {"classification": classification(settings), "score_threshold": SCORE_THRESHOLD}
    model = SSD(backbone, num_classes, shapes, size, extra, head="sigmoid", **limits)
    with torch.no_grad():
        boxes = model([pictures[0][0]])["boxes"]
    classes, _ = batch_targets([pictures[i][1] for i in range(len(pictures))], boxes)
    ratio = num_classes * per_positive(list(classes))
    set_prior(model.classify, 1 / (1 + ratio) if settings["loss"] == "cross-entropy" else settings["prior"])
    placed = Placed(model, device)
    train(placed, pictures, settings["steps"], BATCH, lr=settings["lr"], seed=seed)
    found = detect_all(placed, val)
    return ap_scores(found, [val[i][1] for i in range(len(val))], num_classes) | {"R": ratio, "boxes": len(boxes)}


def continued(settings: dict, seed: int, device: str = "cpu") -> dict:
    """Train with cross-entropy, then go on from these weights with the loss that is asked for."""
    pictures, val = load("standard", "train"), load("standard", "val")
    placed = Placed(build(settings["first"], seed, len(val.class_names)), device)
    train(placed, pictures, settings["first"]["steps"], BATCH, lr=settings["first"]["lr"], seed=seed)
    before = ap_scores(detect_all(placed, val), val.targets, len(val.class_names))
    placed.core.classification = classification(settings)
    train(placed, pictures, settings["steps"], BATCH, lr=settings["lr"], seed=seed + 1000)
    after = ap_scores(detect_all(placed, val), val.targets, len(val.class_names))
    return after | {f"before {name}": before[name] for name in ("AP50", "AP75", "AP")}


def run(settings: dict, seed: int, device: str = "cpu") -> dict:
    """One of the two."""
    return (continued if "first" in settings else backgrounds)(settings, seed, device)


FIRST = CHOSEN["cross-entropy"] | {"steps": LIVE_STEPS}
BACKGROUNDS = {
    f"{where}, {loss}": chosen | {"canvas": canvas, "finer": finer, "steps": LIVE_STEPS}
    for where, canvas, finer in (
        ("as it is", False, False),
        ("canvas", True, False),
        ("finer map", False, True),
        ("finer map and canvas", True, True),
    )
    for loss, chosen in LOSSES.items()
}
CONTINUED = {
    f"continued, {loss}": chosen | {"lr": 0.003, "steps": LIVE_STEPS, "first": FIRST} for loss, chosen in LOSSES.items()
}


def against_cross_entropy(arms: dict[str, dict]) -> list[tuple[str, str]]:
    """Every arm beside the one with cross-entropy in the same setting."""
    pairs = [(arm, f"{arm.rsplit(', ', 1)[0]}, cross-entropy") for arm in arms]
    return [(arm, other) for arm, other in pairs if arm != other]


WHERE = Experiment(
    name="lesson06_where",
    plan=(
        "EXPLORATORY, lesson 6: where might focal loss pay? Lesson 5's SSD with sigmoids on standard scenes, 150 steps x 32, AdamW, "
        "float32, every loss with the learning rate and weight that lesson 6's tuning chose for it at R = 1,435 (hard negatives: "
        "lesson 5's .006), nothing tuned anew. R, negatives per positive x classes, is raised in two ways: CANVAS puts each "
        "scene at a random place of a grey picture four times its area (easy background is added and nothing else), FINER "
        "MAP adds a level of stride 4 behind three convolutions. R is counted on the training pictures; cross-entropy starts "
        "at the base rate 1 / (1 + R), focal loss and hard negatives at .01. CONTINUED: 150 steps of cross-entropy, then 150 "
        "steps at lr .003 with each loss from the same weights. Metric: AP on val, each loss minus cross-entropy, paired by "
        "seed, 5 seeds, Student t interval of 95 %. Whatever comes out is reported; no claim hangs on it. All runs of a "
        "setting on one device."
    ),
    run=run,
    arms=BACKGROUNDS | CONTINUED,
    seeds={"": list(range(5))},
    pairs=against_cross_entropy(BACKGROUNDS | CONTINUED),
)

PHOTOGRAPH_SIZE, EPOCHS, SIXTEEN = 256, 24, 16


def on_photographs(settings: dict, seed: int, device: str = "cpu") -> dict:
    """Train an SSD with sigmoids on blood cells; score the best epoch by AP on val, and that epoch on the test pictures."""
    folder = photographs("bccd")
    size = data_check.picture_shape(folder, PHOTOGRAPH_SIZE)
    pictures, val, test = (VOCFolder(folder, split, size=size, quiet=True) for split in ("train", "val", "test"))
    sides, ratios = data_check.fit_anchors(*data_check.objects_of(pictures))

    def detector(classification: Callable[[Tensor, Tensor], Tensor] | None = None) -> nn.Module:
        torch.manual_seed(seed)
        shapes, count = level_shapes(sides, ratios), len(val.class_names)
        return SSD(base("crops"), count, shapes, size, EXTRA, "sigmoid", classification, **LIMITS)

    model = detector(classification(settings))
    with torch.no_grad():
        boxes = model([pictures[0][0]])["boxes"]
    classes, _ = batch_targets(pictures.targets, boxes)
    ratio = len(val.class_names) * per_positive(list(classes))
    set_prior(model.classify, 1 / (1 + ratio) if settings["loss"] == "cross-entropy" else settings["prior"])
    how = {"epochs": EPOCHS, "batch": SIXTEEN, "lr": settings["lr"], "patience": 0, "seed": seed, "augment": True}
    how |= {"freeze_norm": False, "bf16": False, "compile": False}
    with tempfile.TemporaryDirectory() as out:
        training = Run(model, pictures, val, how, Path(out), device)
        training.fit()
        best = detector()
        best.load_state_dict(torch.load(Path(out) / "best.pt", weights_only=True)["model"])
    placed, scores = Placed(best.eval(), device), {"R": ratio, "best epoch": float(training.best_epoch())}
    for name, split in (("val", val), ("test", test)):
        found = ap_scores(detect_all(placed, split), split.targets, len(split.class_names))
        scores |= {f"{name} {key}": found[key] for key in ("AP50", "AP75", "AP")}
    return scores


RATES = (0.0015, 0.003, 0.006)
ON_PHOTOGRAPHS = {
    f"{loss}, lr {lr}": chosen | {"lr": lr} for loss, chosen in LOSSES.items() for lr in RATES
}  # every loss with the same three rates

WHERE_PHOTOGRAPHS = Experiment(
    name="lesson06_photographs",
    plan=(
        "EXPLORATORY, lesson 6: the three losses on photographs of blood cells (bccd, 256 x 192, the split of its authors), so that not "
        "drawings alone decide. Lesson 5's SSD with sigmoids, fitted boxes, 24 epochs x 16 augmented pictures, AdamW, one-cycle, float32; "
        "weights of the losses as lesson 6 chose them, every loss with the learning rates .0015, .003 and .006, all of them "
        "shown; cross-entropy starts at the base rate, the others at .01. The best epoch by AP on val; each loss's rate is its best by mean val "
        "AP; AP and AP50 on the test pictures, paired by seed, 5 seeds, all runs on one device."
    ),
    run=on_photographs,
    arms=ON_PHOTOGRAPHS,
    seeds={"": list(range(5))},
    pairs=[(f"focal, lr {lr}", f"cross-entropy, lr {lr}") for lr in RATES],
    needs_scenes=False,
    lacking=lacking,
)

EXPERIMENTS = [WHERE, WHERE_PHOTOGRAPHS]
