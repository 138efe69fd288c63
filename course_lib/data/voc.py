"""Reads any Pascal VOC folder, whatever state it is in, and writes one.

A VOC folder holds `JPEGImages/NAME.jpg`, `Annotations/NAME.xml` and `ImageSets/Main/SPLIT.txt`, one name a line.
`data/README.md` lists every mishap and whether it is mended or raises. In short: what can be mended without guessing
at a label is mended and counted in `VOCFolder.summary`; all that cannot is collected and raised as one `DataError`.
"""

import difflib
import re
import unicodedata
import warnings
import xml.etree.ElementTree as ElementTree
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import Dataset

from course_lib.data.transforms import letterbox
from course_lib.progress import progress

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".ppm", ".pgm", ".jfif")
CORNERS = ("xmin", "ymin", "xmax", "ymax")
KEEP_BYTES = 1 << 30
MENDED = {
    "swapped": "boxes with swapped corners put right",
    "zero": "boxes that start at 0 instead of 1",
    "clipped": "boxes cut off at the picture's edge",
    "scaled": "pictures whose boxes were scaled from the declared to the real size",
    "size": "pictures whose declared size is missing or wrong (the real one was used)",
    "turned": "pictures turned upright as their EXIF data say",
    "unturned": "pictures left as stored despite EXIF data, since their boxes are drawn that way",
    "rgb": "grey, palette, CMYK, 16-bit or transparent pictures made RGB",
    "filename": "annotations that name another file (their own name counts)",
    "markup": "annotations with a bare & in them",
    "spelling": "names found under another spelling (upper and lower case)",
    "repeated": "names listed twice and read once",
    "difficult": "unreadable 'difficult' marks taken as 0",
}
LEFT_OUT = {
    "outside": "boxes wholly outside their picture",
    "tiny": "boxes without a size",
    "other": "objects of other classes",
    "part": "parts of objects",
    "stray": "annotation files without a picture",
}
NOTED = {
    "empty": "pictures without objects",
    "case": "class names that differ only in upper and lower case",
}


class DataError(ValueError):
    """Something in a data folder that cannot be mended; the message names file, object and remedy."""


@dataclass
class Note:
    """One thing that was mended, left out or noted: where, which object (from 1; 0 for none), and what it was."""

    kind: str
    file: str
    object: int = 0
    detail: str = ""


@dataclass
class Annotation:
    """What one annotation file says, its numbers untouched: corners [N, 4] 1-based and inclusive."""

    corners: np.ndarray
    names: list[str]
    difficult: list[bool]
    size: tuple[int, int] | None
    filename: str
    notes: list[Note] = field(default_factory=list)


def _number(node: ElementTree.Element, tag: str, where: str) -> float:
    text = (node.findtext(tag) or "").strip()
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise DataError(f"{where}: <{tag}> is {text!r}, not a number; correct it or take the object out.")
    return value


def _parse(path: Path, where: str, notes: list[Note]) -> ElementTree.Element:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{where}: missing or unreadable ({type(error).__name__}); restore it, or take the name off the split "
            "list. A picture without objects needs an annotation without <object>."
        ) from error
    if not raw.strip():
        raise DataError(f"{where}: the file is empty; restore it, or write <annotation/> if nothing is in the picture.")
    try:
        root = ElementTree.fromstring(raw)
    except ElementTree.ParseError as error:
        mended = re.sub(rb"&(?!\w+;|#\w+;)", b"&amp;", raw)
        if mended == raw:
            raise DataError(f"{where}: not well-formed XML ({error}); repair or restore the file.") from error
        try:
            root = ElementTree.fromstring(mended)
        except ElementTree.ParseError:
            raise DataError(f"{where}: not well-formed XML ({error}); repair or restore the file.") from error
        notes.append(Note("markup", where))
    if root.tag.lower() != "annotation":
        raise DataError(f"{where}: the outermost tag is <{root.tag}>, not <annotation>; this is not a VOC annotation.")
    return root


