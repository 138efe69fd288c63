"""Design §2.1: every concept a lesson imports, and all that its source reaches, was built in an earlier cell or lesson.

One exception: a cell tagged `twin` may import a faster or more complete twin of what an earlier cell taught, if an
assert of the same cell holds the imported name against a function that stands in an earlier cell of the notebook. What
the twin reaches inside its own module comes with it; what it reaches elsewhere was built as usual.
"""

import ast

from house.notebooks import (
    FUNCTIONS,
    Library,
    Notebook,
    bare,
    code,
    course_imports,
    defined,
    definitions,
    demand,
    each,
    lessons,
    make,
)

FOLLOWED_SUPPORT = ("data", "plots", "checks", "progress", "weights", "results")
OF_THE_COMMANDS = (  # what a reader calls, not what a lesson teaches: the check of a folder, a detector out of a checkpoint
    ("cli.doctor", "doctor"),
    ("experiments.checkpoints", "ready"),
)
READY_MADE = ("torchvision.ops", "torchvision.models.detection")


def names_in_scope(tree: ast.Module, module: str, library: Library) -> dict[str, tuple[str, str]]:
    """Local name → (module, name) for a module's own definitions and its imports from course_lib."""
    scope = {}
    for source, name, local in course_imports(tree):
        whole = f"{source}.{name}".strip(".") if name else source
        scope[local] = (whole, "") if whole in library.trees else (source, name)
    return scope | {name: (module, name) for name in defined(tree)}


def mentioned(node: ast.AST) -> set[str]:
    """Names a definition reads, its own parameters and local variables apart; `a.b` also as "a.b"."""
    found, local = set(), set()
    for part in ast.walk(node):
        if isinstance(part, ast.arg):
            local.add(part.arg)
        elif isinstance(part, ast.Name):
            (found if isinstance(part.ctx, ast.Load) else local).add(part.id)
        elif isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
            found.add(f"{part.value.id}.{part.attr}")
    local -= {node.name} if hasattr(node, "name") else set()
    if not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        local = set()
    return {name for name in found if name.split(".")[0] not in local}


def reached(module: str, name: str, library: Library) -> dict[tuple[str, str], list[str]]:
    """Everything (module, name) reaches in the library's syntax trees, each with the way that leads there."""
    way = {(module, name): [name]}
    queue = [(module, name)]
    while queue:
        here = queue.pop()
        tree = library.trees.get(here[0])
        node = defined(tree).get(here[1]) if tree else None
        if node is None and tree is not None and here[1]:
            step = {here[1]}
        elif node is None:
            continue
        else:
            node = bare(node)
            step = mentioned(node)
        scope = names_in_scope(tree, here[0], library)
        for source, target, local in course_imports(node) if node is not None else ():
            scope[local] = (source, target)
        for word in sorted(step):
            head, _, attribute = word.partition(".")
            there = scope.get(head)
            if there and there[1] == "" and attribute:
                there = (there[0], attribute)
            if there and there[1] and there not in way and there != here:
                way[there] = [*way[here], there[1]]
                if not library.support(there[0]) or there[0].split(".")[0] in FOLLOWED_SUPPORT:
                    queue.append(there)
    return way


def twins(notebook: Notebook, library: Library) -> dict[str, set[tuple[str, bool]]]:
    """What each `twin` cell brings, by cell id: names of the library, each with whether it is a function or class."""
    taught: set[str] = set()
    brought: dict[str, set[tuple[str, bool]]] = {}
    for cell in notebook.code:
        if cell.twin:
            asserts = [mentioned(node.test) for node in ast.walk(cell.tree) if isinstance(node, ast.Assert)]
            found = set()
            for module, name, local in course_imports(cell.tree):
                if any(local in names and names & (taught - {local}) for names in asserts):
                    found |= {there for source, there in reached(module, name, library) if source == module}
            brought[cell.id] = {(n, is_function(library.concepts[n][1])) for n in found if n in library.concepts}
        if not cell.exercise:
            taught |= {name for name, node in defined(cell.tree).items() if is_function(node)}
    return brought


