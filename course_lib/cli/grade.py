"""Grade submitted notebooks: `python -m course_lib.cli.grade FOLDER` writes grades.csv (name, exercise, state, message).

Every notebook below FOLDER is a submission. Its answers run in a process of their own, with limits on time and memory,
on inputs drawn afresh for this run. That process sends back what it saw, as plain data. This process, which never runs
a line of theirs, works out the right results and judges. Exercises are found by their cell tags, or by the name of the function where the tags were lost. Check cells,
and everything at the top level of other cells but imports, definitions and constants, are not run.

What an answer cannot do: print a verdict, change the framework or the CSV's content, end the grading, look the right
results up in memory or import the checkers. What is NOT defended: an answer runs with your rights. It can read your
files (the checkers' source among them, and the solutions if they lie on this machine), delete them, use the network and
start programs. Grade the work of strangers in a container or under another account, without network.
"""

import argparse
import ast
import csv
import json
import os
import queue
import re
import secrets
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager

from course_lib.exercises import framework, guard, verdict
from course_lib.exercises.framework import CORRECT, NOT_STARTED, NOT_YET, Exercise, Plan, Result
from course_lib.exercises.values import describe, snapshot

SECONDS = 10.0  # of processor time an exercise
WALL = 60.0  # by the clock
MEMORY = 2 * 2**30


@dataclass
class Cell:
    """A code cell of a submission: its source and the exercise and check tags it carries."""

    source: str
    tags: list[str]


def read_cells(path: Path) -> list[Cell]:
    """The code cells of a notebook file; of a file that was cut short, those that are whole.

    Raises:
        ValueError: not one cell can be read.
    """
    text = path.read_bytes().decode("utf-8", errors="replace")
    try:
        found = json.loads(text)["cells"]
    except (ValueError, KeyError, TypeError, RecursionError):
        found = list(_whole_cells(text))
    if not isinstance(found, list) or not found:
        raise ValueError("the file is not a notebook: no cell of it can be read")
    return [Cell(_source(c), _tags(c)) for c in found if isinstance(c, dict) and c.get("cell_type") == "code"]


def _whole_cells(text: str) -> Iterator[dict]:
    start = re.search(r'"cells"\s*:\s*\[', text)
    at, decoder = start.end() if start else len(text), json.JSONDecoder()
    while True:
        at += len(text[at:]) - len(text[at:].lstrip(" \t\r\n,"))
        try:
            cell, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        yield cell


def _source(cell: dict) -> str:
    source = cell.get("source", "")
    return "".join(str(line) for line in source) if isinstance(source, list) else str(source)


def _tags(cell: dict) -> list[str]:
    metadata = cell.get("metadata")
    tags = metadata.get("tags") if isinstance(metadata, dict) else None
    return [str(tag) for tag in tags] if isinstance(tags, list) else []


