"""Losses over default boxes: by hand, against torch and torchvision, gradients, hard negatives, wrong calls."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torchvision.models.detection.ssd import SSD as TorchvisionSSD
from torchvision.ops import generalized_box_iou_loss, sigmoid_focal_loss

from course_lib.boxes import decode, encode
from course_lib.losses import (
    detection_loss,
    focal_loss,
    giou_loss,
    hard_negatives,
    mined_cross_entropy,
    set_prior,
    sigmoid_cross_entropy,
    smooth_l1,
    softmax_cross_entropy,
)

LN2, LN3 = math.log(2), math.log(3)


def random_case(seed: int, n: int = 3, batch: int = 2, m: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [B, M, n] as double and classes [B, M] from −1 to n − 1."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(batch, m, n, generator=generator, dtype=torch.float64)
    return logits, torch.randint(-1, n, (batch, m), generator=generator)


# ---------------------------------------------------------------- classification


def test_softmax_by_hand():
    # e^0 = 1, e^ln2 = 2, e^ln3 = 3: the classes have 1/6, 2/6 and 3/6.
    logits = torch.tensor([[0.0, LN2, LN3]]).expand(4, 3)
    losses = softmax_cross_entropy(logits, torch.tensor([0, 1, 2, -1]))
    assert torch.allclose(losses, torch.tensor([math.log(6), LN3, LN2, 0.0]))


def test_sigmoid_by_hand():
    # Two questions with odds 1 : 1 and 3 : 1, so "yes" has 1/2 and 3/4. Channel 0 asks for label 1.
    logits = torch.tensor([[0.0, LN3]]).expand(4, 2)
    losses = sigmoid_cross_entropy(logits, torch.tensor([0, 1, 2, -1]))
    right = [LN2 + math.log(4), LN2 + math.log(4), LN2 + math.log(4 / 3), 0.0]
    assert torch.allclose(losses, torch.tensor(right))


def test_equal_to_torch():
    for seed in range(20):
        logits, classes = random_case(seed)
        theirs = F.cross_entropy(logits.flatten(0, 1), classes.flatten(), ignore_index=-1, reduction="none")
        assert torch.allclose(softmax_cross_entropy(logits, classes).flatten(), theirs)
        logits = logits[..., 1:]
        yes = F.one_hot(classes.clamp(min=0), 3)[..., 1:].double()
        theirs = F.binary_cross_entropy_with_logits(logits, yes, reduction="none").sum(dim=-1)
        assert torch.allclose(sigmoid_cross_entropy(logits, classes), theirs.masked_fill(classes < 0, 0))


@pytest.mark.parametrize("loss", [softmax_cross_entropy, sigmoid_cross_entropy])
def test_gradients(loss):
    for seed in range(4):
        logits, classes = random_case(seed)
        assert torch.autograd.gradcheck(lambda x, c=classes: loss(x, c), logits.requires_grad_())
        (gradient,) = torch.autograd.grad(loss(logits, classes).sum(), logits)
        left_out = classes == -1
        assert not gradient[left_out].any() and gradient[~left_out].abs().sum(dim=-1).min() > 0


def test_gradient_is_probability_minus_truth_also_at_zero():
    for x in (-3.0, 0.0, 2.0):
        logit = torch.full((2, 1), x, requires_grad=True)
        sigmoid_cross_entropy(logit, torch.tensor([0, 1])).sum().backward()
        p = 1 / (1 + math.exp(-x))
        assert torch.allclose(logit.grad[:, 0], torch.tensor([p, p - 1]), atol=1e-6)


@pytest.mark.parametrize("loss", [softmax_cross_entropy, sigmoid_cross_entropy])
def test_very_sure_and_very_wrong_stay_finite(loss):
    logits = torch.tensor([[1000.0, -1000.0], [-1000.0, 1000.0]], requires_grad=True)
    losses = loss(logits, torch.tensor([1, 1]))
    losses.sum().backward()
    wrong = {softmax_cross_entropy: [2000.0, 0.0], sigmoid_cross_entropy: [0.0, 2000.0]}[loss]
    assert losses.tolist() == wrong and logits.grad.isfinite().all()
    hardest = logits.grad[wrong.index(2000.0)]
    assert hardest.abs().tolist() == [1.0, 1.0]  # clamped probabilities would give 0 here


def test_without_boxes():
    none = torch.zeros(2, 0, dtype=torch.int64)
    assert softmax_cross_entropy(torch.zeros(2, 0, 4), none).shape == (2, 0)
    assert sigmoid_cross_entropy(torch.zeros(2, 0, 3), none).shape == (2, 0)
    assert smooth_l1(torch.zeros(0, 4), torch.zeros(0, 4)).shape == (0,)


# ---------------------------------------------------------------- localization


def test_smooth_l1_by_hand():
    predicted = torch.tensor([[0.5, 0.0, -2.0, 1.0], [3.0, 0.0, 0.0, 0.0]])
    true = torch.tensor([[0.0, 0.0, 1.0, 2.0], [0.0, 0.0, 0.0, 0.25]])
    # .5²/2 + 0 + (3 − .5) + 1²/2; 3 − .5 + .25²/2
    assert torch.allclose(smooth_l1(predicted, true), torch.tensor([3.125, 2.53125]))


def test_smooth_l1_equals_torch_and_its_gradient_is_at_most_one():
    generator = torch.Generator().manual_seed(0)
    predicted = (4 * torch.randn(50, 4, generator=generator, dtype=torch.float64)).requires_grad_()
    true = torch.randn(50, 4, generator=generator, dtype=torch.float64)
    ours, theirs = smooth_l1(predicted, true), F.smooth_l1_loss(predicted, true, beta=1.0, reduction="none").sum(dim=1)
    assert torch.allclose(ours, theirs)
    (a,), (b,) = (torch.autograd.grad(loss.sum(), predicted) for loss in (ours, theirs))
    assert torch.allclose(a, b) and a.abs().max() == 1
    assert torch.autograd.gradcheck(lambda x: smooth_l1(x, true), predicted)


def test_giou_by_hand():
    """Equal; half of it; side by side with a gap as wide as each; one above the other, 2 high in a hull of 8."""
    true = torch.tensor([0.0, 0, 4, 2]).expand(4, 4)
    predicted = torch.tensor([[0.0, 0, 4, 2], [0, 0, 2, 2], [8, 0, 12, 2], [0, 6, 4, 8]])
    iou, empty = torch.tensor([1, 0.5, 0, 0]), torch.tensor([0, 0, 1 / 3, 0.5])
    assert torch.allclose(giou_loss(predicted, true), 1 - iou + empty)


def test_giou_equals_torchvisions_and_pulls_from_afar():
    generator = torch.Generator().manual_seed(0)
    corner = 40 * torch.rand(2, 500, 2, generator=generator, dtype=torch.float64)
    predicted, true = torch.cat([corner, corner + 1 + 30 * torch.rand(2, 500, 2, generator=generator)], dim=-1)
    ours, theirs = (x.clone().requires_grad_() for x in (predicted, predicted))
    losses, expected = giou_loss(ours, true), generalized_box_iou_loss(theirs, true)
    assert torch.allclose(losses, expected, rtol=0, atol=1e-12) and losses.min() >= 0 and losses.max() <= 2
    losses.sum().backward(), expected.sum().backward()
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-12)
    far = torch.tensor([[100.0, 0, 110, 10]], requires_grad=True)
    giou_loss(far, torch.tensor([[0.0, 0, 10, 20]])).sum().backward()
    assert far.grad[0, 0] > 0 and far.grad.isfinite().all()
    assert giou_loss(torch.zeros(0, 4), torch.zeros(0, 4)).shape == (0,)
    with pytest.raises(ValueError, match=r"true \[1, 4\], but predicted is \[2, 4\]"):
        giou_loss(torch.rand(2, 4), torch.rand(1, 4))


# ---------------------------------------------------------------- hard negatives


def test_hard_negatives_by_hand():
    losses = torch.tensor([[9.0, 1.0, 5.0, 2.0, 7.0, 3.0, 8.0, 4.0], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]])
    classes = torch.tensor([[2, 0, 0, 0, 0, 0, -1, 0], [0, 0, 0, 1, 0, 3, -1, -1]])
    chosen = hard_negatives(losses, classes)
    assert chosen[0].nonzero()[:, 0].tolist() == [2, 4, 7]  # three of the background, by loss; not 0, not 6
    assert chosen[1].nonzero()[:, 0].tolist() == [0, 1, 2, 4]  # six are wanted, four are there
    assert hard_negatives(losses, classes, ratio=1)[0].nonzero()[:, 0].tolist() == [4]


def test_a_picture_without_objects_has_negatives_too():
    losses, classes = torch.tensor([[1.0, 4.0, 2.0, 3.0, 5.0]]), torch.zeros(1, 5, dtype=torch.int64)
    assert hard_negatives(losses, classes).nonzero()[:, 1].tolist() == [1, 3, 4]
    assert not hard_negatives(losses, classes - 1).any()


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 5), st.booleans())
def test_hard_negatives_properties(seed, m, ratio, ties):
    """As many as wanted or as there are; only background; none that was left has a larger loss; ties change no count."""
    generator = torch.Generator().manual_seed(seed)
    losses = torch.rand(3, m, generator=generator)
    losses = (losses * 3).round() if ties else losses
    classes = torch.randint(-1, 3, (3, m), generator=generator)
    before = losses.clone(), classes.clone()
    chosen = hard_negatives(losses, classes, ratio)
    assert torch.equal(losses, before[0]) and torch.equal(classes, before[1])
    for loss, c, mine in zip(losses, classes, chosen, strict=True):
        background = c == 0
        wanted = ratio * max(1, int((c > 0).sum()))
        assert mine.sum() == min(wanted, int(background.sum())) and not mine[~background].any()
        if mine.any() and (background & ~mine).any():
            assert loss[mine].min() >= loss[background & ~mine].max()


def test_the_choice_itself_has_no_gradient():
    losses = torch.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    classes = torch.tensor([[1, 0, 0]])
    chosen = hard_negatives(losses, classes, ratio=1)
    losses[chosen].sum().backward()
    assert losses.grad.tolist() == [[0.0, 0.0, 1.0]]


def their_loss(logits, offsets, boxes, default_boxes, classes, matches) -> dict[str, torch.Tensor]:
    """torchvision's SSD.compute_loss on raw outputs; without pictures and network."""
    theirs = TorchvisionSSD(nn.Identity(), _Given(), (8, 8), logits.shape[-1], head=nn.Identity())
    outputs = {"bbox_regression": offsets, "cls_logits": logits}
    targets = [{"boxes": b, "labels": c} for b, c in zip(boxes, classes, strict=True)]
    return theirs.compute_loss(targets, outputs, [default_boxes] * len(boxes), matches)


