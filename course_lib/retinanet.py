"""RetinaNet (lesson 7): a feature pyramid, two towers shared by its levels, focal loss.

Source: Lin et al. 2017, "Focal loss for dense object detection".
"""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.boxes import clip_boxes, decode, pick_detections
from course_lib.checks import check_images, check_shared_shapes
from course_lib.default_boxes import default_boxes, flatten_predictions, predictor
from course_lib.fpn import FeaturePyramid
from course_lib.losses import detection_loss, focal_loss, set_prior, smooth_l1
from course_lib.matching import batch_targets


def pad_batch(images: Sequence[Tensor], multiple: int, fill: float = 0.5) -> Tensor:
    """Pictures [3, H, W] of any sizes → one batch [B, 3, H', W'], filled up on the right and at the bottom.

    No picture is moved or scaled, so boxes in its pixels stay what they are.

    Args:
        images: B pictures, floats.
        multiple: H' and W' are the smallest multiples of it that hold every picture, in pixels.
        fill: value of the new pixels.

    Raises:
        TypeError: a picture is not a float tensor.
        ValueError: no pictures, or a picture that is not [3, H, W].

    Source: as in torchvision's `GeneralizedRCNNTransform.batch_images`.
    """
    check_images(images)
    height = math.ceil(max(image.shape[1] for image in images) / multiple) * multiple
    width = math.ceil(max(image.shape[2] for image in images) / multiple) * multiple
    return torch.stack([F.pad(x, (0, width - x.shape[2], 0, height - x.shape[1]), value=fill) for x in images])


def tower(width: int, convolutions: int, k: int, n: int, group_norm: int = 0) -> nn.Sequential:
    """A few 3 × 3 convolutions, then the predictor of n numbers for each of k boxes a cell: [B, width, R, C] → [B, k·n, R, C].

    Args:
        width: channels of the map.
        convolutions: how many come before the predictor, each with a ReLU.
        k: boxes a cell.
        n: numbers a box.
        group_norm: groups of the normalisation behind each convolution, 0 for none.

    Source: Lin et al. 2017 (RetinaNet), section 4, "Classification subnet", and 4.1 for the predictor's first weights. (There
    all layers start that small; the others have PyTorch's own here, which a short training needs.) Group normalisation:
    Wu and He 2018, section 3.
    """
    layers = []
    for _ in range(convolutions):
        convolution = nn.Conv2d(width, width, kernel_size=3, padding=1, bias=not group_norm)
        norm = [nn.GroupNorm(group_norm, width)] if group_norm else []
        layers.append(nn.Sequential(convolution, *norm, nn.ReLU(inplace=True)))
    network = nn.Sequential(*layers, predictor(width, k, n))
    nn.init.normal_(network[-1].weight, std=0.01)  # so small that at the start the bias alone decides
    nn.init.zeros_(network[-1].bias)
    return network


