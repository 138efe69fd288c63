"""The course's RetinaNet as torchvision's two ResNet-50 versions: weights by name, anchors, losses, each difference named.

`resnet50_retinanet("v1", n)` and `("v2", n)` are set up like torchvision's `retinanet_resnet50_fpn` and `…_v2` for n
classes; `torchvision_weights.from_torchvision` renames a state dict, `to_torchvision` turns it back. Pictures go in normalised
(torchvision does that in its transform) and are padded with 0.
"""

from collections.abc import Iterable, Sequence
from copy import copy

import torch
from torch import Tensor, nn
from torchvision.models.detection import RetinaNet as TorchvisionRetinaNet
from torchvision.ops import box_iou

from course_lib.boxes import decode
from course_lib.losses import detection_loss, focal_loss, giou_loss, smooth_l1
from course_lib.matching import match_targets
from course_lib.retinanet import RetinaNet
from course_lib.torchvision_weights import (
    CLASS_LAYER,
    ResNet50Maps,
    key_map,
    torchvision_anchors,
    torchvision_shapes,
)


def l1(predicted: Tensor, true: Tensor) -> Tensor:
    """The sum of the absolute differences: [..., 4], [..., 4] → [...]."""
    return (predicted - true).abs().sum(dim=-1)


VERSIONS = {  # the switches between the two (the last two are one); the fourth is the norm_layer of the base
    "v1": {"p6_from": "P5", "group_norm": 0, "localization": l1, "decoded": False},
    "v2": {"p6_from": "C5", "group_norm": 32, "localization": giou_loss, "decoded": True},
}


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
