"""The small checkpoints of the course (`make weights`): a backbone trained on object crops, lesson 1's detector, lesson 7's,
and one detector of each family for lesson 8.

The classifier sees crops of the *training* split only: every object with some room round it, and as many crops of
plain background, which is a class of its own. What is kept is the backbone; the last linear layer is thrown away.
"""

import time
from functools import partial

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torchvision.transforms.v2.functional import resized_crop

from course_lib.backbone import Backbone
from course_lib.data import load
from course_lib.experiments.lesson01 import STEPS as LESSON01_STEPS
from course_lib.experiments.lesson01 import trained
from course_lib.experiments.lesson07 import LESSON07
from course_lib.experiments.lesson07 import build as build_lesson07
from course_lib.experiments.lesson08 import CHECKPOINTS, LIVE
from course_lib.experiments.lesson08 import build as build_family
from course_lib.experiments.standard_run import train_and_score
from course_lib.preview import NAME as RETINANET_NAME
from course_lib.progress import progress
from course_lib.weights import save_weights

SIDE = 64  # pixels of a crop; every other batch sees them at half that, so that small objects are learned as well
STEPS = 8000
BATCH = 64
RETINANET_STEPS = 2000


class CropClassifier(nn.Module):
    """Backbone, and for each of its maps the average over all positions and one linear layer: n + 1 classes, 0 is background.

    All maps learn to tell the classes, since a detector reads all of them.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.tops = nn.ModuleList(nn.Linear(channels, num_classes + 1) for channels in Backbone.channels)

    def forward(self, x: Tensor) -> list[Tensor]:
        """[B, 3, H, W] in 0–1 → logits [B, n + 1] of every map, the coarsest last."""
        return [top(x.mean(dim=(2, 3))) for top, x in zip(self.tops, self.backbone(x), strict=True)]


def object_crop(image: Tensor, box: Tensor, generator: Generator) -> Tensor:
    """A square round the box, 1.0 to 1.8 times its longer side, shifted a little, resized to SIDE, flipped at random."""
    r = torch.rand(4, generator=generator)
    side = float((box[2:] - box[:2]).max() * (1.0 + 0.8 * r[0])) + 2
    centre = (box[:2] + box[2:]) / 2 + (r[1:3] - 0.5) * 0.3 * side
    left, top = (centre - side / 2).round().int().tolist()
    crop = resized_crop(image, top, left, max(int(side), 4), max(int(side), 4), [SIDE, SIDE], antialias=True)
    return crop.flip(-1) if r[3] < 0.5 else crop


def background_crop(image: Tensor, boxes: Tensor, generator: Generator) -> Tensor | None:
    """A random square whose centre lies in no box and that overlaps objects by less than a fifth; None after ten tries."""
    height, width = image.shape[-2:]
    for _ in range(10):
        r = torch.rand(3, generator=generator)
        side = 16 + 48 * float(r[0])
        x, y = float(r[1]) * (width - side), float(r[2]) * (height - side)
        overlap = (boxes[:, 2:].clamp(max=torch.tensor([x + side, y + side]))
                   - boxes[:, :2].clamp(min=torch.tensor([x, y]))).clamp(min=0).prod(dim=1)  # fmt: skip
        if float(overlap.sum()) < 0.2 * side * side:
            return resized_crop(image, int(y), int(x), int(side), int(side), [SIDE, SIDE], antialias=True)
    return None


def crops_of(pictures: list[tuple[Tensor, dict]], generator: Generator, rounds: int) -> tuple[Tensor, Tensor]:
    """`rounds` differently placed crops of every object and one of background a picture: bytes [N, 3, SIDE, SIDE], labels [N]."""
    crops, labels = [], []
    for image, target in progress([pictures[i] for i in range(len(pictures))] * rounds, "cutting crops"):
        for box, label in zip(target["boxes"], target["labels"], strict=True):
            crops.append((object_crop(image, box, generator) * 255).byte())
            labels.append(int(label))
        background = background_crop(image, target["boxes"], generator)
        if background is not None:
            crops.append((background * 255).byte())
            labels.append(0)
    return torch.stack(crops), torch.tensor(labels)


def train_classifier(crops: Tensor, labels: Tensor, num_classes: int, steps: int, seed: int = 0) -> CropClassifier:
    """One-cycle AdamW on random batches of crops, with random brightness, contrast and colour balance."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = CropClassifier(num_classes).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    for step in progress(range(steps), "training the classifier"):
        index = torch.randint(len(crops), (BATCH,), generator=generator)
        x = crops[index].float() / 255
        gain = 0.7 + 0.6 * torch.rand(BATCH, 3, 1, 1, generator=generator)
        x = (x * gain + 0.2 * torch.rand(BATCH, 1, 1, 1, generator=generator) - 0.1).clamp(0, 1)
        if step % 2:
            x = F.avg_pool2d(x, 2)
        loss = sum(F.cross_entropy(logits, labels[index], label_smoothing=0.05) for logits in model(x))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return model.eval()


