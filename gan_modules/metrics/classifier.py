"""A classifier trained on the spot, where no pretrained network fits or is at hand."""

import math
from collections.abc import Callable

import torch
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor, nn
from torch.nn import functional as F

from gan_modules.errors import require
from gan_modules.metrics.cache import TensorCache, digest
from gan_modules.metrics.data import RealData, subset_rows
from gan_modules.metrics.features import FeatureNetwork, as_bytes, snake_case

__all__ = ["Classifier", "ClassifierFeatures", "accuracy", "train_classifier"]

BATCH_SIZE = 64


class Classifier(nn.Module):
    """Two convolutions, one hidden layer of features, one logit per class.

    Args:
        channels: of the images, which may have any size.
        num_classes: number of classes.
        num_features: size of the hidden layer, in which images are compared.
        width: channels of the first convolution; the second has twice as many.
    """

    def __init__(
        self, channels: int, num_classes: int, num_features: int = 64, width: int = 32
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.features = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(4),
            nn.Flatten(),
            nn.Dropout(0.25),
            nn.Linear(2 * width * 4 * 4, num_features),
            nn.ReLU(),
        )
        self.logits = nn.Linear(num_features, num_classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features ``(N, num_features)`` and logits ``(N, num_classes)`` of images in [-1, 1]."""
        features = self.features(images)
        return features, self.logits(features)

    @torch.no_grad()
    def classify(self, images: Tensor) -> Tensor:
        """Classes ``(N,)``."""
        return torch.cat([self(part)[1].argmax(1) for part in images.split(1000)])


def train_classifier(
    images: Tensor,
    labels: Tensor,
    steps: int,
    num_features: int = 64,
    width: int = 32,
    seed: int = 0,
    advance: Callable[[int], None] = lambda steps: None,
) -> Classifier:
    """Fit a classifier, with batches of 64, Adam, and one cycle of the learning rate.

    The same arguments give the same classifier; the random state is left alone.

    Args:
        images: float in [-1, 1], or the same as uint8 in [0, 255], shape ``(N, C, H, W)``.
        labels: integers from 0, shape ``(N,)``.
        steps: number of updates.
        num_features: size of the layer in which images are compared.
        width: channels of the first convolution.
        seed: of the weights and batches.
        advance: told of every update.

    Returns:
        The classifier in evaluation mode, without gradients, on the images' device.
    """
    with (
        isolate_rng(include_cuda=images.device.type == "cuda"),
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(images.device.type, enabled=False),
    ):
        torch.manual_seed(seed)
        model = Classifier(images.shape[1], int(labels.max()) + 1, num_features, width)
        model.to(images.device, torch.float32)
        optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
        for _ in range(steps):
            batch = torch.randint(len(images), (BATCH_SIZE,)).to(images.device)
            _, logits = model(as_floats(images[batch]))
            loss = F.cross_entropy(logits, labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            advance(1)
    return model.eval().requires_grad_(False)


def accuracy(model: Classifier, images: Tensor, labels: Tensor) -> float:
    """Share of images that the classifier gives their label."""
    return (model.classify(images) == labels).double().mean().item()


def as_floats(images: Tensor) -> Tensor:
    """Images in [-1, 1] as they are, bytes brought there."""
    return images if images.is_floating_point() else images.float() / 127.5 - 1


class ClassifierFeatures(FeatureNetwork):
    """The hidden layer of a small classifier trained on the labelled training images.

    It needs no download and knows the data at hand. Trained once, in seconds to a minute, and kept
    in the metrics' ``cache_dir``. Its accuracy on held-out images is reported, with a warning if it
    is no better than the most frequent label given to all. Figures can be compared among runs on
    the same data, image size and options.

    Args:
        steps: updates, of 64 images each.
        num_features: size of the layer in which images are compared.
        width: channels of the first convolution; the second has twice as many.
        seed: of the classifier.
        n_images: training images that are used at most; they are held in memory as bytes.

    Raises:
        ValueError: if an option is out of its range.
    """

    def __init__(
        self,
        steps: int = 1500,
        num_features: int = 64,
        width: int = 32,
        seed: int = 0,
        n_images: int = 20_000,
    ) -> None:
        options = {"steps": steps, "num_features": num_features, "width": width}
        for name, value in (options | {"n_images": n_images}).items():
            require(value >= 1, name, value, "at least 1")
        require(seed >= 0, "seed", seed, "at least 0")
        self.options = options | {"seed": seed}
        self.n_images = n_images
        self.accuracy = float("nan")
        self._name = "classifier"
        self._trained = ""

    @property
    def name(self) -> str:
        """``<data>_classifier``, after the DataModule's class."""
        return self._name

    @property
    def facts(self) -> dict[str, float]:
        """Its accuracy on held-out images, once it is known."""
        return {} if math.isnan(self.accuracy) else {f"accuracy_{self.name}": self.accuracy}

    def load(self, data: RealData) -> None:
        """See that there are images with labels, of two classes at least where the data say so."""
        images, labels = data.first("train")
        right = (
            "choose InceptionFeatures, TorchvisionFeatures or ModuleFeatures, or metrics.names=[] "
            "to measure nothing"
        )
        if images.ndim != 4 or labels is None or labels.ndim != 1 or labels.is_floating_point():
            raise ValueError(
                f"features=ClassifierFeatures needs batches of images and their labels: {right}"
            )
        classes = getattr(getattr(data.trainer, "datamodule", None), "num_classes", None)
        if isinstance(classes, int) and classes < 2:
            raise ValueError(
                f"features=ClassifierFeatures needs images of two classes at least, {data.name} "
                f"has num_classes={classes}: {right}"
            )
        self._name = snake_case(f"{data.name}Classifier")

    def train(self, data: RealData, cache: TensorCache) -> None:
        """Train it, or find it in the cache, and report its accuracy."""
        key = digest(data.index("train").fingerprint, self.n_images, *self.options.items())
        if key == self._trained:
            return
        # one process looks, trains and writes; the others get what it has
        first, strategy = data.trainer.is_global_zero, data.trainer.strategy
        known = strategy.broadcast(cache.read(f"classifier-{key}") if first else None)
        if known is None:
            images, labels = self._collect(data)
            if int(labels.min()) < 0 or int(labels.max()) < 1:
                raise ValueError(
                    "features=ClassifierFeatures needs labels from 0 to 1 at least, the data has "
                    f"{int(labels.min())} to {int(labels.max())}"
                )
            weights = {}
            if first:
                steps = self.options["steps"]
                with data.progress("Classifier", steps) as advance:
                    model = train_classifier(images, labels, **self.options, advance=advance)
                weights = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
                cache.write(f"classifier-{key}", weights)
            known = strategy.broadcast(weights)
        self._use(self._rebuilt(known))
        self._trained = key
        right, *of_each = self._score(data).tolist()
        total = sum(of_each)
        self.accuracy = right / total if total else float("nan")
        line = f"{self.name}: {self.accuracy:.1%} of {total} held-out images get their label"
        if total and (right == total or right > max(of_each)):
            rank_zero_info(line)
        elif total:
            rank_zero_warn(
                f"{line}, no more than the most frequent label alone would give "
                f"({max(of_each) / total:.1%}): it has learnt nothing, and metrics in its features "
                "tell nothing; give it more images or steps, or choose other metrics.features"
            )

    def _rebuilt(self, weights: dict[str, Tensor]) -> Classifier:
        sizes = {name: self.options[name] for name in ("num_features", "width")}
        channels = weights["features.0.weight"].shape[1]
        model = Classifier(channels, len(weights["logits.weight"]), **sizes)
        model.load_state_dict(weights)
        return model

    def _collect(self, data: RealData) -> tuple[Tensor, Tensor]:
        """Training images, uint8, and labels, as many as are wanted, in every process."""
        rows = subset_rows(data.index("train").count, self.n_images)
        n = int(rows.max()) + 1
        images = labels = torch.empty(0)
        for positions, (batch, batch_labels) in data.batches("train"):
            assert batch_labels is not None
            if not len(labels):
                images = batch.new_zeros(n, *batch.shape[1:], dtype=torch.uint8)
                labels = batch_labels.new_zeros(n, dtype=torch.long)
            row = rows[positions.cpu()]
            chosen = row >= 0
            images[row[chosen]] = as_bytes(batch[chosen])
            labels[row[chosen]] = batch_labels[chosen].long()
        strategy = data.trainer.strategy
        # an image is held by one process and zero in the others
        return strategy.reduce(images, reduce_op="sum"), strategy.reduce(labels, reduce_op="sum")

    def _score(self, data: RealData) -> Tensor:
        """Number of held-out images that get their label, and of each label."""
        num_classes = len(self._loaded().get_parameter("logits.weight"))
        counts = torch.zeros(num_classes + 2, dtype=torch.long)
        counts = counts.to(data.trainer.strategy.root_device)
        if data.has("val"):
            for _, (images, labels) in data.batches("val"):
                assert labels is not None
                _, logits = self.extract(images)
                assert logits is not None
                counts[0] += logits.argmax(1).eq(labels).sum()
                # labels that training images do not have are one more
                known = labels.long().clamp(-1, num_classes) % (num_classes + 1)
                counts[1:] += known.bincount(minlength=num_classes + 1)
        return data.trainer.strategy.reduce(counts, reduce_op="sum").cpu()
