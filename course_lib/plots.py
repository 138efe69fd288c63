"""Every figure's style: pictures with boxes, a colour-blind-safe palette, alt text stored with the image."""

import io
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib import patches
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442", "#000000")
plt.rcParams.update(
    {
        "font.size": 10,
        "axes.titlesize": 11,
        "axes.labelsize": 10,
        "legend.fontsize": 9,
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
        "figure.dpi": 96,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": plt.cycler(color=PALETTE),
        "svg.hashsalt": "course",
    }
)


class _Picture:
    """What `show` displays: finished bytes, so that the stored picture depends on the figure only."""

    def __init__(self, kind: str, data: bytes, alt: str) -> None:
        self.kind, self.data, self.alt = kind, data, alt

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> tuple[dict, dict]:
        import base64

        mime = f"image/{self.kind}"
        bundle = {mime: base64.b64encode(self.data).decode("ascii"), "text/plain": "<figure>"}
        return bundle, {mime: {"alt": self.alt}}


def show(fig: Figure, alt: str, photo: bool | None = None, quality: int = 85) -> None:
    """Display a figure with its alt text and close it; the last call of a figure cell.

    Args:
        fig: the finished figure.
        alt: what the figure shows, for a reader who does not see it; at least a few words.
        photo: store as JPEG (True) or PNG (False); by default JPEG as soon as a picture (`imshow` of colours) is in it.
        quality: of the JPEG; lower where a figure holds very many pictures.

    Raises:
        ValueError: the alt text is empty or too short to say anything.
    """
    if len(alt.split()) < 4:
        raise ValueError(f"alt text {alt!r} is too short; say in a sentence what the figure shows.")
    if photo is None:
        photo = any(image.get_array().ndim == 3 for axes in fig.axes for image in axes.images)
    buffer = io.BytesIO()
    if photo:
        fig.savefig(buffer, format="jpeg", bbox_inches="tight", dpi=100, pil_kwargs={"quality": quality})
    else:
        fig.savefig(buffer, format="png", bbox_inches="tight", dpi=88, metadata={"Software": None})
    plt.close(fig)
    display(_Picture("jpeg" if photo else "png", buffer.getvalue(), alt))


def box_outline(
    ax: Axes, box: Tensor, colour: int | str = 0, dashed: bool = False, text: str | None = None, width: float = 2
) -> None:
    """Draw one box (xyxy pixels) with a white rim, solid or dashed, and a small label above its upper left corner."""
    x1, y1, x2, y2 = (float(v) for v in box)
    colour = PALETTE[colour % len(PALETTE)] if isinstance(colour, int) else colour
    style = (0, (4, 2)) if dashed else "solid"
    for line, edge, zorder in ((width + 1.6, "white", 2), (width, colour, 3)):
        ax.add_patch(
            patches.Rectangle(
                (x1, y1),
                x2 - x1,
                y2 - y1,
                fill=False,
                linewidth=line,
                edgecolor=edge,
                linestyle=style if edge != "white" else "solid",
                alpha=0.7 if edge == "white" else 1,
                zorder=zorder,
            )
        )
    if text:
        ink = "black" if colour in ("#E69F00", "#56B4E9", "#F0E442") else "white"
        ax.text(
            x1,
            y1,
            text,
            fontsize=9,
            color=ink,
            va="bottom",
            ha="left",
            zorder=4,
            clip_on=False,
            bbox=dict(facecolor=colour, edgecolor="none", pad=1.2),
        )


def picture(
    ax: Axes,
    image: Tensor,
    boxes: Tensor | None = None,
    names: Sequence[str] | None = None,
    colour: int | str = 0,
    dashed: bool = False,
    title: str | None = None,
) -> None:
    """Show a picture [3, H, W] in 0–1, its pixel edges at whole numbers, with boxes [N, 4] and one name a box.

    Call it again with `image=None` to add boxes of another colour or dash to the same axes.
    """
    if image is not None:
        height, width = image.shape[-2:]
        ax.imshow(image.permute(1, 2, 0).clamp(0, 1).numpy(), extent=(0, width, height, 0), interpolation="nearest")
        ax.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
        for spine in ax.spines.values():
            spine.set_visible(False)
    for index, box in enumerate([] if boxes is None else boxes):
        box_outline(ax, box, colour, dashed, names[index] if names else None)
    if title:
        ax.set_title(title)


