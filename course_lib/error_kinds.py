"""What became of every object: found, poorly placed, wrong class, missed; and duplicates (lesson 5)."""

import torch
from torch import Tensor

from course_lib.boxes import iou

KINDS = ("found", "poorly placed", "wrong class", "missed")


def what_happened(
    found: dict[str, Tensor], target: dict[str, Tensor], score_threshold: float = 0.3
) -> tuple[Tensor, Tensor]:
    """The kind of each object of a picture, [N] int64 into `KINDS`, and how many further detections it has, [N] int64.

    Args:
        found: dict(boxes, labels, scores) of the picture.
        target: dict(boxes, labels).
        score_threshold: detections below it are not looked at.

    Source: after Hoiem et al. 2012, "Diagnosing error in object detectors", section 2, seen from the objects.
    """
    sure = found["scores"] >= score_threshold
    overlap = iou(target["boxes"], found["boxes"][sure])
    same = target["labels"][:, None] == found["labels"][sure]
    nobody = overlap.new_zeros(len(overlap), 1)
    right = torch.cat([overlap * same, nobody], dim=1).amax(dim=1)
    wrong = torch.cat([overlap * ~same, nobody], dim=1).amax(dim=1)
    kind = torch.full((len(right),), 3)
    kind[right >= 0.1] = 1
    kind[wrong >= 0.5] = 2
    kind[right >= 0.5] = 0
    return kind, (overlap * same >= 0.5).sum(dim=1) - (right >= 0.5).int()