class RetinaNet(nn.Module):
    """A dense detector with a feature pyramid; one tower says classes, one says offsets, on every level the same.

    Pictures may have any sizes, in one batch too; they are padded on the right and at the bottom.

    Args:
        base: [B, 3, H, W] → a list of maps, finest first; `base.channels` and `base.strides` describe them.
        num_classes: background not counted.
        shapes: one [k, 2] tensor of anchor widths and heights a level, in pixels, with the same k on every level. If there
            are more levels than maps of the base, the pyramid makes the others (P6, P7).
        width: channels of the pyramid and the towers.
        convolutions: of each tower before its predictor.
        group_norm: groups of the normalisation in the towers, 0 for none; torchvision's second version has 32.
        prior: score of every anchor and class at the start.
        p6_from: "C5" or "P5", as for `FeaturePyramid`.
        anchors: (image_size, grids, shapes) → [M, 4]; SSD's default boxes, under another name.
        multiple: padded height and width are multiples of it; None for the coarsest level's stride, so that no map is odd.
        fill: value of padded pixels.
        classification: (logits, classes [B, M]) → loss [B, M].
        localization: (predicted [P, 4], true [P, 4]) → loss [P].
        decoded: False compares offsets, True the boxes they lead to, in pixels (for `giou_loss`).
        variances: as for `encode`.
        foreground, background: as for `match`; anchors between the two are left out of the loss.
        score_threshold, iou_threshold, top_k, max_detections: as for `pick_detections`.

    Raises:
        ValueError: levels and shapes do not fit, or a setting is out of its range.

    Source: Lin et al. 2017 (RetinaNet), sections 4 and 4.1.
    """

    def __init__(
        self,
        base: nn.Module,
        num_classes: int,
        shapes: Sequence[Tensor],
        *,
        width: int = 256,
        convolutions: int = 4,
        group_norm: int = 0,
        prior: float = 0.01,
        p6_from: str = "C5",
        anchors: Callable[..., Tensor] = default_boxes,
        multiple: int | None = None,
        fill: float = 0.5,
        classification: Callable[[Tensor, Tensor], Tensor] = focal_loss,
        localization: Callable[[Tensor, Tensor], Tensor] = smooth_l1,
        decoded: bool = False,
        variances: tuple[float, ...] = (0.1, 0.1, 0.2, 0.2),
        foreground: float = 0.5,
        background: float = 0.4,
        score_threshold: float = 0.05,
        iou_threshold: float = 0.5,
        top_k: int = 1000,
        max_detections: int = 100,
    ) -> None:
        check_shared_shapes(shapes, len(base.channels))
        super().__init__()
        self.base, self.num_classes, self.shapes, self.anchors = base, num_classes, shapes, anchors
        self.classification, self.localization, self.decoded = classification, localization, decoded
        self.variances, self.foreground, self.background = variances, foreground, background
        self.score_threshold, self.iou_threshold = score_threshold, iou_threshold
        self.top_k, self.max_detections = top_k, max_detections
        k, extra = len(shapes[0]), len(shapes) - len(base.channels)
        self.multiple, self.fill = multiple or base.strides[-1] * 2**extra, fill
        self.pyramid = FeaturePyramid(base.channels, width, extra, p6_from)
        self.classify = tower(width, convolutions, k, num_classes, group_norm)
        self.locate = tower(width, convolutions, k, 4, group_norm)
        set_prior([self.classify[-1]], prior)

    def forward(self, images: Sequence[Tensor]) -> dict[str, Tensor]:
        """Pictures [3, H, W] of any sizes → logits [B, M, n], offsets [B, M, 4], boxes [M, 4]; float32 or wider.

        Boxes are in pixels from the upper left corner, which padding does not move.
        """
        batch = pad_batch(images, self.multiple, self.fill)
        maps = self.pyramid(self.base(batch))
        boxes = self.anchors(tuple(batch.shape[-2:]), [tuple(x.shape[-2:]) for x in maps], self.shapes)
        logits = torch.cat([flatten_predictions(self.classify(x), self.num_classes) for x in maps], dim=1)
        offsets = torch.cat([flatten_predictions(self.locate(x), 4) for x in maps], dim=1)
        precise = torch.promote_types(logits.dtype, torch.float32)  # half precision is widened, double stays
        return {"logits": logits.to(precise), "offsets": offsets.to(precise), "boxes": boxes.to(logits.device, precise)}

    def loss(self, outputs: dict[str, Tensor], targets: Sequence[dict]) -> dict[str, Tensor]:
        """Named parts, each a sum over the anchors that count, divided by the number of positive ones (at least 1).

        Args:
            outputs: as `forward` gives them.
            targets: one dict(boxes, labels) a picture, optionally `difficult`; a picture may have no objects.

        Source: Lin et al. 2017 (RetinaNet), section 4.1, both parts with weight 1.
        """
        classes, offsets = batch_targets(targets, outputs["boxes"], self.foreground, self.background, self.variances)
        if self.decoded:
            outputs = outputs | {"offsets": decode(outputs["offsets"], outputs["boxes"], self.variances)}
            offsets = decode(offsets, outputs["boxes"], self.variances)
        return detection_loss(outputs, classes, offsets, self.classification, self.localization)

    @torch.no_grad()
    def detect(self, images: Sequence[Tensor]) -> list[dict]:
        """Boxes (clipped to their own picture), labels and scores of every picture, best score first.

        Call `eval()` before: a detector in training mode normalises by the batch it is shown.
        """
        outputs = self(images)
        boxes = decode(outputs["offsets"], outputs["boxes"], self.variances)
        limits = self.score_threshold, self.iou_threshold, self.top_k, self.max_detections
        found = zip(images, boxes, outputs["logits"].sigmoid(), strict=True)
        return [pick_detections(clip_boxes(box, image.shape[-2:]), score, *limits) for image, box, score in found]
