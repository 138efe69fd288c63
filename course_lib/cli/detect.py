"""Find objects in your own pictures.

    python -m course_lib.cli.detect holiday.jpg more/ "scans/*.png" --weights run/best.pt
    python -m course_lib.cli.detect holiday.jpg --weights coco

Files, folders (all pictures below them) and patterns; no annotations are needed, and pictures may have any size and mode.
--out gets drawn/ with the pictures and their boxes, detections.json (COCO format, with scores) and detections.csv (one row
a detection, corners in pixels of the picture, upright as its EXIF data say).

--weights is a best.pt of `python -m course_lib.cli.train`, or the word coco: torchvision's RetinaNet, trained on COCO, in
this course's own RetinaNet. Its weights come from torch's cache, or are downloaded once (about 150 MB).

Exit code: 0 every picture was searched, 1 some could not be read (they are named, the rest is done), 2 nothing was done,
130 interrupted (what was found until then is written).
For a film, save its frames into a folder first: ffmpeg -i film.mp4 frames/%06d.jpg
"""

import argparse
import csv
import glob
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import torch
from torch import Tensor

matplotlib.use("Agg")  # files, no windows

import matplotlib.pyplot as plt  # noqa: E402

from course_lib import plots  # noqa: E402
from course_lib.boxes import xyxy_to_xywh  # noqa: E402
from course_lib.cli.options import told, understood  # noqa: E402
from course_lib.cli.report import add_fonts, save_figure  # noqa: E402
from course_lib.data import DataError  # noqa: E402
from course_lib.data.voc_files import picture_suffixes, read_picture, upright  # noqa: E402
from course_lib.experiments.checkpoints import ready  # noqa: E402
from course_lib.experiments.devices import Placed, choose_device  # noqa: E402
from course_lib.files import refuse_place, write_whole  # noqa: E402
from course_lib.progress import progress  # noqa: E402
from course_lib.weights import WeightsError  # noqa: E402

NAMED = 60  # detections of a picture whose names are drawn, the best; more of them hide the picture
DRAWN = 900  # pixels of a drawn picture's longer side, at least; at most twice that


def expand(words: Sequence[str], drawn: Path) -> tuple[list[Path], list[str]]:
    """The pictures that files, folders and patterns mean, each once, and a sentence for every word that means none.

    Args:
        words: what was asked for.
        drawn: a folder that is left out where a folder above it is searched: what an earlier call has drawn.
    """
    found, problems, drawn = {}, [], drawn.resolve()
    for word in words:
        path = Path(word).expanduser()
        if path.is_dir():
            inside = (p for p in path.rglob("*") if p.suffix.lower() in picture_suffixes() and p.is_file())
            own = not path.resolve().is_relative_to(drawn)
            some = [
                p for p in sorted(inside) if not p.name.startswith(".") and not (own and drawn in p.resolve().parents)
            ]
        else:
            some = [path] if path.exists() else [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]
        if not some:
            what = "no pictures in this folder" if path.is_dir() else "no such file"
            problems.append(f"{word}: {'no file fits this pattern' if glob.has_magic(word) else what}.")
        found |= {os.path.realpath(p): p for p in some}
    return list(found.values()), problems


def open_picture(path: Path) -> Tensor:
    """A picture [3, H, W] in 0–1, upright, whatever its mode.

    Raises:
        DataError: it cannot be read.
    """
    pixels, orientation, _ = read_picture(path, str(path))
    return torch.from_numpy(upright(pixels, orientation).transpose(2, 0, 1).copy()).float().div_(255)


def draw(image: Tensor, found: dict, class_names: Sequence[str], path: Path) -> None:
    """Write a picture with its detections: class and score of the best ones, one colour a class."""
    height, width = image.shape[-2:]
    factor = min(max(1.0, DRAWN / max(height, width)), 2 * DRAWN / max(height, width)) / 100
    fig = plt.figure(figsize=(max(1.0, width * factor), max(1.0, height * factor)), dpi=100)
    ax = fig.add_axes((0, 0, 1, 1))
    plots.picture(ax, image)
    rows = zip(found["labels"].tolist(), found["scores"].tolist(), strict=True)
    words = [f"{class_names[label - 1]} {score:.2f}" for label, score in rows]
    for rest in found["scores"].argsort(descending=True, stable=True)[NAMED:].tolist():
        words[rest] = ""
    plots.named_boxes(ax, found["boxes"], words, (found["labels"] - 1).tolist())
    save_figure(plots.settle_labels(fig), path)


def drawn_name(path: Path, taken: set[str]) -> str:
    """A new file name for a drawn picture."""
    name, number = f"{path.name}.jpg" if path.suffix.lower() not in (".jpg", ".jpeg") else f"{path.stem}.jpg", 1
    while name.lower() in taken:
        number += 1
        name = f"{path.stem}_{number}.jpg"
    taken.add(name.lower())
    return name


