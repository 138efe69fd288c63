"""A feature pyramid (lesson 7): coarse maps, which know what a thing is, are added to fine maps, which know where it is.

Sources: Lin et al. 2017, "Feature pyramid networks for object detection"; Lin et al. 2017, "Focal loss for dense object
detection". Names as there: C3, C4, C5 are the base's maps, P3 to P7 those of the pyramid.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.checks import check_p6_source


class FeaturePyramid(nn.Module):
    """Maps of any channels, finest first → as many maps of `width` channels, and `extra` coarser ones on top.

    [B, C₃, H₃, W₃], [B, C₄, H₄, W₄], … → [B, width, H₃, W₃], [B, width, H₄, W₄], …; every extra map has half the rows and
    columns of the one before, rounded up.

    Args:
        channels: of each map the base gives.
        width: channels of every map of the pyramid.
        extra: further maps, P6, P7, …
        p6_from: "C5" makes the first of them from the base's coarsest map (as in the paper), "P5" from the pyramid's
            (as torchvision's first version does).
        top_down: False leaves the top-down path out (an ablation).
        laterals: False leaves the base's maps out where a coarser one comes down (an ablation).

    Raises:
        ValueError: `p6_from` is neither "C5" nor "P5".

    Source: Lin et al. 2017 (FPN), section 3; P6 and P7: Lin et al. 2017 (RetinaNet), section 4, footnote 2. First weights
    as torchvision's: He et al. 2015, "Delving deep into rectifiers", section 2.2, for layers without a rectifier.
    """

    def __init__(
        self,
        channels: Sequence[int],
        width: int = 256,
        extra: int = 2,
        p6_from: str = "C5",
        top_down: bool = True,
        laterals: bool = True,
    ) -> None:
        check_p6_source(p6_from)
        super().__init__()
        self.p6_from, self.top_down, self.laterals = p6_from, top_down, laterals
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, kernel_size=1) for c in channels)
        self.smooth = nn.ModuleList(nn.Conv2d(width, width, kernel_size=3, padding=1) for _ in channels)
        self.extra = nn.ModuleList()
        c = channels[-1] if p6_from == "C5" else width
        for _ in range(extra):
            self.extra.append(nn.Conv2d(c, width, kernel_size=3, stride=2, padding=1))
            c = width
        for layer in (*self.lateral, *self.smooth, *self.extra):
            nn.init.kaiming_uniform_(layer.weight, a=1)
            nn.init.zeros_(layer.bias)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The base's maps, finest first → the pyramid's, finest first."""
        merged = [layer(x) for layer, x in zip(self.lateral, maps, strict=True)]
        if self.top_down:
            for i in reversed(range(len(merged) - 1)):
                above = F.interpolate(merged[i + 1], size=merged[i].shape[-2:], mode="nearest")
                merged[i] = merged[i] + above if self.laterals else above
        levels = [layer(x) for layer, x in zip(self.smooth, merged, strict=True)]
        x = maps[-1] if self.p6_from == "C5" else levels[-1]
        for layer in self.extra:
            levels.append(layer(x))
            x = levels[-1].relu()  # on the way to the next map only
        return levels