class _Given(nn.Module):
    def num_anchors_per_location(self) -> list[int]:
        return [1]


def both_losses(m: int, positives: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """(ours, torchvision's) classification and localization, for two pictures with m boxes and one object each."""
    generator = torch.Generator().manual_seed(seed)
    corner = 50 * torch.rand(m, 2, generator=generator)
    default_boxes = torch.cat([corner, corner + 5 + 20 * torch.rand(m, 2, generator=generator)], dim=1)
    boxes = [torch.tensor([[3.0, 5, 20, 40]]), torch.tensor([[13.0, 2, 60, 31]])]
    labels = [torch.tensor([2]), torch.tensor([1])]
    logits, offsets = torch.randn(2, m, 4, generator=generator), torch.randn(2, m, 4, generator=generator)
    matches = [torch.arange(m).ge(positives).long().neg(), torch.arange(m).flip(0).ge(positives).long().neg()]
    theirs = their_loss(logits, offsets, boxes, default_boxes, labels, matches)
    classes = torch.stack([torch.where(row >= 0, c, 0) for row, c in zip(matches, labels, strict=True)])
    true = torch.stack([encode(b.expand(m, 4), default_boxes) for b in boxes])
    assert torch.allclose(decode(true[0], default_boxes), boxes[0].expand(m, 4), atol=1e-3)
    losses, mine = softmax_cross_entropy(logits, classes), classes > 0
    chosen = mine | hard_negatives(losses, classes)
    ours = losses[chosen].sum() / mine.sum(), smooth_l1(offsets[mine], true[mine]).sum() / mine.sum()
    return torch.stack(ours), torch.stack([theirs["classification"], theirs["bbox_regression"]])


def test_equals_torchvision_where_background_is_plenty():
    for seed in range(10):
        ours, theirs = both_losses(m=40, positives=1 + seed % 5, seed=seed)
        assert torch.allclose(ours, theirs, rtol=1e-5)


def test_torchvision_counts_positives_twice_where_background_is_scarce_and_we_do_not():
    """5 boxes with an object and 3 without: all 8 count once."""
    ours, theirs = both_losses(m=8, positives=5)
    assert theirs[0] > 1.2 * ours[0] and torch.allclose(ours[1], theirs[1], rtol=1e-5)


# ---------------------------------------------------------------- wrong calls


@pytest.mark.parametrize("loss, largest", [(softmax_cross_entropy, 2), (sigmoid_cross_entropy, 3)])
def test_wrong_classes_are_named(loss, largest):
    logits = torch.zeros(4, 3)
    loss(logits, torch.tensor([0, largest, -1, 1]))
    with pytest.raises(ValueError, match=f"labels up to {largest}"):
        loss(logits, torch.tensor([0, largest + 1, -1, 1]))
    with pytest.raises(ValueError, match="classes from -2"):
        loss(logits, torch.tensor([0, -2, -1, 1]))
    with pytest.raises(ValueError, match=r"logits \[4, 3\] but classes \[3\]"):
        loss(logits, torch.tensor([0, 1, 1]))


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"true \[4\], but predicted is \[2, 4\]"):
        smooth_l1(torch.zeros(2, 4), torch.zeros(4))
    with pytest.raises(ValueError, match=r"classes \[1, 3\], but losses is \[1, 4\]"):
        hard_negatives(torch.zeros(1, 4), torch.zeros(1, 3, dtype=torch.int64))


