"""Reads any Pascal VOC folder, whatever state it is in, and writes one.

A VOC folder holds `JPEGImages/NAME.jpg`, `Annotations/NAME.xml` and `ImageSets/Main/SPLIT.txt`, one name a line.
What can be mended without guessing at a label is mended and counted in `VOCFolder.summary`; what cannot is collected
and raised as one `DataError`. The table of all mishaps stands in `data/README.md`.
"""

import difflib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import Dataset

from course_lib.data.transforms import letterbox
from course_lib.data.voc_files import (
    ORIENTATION,
    SUFFIXES,
    Annotation,
    DataError,
    Note,
    file_key,
    read_annotation,
    read_picture,
    read_split,
    write_annotation,
)
from course_lib.progress import progress

__all__ = ["DataError", "Note", "VOCFolder", "read_annotation", "read_split", "write_annotation", "write_voc"]

KEEP_BYTES = 1 << 30
MENDED = {
    "swapped": "boxes with swapped corners put right",
    "zero": "boxes that start at 0 instead of 1",
    "clipped": "boxes cut off at the picture's edge",
    "scaled": "pictures whose boxes were scaled from the declared to the real size",
    "size": "pictures whose declared size is missing or wrong, the real one used",
    "turned": "pictures turned upright as their EXIF data say",
    "unturned": "pictures left as stored despite EXIF data, since their boxes are drawn that way",
    "rgb": "grey, palette, CMYK, 16-bit or transparent pictures made RGB",
    "filename": "annotations that name another file, their own name counts",
    "markup": "annotations with a bare & in them",
    "spelling": "names found under another spelling (upper and lower case)",
    "repeated": "names listed twice, read once",
    "difficult": "unreadable 'difficult' marks taken as 0",
}
LEFT_OUT = {
    "outside": "boxes wholly outside their picture",
    "tiny": "boxes without a size",
    "other": "objects of other classes",
    "part": "parts of objects",
    "stray": "annotation files without a picture of their own",
}
NOTED = {
    "empty": "pictures without objects",
    "case": "class names that differ only in upper and lower case",
}


def _holds(size: tuple[int, int] | None, boxes: np.ndarray) -> bool:
    """Whether no box reaches beyond the right and lower edge of a picture of (W, H) by more than a pixel."""
    return size is not None and bool((boxes[:, 2:] <= np.add(size, 1)).all())


def _to_xyxy(label: Annotation, where: str) -> np.ndarray:
    """Boxes [N, 4] as (xmin − 1, ymin − 1, xmax, ymax), swapped corners put in order first."""
    low = np.minimum(label.corners[:, :2], label.corners[:, 2:])
    high = np.maximum(label.corners[:, :2], label.corners[:, 2:])
    for index in np.flatnonzero((low != label.corners[:, :2]).any(axis=1)):
        label.notes.append(Note("swapped", where, int(index) + 1, str(label.corners[index].tolist())))
    return np.concatenate([low - 1, high], axis=1)


def _turn(pixels: np.ndarray, orientation: int, boxes: np.ndarray, label: Annotation, where: str) -> np.ndarray:
    """Turn a picture upright unless its boxes were drawn on the picture as stored.

    The declared size decides; where it fits both or neither, upright wins if the boxes fit into it.
    """
    if orientation == 1:
        return pixels
    stored = (pixels.shape[1], pixels.shape[0])
    upright = stored[::-1] if orientation >= 5 else stored
    if stored != upright and label.size in (stored, upright):
        turn = label.size == upright
    else:
        turn = _holds(upright, boxes) or not _holds(stored, boxes)
    label.notes.append(Note("turned" if turn else "unturned", where, detail=f"orientation {orientation}"))
    if not turn:
        return pixels
    picture = Image.fromarray(pixels)
    picture.getexif()[ORIENTATION] = orientation
    return np.asarray(ImageOps.exif_transpose(picture))


def _scale_to_real(boxes: np.ndarray, real: tuple[int, int], label: Annotation, where: str) -> np.ndarray:
    """Boxes in pixels of the real size (W, H), where the annotation declares another.

    They belong to the one size that holds them all; if both do and the proportions agree, to the smaller one.
    """
    if label.size == real:
        return boxes
    factor = np.divide(real, label.size) if label.size else np.ones(2)
    alike = abs(factor[0] / factor[1] - 1) < 0.01
    scale = len(boxes) > 0 and _holds(label.size, boxes) and (not _holds(real, boxes) or (alike and factor[0] > 1))
    label.notes.append(Note("scaled" if scale else "size", where, detail=f"declared {label.size}, real {real}"))
    return boxes * np.tile(factor, 2) if scale else boxes


