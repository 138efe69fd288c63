"""The drawn things of the scenes: ten classes of objects and the distractors, each one a short function.

A drawing function takes a `Style` (random numbers and colours) and returns a list of `Part`s, back to front, in a
frame of about −1 … 1 with y down. Nothing here knows about pictures; `scenes.py` turns parts into pixels.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

PATTERNED = 0.15  # share of the patterns that are really drawn
BRIGHTEST = 0.75  # highest value of a colour, so that things stand out from the pale backgrounds
Colour = np.ndarray
Points = np.ndarray


class Pattern(NamedTuple):
    """A second colour on a part: kind is "stripes", "dots", "checks" or "mottle"; frequency in periods a unit."""

    kind: str
    colour: Colour
    frequency: float
    angle: float
    phase: float


class Part(NamedTuple):
    """One filled outline [n, 2] with its colour (RGB, 0–1), its pattern and how much it bulges in the light (0–1)."""

    points: Points
    colour: Colour
    pattern: Pattern | None = None
    bulge: float = 1.0


class Style:
    """Random choices of one drawing: three colours that go together, patterns, numbers."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        hue = rng.random()
        self.main = self.colour(hue)
        self.second = self.colour(hue + rng.choice([0.08, 0.33, 0.5, 0.62]))
        self.third = self.colour(rng.random())
        self.dark = hsv(hue + 0.5, 0.3, self.between(0.1, 0.28))
        self.light = hsv(rng.random(), self.between(0.0, 0.22), self.between(0.85, 0.98))

    def between(self, low: float, high: float) -> float:
        """A number between low and high."""
        return low + (high - low) * self.rng.random()

    def maybe(self, chance: float) -> bool:
        """True with this chance."""
        return bool(self.rng.random() < chance)

    def count(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def colour(self, hue: float) -> Colour:
        """A colour near `hue`: mostly lively, now and then nearly grey."""
        saturation = self.between(0.02, 0.2) if self.maybe(0.2) else self.between(0.35, 0.9)
        return hsv(hue, saturation, self.between(0.38, BRIGHTEST))

    def pattern(self, colour: Colour, chance: float = 0.55) -> Pattern | None:
        """A random pattern in `colour`, or none."""
        if not self.maybe(chance * PATTERNED):
            return None
        kind = ("stripes", "dots", "checks", "mottle")[self.count(0, 3)]
        return Pattern(kind, colour, self.between(1.6, 4.0), self.between(0, np.pi), self.rng.random())

    def stripes(self, colour: Colour, frequency: float, angle: float) -> Pattern:
        """Stripes whose normal points along `angle` (0: upright stripes)."""
        return Pattern("stripes", colour, frequency, angle, self.rng.random())


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """RGB [3] in 0–1 of a hue (any number, 1 is once around), saturation and value."""
    turn = 6 * (hue % 1)
    wheel = [min(max(abs((turn + start) % 6 - 3) - 1, 0.0), 1.0) for start in (0, 4, 2)]
    return np.array([value * (1 - saturation * (1 - share)) for share in wheel])


def shade(colour: Colour, factor: float) -> Colour:
    """A darker (factor < 1) or lighter (factor > 1) colour."""
    return colour * factor if factor <= 1 else 1 - (1 - colour) / factor


# Outlines, all [n, 2].


def outline(*pairs: tuple[float, float]) -> Points:
    """Corners as they stand."""
    return np.array(pairs, dtype=np.float64)


def box(x1: float, y1: float, x2: float, y2: float) -> Points:
    """A rectangle."""
    return outline((x1, y1), (x2, y1), (x2, y2), (x1, y2))


def arc(cx: float, cy: float, rx: float, ry: float, start: float = 0, stop: float = 360, n: int = 28) -> Points:
    """Points on an ellipse from `start` to `stop` degrees (0 right, 90 down)."""
    angles = np.radians(np.linspace(start, stop, n))
    return np.stack([cx + rx * np.cos(angles), cy + ry * np.sin(angles)], axis=1)


def smooth(*pairs: tuple[float, float], steps: int = 7) -> Points:
    """A closed curve through the given corners (Catmull–Rom)."""
    p = outline(*pairs)
    before, after, later = np.roll(p, 1, 0), np.roll(p, -1, 0), np.roll(p, -2, 0)
    t = (np.arange(steps) / steps)[:, None, None]
    curve = 2 * p + (after - before) * t + (2 * before - 5 * p + 4 * after - later) * t**2
    curve = (curve + (3 * p - before - 3 * after + later) * t**3) / 2
    return curve.transpose(1, 0, 2).reshape(-1, 2)


def stroke(path: Points, width: float, end_width: float | None = None) -> Points:
    """A line of some width along an open path, tapering to `end_width`."""
    along = np.gradient(path, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1)
    normal /= np.maximum(np.sqrt((normal**2).sum(axis=1, keepdims=True)), 1e-9)
    half = np.linspace(width, width if end_width is None else end_width, len(path))[:, None] / 2
    return np.concatenate([path + half * normal, (path - half * normal)[::-1]])


def ring(cx: float, cy: float, rx: float, ry: float, width: float) -> Points:
    """An ellipse with a hole; the outline goes around outside, then back inside."""
    return np.concatenate([arc(cx, cy, rx, ry), arc(cx, cy, max(rx - width, 0.05), max(ry - width, 0.05))[::-1]])


def turned(points: Points, degrees: float, cx: float = 0, cy: float = 0) -> Points:
    """Points turned about (cx, cy)."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    x, y = points[:, 0] - cx, points[:, 1] - cy
    return np.stack([cx + c * x - s * y, cy + s * x + c * y], axis=1)


def mirrored(points: Points) -> Points:
    """Points with x → −x."""
    return points * np.array([-1.0, 1.0])


# The ten classes.


def boat(s: Style) -> list[Part]:
    """A sailing boat: hull, mast, one or two sails, sometimes a cabin, a flag, a stripe."""
    bow, depth, top = s.between(0.75, 1.1), s.between(0.22, 0.42), s.between(-1.25, -0.85)
    deck = 0.42
    bend = s.between(0.0, 0.22)
    mast = s.between(-0.12, 0.12)
    parts = [Part(stroke(outline((mast, deck + 0.05), (mast, top)), 0.09, 0.06), s.dark)]
    sail, skin = (s.main, s.second) if s.maybe(0.5) else (s.light, s.main)
    foot, reach = deck - s.between(0.1, 0.2), s.between(0.6, 0.95)
    curve = [(mast + 0.05, top + 0.06), (mast + 0.4 * reach + bend, (top + foot) / 2), (mast + reach, foot)]
    parts.append(Part(outline(*curve, (mast + 0.05, foot)), sail, s.pattern(skin, 0.6), 0.7))
    if s.maybe(0.75):
        jib = s.between(0.5, 0.8)
        curve = [(mast - 0.05, top + 0.2), (mast - 0.35 * jib - bend, foot - 0.45), (mast - jib, foot + 0.02)]
        colour = sail if s.maybe(0.5) else s.third
        parts.append(Part(outline(*curve, (mast - 0.05, foot)), colour, s.pattern(s.second, 0.3), 0.7))
    if s.maybe(0.4):
        parts.append(Part(outline((mast, top - 0.02), (mast - 0.3, top + 0.07), (mast, top + 0.16)), s.third))
    if s.maybe(0.35):
        parts.append(Part(box(-0.75, deck - 0.16, -0.3, deck + 0.05), s.light))
    keel = deck + depth
    hull = outline((-0.9, deck), (bow, deck - 0.06), (bow - 0.22, keel - 0.1), (bow - 0.4, keel), (-0.6, keel))
    parts.append(Part(np.concatenate([hull, outline((-0.78, keel - 0.08))]), s.third, s.pattern(s.second, 0.25)))
    if s.maybe(0.6):
        parts.append(
            Part(outline((-0.89, deck), (bow, deck - 0.06), (bow - 0.06, deck + 0.05), (-0.87, deck + 0.1)), s.light)
        )
    return parts


def butterfly(s: Style) -> list[Part]:
    """A butterfly from above: two pairs of wings with spots, body, feelers."""
    reach, lift, tail = s.between(0.85, 1.1), s.between(0.65, 1.0), s.between(0.5, 0.85)
    notch = s.between(0.6, 0.8)
    upper = smooth(
        (0.04, -0.12), (0.35, -lift * 0.8), (reach * 0.85, -lift), (reach, -lift * 0.55), (notch, -0.02), (0.3, 0.06)
    )
    low = smooth((0.04, 0.0), (0.45, 0.0), (notch, 0.22), (notch * 0.85, tail * 0.8), (0.38, tail), (0.12, 0.4))
    skin, narrow = s.pattern(s.third, 0.45), s.between(0.55, 1.0)
    rim = s.dark if s.maybe(0.6) else shade(s.main, 0.55)
    spots = s.maybe(0.6)
    parts = []
    for side in (1.0, -narrow):
        fold = np.array([side, 1.0])
        for wing, colour, centre in ((low, s.second, (0.38, 0.36)), (upper, s.main, (0.6, -0.42))):
            middle = np.array(centre)
            parts.append(Part(wing * fold, rim, None, 0.6))
            parts.append(Part((middle + 0.8 * (wing - middle)) * fold, colour, skin, 0.6))
            if spots:
                parts.append(Part(arc(*centre, 0.14, 0.14, n=12) * fold, s.light))
                parts.append(Part(arc(*centre, 0.07, 0.07, n=12) * fold, s.dark))
    for side in (1, -1):
        feeler = outline((0.02, -0.4), (0.1, -0.65), (0.26, -0.85 * lift - 0.1)) * np.array([side, 1])
        parts.append(Part(stroke(feeler, 0.05), s.dark))
    parts.append(Part(arc(0, 0.05, 0.09, 0.52), s.dark, None))
    parts.append(Part(arc(0, -0.42, 0.11, 0.11, n=14), s.dark))
    return parts


def car(s: Style) -> list[Part]:
    """A car from the side: saloon, hatchback or van, with windows and two wheels."""
    kind = s.count(0, 2)
    roof, sill = s.between(-0.62, -0.48), 0.28
    front, back = ((-0.38, 0.3), (-0.4, 0.68), (-0.62, 0.86))[kind]
    screen = s.between(0.22, 0.34)
    cabin = outline((front - screen, -0.1), (front, roof), (back, roof), (back + (0.28, 0.16, 0.05)[kind], -0.1))
    radius = s.between(0.2, 0.27)
    nose = s.between(-0.1, -0.02)
    body = smooth(
        (-1.05, sill),
        (-1.08, 0.1),
        (-0.95, nose),
        (-0.5, -0.14),
        (0.5, -0.15),
        (0.95, -0.1),
        (1.04, 0.1),
        (1.02, sill),
        steps=4,
    )
    parts = [Part(cabin, s.main, None, 0.8), Part(body, s.main, s.pattern(s.second, 0.3))]
    glass = hsv(0.55, s.between(0.1, 0.4), s.between(0.3, 0.9))
    middle = np.array([(front + back) / 2, (roof - 0.1) / 2])
    window = middle + (cabin - middle) * np.array([0.84, 0.72])
    parts.append(Part(window, glass, None, 0.5))
    for post in np.linspace(front, back, 4 if kind == 2 else 3)[1:-1]:
        parts.append(Part(box(post - 0.035, roof + 0.02, post + 0.035, -0.08), s.main, None, 0))
    if s.maybe(0.4):
        parts.append(Part(box(-1.0, 0.08, 1.0, 0.16), s.second, None, 0.3))
    parts.append(Part(arc(-0.96, 0.04, 0.08, 0.07, n=12), s.light))
    parts.append(Part(box(0.93, -0.02, 1.04, 0.1), hsv(0.0, 0.8, 0.8)))
    if s.maybe(0.25):
        parts.append(Part(box(front + 0.05, roof - 0.16, back - 0.1, roof - 0.04), s.third, s.pattern(s.second, 0.4)))
    rim = s.light if s.maybe(0.7) else s.second
    for x in (-0.58, 0.6):
        parts.append(Part(arc(x, sill, radius, radius), s.dark))
        parts.append(Part(arc(x, sill, radius * 0.55, radius * 0.55, n=16), rim))
        parts.append(Part(arc(x, sill, radius * 0.18, radius * 0.18, n=10), s.dark))
    return parts


def fish(s: Style) -> list[Part]:
    """A fish: body, tail, fins, eye; slim or tall, tail forked or rounded."""
    tall, nose = s.between(0.32, 0.62), s.between(-0.02, 0.1)
    skin = s.stripes(s.second, s.between(1.5, 3), s.between(-0.3, 0.3)) if s.maybe(0.35) else s.pattern(s.second, 0.55)
    body = smooth(
        (-0.95, nose),
        (-0.6, -tall * 0.75),
        (-0.1, -tall),
        (0.4, -tall * 0.5),
        (0.68, -0.1),
        (0.68, 0.1),
        (0.4, tall * 0.5),
        (-0.1, tall * 0.95),
        (-0.65, tall * 0.7),
    )
    spread, fork = s.between(0.35, 0.55), s.between(0.72, 1.0)
    tail = outline((0.58, -0.08), (1.1, -spread), (fork, 0.0), (1.1, spread), (0.58, 0.08))
    fins = s.second if s.maybe(0.6) else shade(s.main, 0.7)
    rays = s.stripes(shade(fins, 0.7), 5, 0.2)
    high = s.between(0.15, 0.4)
    dorsal = outline((-0.45, -tall * 0.8), (-0.2, -tall - high), (0.3, -tall - high * 0.4), (0.45, -tall * 0.4))
    ventral = outline((-0.1, tall * 0.85), (0.15, tall + high * 0.8), (0.35, tall * 0.5))
    parts = [Part(tail, fins, rays, 0.6), Part(dorsal, fins, rays, 0.6)]
    if s.maybe(0.75):
        parts.append(Part(ventral, fins, rays, 0.6))
    parts.append(Part(body, s.main, skin))
    if s.maybe(0.6):
        parts.append(Part(stroke(arc(-0.75, nose, 0.32, tall * 0.7, -50, 50, 9), 0.05), shade(s.main, 0.6), None, 0))
    if s.maybe(0.7):
        parts.append(Part(outline((-0.25, 0.08), (0.12, 0.0), (0.08, 0.3)), fins, rays, 0.6))
    eye = s.between(0.09, 0.14)
    parts.append(Part(arc(-0.62, nose - 0.12, eye, eye, n=16), s.light))
    parts.append(Part(arc(-0.64, nose - 0.12, eye * 0.55, eye * 0.55, n=12), s.dark))
    parts.append(Part(outline((-0.97, nose + 0.02), (-0.74, nose + 0.13), (-0.76, nose + 0.18)), s.dark, None, 0))
    return parts


def guitar(s: Style) -> list[Part]:
    """A guitar: body with a waist, neck, head with pegs, sound hole or pick-ups."""
    low, waist, high = s.between(0.48, 0.6), s.between(0.26, 0.36), s.between(0.36, 0.46)
    horn = s.between(0.12, 0.24) if s.maybe(0.35) else 0.0
    right = [
        (0.12, 0.03),
        (high * 0.75, -0.05 - horn),
        (high + 0.02, 0.18),
        (waist, 0.42),
        (low, 0.72),
        (low * 0.8, 1.02),
    ]
    left = [(-x, y) for x, y in reversed(right)]
    body = smooth(*right, (0.0, 1.12), *left)
    middle = np.array([0.0, 0.55])
    wood, neck = s.main, s.dark if s.maybe(0.5) else hsv(0.08, 0.6, s.between(0.25, 0.5))
    parts = [Part(body, shade(wood, 0.55)), Part(middle + 0.88 * (body - middle), wood, s.pattern(s.second, 0.35), 0.8)]
    top = s.between(-1.25, -0.95)
    for side in (-1, 1):
        for y in (0.06, 0.17, 0.28):
            parts.append(Part(arc(side * 0.17, top - y, 0.06, 0.045, n=10), s.light))
    width = s.between(0.13, 0.18)
    parts.append(Part(box(-width / 2, top, width / 2, 0.3), neck, s.stripes(shade(neck, 1.6), 3.5, np.pi / 2), 0.6))
    parts.append(
        Part(
            outline((-0.09, top + 0.02), (-0.15, top - 0.36), (0.15, top - 0.36), (0.09, top + 0.02)), shade(neck, 0.8)
        )
    )
    if s.maybe(0.65):
        parts.append(Part(arc(0, 0.36, 0.2, 0.2), s.light))
        parts.append(Part(arc(0, 0.36, 0.15, 0.15, n=20), s.dark, None, 0))
    else:
        parts += [Part(box(-0.2, y, 0.2, y + 0.1), s.dark) for y in (0.28, 0.5)]
    parts.append(Part(box(-0.22, 0.78, 0.22, 0.87), s.dark))
    return parts


def key(s: Style) -> list[Part]:
    """A key: bow with a hole, shaft, one to four teeth."""
    wide, tall, thick = s.between(0.36, 0.5), s.between(0.34, 0.52), s.between(0.13, 0.2)
    shaft = s.between(0.14, 0.2)
    kind = s.count(0, 2)
    parts = [Part(box(-0.3, -shaft / 2, 1.1, shaft / 2), s.main, None)]
    if kind == 0:
        parts.append(Part(ring(-0.62, 0, wide, tall, thick), s.main, s.pattern(s.second, 0.3)))
    elif kind == 1:
        corners = arc(-0.62, 0, wide + 0.08, tall + 0.08, 0, 360, 5)
        hole = arc(-0.62, 0, wide - 0.13, tall - 0.13, 0, 360, 5)
        parts.append(Part(np.concatenate([corners, hole[::-1]]), s.main, s.pattern(s.second, 0.3)))
    else:
        for x, y in ((-0.82, 0.0), (-0.52, -0.24), (-0.52, 0.24)):
            parts.append(Part(ring(x, y, 0.27, 0.27, 0.12), s.main))
    teeth, length = s.count(1, 4), s.between(0.26, 0.42)
    step = 0.17
    for i in range(teeth):
        x = 1.1 - step * i
        long = length * (1.0 if i % 2 == 0 else s.between(0.5, 0.9))
        parts.append(Part(box(x - 0.11, 0, x, shaft / 2 + long), s.main))
    if s.maybe(0.6):
        parts.append(Part(box(-0.18, -shaft * 0.85, -0.06, shaft * 0.85), s.second))
    if s.maybe(0.3):
        parts.append(Part(box(0.02, -shaft * 0.75, 0.1, shaft * 0.75), s.second))
    return parts


def lighthouse(s: Style) -> list[Part]:
    """A lighthouse: tapering tower in bands, gallery, lantern, roof."""
    foot, neck, top = s.between(0.34, 0.5), s.between(0.2, 0.28), s.between(-0.6, -0.4)
    tower = outline((-foot, 1.0), (-neck, top), (neck, top), (foot, 1.0))
    skin = s.stripes(s.main, s.between(1.0, 1.8), np.pi / 2) if s.maybe(0.7) else s.pattern(s.main, 0.6)
    wall = s.light if s.maybe(0.65) else s.third
    parts = []
    if s.maybe(0.4):
        rock = smooth((-0.75, 1.15), (-0.6, 0.92), (-0.2, 0.85), (0.3, 0.88), (0.65, 0.95), (0.75, 1.15), steps=3)
        parts.append(Part(rock, hsv(0.08, 0.15, s.between(0.25, 0.6)), s.pattern(s.dark, 0.3)))
    parts.append(Part(tower, wall, skin))
    lamp = s.between(0.22, 0.32)
    glow = hsv(0.14, s.between(0.2, 0.7), 1.0) if s.maybe(0.7) else hsv(0.55, 0.3, 0.8)
    parts.append(Part(box(-neck * 0.72, top - lamp, neck * 0.72, top), glow, None, 0.6))
    parts += [Part(box(x - 0.02, top - lamp, x + 0.02, top), s.dark, None, 0) for x in (-neck * 0.68, 0, neck * 0.68)]
    parts.append(Part(box(-neck - 0.1, top - 0.05, neck + 0.1, top + 0.05), s.dark))
    peak = top - lamp - s.between(0.18, 0.34)
    eaves = neck * 0.95
    if s.maybe(0.5):
        parts.append(Part(outline((-eaves, top - lamp), (0, peak), (eaves, top - lamp)), s.main))
    else:
        parts.append(Part(arc(0, top - lamp, eaves, top - lamp - peak, 180, 360), s.main))
    parts.append(Part(box(-0.025, peak - 0.12, 0.025, peak + 0.03), s.dark))
    if s.maybe(0.75):
        parts.append(
            Part(np.concatenate([arc(0, 0.78, 0.11, 0.11, 180, 360, 9), outline((0.11, 1.0), (-0.11, 1.0))]), s.dark)
        )
    for y in (0.4, -0.05):
        if s.maybe(0.7):
            parts.append(Part(box(-0.06, y - 0.08, 0.06, y + 0.08), s.dark, None, 0.3))
    return parts


def mug(s: Style) -> list[Part]:
    """A mug: round body, something to drink inside, an ear; sometimes a saucer or a badge."""
    half, tall, taper = s.between(0.5, 0.72), s.between(0.5, 0.95), s.between(-0.06, 0.16)
    mouth = s.between(0.12, 0.22)
    parts = []
    if s.maybe(0.25):
        parts.append(Part(arc(0, tall, half + 0.4, 0.16), s.second))
    thick, ear = s.between(0.12, 0.18), s.between(0.3, 0.45)
    high = tall * s.between(0.45, 0.65)
    handle = ring(half - 0.02, 0.02, ear, high, thick)
    if s.maybe(0.35):
        x1, x2, y = half - 0.1, half + ear * 0.9, high * 0.85
        path = outline((x1, -y), (x2, -y), (x2, y * 0.6), (x1, y))
        handle = stroke(path, thick * 1.2)
    parts.append(Part(handle, s.main if s.maybe(0.7) else s.second))
    base = half - taper
    bottom = arc(0, tall - 0.06, base, mouth * 0.8, 0, 180, 14)
    body = np.concatenate([outline((-half, -tall), (half, -tall)), bottom])
    parts.append(Part(body, s.main, s.pattern(s.second, 0.6)))
    if s.maybe(0.25):
        parts.append(Part(arc(-0.05, 0.1, base * 0.5, base * 0.5), s.light))
        parts.append(Part(arc(-0.05, 0.1, base * 0.3, base * 0.3, n=16), s.third))
    parts.append(Part(arc(0, -tall, half, mouth), shade(s.main, 1.5), None, 0.3))
    drink = s.dark if s.maybe(0.6) else hsv(0.07, 0.6, s.between(0.3, 0.7))
    parts.append(Part(arc(0, -tall + 0.02, half * 0.86, mouth * 0.78), drink, None, 0.3))
    return parts


def mushroom(s: Style) -> list[Part]:
    """A mushroom: cap (dome, cone or flat), stem, often spots, a skirt, a little one beside it."""
    wide, high, brim = s.between(0.7, 1.0), s.between(0.5, 0.95), s.between(0.1, 0.2)
    stem, swell, foot = s.between(0.16, 0.27), s.between(1.1, 1.7), s.between(0.65, 1.0)
    pale = s.light if s.maybe(0.7) else s.third
    parts = []
    if s.maybe(0.25):
        x = s.between(0.55, 0.75)
        parts.append(Part(box(x - 0.08, foot - 0.4, x + 0.08, foot), pale))
        parts.append(Part(arc(x, foot - 0.38, 0.3, 0.3, 180, 360, 14), s.main))
    trunk = smooth(
        (-stem, -0.1),
        (stem, -0.1),
        (stem * 0.95, 0.3),
        (stem * swell, foot - 0.1),
        (0, foot),
        (-stem * swell, foot - 0.1),
        (-stem * 0.95, 0.3),
    )
    parts.append(Part(trunk, pale, s.pattern(shade(pale, 0.75), 0.25)))
    if s.maybe(0.5):
        parts.append(Part(outline((-stem, 0.1), (stem, 0.1), (stem * 1.7, 0.3), (0, 0.24), (-stem * 1.7, 0.3)), pale))
    parts.append(Part(arc(0, 0, wide * 0.97, brim), shade(pale, 0.7), s.stripes(shade(pale, 0.5), 5, 0), 0.3))
    power = s.between(0.55, 1.1)
    x = np.cos(np.radians(np.linspace(180, 0, 26)))
    cap = np.stack([wide * x, -high * (1 - x**2) ** power - 0.02], axis=1)
    under = arc(0, -0.02, wide, brim * 0.45, 0, 180, 12)
    spotted = s.maybe(0.55)
    parts.append(Part(np.concatenate([cap, under]), s.main, None if spotted else s.pattern(s.second, 0.5)))
    if spotted:
        for spot in range(s.count(4, 8)):
            x = (-0.6, 0.1, 0.55, -0.2, 0.3, -0.42, 0.7, -0.05)[spot] + s.between(-0.08, 0.08)
            y = -high * (1 - x * x) ** power * s.between(0.2, 0.75)
            parts.append(Part(arc(x * wide, y, s.between(0.07, 0.15), s.between(0.06, 0.11), n=12), s.light))
    return parts


def umbrella(s: Style) -> list[Part]:
    """An open umbrella: dome in panels with a scalloped edge, stick with a crook."""
    high, panels, sag = s.between(0.6, 0.9), s.count(3, 5), s.between(0.08, 0.16)
    length, hook = s.between(0.75, 1.05), s.between(0.13, 0.22)
    side = 1 if s.maybe(0.5) else -1
    crook = arc(side * hook, length, hook, hook * 1.1, 180 if side > 0 else 0, 0 if side > 0 else 180, 10)
    parts = [
        Part(stroke(np.concatenate([outline((0, -high - 0.14), (0, 0), (0, length - 0.05)), crook]), 0.085), s.dark)
    ]
    ribs = np.sin(np.linspace(-np.pi / 2, np.pi / 2, panels + 1))
    striped, skin = s.maybe(0.6), s.pattern(s.third, 0.35)
    for i, (x1, x2) in enumerate(zip(ribs[:-1], ribs[1:], strict=True)):
        t = np.radians(np.linspace(0, 90, 12))
        left = np.stack([x1 * np.sin(t), -high * np.cos(t)], axis=1)
        right = np.stack([x2 * np.sin(t), -high * np.cos(t)], axis=1)[::-1]
        scallop = arc((x1 + x2) / 2, 0, (x2 - x1) / 2, sag, 180, 360, 9)
        colour = s.second if striped and i % 2 else s.main
        parts.append(Part(np.concatenate([left, scallop, right]), colour, skin, 0.9))
    return parts


CLASSES: dict[str, Callable[[Style], list[Part]]] = {
    draw.__name__: draw for draw in (boat, butterfly, car, fish, guitar, key, lighthouse, mug, mushroom, umbrella)
}

# How far each class may turn from upright, in degrees; 180 is all round.
TURN = dict(
    boat=22, butterfly=180, car=15, fish=37, guitar=180, key=180, lighthouse=15, mug=25, mushroom=25, umbrella=50
)  # fmt: skip


# Distractors: parts and things that resemble parts of the objects, but are none of them.


def hoop(s: Style) -> list[Part]:
    """A ring, as a key's bow or a mug's ear."""
    return [
        Part(ring(0, 0, s.between(0.6, 1), s.between(0.5, 1), s.between(0.18, 0.35)), s.main, s.pattern(s.second, 0.4))
    ]


def sail(s: Style) -> list[Part]:
    """A triangle with a bent side, as a boat's sail."""
    return [
        Part(
            outline((-0.6, 0.8), (-0.5, -0.9), (0.2 + s.between(0, 0.3), -0.1), (0.7, 0.7)), s.main, s.pattern(s.second)
        )
    ]


def dome(s: Style) -> list[Part]:
    """A half disc, as a mushroom's cap or an umbrella without a stick."""
    cap = arc(0, 0, 1, s.between(0.5, 0.9), 180, 360)
    return [Part(cap, s.main, s.pattern(s.second, 0.7))]


def stick(s: Style) -> list[Part]:
    """A bent stick, as a stem, a mast or a shaft."""
    bend, width = s.between(-0.4, 0.4), s.between(0.08, 0.2)
    path = arc(0, 0, bend + 0.02, 1, -90, 90, 12)
    return [Part(stroke(path, width, width * s.between(0.4, 1)), s.main, s.pattern(s.second, 0.3))]


def wheel(s: Style) -> list[Part]:
    """A wheel, as a car's, or an eye."""
    inner = s.between(0.35, 0.7)
    return [
        Part(arc(0, 0, 1, 1), s.dark if s.maybe(0.5) else s.main),
        Part(arc(0, 0, inner, inner), s.light, s.pattern(s.third, 0.3)),
    ]


def leaf(s: Style) -> list[Part]:
    """A leaf with its rib, as a fish's body or a butterfly's wing."""
    wide = s.between(0.3, 0.6)
    blade = smooth((-1, 0), (-0.4, -wide), (0.4, -wide * 0.7), (1, 0), (0.4, wide * 0.8), (-0.4, wide))
    return [
        Part(blade, s.main, s.pattern(s.second, 0.5)),
        Part(box(-1.2, -0.04, 0.85, 0.04), shade(s.main, 0.6), None, 0),
    ]


def post(s: Style) -> list[Part]:
    """A tapering post in bands, as a lighthouse's tower or a mug's body."""
    top = s.between(0.2, 0.45)
    skin = s.stripes(s.second, s.between(1, 2), np.pi / 2) if s.maybe(0.5) else s.pattern(s.second)
    return [Part(outline((-0.5, 1), (-top, -1), (top, -1), (0.5, 1)), s.main, skin)]


def wings(s: Style) -> list[Part]:
    """Two triangles point to point, as a tail fin or a pair of wings."""
    high = s.between(0.4, 0.9)
    return [Part(outline((0, 0.1), (1, -high), (0.85, 0), (1, high), (0, -0.1)), s.main, s.pattern(s.second, 0.5)) if s.maybe(0.5)
            else Part(outline((0.05, 0), (1, -high), (1, high), (-0.05, 0), (-1, high), (-1, -high)), s.main, s.pattern(s.second, 0.5))]  # fmt: skip


def comb(s: Style) -> list[Part]:
    """A bar with teeth, as a key's bit."""
    teeth = s.count(2, 5)
    parts = [Part(box(-1, -0.3, 1, 0), s.main, s.pattern(s.second, 0.4))]
    parts += [Part(box(x - 0.1, -0.05, x + 0.1, s.between(0.3, 0.7)), s.main) for x in np.linspace(-0.85, 0.85, teeth)]
    return parts


def pebble(s: Style) -> list[Part]:
    """A stone, as nothing in particular."""
    ends = [
        (r * np.cos(a), r * np.sin(a) * 0.8)
        for a, r in zip(np.arange(7) * np.pi / 3.5, 0.7 + 0.3 * s.rng.random(7), strict=True)
    ]
    return [Part(smooth(*ends, steps=5), s.main, s.pattern(s.second, 0.4))]


def slab(s: Style) -> list[Part]:
    """A rounded slab with two windows or buttons, as a car's body."""
    high = s.between(0.35, 0.6)
    parts = [
        Part(
            smooth((-1, high), (-1, -high * 0.4), (-0.6, -high), (0.6, -high), (1, -high * 0.3), (1, high), steps=4),
            s.main,
            s.pattern(s.second, 0.4),
        )
    ]
    return parts + [Part(arc(x, 0, 0.2, 0.2, n=14), s.third) for x in (-0.4, 0.4) if s.maybe(0.6)]


def eight(s: Style) -> list[Part]:
    """Two joined discs, as a guitar's body."""
    small = s.between(0.35, 0.5)
    return [
        Part(
            np.concatenate([arc(0, 0.4, 0.55, 0.55, -60, 240), arc(0, -0.4, small, small, 130, 410)]),
            s.main,
            s.pattern(s.second, 0.5),
        )
    ]


DISTRACTORS: tuple[Callable[[Style], list[Part]], ...] = (
    hoop, sail, dome, stick, wheel, leaf, post, wings, comb, pebble, slab, eight,
)  # fmt: skip
