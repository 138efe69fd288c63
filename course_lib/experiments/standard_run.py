"""The run that lessons 5 to 8 share: build, train on standard scenes, score on val and, to confirm, on the test split."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from course_lib.average_precision import detect_all
from course_lib.data import VOCFolder, load
from course_lib.data.transforms import augment
from course_lib.experiments.devices import Placed
from course_lib.experiments.scoring import ap_scores, shuffled
from course_lib.losses import focal_loss, mined_cross_entropy, sigmoid_cross_entropy, softmax_cross_entropy
from course_lib.training import train

BATCH = 32


def classification(settings: dict) -> Callable[[Tensor, Tensor], Tensor]:
    """The classification loss that `settings["loss"]` names, times its `weight`; focal loss with its `gamma` and `alpha`."""
    loss = {
        "cross-entropy": sigmoid_cross_entropy,
        "focal": partial(focal_loss, gamma=settings.get("gamma", 2.0), alpha=settings.get("alpha", 0.25)),
        "hard negatives": partial(mined_cross_entropy, cross_entropy=sigmoid_cross_entropy),
        "softmax, hard negatives": partial(mined_cross_entropy, cross_entropy=softmax_cross_entropy),
    }[settings["loss"]]
    weight = settings.get("weight", 1.0)
    return lambda logits, classes: weight * loss(logits, classes)


def train_and_score(
    build: Callable[[int], nn.Module], settings: dict, seed: int, device: str = "cpu"
) -> tuple[dict, Placed, VOCFolder]:
    """Scores of a freshly trained detector, the detector, and the pictures of val.

    Args:
        build: number of classes → detector.
        settings: `steps` and `lr`; optionally `augment`, `labels` ("shuffled"), `optimiser` ("SGD": as RetinaNet's paper
            trains, and without clipping), `confirm` (the test split is scored too, as "test AP" …), `scenes` (which kind).
        seed: of the order and the changes of the pictures.
        device: where to train.
    """
    scenes = settings.get("scenes", "standard")
    pictures, val = load(scenes, "train"), load(scenes, "val")
    model = build(len(val.class_names))
    placed, how = Placed(model, device), {}
    if settings.get("labels") == "shuffled":
        pictures = shuffled(pictures, seed)
    if settings.get("augment"):
        how["augment"] = augment(seed)
    if settings.get("optimiser") == "SGD":
        how["optimiser"] = torch.optim.SGD(model.parameters(), settings["lr"], momentum=0.9, weight_decay=1e-4)
        how["clip"] = math.inf
    losses = train(placed, pictures, settings["steps"], BATCH, lr=settings["lr"], seed=seed, **how)
    scores = ap_scores(detect_all(placed, val), val.targets, len(val.class_names))
    scores |= {"first_loss": sum(losses[0].values()), "last_loss": sum(losses[-1].values())}
    if settings.get("confirm"):
        test = load(scenes, "test", confirm=True)
        found = ap_scores(detect_all(placed, test), test.targets, len(test.class_names))
        scores |= {f"test {name}": value for name, value in found.items()}
    # A size without objects has no AP, a run that diverged no last loss.
    return {name: value for name, value in scores.items() if math.isfinite(value)}, placed, val
