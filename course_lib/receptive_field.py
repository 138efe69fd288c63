"""Which pixels an activation can see, by arithmetic and by measurement (lesson 2)."""

import copy

import torch
from torch import Tensor, nn

from course_lib.checks import check_plain_layers


def output_size(pixels: int, layers: list[tuple[int, int, int]]) -> int:
    """Length of the map that `layers`, each (kernel, stride, padding), make of `pixels` pixels (one axis).

    Source: Dumoulin and Visin 2016, "A guide to convolution arithmetic", relationship 6.
    """
    for kernel, stride, padding in layers:
        pixels = (pixels + 2 * padding - kernel) // stride + 1
    return pixels


def receptive_field(layers: list[tuple[int, int, int]]) -> tuple[int, int, int]:
    """Size, stride and start, in pixels, of the fields of the map behind `layers`, each (kernel, stride, padding).

    Activation i of the map sees the pixels from start + i · stride (included) to start + i · stride + size (excluded);
    with no layers at all it sees itself, (1, 1, 0). One axis; for pictures with square kernels both are alike.
    Source: Araujo, Norris and Sim 2019, "Computing receptive fields of convolutional neural networks", Distill.
    """
    size, jump, start = 1, 1, 0
    for kernel, stride, padding in layers:
        size = size + (kernel - 1) * jump
        start = start - padding * jump
        jump = jump * stride
    return size, jump, start


def field_box(field: tuple[int, int, int], row: int, column: int) -> Tensor:
    """The field of the activation at (row, column) as a box [4], xyxy in pixels; it may reach beyond the picture."""
    size, stride, start = field
    left, top = start + column * stride, start + row * stride
    return torch.tensor([left, top, left + size, top + size], dtype=torch.float32)


def layer_geometry(network: nn.Module) -> list[tuple[int, int, int]]:
    """(kernel, stride, padding) of every layer of `network` that looks at more than its own position, in order.

    Layers are taken in the order in which the network lists them. In a residual block the short cut ("downsample")
    is left out: the other branch sees all that it sees, and more.

    Raises:
        ValueError: a layer is dilated, not square or transposed, so that these three numbers do not describe it.
    """
    check_plain_layers(network)
    layers = []
    for name, layer in network.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)) and "downsample" not in name:
            numbers = layer.kernel_size, layer.stride, layer.padding
            layers.append(tuple(n if isinstance(n, int) else n[0] for n in numbers))
    return layers


def sensitivity(network: nn.Module, images: Tensor, row: int, column: int) -> Tensor:
    """How strongly each pixel moves one activation: [H, W], the mean over pictures of |gradient|, summed over colours.

    Args:
        network: images [B, C, H, W] → one map [B, channels, rows, columns]; the channels are summed.
        images: where the gradient is taken.
        row: row of the activation in the map.
        column: its column.

    Source: Luo et al. 2016, "Understanding the effective receptive field", section 3.
    """
    images = images.clone().requires_grad_()
    activation = network(images)[:, :, row, column].sum()
    (gradient,) = torch.autograd.grad(activation, images)
    return gradient.abs().sum(dim=1).mean(dim=0)


def seen_box(heat: Tensor) -> Tensor:
    """The smallest box [4] (xyxy in pixels) round everything that is not zero in `heat` [H, W]."""
    rows, columns = heat.sum(dim=1).nonzero(), heat.sum(dim=0).nonzero()
    return torch.cat([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]).float()


def open_twin(network: nn.Module) -> nn.Module:
    """A copy of `network` that hides nothing: same kernels, strides and paddings, one channel, float64.

    Every weight is positive and the same within a layer, batch normalisation does nothing, and max-pooling becomes
    average pooling. So no two ways through the network cancel, and none is blocked: [B, 1, H, W] → [B, 1, rows, columns].
    """
    twin = copy.deepcopy(network)
    for name, layer in network.named_modules():
        parent, _, child = name.rpartition(".")
        if isinstance(layer, nn.Conv2d):
            shape = layer.kernel_size, layer.stride, layer.padding
            layer = nn.Conv2d(1, 1, *shape, bias=False)
            nn.init.constant_(layer.weight, 1 / layer.weight.numel())
        elif isinstance(layer, nn.MaxPool2d):
            layer = nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding)
        elif isinstance(layer, nn.BatchNorm2d):
            layer = nn.Identity()
        else:
            continue
        setattr(twin.get_submodule(parent), child, layer)
    return twin.double()


def share_inside(heat: Tensor, box: Tensor) -> float:
    """The part of everything in `heat` [H, W] that lies inside `box` [4] (xyxy, whole pixels)."""
    x1, y1, x2, y2 = box.int().clamp(min=0).tolist()
    return float(heat[y1:y2, x1:x2].sum() / heat.sum())


def effective_side(heat: Tensor, box: Tensor, share: float) -> int:
    """Side, in pixels, of the smallest square round the centre of `box` [4] that holds `share` of `heat` [H, W]."""
    x1, y1, x2, y2 = box.int().tolist()
    for side in range(2 - (x2 - x1) % 2, x2 - x1, 2):
        edge = (x2 - x1 - side) // 2
        if share_inside(heat, torch.tensor([x1 + edge, y1 + edge, x2 - edge, y2 - edge])) >= share:
            return side
    return x2 - x1
