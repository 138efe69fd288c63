"""YOLO v1: cells and their objects, a loss computed by hand, the bugs that public code has shipped, detections."""

import re

import pytest
import torch
from tiny import Base, learns_by_heart, target
from torch import nn

from course_lib.boxes import iou
from course_lib.data import CACHE
from course_lib.data.scenes import write_scenes
from course_lib.yolo import YOLO, cell_is_taken, cell_targets, cells_of, count_taken, decode_cells

SIZE = (40, 64)  # H × W; Base has a map of 3 × 4 cells at stride 16


class Coarser(Base):
    """One stage more than `Base`, at stride 32."""

    channels, strides = (5, 7, 6), (8, 16, 32)

    def __init__(self) -> None:
        super().__init__()
        self.third = nn.Conv2d(7, 6, 3, 2, 1)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        maps = super().forward(x)
        return [*maps, self.third(maps[-1]).relu()]


def yolo(base: nn.Module | None = None, n: int = 3, **settings) -> YOLO:
    torch.manual_seed(0)
    return YOLO(base or Base(), n, SIZE, **settings).eval()


def pictures(count: int = 2) -> list[torch.Tensor]:
    return list(torch.rand(count, 3, *SIZE, generator=torch.Generator().manual_seed(1)))


def guesses(rows: int = 2, columns: int = 2, k: int = 2, n: int = 3, count: int = 1) -> dict[str, torch.Tensor]:
    """Outputs of a network that says 0 everywhere."""
    shapes = {"coordinates": (k, 4), "confidences": (k,), "classes": (n,)}
    return {name: torch.zeros(count, rows, columns, *shape) for name, shape in shapes.items()}


def total(parts: dict[str, torch.Tensor]) -> float:
    return sum(parts.values()).item()


NOTHING = target([], [])
TWO = target([[3.0, 5, 17, 30], [30, 2, 60, 38]], [2, 3])


# ---------------------------------------------------------------- cells


def test_the_cell_of_a_centre():
    boxes = torch.tensor(
        [[0.0, 0, 8, 4], [60, 0, 64, 4], [31, 19, 33, 21], [20, 30, 30, 50], [60, 36, 68, 44], [-9, -9, 1, 1]]
    )
    assert cells_of(boxes, (40, 64), (2, 4)).tolist() == [[0, 0], [0, 3], [1, 2], [1, 1], [1, 3], [0, 0]]
    assert cells_of(torch.zeros(0, 4), (40, 64), (2, 4)).shape == (0, 2)


def test_whoever_comes_first_has_the_cell():
    cells = torch.tensor([[0, 1], [1, 0], [0, 1], [1, 1], [0, 1]])
    assert cell_is_taken(cells).tolist() == [False, False, True, False, True]
    assert cell_is_taken(cells[:0]).shape == (0,)


@pytest.mark.parametrize("kind, split, taken, of", [("standard", "train", 82, 5553), ("standard", "val", 7, 734),
                                                    ("crowded", "val", 236, 3318)])  # fmt: skip
def test_objects_whose_cell_is_taken(kind, split, taken, of):
    """1.5 % of the standard training set; 6.6 % and 7.1 % of the crowded training and val sets."""
    folder = write_scenes(CACHE, kind, split=split)
    texts = [
        (folder / "Annotations" / f"{name}.xml").read_text()
        for name in (folder / "ImageSets/Main" / f"{split}.txt").read_text().split()
    ]
    edges = [[float(number) for number in re.findall(r"<[xy]m[a-z]+>(\d+)<", text)] for text in texts]
    targets = [{"boxes": torch.tensor(each).reshape(-1, 4) - torch.tensor([1.0, 1, 0, 0])} for each in edges]
    assert sum(len(t["boxes"]) for t in targets) == of
    assert count_taken(targets, (128, 128), (8, 8)) == taken
    if split == "val":
        assert count_taken(targets, (128, 128), (4, 8)) > taken > count_taken(targets, (128, 128), (16, 16))


