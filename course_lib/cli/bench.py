"""`make bench`: our functions against torchvision's, one thread, alternating, median ratio and spread.

    python -m course_lib.cli.bench [NAME ...] [--rounds 40]

A comparison is a function that prepares the inputs, and returns ours and theirs, ready to call. Add one with
`@comparison("name", "what is compared")`; both must give the same result, which is checked before anything is timed.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.models.detection._utils import BoxCoder, SSDMatcher
from torchvision.ops import box_iou

from course_lib.boxes import decode, encode, iou
from course_lib.matching import match

Pair = tuple[Callable[[], object], Callable[[], object]]
COMPARISONS: dict[str, tuple[str, Callable[[], Pair]]] = {}


class Timing(NamedTuple):
    """Median ratio ours : theirs, its quartiles, and both medians in milliseconds."""

    ratio: float
    low: float
    high: float
    ours: float
    theirs: float


def comparison(name: str, what: str) -> Callable[[Callable[[], Pair]], Callable[[], Pair]]:
    """Register a comparison: a function without arguments that returns (ours, theirs), both without arguments."""

    def register(prepare: Callable[[], Pair]) -> Callable[[], Pair]:
        COMPARISONS[name] = (what, prepare)
        return prepare

    return register


def random_boxes(n: int, size: float = 300.0, seed: int = 0, smallest: float = 10.0, largest: float = 200.0) -> Tensor:
    """Boxes [n, 4] of random place and shape in a picture of `size` × `size` pixels."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.rand(n, 2, generator=generator) * size
    half = (smallest + torch.rand(n, 2, generator=generator) * (largest - smallest)) / 2
    return torch.cat([centres - half, centres + half], dim=1)


@comparison("iou", "20 × 8,732 boxes: iou against torchvision's box_iou")
def compare_iou() -> Pair:
    """IoU of 20 objects with SSD300's number of boxes."""
    boxes, default_boxes = random_boxes(20), random_boxes(8732, seed=1)
    assert torch.allclose(iou(boxes, default_boxes), box_iou(boxes, default_boxes), atol=1e-6)
    return lambda: iou(boxes, default_boxes), lambda: box_iou(boxes, default_boxes)


@comparison(
    "match", "20 × 8,732 boxes: match (with IoU, nobody lost) against box_iou + SSDMatcher (which may lose objects)"
)
def compare_match() -> Pair:
    """Matching; equal results are checked on objects that do not compete for a box."""
    boxes, default_boxes, matcher = random_boxes(20), random_boxes(8732, seed=1), SSDMatcher(0.5)
    alone = boxes[:1]
    assert torch.equal(match(alone, default_boxes), matcher(box_iou(alone, default_boxes)))
    return lambda: match(boxes, default_boxes), lambda: matcher(box_iou(boxes, default_boxes))


@comparison("encode", "8,732 boxes: encode against torchvision's BoxCoder.encode_single")
def compare_encode() -> Pair:
    """Offsets of as many objects as SSD300 has default boxes."""
    boxes, default_boxes, coder = random_boxes(8732), random_boxes(8732, seed=1), BoxCoder((10.0, 10.0, 5.0, 5.0))
    assert torch.allclose(encode(boxes, default_boxes), coder.encode_single(boxes, default_boxes), atol=1e-4)
    return lambda: encode(boxes, default_boxes), lambda: coder.encode_single(boxes, default_boxes)


@comparison("decode", "8,732 boxes: decode against torchvision's BoxCoder.decode_single")
def compare_decode() -> Pair:
    """Boxes from the offsets of as many default boxes as SSD300 has."""
    default_boxes, coder = random_boxes(8732, seed=1), BoxCoder((10.0, 10.0, 5.0, 5.0))
    offsets = encode(random_boxes(8732), default_boxes)
    assert torch.allclose(decode(offsets, default_boxes), coder.decode_single(offsets, default_boxes), atol=1e-3)
    return lambda: decode(offsets, default_boxes), lambda: coder.decode_single(offsets, default_boxes)


def seconds(call: Callable[[], object], repeats: int) -> float:
    """Time of one call, averaged over `repeats` calls."""
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


def measure(prepare: Callable[[], Pair], rounds: int = 40) -> Timing:
    """Time both sides alternately on one thread, `rounds` times each; every second round theirs goes first."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        ours, theirs = prepare()
        for _ in range(3):
            ours(), theirs()
        slower = max(seconds(ours, 3), seconds(theirs, 3))
        repeats = max(1, round(0.01 / slower))  # about 10 ms a measurement
        pairs = []
        for index in range(rounds):
            if index % 2:
                b, a = seconds(theirs, repeats), seconds(ours, repeats)
            else:
                a, b = seconds(ours, repeats), seconds(theirs, repeats)
            pairs.append((a, b))
    finally:
        torch.set_num_threads(threads)
    ratios = [a / b for a, b in pairs]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return Timing(middle, low, high, *(1000 * statistics.median(side) for side in zip(*pairs, strict=True)))


def main(argv: list[str] | None = None) -> int:
    """Command line; prints one line a comparison and returns the exit code (1 if a median ratio is above 1)."""
    parser = argparse.ArgumentParser(prog="python -m course_lib.cli.bench", description="ours against torchvision's")
    parser.add_argument("names", nargs="*", help=f"which comparisons (default all): {', '.join(COMPARISONS)}")
    parser.add_argument("--rounds", type=int, default=40, help="measurements of each side, at least 20")
    args = parser.parse_args(argv)
    unknown = [name for name in args.names if name not in COMPARISONS]
    if unknown or args.rounds < 20:
        parser.error(
            f"no comparison {unknown[0]!r}; there are {', '.join(COMPARISONS)}" if unknown else "--rounds: at least 20"
        )
    print(f"one thread, {args.rounds} alternating measurements; ratio = our time : theirs, with quartiles")
    slower = False
    for name in args.names or COMPARISONS:
        what, prepare = COMPARISONS[name]
        t = measure(prepare, args.rounds)
        slower |= t.ratio > 1
        print(
            f"{name:12} {t.ratio:5.2f}  ({t.low:.2f} to {t.high:.2f})   {t.ours:8.3f} ms : {t.theirs:8.3f} ms   {what}",
            flush=True,
        )
    return int(slower)


if __name__ == "__main__":
    sys.exit(main())
