"""Lesson 1: backbone, losses, detector, training loop, evaluation, windows."""

import pytest
import torch
import torchvision
from torch import nn

from course_lib.backbone import Backbone, conv_block, truncate
from course_lib.single_object import (
    SingleObjectDetector,
    classification_loss,
    edge_error,
    evaluate_single,
    flatten_head,
    localization_loss,
)
from course_lib.sliding_window import count_windows, sliding_windows
from course_lib.training import shuffled_batches, train


def pictures(count, num_classes=3, size=(64, 96), seed=0):
    """Coloured rectangles on black, one a picture; the class is the colour channel. H ≠ W."""
    g = torch.Generator().manual_seed(seed)
    out = []
    for i in range(count):
        x1, y1 = (int(torch.randint(0, 40, (1,), generator=g)) for _ in "xy")
        x2, y2 = x1 + 20 + i % 20, y1 + 12 + i % 10
        image = torch.zeros(3, *size)
        image[i % num_classes, y1:y2, x1:x2] = 1.0
        out.append(
            (image, dict(boxes=torch.tensor([[x1, y1, x2, y2]]).float(), labels=torch.tensor([i % num_classes + 1])))
        )
    return out


def detector(**options):
    torch.manual_seed(0)
    return SingleObjectDetector(Backbone(), features=192 * 2 * 3, num_classes=3, image_size=(64, 96), **options)