def test_targets_of_cells():
    given = target(
        [[4.0, 6, 20, 26], [6, 8, 20, 24], [40, 20, 60, 40]], [2, 1, 3]
    )  # centres (12, 16), (13, 16), (50, 30)
    classes, boxes, coordinates = cell_targets([given, NOTHING], (40, 64), (2, 4))
    assert classes.tolist() == [[[2, 0, 0, 0], [0, 0, 0, 3]], [[0] * 4] * 2]
    assert boxes[0, 0, 0].tolist() == [4, 6, 20, 26] and boxes[0, 1, 3].tolist() == [40, 20, 60, 40]
    assert coordinates[0, 0, 0].tolist() == pytest.approx([12 / 16, 16 / 20, (16 / 64) ** 0.5, (20 / 40) ** 0.5])
    assert coordinates[0, 1, 3].tolist() == pytest.approx(
        [50 / 16 - 3, 30 / 20 - 1, (20 / 64) ** 0.5, (20 / 40) ** 0.5]
    )
    assert coordinates.count_nonzero() == 8
    back = decode_cells(coordinates[:, :, :, None], (40, 64))[:, :, :, 0]
    assert torch.allclose(back[classes > 0], boxes[classes > 0], atol=1e-4)


def test_difficult_objects_give_way_and_leave_the_confidence_alone():
    hard = target([[4.0, 6, 20, 26], [6, 8, 20, 24], [40, 20, 60, 40]], [2, 1, 3], [True, False, True])
    classes, boxes, _ = cell_targets([hard], (40, 64), (2, 4))
    assert classes.tolist() == [[[1, 0, 0, 0], [0, 0, 0, -1]]] and boxes[0, 0, 0].tolist() == [6, 8, 20, 24]
    sure = guesses(2, 4)
    sure["confidences"][0, 1, 3] = 5.0
    model = yolo()
    assert total(model.loss(sure, [hard])) == total(model.loss(guesses(2, 4), [hard]))


# ---------------------------------------------------------------- the loss, by hand


def by_hand() -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """A picture of 40 × 80 in 2 × 2 cells of 20 × 40; one object of 20 × 10, centred at (50, 15), in cell (0, 1)."""
    outputs = guesses()
    here = outputs["coordinates"][0, 0, 1]
    here[0] = torch.tensor([0.25, 0.75, 0.5, 0.5])  # centre right, 20 × 10: the true box itself …
    here[1] = torch.tensor([0.5, 0.5, 0.5, 1.0])  # 20 × 40 round (60, 10)
    here[0, 2] = 0.25**0.5 * 2**0.5  # … but 40 wide: IoU 1/2
    outputs["confidences"][0] = torch.tensor([[[0.1, 0.2], [0.8, 0.3]], [[0.0, 0.4], [0.0, 0.0]]])
    outputs["classes"][0, 0, 1] = torch.tensor([0.2, 0.9, -0.1])
    outputs["classes"][0, 1, 1] = 7.0  # an empty cell's classes cost nothing
    return outputs, target([[40.0, 10, 60, 20]], [2])


def test_the_loss_of_a_2_by_2_grid_computed_by_hand():
    outputs, truth = by_hand()
    model = YOLO(Base(), 3, (40, 80))
    parts = model.loss(outputs, [truth])
    root = 0.5 * 2**0.5 - 0.5  # √width said minus √width true
    assert parts["localization"].item() == pytest.approx(5 * root**2)
    responsible = (0.8 - 0.5) ** 2
    others = 0.5 * (0.3**2 + 0.1**2 + 0.2**2 + 0.4**2)
    classes = 0.2**2 + 0.1**2 + 0.1**2
    assert parts["classification"].item() == pytest.approx(responsible + others + classes)


def test_the_box_with_the_larger_iou_is_responsible():
    outputs, truth = by_hand()
    model = YOLO(Base(), 3, (40, 80))
    swapped = outputs | {name: outputs[name].flip(3) for name in ("coordinates", "confidences")}
    assert total(model.loss(outputs, [truth])) == pytest.approx(total(model.loss(swapped, [truth])))
    better = outputs["coordinates"].clone()
    better[0, 0, 1, 1] = torch.tensor([0.25, 0.75, 0.5, 0.5])  # now the second box is the true one
    parts = model.loss(outputs | {"coordinates": better}, [truth])
    assert parts["localization"].item() == pytest.approx(0, abs=1e-12)
    rest = 0.5 * (0.8**2 + 0.1**2 + 0.2**2 + 0.4**2) + 0.2**2 + 0.1**2 + 0.1**2
    assert parts["classification"].item() == pytest.approx((1 - 0.3) ** 2 + rest)