def _declared_size(root: ElementTree.Element) -> tuple[int, int] | None:
    try:
        size = int(float(root.findtext("size/width"))), int(float(root.findtext("size/height")))
    except (TypeError, ValueError, OverflowError):
        return None
    return size if min(size) > 0 else None


def read_annotation(path: str | Path) -> Annotation:
    """Read one annotation file without changing its numbers.

    Args:
        path: an XML file in Pascal VOC's format.

    Raises:
        DataError: the file is missing, empty or no VOC annotation; an object has no name, no box or no numbers.
    """
    path = Path(path)
    where = f"{path.parent.name}/{path.name}"
    notes: list[Note] = []
    root = _parse(path, where, notes)
    corners, names, difficult = [], [], []
    for index, node in enumerate(root.findall("object"), start=1):
        name = (node.findtext("name") or "").strip()
        this = f"{where}, object {index}" + (f" ({name})" if name else "")
        if not name:
            raise DataError(f"{this}: no <name>; write the class's name or take the object out.")
        box = node.find("bndbox")
        if box is None:
            raise DataError(f"{this}: no <bndbox>; draw its box or take the object out.")
        corners.append([_number(box, tag, this) for tag in CORNERS])
        names.append(name)
        mark = (node.findtext("difficult") or "0").strip().lower()
        if mark not in ("0", "1", "false", "true", "no", "yes", ""):
            notes.append(Note("difficult", where, index, mark))
        difficult.append(mark in ("1", "true", "yes"))
        notes += [Note("part", where, index, part.findtext("name") or "") for part in node.findall("part")]
    table = np.array(corners, dtype=np.float64).reshape(-1, 4)
    return Annotation(table, names, difficult, _declared_size(root), root.findtext("filename") or "", notes)


def _to_rgb(opened: Image.Image, where: str) -> np.ndarray:
    if opened.mode.startswith("I"):  # 16 bits, or 12 bits in a 16-bit file; Pillow's own conversion would cut at 255
        values = np.asarray(opened).astype(np.float64)
        top = next(top for top in (255, 4095, 65535, float(values.max())) if values.max() <= top)
        grey = np.rint(values.clip(min=0) * 255 / top).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if opened.mode == "F":
        raise DataError(f"{where}: a picture of real numbers has no fixed white; save it as 8-bit JPEG or PNG.")
    if "A" in opened.mode or "transparency" in opened.info:
        opened = opened.convert("RGBA")
        white = Image.new("RGBA", opened.size, "white")
        opened = Image.alpha_composite(white, opened)
    return np.asarray(opened.convert("RGB"))


def read_picture(path: str | Path) -> tuple[np.ndarray, int, str]:
    """Read one picture file: pixels [H, W, 3] uint8 as stored, its EXIF orientation (1 to 8) and its colour mode.

    Raises:
        DataError: the file is missing, cut short, or no picture.
    """
    path = Path(path)
    where = f"{path.parent.name}/{path.name}"
    try:
        with warnings.catch_warnings(), Image.open(path) as opened:
            warnings.simplefilter("ignore")  # palette transparency and damaged EXIF data; both are handled here
            opened.load()
            orientation, mode = opened.getexif().get(0x0112, 1), opened.mode
            pixels = _to_rgb(opened, where)
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{where}: missing; restore it, or take its name off the split list.") from error
    except Image.UnidentifiedImageError as error:
        raise DataError(f"{where}: not a picture that Pillow can read; save it anew as JPEG or PNG.") from error
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{where}: cut short or damaged ({error}); fetch it again, or take its name off the split list."
        ) from error
    return pixels, orientation if orientation in range(1, 9) else 1, mode


def _holds(size: tuple[int, int] | None, corners: np.ndarray) -> bool:
    """Whether all boxes lie inside a picture of (W, H), within a pixel."""
    if size is None:
        return False
    return len(corners) == 0 or bool(corners.min() >= -1 and (corners[:, 2:].max(axis=0) <= np.add(size, 1)).all())


