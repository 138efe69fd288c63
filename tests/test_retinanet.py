"""RetinaNet: shapes and order, padding, pictures of different sizes, prior, loss on hard cases, wrong calls."""

import pytest
import torch
from tiny import Base, learns_by_heart, target
from torch import nn

from course_lib.boxes import decode
from course_lib.default_boxes import default_boxes, level_shapes
from course_lib.losses import focal_loss, giou_loss, smooth_l1
from course_lib.matching import batch_targets
from course_lib.retinanet import RetinaNet, pad_batch, tower

SIDES = (10.0, 20.0, 40.0)
GRIDS = [(5, 8), (3, 4), (2, 2)]  # of 40 × 64 pixels, with multiple=8


class Centred(Base):
    """Grey is 0, as for the course's backbone: RetinaNet pads with grey."""

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return super().forward(x - 0.5)


def small(n: int = 3, ratios=(0.5, 1.0, 2.0), sides=SIDES, **settings) -> RetinaNet:
    torch.manual_seed(0)
    return RetinaNet(Centred(), n, level_shapes(sides, ratios), **({"width": 8, "convolutions": 1} | settings)).eval()


def pictures(*sizes: tuple[int, int]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(3, *size, generator=generator) for size in sizes]


NOTHING = target([], [])
TWO = target([[3.0, 5, 17, 30], [30, 2, 60, 38]], [2, 3])


def make_hot(
    tower: nn.Module, level: int, row: int, column: int, channel: int, value: float, rest: float = 0.0
) -> None:
    """Let a shared tower say `value` in one place of one level, and `rest` everywhere else; levels come in order."""
    calls = []

    def say(module, given, result):
        result = torch.full_like(result, rest)
        if len(calls) % 3 == level:
            result[0, channel, row, column] = value
        calls.append(None)
        return result

    tower.register_forward_hook(say)


# ---------------------------------------------------------------- padding


def test_padded_by_hand():
    batch = pad_batch([torch.ones(3, 2, 5), torch.full((3, 4, 1), 2.0)], multiple=3, fill=9.0)
    assert batch.shape == (2, 3, 6, 6)
    assert batch[0, 1].tolist() == [[1.0] * 5 + [9.0]] * 2 + [[9.0] * 6] * 4
    assert batch[1, 2].tolist() == [[2.0] + [9.0] * 5] * 4 + [[9.0] * 6] * 2
    assert pad_batch(torch.rand(2, 3, 4, 6), 2).shape == (2, 3, 4, 6)  # nothing to do; one tensor works as well


@pytest.mark.parametrize(
    "multiple, grids", [(None, [(8, 8), (4, 4), (2, 2)]), (8, GRIDS), (16, [(6, 8), (3, 4), (2, 2)])]
)
def test_maps_and_anchors_follow_the_padded_size(multiple, grids):
    """40 × 64 pixels; the coarsest stride is 32, and a level that the base does not give is made on top."""
    model = small(multiple=multiple)
    outputs = model(pictures((40, 64)))
    size = (8 * grids[0][0], 64)
    assert torch.equal(outputs["boxes"], default_boxes(size, grids, level_shapes(SIDES)))
    assert outputs["logits"].shape == (1, 6 * sum(r * c for r, c in grids), 3)
    assert model.multiple == (multiple or 32)


# ---------------------------------------------------------------- shapes and order


@pytest.mark.parametrize("level, row, column, k", [(0, 0, 0, 0), (0, 4, 6, 4), (1, 2, 1, 5), (2, 1, 0, 3)])
def test_a_hot_activation_belongs_to_its_box(level, row, column, k):
    """Level, row, column, shape: scores, offsets and anchors agree on the order, though the heads are shared."""
    ratios = [1.0, 2.0, 0.25]
    model = small(ratios=ratios, multiple=8)
    make_hot(model.classify, level, row, column, channel=3 * k + 2, value=9.0)
    make_hot(model.locate, level, row, column, channel=4 * k + 3, value=9.0)
    outputs = model(pictures((40, 64)))
    box = outputs["logits"][0, :, 2].argmax()
    assert outputs["logits"].count_nonzero() == 1 and outputs["offsets"].count_nonzero() == 1
    assert outputs["offsets"][0, box, 3] == 9
    x1, y1, x2, y2 = outputs["boxes"][box].tolist()
    rows, columns = GRIDS[level]
    assert ((x1 + x2) / 2, (y1 + y2) / 2) == pytest.approx(((column + 0.5) * 64 / columns, (row + 0.5) * 40 / rows))
    ratio, area = ratios[k % 3], SIDES[level] ** 2 * (2 if k >= 3 else 1)
    assert (x2 - x1, y2 - y1) == pytest.approx(((area * ratio) ** 0.5, (area / ratio) ** 0.5), rel=1e-4)


