"""One file at a time: text in any encoding, a Pascal VOC annotation, a picture. `layouts.py` says which belong together."""

import codecs
import html
import re
import unicodedata
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

CORNERS = ("xmin", "ymin", "xmax", "ymax")
ORIENTATION = 0x0112  # the EXIF tag
MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
         codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16", b"<\0": "utf-16-le", b"\0<": "utf-16-be"}  # fmt: skip
# Files that declare the first hold characters of the second: browsers read them so.
WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc-kr": "cp949", "big5": "cp950"}
LARGEST = 1e9  # no coordinate is larger
BARE_AND = re.compile(r"&(?!(?:#\w+|amp|lt|gt|quot|apos);)(?:\w+;)?")  # and HTML's names for characters, unknown to XML
# What Pillow's errors say about a file; its plugins raise almost anything on damaged bytes.
UNREADABLE = (
    (FileNotFoundError, "missing; restore it, or take its name off the split list"),
    (Image.UnidentifiedImageError, "not a picture that Pillow can read; save it anew as JPEG or PNG"),
    ((Image.DecompressionBombError, MemoryError), "too large ({}); save it with fewer pixels"),
    (Exception, "cut short or damaged ({}); fetch it again, save it anew, or take its name off the split list"),
)


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
    """What is said about one picture, its numbers untouched.

    where: what messages and notes call it. size: the declared (W, H). first: the number of the first pixel; 1 in VOC,
    whose corners both lie inside the box, and 0 elsewhere. relative: corners are shares of the picture's sides.
    boxes: xyxy of each object, and difficult its mark.
    """

    where: str
    size: tuple[int, int] | None = None
    filename: str = ""
    first: int = 0
    relative: bool = False
    names: list[str] = field(default_factory=list)
    boxes: list[list[float]] = field(default_factory=list)
    difficult: list[bool] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    @cached_property
    def corners(self) -> np.ndarray:
        """All boxes as [N, 4], once every object is there."""
        return np.array(self.boxes, dtype=np.float64).reshape(-1, 4)

    def add(self, name: str, box: list[float], difficult: bool = False) -> None:
        """Take one object."""
        self.names.append(name)
        self.boxes.append(box)
        self.difficult.append(difficult)

    def note(self, kind: str, number: int = 0, detail: str = "") -> None:
        """Note a mishap of object `number` (from 1), or of the whole picture (0)."""
        self.notes.append(Note(kind, self.where, number, detail))

    def place(self, number: int, name: str) -> str:
        """What messages call object `number` (from 1) of class `name`, or of none."""
        return f"{self.where}, object {number}" + (f" ({name})" if name else "")


@dataclass
class Entry:
    """One picture that an annotation describes: the files it may be, what to call the annotation, how to read it."""

    pictures: tuple[str, ...]
    where: str
    read: Callable[[], Annotation]


def file_key(name: str) -> str:
    """One spelling of a file name: macOS stores an accented letter in two pieces, other systems in one."""
    return unicodedata.normalize("NFC", name).encode("utf-8", "replace").decode()


@cache
def picture_suffixes() -> frozenset[str]:
    """Every suffix, in lower case and with its dot, of a picture that Pillow can open here."""
    Image.init()
    known = Image.registered_extensions().items()  # .mpo is opened as JPEG; .pdf is written only, and no picture
    return frozenset(end for end, name in known if name in Image.OPEN or Image.MIME.get(name, "").startswith("image/"))


def read_text(path: str | Path, where: str, remedy: str = "restore it") -> str:
    """A file's text: its byte-order mark counts, then the codec that it declares (in XML), then UTF-8.

    Raises:
        DataError: the file cannot be read, or is no text.
    """
    try:
        raw = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise DataError(f"{where}: missing or not readable ({type(error).__name__}); {remedy}.") from error
    marked = next((codec for mark, codec in MARKS.items() if raw.startswith(mark)), None)
    found = re.match(rb"\s*<\?xml[^>]*?encoding\s*=\s*[\"']([\w.:-]+)", raw)
    declared = found[1].decode("ascii", "replace").lower() if found else ""
    for codec in [marked] if marked else filter(None, (declared, WIDER.get(declared), "utf-8")):
        try:
            text, reason = raw.decode(codec), "it holds zero bytes"
            if "\0" not in text:
                return text
        except (LookupError, ValueError) as error:  # no such codec, or not its bytes
            reason = error
    raise DataError(f"{where}: not {marked or declared or 'UTF-8'} text ({reason}); save it as UTF-8.")


def parse(read: Callable[[str], object], text: str, where: str, kind: str) -> object:
    """What a parser makes of a text in a format of this kind; DataError where it is none."""
    try:
        return read(text)
    except Exception as error:  # besides its own: wrong dates, deep nesting, anything that a value can be
        reason = " ".join(str(error).split())[:100]
        raise DataError(f"{where}: not well-formed {kind} ({reason}); repair it as UTF-8, or restore it.") from error


