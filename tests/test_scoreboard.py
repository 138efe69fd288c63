"""Lesson 8's experiments: arms of equal effort, counts, times; nothing is trained for long."""

import torch
from torch import nn

from course_lib.backbone import Backbone
from course_lib.experiments import lesson08
from course_lib.experiments.lesson08 import CHOSEN, FAMILIES, RATES, SCOREBOARD, TUNING, build, count, milliseconds


def test_every_family_is_tuned_with_the_same_rates():
    tried = [(settings["family"], settings["lr"], settings["steps"]) for settings in TUNING.values()]
    assert sorted(tried) == sorted((family, lr, lesson08.STEPS) for family in FAMILIES for lr in RATES)
    assert all(SCOREBOARD.seeds_of(arm) == [100] for arm in TUNING)
    assert not {"confirm", "augment"} & {name for settings in TUNING.values() for name in settings}  # never on test


def test_confirming_arms_come_with_five_new_seeds():
    live = [*lesson08.LIVE, *lesson08.FOURFOLD, *lesson08.NO_PATH, *lesson08.NO_NORM]
    assert set(live) | set(lesson08.LONGER) | set(lesson08.THOUSAND) | set(TUNING) == set(SCOREBOARD.arms)
    assert not CHOSEN or set(CHOSEN) == set(FAMILIES)
    assert all(len(SCOREBOARD.seeds_of(arm)) >= 5 and 100 not in SCOREBOARD.seeds_of(arm) for arm in live)


def test_group_norm_can_be_left_out():
    counts = [
        sum(isinstance(layer, nn.GroupNorm) for layer in build("RetinaNet", 3, start="random", **changed).modules())
        for changed in ({}, {"group_norm": 0})
    ]
    assert counts == [4, 0]  # two towers of two convolutions


def test_all_families_have_the_same_limits():
    for family in FAMILIES:
        model = build(family, 3, start="random")
        if family == "two-stage":
            heads = model.theirs.roi_heads
            assert (heads.score_thresh, heads.nms_thresh, heads.detections_per_img) == (0.01, 0.45, 100)
        else:
            limits = model.score_threshold, model.iou_threshold, model.top_k, model.max_detections
            assert limits == (0.01, 0.45, 200, 100)


def test_the_base_of_every_family_is_given_the_same_numbers():
    picture = torch.rand(3, 128, 128, generator=torch.Generator().manual_seed(0))
    for family in FAMILIES:
        model, seen = build(family, 3, start="random").eval(), []
        stem = next(m for m in model.modules() if isinstance(m, Backbone)).stem
        stem.register_forward_hook(lambda module, given, result, seen=seen: seen.append(given[0]))
        if family == "sliding window":
            window = torch.tensor([[0.0, 0, 32, 32]])
            model.look(picture[None], torch.tensor([0]), window)
            assert torch.equal(seen[0][0], picture[:, :32, :32] - 0.5)
        else:
            model.detect([picture])
            assert len(seen) == 1 and torch.equal(seen[0][0], picture - 0.5), family


def test_counts():
    found = {family: count({"family": family}, 0) for family in FAMILIES}
    boxes = {family: scores["boxes"] for family, scores in found.items()}
    assert boxes["sliding window"] == 1117 == found["sliding window"]["passes"]
    assert boxes["SSD"] == boxes["RetinaNet"] == 6 * (256 + 64 + 16 + 4 + 1) and boxes["two-stage"] == 6 * (
        256 + 64 + 16
    )
    assert boxes["YOLO, connected top"] == boxes["YOLO, convolutional top"] == 8 * 8 * 2
    assert found["YOLO, connected top"]["out of reach"] == 7 / 734
    positives = 734 - 7  # one box an object that has a cell
    assert abs(found["YOLO, connected top"]["negatives per positive"] - (200 * 128 - positives) / positives) < 1e-3
    assert found["two-stage"]["regions"] == 64 and all(found[f]["passes"] == 1 for f in found if f != "sliding window")
    assert all(scores["negatives per positive"] > 1 and 0 <= scores["out of reach"] < 0.2 for scores in found.values())
    assert found["SSD"]["MB"] * 1e6 / 4 >= found["SSD"]["parameters"] > 1e6


def test_times_are_taken_in_turn_and_threads_come_back():
    calls, before = [], torch.get_num_threads()

    class Model:
        def __init__(self, name: str) -> None:
            self.name = name

        def detect(self, images: list) -> None:
            calls.append((self.name, torch.get_num_threads(), len(images)))

    found = milliseconds({"a": Model("a"), "b": Model("b")}, [torch.rand(3, 4, 4)] * 3, threads=2, rounds=2)
    assert set(found) == {"a", "b"} and all(value >= 0 for value in found.values())
    assert [name for name, *_ in calls] == ["a", "b"] * 7 and set(calls) == {("a", 2, 1), ("b", 2, 1)}
    assert torch.get_num_threads() == before