def pictures(
    images: Sequence[Tensor],
    targets: Sequence[dict] | None = None,
    classes: Sequence[str] | None = None,
    columns: int = 4,
    titles: Sequence[str] | None = None,
    scale: float = 2.4,
) -> Figure:
    """A sheet of pictures with the boxes and class names of their targets; returns the figure for `show`."""
    rows = -(-len(images) // columns)
    fig, axes = plt.subplots(
        rows, columns, figsize=(scale * columns, scale * rows + 0.2), squeeze=False, layout="constrained"
    )
    for index, ax in enumerate(axes.flat):
        if index >= len(images):
            ax.axis("off")
            continue
        picture(ax, images[index], title=titles[index] if titles is not None else None)
        if targets is not None:
            boxes, labels = targets[index]["boxes"], targets[index]["labels"]
            named_boxes(ax, boxes, [classes[int(c) - 1] if classes else "" for c in labels])
    return settle_labels(fig)


def examples(pictures: Sequence, *numbers: int, objects: int = 1) -> list[int]:
    """Which pictures to show: those of these numbers, where they exist and hold at least so many objects.

    On another data set than the scenes a number may not exist, or its picture may be empty. Then the next picture with
    enough objects stands in for it; if there is none, the one with the most. No picture comes twice.

    Args:
        pictures: has a length and `targets`, dicts with `boxes`.
        numbers: the pictures that were chosen for the scenes.
        objects: how many objects a picture has to show.

    Returns:
        At most as many numbers as were asked for, fewer if there are fewer pictures.
    """
    counts = [len(target["boxes"]) for target in pictures.targets]
    chosen: list[int] = []
    for number in numbers[: len(counts)]:
        others = [(number + step) % len(counts) for step in range(len(counts))]
        free = [index for index in others if index not in chosen]
        enough = [index for index in free if counts[index] >= objects]
        chosen.append(enough[0] if enough else max(free, key=lambda index: counts[index]))
    return chosen


HIDING = 0.4  # a label over a larger share of a box hides the object


def place_labels(
    boxes: Sequence[Sequence[float]], sizes: Sequence[tuple[float, float]], width: float, height: float
) -> list[tuple[float, float]]:
    """Where labels go: inside the picture, not on one another, and not over most of an object, as far as there is room.

    Args:
        boxes: (x1, y1, x2, y2), y downwards.
        sizes: (width, height) of each label, in the units of the boxes.
        width, height: of the picture.

    Returns:
        The upper left corner of each label, in the order of the boxes. The smallest box chooses first, and takes a place
        inside itself where it can.
    """

    def shared(a: tuple, b: tuple) -> float:
        across, down = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1))
        return max(across, 0) * max(down, 0)

    order = sorted(range(len(boxes)), key=lambda i: (boxes[i][2] - boxes[i][0]) * (boxes[i][3] - boxes[i][1]))
    taken: dict[int, tuple] = {}
    for index in order:
        (x1, y1, x2, y2), (w, h) = boxes[index], sizes[index]
        across = [x1, x2 - w, (x1 + x2 - w) / 2]
        steps = max(1, min(8, int((y2 - y1) / max(h, 1e-9))))
        down = [y1 + k * (y2 - y1 - h) / max(steps - 1, 1) for k in range(steps)] if y2 - y1 >= h else []
        inside = [(x, y) for y in down for x in across] if x2 - x1 >= w else []
        outside = [(x, y) for y in (y1 - h, y2) for x in (x1, x2 - w)]
        outside += [(x, y) for y in (*down, y1 - h, y2) for x in (x1 - w, x2)]
        best = None
        for rank, (x, y) in enumerate([*inside, *outside]):
            x, y = max(0.0, min(x, width - w)), max(0.0, min(y, height - h))
            label = (x, y, x + w, y + h)
            clash = sum(shared(label, other) for other in taken.values())
            hidden = sum(shared(label, box) > HIDING * (box[2] - box[0]) * (box[3] - box[1]) for box in boxes)
            if best is None or (clash, hidden, rank) < best[0]:
                best = (clash, hidden, rank), (x, y)
        x, y = best[1]
        taken[index] = (x, y, x + w, y + h)
    return [taken[index][:2] for index in range(len(boxes))]


