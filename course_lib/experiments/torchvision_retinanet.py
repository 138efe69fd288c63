"""The course's RetinaNet as torchvision's two ResNet-50 versions: weights by name, anchors, losses, each difference named.

`resnet50_retinanet("v1", n)` and `("v2", n)` are set up like torchvision's `retinanet_resnet50_fpn` and `…_v2` for n
classes; `from_torchvision` renames a state dict, `to_torchvision` turns it back. Pictures go in normalised
(torchvision does that in its transform) and are padded with 0.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from copy import copy

import torch
from torch import Tensor, nn
from torchvision.models import resnet50
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection import RetinaNet as TorchvisionRetinaNet
from torchvision.ops import box_iou

from course_lib.boxes import cxcywh_to_xyxy, decode
from course_lib.losses import detection_loss, focal_loss, giou_loss, smooth_l1
from course_lib.matching import match_targets
from course_lib.retinanet import RetinaNet

SIZES = tuple((s, int(s * 2 ** (1 / 3)), int(s * 2 ** (2 / 3))) for s in (32, 64, 128, 256, 512))
RATIOS = (0.5, 1.0, 2.0)  # height : width, the inverse of the course's
NAMES = (  # torchvision's names → the course's; every key of a state dict matches exactly one row
    (r"backbone\.body\.(.+)", r"base.\1"),
    (r"backbone\.fpn\.inner_blocks\.(\d)\.0\.(\w+)", r"pyramid.lateral.\1.\2"),
    (r"backbone\.fpn\.layer_blocks\.(\d)\.0\.(\w+)", r"pyramid.smooth.\1.\2"),
    (r"backbone\.fpn\.extra_blocks\.p6\.(\w+)", r"pyramid.extra.0.\1"),
    (r"backbone\.fpn\.extra_blocks\.p7\.(\w+)", r"pyramid.extra.1.\1"),
    (r"head\.classification_head\.conv\.(.+)", r"classify.\1"),
    (r"head\.classification_head\.cls_logits\.(\w+)", r"classify.4.\1"),
    (r"head\.regression_head\.conv\.(.+)", r"locate.\1"),
    (r"head\.regression_head\.bbox_reg\.(\w+)", r"locate.4.\1"),
)
CLASS_LAYER = ("classify.4.weight", "classify.4.bias")


class ResNet50Maps(IntermediateLayerGetter):
    """torchvision's ResNet-50 without its last layers: C3, C4, C5 in a list.

    Args:
        norm_layer: `nn.BatchNorm2d`, or `torchvision.ops.FrozenBatchNorm2d` as in the first version with given weights
            (with those trained on COCO, its `eps` is 0).
    """

    channels, strides = (512, 1024, 2048), (8, 16, 32)

    def __init__(self, norm_layer: Callable[[int], nn.Module] = nn.BatchNorm2d) -> None:
        super().__init__(resnet50(norm_layer=norm_layer), {"layer2": "C3", "layer3": "C4", "layer4": "C5"})

    def forward(self, x: Tensor) -> list[Tensor]:
        """[B, 3, H, W] → [B, 512, H/8, W/8], [B, 1024, H/16, W/16], [B, 2048, H/32, W/32]."""
        return list(super().forward(x).values())


def l1(predicted: Tensor, true: Tensor) -> Tensor:
    """The sum of the absolute differences: [..., 4], [..., 4] → [...]."""
    return (predicted - true).abs().sum(dim=-1)


VERSIONS = {  # the switches between the two (the last two are one); the fourth is the norm_layer of the base
    "v1": {"p6_from": "P5", "group_norm": 0, "localization": l1, "decoded": False},
    "v2": {"p6_from": "C5", "group_norm": 32, "localization": giou_loss, "decoded": True},
}


def torchvision_shapes(sizes: Sequence[Sequence[float]] = SIZES, ratios: Sequence[float] = RATIOS) -> list[Tensor]:
    """Widths and heights [k, 2] of torchvision's anchors of every level, in pixels.

    Ratios go outside, sizes inside. Half a side is rounded, half to even, so a square of 101 is 100 pixels wide.
    """
    high = torch.tensor(ratios).sqrt()[:, None]
    factors = torch.stack([1 / high, high], dim=-1)  # [ratios, 1, 2]
    return [2 * (factors * torch.tensor(side)[:, None] / 2).round().reshape(-1, 2) for side in sizes]


def torchvision_anchors(
    image_size: tuple[int, int], grids: Sequence[tuple[int, int]], shapes: Sequence[Tensor] | None = None
) -> Tensor:
    """Anchors [M, 4] as torchvision places them, xyxy pixels: the first centre is (0, 0), and strides are whole numbers.

    The course's `default_boxes` lie half a stride further right and down, and where a map is odd, at broken strides.

    Args:
        image_size: (H, W) of the padded pictures.
        grids: (rows, columns) of each level's map.
        shapes: widths and heights of each level; None for `torchvision_shapes()`.
    """
    levels = []
    for (rows, columns), sizes in zip(grids, torchvision_shapes() if shapes is None else shapes, strict=True):
        y = torch.arange(rows) * (image_size[0] // rows)
        x = torch.arange(columns) * (image_size[1] // columns)
        centres = torch.cartesian_prod(y, x).flip(1)[:, None].expand(-1, len(sizes), -1)  # [cells, k, 2]
        boxes = torch.cat([centres, sizes.expand(len(centres), -1, -1)], dim=-1)  # [cells, k, 4]
        levels.append(cxcywh_to_xyxy(boxes).reshape(-1, 4))
    return torch.cat(levels)


def resnet50_retinanet(version: str, num_classes: int, base: nn.Module | None = None, **settings: object) -> RetinaNet:
    """The course's RetinaNet with every setting of torchvision's `version`, "v1" or "v2", for `num_classes` classes.

    Args:
        version: a key of `VERSIONS`.
        num_classes: background not counted; torchvision's `num_classes` is one more.
        base: `ResNet50Maps()` by default.
        settings: further arguments of `RetinaNet`.
    """
    same = {"anchors": torchvision_anchors, "multiple": 32, "fill": 0.0, "variances": (1.0,) * 4, "max_detections": 300}
    settings = same | VERSIONS[version] | settings
    return RetinaNet(base or ResNet50Maps(), num_classes, torchvision_shapes(), **settings)


def key_map(keys: Iterable[str]) -> dict[str, str]:
    """The course's name of each of torchvision's keys.

    Raises:
        ValueError: names a key that no row of the table, or more than one, describes.
    """
    names = {}
    for key in keys:
        fits = [re.sub(pattern, name, key) for pattern, name in NAMES if re.fullmatch(pattern, key)]
        if len(fits) != 1:
            raise ValueError(f"{key}: {len(fits)} rows of NAMES describe it; is this torchvision's RetinaNet?")
        names[key] = fits[0]
    return names


def from_torchvision(state: dict[str, Tensor], k: int = 9) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A state dict of torchvision's RetinaNet → one of the course's, and the channel 0 that it has no use for.

    Args:
        state: as `state_dict()` gives it.
        k: anchors a cell; their class channels lie one after the other, each with a background channel that learns "no".

    Returns:
        The renamed weights, and those of the background channels.
    """
    ours, background = {name: state[key] for key, name in key_map(state).items()}, {}
    for name in CLASS_LAYER:
        anchors = ours[name].unflatten(0, (k, -1))  # [k · (n + 1), …] → [k, n + 1, …]
        ours[name], background[name] = anchors[:, 1:].flatten(0, 1), anchors[:, :1]
    return ours, background


