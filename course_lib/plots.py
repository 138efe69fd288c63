"""Every figure's style: pictures with boxes, a colour-blind-safe palette, alt text stored with the image."""

import io
from collections.abc import Sequence

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


def show(fig: Figure, alt: str, photo: bool | None = None) -> None:
    """Display a figure with its alt text and close it; the last call of a figure cell.

    Args:
        fig: the finished figure.
        alt: what the figure shows, for a reader who does not see it; at least a few words.
        photo: store as JPEG (True) or PNG (False); by default JPEG as soon as a picture (`imshow` of colours) is in it.

    Raises:
        ValueError: the alt text is empty or too short to say anything.
    """
    if len(alt.split()) < 4:
        raise ValueError(f"alt text {alt!r} is too short; say in a sentence what the figure shows.")
    if photo is None:
        photo = any(image.get_array().ndim == 3 for axes in fig.axes for image in axes.images)
    buffer = io.BytesIO()
    if photo:
        fig.savefig(buffer, format="jpeg", bbox_inches="tight", dpi=100, pil_kwargs={"quality": 85})
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
        target = targets[index] if targets is not None else None
        names = [classes[int(c) - 1] for c in target["labels"]] if target is not None and classes else None
        title = titles[index] if titles is not None else None
        picture(ax, images[index], target["boxes"] if target is not None else None, names, title=title)
    return fig


def matched_boxes(
    image: Tensor,
    boxes: Tensor,
    default_boxes: Tensor,
    matches: Tensor,
    forced: Tensor,
    counts: Sequence[int],
    titles: Sequence[str],
) -> Figure:
    """One panel a level: the objects (black, lettered) and the default boxes that answer for them, in their colour.

    Every such box has its object's letter at its centre. Forced boxes are dashed and carry a star. Drawing only: who
    answers for whom is decided elsewhere.

    Args:
        image: [3, H, W].
        boxes: objects [N, 4].
        default_boxes: [M, 4], level after level.
        matches: [M], index of the object, or negative.
        forced: [M] bool.
        counts: number of default boxes of each level.
        titles: one a level.
    """
    fig, axes = plt.subplots(
        1, len(counts), figsize=(3.0 * len(counts), 3.3), squeeze=False, layout="constrained", sharey=True
    )
    levels = zip(
        default_boxes.split(list(counts)), matches.split(list(counts)), forced.split(list(counts)), strict=True
    )
    for ax, title, (of_level, objects, pushed) in zip(axes.flat, titles, levels, strict=True):
        picture(ax, image * 0.45 + 0.55)
        ax.set_title(title, pad=14)  # room for the letters of objects at the upper edge
        for index, box in enumerate(boxes):
            box_outline(ax, box, "black", text=chr(65 + index % 26), width=1.2)
        for box, owner, star in zip(of_level, objects.tolist(), pushed.tolist(), strict=True):
            if owner >= 0:
                box_outline(ax, box, owner % (len(PALETTE) - 1), dashed=star, width=1.4)
                x, y = ((box[:2] + box[2:]) / 2).tolist()
                letter = chr(65 + owner % 26) + ("★" if star else "")
                ax.text(x, y, letter, fontsize=9, ha="center", va="center", zorder=6, clip_on=True)
        ax.set(xlim=(0, image.shape[-1]), ylim=(image.shape[-2], 0))
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