def named_boxes(
    ax: Axes,
    boxes: Tensor,
    names: Sequence[str],
    colours: int | str | Sequence = 0,
    dashed: bool = False,
    width: float = 2,
) -> None:
    """Draw boxes [N, 4] with one name each; `settle_labels` moves the names to where they can be read.

    Args:
        ax: axes of a `picture`.
        boxes: xyxy pixels.
        names: one a box; an empty one draws no label.
        colours: one for all, or one a box.
        dashed, width: as for `box_outline`.
    """
    several = [colours] * len(boxes) if isinstance(colours, (int, str)) else list(colours)
    for box, name, colour in zip(boxes, names, several, strict=True):
        box_outline(ax, box, colour, dashed, name or None, width)
        if name:
            ax.texts[-1].set_gid(" ".join(f"{float(v):.3f}" for v in box))


def settle_labels(fig: Figure) -> Figure:
    """Move the names of all `named_boxes` into their boxes and off one another; call it when all else is drawn."""
    fig.draw_without_rendering()
    for ax in fig.axes:
        labels = [text for text in ax.texts if text.get_gid()]
        if not labels:
            continue
        back, sizes = ax.transData.inverted(), []
        for label in labels:
            corners = back.transform(label.get_bbox_patch().get_window_extent().get_points())
            sizes.append(tuple(1.04 * float(abs(v)) for v in corners[1] - corners[0]))  # a little air
        boxes = [[float(v) for v in label.get_gid().split()] for label in labels]
        right, bottom = max(ax.get_xlim()), max(ax.get_ylim())
        for label, (x, y), (w, h) in zip(labels, place_labels(boxes, sizes, right, bottom), sizes, strict=True):
            label.set(position=(x + w / 2, y + h / 2), ha="center", va="center")
    return fig


def detections(
    ax: Axes, image: Tensor, target: dict, found: dict, class_names: Sequence[str], wrong: Tensor | None = None
) -> None:
    """A picture with its ground truth (solid green, named) and its detections (dashed orange, class and score).

    Drawing only: which detections are wrong is decided elsewhere. Call `settle_labels` on the figure at the end.

    Args:
        ax: where to draw.
        image: [3, H, W].
        target: dict(boxes, labels); without any object only the detections are drawn.
        found: dict(boxes, labels, scores).
        class_names: label c is `class_names[c - 1]`.
        wrong: [K] bool, detections that are drawn in red with a cross before their name.
    """
    picture(ax, image)
    named_boxes(ax, target["boxes"], [class_names[int(c) - 1] for c in target["labels"]], 2, width=1.7)
    bad = [False] * len(found["boxes"]) if wrong is None else wrong.tolist()
    rows = zip(found["labels"].tolist(), found["scores"].tolist(), bad, strict=True)
    names = [f"{'✗ ' if no else ''}{class_names[c - 1]} {score:.2f}" for c, score, no in rows]
    named_boxes(ax, found["boxes"], names, [4 if no else 1 for no in bad], dashed=True, width=1.7)


