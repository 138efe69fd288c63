"""Notebooks and course_lib as small structures that the house rules read.

Every rule is a function that returns a list of sentences, empty when all is well, so that each can be shown to fail on
a small bad notebook. One lesson only: `pytest tests/house -q -k 04`.
"""

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SUPPORT = (
    "data",
    "plots",
    "exercises",
    "experiments",
    "cli",
    "progress",
    "checks",
    "weights",
    "results",
    "files",
    "preview",
)
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass
class Cell:
    """One cell: `kind` is "code" or "markdown"."""

    id: str
    kind: str
    source: str
    metadata: dict = field(default_factory=dict)
    outputs: list = field(default_factory=list)
    count: int | None = None

    @property
    def tags(self) -> list[str]:
        return self.metadata.get("tags", [])

    @property
    def reason(self) -> str | None:
        """ "trained" or "timed" for a cell whose output is not compared."""
        return self.metadata.get("course", {}).get("reason")

    @property
    def ignored(self) -> bool:
        return "nbval-ignore-output" in self.tags

    @property
    def exercise(self) -> bool:
        return any(tag.startswith(("exercise-", "check-")) for tag in self.tags)

    @property
    def draft(self) -> bool:
        return "draft" in self.tags

    @property
    def twin(self) -> bool:
        """Whether the cell imports a faster or more complete twin of what an earlier cell taught."""
        return "twin" in self.tags

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @property
    def text(self) -> str:
        """What the cell printed or returned, pictures apart."""
        parts = []
        for output in self.outputs:
            value = output.get("text") or output.get("data", {}).get("text/plain", "")
            parts.append("".join(value))
        return "\n".join(parts)

    @property
    def images(self) -> list[tuple[str, str | None]]:
        """(kind, alt text) of every picture in the output."""
        found = []
        for output in self.outputs:
            for kind in output.get("data", {}):
                if kind.startswith("image/"):
                    found.append((kind, output.get("metadata", {}).get(kind, {}).get("alt")))
        return found


@dataclass
class Notebook:
    """A notebook file; `number` is the lesson, from the file's name."""

    path: Path
    cells: list[Cell]
    raw: dict = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def number(self) -> int:
        return int(self.path.name[:2])

    @property
    def code(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.kind == "code"]

    @property
    def prose(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.kind == "markdown"]


def load(path: Path) -> Notebook:
    """Read a notebook file."""
    raw = json.loads(Path(path).read_text(encoding="utf-8"))
    cells = [
        Cell(
            id=c.get("id", f"cell-{index}"),
            kind=c["cell_type"],
            source="".join(c["source"]),
            metadata=c.get("metadata", {}),
            outputs=c.get("outputs", []),
            count=c.get("execution_count"),
        )
        for index, c in enumerate(raw["cells"])
    ]
    return Notebook(Path(path), cells, raw)


def make(name: str, *cells: Cell | str) -> Notebook:
    """Build a notebook for a rule's own test; a bare string is a code cell."""
    built = [Cell(f"cell-{i}", "code", c, count=i + 1) if isinstance(c, str) else c for i, c in enumerate(cells)]
    return Notebook(Path(name), built)


def markdown(source: str, **metadata) -> Cell:
    """A Markdown cell for a rule's own test."""
    return Cell("words", "markdown", source, metadata)


def code(source: str, *tags: str, id: str = "cell", printed: str = "", reason: str | None = None) -> Cell:
    """A code cell for a rule's own test."""
    metadata = {"tags": list(tags)} | ({"course": {"reason": reason}} if reason else {})
    outputs = [{"output_type": "stream", "name": "stdout", "text": printed}] if printed else []
    return Cell(id, "code", source, metadata, outputs, 1)


def lessons() -> list[Notebook]:
    """All lessons, in order."""
    return [load(path) for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))]


def solutions() -> list[Notebook]:
    """All solution notebooks, in order."""
    return [load(path) for path in sorted((ROOT / "notebooks" / "solutions").glob("[0-9][0-9]_*.ipynb"))]


def each(notebooks: list[Notebook]):
    """Parametrise a test by notebook; its id is the file's name without suffix."""
    return pytest.mark.parametrize("notebook", notebooks, ids=[notebook.path.stem for notebook in notebooks])