def _cut_to_picture(
    boxes: np.ndarray, size: tuple[int, int], label: Annotation, where: str, smallest: float
) -> tuple[np.ndarray, list[int]]:
    """Boxes [K, 4] inside a picture of (W, H), and the indices of the K objects that keep theirs."""
    cut = boxes.clip(0, np.array(size * 2, dtype=np.float64))
    kept = []
    for index, (box, inner) in enumerate(zip(boxes, cut, strict=True)):
        kind = ""
        if (inner[2:] <= inner[:2]).any():
            kind = "outside"
        elif (box[2:] - box[:2] < smallest).any():
            kind = "tiny"
        elif (inner != box).any():
            kind = "zero" if (box[:2] >= -1).all() and (box[2:] <= size).all() else "clipped"
        if kind:
            label.notes.append(Note(kind, where, index + 1, str(label.corners[index].tolist())))
        if kind not in ("outside", "tiny"):
            kept.append(index)
    return cut[kept], kept


def _index(folder: Path, suffixes: tuple[str, ...]) -> dict[str, list[Path]]:
    """Files by name without suffix; hidden files (`.DS_Store`, `._copy.xml`) do not count."""
    found = defaultdict(list)
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in suffixes and not path.name.startswith("."):
            found[file_key(path.stem)].append(path)
    return dict(found)


