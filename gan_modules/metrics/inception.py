"""Inception-v3 as the reference implementation of FID has it."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan_modules.metrics.data import RealData
from gan_modules.metrics.features import (
    FeatureNetwork,
    MissingWeightsError,
    as_bytes,
    in_colour,
)

__all__ = ["InceptionFeatures"]

LAYERS = ["2048", "logits_unbiased"]


class InceptionFeatures(FeatureNetwork):
    """The 2,048 features of Inception-v3 with the weights of the FID paper (arXiv:1706.08500).

    The network and its weights are torch-fidelity's, converted from TensorFlow's original of 2015,
    with its bilinear resize to 299 pixels, not antialiased. Images are rounded to 8 bits, as they
    would be in a file. Logits are without the bias, as the Inception Score takes them.

    Args:
        weights_path: file of weights; by default it is downloaded once, 96 MB, into torch's hub
            folder.

    Raises:
        FileNotFoundError: if there is no such file.
    """

    name = "inception"
    rounds = True

    def __init__(self, weights_path: str | None = None) -> None:
        if weights_path is not None and not Path(weights_path).is_file():
            raise FileNotFoundError(f"weights_path={weights_path!r} must be a file; none there")
        self.weights_path = weights_path

    def load(self, data: RealData) -> None:
        """Read the weights, or download them."""
        if self.module is None:
            path = self.weights_path or _download()
            self._use(_Rounded(_inception(path)))


class _Rounded(nn.Module):
    """Inception-v3 on float images, which it takes as the bytes they would be in a file."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features, logits = self.network(as_bytes(in_colour(images, InceptionFeatures.name)))
        return features, logits


def _inception(path: str) -> nn.Module:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    try:
        # torch-fidelity would run what a file names: this refuses all that is no tensor
        torch.load(path, "cpu", weights_only=True)
        network: nn.Module = FeatureExtractorInceptionV3(
            "inception-v3-compat", LAYERS, feature_extractor_weights_path=path
        )
    except Exception as error:  # each way of being broken has errors of its own
        reason = str(error).strip().splitlines()[0][:200]
        raise ValueError(
            f"weights_path={path!r} must hold torch-fidelity's weights of Inception-v3 ({reason})"
        ) from error
    return network


def _download() -> str:
    """Path of the reference weights in torch's hub folder."""
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    file = URL_INCEPTION_V3.rsplit("/", 1)[-1]
    path = Path(torch.hub.get_dir(), "checkpoints", file)
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # the name ends in the first digits of the file's hash
            prefix = path.stem.rsplit("-", 1)[-1]
            torch.hub.download_url_to_file(URL_INCEPTION_V3, str(path), prefix)
        except Exception as error:  # of the network, the disk, or a wrong hash
            reason = " ".join(str(error).split())[:200]
            raise MissingWeightsError(
                f"the weights of Inception-v3 cannot be downloaded ({reason}): get {file} from "
                f"torch-fidelity's releases and name it as weights_path, or choose "
                "features=ClassifierFeatures"
            ) from error
    return str(path)