def demand(found: list[str]) -> None:
    """Fail with one line a violation."""
    assert not found, "\n" + "\n".join(f"  - {line}" for line in found)


# ---------------------------------------------------------------- source code


class _Bare(ast.NodeTransformer):
    """Remove what a lesson and the library may differ in: docstrings, type hints, leading check_…() calls."""

    def _body(self, node):
        self.generic_visit(node)
        body = list(node.body)
        if body and isinstance(body[0], ast.Expr) and isinstance(getattr(body[0], "value", None), ast.Constant):
            if isinstance(body[0].value.value, str):
                body = body[1:]
        while body and _is_check(body[0]) and isinstance(node, FUNCTIONS):
            body = body[1:]
        node.body = body or [ast.Pass()]
        return node

    def visit_FunctionDef(self, node):
        node.returns = None
        return self._body(node)

    visit_ClassDef = visit_Module = _body

    def visit_arg(self, node):
        node.annotation = None
        return node

    def visit_AnnAssign(self, node):
        if node.value is None:
            return ast.copy_location(ast.Expr(node.target), node)
        return ast.copy_location(ast.Assign([node.target], node.value), node)


def _is_check(statement: ast.stmt) -> bool:
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id.startswith("check_")


def bare(node: ast.AST) -> ast.AST:
    """A copy of a definition without docstrings, type hints and leading check_…() calls."""
    return _Bare().visit(ast.parse(ast.unparse(node)).body[0])


def same_code(a: ast.AST, b: ast.AST) -> bool:
    """Whether two definitions are one (design §2.2)."""
    return ast.unparse(bare(a)) == ast.unparse(bare(b))


def code_lines(source: str) -> int:
    """Lines of code without docstrings, comments and blank lines."""
    docstrings = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (*DEFINITIONS, ast.Module)) and ast.get_docstring(node) is not None:
            docstrings.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = set()
    skipped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in skipped:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - docstrings)


def defined(tree: ast.Module) -> dict[str, ast.stmt]:
    """Names that the top level of a cell or module defines (functions, classes, constants), with their statement."""
    found: dict[str, ast.stmt] = {}
    for node in tree.body:
        if isinstance(node, DEFINITIONS):
            found[node.name] = node
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                for name in ast.walk(target):
                    if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                        found[name.id] = node
    return found


def definitions(notebooks: list[Notebook]) -> Iterator[tuple[Notebook, int, str, ast.stmt]]:
    """Every non-draft top-level definition of the notebooks: (notebook, cell index, name, statement)."""
    for notebook in notebooks:
        for index, cell in enumerate(notebook.cells):
            if cell.kind == "code" and not cell.draft and not cell.exercise:
                for name, statement in defined(cell.tree).items():
                    yield notebook, index, name, statement


@dataclass
class Library:
    """course_lib as syntax trees, by module name without the leading package ("boxes", "data.scenes")."""

    trees: dict[str, ast.Module]

    @classmethod
    def read(cls, root: Path = ROOT / "course_lib") -> "Library":
        trees = {}
        for path in sorted(root.rglob("*.py")):
            module = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
            trees["" if module == "__init__" else module] = ast.parse(path.read_text(encoding="utf-8"))
        return cls(trees)

    def support(self, module: str) -> bool:
        return module == "" or module.split(".")[0] in SUPPORT

    @cached_property
    def concepts(self) -> dict[str, tuple[str, ast.stmt]]:
        """Every name a concept module defines: name → (module, statement)."""
        return {
            name: (module, node)
            for module, tree in self.trees.items()
            if not self.support(module)
            for name, node in defined(tree).items()
        }


def course_imports(tree: ast.AST) -> Iterator[tuple[str, str, str]]:
    """Imports from course_lib anywhere in a tree: (module, name, local name); name "" is the module itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and re.match(r"course_lib(\.|$)", node.module or ""):
            module = node.module.removeprefix("course_lib").removeprefix(".")
            for alias in node.names:
                yield module, alias.name, alias.asname or alias.name
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if re.match(r"course_lib(\.|$)", alias.name):
                    module = alias.name.removeprefix("course_lib").removeprefix(".")
                    yield module, "", alias.asname or alias.name