def test_other_anchors():
    """Any function of padded size, grids and shapes; it is asked with what is really there."""
    asked = []

    def anchors(image_size, grids, shapes):
        asked.append((image_size, grids, len(shapes)))
        return default_boxes(image_size, grids, shapes) + 1

    outputs = small(anchors=anchors, multiple=8)(pictures((40, 64)))
    assert asked == [((40, 64), GRIDS, 3)]
    assert torch.equal(outputs["boxes"], default_boxes((40, 64), GRIDS, level_shapes(SIDES)) + 1)


def test_heads_are_shared_and_have_their_depth():
    model = small(convolutions=2, group_norm=4)
    assert [type(layer).__name__ for layer in model.classify[0]] == ["Conv2d", "GroupNorm", "ReLU"]
    assert len(model.classify) == len(model.locate) == 3 and model.classify[0][0].bias is None
    assert model.classify[-1].out_channels == 18 and model.locate[-1].out_channels == 24
    plain = tower(8, 4, k=2, n=5)
    assert [type(layer).__name__ for layer in plain[3]] == ["Conv2d", "ReLU"] and plain[3][0].bias is not None
    assert plain(torch.rand(1, 8, 3, 5)).shape == (1, 10, 3, 5)


def test_double_stays_double():
    model = small().double()
    outputs = model([image.double() for image in pictures((40, 64))])
    assert {part.dtype for part in outputs.values()} == {torch.float64}
    sum(model.loss(outputs, [TWO]).values()).backward()


# ---------------------------------------------------------------- the start


@pytest.mark.parametrize("prior", [0.01, 0.2])
def test_first_scores_are_the_prior(prior):
    """Small first weights leave the bias alone: with torchvision's spread of .01, within some per cent; without, exactly."""
    model = small(prior=prior, width=64)
    scores = model(pictures((40, 64), (64, 40)))["logits"].sigmoid()
    assert scores.mean().item() == pytest.approx(prior, rel=0.1) and scores.std() < prior
    nn.init.zeros_(model.classify[-1].weight)
    assert torch.allclose(model(pictures((40, 64)))["logits"].sigmoid(), torch.tensor(prior))
    assert not model.locate[-1].bias.any()


def test_first_weights():
    """The predictor starts near 0, so that the bias decides; the layers before it as PyTorch starts a convolution."""
    model = small(width=64, convolutions=2)
    for head in (model.classify, model.locate):
        *before, last = [layer for layer in head.modules() if isinstance(layer, nn.Conv2d)]
        assert last.weight.std().item() == pytest.approx(0.01, rel=0.05)
        spread = (1 / (3 * 64 * 9)) ** 0.5  # uniform within 1 / sqrt(numbers read)
        assert len(before) == 2 and all(
            layer.weight.std().item() == pytest.approx(spread, rel=0.05) for layer in before
        )


# ---------------------------------------------------------------- pictures of different sizes


def test_a_picture_alone_and_in_a_batch():
    """Nothing of a neighbour comes in: beside a picture that needs no more padding, the outputs are the same."""
    model, (one, other) = small(multiple=32), pictures((40, 50), (64, 30))
    together, alone = model([one, other]), model([one])
    assert torch.equal(together["boxes"], alone["boxes"])
    for name in ("logits", "offsets"):
        assert torch.allclose(together[name][:1], alone[name], atol=1e-6)
    swapped = model([other, one])
    assert torch.allclose(swapped["logits"][1], together["logits"][0], atol=1e-6)


@pytest.mark.parametrize("groups, same", [(0, True), (4, False)])
def test_far_from_the_padding_only_group_normalisation_sees_it(groups, same):
    """Lesson 7: it averages over the padding too. Without it the first cell, far from the padding, says what it said."""
    model, (one, larger) = small(multiple=32, group_norm=groups), pictures((96, 96), (192, 192))
    model.pyramid.top_down = False  # or the coarse maps carry the padding there
    alone, beside = (model(images)["logits"][0, 0] for images in ([one], [one, larger]))
    assert torch.allclose(alone, beside, atol=1e-6) == same


