"""The detector without pictures (lesson 6): what is drawn, what the network says at the start, what it learns."""

import pytest
import torch

from course_lib.losses import sigmoid_cross_entropy
from course_lib.without_pictures import (
    SIZE,
    class_means,
    draw_vectors,
    mean_average_precision,
    score_network,
    train_without_pictures,
)


def test_vectors_and_their_classes():
    means = class_means(3)
    assert means.shape == (3, SIZE) and torch.allclose(means.norm(dim=1), torch.tensor(2.6))
    vectors, classes = draw_vectors(means, 400, 4000, torch.Generator().manual_seed(0))
    assert vectors.shape == (4400, SIZE) and (classes[:400] > 0).all() and not classes[400:].any()
    for c in range(3):
        of_class = vectors[classes == c + 1]
        assert (of_class.mean(dim=0) - means[c]).norm() < 0.6 and of_class.std(dim=0).mean().item() == pytest.approx(
            0.7, abs=0.05
        )
    hard, easy = vectors[400:600], vectors[600:]
    assert (hard @ means.T / 2.6).amax(dim=1).mean() > 1.2 > (easy @ means.T / 2.6).amax(dim=1).mean()
    again, _ = draw_vectors(means, 400, 4000, torch.Generator().manual_seed(0))
    assert torch.equal(vectors, again)


def test_the_network_starts_at_its_prior():
    torch.manual_seed(0)
    network = score_network(5, 0.02)
    assert (network(torch.randn(50, SIZE)).sigmoid() - 0.02).abs().max() < 0.01


def test_it_learns_and_repeats():
    runs = [train_without_pictures(sigmoid_cross_entropy, 3, 10, 0.1, lr=1e-2, steps=40, seed=1) for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(runs[0].parameters(), runs[1].parameters(), strict=True))
    assert mean_average_precision(runs[0], 3) > 0.3 > mean_average_precision(score_network(3, 0.1), 3)