class VOCFolder(Dataset):
    """A Pascal VOC folder as (image [3, H, W] float 0–1, dict(boxes, labels, difficult)).

    Everything is read and checked on loading. Pictures stay in memory as bytes (up to 1 GB; the rest is read again
    when asked for). `dataset[3]` is one picture with its target, `dataset[:8]` a list of pictures and a list of
    targets. Both are copies: changing them leaves the data set as it was.

    Attributes:
        class_names: tuple of names; label c is `class_names[c - 1]`.
        names: file names without suffix, in the order of the split list.
        original_sizes: (H, W) of every picture before letterboxing.
        notes: every mishap as a `Note`; `summary` counts them in one line.
        found: objects in the annotation files; objects in the targets and those left out add up to it.
    """

    def __init__(
        self,
        root: str | Path,
        split: str | None,
        class_names: Sequence[str] | None = None,
        size: tuple[int, int] | None = None,
        others: str = "raise",
        smallest: float = 2,
        quiet: bool = False,
    ) -> None:
        """Read a split.

        Args:
            root: the folder that holds JPEGImages, Annotations and ImageSets.
            split: name of a list in ImageSets/Main, or None for every picture that has an annotation.
            class_names: the class names in the order of their labels; by default all of the folder's, sorted.
            size: (H, W) to letterbox pictures and boxes to; by default they keep their own size.
            others: what to do with objects of classes not in `class_names`: "raise" or "drop".
            smallest: boxes with a shorter side, in pixels of the picture as it was, are left out. VOC's corners are
                inclusive, so a click without a drag makes a box one pixel wide.
            quiet: do not print the summary.

        Raises:
            DataError: all that cannot be mended, ten problems at a time.
        """
        if others not in ("raise", "drop"):
            raise ValueError(f"others={others!r}: choose 'raise' or 'drop'.")
        self.root, self.split, self.size = Path(root), split, size
        self._others, self._smallest = others, smallest
        self.notes: list[Note] = []
        self._index_files()
        self.names = self._list_names()
        self.class_names = self._all_classes() if class_names is None else tuple(class_names)
        self._read_all()
        if not quiet:
            print(self.summary)

    def _index_files(self) -> None:
        """Find pictures and annotations by name."""
        if not self.root.is_dir():
            raise DataError(f"{self.root}: no such folder; correct the path.")
        missing = [part for part in ("JPEGImages", "Annotations") if not (self.root / part).is_dir()]
        if missing:
            inner = sorted(path.parent for path in self.root.glob("**/JPEGImages"))
            hint = f" Did you mean its subfolder {inner[0].relative_to(self.root).as_posix()}?" if inner else ""
            raise DataError(
                f"{self.root}: not a Pascal VOC folder, {' and '.join(missing)} missing; it needs JPEGImages, "
                f"Annotations and ImageSets/Main.{hint}"
            )
        folder = self.root / "Annotations"
        self._pictures = _index(self.root / "JPEGImages", SUFFIXES)
        # Of x.XML and x.xml the lower-case one is read, and the other counted with the stray ones.
        self._annotations = {key: paths[-1] for key, paths in _index(folder, (".xml",)).items()}
        self._folded = defaultdict(list)
        for key in self._pictures:
            self._folded[key.lower()].append(key)
        read = {path for key, path in self._annotations.items() if key.lower() in self._folded}
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".xml")
        self.notes += [Note("stray", f"Annotations/{path.name}") for path in files if path not in read]

    def _list_names(self) -> list[str]:
        """The split's names, each once, as the picture files spell them."""
        if self.split is None:
            names = [key for key in self._pictures if key in self._annotations]
            if not names:
                raise DataError(f"{self.root}: no picture in JPEGImages has an annotation of its name in Annotations.")
            return names
        path = self.root / "ImageSets" / "Main" / f"{self.split}.txt"
        where, names = f"ImageSets/Main/{path.name}", {}
        if not path.is_file():
            lists = sorted(other.stem for other in path.parent.glob("*.txt"))
            raise DataError(
                f"{self.root}: no split list {where} (there: {', '.join(lists) or 'no list at all'}); write it, one "
                "picture's name a line. VOCFolder(root, split=None) reads every picture."
            )
        for name in read_split(path, self._pictures):
            if name not in self._pictures and len(self._folded[name.lower()]) == 1:
                self.notes.append(Note("spelling", where, detail=name))
                name = self._folded[name.lower()][0]
            if name in names:
                self.notes.append(Note("repeated", where, detail=name))
            names[name] = None
        return list(names)

    def _all_classes(self) -> tuple[str, ...]:
        """Every class of the folder, also of other splits, sorted: labels do not depend on the split."""
        counts: Counter[str] = Counter()
        for key, path in self._annotations.items():
            if key.lower() in self._folded:
                counts.update(read_annotation(path).names)
        if not counts:
            raise DataError(f"{self.root}: not one object in its annotations; label some, or pass class_names=.")
        folded = Counter(name.lower() for name in counts)
        doubtful = sorted(name for name in counts if folded[name.lower()] > 1)
        self.notes += [Note("case", "Annotations", detail=name) for name in doubtful]
        return tuple(sorted(counts))

    def _read_all(self) -> None:
        """Read every picture; collect what cannot be mended and raise it together."""
        self.found, kept_bytes, problems = 0, 0, []
        self.original_sizes: list[tuple[int, int]] = []
        self._targets: list[dict[str, Tensor]] = []
        self._pixels: list[Tensor | None] = []
        for name in progress(self.names, f"reading {self.root.name}"):
            try:
                pixels, target, size, label = self._read(name)
            except DataError as error:
                problems.append(str(error))
                continue
            kept_bytes += pixels.numel()
            self._pixels.append(pixels if kept_bytes <= KEEP_BYTES else None)
            self._targets.append(target)
            self.original_sizes.append(size)
            self.found += len(label.names)
            self.notes += label.notes
        if problems:
            shown = "".join(f"\n  - {problem}" for problem in problems[:10])
            more = f"\n  and {len(problems) - 10} more" if len(problems) > 10 else ""
            raise DataError(f"{self.root}: problems that cannot be mended ({len(problems)}):{shown}{more}")

    def _files(self, name: str) -> tuple[Path, Path, Annotation]:
        """Annotation and picture of a name, and what the annotation says."""
        path = self._annotations.get(name)
        if path is None:
            near = [other for key, other in self._annotations.items() if key.lower() == name.lower()]
            path = near[0] if near else self.root / "Annotations" / f"{name}.xml"
        label = read_annotation(path)
        stated = file_key(label.filename.replace("\\", "/").rsplit("/", 1)[-1])
        if stated and name not in (stated, stated.rpartition(".")[0]):
            label.notes.append(Note("filename", f"Annotations/{path.name}", detail=stated))
        pictures = self._pictures.get(name, [self.root / "JPEGImages" / f"{name}.jpg"])
        if len(pictures) > 1:
            twins = ", ".join(picture.name for picture in pictures)
            pictures = [picture for picture in pictures if file_key(picture.name) == stated]
            if len(pictures) != 1:
                raise DataError(f"JPEGImages: {twins} share one name; remove all but the one that was labelled.")
        return path, pictures[0], label

    def _read(self, name: str) -> tuple[Tensor, dict[str, Tensor], tuple[int, int], Annotation]:
        """One picture [3, H, W] uint8 with its target (letterboxed if asked), its size before, and its annotation."""
        path, picture_path, label = self._files(name)
        where = f"Annotations/{path.name}"
        pixels, orientation, mode = read_picture(picture_path)
        if mode != "RGB":
            label.notes.append(Note("rgb", f"JPEGImages/{picture_path.name}", detail=mode))
        boxes = _to_xyxy(label, where)
        pixels = _turn(pixels, orientation, boxes, label, where)
        height, width = pixels.shape[:2]
        boxes = _scale_to_real(boxes, (width, height), label, where)
        boxes, kept = _cut_to_picture(boxes, (width, height), label, where, self._smallest)
        labels = [self._label(label, index, where) for index in kept]
        known = [row for row, number in enumerate(labels) if number]
        target = {
            "boxes": torch.tensor(boxes[known], dtype=torch.float32),
            "labels": torch.tensor([labels[row] for row in known], dtype=torch.int64),
            "difficult": torch.tensor([label.difficult[kept[row]] for row in known], dtype=torch.bool),
        }
        if not known:
            label.notes.append(Note("empty", where))
        image = torch.from_numpy(pixels.transpose(2, 0, 1).copy())
        if self.size is not None:
            image, target = letterbox(image, target, self.size)
        return image, target, (height, width), label

    def _label(self, label: Annotation, index: int, where: str) -> int:
        """The label of an object's class; 0 for another class that may be left out."""
        name = label.names[index]
        if name in self.class_names:
            return self.class_names.index(name) + 1
        if self._others == "drop":
            label.notes.append(Note("other", where, index + 1, name))
            return 0
        near = difflib.get_close_matches(name, self.class_names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise DataError(
            f"{where}, object {index + 1} ({name}): not one of the classes {', '.join(self.class_names)}; correct the "
            f"name, add it to class_names=, or pass others='drop'.{hint}"
        )

    @property
    def summary(self) -> str:
        """One line: pictures, objects, and how often what was mended, left out or noted."""
        counts = Counter(note.kind for note in self.notes)
        objects = sum(len(target["labels"]) for target in self._targets)
        parts = [f"{self.root.name}/{self.split or 'all'}: {len(self)} pictures, {objects} objects"]
        parts[0] += f", {len(self.class_names)} classes"
        for title, kinds in (("mended", MENDED), ("left out", LEFT_OUT), ("noted", NOTED)):
            said = [f"{text} ({counts[kind]})" for kind, text in kinds.items() if counts[kind]]
            parts += [f"{title}: {', '.join(said)}"] if said else []
        return "; ".join(parts) + "."

    @property
    def targets(self) -> list[dict[str, Tensor]]:
        """All targets (copies), without touching a picture."""
        return [{key: value.clone() for key, value in target.items()} for target in self._targets]

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, index: int | slice) -> tuple:
        """One (image, target), or for a slice (list of images, list of targets)."""
        if isinstance(index, slice):
            pairs = [self[i] for i in range(len(self))[index]]
            return [image for image, _ in pairs], [target for _, target in pairs]
        index = range(len(self))[index]  # negative indices, and IndexError beyond the end
        pixels = self._pixels[index]
        if pixels is None:
            pixels = self._read(self.names[index])[0]
        return pixels.float().div_(255), {key: value.clone() for key, value in self._targets[index].items()}

    def select(self, indices: Sequence[int]) -> "VOCFolder":
        """The same data set with only these pictures, in this order; the pictures are shared, not copied."""
        chosen = object.__new__(type(self))
        chosen.__dict__.update(self.__dict__)
        for name in ("names", "original_sizes", "_targets", "_pixels"):
            setattr(chosen, name, [getattr(self, name)[int(i)] for i in indices])
        return chosen


