"""The course as static pages in html/: `make html`. No network needed, neither to build nor to read.

Pictures keep their authors' alt text (nbconvert's own templates drop it), and formulas become small pictures with
their TeX as alt text, so that no script has to be loaded.
"""

import argparse
import base64
import html
import io
import re
import sys
from functools import cache
from pathlib import Path

import matplotlib
import nbformat
from matplotlib import mathtext
from matplotlib.font_manager import FontProperties
from nbconvert.filters import Highlight2HTML, ansi2html, markdown2html
from pygments.formatters import HtmlFormatter

ROOT = Path(__file__).resolve().parents[2]
CODE = re.compile(r"(^(?:```|~~~).*?^(?:```|~~~)[ ]*$|`+[^`]*`+)", re.DOTALL | re.MULTILINE)
MATH = re.compile(r"\$\$(.+?)\$\$|(?<![\\$\w])\$(?!\s)([^$\n]+?)(?<![\\\s])\$(?!\d)", re.DOTALL)
UNKNOWN_TO_MATHTEXT = {r"\\tfrac\b": r"\\frac", r"\\[lr]vert\b": "|", r"\\[bB]ig+[lr]?\b": "", r"\\(g|l)e\b": r"\\\1eq"}
STYLE = """
body { margin: 0; font: 17px/1.6 system-ui, sans-serif; color: #1b1b1b; background: #fff; }
main { max-width: 54rem; margin: 0 auto; padding: 1rem 1.2rem 5rem; }
nav { display: flex; justify-content: space-between; gap: 1rem; max-width: 54rem; margin: 0 auto; padding: .8rem 1.2rem; }
h1, h2, h3 { line-height: 1.25; margin: 2.2em 0 .6em; } h1 { margin-top: 1em; }
a { color: #0b5fa5; } img { max-width: 100%; height: auto; }
pre { font: 14px/1.45 ui-monospace, monospace; overflow-x: auto; padding: .7rem .9rem; margin: .6rem 0; }
code { font-size: .9em; background: #f1f3f5; padding: .1em .25em; border-radius: 3px; } pre code { background: none; }
.in pre { background: #f6f8fa; border-left: 4px solid #0072b2; } .out pre { border-left: 4px solid #ced4da; }
blockquote { margin: 1rem 0; padding: .2rem 1rem; background: #fff8e6; border-left: 4px solid #e69f00; }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; }
th, td { border: 1px solid #dee2e6; padding: .3rem .6rem; text-align: left; }
details { margin: .6rem 0; padding: .3rem .9rem; border: 1px solid #dee2e6; border-radius: 4px; }
summary { cursor: pointer; } .display { text-align: center; margin: 1rem 0; } .anchor-link { display: none; }
.folded { border: 0; padding: 0; margin: .2rem 0; } .folded > summary { color: #5c6670; font-size: .8em; }
.contents { max-width: 52rem; margin: .6rem auto; } .contents ol { margin: .4rem 0; padding-left: 1.4rem; }
.card { display: grid; grid-template-columns: 15rem 1fr; gap: 0 1.4rem; margin: 2.2rem 0; align-items: start; }
.card h2 { margin: 0 0 .3rem; } .card p { margin: .3rem 0; } .card .minutes { color: #5c6670; font-size: .9em; }
@media (max-width: 40rem) { .card { grid-template-columns: 1fr; } }
@media (max-width: 74.99rem) { .contents ol { max-height: 9rem; overflow-y: auto; } }
@media (min-width: 75rem) { .contents { position: fixed; left: .6rem; top: 3.2rem; width: 15rem; max-height: 88vh;
  overflow-y: auto; font-size: .8em; border: 0; } .beside { margin-left: max(17rem, calc(50vw - 27rem)); } }
"""

MAP = """
Each lesson builds what the next one needs: one object and its network (1), what a feature map can see (2), many default
boxes (3), which of them is responsible for what (4), a detector for any number of objects (5), a loss over all boxes (6),
and RetinaNet (7). Then come all families of detectors on one table (8), and photographs, your own among them (9).
"""