FLOW = {  # name: (left, middle, text)
    "picture": (0.0, 2.6, "picture"),
    "backbone": (2.1, 2.6, "backbone"),
    "maps": (4.2, 2.6, "feature maps,\nfine to coarse"),
    "heads": (6.3, 2.6, "prediction heads,\ntwo per map"),
    "labels": (4.2, 5.15, "ground truth:\nboxes, classes"),
    "default boxes": (4.2, 4.15, "default boxes\n(anchors)"),
    "match": (6.3, 4.65, "match"),
    "targets": (8.4, 4.65, "targets: class\nand 4 offsets"),
    "loss": (10.5, 4.65, "loss"),
    "decode": (6.3, 0.65, "decode: offsets\n+ default box"),
    "threshold": (8.4, 0.65, "score threshold"),
    "suppression": (10.5, 0.65, "suppression"),
    "detections": (12.6, 0.65, "detections: box,\nclass, score"),
}
FLOW_SIZE = (1.75, 0.36)  # width and half the height of a part
FLOW_ARROWS = (
    *(("picture", "backbone"), ("backbone", "maps"), ("maps", "heads")),
    *(("labels", "match"), ("default boxes", "match"), ("match", "targets"), ("targets", "loss")),
    *(("decode", "threshold"), ("threshold", "suppression"), ("suppression", "detections")),
)


def _flow_part(ax: Axes, name: str, text: str, lit: bool, faded: bool) -> None:
    """Draw one part of the diagram, framed boldly or faded."""
    (left, middle, _), (wide, high) = FLOW[name], FLOW_SIZE
    ax.add_patch(
        patches.FancyBboxPatch(
            (left + 0.06, middle - high),
            wide - 0.12,
            2 * high,
            boxstyle="round,pad=0.03",
            facecolor="#F0E442" if lit else "white",
            edgecolor="#777777" if faded else "black",
            linewidth=2.6 if lit else 1,
        )
    )
    ink, weight = "#555555" if faded else "black", "bold" if lit else "normal"
    ax.text(left + wide / 2, middle, text, ha="center", va="center", fontsize=9, color=ink, weight=weight)


def data_flow(highlight: Sequence[str] = (), renamed: Mapping[str, str] = MappingProxyType({})) -> Figure:
    """The data flow of a single-shot detector: what runs in training (above) and in use (below), and what runs in both.

    Args:
        highlight: the parts that a lesson is about, names of `FLOW`; they are framed boldly, all others fade. Empty: all.
        renamed: part → what is written in it, where a detector's part has another name than SSD's.

    Raises:
        ValueError: a name that is no part of the diagram.
    """
    if unknown := sorted({*highlight, *renamed} - FLOW.keys()):
        raise ValueError(f"{', '.join(unknown)}: no part of the diagram; there is {', '.join(FLOW)}.")
    wide, high = FLOW_SIZE
    fig, ax = plt.subplots(figsize=(11.6, 4.9), layout="constrained")
    for bottom, top, colour, text in ((3.6, 5.85, "#E69F00", "in training"), (0.0, 1.35, "#56B4E9", "in use")):
        ax.add_patch(patches.Rectangle((-0.15, bottom), 14.7, top - bottom, facecolor=colour, alpha=0.13, zorder=0))
        ax.text(0.05, top - 0.12, text, va="top", fontsize=11, style="italic")
    for name in FLOW:
        text = renamed.get(name, FLOW[name][2])
        _flow_part(ax, name, text, lit=name in highlight, faded=bool(highlight) and name not in highlight)
    ax.text(0.05, 3.43, "in both", va="top", fontsize=11, style="italic")
    arrow = dict(arrowstyle="-|>", color="black", linewidth=1.1)
    for start, end in FLOW_ARROWS:
        tail, head = (FLOW[start][0] + wide, FLOW[start][1]), (FLOW[end][0], FLOW[end][1])
        ax.annotate("", xy=head, xytext=tail, arrowprops=arrow)
    heads, loss = FLOW["heads"][0] + wide, FLOW["loss"][0] + wide / 2
    ax.plot([heads, loss], [2.6, 2.6], color="black", linewidth=1.1)
    ax.annotate("", xy=(loss, 4.65 - high), xytext=(loss, 2.6), arrowprops=arrow)
    ax.annotate("", xy=(6.3 + wide / 2, 0.65 + high), xytext=(6.3 + wide / 2, 2.6 - high), arrowprops=arrow)
    ax.text(heads + 0.12, 2.66, "class scores and offsets per box", va="bottom", fontsize=9)
    ax.annotate("", xy=(13.6, 4.65), xytext=(10.5 + wide, 4.65), arrowprops=arrow | {"linestyle": "--"})
    ax.text(12.45, 4.78, "gradient, back\nto all weights", va="bottom", fontsize=9)
    ax.set(xlim=(-0.2, 14.6), ylim=(-0.05, 5.9), aspect="equal")
    ax.axis("off")
    return fig


