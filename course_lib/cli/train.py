"""Train a detector on your own folder of pictures (Pascal VOC, COCO JSON or YOLO txt).

    python -m course_lib.cli.train --data pictures --out run
    python -m course_lib.cli.train --data pictures --check             look at the data first, train nothing
    python -m course_lib.cli.train --out run --resume                  go on after an interruption
    python -m course_lib.cli.train --out run --resume --final-test     score the test split, once, at the very end
    torchrun --nproc-per-node 2 -m course_lib.cli.train --data …       several processes share each batch

First the data are checked: classes, counts, how many objects the anchors reach, sizes, eight augmented pictures, one batch
learned by heart. Then every epoch adds a line to log.jsonl and a point to curves.png. At the end report.html, metrics.json
and metrics.csv say how good it is on val; best.pt is for `python -m course_lib.cli.detect --weights`.

A run that was interrupted, even killed, and resumed on a CPU with the same number of threads ends with exactly the weights
of an undisturbed one. Under torchrun, batch normalisation keeps the statistics it starts with (--freeze-norm), since each
process sees only its share of a batch; the report is written by the first process.
"""

import argparse
import math
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
import torch

matplotlib.use("Agg")  # files, no windows

from course_lib.average_precision import detect_all  # noqa: E402
from course_lib.cli import report  # noqa: E402
from course_lib.cli.options import in_terminal, told, understood  # noqa: E402
from course_lib.data import DataError, VOCFolder  # noqa: E402
from course_lib.data.layouts import FORMS, find_labels, split_names  # noqa: E402
from course_lib.experiments import data_check  # noqa: E402
from course_lib.experiments.checkpoints import BACKBONES, MODELS, STARTS, build, load_checkpoint, stored_detector  # noqa: E402
from course_lib.experiments.devices import Placed, choose_device  # noqa: E402
from course_lib.experiments.evaluation import curves, metrics  # noqa: E402
from course_lib.experiments.fit import Diverged, Run, processes, start_processes  # noqa: E402
from course_lib.files import refuse_place  # noqa: E402
from course_lib.weights import WeightsError  # noqa: E402

DEFAULTS = {
    "model": "retinanet", "backbone": "small", "start": "pretrained", "epochs": 40, "batch": 16, "size": "256", "seed": 0,
    "patience": 0, "augment": True, "bf16": False, "compile": False, "freeze_norm": False, "format": None,
    "damaged": "raise",
}  # fmt: skip
OPTIONS = (  # what a reader's message says to those who write Python, and its option here
    (r"COURSE_FORMAT=(\w+) or form=", r"--format \1"),
    (r"choose one of them \(COURSE_DATA, or --data\)", "give one of them as --data"),
    (r"COURSE_DAMAGED=skip, or damaged='skip', leaves", "--damaged skip leaves"),
    (r"; add pictures, or use split=None", "; add pictures"),
    (r"(one picture's name a line); split=None reads every picture", r"\1"),
    (r"label some, or pass class_names=", "label some"),
    (
        r"correct the name, add it to class_names=, or pass others='drop'",
        "correct the name, or train anew with this class",
    ),
)
REDRAW = 10  # seconds between two drawings of the curves, each of which takes about one
LR = 0.003  # at 16 pictures a step; a ResNet learns with a third of it


def numbers(text: str) -> list[float]:
    """Five sides as "16,32,64,128,256"."""
    try:
        sides = [float(part) for part in text.split(",")]
    except ValueError:
        sides = []
    if len(sides) != data_check.LEVELS or not min(sides) > 0:
        raise argparse.ArgumentTypeError(f"{text!r}: give five sides in pixels, such as 16,32,64,128,256")
    return sides


def size_text(text: str) -> str:
    """A longer side such as 256, or height × width such as 192x256."""
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdigit() and int(part) >= 32 for part in parts):
        raise argparse.ArgumentTypeError(
            f"{text!r}: give the longer side, such as 256, or height x width, such as 192x256, each at least 32"
        )
    return text.lower()


