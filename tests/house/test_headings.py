"""Design §3: the order of a lesson and the parts that none may lack."""

import re

from house.notebooks import Notebook, code, demand, each, lessons, make, markdown

SECTIONS = (
    ("What you will be able to do",),
    ("Bugs that shipped", "Common misconceptions"),
    ("Recap",),
    ("Quiz",),
    ("Exercises",),
    ("Next",),
)
FACTS = ("**Needs:**", "**Time:**", "**Memory:**")


def without_code(text: str) -> str:
    """Markdown without fenced code blocks."""
    return re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.DOTALL | re.MULTILINE)


def headings(notebook: Notebook) -> list[tuple[int, str, str]]:
    """(level, text, cell id) of every heading, in order."""
    found = []
    for cell in notebook.prose:
        for marks, text in re.findall(r"^(#{1,6}) (.*)$", without_code(cell.source), re.MULTILINE):
            found.append((len(marks), text.strip(), cell.id))
    return found


def order(notebook: Notebook) -> list[str]:
    """One title, no skipped level, and the required sections in their order."""
    found, all_headings = [], headings(notebook)
    levels = [level for level, _, _ in all_headings]
    title = all_headings[0][1] if all_headings else ""
    if levels.count(1) != 1 or levels[:1] != [1] or not re.match(rf"Lesson {notebook.number}: ", title):
        found.append(f"{notebook.name}: starts with one title `# Lesson {notebook.number}: …`")
    for (before, _, _), (level, text, where) in zip(all_headings, all_headings[1:], strict=False):
        if level > before + 1:
            found.append(f"{notebook.name}, cell {where}: heading {text!r} skips a level")
    names, position = [text for level, text, _ in all_headings if level == 2], 0
    for wanted in SECTIONS:
        places = [i for i, name in enumerate(names) if name in wanted]
        if not places:
            found.append(f"{notebook.name}: no section `## {' or '.join(wanted)}`")
        elif places[0] < position:
            found.append(f"{notebook.name}: section {names[places[0]]!r} comes too early")
        else:
            position = places[0]
    return found


def facts(notebook: Notebook) -> list[str]:
    """Prerequisites, minutes and memory stand before the first `##` after the objectives."""
    text = "\n".join(cell.source for cell in notebook.prose)
    return [f"{notebook.name}: {fact} is missing from the opening" for fact in FACTS if fact not in text]


def quiz(notebook: Notebook) -> list[str]:
    """At least five quiz questions with folded answers."""
    text, inside = "", False
    for cell in notebook.prose:
        for part in re.split(r"^(?=## )", cell.source, flags=re.MULTILINE):
            if part.startswith("## "):
                inside = part.startswith("## Quiz")
            text += part if inside else ""
    count = text.count("<details>")
    return [] if count >= 5 else [f"{notebook.name}: {count} folded answers in the quiz, at least 5"]


def markup(notebook: Notebook) -> list[str]:
    """Folded parts have blank lines round their content; no boxes that only GitHub draws."""
    found = []
    for cell in notebook.prose:
        where = f"{notebook.name}, cell {cell.id}: "
        text = without_code(cell.source)
        if re.search(r"</summary>[^\n]*\n(?!\s*\n)", text) or re.search(r"[^\n\s][^\n]*\n</details>", text):
            found.append(where + "a blank line is needed after </summary> and before </details>")
        if text.count("<details>") != text.count("</details>"):
            found.append(where + "<details> without </details>")
        if "> [!" in text:
            found.append(where + "JupyterLab does not draw `> [!NOTE]`; write `> **Note.** …`")
    return found


@each(lessons())
def test_headings(notebook):
    demand(order(notebook) + facts(notebook) + quiz(notebook) + markup(notebook))


# ---------------------------------------------------------------- the rules can fail

FOLD = "<details><summary>Answer</summary>\n\nYes.\n\n</details>\n\n"
GOOD = (
    "# Lesson 4: Matching\n\n## What you will be able to do\n\n**Needs:** 3. **Time:** 1. **Memory:** 1\n\n## Why?\n\n"
    "### More\n\n```\n# no heading\n```\n## Bugs that shipped\n\n## Recap\n\n## Quiz\n\n"
    + FOLD * 5
    + "## Exercises\n\n## Next\n"
)


def lesson(text: str) -> Notebook:
    return make("04_matching.ipynb", markdown(text), code("x = 1"))


def test_good_lesson_passes():
    for rule in (order, facts, quiz, markup):
        assert rule(lesson(GOOD)) == []


def test_bad_headings_are_found():
    assert "title" in order(lesson(GOOD.replace("Lesson 4", "Lesson 5")))[0]
    assert "title" in order(lesson(GOOD + "# Again\n"))[0]
    assert "skips a level" in order(lesson(GOOD.replace("### More", "#### More")))[0]
    assert "no section" in order(lesson(GOOD.replace("## Recap", "## Summary")))[0]
    assert "too early" in order(lesson(GOOD.replace("## Why?", "## Recap")))[0]


def test_missing_facts_and_answers_are_found():
    assert "**Memory:**" in facts(lesson(GOOD.replace("**Memory:**", "")))[0]
    assert "4 folded" in quiz(lesson(GOOD.replace(FOLD, "", 1)))[0]


def test_bad_markup_is_found():
    assert markup(lesson("<details><summary>Answer</summary>\nYes.\n\n</details>"))
    assert markup(lesson("<details><summary>Answer</summary>\n\nYes.\n</details>"))
    assert markup(lesson("<details>"))
    assert markup(lesson("> [!NOTE]\n> Text"))
