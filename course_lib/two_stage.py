"""The two-stage detector of lesson 8: torchvision's Faster R-CNN round the course's backbone and pyramid.

The only ready-made detector of the course. Source: Ren et al. 2015, "Faster R-CNN: towards real-time object detection with
region proposal networks".
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import MultiScaleRoIAlign

from course_lib.fpn import FeaturePyramid


class PyramidOfMaps(nn.Module):
    """A base and lesson 7's pyramid on it, in the form that torchvision's detectors want.

    Args:
        base: [B, 3, H, W] → a list of maps.
        pyramid: of those maps.
    """

    def __init__(self, base: nn.Module, pyramid: FeaturePyramid) -> None:
        super().__init__()
        self.base, self.pyramid = base, pyramid
        self.out_channels = pyramid.smooth[0].out_channels

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """[B, 3, H, W] → maps by name, "0" is the finest."""
        return {str(level): features for level, features in enumerate(self.pyramid(self.base(x)))}


def torchvision_losses(theirs: nn.Module, images: Sequence[Tensor], targets: Sequence[dict]) -> dict[str, Tensor]:
    """The named losses of a detector of torchvision's; difficult objects are left out.

    torchvision gives them in training mode only, so the mode is changed for the call.

    Args:
        theirs: any of torchvision's detectors.
        images: pictures [3, H, W].
        targets: one dict(boxes, labels) a picture, optionally `difficult`; a picture may have no objects.
    """
    mode, easy = theirs.training, []
    for target in targets:
        keep = ~target.get("difficult", torch.zeros_like(target["labels"])).bool()
        easy.append({"boxes": target["boxes"][keep], "labels": target["labels"][keep].long()})
    parts = theirs.train()(list(images), easy)
    theirs.train(mode)
    return parts


class TwoStage(nn.Module):
    """torchvision's Faster R-CNN, `theirs`, behind the course's interface and cut down to small pictures.

    Fewer proposals and a smaller head than torchvision's defaults, which are made for pictures of 800 pixels, and a
    canonical size (lesson 7, exercise 4) that gives every level some regions.

    Args:
        base: [B, 3, H, W] → three maps at strides 8, 16, 32.
        num_classes: background not counted.
        image_size: the side to which torchvision scales a picture; 128 leaves ours as they are.
        regions: proposals a picture that the second stage sees in use.
        score_threshold, iou_threshold, max_detections: as for `pick_detections`.

    Source: Ren et al. 2015 (Faster R-CNN); Lin et al. 2017, "Feature pyramid networks", section 4.
    """

    def __init__(
        self,
        base: nn.Module,
        num_classes: int,
        image_size: int = 128,
        regions: int = 64,
        score_threshold: float = 0.05,
        iou_threshold: float = 0.5,
        max_detections: int = 100,
    ) -> None:
        super().__init__()
        maps = PyramidOfMaps(base, FeaturePyramid(base.channels, width=64, extra=0))
        self.theirs = FasterRCNN(
            maps,
            min_size=image_size,
            max_size=image_size,
            image_mean=[0.0] * 3,  # the base centres its pictures itself
            image_std=[1.0] * 3,
            rpn_anchor_generator=AnchorGenerator(((16, 22), (32, 45), (56, 90)), ((0.5, 1.0, 2.0),) * 3),
            rpn_pre_nms_top_n_train=256,
            rpn_post_nms_top_n_train=128,
            rpn_pre_nms_top_n_test=256,
            rpn_post_nms_top_n_test=regions,
            rpn_batch_size_per_image=128,
            box_roi_pool=MultiScaleRoIAlign(["0", "1", "2"], 5, 2, canonical_scale=56, canonical_level=4),
            box_head=TwoMLPHead(maps.out_channels * 5 * 5, 128),
            box_predictor=FastRCNNPredictor(128, num_classes + 1),
            box_batch_size_per_image=64,
            box_score_thresh=score_threshold,
            box_nms_thresh=iou_threshold,
            box_detections_per_img=max_detections,
        )

    def forward(self, images: Sequence[Tensor]) -> Sequence[Tensor]:
        """The pictures themselves: torchvision's detector wants them together with the targets."""
        return images

    def loss(self, outputs: Sequence[Tensor], targets: Sequence[dict]) -> dict[str, Tensor]:
        """The parts of both stages, added up, as `torchvision_losses` gives them; arguments as there."""
        parts = torchvision_losses(self.theirs, outputs, targets)
        return {
            "classification": parts["loss_objectness"] + parts["loss_classifier"],
            "localization": parts["loss_rpn_box_reg"] + parts["loss_box_reg"],
        }

    @torch.no_grad()
    def detect(self, images: Sequence[Tensor]) -> list[dict]:
        """Boxes, labels and scores of every picture. Call `eval()` before."""
        return self.theirs(list(images))
