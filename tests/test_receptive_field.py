"""Lesson 2: the recurrence against the definition, against measurement, and against published values."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.models import resnet18, resnet50, vgg16

from course_lib.backbone import Backbone, truncate
from course_lib.receptive_field import (
    effective_side,
    field_box,
    layer_geometry,
    open_twin,
    output_size,
    receptive_field,
    seen_box,
    sensitivity,
    share_inside,
)

LAYERS = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(0, 2)), max_size=5)


def stages(name: str) -> list[nn.Module]:
    """Every stage of a network, from the picture to its end."""
    torch.manual_seed(0)
    if name == "course":
        backbone = Backbone()
        return [nn.Sequential(backbone.stem, *backbone.stages[:count]) for count in range(4)]
    if name == "resnet18":
        network = truncate(resnet18())
        return [network[:count] for count in range(1, len(network) + 1)]
    features = vgg16().features
    return [features[:count] for count in range(1, len(features) + 1)]


def full_width(network: nn.Module) -> nn.Module:
    """The network itself, opened in place: all channels kept, constant positive weights, no maximum, no normalisation."""
    for name, layer in list(network.named_modules()):
        parent, _, child = name.rpartition(".")
        if isinstance(layer, nn.Conv2d):
            nn.init.constant_(layer.weight, 1 / layer.weight[0].numel())
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.MaxPool2d):
            pool = nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding)
            setattr(network.get_submodule(parent), child, pool)
        elif isinstance(layer, nn.BatchNorm2d):
            setattr(network.get_submodule(parent), child, nn.Identity())
    return network.double()


def interior(field: tuple[int, int, int]) -> tuple[int, tuple[int, int]]:
    """Index of the first activation whose field lies inside the picture, and a picture (H, W) with room for two more."""
    size, stride, start = field
    first = -(start // stride)
    height = start + (first + 1) * stride + size + 1
    return first, (height, height + stride + 2)


def by_tracing(layers, index: int) -> tuple[int, int]:
    """First pixel and pixel behind the last, by walking back one layer at a time."""
    first = last = index
    for kernel, stride, padding in reversed(layers):
        first, last = first * stride - padding, last * stride - padding + kernel - 1
    return first, last + 1


@given(LAYERS, st.integers(0, 9))
def test_recurrence_equals_walking_back(layers, index):
    size, stride, start = receptive_field(layers)
    assert (start + index * stride, start + index * stride + size) == by_tracing(layers, index)


@settings(deadline=None, max_examples=60)
@given(LAYERS, st.integers(20, 60), st.integers(20, 60))
def test_output_size_equals_the_network(layers, height, width):
    layers = [(kernel, stride, min(padding, kernel // 2)) for kernel, stride, padding in layers]
    rows, columns = output_size(height, layers), output_size(width, layers)
    if all(output_size(min(height, width), layers[:depth]) > 0 for depth in range(1, len(layers) + 1)):
        network = nn.Sequential(*(nn.Conv2d(1, 1, *layer) for layer in layers))
        assert network(torch.zeros(1, 1, height, width)).shape[2:] == (rows, columns)


def test_by_hand():
    layers = [(3, 2, 1), (2, 1, 0), (3, 2, 1)]
    assert receptive_field(layers) == (9, 4, -3)
    assert receptive_field([]) == (1, 1, 0)
    assert [output_size(11, layers[:n]) for n in range(4)] == [11, 6, 5, 3]
    assert field_box((9, 4, -3), row=0, column=2).tolist() == [5, -3, 14, 6]


def test_published_values():
    """Araujo, Norris and Sim 2019: VGG-16 has 212 / 32 / 90, ResNet-50 483 / 32 / 239 (theirs strides in another layer)."""
    assert receptive_field(layer_geometry(vgg16().features)) == (212, 32, -90)
    assert receptive_field(layer_geometry(truncate(resnet18()))) == (435, 32, -217)
    size, stride, start = receptive_field(layer_geometry(truncate(resnet50())))
    assert (stride, size // 2 + start) == (32, 0)


@pytest.mark.parametrize("name", ["course", "resnet18", "vgg16"])
def test_recurrence_equals_measurement_at_every_stage(name):
    for stage in stages(name):
        field = receptive_field(layer_geometry(stage))
        first, (height, width) = interior(field)
        picture = torch.ones(1, 1, height, width, dtype=torch.float64)
        for row, column in ((first, first), (first, first + 1), (first + 1, first + 2)):
            seen = seen_box(sensitivity(open_twin(stage), picture, row, column))
            assert seen.tolist() == field_box(field, row, column).tolist(), (name, field)


@pytest.mark.parametrize("name", ["course", "resnet18", pytest.param("vgg16", marks=pytest.mark.slow)])
def test_the_whole_width_sees_what_one_channel_sees(name):
    stage = stages(name)[-1]
    field = receptive_field(layer_geometry(stage))
    first, size = interior(field)
    picture = torch.ones(1, 3, *size, dtype=torch.float64)
    seen = seen_box(sensitivity(full_width(stage), picture, first, first))
    assert seen.tolist() == field_box(field, first, first).tolist()


def test_twin_leaves_the_network_as_it_was():
    network = truncate(resnet18())
    before = {key: value.clone() for key, value in network.state_dict().items()}
    open_twin(network)
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert any(isinstance(layer, nn.MaxPool2d) for layer in network)


def test_a_single_layer_has_a_twin_too():
    twin = open_twin(nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.MaxPool2d(2)))
    assert twin(torch.ones(1, 1, 8, 12, dtype=torch.float64)).shape == (1, 1, 2, 3)
    assert twin(torch.ones(1, 1, 12, 12, dtype=torch.float64))[0, 0, 1:, 1:].allclose(
        torch.ones(1, dtype=torch.float64)
    )


@pytest.mark.parametrize(
    "layer",
    [nn.Conv2d(1, 1, 3, dilation=2), nn.Conv2d(1, 1, (3, 5)), nn.ConvTranspose2d(1, 1, 2), nn.MaxPool2d(2, (2, 1))],
)
def test_layers_that_three_numbers_do_not_describe_are_refused(layer):
    with pytest.raises(ValueError, match="transposed, dilated or not square"):
        layer_geometry(nn.Sequential(layer))


def test_sensitivity_by_hand():
    """y = 2 a − 3 b + c on one row: |2|, |−3|, |1|, whatever the picture; two pictures are averaged, colours summed."""
    network = nn.Conv2d(1, 1, (1, 3), bias=False)
    network.weight.data = torch.tensor([[[[2.0, -3.0, 1.0]]]])
    images = torch.rand(2, 1, 2, 5)
    heat = sensitivity(network, images, row=1, column=1)
    assert heat.tolist() == [[0, 0, 0, 0, 0], [0, 2, 3, 1, 0]]
    assert not images.requires_grad and network.weight.grad is None
    assert seen_box(heat).tolist() == [1, 1, 4, 2]


def test_shares_by_hand():
    heat = torch.zeros(7, 9)
    heat[1:6, 2:7] = 1
    heat[3, 4] = 26
    box = torch.tensor([2.0, 1, 7, 6])
    assert share_inside(heat, box) == 1
    assert share_inside(heat, torch.tensor([-4.0, -4, 4, 20])) == pytest.approx(10 / 50)
    assert effective_side(heat, box, 0.5) == 1
    assert effective_side(heat, box, 0.6) == 3
    assert effective_side(heat, box, 0.7) == 5
    assert effective_side(heat, box, 1.0) == 5
    even = torch.ones(8, 8)
    assert share_inside(even, torch.tensor([0.0, 0, 2, 8])) == 0.25
    assert [effective_side(even, torch.tensor([0.0, 0, 8, 8]), share) for share in (1 / 16, 0.25, 0.26, 0.6)] == [
        2,
        4,
        6,
        8,
    ]


def test_canvases_lie_three_by_three():
    from course_lib.experiments.lesson02 import canvases

    pictures = [(torch.full((3, 2, 4), float(i)), {}) for i in range(20)]
    made = canvases(pictures, count=3, seed=0)
    assert made.shape == (3, 3, 6, 12)
    tiles = [made[c, 0, 2 * r, 4 * k].item() for c in range(3) for r in range(3) for k in range(3)]
    assert sorted(tiles[:20]) == list(range(20)) and tiles[20:] == tiles[:7]
    assert torch.equal(made, canvases(pictures, 3, 0)) and not torch.equal(made, canvases(pictures, 3, 1))


def test_rings_by_hand():
    """Evenly spread: 1 everywhere; all on the middle pixel: the innermost ring, 9 of 625 pixels."""
    from course_lib.experiments.lesson02 import RINGS, rings

    box = torch.tensor([3.0, 1, 28, 26])
    assert rings(torch.ones(30, 40), box) == [1] * RINGS
    heat = torch.zeros(30, 40)
    heat[13, 15] = 1
    found = rings(heat, box)
    assert found[0] == pytest.approx(625 / 9, rel=1e-4) and found[1:] == [0] * (RINGS - 1)
