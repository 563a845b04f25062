"""Killed, interrupted, out of disk or numbers: nothing saved is lost, and it goes on exactly."""

import csv
import errno
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from torch import Tensor
from torch.testing import assert_close

import cli
from gan_modules import WGANGP, GANModule
from gan_modules.callbacks import StepCheckpoint
from gan_modules.checkpoints.newest import newest_checkpoint
from gan_modules.command_line.runs import MetricsFile
from gan_modules.tools.files import whole_file
from gan_modules.training.term_watch import TermWatch

CONFIG = """
trainer: {max_steps: 60, log_every_n_steps: 5, accelerator: cpu, logger: false,
          check_val_every_n_epoch: null, val_check_interval: 10, num_sanity_val_steps: 0,
          enable_progress_bar: false, enable_model_summary: false}
model:
  class_path: WGANGP
  init_args:
    latent_dim: 4
    n_critic: 2
    generator: {class_path: MLPGenerator, init_args: {hidden: [8]}}
    discriminator: {class_path: MLPDiscriminator, init_args: {hidden: [8]}}
    generator_scheduler: {class_path: StepLR, init_args: {step_size: 7}}
    generator_optimizer: {class_path: Adam, init_args: {lr: 1.0e-4, betas: [0.5, 0.9]}}
data: {class_path: DigitsDataModule, init_args: {batch_size: 32}}
checkpoint: {every_n_train_steps: 1}
samples: {every_n_steps: 20, n: 9, width: 96}
"""

HARNESS = """
# one start of Python and torch for many trainings: each is a process of its own, forked
import json, os, random, signal, sys, time, traceback
import torch
import cli
from gan_modules.checkpoints.newest import newest_checkpoint
from gan_modules.checkpoints.reading import read_checkpoint
from pathlib import Path


def start(arguments):
    pid = os.fork()
    if pid:
        return pid
    out = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1), os.dup2(out, 2)
    try:
        sys.argv = ["cli.py", *arguments]
        cli.main()
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    except BaseException:
        traceback.print_exc()
        code = 99
    sys.stdout.flush(), sys.stderr.flush()
    os._exit(code)


def finish(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def go_on(arguments, root):
    saved = list(Path(root).rglob("step_*.ckpt"))
    return [*arguments, *(["--ckpt_path", "last"] if saved else [])]


def is_complete(root):
    newest = [newest_checkpoint(path) for path in Path(root).rglob("checkpoints")]
    (whole,) = Path("whole").rglob("checkpoints")
    return any(path and path.name == newest_checkpoint(whole).name for path in newest)


def saved(root):
    # a run is numbered when it starts: the highest is the one at hand
    runs = sorted(Path(root).glob("*/*"), key=lambda run: int(run.name))
    return len(list(runs[-1].glob("checkpoints/step_*.ckpt"))) if runs else 0


def interrupted(arguments, root, draw, most, number):
    runs = len(list(Path(root).glob("*/*")))
    pid = start(go_on(arguments, root))
    if draw.random() < 0.2:
        time.sleep(draw.random())  # starting up
    else:
        wanted = draw.randint(1, most)
        while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if len(list(Path(root).glob("*/*"))) > runs and saved(root) >= wanted:
                break
            time.sleep(0.002)
        time.sleep(draw.random() * 0.02)
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
    code = finish(pid)
    for path in Path(root).rglob("*.ckpt"):
        if not path.is_symlink() or path.exists():
            read_checkpoint(path)  # raises if it is cut off
    return code


if __name__ == "__main__":
    torch.set_num_threads(1)
    arguments, root, kills, seed, number = json.loads(sys.argv[1])
    draw = random.Random(seed)
    assert finish(start([*arguments, "--trainer.default_root_dir", "whole"])) == 0
    # so few that the training is not over before the last kill
    most = saved("whole") // kills - 1
    arguments = [*arguments, "--trainer.default_root_dir", root]
    codes = []
    while len(codes) < kills:
        codes.append(interrupted(arguments, root, draw, most, number))
        if is_complete(root):
            break
    if not is_complete(root):
        assert finish(start(go_on(arguments, root))) == 0
    print(json.dumps(codes))
"""