@pytest.mark.parametrize("size", [(40, 64), (33, 41)])
@pytest.mark.parametrize("multiple", [8, 32, 128])
def test_padding_moves_no_detection(size, multiple):
    """The same hot cell of the finest level: the box lies where it lay, cut at the picture's own edges."""
    model = small(multiple=multiple, score_threshold=0.5)
    make_hot(model.classify, 0, row=3, column=4, channel=3 * 4 + 1, value=9.0, rest=-9.0)
    make_hot(model.locate, 0, row=3, column=4, channel=4 * 4 + 2, value=5.0)
    (found,) = model.detect(pictures(size))
    side, wide = 10 * 2**0.5, 10 * 2**0.5 * torch.tensor(1.0).exp().item()  # offset 5, variance .2: e times as wide
    box = [36 - wide / 2, 28 - side / 2, min(36 + wide / 2, size[1]), min(28 + side / 2, size[0])]
    assert found["labels"].tolist() == [2] and found["boxes"][0].tolist() == pytest.approx(box, abs=1e-3)
    (first, second) = model.detect(pictures(size, (128, 90)))
    assert torch.equal(first["boxes"], found["boxes"]) and len(second["boxes"]) == 0


def test_every_picture_is_clipped_at_its_own_edges():
    """All boxes grow to e⁴ times their size; in every class one is left, and it is the picture."""
    model = small(score_threshold=0.001)
    nn.init.zeros_(model.locate[-1].weight)
    model.locate[-1].bias.data[:] = torch.tensor([0.0, 0, 20, 20]).repeat(6)
    sizes = [(40, 64), (57, 23), (9, 100)]
    for found, (height, width) in zip(model.detect(pictures(*sizes)), sizes, strict=True):
        assert found["boxes"].tolist() == [[0, 0, width, height]] * 3 and sorted(found["labels"].tolist()) == [1, 2, 3]


def test_limits_are_settings():
    images = pictures((64, 64), (50, 30))
    many = small(score_threshold=0.001, iou_threshold=0.9).detect(images)[0]
    assert len(many["scores"]) == 100 and (many["scores"].diff() <= 0).all()
    assert len(small(score_threshold=0.001, max_detections=2).detect(images)[0]["scores"]) == 2
    assert len(small(score_threshold=0.001, top_k=1).detect(images)[0]["scores"]) == 1
    assert len(small(score_threshold=0.001, iou_threshold=0.0).detect(images)[0]["scores"]) < 100
    assert len(small().detect(images)[0]["scores"]) == 0  # the prior is below the threshold
    model = small(score_threshold=0.001)
    model.score_threshold = float(many["scores"][3])
    assert len(model.detect(images)[0]["scores"]) <= 3


# ---------------------------------------------------------------- loss


def test_targets_have_an_ignore_band():
    """IoU .45 with the only anchor near it: with thresholds .5 and .4 the anchor beside it is neither."""
    boxes = torch.tensor([[0.0, 0, 10, 20], [0, 9, 10, 20], [50, 0, 60, 10]])
    classes, _ = batch_targets([target([[0.0, 0, 10, 20]], [2])], boxes, 0.6, 0.4)
    assert classes.tolist() == [[2, -1, 0]]
    model = small()
    assert (model.foreground, model.background) == (0.5, 0.4)
    outputs = model(pictures((40, 64)))
    outputs["logits"].retain_grad()
    sum(model.loss(outputs, [TWO]).values()).backward()
    classes, _ = batch_targets([TWO], outputs["boxes"], 0.5, 0.4)
    assert (classes == -1).any() and not outputs["logits"].grad[classes == -1].any()
    assert outputs["logits"].grad[classes >= 0].all()


@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize("decoded", [False, True])
def test_loss_is_the_sum_over_the_anchors_that_count(mode, decoded):
    """Against a slow version, anchor by anchor; pictures of different sizes, one without objects; both modes."""
    localization = giou_loss if decoded else smooth_l1
    model = small(decoded=decoded, localization=localization).train(mode)
    outputs, targets = model(pictures((40, 64), (64, 50), (30, 30))), [TWO, NOTHING, target([[3.0, 4, 15, 19]], [1])]
    classes, offsets = batch_targets(targets, outputs["boxes"], 0.5, 0.4)
    classification, place, count = 0.0, 0.0, 0
    for i in range(3):
        for m in range(classes.shape[1]):
            classification += focal_loss(outputs["logits"][i, m], classes[i, m]).item()
            if classes[i, m] > 0:
                pair = [outputs["offsets"][i, m], offsets[i, m]]
                pair = [decode(part, outputs["boxes"][m]) for part in pair] if decoded else pair
                place, count = place + localization(*pair).item(), count + 1
    parts = model.loss(outputs, targets)
    assert list(parts) == ["classification", "localization"] and count > 2 and model.training == mode
    assert parts["classification"].item() == pytest.approx(classification / count, rel=1e-5)
    assert parts["localization"].item() == pytest.approx(place / count, rel=1e-5)