@cache
def formula(tex: str, display: bool = False) -> str:
    """A formula as an inline picture with its TeX as alt text; TeX in a code font where mathtext cannot draw it."""
    alt, plain = html.escape(" ".join(tex.split()), quote=True), " ".join(tex.split())
    for theirs, ours in UNKNOWN_TO_MATHTEXT.items():
        plain = re.sub(theirs, ours, plain)
    plain = plain.replace(r"\frac", r"\dfrac") if display else plain
    rows = [
        row.replace("&", " ").strip() for row in re.sub(r"\\(begin|end)\{\w+\*?\}(\{[lcr]+\})?", "", plain).split(r"\\")
    ]
    try:
        pictures = [draw_formula(row) for row in rows if row]
    except (ValueError, RuntimeError):
        return f'<code class="tex">{alt}</code>'
    images = [
        f'<img class="math" alt="{alt if i == 0 else ""}" style="height:{height:.3f}em;vertical-align:{-depth:.3f}em" '
        f'src="data:image/svg+xml;base64,{data}">'
        for i, (data, height, depth) in enumerate(pictures)
    ]
    return f'<div class="display">{"<br>".join(images)}</div>' if display else images[0]


def draw_formula(tex: str) -> tuple[str, float, float]:
    """(SVG as base64, height, depth below the line), both in units of the text size."""
    buffer, size = io.BytesIO(), 10
    with matplotlib.rc_context({"svg.hashsalt": "course", "svg.fonttype": "path", "mathtext.fontset": "cm"}):
        depth = mathtext.math_to_image(f"${tex}$", buffer, dpi=72, format="svg", prop=FontProperties(size=size))
    text = re.sub(
        r"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>|<!--.*?-->",
        "",
        buffer.getvalue().decode(),
        flags=re.DOTALL,
    )
    height = float(re.search(r'height="([\d.]+)pt"', text).group(1))
    return base64.b64encode(text.encode()).decode("ascii"), 1.15 * height / size, 1.15 * depth / size


def words(source: str) -> str:
    """Markdown to HTML: formulas drawn, links to notebooks turned into links to pages."""
    parts = CODE.split(source)
    for index in range(0, len(parts), 2):
        parts[index] = MATH.sub(lambda m: formula(m[1] or m[2], display=bool(m[1])), parts[index])
        parts[index] = re.sub(r"(\]\((?!\w+:)[^)\s]*?)\.ipynb\b", r"\1.html", parts[index])
    return markdown2html("".join(parts))


def output(item: nbformat.NotebookNode) -> str:
    """One stored output: text, a table in Markdown, or a picture with its alt text."""
    data = item.get("data", {})
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            alt = html.escape(item.metadata.get(kind, {}).get("alt", ""), quote=True)
            return f'<p><img alt="{alt}" src="data:{kind};base64,{"".join(data[kind].split())}"></p>'
    if "text/markdown" in data:
        return words(data["text/markdown"])
    text = item.get("text") or data.get("text/plain", "")
    return f'<div class="out"><pre>{ansi2html(text)}</pre></div>' if text else ""


def body(notebook: nbformat.NotebookNode) -> str:
    """All cells of a notebook as HTML."""
    highlight, parts = Highlight2HTML(pygments_lexer="python3"), []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(words(cell.source))
        elif cell.cell_type == "code":
            outputs = "".join(map(output, cell.outputs))
            code = f'<div class="in">{highlight(cell.source)}</div>'
            if cell.metadata.get("jupyter", {}).get(
                "source_hidden"
            ):  # drawing and bookkeeping, folded in JupyterLab too
                code = f'<details class="folded"><summary>code of this figure or check</summary>{code}</details>'
            parts.append(f'<div id="{html.escape(cell.id)}">{code}{outputs}</div>')
    return "\n".join(parts)


