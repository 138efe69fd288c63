"""`python -m course_lib.cli.lab`: bring the working copy `my_course/` up to date and open it in JupyterLab.

Students work in `my_course/`, so that answers break neither the tests nor an update. A copy whose cells are still as
released is refreshed. One that was edited stays as it is, and the new version is put beside it. Nothing that a student
wrote is ever changed or removed. Further options go to JupyterLab (`--no-browser`, `--port=8890`).
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from course_lib.cli.doctor import check_kernel
from course_lib.files import write_whole

ROOT = Path(__file__).resolve().parents[2]
RECORD = ".released.json"
FIRST = "01_single_object_detector.ipynb"


def fingerprint(text: str) -> str | None:
    """A hash of all cells' kinds, sources and attached files; None where the text is no notebook.

    Outputs, counts and metadata do not matter, nor do cells without any text: running a notebook is not editing it.
    """
    try:
        cells = json.loads(text)["cells"]
        written = [
            [cell["cell_type"], source, cell.get("attachments", {})]
            for cell in cells
            if (source := "".join(cell["source"])).strip()
        ]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return hashlib.sha256(json.dumps(written, sort_keys=True).encode()).hexdigest()


def released(path: Path) -> str:
    """A lesson as it is put into the working copy: without outputs, so that no answer stands below its question.

    Links to the solutions point back into `notebooks/`.
    """
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            text = "".join(cell["source"]).replace("](solutions/", "](../notebooks/solutions/")
            cell["source"] = text.splitlines(keepends=True)
        else:
            cell["outputs"], cell["execution_count"] = [], None
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def read(path: Path) -> str | None:
    """A file's text; None where there is no such file. What is no text at all counts as half-saved."""
    if not path.is_file():
        return None
    return path.read_bytes().decode("utf-8", errors="replace")


def load_record(folder: Path) -> dict[str, dict]:
    """What was put into the working copy: {file name: {"given": [hashes], "offered": hash, "beside": …}}."""
    try:
        record = json.loads(read(folder / RECORD) or "{}")
        return {name: entry for name, entry in record.items() if isinstance(entry["given"], list)}
    except (ValueError, AttributeError, TypeError, KeyError):
        return {}


def update(lessons: Path, folder: Path) -> list[str]:
    """Copy new lessons, refresh untouched copies, put new versions beside edited ones.

    Args:
        lessons: folder with the released lessons, `*.ipynb`.
        folder: the working copy; made where it does not exist.

    Returns:
        One line for everything the student should know.
    """
    folder.mkdir(exist_ok=True)
    record, notices = load_record(folder), []
    for path in sorted(lessons.glob("*.ipynb")):
        try:
            new = released(path)
        except (ValueError, KeyError, TypeError):
            notices.append(f"notebooks/{path.name} cannot be read; nothing is changed.")
            continue
        notice = update_one(new, folder / path.name, record.setdefault(path.name, {}))
        notices += [notice] if notice else []
        write_whole(folder / RECORD, json.dumps(record, indent=1) + "\n")
    return notices


def update_one(new: str, copy: Path, entry: dict) -> str | None:
    """Bring one copy up to date; `entry` is its part of the record and is brought up to date with it."""
    offered, there = fingerprint(new), read(copy)
    given = entry.setdefault("given", [])
    mine = fingerprint(there) if there is not None else None
    if there is None and not os.path.lexists(copy):
        notice = f"{copy.name} was not there any more: here is a fresh copy." if given else None
    elif mine is not None and mine == offered:
        notice, new = None, None
    elif mine is not None and mine in given:
        notice = f"{copy.name} is refreshed: there is a new version, and you had not changed yours."
    else:
        return _keep(new, copy, entry, mine is not None)
    if new is not None:
        write_whole(copy, new)
    entry["offered"] = offered
    entry["given"] = given + [offered] * (offered not in given)
    return notice


def _keep(new: str, copy: Path, entry: dict, readable: bool) -> str | None:
    """Leave a copy alone that holds work, or that cannot be read; offer each new version once, beside it."""
    if entry.get("offered") == fingerprint(new) and (readable or entry.get("beside")):
        return None
    beside = _place_beside(copy, new, entry)
    entry["offered"] = fingerprint(new)
    if not readable:
        return f"{copy.name} cannot be read as a notebook and stays as it is; a fresh copy is {beside}."
    return f"{copy.name} holds your work and stays as it is; the new version is {beside}."


def _place_beside(copy: Path, new: str, entry: dict) -> str:
    """Write the new version next to an edited copy; only a neighbour that nobody edited is written over."""
    neighbours = entry.setdefault("beside", {})
    count = 1
    while True:
        name = f"{copy.stem}_new{'' if count == 1 else f'_{count}'}.ipynb"
        there = read(copy.with_name(name))
        free = there is None and not os.path.lexists(copy.with_name(name))
        if free or there is not None and fingerprint(there) in (neighbours.get(name, ""), fingerprint(new)):
            write_whole(copy.with_name(name), new)
            neighbours[name] = fingerprint(new)
            return name
        count += 1


def first_lesson(folder: Path) -> Path:
    """Lesson 1 in the working copy, or the folder itself where there is none."""
    found = folder / FIRST
    if not found.exists():
        found = next(iter(sorted(p for p in folder.glob("*.ipynb") if re.match(r"\d\d_", p.name))), folder)
    return found


def refusal(folder: Path) -> str | None:
    """One sentence on why a folder cannot hold the working copy; None where it can."""
    for place in (folder, *folder.parents):
        if os.path.lexists(place) and not place.is_dir():
            return f"--folder {folder}: {place} is a file; choose another folder, or move the file away."
    if not folder.parent.is_dir():
        return f"--folder {folder}: there is no folder {folder.parent}; make it first, or choose another folder."
    if not os.access(folder if folder.is_dir() else folder.parent, os.W_OK | os.X_OK):
        return f"--folder {folder}: it cannot be written; choose another folder, or change its permissions."
    return None


def environment() -> dict[str, str]:
    """The environment for JupyterLab: its question about news, which hides part of the page, is switched off."""
    paths = [str(Path(__file__).parent / "jupyter"), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    return {**os.environ, "JUPYTER_CONFIG_PATH": os.pathsep.join(path for path in paths if path)}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m course_lib.cli.lab", description=__doc__)
    parser.add_argument("--no-open", action="store_true", help="only bring my_course up to date")
    parser.add_argument("--folder", type=Path, default=ROOT / "my_course", help="the working copy (my_course)")
    options, more = parser.parse_known_args()
    options.folder = options.folder.resolve()
    if (reason := refusal(options.folder)) is not None:
        sys.exit(reason)
    for notice in update(ROOT / "notebooks", options.folder):
        print(notice)
    if options.no_open:
        return
    if (trouble := check_kernel(folder=options.folder)) is not None:
        sys.exit(f"kernel: {trouble}")
    start = first_lesson(options.folder)
    print(
        f"Opening {start.relative_to(ROOT) if start.is_relative_to(ROOT) else start} (stop with Ctrl-C) ...", flush=True
    )
    root = ROOT if start.is_relative_to(ROOT) else options.folder
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={root}", *more, str(start)]
    try:
        sys.exit(subprocess.call(command, cwd=root, env=environment()))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
