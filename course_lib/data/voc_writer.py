"""Writes a Pascal VOC folder that `VOCFolder` reads back as it was."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import torch
from PIL import Image
from torch import Tensor

from course_lib.data.voc_files import CORNERS


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
