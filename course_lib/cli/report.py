"""What `cli.train` shows: the figures of a check and of a run, and its report in one HTML file."""

import base64
import csv
import html
import io
import json
import warnings
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from matplotlib import font_manager, ticker
from matplotlib.figure import Figure
from torch import Tensor

from course_lib import plots
from course_lib.data import VOCFolder
from course_lib.data.transforms import augment
from course_lib.experiments.checkpoints import above
from course_lib.experiments.evaluation import Curve
from course_lib.experiments.fit import plain
from course_lib.files import write_whole

SHOWN, DRAWN = 16, 20  # pictures on a sheet, and detections drawn on each: the best
FONTS = (  # with letters that Matplotlib's own lacks: Windows, macOS, Linux
    "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Nirmala UI", "Arial Unicode MS", "Hiragino Sans", "PingFang SC",
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Unifont",
)  # fmt: skip
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}img{max-width:100%}"
    "table{border-collapse:collapse}td,th{border:1px solid #bbb;padding:.25rem .6rem;text-align:right}"
    "td:first-child,th:first-child{text-align:left}"
)
BACKGROUND = (
    "Rows are what is there, columns what the detector said, at the thresholds of the table above. The row "
    "<em>background</em> counts detections where there is no such object: false alarms, second boxes on one object and "
    "boxes that overlap it too little (IoU below .5). The column <em>background</em> counts objects that were missed. "
    "The corner of both is empty: nobody can count the places where rightly nothing was said."
)


def add_fonts() -> None:
    """Let figures fall back on this computer's fonts for letters that Matplotlib's own lacks; without any, □ and no warning."""
    there = {font.name for font in font_manager.fontManager.ttflist}
    plt.rcParams["font.family"] = ["DejaVu Sans", *(name for name in FONTS if name in there)]
    warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)


def in_short(settings: dict) -> str:
    """A run's settings in one line."""
    height, width = settings["size"]
    return (
        f"{settings['model']} on {settings['backbone']} ({settings['start']}), pictures {height} × {width} (H × W), "
        f"{settings['epochs']} epoch{'s' * (settings['epochs'] > 1)}, {settings['batch']} pictures a step, highest learning "
        f"rate {settings['lr']:g} (--lr), seed {settings['seed']}"
    )


def save_figure(fig: Figure, path: Path) -> Path:
    """Write a figure as a whole, as JPEG or PNG by its suffix, and close it."""
    form = "jpeg" if path.suffix == ".jpg" else "png"
    write_whole(path, lambda file: fig.savefig(file, format=form, dpi=100))
    plt.close(fig)
    return path


