"""The label placer: labels inside the picture, not on one another, not over most of a box, and inside their own if they can."""

import pytest
import torch

from course_lib import plots


def spots(boxes, sizes, width=100, height=80):
    return [
        (x, y, x + w, y + h)
        for (x, y), (w, h) in zip(plots.place_labels(boxes, sizes, width, height), sizes, strict=True)
    ]


def overlap(a, b) -> float:
    return max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)


def inside(label, box, slack=1e-6) -> bool:
    return all(label[k] >= box[k] - slack and label[k + 2] <= box[k + 2] + slack for k in (0, 1))


def test_a_label_lies_inside_its_box():
    assert spots([(10, 20, 60, 50)], [(20, 8)]) == [(10, 20, 30, 28)]


def test_a_label_wider_than_its_box_stays_inside_the_picture():
    for box in ((95, 70, 100, 80), (0, 0, 4, 4), (40, 0, 44, 80)):
        (label,) = spots([box], [(20, 8)])
        assert inside(label, (0, 0, 100, 80)), box


def test_labels_of_the_same_box_do_not_cover_each_other():
    boxes = [(10, 10, 70, 60)] * 4
    placed = spots(boxes, [(25, 8)] * 4)
    assert all(inside(label, boxes[0]) for label in placed)
    assert sum(overlap(a, b) for i, a in enumerate(placed) for b in placed[:i]) == 0


def test_the_smaller_box_chooses_first_and_order_is_kept():
    large, small = spots([(10, 10, 90, 70), (10, 10, 40, 30)], [(25, 8), (25, 8)])
    assert inside(small, (10, 10, 40, 30)) and inside(large, (10, 10, 90, 70)) and overlap(large, small) == 0


def test_a_label_does_not_hide_a_small_object():
    key, car = (10, 40, 34, 56), (5, 5, 95, 39)  # the label would cover half of the key, inside it
    label, _ = spots([key, car], [(24, 8), (24, 8)])
    assert overlap(label, key) == 0 and label[1] == 32  # above it, where the large car is not hidden
    at_the_edge, _ = spots([(10, 0, 34, 16), (60, 0, 90, 60)], [(24, 8), (24, 8)])
    assert at_the_edge == (10, 16, 34, 24)  # above there is no room
    label, _ = spots([(10, 40, 34, 56), (10, 30, 34, 40)], [(24, 8), (24, 8)])
    assert overlap(label, (10, 30, 34, 40)) == 0  # nor another small one


def test_crowded_labels_are_apart_as_far_as_there_is_room():
    torch.manual_seed(0)
    corner = torch.rand(8, 2) * torch.tensor([70.0, 50.0])
    boxes = torch.cat([corner, corner + 25], dim=1).tolist()
    placed = spots(boxes, [(18, 6)] * 8)
    assert all(inside(label, (0, 0, 100, 80)) for label in placed)
    assert sum(overlap(a, b) > 0 for i, a in enumerate(placed) for b in placed[:i]) <= 1
    assert plots.place_labels([], [], 10, 10) == []


def test_named_boxes_are_settled_on_a_real_figure():
    fig, ax = plots.plt.subplots(figsize=(3, 3), layout="constrained")
    plots.picture(ax, torch.rand(3, 128, 128))
    boxes = torch.tensor([[10.0, 4, 90, 70], [12.0, 6, 90, 70], [100.0, 100, 127, 127]])
    plots.named_boxes(ax, boxes, ["butterfly 0.91", "key 0.57", ""], colours=[0, 1, 2], dashed=True)
    plots.settle_labels(fig)
    fig.canvas.draw()
    frames = [text.get_bbox_patch().get_window_extent() for text in ax.texts]
    assert len(frames) == 2 and not frames[0].overlaps(frames[1])
    picture = ax.get_window_extent()
    assert all(picture.x0 - 1 <= f.x0 and f.x1 <= picture.x1 + 1 and picture.y0 - 1 <= f.y0 for f in frames)
    plots.plt.close(fig)


def test_examples_on_small_sets():
    class Set(list):
        targets = property(lambda self: [dict(boxes=torch.zeros(n, 4)) for n in self])

    assert plots.examples(Set([1, 0, 3]), 2, 0) == [2, 0]
    assert plots.examples(Set([1, 0, 3]), 83, objects=2) == [2]
    assert plots.examples(Set([0, 1]), 83, 7, 9) == [1, 0]
    assert plots.examples(Set([4]), 5, 6, objects=2) == [0]


def test_data_flow_refuses_unknown_parts():
    with pytest.raises(ValueError, match="no part of the diagram"):
        plots.data_flow(["mouth"])
    plots.plt.close(plots.data_flow(["match", "targets"]))
