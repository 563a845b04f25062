"""The README and the site name what there is, and what they name is there."""

import importlib.util
import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import cli
import datamodules
import gan_modules
import gan_modules.networks
from gan_modules import GenerativeModule
from gan_modules.lab import EXPERIMENTS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text("utf-8")
PAGES = sorted(
    path for path in DOCS.rglob("*.md") if not {"_build", "variants", "lab"} & set(path.parts[:-1])
)
EXPORTED = (getattr(gan_modules, name) for name in gan_modules.__all__)
VARIANTS = {
    thing.__name__
    for thing in EXPORTED
    if inspect.isclass(thing)
    and issubclass(thing, GenerativeModule)
    and not inspect.isabstract(thing)
}
COMMANDS = re.findall(r"^\| .* \| `((?:fit|predict) .*)` \|$", README, re.MULTILINE)


def load_generator(name: str) -> Any:
    """``docs/<name>.py``, which writes pages."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = load_generator("variant_pages")
SOURCE = GENERATOR.load()
GENERATED: dict[str, str] = GENERATOR.pages()
LAB: dict[str, str] = load_generator("lab_pages").pages()
TEXTS = {
    ROOT / "README.md": README,
    **{path: path.read_text("utf-8") for path in PAGES},
    **{DOCS / "variants" / name: text for name, text in GENERATED.items()},
    **{DOCS / "lab" / name: text for name, text in LAB.items()},
}


def links(text: str) -> Iterator[str]:
    """Relative targets of links and pictures."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text):
        if "://" not in target and not target.startswith("#"):
            yield target.split("#")[0]


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 180


def test_every_variant_has_an_entry() -> None:
    assert {variant["class"] for variant in SOURCE["variants"]} == VARIANTS


def test_the_readme_has_the_table_of_variants() -> None:
    assert GENERATOR.table_of_variants(SOURCE["variants"]) in README


def test_every_recipe_is_named() -> None:
    everything = "\n".join(text for path, text in TEXTS.items() if path.name != "README.md")
    for path in (ROOT / "configs").rglob("*.yaml"):
        assert path.relative_to(ROOT / "configs").as_posix() in everything


@pytest.mark.parametrize("variant", SOURCE["variants"], ids=lambda variant: variant["class"])
def test_a_variant_has_its_own_recipes(variant: dict[str, Any]) -> None:
    for name in variant["configs"]:
        recipe = yaml.safe_load((ROOT / "configs" / name).read_text("utf-8"))
        assert recipe["model"]["class_path"] == variant["class"]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_has_its_page(name: str) -> None:
    page = LAB[f"{name}.md"]
    # the constants that it says to change are there
    module = inspect.getmodule(EXPERIMENTS[name])
    change = page.split("## Change it\n\n")[1].split("\n\n")[0]
    constants = re.findall(r"`([A-Z_]+)`", change)
    assert constants
    assert all(hasattr(module, constant) for constant in constants)
    # a row for every claim, as it was measured
    rows = re.findall(r"^\| .* \| (\d) of (\d) \|$", page, re.MULTILINE)
    assert rows
    assert f"python cli.py lab {name}" in page
    assert f'EXPERIMENTS[\\"{name}\\"](Lab(SEED, EFFORT))' in LAB["notebook.ipynb"]


@pytest.mark.parametrize("package", [gan_modules.networks, gan_modules, datamodules])
def test_the_reference_has_every_class(package: ModuleType) -> None:
    pages = [page.read_text("utf-8") for page in (DOCS / "reference").glob("*.md")]
    text = "".join([*pages, *GENERATED.values()])
    modules = set(re.findall(r"automodule:: (\S+)", text))
    for name in package.__all__:
        is_told = f"autoclass:: {package.__name__}.{name}\n" in text
        thing = getattr(package, name)
        if isinstance(thing, type):
            assert is_told or thing.__module__ in modules, name


def test_rows_fit_their_tables() -> None:
    for variant in SOURCE["variants"]:
        for name, rows in variant.get("figures", {}).items():
            for row in rows:
                columns = SOURCE["tables"][name]["columns"]
                assert len(row) == len(columns)
                assert columns[0] != "recipe" or row[0].strip("`") in variant["configs"]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_and_pictures_are_there(path: Path) -> None:
    for target in links(TEXTS[path]):
        found = (path.parent / target).resolve()
        assert found.exists() or found in TEXTS, f"{path.name} links to {target}"


def test_every_page_is_in_the_table_of_contents() -> None:
    contents = (DOCS / "index.md").read_text("utf-8").splitlines()
    for path in PAGES:
        if path.name != "index.md":
            assert path.relative_to(DOCS).with_suffix("").as_posix() in contents


@pytest.mark.parametrize("page", ["README.md", "own_paper.md", "own_networks.md", "own_data.md"])
def test_examples_run(page: str) -> None:
    (path,) = (path for path in TEXTS if path.name == page)
    blocks = re.findall(r"^```python\n(.*?)^```$", TEXTS[path], re.MULTILINE | re.DOTALL)
    little = "max_steps=1, limit_val_batches=0, logger=False, accelerator='cpu'"
    code = re.sub(r"max_steps=[\d_]+", little, "\n".join(blocks)).replace("5 * 64", "5 * 4")
    # a checkpoint finds its class by its name, which two pages share
    code = code.replace("SmoothWGANGP", f"Smooth_{path.stem}")
    names: dict[str, Any] = {"__name__": f"example_{path.stem}"}
    exec(compile(code, str(path), "exec"), names)
    assert {"model", "MyImages"} & set(names)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_of_the_readme(
    command: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr("sys.argv", ["cli.py"])
    words = shlex.split(command)
    little = {
        "--trainer.max_steps": "2",
        "--trainer.logger": "false",
        "--trainer.accelerator": "cpu",
        "--trainer.limit_val_batches": "1",
        "--trainer.enable_progress_bar": "false",
        "--trainer.enable_model_summary": "false",
        "--metrics.names": "[]",
    }
    if "--ckpt_path" in words:  # of a run that there must be
        config = "wgan_gp.yaml" if words[-1] == "last" else "cgan.yaml"
        fit(["fit", "--config", config], little)
        little = {"--trainer.max_steps": "4", "--trainer.accelerator": "cpu"}
    if words[0] == "predict":
        cli.main([*words, "--trainer.accelerator", "cpu"])
        assert len([*Path("runs/cgan/0/predictions").rglob("*.png")]) == 16
        return
    if "--metrics.names" in words:
        little |= {"--metrics.n": "20", "--metrics.features.steps": "20"}
    if "--data.root" in words:
        little |= {"--data.batch_size": "2"}
        words[words.index("--data.root") + 1] = (
            str(request.getfixturevalue("mnist_root"))
            if "MNISTDataModule" in words
            else str(request.getfixturevalue("photo_folder") / "photos")
        )
    if "folder/dcgan.yaml" in words:
        little |= {"--data.image_size": "32"}
    if "--trainer.devices" in words:  # test_distributed_cli starts processes
        with pytest.raises(SystemExit, match="0"):
            cli.main([*words, "--print_config"])
        return
    if "--trainer.max_steps" in words:
        words[words.index("--trainer.max_steps") + 1] = "2"
    assert fit(words, little) == int(little["--trainer.max_steps"])


def fit(words: list[str], little: dict[str, str]) -> int:
    """Updates of a training with options of ``little`` besides, where they are not typed."""
    besides = [word for item in little.items() if item[0] not in words for word in item]
    done = cli.main([*words, *besides])
    assert done is not None
    return int(done.trainer.global_step)