def sizes_figure(boxes: Tensor, labels: Tensor, names: Sequence[str], shapes: Sequence[Tensor]) -> Figure:
    """Widths and heights of the objects, one mark a class, and of the anchors' shapes (black squares); both axes in octaves."""
    fig, ax = plt.subplots(figsize=(7, 5.6), layout="constrained")
    for c, name in enumerate(names):
        width, height = (boxes[labels == c + 1, 2:] - boxes[labels == c + 1, :2]).T.numpy()
        ax.scatter(width, height, s=14, alpha=0.6, marker="ovD^vP*X"[c % 8], color=plots.PALETTE[c % 7], label=name)
    width, height = torch.cat(list(shapes)).T.numpy()
    ax.scatter(width, height, s=34, marker="s", facecolors="none", edgecolors="black", label="anchors")
    ax.set_xscale("log", base=2)
    ax.set_yscale("log", base=2)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter("{x:g}")
    ax.set(xlabel="width in pixels of the detector's picture", ylabel="height")
    ax.legend(fontsize=9, ncols=1 + len(names) // 12)
    return fig


def augmented_figure(pictures: VOCFolder, seed: int) -> Figure:
    """Eight pictures as training sees them, with their boxes."""
    chosen = plots.examples(pictures, *(k * len(pictures) // 8 for k in range(8)))
    changed = [augment(seed + i)(*pictures[i]) for i in chosen]
    return plots.pictures(*zip(*changed, strict=True), pictures.class_names, scale=3.2)


def minor_label(value: float, place: int | None = None) -> str:
    """The label of a small tick on a logarithmic axis: plain numbers, of 2 to 9 in a decade only 2, 4 and 6."""
    digits = f"{value:e}".split("e")[0].rstrip("0").rstrip(".")
    return f"{value:g}" if len(digits) > 1 or digits in "246" else ""


def curves_figure(history: Sequence[dict], names: Sequence[str]) -> Figure:
    """Losses of train and val, and AP50 of every class, over the epochs."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    epochs = [record["epoch"] for record in history]
    for key, style, label in (("train_loss", "-", "train"), ("val_loss", "--", "val")):
        left.plot(epochs, [record[key]["total"] for record in history], style, marker=".", label=label)
    left.set(xlabel="epoch", ylabel="loss per positive box", yscale="log", title="loss")
    left.yaxis.set_major_formatter("{x:g}")
    left.yaxis.set_minor_formatter(minor_label)
    right.plot(epochs, [record["AP50"] for record in history], "k-", marker=".", label="mean")
    for c, name in enumerate(names):
        scores = [record["classes"][name]["AP50"] for record in history]
        right.plot(epochs, scores, marker="ovD^vP*X"[c % 8], markersize=4, linewidth=1, label=name)
    right.axhline(0, color="#777777", linestyle=":", label="predict nothing")
    right.set(xlabel="epoch", ylim=(-0.02, 1.02), title="AP50 on val")
    for ax in (left, right):
        ax.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
        ax.legend(fontsize=9)
    return fig


def precision_recall_figure(curves: Sequence[Curve], names: Sequence[str]) -> Figure:
    """Precision against recall of every class; a star where F1 is best."""
    fig, ax = plt.subplots(figsize=(7, 5), layout="constrained")
    for c, (name, curve) in enumerate(zip(names, curves, strict=True)):
        (line,) = ax.plot(curve.recall.numpy(), curve.precision.numpy(), ["-", "--", "-.", ":"][c % 4], label=name)
        ax.plot(curve.best[1], curve.best[0], "*", markersize=13, color=line.get_color(), markeredgecolor="black")
    ax.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
    ax.legend(fontsize=9)
    return fig


def confusion_figure(matrix: Tensor, names: Sequence[str]) -> Figure:
    """The counts, coloured by their share of the row."""
    labels = ["background", *names]
    side = max(4.5, 0.6 * len(labels) + 2)
    fig, ax = plt.subplots(figsize=(side, side), layout="constrained")
    shares = matrix / matrix.sum(dim=1, keepdim=True).clamp(min=1)
    ax.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1.6)
    for row, column in torch.cartesian_prod(*[torch.arange(len(labels))] * 2).tolist() if len(labels) <= 25 else ():
        ax.text(column, row, "–" if row == column == 0 else int(matrix[row, column]), ha="center", va="center", size=9)
    ax.set(xticks=range(len(labels)), yticks=range(len(labels)), xlabel="the detector said", ylabel="there is")
    ax.set_xticklabels(labels, rotation=60, ha="right")
    ax.set_yticklabels(labels)
    return fig


def detections_figure(pictures: VOCFolder, chosen: Sequence[int], found: Sequence[dict], f1: Sequence[float]) -> Figure:
    """Pictures with objects (green) and detections (dashed), titled with name and F1."""
    rows = -(-len(chosen) // 4)
    fig, axes = plt.subplots(rows, 4, figsize=(13, 3.1 * rows), squeeze=False)
    top = 1 - 0.25 / (3.1 * rows)  # room for the titles; a layout engine would look at every single label
    fig.subplots_adjust(0.01, 0.01, 0.99, top, 0.04, 0.12)
    for ax in axes.flat[len(chosen) :]:
        ax.axis("off")
    for ax, i in zip(axes.flat, chosen, strict=False):
        image, target = pictures[i]
        few = {key: value[:DRAWN] for key, value in found[i].items()}
        plots.detections(ax, image, target, few, pictures.class_names)
        ax.set_title(f"{pictures.names[i]}  F1 {f1[i]:.2f}", fontsize=9)
    return plots.settle_labels(fig)


def table_rows(metrics: dict) -> list[list[object]]:
    """The table of classes: a head, then one row a class."""
    keys = list(next(iter(metrics["classes"].values())))
    return [["class", *keys], *([name, *row.values()] for name, row in plain(metrics["classes"]).items())]


def as_text(value: object) -> str:
    """A cell of a table."""
    return "–" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def embedded(fig: Figure, alt: str, photo: bool = False) -> str:
    """A figure as HTML, its bytes inside."""
    buffer, form = io.BytesIO(), "jpeg" if photo else "png"
    fig.savefig(buffer, format=form, dpi=90)
    plt.close(fig)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<img alt="{html.escape(alt)}" src="data:image/{form};base64,{data}">'


def page(metrics: dict, split: str, history: list[dict], curves: Sequence[Curve], val: VOCFolder, found: list) -> str:
    """The report as one HTML page."""
    names, f1 = val.class_names, metrics["picture_f1"]
    shown = [above(one, [row["threshold"] for row in metrics["classes"].values()]) for one in found]
    order = sorted(range(len(f1)), key=lambda i: -f1[i])
    head, *rows = [[html.escape(as_text(cell)) for cell in row] for row in table_rows(metrics)]
    table = "".join(f"<tr><td>{'</td><td>'.join(row)}</td></tr>" for row in rows)
    best, matrix = max(history, key=lambda record: record["AP"])["epoch"], torch.tensor(metrics["confusion"]["counts"])
    parts = [
        f"<h1>{html.escape(val.root.name)}, split {html.escape(split)}: AP50 {as_text(metrics['AP50'])}</h1>",
        f"<p>{metrics['pictures']} pictures. AP (.50 : .95) {as_text(metrics['AP'])}, AP50 {as_text(metrics['AP50'])}, AP75 "
        f"{as_text(metrics['AP75'])}; a detector that predicts nothing has AP 0. Weights: epoch {best}, the best on val.</p>",
        f"<p>{html.escape(in_short(metrics['settings']))}.</p>",
        "<h2>Classes</h2><p>Precision, recall and F1 hold at the threshold, the score with the best F1 on val.</p>",
        f"<table><tr><th>{'</th><th>'.join(head)}</th></tr>{table}</table>",
        "<h2>Learning</h2>" + embedded(curves_figure(history, names), "Loss and AP50 over the epochs"),
        "<h2>Precision and recall</h2>" + embedded(precision_recall_figure(curves, names), "One curve a class"),
        f"<h2>Confusions</h2><p>{BACKGROUND}</p>" + embedded(confusion_figure(matrix, names), "Counts, as described"),
    ]
    for title, chosen in (("Best", order[:SHOWN]), ("Worst", order[::-1][:SHOWN])):
        fig = detections_figure(val, chosen, shown, f1)
        text = f"The {len(chosen)} {title.lower()} pictures by F1; green is there, dashed orange was found (at most {DRAWN} drawn)."
        parts.append(f"<h2>{title} pictures</h2><p>{text}</p>" + embedded(fig, text, photo=True))
    style = (
        f"<meta charset='utf-8'><title>{html.escape(val.root.name)}, {html.escape(split)}</title><style>{STYLE}</style>"
    )
    return f"<!doctype html><html lang='en'><head>{style}</head><body>{''.join(parts)}</body></html>"


def write_report(
    folder: Path, name: str, metrics: dict, split: str, history: list[dict], curves: list, val: VOCFolder, found: list
) -> None:
    """Write NAME.json, NAME.csv (one row a class) and the page beside them; names as "metrics" or "test_metrics"."""
    stored = metrics | {"picture_f1": dict(zip(val.names, metrics["picture_f1"], strict=True))}
    write_whole(folder / f"{name}.json", json.dumps(plain(stored), indent=1, ensure_ascii=False))
    buffer = io.StringIO()
    csv.writer(buffer).writerows(table_rows(metrics))
    write_whole(folder / f"{name}.csv", buffer.getvalue().encode("utf-8-sig"))
    content = page(metrics, split, history, curves, val, found)
    write_whole(folder / f"{name.replace('metrics', 'report')}.html", content)
