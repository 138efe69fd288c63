"""Scenes, the course's own data set: drawn from a seed in seconds, no download, written as a Pascal VOC folder.

`draw_scene` makes one picture with its exact boxes; `write_scenes` makes a whole set. The objects and distractors are
drawn in `drawings.py`; this module places them, lights them, and measures what stays visible.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from course_lib.data import drawings
from course_lib.data.drawings import Part, Style, hsv
from course_lib.progress import progress

VERSION = "2"
SEED = 2  # part of every picture's seed; a new version of the scenes draws new pictures
CLASSES: tuple[str, ...] = tuple(drawings.CLASSES)
KINDS = ("one-object", "standard", "crowded")
SPLITS = {"train": 1600, "val": 200, "test": 400}
DAY = 86400  # seconds after which an unfinished set is rubbish
FINE = 4  # outlines are drawn on a grid four times finer, in whole steps of a quarter pixel
LEAST_VISIBLE = 0.4
WASH = 0.28  # strength of the background, 0 is white paper
COVERED = 0.22  # chance that an object gets a distractor laid over it
GENTLE = 0.7  # chance that a thing is placed where it hides little
INK = 0.55  # darkness of the rim of each part
TURN = {"one-object": 2.5, "standard": 1.0, "crowded": 1.0}  # an object shown alone turns further: it is the easier one

# √(box area) / √(picture area) of the objects, as the quantile function (chance, size) of each kind, before overlaps.
SIZES = {
    "one-object": ((0.0, 0.27), (0.5, 0.46), (1.0, 0.8)),
    "standard": ((0.0, 0.084), (0.05, 0.099), (0.3, 0.163), (0.5, 0.263), (0.95, 0.735), (1.0, 0.8)),
    "crowded": ((0.0, 0.07), (0.5, 0.12), (0.9, 0.22), (1.0, 0.35)),
}


class Scene(NamedTuple):
    """One drawn picture and the truth about it.

    image: uint8 [H, W, 3]. boxes: int64 [N, 4], xyxy pixels round the visible part of each object.
    labels: int64 [N], label c is CLASSES[c − 1]. occlusion: float64 [N], share of the object's drawn pixels that
    something else, or the picture's edge, hides. distractors: how many drawn things are no object.
    """

    image: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    occlusion: np.ndarray
    distractors: int


class Sprite(NamedTuple):
    """A drawn thing before it is placed: colour times alpha [h, w, 3], alpha [h, w], and its solid pixels [h, w]."""

    colour: np.ndarray
    alpha: np.ndarray
    solid: np.ndarray


# ---------------------------------------------------------------------------------------------- from parts to pixels


def pattern_amount(pattern: drawings.Pattern, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How much of the pattern's colour (0–1) lies at each point of the object's own frame."""
    c, s = np.cos(pattern.angle), np.sin(pattern.angle)
    across = 2 * np.pi * (pattern.frequency * (c * x + s * y) + pattern.phase)
    if pattern.kind == "stripes":
        wave = np.sin(across)
    else:
        along = 2 * np.pi * (pattern.frequency * (c * y - s * x) + pattern.phase)
        wave = {
            "dots": lambda: np.sin(across) + np.sin(along) - 0.9,
            "checks": lambda: np.sin(across) * np.sin(along),
            "mottle": lambda: (
                np.sin(0.6 * across + 2 * np.sin(0.35 * along)) + np.sin(0.5 * along - 1.7 * np.sin(0.4 * across)) - 0.4
            ),
        }[pattern.kind]()
    return np.clip(0.5 + 3 * wave, 0, 1)


def fill_mask(points: np.ndarray, height: int, width: int) -> Image.Image:
    """A filled outline, given in whole quarter pixels, as a grey picture of how much of each pixel it covers."""
    fine = Image.new("L", (width * FINE, height * FINE))
    ImageDraw.Draw(fine).polygon([tuple(p) for p in points.tolist()], fill=255)
    return fine.reduce(FINE)


