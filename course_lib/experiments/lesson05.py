"""Recorded runs of lesson 5: SSD at the lesson's budget and at four times that, beside torchvision's SSD and plain baselines."""

import time
from functools import partial

import torch
from torch import Tensor, nn

from course_lib.backbone import Backbone
from course_lib.boxes import decode
from course_lib.default_boxes import level_shapes
from course_lib.experiments.detectors import EXTRA, SIDES, ReferenceSSD, build_ssd
from course_lib.experiments.runner import Experiment
from course_lib.experiments.scoring import ranks
from course_lib.experiments.standard_run import BATCH, train_and_score
from course_lib.ssd import SSD

STEPS, LR = 250, 6e-3


def build(settings: dict, seed: int, num_classes: int) -> nn.Module:
    """The lesson's detector, or torchvision's on the same maps and boxes."""
    model = build_ssd(num_classes, seed, settings.get("start", "crops"))
    return ReferenceSSD(model, num_classes) if settings.get("library") == "torchvision" else model


def size_and_level(model: SSD, pictures: list[tuple[Tensor, dict]]) -> float | None:
    """Rank correlation between the size of a detection and the level of the box it came from, scores from .5 up; None without any."""
    cells = [(model.image_size[0] // stride) for stride in (8, 16, 32, 64, 128)]
    level_of = torch.cat([torch.full((cells[k] ** 2 * len(s),), k) for k, s in enumerate(level_shapes(SIDES))])
    sizes, levels = [], []
    for start in range(0, len(pictures), 50):
        with torch.no_grad():
            outputs = model([pictures[i][0] for i in range(start, min(start + 50, len(pictures)))])
        strong = outputs["logits"].softmax(dim=-1)[..., 1:].amax(dim=-1) >= 0.5
        boxes = decode(outputs["offsets"], outputs["boxes"])
        for box, here in zip(boxes, strong, strict=True):
            sides = (box[here, 2:] - box[here, :2]).clamp(min=0)
            sizes.append(sides.prod(dim=1).sqrt())
            levels.append(level_of[here])
    pair = torch.stack([ranks(torch.cat(sizes)), ranks(torch.cat(levels))])
    return torch.corrcoef(pair)[0, 1].item() if len(torch.cat(sizes)) > 1 else None


def run(settings: dict, seed: int, device: str = "cpu") -> dict:
    """Train, score, and see whether the sizes of an SSD's detections follow its levels."""
    settings = {"steps": STEPS, "lr": LR} | settings
    scores, placed, val = train_and_score(partial(build, settings, seed), settings, seed, device)
    if isinstance(placed.core, SSD):
        order = size_and_level(placed.core.cpu(), val)
        scores |= {} if order is None else {"size_and_level": order}
    return scores


LESSON05 = Experiment(
    name="lesson05",
    plan=(
        "Claim C26: SSD trains. Held-out standard scenes (val), the lesson's own schedule, seeds set the new layers and "
        "the order of the pictures. Metric: AP50 (COCO's rule); beside it AP75, AP, AP50 by size. Bars: mean AP50 of "
        "the live budget at least .50, of the fourfold budget at least .65 and at least .03 more. The fourfold "
        "budget sees changed pictures (mirrored, cropped, zoomed out, other colours): one run without them scored less "
        "than the live budget; that is repeated as an arm of its own. Against torchvision's SSD (same backbone, further maps, boxes, optimiser, steps, seeds): the difference of AP50, paired by seed; "
        "no worse if the lower end of its 95 % interval is at least -.02. Claim C13, second half: rank correlation "
        "between the size of a detection and the level it came from; confirmed if the interval lies above .5. Tried "
        "before, one seed each, 150 steps on val: learning rates .001 to .008, batches 16 and 32, smaller boxes, flips. "
        "Val chose the settings, so the live run of seed 0 is scored once on the test split as well."
    ),
    run=run,
    budget={"steps": STEPS, "batch_size": BATCH, "lr": LR},
    arms={
        "live": {},
        "torchvision": {"library": "torchvision"},
        "learning rate 0": {"lr": 0.0},
        "shuffled labels": {"labels": "shuffled"},
        "half": {"steps": STEPS // 2},
        "fourfold": {"steps": 4 * STEPS, "augment": True},
        "fourfold, not augmented": {"steps": 4 * STEPS},
        "live, augmented": {"augment": True},
        "random start": {"start": "random"},
        "live, on the test split": {"confirm": True},
    },
    seeds={
        "": list(range(8)),
        "random start": list(range(5)),
        "fourfold, not augmented": [0, 1, 2],
        "live, augmented": [0, 1, 2],
        "learning rate 0": [0, 1, 2],
        "shuffled labels": [0, 1, 2],
        "half": [0, 1, 2],
        "live, on the test split": [0],
    },
    pairs=[
        ("live", "torchvision"),
        ("fourfold", "live"),
        ("fourfold, not augmented", "live"),
        ("live, augmented", "live"),
        ("live", "random start"),
    ],
    bands={"AP50": "live"},
    outside=["learning rate 0", "shuffled labels", "half"],
)

SCALED = [128 * 56 / side for side in SIDES]  # side of the picture in which an object of `side` pixels measures 56
PASSES = {
    "deepest map": (3, [128]),
    "five maps": (5, [128]),
    "pyramid, deepest map": (3, [round(side / 32) * 32 for side in SCALED]),
    "pyramid, finest map": (1, [round(side * 16 / 56 / 8) * 8 for side in SCALED]),
}


class Depth(nn.Module):
    """Stem and the first `levels` stages of the backbone (with 5 the further maps as well), predictors on the last map or on all."""

    def __init__(self, levels: int) -> None:
        super().__init__()
        detector = SSD(Backbone(), 10, level_shapes(SIDES), extra=EXTRA)
        self.stem, self.levels = detector.base.stem, nn.ModuleList([*detector.base.stages, *detector.extra][:levels])
        pairs = zip(detector.classify, detector.locate, strict=True)
        heads = nn.ModuleList(nn.ModuleList(pair) for pair in pairs)
        self.heads = heads if levels == 5 else heads[levels - 1 : levels]

    def forward(self, x: Tensor) -> list[Tensor]:
        """[B, 3, H, W] → what each predictor says, for every map that is read."""
        x, maps = self.stem(x.contiguous(memory_format=torch.channels_last)), []
        for layer in self.levels:
            x = layer(x)
            maps.append(x)
        return [head(x) for pair, x in zip(self.heads, maps[-len(self.heads) :], strict=True) for head in pair]


@torch.no_grad()
def cost(settings: dict, seed: int, device: str = "cpu") -> dict:
    """Time of all passes of one way to see five sizes of object, in times one pass to the deepest map of the base."""
    torch.manual_seed(seed)
    ways = [PASSES["deepest map"], PASSES[settings["way"]]]
    nets = [Depth(levels).eval().to(memory_format=torch.channels_last) for levels, _ in ways]
    pictures = [[torch.rand(8, 3, side, side) for side in sides] for _, sides in ways]
    spent: list[list[float]] = [[], []]
    for _ in range(30):
        for net, batch, times in zip(nets, pictures, spent, strict=True):
            start = time.perf_counter()
            for x in batch:
                net(x)
            times.append(time.perf_counter() - start)
    one, all_ = (sorted(times)[len(times) // 2] for times in spent)
    return {"ratio": all_ / one, "pixels": sum(side**2 for side in ways[1][1]) / 128**2, "passes": len(ways[1][1])}


COST = Experiment(
    name="lesson05_cost",
    plan=(
        "Claim C18: several grids in one pass replace an image pyramid, which costs several passes. Metric: time of a "
        "batch of 8 random pictures, alternating with one pass to the deepest map of the base (median of 30). Ways to "
        "meet objects of the five sides of SSD's boxes: five maps in one pass; the deepest map of the base, with "
        "pictures scaled so that each side becomes 56 pixels; the finest map, with pictures scaled so that each side "
        "becomes 16. The second keeps the depth of the network for small objects, the third gives it up for large ones."
    ),
    run=cost,
    arms={way: {"way": way} for way in PASSES},
    seeds={"": list(range(5))},
    needs_scenes=False,
    cpu_only=True,
)

EXPERIMENTS = [LESSON05, COST]
