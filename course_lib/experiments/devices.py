"""Where and how a detector runs: device, half precision, compilation, several processes. Concepts know nothing of it.

`Placed(detector, device, dtype)` is a detector like any other: `forward`, `loss`, `detect`, so the course's training
loop, metric and contract test take it as it is.
"""

import os
from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn


def choose_device(name: str = "auto") -> str:
    """ "cpu", "cuda" or "mps"; "auto" takes an accelerator if there is one.

    Raises:
        ValueError: the device asked for is not there.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next((device for device in ("cuda", "mps") if there[device]), "cpu")
    if not there.get(name, False):
        usable = ", ".join(device for device, yes in there.items() if yes)
        raise ValueError(f"device {name!r} is not available here; choose one of: auto, {usable}.")
    return name


class Placed(nn.Module):
    """A detector on a device: pictures and targets are moved there, detections come back to the CPU.

    Args:
        detector: any detector of the course; it is moved, not copied.
        device: "cpu", "cuda", "mps", or with an index.
        dtype: torch.bfloat16 runs `forward` and `detect` under autocast; the loss stays float32.
        compile: compile the detector's `forward` (torch.compile).
        distributed: wrap in DistributedDataParallel; the process group must have been set up (torchrun).
    """

    def __init__(
        self,
        detector: nn.Module,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        compile: bool = False,
        distributed: bool = False,
    ) -> None:
        super().__init__()
        self.device, self.dtype = torch.device(device), dtype
        if self.device.type == "cuda":
            torch.backends.cudnn.allow_tf32 = False  # float32 means float32; cuDNN would round to 10 bits otherwise
        self.core = detector.to(self.device)
        if compile:
            self.core.compile()  # in place, so that `detect` is compiled as well
        network = self.core
        if distributed:
            local = [int(os.environ.get("LOCAL_RANK", 0))] if self.device.type == "cuda" else None
            network = nn.parallel.DistributedDataParallel(self.core, device_ids=local)
        self.__dict__["network"] = network  # not registered: its weights are those of `core`, counted once

    def train(self, mode: bool = True) -> "Placed":
        """Training or evaluation mode, of the wrapped network as well."""
        super().train(mode)
        self.network.train(mode)
        return self

    def precision(self) -> torch.autocast | nullcontext:
        """The context in which the network runs."""
        half = self.dtype != torch.float32
        return torch.autocast(self.device.type, dtype=self.dtype) if half else nullcontext()

    def forward(self, images: Sequence[Tensor]) -> object:
        """The detector's outputs, on the device."""
        with self.precision():
            return self.network([image.to(self.device, non_blocking=True) for image in images])

    def loss(self, outputs: object, targets: Sequence[dict]) -> dict[str, Tensor]:
        """The detector's loss; targets may lie on the CPU."""
        moved = [{key: value.to(self.device, non_blocking=True) for key, value in t.items()} for t in targets]
        return self.core.loss(outputs, moved)

    @torch.no_grad()
    def detect(self, images: Sequence[Tensor]) -> list[dict]:
        """The detector's detections, on the CPU."""
        with self.precision():
            found = self.core.detect([image.to(self.device, non_blocking=True) for image in images])
        return [{key: value.cpu() for key, value in one.items()} for one in found]