def _turn(pixels: np.ndarray, orientation: int, label: Annotation, where: str) -> np.ndarray:
    """Turn a picture upright unless its boxes were drawn on the picture as stored."""
    if orientation == 1:
        return pixels
    stored = (pixels.shape[1], pixels.shape[0])
    upright = stored[::-1] if orientation >= 5 else stored
    if stored != upright and label.size in (stored, upright):
        turn = label.size == upright
    else:
        turn = _holds(upright, label.corners) or not _holds(stored, label.corners)
    label.notes.append(Note("turned" if turn else "unturned", where, detail=f"orientation {orientation}"))
    if not turn:
        return pixels
    picture = Image.fromarray(pixels)
    picture.getexif()[0x0112] = orientation
    return np.asarray(ImageOps.exif_transpose(picture))


def _scale_to_real(corners: np.ndarray, real: tuple[int, int], label: Annotation, where: str) -> np.ndarray:
    """Decide whether boxes are in pixels of the declared or of the real size; returns them in pixels of the real one.

    They belong to the one frame that holds them all; if both do and the proportions agree, to the smaller one.
    """
    declared = label.size
    if declared == real:
        return corners
    factor = np.divide(real, declared) if declared else np.ones(2)
    alike = abs(factor[0] / factor[1] - 1) < 0.01
    in_real, in_declared = _holds(real, corners), _holds(declared, corners)
    scale = len(corners) > 0 and in_declared and (not in_real or (alike and factor[0] > 1))
    kind = "scaled" if scale else "size"
    label.notes.append(Note(kind, where, detail=f"declared {declared}, real {real}"))
    return corners * np.tile(factor, 2) if scale else corners


def _mend_boxes(
    corners: np.ndarray, size: tuple[int, int], label: Annotation, where: str, smallest: float
) -> tuple[np.ndarray, list[int]]:
    """Boxes xyxy inside a picture of (W, H), and the indices of the objects that keep theirs."""
    boxes = np.concatenate([corners[:, :2] - 1, corners[:, 2:]], axis=1)
    limits = np.array(size * 2, dtype=np.float64)
    kept = []
    for index, box in enumerate(boxes):
        note = Note("", where, index + 1, str(corners[index].tolist()))
        cut = box.clip(0, limits)
        if (cut[2:] <= cut[:2]).any():
            note.kind = "outside"
        elif (box[2:] - box[:2] < smallest).any():
            note.kind = "tiny"
        else:
            kept.append(index)
            note.kind = "" if (cut == box).all() else "zero" if (abs(cut - box) <= 1).all() else "clipped"
            note.kind = "clipped" if note.kind == "zero" and (cut == box)[:2].all() else note.kind
        if note.kind:
            label.notes.append(note)
        boxes[index] = cut
    return boxes[kept], kept


def _straighten(corners: np.ndarray, label: Annotation, where: str) -> np.ndarray:
    """Put swapped corners in order."""
    low, high = np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:])
    straight = np.concatenate([low, high], axis=1)
    for index in np.flatnonzero((straight != corners).any(axis=1)):
        label.notes.append(Note("swapped", where, int(index) + 1, str(corners[index].tolist())))
    return straight


def _key(name: str) -> str:
    """One spelling of a file name: macOS stores accents in two pieces, other systems in one."""
    return unicodedata.normalize("NFC", name)


def _index(folder: Path, suffixes: tuple[str, ...]) -> dict[str, list[Path]]:
    """Files by name without suffix; hidden files (`.DS_Store`, `._copy.xml`) do not count."""
    found = defaultdict(list)
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in suffixes and not path.name.startswith("."):
            found[_key(path.stem)].append(path)
    return dict(found)


