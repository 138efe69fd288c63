"""Whatever the bytes: the reader returns a data set or raises DataError. Header × codec × structure, and raw bytes."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from course_lib.data.voc import DataError, VOCFolder

CODECS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "gbk", "shift_jis", "latin-1", "cp1252", "utf-7")
DECLARED = (None, "utf-8", "UTF-16", "GBK", "Shift_JIS", "ascii", "Unicode", "hex", "rot13", "idna", "undefined", "", "ütf", "zlib",
            "unicode_escape", "punycode", "mbcs", "x" * 300)  # fmt: skip
NUMBERS = (
    "1",
    "5",
    "24",
    "59.5",
    "-3",
    "0",
    "1e400",
    "nan",
    "inf",
    "",
    "seven",
    "٣",
    "1_0",
    "0x1f",
    "9" * 400,
    "1e308",
    "³",
)
TEXTS = ("dog", "", " ", "\u200b", "&", "&eacute;", "&#0;", "&#xD800;", "<b>x</b>", "<![CDATA[a & b]]>", "<!-- & -->", "狗", "a" * 5000,
         "\x0b", "]]>", "&x;")  # fmt: skip
HEADERS = (
    "",
    "\n",
    "\ufeff",
    "<!DOCTYPE annotation>",
    '<!DOCTYPE a [<!ENTITY x "&x;">]>',
    "<!-- é -->",
    "<?xml-stylesheet?>",
    "\x00",
)
number, text = st.sampled_from(NUMBERS), st.sampled_from(TEXTS)


@st.composite
def structures(draw) -> str:
    """The inside of an annotation: objects with some of their parts, in any order, with any numbers."""
    tags = ("xmin", "ymin", "xmax", "ymax")
    objects = []
    for _ in range(draw(st.integers(0, 3))):
        box = "".join(f"<{tag}>{draw(number)}</{tag}>" for tag in tags if draw(st.integers(0, 9)))
        parts = [f"<name>{draw(text)}</name>", f"<bndbox>{box}</bndbox>", f"<difficult>{draw(number)}</difficult>"]
        parts += ["<part><name/></part>", "<object/>"][: draw(st.integers(0, 2))]
        objects.append(f"<object>{''.join(draw(st.permutations(parts))[draw(st.integers(0, 1)) :])}</object>")
    size = f"<size><width>{draw(number)}</width><height>{draw(number)}</height></size>"
    root = draw(
        st.sampled_from(("annotation", "annotation", "annotation", "Annotation", "svg", 'annotation xmlns="u"', "x:y"))
    )
    inside = "".join(objects) + draw(st.sampled_from((size, "", size + size, f"<filename>{draw(text)}</filename>")))
    return f"<{root}>{inside}</{root.split()[0]}>"[draw(st.integers(0, 1)) * 3 if draw(st.integers(0, 9)) == 0 else 0 :]


@st.composite
def annotations(draw) -> bytes:
    """An annotation's bytes: a header, a declared codec, the codec it really has, and perhaps a cut or a flipped byte."""
    declared = draw(st.sampled_from(DECLARED))
    head = "" if declared is None else f'<?xml version="1.0" encoding="{declared}"?>'
    raw = (draw(st.sampled_from(HEADERS)) + head + draw(structures())).encode(draw(st.sampled_from(CODECS)), "replace")
    change = draw(st.integers(0, 5))
    if change == 0:
        raw = raw[: draw(st.integers(0, len(raw)))]
    elif change == 1 and raw:
        place = draw(st.integers(0, len(raw) - 1))
        raw = raw[:place] + draw(st.binary(min_size=1, max_size=3)) + raw[place + 1 :]
    return raw


def outcome(root: Path, split: str | None = None) -> None:
    """Read the folder in several ways; anything but a data set or DataError is an error."""
    for how in ({}, {"damaged": "skip", "size": (16, 16)}):
        try:
            dataset = VOCFolder(root, split, quiet=True, **how)
        except DataError as error:
            assert str(error).encode()
            continue
        gone = sum(note.kind in ("outside", "tiny", "other", "duplicate", "lost") for note in dataset.notes)
        assert dataset.found == sum(len(target["labels"]) for target in dataset.targets) + gone
        assert all(image.shape[0] == 3 for image in dataset[:][0]) and dataset.summary.encode()


