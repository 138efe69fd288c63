"""Settings for every test run: quiet kernels, embedded data, and an early notice when a kernel dies."""

import os
import time
from collections import defaultdict
from queue import Empty

import pytest
from nbval import kernel as nbval_kernel
from nbval.plugin import IPyNbCell

os.environ["COURSE_QUIET"] = "1"
os.environ.pop("COURSE_DATA", None)

SLOWEST = 15
LONGEST = (  # these begin: then the processes of `make test` end together, and none waits for another's last file
    "tests/exercises/test_answers.py",
    "notebooks/05_ssd.ipynb",
    "tests/house/test_claims.py",
    "notebooks/01_single_object_detector.ipynb",
    "notebooks/06_focal_loss.ipynb",
    "notebooks/07_retinanet_fpn.ipynb",
    "tests/test_small_folders.py",
    "tests/test_photographs.py",
    "tests/exercises/test_grade.py",
)
seconds_by_file: dict[str, float] = defaultdict(float)


def await_reply(self, msg_id: str, timeout: float | None = None) -> None:
    """Wait for a cell's reply as nbval does, but look every second whether the kernel still lives."""
    give_up = time.monotonic() + float(timeout or 1800)
    while True:
        try:
            message = self.get_message(stream="shell", timeout=1)
        except Empty:
            if not self.is_alive():
                raise RuntimeError("the kernel died while this cell ran (out of memory, or it called exit)") from None
            if time.monotonic() > give_up:
                raise
            continue
        if message["parent_header"].get("msg_id") == msg_id:
            return


nbval_kernel.RunningKernel.await_reply = await_reply


def reportinfo(self) -> tuple:
    """Name a notebook's cell by its id in reports, not by a count."""
    return self.path, 0, f"{self.parent.nodeid}::{self.cell.get('id', self.name)}"


IPyNbCell.reportinfo = reportinfo


def pytest_collection_modifyitems(items: list) -> None:
    """The longest files first; all others stay as they are."""
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.nodeid.split("::")[0], len(LONGEST)))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up the seconds a file took; a notebook's cells count together."""
    seconds_by_file[report.nodeid.split("::")[0]] += report.duration


def pytest_terminal_summary(terminalreporter) -> None:
    """Print the slowest files of a long run."""
    total = sum(seconds_by_file.values())
    if total < 60:
        return
    terminalreporter.section(f"slowest of {total / 60:.1f} minutes")
    for name, seconds in sorted(seconds_by_file.items(), key=lambda pair: -pair[1])[:SLOWEST]:
        terminalreporter.write_line(f"{seconds:8.1f} s  {name}")
