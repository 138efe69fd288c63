"""Run an answer without trusting it: time and memory limit, captured output, restored globals."""

import atexit
import builtins
import contextlib
import ctypes
import linecache
import math
import os
import random
import sys
import threading
import time
import types
import warnings
from dataclasses import dataclass, field

import numpy
import torch

from course_lib.exercises.values import clone, difference, snapshot, tensors

_numpy, _grad = torch.Tensor.numpy, torch.autograd.grad
_cpu_time, _clock = time.process_time, time.monotonic
_FOREIGN = (os.path.dirname(__file__), os.path.dirname(os.path.dirname(torch.__file__)), os.path.dirname(os.__file__))
_TORCH = os.path.dirname(torch.__file__)
SECONDS = 10.0
MEMORY = 2 * 2**30
_WATCHED = {
    "builtins": builtins,
    "math": math,
    "time": time,
    "torch": torch,
    "torch.Tensor": torch.Tensor,
    "torch.autograd": torch.autograd,
    "torch.linalg": torch.linalg,
    "torch.nn.functional": torch.nn.functional,
    "torch.nn.Module": torch.nn.Module,
}
_IGNORED = {"input", "display", "exit", "quit", "copyright", "credits", "license", "help", "get_ipython", "Storage"}


class Stop(BaseException):
    """Thrown into the thread of an answer that has run too long."""


class _Worker(threading.Thread):
    """A thread that may be stopped at any point without a word."""

    def run(self) -> None:
        with contextlib.suppress(Stop):
            super().run()


@dataclass
class Probe:
    """One call of an answer: its arguments and how to call it ("plain", "gradient", "double", "device", "twice")."""

    args: tuple
    mode: str = "plain"
    gradient: tuple[int, ...] = ()


@dataclass
class Run:
    """What an answer did: one plain-data observation a probe that was reached, and what it did to its surroundings."""

    seen: list[dict] = field(default_factory=list)
    stopped: str = ""  # "time" or "memory"
    printed: str = ""
    effects: list[str] = field(default_factory=list)


class _Capped:
    """A text stream that keeps the first characters and forgets the rest."""

    def __init__(self) -> None:
        self.text, self.encoding = "", "utf-8"

    def write(self, text: str) -> int:
        self.text += str(text)[: max(0, 500 - len(self.text))]
        return len(text)

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return False


def run(answer: object, probes: list[Probe], call: object = None, seconds: float = SECONDS, wall: float = 20) -> Run:
    """Call `answer` once for every probe, in a thread of its own. Never raises.

    Stops at the first probe that never ends or takes too much memory. What the answer prints is captured,
    what it changed around it (default dtype, random state, replaced functions …) is put back and listed.
    """
    result, out = Run(), _Capped()
    before, functions = _surroundings(), functions_now()
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(_Capped()))
        stack.enter_context(_no_exit())
        stack.enter_context(_no_display(result))
        stack.enter_context(_memory_limit())
        seen: list[dict] = []
        left = threading.Event()  # set when the answer is given up while it still runs
        arguments = (answer, probes, call, seen, result.effects, functions, left)
        worker = _Worker(target=_work, args=arguments, daemon=True)
        worker.start()
        result.stopped = _wait(worker, seconds, max(3 * seconds, wall))
        left.set()
    result.seen = list(seen)  # a copy: an abandoned thread can no longer add to it
    result.printed = out.text
    result.effects = list(result.effects) + put_back_functions(functions) + _put_back(before)
    return result


def _work(
    answer: object, probes: list[Probe], call: object, seen: list, effects: list, functions: dict, left: threading.Event
) -> None:
    def guarded(*args: object) -> object:
        try:
            return call(answer, *args) if call else answer(*args)
        finally:  # before anything else uses what the answer may have replaced
            if not left.is_set():  # later the world has moved on, and `functions` is out of date
                effects.extend(put_back_functions(functions))

    with contextlib.suppress(Stop), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept: list[tuple[dict, object]] = []
        for probe in probes:
            seen.append(_observe(guarded, probe, kept))
        for one, output in kept:
            if difference(one["output"], snapshot(output), 0.0):
                one["overwritten"] = True