def violations(notebook: Notebook, before: list[Notebook], library: Library) -> list[str]:
    """Names that `notebook` imports, or reaches through an import, before they were built."""
    earlier = definitions([n for n in before if n.number < notebook.number])
    built = {(name, is_function(node)) for _, _, name, node in earlier}
    for lesson in before:
        if lesson.number < notebook.number:
            built = built.union(*twins(lesson, library).values())
    found, whole, brought = [], {}, twins(notebook, library)
    for cell in notebook.code:
        built |= brought.get(cell.id, set())
        where = f"{notebook.name}, cell {cell.id}: "
        wanted = []
        for module, name, local in course_imports(cell.tree):
            inside = f"{module}.{name}".strip(".")
            if name and inside not in library.trees:
                wanted.append((module, name))
            elif inside in library.trees and library.support(inside) and inside.split(".")[0] != "experiments" and name:
                whole[local] = inside
            else:
                found.append(where + f"write `from course_lib.{inside} import …`, not a whole module")
        for word in mentioned(cell.tree):
            if word.split(".")[0] in whole and "." in word:
                wanted.append((whole[word.split(".")[0]], word.split(".")[1]))
        for module, name in wanted:
            if module.split(".")[0] in ("experiments", "cli") and (module, name) not in OF_THE_COMMANDS:
                found.append(where + f"from {module} a lesson imports nothing, so not {name}")
            for (source, reach), way in reached(module, name, library).items():
                known = library.concepts.get(reach)
                if library.support(source) or known and (reach, is_function(known[1])) in built:
                    continue
                through = f" (reached through {' → '.join(way)})" if len(way) > 1 else ""
                found.append(where + f"{source}.{reach} is used before a cell built it{through}")
        if not cell.draft and not cell.exercise:
            built |= {(name, is_function(node)) for name, node in defined(cell.tree).items()}
    return found


def second_implementations(library: Library) -> list[str]:
    """Definitions in support modules that repeat a concept module's, by name or by code."""
    found = []
    bodies = {ast.unparse(anonymous(node)): name for name, (_, node) in library.concepts.items() if is_function(node)}
    for module, tree in library.trees.items():
        if not library.support(module):
            continue
        for name, node in defined(tree).items():
            if name in library.concepts and not name.startswith("_") and is_function(node):
                found.append(f"{module}.{name} has the name of the concept {library.concepts[name][0]}.{name}")
            elif is_function(node) and ast.unparse(anonymous(node)) in bodies:
                found.append(f"{module}.{name} repeats the concept {bodies[ast.unparse(anonymous(node))]}")
    return found


def is_function(node: ast.stmt) -> bool:
    return isinstance(node, (*FUNCTIONS, ast.ClassDef))


def anonymous(node: ast.stmt) -> ast.AST:
    """A definition with its own name and its local names numbered, so that renaming does not hide a copy."""
    node = bare(node)
    node.name = "it"
    local = {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)}
    local |= {p.id for p in ast.walk(node) if isinstance(p, ast.Name) and isinstance(p.ctx, ast.Store)}
    numbers: dict[str, str] = {}
    for part in ast.walk(node):
        key = "arg" if isinstance(part, ast.arg) else "id" if isinstance(part, ast.Name) else None
        if key and getattr(part, key) in local:
            setattr(part, key, numbers.setdefault(getattr(part, key), f"v{len(numbers)}"))
    return node


def ready_made(library: Library) -> list[str]:
    """Concept modules that import what the course teaches to write (two_stage wraps torchvision's FasterRCNN)."""
    found = []
    for module, tree in library.trees.items():
        if library.support(module) or module == "two_stage":
            continue
        for node in ast.walk(tree):
            sources = [node.module] if isinstance(node, ast.ImportFrom) else []
            sources += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found += [
                f"{module} imports {s}: the course writes this itself" for s in sources if s.startswith(READY_MADE)
            ]
    return found


ALL, LIBRARY = lessons(), Library.read()


@each(ALL)
def test_built_before_used(notebook):
    demand(violations(notebook, ALL, LIBRARY))


def test_no_second_implementation():
    demand(second_implementations(LIBRARY))


def test_nothing_ready_made():
    demand(ready_made(LIBRARY))


# ---------------------------------------------------------------- the rules can fail

SMALL = Library(
    {
        "boxes": ast.parse("EPS = 1\ndef _area(b):\n    return b\ndef iou(a, b):\n    return _area(a) + EPS"),
        "data": ast.parse("def load():\n    from course_lib.boxes import iou\n    return iou(1, 2)"),
        "matching": ast.parse("def match(iou):\n    return iou"),
        "plots": ast.parse("from course_lib import matching\ndef draw():\n    return matching.match(1)"),
    }
)
BUILT = "EPS = 1\ndef _area(b):\n    return b\ndef iou(a, b):\n    return _area(a) + EPS"


def found(second: str, first: str | None = None) -> list[str]:
    before = [make("01_a.ipynb", code(first))] if first else []
    return violations(make("02_b.ipynb", code(second)), before, SMALL)


