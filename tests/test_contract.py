"""One contract for all detectors (design §2.4): forward, loss and detect, whatever is inside."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from course_lib.backbone import Backbone
from course_lib.exercises.pretend_device import PretendDevice
from course_lib.experiments.detectors import (
    ReferenceRetinaNet,
    ReferenceSSD,
    build_faster_rcnn,
    build_retinanet,
    build_sliding_window,
    build_ssd,
    build_yolo,
)
from course_lib.experiments.devices import Placed
from course_lib.losses import focal_loss, giou_loss
from course_lib.single_object import SingleObjectDetector

SIZE = (128, 128)
CLASSES = 3


def single() -> nn.Module:
    torch.manual_seed(0)
    return SingleObjectDetector(Backbone(), 192 * 4 * 4, CLASSES)


def ssd(head: str = "softmax", **settings) -> nn.Module:
    return build_ssd(CLASSES, start="random", head=head, score_threshold=0.01, **settings)


def retinanet(**settings) -> nn.Module:
    return build_retinanet(CLASSES, start="random", score_threshold=0.008, **settings)


def windows() -> nn.Module:
    return build_sliding_window(CLASSES, start="random", stride=32)  # 97 windows


def yolo(top: str) -> nn.Module:
    return build_yolo(CLASSES, start="random", top=top, score_threshold=0.0)


@dataclass
class Kind:
    """How to build a detector, and what it can do."""

    build: Callable[[], nn.Module]
    fixed_size: bool = True  # raises for pictures of another size; others pad
    any_number: bool = True  # also pictures without objects
    dense: bool = True  # outputs hold logits, offsets and boxes
    ours: bool = True


KINDS = {
    "single object": Kind(single, any_number=False, dense=False),
    "ssd softmax": Kind(ssd),
    "ssd sigmoid": Kind(lambda: ssd("sigmoid")),
    "ssd focal": Kind(lambda: ssd("sigmoid", classification=focal_loss)),
    "torchvision's ssd": Kind(lambda: ReferenceSSD(ssd(), CLASSES), dense=False, ours=False),
    "retinanet": Kind(retinanet, fixed_size=False),
    "retinanet on boxes": Kind(lambda: retinanet(decoded=True, localization=giou_loss), fixed_size=False),
    "sliding window": Kind(windows, dense=False),
    "yolo connected": Kind(lambda: yolo("connected"), dense=False),
    "yolo convolutional": Kind(lambda: yolo("convolutional"), dense=False),
    "torchvision's faster rcnn": Kind(lambda: build_faster_rcnn(CLASSES, start="random"), dense=False, ours=False),
    "torchvision's retinanet": Kind(lambda: ReferenceRetinaNet(retinanet(), CLASSES), False, dense=False, ours=False),
}
every = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
many = {name: kind for name, kind in KINDS.items() if kind.any_number}
any_number = pytest.mark.parametrize("kind", many.values(), ids=many)


def images(count: int = 2, size: tuple[int, int] = SIZE) -> list[torch.Tensor]:
    return list(torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(1)))


def target(boxes: list, labels: list, **more) -> dict[str, torch.Tensor]:
    return {"boxes": torch.tensor(boxes).reshape(-1, 4), "labels": torch.tensor(labels, dtype=torch.int64)} | more


ONE = target([[30.0, 20, 90, 110]], [3])
OTHER = target([[5.0, 40, 45, 70]], [1])
TWO = target([[30.0, 20, 90, 110], [5.0, 40, 45, 70]], [3, 1])
NOTHING = target([], [])


def total(parts: dict[str, torch.Tensor]) -> torch.Tensor:
    return sum(parts.values())


def seeded_loss(model: nn.Module, outputs: object, truth: dict) -> torch.Tensor:
    """The loss of one picture; detectors that draw samples do so with torch's own random state."""
    torch.manual_seed(0)
    return total(model.loss(outputs, [truth]))


@every
def test_detections_have_the_agreed_form(kind):
    found = kind.build().eval().detect(images(3))
    assert len(found) == 3
    for one in found:
        count = len(one["scores"])
        assert one["boxes"].shape == (count, 4) and one["labels"].shape == (count,)
        assert one["boxes"].dtype == one["scores"].dtype == torch.float32 and one["labels"].dtype == torch.int64
        assert not one["boxes"].requires_grad and not one["scores"].requires_grad
        assert one["boxes"].min() >= 0 and one["boxes"].max() <= 128
        assert not kind.any_number or (one["boxes"][:, 2:] >= one["boxes"][:, :2]).all()  # lesson 1 orders no corners
        assert ((one["labels"] >= 1) & (one["labels"] <= CLASSES)).all() and (one["scores"].diff() <= 0).all()


@every
def test_dense_outputs_hold_the_boxes_they_belong_to(kind):
    outputs = kind.build().eval()(images())
    if not kind.dense:
        pytest.skip("the outputs are for the detector's own loss only")
    m = len(outputs["boxes"])
    assert outputs["logits"].shape[:2] == (2, m) and outputs["offsets"].shape == (2, m, 4)
    assert all(outputs[name].dtype == torch.float32 for name in ("logits", "offsets", "boxes"))


