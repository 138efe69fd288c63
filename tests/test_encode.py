"""encode and decode (lesson 3): values on paper, torchvision's BoxCoder, round trips, untouched inputs."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.models.detection._utils import BoxCoder

from course_lib.boxes import decode, encode

DEFAULT = torch.tensor([[10.0, 20, 30, 30]])  # 20 wide, 10 high, centre (20, 25)


def test_values_on_paper():
    # centre (24, 24): 4 / 20 to the right, 1 / 10 up; twice as wide; as high
    box = torch.tensor([[4.0, 19, 44, 29]])
    plain = encode(box, DEFAULT, variances=(1, 1, 1, 1))
    assert torch.allclose(plain, torch.tensor([[0.2, -0.1, torch.tensor(2.0).log(), 0.0]]))
    assert torch.allclose(encode(box, DEFAULT), torch.tensor([[2.0, -1.0, 3.465736, 0.0]]))
    assert torch.equal(encode(DEFAULT, DEFAULT), torch.zeros(1, 4))
    assert torch.equal(decode(torch.zeros(1, 4), DEFAULT), DEFAULT)


def random_pairs(n=500, seed=0):
    g = torch.Generator().manual_seed(seed)
    out = []
    for _ in range(2):
        centre = torch.rand(n, 2, generator=g) * torch.tensor([300.0, 200.0])
        half = 5 + torch.rand(n, 2, generator=g) * 80  # torchvision clips growth beyond 1000 / 16; not reached
        out.append(torch.cat([centre - half, centre + half], dim=1))
    return out


def test_parity_with_torchvision():
    boxes, defaults = random_pairs()
    coder = BoxCoder((10.0, 10.0, 5.0, 5.0))
    theirs = coder.encode_single(boxes, defaults)
    assert torch.allclose(encode(boxes, defaults), theirs, atol=1e-4)
    assert torch.allclose(decode(theirs, defaults), coder.decode_single(theirs, defaults), atol=1e-4)


def test_round_trip_leaves_inputs_alone():
    boxes, defaults = random_pairs()
    before = boxes.clone(), defaults.clone()
    offsets = encode(boxes, defaults)
    kept = offsets.clone()
    assert torch.allclose(decode(offsets, defaults), boxes, atol=1e-3)
    assert torch.equal(boxes, before[0]) and torch.equal(defaults, before[1]) and torch.equal(offsets, kept)


@given(
    st.tuples(*[st.floats(-500, 500)] * 2), st.tuples(*[st.floats(0.5, 900)] * 2), st.tuples(*[st.floats(16, 300)] * 2)
)
def test_round_trip_of_extreme_boxes(corner, size, default_size):
    box = torch.tensor([[*corner, corner[0] + size[0], corner[1] + size[1]]], dtype=torch.float64)
    default = torch.tensor([[50.0, 40.0, 50 + default_size[0], 40 + default_size[1]]], dtype=torch.float64)
    assert torch.allclose(decode(encode(box, default), default), box, atol=1e-6)


def test_a_wild_offset_makes_no_infinite_box():
    """Growth is bounded at 1000 / 16 = 62.5 times, as in torchvision and detectron2; shrinking is not."""
    wild = torch.tensor([[0.0, 0.0, 600.0, 50.0], [0.0, 0.0, -30.0, -20.0]])
    boxes = decode(wild, DEFAULT.expand(2, 4))
    assert boxes[0].tolist() == pytest.approx([20 - 625, 25 - 312.5, 20 + 625, 25 + 312.5])
    width, height = (boxes[1, 2:] - boxes[1, :2]).tolist()
    assert width == pytest.approx(20 * 0.0024788, rel=1e-2) and height == pytest.approx(10 * 0.0183156, rel=1e-2)
    coder = BoxCoder((10.0, 10.0, 5.0, 5.0))
    assert torch.allclose(boxes, coder.decode_single(wild, DEFAULT.expand(2, 4)), atol=1e-3)


def test_moving_and_stretching_everything_changes_no_offset():
    boxes, defaults = random_pairs(20)
    offsets = encode(boxes, defaults)
    assert torch.allclose(encode(boxes + 7, defaults + 7), offsets, atol=1e-3)
    assert torch.allclose(encode(boxes * 3, defaults * 3), offsets, atol=1e-4)


def test_shapes_batches_and_errors():
    assert encode(torch.zeros(0, 4), torch.zeros(0, 4)).shape == (0, 4)
    offsets = torch.zeros(3, 1, 4)
    assert torch.equal(decode(offsets, DEFAULT), DEFAULT.expand(3, 1, 4))
    with pytest.raises(ValueError, match=r"offsets: expected shape \[N, 4\]"):
        decode(torch.zeros(2, 3), DEFAULT)
    with pytest.raises(ValueError, match=r"default_boxes: expected shape"):
        encode(DEFAULT, torch.zeros(1, 5))


def test_gradient_flows():
    offsets = torch.zeros(1, 4, requires_grad=True)
    decode(offsets, DEFAULT).sum().backward()
    assert (offsets.grad[:, :2] != 0).all()
    box = torch.tensor([[4.0, 19, 44, 29]], requires_grad=True)
    encode(box, DEFAULT)[:, 2:].sum().backward()
    assert (box.grad != 0).all()
