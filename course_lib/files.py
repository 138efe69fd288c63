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