def test_boxes_are_compared_as_boxes_and_not_as_roots():
    """leeyoshinari/YOLO_v2#18: roots are larger than small sizes, so that boxes that hardly touch seem to overlap well."""
    outputs = guesses(1, 1)
    truth = target([[38.4, 19.2, 41.6, 20.8]], [1])  # the middle .04 of the picture's width and height: roots .2
    outputs["coordinates"][0, 0, 0] = torch.tensor([[0.535, 0.5, 0.2, 0.2], [0.5, 0.5, 0.12**0.5, 0.12**0.5]])
    overlap = iou(decode_cells(outputs["coordinates"], (40, 80))[0, 0, 0], truth["boxes"])[:, 0]
    assert overlap.tolist() == pytest.approx([1 / 15, 1 / 9], rel=1e-3)  # as roots: .70 and .33
    parts = YOLO(Base(), 3, (40, 80)).loss(outputs, [truth])
    assert parts["localization"].item() == pytest.approx(5 * 2 * (0.12**0.5 - 0.2) ** 2, rel=1e-4)


# ---------------------------------------------------------------- bugs that shipped


def test_a_negative_root_keeps_the_loss_finite_and_is_raised():
    """DeepBaksuVision/You_Only_Look_Once#7: √ of a negative size. Its square must not count as a size either."""
    outputs, truth = by_hand()
    outputs["coordinates"][0, 0, 1, :, 2:] = -0.5
    outputs["coordinates"].requires_grad_()
    parts = YOLO(Base(), 3, (40, 80)).loss(outputs, [truth])
    sum(parts.values()).backward()
    slope = outputs["coordinates"].grad[0, 0, 1]
    assert sum(parts.values()).isfinite() and slope.isfinite().all()
    assert (slope[0, 2:] == -2 * 5 * 1.0).all() and not slope[1].any()  # a step against it raises both roots of one box
    box = decode_cells(outputs["coordinates"], (40, 80))[0, 0, 1, 0]
    assert torch.equal(box[:2], box[2:])


def test_the_target_iou_has_no_gradient():
    """With one, the network could please its confidence by moving its box."""
    outputs, truth = by_hand()
    outputs["coordinates"].requires_grad_()
    parts = YOLO(Base(), 3, (40, 80)).loss(outputs, [truth])
    assert not parts["classification"].requires_grad


def test_doubling_the_batch_keeps_the_loss():
    """aladdinpersson/Machine-Learning-Collection#137: the sum was never divided by the pictures."""
    model, images = yolo(), pictures(2)
    once = model.loss(model(images), [TWO, NOTHING])
    twice = model.loss(model(images * 2), [TWO, NOTHING] * 2)
    assert all(torch.isclose(once[name], twice[name]) for name in once)


def test_the_other_box_of_an_object_cell_counts_as_empty():
    """The same thread: only cells without an object learned confidence 0."""
    outputs, truth = by_hand()
    louder = outputs["confidences"].clone()
    louder[0, 0, 1, 1] = 1.3
    model = YOLO(Base(), 3, (40, 80))
    more = total(model.loss(outputs | {"confidences": louder}, [truth])) - total(model.loss(outputs, [truth]))
    assert more == pytest.approx(0.5 * (1.3**2 - 0.3**2), rel=1e-5)