def _observe(answer: object, probe: Probe, kept: list) -> dict:
    """What one call gives, as plain data; `kept` collects the results of plain calls, to look at again at the end."""
    args = clone(probe.args)
    if probe.mode == "double":
        args = double(args)
    inputs = [t for i in probe.gradient for t in tensors(args[i])] if probe.mode == "gradient" else []
    for tensor in inputs:
        tensor.requires_grad_(True)
    pretend = PretendDevice(tensors(args)) if probe.mode == "device" else contextlib.nullcontext()
    try:
        with pretend:
            output = answer(*args)
        seen = {"output": snapshot(output), "after": snapshot(tuple(args))}
        if probe.mode == "plain":
            kept.append((seen, output))
        if probe.mode == "gradient":
            seen["gradient"] = _gradients(output, inputs)
        if probe.mode == "device":
            seen["device"] = pretend.verdict(tensors(output))
        return seen
    except Stop:
        raise
    except BaseException as error:  # noqa: B902  an answer may raise anything, SystemExit included
        return {
            "error": _explain(error),
            "after": snapshot(tuple(args)),
            "unwritten": isinstance(error, NotImplementedError),
        }


def _gradients(output: object, inputs: list[torch.Tensor]) -> list:
    floats = [t for t in tensors(output) if t.is_floating_point()]
    if not any(t.requires_grad for t in floats):
        return []
    total = sum((t * weights_for(t)).sum() for t in floats)
    found = _grad(total, inputs, allow_unused=True)
    return [None if grad is None else snapshot(grad)["values"] for grad in found]


def weights_for(tensor: torch.Tensor) -> torch.Tensor:
    """Fixed unequal weights from 1 on, so that a gradient that is right only in the sum does not pass."""
    steps = torch.arange(tensor.numel(), dtype=tensor.dtype).reshape(tensor.shape)
    return (1 + 0.5 * torch.cos(1 + steps)) / (1 + 0.5 * math.cos(1))


def double(value: object) -> object:
    """An argument with its floats in float64."""
    if isinstance(value, torch.Tensor):
        return value.double() if value.is_floating_point() else value
    if isinstance(value, (list, tuple)):
        return type(value)(double(item) for item in value)
    return {key: double(item) for key, item in value.items()} if isinstance(value, dict) else value