def to_torchvision(
    ours: dict[str, Tensor], background: dict[str, Tensor], keys: Iterable[str], k: int = 9
) -> dict[str, Tensor]:
    """The inverse of `from_torchvision`; `keys` are those of torchvision's state dict."""
    whole = dict(ours)
    for name in CLASS_LAYER:
        whole[name] = torch.cat([background[name], ours[name].unflatten(0, (k, -1))], dim=1).flatten(0, 1)
    return {key: whole[name] for key, name in key_map(keys).items()}


def torchvision_targets(
    theirs: TorchvisionRetinaNet, targets: Sequence[dict], boxes: Tensor, variances: tuple[float, ...]
) -> tuple[Tensor, Tensor]:
    """What `batch_targets` gives, but with torchvision's matcher: of equally good anchors an object takes all."""
    rows = []
    for target in targets:
        matches = torch.full((len(boxes),), -1, device=boxes.device)
        if len(target["boxes"]):
            matches = theirs.proposal_matcher(box_iou(target["boxes"], boxes))
        rows.append(match_targets(target, boxes, matches, variances))
    classes, offsets = zip(*rows, strict=True)
    return torch.stack(classes), torch.stack(offsets)


def loss_ladder(
    ours: RetinaNet,
    theirs: TorchvisionRetinaNet,
    outputs: dict[str, Tensor],
    background: Tensor,
    targets: Sequence[dict],
) -> dict[str, dict[str, Tensor]]:
    """From the course's loss to torchvision's, one difference at a time; each rung keeps those before it.

    Args:
        ours: set up as `resnet50_retinanet` does, so with torchvision's box loss; the first rung has smooth L1 instead.
        theirs: its matcher is used.
        outputs: logits, offsets and boxes, as `ours` gives them.
        background: logits [B, M] of torchvision's channel 0.
        targets: one dict(boxes, labels) a picture.

    Returns:
        Both parts of the loss on each rung: "ours", "box loss", "normalised by picture", "matching", "channel 0".
    """
    plain = copy(ours)
    plain.localization, plain.decoded = smooth_l1, False
    by_picture, matched, with_background = [], [], []
    for i, target in enumerate(targets):
        one = {name: part if name == "boxes" else part[i : i + 1] for name, part in outputs.items()}
        classes, offsets = torchvision_targets(theirs, [target], outputs["boxes"], ours.variances)
        by_picture.append(ours.loss(one, [target]))
        if ours.decoded:
            one = one | {"offsets": decode(one["offsets"], one["boxes"], ours.variances)}
            offsets = decode(offsets, one["boxes"], ours.variances)
        matched.append(detection_loss(one, classes, offsets, ours.classification, ours.localization))
        share = focal_loss(background[i : i + 1, :, None], classes.clamp(max=0)).sum() / (classes > 0).sum().clamp(
            min=1
        )
        with_background.append(matched[-1] | {"classification": matched[-1]["classification"] + share})
    rungs = {"ours": [plain.loss(outputs, targets)], "box loss": [ours.loss(outputs, targets)]}
    rungs |= {"normalised by picture": by_picture, "matching": matched, "channel 0": with_background}
    return {
        name: {part: torch.stack([losses[part] for losses in rung]).mean() for part in rung[0]}
        for name, rung in rungs.items()
    }
