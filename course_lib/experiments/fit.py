"""A training run as real software wants it: epochs, validation, checkpoints, resuming to the bit, several processes.

The ingredients are those of `training.train`. What a picture looks like in an epoch depends on seed, epoch and place in
the order only, so neither an interruption nor the number of processes changes it.
"""

import json
import math
import os
import time
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import torch
from torch import Generator, Tensor, distributed, nn

from course_lib.average_precision import COCO_THRESHOLDS, average_precision, detect_all
from course_lib.data import VOCFolder
from course_lib.data.transforms import augment
from course_lib.experiments.checkpoints import load_checkpoint, save_checkpoint
from course_lib.experiments.devices import Placed
from course_lib.experiments.evaluation import curves
from course_lib.files import remove_parts, write_whole
from course_lib.progress import progress
from course_lib.training import shuffled_batches
from course_lib.weights import WeightsError

PARTS = ("classification", "localization")
CLIP = 10.0  # largest norm of the gradient, as in training.train


class Diverged(RuntimeError):
    """The loss or its gradient is no longer a number; the message names the pictures of the batch."""


def processes() -> tuple[int, int]:
    """(rank, how many) of the processes that train together; (0, 1) without torchrun."""
    there = distributed.is_available() and distributed.is_initialized()
    return (distributed.get_rank(), distributed.get_world_size()) if there else (0, 1)


def together(numbers: list[float]) -> list[float]:
    """Each number added up over all processes."""
    if processes()[1] == 1:
        return numbers
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    table = torch.tensor(numbers, dtype=torch.float64, device=device)
    distributed.all_reduce(table)
    return table.tolist()


