"""A detector for one object a picture (lesson 1): a truncated classifier and a head of 4 + n numbers."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from course_lib.checks import check_same_size


def localization_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """The sum of the four absolute differences (L1) of each pair of boxes, averaged over the pairs.

    Args:
        predicted: boxes [B, 4], xyxy pixels.
        true: boxes [B, 4], xyxy pixels.

    Returns:
        A scalar, in pixels. Source: Graetz 2018, "RetinaNet: how focal loss fixes single-shot detection".
    """
    return (predicted - true).abs().sum(dim=1).mean()


def classification_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Softmax, then cross-entropy: minus the logarithm of the true class's probability, averaged over the pictures.

    Args:
        logits: [B, n], any real numbers.
        labels: [B] int64 from 1 to n.

    Returns:
        A scalar ≥ 0; log n for a network that finds all classes equally likely.
    """
    log_probabilities = logits.log_softmax(dim=1)
    return -log_probabilities[torch.arange(len(labels)), labels - 1].mean()


def flatten_head(features: int, outputs: int) -> nn.Sequential:
    """Flatten and two linear layers: [B, C, h, w] with C·h·w = `features` → [B, `outputs`]; every position has its own weights."""
    return nn.Sequential(nn.Flatten(), nn.Linear(features, 256), nn.ReLU(), nn.Linear(256, outputs))


class SingleObjectDetector(nn.Module):
    """A base, a flattening head, 4 + n outputs: one box and one class for a picture of a fixed size.

    Args:
        base: [B, 3, H, W] → a map [B, C, h, w], or a list of maps of which the last is used.
        features: C·h·w of that map at this `image_size`.
        num_classes: n.
        image_size: (H, W) of every picture; flattening fixes it.
        a: weight of the classification loss.
        pool: average the map over all positions before the head (what a classifier does, and claim C04 warns of).

    Source: Graetz 2018; the idea of 4 + n outputs goes back to Sermanet et al. 2014 (OverFeat, section 4).
    """

    def __init__(
        self,
        base: nn.Module,
        features: int,
        num_classes: int,
        image_size: tuple[int, int] = (128, 128),
        a: float = 20.0,
        pool: bool = False,
    ) -> None:
        super().__init__()
        self.base, self.image_size, self.a = base, image_size, a
        self.pool = nn.AdaptiveAvgPool2d(1) if pool else nn.Identity()
        self.head = flatten_head(features, 4 + num_classes)

    def forward(self, images: Sequence[Tensor]) -> Tensor:
        """Pictures [3, H, W] → raw outputs [B, 4 + n]: four box numbers before the sigmoid, then n logits.

        Raises:
            ValueError: a picture is not of the detector's size.
        """
        check_same_size(images, self.image_size)
        maps = self.base(torch.stack(list(images)))
        last = maps[-1] if isinstance(maps, list) else maps
        return self.head(self.pool(last)).float()  # losses need float32, also where the network runs in half precision

    def boxes(self, outputs: Tensor) -> Tensor:
        """Raw outputs [B, 4 + n] → boxes [B, 4], xyxy pixels inside the picture."""
        height, width = self.image_size
        return outputs[:, :4].sigmoid() * outputs.new_tensor([width, height, width, height])

    def loss(self, outputs: Tensor, targets: list[dict]) -> dict[str, Tensor]:
        """Named parts of the loss, L_loc and a·L_conf (of the article); each target holds exactly one object."""
        true = torch.cat([target["boxes"] for target in targets])
        labels = torch.cat([target["labels"] for target in targets])
        return {
            "localization": localization_loss(self.boxes(outputs), true),
            "classification": self.a * classification_loss(outputs[:, 4:], labels),
        }

    @torch.no_grad()
    def detect(self, images: Sequence[Tensor]) -> list[dict]:
        """One box, one label and one score a picture."""
        outputs = self(images)
        scores, best = outputs[:, 4:].softmax(dim=1).max(dim=1)
        found = zip(self.boxes(outputs), best + 1, scores, strict=True)
        return [dict(boxes=box[None], labels=label[None], scores=score[None]) for box, label, score in found]


def edge_error(predicted: Tensor, true: Tensor) -> Tensor:
    """Mean absolute distance of the four edges, one number a pair: [B, 4] and [B, 4] → [B], in pixels."""
    return (predicted - true).abs().mean(dim=1)


def evaluate_single(
    model: SingleObjectDetector, pictures: list[tuple[Tensor, dict]], batch_size: int = 100
) -> dict[str, Tensor]:
    """Run the detector over all pictures: edge errors in pixels [N] and whether each class is right [N]."""
    model.eval()
    errors, right = [], []
    for start in range(0, len(pictures), batch_size):
        batch = [pictures[i] for i in range(start, min(start + batch_size, len(pictures)))]
        found = model.detect([image for image, _ in batch])
        for detection, (_, target) in zip(found, batch, strict=True):
            errors.append(edge_error(detection["boxes"], target["boxes"]))
            right.append(detection["labels"] == target["labels"])
    return {"edge_error": torch.cat(errors), "right": torch.cat(right)}