def lit(part: Part, mask: Image.Image, amount: np.ndarray | None, light: np.ndarray) -> np.ndarray:
    """Colour [h, w, 3] of one part: its pattern by `amount`, light on the side towards the lamp, a dark rim."""
    cover = np.asarray(mask)
    colour = np.broadcast_to(part.colour, (*cover.shape, 3))
    if amount is not None:
        colour = colour + amount[..., None] * (part.pattern.colour - colour)
    extent = float(np.sqrt(cover.sum() / 255 + 1))
    if part.bulge == 0 or extent < 3:
        return colour
    soft = mask.filter(ImageFilter.BoxBlur(round(extent / 7) + 1))
    dx, dy = (int(v) for v in np.rint(light * (extent / 8 + 0.5)))
    near, far = ImageChops.offset(soft, -dx, -dy), ImageChops.offset(soft, dx, dy)
    bright = np.asarray(ImageChops.subtract(near, far))[..., None] * (part.bulge * 0.55 / 255)
    shadow = np.asarray(ImageChops.subtract(far, near))[..., None] * (part.bulge * 0.75 / 255)
    rim = 1 - np.asarray(mask.filter(ImageFilter.BoxBlur(1)))[..., None] / 255
    return (colour * (1 - shadow - bright) + bright) * (1 - INK * rim)


