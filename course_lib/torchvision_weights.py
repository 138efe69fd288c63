"""torchvision's ResNet-50 RetinaNet in the course's own (lesson 9): names of the weights, anchors, the base's maps (lesson 7)."""

import re
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from torchvision.models import resnet50
from torchvision.models._utils import IntermediateLayerGetter

from course_lib.boxes import cxcywh_to_xyxy

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
