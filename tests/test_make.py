"""The commands of the README exist: every make target calls a module that is there, and CI calls `make test`."""

import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = {"lab", "test", "test-all", "render", "html", "bench", "weights", "results", "release", "clean"}


def test_every_target_is_there_and_says_what_it_does():
    told = dict(re.findall(r"^([a-z-]+):[^\n#]*##\s*(.+)$", MAKEFILE, re.MULTILINE))
    assert set(told) >= TARGETS


def test_every_module_that_make_calls_is_there():
    modules = re.findall(r"\$\(RUN\) ([\w.]+)", MAKEFILE)
    assert {"course_lib.cli.lab", "course_lib.cli.render", "pytest"} <= set(modules)
    assert [name for name in modules if importlib.util.find_spec(name) is None] == []


def test_ci_calls_make_test():
    assert re.search(r"^make test$", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)


def test_no_target_but_clean_deletes_and_nothing_of_a_student():
    deletes = [line for line in MAKEFILE.splitlines() if re.search(r"\brm\b", line)]
    assert deletes and not any("my_course" in line or " data " in line for line in deletes)


def test_the_longest_files_exist(pytestconfig):
    longest = next(plugin.LONGEST for plugin in pytestconfig.pluginmanager.get_plugins() if hasattr(plugin, "LONGEST"))
    assert longest and [name for name in longest if not (ROOT / name).is_file()] == []
