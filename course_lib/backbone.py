"""The base of every detector in the course: an image classifier without its last layers (lesson 1)."""

import torch
from torch import Tensor, nn


def conv_block(channels_in: int, channels_out: int, stride: int = 1) -> nn.Sequential:
    """One 3×3 convolution, batch normalisation, ReLU.

    [B, channels_in, H, W] → [B, channels_out, ⌈H / stride⌉, ⌈W / stride⌉].
    Source: batch normalisation, Ioffe and Szegedy 2015, section 3.2.
    """
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel_size=3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


class Backbone(nn.Module):
    """The course's small base, about one million parameters, made for training on a CPU.

    [B, 3, H, W] in 0–1 → three maps with 96, 128, 192 channels at strides 8, 16, 32.
    Source: the plain stacks of 3×3 convolutions of VGG (Simonyan and Zisserman 2015, section 2.1), with strides
    in place of pooling.
    """

    channels = (96, 128, 192)
    strides = (8, 16, 32)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            conv_block(3, 24, stride=2),
            conv_block(24, 48, stride=2),
            conv_block(48, 48),
        )
        self.stages = nn.ModuleList(
            nn.Sequential(conv_block(channels_in, channels_out, stride=2), conv_block(channels_out, channels_out))
            for channels_in, channels_out in zip((48, 96, 128), self.channels, strict=True)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """[B, 3, H, W] → a list of maps [B, 96, H/8, W/8], [B, 128, H/16, W/16], [B, 192, H/32, W/32]."""
        x = self.stem((x - 0.5).contiguous(memory_format=torch.channels_last))
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


def truncate(classifier: nn.Module, layers: int = 2) -> nn.Sequential:
    """Cut the last `layers` children off an image classifier; what is left keeps the positions of things.

    torchvision's ResNet-18 ends in average pooling and one linear layer: [B, 3, 224, 224] → [B, 512, 7, 7].
    """
    return nn.Sequential(*list(classifier.children())[:-layers])
