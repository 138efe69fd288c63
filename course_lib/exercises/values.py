"""Plain-data snapshots of values: taken right after an answer ran, compared and shown later.

A snapshot holds only dicts, lists, numbers and strings, so it can be compared by a process that never ran the answer,
and sent there as JSON.
"""

import math
import numbers

import numpy
import torch

MOST_VALUES = 200_000


def snapshot(value: object, depth: int = 0) -> dict:
    """Describe `value` with plain data; a tensor is described by kind, dtype, shape, gradient and values."""
    if isinstance(value, torch.Tensor):
        return _tensor(value)
    if isinstance(value, numpy.generic):  # numpy's numbers count as Python's
        value = value.item()
    if value is None or type(value) in (bool, int, float, str):
        return {"kind": type(value).__name__, "value": value if not isinstance(value, str) else value[:20_000]}
    if isinstance(value, (list, tuple)) and depth < 6 and len(value) <= MOST_VALUES:
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {"kind": kind, "items": [snapshot(item, depth + 1) for item in value]}
    if isinstance(value, dict) and depth < 6:
        return {"kind": "dict", "items": {str(key): snapshot(item, depth + 1) for key, item in value.items()}}
    return {"kind": type(value).__module__.replace("builtins", "") + "." + type(value).__name__}


def prediction(value: object) -> object:
    """A predicted value with fractions and numpy's arrays as plain numbers and lists."""
    if isinstance(value, numpy.ndarray):
        return value.tolist()
    return float(value) if isinstance(value, numbers.Rational) and not isinstance(value, (bool, int)) else value


def _tensor(value: torch.Tensor) -> dict:
    shape = list(value.shape)
    known = {"kind": "tensor", "dtype": str(value.dtype).removeprefix("torch."), "shape": shape}
    known["grad"], known["device"] = bool(value.requires_grad), str(value.device)
    if math.prod(shape) > MOST_VALUES or value.is_complex() or value.device.type == "meta" or value.is_sparse:
        return {**known, "kind": "tensor without values"}
    return {**known, "values": value.detach().cpu().flatten().tolist()}


def each(snap: dict, key: str) -> list:
    """`key` of every tensor in a snapshot, in order."""
    if "items" in snap:
        items = snap["items"].values() if isinstance(snap["items"], dict) else snap["items"]
        return [found for item in items for found in each(item, key)]
    return [snap[key]] if key in snap else []


def single(snap: dict) -> dict:
    """A snapshot with float64 tensors called float32, to compare numbers only."""
    if "items" in snap:
        items = snap["items"]
        items = {k: single(v) for k, v in items.items()} if isinstance(items, dict) else [single(v) for v in items]
        return {**snap, "items": items}
    return {**snap, "dtype": "float32"} if snap.get("dtype") == "float64" else snap


def restore(snap: dict) -> object:
    """The value that a snapshot describes: tensors on the CPU, without gradient."""
    if snap["kind"] == "tensor":
        return torch.tensor(snap["values"], dtype=getattr(torch, snap["dtype"])).reshape(snap["shape"])
    if snap["kind"] in ("list", "tuple"):
        items = [restore(item) for item in snap["items"]]
        return tuple(items) if snap["kind"] == "tuple" else items
    if snap["kind"] == "dict":
        return {key: restore(item) for key, item in snap["items"].items()}
    return snap.get("value")


def clone(value: object) -> object:
    """A copy of an argument that shares no memory with it."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone().requires_grad_(value.requires_grad)
    if isinstance(value, (list, tuple)):
        return type(value)(clone(item) for item in value)
    if isinstance(value, dict):
        return {key: clone(item) for key, item in value.items()}
    return value


def double(value: object) -> object:
    """An argument with its floats in float64."""
    if isinstance(value, torch.Tensor):
        return value.double() if value.is_floating_point() else value
    if isinstance(value, (list, tuple)):
        return type(value)(double(item) for item in value)
    return {key: double(item) for key, item in value.items()} if isinstance(value, dict) else value


def weights_for(tensor: torch.Tensor) -> torch.Tensor:
    """Fixed unequal weights from 1 on, so that a gradient that is right only in the sum does not pass."""
    steps = torch.arange(tensor.numel(), dtype=tensor.dtype).reshape(tensor.shape)
    return (1 + 0.5 * torch.cos(1 + steps)) / (1 + 0.5 * math.cos(1))


def tensors(value: object) -> list[torch.Tensor]:
    """All tensors inside an argument, in order."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [found for item in value for found in tensors(item)] if isinstance(value, (list, tuple)) else []


def size(value: object) -> int:
    """How much there is to read in an argument: the measure for "smallest failing input"."""
    if isinstance(value, torch.Tensor):
        return value.numel()
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return sum(size(item) for item in value)
    return len(value.split()) if isinstance(value, str) else 1


