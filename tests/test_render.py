"""`make render`: reproducible bytes, and a failed run leaves the file as it was."""

import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from course_lib.cli import render

FIGURE = """
import matplotlib.pyplot as plt

from course_lib.plots import show

fig, ax = plt.subplots(figsize=(2, 1))
ax.plot([1, 3, 2])
show(fig, alt="A line that rises and falls")
"""


@pytest.fixture
def write(tmp_path):
    def written(*sources: str, **metadata):
        cells = [new_markdown_cell("# Lesson 99: A", id="title")]
        cells += [new_code_cell(source.strip(), id=f"step-{i}") for i, source in enumerate(sources)]
        path = tmp_path / "99_a.ipynb"
        nbformat.write(new_notebook(cells=cells, metadata=metadata), path)
        return path

    return written


def test_two_runs_give_the_same_clean_bytes(write):
    messy = {"widgets": {"x": 1}, "kernelspec": {"name": "mine", "display_name": "Mine"}}
    path = write(
        "import os\nprint('quiet:', os.environ['COURSE_QUIET'], os.path.basename(os.getcwd()))", FIGURE, **messy
    )
    assert render.main([str(path)]) == 0
    first = path.read_bytes()
    assert render.main([str(path)]) == 0
    assert path.read_bytes() == first
    assert render.main(["--check", str(path)]) == 0
    stored = json.loads(first)
    assert stored["metadata"] == {"kernelspec": render.KERNELSPEC, "language_info": {"name": "python"}}
    code = [cell for cell in stored["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == [1, 2]
    assert code[0]["outputs"][0]["text"] == [f"quiet: 1 {path.parent.name}\n"]
    assert all(cell["metadata"] == {} for cell in code)
    picture = code[1]["outputs"][0]
    assert picture["metadata"]["image/png"]["alt"] == "A line that rises and falls"
    assert b"\r" not in first and first.endswith(b"}\n") and not first.endswith(b"\n\n")
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_check_reports_what_changed_and_writes_nothing(write, capsys):
    path = write("print(13)")
    render.main([str(path)])
    changed = path.read_text(encoding="utf-8").replace('"13\\n"', '"14\\n"')
    path.write_text(changed, encoding="utf-8")
    assert render.main(["--check", str(path)]) == 1
    assert "-14" in capsys.readouterr().out
    assert path.read_text(encoding="utf-8") == changed
    tagged = json.loads(changed)
    tagged["cells"][1]["metadata"] = {"tags": ["nbval-ignore-output"]}
    path.write_text(json.dumps(tagged), encoding="utf-8")
    assert render.main(["--check", str(path)]) == 0


@pytest.mark.parametrize(
    "source, said",
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import warnings\nwarnings.warn('careful')", "writes to stderr"),
        ("import os\nos._exit(3)", "Kernel died"),
    ],
)
def test_a_failed_run_leaves_the_file(write, capsys, source, said):
    path = write("print(1)", source)
    before = path.read_bytes()
    assert render.main([str(path)]) == 1
    error = capsys.readouterr().err
    assert said in error and "step-1" in error
    assert path.read_bytes() == before


def test_ids_are_demanded(write, capsys):
    path = write("print(1)", "print(2)")
    raw = json.loads(path.read_text(encoding="utf-8"))
    for change, said in ((lambda c: c.pop("id"), "no id"), (lambda c: c.update(id="title"), "stand twice")):
        broken = json.loads(json.dumps(raw))
        change(broken["cells"][1])
        path.write_text(json.dumps(broken), encoding="utf-8")
        assert render.main([str(path)]) == 1
        assert said in capsys.readouterr().err
    raw["cells"][1]["source"] = []
    path.write_text(json.dumps(raw), encoding="utf-8")
    assert render.main([str(path)]) == 1
    assert "empty code cells: step-0" in capsys.readouterr().err


def test_png_text_is_removed():
    import base64
    import io

    from PIL import Image, PngImagePlugin

    info = PngImagePlugin.PngInfo()
    info.add_text("Software", "somebody 1.2")
    buffer = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(buffer, "png", pnginfo=info)
    stripped = base64.b64decode(render.strip_png_text(base64.b64encode(buffer.getvalue()).decode()))
    assert b"somebody" in buffer.getvalue() and b"somebody" not in stripped
    assert Image.open(io.BytesIO(stripped)).getpixel((0, 0)) == (255, 0, 0)


def test_folded_code_stays_folded():
    cell = new_code_cell(
        "x = 1", metadata={"jupyter": {"source_hidden": True, "outputs_hidden": True}, "collapsed": True}
    )
    other = new_code_cell("y = 2", metadata={"jupyter": {"outputs_hidden": True}})
    render.clean(new_notebook(cells=[cell, other]))
    assert cell.metadata == {"jupyter": {"source_hidden": True}} and other.metadata == {}