def tried(*arguments: str, **kwargs: Any) -> list[int]:
    """Train whole, and again under fire; the exit statuses of the processes that were hit."""
    options: dict[str, Any] = {"root": "hit", "kills": 3, "seed": 0, "number": 9}
    options |= kwargs
    Path("harness.py").write_text(HARNESS)
    Path("small.yaml").write_text(CONFIG)
    packed = json.dumps([["fit", *arguments], *options.values()])
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, "harness.py", packed],
        capture_output=True, text=True, timeout=900, check=False, env=environment,
    )  # fmt: skip
    log = Path("log").read_text() if Path("log").exists() else ""
    assert run.returncode == 0, f"{run.stderr}\n{log[-3000:]}"
    codes: list[int] = json.loads(run.stdout.splitlines()[-1])
    return codes


def runs_in(root: str) -> list[Path]:
    folders = (path.parent for path in Path(root).rglob("config.yaml"))
    return sorted(folders, key=lambda path: int(path.name))


def metrics(run: Path) -> list[dict[str, str]]:
    path = run / "metrics.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [{k: v for k, v in row.items() if v} for row in csv.DictReader(file)]


def assert_same_end(root: str) -> None:
    """The last checkpoint under ``root``, and what was logged on the way, are the whole run's."""
    (undisturbed,) = runs_in("whole")
    hit = runs_in(root)
    ends = [newest_checkpoint(run / "checkpoints") for run in (undisturbed, hit[-1])]
    ours, theirs = (torch.load(path, weights_only=True) for path in reversed(ends) if path)
    for key in ("state_dict", "optimizer_states", "lr_schedulers"):
        assert_close(ours[key], theirs[key], rtol=0, atol=0)
    for key in ("epoch", "global_step", "noise_seed"):
        assert ours[key] == theirs[key]
    # a run's rows count up to the checkpoint that the next one went on from
    rows: dict[tuple[str, bool], dict[str, str]] = {}
    for run in hit:
        for row in metrics(run):
            rows[row["step"], "val/d/loss" in row] = row
    expected = metrics(undisturbed)
    if not (hit[-1] / "losses.png").exists():
        # killed after the last checkpoint: what comes after it is not made up for
        last = expected[-1]["step"]
        expected = [row for row in expected if row["step"] != last or "val/d/loss" not in row]
        rows.pop((last, True), None)
    assert sorted(rows.values(), key=str) == sorted(expected, key=str)


@pytest.mark.thorough
def test_killed_at_random_and_resumed() -> None:
    assert tried("--config", "small.yaml", kills=2) == [-9] * 2
    assert_same_end("hit")


@pytest.mark.slow
def test_killed_twenty_times_in_a_row() -> None:
    codes = tried("--config", "small.yaml", "--trainer.max_steps", "600", kills=20)
    assert codes == [-9] * 20
    assert_same_end("hit")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_killed_once_and_resumed_to_the_end(seed: int) -> None:
    tried("--config", "small.yaml", kills=1, seed=seed)
    assert_same_end("hit")


