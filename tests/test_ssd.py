"""SSD: shapes and order, targets, loss on hard cases, detections against torchvision, wrong calls."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import Base, learns_by_heart, target
from torch import nn
from torchvision.models.detection.ssd import SSD as TorchvisionSSD

from course_lib.boxes import decode, iou, pick_detections
from course_lib.default_boxes import level_shapes
from course_lib.losses import hard_negatives, sigmoid_cross_entropy, smooth_l1, softmax_cross_entropy
from course_lib.matching import batch_targets
from course_lib.ssd import SSD

SIZE = (40, 64)  # H × W
SIDES = (12.0, 30.0)


def small_ssd(head: str = "softmax", extra: tuple[int, ...] = (), n: int = 3, ratios=(0.5, 1.0, 2.0), **limits) -> SSD:
    torch.manual_seed(0)
    sides = (*SIDES, 50.0, 60.0)[: 2 + len(extra)]
    return SSD(Base(), n, level_shapes(sides, ratios), SIZE, extra, head, **limits).eval()


def pictures(count: int = 2) -> list[torch.Tensor]:
    return list(torch.rand(count, 3, *SIZE, generator=torch.Generator().manual_seed(1)))


def boxes_of(model: SSD) -> torch.Tensor:
    return model(pictures(1))["boxes"]


NOTHING = target([], [])
TWO = target([[3.0, 5, 17, 30], [30, 2, 60, 38]], [2, 3])


# ---------------------------------------------------------------- shapes and order


def test_level_shapes():
    first, second = level_shapes(SIDES, [1.0, 4.0])
    assert torch.allclose(first, torch.tensor([[12.0, 12], [24, 6], [16.9706, 16.9706], [33.9411, 8.4853]]), atol=1e-3)
    assert torch.allclose(second.prod(dim=1), torch.tensor([900.0, 900, 1800, 1800]), rtol=1e-5)


@pytest.mark.parametrize("head, numbers", [("softmax", 4), ("sigmoid", 3)])
@pytest.mark.parametrize("extra, cells", [((), 52), ((6,), 56), ((6, 4), 57)])  # 5 × 8, 3 × 4, 2 × 2, 1 × 1
def test_a_prediction_for_every_box(head, numbers, extra, cells):
    model = small_ssd(head, extra)
    outputs = model(pictures(2))
    assert boxes_of(model).shape == (6 * cells, 4)
    assert outputs["logits"].shape == (2, 6 * cells, numbers) and outputs["offsets"].shape == (2, 6 * cells, 4)
    assert torch.equal(model(torch.stack(pictures(2)))["logits"], outputs["logits"])  # one tensor works as well


@pytest.mark.parametrize("level, row, column, k", [(0, 0, 0, 0), (0, 3, 6, 4), (1, 2, 1, 5), (2, 1, 0, 3)])
def test_a_hot_activation_belongs_to_its_box(level, row, column, k):
    """Level, row, column, shape: the order of the predictions is the order of the boxes, and scores and offsets agree."""
    model, ratios = small_ssd(extra=(6,), ratios=[1.0, 2.0, 0.25]), [1.0, 2.0, 0.25]
    grids = [(5, 8), (3, 4), (2, 2)]
    for heads, channel in ((model.classify, 4 * k + 2), (model.locate, 4 * k + 3)):
        for head in heads:
            nn.init.zeros_(head.weight), nn.init.zeros_(head.bias)
        hot = torch.zeros(1, heads[level].out_channels, *grids[level])
        hot[0, channel, row, column] = 9.0
        heads[level].register_forward_hook(lambda module, given, result, hot=hot: hot)
    outputs = model(pictures(1))
    box = outputs["logits"][0, :, 2].argmax()
    assert outputs["logits"].count_nonzero() == 1 and outputs["offsets"].count_nonzero() == 1
    assert outputs["offsets"][0, box, 3] == 9
    x1, y1, x2, y2 = boxes_of(model)[box].tolist()
    rows, columns = grids[level]
    assert ((x1 + x2) / 2, (y1 + y2) / 2) == pytest.approx(((column + 0.5) * 64 / columns, (row + 0.5) * 40 / rows))
    ratio, area = ratios[k % 3], (SIDES + (50.0,))[level] ** 2 * (2 if k >= 3 else 1)
    assert (x2 - x1, y2 - y1) == pytest.approx(((area * ratio) ** 0.5, (area / ratio) ** 0.5), rel=1e-4)


def test_default_boxes_follow_the_maps():
    """A base that rounds its maps down: boxes are made from the maps' own shapes, so each prediction has its box."""

    class Patches(Base):
        def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
            x = self.first(x).relu()
            return [x, self.second(x).relu()[:, :, :2, :3]]

    model = SSD(Patches(), 3, level_shapes(SIDES), SIZE, ()).eval()
    outputs = model(pictures(1))
    assert outputs["boxes"].shape == (6 * (5 * 8 + 2 * 3), 4) and outputs["logits"].shape[1] == 6 * 46
    assert "default_boxes" not in model.state_dict()


