"""Recorded runs of lesson 9: `cli.train`'s own parts on two small sets of real photographs, with and without a trained base.

The photographs are not part of the course. COURSE_PHOTOGRAPHS names the folder that holds `bccd` and `micro`; without it
`shared/data` beside the repository is looked at. Where neither is there, nothing can be recorded, and the error says so.
"""

import os
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from course_lib.average_precision import detect_all
from course_lib.data import ROOT, VOCFolder
from course_lib.error_kinds import KINDS, what_happened
from course_lib.experiments import data_check
from course_lib.experiments.checkpoints import build, stored_detector
from course_lib.experiments.devices import Placed
from course_lib.experiments.evaluation import metrics
from course_lib.experiments.fit import Run
from course_lib.experiments.runner import Experiment

SIZES = {"bccd": 256, "micro": 256}  # the command's default: longer side of the detector's pictures
EPOCHS = {"bccd": 24, "micro": 48}  # about as many steps
SHARED = {  # what `cli.train` takes where nothing is given
    "model": "retinanet", "backbone": "small", "batch": 16, "lr": 0.003, "patience": 0, "augment": True, "bf16": False,
    "compile": False, "freeze_norm": False,
}  # fmt: skip


def photographs(name: str) -> Path:
    """The folder of a set of photographs.

    Raises:
        FileNotFoundError: it is not on this machine; says where it is looked for.
    """
    given = os.environ.get("COURSE_PHOTOGRAPHS", "").strip()
    folder = (Path(given).expanduser() if given else ROOT.parent / "shared" / "data") / name
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder}: no such folder. The photographs of lesson 9 are not part of the course; set COURSE_PHOTOGRAPHS to "
            f"the folder that holds {' and '.join(SIZES)}."
        )
    return folder


def lacking() -> str:
    """Why nothing can be recorded here, or ""."""
    try:
        for name in SIZES:
            photographs(name)
    except FileNotFoundError as error:
        return str(error)
    return ""


def kinds(found: list[dict[str, Tensor]], targets: list[dict[str, Tensor]]) -> dict[str, float]:
    """Share of the objects of each kind (lesson 5, threshold .3), and duplicates per object; difficult ones left out."""
    easy = [{key: target[key][~target["difficult"]] for key in ("boxes", "labels")} for target in targets]
    rows = [what_happened(one, target) for one, target in zip(found, easy, strict=True)]
    kind, twice = (torch.cat(part) for part in zip(*rows, strict=True))
    shares = {name: (kind == k).float().mean().item() for k, name in enumerate(KINDS)}
    return shares | {"duplicates": twice.float().mean().item()}


def run(settings: dict, seed: int, device: str = "cpu") -> dict:
    """Train as the command does, and score the best epoch on val and on the test pictures."""
    folder = photographs(settings["data"])
    size = data_check.picture_shape(folder, settings["size"])
    pictures, val, test = (VOCFolder(folder, split, size=size, quiet=True) for split in ("train", "val", "test"))
    boxes, labels = data_check.objects_of(pictures)
    sides, ratios = data_check.fit_anchors(boxes, labels)
    whole = SHARED | settings | {"seed": seed, "size": list(size), "sides": sides, "ratios": ratios}
    whole |= {"class_names": list(pictures.class_names), "data": settings["data"]}
    with tempfile.TemporaryDirectory() as out:
        training = Run(build(whole), pictures, val, whole, Path(out), device)
        training.fit()
        detector, content = stored_detector(Path(out) / "best.pt")
    placed, scores = Placed(detector, device), {"best epoch": float(training.best_epoch())}
    for name, split in (("val", val), ("test", test)):
        found = detect_all(placed, split)
        numbers = metrics(found, split.targets, split.class_names, content["thresholds"])
        scores |= {f"{name} {key}": numbers[key] for key in ("AP50", "AP", "AP75")}
        scores |= {f"{name} AP50 {c}": row["AP50"] for c, row in numbers["classes"].items() if row["objects"]}
        scores |= {f"{name} {kind}": share for kind, share in kinds(found, split.targets).items()}
    return scores


ARMS = {
    f"{data}, {start}": {"data": data, "start": start, "size": SIZES[data], "epochs": EPOCHS[data]}
    for data in SIZES
    for start in ("pretrained", "random")
}

PHOTOGRAPHS = Experiment(
    name="lesson09",
    plan=(
        "What a base trained on crops of *drawn* objects is worth on real photographs, and what a small detector gets wrong "
        "there. Sets: bccd (blood cells, 256 x 192) and micro (circuit boards), bccd with the split of its authors, micro with one made for the course. The "
        "command's own parts and defaults: RetinaNet on the small base, 256 pixels, fitted anchors, AdamW .003, one-cycle, batch 16, "
        "augmentation, best epoch by AP on val; 24 epochs on bccd and 48 on micro, fixed before any run and not tuned. PRIMARY METRIC: AP50 "
        "on the test pictures, pretrained minus random, paired by seed, 5 seeds, Student t interval of 95 %, per set. VERDICT: worth "
        "something if the interval lies above 0, harmful if below, else undecided. EXPLORATORY: AP, AP75, AP50 per class, and the "
        "kinds of errors at a score of .3 on the test pictures, beside lesson 5's on scenes. The test pictures are scored once a run and "
        "choose nothing. float32."
    ),
    run=run,
    arms=ARMS,
    seeds={"": [0, 1, 2, 3, 4]},
    pairs=[(f"{data}, pretrained", f"{data}, random") for data in SIZES],
    primary=list(ARMS),
    needs_scenes=False,
    lacking=lacking,
)

EXPERIMENTS = [PHOTOGRAPHS]
