"""SSD (lesson 5): feature maps at several strides, default boxes on each, two predictors a map, one loss.

Source: Liu et al. 2016, "SSD: Single Shot MultiBox Detector".
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from course_lib.boxes import clip_boxes, decode, pick_detections
from course_lib.checks import check_head, check_same_size
from course_lib.default_boxes import default_boxes, flatten_predictions, predictor
from course_lib.losses import detection_loss, mined_cross_entropy, sigmoid_cross_entropy, softmax_cross_entropy
from course_lib.matching import batch_targets


class SSD(nn.Module):
    """A single-shot detector on a base with several maps, and `extra` maps of half the size each on top.

    Pictures have a fixed size, `image_size`: its boxes are chosen for it.

    Args:
        base: [B, 3, H, W] → a list of maps; `base.channels` names the channels of each.
        num_classes: background not counted.
        shapes: one [k, 2] tensor of box widths and heights a level, in pixels.
        image_size: (H, W) of every picture.
        extra: channels of the further maps.
        head: "softmax" scores n + 1 classes, background among them; "sigmoid" asks one question a class.
        classification: (logits, classes [B, M]) → loss [B, M]; None for the head's cross-entropy over positive boxes
            and hard negatives.
        score_threshold, iou_threshold, top_k, max_detections: as for `pick_detections`.

    Source: Liu et al. 2016 (SSD), section 2.
    """

    def __init__(
        self,
        base: nn.Module,
        num_classes: int,
        shapes: Sequence[Tensor],
        image_size: tuple[int, int] = (128, 128),
        extra: Sequence[int] = (128, 128),
        head: str = "softmax",
        classification: Callable[[Tensor, Tensor], Tensor] | None = None,
        score_threshold: float = 0.05,
        iou_threshold: float = 0.45,
        top_k: int = 200,
        max_detections: int = 100,
    ) -> None:
        check_head(head)
        super().__init__()
        self.base, self.shapes, self.image_size, self.head = base, shapes, image_size, head
        self.score_threshold, self.iou_threshold = score_threshold, iou_threshold
        self.top_k, self.max_detections = top_k, max_detections
        cross_entropy = softmax_cross_entropy if head == "softmax" else sigmoid_cross_entropy
        self.classification = classification or partial(mined_cross_entropy, cross_entropy=cross_entropy)
        channels = list(base.channels)
        self.extra = nn.ModuleList()
        for width in extra:
            shrink = nn.Conv2d(channels[-1], width, kernel_size=3, stride=2, padding=1)
            self.extra.append(nn.Sequential(shrink, nn.ReLU()))
            channels.append(width)
        self.numbers = num_classes + 1 if head == "softmax" else num_classes
        self.classify = nn.ModuleList(predictor(c, len(s), self.numbers) for c, s in zip(channels, shapes, strict=True))
        self.locate = nn.ModuleList(predictor(c, len(s), 4) for c, s in zip(channels, shapes, strict=True))

    def forward(self, images: Sequence[Tensor]) -> dict[str, Tensor]:
        """Pictures [3, H, W] → logits [B, M, n + 1] (sigmoid head: [B, M, n]), offsets [B, M, 4], boxes [M, 4]; float32.

        Raises:
            ValueError: a picture is not of the detector's size.
        """
        check_same_size(images, self.image_size)
        maps = self.base(torch.stack(list(images)))  # B pictures [3, H, W] → [B, 3, H, W]
        for layer in self.extra:
            maps = [*maps, layer(maps[-1])]
        boxes = default_boxes(self.image_size, [tuple(x.shape[-2:]) for x in maps], self.shapes)
        logits = [flatten_predictions(layer(x), self.numbers) for layer, x in zip(self.classify, maps, strict=True)]
        offsets = [flatten_predictions(layer(x), 4) for layer, x in zip(self.locate, maps, strict=True)]
        return {
            "logits": torch.cat(logits, dim=1).float(),  # levels [B, M₁, ·], [B, M₂, ·], … → [B, M, ·]
            "offsets": torch.cat(offsets, dim=1).float(),
            "boxes": boxes.to(maps[0].device),
        }

    def loss(self, outputs: dict[str, Tensor], targets: Sequence[dict]) -> dict[str, Tensor]:
        """Named parts, each a sum over the boxes that count, divided by the number of positive boxes (at least 1).

        Args:
            outputs: as `forward` gives them.
            targets: one dict(boxes, labels) a picture, optionally `difficult`; a picture may have no objects.

        Source: Liu et al. 2016 (SSD), equation 1, both parts with weight 1.
        """
        return detection_loss(outputs, *batch_targets(targets, outputs["boxes"]), self.classification)

    @torch.no_grad()
    def detect(self, images: Sequence[Tensor]) -> list[dict]:
        """Boxes (clipped to the picture), labels and scores of every picture, best score first.

        Call `eval()` before: a detector in training mode normalises by the batch it is shown.
        """
        outputs = self(images)
        logits = outputs["logits"]
        scores = logits.softmax(dim=-1)[..., 1:] if self.head == "softmax" else logits.sigmoid()
        boxes = clip_boxes(decode(outputs["offsets"], outputs["boxes"]), self.image_size)
        limits = self.score_threshold, self.iou_threshold, self.top_k, self.max_detections
        return [pick_detections(*pair, *limits) for pair in zip(boxes, scores, strict=True)]
