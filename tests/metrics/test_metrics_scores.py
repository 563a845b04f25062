"""The scores and the networks they are taken in, against independent computations."""

import math
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision
from numpy.typing import NDArray
from scipy.linalg import sqrtm
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close
from torch_fidelity import feature_extractor_inceptionv3
from torchmetrics.image.fid import FrechetInceptionDistance, NoTrainInceptionV3
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance

from gan_modules.metrics import (
    FeatureStatistics,
    InceptionFeatures,
    InceptionStatistics,
    MissingWeightsError,
    ModuleFeatures,
    TorchvisionFeatures,
    frechet_distance,
    kernel_distance,
)
from gan_modules.metrics import inception as inception_module
from gan_modules.metrics.classifier import train_classifier
from gan_modules.metrics.features import as_bytes, snake_case

CPU = torch.device("cpu")
NO_DATA: Any = None  # networks that only read weights do not look at it


def cloud(n: int, seed: int, dimensions: int = 8) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, dimensions, generator=generator)


def statistics(features: Tensor, parts: int = 1, n_kept: int = 0) -> FeatureStatistics:
    found = FeatureStatistics(features.shape[1], n_kept, CPU)
    for rows in torch.arange(len(features)).chunk(parts):
        found.add(features[rows], rows)
    return found


def frechet(x: NDArray[Any], y: NDArray[Any]) -> float:
    """The distance by its formula."""
    a, b = (np.cov(z, rowvar=False) for z in (x, y))
    root = np.trace(sqrtm(a @ b)).real
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a) + np.trace(b) - 2 * root)


