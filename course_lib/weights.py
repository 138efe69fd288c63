"""Small trained checkpoints in `data/weights`, stored in 16 or 8 bits a number with what they were made from.

`make weights` (`course_lib.experiments.pretrain`) trains them anew.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from course_lib.data.scenes import VERSION

WEIGHTS = Path(__file__).resolve().parents[1] / "data" / "weights"


class WeightsError(RuntimeError):
    """A checkpoint is missing, made for other data, or does not fit the module."""


def packed(values: Tensor, bits: int) -> Tensor | dict[str, Tensor]:
    """A tensor as it is stored: whole numbers as they are, others as float16, or in 8 bits with one scale a row.

    Of 8 bits are tensors with at least two axes, a row being all that makes one output number; an error is at most
    1/254 of the row's largest number.
    """
    values = values.detach().cpu().contiguous()
    if not values.is_floating_point():
        return values
    if bits == 16 or values.ndim < 2:
        return values.half()
    scale = values.flatten(1).abs().amax(dim=1).clamp(min=1e-12) / 127
    steps = (values / scale.view(-1, *[1] * (values.ndim - 1))).round()
    return {"steps": steps.to(torch.int8), "scale": scale}


def unpacked(stored: Tensor | dict[str, Tensor]) -> Tensor:
    """What `packed` stored, as far as it kept it."""
    if isinstance(stored, Tensor):
        return stored
    steps, scale = stored["steps"].float(), stored["scale"]
    return steps * scale.view(-1, *[1] * (steps.ndim - 1))


def save_weights(name: str, module: nn.Module, meta: dict | None = None, bits: int = 16) -> Path:
    """Write `module`'s parameters and buffers to `data/weights/<name>.pt`, with the scenes' version.

    Args:
        name: file name without suffix.
        module: what to store.
        meta: plain values about how it was trained.
        bits: 16, or 8 for half the size.
    """
    state = {key: packed(values, bits) for key, values in module.state_dict().items()}
    WEIGHTS.mkdir(parents=True, exist_ok=True)
    path = WEIGHTS / f"{name}.pt"
    torch.save({"state": state, "scenes": VERSION, "meta": meta or {}}, path)
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
        state = {key: unpacked(values) for key, values in stored["state"].items()}
        module.load_state_dict(state)  # copies into the module's own float32 tensors
    except RuntimeError as error:
        raise WeightsError(f"data/weights/{name}.pt does not fit {type(module).__name__}: {error}") from error
    return stored["meta"]
