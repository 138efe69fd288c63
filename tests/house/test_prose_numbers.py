"""Design §2.7: a decimal or a per cent in prose is a setting of this section, a cited number, or proven by the metadata.

A Markdown cell proves its numbers with `metadata.course.numbers`:

    {"0.83": "results/lesson01.json#/arms/base/accuracy/mean",   the value, rounded as printed
     "83 %": "results/lesson01.json#/arms/base/accuracy/mean",   the value times 100
     "13":   "cell:union-by-hand"}                              the stored output of that compared cell holds 13

Not asked for: code, formulas, link targets, whole integers, numbers in a sentence (or table) with a citation, that is
a link, "(Author 2017)" or "Author et al. 2017"; versions and references such as "Exercise 4.2", "section 3.2".
"""

import ast
import json
import re
from pathlib import Path

from house.notebooks import ROOT, Cell, Notebook, code, demand, each, lessons, make, markdown, solutions

NUMBER = re.compile(
    r"(?<![\w.,/])[-+]?(?:\d+(?:,\d{3})*)?(?:\.\d+|(?<=\d)(?=\s?(?:%|per cent)))(?:\s?(?:%|per cent))?(?![\w/]|\.\d)"
)
REFERENCE = re.compile(
    r"(?:exercises?|solutions?|sections?|§|figures?|fig\.|tables?|equations?|chapters?|lessons?|python|torch|torchvision|version)"
    r"[  ]*[\d.]+(?:(?:,| and| to|–|-)[  ]*\d+\.\d+)*",
    re.IGNORECASE,
)
CITED = re.compile(r"\]\(http|\([^()]*\b(?:19|20)\d\d[a-z]?\b[^()]*\)|et al\.|\b[A-Z]\w+,? (?:19|20)\d\d\b|arXiv")


def prose(source: str) -> str:
    """Markdown without code, formulas, comments, tags, link targets and the line of minutes and memory."""
    text = re.sub(r"^(```|~~~).*?^\1", "", source, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"`+[^`]*`+|\$\$.*?\$\$|\$[^$\n]+\$|<!--.*?-->|<[^>\n]+>", " ", text, flags=re.DOTALL)
    text = "\n".join(line for line in text.split("\n") if "**Time:**" not in line)
    return text.replace("−", "-").replace("\u00a0", " ").replace("\u202f", " ")


def sentences(text: str) -> list[str]:
    """Sentences of running text; a table with the paragraph above it counts as one."""
    found = []
    for paragraph in re.split(r"\n\s*\n", text):
        if re.search(r"^\s*\|", paragraph, re.MULTILINE):
            found.append((found.pop() if found else "") + "\n" + paragraph)
        else:
            found += re.split(
                r"(?<=[.!?:;])\s+(?=[^a-z])|\n(?=\s*[-*\d] )", paragraph.replace("et al. ", "et al.\u2060 ")
            )
    return found


def claimed(source: str) -> list[str]:
    """Numbers of a Markdown cell that need proof, as printed ("0.83", "83 %")."""
    found = []
    for sentence in sentences(prose(source)):
        if not CITED.search(sentence):
            text = re.sub(r"\]\([^)]*\)", "]", REFERENCE.sub(" ", sentence))
            found += [match.group().strip() for match in NUMBER.finditer(text)]
    return found


def parse(printed: str) -> tuple[float, int, bool]:
    """(value, decimals, is a per cent) of a printed number."""
    text = printed.replace(",", "").replace("−", "-").strip()
    percent = text.endswith(("%", "per cent"))
    text = re.sub(r"\s?(%|per cent)$", "", text)
    return float(text), len(text.partition(".")[2]), percent


def bare(printed: str) -> str:
    """The digits alone, so that "83 %", "83%" and "83 per cent" are one key."""
    return re.sub(r"\s?(%|per cent)$", "", printed.replace("−", "-").lstrip("+"))


def literals(cells: list[Cell]) -> set[float]:
    """Numbers that stand literally in code cells, whatever their sign."""
    nodes = [node for cell in cells for node in ast.walk(cell.tree)]
    kinds = (int, float)
    return {abs(n.value) for n in nodes if isinstance(n, ast.Constant) and type(n.value) in kinds}


