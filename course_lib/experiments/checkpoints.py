"""Detectors for a reader's own pictures: built from plain settings, stored in checkpoints, ready for pictures of any size."""

import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection import RetinaNet_ResNet50_FPN_V2_Weights
from torchvision.ops import FrozenBatchNorm2d

from course_lib.boxes import clip_boxes
from course_lib.data.transforms import letterbox_picture, unletterbox
from course_lib.default_boxes import level_shapes
from course_lib.experiments.detectors import EXTRA, RETINANET, base
from course_lib.experiments.lite0 import Lite0Maps
from course_lib.experiments.torchvision_retinanet import resnet50_retinanet
from course_lib.files import write_whole
from course_lib.progress import is_quiet
from course_lib.retinanet import RetinaNet
from course_lib.ssd import SSD
from course_lib.torchvision_weights import from_torchvision
from course_lib.weights import WeightsError

KIND = "object detection course, checkpoint 1"
MODELS, BACKBONES, STARTS = ("retinanet", "ssd"), ("small", "lite0", "resnet18", "resnet50"), ("pretrained", "random")
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and standard deviation of red, green, blue
LIMITS = {"score_threshold": 0.01, "top_k": 400}  # low: average precision wants doubtful detections as well
SHORT, LONG = 800, 1333  # sides to which torchvision's RetinaNet scales pictures


