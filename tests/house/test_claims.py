"""Design §5: every claim is shown by a cell, and a fault planted in the definition makes an exact claim's assert fail."""

import ast
import json
import os
import subprocess
import symtable
import sys
from pathlib import Path

import pytest

from house.notebooks import (
    DEFINITIONS,
    ROOT,
    Cell,
    Library,
    Notebook,
    code,
    defined,
    demand,
    lessons,
    make,
)
from house.test_prose_numbers import stored

VERDICTS = ("confirmed", "confirmed in part", "contradicted", "undecided")


def read_claims(root: Path = ROOT) -> list[dict]:
    return json.loads((root / "data" / "claims.json").read_text(encoding="utf-8"))["claims"]


def tagged(notebook: Notebook, claim: dict) -> list[Cell]:
    """The cells that show a claim."""
    return [cell for cell in notebook.code if f"claim-{claim['id']}" in cell.tags]


def proven_in(claim: dict) -> int | None:
    """The lesson that proves a claim's exact part, if it has one."""
    return claim["lessons"][0] if "exact" in claim["kind"] else None


# ---------------------------------------------------------------- what stands in the files


def shown(notebook: Notebook, claims: list[dict]) -> list[str]:
    """Claims of this lesson without a cell, tags without a claim, exact claims without assert or faults."""
    found, known = [], {claim["id"] for claim in claims}
    for cell in notebook.cells:
        for tag in cell.tags:
            if tag.startswith("claim-") and tag[6:] not in known:
                found.append(f"{notebook.name}, cell {cell.id}: {tag} is no claim of data/claims.json")
    for claim in claims:
        if notebook.number not in claim["lessons"]:
            continue
        cells, where = tagged(notebook, claim), f"{notebook.name}: {claim['id']} "
        if not cells:
            found.append(where + f"has no code cell tagged claim-{claim['id']} ({claim['claim'][:60]} …)")
        elif proven_in(claim) == notebook.number:
            if not any(asserts_something(cell) for cell in cells):
                found.append(where + "is exact, but no tagged cell asserts a computed value")
            elif not any(calls_course(cell, notebook) for cell in cells):
                found.append(where + "is exact, but no tagged cell calls a function of the course")
            if not claim.get("faults"):
                found.append(where + "is exact, but data/claims.json plants no fault")
    return found


def asserts_something(cell: Cell) -> bool:
    """Whether a cell asserts something that depends on a name."""
    checks = [node.test for node in ast.walk(cell.tree) if isinstance(node, ast.Assert)]
    return any(isinstance(part, ast.Name) for test in checks for part in ast.walk(test))


def calls_course(cell: Cell, notebook: Notebook) -> bool:
    """Whether a cell calls what an earlier cell defined or imported from course_lib, or something made of it."""
    course: set[str] = set()
    for earlier in notebook.code:
        if earlier is cell:
            break
        for statement in earlier.tree.body:
            needs, gives = names(statement)
            of_course = isinstance(statement, ast.ImportFrom) and str(statement.module).startswith("course_lib")
            if of_course or isinstance(statement, DEFINITIONS) or needs & course:
                course |= gives
    course |= {node.name for node in cell.tree.body if isinstance(node, DEFINITIONS)}
    calls = [node.func for node in ast.walk(cell.tree) if isinstance(node, ast.Call)]
    return any(isinstance(part, ast.Name) and part.id in course for func in calls for part in ast.walk(func))


def recorded(claims: list[dict], numbers: set[int], root: Path = ROOT) -> list[str]:
    """Measured claims whose last lesson exists, without a verdict, value, interval or a result that holds the value."""
    found = []
    for claim in claims:
        if "measured" not in claim["kind"] or max(claim["lessons"]) not in numbers:
            continue
        where = f"claims.json, {claim['id']}: "
        if missing := [key for key in ("verdict", "value", "interval", "result") if claim.get(key) is None]:
            found.append(where + f"measured, but without {', '.join(missing)}")
            continue
        if claim["verdict"] not in VERDICTS:
            found.append(where + f"verdict {claim['verdict']!r} is none of {', '.join(VERDICTS)}")
        low, high = claim["interval"]
        if not low <= claim["value"] <= high:
            found.append(where + f"value {claim['value']} lies outside its interval [{low}, {high}]")
        try:
            truth = stored(claim["result"], root)
        except LookupError as error:
            found.append(where + str(error))
            continue
        if type(truth) in (int, float) and abs(truth - claim["value"]) > 0.005 * max(1, abs(truth)):
            found.append(where + f"value {claim['value']}, but {claim['result']} is {truth:.6g}")
    return found


