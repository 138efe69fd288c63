"""A detector without pictures (lesson 6): vectors in place of boxes, to see in seconds what a loss does with imbalance.

A "box" is a vector of 24 numbers. An object's vector lies near its class's mean, background near 0; one background
vector in twenty lies between 0 and a mean and is hard to tell from an object. A small network gives n class scores, as a
detector's head does for each default box. Nothing here says how pictures behave.
"""

from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

from course_lib.average_precision import area_under, precision_recall
from course_lib.losses import set_prior

SIZE = 24  # numbers per vector


def class_means(num_classes: int) -> Tensor:
    """The centre of each class, [n, 24], all at a distance of 2.6 from 0; the same in every run."""
    means = torch.randn(num_classes, SIZE, generator=torch.Generator().manual_seed(99))
    return 2.6 * means / means.norm(dim=1, keepdim=True)


def draw_vectors(means: Tensor, positives: int, negatives: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Vectors [P + N, 24] and their classes [P + N]: objects of random classes first, then background (class 0).

    Args:
        means: [n, 24] from `class_means`.
        positives: P.
        negatives: N, a twentieth of them hard.
        generator: source of randomness.
    """
    hard = negatives // 20
    classes = torch.randint(len(means), (positives + hard,), generator=generator)
    centres = torch.cat(
        [means[classes[:positives]], 0.6 * means[classes[positives:]], means.new_zeros(negatives - hard, SIZE)]
    )
    spread = torch.cat([torch.full((positives,), 0.7), torch.full((hard,), 0.8), torch.full((negatives - hard,), 0.5)])
    vectors = centres + spread[:, None] * torch.randn(len(centres), SIZE, generator=generator)
    return vectors, torch.cat([classes[:positives] + 1, classes.new_zeros(negatives)])


def score_network(num_classes: int, prior: float) -> nn.Sequential:
    """24 numbers → n logits, which say `prior` for everything at the start."""
    last = nn.Linear(96, num_classes)
    nn.init.normal_(last.weight, std=0.01)
    set_prior([last], prior)
    return nn.Sequential(nn.Linear(SIZE, 96), nn.ReLU(), nn.Linear(96, 96), nn.ReLU(), last)


def train_without_pictures(
    loss: Callable[[Tensor, Tensor], Tensor],
    num_classes: int,
    negatives_per_positive: int,
    prior: float,
    lr: float = 3e-3,
    steps: int = 200,
    seed: int = 0,
) -> nn.Sequential:
    """Train on fresh vectors, 32 objects per step, with AdamW and clipping at 10 as the course's detectors.

    Args:
        loss: (logits [1, M, n], classes [1, M]) → [1, M].
        num_classes: n.
        negatives_per_positive: background vectors for each object.
        prior: what the network says at the start.
        lr: highest learning rate; a tenth of the steps to reach it, a tenth of it for the last three tenths.
        steps: updates.
        seed: weights and vectors.
    """
    torch.manual_seed(seed)
    network, means = score_network(num_classes, prior), class_means(num_classes)
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(network.parameters(), lr=lr)
    for step in range(steps):
        vectors, classes = draw_vectors(means, 32, 32 * negatives_per_positive, generator)
        total = loss(network(vectors)[None], classes[None]).sum() / 32
        optimiser.param_groups[0]["lr"] = lr * min(1, 10 * (step + 1) / steps) * (1 if step < 0.7 * steps else 0.1)
        optimiser.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimiser.step()
    return network


@torch.no_grad()
def mean_average_precision(network: nn.Module, num_classes: int) -> float:
    """Mean over the classes of average precision, on 600 objects and 60,000 background vectors that no training saw."""
    vectors, classes = draw_vectors(class_means(num_classes), 600, 60_000, torch.Generator().manual_seed(7))
    scores, found = network(vectors), []
    for c in range(num_classes):
        hits = classes == c + 1
        found.append(area_under(*precision_recall(scores[:, c], hits, int(hits.sum())), rule="voc"))
    return sum(found) / num_classes
