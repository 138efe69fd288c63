"""Notice without a GPU what would fail on one."""

import os
import sys

import torch

from course_lib.exercises.values import tensors

_TORCH = os.path.dirname(torch.__file__)
_MIXES_FREELY = ("__getitem__", "__setitem__", "copy_", "index_put_", "to", "type_as", "__get__")


class PretendDevice(torch.overrides.TorchFunctionMode):
    """Treat some CPU tensors as if they lay on a GPU.

    A tensor lies "there" if its memory came from one of `inputs`; mixing it with a fresh CPU tensor, or returning a
    fresh one, is noted. Numbers and single values may be mixed, as on a GPU.
    """

    def __init__(self, inputs: list[torch.Tensor]) -> None:
        super().__init__()
        self.keep = list(inputs)  # alive, so that no later tensor gets the memory of an earlier one
        self.there = {_memory(t) for t in inputs}
        self.problem = ""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        used = tensors(list(args)) + tensors(kwargs)
        there = [t for t in used if _memory(t) in self.there]
        here = [t for t in used if _memory(t) not in self.there and t.dim() > 0]
        name = getattr(func, "__name__", "")
        asked = [a for a in (*args, kwargs.get("device")) if isinstance(a, (str, torch.device))]
        if _writes_cpu():  # else a string is the name of the inputs' device, such as str(boxes.device)
            asked = [a for a in asked if isinstance(a, torch.device)]
        back = name == "cpu" or name == "to" and "cpu" in (*args, kwargs.get("device")) and not asked
        sent = not there and bool(asked) and (name == "to" or not used)
        result = func(*args, **kwargs)
        if there and here and name not in _MIXES_FREELY:
            self.problem = self.problem or f"{name} mixes a new CPU tensor with the input"
        if name in ("__getitem__", "__setitem__") and _memory(args[0]) not in self.there:
            if any(t.dim() > 0 and _memory(t) in self.there for t in tensors([args[1]])):
                self.problem = self.problem or f"{name} looks up the input's numbers in a new CPU tensor"
        if name == "numpy" and there:
            self.problem = self.problem or "numpy() works on the CPU only"
        if back or sent and used:
            result = result.clone()  # on a CPU it is the very same tensor
        if sent or there and not back and name != "__setitem__":
            self.there |= {_memory(t) for t in tensors(result)}
        self.keep += tensors(result)
        return result

    def verdict(self, outputs: list[torch.Tensor]) -> str:
        """What would go wrong, or an empty string where the outputs stay on the inputs' device."""
        if self.problem:
            return self.problem
        return "" if all(_memory(t) in self.there for t in outputs) else "the result is a new CPU tensor"


def _memory(tensor: torch.Tensor) -> int:
    """What tells one piece of memory from another: views, subclasses and vmap's slices of a tensor share it."""
    while torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        tensor = torch._C._functorch.get_unwrapped(tensor)
    try:
        return tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):  # a sparse tensor has none
        return id(tensor)


def _writes_cpu() -> bool:
    """Whether the code that called torch holds the word "cpu"."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith((_TORCH, __file__)):
        frame = frame.f_back
    return frame is not None and "cpu" in frame.f_code.co_consts
