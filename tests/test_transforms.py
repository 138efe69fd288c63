"""Boxes move exactly as the pixels do: paint a rectangle, transform, find its pixels, compare with the box."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from course_lib.data import transforms
from course_lib.data.transforms import (
    augment,
    distort_colours,
    horizontal_flip,
    iou_crop,
    letterbox,
    unletterbox,
    zoom_out,
)

HEIGHT, WIDTH = 40, 70
BOXES = [[5, 8, 25, 18], [30, 3, 66, 37], [41, 22, 45, 39]]
MOVES = {"flip": horizontal_flip, "zoom out": zoom_out, "IoU crop": iou_crop}


def scene(byte: bool = False) -> tuple[Tensor, dict[str, Tensor]]:
    """A black picture, H ≠ W; object c is painted into colour channel c − 1, so that each is found on its own."""
    image = torch.zeros(3, HEIGHT, WIDTH, dtype=torch.uint8)
    for channel, (x1, y1, x2, y2) in enumerate(BOXES):
        image[channel, y1:y2, x1:x2] = 255
    target = {
        "boxes": torch.tensor(BOXES, dtype=torch.float32),
        "labels": torch.tensor([1, 2, 3]),
        "difficult": torch.tensor([False, True, False]),
    }
    return (image if byte else image.float() / 255), target


def found(image: Tensor, label: int) -> list[int]:
    """Bounds of the pixels painted for an object; grey margins do not count."""
    top = 255 if not image.is_floating_point() else 1
    rows, columns = (image[label - 1] > 0.75 * top).nonzero().unbind(1)
    return [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]


@pytest.mark.parametrize("byte", [False, True], ids=["float", "uint8"])
@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES.keys())
def test_box_and_pixels_agree_exactly(move, byte) -> None:
    kept = []
    for seed in range(60):
        torch.manual_seed(seed)
        image, target = move(*scene(byte))
        assert image.dtype == (torch.uint8 if byte else torch.float32) and type(image) is Tensor
        assert type(target["boxes"]) is Tensor and target["boxes"].dtype == torch.float32
        assert len(target["boxes"]) == len(target["labels"]) == len(target["difficult"])
        for box, label, difficult in zip(*target.values(), strict=True):
            assert box.tolist() == found(image, int(label))
            assert bool(difficult) == (int(label) == 2)
        kept.append(tuple(target["labels"].tolist()))
    if move is iou_crop:
        assert len(set(kept)) >= 4, "the crops drop now one, now another object"
    else:
        assert set(kept) == {(1, 2, 3)}


def test_flip_by_hand() -> None:
    assert horizontal_flip(*scene())[1]["boxes"].tolist() == [[45, 8, 65, 18], [4, 3, 40, 37], [25, 22, 29, 39]]


def test_zoom_out_fills_with_grey_and_keeps_the_scale() -> None:
    sizes = set()
    for seed in range(10):
        torch.manual_seed(seed)
        image, target = zoom_out(*scene(), factor=(1.5, 3.0))
        height, width = image.shape[-2:]
        assert 1.49 <= height / HEIGHT <= 3 and 1.49 <= width / WIDTH <= 3
        assert torch.equal(
            target["boxes"][:, 2:] - target["boxes"][:, :2], torch.tensor([[20.0, 10], [36, 34], [4, 17]])
        )
        assert (image == 0.5).all(dim=0).sum() == height * width - HEIGHT * WIDTH
        sizes.add((height, width))
    assert len(sizes) > 5


@pytest.mark.parametrize("size", [(40, 140), (120, 210), (90, 70), (20, 35), (100, 100), (33, 57), (128, 128)])
def test_letterbox_by_mass_and_centre(size) -> None:
    """Sub-pixel: the painted mass is the box's area, its centre of mass the box's centre."""
    image, target = scene()
    boxed, moved = letterbox(image, target, size)
    left, top, width, height = transforms.letterbox_margins((HEIGHT, WIDTH), size)
    assert boxed.shape == (3, *size)
    inside = boxed[:, top : top + height, left : left + width].double()
    ys, xs = torch.arange(height) + top + 0.5, torch.arange(width) + left + 0.5
    for channel, (x1, y1, x2, y2) in enumerate(moved["boxes"].double().tolist()):
        mass = inside[channel]
        assert mass.sum() == pytest.approx((x2 - x1) * (y2 - y1), rel=0.04)
        assert (mass.sum(0) * xs).sum() / mass.sum() == pytest.approx((x1 + x2) / 2, abs=0.08)
        assert (mass.sum(1) * ys).sum() / mass.sum() == pytest.approx((y1 + y2) / 2, abs=0.08)
    boxed[:, top : top + height, left : left + width] = 0.5
    assert (boxed == 0.5).all(), "the margins are grey"
    assert torch.equal(moved["labels"], target["labels"]) and torch.equal(moved["difficult"], target["difficult"])


def test_crop_without_objects_changes_nothing() -> None:
    none = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    for seed in range(20):
        torch.manual_seed(seed)
        assert torch.equal(iou_crop(scene()[0], none)[0], scene()[0])


def test_letterbox_by_hand() -> None:
    """70 wide and 40 high into 100 × 140 (H × W): twice as large, 10 rows of margin above and below."""
    moved = letterbox(*scene(), (100, 140))[1]
    assert moved["boxes"].tolist() == [[10, 26, 50, 46], [60, 16, 132, 84], [82, 54, 90, 88]]
    moved = letterbox(*scene(), (80, 160))[1]  # the same height: margins left and right
    assert moved["boxes"][0].tolist() == [20, 16, 60, 36]


sides = st.integers(8, 300)


@given(image_size=st.tuples(sides, sides), size=st.tuples(sides, sides), corner=st.tuples(*[st.floats(0, 1)] * 4))
@settings(max_examples=60, deadline=None)
def test_unletterbox_is_the_inverse(image_size, size, corner) -> None:
    height, width = image_size
    x1, x2 = sorted((corner[0] * width, corner[1] * width))
    y1, y2 = sorted((corner[2] * height, corner[3] * height))
    target = {"boxes": torch.tensor([[x1, y1, x2, y2]]), "labels": torch.tensor([1])}
    boxed, moved = letterbox(torch.zeros(3, height, width), target, size)
    back = unletterbox(moved["boxes"], image_size, size)
    assert torch.allclose(back, target["boxes"], atol=1e-3 * max(1.0, max(image_size) / min(size)))
    assert boxed.shape[-2:] == size
    assert (moved["boxes"] >= -1e-3).all()
    assert (moved["boxes"] <= torch.tensor([size[1], size[0]] * 2) + 1e-3).all()


def test_colours_change_but_not_the_boxes() -> None:
    image, target = scene()
    image = image * 0.6 + 0.2
    changed = 0
    for seed in range(10):
        torch.manual_seed(seed)
        other, moved = distort_colours(image, target)
        assert all(torch.equal(moved[key], target[key]) for key in target)
        assert other.shape == image.shape and other.min() >= 0 and other.max() <= 1
        changed += not torch.equal(other, image)
    assert changed >= 8


@pytest.mark.parametrize("byte", [False, True], ids=["float", "uint8"])
@pytest.mark.parametrize("move", [*MOVES.values(), distort_colours, lambda i, t: letterbox(i, t, (50, 60)), lambda i, t: letterbox(i, t, (HEIGHT, WIDTH)), augment(1, 1, 1, 1, 1)])  # fmt: skip
def test_inputs_stay_and_no_objects_is_fine(move, byte) -> None:
    image, target = scene(byte)
    before_image, before = image.clone(), {key: value.clone() for key, value in target.items()}
    out, moved = move(image, target)
    out.zero_()
    for value in moved.values():
        value.zero_()
    assert torch.equal(image, before_image) and all(torch.equal(target[key], before[key]) for key in before)
    none = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    out, moved = move(image, none)
    assert moved["boxes"].shape == (0, 4) and moved["labels"].shape == (0,) and moved["labels"].dtype == torch.int64
    assert moved["boxes"].dtype == torch.float32 and out.dtype == image.dtype


def runs(seed: int, count: int = 30, **chances: float) -> list:
    change = augment(seed, **chances)
    return [change(*scene()) for _ in range(count)]


def test_augment_repeats_with_its_seed_and_leaves_torchs_state() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = runs(1)
    assert torch.equal(torch.rand(3), expected)
    torch.manual_seed(77)
    again, other = runs(1), runs(2)
    for (image, target), (image2, target2) in zip(first, again, strict=True):
        assert torch.equal(image, image2) and all(torch.equal(target[key], target2[key]) for key in target)
    assert sum(torch.equal(a[0], b[0]) for a, b in zip(first, other, strict=True)) < 5
    assert len({tuple(image.flatten().tolist()) for image, _ in first}) > 12


def test_augment_keeps_size_and_boxes_on_their_objects() -> None:
    dropped = 0
    for image, target in runs(3, 80, colour=0):
        assert image.shape == (3, HEIGHT, WIDTH)
        assert len(target["labels"]) == len(target["boxes"]) == len(target["difficult"])
        dropped += len(target["labels"]) < 3
        for box, label in zip(target["boxes"], target["labels"], strict=True):
            if (box[2:] - box[:2]).min() < 4:
                continue  # resampling blurs slivers away
            assert (torch.tensor(found(image, int(label))) - box).abs().max() <= 1.5
    assert 0 < dropped < 60


@pytest.mark.parametrize("part", ["flip", "crop", "zoom", "colour"])
def test_each_part_of_augment_works_alone(part) -> None:
    chances = dict.fromkeys(("flip", "crop", "zoom", "colour"), 0.0)
    image, target = scene()
    for still, same in runs(4, 5, **chances):
        assert torch.equal(still, image) and torch.equal(same["boxes"], target["boxes"])
    moved = runs(4, 20, **{**chances, part: 1.0})
    assert sum(not torch.equal(other, image) for other, _ in moved) >= 10
    if part == "flip":
        assert all(torch.equal(other, image.flip(2)) for other, _ in moved)
    if part == "colour":
        assert all(torch.equal(same["boxes"], target["boxes"]) for _, same in moved)


@pytest.mark.parametrize(
    ("seed", "pixels", "edges", "objects"),
    [(1, 63556.901, 9415.0201, 85), (2, 71564.514, 9388.9228, 81), (3, 68568.552, 9443.5795, 85)],
)
def test_augment_gives_the_recorded_sequence(seed: int, pixels: float, edges: float, objects: int) -> None:
    """Sums over thirty pictures, recorded before the accelerators' generators were left alone."""
    changed = runs(seed)
    assert sum(float(image.double().sum()) for image, _ in changed) == pytest.approx(pixels, rel=1e-5)
    assert sum(float(target["boxes"].double().sum()) for _, target in changed) == pytest.approx(edges, rel=1e-5)
    assert sum(len(target["labels"]) for _, target in changed) == objects


def test_augment_leaves_the_accelerators_generators_alone(monkeypatch) -> None:
    def refuse(seed: int) -> None:
        raise AssertionError("every generator was seeded")

    monkeypatch.setattr(torch, "manual_seed", refuse)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", refuse)
    assert len(runs(1, 3)) == 3