@every
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_loss_has_two_finite_named_parts_that_teach(kind, mode):
    model = kind.build()
    model.train(mode == "train")
    parts = model.loss(model(images()), [ONE, OTHER])
    assert set(parts) == {"classification", "localization"}
    assert all(part.ndim == 0 and part.isfinite() and part > 0 for part in parts.values())
    assert model.training == (mode == "train")
    total(parts).backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(g.isfinite().all() for g in gradients) and sum(bool(g.any()) for g in gradients) > 10


@any_number
def test_a_picture_without_objects(kind):
    model = kind.build().train()
    alone = total(model.loss(model(images(1)), [NOTHING]))
    mixed = total(model.loss(model(images(2)), [TWO, NOTHING]))
    assert alone.isfinite() and mixed.isfinite()
    if not kind.ours:
        pytest.skip("torchvision's SSD learns nothing from a picture without objects")
    assert alone > 0
    alone.backward()
    assert any(p.grad is not None and bool(p.grad.any()) for p in model.parameters())


@any_number
def test_difficult_objects_may_be_bool_or_int(kind):
    model = kind.build().eval()
    outputs = model(images(1))
    marks = [torch.tensor([True, False]), torch.tensor([1, 0]), torch.tensor([1, 0], dtype=torch.uint8)]
    losses = [seeded_loss(model, outputs, TWO | {"difficult": mark}) for mark in marks]
    assert losses[0] == losses[1] == losses[2] != seeded_loss(model, outputs, TWO)


@every
def test_labels_may_be_int32(kind):
    model = kind.build().eval()
    outputs = model(images(1))
    short = ONE | {"labels": ONE["labels"].int()}
    assert seeded_loss(model, outputs, short) == seeded_loss(model, outputs, ONE)


@every
def test_loss_changes_neither_outputs_nor_targets(kind):
    model = kind.build().eval()
    outputs = model(images(1))
    before = {k: v.clone() for k, v in outputs.items()} if isinstance(outputs, dict) else None
    mine = {k: v.clone() for k, v in ONE.items()}
    model.loss(outputs, [mine])
    assert all(torch.equal(mine[k], ONE[k]) for k in ONE)
    assert before is None or all(torch.equal(outputs[k], before[k]) for k in before)


@every
def test_evaluation_repeats_and_pictures_do_not_mix(kind):
    model = kind.build().eval()
    together, again = model.detect(images(3)), model.detect(images(3))
    alone = [model.detect([image])[0] for image in images(3)]
    for a, b, c in zip(together, again, alone, strict=True):
        assert all(torch.equal(a[key], b[key]) for key in a)
        assert torch.equal(a["labels"], c["labels"]) and torch.allclose(a["scores"], c["scores"], atol=1e-4)


@every
def test_another_picture_size(kind):
    model, other = kind.build().eval(), images(1, (96, 160)) + images(1, (64, 64))
    if not kind.ours:
        pytest.skip("torchvision's detectors resize")
    if kind.fixed_size:
        with pytest.raises(ValueError, match=r"images\[0\]: expected 128 × 128 pixels"):
            model(other)
    else:
        found = model.detect(other)
        for one, (height, width) in zip(found, ((96, 160), (64, 64)), strict=True):
            limits = torch.tensor([width, height, width, height])
            assert (one["boxes"] <= limits).all() and len(one["boxes"])


@every
def test_bfloat16_runs_the_network_and_not_the_loss(kind):
    if not kind.ours:
        pytest.skip("torchvision's detectors compute their loss in the precision of their outputs")
    model = kind.build().eval()
    placed = Placed(model, dtype=torch.bfloat16)
    outputs = placed(images())
    torch.manual_seed(0)
    parts = placed.loss(outputs, [ONE, OTHER])
    torch.manual_seed(0)
    exact = model.loss(model(images()), [ONE, OTHER])
    for name, part in parts.items():
        assert part.dtype == torch.float32 and torch.isclose(part, exact[name], rtol=0.1)
    total(parts).backward()
    assert all(p.grad.dtype == torch.float32 for p in model.parameters() if p.grad is not None)
    assert placed.detect(images())[0]["scores"].dtype == torch.float32
    if kind.dense:
        assert outputs["logits"].dtype == torch.float32


@every
def test_nothing_is_put_on_the_wrong_device(kind):
    """Pictures, targets and weights claim to lie on a graphics card; a new CPU tensor in between raises."""
    if not kind.ours:
        pytest.skip("not our code")
    model, given = kind.build().eval(), images(2)
    wanted = [{key: value.clone() for key, value in t.items()} for t in (ONE, OTHER)]
    there = [*given, *(value for t in wanted for value in t.values()), *model.parameters(), *model.buffers()]
    with PretendDevice(there) as pretend:
        total(model.loss(model(given), wanted))
        model.detect(given)
    assert pretend.problem == ""