def positive(kind: type) -> Callable[[str], float]:
    """A number above 0."""

    def number(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = 0
        if not 0 < value < math.inf:
            raise argparse.ArgumentTypeError(f"{text!r}: give a {'whole ' if kind is int else ''}number above 0")
        return value

    return number


def patience(text: str) -> int:
    """A number of epochs, or 0."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text}: a whole number, 0 or more")
    return int(text)


CALLED = {
    "prog": "python -m course_lib.cli.train",
    "usage": "python -m course_lib.cli.train --data FOLDER [--out FOLDER] [options]; all options: --help",
}


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; options that are not given are None."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, **CALLED
    )
    flag, switch = parser.add_argument, argparse.BooleanOptionalAction
    flag("--data", type=Path, help="the folder, or one COCO JSON file; data/README.md lists the layouts")
    flag("--out", type=Path, default=Path("run"), help="folder for everything that is written (run)")
    flag("--model", choices=MODELS, help="retinanet: small objects too; ssd: a little faster (retinanet)")
    flag("--backbone", choices=BACKBONES, help="small: 1 million weights, for a CPU; lite0: ImageNet weights by pip, nearly three times as slow; resnet18, resnet50 (small)")  # fmt: skip
    flag("--start", choices=STARTS, help="pretrained: small on drawn objects, the others on ImageNet (pretrained)")
    flag("--device", choices=["auto", "cpu", "cuda", "mps"], default="auto", help="where to train (auto)")
    flag("--check", action="store_true", help="check the data and stop")
    flag("--no-check", action="store_true", help="train without checking the data again")
    flag("--epochs", type=positive(int), help="how often each picture is seen (40)")
    flag("--batch", type=positive(int), help="pictures a step, of all processes together (16)")
    flag("--size", type=size_text, help="longer side of the detector's pictures, or HxW, multiples of 32 (256)")
    flag(
        "--lr",
        type=positive(float),
        help="highest learning rate (.003 for small, .001 for the others, times √(batch / 16))",
    )
    flag("--anchors", type=numbers, metavar="SIDES", help="sides of the five levels' square anchors in pixels of the "
         "detector's picture, such as 16,32,64,128,256 (fitted: from the 10 %% quantile of the sizes, doubling)")  # fmt: skip
    flag("--patience", type=patience, help="stop after so many epochs without a better AP on val; 0 never stops (0)")
    flag("--augment", action=switch, help="mirror, crop, zoom out and change colours at random (on)")
    flag("--freeze-norm", action=switch, help="keep the statistics of batch normalisation (off; on under torchrun)")
    flag("--bf16", action=switch, help="half precision, for cards that have it (off)")
    flag("--compile", action=switch, help="torch.compile: slow start, faster steps (off)")
    flag("--seed", type=int, help="of new weights, order and changes of the pictures (0)")
    flag("--format", choices=list(FORMS), help="where the folder holds several formats")
    flag("--damaged", choices=["raise", "skip"], help="skip leaves out damaged pictures and annotations (raise)")
    flag("--resume", action="store_true", help="go on with the run in --out; its settings are stored there")
    flag("--final-test", action="store_true", help="at the end, score the test split as well; do this once")
    args = understood(parser, words, "--data")
    if not args.data and not args.resume:
        parser.error("--data is missing: give the folder with your pictures and annotations, or --resume a run")
    return args


def picture_sides(text: str, data: str, form: str | None) -> list[int]:
    """[H, W] in multiples of 32 from a checked size; one number is the longer side, in the folder's proportions."""
    sides = [int(part) for part in text.split("x")]
    if len(sides) == 1:
        sides = data_check.picture_shape(Path(data), sides[0], form)
    return [max(32, round(side / 32) * 32) for side in sides]


def first_settings(args: argparse.Namespace) -> dict:
    """The settings of a new run as plain values; those fitted to the data come later."""
    given = {key: value for key in DEFAULTS if (value := getattr(args, key)) is not None}
    settings = DEFAULTS | given | {"data": str(args.data.resolve()), "threads": torch.get_num_threads()}
    rate = LR if settings["backbone"] == "small" else LR / 3
    settings["lr"] = args.lr or float(f"{rate * (settings['batch'] / 16) ** 0.5:.2g}")
    settings["size"] = picture_sides(settings["size"], settings["data"], settings["format"])
    settings["freeze_norm"] |= processes()[1] > 1
    return settings


def in_words(key: str, value: object) -> str:
    """A setting's value as it is written in a terminal."""
    if isinstance(value, bool):
        return "it on" if value else "it off"
    return (
        ("x" if key == "size" else ",").join(f"{v:g}" for v in value) if isinstance(value, list | tuple) else str(value)
    )


def asked_as(key: str, value: object) -> str:
    """A setting as it is written in a terminal, such as "--freeze-norm" or "--size 192x256"."""
    name = {"sides": "anchors"}.get(key, key).replace("_", "-")
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    return f"--{name} {in_words(key, value)}"


def stored_settings(args: argparse.Namespace) -> dict:
    """The settings of the run in --out.

    Raises:
        ValueError: an option is given that says something else than the run.
    """
    if not (args.out / "last.pt").exists():
        raise ValueError(f"{args.out}: no run to go on with; start one with --data, or give its folder with --out.")
    settings = load_checkpoint(args.out / "last.pt")["settings"]
    asked = {key: getattr(args, key) for key in (*DEFAULTS, "lr")} | {"sides": args.anchors}
    settings["data"] = str(args.data.resolve()) if args.data else settings["data"]  # a folder may have moved
    if args.size:
        asked["size"] = picture_sides(args.size, settings["data"], settings["format"])
    for key, value in asked.items():
        if value is not None and value != settings[key]:
            asked_for, stored = asked_as(key, value), in_words(key, settings[key])
            raise ValueError(f"{asked_for}, but this run has {stored}; leave it out, or start anew with another --out.")
    if settings["threads"] != torch.get_num_threads():
        print(f"Started with {settings['threads']} threads, now {torch.get_num_threads()}: not equal to the bit.")
    return settings


def read(settings: dict, split: str) -> VOCFolder:
    """A split of the folder, letterboxed; the first process prints the summary."""
    names = settings.get("class_names")
    more = {"damaged": settings["damaged"], "form": settings["format"], "quiet": processes()[0] > 0}
    return VOCFolder(settings["data"], split, names, tuple(settings["size"]), **more)


def fitted_settings(settings: dict, pictures: VOCFolder, val: VOCFolder, sides: list[float] | None) -> dict:
    """Classes and anchors, from the pictures.

    Raises:
        DataError: no picture of a split has an object.
    """
    boxes, labels = data_check.objects_of(pictures)
    if not len(boxes):
        raise DataError(f"{settings['data']}: no picture of split 'train' has an object; nothing can be learned.")
    if not len(data_check.objects_of(val)[0]):
        raise DataError(
            f"{settings['data']}: no picture of split 'val' has an object, so that no epoch can be scored and none be the "
            "best; label some of its pictures, or put all into one folder without splits: a fifth becomes val."
        )
    fitted, ratios = data_check.fit_anchors(boxes, labels)
    return settings | {"class_names": list(pictures.class_names), "sides": sides or fitted, "ratios": ratios}


def say_settings(settings: dict, given: bool) -> None:
    """The choices that were made, in words."""
    sides, ratios = ([f"{number:g}" for number in settings[key]] for key in ("sides", "ratios"))
    print(f"{report.in_short(settings)}.")
    why = "given" if given else "fitted to the sizes of the objects (--anchors)"
    print(f"Anchors with sides {', '.join(sides)} pixels and √2 times that, width : height {', '.join(ratios)}; {why}.")
    if settings["freeze_norm"]:
        print("Batch normalisation keeps the statistics it starts with.")


def check(settings: dict, pictures: VOCFolder, val: VOCFolder, folder: Path) -> None:
    """Print what is to be known before training, and write two figures."""
    detector, (boxes, labels) = build(settings), data_check.objects_of(pictures)
    rows = data_check.class_table(pictures, val, data_check.anchors_of(detector, tuple(settings["size"])))
    print("\nlabel  class                  train    val   √area 5/50/95 % in pixels   reached by an anchor (IoU ≥ .5)")
    for row in rows:
        spread = " / ".join(f"{size:.0f}" for size in row["sizes"])
        print(
            f"{row['label']:5}  {row['name'][:20]:20} {row['train']:7} {row['val']:6}   {spread:27} {row['reached']:7.1%}"
        )
        if not row["train"] or not row["val"]:
            print(f"       WARNING: {row['name']} has no object in {'val' if row['train'] else 'train'}.")
        if row["reached"] < 0.8:
            print(f"       WARNING: few {row['name']} are reached; try a larger --size, or other --anchors.")
    empty, hard = (
        sum(map(test, pictures.targets))
        for test in (lambda t: not len(t["labels"]), lambda t: int(t["difficult"].sum()))
    )
    print(
        f"{empty} of {len(pictures)} training pictures have no object; {hard} difficult objects are left out of training."
    )
    folder.mkdir(parents=True, exist_ok=True)
    shapes = detector.shapes
    files = [
        report.save_figure(report.sizes_figure(boxes, labels, pictures.class_names, shapes), folder / "check_sizes.png")
    ]
    files.append(report.save_figure(report.augmented_figure(pictures, settings["seed"]), folder / "check_pictures.jpg"))
    print(f"Sizes against anchors: {files[0]}. Eight augmented pictures: {files[1]}; look at both.")
    heart = data_check.learn_by_heart(detector, pictures, settings["lr"])
    print(
        f"{heart['pictures']} pictures learned by heart in {heart['steps']} steps: loss {heart['first_loss']:.2f} → "
        f"{heart['last_loss']:.2f}, AP50 on themselves {heart['AP50']:.2f}."
    )
    if not heart["AP50"] > 0.7:
        print("WARNING: a detector that cannot learn four pictures will not learn all; look at the boxes and at --lr.")
    print("To beat on val: predict nothing, AP 0.\n")


def show_epoch(settings: dict, folder: Path) -> Callable[[list[dict]], None]:
    """What happens after each epoch: one line on screen, and the figure drawn anew, unless that was a moment ago."""
    drawn = -math.inf

    def show(history: list[dict]) -> None:
        nonlocal drawn
        last, all_epochs = history[-1], settings["epochs"]
        left = (all_epochs - last["epoch"]) * sum(record["seconds"] for record in history) / len(history)
        print(
            f"epoch {last['epoch']:3} of {all_epochs}  loss {last['train_loss']['total']:.3f}, val {last['val_loss']['total']:.3f}  "
            f"AP50 {last['AP50']:.3f}  AP {last['AP']:.3f}  {last['seconds']:.0f} s, "
            f"{f'{left / 60:.0f} minutes' if left > 99 else f'{left:.0f} s'} left",
            flush=True,
        )
        if time.monotonic() - drawn > REDRAW:
            draw_curves(history, settings, folder)
            drawn = time.monotonic()

    return show


def draw_curves(history: list[dict], settings: dict, folder: Path) -> None:
    """Losses and AP50 of all epochs so far, as curves.png."""
    report.save_figure(report.curves_figure(history, settings["class_names"]), folder / "curves.png")


def score(folder: Path, settings: dict, pictures: VOCFolder, split: str, history: list[dict], device: str) -> None:
    """Score best.pt on a split, with the thresholds chosen on val, and write the report."""
    detector, content = stored_detector(folder / "best.pt")
    found = detect_all(Placed(detector, device), pictures, settings["batch"])
    names = settings["class_names"]
    numbers = metrics(found, pictures.targets, names, content["thresholds"])
    numbers["settings"] = {key: value for key, value in settings.items() if key != "data"}
    lines, name = curves(found, pictures.targets, len(names)), "test_metrics" if split == "test" else "metrics"
    report.write_report(folder, name, numbers, split, history, lines, pictures, found)
    print(f"\n{split}: AP50 {numbers['AP50']:.3f}, AP {numbers['AP']:.3f}; predict nothing: 0.")
    for row in report.table_rows(numbers):
        print(
            "  ".join(
                f"{report.as_text(cell):>10}" if i else f"{report.as_text(cell)[:20]:20}" for i, cell in enumerate(row)
            )
        )
    print(
        f"{folder / name.replace('metrics', 'report')}.html tells all of it; {name}.json and {name}.csv hold the numbers."
    )


def run(args: argparse.Namespace) -> None:
    """Check, train, report."""
    device = choose_device(args.device)
    if device == "cuda" and "LOCAL_RANK" in os.environ:
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    start_processes(device)
    report.add_fonts()
    first = processes()[0] == 0
    if not args.resume and not args.check and (args.out / "last.pt").exists():
        raise ValueError(f"{args.out} holds a run; go on with --resume, or choose another --out.")
    refuse_place(args.out)
    settings = stored_settings(args) if args.resume else first_settings(args)
    if args.final_test:  # after a night of training it is too late to say so
        split_names(Path(settings["data"]), find_labels(Path(settings["data"]), settings["format"]), "test", [])
    pictures, val = read(settings, "train"), read(settings, "val")
    if not args.resume:
        settings = fitted_settings(settings, pictures, val, args.anchors)
    if first:
        say_settings(settings, bool(args.anchors))
        if not args.resume and not args.no_check:
            check(settings, pictures, val, args.out)
    if args.check:
        return
    training = Run(build(settings, load=not args.resume), pictures, val, settings, args.out, device)
    if args.resume:
        training.resume()
    history = training.fit(show_epoch(settings, args.out))
    if first:
        draw_curves(history, settings, args.out)
        score(args.out, settings, val, "val", history, device)
        print(f"Use it: python -m course_lib.cli.detect PICTURES --weights {in_terminal(args.out / 'best.pt')}")
        if args.final_test:
            score(args.out, settings, read(settings, "test"), "test", history, device)


def as_option(message: str) -> str:
    """A reader's message with this command's options instead of arguments in Python."""
    for pattern, option in OPTIONS:
        message = re.sub(pattern, option, message)
    return message


def main() -> int:
    """Command line; returns the exit code: 0 done, 1 stopped with a reason, 130 interrupted."""
    args = parse()
    try:
        run(args)
    except (DataError, WeightsError, Diverged, ValueError, OSError) as error:
        print(as_option(told(error)), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        begun = args.out / "last.pt"
        again = f"Go on with: python -m course_lib.cli.train --out {in_terminal(args.out)} --resume"
        print(f"\nInterrupted. {again if begun.exists() else 'Nothing was trained yet.'}", file=sys.stderr)
        return 130
    finally:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    return 0


if __name__ == "__main__":
    sys.exit(main())