class Counted:
    """A classification loss that remembers how many positive boxes its last call had."""

    def __init__(self, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.loss, self.positives = loss, 0

    def __call__(self, logits: Tensor, classes: Tensor) -> Tensor:
        """As the loss itself."""
        self.positives = int((classes > 0).sum())
        return self.loss(logits, classes)


class Run:
    """One training run in a folder: `last.pt` (to resume), `best.pt` (by AP on val), `log.jsonl` (one line an epoch).

    Args:
        detector: a dense detector of the course; it is moved to the device.
        pictures, val: what it learns from, and what it is scored on after every epoch.
        settings: plain values; of these epochs, batch, lr, patience, seed, augment, freeze_norm, bf16 and compile are
            used here. `batch` counts the pictures of all processes; `patience` 0 never stops early.
        folder: where the files go.
        device: as for `Placed`.

    Under torchrun the loss is divided by the positive boxes of all processes, so that 2 × 4 pictures are 1 × 8.
    Statistics of batch normalisation cannot be shared on a CPU: `freeze_norm` keeps the stored ones.
    """

    def __init__(
        self,
        detector: nn.Module,
        pictures: VOCFolder,
        val: VOCFolder,
        settings: dict,
        folder: Path,
        device: str = "cpu",
    ) -> None:
        self.pictures, self.val, self.settings, self.folder = pictures, val, settings, Path(folder)
        self.rank, self.world = processes()
        self.batch = min(settings["batch"], len(pictures) // self.world * self.world)
        if self.batch < 1 or self.batch % self.world:
            raise ValueError(
                f"a batch of {settings['batch']} cannot be shared by {self.world} processes; change --batch."
            )
        self.steps = math.ceil(len(pictures) / self.batch)
        self.counted = detector.classification = Counted(detector.classification)
        dtype = torch.bfloat16 if settings["bf16"] else torch.float32
        detector.to(memory_format=torch.channels_last)
        self.model = Placed(detector, device, dtype, settings["compile"], self.world > 1)
        self.optimiser = torch.optim.AdamW(detector.parameters(), lr=settings["lr"], weight_decay=0.01)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, settings["lr"], total_steps=self.steps * settings["epochs"]
        )
        self.history: list[dict] = []
        self.thresholds: list[float] = [0.5] * len(val.class_names)
        self.names = zlib.crc32("\n".join([*pictures.names, *val.names]).encode())

    def order(self, epoch: int) -> Iterator[list[tuple[int, int]]]:
        """The batches of an epoch: (picture, seed of its changes) of each place; the last batch is filled up."""
        generator = Generator().manual_seed(1_000_003 * self.settings["seed"] + epoch)
        batches = shuffled_batches(len(self.pictures), self.batch, generator)
        for numbers in list(islice(batches, self.steps)):
            seeds = torch.randint(2**62, (len(numbers),), generator=generator).tolist()
            yield list(zip(numbers, seeds, strict=True))

    def picture(self, number: int, seed: int) -> tuple[Tensor, dict]:
        """A picture and its target as they look in this place."""
        image, target = self.pictures[number]
        return augment(seed)(image, target) if self.settings["augment"] else (image, target)

    def train_mode(self) -> None:
        """Training mode; batch normalisation keeps its statistics where `freeze_norm` is set."""
        self.model.train()
        for module in self.model.modules() if self.settings["freeze_norm"] else ():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()

    def step(self, batch: list[tuple[int, int]]) -> list[float]:
        """One update; returns the sums of both parts of the loss and the number of positive boxes, of all processes.

        Raises:
            Diverged: loss or gradient is not finite. Nothing has been updated then, in any process.
        """
        images, targets = zip(*(self.picture(*place) for place in batch[self.rank :: self.world]), strict=True)
        losses = self.model.loss(self.model(list(images)), list(targets))
        count = max(1, self.counted.positives)  # what the detector has divided by
        sums = together([*(losses[name].item() * count for name in PARTS), self.counted.positives])
        self.optimiser.zero_grad()
        share = self.world * count / max(1, sums[-1])  # gradients are averaged over the processes
        (sum(losses.values()) * share).backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), max_norm=CLIP)
        if not all(map(math.isfinite, [*sums, norm.item()])):
            names = ", ".join(sorted({self.pictures.names[number] for number, _ in batch}))
            raise Diverged(
                f"epoch {len(self.history) + 1}: the loss is not finite ({sums[0]:.3g} + {sums[1]:.3g}, gradient "
                f"{norm:.3g}). Pictures of this batch: {names}. Look at their boxes, or lower --lr. "
                f"{self.folder / 'last.pt'} holds the state after the epoch before."
            )
        self.optimiser.step()
        self.schedule.step()
        return sums

    @torch.no_grad()
    def validate(self) -> dict:
        """Loss, AP and AP50 on val, each picture seen by one process only; also new score thresholds."""
        mine = self.val.select(range(self.rank, len(self.val), self.world))
        found, sums = detect_all(self.model, mine, self.batch), [0.0, 0.0, 0]
        for start in range(0, len(mine), self.batch):
            images, targets = mine[start : start + self.batch]
            losses = self.model.loss(self.model(images), targets)
            count = max(1, self.counted.positives)
            new = [*(losses[name].item() * count for name in PARTS), self.counted.positives]
            sums = [a + b for a, b in zip(sums, new, strict=True)]
        shares = [found]
        if self.world > 1:
            shares = [None] * self.world
            distributed.all_gather_object(shares, found)
        found = [shares[i % self.world][i // self.world] for i in range(len(self.val))]
        names, targets = self.val.class_names, self.val.targets
        table = average_precision(found, targets, len(names), thresholds=COCO_THRESHOLDS)
        self.thresholds = [curve.threshold for curve in curves(found, targets, len(names))]
        each = {name: {"AP50": table[0, c].item(), "AP": table[:, c].mean().item()} for c, name in enumerate(names)}
        scores = {"AP50": table[0].nanmean().item(), "AP": table.nanmean().item(), "classes": each}
        return {"val_loss": per_object(together(sums))} | scores

    def fit(self, after_epoch: Callable[[list[dict]], None] = lambda history: None) -> list[dict]:
        """Train to the end, or until `patience` epochs have brought nothing; returns the epochs' records.

        Args:
            after_epoch: called by the first process with all records so far, once the files are written.
        """
        if self.rank == 0:
            remove_parts(self.folder)
        if not self.history:
            self.save()
        while len(self.history) < self.settings["epochs"] and not self.waited_enough():
            start, epoch = time.monotonic(), len(self.history) + 1
            self.train_mode()
            sums = [0.0, 0.0, 0]
            for batch in progress(self.order(epoch), f"epoch {epoch} of {self.settings['epochs']}", self.steps):
                sums = [a + b for a, b in zip(sums, self.step(batch), strict=True)]
            record = {"epoch": epoch, "lr": self.schedule.get_last_lr()[0], "train_loss": per_object(sums)}
            record |= self.validate()
            self.history.append(record | {"seconds": round(time.monotonic() - start, 2)})
            self.save()
            if self.rank == 0:
                after_epoch(self.history)
        self.model.eval()
        return self.history

    def best_epoch(self) -> int:
        """The first epoch with the highest AP on val, from 1; 0 before any."""
        scores = [-1.0 if math.isnan(record["AP"]) else record["AP"] for record in self.history]
        return scores.index(max(scores)) + 1 if scores else 0

    def waited_enough(self) -> bool:
        """Whether the best epoch lies `patience` epochs back."""
        return 0 < self.settings["patience"] <= len(self.history) - self.best_epoch()

    def save(self) -> None:
        """Write best.pt where this epoch is the best, then last.pt, then the log; a kill in between loses an epoch."""
        if self.rank == 0:
            self.folder.mkdir(parents=True, exist_ok=True)
            content = {"settings": self.settings, "model": self.model.core.state_dict(), "thresholds": self.thresholds}
            content |= {"history": self.history, "names": self.names, "processes": self.world}
            if self.best_epoch() == len(self.history):
                save_checkpoint(self.folder / "best.pt", content)
            content |= {"optimiser": self.optimiser.state_dict(), "schedule": self.schedule.state_dict()}
            save_checkpoint(self.folder / "last.pt", content | {"random": torch.get_rng_state()})
            write_log(self.folder / "log.jsonl", self.history)
        if self.world > 1:
            distributed.barrier()

    def resume(self) -> None:
        """Go on from `last.pt` as if nothing had happened.

        Raises:
            WeightsError: the file is missing or damaged, or was made from other pictures.
        """
        path = self.folder / "last.pt"
        stored = load_checkpoint(path)
        if stored["names"] != self.names:
            raise WeightsError(
                f"{path}: made from other pictures; give the same folder, or train anew with another --out."
            )
        self.model.core.load_state_dict(stored["model"])
        self.optimiser.load_state_dict(stored["optimiser"])
        self.schedule.load_state_dict(stored["schedule"])
        torch.set_rng_state(stored["random"])
        self.history, self.thresholds = stored["history"], stored["thresholds"]


def per_object(sums: list[float]) -> dict[str, float]:
    """Both parts of the loss per positive box, and their total."""
    parts = {name: total / max(1, sums[-1]) for name, total in zip(PARTS, sums, strict=False)}
    return parts | {"total": sum(parts.values())}


def plain(value: object) -> object:
    """The same value with None for numbers that JSON does not know."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_log(path: Path, history: list[dict]) -> None:
    """One JSON line an epoch."""
    lines = "".join(json.dumps(plain(record), ensure_ascii=False, allow_nan=False) + "\n" for record in history)
    write_whole(path, lines)


def start_processes(device: str) -> None:
    """Join the other processes where torchrun has started this one; gloo on a CPU, NCCL on cards."""
    if "WORLD_SIZE" in os.environ and not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
