"""Run an answer within limits of time and memory, and capture what it prints.

This is a rail, not a wall: in a notebook a reader can only fool himself. In grading this module runs in the student's
process, and another process judges what it saw (`cli.grade`).
"""

import contextlib
import ctypes
import linecache
import os
import random
import sys
import threading
import time
import warnings
from dataclasses import dataclass, field
from unittest import mock

import numpy
import torch

from course_lib.exercises.pretend_device import PretendDevice
from course_lib.exercises.values import clone, difference, double, snapshot, tensors, weights_for

SECONDS = 10.0
WALL = 30.0
MEMORY = 2 * 2**30
_FOREIGN = (os.path.dirname(__file__), os.path.dirname(torch.__file__), os.path.dirname(os.__file__))


class Stop(BaseException):
    """Thrown into the thread of an answer that has run too long."""


class _Worker(threading.Thread):
    """A thread that may be stopped at any point without a word; `over` from the moment on that it gives way."""

    over = False

    def run(self) -> None:
        try:
            super().run()
        except Stop:
            self.over = (
                True  # before gigabytes are let go of, which takes a while: a second Stop would hit the thread's end
            )
        self.over = True


@dataclass
class Probe:
    """One call of an answer: its arguments and how to call it ("plain", "gradient", "double", "device", "twice")."""

    args: tuple
    mode: str = "plain"
    gradient: tuple[int, ...] = ()


@dataclass
class Run:
    """What an answer did: a plain-data observation of each probe that was reached, why it was stopped, what it showed."""

    seen: list[dict] = field(default_factory=list)
    stopped: str = ""  # "time", "memory" or "interrupt"
    printed: str = ""
    drew: bool = False


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


def run(answer: object, probes: list[Probe], seconds: float = SECONDS, wall: float = WALL) -> Run:
    """Call `answer` once for every probe, in a thread of its own. Never raises.

    Stops at the first probe that never ends (`seconds` of processor time, `wall` by the clock: a busy machine does not
    fail a right answer) or takes more than 2 GB. Random states, default dtype and working folder are put back.
    """
    result, out, seen = Run(), _Capped(), []
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(_Capped()))
        for context in (_as_it_was(), _nobody_there(), _no_display(result), _memory_limit()):
            stack.enter_context(context)
        worker = _Worker(target=_work, args=(answer, probes, seen), daemon=True)
        worker.start()
        result.stopped = _wait(worker, seconds, wall)
    result.seen = list(seen)  # a copy: an abandoned thread can no longer add to it
    result.printed = out.text
    return result