@pytest.mark.parametrize("top", ["connected", "convolutional"])
@pytest.mark.parametrize("base, grid", [(Base, (3, 4)), (Coarser, (2, 2))])
def test_targets_have_the_grid_of_the_network(top, base, grid):
    """abeardear/pytorch-YOLO-v1#11: a network of 14 × 14 cells, targets of 7 × 7. Here nobody types the grid."""
    model = yolo(base(), top=top)
    outputs = model(pictures())
    assert outputs["coordinates"].shape == (2, *grid, 2, 4) and outputs["confidences"].shape == (2, *grid, 2)
    assert outputs["classes"].shape == (2, *grid, 3)
    assert torch.equal(outputs["coordinates"].mean(dim=(0, 1, 2)).round(decimals=0).abs() <= 1, torch.ones(2, 4) > 0)
    assert all(part > 0 for part in model.loss(outputs, [TWO, NOTHING]).values())


def test_scores_of_two_negative_numbers_are_no_detection():
    model = yolo(score_threshold=0.1)
    outputs = guesses(3, 4, count=1)
    outputs["coordinates"][..., :] = 0.5
    outputs["confidences"] -= 0.8
    outputs["classes"] -= 0.9
    outputs["confidences"][0, 2, 1, 1], outputs["classes"][0, 2, 1, 2] = 0.5, 0.6
    model.forward = lambda images: outputs
    found = model.detect(pictures(1))[0]
    assert found["labels"].tolist() == [3] and found["scores"].tolist() == pytest.approx([0.3])
    middle = (found["boxes"][0, :2] + found["boxes"][0, 2:]) / 2  # cell (2, 1) of 3 × 4
    assert found["boxes"][0, [0, 2]].tolist() == [16, 32] and middle[1].item() == pytest.approx(100 / 3, abs=0.01)


# ---------------------------------------------------------------- the network


@pytest.mark.parametrize("top", ["connected", "convolutional"])
@pytest.mark.parametrize("number, place", [(1, ("coordinates", (0, 1))), (4, ("confidences", (0,))), (7, ("coordinates", (1, 2))),
                                           (10, ("classes", (0,))), (12, ("classes", (2,)))])  # fmt: skip
def test_the_order_of_a_cells_numbers(top, number, place):
    """Two times x, y, √w, √h, confidence, then the classes; row and column as in the map."""
    model = yolo(top=top)
    hot = torch.zeros(1, 13, 3, 4)
    hot[0, number, 2, 1] = 9.0
    model.top.register_forward_hook(lambda module, given, result: hot)
    outputs = model(pictures(1))
    name, index = place
    assert sum(int(part.count_nonzero()) for part in outputs.values()) == 1
    assert outputs[name][(0, 2, 1, *index)] == 9


@pytest.mark.parametrize("top", ["connected", "convolutional"])
def test_boxes_start_in_the_middle_of_their_cells(top):
    model = yolo(top=top)
    for layer in model.top.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.zeros_(layer.weight)
    outputs = model(pictures(1))
    head = [layer for layer in model.top.modules() if isinstance(layer, nn.Linear | nn.Conv2d)][-1]
    assert (outputs["coordinates"] == 0.5).all() and not outputs["classes"].any() and not outputs["confidences"].any()
    assert len(head.bias) == (13 * 12 if top == "connected" else 13)


def test_only_the_convolutional_top_shares_its_weights():
    sizes = {top: sum(p.numel() for p in yolo(top=top).top.parameters()) for top in ("connected", "convolutional")}
    assert sizes["connected"] == 7 * 32 + 32 + (32 * 12 * 256 + 256) + (256 * 13 * 12 + 13 * 12)
    assert sizes["convolutional"] == 7 * 9 * 256 + 256 + 256 * 13 + 13


@pytest.mark.parametrize("top", ["connected", "convolutional"])
def test_learns_two_pictures_by_heart(top):
    model = yolo(top=top, score_threshold=0.3).train()
    learns_by_heart(model, pictures(), [TWO, target([[20.0, 8, 44, 30]], [1])], 60, 0.02, lr=0.003)


def test_wrong_calls():
    with pytest.raises(ValueError, match="top 'linear': choose 'connected'"):
        yolo(top="linear")
    with pytest.raises(ValueError, match=r"boxes\[1\].*has no area"):
        model = yolo()
        model.loss(model(pictures(1)), [target([[1.0, 1, 5, 5], [4, 4, 4, 9]], [1, 2])])