def test_backbone_shapes_height_is_not_width():
    maps = Backbone()(torch.zeros(2, 3, 96, 128))
    assert [list(m.shape) for m in maps] == [[2, 96, 12, 16], [2, 128, 6, 8], [2, 192, 3, 4]]
    assert [(96 // m.shape[2], m.shape[1]) for m in maps] == list(zip(Backbone.strides, Backbone.channels, strict=True))


def test_backbone_keeps_positions():
    """A spot in the lower right changes the lower right of the map more than the upper left."""
    torch.manual_seed(0)
    backbone = Backbone().eval()
    image = torch.full((1, 3, 128, 192), 0.5)
    spot = image.clone()
    spot[..., 100:120, 160:185] = 1.0
    change = (backbone(spot)[0] - backbone(image)[0]).abs().mean(dim=1)[0]
    assert change[8:, 12:].mean() > 5 * change[:8, :12].mean()


def test_conv_block_halves_odd_sizes_upwards():
    assert conv_block(3, 5, stride=2)(torch.zeros(1, 3, 7, 10)).shape == (1, 5, 4, 5)


def test_truncate_keeps_the_map():
    resnet = torchvision.models.resnet18(weights=None).eval()
    assert truncate(resnet)(torch.zeros(1, 3, 64, 96)).shape == (1, 512, 2, 3)
    assert truncate(resnet, layers=1)(torch.zeros(1, 3, 64, 96)).shape == (1, 512, 1, 1)


def test_losses_by_hand():
    predicted = torch.tensor([[12.0, 20, 50, 60], [40, 10, 70, 90]])
    true = torch.tensor([[10.0, 20, 54, 57], [40, 30, 90, 90]])
    assert localization_loss(predicted, true) == 24.5  # (2+0+4+3 + 0+20+20+0) / 2
    assert edge_error(predicted, true).tolist() == [2.25, 10]
    logits = torch.tensor([[2.0, 1, 0], [0, 0, 0]])
    assert classification_loss(logits, torch.tensor([3, 2])).item() == pytest.approx(
        (2.407606 + 1.098612) / 2, abs=1e-6
    )
    assert classification_loss(torch.tensor([[0.0, -300]]), torch.tensor([2])) == 300  # no rounding to infinity


def test_classification_loss_equals_torch():
    torch.manual_seed(0)
    logits, labels = torch.randn(7, 5), torch.tensor([1, 2, 3, 4, 5, 1, 3])
    assert torch.allclose(classification_loss(logits, labels), nn.functional.cross_entropy(logits, labels - 1))


def test_outputs_boxes_and_sizes():
    model = detector()
    outputs = model([image for image, _ in pictures(2)])
    assert outputs.shape == (2, 4 + 3)
    raw = torch.tensor([[0.0, 0, 100, -100, 1, 2, 3]])
    assert model.boxes(raw).tolist() == [[48, 32, 96, 0]]  # half the width, half the height, full width, 0
    with pytest.raises(ValueError, match=r"images\[0\]: expected 64 × 96"):
        model([torch.zeros(3, 96, 64)])
    with pytest.raises(TypeError, match="divide a byte image by 255"):
        model([torch.zeros(3, 64, 96, dtype=torch.uint8)])
    with pytest.raises(ValueError, match="no pictures"):
        model([])


def test_loss_parts_and_weight():
    batch = pictures(4)
    images, targets = zip(*batch, strict=True)
    one, twenty = detector(a=1.0), detector(a=20.0)
    a, b = (m.eval().loss(m(list(images)), list(targets)) for m in (one, twenty))
    assert set(a) == {"localization", "classification"} and a["localization"] == b["localization"]
    assert torch.isclose(20 * a["classification"], b["classification"])


def test_pooled_head_has_no_positions():
    maps = torch.zeros(2, 192, 2, 3)
    maps[0, :, 0, 0] = maps[1, :, 1, 2] = 1.0
    model = SingleObjectDetector(nn.Identity(), features=192, num_classes=3, image_size=(2, 3), pool=True)
    outputs = model.head(model.pool(maps))
    assert torch.equal(outputs[0], outputs[1])
    flat = flatten_head(192 * 6, 7)(maps)
    assert not torch.allclose(flat[0], flat[1])


def test_detect_gives_one_object_a_picture():
    found = detector().eval().detect([image for image, _ in pictures(3)])
    assert [(f["boxes"].shape, f["labels"].shape, f["scores"].shape) for f in found] == [((1, 4), (1,), (1,))] * 3
    assert all(1 <= int(f["labels"]) <= 3 and not f["boxes"].requires_grad for f in found)


def test_training_learns_and_repeats():
    data = pictures(8)
    runs = []
    for _ in range(2):
        model = detector()
        runs.append(train(model, data, steps=40, batch_size=8, seed=1))
    assert runs[0] == runs[1]
    assert runs[0][-1]["localization"] < runs[0][0]["localization"] / 4
    assert runs[0][-1]["classification"] < runs[0][0]["classification"] / 4
    scores = evaluate_single(model, data, batch_size=3)
    assert scores["right"].float().mean() > 0.7 and scores["edge_error"].shape == (8,)


def test_training_with_rate_zero_changes_no_weight():
    model = detector()
    before = [p.clone() for p in model.parameters()]
    train(model, pictures(8), steps=3, batch_size=4, lr=0.0)
    assert all(torch.equal(p, q) for p, q in zip(before, model.parameters(), strict=True))


def test_augment_sees_every_picture():
    seen = []
    train(detector(), pictures(4), steps=2, batch_size=3, augment=lambda i, t: (seen.append(1), (i, t))[1])
    assert len(seen) == 6


def test_batches_hold_every_picture_once_a_round():
    batches = shuffled_batches(5, 3, torch.Generator().manual_seed(0))
    rows = [next(batches) for _ in range(5)]
    flat = sum(rows, [])
    assert all(len(r) == 3 for r in rows)
    assert [sorted(flat[i : i + 5]) for i in (0, 5, 10)] == [[0, 1, 2, 3, 4]] * 3
    assert flat[:5] != flat[5:10] or flat[5:10] != flat[10:]


def test_windows_counted_and_listed():
    assert count_windows((6, 8), (3, 4), 1) == 20
    assert count_windows((6, 8), (3, 4), 2) == 6
    assert count_windows((6, 8), (7, 4), 1) == 0
    assert count_windows((6, 8), (6, 8), 5) == 1
    assert sliding_windows((6, 8), (3, 4), 2).tolist() == [
        [0, 0, 4, 3], [2, 0, 6, 3], [4, 0, 8, 3], [0, 2, 4, 5], [2, 2, 6, 5], [4, 2, 8, 5]
    ]  # fmt: skip


@pytest.mark.parametrize("shape", [(5, 3), (4, 9), (1, 1), (11, 13), (12, 2), (3, 40), (40, 40)])
@pytest.mark.parametrize("stride", [1, 2, 3, 7])
def test_count_is_the_length_of_the_list(shape, stride):
    windows = sliding_windows((11, 13), shape, stride)
    assert len(windows) == count_windows((11, 13), shape, stride)
    assert windows.numel() == 0 or (windows[:, 2].max() <= 13 and windows[:, 3].max() <= 11)


def test_another_optimiser_and_clipping():
    """SGD moves all weights together by at most learning rate × clip a step; a clip of 0 moves nothing."""
    moved = []
    for clip in (0.0, 0.5):
        model = detector()
        before = torch.cat([p.detach().flatten().clone() for p in model.parameters()])
        sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
        history = train(model, pictures(8), steps=3, batch_size=4, lr=0.1, optimiser=sgd, clip=clip)
        moved.append((torch.cat([p.detach().flatten() for p in model.parameters()]) - before).norm().item())
    assert moved[0] == 0 and 0.01 < moved[1] <= 3 * 0.1 * 0.5 / (1 - 0.5) + 1e-3
    assert list(history[0]) == ["localization", "classification"] and type(history[0]["localization"]) is float
