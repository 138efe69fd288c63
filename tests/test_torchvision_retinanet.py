"""Ours equals torchvision's ResNet-50 RetinaNet, version 1 and 2; every difference is named, sized and switched.

Convolutions run in float64. Batches: one picture of 128 × 128, and two of 40 × 90 and 64 × 70 pixels, which torchvision
pads to 64 × 96: maps of 8 × 12, 4 × 6, 2 × 3, 1 × 2 and 1 × 1.
"""

import copy
import re
from functools import cache
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torchvision.models.detection import retinanet_resnet50_fpn, retinanet_resnet50_fpn_v2
from torchvision.models.detection._utils import Matcher
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.retinanet import _default_anchorgen
from torchvision.ops import FrozenBatchNorm2d, batched_nms, box_iou

from course_lib.boxes import iou, nms_per_class
from course_lib.default_boxes import default_boxes
from course_lib.experiments.detectors import ReferenceRetinaNet, build_retinanet
from course_lib.experiments.torchvision_retinanet import loss_ladder, resnet50_retinanet, to_torchvision
from course_lib.matching import BACKGROUND, match
from course_lib.torchvision_weights import (
    NAMES,
    ResNet50Maps,
    from_torchvision,
    key_map,
    torchvision_anchors,
    torchvision_shapes,
)

CLASSES = 3
BUILD = {"v1": retinanet_resnet50_fpn, "v2": retinanet_resnet50_fpn_v2}
BATCHES = {"128 × 128": [(128, 128)], "odd, H ≠ W, mixed": [(40, 90), (64, 70)]}
OBJECTS = [
    {"boxes": torch.tensor([[3.0, 5, 40, 36], [30, 2, 88, 38]]), "labels": torch.tensor([2, 3])},
    {"boxes": torch.tensor([[9.0, 11, 61, 57]]), "labels": torch.tensor([1])},
]
both_versions = pytest.mark.parametrize("version", ["v1", "v2"])
both_batches = pytest.mark.parametrize("batch", BATCHES)


@cache
def models(version: str) -> SimpleNamespace:
    """torchvision's detector with weights, statistics and biases that are not those of a fresh one; ours shares them."""
    with torch.device("meta"):  # no first weights, which take seconds
        theirs = BUILD[version](weights=None, weights_backbone=None, num_classes=CLASSES + 1).double()
        ours = resnet50_retinanet(version, CLASSES, ResNet50Maps())
    theirs.to_empty(device="cpu").eval()
    torch.manual_seed(0)
    for layer in theirs.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=layer.weight[0].numel() ** -0.5)
        if isinstance(layer, (nn.BatchNorm2d, nn.GroupNorm)):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.running_mean, std=0.1), nn.init.uniform_(layer.running_var, 0.5, 1.5)
            layer.num_batches_tracked.zero_()
        if getattr(layer, "bias", None) is not None:
            nn.init.normal_(layer.bias, std=0.1)
    for predictor, bias in (
        (theirs.head.classification_head.cls_logits, -3.0),
        (theirs.head.regression_head.bbox_reg, 0.0),
    ):
        predictor.weight.data *= 0.1
        predictor.bias.data += bias
    state = theirs.state_dict()
    weights, background = from_torchvision(state)
    ours.load_state_dict(weights, assign=True)
    ours.shapes = torchvision_shapes()  # those made above have no numbers
    return SimpleNamespace(theirs=theirs, ours=ours.eval(), state=state, weights=weights, background=background)


@cache
def outputs(version: str, batch: str) -> SimpleNamespace:
    """What both say about the same pictures."""
    pair, generator = models(version), torch.Generator().manual_seed(1)
    images = [torch.randn(3, *size, generator=generator).double() for size in BATCHES[batch]]  # normalised pictures
    padded = pair.theirs.transform.batch_images(images, 32)
    with torch.no_grad():
        features = list(pair.theirs.backbone(padded).values())
        said = pair.theirs.head(features)
        kept = []
        handle = pair.ours.pyramid.register_forward_hook(lambda module, given, result: kept.extend(result))
        mine = pair.ours(images)
        handle.remove()
    images_list = ImageList(padded, [tuple(image.shape[-2:]) for image in images])
    anchors = pair.theirs.anchor_generator(images_list, features)
    return SimpleNamespace(
        images=images, padded=padded, features=features, said=said, mine=mine, maps=kept, anchors=anchors
    )


# ---------------------------------------------------------------- names