def tables(rows: Sequence[tuple[str, tuple[int, int], dict]], class_names: Sequence[str]) -> tuple[dict, list[list]]:
    """All detections as a COCO file, and as the rows of a table.

    Args:
        rows: (file, (H, W), dict(boxes, labels, scores)) of every picture.
        class_names: label c, and category c, is `class_names[c - 1]`.
    """
    coco = {"images": [], "annotations": [], "categories": [{"id": c, "name": n} for c, n in enumerate(class_names, 1)]}
    lines = [["file", "class", "score", "x1", "y1", "x2", "y2"]]
    for number, (file, (height, width), found) in enumerate(rows, start=1):
        coco["images"].append({"id": number, "file_name": file, "width": width, "height": height})
        values = (found[key].tolist() for key in ("labels", "scores", "boxes"))
        for label, score, box, xywh in zip(*values, xyxy_to_xywh(found["boxes"]).tolist(), strict=True):
            one = {"id": len(coco["annotations"]) + 1, "image_id": number, "category_id": label, "iscrowd": 0}
            one |= {"bbox": [round(v, 2) for v in xywh], "area": round(xywh[2] * xywh[3], 2), "score": round(score, 5)}
            coco["annotations"].append(one)
            lines.append([file, class_names[label - 1], f"{score:.4f}", *(f"{v:.1f}" for v in box)])
    return coco, lines


def write_tables(folder: Path, rows: Sequence[tuple[str, tuple[int, int], dict]], class_names: Sequence[str]) -> int:
    """Write detections.json and detections.csv, of the arguments of `tables`; returns how many objects they hold."""
    coco, lines = tables(rows, class_names)
    write_whole(folder / "detections.json", json.dumps(coco, indent=1))
    buffer = io.StringIO()
    csv.writer(buffer).writerows(lines)
    write_whole(folder / "detections.csv", buffer.getvalue().encode("utf-8-sig"))
    return len(lines) - 1


def detect(args: argparse.Namespace) -> int:
    """Search all pictures and write what was found; returns the exit code."""
    paths, problems = expand(args.pictures, args.out / "drawn")
    if not paths:
        print("\n".join(problems), file=sys.stderr)
        return 2
    refuse_place(args.out)
    add_fonts()
    device, detector, rows, taken, stopped = choose_device(args.device), ready(args.weights), [], set(), False
    drawn = args.out / "drawn"
    (args.out if args.no_drawings else drawn).mkdir(parents=True, exist_ok=True)
    if args.threshold is not None:
        detector.thresholds = [args.threshold] * len(detector.class_names)
    placed = Placed(detector, device)
    try:
        for path in progress(paths, "detecting"):
            try:
                image = open_picture(path)
                (found,) = placed.detect([image])
            except DataError as error:
                problems.append(str(error).replace(", or take its name off the split list", ""))
                continue
            rows.append((path.as_posix(), tuple(image.shape[-2:]), found))
            if not args.no_drawings:
                draw(image, found, detector.class_names, drawn / drawn_name(path, taken))
    except KeyboardInterrupt:  # what was found until then is written
        stopped = True
    unread = "".join(f"NOT SEARCHED  {problem}\n" for problem in problems)
    if not rows:  # tables of an earlier call stay
        print(f"{unread}{'Interrupted: n' if stopped else 'N'}othing was searched.", file=sys.stderr)
        return 130 if stopped else 2
    count = write_tables(args.out, rows, detector.class_names)
    more = "" if args.no_drawings else ", drawn/"
    print(f"{len(rows)} pictures, {count} detections: {args.out / 'detections.csv'}, detections.json{more}")
    older = sum(path.name.lower() not in taken for path in drawn.glob("*.jpg"))
    if older:
        print(f"{drawn} also holds {older} pictures of earlier calls.")
    print(unread, end="", file=sys.stderr)
    if stopped:
        print(f"Interrupted: {len(rows)} of {len(paths)} pictures were searched.", file=sys.stderr)
    return 130 if stopped else 1 if problems else 0


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m course_lib.cli.detect",
        usage="python -m course_lib.cli.detect PICTURES --weights FILE [options]; all options: --help",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("pictures", nargs="+", help="files, folders or patterns")
    parser.add_argument("--weights", required=True, help="best.pt of a training run, or coco")
    parser.add_argument("--out", type=Path, default=Path("detections"), help="folder for the results; tables that are there are replaced (detections)")  # fmt: skip
    parser.add_argument("--threshold", type=float, help="smallest score of a detection, for all classes (by default each "
                        "class's own, where F1 was best on val; .5 for coco)")  # fmt: skip
    parser.add_argument("--device", choices=["auto", "cpu", "cuda", "mps"], default="auto", help="where to run (auto)")
    parser.add_argument("--no-drawings", action="store_true", help="only the tables")
    args = understood(parser)
    if args.threshold is not None and not 0 <= args.threshold <= 1:
        parser.error(f"--threshold {args.threshold}: a score between 0 and 1")
    try:
        return detect(args)
    except (WeightsError, ValueError, OSError) as error:
        print(told(error), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted: nothing was searched.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