def test_import_of_an_unbuilt_concept_is_found():
    assert "iou is used before" in found("from course_lib.boxes import iou")[0]
    assert found("from course_lib.boxes import iou", BUILT) == []


def test_private_helper_and_constant_are_followed():
    only_iou = "def iou(a, b):\n    return _area(a) + EPS"
    text = " ".join(found("from course_lib.boxes import iou", only_iou))
    assert "boxes._area" in text and "boxes.EPS" in text and "iou → _area" in text


def test_data_and_plots_are_followed():
    assert any("load → iou" in line for line in found("from course_lib.data import load"))
    assert any("draw → match" in line for line in found("from course_lib.plots import draw"))


def test_a_parameter_is_not_a_reference():
    assert found("from course_lib.matching import match", "def match(iou):\n    return iou") == []


def test_a_draft_does_not_count():
    lesson = [make("01_a.ipynb", code(BUILT, "draft"))]
    assert violations(make("02_b.ipynb", "from course_lib.boxes import iou"), lesson, SMALL)


TWIN = "from course_lib.boxes import iou\nassert iou(1, 2) == slow_iou(1, 2)"
SLOW = code("def slow_iou(a, b):\n    return a + 1", "draft", id="slow")


def test_a_twin_stands_behind_what_it_is_a_twin_of():
    assert violations(make("02_b.ipynb", SLOW, code(TWIN, "twin", id="fast")), [], SMALL) == []
    later = make("03_c.ipynb", "from course_lib.boxes import iou")
    assert violations(later, [make("02_b.ipynb", SLOW, code(TWIN, "twin", id="fast"))], SMALL) == []


def test_a_twin_without_tag_assert_or_teacher_is_found():
    asserts_nothing = TWIN.replace("assert ", "")
    asserts_itself = "from course_lib.boxes import iou\nassert iou(1, 2) == 2"
    for cells in (
        (SLOW, code(TWIN, id="fast")),
        (SLOW, code(asserts_nothing, "twin", id="fast")),
        (SLOW, code(asserts_itself, "twin", id="fast")),
        (code(TWIN, "twin", id="fast"), SLOW),
        (code("slow_iou = 3", id="slow"), code(TWIN, "twin", id="fast")),
        (code("def iou(a, b):\n    return 7", "draft", id="slow"), code(asserts_itself, "twin", id="fast")),
    ):
        assert violations(make("02_b.ipynb", *cells), [], SMALL), cells


def test_a_twin_brings_its_own_module_only():
    reaches = Library(
        SMALL.trees | {"fast": ast.parse("from course_lib.boxes import iou\ndef quick(a):\n    return iou(a, a)")}
    )
    text = "from course_lib.fast import quick\nassert quick(1) == slow_iou(1, 1)"
    line = violations(make("02_b.ipynb", SLOW, code(text, "twin", id="fast")), [], reaches)
    assert any("boxes.iou is used before" in part for part in line) and not any(
        "fast.quick is" in part for part in line
    )


def test_a_later_cell_does_not_count():
    assert violations(make("02_b.ipynb", "from course_lib.boxes import iou", BUILT), [], SMALL)
    assert violations(make("02_b.ipynb", BUILT, "from course_lib.boxes import iou"), [], SMALL) == []


def test_a_variable_of_that_name_does_not_count():
    assert violations(
        make("02_b.ipynb", BUILT.split("def iou")[0] + "iou = 3", "from course_lib.boxes import iou"), [], SMALL
    )


def test_whole_modules_and_experiments_are_refused():
    assert "not a whole module" in found("from course_lib import boxes")[0]
    assert "not a whole module" in found("import course_lib.boxes as b")[0]
    assert found("from course_lib import plots\nplots.PALETTE") == []
    assert any("draw → match" in line for line in found("from course_lib import plots\nplots.draw()"))
    assert "imports nothing" in found("from course_lib.experiments.lesson01 import run")[0]
    assert found("from course_lib.results import load_result") == []


def test_second_implementation_is_found():
    copy = "def overlap(p, q):\n    '''Text.'''\n    return _area(p) + EPS"
    assert second_implementations(Library({**SMALL.trees, "exercises.lesson04": ast.parse(copy)}))
    assert second_implementations(Library({**SMALL.trees, "plots": ast.parse("def iou():\n    return 7")}))
    assert second_implementations(SMALL) == []


def test_ready_made_is_found():
    assert ready_made(Library({"boxes": ast.parse("from torchvision.ops import nms")}))
