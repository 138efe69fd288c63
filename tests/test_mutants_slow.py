"""`make test-all`: small mutations of the concept modules must be noticed by the unit tests.

One mutation at a time (+ for -, < for <=, min for max, 0 for 1, the other axis …); the tests that import the module run
on it in a forked process. What survives is printed; at least nine in ten must be noticed.
"""

import ast
import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from house.run_claims import plant  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
MODULES = ("boxes", "default_boxes", "matching", "receptive_field", "losses", "average_precision", "sliding_window")
NOTICED = 0.9
OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult}
COMPARISONS = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
NAMES = {"minimum": "maximum", "maximum": "minimum", "min": "max", "max": "min", "amin": "amax", "amax": "amin"}
NAMES |= {"argmax": "argmin", "argmin": "argmax", "floor": "ceil", "ceil": "floor", "log": "exp", "exp": "log"}

pytestmark = pytest.mark.slow


def mutations(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, source) of every mutant: the tree is changed in place, unparsed and changed back."""

    def shown(node: ast.AST) -> tuple[int, str]:
        return node.lineno, ast.unparse(tree)

    for node in [part for function in tree.body for part in ast.walk(function)]:
        if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
            old, node.op = node.op, OPERATORS[type(node.op)]()
            yield shown(node)
            node.op = old
        elif isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
            old, node.ops[0] = node.ops[0], COMPARISONS[type(node.ops[0])]()
            yield shown(node)
            node.ops[0] = old
        elif isinstance(node, ast.Attribute) and node.attr in NAMES:
            node.attr = NAMES[node.attr]
            yield shown(node)
            node.attr = NAMES[node.attr]
        elif isinstance(node, ast.Constant) and type(node.value) is int and node.value in (0, 1):
            node.value = 1 - node.value
            yield shown(node)
            node.value = 1 - node.value


def tests_of(module: str) -> list[str]:
    """Unit tests that import a module; the slow ones and the house rules apart."""
    paths = sorted((ROOT / "tests").glob("test_*.py"))
    imports = re.compile(rf"course_lib(\.| import .*\b){module}\b")
    return [str(p) for p in paths if "slow" not in p.name and imports.search(p.read_text(encoding="utf-8"))]


def noticed(module: str, source: str, mutant: str, tests: list[str]) -> bool:
    """Whether the tests fail on a mutant, in a forked process."""
    child = os.fork()
    if child == 0:
        code = 3
        with contextlib.suppress(BaseException), open(os.devnull, "w") as silence:
            os.dup2(silence.fileno(), 1)
            os.dup2(silence.fileno(), 2)
            for name in [n for n in sys.modules if n.startswith("course_lib") or n.startswith("test_")]:
                del sys.modules[name]
            plant({module: [source, mutant]})
            with contextlib.redirect_stdout(io.StringIO()):
                code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", *tests])
        os._exit(int(code))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("module", MODULES)
def test_mutants_are_noticed(module):
    import torch

    path = ROOT / "course_lib" / f"{module}.py"
    if not path.is_file():
        pytest.skip("not written yet")
    torch.set_num_threads(1)
    source, tests = path.read_text(encoding="utf-8"), tests_of(module)
    assert tests, f"no unit test imports {module}"
    assert not noticed(module, source, source, tests), "the tests fail on the sound module"
    lines, survivors, count = source.split("\n"), [], 0
    for line, mutant in mutations(ast.parse(source)):
        count += 1
        if not noticed(module, source, mutant, tests):
            survivors.append(f"{module}.py:{line}: {lines[line - 1].strip()}")
    print(f"\n{module}: {count - len(survivors)} of {count} mutants noticed", *survivors, sep="\n  ")
    assert len(survivors) <= (1 - NOTICED) * count, "\n".join(survivors)
