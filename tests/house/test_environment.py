"""environment.yml agrees with pyproject.toml, and the course leans on few packages."""

import ast
import re
import sys
import tomllib

from house.notebooks import ROOT, demand

ALIASES = {"pytorch": "torch"}
CONDA_ONLY = {"python", "pip"}
MISSION = {"jupyterlab", "torch", "torchvision", "matplotlib", "nbval"}
COME_ALONG = {
    "ipython",
    "jupyter-client",
    "pyyaml",
    "nbclient",
    "nbconvert",
    "nbformat",
    "pygments",
}  # with JupyterLab and nbval


def split(requirement: str) -> tuple[str, str]:
    """(name, version condition) of "torch>=2.14"."""
    name = re.match(r"[A-Za-z0-9_.-]+", requirement).group()
    return ALIASES.get(name.lower(), name.lower()), requirement[len(name) :].replace(" ", "")


def conda_lists(text: str) -> tuple[list[str], list[str]]:
    """(channels, dependencies) of an environment file that holds two flat lists."""
    lists: dict[str, list[str]] = {}
    for line in text.splitlines():
        if key := re.match(r"(\w+):\s*$", line):
            lists[key.group(1)] = current = []
        elif item := re.match(r"\s+- (.+)$", line):
            current.append(item.group(1).split(" #")[0].strip())
    return lists["channels"], lists["dependencies"]


def violations(project: dict, environment: str) -> list[str]:
    """Disagreements between the two lists, and what conda or Binder would stumble over."""
    found = []
    channels, dependencies = conda_lists(environment)
    if channels not in (["conda-forge"], ["conda-forge", "nodefaults"]):
        found.append(f"channels {channels}: conda-forge only, mixed builds lose torchvision::nms")
    if "pip:" in dependencies or any(d.startswith("-e") for d in dependencies):
        found.append("no pip section: Binder copies this file alone before building")
    theirs = dict(split(d) for d in dependencies if d != "pip:" and not d.startswith("-e"))
    if not re.fullmatch(r"=3\.\d+", theirs.get("python", "")):
        found.append(f"python{theirs.get('python', '')}: Binder wants an exact one, such as python=3.12")
    ours = dict(map(split, project["dependencies"] + project["optional-dependencies"]["test"]))
    for name in sorted(ours.keys() | theirs.keys() - CONDA_ONLY):
        if ours.get(name) != theirs.get(name):
            found.append(f"{name}: pyproject has {ours.get(name)}, environment.yml {theirs.get(name)}")
    for name, condition in ours.items():
        if not condition.startswith(">="):
            found.append(f"{name}{condition}: pyproject holds lower bounds, constraints.txt the exact versions")
    if len(extra := dict(map(split, project["dependencies"])).keys() - MISSION - COME_ALONG) > 3:
        found.append(f"more than three direct dependencies of our own choice: {', '.join(sorted(extra))}")
    return found


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ENVIRONMENT = (ROOT / "environment.yml").read_text(encoding="utf-8")


def test_environment_agrees():
    demand(violations(PROJECT, ENVIRONMENT))


def test_constraints_cover_the_requirements():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {
        re.match(r"[A-Za-z0-9_.-]+", line).group().lower().replace("_", "-") for line in lines if line[:1].isalnum()
    }
    wanted = dict(map(split, PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]))
    demand([f"{name} is not in constraints.txt" for name in wanted if name not in pinned])


def imported(root=ROOT) -> dict[str, str]:
    """Packages that course_lib imports anywhere, with one module that does."""
    found = {}
    for path in (root / "course_lib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            found |= {name.split(".")[0]: path.name for name in names}
    return {name: where for name, where in found.items() if name not in {*sys.stdlib_module_names, "course_lib"}}


def test_every_package_that_is_imported_is_declared():
    extras = PROJECT["optional-dependencies"]
    declared = dict(map(split, PROJECT["dependencies"] + extras["test"] + extras["results"])) | {"psutil": "optional"}
    names = {"PIL": "pillow", "IPython": "ipython", "yaml": "pyyaml", "jupyter_client": "jupyter-client"}
    demand(
        [
            f"{name} ({where}) is not declared"
            for name, where in imported().items()
            if names.get(name, name) not in declared
        ]
    )


def test_the_rule_can_fail():
    for change in (
        ("- conda-forge", "- pytorch"),
        ("python=3.12", "python>=3.11"),
        ("torchvision>=0.29", "torchvision>=0.20"),
        ("  - tqdm>=4.66\n", ""),
        ("  - pip\n", "  - pip\n  - requests>=2\n"),
        ("  - pip\n", "  - -e .\n"),
    ):
        assert change[0] in ENVIRONMENT and violations(PROJECT, ENVIRONMENT.replace(*change, 1)), change
    more = PROJECT | {"dependencies": [*PROJECT["dependencies"], "requests>=2"]}
    assert any("three" in line for line in violations(more, ENVIRONMENT))