# ---------------------------------------------------------------- targets


def test_targets_of_a_batch():
    boxes = torch.tensor([[4.0, 6, 16, 28], [30, 4, 62, 36], [0, 0, 8, 8], [2, 4, 18, 32]])
    classes, offsets = batch_targets([TWO, NOTHING], boxes)
    assert classes.tolist() == [[2, 3, 0, 2], [0, 0, 0, 0]] and offsets.shape == (2, 4, 4)
    positive = torch.tensor([0, 1, 3])
    assert torch.allclose(decode(offsets[0, positive], boxes[positive]), TWO["boxes"][[0, 1, 0]], atol=1e-4)
    assert not offsets[1].any()


def test_boxes_of_difficult_objects_are_left_out():
    boxes = torch.tensor([[4.0, 6, 16, 28], [30, 4, 62, 36], [0, 0, 8, 8], [2, 4, 18, 32]])
    hard = target(TWO["boxes"].tolist(), [2, 3], [True, False])
    before = hard["labels"].clone()
    classes, _ = batch_targets([hard], boxes)
    assert classes.tolist() == [[-1, 3, 0, -1]]
    assert torch.equal(hard["labels"], before)
    model, images = small_ssd(), pictures(1)
    outputs = {k: v.detach().requires_grad_(k != "boxes") for k, v in model(images).items()}
    all_difficult = target(TWO["boxes"].tolist(), [2, 3], [True, True])
    sum(model.loss(outputs, [all_difficult]).values()).backward()
    classes, _ = batch_targets([all_difficult], boxes_of(model))
    assert (classes == -1).sum() >= 2 and not (classes > 0).any()
    assert not outputs["logits"].grad[classes == -1].any() and outputs["logits"].grad.any()
    assert not outputs["offsets"].grad.any()


# ---------------------------------------------------------------- loss


@pytest.mark.parametrize("head", ["softmax", "sigmoid"])
def test_loss_is_the_sum_over_the_boxes_that_count(head):
    """Against a slow version, box by box."""
    model = small_ssd(head, extra=(6,))
    outputs, targets = model(pictures(3)), [TWO, NOTHING, target([[10.0, 11, 30, 22]], [1])]
    classes, offsets = batch_targets(targets, boxes_of(model))
    loss = softmax_cross_entropy if head == "softmax" else sigmoid_cross_entropy
    losses = loss(outputs["logits"], classes)
    classification, localization, count = 0.0, 0.0, 0
    for i in range(3):
        negatives, positives = [], 0
        for m in range(classes.shape[1]):
            if classes[i, m] > 0:
                classification += losses[i, m].item()
                localization += smooth_l1(outputs["offsets"][i, m], offsets[i, m]).item()
                positives += 1
            else:
                negatives.append(losses[i, m].item())
        classification += sum(sorted(negatives, reverse=True)[: 3 * max(1, positives)])
        count += positives
    parts = model.loss(outputs, targets)
    assert list(parts) == ["classification", "localization"] and count > 2
    assert parts["classification"].item() == pytest.approx(classification / count, rel=1e-5)
    assert parts["localization"].item() == pytest.approx(localization / count, rel=1e-5)


