"""Run notebooks from a fresh kernel and store their outputs reproducibly.

    make render                                       every lesson and every solution
    make render NB=notebooks/04_matching.ipynb        one notebook (several: NB="a.ipynb b.ipynb")
    python -m course_lib.cli.render --check NOTEBOOK  run again and report what differs, write nothing

A notebook is written only when every cell ran: a cell that raises, or that writes to stderr, leaves the file as it was.
Two runs on one machine give the same bytes. Progress bars are off (COURSE_QUIET=1).
"""

import argparse
import base64
import difflib
import json
import os
import re
import struct
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from course_lib.files import write_whole

ROOT = Path(__file__).resolve().parents[2]
CELL_TIMEOUT = 900
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
EDITOR_KEYS = ("execution", "ExecuteTime", "collapsed", "scrolled", "trusted", "vscode", "pycharm", "jupyter")
ANSI = re.compile(r"\x1b\[[0-9;]*m")


class RenderError(Exception):
    """A notebook that cannot be stored; the message says which cell and why."""


def default_notebooks(root: Path = ROOT) -> list[Path]:
    """Return all lessons in order, then all solutions."""
    return sorted((root / "notebooks").glob("*.ipynb")) + sorted((root / "notebooks" / "solutions").glob("*.ipynb"))


def read(path: Path) -> nbformat.NotebookNode:
    """Read a notebook and insist on what rendering cannot invent: unique cell ids and no empty code cell."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    if raw.get("nbformat") != 4:
        raise RenderError(f"{path.name}: nbformat 4 expected, this is {raw.get('nbformat')}")
    ids = [cell.get("id") for cell in raw["cells"]]
    if None in ids:
        raise RenderError(f"{path.name}: cell {ids.index(None)} has no id; give it a short meaningful one")
    twice = sorted({i for i in ids if ids.count(i) > 1})
    if twice:
        raise RenderError(f"{path.name}: cell ids stand twice: {', '.join(twice)}")
    empty = [c["id"] for c in raw["cells"] if c["cell_type"] == "code" and not "".join(c["source"]).strip()]
    if empty:
        raise RenderError(f"{path.name}: empty code cells: {', '.join(empty)}")
    raw["nbformat_minor"] = 5
    return nbformat.reads(json.dumps(raw), as_version=4)


def strip_png_text(data: str) -> str:
    """Return base64 PNG data without text and time chunks (matplotlib writes its version there)."""
    raw = base64.b64decode(data)
    kept, position = [raw[:8]], 8
    while position < len(raw):
        (length,) = struct.unpack(">I", raw[position : position + 4])
        chunk = raw[position : position + 12 + length]
        if chunk[4:8] not in (b"tEXt", b"zTXt", b"iTXt", b"tIME"):
            kept.append(chunk)
        position += 12 + length
    return base64.b64encode(b"".join(kept)).decode("ascii")


def clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Remove in place whatever depends on the machine, the editor or the clock."""
    course = {"course": notebook.metadata["course"]} if "course" in notebook.metadata else {}
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNELSPEC, "language_info": {"name": "python"}, **course})
    for cell in notebook.cells:
        folded = cell.metadata.get("jupyter", {}).get("source_hidden") is True
        for key in EDITOR_KEYS:
            cell.metadata.pop(key, None)
        if folded:  # drawing code that the reader may unfold
            cell.metadata["jupyter"] = nbformat.from_dict({"source_hidden": True})
        for output in cell.get("outputs", []):
            for kind, value in output.get("data", {}).items():
                if kind == "image/png":
                    output["data"][kind] = strip_png_text(value)
                elif kind == "image/jpeg":
                    output["data"][kind] = "".join(value.split())
    return notebook


def execute(path: Path) -> nbformat.NotebookNode:
    """Run a notebook from a fresh kernel, in its own folder, and return it cleaned. The file is not touched."""
    return run(read(path), path)


