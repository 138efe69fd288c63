"""SSD (lesson 5): feature maps at several strides, default boxes on each, two predictors a map, one loss.

Source: Liu et al. 2016, "SSD: Single Shot MultiBox Detector".
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from course_lib.boxes import decode, nms_per_class
from course_lib.checks import check_head, check_same_size
from course_lib.default_boxes import box_shapes, default_boxes, flatten_predictions, predictor
from course_lib.losses import hard_negatives, sigmoid_cross_entropy, smooth_l1, softmax_cross_entropy
from course_lib.matching import match, match_targets


def level_shapes(sides: Sequence[float], ratios: Sequence[float] = (0.5, 1.0, 2.0)) -> list[Tensor]:
    """Box shapes of every level: each ratio at the level's side and at √2 times that side, [2 · ratios, 2] a level.

    Source: after Lin et al. 2017 (RetinaNet), section 4, which has three sizes an octave where this has two.
    """
    return [torch.cat([box_shapes(side, ratios), box_shapes(side * 2**0.5, ratios)]) for side in sides]


def batch_targets(targets: Sequence[dict], default_boxes: Tensor) -> tuple[Tensor, Tensor]:
    """What every default box of every picture has to learn: classes [B, M] int64 and offsets [B, M, 4].

    Args:
        targets: one dict(boxes, labels) a picture. A box that answers for a `difficult` object gets class −1: the
            loss leaves it out, so it learns neither the object nor that there is none.
        default_boxes: [M, 4], xyxy pixels.
    """
    rows = []
    for target in targets:
        if "difficult" in target:
            target = target | {"labels": target["labels"].masked_fill(target["difficult"], -1)}
        rows.append(match_targets(target, default_boxes, match(target["boxes"], default_boxes)))
    classes, offsets = zip(*rows, strict=True)
    return torch.stack(classes), torch.stack(offsets)


def pick_detections(
    boxes: Tensor, scores: Tensor, least: float, threshold: float = 0.45, candidates: int = 200, most: int = 100
) -> dict[str, Tensor]:
    """One picture's detections from its decoded boxes [M, 4] and class scores [M, n].

    Score threshold first, then the best `candidates`, suppression within each class, the best `most`. A box in which
    no class passes `least` is background; one in which two classes pass is a detection of both.

    Source: Liu et al. 2016 (SSD), section 3.1 (confidence threshold, suppression at .45, the best of each picture).
    """
    place, column = torch.where(scores > least)
    score, order = scores[place, column].topk(min(candidates, len(place)))
    box, label = boxes[place[order]], column[order] + 1
    kept = nms_per_class(box, score, label, threshold)[:most]
    return {"boxes": box[kept], "labels": label[kept], "scores": score[kept]}


class SSD(nn.Module):
    """A single-shot detector on a base with several maps, and `extra` maps of half the size each on top.

    Args:
        base: [B, 3, H, W] → a list of maps; has `channels` and `strides`, one of each a map.
        n: number of classes, background not counted.
        image_size: (H, W) of every picture.
        shapes: one [k, 2] tensor of box widths and heights a level, in pixels.
        extra: channels of the further maps.
        head: "softmax" scores n + 1 classes, background among them; "sigmoid" asks one question a class.

    Source: Liu et al. 2016 (SSD), section 2.
    """

    def __init__(
        self,
        base: nn.Module,
        n: int,
        shapes: Sequence[Tensor],
        image_size: tuple[int, int] = (128, 128),
        extra: Sequence[int] = (128, 128),
        head: str = "softmax",
    ) -> None:
        check_head(head)
        super().__init__()
        self.base, self.image_size, self.head = base, image_size, head
        channels, strides = list(base.channels), list(base.strides)
        self.extra = nn.ModuleList()
        for width in extra:
            shrink = nn.Conv2d(channels[-1], width, kernel_size=3, stride=2, padding=1)
            self.extra.append(nn.Sequential(shrink, nn.ReLU()))
            channels.append(width)
            strides.append(2 * strides[-1])
        self.numbers = n + 1 if head == "softmax" else n
        self.classify = nn.ModuleList(predictor(c, len(s), self.numbers) for c, s in zip(channels, shapes, strict=True))
        self.locate = nn.ModuleList(predictor(c, len(s), 4) for c, s in zip(channels, shapes, strict=True))
        grids = [(math.ceil(image_size[0] / stride), math.ceil(image_size[1] / stride)) for stride in strides]
        self.register_buffer("default_boxes", default_boxes(image_size, grids, shapes), persistent=False)

    def forward(self, images: Sequence[Tensor]) -> dict[str, Tensor]:
        """Pictures [3, H, W] → logits [B, M, n + 1] (sigmoid head: [B, M, n]) and offsets [B, M, 4].

        Raises:
            ValueError: a picture is not of the detector's size.
        """
        check_same_size(images, self.image_size)
        maps = self.base(torch.stack(list(images)))
        for layer in self.extra:
            maps = [*maps, layer(maps[-1])]
        logits = [flatten_predictions(layer(x), self.numbers) for layer, x in zip(self.classify, maps, strict=True)]
        offsets = [flatten_predictions(layer(x), 4) for layer, x in zip(self.locate, maps, strict=True)]
        return {"logits": torch.cat(logits, dim=1), "offsets": torch.cat(offsets, dim=1)}

    def loss(self, outputs: dict[str, Tensor], targets: Sequence[dict]) -> dict[str, Tensor]:
        """Named parts, each a sum over the boxes that count, divided by the number of boxes with an object (at least 1).

        Args:
            outputs: logits and offsets as `forward` gives them.
            targets: one dict(boxes, labels) a picture, optionally `difficult`; a picture may have no objects.

        Source: Liu et al. 2016 (SSD), equation 1, both parts with weight 1.
        """
        classes, offsets = batch_targets(targets, self.default_boxes)
        cross_entropy = softmax_cross_entropy if self.head == "softmax" else sigmoid_cross_entropy
        losses = cross_entropy(outputs["logits"], classes)
        mine = classes > 0
        chosen = mine | hard_negatives(losses, classes)
        count = mine.sum().clamp(min=1)
        localization = smooth_l1(outputs["offsets"][mine], offsets[mine]).sum()
        return {"classification": losses[chosen].sum() / count, "localization": localization / count}

    @torch.no_grad()
    def detect(self, images: Sequence[Tensor], least: float = 0.05, threshold: float = 0.45) -> list[dict]:
        """Boxes (clipped to the picture), labels and scores of every picture, best score first; at most 100.

        Call `eval()` before: a detector in training mode normalises by the batch it is shown.

        Args:
            images: pictures [3, H, W] of the detector's size.
            least: scores up to this are background.
            threshold: the largest IoU two detections of one class may have.
        """
        outputs = self(images)
        logits, (height, width) = outputs["logits"], self.image_size
        scores = logits.softmax(dim=-1)[..., 1:] if self.head == "softmax" else logits.sigmoid()
        boxes = decode(outputs["offsets"], self.default_boxes).clamp(min=0)
        boxes = boxes.minimum(boxes.new_tensor([width, height, width, height]))
        return [pick_detections(*pair, least, threshold) for pair in zip(boxes, scores, strict=True)]