def accuracy(model: CropClassifier, crops: Tensor, labels: Tensor) -> float:
    """Share of crops whose class is right by the coarsest map."""
    with torch.no_grad():
        found = torch.cat([model(part.float() / 255)[-1].argmax(dim=1) for part in crops.split(256)])
    return (found == labels).float().mean().item()


def main() -> None:
    """Train and store all checkpoints; each later one starts from the backbone."""
    backbone_crops()
    single_object()
    retinanet_scenes()
    scoreboard()


def single_object() -> None:
    """Lesson 1's detector with seed 0, stored as `data/weights/single_object.pt` for later lessons to look at."""
    save_weights("single_object", trained({}, seed=0), {"steps": LESSON01_STEPS, "seed": 0})


def retinanet_scenes(steps: int = RETINANET_STEPS) -> None:
    """Lesson 7's RetinaNet, trained for longer than its recorded arms and with changed pictures; scored on val and test."""
    settings = LESSON07.arms["live"] | {"steps": steps, "augment": True, "confirm": True}
    scores, placed, _ = train_and_score(partial(build_lesson07, settings, 0), settings, seed=0)
    print(scores)
    keep = ("AP50", "AP75", "AP", "AP50 small", "AP50 middle", "AP50 large", "test AP50", "test AP75", "test AP")
    meta = {"steps": steps, "seed": 0} | {name: round(scores[name], 4) for name in keep}
    save_weights(RETINANET_NAME, placed.core, meta)


def scoreboard() -> None:
    """One detector of each family, as the scoreboard's seed 0 trains it: `data/weights/scoreboard_<family>.pt`.

    In 8 bits a number, so that the six take less than 8 MB together.
    """
    for family, settings in LIVE.items():
        scores, placed, _ = train_and_score(partial(build_family, family), settings, seed=0)
        save_weights(CHECKPOINTS[family], placed.core, settings | {"AP50": round(scores["AP50"], 4)}, bits=8)
        print(f"{family}: AP50 {scores['AP50']:.3f} before packing", flush=True)


def backbone_crops(steps: int = STEPS) -> None:
    """Train on the training split, score on val, store the backbone as `data/weights/backbone_crops.pt`."""
    start, generator = time.perf_counter(), torch.Generator().manual_seed(0)
    train, val = load("standard", "train"), load("standard", "val")
    crops, labels = crops_of(train, generator, rounds=4)
    print(f"{len(crops)} crops of {len(train.class_names)} classes and background", flush=True)
    model = train_classifier(crops, labels, len(train.class_names), steps)
    held_out = accuracy(model, *crops_of(val, generator, rounds=1))
    seconds = time.perf_counter() - start
    print(f"accuracy on crops of the val split {held_out:.3f}, {seconds:.0f} s")
    meta = {"steps": steps, "batch": BATCH, "crops": len(crops), "val_accuracy": round(held_out, 4)}
    save_weights("backbone_crops", model.backbone, meta)


if __name__ == "__main__":
    main()
