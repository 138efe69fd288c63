"""What the tests of several detectors share: a tiny base, targets in one line, and learning two pictures by heart."""

import torch
from torch import nn

from course_lib.boxes import iou


class Base(nn.Module):
    """Two maps at strides 8 and 16, with different channels."""

    channels, strides = (5, 7), (8, 16)

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 5, 8, 8), nn.Conv2d(5, 7, 3, 2, 1)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        x = self.first(x).relu()
        return [x, self.second(x).relu()]


def target(boxes, labels, difficult=None) -> dict[str, torch.Tensor]:
    made = {"boxes": torch.tensor(boxes).reshape(-1, 4), "labels": torch.tensor(labels, dtype=torch.int64)}
    return made if difficult is None else made | {"difficult": torch.tensor(difficult)}


def learns_by_heart(
    model: nn.Module, images: list, targets: list[dict], steps: int, share: float, lr: float = 0.01
) -> None:
    """Train with Adam; the loss falls below `share` of its start, and every object is found, with its class, and no other."""
    optimiser = torch.optim.Adam(model.parameters(), lr=lr)
    history = []
    for _ in range(steps):
        total = sum(model.loss(model(images), targets).values())
        history.append(total.item())
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
    assert history[-1] < share * history[0]
    for found, truth in zip(model.eval().detect(images), targets, strict=True):
        assert sorted(found["labels"].tolist()) == sorted(truth["labels"].tolist())
        for box, label in zip(truth["boxes"], truth["labels"], strict=True):
            assert iou(box[None], found["boxes"][found["labels"] == label]).max() > 0.7
