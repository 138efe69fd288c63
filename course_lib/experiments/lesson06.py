"""Recorded runs of lesson 6: focal loss against cross-entropy over all boxes, and against hard negatives, on lesson 5's SSD.

Tuning first (one seed, both losses with the same grid), then the primary contrast with settings chosen by the ranking
rule of the plan, on other seeds and on the test split.
"""

from functools import partial

import torch
from torch import Tensor, nn

from course_lib.data import load
from course_lib.experiments.detectors import build_faster_rcnn, build_ssd
from course_lib.experiments.runner import Experiment
from course_lib.experiments.standard_run import BATCH, classification, train_and_score
from course_lib.losses import set_prior
from course_lib.matching import batch_targets
from course_lib.training import train
from course_lib.without_pictures import mean_average_precision, train_without_pictures

STEPS = 250
SCORE_THRESHOLD = 0.001
# The lesson counts R = 1,435 negatives per positive × classes on the training pictures, for which the balanced priors are
# .0007 and .043. The runs were planned with an earlier count of 670; their settings stay as they were.
BALANCED = {"cross-entropy": 0.0015, "focal": 0.055}  # both pulls on the last bias are equal at R = 670, see below


def build(settings: dict, seed: int, num_classes: int) -> nn.Module:
    """Lesson 5's SSD with sigmoids, the loss and the prior that the settings name."""
    limits = {"classification": classification(settings), "score_threshold": SCORE_THRESHOLD}
    model = build_ssd(num_classes, seed, head="sigmoid", **limits)
    if settings["prior"] is not None:
        set_prior(model.classify, settings["prior"])
    return model


def run(settings: dict, seed: int, device: str = "cpu") -> dict:
    """Train and score; where `shares` is set, also who pays for the loss."""
    scores, placed, val = train_and_score(partial(build, settings, seed), settings, seed, device)
    return scores | (easy_background(placed, val) if settings.get("shares") else {})


@torch.no_grad()
def easy_background(model: nn.Module, val: list[tuple[Tensor, dict]], count: int = 50) -> dict[str, float]:
    """Shares of loss and gradient that fall to easy background, judged by three losses on the same trained outputs.

    Easy: every answer of the box is right with a probability of at least .6. Gradient: the sum of its absolute values
    over the logits.
    """
    outputs = model([val[i][0] for i in range(count)])
    classes, _ = batch_targets([val[i][1] for i in range(count)], outputs["boxes"])
    logits, classes = outputs["logits"].cpu(), classes.cpu()
    yes = torch.arange(1, logits.shape[-1] + 1) == classes[..., None]
    right = torch.where(yes, logits.sigmoid(), 1 - logits.sigmoid()).amin(dim=-1)
    easy = (classes == 0) & (right >= 0.6)
    found = {"easy background, boxes": easy.float().mean().item()}
    for name in ("cross-entropy", "hard negatives", "focal"):
        with torch.enable_grad():
            z = logits.clone().requires_grad_()
            losses = classification({"loss": name})(z, classes)
            (gradient,) = torch.autograd.grad(losses.sum(), z)
        pulls = gradient.abs().sum(dim=-1)
        found[f"easy background, loss, {name}"] = (losses[easy].sum() / losses.sum()).item()
        found[f"easy background, gradient, {name}"] = (pulls[easy].sum() / pulls.sum()).item()
    return found


TUNING = {
    f"tuning: {loss}, lr {lr}, weight {weight}, prior {prior}": {
        "loss": loss, "lr": lr, "weight": weight, "prior": prior, "steps": STEPS
    }
    for loss in ("cross-entropy", "focal")
    for lr in (0.003, 0.006, 0.012, 0.024)
    for weight in (1.0, 4.0)
    for prior in (0.01, BALANCED[loss])
}  # fmt: skip

LONG = {"steps": 4 * STEPS, "augment": True, "confirm": True}
LIVE_STEPS = 150
CHOSEN = {  # the best of each loss in the tuning, by AP on val
    "cross-entropy": {"loss": "cross-entropy", "lr": 0.006, "weight": 1.0, "prior": BALANCED["cross-entropy"]},
    "focal": {"loss": "focal", "lr": 0.012, "weight": 4.0, "prior": 0.01},
}
LIVE = CHOSEN["focal"] | {"steps": LIVE_STEPS}
LIVE_CROSS_ENTROPY = CHOSEN["cross-entropy"] | {"steps": LIVE_STEPS}
SGD = {"optimiser": "SGD", "lr": 0.02}
NO_PRIOR = {  # claim B01: the same with and without the prior, under two optimisers
    "no prior": LIVE | {"prior": None},
    "cross-entropy, no prior": LIVE_CROSS_ENTROPY | {"prior": None},
    "SGD": LIVE | SGD,
    "SGD, no prior": LIVE | SGD | {"prior": None},
    "SGD, cross-entropy": LIVE_CROSS_ENTROPY | SGD,
    "SGD, cross-entropy, no prior": LIVE_CROSS_ENTROPY | SGD | {"prior": None},
}