class ResNetMaps(IntermediateLayerGetter):
    """A ResNet of torchvision's without its last layers: [B, 3, H, W] in 0–1 → C3, C4, C5 at strides 8, 16, 32.

    Args:
        name: "resnet18" or "resnet50".
        start: "pretrained" keeps the normalisation of the ImageNet weights fixed; "random" learns its own.
        load: whether pre-trained weights are loaded.
    """

    strides = (8, 16, 32)

    def __init__(self, name: str, start: str = "pretrained", load: bool = True) -> None:
        pretrained = start == "pretrained"
        whole = getattr(torchvision.models, name)(norm_layer=FrozenBatchNorm2d if pretrained else nn.BatchNorm2d)
        if pretrained and load:
            whole.load_state_dict(
                fetch(torchvision.models.get_model_weights(name).DEFAULT, "--start random does without")
            )
        super().__init__(whole, {"layer2": "C3", "layer3": "C4", "layer4": "C5"})
        widest = whole.fc.in_features
        self.channels = (widest // 4, widest // 2, widest)

    def forward(self, x: Tensor) -> list[Tensor]:
        """[B, 3, H, W] → three maps, finest first."""
        mean, spread = (x.new_tensor(numbers)[:, None, None] for numbers in IMAGENET)
        return list(super().forward(((x - mean) / spread).contiguous(memory_format=torch.channels_last)).values())


def fetch(weights: object, otherwise: str = "") -> dict[str, Tensor]:
    """torchvision's weights from torch's cache, or by download.

    Raises:
        WeightsError: neither is possible; says where to put the file.
    """
    try:
        return weights.get_state_dict(progress=not is_quiet(), check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:  # no network, no such file, a download that was cut short
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise WeightsError(
            f"{weights}: not in torch's cache, and the download failed ({error}). Connect to the network, or fetch "
            f"{weights.url} on another machine and put it into {folder}" + (f"; {otherwise}." if otherwise else ".")
        ) from error


def build(settings: dict, load: bool = True) -> nn.Module:
    """A detector from plain settings: model, backbone, start, class_names, size (H, W), sides, ratios, seed.

    Args:
        settings: as `cli.train` stores them.
        load: False leaves pre-trained weights out, since a checkpoint's are about to replace them.
    """
    torch.manual_seed(settings["seed"])
    name, count = settings["backbone"], len(settings["class_names"])
    if name == "small":
        start = "crops" if load and settings["start"] == "pretrained" else "random"
        maps, sizes = base(start), RETINANET
    elif name == "lite0":
        maps, sizes = Lite0Maps(settings["start"], load), RETINANET
    else:
        maps = ResNetMaps(name, settings["start"], load)
        sizes = RETINANET | {"width": 128, "group_norm": 16}
    shapes = level_shapes(settings["sides"], settings["ratios"])
    if settings["model"] == "ssd":
        return SSD(maps, count, shapes, tuple(settings["size"]), EXTRA, **LIMITS)
    return RetinaNet(maps, count, shapes, multiple=maps.strides[-1], **sizes, **LIMITS)


def save_checkpoint(path: Path, content: dict) -> None:
    """Write a checkpoint as a whole."""
    write_whole(path, partial(torch.save, content | {"kind": KIND}))


def load_checkpoint(path: Path) -> dict:
    """What `save_checkpoint` wrote; nothing in the file is run.

    Raises:
        WeightsError: no such file, a damaged one, or one of another program.
    """
    path = Path(path)
    if path.is_dir():
        raise WeightsError(f"{path}: a folder; give the file in it: {path / 'best.pt'}.")
    if not path.is_file():
        raise WeightsError(f"{path}: no such file; give the best.pt in the folder that cli.train wrote (--out).")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and pickle raise almost anything on bytes that they did not write
        with open(path, "rb") as file:
            begins = file.read(2)
        what = "it holds other things" if begins == b"PK" else "it does not begin like one"
        what = "it was cut short" if begins == b"PK" and not zipfile.is_zipfile(path) else what
        raise WeightsError(
            f"{path}: damaged, or not a file of weights ({what}); take another copy or train again."
        ) from error
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise WeightsError(f"{path}: weights, but not a checkpoint of this course's cli.train; give its best.pt.")
    return content


def stored_detector(path: Path) -> tuple[nn.Module, dict]:
    """The detector in a checkpoint, in evaluation mode, and the checkpoint."""
    content = load_checkpoint(path)
    try:
        detector = build(content["settings"], load=False)
        detector.load_state_dict(content["model"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0][:120]
        raise WeightsError(f"{path}: its weights do not fit its settings ({reason}); train again.") from error
    return detector.eval(), content


class Ready(nn.Module):
    """A trained detector for pictures of any size: `detect` gives boxes in each picture's own pixels.

    Args:
        detector: any detector.
        class_names: label c is `class_names[c - 1]`.
        thresholds: smallest score of a detection, one a class.
        resize: picture [3, H, W] → the picture that the detector wants.
        restore: (boxes, (H, W) of the picture) → boxes in the picture's pixels.
    """

    def __init__(
        self,
        detector: nn.Module,
        class_names: Sequence[str],
        thresholds: Sequence[float],
        resize: Callable[[Tensor], Tensor],
        restore: Callable[[Tensor, tuple[int, int]], Tensor],
    ) -> None:
        super().__init__()
        self.detector, self.class_names, self.thresholds = detector, tuple(class_names), list(thresholds)
        self.resize, self.restore = resize, restore

    @torch.no_grad()
    def detect(self, images: Sequence[Tensor]) -> list[dict]:
        """Boxes, labels and scores of every picture, those that reach their class's threshold."""
        found = []
        for image, one in zip(images, self.detector.detect([self.resize(image) for image in images]), strict=True):
            one = above(one, self.thresholds)
            size = tuple(image.shape[-2:])
            found.append(one | {"boxes": clip_boxes(self.restore(one["boxes"], size), size)})
        return found


def above(found: dict, thresholds: Sequence[float]) -> dict:
    """The detections of a picture that reach their class's threshold."""
    limits = torch.tensor([float(limit) for limit in thresholds], dtype=torch.float64)
    kept = found["scores"].double().cpu() >= limits[found["labels"].cpu() - 1]
    return {key: value[kept.to(value.device)] for key, value in found.items()}


def scaled(image: Tensor) -> Tensor:
    """A picture as torchvision's RetinaNet wants it: shorter side 800 unless the longer would pass 1333, normalised."""
    height, width = image.shape[-2:]
    mean, spread = (image.new_tensor(numbers)[:, None, None] for numbers in IMAGENET)
    factor = min(SHORT / min(height, width), LONG / max(height, width))
    size = [max(1, int(side * factor)) for side in (height, width)]
    return F.interpolate(((image - mean) / spread)[None], size, mode="bilinear", align_corners=False)[0]


def unscaled(boxes: Tensor, image_size: tuple[int, int]) -> Tensor:
    """The inverse of `scaled` for boxes."""
    factor = min(SHORT / min(image_size), LONG / max(image_size))
    height, width = (side / max(1, int(side * factor)) for side in image_size)
    return boxes * boxes.new_tensor([width, height, width, height])


def ready(weights: str) -> Ready:
    """A detector from a checkpoint of `cli.train`, or for "coco" torchvision's COCO weights in the course's RetinaNet.

    Raises:
        WeightsError: names the file and the remedy.
    """
    if weights.lower() == "coco":
        given = RetinaNet_ResNet50_FPN_V2_Weights.COCO_V1
        names = given.meta["categories"][1:]
        detector = resnet50_retinanet("v2", len(names)).eval()
        detector.load_state_dict(from_torchvision(fetch(given))[0])
        return Ready(detector, names, [0.5] * len(names), scaled, unscaled).eval()
    detector, content = stored_detector(Path(weights))
    size = tuple(content["settings"]["size"])
    resize, restore = partial(letterbox_picture, size=size), partial(unletterbox, size=size)
    return Ready(detector, content["settings"]["class_names"], content["thresholds"], resize, restore).eval()