def run(notebook: nbformat.NotebookNode, path: Path) -> nbformat.NotebookNode:
    """Run a notebook that was read from `path` and return it cleaned.

    Raises:
        RenderError: a cell raised, wrote to stderr, or the kernel died; says which cell.
    """
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    started = [notebook.cells[0].id]
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        store_widget_state=False,
        on_cell_start=lambda cell, cell_index: started.append(cell.id),
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        resources={"metadata": {"path": str(path.resolve().parent)}},
    )
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        raise RenderError(f"{path.name}, cell {started[-1]}: stopped\n{ANSI.sub('', str(error))}") from None
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                raise RenderError(f"{path.name}, cell {cell.id}: writes to stderr:\n{output['text']}")
            if output.output_type == "error":
                raise RenderError(f"{path.name}, cell {cell.id}: stores an error; catch it and print it instead")
    return clean(notebook)


def write(path: Path, notebook: nbformat.NotebookNode) -> bool:
    """Write a notebook in one step (temporary file, then rename); return whether its bytes changed."""
    text = nbformat.writes(notebook, version=4).rstrip("\n") + "\n"
    if path.read_bytes() == text.encode("utf-8"):
        return False
    write_whole(path, text)
    return True


def output_text(cell: nbformat.NotebookNode) -> str:
    """Return what a cell printed or returned, pictures apart."""
    parts = [o.get("text", "") or o.get("data", {}).get("text/plain", "") for o in cell.get("outputs", [])]
    return "\n".join(part.rstrip("\n") for part in parts)


def pictures(cell: nbformat.NotebookNode) -> list[str]:
    """Return the cell's pictures as base64 text."""
    data = [o.get("data", {}) for o in cell.get("outputs", [])]
    return ["".join(d[kind].split()) for d in data for kind in sorted(d) if kind.startswith("image/")]


def differences(stored: nbformat.NotebookNode, fresh: nbformat.NotebookNode) -> tuple[list[str], list[str]]:
    """Return (text differences, ids of cells whose pictures differ), cells tagged trained or timed left out."""
    texts, drawn = [], []
    for old, new in zip(stored.cells, fresh.cells, strict=True):
        if old.cell_type != "code" or "nbval-ignore-output" in old.metadata.get("tags", []):
            continue
        before, after = output_text(old), output_text(new)
        if before != after:
            lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "stored", "now", lineterm="", n=0)
            texts.append(f"cell {old.id}:\n" + "\n".join("    " + line for line in lines))
        if pictures(old) != pictures(new):
            drawn.append(old.id)
    return texts, drawn


def render(path: Path, check: bool) -> bool:
    """Render or check one notebook, say what happened, and return whether all is well."""
    start = time.monotonic()
    try:
        fresh = execute(path)
        if check:
            texts, drawn = differences(clean(read(path)), fresh)
            note = f" (other pictures in {', '.join(drawn)})" if drawn else ""
            said = "\n".join(texts) if texts else f"as stored{note}"
        else:
            texts, said = [], "written" if write(path, fresh) else "unchanged"
    except RenderError as error:
        print(f"FAILED  {error}\n        {path.name} is left as it was.", file=sys.stderr, flush=True)
        return False
    print(f"{path.name}: {said}, {time.monotonic() - start:.0f} s", flush=True)
    return not texts


def readme_picture(root: Path = ROOT) -> None:
    """Store the first figure of lesson 1 as `data/detections.jpg`, which README.md shows."""
    cells = read(root / "notebooks" / "01_single_object_detector.ipynb").cells
    (figure,) = [picture for cell in cells if cell.id == "where-we-end" for picture in pictures(cell)]
    write_whole(root / "data" / "detections.jpg", base64.b64decode(figure))


def main(arguments: list[str] | None = None) -> int:
    """Render the given notebooks, or all of them, one after the other."""
    parser = argparse.ArgumentParser(prog="make render", description="Run notebooks and store their outputs.")
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--check", action="store_true", help="run and compare, write nothing")
    options = parser.parse_args(arguments)
    os.environ["COURSE_QUIET"] = "1"
    if os.environ.pop("COURSE_DATA", None):
        print("COURSE_DATA is set; stored outputs show scenes, so it is ignored here.", file=sys.stderr)
    missing = [str(p) for p in options.notebooks if not p.is_file()]
    if missing:
        parser.error("no such notebook: " + ", ".join(missing))
    results = [render(path, options.check) for path in options.notebooks or default_notebooks()]
    if all(results) and not options.check:
        readme_picture()
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
