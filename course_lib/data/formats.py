"""COCO JSON and YOLO txt: what they say about one picture, as the same `Annotation` that a Pascal VOC file gives."""

import json
from collections import defaultdict

import numpy as np

from course_lib.data.voc_files import Annotation, DataError, as_number, as_size, decode_text, read_bytes, read_text

Numbers = list[float]


def _annotation(corners: list[Numbers], names: list[str], difficult: list[bool], **more: object) -> Annotation:
    table = np.array(corners, dtype=np.float64).reshape(-1, 4)
    return Annotation(table, names, difficult, more.pop("size", None), more.pop("filename", ""), first=0, **more)


def _key(number: object) -> str:
    """One spelling of an id: some tools write 1, some 1.0, some "1"."""
    return str(int(number)) if isinstance(number, float) and number.is_integer() else str(number)


class CocoFile:
    """A COCO JSON file: its images by number, and the objects of each.

    Attributes:
        images: {image number: its entry}, each with a `file_name`.
        homeless: numbers of objects whose image the file does not list.
    """

    def __init__(self, path: str, where: str) -> None:
        """Read a file; `where` is what messages call it.

        Raises:
            DataError: the file is no JSON, or no COCO file.
        """
        self.where, self._objects = where, defaultdict(list)
        try:
            data = json.loads(decode_text(read_bytes(path, where), where))
        except (ValueError, RecursionError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{where}: no readable JSON ({error}); export it anew.") from error
        parts = [data.get(key) for key in ("images", "annotations", "categories")] if isinstance(data, dict) else [None]
        if not all(isinstance(part, list) and all(isinstance(row, dict) for row in part) for part in parts):
            raise DataError(f"{where}: no COCO file, which has lists images, annotations, categories; export it anew.")
        self._categories = {_key(row.get("id")): str(row.get("name") or "").strip() for row in parts[2]}
        self.images = {_key(row.get("id")): row for row in parts[0]}
        if len(self.images) < len(parts[0]):
            raise DataError(f"{where}: images share a number (id); export it anew.")
        for number, row in self.images.items():
            if not isinstance(row.get("file_name"), str) or not row["file_name"].strip():
                raise DataError(f"{where}, image {number}: no file_name; write it or take the image out.")
        for row in parts[1]:
            self._objects[_key(row.get("image_id"))].append(row)
        strangers = self._objects.keys() - self.images.keys()
        self.homeless = [_key(row.get("id")) for image in sorted(strangers) for row in self._objects[image]]

    def read(self, number: str) -> Annotation:
        """What the file says about an image.

        Raises:
            DataError: an object has no known class, or no box of four numbers.
        """
        image, corners, names, difficult = self.images[number], [], [], []
        for index, row in enumerate(self._objects.get(number, ()), start=1):
            name = self._categories.get(_key(row.get("category_id")))
            this = f"{self.where}, {image['file_name']}, object {index}" + (f" ({name})" if name else "")
            if not name:
                raise DataError(f"{this}: no category {row.get('category_id')!r} with a name; correct its category_id.")
            box = row.get("bbox")
            x, y, width, height = map(as_number, box) if isinstance(box, list) and len(box) == 4 else [np.nan] * 4
            if np.isnan(x + y + width + height):
                raise DataError(f"{this}: bbox is {str(box)[:60]}, not four numbers; correct it or take it out.")
            corners.append([x, y, x + width, y + height])
            names.append(name)
            difficult.append(any(row.get(key) in (1, True) for key in ("iscrowd", "ignore", "difficult")))
        size = as_size(image.get("width"), image.get("height"))
        return _annotation(corners, names, difficult, size=size, filename=image["file_name"])


def _yolo_box(numbers: Numbers) -> Numbers:
    """Corners of a box (centre and size) or round a polygon (x and y in turn)."""
    if len(numbers) == 4:
        x, y, width, height = numbers
        return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    return [min(numbers[0::2]), min(numbers[1::2]), max(numbers[0::2]), max(numbers[1::2])]


def read_yolo(path: str | None, where: str, class_names: dict[int, str]) -> Annotation:
    """One YOLO txt file: a line is a class's number and its box, or a polygon, in shares of the picture's sides.

    Args:
        path: the file; None for a picture without one, which is a picture without objects.
        where: what messages call it.
        class_names: {number: name}.

    Raises:
        DataError: a line is no box, or its class has no name.
    """
    corners, names = [], []
    for index, line in enumerate(read_text(path, where).splitlines() if path else (), start=1):
        numbers = [as_number(word) for word in line.split()]
        if not numbers:
            continue
        this = f"{where}, line {index}"
        shaped = len(numbers) == 5 or (len(numbers) >= 7 and len(numbers) % 2 == 1)
        if not shaped or np.isnan(numbers).any():
            raise DataError(
                f"{this}: {line[:60]!r} is no box; write class, centre x, centre y, width and height (shares of the "
                "picture's sides), or class and a polygon."
            )
        if numbers[0] not in class_names:
            raise DataError(f"{this}: class {numbers[0]:g} has no name; add it to data.yaml or classes.txt.")
        corners.append(_yolo_box(numbers[1:]))
        names.append(class_names[int(numbers[0])])
    return _annotation(corners, names, [False] * len(names), relative=True)


def read_yaml(path: str, where: str) -> dict:
    """The table in a data.yaml.

    Raises:
        DataError: the file is no YAML, or no table.
    """
    import yaml  # comes with JupyterLab

    try:
        table = yaml.safe_load(read_text(path, where))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{where}: no readable YAML ({str(error)[:100]}); correct it.") from error
    if not isinstance(table, dict):
        raise DataError(f"{where}: no table with `names:`; write one, or remove the file.")
    return table


def class_table(path: str, where: str) -> dict[int, str]:
    """Class names by number from a data.yaml (`names:` as a list or a table), or from a list of one name a line."""
    if not where.lower().endswith((".yaml", ".yml")):
        return {k: line.strip() for k, line in enumerate(read_text(path, where).strip().splitlines())}
    names = read_yaml(path, where).get("names")
    pairs = names.items() if isinstance(names, dict) else enumerate(names if isinstance(names, list) else ())
    return {int(k): str(name).strip() for k, name in pairs if str(k).isdigit() and isinstance(name, (str, int, float))}