def contents(content: str) -> str:
    """A list of a page's sections: beside the text on a wide screen, folded above it on a narrow one."""
    found = re.findall(r'<h2 id="([^"]+)">(.*?)</h2>', content, re.DOTALL)
    rows = [f'<li><a href="#{place}">{re.sub(r"<a .*?</a>", "", text).strip()}</a></li>' for place, text in found]
    return (
        f'<details class="contents" open><summary>Contents</summary><ol>{"".join(rows)}</ol></details>' if rows else ""
    )


def card(notebook: nbformat.NotebookNode, path: Path) -> str:
    """A lesson on the index: its figure tagged "cover", or its first one; title, promise and minutes."""
    title, promise = title_and_promise(notebook, path)
    cells = sorted(notebook.cells, key=lambda cell: "cover" not in cell.metadata.get("tags", []))
    figures = [output(item) for cell in cells for item in cell.get("outputs", [])]
    picture = next((figure for figure in figures if "<img" in figure), "")
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    minutes = re.search(r"\*\*Time:\*\* (.+?)\.(?=\s|$)", text)
    line = f'<p class="minutes">{html.escape(minutes[1])}.</p>' if minutes else ""
    heading = f'<h2><a href="{path.stem}.html">{html.escape(title)}</a></h2>'
    return (
        f'<div class="card"><a href="{path.stem}.html">{picture}</a><div>{heading}\n{words(promise)}{line}</div></div>'
    )


def page(title: str, content: str, links: str = "") -> str:
    """A whole page."""
    style = STYLE + HtmlFormatter(style="friendly").get_style_defs(".highlight")
    beside = ' class="beside"' if 'class="contents"' in content else ""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style></head>\n'
        f"<body>{links}<main{beside}>\n{content}\n</main>{links}</body></html>\n"
    )


def title_and_promise(notebook: nbformat.NotebookNode, path: Path) -> tuple[str, str]:
    """A lesson's title and its first paragraph."""
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    paragraphs = [
        p for p in re.split(r"\n\s*\n", text) if p.strip() and not p.lstrip().startswith(("#", "<", "!", "|", "*"))
    ]
    return title[1] if title else path.stem, paragraphs[0] if paragraphs else ""


def navigation(previous: Path | None, following: Path | None, up: str = "") -> str:
    """Links to the neighbours and the index."""
    before = f'<a href="{previous.stem}.html">← {previous.stem[:2]}</a>' if previous else "<span></span>"
    after = f'<a href="{following.stem}.html">{following.stem[:2]} →</a>' if following else "<span></span>"
    return f'<nav>{before}<a href="{up}index.html">All lessons</a>{after}</nav>'


def build(source: Path, target: Path) -> int:
    """Write a page for each lesson and each solution below `source`, and the index; return the number of pages."""
    entries, count = [], 0
    for folder, up in (("", ""), ("solutions", "../")):
        paths = sorted((source / folder).glob("[0-9][0-9]_*.ipynb"))
        for before, path, after in zip([None, *paths], paths, [*paths[1:], None], strict=False):
            notebook = nbformat.read(path, as_version=4)
            title, _ = title_and_promise(notebook, path)
            content = body(notebook)
            place = target / folder / f"{path.stem}.html"
            place.parent.mkdir(parents=True, exist_ok=True)
            whole = page(title, contents(content) + content, navigation(before, after, up))
            place.write_text(whole, encoding="utf-8", newline="\n")
            count += 1
            entries += [] if folder else [card(notebook, path)]
    front = "<h1>From one object to RetinaNet</h1>\n" + words(MAP) + "\n".join(entries)
    (target / "index.html").write_text(page("Object detection course", front), encoding="utf-8", newline="\n")
    return count + 1


def main(arguments: list[str] | None = None) -> int:
    """Build the pages."""
    parser = argparse.ArgumentParser(prog="make html", description="Write the course as static pages.")
    parser.add_argument("--out", type=Path, default=ROOT / "html")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    count = build(ROOT / "notebooks", options.out)
    print(f"{count} pages in {options.out.name}/; open {options.out.name}/index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