def test_pictures_without_objects_teach_background():
    model = small()
    outputs = model(pictures((40, 64), (64, 40)))
    parts = model.loss(outputs, [NOTHING, NOTHING])
    total = sum(parts.values())
    assert total.isfinite() and total > 0 and parts["localization"] == 0
    (logits,) = torch.autograd.grad(total, outputs["logits"], retain_graph=True)
    assert (logits > 0).all()
    mixed = sum(model.loss(outputs, [TWO, NOTHING]).values())
    (logits,) = torch.autograd.grad(mixed, outputs["logits"])
    assert logits[1].all() and logits.isfinite().all()


def test_boxes_of_difficult_objects_are_left_out():
    model = small()
    outputs = {k: v.detach().requires_grad_(k != "boxes") for k, v in model(pictures((40, 64))).items()}
    hard = target(TWO["boxes"].tolist(), [2, 3], [True, True])
    sum(model.loss(outputs, [hard]).values()).backward()
    answers = batch_targets([TWO], outputs["boxes"], 0.5, 0.4)[0] > 0
    assert answers.sum() >= 2 and not outputs["logits"].grad[answers].any()
    assert outputs["logits"].grad.any() and not outputs["offsets"].grad.any()


@pytest.mark.parametrize(
    "settings", [{}, {"group_norm": 4}, {"p6_from": "P5"}, {"decoded": True, "localization": giou_loss}]
)
def test_every_parameter_learns_and_targets_are_unchanged(settings):
    model = small(**settings)
    before = TWO["boxes"].clone(), TWO["labels"].clone()
    sum(model.loss(model(pictures((40, 64), (64, 40))), [TWO, NOTHING]).values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any() and parameter.grad.isfinite().all(), name
    assert torch.equal(TWO["boxes"], before[0]) and torch.equal(TWO["labels"], before[1])


def test_another_classification_loss():
    """Whatever function is given is called with the logits and the classes, and divided by the positives."""
    seen = []

    def loss(logits, classes):
        seen.append((logits.shape, classes.shape))
        return torch.full(classes.shape, 2.0)

    model = small(classification=loss, multiple=8)
    outputs = model(pictures((40, 64), (40, 64)))
    parts = model.loss(outputs, [TWO, NOTHING])
    positive = (batch_targets([TWO, NOTHING], outputs["boxes"], 0.5, 0.4)[0] > 0).sum()
    assert seen == [((2, 336, 3), (2, 336))]
    assert parts["classification"].item() == pytest.approx(2 * 2 * 336 / positive.item())


def test_learns_two_pictures_by_heart():
    model = small(convolutions=2, width=16, group_norm=4, score_threshold=0.4).train()
    images, targets = pictures((40, 64), (56, 40)), [TWO, target([[20.0, 8, 32, 20]], [1])]
    learns_by_heart(model, images, targets, steps=60, share=0.15)


# ---------------------------------------------------------------- wrong calls


def test_wrong_calls_are_named():
    shapes = level_shapes(SIDES)
    with pytest.raises(ValueError, match=r"shapes\[1\]: 3 boxes a cell, but shapes\[0\] has 6"):
        RetinaNet(Centred(), 3, [shapes[0], shapes[1][:3], shapes[2]])
    with pytest.raises(ValueError, match="shapes: 1 levels, but the base gives 2 maps"):
        RetinaNet(Centred(), 3, shapes[:1])
    with pytest.raises(ValueError, match=r"shapes\[0\]: expected \[k, 2\]"):
        RetinaNet(Centred(), 3, torch.rand(3, 2))
    with pytest.raises(ValueError, match="prior 1.0: a probability"):
        small(prior=1.0)
    with pytest.raises(ValueError, match="p6_from 'C6': choose"):
        small(p6_from="C6")
    with pytest.raises(TypeError, match="positional"):
        RetinaNet(Centred(), 3, shapes, 64)
    model = small()
    with pytest.raises(ValueError, match="no pictures"):
        model([])
    with pytest.raises(ValueError, match=r"images\[1\]: expected \[3, H, W\], got \[1, 40, 64\]"):
        model([torch.rand(3, 40, 64), torch.rand(1, 40, 64)])
    with pytest.raises(TypeError, match="divide a byte image by 255"):
        model([torch.zeros(3, 40, 64, dtype=torch.uint8)])
    outputs = model(pictures((40, 64), (40, 64)))
    with pytest.raises(ValueError, match="labels up to 3"):
        model.loss(outputs, [target([[3.0, 5, 17, 30]], [4]), NOTHING])
    with pytest.raises(ValueError, match="one class for each box"):
        model.loss(outputs, [TWO])
    with pytest.raises(ValueError, match="no area"):
        model.loss(outputs, [target([[3.0, 5, 3, 30]], [1]), NOTHING])
    with pytest.raises(ValueError, match="foreground 0.3, background 0.4"):
        small(foreground=0.3).loss(outputs, [TWO, NOTHING])