def _read_text(path: Path) -> str:
    raw = path.read_bytes()
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(f"ImageSets/Main/{path.name}: not UTF-8 text ({error}); save it as UTF-8.") from error


def read_split(path: str | Path, known: Iterable[str] = ()) -> list[str]:
    """Names in a split list: one a line, optionally with a suffix, a folder, or VOC's column of 1, 0 and −1.

    All names count, whatever the column says: a picture without the class is still a picture to search.

    Args:
        path: the list.
        known: names of pictures; a line that is one of them is not taken apart.

    Raises:
        DataError: the file holds no names or is not text.
    """
    path, names, known = Path(path), [], set(known)
    for line in _read_text(path).splitlines():
        name = _key(line.strip())
        if not name:
            continue
        if name not in known:
            name = re.sub(r"\s+[+-]?[01]$", "", name).replace("\\", "/").rsplit("/", 1)[-1]
        stem, dot, suffix = name.rpartition(".")
        names.append(stem if name not in known and dot + suffix.lower() in (*SUFFIXES, ".xml") else name)
    if not names:
        raise DataError(f"ImageSets/Main/{path.name}: no names in it; write one picture's name a line.")
    return names


class VOCFolder(Dataset):
    """A Pascal VOC folder as (image [3, H, W] float 0–1, dict(boxes, labels, difficult)).

    Everything is read and checked on loading. Pictures are kept in memory as bytes (up to 1 GB, the rest is read again
    when asked for). `dataset[3]` is one picture with its target, `dataset[:8]` a list of pictures and a list of
    targets. Both are copies: changing them leaves the data set as it was.

    Attributes:
        classes: tuple of names; label c is `classes[c - 1]`.
        names: file names without suffix, in the order of the split list.
        original_sizes: (H, W) of every picture before letterboxing.
        notes: every mishap as a `Note`.
        summary: the same, counted, in one line.
        found: objects in the annotation files; `found` = kept objects + objects left out.
    """

    def __init__(
        self,
        root: str | Path,
        split: str | None,
        classes: Sequence[str] | None = None,
        size: tuple[int, int] | None = None,
        others: str = "raise",
        smallest: float = 2,
        quiet: bool = False,
    ) -> None:
        """Read a split.

        Args:
            root: the folder that holds JPEGImages, Annotations and ImageSets.
            split: name of a list in ImageSets/Main, or None for every picture that has an annotation.
            classes: the class names in the order of their labels; by default all of the folder's, sorted.
            size: (H, W) to letterbox pictures and boxes to; by default they keep their own size.
            others: what to do with objects of classes not in `classes`: "raise" or "drop".
            smallest: boxes with a side of fewer pixels (in the original picture) are left out: VOC's corners are
                inclusive, so a click without a drag is one pixel wide.
            quiet: do not print the summary.

        Raises:
            DataError: all that cannot be mended, up to ten problems at once.
        """
        if others not in ("raise", "drop"):
            raise ValueError(f"others={others!r}: choose 'raise' or 'drop'.")
        self.root, self.split, self.size, self.smallest, self.others = Path(root), split, size, smallest, others
        self.notes: list[Note] = []
        self.found = 0
        self._open_folder()
        self.names = self._list_names()
        self.classes = self._all_classes() if classes is None else tuple(classes)
        self.original_sizes: list[tuple[int, int]] = []
        self._targets: list[dict[str, Tensor]] = []
        self._pixels: list[Tensor | None] = []
        self._read_all()
        if not quiet:
            print(self.summary)

    def _open_folder(self) -> None:
        """Index pictures and annotations by name."""
        missing = [part for part in ("JPEGImages", "Annotations") if not (self.root / part).is_dir()]
        if not self.root.is_dir():
            raise DataError(f"{self.root}: no such folder; check the path (it is relative to where Python runs).")
        if missing:
            inner = sorted(p.parent.relative_to(self.root).as_posix() for p in self.root.glob("*/**/JPEGImages"))
            hint = f" Did you mean its subfolder {inner[0]}?" if inner else ""
            raise DataError(
                f"{self.root}: not a Pascal VOC folder, {' and '.join(missing)} missing; it needs JPEGImages, "
                f"Annotations and ImageSets/Main.{hint}"
            )
        self._pictures = _index(self.root / "JPEGImages", SUFFIXES)
        self._labels = {key: paths[0] for key, paths in _index(self.root / "Annotations", (".xml",)).items()}
        by_case = {key.lower() for key in self._pictures}
        for path in sorted((self.root / "Annotations").iterdir()):
            hidden = path.name.startswith(".")
            if path.suffix.lower() == ".xml" and (hidden or _key(path.stem).lower() not in by_case):
                self.notes.append(Note("stray", f"Annotations/{path.name}"))

    def _list_names(self) -> list[str]:
        """The split's names, each once, under the spelling of the picture file."""
        if self.split is None:
            names = [key for key in self._pictures if key in self._labels]
            if not names:
                raise DataError(f"{self.root}: no picture in JPEGImages has an annotation of its name in Annotations.")
            return names
        folder = self.root / "ImageSets" / "Main"
        path = folder / f"{self.split}.txt"
        if not path.is_file():
            lists = sorted(p.stem for p in folder.glob("*.txt")) if folder.is_dir() else []
            there = f"there are {', '.join(lists)}" if lists else "there are no lists at all"
            raise DataError(
                f"{self.root}: no split list ImageSets/Main/{self.split}.txt ({there}); write it, one picture's name "
                "a line, or pass split=None for every picture."
            )
        folded = defaultdict(list)
        for key in self._pictures:
            folded[key.lower()].append(key)
        where, names = f"ImageSets/Main/{path.name}", {}
        for name in read_split(path, self._pictures):
            if name not in self._pictures and len(folded[name.lower()]) == 1:
                self.notes.append(Note("spelling", where, detail=name))
                name = folded[name.lower()][0]
            if name in names:
                self.notes.append(Note("repeated", where, detail=name))
            names[name] = None
        return list(names)

    def _annotation_path(self, name: str) -> Path:
        if name in self._labels:
            return self._labels[name]
        other = [path for key, path in self._labels.items() if key.lower() == name.lower()]
        return other[0] if len(other) == 1 else self.root / "Annotations" / f"{name}.xml"

    def _picture_path(self, name: str, label: Annotation) -> Path:
        paths = self._pictures.get(name, [self.root / "JPEGImages" / f"{name}.jpg"])
        if len(paths) == 1:
            return paths[0]
        named = [path for path in paths if path.name == label.filename.strip()]
        if not named:
            files = ", ".join(path.name for path in paths)
            raise DataError(f"JPEGImages: {files} share one name; remove all but the one that was labelled.")
        return named[0]

    def _all_classes(self) -> tuple[str, ...]:
        """Every class of the folder (also of other splits), sorted, so that labels do not depend on the split."""
        counts: Counter[str] = Counter()
        for key, path in self._labels.items():
            if key in self._pictures or key in self.names:
                counts.update(read_annotation(path).names)
        if not counts:
            raise DataError(f"{self.root}: not one object in the folder's annotations; label some, or pass classes=.")
        folded = Counter(name.lower() for name in counts)
        for name in sorted(counts):
            if folded[name.lower()] > 1:
                self.notes.append(Note("case", "Annotations", detail=name))
        return tuple(sorted(counts))

    def _read_all(self) -> None:
        """Read every picture; collect what cannot be mended and raise it together."""
        problems, kept_bytes = [], 0
        for name in progress(self.names, f"reading {self.root.name}"):
            try:
                pixels, target, size = self._read(name, self.notes)
            except DataError as error:
                problems.append(str(error))
                continue
            kept_bytes += pixels.numel()
            self._pixels.append(pixels if kept_bytes <= KEEP_BYTES else None)
            self._targets.append(target)
            self.original_sizes.append(size)
        if problems:
            shown = "\n".join(f"  - {problem}" for problem in problems[:10])
            more = f"\n  … and {len(problems) - 10} more" if len(problems) > 10 else ""
            things = "1 thing" if len(problems) == 1 else f"{len(problems)} things"
            raise DataError(f"{self.root}: {things} that cannot be mended\n{shown}{more}")

    def _read(self, name: str, notes: list[Note]) -> tuple[Tensor, dict[str, Tensor], tuple[int, int]]:
        """One picture [3, H, W] uint8 with its target, letterboxed if asked, and its original (H, W)."""
        path = self._annotation_path(name)
        where = f"Annotations/{path.name}"
        label = read_annotation(path)
        stated = Path(label.filename.strip().replace("\\", "/")).name
        if stated and _key(stated.rsplit(".", 1)[0]) != name and _key(stated) != name:
            label.notes.append(Note("filename", where, detail=stated))
        picture_path = self._picture_path(name, label)
        pixels, orientation, mode = read_picture(picture_path)
        if mode != "RGB":
            label.notes.append(Note("rgb", f"JPEGImages/{picture_path.name}", detail=mode))
        straight = _straighten(label.corners, label, where)
        label.corners = straight
        pixels = _turn(pixels, orientation, label, where)
        size = (pixels.shape[1], pixels.shape[0])
        boxes, kept = _mend_boxes(_scale_to_real(straight, size, label, where), size, label, where, self.smallest)
        labels, kept_rows = self._labels_of(label, kept, where)
        target = {
            "boxes": torch.tensor(boxes[kept_rows], dtype=torch.float32).reshape(-1, 4),
            "labels": torch.tensor(labels, dtype=torch.int64),
            "difficult": torch.tensor([label.difficult[kept[row]] for row in kept_rows], dtype=torch.bool),
        }
        if not labels:
            label.notes.append(Note("empty", where))
        self.found += len(label.names) if notes is self.notes else 0
        notes += label.notes
        image = torch.from_numpy(np.array(pixels)).permute(2, 0, 1).contiguous()
        if self.size is not None:
            image, target = letterbox(image, target, self.size)
        return image, target, (size[1], size[0])

    def _labels_of(self, label: Annotation, kept: list[int], where: str) -> tuple[list[int], list[int]]:
        """Labels of the objects that keep a box, and their rows; classes not in the list raise or are left out."""
        labels, rows = [], []
        for row, index in enumerate(kept):
            name = label.names[index]
            if name in self.classes:
                labels.append(self.classes.index(name) + 1)
                rows.append(row)
            elif self.others == "drop":
                label.notes.append(Note("other", where, index + 1, name))
            else:
                near = difflib.get_close_matches(name, self.classes, n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise DataError(
                    f"{where}, object {index + 1} ({name}): not one of the classes {', '.join(self.classes)}; correct "
                    f"the name, add it to classes=, or pass others='drop'.{hint}"
                )
        return labels, rows

    @property
    def summary(self) -> str:
        """One line: pictures, objects, and how often what was mended, left out or noted."""
        counts = Counter(note.kind for note in self.notes)
        objects = sum(len(target["labels"]) for target in self._targets)
        line = f"{self.root.name}/{self.split or 'all'}: {len(self)} pictures, {objects} objects, "
        line += f"{len(self.classes)} classes"
        for title, kinds in (("mended", MENDED), ("left out", LEFT_OUT), ("noted", NOTED)):
            said = [f"{counts[kind]} {text}" for kind, text in kinds.items() if counts[kind]]
            line += f"; {title}: {', '.join(said)}" if said else ""
        return line + "."

    @property
    def targets(self) -> list[dict[str, Tensor]]:
        """All targets, without touching a picture."""
        return [self._target(index) for index in range(len(self))]

    def _target(self, index: int) -> dict[str, Tensor]:
        return {key: value.clone() for key, value in self._targets[index].items()}

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, index: int | slice) -> tuple:
        """One (image, target), or for a slice (list of images, list of targets)."""
        if isinstance(index, slice):
            pairs = [self[i] for i in range(*index.indices(len(self)))]
            return [image for image, _ in pairs], [target for _, target in pairs]
        index = range(len(self))[index]
        pixels = self._pixels[index]
        if pixels is None:
            pixels = self._read(self.names[index], [])[0]
        return pixels.float() / 255, self._target(index)

    def select(self, indices: Sequence[int]) -> "VOCFolder":
        """The same data set with only these pictures, in this order; the pictures are shared, not copied."""
        chosen = object.__new__(VOCFolder)
        chosen.__dict__.update(self.__dict__)
        for name in ("names", "original_sizes", "_targets", "_pixels"):
            setattr(chosen, name, [getattr(self, name)[i] for i in indices])
        return chosen