def tree_of(source: str) -> ast.Module | str:
    """The syntax tree of a cell as JupyterLab runs it, or what is wrong with it.

    IPython itself takes prompts and a common indent away. Magics, shell lines and questions (`twin?`) are left out: what
    they would do is no part of an answer. Of a cell magic that runs Python, such as `%%time`, the cell stays.
    """
    first, _, rest = source.lstrip().partition("\n")
    if first.startswith("%%"):
        source = rest if re.match(r"%%(time|timeit|capture|prun)\b", first) else ""
    try:
        tree = ast.parse(TransformerManager().transform_cell(source))
        tree.body = [ast.Pass() if _is_magic(statement) else statement for statement in tree.body]
        return ast.fix_missing_locations(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f" in line {error.lineno} of the cell" if getattr(error, "lineno", None) else ""
        return f"the cell is not valid Python{line}: {getattr(error, 'msg', error)}"


def _is_magic(statement: ast.stmt) -> bool:
    """Whether a statement is what IPython makes of a magic: a call of `get_ipython()`."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return False
    return any(isinstance(node, ast.Name) and node.id == "get_ipython" for node in ast.walk(statement))


def names(tree: ast.AST) -> set[str]:
    """Functions, classes and variables that a cell defines at its top level."""
    found = {n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef))}
    stores = (n for s in tree.body for n in ast.walk(s) if isinstance(s, (ast.Assign, ast.AnnAssign)))
    return found | {n.id for n in stores if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def lesson_number(path: Path, cells: list[Cell]) -> int | None:
    """Which lesson a submission belongs to: from its tags, else its file name, else the functions it defines."""
    tagged = [m[1] for c in cells for t in c.tags if (m := re.fullmatch(r"exercise-(\d+)\.\d+", t))]
    known = available()
    if tagged and int(max(set(tagged), key=tagged.count)) in known:
        return int(max(set(tagged), key=tagged.count))
    leading = re.match(r"0*(\d{1,2})\D", path.name)
    if leading and int(leading[1]) in known:
        return int(leading[1])
    trees = [tree for c in cells if isinstance(tree := tree_of(c.source), ast.Module)]
    defined = set().union(*(names(tree) for tree in trees))
    score = {n: len(defined & {e.answer for e in framework.lesson(n)}) for n in known}
    best = max(score, key=score.get, default=None)
    return best if best is not None and score[best] else None


def available() -> list[int]:
    """The lessons that have checkers."""
    folder = Path(framework.__file__).parent
    return sorted(int(path.stem[6:]) for path in folder.glob("lesson[0-9][0-9].py"))


class Submission:
    """One notebook: which of its cells answer which exercise, and what came of it."""

    def __init__(self, name: str, path: Path, seed: int, seconds: float = SECONDS) -> None:
        self.name, self.path, self.seed, self.seconds = name, path, seed, seconds
        self.results: dict[str, Result] = {}
        self.exercises: list[Exercise] = []
        self.plans: dict[str, Plan] = {}

    def grade(self) -> dict[str, Result]:
        """A result for every counted exercise of the lesson; "" as the number where there is no lesson to be found."""
        try:
            self.cells = read_cells(self.path)
        except (ValueError, OSError) as error:
            self.cells, broken = [], str(error)
        else:
            broken = ""
        number = lesson_number(self.path, self.cells)
        if number is None:
            return {"": Result("", NOT_YET, broken or "no exercise of this course was found in the notebook")}
        self.exercises = [e for e in framework.lesson(number) if e.counted]
        if broken:
            return {e.number: Result(e.number, NOT_YET, broken) for e in self.exercises}
        open_ones = [task for e in self.exercises if (task := self._task(e))]
        while open_ones:
            open_ones = open_ones[self._run(open_ones) :]
        return {e.number: self.results[e.number] for e in self.exercises}

    def _settle(self, exercise: Exercise, state: str, message: str = "") -> None:
        self.results[exercise.number] = Result(exercise.number, state, message)

    def _own(self, exercise: Exercise) -> list[Cell]:
        """The cells that answer an exercise: those with its tag, and those that define its name."""
        tagged = [c for c in self.cells if f"exercise-{exercise.number}" in c.tags]
        named = [
            c
            for c in self.cells
            if isinstance(t := tree_of(c.source), ast.Module)
            and exercise.answer in names(t)
            and not any(tag.startswith("check-") for tag in c.tags)
        ]
        return [c for c in self.cells if c in tagged or c in named]

    def _task(self, exercise: Exercise) -> dict | None:
        """What the child process is told, or None where the cells alone settle the state."""
        own = self._own(exercise)
        trees = [tree_of(c.source) for c in own]
        wrong = [tree for tree in trees if isinstance(tree, str)]
        definitions = [
            n for t in trees if isinstance(t, ast.Module) for n in t.body if getattr(n, "name", "") == exercise.answer
        ]
        if wrong and not definitions:
            return self._settle(exercise, NOT_YET, wrong[0])
        if not own:
            return self._settle(exercise, NOT_YET, f"no cell defines `{exercise.answer}`")
        if definitions and framework.is_stub(ast.Module([definitions[-1]], []), exercise.stub):
            return self._settle(exercise, NOT_STARTED)
        cells = [
            (ast.unparse(tree), c in own)
            for c in self.cells
            if isinstance(tree := tree_of(c.source), ast.Module)
            and not any(tag.startswith("check-") or tag == "summary" for tag in c.tags)
        ]
        task = {
            "exercise": exercise.number,
            "name": exercise.answer,
            "value": exercise.kind == "predict",
            "cells": cells,
            "seconds": self.seconds,
            "wall": WALL,
            "probes": [],
        }
        if exercise.kind != "predict":
            self.plans[exercise.number] = Plan(exercise, self.seed)
            task["probes"] = [
                {"args": snapshot(p.args), "mode": p.mode, "gradient": list(p.gradient)}
                for p in self.plans[exercise.number].probes
            ]
        return task

    def _run(self, tasks: list[dict]) -> int:
        """Send tasks to a fresh process and judge what comes back; return how many were settled.

        Whatever is not correct, perhaps due to an answer before it, gets a second try in a process of its own.
        """
        with Child(tasks, self.seconds) as child:
            for count, task in enumerate(tasks):
                exercise = framework.find(task["exercise"])
                try:
                    result = self._judge(exercise, child.ask(task))
                except Exception:  # a reply that student code has made up
                    result = Result(exercise.number, NOT_YET, "the answer tampered with its result")
                if result.state != CORRECT and count:
                    return count
                self.results[exercise.number] = result
                if result.state != CORRECT:
                    return 1
        return len(tasks)

    def _judge(self, exercise: Exercise, reply: dict | str) -> Result:
        number = exercise.number
        if isinstance(reply, str):
            return Result(number, NOT_YET, reply)
        if reply.get("missing"):
            return Result(number, NOT_YET, f"`{exercise.answer}` is not defined when its cells have run")
        if exercise.kind == "predict" and "value" in reply:
            return framework.judge_value(exercise, reply["value"])
        if "value" in reply:
            kind = describe(reply["value"])
            state = NOT_STARTED if reply["value"]["kind"] == "NoneType" else NOT_YET
            return Result(
                number,
                state,
                "" if state == NOT_STARTED else f"`{exercise.answer}` should be a function, yours is {kind}",
            )
        if exercise.kind == "predict" and reply.get("stopped"):
            return Result(number, NOT_YET, "its cell was still running when it was stopped")
        plan = self.plans[number]
        seen, stopped = reply["seen"], str(reply["stopped"])
        if not stopped and len(seen) != len(plan.probes):
            raise ValueError("calls are missing")
        return verdict.judge(plan, guard.Run(seen, stopped, str(reply["printed"]), bool(reply["drew"])))


class Child:
    """The process that runs a submission's code."""

    def __init__(self, tasks: list[dict], seconds: float) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COURSE"))}
        environment |= {"PYTHONPATH": str(Path(framework.__file__).parents[2])}  # the same course_lib as here
        environment |= {"MPLBACKEND": "Agg", "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "course_lib.exercises.runner"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self.folder.name,
            env=environment,
            encoding="utf-8",
            start_new_session=True,
        )
        self.lines: queue.Queue = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self._send({"memory": MEMORY, "cpu": int(4 * seconds * len(tasks) + 60)})

    def _read(self) -> None:
        try:
            while line := self.process.stdout.readline(50_000_000):
                self.lines.put(line)
        except (ValueError, OSError):
            pass
        self.lines.put("")

    def _send(self, message: dict) -> None:
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
        except (BrokenPipeError, OSError):
            pass

    def ask(self, task: dict) -> dict | str:
        """The reply to a task, or why there is none.

        Raises:
            ValueError: something else was sent.
        """
        self._send(task)
        try:
            line = self.lines.get(timeout=2 * WALL + 30)  # its cells, its calls, and the start of the process
        except queue.Empty:
            return "the answer did not end in time"
        if not line:
            return "the answer ended the process it ran in (too much memory, too long, or a call that exits)"
        reply = json.loads(line)
        if reply["exercise"] != task["exercise"]:
            raise ValueError("a reply to another task")
        return reply

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            os.killpg(self.process.pid, 9)
        except (OSError, AttributeError):
            self.process.kill()
        self.process.wait()
        self.folder.cleanup()


PACKED = (".zip", ".rar", ".7z", ".gz", ".tgz", ".tar")
NOTEBOOK = re.compile(r"\.ipynb(\.json)?$", re.IGNORECASE)  # the second is what some browsers save


def _is_work(path: Path) -> bool:
    """Whether a file is somebody's work: no checkpoint, and no shadow file that a Mac puts into an archive."""
    hidden = (".ipynb_checkpoints", "__MACOSX")
    return path.is_file() and not path.name.startswith(".") and not any(part in hidden for part in path.parts)


def submissions(folder: Path) -> list[tuple[str, Path]]:
    """(name, file) of every notebook below a folder; the name is the path without its suffix."""
    paths = [p for p in sorted(folder.rglob("*")) if NOTEBOOK.search(p.name) and _is_work(p)]
    return [(NOTEBOOK.sub("", p.relative_to(folder).as_posix()), p) for p in paths]


def without_notebook(folder: Path) -> list[tuple[str, str]]:
    """(name, what is there instead) of every folder, and every packed file, without a notebook: nobody is left out in silence."""
    found = []
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith((".", "_")) or entry.is_file() and entry.suffix.lower() not in PACKED:
            continue
        work = [p for p in sorted(entry.rglob("*")) if _is_work(p)] if entry.is_dir() else [entry]
        if not any(NOTEBOOK.search(p.name) for p in work):
            there = ", ".join(p.name for p in work[:5]) or "nothing at all"
            found.append((entry.name, f"no notebook, but {there}; a packed folder must be unpacked first"))
    return found


def plain(text: str) -> str:
    """Text that no spreadsheet takes for a formula, on one line."""
    text = " ".join(text.split())
    return "'" + text if text.startswith(("=", "+", "-", "@")) else text


def grade(
    folder: Path, seed: int | None = None, seconds: float = SECONDS, tell: Callable[[str], None] = lambda text: None
) -> list[tuple[str, str, str, str]]:
    """Rows (name, exercise, state, message) of all submissions in a folder, with inputs drawn from one fresh seed."""
    seed = secrets.randbelow(2**31) if seed is None else seed
    rows = []
    found = submissions(folder)
    for count, (name, path) in enumerate(found, 1):
        results = Submission(name, path, seed, seconds).grade()
        rows += [(plain(name), number, r.state, plain(r.message)) for number, r in results.items()]
        tell(
            f"{count} of {len(found)}  {name}: {sum(r.state == 'correct' for r in results.values())} of {len(results)}"
        )
    silent = without_notebook(folder)
    if silent:
        tell(f"without a notebook: {', '.join(name for name, _ in silent)}")
    return rows + [(plain(name), "", NOT_YET, plain(message)) for name, message in silent]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m course_lib.cli.grade", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder with submitted notebooks, one folder a student or flat")
    parser.add_argument("--output", type=Path, default=Path("grades.csv"), help="the CSV to write (grades.csv)")
    parser.add_argument("--seed", type=int, help="draw the inputs from this seed (fresh by default)")
    options = parser.parse_args()
    if not options.folder.is_dir():
        sys.exit(f"{options.folder} is not a folder; give the folder that holds the submitted notebooks.")
    print("Answers run with your rights; for the work of strangers see --help.", file=sys.stderr)
    rows = grade(options.folder, options.seed, tell=lambda text: print(text, file=sys.stderr))
    with open(options.output, "w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows([("name", "exercise", "state", "message"), *rows])
    print(f"{options.output}: {len(rows)} rows")


if __name__ == "__main__":
    main()
