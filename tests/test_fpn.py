"""FeaturePyramid: numbers by hand on odd maps, torchvision's pyramid, further levels, what the switches leave out."""

import pytest
import torch
from torch import nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from course_lib.fpn import FeaturePyramid

GRIDS = [(7, 5), (4, 3), (2, 2)]  # rows × columns, odd ones among them
CHANNELS = (3, 5, 6)


def maps(grids=GRIDS, channels=CHANNELS, count: int = 2) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(count, c, *grid, generator=generator) for c, grid in zip(channels, grids, strict=True)]


def transparent(pyramid: FeaturePyramid, factors: list[float]) -> FeaturePyramid:
    """One channel everywhere; lateral i multiplies by factors[i], all 3 × 3 kernels hand their centre through."""
    for layer, factor in zip(pyramid.lateral, factors, strict=True):
        nn.init.constant_(layer.weight, factor)
    for layer in (*pyramid.smooth, *pyramid.extra):
        nn.init.zeros_(layer.weight)
        layer.weight.data[0, 0, 1, 1] = 1.0
    return pyramid


FINE = torch.arange(15.0).reshape(1, 1, 3, 5)
COARSE = torch.tensor([[100.0, 200, 300], [400, 500, -600]])[None, None]
ABOVE = [
    [100.0, 100, 200, 200, 300],
    [100, 100, 200, 200, 300],
    [400, 400, 500, 500, -600],
]  # each takes ⌊i · 2 / 3⌋, ⌊j · 3 / 5⌋


def test_by_hand():
    """P of the fine map: twice the map itself, plus the coarse one's lateral, each place from the cell it lies in."""
    pyramid = transparent(FeaturePyramid((1, 1), width=1, extra=2, p6_from="P5"), [2.0, 10.0])
    fine, coarse, first, second = pyramid([FINE, COARSE])
    assert torch.equal(coarse, 10 * COARSE)
    assert fine[0, 0].tolist() == (2 * FINE[0, 0] + 10 * torch.tensor(ABOVE)).tolist()
    assert first[0, 0].tolist() == [[1000.0, 3000]]  # every second place, from the first
    assert second[0, 0].tolist() == [[1000.0]]


def test_p6_from_the_base_and_rectified_only_on_its_way_to_p7():
    pyramid = transparent(FeaturePyramid((1, 1), width=1, extra=2, p6_from="C5"), [1.0, 10.0])
    *_, first, second = pyramid([FINE, -COARSE])
    assert first[0, 0].tolist() == [[-100.0, -300]]  # C5, not ten times as much
    assert second[0, 0].tolist() == [[0.0]]


def test_a_higher_map_of_a_pyramid_sums_all_above_it():
    pyramid = transparent(FeaturePyramid((1, 1, 1), width=1, extra=0), [1.0, 1.0, 1.0])
    top = torch.full((1, 1, 1, 1), 7.0)
    fine, middle, coarse = pyramid([FINE, COARSE, top])
    assert torch.equal(middle, COARSE + 7) and torch.equal(coarse, top)
    assert fine[0, 0].tolist() == (FINE[0, 0] + torch.tensor(ABOVE) + 7).tolist()


def test_ablations():
    no_path = transparent(FeaturePyramid((1, 1), 1, 0, top_down=False), [2.0, 10.0])
    assert torch.equal(no_path([FINE, COARSE])[0], 2 * FINE)
    no_laterals = transparent(FeaturePyramid((1, 1), 1, 0, laterals=False), [2.0, 10.0])
    fine, coarse = no_laterals([FINE, COARSE])
    assert fine[0, 0].tolist() == (10 * torch.tensor(ABOVE)).tolist() and torch.equal(coarse, 10 * COARSE)
    no_laterals.laterals = True  # switches may be turned later: the weights are the same
    assert torch.equal(no_laterals([FINE, COARSE])[0], 2 * FINE + fine)


@pytest.mark.parametrize("p6_from, width", [("P5", 6), ("C5", 4)])
def test_equals_torchvisions(p6_from, width):
    """torchvision takes P6 from P5 where C5 has as many channels as the pyramid, and from C5 otherwise."""
    ours = FeaturePyramid(CHANNELS, width, 2, p6_from).double()
    given = width if p6_from == "P5" else CHANNELS[-1]
    theirs = FeaturePyramidNetwork(list(CHANNELS), width, LastLevelP6P7(given, width)).double()
    assert theirs.extra_blocks.use_P5 == (p6_from == "P5")
    twins = [(ours.lateral, [block[0] for block in theirs.inner_blocks])]
    twins += [(ours.smooth, [block[0] for block in theirs.layer_blocks])]
    twins += [(ours.extra, [theirs.extra_blocks.p6, theirs.extra_blocks.p7])]
    for layers, others in twins:
        for layer, other in zip(layers, others, strict=True):
            nn.init.normal_(layer.bias)
            other.load_state_dict(layer.state_dict())
    given = [x.double() for x in maps()]
    expected = theirs({str(i): x for i, x in enumerate(given)})
    for a, b in zip(ours(given), expected.values(), strict=True):
        assert a.shape == b.shape and torch.allclose(a, b, rtol=0, atol=1e-10)


@pytest.mark.parametrize("extra", [0, 1, 2, 3])
def test_levels(extra):
    pyramid, given = FeaturePyramid(CHANNELS, 4, extra), maps()
    before = [x.clone() for x in given]
    shapes = [tuple(x.shape) for x in pyramid(given)]
    assert shapes == [(2, 4, *grid) for grid in (*GRIDS, (1, 1), (1, 1), (1, 1))[: 3 + extra]]
    assert all(torch.equal(a, b) for a, b in zip(given, before, strict=True))
    assert [layer.in_channels for layer in pyramid.extra] == [6, 4, 4][:extra]


def test_every_parameter_learns():
    pyramid = FeaturePyramid(CHANNELS, 4, 2)
    sum((x**2).sum() for x in pyramid(maps())).backward()
    for name, parameter in pyramid.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


def test_first_weights():
    """Uniform up to √(3 / inputs of a number), which hands variance through; torchvision's own pyramid agrees."""
    torch.manual_seed(0)
    pyramid = FeaturePyramid((64, 96), 128, 1)
    theirs = FeaturePyramidNetwork([64, 96], 128, LastLevelP6P7(96, 128))
    pairs = [
        (pyramid.lateral[0], theirs.inner_blocks[0][0], 64),
        (pyramid.smooth[1], theirs.layer_blocks[1][0], 9 * 128),
    ]
    pairs += [(pyramid.extra[0], theirs.extra_blocks.p6, 9 * 96)]
    for layer, other, inputs in pairs:
        for weight in (layer.weight, other.weight):
            assert weight.abs().max().item() == pytest.approx((3 / inputs) ** 0.5, rel=0.01)
            assert weight.std().item() == pytest.approx((1 / inputs) ** 0.5, rel=0.02)
        assert not layer.bias.any()


def test_wrong_calls_are_named():
    with pytest.raises(ValueError, match="p6_from 'P4': choose 'C5'"):
        FeaturePyramid(CHANNELS, p6_from="P4")
    with pytest.raises(ValueError, match="zip"):
        FeaturePyramid(CHANNELS, 4)(maps()[:2])
