"""Builds every detector that the experiments, the benchmark and the commands use, torchvision's references among them."""

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.retinanet import RetinaNet as TorchvisionRetinaNet
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.models.detection.ssd import SSD as TorchvisionSSD
from torchvision.models.detection.ssd import SSDHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from course_lib.backbone import Backbone
from course_lib.default_boxes import default_boxes, level_shapes
from course_lib.preview import RETINANET, SIDES
from course_lib.retinanet import RetinaNet, pad_batch
from course_lib.sliding_window import SlidingWindowDetector, sliding_windows
from course_lib.ssd import SSD
from course_lib.two_stage import PyramidOfMaps, TwoStage, torchvision_losses
from course_lib.weights import load_weights
from course_lib.yolo import YOLO

EXTRA = (128, 128)


class FiveMaps(nn.Module):
    """The backbone and the further maps of a course SSD, in the form that torchvision's SSD wants."""

    def __init__(self, detector: SSD) -> None:
        super().__init__()
        self.base, self.extra = detector.base, detector.extra
        self.out_channels = [layer.in_channels for layer in detector.classify]

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """[B, 3, H, W] → the maps, finest first."""
        maps = self.base(x)
        for layer in self.extra:
            maps = [*maps, layer(maps[-1])]
        return OrderedDict((str(i), x) for i, x in enumerate(maps))


class GivenBoxes(nn.Module):
    """Hands the course's default boxes to torchvision's SSD."""

    def __init__(self, detector: SSD) -> None:
        super().__init__()
        self.shapes, self.image_size = detector.shapes, detector.image_size

    def num_anchors_per_location(self) -> list[int]:
        """Boxes a cell of each level."""
        return [len(shapes) for shapes in self.shapes]

    def forward(self, images: object, maps: Sequence[Tensor]) -> list[Tensor]:
        """The same boxes for each picture."""
        boxes = default_boxes(self.image_size, [tuple(x.shape[-2:]) for x in maps], self.shapes)
        return [boxes.to(maps[0].device)] * len(maps[0])


class Reference(nn.Module):
    """A detector of torchvision's, `theirs`, behind the course's interface: `forward`, `loss`, `detect`.

    `parts` names the parts of its loss that make the course's two.
    """

    parts: dict[str, tuple[str, ...]] = {"classification": ("classification",), "localization": ("bbox_regression",)}

    def __init__(self, theirs: nn.Module) -> None:
        super().__init__()
        self.theirs = theirs

    def forward(self, images: Sequence[Tensor]) -> Sequence[Tensor]:
        """The pictures themselves: torchvision's detectors want them together with the targets."""
        return images

    def loss(self, outputs: Sequence[Tensor], targets: Sequence[dict]) -> dict[str, Tensor]:
        """torchvision's parts, added up to the course's two; arguments as for `torchvision_losses`."""
        parts = torchvision_losses(self.theirs, outputs, targets)
        return {name: sum(parts[part] for part in theirs) for name, theirs in self.parts.items()}

    @torch.no_grad()
    def detect(self, images: Sequence[Tensor]) -> list[dict]:
        """Boxes, labels and scores of every picture."""
        return self.theirs(list(images))


class ReferenceSSD(Reference):
    """torchvision's SSD behind the course's interface, with the same maps, boxes and limits as a course SSD."""

    def __init__(self, detector: SSD, num_classes: int) -> None:
        maps, boxes = FiveMaps(detector), GivenBoxes(detector)
        head = SSDHead(maps.out_channels, boxes.num_anchors_per_location(), num_classes + 1)
        limits = dict(score_thresh=detector.score_threshold, nms_thresh=detector.iou_threshold)
        limits |= dict(topk_candidates=detector.top_k, detections_per_img=detector.max_detections)
        size, mean, spread = detector.image_size, [0.0] * 3, [1.0] * 3
        super().__init__(TorchvisionSSD(maps, boxes, size, num_classes + 1, mean, spread, head=head, **limits))


class GivenAnchors(AnchorGenerator):
    """Hands the anchors of a course RetinaNet to torchvision's."""

    def __init__(self, detector: RetinaNet) -> None:
        super().__init__()
        self.shapes, self.anchors = detector.shapes, detector.anchors

    def num_anchors_per_location(self) -> list[int]:
        """Anchors a cell of each level."""
        return [len(shapes) for shapes in self.shapes]

    def forward(self, images: ImageList, maps: Sequence[Tensor]) -> list[Tensor]:
        """The same anchors for each picture."""
        grids = [tuple(x.shape[-2:]) for x in maps]
        boxes = self.anchors(tuple(images.tensors.shape[-2:]), grids, self.shapes)
        return [boxes.to(maps[0].device)] * len(maps[0])


class OnlyPadding(GeneralizedRCNNTransform):
    """torchvision's way to make a batch, with the course's padding and without scaling or normalising the pictures."""

    def __init__(self, detector: RetinaNet) -> None:
        super().__init__(1, 1, [0.0] * 3, [1.0] * 3, size_divisible=detector.multiple)
        self.fill = detector.fill

    def normalize(self, image: Tensor) -> Tensor:
        """The picture itself."""
        return image

    def resize(self, image: Tensor, target: dict | None = None) -> tuple[Tensor, dict | None]:
        """The picture itself."""
        return image, target

    def batch_images(self, images: list[Tensor], size_divisible: int = 32) -> Tensor:
        """As the course's RetinaNet."""
        return pad_batch(images, size_divisible, self.fill)