# ---------------------------------------------------------------- what runs


def names(statement: ast.stmt) -> tuple[set[str], set[str]]:
    """(names a top-level statement reads, names it binds), the scopes inside it respected."""

    def free(table: symtable.SymbolTable) -> set[str]:
        found = {s.get_name() for s in table.get_symbols() if s.is_global() and s.is_referenced()}
        return found.union(*(free(child) for child in table.get_children()))

    table = symtable.symtable(ast.unparse(statement), "cell", "exec")
    symbols = table.get_symbols()
    needs = {s.get_name() for s in symbols if s.is_referenced()}.union(*(free(c) for c in table.get_children()))
    if isinstance(statement, ast.AugAssign):
        needs |= {part.id for part in ast.walk(statement.target) if isinstance(part, ast.Name)}
    return needs, {s.get_name() for s in symbols if s.is_assigned() or s.is_imported() or s.is_namespace()}


def flow(cell: Cell) -> tuple[set[str], set[str]]:
    """(names a cell reads from earlier cells, names it binds)."""
    needs: set[str] = set()
    gives: set[str] = set()
    for statement in cell.tree.body:
        reads, binds = names(statement)
        needs |= reads - gives
        gives |= binds
    return needs, gives


def runnable(notebook: Notebook) -> tuple[list[Cell], dict[str, str]]:
    """Cells that run without trained, timed, exercise and figure cells, and why each other cell does not.

    A cell that reads what a left-out cell made is left out as well. A figure cell stays if a later cell that is no
    figure reads what it made, or if it shows a claim.
    """
    flows = {cell.id: flow(cell) for cell in notebook.code}
    kept, left, spoilt = [], {}, {}
    for index, cell in enumerate(notebook.code):
        needs, gives = flows[cell.id]
        later = [flows[c.id][0] for c in notebook.code[index + 1 :] if not c.images and not c.ignored]
        claim = any(tag.startswith("claim-") for tag in cell.tags)
        why = None
        if cell.ignored:
            why = f"cell {cell.id} is {cell.reason}"
        elif cell.exercise:
            why = f"cell {cell.id} is an exercise"
        elif needs & spoilt.keys():
            name = sorted(needs & spoilt.keys())[0]
            why = f"it reads {name}, and {spoilt[name]}"
        elif cell.images and not claim and not any(gives & reads for reads in later):
            left[cell.id] = "figure"
            continue
        if why:
            left[cell.id] = why
            spoilt |= dict.fromkeys(gives, why)
        else:
            kept.append(cell)
            spoilt = {name: reason for name, reason in spoilt.items() if name not in gives}
    return kept, left


def needed_for(claims: list[str], cells: list[Cell]) -> set[str]:
    """Ids of the cells whose names the claim cells read, directly or through others."""
    wanted: set[str] = set()
    ids: set[str] = set()
    for cell in reversed(cells):
        needs, gives = flow(cell)
        if cell.id in claims or gives & wanted:
            ids.add(cell.id)
            wanted |= needs
    return ids


def plant(source: str, old: str, new: str, concepts: set[str]) -> str:
    """Plant a fault in a cell: in its definitions of concepts only, not in the code that uses them."""
    lines = source.split("\n")
    for name, node in reversed(defined(ast.parse(source)).items()):
        if name in concepts:
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))]) - 1
            lines[first : node.end_lineno] = "\n".join(lines[first : node.end_lineno]).replace(old, new).split("\n")
    return "\n".join(lines)


def concept_texts(folder: Path) -> dict[str, str]:
    """The source text of course_lib's modules that a fault may be planted in."""
    library = Library.read(folder)
    paths = {module: folder.joinpath(*module.split(".")).with_suffix(".py") for module in library.trees if module}
    return {
        module: path.read_text(encoding="utf-8")
        for module, path in paths.items()
        if path.is_file() and (not library.support(module) or module.startswith("data"))
    }