def folder(where: str, files: dict[str, bytes]) -> Path:
    """A folder with a sound picture a.png and these files."""
    for name, raw in files.items():
        path = Path(where) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
    if not (Path(where) / "a.png").exists():
        Image.new("RGB", (60, 40)).save(Path(where) / "a.png")
    return Path(where)


@given(raw=annotations())
@settings(max_examples=200)
def test_any_annotation(raw: bytes) -> None:
    with TemporaryDirectory() as where:
        outcome(folder(where, {"a.xml": raw}))


@given(
    raw=st.one_of(
        st.binary(max_size=60),
        st.sampled_from(CODECS).map(lambda c: "a\r\n\x00\u2028b 1\n../a -1\n".encode(c, "replace")),
    )
)
@settings(max_examples=60)
def test_any_split_list(raw: bytes) -> None:
    sound = b"<annotation><object><name>x</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
    with TemporaryDirectory() as where:
        outcome(folder(where, {"a.xml": sound, "train.txt": raw}), "train")


anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.just(10**400), st.floats(), st.sampled_from(("a.png", "", "1", "../a.png"))),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(("id", "bbox", "x")), inner, max_size=3)),
    max_leaves=5,
)  # fmt: skip
boxes = st.lists(st.sampled_from((0, 1, 5.5, -3, 20, 1e308, float("nan"), "4", None, True)), min_size=3, max_size=5)


@given(data=st.data())
@settings(max_examples=120)
def test_any_coco_file(data) -> None:
    """A file of the right shape with anything in one place, as JSON in any codec, perhaps cut."""
    draw = data.draw
    image = {"id": 1, "file_name": "a.png", "width": 60, "height": 40}
    rows = [{"id": k, "image_id": 1, "category_id": 1, "bbox": draw(boxes)} for k in range(draw(st.integers(0, 3)))]
    table = {"images": [image], "annotations": rows, "categories": [{"id": 1, "name": "dog"}]}
    place = draw(st.sampled_from([table, image, *rows, table["categories"][0]]))
    if draw(st.booleans()):
        place[draw(st.sampled_from(sorted(place)))] = draw(anything)
    raw = json.dumps(table).encode(draw(st.sampled_from(CODECS)), "replace")
    with TemporaryDirectory() as where:
        outcome(folder(where, {"labels.json": raw[: draw(st.sampled_from((None, None, None, 50)))]}))


@given(
    lines=st.lists(st.lists(st.sampled_from((*NUMBERS, "0", "0", "0.5", "0.2", "1.5")), max_size=8).map(" ".join), max_size=3),
    names=st.sampled_from(("names: [dog, cat]", "names: {0: dog}", "names: {a: [dog]}", "names: 3", "- x", "", "names: &a [*a]", "{", "\x00", "names: [2020-13-45]")),
    codec=st.sampled_from(CODECS),
)  # fmt: skip
@settings(max_examples=80)
def test_any_yolo_folder(lines: list[str], names: str, codec: str) -> None:
    first = "0 0.5 0.5 0.25 0.25\n"
    with TemporaryDirectory() as where:
        raw = "\n".join([first[: -1 if lines else None], *lines]).encode(codec, "replace")
        outcome(folder(where, {"a.txt": raw, "data.yaml": names.encode()}))


SOUND = b"<annotation><object><name>x</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "ICO", "JPEG2000", "PCX", "SGI", "DDS")


@given(kind=st.sampled_from(FORMATS), data=st.data())
@settings(max_examples=120)
def test_any_picture(kind: str, data) -> None:
    """A picture of many formats, cut or with some bytes changed, under a suffix of another."""
    with TemporaryDirectory() as where:
        path = Path(where) / "a.png"
        Image.linear_gradient("L").resize((60, 40)).convert("RGB").save(path, kind)
        raw = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(0, 4))):
            raw[data.draw(st.integers(0, min(len(raw), 400) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(bytes(raw[: data.draw(st.sampled_from((None, None, len(raw) // 2, 10, 0)))]))
        outcome(folder(where, {"a.xml": SOUND}))
