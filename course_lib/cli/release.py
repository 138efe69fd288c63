"""`python -m course_lib.cli.release`: pack the course for students, without solutions, as dist/course-VERSION.zip.

Left out: the solutions, the tests (they hold right answers) and whatever is made on the spot. In the lessons and the
README the links to solutions become "ask your teacher".
"""

import argparse
import json
import re
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = ("README.md", "LICENSE", "Makefile", "pyproject.toml", "constraints.txt", "environment.yml", ".gitignore")
FOLDERS = ("course_lib", "notebooks", "data")
LEFT_OUT = ("solutions", "cache", "tests", "__pycache__", ".ipynb_checkpoints")
LINK = re.compile(r"\[[^\]\n]*\]\([^)\n]*solutions/[^)\n]*\)")
DATE = (2020, 1, 1, 0, 0, 0)


def version(root: Path = ROOT) -> str:
    """The course's version, from pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def members(root: Path = ROOT) -> list[Path]:
    """The files of a release, relative to `root`, in a fixed order."""
    found = [Path(name) for name in FILES if (root / name).is_file()]
    for folder in FOLDERS:
        inside = (p.relative_to(root) for p in (root / folder).rglob("*") if p.is_file())
        found += [p for p in inside if not any(part in LEFT_OUT or part.startswith(".") for part in p.parts)]
    return sorted(p for p in found if p.suffix not in (".pyc", ".tmp"))


def for_students(path: Path, root: Path = ROOT) -> bytes:
    """A file's content, with links to the solutions replaced in notebooks and Markdown files."""
    content = (root / path).read_bytes()
    if path.suffix == ".md":
        return LINK.sub("ask your teacher", content.decode("utf-8")).encode("utf-8")
    if path.suffix != ".ipynb":
        return content
    notebook = json.loads(content)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            text = LINK.sub("Ask your teacher.", "".join(cell["source"]))
            cell["source"] = text.splitlines(keepends=True)
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode("utf-8")


def release(target: Path, root: Path = ROOT) -> Path:
    """Write the zip into the folder `target`; two runs on the same files give the same bytes."""
    target.mkdir(parents=True, exist_ok=True)
    name = f"course-{version(root)}"
    path = target / f"{name}.zip"
    temporary = path.with_suffix(".tmp")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in members(root):
            info = zipfile.ZipInfo(f"{name}/{member.as_posix()}", DATE)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(info, for_students(member, root))
    temporary.replace(path)
    return path


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m course_lib.cli.release", description=__doc__)
    parser.add_argument("--target", type=Path, default=ROOT / "dist", help="folder for the zip (dist)")
    path = release(parser.parse_args().target)
    print(f"{path.name}: {path.stat().st_size / 2**20:.1f} MB, without solutions, in {path.parent.name}/")


if __name__ == "__main__":
    main()
