"""One short training loop for every detector of the course (lesson 1)."""

from collections.abc import Callable, Iterator

import torch
from torch import Generator, Tensor, nn

from course_lib.progress import progress


def shuffled_batches(count: int, batch_size: int, generator: Generator) -> Iterator[list[int]]:
    """Endless batches of indices: every picture once, in random order, then all over again.

    Args:
        count: number of pictures.
        batch_size: indices a batch; an incomplete batch is filled from the next round.
        generator: source of the order, so that a seed repeats it.
    """
    waiting: list[int] = []
    while True:
        while len(waiting) < batch_size:
            waiting += torch.randperm(count, generator=generator).tolist()
        yield waiting[:batch_size]
        waiting = waiting[batch_size:]


def train(
    model: nn.Module,
    pictures: list[tuple[Tensor, dict]],
    steps: int,
    batch_size: int = 32,
    lr: float = 1e-3,
    seed: int = 0,
    augment: Callable | None = None,
    optimiser: torch.optim.Optimizer | None = None,
    clip: float = 10.0,
) -> list[dict[str, float]]:
    """Train `model` for a fixed number of steps; returns the named loss parts of every step.

    Args:
        model: has `forward(images)` and `loss(outputs, targets)`, a dict of parts whose sum is minimised.
        pictures: anything with a length whose items are (image [3, H, W], target).
        steps: number of updates, chosen beforehand (never a clock).
        batch_size: pictures a step.
        lr: highest learning rate of the one-cycle schedule (Smith and Topin 2018).
        seed: order of the pictures.
        augment: (image, target) → (image, target), applied to every picture on its way in.
        optimiser: of the model's parameters; by default AdamW with weight decay .01 (Loshchilov and Hutter 2019).
        clip: largest norm of the gradient (Pascanu et al. 2013, section 3.2); math.inf leaves it as it is.
    """
    batches = shuffled_batches(len(pictures), batch_size, torch.Generator().manual_seed(seed))
    model.train().to(memory_format=torch.channels_last)  # the same numbers, stored so that a CPU convolves faster
    optimiser = optimiser or torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=steps)
    history = []
    for _ in progress(range(steps), "training"):
        batch = [pictures[i] for i in next(batches)]
        if augment is not None:
            batch = [augment(image, target) for image, target in batch]
        images, targets = zip(*batch, strict=True)
        losses = model.loss(model(list(images)), list(targets))
        optimiser.zero_grad()
        sum(losses.values()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=clip)
        optimiser.step()
        schedule.step()
        history.append({name: part.detach() for name, part in losses.items()})
    model.eval()
    return [{name: part.item() for name, part in parts.items()} for parts in history]
