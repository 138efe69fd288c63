"""Design §1 and §2.5: short documented functions, imports that run one way, no machine's folders."""

import ast
import re
import subprocess
from pathlib import Path

from house.notebooks import FUNCTIONS, ROOT, Library, course_imports, demand

BELOW = ("results", "weights", "data", "progress", "checks", "files")
MAY_IMPORT = {  # the house from the roof down; what is not listed imports nothing of the course but its own folder
    "cli": ("experiments", "exercises", "plots", "concept", *BELOW),
    "experiments": ("preview", "concept", *BELOW),
    "preview": ("concept", "weights"),
    "exercises": ("concept", *BELOW),
    "plots": ("data", "progress", "checks"),
    "concept": ("progress", "checks"),
    "results": ("data",),
    "weights": ("data",),
    "data": ("progress", "checks"),
}
FOLDER = re.compile(
    r"(?<![\w.:/])/(?:" + "|".join(["work", "root", r"home/\w+", r"Users/\w+", r"tmp/\w+"]) + r")/|[A-Z]:\\Users"
)
TEXT = {".py", ".ipynb", ".md", ".toml", ".yml", ".txt", ".json", ".sh", ".html", ".css", "", ".cfg"}


def functions(tree: ast.Module) -> list[tuple[str, ast.FunctionDef, bool]]:
    """(dotted name, node, public) of module-level functions and of methods."""
    found = []
    for node in tree.body:
        if isinstance(node, FUNCTIONS):
            found.append((node.name, node, not node.name.startswith("_")))
        elif isinstance(node, ast.ClassDef):
            for part in node.body:
                if isinstance(part, FUNCTIONS):
                    public = not node.name.startswith("_") and not part.name.startswith("_")
                    found.append((f"{node.name}.{part.name}", part, public))
    return found


def lengths(library: Library) -> list[str]:
    """Functions have at most 40 lines without their docstring; a nested function counts for itself."""
    found = []
    for module, tree in library.trees.items():
        for node in ast.walk(tree):
            if isinstance(node, FUNCTIONS):
                inner = [part for part in ast.walk(node) if isinstance(part, FUNCTIONS) and part is not node]
                nested = set().union(*(range(part.lineno, part.end_lineno + 1) for part in inner))
                lines = node.end_lineno - node.lineno + 1 - docstring_lines(node) - len(nested)
                if lines > 40:
                    found.append(f"{module}.{node.name}: {lines} lines without docstring, at most 40")
    return found


def docstring_lines(node: ast.AST) -> int:
    """Lines that a definition's docstring takes."""
    if ast.get_docstring(node) is None:
        return 0
    return node.body[0].end_lineno - node.body[0].lineno + 1


def interfaces(library: Library) -> list[str]:
    """Public functions, methods and classes have docstrings; functions have type hints on all arguments and result."""
    found = []
    for module, tree in library.trees.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node):
                found.append(f"{module}.{node.name}: no docstring")
        for name, node, public in functions(tree):
            if public and not ast.get_docstring(node):
                found.append(f"{module}.{name}: no docstring")
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            bare = [a.arg for a in arguments if a.annotation is None and a.arg not in ("self", "cls")]
            if public and (bare or node.returns is None):
                found.append(f"{module}.{name}: no type hint for {', '.join(bare) or 'the result'}")
        if tree.body and not ast.get_docstring(tree):
            found.append(f"{module or 'course_lib'}: no docstring")
    return found


def floor(module: str) -> str:
    """The part of the house a module belongs to: its folder or file, "concept" for every concept module."""
    top = module.split(".")[0]
    return top if Library({}).support(module) else "concept"


def directions(library: Library) -> list[str]:
    """Imports, lazy ones too, run from cli to experiments to concepts to the support modules below, and in no circle."""
    found, arrows = [], {}
    for module, tree in library.trees.items():
        mine = floor(module)
        for source, name, _ in course_imports(tree):
            whole = f"{source}.{name}".strip(".")
            target = whole if whole in library.trees else source
            theirs = floor(target)
            arrows.setdefault(module, set()).add(target)
            if theirs != mine and theirs not in MAY_IMPORT.get(mine, ()):
                found.append(
                    f"{module} imports {target}: {mine} may import {', '.join(MAY_IMPORT.get(mine, ())) or 'nothing'}"
                )
        for node in ast.walk(tree) if mine == "concept" else ():
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found += [f"{module} imports {n}" for n in names if n.split(".")[0] in ("matplotlib", "IPython")]
    return found + circles(arrows)


