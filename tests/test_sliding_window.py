"""The sliding-window detector: what a window's classifier sees, which windows it learns from, detections."""

import pytest
import torch
from tiny import Base, learns_by_heart, target

from course_lib.boxes import clip_boxes, decode, pick_detections
from course_lib.losses import detection_loss, softmax_cross_entropy
from course_lib.matching import batch_targets
from course_lib.sliding_window import SlidingWindowDetector, count_windows, sample_windows, sliding_windows

SIZE = (40, 64)  # H × W
SHAPES = [(16, 16), (32, 16), (16, 32)]
WINDOWS = torch.cat([sliding_windows(SIZE, shape, 8) for shape in SHAPES])
TWO = target([[3.0, 5, 17, 30], [30, 22, 62, 38]], [2, 3])
NOTHING = target([], [])


def detector(**settings) -> SlidingWindowDetector:
    torch.manual_seed(0)
    return SlidingWindowDetector(Base(), 3, WINDOWS, SIZE, **({"side": 16} | settings)).eval()


def pictures(count: int = 2) -> list[torch.Tensor]:
    return list(torch.rand(count, 3, *SIZE, generator=torch.Generator().manual_seed(1)))


class Eye(torch.nn.Module):
    """Keeps what it is shown."""

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net, self.seen, self.channels, self.strides = net, [], net.channels, net.strides

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        self.seen.append(x)
        return self.net(x)


def watched(**settings) -> tuple[SlidingWindowDetector, Eye]:
    model = detector(**settings)
    model.base = Eye(model.base)
    return model, model.base


# ---------------------------------------------------------------- what is seen


def test_a_window_is_cut_out_and_scaled():
    model, eye = watched()
    images = torch.stack(pictures(2))
    model.look(images, torch.tensor([1, 0]), torch.tensor([[8.0, 16, 24, 32], [24, 0, 56, 32]]))
    crops = eye.seen[0]
    assert torch.allclose(crops[0], images[1, :, 16:32, 8:24], atol=1e-6)
    halved = torch.nn.functional.avg_pool2d(images[0, :, 0:32, 24:56], 2)
    assert torch.allclose(crops[1], halved, atol=1e-6)


def test_a_window_is_scaled_to_a_square():
    model, eye = watched()
    images = torch.stack(pictures(1))
    model.look(images, torch.tensor([0]), torch.tensor([[8.0, 0, 24, 32]]))  # 16 wide, 32 high
    assert torch.allclose(eye.seen[0][0], torch.nn.functional.avg_pool2d(images[0, :, 0:32, 8:24], (2, 1)), atol=1e-6)


def test_as_many_passes_as_windows():
    model, eye = watched(chunk=20)
    assert len(WINDOWS) == sum(count_windows(SIZE, shape, 8) for shape in SHAPES) == 28 + 14 + 20
    model.detect(pictures(3))
    assert sum(map(len, eye.seen)) == 3 * len(WINDOWS) and max(map(len, eye.seen)) == 20
    assert all(crops.shape[1:] == (3, 16, 16) for crops in eye.seen)


def test_learning_looks_at_a_few_windows_only():
    model, eye = watched(positives=2, ratio=3)
    model.loss(model(pictures(2)), [TWO, NOTHING])
    assert len(eye.seen) == 1 and len(eye.seen[0]) == 2 * (1 + 3) + 3


# ---------------------------------------------------------------- which windows are drawn


def test_sample_windows():
    torch.manual_seed(0)
    classes = torch.zeros(3, 100, dtype=torch.int64)
    classes[0, 10:40], classes[0, 50:60] = 2, -1
    classes[1, 7] = 1
    draws = torch.stack([sample_windows(classes, positives=4, ratio=3) for _ in range(60)])
    assert (draws[:, 0, 10:40].sum(dim=1) == 4).all() and not draws[:, 0, 50:60].any()
    assert draws[:, 1, 7].all() and (draws.sum(dim=2) == torch.tensor([16, 4, 3])).all()
    assert draws[:, 0, 10:40].any(dim=0).all()  # each has its turn
    assert (draws[:, 0].any(dim=0) | (classes[0] == -1)).all()


def test_with_all_windows_the_loss_is_that_of_a_dense_detector():
    model = detector(positives=1000, ratio=1000)
    images, targets = pictures(2), [TWO, NOTHING]
    seen = [model.look(image[None], torch.zeros(len(WINDOWS)).long(), WINDOWS) for image in images]
    dense = {
        "logits": torch.stack([logits for logits, _ in seen]),
        "offsets": torch.stack([places for _, places in seen]),
    }
    classes, offsets = batch_targets(targets, WINDOWS)
    classes[1, 3:] = -1  # a picture without objects: three windows
    parts = model.loss(model(images[:1]), targets[:1])
    first = {name: numbers[:1] for name, numbers in dense.items()}
    wanted = detection_loss(first, classes[:1], offsets[:1], softmax_cross_entropy)
    assert all(torch.isclose(parts[name], wanted[name], rtol=1e-4) for name in wanted)


# ---------------------------------------------------------------- detections


def test_detections_are_those_of_all_windows_whatever_the_chunk():
    model = detector(score_threshold=0.2)
    images = pictures(2)
    for picture, few, many in zip(
        images, detector(score_threshold=0.2, chunk=7).detect(images), model.detect(images), strict=True
    ):
        logits, offsets = model.look(picture[None], torch.zeros(len(WINDOWS)).long(), WINDOWS)
        boxes = clip_boxes(decode(offsets, WINDOWS), SIZE)
        wanted = pick_detections(boxes, logits.softmax(dim=-1)[:, 1:], 0.2, 0.45, 200, 100)
        assert len(wanted["scores"])
        for found in (few, many):
            assert torch.equal(found["labels"], wanted["labels"])
            assert torch.allclose(found["boxes"], wanted["boxes"], atol=1e-4)


def test_learns_two_pictures_by_heart():
    images = pictures(2)
    for image, where in zip(images, [(3, 5, 17, 30), (30, 22, 62, 38)], strict=True):
        image[:, where[1] : where[3], where[0] : where[2]] *= 0.2
    model = detector(score_threshold=0.5, positives=12, ratio=6).train()
    truth = [target([[3.0, 5, 17, 30]], [2]), target([[30.0, 22, 62, 38]], [3])]
    learns_by_heart(model, images, truth, 120, 0.1, lr=0.003)


def test_wrong_size():
    with pytest.raises(ValueError, match=r"images\[0\]: expected 40 × 64"):
        detector()([torch.rand(3, 64, 40)])