def as_number(value: object) -> float:
    """A coordinate as a float; not-a-number where it is none."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")
    return number if abs(number) < LARGEST else float("nan")


def as_size(width: object, height: object) -> tuple[int, int] | None:
    """A declared size (W, H); None where it is missing, no number or not positive."""
    sides = as_number(width), as_number(height)
    return tuple(map(int, sides)) if all(side >= 1 for side in sides) else None


def _corner(node: ElementTree.Element, tag: str, where: str) -> float:
    text = (node.findtext(tag) or "").strip()
    value = as_number(text)
    if np.isnan(value):
        raise DataError(f"{where}: <{tag}> is {text!r}, not a number; correct it or take the object out.")
    return value


def _xml(text: str, label: Annotation) -> ElementTree.Element:
    """The tree of an annotation; a bare & (from a folder's name, mostly) or an HTML entity is mended."""
    where, text = label.where, text.lstrip("\ufeff \t\r\n")
    if not text:
        raise DataError(f"{where}: the file is empty; restore it, or write <annotation/> if nothing is in the picture.")
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError):
        mended = BARE_AND.sub(lambda found: html.escape(html.unescape(found[0]), quote=False), text)
        root = parse(ElementTree.fromstring, mended, where, "XML")
        label.note("markup")
    if root.tag.startswith("{"):  # a namespace says nothing here
        for node in root.iter():
            node.tag = str(node.tag).rpartition("}")[2]
    if root.tag.lower() != "annotation":
        raise DataError(f"{where}: the outermost tag is <{root.tag}>, not <annotation>; put a VOC annotation there.")
    return root


def read_annotation(path: str | Path, where: str = "") -> Annotation:
    """Read one Pascal VOC annotation without changing its numbers.

    Args:
        path: the XML file.
        where: what messages call it; by default the last folder and the file's name.

    Raises:
        DataError: the file is missing, empty or no VOC annotation; an object has no name, no box or no numbers.
    """
    label = Annotation(where or "/".join(Path(path).parts[-2:]), first=1)
    remedy = "restore it, write <annotation/> if nothing is in the picture, or take the name off the split list"
    root = _xml(read_text(path, label.where, remedy), label)
    label.size = as_size(root.findtext("size/width"), root.findtext("size/height"))
    label.filename = (root.findtext("filename") or "").strip()
    for number, node in enumerate(root.findall("object"), start=1):
        name, box = (node.findtext("name") or "").strip(), node.find("bndbox")
        this = label.place(number, name)
        if not name or box is None:
            missing = "<bndbox>; write its box" if name else "<name>; write its class"
            raise DataError(f"{this}: no {missing} or take the object out.")
        mark = (node.findtext("difficult") or "0").strip().lower()
        label.add(name, [_corner(box, tag, this) for tag in CORNERS], mark in ("1", "true", "yes"))
        if mark not in ("0", "1", "false", "true", "no", "yes", ""):
            label.note("difficult", number, mark)
        for part in node.findall("part"):
            label.note("part", number, part.findtext("name") or "")
    return label


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


def _orientation(opened: Image.Image) -> int:
    """The EXIF orientation (1 to 8); 1 where it is missing or cannot be read."""
    try:
        value = opened.getexif().get(ORIENTATION, 1)
        return value if value in range(1, 9) else 1
    except Exception:  # damaged EXIF data raise whatever they like, and say nothing about the pixels
        return 1


def picture_size(path: str | Path, declared: tuple[int, int] | None = None) -> tuple[int, int] | None:
    """(W, H) of a picture from its header, upright unless it is `declared` as it is stored; None where it is damaged."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as opened:
            turned = opened.size != declared and _orientation(opened) >= 5
            return opened.size[::-1] if turned else opened.size
    except Exception:  # read_picture says what is wrong
        return None


def read_picture(path: str | Path, where: str = "") -> tuple[np.ndarray, int, str]:
    """Read one picture file: pixels [H, W, 3] uint8 as stored, its EXIF orientation (1 to 8) and its colour mode.

    Raises:
        DataError: the file is missing, cut short, too large, or no picture.
    """
    path = Path(path)
    where = where or "/".join(path.parts[-2:])
    if path.suffix and path.suffix.lower() not in picture_suffixes():
        raise DataError(f"{where}: Pillow cannot open {path.suffix} here; save it anew as JPEG or PNG.")
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as opened:  # odd palettes, damaged EXIF data
            opened.load()
            return _to_rgb(opened, where), _orientation(opened), opened.mode
    except DataError:
        raise
    except Exception as error:
        said = next(said for kinds, said in UNREADABLE if isinstance(error, kinds))
        raise DataError(f"{where}: {said.format(error)}.") from error


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels [H, W, 3] turned as their EXIF orientation says."""
    if orientation == 1:
        return pixels
    picture = Image.fromarray(pixels)
    picture.getexif()[ORIENTATION] = orientation
    return np.asarray(ImageOps.exif_transpose(picture))
