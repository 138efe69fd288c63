"""Design §2.2: what stands both in a lesson and in course_lib is the same code."""

import ast
import difflib

from house.notebooks import Library, Notebook, bare, code, definitions, demand, each, lessons, make, same_code


def violations(notebook: Notebook, library: Library) -> list[str]:
    """Definitions of a lesson that differ from the library's of the same name; constants in capitals count too."""
    found = []
    for _, index, name, node in definitions([notebook]):
        module, theirs = library.concepts.get(name, (None, None))
        if theirs is None or isinstance(theirs, ast.stmt) and type(bare(node)) is not type(bare(theirs)):
            continue
        if isinstance(bare(node), ast.Assign) and not name.isupper():
            continue
        if not same_code(node, theirs):
            texts = [ast.unparse(bare(n)).splitlines() for n in (node, theirs)]
            diff = "\n".join("      " + x for x in difflib.unified_diff(*texts, "lesson", "course_lib", "", "", 0, ""))
            found.append(
                f"{notebook.name}, cell {notebook.cells[index].id}: {name} is not {module}.{name} "
                f"(an earlier version carries the tag `draft`)\n{diff}"
            )
    return found


LIBRARY = Library.read()


@each(lessons())
def test_one_definition(notebook):
    demand(violations(notebook, LIBRARY))


# ---------------------------------------------------------------- the rule can fail

SMALL = Library(
    {
        "boxes": ast.parse(
            'def area(boxes: "Tensor") -> "Tensor":\n    """Area."""\n    check_boxes(boxes)\n'
            "    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])"
        ),
        "matching": ast.parse("BACKGROUND: int = -1\nclass M:\n    '''Doc.'''\n    def f(self, x: int):\n        pass"),
    }
)
AREA = (
    "def area(boxes):\n    # width times height\n    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])"
)


def test_comments_docstrings_hints_and_checks_may_differ():
    assert violations(make("04_a.ipynb", AREA), SMALL) == []
    assert violations(make("04_a.ipynb", "BACKGROUND = -1\nclass M:\n    def f(self, x):\n        pass"), SMALL) == []


def test_another_body_is_found_unless_it_is_a_draft():
    wrong = AREA.replace("3]", "2]")
    assert "area is not boxes.area" in violations(make("04_a.ipynb", wrong), SMALL)[0]
    assert violations(make("04_a.ipynb", code(wrong, "draft")), SMALL) == []
    assert violations(make("04_a.ipynb", "BACKGROUND = 0"), SMALL)


def test_another_default_or_name_is_found():
    assert violations(make("04_a.ipynb", AREA.replace("(boxes)", "(boxes=None)")), SMALL)
    assert violations(make("04_a.ipynb", AREA.replace("boxes", "b")), SMALL)


def test_a_variable_of_a_function_s_name_is_no_definition():
    assert violations(make("04_a.ipynb", "area = 3"), SMALL) == []