def _work(answer: object, probes: list[Probe], seen: list[dict]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept: list[tuple[dict, object]] = []
        for probe in probes:
            seen.append(_observe(answer, probe, kept))
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
        return {**_failure(error), "after": snapshot(tuple(args))}


def _gradients(output: object, inputs: list[torch.Tensor]) -> list:
    floats = [t for t in tensors(output) if t.is_floating_point()]
    if not any(t.requires_grad for t in floats):
        return []
    total = sum((t * weights_for(t)).sum() for t in floats)
    found = torch.autograd.grad(total, inputs, allow_unused=True)
    return [None if grad is None else snapshot(grad)["values"] for grad in found]


def _failure(error: BaseException) -> dict:
    """An error as plain data: `error` says it in words, `cause` is "call", "name", "unwritten" or ""."""
    text, line = " ".join(str(error)[:300].split())[:160], _own_line(error)
    where = f" in the line `{line}`" if line not in ("", "?") else ""
    if isinstance(error, SystemExit):
        return {"error": "it calls exit(): an answer returns its result and lets the notebook go on", "cause": ""}
    if isinstance(error, MemoryError) or any(words in str(error) for words in ("allocate memory", "enough memory")):
        return {"error": f"it takes more than 2 GB of memory{where}", "cause": ""}
    if type(error) is NameError:
        return {"error": f"uses the name `{error.name}`{where}", "cause": "name"}
    if isinstance(error, TypeError) and not line:
        return {"error": text, "cause": "call"}
    cause = "unwritten" if isinstance(error, NotImplementedError) else ""
    return {"error": f"it raises {type(error).__name__}{': ' + text if text else ''}{where}", "cause": cause}


def _own_line(error: BaseException) -> str:
    """The last line of the reader's own code that the error went through; "" if it never got there, "?" if unknown."""
    place, trace = None, error.__traceback__
    while trace is not None:  # by hand: after a recursion the traceback is long
        if not trace.tb_frame.f_code.co_filename.startswith(_FOREIGN):
            place = trace.tb_frame.f_code.co_filename, trace.tb_lineno
        trace = trace.tb_next
    return (linecache.getline(*place).strip()[:80] or "?") if place else ""


def _wait(worker: _Worker, seconds: float, wall: float) -> str:
    """Wait for the worker; return "" or why it was stopped. A thread that refuses to stop is left behind."""
    cpu, end, start = time.process_time() + seconds, time.monotonic() + wall, _memory_used()
    reason, pause = "", 0.01
    try:
        while worker.is_alive() and not reason:
            worker.join(pause)
            pause = min(1.2 * pause, 0.1)
            if worker.is_alive() and (time.process_time() > cpu or time.monotonic() > end):
                reason = "time"
            elif _memory_used() - start > 0.8 * MEMORY:
                reason = "memory"
    except KeyboardInterrupt:
        reason = "interrupt"
    end, patience = time.monotonic() + 5, 0.1
    while reason and worker.is_alive() and time.monotonic() < end:  # again and again: it may catch what it is thrown
        if not worker.over:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(worker.ident), ctypes.py_object(Stop))
        worker.join(patience)
        patience *= 2
    return reason


def _memory_used(column: int = 1) -> int:
    """Bytes of memory in use (column 1) or reserved (column 0); 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[column]) * 4096
    except OSError:
        return 0


@contextlib.contextmanager
def _memory_limit():
    """On Linux, let a huge allocation fail inside the answer instead of freezing the machine."""
    if not _memory_used():
        yield
        return
    import resource  # Linux and macOS only

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = _memory_used(0) + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextlib.contextmanager
def _as_it_was():
    """Random states, default dtype and working folder are afterwards what they were before."""
    with torch.random.fork_rng(devices=[]), contextlib.chdir("."), contextlib.ExitStack() as stack:
        stack.callback(torch.set_default_dtype, torch.get_default_dtype())
        stack.callback(numpy.random.set_state, numpy.random.get_state())
        stack.callback(random.setstate, random.getstate())
        yield


@contextlib.contextmanager
def _nobody_there():
    """input() raises instead of waiting, and exit() ends the answer instead of the notebook's kernel."""

    def ask(*_: object) -> str:
        raise RuntimeError("an answer gets its inputs as arguments, it cannot ask for them with input()")

    def leave(*_: object) -> None:
        raise SystemExit

    shell = notebook_shell()
    exits = mock.patch.object(shell, "ask_exit", leave) if shell else contextlib.nullcontext()
    with mock.patch("builtins.input", ask), exits:
        yield


def notebook_shell() -> object:
    """The IPython shell this process runs in, or None."""
    return sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None


@contextlib.contextmanager
def _no_display(result: Run):
    """Figures the answer opens are closed, what it displays is dropped; `result.drew` says that there were some."""
    figures, shell, shown = _figures(), notebook_shell(), []
    publisher = getattr(shell, "display_pub", None)
    if publisher is not None:
        from IPython.core.displaypub import CapturingDisplayPublisher

        shell.display_pub = CapturingDisplayPublisher()
    try:
        yield
    finally:
        if publisher is not None:
            shown, shell.display_pub = shell.display_pub.outputs, publisher
        extra = _figures() - figures
        for figure in extra:
            sys.modules["matplotlib.pyplot"].close(figure)
        result.drew = bool(extra or shown)


def _figures() -> set[int]:
    pyplot = sys.modules.get("matplotlib.pyplot")
    return set(pyplot.get_fignums()) if pyplot else set()
