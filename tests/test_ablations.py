"""The arms of lesson 7, each of which differs from RetinaNet in the one part that its name says."""

import pytest
import torch

from course_lib.experiments.lesson07 import LESSON07, Separate, build
from course_lib.experiments.standard_run import classification

CLASSES = 3
PICTURE = torch.rand(3, 128, 128, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def whole():
    return said("live")


def said(arm: str) -> dict:
    with torch.no_grad():
        return build(LESSON07.arms[arm], 0, CLASSES).eval()([PICTURE])


def numbers(arm: str) -> int:
    return sum(p.numel() for p in build(LESSON07.arms[arm], 0, CLASSES).parameters())


def test_separate_heads_start_as_the_shared_ones_and_are_five(whole):
    assert torch.equal(said("separate heads")["logits"], whole["logits"])
    detector = build(LESSON07.arms["separate heads"], 0, CLASSES)
    assert isinstance(detector.classify, Separate) and len(detector.classify) == len(detector.locate) == 5
    shared = build(LESSON07.arms["live"], 0, CLASSES)
    heads = sum(p.numel() for head in (shared.classify, shared.locate) for p in head.parameters())
    assert numbers("separate heads") - numbers("live") == 4 * heads
    detector.classify["16"][-1].bias.data += 1  # P3 alone: 16 × 16 cells of six anchors
    with torch.no_grad():
        changed = (detector.eval()([PICTURE])["logits"] != whole["logits"]).any(dim=2)[0]
    assert changed[:1536].all() and not changed[1536:].any()


def test_the_path_changes_the_fine_levels_only(whole):
    differs = (said("no top-down")["logits"] != whole["logits"]).any(dim=2)[0]
    assert differs[: 6 * (256 + 64)].all() and not differs[6 * (256 + 64) :].any()  # P3 and P4; P5 to P7 get nothing
    assert numbers("no top-down") == numbers("no laterals") == numbers("live")
    differs = (said("no laterals")["logits"] != whole["logits"]).any(dim=2)[0]
    assert differs[: 6 * (256 + 64)].all() and not differs[6 * (256 + 64) :].any()


def test_levels_and_anchors():
    assert len(said("finest level only")["boxes"]) == 256 * 30  # all shapes on P3
    assert len(said("one anchor per cell")["boxes"]) == 341
    fine = said("from stride 4")["boxes"]
    assert len(fine) == 6 * (1024 + 256 + 64 + 16 + 4)
    assert (fine[0, :2] + fine[0, 2:]).tolist() == [4.0, 4.0]  # twice the first centre, half a stride of 4


def test_prior_and_normalisation():
    assert said("no prior")["logits"].sigmoid().mean().item() == pytest.approx(0.5, abs=0.05)
    layers = {type(layer).__name__ for layer in build(LESSON07.arms["no GroupNorm"], 0, CLASSES).classify.modules()}
    assert "GroupNorm" not in layers


@pytest.mark.parametrize("arm", LESSON07.arms)
def test_every_arm_names_what_is_known(arm):
    settings = LESSON07.arms[arm]
    known = {"family", "loss", "lr", "weight", "steps", "top_down", "levels", "laterals", "group_norm", "anchors"}
    known |= {"heads", "prior", "labels", "library", "augment", "confirm", "scenes"}
    assert settings.keys() <= known
    classes = torch.tensor([[0, 1]])
    n = CLASSES + (settings["family"] == "ssd")  # softmax has a channel for background
    assert classification(settings)(torch.zeros(1, 2, n), classes).shape == (1, 2)