def by_section(notebook: Notebook) -> list[list[Cell]]:
    """Cells between two headings of level 1 or 2."""
    found: list[list[Cell]] = [[]]
    for cell in notebook.cells:
        if cell.kind == "markdown" and re.search(r"^#{1,2} ", cell.source, re.MULTILINE):
            found.append([])
        found[-1].append(cell)
    return found


def stored(pointer: str, root: Path) -> object:
    """Follow "results/file.json#/a/b/0" below data/; LookupError says what is missing."""
    name, _, path = pointer.partition("#")
    name = name if name.endswith(".json") else name + ".json"
    file = root / "data" / name
    if not file.is_file():
        raise LookupError(f"data/{name} does not exist")
    value = json.loads(file.read_text(encoding="utf-8"))
    for part in path.strip("/").split("/"):
        part = part.replace("~1", "/").replace("~0", "~")
        try:
            value = value[int(part)] if isinstance(value, list) else value[part]
        except (KeyError, IndexError, ValueError, TypeError):
            keys = list(value)[:12] if isinstance(value, dict) else type(value).__name__
            raise LookupError(f"nothing at {part!r} of {pointer}; there is {keys}") from None
    return value


def disproof(printed: str, proof: str, percent: bool, notebook: Notebook, root: Path) -> str | None:
    """Why `proof` does not prove a printed number, or None."""
    value, decimals, _ = parse(printed)
    if proof.startswith("cell:"):
        cell = next((c for c in notebook.code if c.id == proof[5:]), None)
        if cell is None:
            return f"no code cell {proof[5:]}"
        if cell.ignored:
            return f"cell {cell.id} is {cell.reason}; a live result proves nothing"
        digits = bare(printed).replace(",", "")
        if not re.search(rf"(?<![\d.]){re.escape(digits)}(?!\d|\.\d)", cell.text.replace(",", "").replace("−", "-")):
            return f"the output of {cell.id} does not hold {digits}: {cell.text.strip()[:120]!r}"
        return None
    try:
        truth = stored(proof, root)
    except LookupError as error:
        return str(error)
    if type(truth) not in (int, float):
        return f"{proof} is {str(truth)[:60]!r}, not a number"
    truth = truth * 100 if percent else truth
    if abs(truth - value) <= 0.5 * 10**-decimals + 1e-9:
        return None
    return f"{truth:.{decimals}f} should stand there ({proof} is {truth:.6g})"


def violations(notebook: Notebook, root: Path = ROOT) -> list[str]:
    """Numbers without proof, wrong numbers (with the right one), and proofs for numbers that no longer stand there."""
    found = []
    for section in by_section(notebook):
        settings = literals([c for c in section if c.kind == "code"])
        for cell in (c for c in section if c.kind == "markdown"):
            where = f"{notebook.name}, cell {cell.id}: "
            proofs = {bare(key): proof for key, proof in cell.metadata.get("course", {}).get("numbers", {}).items()}
            percents = {bare(key) for key in cell.metadata.get("course", {}).get("numbers", {}) if parse(key)[2]}
            for printed in dict.fromkeys(claimed(cell.source)):
                value, _, percent = parse(printed)
                if bare(printed) in proofs:
                    percents |= {bare(printed)} if percent else set()
                elif not {abs(value), round(abs(value) / (100 if percent else 1), 9)} & settings:
                    found.append(
                        where + f"{printed} is neither a setting of this section, cited, nor mapped to a result"
                    )
            for key, proof in proofs.items():
                if not re.search(rf"(?<![\d.]){re.escape(key)}(?!\d|\.\d)", prose(cell.source)):
                    found.append(where + f"{key} is mapped but does not stand in the text")
                elif problem := disproof(key, proof, key in percents, notebook, root):
                    found.append(where + f"{key}: {problem}")
    return found


@each(lessons() + solutions())
def test_prose_numbers(notebook):
    demand(violations(notebook))


