"""Sliding windows: a classifier at every position and scale (counted in lesson 1, a detector in lesson 8)."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.boxes import clip_boxes, decode, pick_detections
from course_lib.checks import check_same_size
from course_lib.losses import detection_loss, hard_negatives, softmax_cross_entropy
from course_lib.matching import batch_targets
from course_lib.single_object import flatten_head


def count_windows(image_size: tuple[int, int], window: tuple[int, int], stride: int) -> int:
    """How many windows of (height, width) pixels fit into a picture of (H, W) when they move by `stride` pixels.

    A window larger than the picture fits nowhere: 0.
    """
    rows = (image_size[0] - window[0]) // stride + 1
    columns = (image_size[1] - window[1]) // stride + 1
    return max(rows, 0) * max(columns, 0)


def sliding_windows(image_size: tuple[int, int], window: tuple[int, int], stride: int) -> Tensor:
    """The windows themselves as boxes [count, 4], xyxy pixels, row by row; none where the window is larger than the picture."""
    y = torch.arange(0, max(image_size[0] - window[0] + 1, 0), stride)
    x = torch.arange(0, max(image_size[1] - window[1] + 1, 0), stride)
    top, left = torch.meshgrid(y, x, indexing="ij")
    corners = torch.stack([left, top, left + window[1], top + window[0]], dim=-1)
    return corners.reshape(-1, 4).float()


def sample_windows(classes: Tensor, positives: int = 8, ratio: int = 3) -> Tensor:
    """Draw the windows to learn from, picture by picture: some that hold an object, and `ratio` times as many that hold none.

    Args:
        classes: [B, M] int64, 0 for background, −1 for windows that are left out.
        positives: at most so many windows with an object a picture.
        ratio: background windows for each of them; a picture without objects counts as one with one.

    Returns:
        [B, M] bool, drawn with torch's own random state.
        Source: Girshick et al. 2014 (R-CNN), section 2.3: 32 windows with an object, 96 without.
    """
    luck = torch.rand(classes.shape, device=classes.device)
    rank = luck.masked_fill(classes <= 0, -1).argsort(dim=1, descending=True).argsort(dim=1)
    drawn = (classes > 0) & (rank < positives)
    left_out = (classes > 0) & ~drawn
    return drawn | hard_negatives(
        luck, classes.masked_fill(left_out, -1), ratio
    )  # the luckiest in place of the hardest


class SlidingWindowDetector(nn.Module):
    """A classifier of single windows, asked about every window of a picture; the windows are its default boxes.

    Each window is cut out, scaled to `side` × `side` pixels, and sent through base and head alone: as many forward passes
    a picture as there are windows, however many of them share a batch.

    Args:
        base: [B, 3, side, side] → a list of maps, of which the last is used; `base.channels` and `base.strides` describe them.
        num_classes: background not counted; it is class 0 of the softmax.
        windows: [M, 4], xyxy whole pixels inside the picture, the same for all pictures.
        image_size: (H, W) of every picture.
        side: height and width, in pixels, to which each window is scaled.
        positives, ratio: windows a picture to learn from, as for `sample_windows`.
        chunk: windows that go through the network at once.
        score_threshold, iou_threshold, top_k, max_detections: as for `pick_detections`.

    Source: Sermanet et al. 2014 (OverFeat), sections 3 and 4: sliding windows, each with a class and the four numbers of a
    box; matching, offsets and loss are SSD's, so that only the way to see a window differs.
    """

    def __init__(
        self,
        base: nn.Module,
        num_classes: int,
        windows: Tensor,
        image_size: tuple[int, int] = (128, 128),
        side: int = 32,
        positives: int = 8,
        ratio: int = 3,
        chunk: int = 512,
        score_threshold: float = 0.05,
        iou_threshold: float = 0.45,
        top_k: int = 200,
        max_detections: int = 100,
    ) -> None:
        super().__init__()
        self.base, self.windows, self.image_size, self.side = base, windows, image_size, side
        self.positives, self.ratio, self.chunk = positives, ratio, chunk
        self.score_threshold, self.iou_threshold = score_threshold, iou_threshold
        self.top_k, self.max_detections = top_k, max_detections
        cells = math.ceil(side / base.strides[-1])
        self.head = flatten_head(base.channels[-1] * cells * cells, num_classes + 1 + 4)

    def forward(self, images: Sequence[Tensor]) -> dict[str, Tensor]:
        """Pictures [3, H, W] → images [B, 3, H, W] and boxes [M, 4], the windows. No window has been looked at yet.

        `loss` looks at some, for which it has to know the objects; `detect` looks at all.

        Raises:
            ValueError: a picture is not of the detector's size.
        """
        check_same_size(images, self.image_size)
        batch = torch.stack(list(images))
        return {"images": batch, "boxes": self.windows.to(batch.device)}

    def look(self, images: Tensor, picture: Tensor, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [K, n + 1] and offsets [K, 4] of K windows: cut, scale, classify.

        Args:
            images: [B, 3, H, W].
            picture: [K] int64, which of them each window belongs to.
            windows: [K, 4], xyxy whole pixels, K ≥ 1, inside the picture. Larger ones are averaged down to `side` × `side`,
                in smaller ones pixels are repeated.
        """
        places = zip(picture.tolist(), windows.round().int().tolist(), strict=True)
        crops = [F.adaptive_avg_pool2d(images[p, :, y1:y2, x1:x2], self.side) for p, (x1, y1, x2, y2) in places]
        numbers = self.head(self.base(torch.stack(crops))[-1]).float()
        return numbers[:, :-4], numbers[:, -4:]

    def loss(self, outputs: dict[str, Tensor], targets: Sequence[dict]) -> dict[str, Tensor]:
        """SSD's two parts over a random sample of the windows, divided by the number of positive ones (at least 1).

        Args:
            outputs: as `forward` gives them.
            targets: one dict(boxes, labels) a picture, optionally `difficult`; a picture may have no objects.
        """
        classes, offsets = batch_targets(targets, outputs["boxes"])
        chosen = sample_windows(classes, self.positives, self.ratio)
        picture, window = torch.where(chosen)
        logits, predicted = self.look(outputs["images"], picture, outputs["boxes"][window])
        seen = {"logits": logits, "offsets": predicted}
        return detection_loss(seen, classes[chosen], offsets[chosen], softmax_cross_entropy)

    @torch.no_grad()
    def detect(self, images: Sequence[Tensor]) -> list[dict]:
        """Boxes (clipped to the picture), labels and scores of every picture, best score first. Call `eval()` before."""
        outputs = self(images)
        windows, found = outputs["boxes"], []
        for image in outputs["images"]:
            parts = windows.split(self.chunk)
            seen = [self.look(image[None], torch.zeros_like(part[:, 0]).long(), part) for part in parts]
            logits, offsets = (torch.cat(numbers) for numbers in zip(*seen, strict=True))
            boxes = clip_boxes(decode(offsets, windows), self.image_size)
            limits = self.score_threshold, self.iou_threshold, self.top_k, self.max_detections
            found.append(pick_detections(boxes, logits.softmax(dim=-1)[:, 1:], *limits))
        return found