def kernel(x: NDArray[Any], y: NDArray[Any]) -> float:
    """The unbiased discrepancy by its formula, pair by pair."""

    def k(a: NDArray[Any], b: NDArray[Any]) -> float:
        return float((a @ b / len(a) + 1) ** 3)

    within = [
        sum(k(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j)
        / (len(z) * (len(z) - 1))
        for z in (x, y)
    ]
    across = sum(k(a, b) for a in x for b in y) / (len(x) * len(y))
    return within[0] + within[1] - 2 * across


# ---- scores ------------------------------------------------------------------------------------


def test_frechet_distance_of_gaussians_in_closed_form() -> None:
    # features with exactly these means and variances, uncorrelated
    white = torch.linalg.qr(cloud(100, 0) - cloud(100, 0).mean(0)).Q.double() * math.sqrt(99)
    means = torch.arange(8.0).double(), torch.full((8,), 2.0).double()
    deviations = torch.arange(1.0, 9).double(), torch.full((8,), 3.0).double()
    x, y = (white * s + m for m, s in zip(means, deviations, strict=True))
    expected = sum((m - 2) ** 2 for m in range(8)) + sum((s - 3) ** 2 for s in range(1, 9))
    found = frechet_distance(statistics(x.float()), statistics(y.float(), parts=7))
    assert found == pytest.approx(expected, rel=1e-5)


def test_frechet_distance_is_the_formula_and_torchmetrics() -> None:
    x, y = cloud(200, 0) * 2, cloud(150, 1) @ cloud(8, 2) + 0.5
    found = frechet_distance(statistics(x, parts=3), statistics(y, parts=4))
    assert found == pytest.approx(frechet(x.double().numpy(), y.double().numpy()), rel=1e-8)
    metric = FrechetInceptionDistance(nn.Flatten(), input_img_size=(2, 2, 2), normalize=True)
    metric.update(x.reshape(-1, 2, 2, 2), real=True)
    metric.update(y.reshape(-1, 2, 2, 2), real=False)
    assert found == pytest.approx(metric.compute().item(), rel=1e-5)
    assert frechet_distance(statistics(x), statistics(x)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("block", [7, 1000])
def test_kernel_distance_is_the_formula(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan_modules.metrics.kernel.BLOCK", block)
    monkeypatch.setattr("gan_modules.metrics.kernel.TILE", 2 * block)
    monkeypatch.setattr("gan_modules.metrics.kernel.FEW", block)
    # with 8 dimensions, pair by pair below 65 features and by sums of powers from there on
    for n, m in ((30, 45), (30, 80), (80, 30), (70, 80)):
        x, y = cloud(n, 0), cloud(m, 1) + 0.3
        expected = kernel(x.double().numpy(), y.double().numpy())
        assert kernel_distance(x, y) == pytest.approx(expected, abs=1e-5)
    # unbiased: around zero for equal distributions, on either side
    found = [kernel_distance(cloud(50, s), cloud(50, s + 100)) for s in range(20)]
    assert min(found) < 0 < max(found)


@pytest.mark.filterwarnings("ignore:.*will save all extracted features")
def test_kernel_distance_is_torchmetrics_over_all_images() -> None:
    x, y = cloud(100, 0) * 3, cloud(100, 1) + 0.3
    metric = KernelInceptionDistance(nn.Identity(), subsets=1, subset_size=100)
    metric.update(x, real=True)
    metric.update(y, real=False)
    assert kernel_distance(x, y) == pytest.approx(metric.compute()[0].item(), rel=1e-5)


def test_inception_score_by_hand() -> None:
    # two parts: in the first, two images of one class each, KL to (1/2, 1/2) is ln 2, the score 2;
    # in the second both are undecided: 1
    sure = torch.tensor([[0.0, -1000.0], [-1000.0, 0.0]])
    inception = InceptionStatistics(2, 4, CPU, parts=2)
    for row, logits in ((3, torch.zeros(2)), (0, sure[0]), (1, sure[1]), (2, torch.zeros(2))):
        inception.add(logits[None], torch.tensor([row]))
    assert_close(inception.scores(), torch.tensor([2.0, 1.0]).double())
    # with fewer images than parts, those that are there count
    few = InceptionStatistics(2, 2, CPU)
    few.add(sure, torch.arange(2))
    assert_close(few.scores(), torch.ones(2).double())


@pytest.mark.filterwarnings("ignore:.*will save all extracted features")
def test_inception_score_is_torchmetrics() -> None:
    logits = cloud(200, 0, 12) * 3
    metric = InceptionScore(nn.Identity())
    metric.update(logits)
    torch.manual_seed(5)
    expected, _ = metric.compute()
    torch.manual_seed(5)
    order = torch.randperm(200)  # which torchmetrics has drawn
    inception = InceptionStatistics(12, 200, CPU)
    for rows in torch.arange(200).split(33):
        inception.add(logits[order][rows], rows)
    assert inception.scores().mean().item() == pytest.approx(expected.item(), rel=1e-5)


def test_statistics_keep_what_has_a_row_and_nothing_else() -> None:
    features = cloud(6, 0, 2)
    found = FeatureStatistics(2, 3, CPU)
    found.add(features, torch.tensor([2, -1, 0, 5, 1, -1]))
    assert_close(found.kept, features[[2, 4, 0]])
    assert found.count == 6
    assert_close(found.total, features.double().sum(0))
    assert_close(found.outer, sum(torch.outer(f, f) for f in features.double()))


def test_too_few_images() -> None:
    one, two = statistics(cloud(1, 0)), statistics(cloud(2, 0))
    with pytest.raises(ValueError, match="fid needs 2 images of each at least: 1 are real, 2 fake"):
        frechet_distance(one, two)
    with pytest.raises(ValueError, match="kid needs 2 images of each at least: 2 are real, 1 fake"):
        kernel_distance(cloud(2, 0), cloud(1, 0))


# ---- networks ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def inception_weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Random weights in torch-fidelity's format, of a size that lets signals through."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Empty(FeatureExtractorInceptionV3):  # type: ignore[misc]
        def load_state_dict(self, state_dict: Any) -> None:  # type: ignore[override]
            pass

    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save({}, path)
    torch.manual_seed(0)
    network = Empty("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path))
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight)
    torch.save(network.state_dict(), path)
    return str(path)


@pytest.fixture(scope="module")
def inception(inception_weights: str) -> InceptionFeatures:
    features = InceptionFeatures(weights_path=inception_weights)
    features.load(NO_DATA)
    return features


def photos(n: int, seed: int) -> Tensor:
    """Coloured images in [-1, 1], smooth enough to tell resizing from resizing."""
    generator = torch.Generator().manual_seed(seed)
    small = torch.rand(n, 3, 4, 4, generator=generator) * 2 - 1
    return F.interpolate(small, (48, 48), mode="bicubic").clamp(-1, 1)


def reference_inception(weights: str, layer: str, antialias: bool = False) -> NoTrainInceptionV3:
    return NoTrainInceptionV3("inception-v3-compat", [layer], weights, antialias=antialias)


@pytest.mark.thorough
def test_inception_gives_the_reference_features(
    inception: InceptionFeatures, inception_weights: str
) -> None:
    images = photos(2, 0)
    found = inception.extract(images)
    assert found.features.shape == (2, 2048)
    network = reference_inception(inception_weights, "2048")
    assert_close(found.features, network(as_bytes(images)), rtol=1e-5, atol=1e-5)
    network.features_list = ["logits_unbiased"]
    assert_close(found.logits, network(as_bytes(images)), rtol=1e-5, atol=1e-4)
    network.use_antialias, network.features_list = True, ["2048"]
    assert (found.features - network(as_bytes(images))).abs().mean() > 1e-3


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*will save all extracted features")
def test_inception_gives_torchmetrics_figures(
    inception: InceptionFeatures, inception_weights: str
) -> None:
    real, fake = photos(40, 0), photos(30, 1) * 0.7
    found = [inception.extract(images) for images in (real, fake)]
    fid = FrechetInceptionDistance(
        2048, feature_extractor_weights_path=inception_weights, antialias=False
    )
    network = reference_inception(inception_weights, "2048")
    kid = KernelInceptionDistance(network, subsets=1, subset_size=30)
    for images, is_real in ((real, True), (fake, False)):
        fid.update(as_bytes(images), real=is_real)
        kid.update(as_bytes(images[:30]), real=is_real)
    ours = frechet_distance(*(statistics(f.features) for f in found))
    assert ours == pytest.approx(fid.compute().item(), rel=1e-4)
    assert ours > 1
    ours = kernel_distance(found[0].features[:30], found[1].features)
    assert ours == pytest.approx(kid.compute()[0].item(), rel=1e-4)
    score = InceptionScore(reference_inception(inception_weights, "logits_unbiased"), splits=2)
    score.update(as_bytes(fake))
    torch.manual_seed(5)
    expected, _ = score.compute()
    torch.manual_seed(5)
    parts = InceptionStatistics(1008, 30, CPU, parts=2)
    assert found[1].logits is not None
    parts.add(found[1].logits[torch.randperm(30)], torch.arange(30))
    assert parts.scores().mean().item() == pytest.approx(expected.item(), rel=1e-4)


def test_inception_rounds_and_takes_grey_for_colour(inception: InceptionFeatures) -> None:
    levels = torch.arange(256.0)
    # up to half a step off, every level is still itself
    off = (levels[:, None] + torch.tensor([-0.49, 0.0, 0.49])).clamp(0, 255) / 127.5 - 1
    assert_close(as_bytes(off), levels[:, None].expand(-1, 3).to(torch.uint8))
    grey = photos(2, 0)[:, :1]
    assert_close(
        inception.extract(grey).features, inception.extract(grey.expand(-1, 3, -1, -1)).features
    )
    with pytest.raises(ValueError, match="images of 1 or 3 channels, not of shape"):
        inception.extract(torch.zeros(1, 2, 8, 8))


def test_wrong_weights_end_in_one_line() -> None:
    Path("text.pth").write_text("no weights")
    with pytest.raises(ValueError, match=r"weights_path='text.pth' must hold torch-fidelity's"):
        InceptionFeatures(weights_path="text.pth").load(NO_DATA)
    torch.save({"a": torch.zeros(1)}, "other.pth")
    with pytest.raises(ValueError, match=r"weights_path='other.pth' must hold"):
        InceptionFeatures(weights_path="other.pth").load(NO_DATA)
    with pytest.raises(ValueError, match=r"weights_path='other.pth' must hold the weights of resn"):
        TorchvisionFeatures("resnet18", weights_path="other.pth").load(NO_DATA)


def test_weights_that_run_code_are_refused() -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return Path.touch, (Path("touched"),)

    torch.save({"a": Evil()}, "evil.pth")
    with pytest.raises(ValueError, match="must hold torch-fidelity's weights"):
        InceptionFeatures(weights_path="evil.pth").load(NO_DATA)
    assert not Path("touched").exists()


def test_weights_that_cannot_be_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    monkeypatch.setenv("TORCH_HOME", "hub")
    for features, line in (
        (InceptionFeatures(), "the weights of Inception-v3 cannot be downloaded .*no route"),
        (TorchvisionFeatures("resnet18"), "the weights of resnet18 cannot be downloaded .*no rou"),
    ):
        with pytest.raises(MissingWeightsError, match=line) as caught:
            features.load(NO_DATA)
        assert "\n" not in str(caught.value)
        assert "weights_path" in str(caught.value)


def test_a_download_that_is_not_what_it_should_be(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a-0123abcd.pth").write_text("something else")
    url = Path("a-0123abcd.pth").resolve().as_uri()
    monkeypatch.setattr(feature_extractor_inceptionv3, "URL_INCEPTION_V3", url)
    monkeypatch.setenv("TORCH_HOME", "hub")
    for _ in range(2):
        with pytest.raises(MissingWeightsError, match=r"cannot be downloaded \(invalid hash"):
            InceptionFeatures().load(NO_DATA)


def test_weights_are_downloaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []

    def fetch(url: str, path: str, prefix: str) -> None:
        fetched.append((url.rsplit("/", 1)[-1], prefix))
        Path(path).touch()

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    monkeypatch.setenv("TORCH_HOME", "hub")
    name = "weights-inception-2015-12-05-6726825d.pth"
    assert [Path(inception_module._download()).name for _ in range(2)] == [name] * 2
    # the prefix is of the file's hash, which torch verifies
    assert fetched == [(name, "6726825d")]


def test_torchvision_features_are_what_the_last_layer_gets() -> None:
    torch.manual_seed(0)
    network = torchvision.models.resnet18().eval()
    torch.save(network.state_dict(), "resnet.pth")
    features = TorchvisionFeatures("resnet18", weights_path="resnet.pth")
    features.load(NO_DATA)
    assert features.name == "resnet18"
    images = photos(2, 0)
    found = features.extract(images)
    resized = F.interpolate((images + 1) / 2, (224, 224), mode="bilinear", antialias=True)
    mean, std = (torch.tensor(v)[:, None, None] for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))  # fmt: skip  # noqa: E501
    with torch.no_grad():
        expected = network((resized - mean) / std)
        network.fc = nn.Identity()
        assert_close(found.features, network((resized - mean) / std))
    assert_close(found.logits, expected)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"model": "resnet19"}, "model='resnet19' must be a classifier of torchvision's"),
        ({"weights": "MINE"}, r"weights='MINE' must be one of resnet50's: IMAGENET1K_V1, "),
    ],
)
def test_wrong_torchvision_options(options: dict[str, str], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        TorchvisionFeatures(**options)
    with pytest.raises(FileNotFoundError, match=r"weights_path='no.pth' must be a file"):
        TorchvisionFeatures(weights_path="no.pth")


class Tiny(nn.Module):
    """Features of a shape of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 4, 3)
        self.dropout = nn.Dropout()

    def forward(self, images: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(self.dropout(self.convolution(images)), 2)


def test_a_module_of_ones_own_and_its_torchscript_file() -> None:
    module = Tiny()
    features = ModuleFeatures(module)
    features.load(NO_DATA)
    assert features.name == "tiny"
    images = photos(3, 0)[:, :1]
    found = features.extract(images)
    with torch.no_grad():
        expected = F.adaptive_avg_pool2d(module.convolution(images), 2)
    assert_close(found.features, expected.flatten(1))
    assert found.logits is None
    # the module itself may be part of what is trained: it is left as it was
    assert module.training
    assert module.convolution.weight.requires_grad
    # whatever precision training has, features are taken in float32
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_close(features.extract(images.double()).features, found.features, rtol=0, atol=0)

    with pytest.warns(match="deprecated"):
        torch.jit.trace(module.eval(), images).save("my-net.pt")
    script = ModuleFeatures("my-net.pt")
    script.load(NO_DATA)
    assert script.name == "my_net"
    assert_close(script.extract(images).features, found.features)
    assert ModuleFeatures("my-net.pt", name="other").name == "other"


def test_wrong_modules() -> None:
    with pytest.raises(FileNotFoundError, match=r"module='no.pt' must be a TorchScript file"):
        ModuleFeatures("no.pt")
    Path("text.pt").write_text("none")
    with pytest.raises(ValueError, match=r"module='text.pt' must be a TorchScript file"):
        ModuleFeatures("text.pt")
    with pytest.raises(ValueError, match="name='a/b' must be letters, digits and underscores"):
        ModuleFeatures(nn.Flatten(), name="a/b")
    scalar = ModuleFeatures(nn.Flatten(0))
    with pytest.raises(ValueError, match=r"features=flatten gives features of shape \(192,\) for"):
        scalar.extract(torch.zeros(3, 1, 8, 8))


def test_fingerprints_tell_networks_apart() -> None:
    def mark(module: nn.Module) -> str:
        return ModuleFeatures(module).fingerprint()

    tiny = Tiny()
    assert mark(tiny) == mark(tiny)
    assert mark(nn.MaxPool2d(2)) != mark(nn.MaxPool2d(4))
    changed = Tiny()
    changed.load_state_dict(tiny.state_dict())
    assert mark(changed) == mark(tiny)
    with torch.no_grad():
        changed.convolution.bias[0] += 1
    assert mark(changed) != mark(tiny)


def test_names() -> None:
    assert snake_case("MyNetV2") == "my_net_v2"
    assert snake_case("CIFAR10Classifier") == "cifar10_classifier"
    assert snake_case("DigitsClassifier") == "digits_classifier"
    assert snake_case("my-net") == "my_net"


def test_a_classifier_is_a_function_of_its_seed_alone() -> None:
    images = torch.rand(20, 1, 8, 8) * 2 - 1
    labels = torch.arange(20) % 3
    state = torch.get_rng_state()
    first = train_classifier(images, labels, steps=3)
    assert_close(torch.get_rng_state(), state, rtol=0, atol=0)
    torch.manual_seed(99)
    again = train_classifier(images, labels, steps=3)
    assert_close(again.state_dict(), first.state_dict(), rtol=0, atol=0)
    other = train_classifier(images, labels, steps=3, seed=1)
    assert not torch.equal(other.logits.weight, first.logits.weight)
