"""One file at a time: text in any encoding, a Pascal VOC annotation, a picture. `layouts.py` says which belong together."""

import codecs
import html
import io
import re
import unicodedata
import warnings
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image, ImageOps

CORNERS = ("xmin", "ymin", "xmax", "ymax")
ORIENTATION = 0x0112  # the EXIF tag
MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
         codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16", b"<\0": "utf-16-le", b"\0<": "utf-16-be"}  # fmt: skip
# Files that declare the first hold characters of the second: browsers read them so.
WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc-kr": "cp949", "big5": "cp950"}
LARGEST = 1e9  # no coordinate is larger


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

    corners: [N, 4] xyxy. first: the number of the first pixel; 1 in VOC, whose corners both lie inside the box, and 0
    elsewhere. relative: corners are shares of the picture's sides. size: the declared (W, H).
    """

    corners: np.ndarray
    names: list[str]
    difficult: list[bool]
    size: tuple[int, int] | None
    filename: str
    notes: list[Note] = field(default_factory=list)
    first: int = 1
    relative: bool = False


def file_key(name: str) -> str:
    """One spelling of a file name: macOS stores an accented letter in two pieces, other systems in one."""
    return unicodedata.normalize("NFC", name).encode("utf-8", "replace").decode()


@cache
def picture_suffixes() -> frozenset[str]:
    """Every suffix, in lower case and with its dot, of a picture that Pillow can open here."""
    Image.init()
    known = Image.registered_extensions().items()  # .mpo is opened as JPEG; .pdf is written only, and no picture
    return frozenset(end for end, name in known if name in Image.OPEN or Image.MIME.get(name, "").startswith("image/"))


def read_bytes(path: str | Path, where: str, remedy: str = "restore it") -> bytes:
    """A file's bytes; DataError where it cannot be read."""
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise DataError(f"{where}: missing or not readable ({type(error).__name__}); {remedy}.") from error


def decode_text(raw: bytes, where: str, declared: str = "") -> str:
    """A file's text: its byte-order mark counts, then the codec that it declares, then UTF-8."""
    marked = next((codec for mark, codec in MARKS.items() if raw.startswith(mark)), None)
    declared = declared.lower()
    for codec in [marked] if marked else filter(None, (declared, WIDER.get(declared), "utf-8")):
        try:
            return raw.decode(codec)
        except (LookupError, ValueError) as error:  # no such codec, or not its bytes
            reason = error
    raise DataError(f"{where}: not {marked or declared or 'UTF-8'} text ({reason}); save it as UTF-8.") from reason


def read_text(path: str | Path, where: str) -> str:
    """The text of a list or table: UTF-8 with or without its mark, or UTF-16 as Windows' `>` writes it."""
    text = decode_text(read_bytes(path, where), where)
    if "\0" in text:
        raise DataError(f"{where}: not UTF-8 text (it holds zero bytes); save it as UTF-8.")
    return text


def as_number(value: object) -> float:
    """A coordinate as a float; not-a-number where it is none."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")
    return number if abs(number) < LARGEST else float("nan")


def as_size(width: object, height: object) -> tuple[int, int] | None:
    """A declared size (W, H); None where it is missing, no number or not positive."""
    width, height = as_number(width), as_number(height)
    return (int(width), int(height)) if min(width, height) >= 1 else None


def _corner(node: ElementTree.Element, tag: str, where: str) -> float:
    text = (node.findtext(tag) or "").strip()
    value = as_number(text)
    if value != value:  # not a number
        raise DataError(f"{where}: <{tag}> is {text!r}, not a number; correct it or take the object out.")
    return value


def _escape_and(found: re.Match) -> str:
    """An `&` as XML wants it: its own five entities and numbers stay, HTML's become characters."""
    known = found[0].startswith("&#") or found[0] in ("&amp;", "&lt;", "&gt;", "&quot;", "&apos;")
    return found[0] if known else escape(html.unescape(found[0]))


def _xml(raw: bytes, where: str, notes: list[Note]) -> ElementTree.Element:
    """The tree of an annotation; a bare & (from a folder's name, mostly) or an HTML entity is mended."""
    if not raw.strip():
        raise DataError(f"{where}: the file is empty; restore it, or write <annotation/> if nothing is in the picture.")
    declared = re.match(rb"\s*<\?xml[^>]*?encoding\s*=\s*[\"']([\w.:-]+)", raw)
    text = decode_text(raw, where, declared[1].decode("ascii", "replace") if declared else "").lstrip("\ufeff \t\r\n")
    try:
        try:
            root = ElementTree.fromstring(text)
        except ElementTree.ParseError:
            root = ElementTree.fromstring(re.sub(r"&(?:#?\w+;)?", _escape_and, text))
            notes.append(Note("markup", where))
    except (ElementTree.ParseError, ValueError) as error:
        raise DataError(f"{where}: not well-formed XML ({error}); repair it (saved as UTF-8) or restore it.") from error
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
    where = where or "/".join(Path(path).parts[-2:])
    remedy = "restore it, write <annotation/> if nothing is in the picture, or take the name off the split list"
    notes: list[Note] = []
    root = _xml(read_bytes(path, where, remedy), where, notes)
    corners, names, difficult = [], [], []
    for index, node in enumerate(root.findall("object"), start=1):
        name = (node.findtext("name") or "").strip()
        this = f"{where}, object {index}" + (f" ({name})" if name else "")
        if not name:
            raise DataError(f"{this}: no <name>; write its class or take the object out.")
        box = node.find("bndbox")
        if box is None:
            raise DataError(f"{this}: no <bndbox>; write its box or take the object out.")
        corners.append([_corner(box, tag, this) for tag in CORNERS])
        names.append(name)
        mark = (node.findtext("difficult") or "0").strip().lower()
        if mark not in ("0", "1", "false", "true", "no", "yes", ""):
            notes.append(Note("difficult", where, index, mark))
        difficult.append(mark in ("1", "true", "yes"))
        notes += [Note("part", where, index, part.findtext("name") or "") for part in node.findall("part")]
    table = np.array(corners, dtype=np.float64).reshape(-1, 4)
    size = as_size(root.findtext("size/width"), root.findtext("size/height"))
    return Annotation(table, names, difficult, size, (root.findtext("filename") or "").strip(), notes)


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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as opened:
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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # palettes with transparency, damaged EXIF data
            with Image.open(io.BytesIO(path.read_bytes())) as opened:
                opened.load()
                return _to_rgb(opened, where), _orientation(opened), opened.mode
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{where}: missing; restore it, or take its name off the split list.") from error
    except Image.UnidentifiedImageError as error:
        raise DataError(f"{where}: not a picture that Pillow can read; save it anew as JPEG or PNG.") from error
    except (Image.DecompressionBombError, MemoryError) as error:
        raise DataError(f"{where}: too large ({error}); save it with fewer pixels.") from error
    except Exception as error:  # Pillow's plugins raise almost anything on damaged bytes
        remedy = "fetch it again, save it anew as JPEG or PNG, or take its name off the split list"
        raise DataError(f"{where}: cut short or damaged ({error}); {remedy}.") from error


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels [H, W, 3] turned as their EXIF orientation says."""
    if orientation == 1:
        return pixels
    picture = Image.fromarray(pixels)
    picture.getexif()[ORIENTATION] = orientation
    return np.asarray(ImageOps.exif_transpose(picture))
