"""What is mended in a picture's boxes, what is left out, and which faults of a whole folder are refused instead."""

from collections.abc import Callable

import numpy as np

from course_lib.data.voc_files import Annotation, DataError, upright

# Every kind of note, and what the summary line says of it.
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
    "name": "class names freed of invisible characters, double blanks or another Unicode form",
    "spelling": "names found under another spelling (upper and lower case)",
    "repeated": "names listed twice, read once",
    "difficult": "unreadable 'difficult' marks taken as 0",
}
LEFT_OUT = {
    "outside": "boxes wholly outside their picture",
    "tiny": "boxes without a size",
    "duplicate": "objects listed twice, read once",
    "other": "objects of other classes",
    "smaller": "objects beside the largest of their picture",
    "lost": "objects of damaged pictures",
    "part": "parts of objects",
    "damaged": "damaged pictures or annotations",
    "unlabelled": "pictures without an annotation",
    "stray": "annotation files without a picture of their own",
    "homeless": "objects of images that the COCO file does not list",
}
NOTED = {
    "empty": "pictures without objects",
    "case": "class names that differ only in upper and lower case",
}
MISHAPS = {"mended": MENDED, "left out": LEFT_OUT, "noted": NOTED}
# What four numbers may be instead of xmin, ymin, xmax, ymax, with the same numbers read in that way.
SUSPICIONS: dict[str, Callable] = {
    "are the last two numbers width and height": lambda x1, y1, x2, y2: (x1, y1, x1 + x2, y1 + y2),
    "are they corners where width and height belong": lambda x1, y1, x2, y2: (x1, y1, x2 - x1, y2 - y1),
    "are x and y exchanged": lambda x1, y1, x2, y2: (y1, x1, y2, x2),
    "is their order xmin, xmax, ymin, ymax": lambda x1, y1, x2, y2: (x1, x2, y1, y2),
    "are they centre and size": lambda x1, y1, x2, y2: (x1 - x2 / 2, y1 - y2 / 2, x1 + x2 / 2, y1 + y2 / 2),
    "are they corners where centre and size belong": lambda x1, y1, x2, y2: ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1),
}  # fmt: skip
Size = tuple[int, int]


def in_order(corners: np.ndarray) -> np.ndarray:
    """Corners [N, 4] with the smaller x and y first."""
    return np.sort(corners.reshape(-1, 2, 2), axis=1).reshape(-1, 4)


def holds(size: Size | None, label: Annotation) -> bool:
    """Whether no box reaches beyond the right and lower edge of a picture of (W, H) by more than a pixel."""
    return size is not None and bool((in_order(label.corners)[:, 2:] <= np.add(size, 1)).all())


def _sound(corners: np.ndarray, size: Size | None) -> np.ndarray:
    """Which of the corners [N, 4] are in order, and inside a picture of (W, H) but for a pixel and a hundredth."""
    slack = 0.01 * np.array(size) + (1 if max(size) > 1 else 0) if size else np.inf
    inside = (corners[:, :2] >= -np.array(slack)) & (corners[:, 2:] <= np.array(size or (np.inf, np.inf)) + slack)
    return ((corners[:, 2:] >= corners[:, :2]) & inside).all(axis=1)


def refuse_faults(folder: str, pairs: list[tuple[Annotation, Size | None]]) -> None:
    """Look for a fault that runs through all annotations of a folder, before a single box is mended.

    Args:
        folder: its name, for the message.
        pairs: every annotation that has objects, with the (W, H) in whose pixels its boxes should be; None if unknown.

    Raises:
        DataError: most boxes are wrong in the same way; the message says what is suspected.
    """
    every = np.concatenate([label.corners for label, _ in pairs])
    total, relative = len(every), pairs[0][0].relative
    small, large = (np.abs(every) <= 1).all(axis=1).sum(), (np.abs(every) > 2).any(axis=1).sum()
    spread = total >= 5 and every.min() >= 0 and every.max() <= 101 and (every[:, 2:].max(axis=0) > 60).all()
    sized = [(label.corners, size) for label, size in pairs if size]
    wide = sized and min(min(size) for _, size in sized) >= 300
    wrong = total - sum(_sound(label.corners, size).sum() for label, size in pairs)

    def fits(read: Callable) -> bool:
        return all(_sound(np.stack(read(*corners.T), axis=1), size).all() for corners, size in sized)

    doubt = next((doubt for doubt, read in SUSPICIONS.items() if sized and fits(read)), "")
    many = wrong > total / 2 or (doubt and wrong >= 2 and wrong > total / 5)
    doubt = doubt or "are the numbers in another order, or of pictures of another size"
    faults = [
        (not relative and small > total / 2, small, "have no corner above 1: are they shares of the sides, not pixels"),
        (relative and large > total / 2, large, "have a number above 2: are they pixels instead of shares of sides"),
        (spread and wide, total, "lie within the first 100 pixels: are they per cent of the picture's sides"),
        (many, wrong, f"have xmax < xmin, ymax < ymin, or reach out of their picture: {doubt}"),
    ]
    for found, count, what in faults:
        if found:
            raise DataError(f"{folder}: {count} of {total} boxes {what}? Nothing is mended; export it anew.")


