"""What the commands `train` and `detect` share in a terminal: misspelt options, errors in a sentence, paths to copy."""

import argparse
import difflib
from collections.abc import Sequence
from pathlib import Path


def understood(
    parser: argparse.ArgumentParser, words: Sequence[str] | None = None, folder_option: str = ""
) -> argparse.Namespace:
    """The parsed words; an error names those that mean nothing, and what may be meant.

    Args:
        parser: knows the options.
        words: the command line, by default this process's.
        folder_option: how a folder is given that stands alone.
    """
    args, rest = parser.parse_known_args(words)
    if rest:
        options = [option for action in parser._actions for option in action.option_strings]
        near = [some[0] for word in rest if word[:1] == "-" and (some := difflib.get_close_matches(word, options, 1))]
        alone = next((word for word in rest if not word.startswith("-")), None)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        if alone and folder_option and not near:
            hint = f"; a folder is given as {folder_option} {alone}"
        parser.error(f"not understood: {' '.join(rest)}{hint}")
    return args


def in_terminal(path: Path) -> str:
    """A path as it is typed in a terminal: in quotes where it holds a blank."""
    return f'"{path}"' if " " in str(path) else str(path)


def told(error: Exception) -> str:
    """An error as a sentence; of the system's own the file and what happened to it."""
    return f"{error.filename}: {error.strerror}." if isinstance(error, OSError) and error.filename else str(error)