@pytest.mark.parametrize("head", ["softmax", "sigmoid"])
def test_pictures_without_objects_teach_background(head):
    """Finite loss above 0, a gradient that makes every object less likely, none on the offsets; alone and in a batch."""
    model = small_ssd(head)
    outputs = model(pictures(2))
    parts = model.loss(outputs, [NOTHING, NOTHING])
    total = sum(parts.values())
    assert total.isfinite() and total > 0 and parts["localization"] == 0
    (logits,) = torch.autograd.grad(total, outputs["logits"], retain_graph=True)
    assert logits.any() and (logits[..., -3:] >= 0).all()
    mixed = sum(model.loss(outputs, [TWO, NOTHING]).values())
    (logits,) = torch.autograd.grad(mixed, outputs["logits"])
    assert logits[1].any() and logits.isfinite().all()


def test_every_parameter_learns_and_targets_are_unchanged():
    model = small_ssd(extra=(32,))
    targets = [TWO, target(boxes_of(model)[-8].tolist(), [1])]  # an object for the coarsest map
    before = TWO["boxes"].clone(), TWO["labels"].clone()
    sum(model.loss(model(pictures(2)), targets).values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any() and parameter.grad.isfinite().all(), name
    assert torch.equal(TWO["boxes"], before[0]) and torch.equal(TWO["labels"], before[1])


def test_positives_count_once_even_when_background_is_scarce():
    model = small_ssd()
    everywhere = target(boxes_of(model)[:-1].tolist(), [1] * (len(boxes_of(model)) - 1))
    outputs = model(pictures(1))
    classes, _ = batch_targets([everywhere], boxes_of(model))
    losses = softmax_cross_entropy(outputs["logits"], classes)
    assert (classes == 1).sum() > 0.9 * classes.numel()
    assert not (hard_negatives(losses, classes) & (classes > 0)).any()
    expected = losses.sum() / (classes > 0).sum()
    assert torch.allclose(model.loss(outputs, [everywhere])["classification"], expected, rtol=1e-5)


@pytest.mark.parametrize("head", ["softmax", "sigmoid"])
def test_learns_two_pictures_by_heart(head):
    model = small_ssd(head, extra=(16,), score_threshold=0.5).train()
    images, targets = pictures(2), [TWO, target([[20.0, 8, 32, 20]], [1])]
    learns_by_heart(model, images, targets, steps=90, share=0.1)


# ---------------------------------------------------------------- detections


def test_picked_by_hand():
    boxes = torch.tensor([[0.0, 0, 10, 20], [0, 0, 10, 19], [30, 0, 40, 10], [30, 20, 40, 30]])
    scores = torch.tensor([[0.7, 0.1], [0.9, 0.3], [0.2, 0.6], [0.2, 0.2]])
    found = pick_detections(boxes, scores, score_threshold=0.2)
    # Box 1 as class 1 (box 0 overlaps it and is weaker), box 2 as class 2, box 1 as class 2; .2 does not pass .2
    assert found["labels"].tolist() == [1, 2, 2] and torch.equal(found["boxes"], boxes[[1, 2, 1]])
    assert torch.allclose(found["scores"], torch.tensor([0.9, 0.6, 0.3]))
    assert len(pick_detections(boxes, scores, 0.2, iou_threshold=0.96)["scores"]) == 4
    assert pick_detections(boxes, scores, 0.2, max_detections=2)["labels"].tolist() == [1, 2]
    assert pick_detections(boxes, scores, 0.2, top_k=2)["labels"].tolist() == [1]


def test_no_detections():
    found = pick_detections(torch.rand(5, 4), torch.full((5, 2), 0.3), score_threshold=0.3)
    assert found["boxes"].shape == (0, 4) and found["labels"].dtype == torch.int64 and len(found["scores"]) == 0
    found = small_ssd(score_threshold=1.0).detect(pictures(2))
    assert [len(f["scores"]) for f in found] == [0, 0] and found[1]["boxes"].shape == (0, 4)


@given(st.integers(0, 10**6), st.integers(0, 30), st.sampled_from([1, 5, 200]), st.sampled_from([1, 4, 100]))
def test_properties_of_what_is_picked(seed, m, candidates, most):
    generator = torch.Generator().manual_seed(seed)
    corner = 40 * torch.rand(m, 2, generator=generator)
    boxes = torch.cat([corner, corner + 30 * torch.rand(m, 2, generator=generator)], dim=1)
    scores = torch.rand(m, 3, generator=generator)
    found = pick_detections(boxes, scores, 0.4, 0.5, candidates, most)
    n = len(found["scores"])
    assert n <= min(candidates, most, int((scores > 0.4).sum())) and (n > 0) == bool((scores > 0.4).any())
    assert (found["scores"] > 0.4).all() and (found["scores"].diff() <= 0).all()
    assert n == 0 or found["scores"][0] == scores.max()
    for i in range(n):
        row = (boxes == found["boxes"][i]).all(dim=1)
        assert (scores[row, found["labels"][i] - 1] == found["scores"][i]).any()
    for c in (1, 2, 3):
        same = found["boxes"][found["labels"] == c]
        assert not (iou(same, same) > 0.5 + 1e-6).triu(1).any()


class Given(nn.Module):
    """Default boxes and their number a cell, for torchvision."""

    def __init__(self, boxes: torch.Tensor) -> None:
        super().__init__()
        self.boxes = boxes

    def num_anchors_per_location(self) -> list[int]:
        return [1]


def test_equals_torchvision_on_the_same_outputs():
    """With all candidates, and with the best 100; softmax head."""
    for seed, (m, most) in enumerate([(60, 100), (60, 5), (30, 100), (200, 100)]):
        generator = torch.Generator().manual_seed(seed)
        model = small_ssd(extra=(6,))
        boxes = boxes_of(model)[:m]
        logits = 2 * torch.randn(2, len(boxes), 4, generator=generator)
        offsets = torch.randn(2, len(boxes), 4, generator=generator)
        limits = dict(score_thresh=0.3, nms_thresh=0.45, detections_per_img=most, topk_candidates=400)
        theirs = TorchvisionSSD(nn.Identity(), Given(boxes), SIZE, 4, head=nn.Identity(), **limits)
        outputs = {"bbox_regression": offsets, "cls_logits": logits}
        theirs = theirs.postprocess_detections(outputs, [boxes] * 2, [SIZE] * 2)
        for i in range(2):
            decoded = decode(offsets[i], boxes).clamp(min=0).minimum(torch.tensor([64.0, 40, 64, 40]))
            ours = pick_detections(decoded, logits[i].softmax(dim=1)[:, 1:], 0.3, 0.45, 1000, most)
            assert len(ours["scores"]) > 4 and torch.equal(ours["labels"], theirs[i]["labels"])
            assert torch.allclose(ours["scores"], theirs[i]["scores"], atol=1e-6)
            assert torch.allclose(ours["boxes"], theirs[i]["boxes"], atol=1e-3)


@pytest.mark.parametrize("head, scores", [("softmax", [0.25, 0.5]), ("sigmoid", [0.5, 2 / 3])])
def test_scores_of_both_heads(head, scores):
    """All logits 0 but one: with softmax ln 3 against three zeros, with sigmoid odds of 2 : 1."""
    model = small_ssd(head)
    boxes, numbers = boxes_of(model), model.numbers
    m = len(boxes)
    logits, offsets = torch.zeros(1, m, numbers), torch.zeros(1, m, 4)
    logits[0, 20, numbers - 1] = torch.tensor(3.0 if head == "softmax" else 2.0).log()
    model.forward = lambda images: {"logits": logits, "offsets": offsets, "boxes": boxes}
    found = model.detect(pictures(1))[0]
    assert found["labels"][0] == 3 and found["scores"][0] == pytest.approx(scores[1])
    assert found["scores"][1] == pytest.approx(scores[0]) and len(found["scores"]) <= 100
    x1, y1, x2, y2 = boxes[20].tolist()
    clipped = [max(x1, 0), max(y1, 0), min(x2, 64), min(y2, 40)]
    assert found["boxes"][0].tolist() == pytest.approx(clipped, abs=1e-4)


@pytest.mark.parametrize("head", ["softmax", "sigmoid"])
def test_detect(head):
    model = small_ssd(head, extra=(6,))
    images = pictures(3)
    together, alone = model.detect(images), [model.detect([image])[0] for image in images]
    for a, b in zip(together, alone, strict=True):
        assert torch.equal(a["labels"], b["labels"]) and torch.allclose(a["scores"], b["scores"], atol=1e-5)
        assert len(a["scores"]) > 0 and not a["scores"].requires_grad
        assert a["boxes"].min() >= 0 and a["boxes"][:, [0, 2]].max() <= 64 and a["boxes"][:, [1, 3]].max() <= 40
        assert set(a["labels"].tolist()) <= {1, 2, 3}
    model.score_threshold = float(together[0]["scores"][3])
    assert len(model.detect(images)[0]["scores"]) == 3
    assert len(small_ssd(head, extra=(6,), iou_threshold=0.0).detect(images)[0]["scores"]) < len(together[0]["scores"])
    assert len(small_ssd(head, extra=(6,), max_detections=2).detect(images)[0]["scores"]) == 2
    assert len(small_ssd(head, extra=(6,), top_k=1).detect(images)[0]["scores"]) == 1


def test_boxes_are_clipped_at_their_own_edges():
    model = small_ssd()
    boxes = boxes_of(model)
    logits, offsets = torch.zeros(1, len(boxes), 4), torch.zeros(1, len(boxes), 4)
    logits[0, 7, 1], offsets[0, 7, 2:] = 9.0, 20.0  # e⁴ times as large
    model.forward = lambda images: {"logits": logits, "offsets": offsets, "boxes": boxes}
    assert model.detect(pictures(1))[0]["boxes"][0].tolist() == [0.0, 0.0, 64.0, 40.0]


def test_another_classification_loss():
    """Whatever function is given is called with the logits and the classes, and divided by the positives."""
    seen = []

    def loss(logits, classes):
        seen.append((logits.shape, classes.shape))
        return torch.full(classes.shape, 2.0)

    torch.manual_seed(0)
    model = SSD(Base(), 3, level_shapes(SIDES), SIZE, (), "sigmoid", classification=loss)
    outputs = model(pictures(2))
    parts = model.loss(outputs, [TWO, NOTHING])
    positive = (batch_targets([TWO, NOTHING], outputs["boxes"])[0] > 0).sum()
    assert seen == [((2, 312, 3), (2, 312))] and parts["classification"] == 2 * 2 * 312 / positive


# ---------------------------------------------------------------- wrong calls


def test_wrong_calls_are_named():
    with pytest.raises(ValueError, match="head 'tanh': choose 'softmax'"):
        SSD(Base(), 3, level_shapes(SIDES), SIZE, (), "tanh")
    with pytest.raises(ValueError, match="zip"):
        SSD(Base(), 3, level_shapes(SIDES), SIZE, (6,))
    model = small_ssd()
    with pytest.raises(ValueError, match=r"images\[1\]: expected 40 × 64 pixels"):
        model([torch.rand(3, 40, 64), torch.rand(3, 64, 40)])
    with pytest.raises(ValueError, match="no pictures"):
        model([])
    with pytest.raises(ValueError, match="labels up to 3"):
        model.loss(model(pictures(1)), [target([[3.0, 5, 17, 30]], [4])])
    with pytest.raises(ValueError, match="one class for each box"):
        model.loss(model(pictures(2)), [TWO])
    with pytest.raises(ValueError, match="no area"):
        model.loss(model(pictures(1)), [target([[3.0, 5, 3, 30]], [1])])
