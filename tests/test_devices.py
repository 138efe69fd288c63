"""Devices: choosing one, half precision, several processes; a placed detector is a detector."""

import multiprocessing
import os

import pytest
import torch
from test_ssd import small_ssd

from course_lib.experiments.devices import Placed, choose_device
from course_lib.training import train


def pictures(count: int, seed: int = 1) -> list[tuple[torch.Tensor, dict]]:
    generator = torch.Generator().manual_seed(seed)
    boxes = [[3.0, 5, 17, 30], [30.0, 2, 60, 38], [20.0, 8, 32, 20]]
    return [
        (
            torch.rand(3, 40, 64, generator=generator),
            {"boxes": torch.tensor(boxes[i % 3])[None], "labels": torch.tensor([i % 3 + 1])},
        )
        for i in range(count)
    ]


def test_choosing_a_device(monkeypatch):
    assert choose_device("cpu") == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto") == "cpu"
    with pytest.raises(ValueError, match="'cuda' is not available here; choose one of: auto, cpu"):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == "cuda"


def test_a_placed_detector_trains_to_the_same_weights():
    plain, core = small_ssd(), small_ssd()
    placed = Placed(core)
    for model in (plain, placed):
        train(model, pictures(6), steps=3, batch_size=2, lr=1e-2)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), core.parameters(), strict=True))
    assert len(list(placed.parameters())) == len(list(plain.parameters()))  # nothing counted twice
    assert not placed.training and not core.training
    one, other = plain.detect([pictures(1)[0][0]])[0], placed.detect([pictures(1)[0][0]])[0]
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_bfloat16_scores_are_not_rounded_to_a_few_values():
    """Outputs are float32 before the sigmoid: rounded scores would be tied, and ties decide average precision."""
    placed = Placed(small_ssd().eval(), dtype=torch.bfloat16)
    outputs = placed([image for image, _ in pictures(2)])
    assert outputs["logits"].dtype == torch.float32 == placed.detect([pictures(1)[0][0]])[0]["scores"].dtype


def _worker(rank: int, port: int, folder: str) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(rank), "WORLD_SIZE": "2"}
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    placed = Placed(small_ssd(), distributed=True)
    images, targets = zip(*pictures(4)[2 * rank : 2 * rank + 2], strict=True)
    sum(placed.loss(placed(list(images)), list(targets)).values()).backward()
    torch.save([p.grad for p in placed.core.parameters()], f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_share_their_gradients(tmp_path):
    context = multiprocessing.get_context("spawn")
    port = 20_000 + os.getpid() % 20_000
    workers = [context.Process(target=_worker, args=(rank, port, str(tmp_path))) for rank in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(600)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    alone, expected = small_ssd(), []
    for part in (pictures(4)[:2], pictures(4)[2:]):  # the mean over processes of each one's own gradient
        images, targets = zip(*part, strict=True)
        total = sum(alone.loss(alone(list(images)), list(targets)).values())
        expected.append(torch.autograd.grad(total, list(alone.parameters())))
    for found, a, b in zip(first, *expected, strict=True):
        assert torch.allclose(found, (a + b) / 2, atol=1e-5)


@pytest.mark.slow
def test_compiled_gives_the_same_detections():
    plain, placed = small_ssd().eval(), Placed(small_ssd().eval(), compile=True)
    image = pictures(1)[0][0]
    one, other = plain.detect([image])[0], placed.detect([image])[0]
    assert torch.equal(one["labels"], other["labels"]) and torch.allclose(one["boxes"], other["boxes"], atol=1e-3)
