"""Input checks with errors that name the thing and the remedy; it imports nothing of the course."""

from collections.abc import Sequence

from torch import Tensor, nn


def check_boxes(boxes: Tensor, name: str = "boxes") -> None:
    """Raise unless `boxes` is a float tensor [..., 4].

    Raises:
        TypeError: not a tensor of floats.
        ValueError: the last axis does not hold four numbers.
    """
    if not isinstance(boxes, Tensor):
        raise TypeError(f"{name}: expected a tensor [N, 4], got {type(boxes).__name__}; use torch.tensor(...).")
    if not boxes.is_floating_point():
        raise TypeError(f"{name}: expected floats, got {boxes.dtype}; use {name}.float().")
    if boxes.ndim == 0 or boxes.shape[-1] != 4:
        raise ValueError(
            f"{name}: expected shape [N, 4], got {list(boxes.shape)}; no boxes at all is torch.zeros(0, 4)."
        )


def check_precise(*boxes: Tensor) -> None:
    """Raise unless all boxes are float32 or wider: the area of a box of 300 × 300 pixels overflows half precision.

    Raises:
        TypeError: a tensor of half precision; says what to do.
    """
    for tensor in boxes:
        if tensor.element_size() < 4:
            raise TypeError(f"boxes: {tensor.dtype} is too coarse for areas in pixels; use boxes.float().")


def check_same_length(**tensors: Tensor) -> None:
    """Raise unless all tensors, given by name, have equally many rows.

    Raises:
        ValueError: names the first one that differs.
    """
    lengths = {name: len(tensor) for name, tensor in tensors.items()}
    first = next(iter(lengths))
    for name, length in lengths.items():
        if length != lengths[first]:
            raise ValueError(
                f"{name}: {length} rows, but {first} has {lengths[first]}; each row of one belongs to a row of the other."
            )


def check_rule(rule: str) -> None:
    """Raise unless `rule` names a way to compute average precision.

    Raises:
        ValueError: lists the rules.
    """
    if rule not in ("coco", "voc", "voc11"):
        raise ValueError(f"rule {rule!r}: choose 'coco', 'voc' or 'voc11'.")


def check_class_scores(logits: Tensor, classes: Tensor, largest: int) -> None:
    """Raise unless there is one class [..., M], from −1 to `largest`, for each row of logits [..., M, n].

    Raises:
        ValueError: names both shapes, or the class for which there is no logit.
    """
    if logits.shape[:-1] != classes.shape:
        raise ValueError(
            f"logits {list(logits.shape)} but classes {list(classes.shape)}; one class for each box, "
            "so the shapes agree but for the last axis of the logits."
        )
    if classes.numel() and (classes.max() > largest or classes.min() < -1):
        raise ValueError(
            f"classes from {classes.min()} to {classes.max()}, but {logits.shape[-1]} logits a box speak of labels up to "
            f"{largest}; 0 is background and −1 is left out."
        )


def check_same_shape(**tensors: Tensor) -> None:
    """Raise unless all tensors, given by name, have the same shape.

    Raises:
        ValueError: names the first one that differs.
    """
    first, *others = tensors
    for name in others:
        if tensors[name].shape != tensors[first].shape:
            raise ValueError(f"{name} {list(tensors[name].shape)}, but {first} is {list(tensors[first].shape)}.")


def check_labels(labels: Tensor, num_classes: int, name: str = "labels") -> None:
    """Raise unless all labels [N] lie from 1 to `num_classes`.

    Raises:
        ValueError: names the range that is there.
    """
    if len(labels):
        low, high = (int(value) for value in labels.aminmax())
        if low < 1 or high > num_classes:
            raise ValueError(
                f"{name}: labels from {low} to {high}, but there are {num_classes} classes, counted from 1."
            )


def check_detections(detections: Sequence[dict], targets: Sequence[dict], num_classes: int) -> None:
    """Raise unless there is one detection dict for each target, with boxes [N, 4] and labels from 1 to `num_classes` in both.

    Raises:
        ValueError: names what differs, or the labels that are there.
    """
    check_same_length(detections=detections, targets=targets)
    for found, target in zip(detections, targets, strict=True):
        check_boxes(found["boxes"], "detections")
        check_labels(found["labels"], num_classes, "detections")
        check_labels(target["labels"], num_classes, "targets")


def check_head(head: str) -> None:
    """Raise unless `head` names a way to say background.

    Raises:
        ValueError: lists the ways.
    """
    if head not in ("softmax", "sigmoid"):
        raise ValueError(f"head {head!r}: choose 'softmax' (n + 1 classes) or 'sigmoid' (n questions).")


def check_top(top: str) -> None:
    """Raise unless `top` names one of YOLO's two tops.

    Raises:
        ValueError: lists the two.
    """
    if top not in ("connected", "convolutional"):
        raise ValueError(
            f"top {top!r}: choose 'connected' (weights of its own for each cell) or 'convolutional' (shared)."
        )


def check_objects(boxes: Tensor) -> None:
    """Raise if an object's box has no area: its offsets would be minus infinity, and the loss NaN.

    Raises:
        ValueError: names the first such object.
    """
    empty = ((boxes[:, 2:] - boxes[:, :2]) > 0).all(dim=1).logical_not().nonzero()[:, 0].tolist()
    if empty:
        raise ValueError(
            f"boxes[{empty[0]}]: {boxes[empty[0]].tolist()} has no area; corners are x1 < x2 and y1 < y2, "
            "and an object without area must be left out."
        )