class ReferenceRetinaNet(Reference):
    """torchvision's RetinaNet behind the course's interface, with base, pyramid, anchors and limits of a course RetinaNet.

    Its own are the head (of the same sizes), the matching, the losses (focal loss with a channel for background, L1 on
    offsets, both normalised by picture) and the picking (at most `top_k` candidates on each level).
    """

    def __init__(self, detector: RetinaNet, num_classes: int) -> None:
        maps, anchors, blocks = (
            PyramidOfMaps(detector.base, detector.pyramid),
            GivenAnchors(detector),
            detector.classify[:-1],
        )
        groups = [layer.num_groups for layer in blocks.modules() if isinstance(layer, nn.GroupNorm)]
        norm = partial(nn.GroupNorm, groups[0]) if groups else None
        head = RetinaNetHead(maps.out_channels, len(detector.shapes[0]), num_classes + 1, norm_layer=norm)
        for part in (head.classification_head, head.regression_head):
            part.conv = part.conv[: len(blocks)]  # of torchvision's four
        limits = dict(score_thresh=detector.score_threshold, nms_thresh=detector.iou_threshold)
        limits |= dict(topk_candidates=detector.top_k, detections_per_img=detector.max_detections)
        limits |= dict(fg_iou_thresh=detector.foreground, bg_iou_thresh=detector.background)
        super().__init__(TorchvisionRetinaNet(maps, num_classes + 1, anchor_generator=anchors, head=head, **limits))
        self.theirs.transform = OnlyPadding(detector)
        coder = BoxCoder(tuple(1 / variance for variance in detector.variances))
        self.theirs.box_coder = head.regression_head.box_coder = coder

    @torch.no_grad()
    def detect(self, images: Sequence[Tensor]) -> list[dict]:
        """Boxes, labels and scores of every picture; what its background channel "finds" is left out."""
        found = []
        for one in super().detect(images):
            things = one["labels"] > 0
            found.append({key: value[things] for key, value in one.items()} | {"scores": one["scores"][things].float()})
        return found


def base(start: str = "crops") -> Backbone:
    """The course's backbone, trained as a classifier on crops of objects ("crops") or not at all ("random")."""
    backbone = Backbone()
    if start == "crops":
        load_weights("backbone_crops", backbone)
    return backbone


def build_ssd(num_classes: int, seed: int = 0, start: str = "crops", **settings: object) -> SSD:
    """Lesson 5's detector: five levels, six boxes a cell.

    Args:
        num_classes: background not counted.
        seed: of the weights that are not loaded.
        start: as for `base`.
        settings: further arguments of `SSD`.
    """
    torch.manual_seed(seed)
    return SSD(base(start), num_classes, level_shapes(SIDES), extra=EXTRA, **settings)


def build_faster_rcnn(num_classes: int, seed: int = 0, start: str = "crops", **settings: object) -> TwoStage:
    """Lesson 8's two-stage detector: torchvision's, round the course's base and pyramid.

    Args:
        num_classes: background not counted.
        seed: of the weights that are not loaded.
        start: as for `base`.
        settings: further arguments of `TwoStage`.
    """
    torch.manual_seed(seed)
    return TwoStage(base(start), num_classes, **settings)


def build_retinanet(num_classes: int, seed: int = 0, start: str = "crops", **settings: object) -> RetinaNet:
    """Lesson 7's detector: P3 to P7 on the course's backbone, six anchors a cell as in lesson 5's SSD.

    Args:
        num_classes: background not counted.
        seed: of the weights that are not loaded.
        start: as for `base`.
        settings: further arguments of `RetinaNet`, `shapes` among them.
    """
    torch.manual_seed(seed)
    return RetinaNet(base(start), num_classes, **({"shapes": level_shapes(SIDES)} | RETINANET | settings))


def build_yolo(num_classes: int, seed: int = 0, start: str = "crops", **settings: object) -> YOLO:
    """YOLO v1 on the backbone without its last stage: an 8 × 8 grid on a picture of 128 × 128.

    Args:
        num_classes: background not counted.
        seed: of the weights that are not loaded.
        start: as for `base`.
        settings: further arguments of `YOLO`, `top` among them.
    """
    torch.manual_seed(seed)
    backbone = base(start)
    backbone.stages = backbone.stages[:2]  # the third, at stride 32, would leave 4 × 4 cells
    backbone.channels, backbone.strides = backbone.channels[:2], backbone.strides[:2]
    return YOLO(backbone, num_classes, **settings)


WINDOWS = [(side * tall, side * wide) for side in (16, 32, 64) for tall, wide in ((1, 1), (1, 2), (2, 1))]  # lesson 1's


def build_sliding_window(
    num_classes: int, seed: int = 0, start: str = "crops", stride: int = 8, **settings: object
) -> SlidingWindowDetector:
    """A classifier over the windows that lesson 1 counts: nine shapes, 1,117 windows where they move by 8 pixels.

    Args:
        num_classes: background not counted.
        seed: of the weights that are not loaded.
        start: as for `base`.
        stride: pixels from one window to the next.
        settings: further arguments of `SlidingWindowDetector`.
    """
    torch.manual_seed(seed)
    windows = torch.cat([sliding_windows((128, 128), shape, stride) for shape in WINDOWS])
    return SlidingWindowDetector(base(start), num_classes, windows, **settings)
