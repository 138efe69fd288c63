"""Design §3 and §5: short cells, honest tags, pictures with alt text, files that diff well."""

import ast
import json
import re
import statistics
import subprocess
import sys

from house.notebooks import (
    ROOT,
    Cell,
    Notebook,
    code,
    code_lines,
    demand,
    each,
    lessons,
    make,
    markdown,
    solutions,
)

REASONS = ("trained", "timed")
OTHER_SWITCHES = ("nbval-skip", "nbval-check-output", "nbval-raises-exception", "raises-exception", "nbval-test-listed")
PROGRESS = re.compile(r"█|it/s\b|s/it\b|\d+%\||\r")
MILLISECONDS = re.compile(r"\d ?(ms|µs|us|milliseconds|microseconds)\b")


def at(notebook: Notebook, cell: Cell) -> str:
    return f"{notebook.name}, cell {cell.id}: "


def budget(notebook: Notebook) -> list[str]:
    """Median ≤ 8 lines a code cell, none over 25; cells tagged `definition` may have 40."""
    counts = {cell.id: code_lines(cell.source) for cell in notebook.code}
    found = []
    if counts and statistics.median(counts.values()) > 8:
        found.append(f"{notebook.name}: the median code cell has {statistics.median(counts.values())} lines, at most 8")
    for cell in notebook.code:
        limit = 40 if "definition" in cell.tags else 25
        if counts[cell.id] > limit:
            found.append(at(notebook, cell) + f"{counts[cell.id]} lines of code, at most {limit}")
    return found


def plain_python(notebook: Notebook) -> list[str]:
    """No magics or shell lines: a cell is Python that the other rules can read."""
    found = []
    for cell in notebook.code:
        try:
            ast.parse(cell.source)
        except SyntaxError as error:
            found.append(at(notebook, cell) + f"not plain Python (line {error.lineno}); no magics, no shell lines")
    return found


def pictures(notebook: Notebook) -> list[str]:
    """Every picture has alt text of at least four words, in outputs and in prose."""
    found = []
    for cell in notebook.code:
        for kind, alt in cell.images:
            if not alt or len(alt.split()) < 4:
                found.append(at(notebook, cell) + f"{kind} without alt text; end the cell with plots.show(fig, alt=…)")
            if kind == "image/svg+xml":
                found.append(at(notebook, cell) + "SVG outputs hold ids and dates; store PNG or JPEG")
    for cell in notebook.prose:
        for alt in re.findall(r"!\[(.*?)\]\(", cell.source):
            if len(alt.split()) < 4:
                found.append(at(notebook, cell) + f"picture with alt text {alt!r}; say in a sentence what it shows")
    return found


def switches(notebook: Notebook) -> list[str]:
    """Only trained and timed cells may go uncompared, by tag and with their reason in the metadata."""
    found = []
    for cell in notebook.code:
        where = at(notebook, cell)
        if cell.ignored and cell.reason not in REASONS:
            found.append(where + "`nbval-ignore-output` without metadata.course.reason trained or timed")
        if cell.reason and not cell.ignored:
            found.append(where + f"reason {cell.reason!r} without the tag nbval-ignore-output")
        for tag in cell.tags:
            if tag in OTHER_SWITCHES:
                found.append(where + f"the tag {tag} switches a check off")
        if re.search(r"^\s*#\s*(NBVAL|PYTEST_VALIDATE)", cell.source, re.MULTILINE | re.IGNORECASE):
            found.append(where + "a comment switches the comparison; use the tag and its reason")
        if cell.reason == "timed" and MILLISECONDS.search(cell.text):
            found.append(where + "stores milliseconds; print an ordering, tables of times come from data/results")
    return found


def bands(notebook: Notebook) -> list[str]:
    """After trained cells, one of the next two compared cells asserts a band or another property."""
    found, compared = [], notebook.code
    for index, cell in enumerate(compared):
        if cell.reason != "trained" or index + 1 < len(compared) and compared[index + 1].reason == "trained":
            continue
        following = [c for c in compared[index + 1 :] if not c.ignored][:2]
        if not any(asserts(c) for c in following):
            found.append(at(notebook, cell) + "no assert (in_band, or assert) in the cell after this trained one")
    return found


def asserts(cell: Cell) -> bool:
    """Whether a cell holds an assert, or a call that asserts (in_band, torch.testing…)."""
    return any(
        isinstance(node, ast.Assert)
        or isinstance(node, ast.Call)
        and re.search(r"in_band$|assert_", ast.unparse(node.func)) is not None
        for node in ast.walk(cell.tree)
    )


