"""COCO JSON and YOLO txt: what they say about one picture, as the same `Annotation` that a Pascal VOC file gives."""

import json
from collections import defaultdict

import numpy as np

from course_lib.data.voc_files import Annotation, DataError, as_number, as_size, parse, read_text


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
        data = parse(json.loads, read_text(path, where), where, "JSON")
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
        image = self.images[number]
        size = as_size(image.get("width"), image.get("height"))
        label = Annotation(f"{self.where}, {image['file_name']}", size, image["file_name"])
        for index, row in enumerate(self._objects.get(number, ()), start=1):
            name = self._categories.get(_key(row.get("category_id")), "")
            this = label.place(index, name)
            if not name:
                raise DataError(f"{this}: no category {row.get('category_id')!r} with a name; correct its category_id.")
            box = row.get("bbox")
            x, y, width, height = map(as_number, box) if isinstance(box, list) and len(box) == 4 else [np.nan] * 4
            if np.isnan(x + y + width + height):
                raise DataError(f"{this}: bbox is {str(box)[:60]}, not four numbers; correct it or take it out.")
            difficult = any(row.get(key) in (1, True) for key in ("iscrowd", "ignore", "difficult"))
            label.add(name, [x, y, x + width, y + height], difficult)
        return label


def _yolo_box(numbers: list[float]) -> list[float]:
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
    label = Annotation(where, relative=True)
    for index, line in enumerate(read_text(path, where).splitlines() if path else (), start=1):
        numbers = [as_number(word) for word in line.split()]
        if not numbers:
            continue
        this = f"{where}, line {index}"
        shaped = len(numbers) == 5 or (len(numbers) >= 7 and len(numbers) % 2 == 1)
        if not shaped or np.isnan(numbers).any():
            remedy = "write class, centre x, centre y, width and height (in shares of the sides), or class and polygon"
            raise DataError(f"{this}: {line[:60]!r} is no box; {remedy}.")
        if numbers[0] not in class_names:
            raise DataError(f"{this}: class {numbers[0]:g} has no name; add it to data.yaml or classes.txt.")
        label.add(class_names[numbers[0]], _yolo_box(numbers[1:]))
    return label


def class_table(path: str, where: str) -> dict[float, str]:
    """Class names by number from a data.yaml (`names:` as a list or a table), or from a list of one name a line.

    Raises:
        DataError: the file is no text, or no YAML with a table.
    """
    text = read_text(path, where)
    if where.lower().endswith((".yaml", ".yml")):
        import yaml  # comes with JupyterLab

        table = parse(yaml.safe_load, text, where, "YAML")
        if not isinstance(table, dict):
            raise DataError(f"{where}: no table with `names:`; write one, or remove the file.")
        names = table.get("names")
        pairs = names.items() if isinstance(names, dict) else enumerate(names if isinstance(names, list) else ())
    else:
        pairs = enumerate(text.strip().splitlines())
    known = {as_number(k): str(name).strip() for k, name in pairs if isinstance(name, (str, int, float))}
    return {number: name for number, name in known.items() if number >= 0 and name}