def test_equal_losses_are_mined_in_order():
    """A fresh network's losses are all equal: which negatives count must not depend on the implementation."""
    losses, classes = torch.ones(2, 400), torch.zeros(2, 400, dtype=torch.int64)
    classes[0, 100:102] = 1
    hard = hard_negatives(losses, classes)
    assert hard[0].nonzero()[:, 0].tolist() == [0, 1, 2, 3, 4, 5] and hard[1].nonzero()[:, 0].tolist() == [0, 1, 2]


@pytest.mark.parametrize("cross_entropy, channels", [(softmax_cross_entropy, 4), (sigmoid_cross_entropy, 3)])
def test_mined_cross_entropy_is_cross_entropy_or_nothing(cross_entropy, channels):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 30, channels, generator=generator)
    classes = torch.zeros(2, 30, dtype=torch.int64)
    classes[0, 3], classes[0, 7], classes[1, :5] = 2, -1, 3
    losses, mined = cross_entropy(logits, classes), mined_cross_entropy(logits, classes, cross_entropy, ratio=2)
    counted = (classes > 0) | hard_negatives(losses, classes, 2)
    assert torch.equal(mined[counted], losses[counted]) and not mined[~counted].any()
    assert counted.sum(dim=1).tolist() == [3, 15]


# ---------------------------------------------------------------- focal loss


