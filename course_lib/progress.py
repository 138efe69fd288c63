"""Progress bars for a person: rate and remaining time on screen, nothing in stored output."""

import os
import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


def is_quiet() -> bool:
    """True where nobody watches: COURSE_QUIET or CI is set, or the output goes neither to a terminal nor to Jupyter."""
    if os.environ.get("COURSE_QUIET") or os.environ.get("CI"):
        return True
    return not (sys.stdout.isatty() or "ipykernel" in sys.modules)


def progress(items: Iterable[Item], label: str, total: int | None = None) -> Iterator[Item]:
    """Iterate over `items` behind a bar that names the rate and the remaining time, and removes itself at the end.

    Args:
        items: anything that can be iterated over.
        label: short text before the bar.
        total: number of items, where `len(items)` does not know it.
    """
    # stdout, not stderr: Jupyter paints stderr red, and strict notebook tests compare it.
    yield from tqdm(items, desc=label, total=total, file=sys.stdout, leave=False, disable=is_quiet(), mininterval=0.5)
