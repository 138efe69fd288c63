"""`make bench`: our functions against torchvision's and pycocotools', one thread, alternating, median ratio and spread.

    python -m course_lib.cli.bench [NAME ...] [--rounds 40]

A comparison is a function that prepares the inputs, and returns ours and theirs, ready to call. Add one with
`@comparison("name", "what is compared")`; both must give the same result, which is checked before anything is timed.
"""

import argparse
import contextlib
import io
import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models.detection._utils import BoxCoder, SSDMatcher
from torchvision.ops import batched_nms, box_iou, sigmoid_focal_loss

from course_lib.average_precision import COCO_THRESHOLDS, average_precision
from course_lib.backbone import Backbone
from course_lib.boxes import decode, encode, iou, nms_per_class
from course_lib.default_boxes import level_shapes
from course_lib.experiments.detectors import (
    EXTRA,
    SIDES,
    ReferenceRetinaNet,
    ReferenceSSD,
    build_faster_rcnn,
    build_retinanet,
    build_sliding_window,
    build_ssd,
    build_yolo,
)
from course_lib.experiments.standard_run import BATCH
from course_lib.losses import focal_loss
from course_lib.matching import match
from course_lib.retinanet import RetinaNet
from course_lib.ssd import SSD

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


@comparison("focal", "32 × 2,046 boxes × 10 classes: focal_loss, forward and backward, against sigmoid_focal_loss")
def compare_focal() -> Pair:
    """Value and gradient of the focal loss on a batch of lesson 5's SSD."""
    generator = torch.Generator().manual_seed(0)
    logits = (3 * torch.randn(32, 2046, 10, generator=generator) - 3).requires_grad_()
    classes = torch.randint(-1, 11, (32, 2046), generator=generator)
    classes[torch.rand(32, 2046, generator=generator) < 0.97] = 0
    truth = (torch.arange(1, 11) == classes[..., None]).float()
    counted = (classes >= 0)[..., None].float()

    def ours() -> Tensor:
        return torch.autograd.grad(focal_loss(logits, classes).sum(), logits)[0]

    def theirs() -> Tensor:
        return torch.autograd.grad((sigmoid_focal_loss(logits, truth) * counted).sum(), logits)[0]

    assert torch.allclose(ours(), theirs(), atol=1e-5)
    return ours, theirs


@comparison(
    "nms",
    "(for information) 200 boxes of 10 classes (what `detect` keeps of a picture): nms_per_class against batched_nms",
)
def compare_nms() -> Pair:
    """Suppression of one picture's candidates."""
    boxes, generator = random_boxes(200, size=128.0, largest=60.0), torch.Generator().manual_seed(0)
    scores, labels = torch.rand(200, generator=generator), torch.randint(1, 11, (200,), generator=generator)
    assert torch.equal(nms_per_class(boxes, scores, labels, 0.45), batched_nms(boxes, scores, labels, 0.45))
    return lambda: nms_per_class(boxes, scores, labels, 0.45), lambda: batched_nms(boxes, scores, labels, 0.45)


def random_objects(pictures: int, most: int = 6, seed: int = 0) -> list[dict[str, Tensor]]:
    """Targets of pictures of 128 × 128 pixels, with 1 to `most` objects of 10 classes."""
    generator, targets = torch.Generator().manual_seed(seed), []
    for index in range(pictures):
        n = int(torch.randint(1, most + 1, (1,), generator=generator))
        boxes = random_boxes(n, 128.0, 1000 * seed + index, 8.0, 80.0).clamp(0, 128)
        targets.append({"boxes": boxes, "labels": torch.randint(1, 11, (n,), generator=generator)})
    return targets


def random_detections(targets: list[dict[str, Tensor]], count: int = 100, seed: int = 0) -> list[dict[str, Tensor]]:
    """`count` detections a picture, all near its objects, every second of the right class."""
    generator, detections = torch.Generator().manual_seed(seed), []
    for target in targets:
        near = torch.randint(len(target["boxes"]), (count,), generator=generator)
        boxes = target["boxes"][near] + 4 * torch.randn(count, 4, generator=generator)
        boxes[:, 2:] = torch.maximum(boxes[:, 2:], boxes[:, :2] + 1)
        labels = torch.randint(1, 11, (count,), generator=generator)
        labels[::2] = target["labels"][near][::2]
        detections.append({"boxes": boxes, "labels": labels, "scores": torch.rand(count, generator=generator)})
    return detections


def coco_rows(pictures: list[dict[str, Tensor]]) -> list[dict]:
    """Boxes as COCO's annotations: ids from 1, boxes as x, y, width, height."""
    rows = []
    for index, picture in enumerate(pictures):
        scores = picture.get("scores", torch.zeros(len(picture["labels"])))
        for box, label, score in zip(
            *(part.tolist() for part in (picture["boxes"], picture["labels"], scores)), strict=True
        ):
            x, y, w, h = box[0], box[1], box[2] - box[0], box[3] - box[1]
            row = {
                "id": len(rows) + 1,
                "image_id": index + 1,
                "category_id": label,
                "bbox": [x, y, w, h],
                "score": score,
            }
            rows.append(row | {"area": w * h, "iscrowd": 0})
    return rows


