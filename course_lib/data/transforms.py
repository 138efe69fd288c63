"""Resizing and augmentation with torchvision's v2 transforms: what moves the pixels moves the boxes.

All functions take and return a picture [3, H, W] (float 0–1 or uint8) and a target `dict(boxes, labels, …)`, change
neither in place, and keep every per-object tensor of the target (labels, difficult) in step when a box is dropped.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

GREY = 0.5


def _grey(image: Tensor) -> float:
    """The fill value of empty margins in the picture's own range."""
    return GREY if image.is_floating_point() else 127


def _apply(transform: Callable, image: Tensor, target: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """Run a v2 transform on picture and boxes together; boxes it empties are dropped with their labels."""
    boxes = tv_tensors.BoundingBoxes(target["boxes"], format="XYXY", canvas_size=tuple(image.shape[-2:]))
    moved, boxes = transform(tv_tensors.Image(image), boxes)
    moved, boxes = moved.as_subclass(Tensor), boxes.as_subclass(Tensor)
    alive = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    kept = {key: value[alive].clone() for key, value in target.items() if key != "boxes"}
    return moved.contiguous(), {"boxes": boxes[alive].clone(), **kept}


def letterbox_margins(image_size: tuple[int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Where a picture comes to lie in the letterbox: (left, top, width, height) in pixels of the letterbox.

    Args:
        image_size: (H, W) of the picture.
        size: (H, W) of the letterbox.
    """
    (height, width), (box_height, box_width) = image_size, size
    scale = min(box_height / height, box_width / width)
    new_height, new_width = max(1, round(height * scale)), max(1, round(width * scale))
    return (box_width - new_width) // 2, (box_height - new_height) // 2, new_width, new_height


def letterbox(image: Tensor, target: dict[str, Tensor], size: tuple[int, int]) -> tuple[Tensor, dict[str, Tensor]]:
    """Fit a picture into `size` (H, W) without changing its proportions; grey margins fill the rest.

    Args:
        image: [3, H, W].
        target: boxes [N, 4] in the picture's pixels; none is dropped.
        size: (H, W) of the result.
    """
    boxes = letterbox_boxes(target["boxes"], tuple(image.shape[-2:]), size)
    rest = {key: value.clone() for key, value in target.items() if key != "boxes"}
    return letterbox_picture(image, size), {"boxes": boxes, **rest}


def letterbox_picture(image: Tensor, size: tuple[int, int]) -> Tensor:
    """What `letterbox` does to a picture [3, H, W], without boxes; `size` is (H, W) of the result."""
    image_size = tuple(image.shape[-2:])
    if image_size == tuple(size):
        return image.clone()
    return _letterbox(tv_tensors.Image(image), image_size, size, _grey(image)).contiguous()


def letterbox_boxes(boxes: Tensor, image_size: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """What `letterbox` does to boxes [N, 4], without the picture.

    Args:
        boxes: [N, 4] in the picture's pixels.
        image_size: (H, W) of the picture.
        size: (H, W) of the letterbox.
    """
    if image_size == tuple(size):
        return boxes.clone()
    return _letterbox(tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=image_size), image_size, size, 0)


def _letterbox(part: Tensor, image_size: tuple[int, int], size: tuple[int, int], fill: float) -> Tensor:
    """Resize and pad a picture or its boxes."""
    left, top, width, height = letterbox_margins(image_size, size)
    margins = [left, top, size[1] - width - left, size[0] - height - top]
    return F.pad(F.resize(part, [height, width], antialias=True), margins, fill=fill).as_subclass(Tensor)


def unletterbox(boxes: Tensor, image_size: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Take boxes from the letterbox back to the picture: the inverse of `letterbox` for boxes.

    Args:
        boxes: [N, 4] in pixels of the letterbox.
        image_size: (H, W) of the original picture.
        size: (H, W) of the letterbox.
    """
    left, top, width, height = letterbox_margins(image_size, size)
    offset = boxes.new_tensor([left, top, left, top])
    factor = boxes.new_tensor([image_size[1] / width, image_size[0] / height] * 2)
    return (boxes - offset) * factor


def horizontal_flip(image: Tensor, target: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """Mirror a picture left to right."""
    return _apply(v2.RandomHorizontalFlip(p=1.0), image, target)


def zoom_out(
    image: Tensor, target: dict[str, Tensor], factor: tuple[float, float] = (1.0, 2.0)
) -> tuple[Tensor, dict[str, Tensor]]:
    """Place the picture at random on a grey canvas up to `factor` times as large (SSD, section 2.2 and 3.6)."""
    return _apply(v2.RandomZoomOut(fill=_grey(image), side_range=factor, p=1.0), image, target)


def iou_crop(image: Tensor, target: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """Cut a random window that overlaps some object by a random minimum IoU (SSD, section 2.2).

    Objects whose centre lies outside the window are dropped, the others are cut at its edge. A picture without objects
    comes back unchanged.
    """
    if len(target["boxes"]) == 0:
        return image.clone(), {key: value.clone() for key, value in target.items()}
    return _apply(v2.RandomIoUCrop(), image, target)


def distort_colours(image: Tensor, target: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """Change brightness, contrast, saturation and hue at random; the boxes stay (SSD, section 2.2)."""
    transform = v2.RandomPhotometricDistort(brightness=(0.8, 1.2), contrast=(0.7, 1.3), saturation=(0.7, 1.3))
    return _apply(transform, image, target)


def augment(
    seed: int = 0, flip: float = 0.5, crop: float = 0.3, zoom: float = 0.3, colour: float = 0.5
) -> Callable[[Tensor, dict[str, Tensor]], tuple[Tensor, dict[str, Tensor]]]:
    """A light augmentation `(image, target) → (image, target)` that keeps the picture's size.

    The same seed gives the same sequence of changes, and torch's own random state is left as it was.

    Args:
        seed: where the sequence starts.
        flip: probability of mirroring.
        crop: probability of an IoU crop, letterboxed back to the picture's size.
        zoom: probability of a zoom-out, letterboxed back to the picture's size.
        colour: probability of a change of colours.
    """
    generator = torch.Generator().manual_seed(seed)

    def transform(image: Tensor, target: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        size = tuple(image.shape[-2:])
        chances = torch.rand(4, generator=generator).tolist()
        with torch.random.fork_rng(devices=[]):
            # torch.manual_seed would seed the accelerators as well, which fork_rng does not restore here.
            torch.random.default_generator.manual_seed(int(torch.randint(2**62, (1,), generator=generator)))
            if chances[0] < flip:
                image, target = horizontal_flip(image, target)
            if chances[1] < crop:
                image, target = iou_crop(image, target)
            if chances[2] < zoom:
                image, target = zoom_out(image, target)
            image, target = letterbox(image, target, size)
            if chances[3] < colour:
                image, target = distort_colours(image, target)
        return image, target

    return transform