def check_all_objects(targets: Sequence[dict]) -> None:
    """Raise if an object of any picture has no area.

    Raises:
        ValueError: names the first such object.
    """
    for target in targets:
        check_objects(target["boxes"])


def check_thresholds(foreground: float, background: float) -> None:
    """Raise unless 0 ≤ background ≤ foreground ≤ 1.

    Raises:
        ValueError: says which.
    """
    if not 0 <= background <= foreground <= 1:
        raise ValueError(
            f"foreground {foreground}, background {background}: a box is background below `background` and an "
            "object from `foreground` on, so 0 ≤ background ≤ foreground ≤ 1."
        )


def check_prior(prior: float) -> None:
    """Raise unless `prior` is a probability that has a logit.

    Raises:
        ValueError: it is 0, 1 or beyond.
    """
    if not 0 < prior < 1:
        raise ValueError(f"prior {prior}: a probability above 0 and below 1, such as 0.01; 0 and 1 have no logit.")


def check_images(images: Sequence[Tensor]) -> None:
    """Raise unless `images` is a non-empty sequence of float tensors [3, H, W].

    Raises:
        TypeError: a picture is not a float tensor.
        ValueError: no pictures, or a picture that is not [3, H, W].
    """
    if len(images) == 0:
        raise ValueError("images: no pictures; pass a list with at least one [3, H, W] tensor.")
    for index, image in enumerate(images):
        if not isinstance(image, Tensor) or not image.is_floating_point():
            what = image.dtype if isinstance(image, Tensor) else type(image).__name__
            raise TypeError(f"images[{index}]: expected a float tensor in 0–1, got {what}; divide a byte image by 255.")
        if image.ndim != 3 or image.shape[0] != 3:
            raise ValueError(
                f"images[{index}]: expected [3, H, W], got {list(image.shape)}; "
                "channels come first, and a batch is a list of pictures."
            )


def check_same_size(images: Sequence[Tensor], size: tuple[int, int] | None = None) -> None:
    """Raise unless all pictures have one size (`size` as (H, W), where given).

    Raises:
        ValueError: names the first picture that differs.
    """
    check_images(images)
    wanted = tuple(images[0].shape[-2:]) if size is None else tuple(size)
    for index, image in enumerate(images):
        if tuple(image.shape[-2:]) != wanted:
            raise ValueError(
                f"images[{index}]: expected {wanted[0]} × {wanted[1]} pixels (H × W), got "
                f"{image.shape[-2]} × {image.shape[-1]}; resize it with its boxes (data.transforms.letterbox)."
            )


def check_plain_layers(network: nn.Module) -> None:
    """Raise unless kernel, stride and padding, one number each, describe every layer of `network` (lesson 2).

    Raises:
        ValueError: names the first convolution or pooling that is transposed, dilated or not square.
    """
    windows = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d, nn.ConvTranspose2d)
    for name, layer in network.named_modules():
        if isinstance(layer, windows):
            numbers = [layer.kernel_size, layer.stride, layer.padding, getattr(layer, "dilation", 1)]
            both = [n if isinstance(n, tuple) else (n, n) for n in numbers]
            if isinstance(layer, nn.ConvTranspose2d) or any(n[0] != n[1] for n in both) or both[3] != (1, 1):
                raise ValueError(
                    f"{name or 'network'}: {layer} is transposed, dilated or not square; "
                    "its field needs more than kernel, stride and padding."
                )


def check_levels(grids: Sequence[tuple[int, int]], shapes: Sequence[Tensor]) -> None:
    """Raise unless there is one [k, 2] tensor of shapes for each grid.

    Raises:
        ValueError: names the two counts, or the level whose shapes are wrong.
    """
    if len(grids) != len(shapes):
        raise ValueError(f"{len(grids)} grids but {len(shapes)} tensors of shapes; each level needs one of both.")
    for level, sizes in enumerate(shapes):
        if sizes.ndim != 2 or sizes.shape[1] != 2:
            raise ValueError(f"shapes[{level}]: expected [k, 2] (width, height), got {list(sizes.shape)}.")


def check_p6_source(p6_from: str) -> None:
    """Raise unless `p6_from` names a map from which P6 can be made.

    Raises:
        ValueError: lists the two.
    """
    if p6_from not in ("C5", "P5"):
        raise ValueError(f"p6_from {p6_from!r}: choose 'C5' (the base's coarsest map) or 'P5' (the pyramid's).")


def check_shared_shapes(shapes: Sequence[Tensor], maps: int) -> None:
    """Raise unless there is one [k, 2] tensor of shapes for each of at least `maps` levels, with the same k.

    Raises:
        ValueError: names the two counts, or the level that differs.
    """
    if len(shapes) < maps:
        raise ValueError(f"shapes: {len(shapes)} levels, but the base gives {maps} maps; each needs shapes of its own.")
    check_levels(shapes, shapes)
    for level, sizes in enumerate(shapes):
        if len(sizes) != len(shapes[0]):
            raise ValueError(
                f"shapes[{level}]: {len(sizes)} boxes a cell, but shapes[0] has {len(shapes[0])}; "
                "heads that all levels share predict the same number everywhere."
            )


def check_prediction_map(prediction: Tensor, n: int) -> None:
    """Raise unless `prediction` is [B, k·n, rows, columns].

    Raises:
        ValueError: names the shape, and the n that does not divide the channels.
    """
    if prediction.ndim != 4 or prediction.shape[1] % n:
        raise ValueError(
            f"prediction: expected [B, k·{n}, rows, columns], got {list(prediction.shape)}; "
            f"the channels must be a multiple of the {n} numbers a box has."
        )