def objects_with_boxes(
    image: Tensor, boxes: Tensor, default_boxes: Tensor, matches: Tensor, forced: Tensor, names: Sequence[str]
) -> Figure:
    """One panel an object: the object (black) and the positive default boxes that are matched to it; forced ones dashed.

    Drawing only: which box is matched to which object is decided elsewhere.

    Args:
        image: [3, H, W].
        boxes: objects [N, 4].
        default_boxes: [M, 4].
        matches: [M], index of the object, or negative.
        forced: [M] bool.
        names: one title an object.
    """
    columns = 3 if len(boxes) in (3, 5, 6, 9) else max(1, min(4, len(boxes)))
    rows = max(1, -(-len(boxes) // columns))
    fig, axes = plt.subplots(rows, columns, figsize=(3.0 * columns, 3.3 * rows), squeeze=False, layout="constrained")
    height, width = image.shape[-2:]
    for index, ax in enumerate(axes.flat):
        if index >= len(boxes):
            ax.axis("off")
            continue
        mine = matches == index
        picture(ax, image * 0.55 + 0.45, title=names[index])
        x1, y1, x2, y2 = boxes[index].tolist()
        ax.add_patch(patches.Rectangle((x1, y1), x2 - x1, y2 - y1, color="black", alpha=0.16, linewidth=0))
        for box, star in zip(default_boxes[mine], forced[mine].tolist(), strict=True):
            box_outline(ax, box, 4 if star else 0, dashed=star, width=1.5)
        box_outline(ax, boxes[index], "black", width=2.6)
        every = [boxes[index], *default_boxes[mine]]
        ends = [(min(float(b[k]) for b in every), max(float(b[k + 2]) for b in every)) for k in (0, 1)]
        span = max(40.0, *(end - start + 8 for start, end in ends))
        left, top = ((start + end - span) / 2 for start, end in ends)
        ax.set(xlim=(left, left + span), ylim=(top + span, top))
        ax.add_patch(patches.Rectangle((0, 0), width, height, fill=False, edgecolor="#888888", linewidth=1, zorder=1))
    return fig


def one_answer(ax: Axes, image: Tensor, target: dict, found: dict, classes: Sequence[str], note: str = "") -> None:
    """One picture, its true box solid green, the predicted one dashed orange; the title names the predicted class.

    A wrong class is titled "mug (is fish)" in red.

    Args:
        ax: where to draw.
        image: [3, H, W].
        target: ground truth; with one object its class is compared, with several only the boxes are drawn.
        found: one detection, dict(boxes [1, 4], labels [1]).
        classes: class names; label c is `classes[c - 1]`.
        note: a second line for the title.
    """
    picture(ax, image, target["boxes"], colour=2)
    picture(ax, None, found["boxes"], colour=1, dashed=True)
    said, wrong = classes[int(found["labels"][0]) - 1], False
    title = said
    if len(target["labels"]) == 1:
        true = classes[int(target["labels"][0]) - 1]
        wrong, title = said != true, said if said == true else f"{said} (is {true})"
    ax.set_title(f"{title}\n{note}" if note else title, color="#B00020" if wrong else "black", fontsize=10)


def map_chain(maps: Sequence[tuple[str, int, int]], steps: Sequence[str]) -> Figure:
    """Feature maps as boxes in a row, high where the map has many rows and wide where it has many channels.

    Args:
        maps: (label below, channels, rows) of each map, the picture first.
        steps: the text on each arrow, one fewer than maps.
    """
    fig, ax = plt.subplots(figsize=(10.2, 2.7), layout="constrained")
    x, top = 0.0, max(rows for _, _, rows in maps)
    for index, (label, channels, rows) in enumerate(maps):
        wide, high = 0.25 + channels / 130, 0.35 + 2.2 * rows / top
        colour = "#DDDDDD" if index == 0 else PALETTE[5]
        ax.add_patch(patches.Rectangle((x, 1.3 - high / 2), wide, high, facecolor=colour, edgecolor="black"))
        ax.text(x + wide / 2, -0.2, label, ha="center", va="top", fontsize=9)
        if index < len(steps):
            ax.annotate("", xy=(x + wide + 1.25, 1.3), xytext=(x + wide + 0.1, 1.3), arrowprops=dict(arrowstyle="->"))
            ax.text(x + wide + 0.68, 1.4, steps[index], ha="center", va="bottom", fontsize=9)
        x += wide + 1.35
    ax.set(xlim=(-0.3, x - 1.1), ylim=(-1.0, 2.7))
    ax.axis("off")
    return fig


def sheets(
    ax: Axes,
    x: float,
    y: float,
    rows: int,
    columns: int,
    count: int,
    colour: int,
    side: float = 0.6,
    mark: tuple[int, int] | None = None,
) -> None:
    """Draw `count` feature maps of rows × columns one behind the other; `mark` fills one cell (row, column)."""
    for sheet in reversed(range(count)):
        left, top = x + 0.12 * sheet, y + 0.12 * sheet
        for row in range(rows):
            for column in range(columns):
                face = PALETTE[colour] if (row, column) == mark else "white"
                corner = (left + side * column, top + side * (rows - 1 - row))
                ax.add_patch(patches.Rectangle(corner, side, side, facecolor=face, edgecolor="black", linewidth=0.8))


def map_stack(image: Tensor, maps: Sequence[tuple[int, int, str]], predicted: Sequence[int]) -> Figure:
    """The stack of a single-shot detector from left to right: picture, backbone, maps, and two predictors below some.

    Args:
        image: the picture [3, H, W].
        maps: (channels, places a side, text on the arrow that leads to it) of each map.
        predicted: places a side of the maps that have predictors.
    """
    fig, ax = plt.subplots(figsize=(11.4, 4.3), layout="constrained")
    arrow, height, width = dict(arrowstyle="->"), image.shape[1], image.shape[2]
    ax.imshow(image.permute(1, 2, 0).numpy(), extent=(0, 2, 2, 4))
    ax.text(1.0, 4.3, f"picture\n[3, {height}, {width}]", ha="center", fontsize=9)
    ax.add_patch(plt.Polygon([(2.3, 1.9), (2.3, 4.1), (3.9, 3.6), (3.9, 2.4)], facecolor="#DDDDDD", edgecolor="black"))
    ax.text(3.1, 3, "backbone", ha="center", va="center", fontsize=9)
    for index, (channels, places, text) in enumerate(maps):
        x, side = 4.3 + 2.95 * index, (1.1 + 0.3 * (places == 7)) / max(places, 2)
        bottom, has = 3 - side * places / 2, places in predicted
        sheets(ax, x, bottom, places, places, 4, 5, side, mark=(places // 2, places // 2) if has else None)
        ax.text(x + side * places / 2 + 0.2, 4.3, f"[{channels}, {places}, {places}]", ha="center", fontsize=9)
        if index:
            ax.annotate("", xy=(x - 0.08, 3), xytext=(x - 1.05, 3), arrowprops=arrow)
            ax.text(x - 0.57, 3.1, text, ha="center", va="bottom", fontsize=9)
        for middle, colour, numbers in ((x, 1, "4"), (x + 1.1, 2, "n")) if has else ():
            box = patches.Rectangle((middle - 0.45, 0.75), 0.9, 0.5, facecolor=PALETTE[colour], edgecolor="black")
            ax.add_patch(box)
            ax.text(middle, 1.0, "3 × 3", ha="center", va="center", fontsize=9)
            ax.annotate("", xy=(middle, 1.3), xytext=(x + 0.55, bottom - 0.05), arrowprops=arrow)
            ax.annotate("", xy=(middle, 0.25), xytext=(middle, 0.7), arrowprops=arrow)
            ax.text(middle, 0.15, f"[{numbers}, {places}, {places}]", ha="center", va="top", fontsize=9)
        if has:
            ax.text(x + 0.55, -0.4, f"boxes: {places**2}", ha="center", va="top", fontsize=9)
    for y, text in ((1.0, "predictors"), (0.0, "offsets and scores")):
        ax.text(9.0, y, text, ha="right", va="center", fontsize=10)
    ax.set(xlim=(-0.1, 4.3 + 2.95 * len(maps)), ylim=(-0.9, 5.0), aspect="equal")
    ax.axis("off")
    return fig


ARROW = dict(arrowstyle="-|>", color="black", linewidth=1.2)


def _slanted(ax: Axes, x: float, level: int, side: float, text: str, colour: int) -> None:
    """A map of a pyramid, seen from the side."""
    half = (0.45 + 1.75 * side) / 2
    corners = [(x - half, -0.2), (x + half, -0.2), (x + half + 0.22, 0.2), (x - half + 0.22, 0.2)]
    points = [(left, level + up) for left, up in corners]
    ax.add_patch(plt.Polygon(points, facecolor=PALETTE[colour], edgecolor="black", alpha=0.55))
    ax.text(x + 0.11, level, text, ha="center", va="center", fontsize=9)


def _pyramid_row(ax: Axes, level: int, name: str, shape: str, side: float, coarsest: bool) -> None:
    """One level of a feature pyramid: the base's map, lateral connection, what comes down, the pyramid's map."""
    _slanted(ax, 2.0, level, side, name, 5)
    _slanted(ax, 8.0, level, side, "P" + name[1:], 1)
    ax.text(0.35, level, shape, ha="right", va="center", fontsize=9)
    for start, end, text in ((3.5, 5.0, "1 × 1"), (5.4, 6.7, "3 × 3")):
        ax.annotate("", xy=(end, level), xytext=(start, level), arrowprops=ARROW)
        ax.text((start + end) / 2, level + 0.06, text, ha="center", va="bottom", fontsize=9)
    ax.text(5.2, level, "=" if coarsest else "+", ha="center", va="center", fontsize=15)
    if not coarsest:
        down = ARROW | {"color": PALETTE[4], "linewidth": 2}
        ax.annotate("", xy=(5.2, level + 0.18), xytext=(5.2, level + 0.84), arrowprops=down)
        ax.text(5.3, level + 0.5, "enlarge", va="center", fontsize=9, color=PALETTE[4])
        ax.annotate("", xy=(2.1, level + 0.76), xytext=(2.1, level + 0.24), arrowprops=ARROW)


def feature_pyramid(base: Sequence[tuple[str, int, int]], width: int, extra: Sequence[tuple[str, int]] = ()) -> Figure:
    """A base's maps on the left, going up, the pyramid's on the right, coming down; the finest lie at the bottom.

    Args:
        base: (name, channels, rows) of each map, finest first.
        width: channels of every map of the pyramid.
        extra: (name, rows) of the further maps on top of the coarsest.
    """
    count, top = len(base) + len(extra), len(base) - 1
    fig, ax = plt.subplots(figsize=(9.6, 1.15 * count + 0.5), layout="constrained")
    for level, (name, channels, rows) in enumerate(base):
        _pyramid_row(ax, level, name, f"[{channels}, {rows}, {rows}]", rows / base[0][2], coarsest=level == top)
    for level, (name, rows) in enumerate(extra, top + 1):
        _slanted(ax, 8.0, level, rows / base[0][2], name, 1)
        first = level == top + 1  # it comes from the base's coarsest map, the others from the one below
        start, end, text = ((2.1, 0.2), (7.65, 0.95), (4.3, 0.82)) if first else ((8.1, 0.22), (8.1, 0.76), (8.25, 0.5))
        start, end, text = ((x, level - 1 + y) for x, y in (start, end, text))
        ax.annotate("", xy=end, xytext=start, arrowprops=ARROW)
        ax.text(*text, "3 × 3, stride 2", va="center", fontsize=9)
    ax.add_patch(patches.Rectangle((10.6, -0.2), 1.5, count - 0.6, facecolor="#DDDDDD", edgecolor="black"))
    ax.text(11.35, (count - 1) / 2, "the same\ntwo heads\nfor all", ha="center", va="center", fontsize=9)
    for level in range(count):
        ax.annotate("", xy=(10.55, level), xytext=(9.5, level), arrowprops=ARROW)
    titles = ((2.0, "backbone,\nbottom-up"), (4.2, "lateral\nconnections"), (5.75, "top-down\npath"))
    for x, text in (*titles, (8.1, f"pyramid: {width}\nchannels each")):
        ax.text(x, count - 0.55, text, ha="center", va="bottom", fontsize=10, style="italic")
    ax.set(xlim=(-1.2, 12.3), ylim=(-0.5, count + 0.05))
    ax.axis("off")
    return fig


def pipeline(
    parts: Sequence[tuple[str, str]],
    repeated: tuple[int, int, str] | None = None,
    also: tuple[int, int, str] | None = None,
) -> Figure:
    """How a picture becomes detections in one family of detectors, from left to right.

    Args:
        parts: (text, kind) of each part; kind "known" is framed thinly, "new" boldly and filled, "data" is text alone.
        repeated: (first part, last part, text): these parts run several times for one picture.
        also: (part, later part, text): a second arrow, below the row, from one part to another.
    """
    wide, step, high = 1.75, 2.1, 0.42
    bottom, top = -1.35 if also else -0.72, 1.15 if repeated else 0.72
    fig, ax = plt.subplots(figsize=(0.78 * step * len(parts), 0.84 * (top - bottom)), layout="constrained")
    if repeated:
        first, last, text = repeated
        left, right = step * first - 0.12, step * last + wide + 0.12
        frame = patches.Rectangle((left, -0.62), right - left, 1.24, facecolor=PALETTE[5], alpha=0.25, linewidth=0)
        ax.add_patch(frame)
        ax.text((left + right) / 2, 0.72, text, ha="center", va="bottom", fontsize=10, style="italic")
    for index, (text, kind) in enumerate(parts):
        x, new = step * index, kind == "new"
        if kind != "data":
            box = patches.FancyBboxPatch((x + 0.06, -high), wide - 0.12, 2 * high, boxstyle="round,pad=0.03")
            box.set(facecolor="#F0E442" if new else "white", edgecolor="black", linewidth=2.4 if new else 1)
            ax.add_patch(box)
        weight = "bold" if new else "normal"
        ax.text(x + wide / 2, 0, text, ha="center", va="center", fontsize=9, weight=weight)
        if index:
            ax.annotate("", xy=(x, 0), xytext=(x - step + wide, 0), arrowprops=ARROW)
    if also:
        start, end, text = also
        ax.plot(*zip(*_below(step * start + wide / 2, step * end + wide / 2, high), strict=True), color="black", lw=1.2)
        tip = step * end + wide / 2
        ax.annotate("", xy=(tip, -high - 0.04), xytext=(tip, -0.95), arrowprops=ARROW)
        ax.text(step * (start + end) / 2 + wide / 2, -1.0, text, ha="center", va="top", fontsize=9)
    ax.set(xlim=(-0.2, step * len(parts) - 0.15), ylim=(bottom, top))
    ax.axis("off")
    return fig


def _below(left: float, right: float, high: float) -> list[tuple[float, float]]:
    """Corners of a line that leaves a row of parts downwards, runs below it, and ends under another part."""
    return [(left, -high - 0.04), (left, -0.92), (right, -0.92), (right, -0.9)]
