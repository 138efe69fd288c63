"""Says what is wrong with this machine's set-up, and what to do: `python -m course_lib.cli.doctor`.

Lesson 1 calls `doctor()` in its first cell. Each check returns None when all is well, or one sentence that names the
trouble and the remedy.
"""

import importlib
import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SETUP = "run `make lab` in the course's folder, or see the README for conda, uv and Windows"


def check_python(version: tuple[int, int] = sys.version_info[:2]) -> str | None:
    """Python 3.11 or newer."""
    if version < (3, 11):
        return f"Python {version[0]}.{version[1]} is too old, the course needs 3.11 or newer: {SETUP}."
    return None


def check_packages(
    names: tuple[str, ...] = ("torch", "torchvision", "matplotlib", "numpy", "PIL", "tqdm"),
) -> str | None:
    """Everything the lessons import can be imported."""
    missing = []
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:
            missing.append(f"{name} ({type(error).__name__}: {error})")
    if missing:
        return f"cannot import {', '.join(missing)}: {SETUP}."
    return None


def check_nms() -> str | None:
    """torch and torchvision were built for each other: torchvision's compiled operators answer."""
    try:
        import torch
        import torchvision

        torchvision.ops.nms(torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([1.0]), 0.5)
    except Exception as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        return (
            f"torchvision's compiled operators do not answer ({first}). torch and torchvision come from different "
            "sources or versions: install both in one command from one source, for example "
            "`pip install --force-reinstall torch torchvision`, or both from conda-forge."
        )
    return None


def kernel_python() -> str:
    """The Python that runs the notebooks: the one of Jupyter's kernel `python3`, or this one where Jupyter says none."""
    try:
        from jupyter_client.kernelspec import KernelSpecManager

        program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except Exception:  # no Jupyter here, or no kernel of this name: it falls back on its own Python
        return sys.executable
    return sys.executable if program.startswith("python") else program


def imported_from(python: str, folder: Path) -> tuple[Path | None, str]:
    """The folder whose course_lib a Python started in `folder` imports, or None and the reason."""
    ask = "import course_lib; print(course_lib.__file__)"
    try:
        done = subprocess.run([python, "-c", ask], cwd=folder, capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.SubprocessError) as error:
        return None, f"it cannot be started: {type(error).__name__}"
    path = Path(done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ".")
    if done.returncode or path.name != "__init__.py":
        return None, (done.stderr.strip().splitlines() or ["no such module"])[-1]
    return path.resolve().parents[1], ""


def check_kernel(prefix: str | None = None, folder: Path | None = None, root: Path = ROOT) -> str | None:
    """The Python that runs the notebooks has the course installed, and imports this folder's course_lib.

    Args:
        prefix: where the running Python lives.
        folder: where the notebooks lie, by default my_course/.
        root: the course's folder.
    """
    prefix = prefix or sys.prefix
    try:
        importlib.metadata.version("object-detection-course")
    except importlib.metadata.PackageNotFoundError:
        return (
            f"this kernel's Python ({prefix}) does not have the course installed. In Jupyter choose Kernel, Change "
            f"Kernel, and take the one of the course's environment; or {SETUP}."
        )
    if "ipykernel.kernelapp" in sys.modules and folder is None:  # this is the kernel: whose notebook does it run?
        places = [place for place in (Path.cwd(), *Path.cwd().parents) if (place / "course_lib/__init__.py").is_file()]
        python, found, reason, root = sys.executable, root, "", places[0].resolve() if places else root
    else:
        started = [root / "my_course", root / "notebooks", root / "data"] if folder is None else [folder]
        python = kernel_python()
        found, reason = imported_from(python, next((place for place in started if place.is_dir()), root))
    if found == root.resolve():
        return None
    what = f"imports another copy of course_lib, from {found}" if found else f"cannot import course_lib ({reason})"
    return f"the Python that runs the notebooks {what}: run `{python} -m pip install --no-deps -e .` in {root}."


def check_data(folder: Path | None = None) -> str | None:
    """The data folder can be written: generated pictures are cached there."""
    folder = folder or ROOT / "data"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".doctor-{os.getpid()}"
        probe.write_text("ok", encoding="utf-8")
        probe.unlink()
    except OSError as error:
        return (
            f"the folder {folder.name}/ cannot be written ({error.strerror}): copy the course to a folder of your own."
        )
    return None


def check_memory(available: int | None = None, needed: float = 2.0) -> str | None:
    """At least 2 GB of memory are free (unknown counts as enough)."""
    if available is None:
        try:
            import psutil  # comes with JupyterLab's kernel
        except ImportError:
            return None
        available = psutil.virtual_memory().available
    gigabytes = available / 1e9
    if gigabytes < needed:
        return (
            f"only {gigabytes:.1f} GB of memory are free, training takes {needed:.0f}: close other programs or kernels."
        )
    return None


CHECKS: dict[str, Callable[[], str | None]] = {
    "Python": check_python,
    "packages": check_packages,
    "torch and torchvision": check_nms,
    "kernel": check_kernel,
    "data folder": check_data,
    "memory": check_memory,
}


def doctor() -> bool:
    """Run every check and print one line for each trouble, or that all is well; True when all is well."""
    troubles = {name: trouble for name, check in CHECKS.items() if (trouble := check()) is not None}
    for name, trouble in troubles.items():
        print(f"{name}: {trouble}")
    if not troubles:
        print(f"All {len(CHECKS)} checks passed: the course can run here.")
    return not troubles


if __name__ == "__main__":
    sys.exit(0 if doctor() else 1)