@both_versions
def test_every_key_of_both_sides_has_one_name(version):
    pair = models(version)
    names = key_map(pair.state)
    assert len(set(names.values())) == len(names) == len(pair.state)
    assert set(names.values()) == set(pair.ours.state_dict())
    assert all(any(re.fullmatch(pattern, key) for key in pair.state) for pattern, _ in NAMES)  # no row is idle
    numbers = sum(value.numel() for value in pair.state.values())
    aside = sum(value.numel() for value in pair.background.values())
    assert sum(value.numel() for value in pair.weights.values()) == numbers - aside
    assert aside == 9 * (256 * 9 + 1)  # one channel for each of nine anchors


@both_versions
def test_there_and_back(version):
    pair = models(version)
    back = to_torchvision(pair.weights, pair.background, pair.state)
    assert list(back) == list(pair.state) and all(torch.equal(back[key], pair.state[key]) for key in back)


def test_numbers_of_parameters():
    """torchvision's own documentation, for 91 classes: version 1 with frozen normalisation; version 2."""
    per_class = 9 * (256 * 9 + 1)
    for version, documented in (("v1", 34_014_999 + 53_120), ("v2", 38_198_935)):
        count = sum(p.numel() for p in models(version).ours.parameters())
        assert count + (91 - CLASSES) * per_class == documented


def test_foreign_weights_are_named():
    with pytest.raises(ValueError, match="backbone.fpn.inner_blocks.0.weight: 0 rows"):
        from_torchvision({"backbone.fpn.inner_blocks.0.weight": torch.zeros(1)})
    with pytest.raises(KeyError):
        resnet50_retinanet("v3", 2, ResNet50Maps)


# ---------------------------------------------------------------- anchors


def test_shapes_of_anchors():
    theirs = _default_anchorgen().cell_anchors
    for mine, corners in zip(torchvision_shapes(), theirs, strict=True):
        assert torch.equal(torch.cat([-mine, mine], dim=1) / 2, corners)
    assert torchvision_shapes([[101, 203]], [1.0])[0].tolist() == [[100.0, 100], [204, 204]]  # half to even
    high = torchvision_shapes([[32]], [2.0])[0][0]
    assert high[1] > high[0]  # ratio is height : width


