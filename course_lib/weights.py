"""Small trained checkpoints in `data/weights`, stored as half precision with what they were made from.

`make weights` (`course_lib.experiments.pretrain`) trains them anew.
"""

from pathlib import Path

import torch
from torch import nn

from course_lib.data.scenes import VERSION

WEIGHTS = Path(__file__).resolve().parents[1] / "data" / "weights"


class WeightsError(RuntimeError):
    """A checkpoint is missing, made for other data, or does not fit the module."""


def save_weights(name: str, module: nn.Module, meta: dict | None = None) -> Path:
    """Write `module`'s parameters and buffers as float16 to `data/weights/<name>.pt`, with the scenes' version.

    Args:
        name: file name without suffix.
        module: what to store.
        meta: plain values about how it was trained.
    """
    halves = {key: v.detach().cpu().contiguous() for key, v in module.state_dict().items()}
    halves = {key: v.half() if v.is_floating_point() else v for key, v in halves.items()}
    WEIGHTS.mkdir(parents=True, exist_ok=True)
    path = WEIGHTS / f"{name}.pt"
    torch.save({"state": halves, "scenes": VERSION, "meta": meta or {}}, path)
    return path


def load_weights(name: str, module: nn.Module) -> dict:
    """Fill `module` from `data/weights/<name>.pt`; returns what was stored about the training.

    Raises:
        WeightsError: the file is missing, was trained on another version of the scenes, or does not fit `module`.
    """
    path = WEIGHTS / f"{name}.pt"
    if not path.exists():
        raise WeightsError(
            f"data/weights/{name}.pt is missing; restore it with git, or train it anew with `make weights`."
        )
    stored = torch.load(path, map_location="cpu", weights_only=True)
    if stored["scenes"] != VERSION:
        raise WeightsError(
            f"data/weights/{name}.pt was trained on scenes {stored['scenes']}, the course draws scenes "
            f"{VERSION}; run `make weights`."
        )
    try:
        module.load_state_dict(stored["state"])  # copies into the module's own float32 tensors
    except RuntimeError as error:
        raise WeightsError(f"data/weights/{name}.pt does not fit {type(module).__name__}: {error}") from error
    return stored["meta"]
