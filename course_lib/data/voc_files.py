"""One file of a Pascal VOC folder at a time: annotation, picture, split list. `voc.py` puts them together."""

import io
import re
import unicodedata
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import torch
from PIL import Image
from torch import Tensor

SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".ppm", ".pgm")
CORNERS = ("xmin", "ymin", "xmax", "ymax")
ORIENTATION = 0x0112  # the EXIF tag


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
    """What one annotation file says, its numbers untouched: corners [N, 4] from 1 and inclusive, size (W, H)."""

    corners: np.ndarray
    names: list[str]
    difficult: list[bool]
    size: tuple[int, int] | None
    filename: str
    notes: list[Note] = field(default_factory=list)


def file_key(name: str) -> str:
    """One spelling of a file name: macOS stores an accented letter in two pieces, other systems in one."""
    return unicodedata.normalize("NFC", name)


def _number(node: ElementTree.Element, tag: str, where: str) -> float:
    text = (node.findtext(tag) or "").strip()
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise DataError(f"{where}: <{tag}> is {text!r}, not a number; correct it or take the object out.")
    return value


def _xml(raw: bytes, where: str, notes: list[Note]) -> ElementTree.Element:
    """The tree of an annotation; a bare & (from a folder's name, mostly) is mended."""
    if not raw.strip():
        raise DataError(f"{where}: the file is empty; restore it, or write <annotation/> if nothing is in the picture.")
    mended = re.sub(rb"&(?!\w+;|#\w+;)", b"&amp;", raw)
    try:
        root = ElementTree.fromstring(mended)
    except ElementTree.ParseError as error:
        raise DataError(f"{where}: not well-formed XML ({error}); repair it (saved as UTF-8) or restore it.") from error
    if mended != raw:
        notes.append(Note("markup", where))
    if root.tag.lower() != "annotation":
        raise DataError(f"{where}: the outermost tag is <{root.tag}>, not <annotation>; put a VOC annotation there.")
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
    try:
        raw = path.read_bytes()
    except OSError as error:
        remedy = "restore it, write <annotation/> if nothing is in the picture, or take the name off the split list"
        raise DataError(f"{where}: missing or not readable ({type(error).__name__}); {remedy}.") from error
    notes: list[Note] = []
    root = _xml(raw, where, notes)
    corners, names, difficult = [], [], []
    for index, node in enumerate(root.findall("object"), start=1):
        name = (node.findtext("name") or "").strip()
        this = f"{where}, object {index}" + (f" ({name})" if name else "")
        if not name:
            raise DataError(f"{this}: no <name>; write its class or take the object out.")
        box = node.find("bndbox")
        if box is None:
            raise DataError(f"{this}: no <bndbox>; write its box or take the object out.")
        corners.append([_number(box, tag, this) for tag in CORNERS])
        names.append(name)
        mark = (node.findtext("difficult") or "0").strip().lower()
        if mark not in ("0", "1", "false", "true", "no", "yes", ""):
            notes.append(Note("difficult", where, index, mark))
        difficult.append(mark in ("1", "true", "yes"))
        notes += [Note("part", where, index, part.findtext("name") or "") for part in node.findall("part")]
    table = np.array(corners, dtype=np.float64).reshape(-1, 4)
    return Annotation(table, names, difficult, _declared_size(root), (root.findtext("filename") or "").strip(), notes)


def _to_rgb(opened: Image.Image, where: str) -> np.ndarray:
    """Pixels [H, W, 3] uint8 of a picture in any colour mode."""
    if opened.mode.startswith("I"):  # 16 bits, or 12 in a 16-bit file; Pillow's own conversion cuts at 255
        values = np.asarray(opened).astype(np.float64).clip(min=0)
        white = next(white for white in (255, 4095, 65535, values.max()) if values.max() <= white)
        return np.repeat(np.rint(values * 255 / white).astype(np.uint8)[..., None], 3, axis=2)
    if opened.mode == "F":
        raise DataError(f"{where}: real numbers as pixels do not say what is white; save it as 8-bit JPEG or PNG.")
    if opened.has_transparency_data:
        opened = opened.convert("RGBA")
        opened = Image.alpha_composite(Image.new("RGBA", opened.size, "white"), opened)
    return np.asarray(opened.convert("RGB"))


def read_picture(path: str | Path) -> tuple[np.ndarray, int, str]:
    """Read one picture file: pixels [H, W, 3] uint8 as stored, its EXIF orientation (1 to 8) and its colour mode.

    Raises:
        DataError: the file is missing, cut short, or no picture.
    """
    path = Path(path)
    where = f"{path.parent.name}/{path.name}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # palettes with transparency, damaged EXIF data
            with Image.open(io.BytesIO(path.read_bytes())) as opened:
                opened.load()
                orientation, mode = opened.getexif().get(ORIENTATION, 1), opened.mode
                pixels = _to_rgb(opened, where)
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{where}: missing; restore it, or take its name off the split list.") from error
    except Image.UnidentifiedImageError as error:
        raise DataError(f"{where}: not a picture that Pillow can read; save it anew as JPEG or PNG.") from error
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        remedy = "fetch it again, or take its name off the split list"
        raise DataError(f"{where}: cut short or damaged ({error}); {remedy}.") from error
    return pixels, orientation if orientation in range(1, 9) else 1, mode


def _text(path: Path) -> str:
    """A list's text: UTF-8 with or without its mark, or UTF-16 as Windows' `>` writes it."""
    raw = path.read_bytes()
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(f"ImageSets/Main/{path.name}: not UTF-8 text ({error}); save it as UTF-8.") from error
    if "\0" in text:
        raise DataError(f"ImageSets/Main/{path.name}: not UTF-8 text (it holds zero bytes); save it as UTF-8.")
    return text


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
    for line in _text(path).splitlines():
        name = file_key(line.strip())
        if not name:
            continue
        if name not in known:
            name = re.sub(r"\s+[+-]?[01]$", "", name).replace("\\", "/").rsplit("/", 1)[-1]
        stem, dot, suffix = name.rpartition(".")
        names.append(stem if name not in known and dot + suffix.lower() in (*SUFFIXES, ".xml") else name)
    if not names:
        raise DataError(f"ImageSets/Main/{path.name}: no names in it; write one picture's name a line.")
    return names


def write_annotation(
    path: str | Path,
    filename: str,
    size: tuple[int, int],
    boxes: Tensor,
    names: Sequence[str],
    difficult: Sequence[bool] | None = None,
) -> None:
    """Write one annotation file; boxes come back exactly as they were.

    Args:
        path: the XML file.
        filename: name of the picture file.
        size: (H, W) of the picture.
        boxes: [N, 4] xyxy pixels.
        names: N class names.
        difficult: N marks, by default all False.
    """
    marks = [False] * len(names) if difficult is None else difficult
    lines = ["<annotation>", f"  <filename>{escape(filename)}</filename>"]
    lines.append(f"  <size><width>{size[1]}</width><height>{size[0]}</height><depth>3</depth></size>")
    for (x1, y1, x2, y2), name, mark in zip(torch.as_tensor(boxes).tolist(), names, marks, strict=True):
        corners = zip(CORNERS, (x1 + 1, y1 + 1, x2, y2), strict=True)
        box = "".join(f"<{tag}>{int(v) if v == int(v) else v}</{tag}>" for tag, v in corners)
        head = f"<name>{escape(name)}</name><difficult>{int(mark)}</difficult>"
        lines.append(f"  <object>{head}<bndbox>{box}</bndbox></object>")
    Path(path).write_text("\n".join([*lines, "</annotation>", ""]), encoding="utf-8", newline="\n")