# ---------------------------------------------------------------- the rule can fail


def found(text: str, *more, **numbers) -> list[str]:
    cell = markdown(text, course={"numbers": numbers.pop("numbers", {})})
    return violations(make("04_a.ipynb", cell, *more), **numbers)


def test_a_number_without_proof_is_found():
    for text in (
        "It finds 0.83 of them.",
        "It finds 83 % of them.",
        "Worth +5.1 points.",
        "About 83 per cent.",
        "a .75",
    ):
        assert len(found(text)) == 1, text


def test_what_needs_no_proof():
    for text in (
        "Three boxes, 21 of them.",
        "Type `0.83` or\n```\n0.83\n```\nnow.",
        "Here $p = 0.8$ and $$x = 0.83$$",
        "SSD reached 74.3 (Liu et al. 2016, table 1).",
        "SSD reached [74.3](https://arxiv.org/abs/1512.02325).",
        "In Lin et al. 2017 it is 34.0 there.",
        "See Exercise 4.2 and section 3.1, with Python 3.11 and version 2.14.1.",
        "**Time:** 0.75 minutes. **Memory:** 1.5 GB",
        "See 1.2.3, boxes 4/5 and CVPR2017.",
        "As [Liu 2016](https://arxiv.org) says:\n\n| a | b |\n|---|---|\n| 1 | 74.3 |",
    ):
        assert found(text) == [], text


def test_a_citation_covers_its_own_sentence_only():
    assert len(found("SSD reached 74.3 (Liu et al. 2016). Ours has 81.5 here.")) == 1
    assert "81.5" in found("SSD reached 74.3 (Liu et al. 2016). Ours has 81.5 here.")[0]


def test_a_setting_of_the_same_section_passes():
    assert found("Above 0.5 it counts.", "threshold = 0.5") == []
    assert found("Above 50 % it counts.", "threshold = 0.5") == []
    assert found("Above 0.5 it counts.", markdown("## Next"), "threshold = 0.5")


def test_results_are_held_against_the_text(tmp_path):
    (tmp_path / "data" / "results").mkdir(parents=True)
    (tmp_path / "data" / "results" / "a.json").write_text('{"arms": [{"mean": 0.8349}], "name": "x"}')
    here = {"root": tmp_path}
    proof = "results/a.json#/arms/0/mean"
    assert found("It finds 0.83 of them.", numbers={"0.83": proof}, **here) == []
    assert found("It finds 83 % of them.", numbers={"83 %": proof}, **here) == []
    assert found("It finds 83.5 per cent of them.", numbers={"83.5": proof}, **here) == []
    assert "0.835 should stand there" in found("It finds 0.841 of them.", numbers={"0.841": proof}, **here)[0]
    assert "83 should stand there" in found("It finds 84 % of them.", numbers={"84 %": proof}, **here)[0]
    assert "not a number" in found("It finds 0.83.", numbers={"0.83": "results/a.json#/name"}, **here)[0]
    assert "there is" in found("It finds 0.83.", numbers={"0.83": "results/a.json#/arm"}, **here)[0]
    assert "does not exist" in found("It finds 0.83.", numbers={"0.83": "results/b.json#/arm"}, **here)[0]


def test_cells_are_held_against_the_text():
    union = code("print(13)", id="union", printed="union tensor(13.), 8,732 boxes, 0.0769")
    proof = "cell:union"
    for number in ("8,732", "0.0769"):
        assert found(f"It is {number} here.", union, numbers={number: proof}) == []
    assert "does not hold 87" in found("It is 87 here.", union, numbers={"87": proof})[0]
    assert "no code cell" in found("It is 13 here.", union, numbers={"13": "cell:onion"})[0]
    live = code("train()", "nbval-ignore-output", id="union", printed="13", reason="trained")
    assert "live result" in found("It is 13 here.", live, numbers={"13": proof})[0]


def test_a_stale_proof_is_found():
    assert "does not stand in the text" in found("It is 0.5.", "x = 0.5", numbers={"0.83": "cell:x"})[0]