RECIPES = sorted(path.stem for path in (Path(cli.__file__).parent / "configs").glob("*.yaml"))
FEW = [
    "--trainer.max_steps=40", "--trainer.val_check_interval=10", "--trainer.log_every_n_steps=5",
    "--checkpoint.every_n_train_steps=3", "--samples.every_n_steps=20", "--trainer.logger=false",
    "--trainer.enable_progress_bar=false",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("number", [9, 15])
@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_goes_on_exactly(recipe: str, workers: str, number: int) -> None:
    # two domains have no labels to train a classifier on, and points are no images
    unmeasured = recipe in ("cyclegan", "pix2pix", "cut", "d2gan")
    measured = [] if unmeasured else ["--metrics.n=50", "--metrics.features.steps=20"]
    tried(
        "--config", f"{recipe}.yaml", *FEW, *measured, "--data.num_workers", workers,
        kills=3, number=number,
    )  # fmt: skip
    assert_same_end("hit")


# ---- signals -------------------------------------------------------------------------------------


@pytest.fixture
def _heard() -> Iterator[None]:
    """Ctrl-C as in a terminal, wherever the tests run."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Sends(Callback):
    """Sends this process a signal at the given update."""

    def __init__(self, number: int, step: int) -> None:
        self.number, self.step = number, step

    def on_train_batch_start(self, trainer: Any, *args: Any) -> None:
        # in the middle of an iteration: the one at hand is number step
        if trainer.global_step == self.step - 1:
            os.kill(os.getpid(), self.number)


@pytest.mark.usefixtures("_heard")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_save_and_say_how_to_go_on(
    number: int, status: int, make_model: Any, make_trainer: Any, make_loader: Any, capsys: Any
) -> None:
    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    trainer = make_trainer(
        max_steps=20, callbacks=[StepCheckpoint(100), Sends(number, 7)], enable_checkpointing=True
    )
    with pytest.raises(SystemExit) as caught:
        trainer.fit(make_model(n_critic=1), make_loader(4))
    assert caught.value.code == status
    assert {n: signal.getsignal(n) for n in before} == before
    path = Path("checkpoints/step_000007.ckpt")
    assert torch.load(path, weights_only=True)["global_step"] == 7
    name = signal.Signals(number).name
    line = capsys.readouterr().err
    assert f"{name} after generator update 7; the last good checkpoint is {path}" in line
    assert f"--ckpt_path {path}" in line


class Twice(Sends):
    def on_train_batch_start(self, trainer: Any, *args: Any) -> None:
        if trainer.global_step == self.step - 1:
            os.kill(os.getpid(), self.number)
            os.kill(os.getpid(), self.number)


@pytest.mark.usefixtures("_heard")
def test_what_is_ignored_stays_ignored(
    make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    callbacks = [StepCheckpoint(100), Sends(signal.SIGINT, 7)]
    trainer = make_trainer(max_steps=9, callbacks=callbacks, enable_checkpointing=True)
    trainer.fit(make_model(n_critic=1), make_loader(4))
    assert trainer.global_step == 9


@pytest.mark.usefixtures("_heard")
def test_a_second_interrupt_stops_at_once(
    make_model: Any, make_trainer: Any, make_loader: Any, capsys: Any
) -> None:
    callbacks = [StepCheckpoint(2), Twice(signal.SIGINT, 7)]
    trainer = make_trainer(max_steps=20, callbacks=callbacks, enable_checkpointing=True)
    with pytest.raises(SystemExit) as caught:
        trainer.fit(make_model(n_critic=1), make_loader(4))
    assert caught.value.code == 1
    assert "the last good checkpoint is checkpoints/step_000006.ckpt" in capsys.readouterr().err
    assert not Path("checkpoints/step_000007.ckpt").exists()


# ---- losses that are no numbers ------------------------------------------------------------------


class Breaks(WGANGP):
    """One term, or a gradient, stops being a number after some updates."""

    at: tuple[str, int, float] = ("", 0, 0.0)

    def _spoil(self, name: str, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        where, step, value = self.at
        if where == name and self._trainer is not None and self.global_step + 1 == step:
            first = next(iter(terms))
            terms[first] = terms[first] * value
        return terms

    def discriminator_losses(self, batch: Any) -> dict[str, Tensor]:
        return self._spoil("d", super().discriminator_losses(batch))

    def generator_losses(self, batch: Any) -> dict[str, Tensor]:
        return self._spoil("g", super().generator_losses(batch))


@pytest.mark.parametrize(
    ("at", "line"),
    [
        (("d", 13, float("nan")), "d/wasserstein was nan at generator update 13"),
        (("g", 17, float("inf")), r"g/adversarial was -?inf at generator update 17"),
    ],
)
@pytest.mark.parametrize("every", [10, 0])
def test_a_loss_that_is_no_number_ends_the_training(
    at: Any, line: str, every: int, make_model: Any, make_trainer: Any, make_loader: Any,
    capsys: Any,
) -> None:  # fmt: skip
    model = make_model(Breaks, n_critic=1)
    model.at = at
    trainer = make_trainer(
        max_steps=100, log_every_n_steps=every, callbacks=[StepCheckpoint(4)],
        enable_checkpointing=True,
    )  # fmt: skip
    with pytest.raises(FloatingPointError, match=line):
        trainer.fit(model, make_loader(4))
    good = newest_checkpoint("checkpoints")
    step = at[1] - at[1] % 4
    assert good == Path(f"checkpoints/step_{step:06d}.ckpt")
    assert f"the last good checkpoint is {good}" in capsys.readouterr().err
    state = torch.load(good, weights_only=True)["state_dict"]
    assert all(value.isfinite().all() for value in state.values())


def test_spoilt_weights_are_not_saved(make_model: Any, make_trainer: Any, make_loader: Any) -> None:
    class Spoils(Callback):
        def on_train_batch_end(self, trainer: Any, model: Any, *args: Any) -> None:
            if trainer.global_step == 4:
                with torch.no_grad():
                    model.discriminator.layers[0].weight[1, 2] = float("nan")

    trainer = make_trainer(
        max_steps=100, callbacks=[Spoils(), StepCheckpoint(2)], enable_checkpointing=True
    )
    line = (
        r"weights of discriminator.layers.0.weight are no finite numbers after generator update 4"
    )
    with pytest.raises(FloatingPointError, match=line):
        trainer.fit(make_model(n_critic=1), make_loader(4))
    assert newest_checkpoint("checkpoints") == Path("checkpoints/step_000002.ckpt")


def test_terms_are_looked_at_now_and_then_without_any_logging(
    make_model: Any, make_trainer: Any, make_loader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TermWatch, "LIMIT", 6)
    model = make_model(Breaks, n_critic=1)
    model.at = ("g", 3, float("nan"))
    trainer = make_trainer(max_steps=100, log_every_n_steps=0)
    with pytest.raises(FloatingPointError, match="g/adversarial was nan at generator update 3"):
        trainer.fit(model, make_loader(4))
    assert trainer.global_step == 6


# ---- a full disk ---------------------------------------------------------------------------------


def fails_with_a_full_disk(monkeypatch: pytest.MonkeyPatch, when: Callable[[str], bool]) -> None:
    flush = os.fsync

    def fsync(handle: int) -> None:
        if when(str(Path(f"/proc/self/fd/{handle}").readlink())):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(handle)

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to name open files")
def test_a_full_disk_leaves_the_checkpoints_before_it(
    make_model: Any, make_trainer: Any, make_loader: Any, monkeypatch: Any, capsys: Any
) -> None:
    fails_with_a_full_disk(monkeypatch, lambda path: "step_000006" in path)
    trainer = make_trainer(
        max_steps=20, callbacks=[StepCheckpoint(2, save_top_k=1)], enable_checkpointing=True
    )
    line = r"step_000006.ckpt cannot be written \(No space left on device\); no older file is"
    with pytest.raises(OSError, match=line):
        trainer.fit(make_model(n_critic=1), make_loader(4))
    assert sorted(p.name for p in Path("checkpoints").iterdir()) == [
        "last.ckpt",
        "step_000004.ckpt",
    ]
    assert torch.load("checkpoints/last.ckpt", weights_only=True)["global_step"] == 4
    assert "last good checkpoint is checkpoints/step_000004.ckpt" in capsys.readouterr().err


LIMITED = """
import resource, sys
import cli
# more than a sample grid takes, less than a checkpoint
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
cli.main(sys.argv[1:])
"""


@pytest.mark.slow
def test_a_file_that_may_not_grow() -> None:
    Path("limited.py").write_text(LIMITED)
    command = [sys.executable, "limited.py", "fit", "--config", "wgan_gp.yaml", *FEW]
    run = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert run.returncode == 1
    (line,) = [line for line in run.stderr.splitlines() if line.startswith("error: ")]
    assert "step_000003.ckpt cannot be written (File too large)" in line
    assert "Traceback" not in run.stderr


def test_whole_file_keeps_the_old_one_until_the_new_one_is_complete() -> None:
    path = Path("folder/name.txt")
    with whole_file(path) as file:
        file.write(b"old")

    def write_half() -> None:
        with whole_file(path) as file:
            file.write(b"ne")
            file.flush()
            assert path.read_bytes() == b"old"
            raise RuntimeError("half")

    with pytest.raises(RuntimeError, match="half"):
        write_half()
    assert path.read_bytes() == b"old"
    assert [p.name for p in path.parent.iterdir()] == ["name.txt"]
    with whole_file(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"


def test_a_new_column_rewrites_the_metrics_in_one_stroke(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logger = MetricsFile(Path("run"))
    Path("run").mkdir()
    logger.log_metrics({"a": 1.0}, step=1)
    logger.save()
    logger.log_metrics({"a": 2.0, "b": 3.0}, step=2)
    replace = Path.replace

    def dies(self: Path, target: Any) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        logger.save()
    assert metrics(Path("run")) == [{"a": "1.0", "step": "1"}]
    monkeypatch.setattr(Path, "replace", replace)


# ---- --ckpt_path last ----------------------------------------------------------------------------


def fit(*options: str) -> Any:
    return cli.main(["fit", *options])


@pytest.fixture
def _config(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("small.yaml").write_text(CONFIG)
    monkeypatch.setattr("sys.argv", ["cli.py"])


def fails(capsys: Any, *args: str) -> str:
    with pytest.raises(SystemExit) as caught:
        cli.main(args)
    assert caught.value.code == 1
    (line,) = re.findall("^error: (.*)$", capsys.readouterr().err, re.MULTILINE)
    return str(line)


@pytest.mark.thorough
@pytest.mark.usefixtures("_config")
def test_last_is_all_it_takes(capsys: Any) -> None:
    few = ("--trainer.max_steps", "4")
    whole = fit("--config", "small.yaml", "--model.gp_weight", "3", "--trainer.max_steps", "9")
    whole = whole.model.state_dict()
    fit("--config", "small.yaml", "--model.gp_weight", "3", *few)
    # the run's own options hold, not those of the file; what is typed comes on top
    for command in (["--config", "small.yaml"], []):
        resumed = fit(*command, "--ckpt_path", "last", "--trainer.max_steps=9")
        assert resumed.model.gp_weight == 3
        assert_close(resumed.model.state_dict(), whole, rtol=0, atol=0)
        runs_in("runs")[-1].rename(f"done{len(command)}")
    line = fails(capsys, "fit", "--config", "small.yaml", "--ckpt_path", "last")
    assert line == (
        "trainer.max_steps=4 must be more than 4, where "
        "runs/small/1/checkpoints/step_000004.ckpt is"
    )
    for option, value, before in (
        ("model.gp_weight", "10", "gp_weight=3.0, not 10.0"),
        ("seed_everything", "5", "seed_everything=0, not 5"),
    ):
        line = fails(capsys, "fit", "--ckpt_path=last", f"--{option}={value}")
        assert f"was trained with {before}" in line
    cli.main(["test", "--ckpt_path", "last"])
    assert "test/d/wasserstein" in capsys.readouterr().out


@pytest.mark.usefixtures("_config")
def test_last_is_the_newest_checkpoint_that_can_be_read(capsys: Any) -> None:
    line = fails(capsys, "fit", "--config", "small.yaml", "--ckpt_path", "last")
    assert (
        line == "ckpt_path=last must have a run with such a checkpoint in runs/small: there is none"
    )
    fit("--config", "small.yaml", "--trainer.max_steps", "3")
    # a run that was killed before its first checkpoint, and a file that was cut off elsewhere
    Path("runs/small/1/checkpoints").mkdir(parents=True)
    Path("runs/small/1/config.yaml").write_text(Path("runs/small/0/config.yaml").read_text())
    saved = Path("runs/small/0/checkpoints/step_000003.ckpt")
    saved.write_bytes(saved.read_bytes()[:-100])
    done = fit("--config", "small.yaml", "--ckpt_path", "last", "--trainer.max_steps", "5")
    assert Path(done.trainer.ckpt_path).name == "step_000002.ckpt"
    assert [path.name for path in runs_in("runs")] == ["0", "1", "2"]


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before")
def test_last_of_a_plain_trainer(
    make_model: Any, make_trainer: Any, make_loader: Any, capsys: Any
) -> None:
    def fitted(steps: int, **kwargs: Any) -> Any:
        model = make_model(
            n_critic=1,
            generator_optimizer=lambda p: torch.optim.SGD(p, lr=0.1),
            discriminator_optimizer=lambda p: torch.optim.SGD(p, lr=0.1),
        )
        trainer = make_trainer(
            max_steps=steps, callbacks=[StepCheckpoint(1)], enable_checkpointing=True
        )
        trainer.fit(model, make_loader(4), **kwargs)
        return trainer

    fitted(3)
    fitted(5, ckpt_path="last")
    trainer = fitted(6, ckpt_path="last")
    assert trainer.ckpt_path.endswith("checkpoints-v1/step_000005.ckpt")
    assert isinstance(trainer.lightning_module, GANModule)