def logit(p: float) -> torch.Tensor:
    return torch.tensor([[p]]).logit()


ONE, NONE = torch.tensor([1]), torch.tensor([0])


def test_focal_values_on_paper():
    # (1 − .8)² · −ln .8 = .04 · .22314; (1 − .1)² · −ln .1 = .81 · 2.30259
    assert focal_loss(logit(0.8), ONE, alpha=None).item() == pytest.approx(0.0089257, abs=1e-6)
    assert focal_loss(logit(0.1), ONE, alpha=None).item() == pytest.approx(1.865094, abs=1e-5)
    assert focal_loss(logit(0.2), NONE, alpha=None).item() == pytest.approx(0.0089257, abs=1e-6)
    assert focal_loss(logit(0.8), ONE).item() == pytest.approx(0.25 * 0.0089257, abs=1e-6)
    assert focal_loss(logit(0.2), NONE).item() == pytest.approx(0.75 * 0.0089257, abs=1e-6)
    two = torch.cat([logit(0.8), logit(0.3)], dim=1)  # yes with .8, no with .7: (.3)² · −ln .7
    assert focal_loss(two, ONE, alpha=None).item() == pytest.approx(0.0089257 + 0.09 * 0.3566749, abs=1e-6)
    assert focal_loss(two, torch.tensor([-1])).item() == 0


def test_focal_gradient_on_paper():
    """At p = .8, γ = 2: −(1 − p)² [(1 − p) − γ p ln p] = −.04 (.2 + 1.6 · .22314) = −.02228; a detached weight gives −.008."""
    z = logit(0.8).requires_grad_()
    focal_loss(z, ONE, alpha=None).sum().backward()
    assert z.grad.item() == pytest.approx(-0.0222811, abs=1e-6)
    z = torch.tensor([[-10.0]], requires_grad=True)  # clamped probabilities would give exactly 0 here
    focal_loss(z, ONE, alpha=None).sum().backward()
    assert z.grad.item() == pytest.approx(-1.0, abs=1e-3)