def weigh(folder: str, judged: list[tuple[Annotation, Size | None]]) -> bool | None:
    """The folder's size rule; a fault that runs through all annotations is refused before a single box is mended.

    Args and Raises: as `refuse_faults`. Returns: as `size_rule`.
    """
    declared = [(label, real) for label, real in judged if real and label.size]
    wrong = sum(label.size != real for label, real in declared)
    sizes, real_sizes = {label.size for label, _ in declared}, {real for _, real in declared}
    if len(declared) >= 3 and len(sizes) == 1 and len(real_sizes) > 1 and wrong > len(declared) / 2:
        width, height = sizes.pop()
        what = f"all {len(declared)} annotations declare {width} × {height} pixels, and {wrong} of the pictures differ"
        remedy = "take <size> out if the boxes are in pixels of the pictures as they are, or export it anew"
        raise DataError(f"{folder}: {what}: was the size written without looking? Nothing is mended; {remedy}.")
    scale = size_rule([(label, real) for label, real in declared if label.size not in (real, real[::-1])])
    if judged:
        refuse_faults(folder, [(label, label.size if scale and label.size else real) for label, real in judged])
    return scale


def size_rule(pairs: list[tuple[Annotation, Size]]) -> bool | None:
    """One rule for all pictures of a folder whose declared size is not the real one.

    The boxes belong to the size that holds them all. Where both do, they belong to the declared size if every picture
    is an enlargement of the same proportions, and to the real size if none is.

    Args:
        pairs: those annotations, with the real (W, H).

    Returns:
        True: scale all boxes from the declared to the real size. False: none. None: the boxes follow neither.
    """
    beyond_real = sum(not holds(real, label) for label, real in pairs)
    beyond_declared = sum(not holds(label.size, label) for label, _ in pairs)
    factors = [np.divide(real, label.size) for label, real in pairs]
    alike = sum(abs(across / down - 1) < 0.01 and across > 1 for across, down in factors)
    if beyond_real or beyond_declared:
        fewer, more = sorted((beyond_real, beyond_declared))
        return None if fewer * 10 > more else beyond_real > beyond_declared
    return None if 0 < alike < len(pairs) else alike > 0


def turn(pixels: np.ndarray, orientation: int, label: Annotation) -> tuple[np.ndarray, int]:
    """Turn a picture upright unless its boxes were drawn on the picture as stored; also the orientation undone.

    The declared size decides; where it fits both or neither, upright wins if the boxes fit into it.
    """
    if orientation == 1:
        return pixels, 1
    stored = (pixels.shape[1], pixels.shape[0])
    turned = stored[::-1] if orientation >= 5 else stored
    fits = holds(turned, label) or not holds(stored, label)
    up = {stored: False, turned: True}.get(label.size, fits)
    label.note("turned" if up else "unturned", detail=f"orientation {orientation}")
    return (upright(pixels, orientation), orientation) if up else (pixels, 1)


def to_pixels(label: Annotation, real: Size, scale: bool | None) -> np.ndarray:
    """Boxes [N, 4] from the outer edges of their pixels, swapped corners put in order, in pixels of the real size (W, H).

    Args:
        label: the annotation; takes the notes.
        real: the picture's size.
        scale: the folder's rule where an annotation declares another size, see `size_rule`.

    Raises:
        DataError: the boxes belong to a turned picture, or the folder follows no rule.
    """
    boxes = in_order(label.corners)
    for index in np.flatnonzero((boxes != label.corners).any(axis=1)):
        label.note("swapped", int(index) + 1, str(label.boxes[index]))
    boxes = boxes - [label.first, label.first, 0, 0]
    if label.relative:
        return boxes * np.tile(real, 2)
    if label.size == real:
        return boxes
    detail = f"declared {label.size}, real {real}"
    declared, lying = label.size and len(boxes), label.size == real[::-1]
    if declared and (scale is None or (lying and not holds(real, label))):
        reason = "and the folder's boxes follow neither" if scale is None else "and the boxes lie on the picture turned"
        raise DataError(f"{label.where}: {detail}, {reason}; correct <size> and the boxes, or take the picture out.")
    scaled = scale and declared and not lying
    label.note("scaled" if scaled else "size", detail=detail)
    return boxes * np.tile(np.divide(real, label.size), 2) if scaled else boxes


def cut_to_picture(
    boxes: np.ndarray, size: Size, label: Annotation, smallest: float, numbers: dict[str, int]
) -> tuple[np.ndarray, list[int]]:
    """Boxes [K, 4] inside a picture of (W, H), and the indices of the K objects that stay.

    Args:
        boxes: [N, 4] in the picture's pixels, one for each object of the annotation.
        size: (W, H).
        label: the annotation; takes the notes.
        smallest: shorter sides are left out, in pixels.
        numbers: {class name: its label, or 0 for a class that is left out}.
    """
    cut, kept, seen = boxes.clip(0, np.array(size * 2, dtype=np.float64)), [], set()
    for index, (box, inner) in enumerate(zip(boxes, cut, strict=True)):
        this, kind = (label.names[index], *label.boxes[index]), ""
        if this in seen:
            kind = "duplicate"
        elif (inner[2:] <= inner[:2]).any():
            kind = "outside"
        elif (box[2:] - box[:2] < smallest).any():
            kind = "tiny"
        elif not numbers[label.names[index]]:
            kind = "other"
        elif (inner != box).any():
            kind = "zero" if label.first and (box[:2] >= -1).all() and (box[2:] <= size).all() else "clipped"
        seen.add(this)
        if kind:
            label.note(kind, index + 1, str(label.boxes[index]))
        if kind not in LEFT_OUT:
            kept.append(index)
    return cut[kept], kept
