"""Run a lesson's cells up to its claims, sound or with a fault planted, each run in a process of its own.

Called by test_claims.py: a JSON list of runs on stdin, a JSON list of results on stdout. A run is

    {"cells": [[id, source], …], "claims": [ids], "faults": {module: [old, new]}, "needed": [ids]}

and its result {"claims": {id: "passed" | "AssertionError: …" | …}, "seconds": {id: …}, "trouble": [first errors]}. The
first run is the sound one; cells that were slow in it and are not needed are left out of the others.
"""

import ast
import contextlib
import importlib
import importlib.machinery
import io
import json
import multiprocessing
import multiprocessing.connection
import os
import re
import sys
import time
import traceback
from multiprocessing.connection import Connection

TIME_LIMIT = 1800  # for hangs; a lesson's cells take minutes on a slow machine
SLOW = 0.2


def plant(faults: dict[str, list[str]]) -> None:
    """Make imports of the named course_lib modules read the faulty text."""
    ordinary = importlib.machinery.SourceFileLoader.get_code

    def get_code(self, fullname):
        module = fullname.removeprefix("course_lib.")
        if fullname == module or module not in faults:
            return ordinary(self, fullname)
        old, new = faults[module]
        return compile(self.get_source(fullname).replace(old, new), self.path, "exec")

    importlib.machinery.SourceFileLoader.get_code = get_code


def execute(id: str, source: str, namespace: dict, whole: bool) -> str:
    """Run a cell; with `whole` it stops at the first error, else every statement gets its turn. "passed" or the first error."""
    verdict, tree = "passed", ast.parse(source)
    for part in [tree] if whole else [ast.Module([statement], []) for statement in tree.body]:
        try:
            exec(compile(part, f"<{id}>", "exec"), namespace)
        except BaseException as error:
            here = traceback.extract_tb(error.__traceback__)[-1].filename
            elsewhere = isinstance(error, AssertionError) and here != f"<{id}>" and "testing" not in here
            said = f"{type(error).__name__}: {str(error)[:300]}"
            said = f"not this cell's assert ({here}), {said}" if elsewhere else said
            verdict = said if verdict == "passed" else verdict
    return verdict


def wants_torch(job: dict) -> bool:
    """Whether a run needs the heavy imports at all."""
    return any("torch" in source for _, source in job["cells"])


def prepare(jobs: list[dict]) -> None:
    """Import once what the forked runs share: everything but course_lib, which each reads with its own fault."""
    quieten()
    wanted = {
        m for job in jobs for _, source in job["cells"] for m in re.findall(r"^from (course_lib\S*)", source, re.M)
    }
    for module in sorted(wanted):
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    for module in [name for name in sys.modules if name.split(".")[0] == "course_lib"]:
        del sys.modules[module]


def quieten() -> None:
    """One thread (safe to fork), no windows, no pictures."""
    import IPython.display
    import matplotlib
    import matplotlib.pyplot
    import torch
    import torchvision  # noqa: F401

    matplotlib.use("Agg")
    torch.set_num_threads(1)
    IPython.display.display = lambda *things, **options: None


def run(job: dict) -> dict:
    """Run one job and say how its claim cells ended."""
    if wants_torch(job):
        quieten()
    plant(job["faults"])
    namespace, result = {"__name__": "__main__"}, {"claims": {}, "seconds": {}, "trouble": []}
    for id, source in job["cells"]:
        start = time.monotonic()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            verdict = execute(id, source, namespace, whole=id in job["claims"])
        result["seconds"][id] = time.monotonic() - start
        if id in job["claims"]:
            result["claims"][id] = verdict
        elif verdict != "passed":
            result["trouble"].append(f"cell {id}: {verdict}")
    return result


def report(job: dict, end: Connection) -> None:
    """Run a job in this process and send its result."""
    end.send(run(job))


def run_all(jobs: list[dict], context: multiprocessing.context.BaseContext, workers: int) -> list[dict]:
    """Run every job in a process of its own (which may start others), `workers` at a time."""
    results, running, waiting = {}, {}, list(enumerate(jobs))
    while running or waiting:
        while waiting and len(running) < workers:
            index, job = waiting.pop(0)
            receive, send = context.Pipe(duplex=False)
            process = context.Process(target=report, args=(job, send))
            process.start()
            send.close()
            running[receive] = (index, process, time.monotonic())
        for end in multiprocessing.connection.wait(list(running), timeout=1) + [
            end for end, (_, _, start) in running.items() if time.monotonic() - start > TIME_LIMIT
        ]:
            index, process, _ = running.pop(end, (None, None, None))
            if process is None:
                continue
            try:
                results[index] = end.recv() if end.poll() else died(jobs[index], f"no end after {TIME_LIMIT} s")
            except EOFError:
                results[index] = died(jobs[index], "the process died")
            process.kill()
            process.join()
    return [results[index] for index in range(len(jobs))]


def died(job: dict, why: str) -> dict:
    """The result of a run that did not end by itself."""
    return {"claims": dict.fromkeys(job["claims"], why), "seconds": {}, "trouble": []}


def main() -> None:
    """Read the jobs, run two at a time, write the results."""
    jobs = json.load(sys.stdin)
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    if context.get_start_method() == "fork" and any(map(wants_torch, jobs)):
        prepare(jobs)
    sound = run_all(jobs[:1], context, 1)
    for job in jobs[1:]:
        job["cells"] = [c for c in job["cells"] if c[0] in job["needed"] or sound[0]["seconds"].get(c[0], 0) < SLOW]
    json.dump(sound + run_all(jobs[1:], context, min(2, os.cpu_count() or 1)), sys.stdout)


if __name__ == "__main__":
    main()