@comparison(
    "ap", "500 pictures × 100 detections, 10 thresholds: average_precision against COCOeval's evaluate + accumulate"
)
def compare_average_precision() -> Pair:
    """Average precision by COCO's rule; theirs reads its own format beforehand and skips object sizes."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    targets = random_objects(500)
    detections, sides = random_detections(targets), []
    for rows in (coco_rows(targets), coco_rows(detections)):
        sides.append(COCO())
        names = {"images": [{"id": i + 1} for i in range(500)], "categories": [{"id": c} for c in range(1, 11)]}
        sides[-1].dataset = names | {"annotations": rows}
        with contextlib.redirect_stdout(io.StringIO()):
            sides[-1].createIndex()

    def theirs() -> float:
        with contextlib.redirect_stdout(io.StringIO()):
            judge = COCOeval(*sides, "bbox")
            judge.params.areaRng, judge.params.areaRngLbl, judge.params.maxDets = [[0, 1e10]], ["all"], [100]
            judge.evaluate()
            judge.accumulate()
        return judge.eval["precision"].mean()

    def ours() -> float:
        return average_precision(detections, targets, 10, "coco", COCO_THRESHOLDS).mean().item()

    assert abs(ours() - theirs()) < 1e-6
    return ours, theirs


def training_steps(models: Sequence[nn.Module], alone: list[dict[str, Tensor]]) -> Pair:
    """A training step of each detector on the same pictures and objects; on the objects `alone` their losses are equal."""
    images = list(torch.rand(BATCH, 3, 128, 128, generator=torch.Generator().manual_seed(0)))
    targets, steps = random_objects(BATCH), []
    ours, theirs = (model.train().loss(model(images), alone) for model in models)
    assert all(torch.isclose(ours[name], theirs[name], rtol=1e-3) for name in ("classification", "localization"))
    for model in models:
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4)

        def step(model=model, optimiser=optimiser) -> None:
            losses = model.loss(model(images), targets)
            optimiser.zero_grad()
            sum(losses.values()).backward()
            optimiser.step()

        steps.append(step)
    return steps[0], steps[1]


def twin_detectors() -> tuple[SSD, ReferenceSSD]:
    """The lesson's SSD and torchvision's, with the same weights in every layer, the same boxes and limits."""
    torch.manual_seed(0)
    ours = SSD(Backbone(), 10, level_shapes(SIDES), extra=EXTRA)
    theirs = ReferenceSSD(SSD(Backbone(), 10, level_shapes(SIDES), extra=EXTRA), 10)
    maps, head = theirs.theirs.backbone, theirs.theirs.head
    twins = [(ours.base, maps.base), (ours.extra, maps.extra)]
    twins += [(ours.classify, head.classification_head.module_list), (ours.locate, head.regression_head.module_list)]
    for one, other in twins:
        other.load_state_dict(one.state_dict())
    return tuple(model.to(memory_format=torch.channels_last) for model in (ours, theirs))


@comparison(
    "ssd-step", "a training step of SSD, 32 pictures of 128 × 128, against torchvision's (same maps, boxes, optimiser)"
)
def compare_training_step() -> Pair:
    """Forward, loss, backward and update; equal losses are checked on pictures with one object, where none competes."""
    return training_steps(twin_detectors(), random_objects(BATCH, most=1))


@comparison("ssd-detect", "SSD's detect on 8 pictures, about 200 candidates each, against torchvision's")
def compare_detect() -> Pair:
    """Inference; background is made likely enough that few boxes pass, as in a trained detector."""
    images = list(torch.rand(8, 3, 128, 128, generator=torch.Generator().manual_seed(0)))
    ours, theirs = (model.eval() for model in twin_detectors())
    with torch.no_grad():
        while (ours(images)["logits"].softmax(dim=-1)[..., 1:] > 0.05).sum(dim=(1, 2)).max() > 200:
            for layer in [*ours.classify, *theirs.theirs.head.classification_head.module_list]:
                layer.bias[::11] += 0.02
    for a, b in zip(ours.detect(images), theirs.detect(images), strict=True):
        assert len(a["scores"]) == len(b["scores"]) > 0 and torch.allclose(a["scores"], b["scores"], atol=1e-5)
    return lambda: ours.detect(images), lambda: theirs.detect(images)


def twin_retinanets() -> tuple[RetinaNet, ReferenceRetinaNet]:
    """The course's RetinaNet and torchvision's, with the same weights in every layer, the same anchors and limits.

    torchvision's channel for background says "no" so firmly that it adds nothing to the loss, and its box loss is set to
    smooth L1.
    """
    ours = build_retinanet(10, start="random", score_threshold=0.05)
    theirs = ReferenceRetinaNet(build_retinanet(10, start="random", score_threshold=0.05), 10)
    maps, head = theirs.theirs.backbone, theirs.theirs.head
    classes, places = head.classification_head, head.regression_head
    twins = [(ours.base, maps.base), (ours.pyramid, maps.pyramid), (ours.classify[:-1], classes.conv)]
    twins += [(ours.locate[:-1], places.conv), (ours.locate[-1], places.bbox_reg)]
    for one, other in twins:
        other.load_state_dict(one.state_dict())
    with torch.no_grad():
        for own, wider in zip(ours.classify[-1].parameters(), classes.cls_logits.parameters(), strict=True):
            wider.unflatten(0, (-1, 11))[:, 1:] = own.unflatten(0, (-1, 10))
        classes.cls_logits.weight[::11], classes.cls_logits.bias[::11] = 0.0, -20.0
    places._loss_type = "smooth_l1"
    return tuple(model.to(memory_format=torch.channels_last) for model in (ours, theirs))


@comparison(
    "retinanet-step",
    "a training step of RetinaNet, 32 pictures of 128 × 128, against torchvision's (same base, pyramid, head)",
)
def compare_retinanet_step() -> Pair:
    """Forward, loss, backward and update; equal losses are checked where all pictures hold the same object.

    Then it does not matter that torchvision normalises by picture.
    """
    return training_steps(twin_retinanets(), random_objects(1, most=1) * BATCH)


@comparison("retinanet-detect", "RetinaNet's detect on 8 pictures, about 200 candidates each, against torchvision's")
def compare_retinanet_detect() -> Pair:
    """Inference; scores get the spread, and the candidates the number, that they have after training."""
    images = list(torch.rand(8, 3, 128, 128, generator=torch.Generator().manual_seed(0)))
    ours, theirs = (model.eval() for model in twin_retinanets())
    layers = [ours.classify[-1], theirs.theirs.head.classification_head.cls_logits]
    with torch.no_grad():
        factor = 1 / ours(images)["logits"].std()
        for layer in layers:
            layer.weight *= factor
        excess = ours(images)["logits"].flatten(1).topk(200).values[:, -1].mean() - math.log(0.05 / 0.95)
        layers[0].bias -= excess
        layers[1].bias -= excess
    for a, b in zip(ours.detect(images), theirs.detect(images), strict=True):
        assert len(a["scores"]) == len(b["scores"]) > 0 and torch.allclose(a["scores"], b["scores"], atol=1e-5)
    return lambda: ours.detect(images), lambda: theirs.detect(images)


def against_ssd(family: nn.Module, pictures: int = 2) -> Pair:
    """A family's `detect` and SSD's, both untrained and with so low a threshold that suppression has its fill of boxes."""
    images = list(torch.rand(pictures, 3, 128, 128, generator=torch.Generator().manual_seed(0)))
    family, ssd = (
        model.eval().to(memory_format=torch.channels_last) for model in (family, build_ssd(10, start="random"))
    )
    assert all(len(found["scores"]) > 10 for model in (family, ssd) for found in model.detect(images))
    return lambda: family.detect(images), lambda: ssd.detect(images)


@comparison("sliding-detect", "(for information) the sliding-window detector's detect on 2 pictures against SSD's")
def compare_sliding_window_detect() -> Pair:
    """1,117 passes a picture against one."""
    return against_ssd(build_sliding_window(10, start="random"))


@comparison(
    "two-stage-detect", "(for information) torchvision's small Faster R-CNN, detect on 2 pictures, against our SSD's"
)
def compare_two_stage_detect() -> Pair:
    """A pyramid and 64 regions against default boxes."""
    return against_ssd(build_faster_rcnn(10, start="random"))


@comparison("yolo-detect", "(for information) YOLO's detect on 2 pictures, connected top, against SSD's")
def compare_yolo_detect() -> Pair:
    """128 boxes against 2,046, on a base without its last stage."""
    return against_ssd(build_yolo(10, start="random", score_threshold=0.0))


@comparison("yolo-conv-detect", "(for information) YOLO's detect on 2 pictures, convolutional top, against SSD's")
def compare_yolo_convolutional_detect() -> Pair:
    """The same cells and boxes, from shared weights."""
    return against_ssd(build_yolo(10, start="random", top="convolutional", score_threshold=0.0))


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
    """Command line; prints one line a comparison and returns the exit code (1 if a median ratio is above 1, but for information)."""
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
        slower |= t.ratio > 1 and not what.startswith("(for information)")
        print(
            f"{name:16} {t.ratio:5.2f}  ({t.low:.2f} to {t.high:.2f})   {t.ours:8.3f} ms : {t.theirs:8.3f} ms   {what}",
            flush=True,
        )
    return int(slower)


if __name__ == "__main__":
    sys.exit(main())
