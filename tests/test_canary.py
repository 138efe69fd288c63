"""The notebook check must be able to fail: one altered digit, and a kernel that dies."""

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CANARY = Path("tests") / "canary"


def check(name: str) -> subprocess.CompletedProcess:
    """Run the project's own notebook check on one canary, exactly as `make test` does."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(CANARY / name)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=900
    )  # a limit for hangs, not for slow machines


def test_twins_differ_in_one_digit():
    sound, damaged = ((ROOT / CANARY / f"{n}.ipynb").read_text(encoding="utf-8") for n in ("sound", "damaged"))
    assert len(sound) == len(damaged)
    assert [(a, b) for a, b in zip(sound, damaged, strict=True) if a != b] == [("5", "6")]


def test_sound_notebook_passes():
    result = check("sound.ipynb")
    assert result.returncode == 0, result.stdout


def test_damaged_notebook_fails():
    result = check("damaged.ipynb")
    assert result.returncode == 1, result.stdout
    assert "46" in result.stdout and "1 failed, 1 passed" in result.stdout


def test_dead_kernel_is_noticed_at_once():
    start = time.monotonic()
    result = check("dies.ipynb")
    assert result.returncode == 1, result.stdout
    assert "the kernel died" in result.stdout
    assert time.monotonic() - start < 600  # the cell's own limit is 1,800 s