LESSON06 = Experiment(
    name="lesson06",
    plan=(
        "Claim C36: with the rescaled loss the single-shot detector gets more accurate. Lesson 5's SSD with ten "
        "sigmoids, standard scenes, AdamW, one-cycle, clipping at 10, score threshold .001 in every arm, float32 on a "
        "CPU, one thread. PRIMARY CONTRAST: AP (.50 : .95) on the untouched test split of focal loss (gamma 2, alpha "
        ".25) minus that of cross-entropy over all boxes, 1,000 steps x 32 augmented pictures, paired by seed (weights of "
        "the new layers, order and changes of the pictures), 5 seeds. Student t interval of 95 %; focal loss is called "
        "better or worse if the interval excludes 0, otherwise undecided; no worse if its lower end is at least -.02. "
        "Five seeds: the sd of AP over seeds was .003 in lesson 5, so of a paired difference about .005; for a margin "
        "of .02 the power is above .99. TUNING with equal effort, on val, seed 100: learning rate x weight of the "
        "classification loss x prior, 16 settings for each loss, 250 steps without augmentation (learning rate .024 was added for both losses, since .012, "
        "then the highest, was the best for focal loss); the best by AP is the "
        "arm. (The first plan had a second stage of tuning at the primary budget. It was cut before anything of it ran: "
        "the machine turned out two and a half times slower than planned.) NAMED EXPLORATORY: the lesson's own "
        "budget of 150 steps ('live', with its controls, and the shares of loss and gradient that fall to easy background, "
        "claim C35), gamma at that budget with everything else as chosen for gamma 2 (claim C34), alpha likewise, and the same budget with "
        "and without the prior, under AdamW with clipping and under SGD (.02, momentum .9) without (claim B01)."
    ),
    run=run,
    arms={
        "focal": CHOSEN["focal"] | LONG,
        "cross-entropy": CHOSEN["cross-entropy"] | LONG,
        "live": LIVE | {"shares": True},
        "learning rate 0": LIVE | {"lr": 0.0},
        "shuffled labels": LIVE | {"labels": "shuffled"},
        "half": LIVE | {"steps": LIVE_STEPS // 2},
        "live, cross-entropy": LIVE_CROSS_ENTROPY | {"shares": True},
        "gamma 0": LIVE | {"gamma": 0.0},
        "gamma 0.5": LIVE | {"gamma": 0.5},
        "gamma 1": LIVE | {"gamma": 1.0},
        "gamma 5": LIVE | {"gamma": 5.0},
        "alpha 0.1": LIVE | {"alpha": 0.1},
        "alpha 0.5": LIVE | {"alpha": 0.5},
        "alpha 0.75": LIVE | {"alpha": 0.75},
    }
    | NO_PRIOR
    | TUNING,
    seeds={"": [0, 1, 2], "live": list(range(8)), "focal": list(range(5)), "cross-entropy": list(range(5))}
    | {arm: [0, 1] for arm in NO_PRIOR if arm.startswith("SGD")}
    | {arm: [100] for arm in TUNING},
    primary=["focal", "cross-entropy"],
    budget={"steps": LIVE_STEPS, "batch_size": BATCH, "lr": LIVE["lr"]},
    pairs=[
        ("focal", "cross-entropy"),
        ("live", "live, cross-entropy"),
        *((f"gamma {gamma}", "live") for gamma in ("0", "0.5", "1", "5")),
        *((f"alpha {alpha}", "live") for alpha in ("0.1", "0.5", "0.75")),
        ("no prior", "live"),
        ("cross-entropy, no prior", "live, cross-entropy"),
        ("SGD, no prior", "SGD"),
        ("SGD, cross-entropy, no prior", "SGD, cross-entropy"),
    ],
    bands={"AP50": "live"},
    outside=["learning rate 0", "shuffled labels", "half"],
)

TOY_STEPS, TOY_BACKGROUND = 200, 100
TOY_RATES = (0.001, 0.003, 0.01)


def toy_arms() -> dict[str, dict]:
    """Every loss and prior, at R = 800 and 8,000, with three learning rates."""
    arms = {}
    for num_classes in (8, 80):
        ratio = TOY_BACKGROUND * num_classes
        kinds = {
            "cross-entropy, no prior": ("cross-entropy", 0.5),
            "cross-entropy, prior .01": ("cross-entropy", 0.01),
            "cross-entropy, base rate": ("cross-entropy", 1 / (1 + ratio)),
            "hard negatives, prior .01": ("hard negatives", 0.01),
            "focal, prior .01": ("focal", 0.01),
            "focal, balanced prior": ("focal", (1 / (9 * ratio)) ** (1 / 3)),
        }
        for name, (loss, prior) in kinds.items():
            for lr in TOY_RATES:
                arms[f"R {ratio}, {name}, lr {lr}"] = {"loss": loss, "prior": prior, "classes": num_classes, "lr": lr}
    return arms


def toy(settings: dict, seed: int, device: str = "cpu") -> dict:
    """Train and score one detector without pictures."""
    network = train_without_pictures(
        classification(settings),
        settings["classes"],
        TOY_BACKGROUND,
        settings["prior"],
        settings["lr"],
        TOY_STEPS,
        seed,
    )
    return {"AP": mean_average_precision(network, settings["classes"])}


LESSON06_TOY = Experiment(
    name="lesson06_toy",
    plan=(
        "The detector without pictures of lesson 6 (vectors in place of boxes, AdamW, clipping at 10, 200 steps). "
        "Question: with the prior .01 of the paper, does cross-entropy fail where R = negatives per positive x classes "
        "is large (8,000) and not where it is small (800), does focal loss not fail, and does cross-entropy with the base rate as "
        "prior not fail? Metric: mean average precision on held-out vectors. Every arm has three learning rates, and all "
        "of them are shown. 5 seeds. No claim about pictures."
    ),
    run=toy,
    arms=toy_arms(),
    seeds={"": list(range(5))},
    needs_scenes=False,
    cpu_only=True,
)

STAGES_STEPS = 60


def per_positive(labels: list[Tensor], chosen: list[Tensor] | None = None) -> float:
    """Negatives per positive; `labels` are above 0 for positives, 0 for negatives, below 0 for boxes left out."""
    if chosen is not None:
        labels = [some[index] for some, index in zip(labels, chosen, strict=True)]
    every = torch.cat(labels)
    return ((every == 0).sum() / (every > 0).sum().clamp(min=1)).item()


def stages(settings: dict, seed: int, device: str = "cpu") -> dict:
    """Train torchvision's Faster R-CNN shortly, then count background at both stages, before and after sampling."""
    pictures, val = load("standard", "train"), load("standard", "val")
    detector = build_faster_rcnn(len(val.class_names), seed)
    train(detector, pictures, STAGES_STEPS, batch_size=16, lr=1e-3, seed=seed)
    model = detector.theirs.train()  # its sampling belongs to training mode
    images, targets = val[:100]
    with torch.no_grad():
        batch, targets = model.transform(images, targets)
        maps = model.backbone(batch.tensors)
        anchors = model.rpn.anchor_generator(batch, list(maps.values()))
        labels, _ = model.rpn.assign_targets_to_anchors(anchors, targets)
        picked = [torch.where(a | b)[0] for a, b in zip(*model.rpn.fg_bg_sampler(labels), strict=True)]
        proposals, _ = model.rpn(batch, maps, targets)
        proposals = model.roi_heads.add_gt_proposals(proposals, [t["boxes"] for t in targets])
        _, kinds = model.roi_heads.assign_targets_to_proposals(
            proposals, [t["boxes"] for t in targets], [t["labels"] for t in targets]
        )
        kept = [torch.where(a | b)[0] for a, b in zip(*model.roi_heads.fg_bg_sampler(kinds), strict=True)]
    return {
        "boxes of stage 1": sum(map(len, anchors)) / len(anchors),
        "stage 1": per_positive(labels),
        "stage 1 sampled": per_positive(labels, picked),
        "boxes of stage 2": sum(map(len, proposals)) / len(proposals),
        "stage 2": per_positive(kinds),
        "stage 2 sampled": per_positive(kinds, kept),
    }


LESSON06_STAGES = Experiment(
    name="lesson06_stages",
    plan=(
        "Claim C38: two-stage detectors escape the imbalance since their second stage sees few candidates; their first "
        "stage has the same imbalance and samples from it. torchvision's Faster R-CNN round the course's base, 60 steps x 16, "
        "then 100 held-out pictures: negatives per positive among the anchors, among those sampled for the first "
        "stage's loss, among the proposals, and among those sampled for the second stage's. Confirmed if the "
        "proposals have at most a tenth of the anchors' negatives per positive (intervals over 5 seeds apart)."
    ),
    run=stages,
    arms={"Faster R-CNN": {}},
    seeds={"": list(range(5))},
    cpu_only=True,
)

EXPERIMENTS = [LESSON06, LESSON06_TOY, LESSON06_STAGES]