@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.3, 0.5, 1.0, 2.0, 5.0]), st.sampled_from([None, 0.25, 0.9]))
def test_focal_equals_torchvision(seed, gamma, alpha):
    generator = torch.Generator().manual_seed(seed)
    logits = 4 * torch.randn(2, 7, 5, generator=generator, dtype=torch.float64)
    classes = torch.randint(-1, 6, (2, 7), generator=generator)
    truth = (torch.arange(1, 6) == classes[..., None]).double()
    theirs = sigmoid_focal_loss(logits, truth, -1 if alpha is None else alpha, gamma).sum(dim=-1)
    ours = focal_loss(logits, classes, gamma, alpha)
    assert torch.allclose(ours, theirs.masked_fill(classes < 0, 0), atol=1e-10)
    assert (ours >= 0).all()


def test_focal_without_focusing_is_cross_entropy():
    generator = torch.Generator().manual_seed(1)
    logits, classes = 5 * torch.randn(3, 40, 4, generator=generator), torch.randint(-1, 5, (3, 40), generator=generator)
    assert torch.allclose(focal_loss(logits, classes, 0.0, None), sigmoid_cross_entropy(logits, classes), atol=1e-5)
    assert torch.allclose(2 * focal_loss(logits, classes, 0.0, 0.5), sigmoid_cross_entropy(logits, classes), atol=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.1, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("label", [0, 1, 2, -1])
def test_focal_is_finite_for_any_logit(gamma, label):
    logits = torch.tensor([[200.0, -200.0], [120.0, -120.0], [-18.0, 18.0], [0.0, 0.0]], requires_grad=True)
    losses = focal_loss(logits, torch.full((4,), label), gamma)
    losses.sum().backward()
    assert losses.isfinite().all() and logits.grad.isfinite().all()
    assert label >= 0 or not logits.grad.any()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_gradcheck(gamma):
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(6, 3, generator=generator, dtype=torch.float64).requires_grad_()
    classes = torch.tensor([0, 1, 2, 3, -1, 0])
    assert torch.autograd.gradcheck(lambda z: focal_loss(z, classes, gamma), logits)


def test_focal_wrong_calls_are_named():
    with pytest.raises(ValueError, match="labels up to 2"):
        focal_loss(torch.zeros(1, 2), torch.tensor([3]))
    with pytest.raises(ValueError, match="one class for each box"):
        focal_loss(torch.zeros(2, 2), torch.tensor([1]))


# ---------------------------------------------------------------- both parts, and the start


def test_detection_loss_divides_by_the_positives():
    classes = torch.tensor([[1, 0, 0], [2, 2, -1]])
    outputs = {"logits": torch.zeros(2, 3, 2), "offsets": torch.zeros(2, 3, 4)}
    wanted = torch.zeros(2, 3, 4)
    wanted[0, 0], wanted[1, 1], wanted[0, 1] = 2.0, torch.tensor([0.5, 0, 0, 0]), 9.0  # the last is no positive box
    parts = detection_loss(outputs, classes, wanted, sigmoid_cross_entropy)
    assert parts["classification"].item() == pytest.approx(5 * 2 * math.log(2) / 3)
    assert parts["localization"].item() == pytest.approx((4 * 1.5 + 0.125) / 3)
    nothing = detection_loss(outputs, torch.zeros(2, 3, dtype=torch.int64), wanted, sigmoid_cross_entropy)
    assert nothing["classification"].item() == pytest.approx(6 * 2 * math.log(2)) and nothing["localization"] == 0


def test_the_prior_is_what_the_first_scores_say():
    layers = [nn.Conv2d(4, 6, 3), nn.Linear(4, 3)]
    for layer in layers:
        nn.init.zeros_(layer.weight)
    set_prior(layers, 0.01)
    assert torch.allclose(layers[0](torch.rand(1, 4, 5, 5)).sigmoid(), torch.tensor(0.01))
    assert torch.allclose(layers[1](torch.rand(2, 4)).sigmoid(), torch.tensor(0.01))
    for wrong in (0.0, 1.0, 1.5):
        with pytest.raises(ValueError, match="a probability above 0 and below 1"):
            set_prior(layers, wrong)
