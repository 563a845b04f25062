"""Frechet distance of digits made by a trained model to held-out real digits.

    python benchmarks/frechet_digits.py runs/wgan_gp/0/checkpoints/last.ckpt

A small classifier is trained on the real training digits; the distance is taken in the 64 features
of its last hidden layer, between as many generated as there are training digits (1,437) and the
360 digits of the validation and test splits. The floor is the distance of the real training
digits to the same 360. Class shares say whether every digit is made.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.image.fid import FrechetInceptionDistance

from datamodules import DigitsDataModule
from gan_modules import NoiseGAN


class DigitClassifier(nn.Module):
    """Two convolutions, one hidden layer of 64 features, ten logits."""

    num_features = 64

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(4),
            nn.Flatten(),
            nn.Dropout(0.25),
            nn.Linear(64 * 4 * 4, 64),
            nn.ReLU(),
        )
        self.logits = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.features(images)
        return features


def real_digits(image_size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training images and labels, held-out images and labels; float in [-1, 1]."""
    data = DigitsDataModule(image_size=image_size)
    data.setup()
    train = data.splits["train"]
    held_out = [data.splits["val"], data.splits["test"]]
    return (
        train.images / 127.5 - 1,
        train.labels,
        torch.cat([split.images for split in held_out]) / 127.5 - 1,
        torch.cat([split.labels for split in held_out]),
    )


def train_classifier(images: Tensor, labels: Tensor, epochs: int = 30) -> DigitClassifier:
    """Fit the classifier; about ten seconds."""
    torch.manual_seed(0)
    model = DigitClassifier()
    steps = epochs * len(images) // 64
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _ in range(steps):
        batch = torch.randint(len(images), (64,))
        loss = F.cross_entropy(model.logits(model(images[batch])), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval().requires_grad_(False)


def frechet_distance(model: DigitClassifier, reference: Tensor, images: Tensor) -> float:
    """Distance between the feature Gaussians of two sets of images."""
    metric = FrechetInceptionDistance(
        feature=model, normalize=True, input_img_size=(1, *images.shape[2:])
    )
    metric.update(reference, real=True)
    metric.update(images, real=False)
    return metric.compute().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", nargs="+", type=Path)
    parser.add_argument("--seeds", type=int, default=3, help="draws of 1,437 samples")
    options = parser.parse_args()
    for path in options.checkpoints:
        gan = NoiseGAN.load_from_checkpoint(path, map_location="cpu")
        train, labels, held_out, held_out_labels = real_digits(gan.image_shape[-1])
        model = train_classifier(train, labels)
        accuracy = (model.logits(model(held_out)).argmax(1) == held_out_labels).double().mean()
        floor = frechet_distance(model, held_out, train)
        draws = [gan.sample(len(train), seed=seed) for seed in range(options.seeds)]
        distances = torch.tensor([frechet_distance(model, held_out, draw) for draw in draws])
        shares = model.logits(model(torch.cat(draws))).argmax(1).bincount(minlength=10)
        print(
            f"{path}: Frechet distance {distances.mean():.2f} +- {distances.std():.2f} "
            f"({options.seeds} draws), floor {floor:.2f}, "
            f"classifier {accuracy:.1%} on held-out digits"
        )
        print("  class shares", " ".join(f"{share:.1%}" for share in shares / shares.sum()))


if __name__ == "__main__":
    main()