def _explain(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return "it calls exit(): an answer returns its result and lets the notebook go on"
    text, line = " ".join(str(error)[:300].split())[:160], ""
    trace = error.__traceback__
    while trace is not None:  # the last line of the reader's own code; there may be millions
        code = trace.tb_frame.f_code
        if not code.co_filename.startswith(_FOREIGN):
            line = code.co_filename, trace.tb_lineno
        trace = trace.tb_next
    line = linecache.getline(*line).strip()[:80] if line else ""
    return f"it raises {type(error).__name__}{': ' + text if text else ''}" + (f" in the line `{line}`" if line else "")


def _wait(worker: threading.Thread, seconds: float, wall: float) -> str:
    """Wait for the worker; return "" or why it was stopped. A thread that refuses to stop is left behind.

    The limit is on processor time, so that a busy machine does not fail a right answer; by the clock it is `wall`, at
    least three times as long, and where the system tells, time spent queueing for a processor is not counted.
    """
    cpu, start, reason = _cpu_time() + seconds, _memory_used(), ""
    end, before, queued, pause = _clock() + wall, _queued(worker), 0.0, 0.01
    try:
        while worker.is_alive() and not reason:
            worker.join(pause)
            pause = min(1.2 * pause, 0.1)
            queued = max(queued, _queued(worker) - before)  # a thread that has ended tells nothing any more
            if worker.is_alive() and (_cpu_time() > cpu or _clock() > end + min(queued, 10 * wall)):
                reason = "time"
            elif _memory_used() - start > 0.8 * MEMORY:
                reason = "memory"
    except KeyboardInterrupt:
        reason = "interrupt"
    if reason:
        _stop(worker, 5)
    return reason


def _queued(worker: threading.Thread) -> float:
    """Seconds that worker and main thread were ready to run while others had the processor; 0 if nothing tells.

    The main thread counts as well: the worker may have waited for a lock that it held.
    """
    total = 0.0
    for thread in (worker, threading.main_thread()):
        with contextlib.suppress(OSError, ValueError, IndexError):
            with open(f"/proc/self/task/{thread.native_id}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[1]) / 1e9
    return total


def _stop(worker: threading.Thread, seconds: float, last: bool = False) -> None:
    """Ask a thread to stop, again and again: it may catch what it is thrown."""
    end, patience = _clock() + seconds, 0.1
    while worker.is_alive() and _clock() < end:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(worker.ident), ctypes.py_object(Stop))
        worker.join(patience)
        patience *= 2
    if worker.is_alive() and not last:
        atexit.register(_stop, worker, seconds, last=True)  # a thread inside torch would crash the process as it ends


def _memory_used() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * 4096
    except OSError:
        return 0


@contextlib.contextmanager
def _memory_limit():
    """On Linux, let a huge allocation fail inside the answer instead of freezing the machine."""
    try:
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        with open("/proc/self/statm", encoding="ascii") as file:
            limit = int(file.read().split()[0]) * 4096 + MEMORY
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    except (ImportError, OSError, ValueError):
        yield
        return
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextlib.contextmanager
def _no_exit():
    """exit(), quit(), os._exit() and input() raise inside the answer; the kernel lives on."""

    def leave(*_: object) -> None:
        raise SystemExit

    def ask(*_: object) -> str:
        raise RuntimeError("an answer gets its inputs as arguments, it cannot ask for them with input()")

    def recursion(limit: int, original=sys.setrecursionlimit) -> None:
        original(min(limit, 5000))  # millions of frames would hold the kernel up for minutes

    places = [
        (os, "_exit", leave),
        (os, "abort", leave),
        (builtins, "input", ask),
        (sys, "setrecursionlimit", recursion),
        (sys, "setswitchinterval", lambda interval: None),
    ]  # a thread that never gives way could not be stopped
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None:
        places.append((shell, "ask_exit", leave))
    kept = [(place, name, getattr(place, name)) for place, name, _ in places]
    for place, name, new in places:
        setattr(place, name, new)
    try:
        yield
    finally:
        for place, name, old in kept:
            setattr(place, name, old)


@contextlib.contextmanager
def _no_display(result: Run):
    """Figures the answer opens are closed, what it displays is dropped; both are listed."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    open_before = set(pyplot.get_fignums()) if pyplot else set()
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    publisher = getattr(shell, "display_pub", None)
    if publisher is not None:
        from IPython.core.displaypub import CapturingDisplayPublisher

        shell.display_pub = CapturingDisplayPublisher()
    try:
        yield
    finally:
        shown = publisher is not None and bool(shell.display_pub.outputs)
        if publisher is not None:
            shell.display_pub = publisher
        pyplot = sys.modules.get("matplotlib.pyplot")
        extra = set(pyplot.get_fignums()) - open_before if pyplot else set()
        for figure in extra:
            pyplot.close(figure)
        if extra or shown:
            result.effects.append("it draws or displays something")


def _surroundings() -> dict:
    numpy_state = numpy.random.get_state()
    return {
        "the default dtype": torch.get_default_dtype(),
        "the default device": torch.get_default_device(),
        "torch's random state": torch.random.get_rng_state(),
        "numpy's random state": numpy_state,
        "Python's random state": random.getstate(),
        "the environment": dict(os.environ),
        "the working folder": os.getcwd(),
        "the recursion limit": sys.getrecursionlimit(),
        "the number of threads": torch.get_num_threads(),
        "the module search path": list(sys.path),
        "deterministic mode": torch.are_deterministic_algorithms_enabled(),
        "torch's print options": dict(vars(torch._tensor_str.PRINT_OPTS)),
        "anomaly detection": torch.is_anomaly_enabled(),
        "matmul precision": torch.get_float32_matmul_precision(),
    }


def _environment(value: dict) -> None:
    os.environ.clear()
    os.environ.update(value)


_RESTORE = {
    "the default dtype": torch.set_default_dtype,
    "the default device": torch.set_default_device,
    "torch's random state": torch.random.set_rng_state,
    "numpy's random state": numpy.random.set_state,
    "Python's random state": random.setstate,
    "the environment": _environment,
    "the working folder": os.chdir,
    "the recursion limit": sys.setrecursionlimit,
    "the number of threads": torch.set_num_threads,
    "the module search path": lambda value: sys.path.__setitem__(slice(None), value),
    "deterministic mode": torch.use_deterministic_algorithms,
    "anomaly detection": torch.autograd.set_detect_anomaly,
    "torch's print options": lambda value: vars(torch._tensor_str.PRINT_OPTS).update(value),
    "matmul precision": torch.set_float32_matmul_precision,
}


def _put_back(before: dict) -> list[str]:
    effects, now = [], _surroundings()
    for name, value in before.items():
        if _key(value) != _key(now[name]):
            _RESTORE[name](value)
            if name != "the environment" or _own(value) != _own(now[name]):
                effects.append(f"it changes {name}")
    return effects


def _own(environment: dict) -> dict:
    """Without what torch itself notes down there when parts of it are first imported."""
    return {key: value for key, value in environment.items() if not key.startswith("TORCHINDUCTOR_")}


def _key(value: object) -> object:
    """Something to compare: arrays and tensors as bytes."""
    if isinstance(value, tuple):
        return tuple(_key(item) for item in value)
    if isinstance(value, torch.Tensor):
        return _numpy(value).tobytes()
    return value.tobytes() if isinstance(value, numpy.ndarray) else value


def functions_now() -> dict[str, dict]:
    """The functions of torch, builtins and math that answers and checkers use, as they are at this moment."""
    return {
        name: {key: value for key, value in vars(place).items() if callable(value) and key not in _IGNORED}
        for name, place in _WATCHED.items()
    }


def put_back_functions(before: dict[str, dict], only_by: str = "") -> list[str]:
    """Undo replaced functions (those of module `only_by`, where given); say which."""
    effects = []
    for name, place in _WATCHED.items():
        if place in (torch.Tensor, torch.nn.Module) and not only_by:
            for key in [k for k, v in vars(place).items() if callable(v) and k not in before[name]]:
                delattr(place, key)  # an addition that hides an inherited method
                effects.append(f"it replaces {name}.{key}")
        for key, value in before[name].items():
            new = vars(place).get(key)
            if (
                new is not value
                and not _by_torch(key, new)
                and (not only_by or getattr(new, "__module__", only_by) == only_by)
            ):
                with contextlib.suppress(AttributeError, TypeError):
                    setattr(place, key, value)
                    effects.append(f"it replaces {name}.{key}")
    return effects


def _by_torch(key: str, new: object) -> bool:
    """Whether torch itself wrapped its function, as it does with `manual_seed` when its compiler is first imported."""
    file = getattr(getattr(new, "__code__", None), "co_filename", "")
    return file.startswith(_TORCH) and getattr(new, "__name__", "") == key


ORIGINAL: dict[str, dict] = {}


def watch(**places: object) -> None:
    """Also guard the functions of these modules and classes; called once, when all of them are imported.

    The modules, this one and `values` also keep today's builtins as names of their own: an answer that replaces
    `isinstance` replaces it for itself alone.
    """
    _WATCHED.update(places)
    for module in [sys.modules[__name__], sys.modules[snapshot.__module__], *places.values()]:
        if isinstance(module, types.ModuleType):
            for name in [name for name in vars(builtins) if name.isidentifier() and not name.startswith("_")]:
                vars(module).setdefault(name, vars(builtins)[name])
    ORIGINAL.update(functions_now())


class PretendDevice(torch.overrides.TorchFunctionMode):
    """Treat some CPU tensors as if they lay on a GPU, and notice what would fail there.

    Every result remembers whether it came from one of `inputs`; mixing it with a fresh CPU tensor, or returning a
    fresh one, is noted. Numbers and single values may be mixed, as on a GPU.
    """

    def __init__(self, inputs: list[torch.Tensor]) -> None:
        super().__init__()
        self.keep = list(inputs)
        self.there = {id(t) for t in inputs}
        self.problem = ""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        used = [t for t in tensors(list(args)) + tensors(kwargs)]
        there = [t for t in used if id(t) in self.there]
        here = [t for t in used if id(t) not in self.there and t.dim() > 0]
        name = getattr(func, "__name__", "")
        result = func(*args, **kwargs)
        if (
            there
            and here
            and name not in ("__getitem__", "__setitem__", "copy_", "index_put_", "to", "type_as", "__get__")
        ):
            self.problem = self.problem or f"{name} mixes a new CPU tensor with the input"
        if name == "numpy" and there:
            self.problem = self.problem or "numpy() works on the CPU only"
        back = name == "cpu" or name == "to" and "cpu" in args
        if back:
            result = result.clone()  # on a CPU it is the very same tensor
        made_there = kwargs.get("device") not in (None, "cpu") and not used
        places = [a for a in (*args, kwargs.get("device")) if isinstance(a, torch.device)]
        moved = name == "to" and not back and not there and bool(places)
        if (there or made_there or moved) and not back and not (name == "__setitem__"):
            for tensor in tensors(result):
                self.there.add(id(tensor))
                self.keep.append(tensor)
        elif not used or back or here:
            self.keep += tensors(result)
            self.there -= {id(t) for t in tensors(result)} - {id(t) for t in there}
        return result

    def verdict(self, outputs: list[torch.Tensor]) -> str:
        """ "" where the outputs stay on the inputs' device, else what would go wrong."""
        if self.problem:
            return self.problem
        return "" if all(id(t) in self.there for t in outputs) else "the result is a new CPU tensor"