def number(value: float, digits: int = 4) -> str:
    """A number as a person writes it: 3, 0.25, 1e-07, nan."""
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def show(value: object, digits: int = 4) -> str:
    """One short line for a value or its snapshot's original: tensors as nested lists, large ones by shape."""
    if isinstance(value, torch.Tensor):
        if value.numel() > 32:
            return f"a tensor {list(value.shape)} of {str(value.dtype).removeprefix('torch.')}"
        if value.numel() == 0:
            return f"an empty tensor {list(value.shape)}"
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        body = ", ".join(show(item, digits) for item in value)
        return f"({body})" if isinstance(value, tuple) else f"[{body}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {show(item, digits)}" for key, item in value.items()) + "}"
    return repr(value) if isinstance(value, str) else number(value, digits) if isinstance(value, float) else str(value)


def apart(right: object, got: object) -> tuple[str, str]:
    """Both values as text, with more digits where four do not tell them apart."""
    texts = [(show(right, digits), show(got, digits)) for digits in (4, 7, 12)]
    return next((pair for pair in texts if pair[0] != pair[1]), texts[0])


def describe(snap: dict) -> str:
    """What kind of thing a snapshot describes, for messages about a wrong type."""
    if snap["kind"].startswith("tensor"):
        return f"a {snap['dtype']} tensor of shape {snap['shape']}"
    names = {
        "NoneType": "None (is a return missing?)",
        "str": "a string",
        "int": "an int",
        "float": "a float",
        "bool": "a bool",
        "list": "a list",
        "tuple": "a tuple",
        "dict": "a dict",
    }
    text = names.get(snap["kind"], "a " + snap["kind"].lstrip("."))
    return f"{text} of {len(snap['items'])}" if "items" in snap else text


def difference(right: dict, got: dict, tolerance: float, where: str = "") -> str | None:
    """None where two snapshots agree, else a phrase such as "yours gives 0.04 at [1, 0], right is 0"."""
    if right["kind"] in ("float", "int") and got["kind"] == "tensor" and got["shape"] == []:
        got = {"kind": right["kind"], "value": got["values"][0]}
    if right["kind"] == "float" and got["kind"] == "int":
        got = {**got, "kind": "float"}
    if right["kind"] != got["kind"]:
        return f"the result{where} should be {describe(right)}, yours is {describe(got)}"
    if right["kind"] == "tensor":
        return _tensor_difference(right, got, tolerance, where)
    if right["kind"] in ("list", "tuple"):
        return _items_difference(right, got, tolerance, where)
    if right["kind"] == "dict":
        if list(right["items"]) != list(got["items"]) and set(right["items"]) != set(got["items"]):
            return f"the result{where} should have the keys {list(right['items'])}, yours has {list(got['items'])}"
        pairs = ((f"{where}[{key!r}]", item, got["items"][key]) for key, item in right["items"].items())
        return next(filter(None, (difference(a, b, tolerance, at) for at, a, b in pairs)), None)
    if _alike(right.get("value"), got.get("value"), tolerance):
        return None
    ours, yours = apart(right.get("value"), got.get("value"))
    return f"yours gives {yours}{where and ' at ' + where}, right is {ours}"


def _items_difference(right: dict, got: dict, tolerance: float, where: str) -> str | None:
    if len(right["items"]) != len(got["items"]):
        return f"the result{where} should be {describe(right)}, yours is {describe(got)}"
    pairs = enumerate(zip(right["items"], got["items"], strict=True))
    return next(filter(None, (difference(a, b, tolerance, f"{where}[{i}]") for i, (a, b) in pairs)), None)


def _tensor_difference(right: dict, got: dict, tolerance: float, where: str) -> str | None:
    if right["shape"] != got["shape"]:
        return f"the result{where} should have shape {right['shape']}, yours has {got['shape']}"
    if right["dtype"] != got["dtype"]:
        return f"the result{where} should be {right['dtype']}, yours is {got['dtype']}"
    for flat, (a, b) in enumerate(zip(right["values"], got["values"], strict=True)):
        if not _alike(a, b, tolerance):
            if len(right["values"]) <= 8:
                ours, yours = apart(restore(right), restore(got))
                return f"yours gives {yours}{where and ' at ' + where}, right is {ours}"
            at = where + show(_index(flat, right["shape"]))
            ours, yours = apart(a, b)
            return f"yours gives {yours} at {at}, right is {ours}"
    return None


def _index(flat: int, shape: list[int]) -> list[int]:
    index = []
    for length in reversed(shape):
        index.append(flat % length)
        flat //= length
    return index[::-1]


def _alike(a: object, b: object, tolerance: float) -> bool:
    if type(a) in (int, float) and type(b) in (int, float):
        if math.isnan(a) or math.isnan(b):
            return math.isnan(a) and math.isnan(b)
        return a == b or abs(a - b) <= tolerance * max(1.0, abs(a))
    return type(a) is type(b) and a == b
