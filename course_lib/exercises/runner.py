"""The process that runs a submission's code for `cli.grade`: gets calls to make, sends back what it saw.

It knows neither the right results nor the verdict; the process that started it judges. Its standard input carries one
JSON task a line; what was its standard output at the start carries one JSON answer a line, and student code prints
into nothing.
"""

import ast
import contextlib
import dataclasses
import json
import linecache
import os
import sys
import types

from course_lib.exercises import guard
from course_lib.exercises.values import prediction, restore, snapshot


def definitions(source: str) -> list[ast.stmt]:
    """The imports, functions, classes and literal constants at the top level of a cell; nothing else is run."""
    kept = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign):
            with contextlib.suppress(ValueError, TypeError, SyntaxError):
                ast.literal_eval(node.value)
                kept.append(node)
        elif isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)):
            kept.append(node)
    return kept


def run_cell(source: str, namespace: dict, whole: bool, label: str) -> None:
    """Run a cell statement by statement; one that raises is left out. `whole`: not only the definitions."""
    linecache.cache[label] = (len(source), None, source.splitlines(keepends=True), label)
    for node in ast.parse(source).body if whole else definitions(source):
        try:
            exec(compile(ast.Module([node], []), label, "exec"), namespace)
        except guard.Stop:
            raise
        except BaseException:  # noqa: S112  a cell that fails must not fail the next
            continue


def namespace_for(task: dict) -> dict:
    """The names a submission's cells define; only the exercise's own cells are run as a whole."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    namespace = module.__dict__
    namespace["check"] = namespace["summary"] = lambda *args: None
    for index, (source, whole) in enumerate(task["cells"]):
        with contextlib.suppress(SyntaxError, ValueError, RecursionError):
            run_cell(source, namespace, whole, f"<cell {index + 1}>")
    return namespace


def answer(task: dict) -> dict:
    """Do one task: define the submission's names, then make every call."""
    found: dict = {}
    wall = task["wall"]
    setup = guard.run(lambda: found.update(namespace_for(task)), [guard.Probe(())], task["seconds"], wall)
    if setup.stopped or "error" in (setup.seen or [{}])[0]:
        return {"stopped": setup.stopped or "time", "seen": []}
    if task["name"] not in found:
        return {"missing": True, "seen": []}
    value = found[task["name"]]
    if task["value"] or not callable(value):
        return {"value": snapshot(prediction(value)), "seen": []}
    probes = [guard.Probe(restore(p["args"]), p["mode"], tuple(p["gradient"])) for p in task["probes"]]
    return dataclasses.asdict(guard.run(value, probes, task["seconds"], wall))


def limits(memory: int, seconds: int) -> None:
    """Where the system can: no more than this much more memory and processor time, and no writing of files."""
    with contextlib.suppress(ImportError, OSError, ValueError, AttributeError):
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        with open("/proc/self/statm", encoding="ascii") as file:
            memory += int(file.read().split()[0]) * 4096
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def hide_checkers() -> None:
    """An answer cannot import the checkers by their name."""
    for name in [n for n in sys.modules if n.startswith("course_lib.exercises")]:
        sys.modules[name] = None  # type: ignore[assignment]
    for lesson in range(1, 100):
        sys.modules[f"course_lib.exercises.lesson{lesson:02d}"] = None  # type: ignore[assignment]


def main() -> None:
    """Answer tasks until the input ends."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    tasks = os.fdopen(os.dup(0), encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    first = json.loads(tasks.readline())
    limits(first["memory"], first["cpu"])
    hide_checkers()
    for line in tasks:
        task = json.loads(line)
        found = answer(task)
        channel.write(json.dumps({"exercise": task["exercise"], **found}) + "\n")
        channel.flush()
        if found.get("stopped"):  # its thread may still be running: the next task gets a fresh process
            os._exit(0)


if __name__ == "__main__":
    main()
