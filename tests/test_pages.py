"""`make html`: alt text kept, formulas and links usable without a network."""

import re

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course_lib.cli import pages

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def lesson() -> nbformat.NotebookNode:
    picture = new_output("display_data", {"image/png": PIXEL, "text/plain": "<figure>"})
    picture["metadata"] = nbformat.from_dict({"image/png": {"alt": 'Two "boxes"'}})
    words = "# Lesson 3: Boxes\n\nHere $x_1$ and [next](04_b.ipynb#a); `$5$`.\n\n<details><summary>A</summary>\n\nYes.\n\n</details>"
    return new_notebook(
        cells=[
            new_markdown_cell(words, id="title"),
            new_code_cell(
                "print(1 < 2)", id="one", outputs=[new_output("stream", name="stdout", text="a < b\n"), picture]
            ),
            new_markdown_cell(
                "## First part\n\n**Needs:** nothing. **Time:** one minute to run. **Memory:** 2 GB.", id="two"
            ),
            new_code_cell("draw()", id="three", metadata={"jupyter": {"source_hidden": True}}),
        ]
    )


def test_site(tmp_path):
    (tmp_path / "in" / "solutions").mkdir(parents=True)
    for name in ("03_a.ipynb", "04_b.ipynb", "solutions/03_a.ipynb"):
        nbformat.write(lesson(), tmp_path / "in" / name)
    assert pages.build(tmp_path / "in", tmp_path / "out") == 4
    text = (tmp_path / "out" / "03_a.html").read_text(encoding="utf-8")
    assert 'alt="Two &quot;boxes&quot;"' in text
    assert "a &lt; b" in text
    assert 'href="04_b.html#a"' in text and 'href="index.html"' in text
    assert 'class="math" alt="x_1"' in text and "<code>$5$</code>" in text
    assert not re.search(r'(src|href)="(https?:)?//', text) and "<script" not in text
    assert "Lesson 3: Boxes" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert 'href="../index.html"' in (tmp_path / "out" / "solutions" / "03_a.html").read_text(encoding="utf-8")


def test_index_contents_and_folded_code(tmp_path):
    nbformat.write(lesson(), tmp_path / "03_a.ipynb")
    pages.build(tmp_path, tmp_path / "out")
    index, text = ((tmp_path / "out" / f"{name}.html").read_text(encoding="utf-8") for name in ("index", "03_a"))
    assert 'alt="Two &quot;boxes&quot;"' in index and "one minute to run." in index  # thumbnail and minutes
    (target,) = re.findall(r'<li><a href="#([^"]+)">First part</a>', text)
    assert f'<h2 id="{target}">' in text
    assert text.count('<details class="folded">') == 1 and text.index('class="folded"') > text.index("print")


def test_the_cover_of_a_lesson_is_the_figure_that_is_tagged(tmp_path):
    notebook, picture = (
        lesson(),
        new_output("display_data", {"image/png": "AAAA"}, metadata={"image/png": {"alt": "cover"}}),
    )
    notebook.cells.append(new_code_cell("later", outputs=[picture], metadata={"tags": ["cover"]}))
    assert 'alt="cover"' in pages.card(notebook, tmp_path / "03_a.ipynb")


def test_the_map_names_every_lesson():
    numbers = {int(path.stem[:2]) for path in (pages.ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")}
    assert numbers <= {int(number) for number in re.findall(r"\((\d)\)", pages.MAP)}


def test_formulas():
    for tex in (
        r"\text{IoU} = \frac{|A \cap B|}{|A \cup B|}",
        r"L_\text{loc} + a \cdot L_\text{conf}",
        r"x \ge \tfrac{1}{2}",
    ):
        assert pages.formula(tex).startswith('<img class="math"'), tex
    assert pages.formula(r"\begin{aligned} a &= b \\ c &= d \end{aligned}", display=True).count("<img") == 2
    assert pages.formula(r"\underbrace{a}_{b}") == r'<code class="tex">\underbrace{a}_{b}</code>'


def test_a_table_in_an_output_is_a_table():
    table = "| a | b |\n|---|---|\n| 1 | [lesson 4](04_b.ipynb#cell) |"
    text = pages.output(new_output("display_data", {"text/markdown": table, "text/plain": "<Markdown object>"}))
    assert "<td>1</td>" in text and 'href="04_b.html#cell"' in text and "object" not in text