def circles(arrows: dict[str, set[str]]) -> list[str]:
    """Modules that import each other, directly or through others."""
    found, done = [], set()

    def walk(module: str, way: list[str]) -> None:
        if module in way:
            found.append("a circle of imports: " + " → ".join([*way[way.index(module) :], module]))
        elif module not in done:
            for target in sorted(arrows.get(module, ())):
                walk(target, [*way, module])
            done.add(module)

    for module in sorted(arrows):
        walk(module, [])
    return found


def machine_paths(texts: dict[str, str]) -> list[str]:
    """Absolute folders of somebody's machine in the project's files."""
    found = []
    for name, text in texts.items():
        for match in FOLDER.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(f"{name}:{line}: names a folder of one machine: {text[match.start() : match.end() + 20]!r}")
    return found


def project_texts() -> dict[str, str]:
    """The project's text files: those git knows or would add, else everything outside hidden folders."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    names = (
        listing.stdout.split("\n")
        if listing.returncode == 0
        else [
            str(p.relative_to(ROOT))
            for p in ROOT.rglob("*")
            if not any(q.startswith(".") for q in p.relative_to(ROOT).parts)
        ]
    )
    paths = [Path(ROOT, name) for name in names if name]
    readable = [p for p in paths if p.is_file() and p.suffix in TEXT]
    return {str(p.relative_to(ROOT)): p.read_text(encoding="utf-8", errors="ignore") for p in readable}


LIBRARY = Library.read()


def test_functions_are_short():
    demand(lengths(LIBRARY))


def test_public_functions_are_documented():
    demand(interfaces(LIBRARY))


def test_imports_run_one_way():
    demand(directions(LIBRARY))


def test_no_machine_paths():
    demand(machine_paths(project_texts()))


# ---------------------------------------------------------------- the rules can fail


def small(text: str, module: str = "boxes") -> Library:
    return Library({module: ast.parse('"""Module."""\n' + text)})


def test_long_functions_are_found():
    body = "".join(f"    x = {i}\n" for i in range(40))
    assert lengths(small("def f():\n" + body))
    assert lengths(small("class A:\n" + "\n".join("    " + line for line in ("def f():\n" + body).splitlines())))
    assert lengths(small('def f():\n    """' + "\n" * 30 + '    """\n' + body.replace("    x = 0\n", ""))) == []


def test_nested_functions_count_for_themselves():
    inner = "    def g():\n" + "".join(f"        x = {i}\n" for i in range(30))
    body = "".join(f"    x = {i}\n" for i in range(30))
    assert lengths(small("def f():\n" + inner + body)) == []


def test_missing_hints_and_docstrings_are_found():
    assert len(interfaces(small("def f(x):\n    pass"))) == 2
    assert interfaces(small('def f(x: int):\n    """Text."""'))
    assert interfaces(small("class A:\n    x = 1"))
    assert interfaces(small("def _f(x):\n    pass")) == []
    assert interfaces(small('def f(x: int) -> int:\n    """Text."""')) == []


def test_wrong_imports_are_found():
    assert directions(small("from course_lib.plots import show"))
    assert directions(small("def f():\n    from course_lib import experiments"))
    assert directions(small("def f():\n    from course_lib.experiments import runner", "weights"))
    assert directions(small("from course_lib.boxes import iou", "checks"))
    assert directions(small("from course_lib.weights import load_weights"))
    assert directions(small("import matplotlib.pyplot as plt"))
    assert directions(small("from course_lib.boxes import iou", "experiments.lesson01")) == []
    assert directions(small("from course_lib.progress import progress")) == []


def test_circles_are_found():
    there = ast.parse("def f():\n    from course_lib.boxes import iou")
    back = ast.parse("from course_lib.matching import match")
    assert "boxes → matching → boxes" in directions(Library({"boxes": back, "matching": there}))[0]
    assert directions(Library({"boxes": ast.parse(""), "matching": there})) == []


def test_machine_paths_are_found():
    for folder in ("home/anna", "Users/anna", "root", "tmp/x", "work"):
        assert machine_paths({"a.py": f'open("/{folder}/data.txt")'}), folder
    assert machine_paths({"a.md": "see https://example.org/" + "home/anna/x, and data/home/x/"}) == []