def draw_sprite(parts: list[Part], matrix: np.ndarray, light: np.ndarray) -> Sprite:
    """Draw parts, back to front, through a 2 × 2 matrix from their own frame to pixels."""
    (a, b), (c, d) = matrix.tolist()
    shapes = [np.stack([a * p[:, 0] + b * p[:, 1], c * p[:, 0] + d * p[:, 1]], axis=1) for p, *_ in parts]
    ends = np.concatenate(shapes)
    low = np.floor(ends.min(axis=0)) - 2
    width, height = (np.ceil(ends.max(axis=0)) + 2 - low).astype(int).tolist()
    colour, alpha = np.zeros((height, width, 3)), np.zeros((height, width))
    for part, shape in zip(parts, shapes, strict=True):
        fine = np.rint((shape - low) * FINE).astype(int)
        x1, y1 = np.maximum(fine.min(axis=0) // FINE - 2, 0).tolist()
        x2, y2 = np.minimum(fine.max(axis=0) // FINE + 3, (width, height)).tolist()
        mask, amount = fill_mask(fine - np.array([x1, y1]) * FINE, y2 - y1, x2 - x1), None
        if part.pattern is not None:  # where each pixel lies in the thing's own frame
            px, py = np.arange(x1, x2) + (0.5 + low[0]), (np.arange(y1, y2) + (0.5 + low[1]))[:, None]
            area = a * d - b * c
            amount = pattern_amount(part.pattern, (d * px - b * py) / area, (a * py - c * px) / area)
        cover, here = np.asarray(mask) / 255, np.s_[y1:y2, x1:x2]
        colour[here] += cover[..., None] * (lit(part, mask, amount, light) - colour[here])
        alpha[here] += cover * (1 - alpha[here])
    return Sprite(colour, alpha, alpha >= 0.4)


def pose(rng: np.random.Generator, turn: float) -> np.ndarray:
    """A random 2 × 2 matrix: mirrored or not, a little narrower or wider, a little slanted, turned by up to ±turn."""
    stretch, slant = np.exp(0.4 * (rng.random() - 0.5)), 0.3 * (rng.random() - 0.5)
    flip = 1 if rng.random() < 0.5 else -1
    angle = np.radians(turn * (2 * rng.random() - 1))
    c, s = np.cos(angle), np.sin(angle)
    inner = np.array([[flip * stretch, slant], [0.0, 1 / stretch]])
    rows = [[c * inner[0, 0], c * slant - s * inner[1, 1]], [s * inner[0, 0], s * slant + c * inner[1, 1]]]
    return np.array(rows)


def make_thing(
    rng: np.random.Generator, draw: Callable[[Style], list[Part]], turn: float, size: float, light: np.ndarray
) -> Sprite:
    """One thing in a random pose whose bounding box has the area size² in pixels."""
    parts, matrix = draw(Style(rng)), pose(rng, turn)
    points = np.concatenate([part.points for part in parts])
    (a, b), (c, d) = matrix
    x, y = a * points[:, 0] + b * points[:, 1], c * points[:, 0] + d * points[:, 1]
    scale = size / np.sqrt((x.max() - x.min()) * (y.max() - y.min()))
    return draw_sprite(parts, np.rint(matrix * scale * 64) / 64, light)


# ------------------------------------------------------------------------------------------------------- backgrounds


def smooth_noise(rng: np.random.Generator, height: int, width: int, rows: int, columns: int) -> np.ndarray:
    """Random numbers −1 … 1 on a coarse grid, interpolated to [height, width]."""
    grid = Image.fromarray((2 * rng.random((rows, columns)) - 1).astype(np.float32))
    return np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float64)


def cloudy(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Noise of several scales added up, about −1 … 1, [height, width]."""
    total = sum(smooth_noise(rng, height, width, n, n + 1) / n**0.6 for n in (3, 6, 12, 24))
    return total / 1.6


def blend(low: np.ndarray, high: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Colours between `low` and `high` [3] by `amount` [H, W] → [H, W, 3]."""
    return low + np.clip(amount, 0, 1)[..., None] * (high - low)


def landscape(rng: np.random.Generator, s: Style, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Sky with clouds over one to three ridges and a textured meadow, beach or snow field."""
    height, width = y.shape
    hue = s.between(0.5, 0.66) if s.maybe(0.75) else s.between(0.0, 0.12)
    picture = blend(
        hsv(hue, s.between(0.4, 0.75), s.between(0.5, 0.95)), hsv(hue + 0.04, s.between(0.05, 0.4), 0.95), y * 1.6
    )
    clouds = cloudy(rng, height, width) * 1.2 - s.between(0.0, 0.6)
    picture = picture + np.clip(clouds, 0, 0.8)[..., None] * (0.98 - picture)
    ground, level = s.between(0.05, 0.42), s.between(0.3, 0.65)
    for _ in range(s.count(1, 3)):
        edge = (
            level
            + 0.06 * np.sin(x * s.between(4, 12) + s.between(0, 6))
            + 0.03 * np.sin(x * s.between(12, 25) + s.between(0, 6))
        )
        colour = hsv(ground, s.between(0.25, 0.65), s.between(0.35, 0.8))
        grain = cloudy(rng, height, width) * s.between(0.1, 0.35) + 0.3 * (y - edge)
        cover = np.clip((y - edge) * height, 0, 1)[..., None]
        picture = picture + cover * (np.clip(colour * (1 + grain[..., None]), 0, 1) - picture)
        level += s.between(0.08, 0.2)
    return picture


def water(rng: np.random.Generator, s: Style, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Waves, closer together further up, sometimes under a strip of sky."""
    height, width = y.shape
    hue = s.between(0.45, 0.63)
    deep, bright = (
        hsv(hue, s.between(0.5, 0.9), s.between(0.25, 0.6)),
        hsv(hue + 0.03, s.between(0.15, 0.5), s.between(0.7, 0.95)),
    )
    depth = 1 / (0.25 + y)
    wobble = smooth_noise(rng, height, width, 6, 4)
    waves = np.sin(depth * s.between(14, 30) + 2.2 * wobble + 6 * x * s.between(-0.5, 0.5))
    picture = blend(deep, bright, 0.35 + 0.25 * waves + 0.3 * smooth_noise(rng, height, width, 5, 3) - 0.2 * y)
    if s.maybe(0.5):
        sky = blend(hsv(hue, 0.4, 0.9), hsv(s.between(0, 0.15), 0.25, 0.97), y * 3 + 0.2 * cloudy(rng, height, width))
        picture = np.where((y < s.between(0.15, 0.4))[..., None], sky, picture)
    return picture


def planks(rng: np.random.Generator, s: Style, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Boards with grain and seams, upright or lying."""
    if s.maybe(0.5):
        y, x = x, y
    height, width = y.shape
    boards = s.count(3, 6)
    row = np.floor(y * boards)
    tint = (0.12 * (2 * rng.random(boards + 1) - 1))[row.astype(int)]
    grain = np.sin(y * s.between(50, 90) + 5 * smooth_noise(rng, height, width, 3, 3) + row * 7)
    seam = np.clip(1 - np.abs(y * boards - np.rint(y * boards)) * 22, 0, 1)
    colour = hsv(s.between(0.04, 0.13), s.between(0.2, 0.65), s.between(0.4, 0.85))
    return np.clip(colour * (1 + tint + 0.08 * grain + 0.08 * cloudy(rng, height, width) - 0.5 * seam)[..., None], 0, 1)


def cloth(rng: np.random.Generator, s: Style, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A printed wall or cloth: stripes, dots or checks in two near colours, with folds."""
    height, width = y.shape
    hue = rng.random()
    ground = hsv(hue, s.between(0.1, 0.6), s.between(0.45, 0.95))
    print_ = hsv(hue + s.between(-0.12, 0.12), s.between(0.1, 0.6), s.between(0.4, 0.95))
    kind = ("stripes", "dots", "checks", "mottle")[s.count(0, 3)]
    pattern = drawings.Pattern(kind, print_, s.between(3, 9), s.between(0, np.pi), rng.random())
    fold = 0.06 * smooth_noise(rng, height, width, 3, 3)
    picture = blend(ground, print_, s.between(0.3, 0.9) * pattern_amount(pattern, x + fold, y + fold))
    return picture * (1 + 0.2 * cloudy(rng, height, width))[..., None]


def bricks(rng: np.random.Generator, s: Style, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A wall of bricks or tiles with joints, each of its own tint."""
    height, width = y.shape
    rows, columns = s.count(5, 10), s.count(2, 5)
    row = np.floor(y * rows)
    across = x * columns + (row % 2) * (0.5 if s.maybe(0.7) else 0.0)
    column = np.floor(across)
    tint = 0.2 * (2 * rng.random((rows + 1, columns + 2)) - 1)[row.astype(int), column.astype(int)]
    joint = np.maximum(np.abs((y * rows) % 1 - 0.5), np.abs(across % 1 - 0.5) * 1.02)
    colour = hsv(s.between(0, 0.1) if s.maybe(0.6) else rng.random(), s.between(0.1, 0.55), s.between(0.45, 0.85))
    wall = colour * (1 + tint + 0.12 * cloudy(rng, height, width))[..., None]
    mortar = np.full(3, s.between(0.35, 0.85))
    return wall + np.clip((joint - 0.43) * 15, 0, 0.85)[..., None] * (mortar - wall)


def gravel(rng: np.random.Generator, s: Style, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Sand, gravel, grass or snow from above: noise of several scales between two colours."""
    height, width = y.shape
    hue = s.between(0.05, 0.4)
    one, two = (
        hsv(hue, s.between(0.1, 0.6), s.between(0.2, 0.6)),
        hsv(hue + s.between(-0.06, 0.06), s.between(0.1, 0.5), s.between(0.5, 0.95)),
    )
    tall = s.count(1, 3)
    blades = smooth_noise(rng, height, width, 40 // tall, 40)
    return blend(one, two, 0.5 + 0.35 * cloudy(rng, height, width) + s.between(0.1, 0.4) * blades)


def glow(rng: np.random.Generator, s: Style, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Out of focus lights before a dark or bright gradient."""
    height, width = y.shape
    hue = rng.random()
    picture = blend(
        hsv(hue, s.between(0.2, 0.7), s.between(0.15, 0.8)),
        hsv(hue + s.between(-0.2, 0.2), s.between(0.2, 0.6), s.between(0.3, 0.95)),
        y + 0.4 * cloudy(rng, height, width),
    )
    for _ in range(s.count(4, 12)):
        cx, cy, radius = rng.random(), rng.random(), s.between(0.03, 0.14)
        edge = np.clip((radius - np.hypot(x - cx, y - cy)) * 40, 0, 1) * s.between(0.15, 0.5)
        picture = picture + edge[..., None] * (hsv(hue + s.between(-0.15, 0.15), 0.4, 1.0) - picture)
    return picture


BACKGROUNDS = (landscape, landscape, water, planks, cloth, bricks, gravel, glow)


def scatter_clutter(rng: np.random.Generator, s: Style, picture: np.ndarray) -> np.ndarray:
    """Strew blades, chips and twigs over the background."""
    height, width = picture.shape[:2]
    size = np.sqrt(height * width)
    layer = Image.new("RGBA", (width * 2, height * 2))
    pen = ImageDraw.Draw(layer)
    for _ in range(s.count(0, 3)):
        colour = tuple((s.colour(rng.random()) * 255).astype(int).tolist())
        long, wide = size * s.between(0.02, 0.12), size * s.between(0.006, 0.03)
        for _ in range(s.count(3, 14)):
            cx, cy, angle = rng.random() * width, rng.random() * height, rng.random() * 2 * np.pi
            points = (
                drawings.turned(drawings.outline((-long, 0), (0, -wide), (long, 0), (0, wide)), np.degrees(angle)) / 2
            )
            flat = np.rint((points + np.array([cx, cy])) * 2).astype(int)
            pen.polygon([tuple(p) for p in flat.tolist()], fill=(*colour, 215))
    rgba = np.asarray(layer.reduce(2)) / 255
    return picture + rgba[..., 3:] * (rgba[..., :3] - picture)


def draw_background(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A background [height, width, 3], 0–1."""
    style = Style(rng)
    y, x = np.meshgrid((np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width, indexing="ij")
    paint = BACKGROUNDS[style.count(0, len(BACKGROUNDS) - 1)]
    picture = scatter_clutter(rng, style, np.clip(paint(rng, style, y, x), 0, 1))
    paper = np.array([0.96, 0.95, 0.92])
    return picture + (1 - WASH) * (paper - picture)


# --------------------------------------------------------------------------------------------------------- the scene


class Stage:
    """The picture being built: pixels, who owns each pixel (−1 the background), and the objects so far."""

    def __init__(self, picture: np.ndarray, light: np.ndarray) -> None:
        self.picture, self.light = picture, light
        self.owner = np.full(picture.shape[:2], -1)
        self.labels: list[int] = []
        self.drawn: list[int] = []
        self.visible: list[int] = []
        self.distractors = 0

    def window(self, sprite: Sprite, x: int, y: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Where a sprite with its corner at (x, y) falls: slices of the picture, slices of the sprite."""
        (height, width), (h, w) = self.owner.shape, sprite.alpha.shape
        top, left, bottom, right = max(y, 0), max(x, 0), min(y + h, height), min(x + w, width)
        return np.s_[top:bottom, left:right], np.s_[top - y : bottom - y, left - x : right - x]

    def hides(self, sprite: Sprite, x: int, y: int) -> np.ndarray:
        """How many pixels of each object [N] the sprite would hide at (x, y)."""
        there, part = self.window(sprite, x, y)
        hidden = self.owner[there][sprite.solid[part]]
        return np.bincount(hidden[hidden >= 0], minlength=len(self.labels))

    def fits(self, sprite: Sprite, x: int, y: int, inside: float, overlap: float = 1.0) -> bool:
        """Whether every object stays visible enough, and the sprite lies `inside` the picture by at least, and on
        other objects by at most, these shares of its own pixels."""
        _, part = self.window(sprite, x, y)
        size, hidden = sprite.solid.sum(), self.hides(sprite, x, y)
        if sprite.solid[part].sum() < inside * size or hidden.sum() > overlap * size:
            return False
        return bool((np.array(self.visible) - hidden >= LEAST_VISIBLE * np.array(self.drawn)).all())

    def put(self, sprite: Sprite, x: int, y: int, label: int) -> None:
        """Paint the sprite with its shadow at (x, y); label 0 is a distractor."""
        self.visible = list(np.array(self.visible, dtype=int) - self.hides(sprite, x, y))
        reach = float(max(1.0, 0.06 * np.sqrt(sprite.solid.sum())))
        dx, dy = (int(v) for v in np.rint(-self.light * reach))
        shadow = Image.fromarray((sprite.alpha * 255).astype(np.uint8)).filter(
            ImageFilter.BoxBlur(float(min(2.0, reach / 2)))
        )
        there, part = self.window(sprite, x + dx, y + dy)
        self.picture[there] *= 1 - 0.42 * (np.asarray(shadow)[part] / 255)[..., None]
        there, part = self.window(sprite, x, y)
        self.picture[there] = sprite.colour[part] + (1 - sprite.alpha[part])[..., None] * self.picture[there]
        self.owner[there][sprite.solid[part]] = len(self.labels) if label else -1
        if label:
            self.labels.append(label)
            self.drawn.append(int(sprite.solid.sum()))
            self.visible.append(int(sprite.solid[part].sum()))
        else:
            self.distractors += 1

    def box(self, index: int) -> tuple[int, int, int, int]:
        """xyxy round the visible pixels of one object."""
        ys, xs = np.nonzero(self.owner == index)
        return int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1

    def place(self, rng: np.random.Generator, sprite: Sprite, label: int) -> bool:
        """Try random positions until one fits; the sprite may reach a little over the picture's edge."""
        (height, width), (h, w) = self.owner.shape, sprite.alpha.shape
        gentle = 20 if rng.random() < GENTLE else 0
        for attempt in range(30):
            x = int(np.floor(-0.12 * w + rng.random() * (width - 0.76 * w)))
            y = int(np.floor(-0.12 * h + rng.random() * (height - 0.76 * h)))
            if self.fits(sprite, x, y, 0.75, 0.05 if attempt < gentle else 1.0):
                self.put(sprite, x, y, label)
                return True
        return False

    def cover(self, rng: np.random.Generator, sprite: Sprite, index: int) -> bool:
        """Try to lay a distractor over object `index` so that it hides a fair share of it."""
        ys, xs = np.nonzero(self.owner == index)
        h, w = sprite.alpha.shape
        for _ in range(8):
            k = int(rng.integers(len(xs)))
            x, y = int(xs[k] - w // 2), int(ys[k] - h // 2)
            if self.fits(sprite, x, y, 0.3) and self.hides(sprite, x, y)[index] > 0.15 * self.drawn[index]:
                self.put(sprite, x, y, 0)
                return True
        return False


def sample_size(rng: np.random.Generator, kind: str) -> float:
    """√(box area) of one object as a share of the picture's side."""
    chances, sizes = np.array(SIZES[kind]).T
    return float(np.exp(np.interp(rng.random(), chances, np.log(sizes))))


def make_object(rng: np.random.Generator, label: int, size: float, light: np.ndarray, turn: float = 1.0) -> Sprite:
    """An object of the class `label`, turned by up to `turn` times its class's own limit."""
    name = CLASSES[label - 1]
    return make_thing(rng, drawings.CLASSES[name], min(turn * drawings.TURN[name], 180), size, light)


def make_distractor(rng: np.random.Generator, size: float, light: np.ndarray) -> Sprite:
    """A random distractor."""
    draw = drawings.DISTRACTORS[int(rng.integers(len(drawings.DISTRACTORS)))]
    return make_thing(rng, draw, 180, max(size, 5.0), light)


def build_stage(rng: np.random.Generator, kind: str, height: int, width: int) -> Stage:
    """A background, objects and distractors on it, large ones first, then distractors laid over some objects."""
    angle = np.radians(200 + 140 * rng.random())
    stage = Stage(draw_background(rng, height, width), np.array([np.cos(angle), np.sin(angle)]))
    side = np.sqrt(height * width)
    objects = {"one-object": 1, "standard": int(rng.integers(1, 7)), "crowded": int(rng.integers(8, 26))}[kind]
    plan = [(sample_size(rng, kind) * side, True) for _ in range(objects)]
    behind = int(rng.integers(1, 3)) + (kind != "one-object")
    plan += [((0.1 + 0.35 * rng.random() ** 2) * side, False) for _ in range(behind)]
    for size, is_object in sorted(plan, key=lambda item: -item[0]):
        label = int(rng.integers(1, len(CLASSES) + 1)) if is_object else 0
        if label:
            thing = make_object(rng, label, size, stage.light, TURN[kind])
        else:
            thing = make_distractor(rng, size, stage.light)
        stage.place(rng, thing, label)
    for index in range(len(stage.labels)):
        if rng.random() < COVERED:
            size = np.sqrt(stage.drawn[index]) * (0.6 + 0.6 * rng.random())
            stage.cover(rng, make_distractor(rng, size, stage.light), index)
    return stage


def acceptable(stage: Stage, kind: str) -> bool:
    """Whether the scene holds an object and enough distractors; a single object is at least a quarter of the side."""
    if not stage.labels or stage.distractors < (1 if kind == "one-object" else 2):
        return False
    x1, y1, x2, y2 = stage.box(0)
    return kind != "one-object" or (x2 - x1) * (y2 - y1) >= stage.owner.size / 16


def develop(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """The camera: exposure, tint, vignette and grain; uint8 [H, W, 3]."""
    height, width = picture.shape[:2]
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    vignette = 1 - 0.3 * rng.random() * (x * x + y * y) / 2
    tint = 0.88 + 0.22 * rng.random(3)
    exposure = 0.9 + 0.25 * rng.random()
    picture = picture * vignette[..., None] * (tint * exposure)
    grain = (0.01 + 0.02 * rng.random()) * (rng.random((height, width, 1)) + rng.random((height, width, 3)) - 1)
    return np.rint(np.clip(picture + grain, 0, 1) * 255).astype(np.uint8)


def draw_scene(seed: int | Sequence[int], kind: str = "standard", size: tuple[int, int] = (128, 128)) -> Scene:
    """Draw one scene; the same arguments give the same bytes in any process.

    Args:
        seed: a whole number ≥ 0, or several (the sets use (split, index)).
        kind: "one-object" (one, from a quarter of the side up), "standard" (1–6), or "crowded" (up to 25, mostly small).
        size: (H, W) in pixels.

    Raises:
        ValueError: unknown kind, or a side below 32 pixels.
    """
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r} is none of {', '.join(KINDS)}")
    height, width = size
    if min(height, width) < 32:
        raise ValueError(f"a scene is at least 32 pixels high and wide, not {height} × {width}")
    seeds = [seed] if isinstance(seed, int) else list(seed)
    rng = np.random.default_rng([SEED, KINDS.index(kind), len(seeds), *seeds])
    stage = build_stage(rng, kind, height, width)
    while not acceptable(stage, kind):
        stage = build_stage(rng, kind, height, width)
    boxes = np.array([stage.box(index) for index in range(len(stage.labels))], dtype=np.int64)
    occlusion = 1 - np.array(stage.visible) / np.array(stage.drawn)
    image = develop(rng, stage.picture)
    return Scene(
        image, np.array(boxes, dtype=np.int64), np.array(stage.labels, dtype=np.int64), occlusion, stage.distractors
    )


# ---------------------------------------------------------------------------------------------------- writing a set


def annotation_xml(name: str, scene: Scene) -> str:
    """The Pascal VOC annotation of a scene: 1-based corners, both inside the box."""
    height, width = scene.image.shape[:2]
    objects = "".join(
        f"  <object>\n    <name>{escape(CLASSES[label - 1])}</name>\n    <pose>Unspecified</pose>\n"
        f"    <truncated>0</truncated>\n    <occluded>{int(hidden >= 0.2)}</occluded>\n    <difficult>0</difficult>\n"
        f"    <bndbox><xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox>\n  </object>\n"
        for (x1, y1, x2, y2), label, hidden in zip(scene.boxes, scene.labels, scene.occlusion, strict=True)
    )
    return (
        f"<annotation>\n  <folder>scenes</folder>\n  <filename>{name}.jpg</filename>\n"
        f"  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>\n"
        f"  <segmented>0</segmented>\n{objects}</annotation>\n"
    )


def picture_names(splits: Sequence[str] | None = None) -> list[tuple[str, int, int]]:
    """Every picture of the splits (all of them by default) as (name, number of the split, index)."""
    counts = [(k, name, count) for k, (name, count) in enumerate(SPLITS.items()) if splits is None or name in splits]
    return [(f"{name}_{i:04d}", k, i) for k, name, count in counts for i in range(count)]


def draw_share(folder: Path, kind: str, size: tuple[int, int], worker: int, workers: int) -> Iterator[str]:
    """Draw and write every `workers`-th picture of a set, starting with number `worker`; yields each one's name.

    The set's split lists are in the folder already and say which splits it holds.
    """
    splits = [split for split in SPLITS if (folder / "ImageSets" / "Main" / f"{split}.txt").exists()]
    for name, split, index in picture_names(splits)[worker::workers]:
        scene = draw_scene((split, index), kind, size)
        Image.fromarray(scene.image).save(folder / "JPEGImages" / f"{name}.jpg", quality=95, subsampling=0)
        (folder / "Annotations" / f"{name}.xml").write_text(annotation_xml(name, scene), encoding="utf-8")
        yield name


def draw_set(folder: Path, kind: str, size: tuple[int, int], workers: int, splits: Sequence[str] | None = None) -> None:
    """Draw all pictures of the splits (all of them by default) into an existing folder, in `workers` processes."""
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    for split in splits or SPLITS:
        names = [name for name, *_ in picture_names([split])]
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    # Plain processes, not multiprocessing: that would run a caller's script without a main guard again in each of them.
    task = [sys.executable, "-m", "course_lib.data.scenes", str(folder), kind, *map(str, size)]
    pipes = dict(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    counts = [str(count) for count in SPLITS.values()]
    others = [subprocess.Popen([*task, str(w), str(workers), *counts], **pipes) for w in range(1, workers)]
    own = draw_share(folder, kind, size, 0, workers)
    try:
        for number, (name, *_) in enumerate(progress(picture_names(splits), f"drawing {kind} scenes")):
            worker = number % workers
            drawn = others[worker - 1].stdout.readline().strip() if worker else next(own)
            if drawn != name:
                raise RuntimeError(f"Drawing {name} failed: {others[worker - 1].communicate()[1][-2000:]}")
    finally:
        for other in others:
            other.kill()
            other.communicate()


def process_lives(number: int) -> bool:
    """Whether a process of this number runs; True where that cannot be asked."""
    if os.name != "posix":  # on Windows, os.kill ends the process whatever the signal
        return True
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def sweep_drafts(root: Path) -> None:
    """Remove what interrupted drawings left: drafts of processes that have ended, and drafts older than a day.

    A draft's name ends in its process's number and a random word. One that was written to in the last minute stays:
    its process may run on another machine that shares the folder.
    """
    for draft in root.glob(".scenes-*"):
        number = draft.name.split("-")[-2]
        try:
            age = time.time() - max(part.stat().st_mtime for part in (draft, *draft.glob("*")))
        except OSError:  # its process has just finished
            continue
        ended = number.isdigit() and not process_lives(int(number))
        if age > DAY or (ended and age > 60):
            shutil.rmtree(draft, ignore_errors=True)


def write_scenes(
    root: Path | str,
    kind: str = "standard",
    size: tuple[int, int] = (128, 128),
    workers: int | None = None,
    split: str | None = None,
) -> Path:
    """Write a set (1600 train, 200 val, 400 test), or one split of it, as a Pascal VOC folder, once; return the folder.

    The whole set's folder is `root/scenes-VERSION-KIND-HxW`, a split's has `-SPLIT` behind it. A split is not drawn
    where the whole set lies already. A folder is written under another name and renamed when complete, so an
    interrupted or a second process never leaves half a set behind.

    Args:
        root: where the sets live, usually data/cache.
        kind: as in `draw_scene`.
        size: (H, W) in pixels.
        workers: processes; by default one a core, at most 8. The bytes do not depend on it.
        split: "train", "val" or "test"; by default all three.

    Raises:
        ValueError: as `draw_scene`, or an unknown split.
        RuntimeError: a process that draws ended early; the message holds its last words.
    """
    if split not in (None, *SPLITS):
        raise ValueError(f"split {split!r}: choose one of {', '.join(SPLITS)}.")
    folder = Path(root).resolve() / f"scenes-{VERSION}-{kind}-{size[0]}x{size[1]}"
    if folder.is_dir():
        return folder
    folder = folder if split is None else folder.with_name(f"{folder.name}-{split}")
    if folder.is_dir():
        return folder
    draw_scene(0, kind, size)  # wrong arguments are reported before anything is written
    folder.parent.mkdir(parents=True, exist_ok=True)
    sweep_drafts(folder.parent)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-{os.getpid()}-", dir=folder.parent))
    try:
        draw_set(draft, kind, size, workers or min(os.cpu_count() or 1, 8), split and [split])
        draft.chmod(0o755)
        draft.rename(folder)
    except OSError:
        if not folder.is_dir():  # not merely another process that was faster
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


if __name__ == "__main__":  # one of the processes that `draw_set` starts
    high, wide, this, of, *pictures = map(int, sys.argv[3:])
    SPLITS.update(zip(SPLITS, pictures, strict=True))
    for done in draw_share(Path(sys.argv[1]), sys.argv[2], (high, wide), this, of):
        print(done, flush=True)
