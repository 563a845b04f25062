"""Few digits are the same ones, classes in proportion; tables and figures of what was found."""

from pathlib import Path
from typing import Any

import few_images
import torch
import vae_and_gan
from few_images import FewDigits
from PIL import Image


def test_few_digits_are_chosen_once() -> None:
    data = FewDigits(images=100)
    images, labels = data.load("train")
    distinct, times = torch.unique(images, dim=0, return_counts=True)
    assert len(distinct) == 100
    assert times.min() == times.max()
    shares = labels.bincount(minlength=10) / len(labels)
    assert 0.09 <= shares.min() <= shares.max() <= 0.11
    assert torch.equal(FewDigits(images=100).load("train")[0], images)
    assert len(data.load("val")[0]) == 180


def test_the_table_and_the_figure_of_few_images() -> None:
    def result(model: str, augmentation: str, n: int, seed: int) -> dict[str, Any]:
        scores = [
            {"step": step, "frechet": 10.0 + step + seed, "recall": 0.5} for step in (50, 100)
        ]
        if augmentation == "AdaptiveAugment":
            scores = [{**score, "p": 0.25} for score in scores]
        job = {"model": model, "augmentation": augmentation, "images": n, "seed": seed}
        return {**job, "scores": scores}

    results = [
        result(model, augmentation, n, seed)
        for model in few_images.MODELS
        for augmentation in few_images.AUGMENTATIONS
        for n in (100, 300)
        for seed in range(2)
    ]
    *_, row = few_images.rows(results)
    assert row == "| DCGAN | 300 | ADA | 110.5 ± 0.7 | 60.5 ± 0.7 | 50 | 0.50 | 0.25 ± 0.00 |"
    few_images.draw(results, Path("few.png"))
    # one model alone, too
    few_images.draw([r for r in results if r["model"] == "dcgan"], Path("one.png"))
    with Image.open("few.png") as picture:
        assert picture.width > 600


def test_the_laplacian_of_a_checkerboard() -> None:
    board = (torch.arange(8)[:, None] + torch.arange(8)) % 2 * 2.0 - 1
    # 8 and -8, half each; 18 of the 36 inner pixels
    expected = 64 * 36 / 35
    assert abs(vae_and_gan.laplacian_variance(board[None, None]) - expected) < 1e-4
    assert vae_and_gan.laplacian_variance(torch.ones(2, 1, 8, 8)) == 0