def write_annotation(
    path: str | Path,
    filename: str,
    size: tuple[int, int],
    boxes: Tensor,
    names: Sequence[str],
    difficult: Sequence[bool] | None = None,
) -> None:
    """Write one annotation file; boxes of whole numbers come back exactly.

    Args:
        path: the XML file.
        filename: name of the picture file.
        size: (H, W) of the picture.
        boxes: [N, 4] xyxy pixels.
        names: N class names.
        difficult: N marks, by default all False.
    """
    difficult = [False] * len(names) if difficult is None else difficult
    lines = ["<annotation>", f"  <filename>{escape(filename)}</filename>"]
    lines.append(f"  <size><width>{size[1]}</width><height>{size[0]}</height><depth>3</depth></size>")
    for (x1, y1, x2, y2), name, hard in zip(torch.as_tensor(boxes).tolist(), names, difficult, strict=True):
        corners = zip(CORNERS, (x1 + 1, y1 + 1, x2, y2), strict=True)
        box = "".join(f"<{tag}>{int(v) if v == int(v) else v}</{tag}>" for tag, v in corners)
        lines.append(
            f"  <object><name>{escape(name)}</name><difficult>{int(hard)}</difficult><bndbox>{box}</bndbox></object>"
        )
    Path(path).write_text("\n".join([*lines, "</annotation>", ""]), encoding="utf-8", newline="\n")