def figure_data(notebook: Notebook) -> list[str]:
    """Pictures are not compared, so a section with a compared figure asserts something computed."""
    found, section, drawn = [], [], None
    for cell in [*notebook.cells, Cell("end", "markdown", "# end")]:
        if cell.kind == "markdown" and re.search(r"^#{1,2} ", cell.source, re.MULTILINE):
            if drawn and not any(asserts(c) for c in section):
                found.append(at(notebook, drawn) + "a figure in a section without any assert on its data")
            section, drawn = [], None
        elif cell.kind == "code":
            section.append(cell)
            drawn = drawn or (cell if cell.images and not cell.ignored else None)
    return found


def outputs(notebook: Notebook) -> list[str]:
    """Executed once from top to bottom; no errors, stderr, progress bars, widgets or memory addresses stored."""
    found = []
    counts = [cell.count for cell in notebook.code]
    if counts != list(range(1, len(counts) + 1)):
        found.append(f"{notebook.name}: execution counts are {counts[:6]}…, not 1..n; run make render NB=…")
    for cell in notebook.code:
        where = at(notebook, cell)
        for output in cell.outputs:
            kinds = " ".join(output.get("data", {}))
            if output["output_type"] == "error":
                found.append(where + "stored error; catch it and print it")
            if output.get("name") == "stderr":
                found.append(where + "stored stderr")
            if "widget" in kinds or "javascript" in kinds:
                found.append(where + "stored widget or script")
        if PROGRESS.search(cell.text):
            found.append(where + "a progress bar in stored output; use course_lib.progress")
        if re.search(r"0x[0-9a-fA-F]{6,}", cell.text):
            found.append(where + "a memory address in stored output")
    return found


def file(notebook: Notebook) -> list[str]:
    """Ids, kernelspec, size and line ends of the file itself."""
    found, raw = [], notebook.raw
    ids = [cell.get("id") for cell in raw["cells"]]
    for bad in sorted({str(i) for i in ids if ids.count(i) > 1 or not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", str(i))}):
        found.append(f"{notebook.name}: cell id {bad!r} is missing, stands twice or is not like-this")
    for bad in ids:
        if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f-]{27})?|cell-\d+", str(bad)):
            found.append(f"{notebook.name}: cell id {bad!r} says nothing; name what the cell does")
    meta = raw.get("metadata", {})
    if set(meta) - {"course"} != {"kernelspec", "language_info"}:
        found.append(f"{notebook.name}: notebook metadata {sorted(meta)}; make render keeps kernelspec and language")
    elif meta["kernelspec"]["name"] != "python3" or meta["language_info"] != {"name": "python"}:
        found.append(f"{notebook.name}: kernelspec must be python3 and language_info only its name")
    for cell in raw["cells"]:
        if {"execution", "ExecuteTime", "scrolled", "collapsed"} & set(cell.get("metadata", {})):
            found.append(f"{notebook.name}, cell {cell.get('id')}: times or editor state in the metadata")
    if notebook.path.is_file():
        data = notebook.path.read_bytes()
        if len(data) > 1_000_000:
            found.append(f"{notebook.name}: {len(data) / 1e6:.2f} MB, at most 1; photographs as JPEG")
        if b"\r\n" in data:
            found.append(f"{notebook.name}: Windows line ends")
    return found


RULES = (budget, plain_python, pictures, switches, bands, outputs, file)


@each(lessons())
def test_cells(notebook):
    demand([line for rule in (*RULES, figure_data) for line in rule(notebook)])


@each(solutions())
def test_solution_cells(notebook):
    demand([line for rule in (plain_python, pictures, switches, outputs, file) for line in rule(notebook)])


def test_style_of_cells():
    """ruff reads notebooks as it reads modules."""
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format=concise", "."]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_modules_are_formatted():
    command = [sys.executable, "-m", "ruff", "format", "--check", "--no-cache", "."]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, f"{result.stdout}\nrun `python -m ruff format .`"


# ---------------------------------------------------------------- the rules can fail


def notebook(*cells) -> Notebook:
    return make("04_a.ipynb", *cells)