def write_voc(
    root: str | Path,
    splits: dict[str, Iterable[tuple[Tensor, dict[str, Tensor]]]],
    class_names: Sequence[str],
    suffix: str = ".jpg",
) -> Path:
    """Write a Pascal VOC folder; `VOCFolder(root, split, class_names)` reads it back, boxes exactly.

    Args:
        root: the folder, made if it does not exist.
        splits: for every split its (image [3, H, W] float 0–1 or uint8, target) pairs.
        class_names: label c is called `class_names[c - 1]`.
        suffix: ".jpg" (quality 95), or ".png" to keep every pixel as it is.
    """
    root = Path(root)
    for part in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / part).mkdir(parents=True, exist_ok=True)
    for split, pairs in splits.items():
        names = []
        for index, (image, target) in enumerate(pairs):
            name, file = f"{split}_{index:05d}", f"{split}_{index:05d}{suffix}"
            names.append(name)
            pixels = (image * 255).round().to(torch.uint8) if image.is_floating_point() else image
            Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy()).save(root / "JPEGImages" / file, quality=95)
            words = [class_names[int(label) - 1] for label in target["labels"]]
            size, marks = tuple(image.shape[-2:]), target.get("difficult")
            write_annotation(root / "Annotations" / f"{name}.xml", file, size, target["boxes"], words, marks)
        text = "".join(f"{name}\n" for name in names)
        (root / "ImageSets" / "Main" / f"{split}.txt").write_text(text, encoding="utf-8", newline="\n")
    return root