@pytest.mark.parametrize("size", [(128, 128), (64, 96), (800, 1344), (224, 160)])
def test_anchors_equal_theirs(size):
    grids = [tuple(-(-side // stride) for side in size) for stride in (8, 16, 32, 64, 128)]
    maps = [torch.zeros(1, 1, *grid) for grid in grids]
    theirs = _default_anchorgen()(ImageList(torch.zeros(1, 3, *size), [size]), maps)[0]
    ours = torchvision_anchors(size, grids)
    assert torch.equal(ours, theirs)
    between = default_boxes(size, grids, torchvision_shapes()) - ours
    assert torch.allclose(between[0], torch.tensor(4.0))  # half a stride on the finest level
    if size == (800, 1344):
        coarse = ours[-9 * 7 * 11 :].reshape(7, 11, 9, 4)
        centre = coarse[1, 1, :, :2] + coarse[1, 1, :, 2:]
        assert (centre / 2).tolist() == [[122.0, 114.0]] * 9  # strides of P7, not 128


# ---------------------------------------------------------------- features, logits, offsets


@both_batches
@both_versions
def test_outputs_equal_theirs(version, batch):
    seen = outputs(version, batch)
    for mine, theirs in zip(seen.maps, seen.features, strict=True):
        assert mine.shape == theirs.shape and theirs.std() > 0.01
        assert (mine - theirs).abs().max() < 1e-10 * theirs.abs().max().clamp(min=1)
    assert torch.allclose(seen.mine["logits"], seen.said["cls_logits"][..., 1:], rtol=0, atol=1e-10)
    assert torch.allclose(seen.mine["offsets"], seen.said["bbox_regression"], rtol=0, atol=1e-10)
    assert all(torch.equal(seen.mine["boxes"], anchors) for anchors in seen.anchors)
    assert seen.said["cls_logits"].std() > 1e-3 and seen.mine["logits"].dtype == torch.float64


def test_frozen_normalisation():
    """The fourth switch: numbers that no batch changes, the same features, also in training mode."""
    pair, seen = models("v1"), outputs("v1", "odd, H ≠ W, mixed")
    with torch.device("meta"):
        base = ResNet50Maps(FrozenBatchNorm2d)
    weights = {key[5:]: value.double() for key, value in pair.weights.items() if key.startswith("base.")}
    base.load_state_dict(weights, assign=True)  # the counters of batches are dropped
    assert sum(p.numel() for p in base.parameters()) + 53_120 == sum(p.numel() for p in pair.ours.base.parameters())
    with torch.no_grad():
        one = seen.padded[:1]
        frozen, normal = base.train()(one), pair.theirs.backbone.body(one).values()
    for mine, theirs in zip(frozen, normal, strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-10, atol=1e-10)


# ---------------------------------------------------------------- loss


def spread(version: str, scores: float = 1.0, offsets: float = 0.3) -> tuple[dict, dict]:
    """Outputs on the mixed batch, ours and theirs, with predictions that differ from anchor to anchor."""
    seen, generator = outputs(version, "odd, H ≠ W, mixed"), torch.Generator().manual_seed(2)
    shift = scores * torch.randn(seen.said["cls_logits"].shape, generator=generator).double()
    move = offsets * torch.randn(seen.said["bbox_regression"].shape, generator=generator).double()
    said = {"cls_logits": seen.said["cls_logits"] + shift, "bbox_regression": seen.said["bbox_regression"] + move}
    mine = {"logits": seen.mine["logits"] + shift[..., 1:], "offsets": seen.mine["offsets"] + move}
    return mine | {"boxes": seen.mine["boxes"]}, said


@both_versions
def test_loss_equals_theirs_once_each_difference_is_switched(version):
    pair, seen = models(version), outputs(version, "odd, H ≠ W, mixed")
    mine, said = spread(version)
    targets = [{"boxes": t["boxes"].double(), "labels": t["labels"]} for t in OBJECTS]
    targets[1]["boxes"] = torch.tensor([[50.0, 30, 58, 37]]).double()  # it lies in many anchors, all equally good
    theirs = pair.theirs.compute_loss(targets, said, seen.anchors)
    rungs = loss_ladder(pair.ours, pair.theirs, mine, said["cls_logits"][..., 0], targets)
    assert list(rungs) == ["ours", "box loss", "normalised by picture", "matching", "channel 0"]
    top = rungs["channel 0"]
    assert abs(top["classification"] - theirs["classification"]) < 1e-10
    assert abs(top["localization"] - theirs["bbox_regression"]) < 1e-10
    only = {"box loss": {"localization"}, "channel 0": {"classification"}}
    for before, after in pairwise(rungs):
        changed = {part for part in top if abs(rungs[after][part] - rungs[before][part]) > 0.01}
        assert changed == only.get(after, {"classification", "localization"}), f"{before} → {after}"


def test_targets_without_objects():
    pair, seen = models("v1"), outputs("v1", "odd, H ≠ W, mixed")
    mine, said = spread("v1")
    nothing = [{"boxes": torch.zeros(0, 4).double(), "labels": torch.zeros(0, dtype=torch.int64)}] * 2
    theirs = pair.theirs.compute_loss(nothing, said, seen.anchors)
    rungs = loss_ladder(pair.ours, pair.theirs, mine, said["cls_logits"][..., 0], nothing)
    assert abs(rungs["channel 0"]["classification"] - theirs["classification"]) < 1e-10
    assert rungs["channel 0"]["localization"] == theirs["bbox_regression"] == 0
    assert torch.isclose(
        rungs["ours"]["classification"], 2 * rungs["matching"]["classification"]
    )  # one normaliser, not two


# ---------------------------------------------------------------- detections


@both_versions
def test_detections_are_the_same_set(version):
    """With fewer than 1,000 candidates a level and in all, and with torchvision's background channel silent."""
    pair, seen = models(version), outputs(version, "odd, H ≠ W, mixed")
    mine, said = spread(version)
    said["cls_logits"][..., 0] = -20.0
    levels = [9 * x.shape[2] * x.shape[3] for x in seen.features]
    split = {key: list(value.split(levels, dim=1)) for key, value in said.items()}
    anchors = [list(boxes.split(levels)) for boxes in seen.anchors]
    ours, theirs = copy.copy(pair.ours), copy.copy(pair.theirs)
    ours.forward, ours.score_threshold, theirs.score_thresh = (lambda images: mine), 0.1, 0.1
    assert 300 < max((mine["logits"].sigmoid() > 0.1).sum(dim=(1, 2))) < 1000
    theirs = theirs.postprocess_detections(split, anchors, BATCHES["odd, H ≠ W, mixed"])
    for a, b, size in zip(ours.detect(seen.images), theirs, BATCHES["odd, H ≠ W, mixed"], strict=True):
        assert 20 < len(a["scores"]) < 300 and torch.equal(a["labels"], b["labels"])
        assert torch.allclose(a["scores"], b["scores"], rtol=0, atol=1e-10) and torch.allclose(
            a["boxes"], b["boxes"], rtol=0, atol=1e-10
        )
        assert a["boxes"][:, 2].max() <= size[1] and a["boxes"][:, 3].max() <= size[0]


def test_top_candidates_are_counted_over_all_levels_not_on_each():
    """What is left different: torchvision lets each level send its best to suppression, ours the best of all levels."""
    pair, seen = models("v1"), outputs("v1", "odd, H ≠ W, mixed")
    mine, _ = spread("v1")
    ours = copy.copy(pair.ours)
    ours.forward, ours.top_k = (lambda images: mine), 40
    for found, logits in zip(ours.detect(seen.images), mine["logits"], strict=True):
        best = logits.sigmoid().flatten().topk(40).values
        assert torch.isin(found["scores"], best).all()


# ---------------------------------------------------------------- two bugs that shipped


def test_an_object_that_overlaps_no_anchor():
    """Its best IoU is 0, and so is everybody's: torchvision's matcher hands it every anchor. Ours gives it the nearest."""
    anchors = default_boxes((64, 96), [(2, 3)], [torch.tensor([[8.0, 8]])])  # centres 16, 48, 80 and 16, 48
    lost = torch.tensor([[60.0, 26, 64, 30]])
    assert not iou(lost, anchors).any()
    assert Matcher(0.5, 0.4, allow_low_quality_matches=True)(box_iou(lost, anchors)).tolist() == [0] * 6
    assert match(lost, anchors, 0.5, 0.4).tolist() == [BACKGROUND, 0, *[BACKGROUND] * 4]


def test_two_objects_one_of_which_overlaps_no_anchor():
    """The case of a real picture: every anchor without overlap becomes an example of the first object in the list."""
    quality = torch.tensor([[0.0, 0, 0, 0], [0.6, 0.2, 0.45, 0]])
    assert Matcher(0.5, 0.4, allow_low_quality_matches=True)(quality).tolist() == [1, 1, 1, 0]


@pytest.mark.parametrize("label, agree", [(1, True), (90, False)])
def test_suppression_has_two_codes(label, agree):
    """Two boxes with an IoU of .5001, far to the right among a picture's: one goes, unless rounding saves it.

    Up to 1,000 boxes torchvision shifts every class by label · (largest coordinate + 1) and suppresses all at once; in
    float32 an edge near 120,000 is a multiple of 1/128. Above, it goes class by class, as ours always does.
    """
    pair = torch.tensor([[1290.0, 10, 1300, 20], [1290.0, 10, 1300, 15.0012]])
    answers = []
    for count in (998, 999):  # 1,000 boxes, and one more
        far = 1.3 * torch.arange(count)[:, None] + torch.tensor([0.0, 100, 1, 101])
        far[:, 1::2] -= 1.3 * torch.arange(count)[:, None]
        boxes, labels = torch.cat([pair, far]), torch.full((count + 2,), label)
        scores = torch.linspace(0.9, 0.1, count + 2)
        kept = batched_nms(boxes, scores, labels, 0.5).tolist()
        assert nms_per_class(boxes, scores, labels, 0.5).tolist()[:2] == [0, 2]
        answers.append(1 in kept)
    assert answers == [not agree, False]


# ---------------------------------------------------------------- the reference in the experiments


def test_reference_has_the_same_parts():
    """ReferenceRetinaNet: same padding, anchors and head sizes as the course's detector, weights handed over by name."""
    ours = build_retinanet(CLASSES, start="random", score_threshold=0.011).eval()
    theirs = ReferenceRetinaNet(build_retinanet(CLASSES, start="random", score_threshold=0.011), CLASSES).eval()
    head = theirs.theirs.head
    assert sum(p.numel() for p in theirs.parameters()) - sum(p.numel() for p in ours.parameters()) == 6 * (9 * 64 + 1)
    images = [torch.rand(3, 100, 128), torch.rand(3, 128, 70)]
    batch, _ = theirs.theirs.transform(images, None)
    features = list(theirs.theirs.backbone(batch.tensors).values())
    assert torch.equal(theirs.theirs.anchor_generator(batch, features)[1], ours(images)["boxes"])
    assert len(head.classification_head.conv) == 2 and isinstance(head.classification_head.conv[0][1], nn.GroupNorm)
    assert isinstance(theirs.theirs.anchor_generator, AnchorGenerator)
    for found in theirs.detect(images):
        assert len(found["labels"]) and found["labels"].min() >= 1
