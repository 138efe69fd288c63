"""The course's pictures: `load(kind, split)` gives embedded scenes, or photographs where COURSE_DATA names a folder."""

import os
from functools import lru_cache
from pathlib import Path

import torch

from course_lib.data.voc import DataError, VOCFolder

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "data" / "cache"
KINDS = ("one-object", "standard", "crowded")
SPLITS = ("train", "val", "test")

__all__ = ["CACHE", "KINDS", "SPLITS", "DataError", "VOCFolder", "load", "on_scenes"]


def on_scenes() -> bool:
    """True with the embedded scenes, False where COURSE_DATA names a folder of photographs."""
    return not os.environ.get("COURSE_DATA", "").strip()


def load(kind: str, split: str, size: tuple[int, int] = (128, 128), confirm: bool = False) -> VOCFolder:
    """A split of the course's data as a data set of (image [3, H, W] float 0–1, dict(boxes, labels, difficult)).

    The embedded scenes are drawn on first use and cached. With COURSE_DATA=path (relative paths start at the
    repository's root) it reads that folder instead, be it Pascal VOC, COCO JSON or YOLO txt: pictures and boxes
    letterboxed to `size`, one summary line printed, and for "one-object" only the largest object of each picture.
    COURSE_FORMAT=voc, coco or yolo chooses where a folder holds several; COURSE_DAMAGED=skip leaves out what is damaged.

    Args:
        kind: "one-object", "standard" or "crowded"; on photographs only "one-object" makes a difference.
        split: "train", "val" or "test"; on photographs any split that the folder has.
        size: (H, W) of the pictures.
        confirm: must be True to open the test split, which is for confirming runs only.

    Raises:
        ValueError: an unknown kind or split, or the test split without `confirm=True`.
        DataError: the folder cannot be read; names file, object and remedy.
    """
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r}: choose one of {', '.join(KINDS)}.")
    if split == "test" and not confirm:
        raise ValueError("The test split is for confirming runs only; use 'val', or pass confirm=True if this is one.")
    if not on_scenes():
        return _photographs(kind, split, size)
    if split not in SPLITS:
        raise ValueError(f"split {split!r}: choose one of {', '.join(SPLITS)}.")
    from course_lib.data import scenes

    folder = scenes.write_scenes(CACHE, kind, size, split=split)
    dataset = _read_scenes(folder, split, scenes.CLASSES, tuple(size))
    return dataset.select(range(len(dataset)))  # lists of its own; the pixels are shared, and leave only as copies


@lru_cache(maxsize=3)
def _read_scenes(folder: Path, split: str, class_names: tuple[str, ...], size: tuple[int, int]) -> VOCFolder:
    """A split of embedded scenes; the last few stay in memory. A folder of scenes is never changed once it is there."""
    return VOCFolder(folder, split, class_names, size, quiet=True)


def _photographs(kind: str, split: str, size: tuple[int, int]) -> VOCFolder:
    """The folder that COURSE_DATA names, letterboxed."""
    given = os.environ["COURSE_DATA"].strip().strip("'\"")
    root = (ROOT / Path(given).expanduser()).resolve()
    if not root.exists():
        raise DataError(
            f"COURSE_DATA={given}: no such folder ({root}); relative paths start at the repository's root. "
            "Correct the path, or unset COURSE_DATA to use the embedded scenes."
        )
    form = os.environ.get("COURSE_FORMAT", "").strip() or None
    damaged = os.environ.get("COURSE_DAMAGED", "").strip() or "raise"
    dataset = VOCFolder(root, split, size=size, damaged=damaged, form=form)
    return _largest_only(dataset) if kind == "one-object" else dataset


def _largest_only(dataset: VOCFolder) -> VOCFolder:
    """Keep each picture's largest object that is not difficult; leave out pictures that have none."""
    rows, reduced = [], 0
    for target in dataset.targets:
        easy = (~target["difficult"]).nonzero()[:, 0]
        width, height = (target["boxes"][easy, 2:] - target["boxes"][easy, :2]).unbind(1)
        rows.append([int(easy[torch.argmax(width * height)])] if len(easy) else [])
        reduced += len(easy) > 0 and len(target["labels"]) > 1
    keep = [index for index, kept in enumerate(rows) if kept]
    gone = len(dataset) - len(keep)
    print(
        f"One object a picture: of {len(dataset)} pictures, {reduced} had more and keep their largest; "
        f"{gone} left out for having none (difficult ones do not count)."
    )
    if not keep:
        raise DataError(f"{dataset.root}: no picture of split {dataset.split!r} has an object; choose another split.")
    return dataset.keep_objects(rows).select(keep)
