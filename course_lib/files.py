"""Writing files so that an interruption leaves the old one or the new one, never a half."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def write_whole(path: Path, content: str | bytes | Callable[[BinaryIO], object]) -> None:
    """Write a file beside its place and move it there, once all of it is on the disk.

    Args:
        path: where it goes; its folder exists.
        content: text (stored as UTF-8, line ends as they are), bytes, or a function that writes into an open file.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(part, "wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content.encode("utf-8") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def remove_parts(folder: Path) -> None:
    """Remove the halves of files that killed processes have left in a folder; nobody may be writing there."""
    for path in folder.glob(".*.tmp"):
        if path.stem.rpartition(".")[2].isdigit():
            path.unlink(missing_ok=True)


def refuse_place(folder: Path) -> None:
    """Say early that results cannot be written there; the folder itself is made later.

    Raises:
        ValueError: it is a file, or nothing may be written there.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise ValueError(f"{folder}: {there} is a file; give a folder as --out.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"{folder}: nothing may be written into {there}; give another folder as --out.")