def homes(old: str, notebook: Notebook, texts: dict[str, str], library: Library) -> list[str]:
    """Modules that hold a fault's text; of several, those whose definition with that text stands in the lesson too."""
    modules = [module for module, text in texts.items() if old in text]
    if len(modules) > 1:
        known = [(n, c.source) for c in notebook.code if not c.draft for n in defined(c.tree) if n in library.concepts]
        mine = {library.concepts[n][0] for n, source in known if plant(source, old, "", {n}) != source}
        modules = [module for module in modules if module in mine] or modules
    return modules


def start(jobs: list[dict], folder: Path) -> list[dict]:
    """Run jobs through run_claims.py, from the notebooks' folder."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COURSE_QUIET": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    script = Path(__file__).with_name("run_claims.py")
    cwd = folder / "notebooks" if (folder / "notebooks").is_dir() else folder
    environment["PYTHONPATH"] = str(folder)
    result = subprocess.run(
        [sys.executable, str(script)], input=json.dumps(jobs), cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def exact(notebook: Notebook, claims: list[dict], root: Path = ROOT) -> list[str]:
    """Exact claims that fail when sound, that need a trained cell, or that a planted fault does not make fail."""
    texts, library = concept_texts(root / "course_lib"), Library.read(root / "course_lib")
    concepts, (kept, left) = set(library.concepts), runnable(notebook)
    found, mine = [], {}
    for claim in claims:
        cells = [c for c in tagged(notebook, claim) if asserts_something(c)]
        if proven_in(claim) == notebook.number and cells:
            bad = [f"{c.id}: {left[c.id]}" for c in cells if c.id in left]
            found += [f"{notebook.name}: {claim['id']} cannot run without trained cells, {line}" for line in bad]
            if not bad:
                mine[claim["id"]] = [c.id for c in cells]
    if not mine:
        return found
    ids = sorted({id for group in mine.values() for id in group})
    jobs, about = [{"cells": [[c.id, c.source] for c in kept], "claims": ids, "faults": {}, "needed": []}], []
    for claim in (c for c in claims if c["id"] in mine):
        here = mine[claim["id"]]
        run = kept[: max(i for i, c in enumerate(kept) if c.id in here) + 1]
        for fault in claim.get("faults", []):
            modules = homes(fault["old"], notebook, texts, library)
            label = f"{notebook.name}: {claim['id']}, fault {fault['old']!r} → {fault['new']!r} "
            if len(modules) != 1:
                found.append(label + f"must stand in one module of course_lib, it stands in {modules or 'none'}")
                continue
            cells = [[c.id, plant(c.source, fault["old"], fault["new"], concepts)] for c in run]
            needed, change = sorted(needed_for(here, run)), {modules[0]: [fault["old"], fault["new"]]}
            jobs.append({"cells": cells, "claims": here, "faults": change, "needed": needed})
            about.append(label)
    sound, *faulty = start(jobs, root)
    broken = {id for id in ids if sound["claims"].get(id) != "passed"}
    for id in sorted(broken):
        found.append(f"{notebook.name}, cell {id}: fails unharmed: {sound['claims'].get(id)} {sound['trouble'][:2]}")
    for label, result in zip(about, faulty, strict=True):
        verdicts = result["claims"]
        if not broken & set(verdicts) and not any(v.startswith("AssertionError") for v in verdicts.values()):
            found.append(label + f"is not noticed by the claim's assert: {', '.join(sorted(set(verdicts.values())))}")
    return found


ALL, CLAIMS = lessons(), read_claims()
EACH = pytest.mark.parametrize("notebook", ALL, ids=[n.path.stem for n in ALL])


@EACH
def test_every_claim_is_shown(notebook):
    demand(shown(notebook, CLAIMS))


@EACH
def test_exact_claims_and_their_faults(notebook):
    demand(exact(notebook, CLAIMS))


@EACH
def test_measured_claims_are_recorded(notebook):
    demand(recorded([c for c in CLAIMS if max(c["lessons"]) == notebook.number], {notebook.number}))


# ---------------------------------------------------------------- the rules can fail

AREA = "def area(a):\n    return (a[2] - a[0]) * (a[3] - a[1])"
CLAIM = {
    "id": "C01",
    "lessons": [4],
    "kind": "exact",
    "claim": "An area is width times height",
    "faults": [{"old": "a[3] - a[1]", "new": "a[3] + a[1]"}],
}
PROOF = code("assert area([0, 1, 3, 5]) == 12", "claim-C01", id="proof")


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Path:
    """A tiny project with one concept."""
    folder = tmp_path_factory.mktemp("house")
    (folder / "course_lib").mkdir()
    (folder / "course_lib" / "__init__.py").write_text("")
    (folder / "course_lib" / "boxes.py").write_text(AREA + "\n")
    return folder


def problems(house: Path, *cells, **change) -> str:
    built = [cell if isinstance(cell, Cell) else code(cell, id=f"step-{i}") for i, cell in enumerate(cells)]
    return " ".join(exact(make("04_a.ipynb", *built), [CLAIM | change], house))


def test_sound_claims_pass(house):
    assert problems(house, AREA, PROOF) == ""
    assert problems(house, "from course_lib.boxes import area", PROOF) == ""


def test_a_wrong_claim_is_found(house):
    wrong = code("assert area([0, 1, 3, 5]) == 13", "claim-C01", id="proof")
    assert "fails unharmed: AssertionError" in problems(house, AREA, wrong)


def test_a_fault_that_nobody_notices_is_found(house):
    blind = code("assert area([0, 0, 3, 5]) == 15", "claim-C01", id="proof")
    assert "not noticed" in problems(house, AREA, blind)
    assert "not noticed" in problems(house, "from course_lib.boxes import area", blind)


def test_another_error_than_the_assert_does_not_count(house):
    assert "not noticed" in problems(house, AREA, PROOF, faults=[{"old": "a[3] - a[1]", "new": "a[9]"}])


def test_an_earlier_assert_that_fails_does_not_hide_the_claim(house):
    assert problems(house, AREA, "assert area([0, 1, 3, 5]) == 12\nx = 1", PROOF) == ""


def test_a_fault_that_stands_nowhere_is_found(house):
    assert "stands in none" in problems(house, AREA, PROOF, faults=[{"old": "a[5]", "new": "a[6]"}])


def test_a_claim_that_needs_training_is_found(house):
    train = code("box = [0, 1, 3, 5]", "nbval-ignore-output", id="fit", reason="trained")
    proof = code("assert area(box) == 12", "claim-C01", id="proof")
    assert "cell fit is trained" in problems(house, AREA, train, proof)
    assert problems(house, AREA, train, "box = [0, 1, 3, 5]", proof) == ""


def test_a_figure_is_left_out_unless_it_is_needed(house):
    figure = code("box = [0, 1, 3, 5]", id="figure")
    figure.outputs = [{"output_type": "display_data", "data": {"image/png": ""}}]
    notebook = make("04_a.ipynb", figure, PROOF)
    assert runnable(notebook)[1] == {"figure": "figure"}
    assert runnable(make("04_a.ipynb", figure, code("assert area(box) == 12", "claim-C01", id="proof")))[1] == {}


def test_missing_cells_asserts_calls_and_faults_are_found():
    def text(*cells, **change) -> str:
        return " ".join(shown(make("04_a.ipynb", *cells), [CLAIM | change]))

    assert text(code(AREA, id="def"), PROOF) == ""
    assert "no code cell tagged" in text(AREA)
    assert "asserts a computed value" in text(code(AREA, id="def"), code("area(1)\nassert True", "claim-C01"))
    assert "calls a function" in text(code("x = 12\nassert x == 12", "claim-C01"))
    assert "plants no fault" in text(code(AREA, id="def"), PROOF, faults=[])
    assert "is no claim" in text(code(AREA, id="def"), PROOF, code("x", "claim-C99", id="x"))


def test_missing_records_are_found(tmp_path):
    (tmp_path / "data" / "results").mkdir(parents=True)
    (tmp_path / "data" / "results" / "a.json").write_text('{"gain": 0.412}')
    good = {
        "id": "C04",
        "lessons": [4],
        "kind": "measured",
        "verdict": "confirmed",
        "value": 0.41,
        "interval": [0.3, 0.5],
        "result": "results/a.json#/gain",
    }
    assert recorded([good], {4}, tmp_path) == []
    assert recorded([good | {"value": None}], {5}, tmp_path) == []
    for change in (
        {"verdict": "proven"},
        {"value": 0.9},
        {"value": 0.45},
        {"interval": None},
        {"result": "results/a.json#/x"},
    ):
        assert recorded([good | change], {4}, tmp_path), change