def test_budget_can_fail():
    long = "\n".join(f"x{i} = {i}" for i in range(26))
    assert len(budget(notebook("x = 1", "y = 1", long))) == 1
    assert budget(notebook("x = 1", "y = 1", code(long, "definition"))) == []
    assert "median" in budget(notebook("\n".join("x = 1" for _ in range(9))))[0]
    assert budget(notebook('"""Text.\n' + "more\n" * 30 + '"""\n\n# comment\n' + "x = 1\n" * 8)) == []
    assert len(budget(notebook("f(\n" + "  1,\n" * 30 + ")"))) == 2


def test_magics_are_found():
    assert plain_python(notebook("%matplotlib inline"))
    assert plain_python(notebook("!pip install x"))


def test_missing_alt_text_is_found():
    cell = code("draw()")
    cell.outputs = [{"output_type": "display_data", "data": {"image/png": "x"}, "metadata": {}}]
    assert pictures(notebook(cell))
    cell.outputs[0]["metadata"] = {"image/png": {"alt": "Two boxes that overlap"}}
    assert pictures(notebook(cell)) == []
    assert pictures(notebook(markdown("![](a.png)")))


def test_switches_can_fail():
    assert switches(notebook(code("x", "nbval-ignore-output")))
    assert switches(notebook(code("x", "nbval-ignore-output", reason="random")))
    assert switches(notebook(code("x", reason="trained")))
    assert switches(notebook(code("x", "nbval-skip")))
    assert switches(notebook(code("# NBVAL_IGNORE_OUTPUT\nx")))
    assert switches(notebook(code("x", "nbval-ignore-output", reason="timed", printed="12.3 ms")))
    assert switches(notebook(code("x", "nbval-ignore-output", reason="trained", printed=".5"))) == []


def test_missing_band_is_found():
    trained = code("train()", "nbval-ignore-output", reason="trained")
    assert bands(notebook(trained, "print(1)"))
    assert bands(notebook(trained))
    assert bands(notebook(trained, code("assert x", "nbval-ignore-output", reason="timed")))
    assert bands(notebook(trained, "in_band('lesson01', 'accuracy', 1)")) == []
    assert bands(notebook(trained, trained, "assert x > 0")) == []


def test_figure_without_assert_is_found():
    cell = code("draw()")
    cell.outputs = [{"output_type": "display_data", "data": {"image/png": "x"}, "metadata": {}}]
    assert figure_data(notebook(markdown("## A"), cell, markdown("## B"), "assert True"))
    assert figure_data(notebook(markdown("## A"), cell, "assert data == 3", markdown("## B"))) == []


def test_bad_outputs_are_found():
    second = code("x")
    second.count = 3
    assert "1..n" in outputs(notebook("x", second))[0]
    stripped = code("x")
    stripped.count = None
    assert "1..n" in outputs(notebook(stripped))[0]
    for output in (
        {"output_type": "error", "ename": "E"},
        {"output_type": "stream", "name": "stderr", "text": "warning"},
        {"output_type": "stream", "name": "stdout", "text": "50%|█████"},
        {"output_type": "execute_result", "data": {"text/plain": "<Line2D at 0x7f00deadbeef>"}},
        {"output_type": "display_data", "data": {"application/vnd.jupyter.widget-view+json": {}}},
    ):
        cell = code("x")
        cell.outputs = [output]
        assert len(outputs(notebook(cell))) == 1, output


def test_bad_files_are_found(tmp_path):
    good = {
        "cells": [{"id": "title", "cell_type": "markdown", "source": [], "metadata": {}}],
        "metadata": {"kernelspec": {"name": "python3"}, "language_info": {"name": "python"}},
    }
    path = tmp_path / "04_a.ipynb"

    def problems(change=lambda raw: None, text=lambda t: t) -> list[str]:
        raw = json.loads(json.dumps(good))
        change(raw)
        path.write_bytes(text(json.dumps(raw, indent=1)).encode())
        return file(Notebook(path, [], raw))

    assert problems() == []
    assert problems(lambda raw: raw["cells"].append(raw["cells"][0]))
    assert problems(lambda raw: raw["cells"][0].pop("id"))
    assert problems(lambda raw: raw["cells"][0].update(id="a1b2c3d4"))
    assert problems(lambda raw: raw["metadata"].update(widgets={}))
    assert problems(lambda raw: raw["metadata"]["kernelspec"].update(name="my-env"))
    assert problems(lambda raw: raw["metadata"]["language_info"].update(version="3.11"))
    assert problems(lambda raw: raw["cells"][0].update(metadata={"execution": {}}))
    assert problems(text=lambda t: t.replace("\n", "\r\n"))
    assert problems(text=lambda t: t + " " * 1_000_001)
