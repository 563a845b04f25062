"""What a user of 80 columns sees: one line of progress, nothing twice, no silence."""

import io
import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import wandb
import yaml
from rich.console import Console

import cli
from gan_modules import GAN
from gan_modules.callbacks import GANProgressBar, GenerativeMetrics
from gan_modules.callbacks.summary import NetworkSummary
from gan_modules.command_line.trainer_parts import with_own_callbacks
from gan_modules.metrics import ClassifierFeatures


def rendered(bar: GANProgressBar) -> list[str]:
    """The lines of the bar in a terminal of 80 columns."""
    assert bar.progress is not None
    console = Console(width=80, file=io.StringIO(), force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(bar.progress.get_renderable())
    return capture.get().splitlines()


@pytest.mark.parametrize("loss", [0.5, -12345.678, 1.5e-7])
@pytest.mark.parametrize("steps", [600, 1_000_000])
def test_the_bar_is_one_line_of_80_columns(
    loss: float, steps: int, make_trainer: Any, make_loader: Any
) -> None:
    bar = GANProgressBar()
    lines: list[str] = []

    class Shown(GAN):
        def on_train_end(self) -> None:
            bar._images_per_second = 123_456
            assert bar.progress is not None
            assert bar.train_progress_bar_id is not None
            bar.progress.update(bar.train_progress_bar_id, total=steps, completed=steps)
            found = {"d/loss": loss, "g/loss": loss}
            self.trainer.progress_bar_metrics.update(found)
            bar.get_metrics = lambda *_: {**found, "images/s": "123,456"}  # type: ignore[method-assign,assignment]
            bar._update_metrics(self.trainer, self)
            lines.extend(rendered(bar))

    trainer = make_trainer(max_steps=2, callbacks=[bar], enable_progress_bar=True)
    trainer.fit(Shown(image_shape=(1, 8, 8), latent_dim=2), make_loader(4))
    assert len(lines) == 1
    assert len(lines[0].rstrip()) <= 80
    for word in ("Updates ", f"{steps}/{steps}", f" d: {loss:.4g} ", f" g: {loss:.4g} "):
        assert word in lines[0]
    assert lines[0].rstrip().endswith("img/s: 123,456")


@pytest.mark.parametrize(("max_epochs", "said"), [(-1, "Epoch 5"), (7, "Epoch 5/6 ")])
def test_epochs_without_end_have_no_last_one(
    max_epochs: int, said: str, make_trainer: Any, make_loader: Any
) -> None:
    bar = GANProgressBar()
    trainer = make_trainer(
        max_steps=-1, max_epochs=max_epochs, callbacks=[bar], enable_progress_bar=True
    )
    bar.setup(trainer, GAN(image_shape=(1, 8, 8), latent_dim=2), "fit")
    assert bar._get_train_description(5) == said


def test_messages_do_not_repeat_the_bar(make_trainer: Any, make_loader: Any) -> None:
    """They go where rich has put sys.stderr, and back afterwards."""
    logger = logging.getLogger("lightning.pytorch")
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger.addHandler(handler)
    bar, during = GANProgressBar(), []

    class Look(GAN):
        def on_train_end(self) -> None:

            during.append(handler.stream is sys.stderr)

    try:
        trainer = make_trainer(max_steps=1, callbacks=[bar], enable_progress_bar=True)
        trainer.fit(Look(image_shape=(1, 8, 8), latent_dim=2), make_loader(4))
        assert during == [True]
        assert handler.stream is stream
    finally:
        logger.removeHandler(handler)


def test_the_classifier_and_the_measurement_show_their_bars(
    make_trainer: Any, make_loader: Any
) -> None:
    shown: dict[str, list[int]] = {}

    class Bar(GANProgressBar):
        def part(self, description: str, total: int) -> Any:
            from contextlib import contextmanager

            whole = super().part(description, total)

            @contextmanager
            def noted() -> Any:
                with whole as advance:
                    assert any(description in line for line in rendered(self))

                    def both(more: int) -> None:
                        advance(more)
                        assert self.progress is not None
                        done = int(self.progress.tasks[-1].completed)
                        shown[description] = [done, total]

                    yield both
                assert not any(description in line for line in rendered(self))

            return noted()

    features = ClassifierFeatures(steps=30)
    metrics = GenerativeMetrics(["fid"], n=250, features=features, cache_dir="cache")
    trainer = make_trainer(
        max_steps=1, callbacks=[metrics, Bar()], enable_progress_bar=True, limit_val_batches=1,
        val_check_interval=1, check_val_every_n_epoch=None,
    )  # fmt: skip
    with warnings.catch_warnings():
        # 30 steps teach it nothing
        warnings.filterwarnings("ignore", ".*learnt nothing")
        trainer.fit(GAN(image_shape=(1, 8, 8), latent_dim=2), make_loader(10), make_loader(10))
    assert shown == {"Classifier": [30, 30], "Real images": [60, 60], "Samples": [250, 250]}


def test_the_summary_has_no_column_of_zeros(
    small_config: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console(width=80, file=io.StringIO())
    monkeypatch.setattr("gan_modules.callbacks.summary.get_console", lambda: console)
    cli.main(["fit", "--config", "small.yaml", "--trainer.enable_model_summary", "true"])
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "FLOPs" not in text
    # 4 x 8 + 8 and 8 x 256 + 256 are 2,344; the critic's 256 x 8 + 8 and 8 + 1 are 2,065
    cells = [[c.strip() for c in line.split("│")] for line in text.splitlines()]
    table = {row[1]: row[2:4] for row in cells if len(row) == 5}
    assert table["generator"] == ["MLPGenerator", "2.3 K"]
    assert table["discriminator"] == ["MLPDiscriminator", "2.1 K"]
    assert table["averaged_generator"] == ["MLPGenerator", "2.3 K"]
    assert table["all"] == ["4.4 K trained", "6.8 K"]


def test_a_summary_of_ones_own_stays() -> None:
    from lightning.pytorch.callbacks import RichModelSummary

    own = RichModelSummary(max_depth=2)
    options = {"callbacks": [own], "enable_progress_bar": False, "enable_model_summary": None}

    def kinds(**changed: Any) -> set[Any]:
        return {type(callback) for callback in with_own_callbacks({**options, **changed})}

    assert own in with_own_callbacks(options)
    assert NetworkSummary not in kinds()
    assert NetworkSummary in kinds(callbacks=None)
    assert NetworkSummary not in kinds(callbacks=None, enable_model_summary=False)


def test_nothing_is_said_that_says_nothing(
    small_config: None, capfd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = yaml.safe_load(Path("small.yaml").read_text())
    text["trainer"]["logger"] = True
    Path("small.yaml").write_text(yaml.safe_dump(text))
    monkeypatch.setenv("WANDB_MODE", "offline")
    given: dict[str, Any] = {}
    init = wandb.init

    def noting(**kwargs: Any) -> Any:
        given.update(kwargs)
        return init(**kwargs)

    monkeypatch.setattr(wandb, "init", noting)
    cli.main(["fit", "--config", "small.yaml"])
    wandb.finish()
    assert given
    assert "anonymous" not in given
    out = "".join(capfd.readouterr())
    assert "anonymous" not in out
    assert "`Trainer.fit` stopped" not in out


def test_without_a_bar_nothing_is_shown() -> None:
    with GANProgressBar().part("Anything", 3) as advance:
        advance(3)


@pytest.mark.thorough
def test_imports_are_not_silent() -> None:
    terminal, end = os.openpty()
    command = [sys.executable, str(Path(cli.__file__)), "--help"]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=end, check=True)
    os.close(end)
    assert os.read(terminal, 1000) == b"Importing torch and Lightning\r\x1b[K"
    os.close(terminal)