def write_voc(
    root: str | Path,
    splits: dict[str, Iterable[tuple[Tensor, dict[str, Tensor]]]],
    classes: Sequence[str],
    suffix: str = ".jpg",
) -> Path:
    """Write a Pascal VOC folder; `VOCFolder(root, split, classes)` reads it back.

    Args:
        root: the folder, made if it does not exist.
        splits: for every split its (image [3, H, W] float 0–1 or uint8, target) pairs.
        classes: label c is called `classes[c - 1]`.
        suffix: ".jpg" (quality 95), or ".png" to keep every pixel as it is.
    """
    root = Path(root)
    for part in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / part).mkdir(parents=True, exist_ok=True)
    for split, pairs in splits.items():
        names = []
        for index, (image, target) in enumerate(pairs):
            names.append(f"{split}_{index:05d}")
            bytes_ = (image * 255).round().to(torch.uint8) if image.is_floating_point() else image
            picture = Image.fromarray(bytes_.permute(1, 2, 0).contiguous().numpy())
            picture.save(root / "JPEGImages" / f"{names[-1]}{suffix}", quality=95)
            words = [classes[int(label) - 1] for label in target["labels"]]
            write_annotation(
                root / "Annotations" / f"{names[-1]}.xml",
                f"{names[-1]}{suffix}",
                tuple(image.shape[-2:]),
                target["boxes"],
                words,
                target.get("difficult"),
            )
        text = "".join(f"{name}\n" for name in names)
        (root / "ImageSets" / "Main" / f"{split}.txt").write_text(text, encoding="utf-8", newline="\n")
    return root
