"""Wrong input ends in one clear line, before training starts, and leaves nothing behind."""

import errno
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from jsonargparse import Namespace

import cli
from gan_modules.command_line.hints import suggestion
from gan_modules.command_line.messages import with_full_name
from gan_modules.command_line.parser_errors import shortened, without_middle
from gan_modules.command_line.without_trainer import WITHOUT_TRAINER

pytestmark = pytest.mark.usefixtures("undrawn")

SMALL = "fit --config small.yaml"
SHORT = {
    "SMALL": SMALL,
    "NAMED": "fit --model WGANGP --data DigitsDataModule",
    "OPTIMIZER": f"{SMALL} --model.generator_optimizer",
    "SCHEDULER": f"{SMALL} --model.generator_scheduler",
}

ALL = f"fit, validate, test, predict, {', '.join(WITHOUT_TRAINER)}"

# what is typed, and how the line begins that it ends in
COMMANDS = {
    # ---- commands and configs
    "": f"a command is missing; choose from: {ALL}",
    "fitt": f"there is no command 'fitt'; choose from: {ALL}",
    "fit --config smal.yaml": "there is no config 'smal.yaml'; nearest: small.yaml, ",
    "fit --config wgan-gp.yaml": "there is no config 'wgan-gp.yaml'; nearest: wgan_gp.yaml,",
    "fit --config .": "there is no config '.'",
    "fit --config": "--config must be followed by its value",
    # ---- names of options
    "fit --model WGANGP": "--data is missing, one of: ArrayFolderDataModule, CIFAR10DataModule,",
    "fit --data DigitsDataModule --model.latent_dim 3": (
        "the class of model is missing: name it first, as in --model CLASS"
    ),
    "SMALL extra words": "there is no option extra",
    "NAMED --trainer.max_stepz=3": (
        "there is no option --trainer.max_stepz; nearest: --trainer.max_steps"
    ),
    "NAMED --model.latent_dimm 3": (
        "WGANGP has no option --model.latent_dimm; nearest: --model.latent_dim"
    ),
    "SMALL --data.root here": (
        "DigitsDataModule has no option --data.root; it is an option of ArrayFolderDataModule, "
    ),
    "OPTIMIZER SGD --model.generator_optimizer.betas '[0.5, 0.9]'": (
        "SGD has no option --model.generator_optimizer.betas; it is an option of Adam"
    ),
    "NAMED --model.generator_optimizer.lr 1": (
        "there is no option --model.generator_optimizer.lr yet: name the class first, as in"
    ),
    # ---- ahead of the class
    "fit --data DigitsDataModule --model.gp_weight 3 --model WGANGP": (
        "--model.gp_weight must come after --model WGANGP, the class that it is for"
    ),
    "SMALL --model.gp_weight=3 --model=GAN": "--model.gp_weight must come after --model GAN,",
    "SMALL --data.root here --data MNISTDataModule": (
        "--data.root must come after --data MNISTDataModule,"
    ),
    "NAMED --model.generator_optimizer.lr 1 --model.generator_optimizer Adam": (
        "--model.generator_optimizer.lr must come after --model.generator_optimizer Adam,"
    ),
    "SMALL --model.generator.hidden [8] --model.generator DCGANGenerator": (
        "--model.generator.hidden must come after --model.generator DCGANGenerator,"
    ),
    # ---- what is missing, and what is not to be said
    "SCHEDULER StepLR": "--model.generator_scheduler.step_size is missing",
    "SMALL --ckpt_path": "--ckpt_path must be followed by its value",
    "SMALL --model.n_critic 3 --model.n_critic=4": "--model.n_critic is given twice, as 3 and as 4",
    "SMALL --model.image_shape '[3, 32, 32]'": "model.image_shape=[3, 32, 32] must be left out: it",
    # ---- names of classes
    "fit --model WGANPG --data DigitsDataModule": (
        "model has no class 'WGANPG'; nearest: WGANGP, WGAN, GAN"
    ),
    "fit --model WGANGP --data MNISTData": (
        "data has no class 'MNISTData'; nearest: MNISTDataModule, PairedMNISTDataModule, "
        "StackedMNISTDataModule"
    ),
    "NAMED --model.generator MLPGen": (
        "model.generator has no class 'MLPGen'; nearest: MLPGenerator"
    ),
    "OPTIMIZER Adamm": "model.generator_optimizer has no class 'Adamm'; nearest: Adam, RAdam,",
    "SMALL --trainer.logger nonsense": "trainer.logger has no class 'nonsense'; choose from:",
    "SMALL --model.generator nosuch.module.Net": (
        "model.generator=nosuch.module.Net cannot be imported: there is no module 'nosuch'"
    ),
    "fit --data DigitsDataModule --model gan_modules.WGANG": (
        "model=gan_modules.WGANG cannot be imported: gan_modules has no 'WGANG'; nearest: WGANGP,"
    ),
    "SMALL --model.generator torch.optim.Adam": (
        "model.generator=torch.optim.Adam must be a subclass of Module; choose from:"
    ),
    "OPTIMIZER gan_modules.networks.MLPGenerator": (
        "model.generator_optimizer=gan_modules.networks.MLPGenerator must be a subclass of"
    ),
    # those of other tests may be among them
    "fit --data DigitsDataModule --model NoiseGAN": "model=NoiseGAN is abstract: it must be one of",
    "SCHEDULER ReduceLROnPlateau": "model.generator_scheduler=ReduceLROnPlateau is the name of",
    # ---- types
    "NAMED --model.latent_dim abc": "model.latent_dim=abc must be an integer",
    "SMALL --data.batch_size 2.5": "data.batch_size=2.5 must be an integer",
    "SMALL --data.load_size 16.5": "data.load_size=16.5 must be an integer or null",
    "OPTIMIZER Adam --model.generator_optimizer.lr fast": (
        "model.generator_optimizer.lr=fast must be a number"
    ),
    "SMALL --model.gp_weight nan": "model.gp_weight=nan must be a number",
    "SMALL --model.conditional maybe": "model.conditional=maybe must be true or false",
    "SMALL --model.generator.hidden 8": "model.generator.hidden=8 must be a list",
    "OPTIMIZER Adam --model.generator_optimizer.betas '[0.5]'": (
        "model.generator_optimizer.betas=[0.5] must be a list of 2 values"
    ),
    "SMALL --torch_threads 0": "torch_threads=0 must be a positive integer or null",
    # ---- choices
    "SMALL --float32_matmul_precision low": (
        "float32_matmul_precision=low must be highest, high, medium or null"
    ),
    "NAMED --model GAN --model.loss hinge": "model.loss=hinge must be non_saturating or minimax",
    "SMALL --model.discriminator.norm batch": (
        "model.discriminator.norm=batch must be none or layer"
    ),
    "SMALL --trainer.precision half": (
        "trainer.precision=half must be 64, 32, 16, transformer-engine,"
    ),
    # ---- ranges: the model
    "NAMED --model.latent_dim 0": "model.latent_dim=0 must be at least 1",
    "SMALL --model.n_critic 0": "model.n_critic=0 must be at least 1",
    "SMALL --model.ema_decay 1": "model.ema_decay=1.0 must be in [0, 1)",
    "SMALL --model.gp_weight -1": "model.gp_weight=-1.0 must be at least 0 and finite",
    "SMALL --model.generator_gradient_clip_val 0": (
        "model.generator_gradient_clip_val=0.0 must be positive, or null for no clipping"
    ),
    "SMALL --model.generator.hidden '[8, 0]'": (
        "model.generator.hidden=[8, 0] must be at least 1 (in generator)"
    ),
    # ---- ranges: optimizers and schedulers
    "OPTIMIZER Adam --model.generator_optimizer.lr -1": (
        "Invalid learning rate: -1.0 (in generator_optimizer)"
    ),
    "OPTIMIZER Adam --model.generator_optimizer.lr 0": (
        "generator_optimizer.lr=0 must be positive and finite"
    ),
    "OPTIMIZER LBFGS": "generator_optimizer='LBFGS' must be an optimizer that steps once for each",
    "SCHEDULER torch.optim.lr_scheduler.ReduceLROnPlateau": (
        "generator_scheduler='ReduceLROnPlateau' must be a scheduler without a metric:"
    ),
    # ---- ranges: the data
    "SMALL --data.batch_size 0": "data.batch_size=0 must be at least 1",
    "SMALL --data.num_workers -1": "data.num_workers=-1 must be at least 0",
    "NAMED --data.image_size 20": "data.image_size=20 must be 16 or 32 for DigitsDataModule",
    "SMALL --data.load_size 8": "data.load_size=8 must be at least image_size=16",
    "SMALL --data.batch_size 900": "one training iteration takes 4500 images (n_critic x",
    # ---- what does not go together
    "fit --model DCGAN --data ToyDataModule": (
        "image_shape=(2,) does not fit DCGANGenerator: it needs (channels, height, width) with"
    ),
    "fit --model CGAN --data ToyDataModule --data.name swiss_roll": (
        "num_classes=0 must be at least 2 if conditional: it comes from the data, and ToyDataModule"
    ),
    "NAMED --model.discriminator DCGANDiscriminator": (
        "discriminator has batch normalisation, under which the gradient penalty of one sample"
    ),
    "SMALL --model.generator MLPDiscriminator": (
        "MLPDiscriminator.__init__() got an unexpected keyword argument 'latent_dim' (in"
    ),
    # ---- the trainer
    "SMALL --trainer.max_steps -5": "trainer.max_steps=-5 must be at least 1, or -1 for no end",
    "SMALL --trainer.val_check_interval 0": (
        "trainer.val_check_interval=0 must be a number of steps, at least 1, or a share in (0, 1]"
    ),
    "SMALL --trainer.log_every_n_steps -1": "trainer.log_every_n_steps=-1 must be at least 1, or 0",
    "SMALL --trainer.devices 0": "trainer.devices='0' must be how many there are to use, at least",
    "NAMED --trainer.accelerator abacus": "trainer.accelerator='abacus' must be one of those that",
    "SMALL --trainer.precision 16-mixed": "trainer.precision='16-mixed' must be bf16-mixed or",
    "SMALL --trainer.strategy dpp": "trainer.strategy='dpp' must be auto, ddp or another strategy",
    "NAMED --trainer.gradient_clip_val 1": "trainer.gradient_clip_val knows one optimizer, a GAN",
    # ---- the rest of a run
    "SMALL --seed_everything -1": "seed_everything=-1 must be in [0, 4294967295]",
    "SMALL --samples.n 0": "samples.n=0 must be at least 1",
    "SMALL --checkpoint.every_n_train_steps 0": (
        "checkpoint.every_n_train_steps=0 must be at least 1"
    ),
    "SMALL --checkpoint.dirpath small.yaml/x": (
        "checkpoint.dirpath='small.yaml/x' cannot be written to: small.yaml is a file"
    ),
    "NAMED --trainer.default_root_dir small.yaml": (
        "no run folder can be made in small.yaml/WGANGP (Not a directory)"
    ),
    # ---- checkpoints that are none
    "test --config small.yaml": "test needs --ckpt_path, the weights to use",
    "test --config small.yaml --ckpt_path no.ckpt": "ckpt_path=no.ckpt must be a checkpoint file",
    "SMALL --ckpt_path .": "ckpt_path=. must be a checkpoint file",
    "SMALL --ckpt_path small.yaml": "small.yaml is not a readable checkpoint: it is cut off or",
    "SMALL --weights_only false": "weights_only=False must be left out: checkpoints are data and",
}

# the same ways to fail once more, and what takes longer
MORE = {
    "fit --config ''": "--config holds nothing: a config must be a mapping of options, as in",
    "SMALL --trainer.callbacks nonsense": "trainer.callbacks has no class 'nonsense'; it takes a",
    "SMALL --trainer.plugins zip": "trainer.plugins has no class 'zip'",
    "SCHEDULER gan_modules.networks.MLPGenerator": (
        "model.generator_scheduler=gan_modules.networks.MLPGenerator must be a subclass of"
    ),
    "fit --data DigitsDataModule --model torch.nn.Linear": (
        "model=torch.nn.Linear must be a subclass of GenerativeModule"
    ),
    "SMALL --trainer.max_steps abc": "trainer.max_steps=abc must be an integer",
    "SMALL --trainer.fast_dev_run maybe": "trainer.fast_dev_run=maybe must be an integer, true or",
    "SMALL --seed_everything abc": "seed_everything=abc must be true, false or an integer",
    "SMALL --model.gp_weight .inf": "model.gp_weight=inf must be at least 0 and finite",
    "fit --model GAN --data DigitsDataModule --model.label_smoothing 2": (
        "model.label_smoothing=2.0 must be in [0, 1)"
    ),
    "fit --model WGAN --data DigitsDataModule --model.clip_value 0": (
        "model.clip_value=0.0 must be positive"
    ),
    "SMALL --model.generator ResNetGenerator --model.generator.width -1": (
        "model.generator.width=-1 must be at least 1 (in generator)"
    ),
    "SMALL --data.batch_size -1": "data.batch_size=-1 must be at least 1",
    "SMALL --data.image_size 0": "data.image_size=0 must be 16 or 32 for DigitsDataModule",
    "SMALL --trainer.max_steps 0": "trainer.max_steps=0 must be at least 1, or -1 for no end",
    "SMALL --trainer.check_val_every_n_epoch 0": (
        "trainer.check_val_every_n_epoch=0 must be at least 1, or null to count generator updates"
    ),
    "SMALL --trainer.limit_train_batches 0": (
        "trainer.limit_train_batches=0 must be a number of batches, at least 1, or a share in (0,"
    ),
    "SMALL --trainer.devices -3": "trainer.devices='-3' must be how many there are to use, at",
    "SMALL --trainer.devices abc": "trainer.devices='abc' must be how many there are to use, at",
    "NAMED --trainer.accumulate_grad_batches 2": (
        "trainer.accumulate_grad_batches knows one optimizer, a GAN has two: set"
    ),
    "NAMED --trainer.gradient_clip_algorithm value": (
        "trainer.gradient_clip_algorithm='value' must be left out: norms are clipped"
    ),
    "SMALL --trainer.barebones true": "trainer.barebones=True must be false: a run writes its",
    "SMALL --samples.every_n_steps 0": "samples.every_n_steps=0 must be at least 1",
    "SMALL --loss_plot.every_n_steps 0": "loss_plot.every_n_steps=0 must be at least 1",
    "SMALL --diagnostics.every_n_steps 0": (
        "diagnostics.every_n_steps=0 must be at least 1, or null for none"
    ),
    "SMALL --diagnostics 5": "diagnostics=5 must be a mapping of options",
    "SMALL --loss_plot.path curves.xyz": "loss_plot.path='curves.xyz' must be a file that ends in",
    "SMALL --metrics.n 100": "--metrics.n does nothing without --metrics.names [fid,kid]",
    "SMALL --watch.every_n_steps=5": "--watch.every_n_steps does nothing without --watch.what all",
    "validate --config small.yaml": "validate needs --ckpt_path, the weights to use",
    "SMALL --model.num_classes 3": "model.num_classes=3 must be left out: it comes from the data",
    "fit --model GAN --data ToyDataModule --data.name grod": (
        "data.name='grod' must be one of ring, grid, swiss_roll, parallel_lines, two_points"
    ),
    "SMALL --model.discriminator_accumulate_grad_batches 3": (
        "a batch of 8 images cannot be cut into discriminator_accumulate_grad_batches=3 equal"
    ),
    "OPTIMIZER Adam --model.generator_optimizer.lr .nan": (
        "Invalid learning rate: nan (in generator_optimizer)"
    ),
    "OPTIMIZER SGD --model.generator_optimizer.lr .inf": (
        "generator_optimizer.lr=inf must be positive and finite"
    ),
    "OPTIMIZER Adam --model.generator_optimizer.betas '[0, 1]'": (
        "Invalid beta parameter at index 1: 1.0 (in generator_optimizer)"
    ),
    "OPTIMIZER SparseAdam": "generator_optimizer='SparseAdam' must be an optimizer that steps once",
    "fit --data DigitsDataModule --model.generator.width 3": (
        "the class of model is missing: name it first, as in --model CLASS"
    ),
    "NAMED --data.n 5": (
        "DigitsDataModule has no option --data.n; it is an option of ToyDataModule"
    ),
    "fit --config cyclegan.yaml --model.pool_size -1": "model.pool_size=-1 must be at least 0",
    "fit --config cyclegan.yaml --model.cycle_weight -1": (
        "model.cycle_weight=-1.0 must be at least 0 and finite"
    ),
    "fit --config cyclegan.yaml --data DigitsDataModule --trainer.logger false": (
        "the DataLoader gives shape (8,) beside its images: CycleGAN needs batches of two"
    ),
    "SMALL --trainer.val_check_interval 9999 --trainer.check_val_every_n_epoch 1": (
        "`val_check_interval` (9999) must be less than or equal to the number of the training"
    ),
    "SMALL --trainer.precision transformer-engine": (
        "Requirement 'transformer_engine>=0.11.0' not met. HINT: Try running `pip install -U"
    ),
    "SMALL --trainer.strategy fsdp": "The strategy `fsdp` requires a GPU accelerator, but received",
    "SMALL --trainer.profiler nonsense": "When passing string value for the `profiler` parameter",
    "SMALL --trainer.max_time soon": "`Timer(duration='soon')` is not a valid duration. Expected a",
    "SMALL --trainer.num_nodes 0": "`num_nodes` must be a positive integer, but got 0.",
    "SMALL --samples.dirpath small.yaml/x": "samples.dirpath='small.yaml/x' cannot be written to:",
    "SMALL --loss_plot.path small.yaml/x.png": (
        "loss_plot.path='small.yaml/x.png' cannot be written to: small.yaml is a file"
    ),
}


@pytest.mark.parametrize(
    "command", [*COMMANDS, *(pytest.param(slow, marks=pytest.mark.slow) for slow in MORE)]
)
def test_wrong_commands(command: str, fails: Callable[[str], str]) -> None:
    spelt_out = re.sub("^[A-Z]+", lambda found: SHORT[found[0]], command)
    assert fails(spelt_out).startswith((COMMANDS | MORE)[command])


CONFIGS: dict[str | bytes, str] = {
    "": "wrong.yaml holds nothing: a config must be a mapping of options, as in model: W",
    "- model\n- data": "wrong.yaml holds ['model', 'data']: a config must be a mapping",
    "just words": "wrong.yaml holds 'just words': a config must be a mapping",
    b"PK\x03\x04\x14\xff\x00": "wrong.yaml is not a config: it holds other things than",
    "model: {class_path": "wrong.yaml, line 1 is not valid YAML: expected ',' or '}'",
    "model:\n\tclass_path: WGANGP": "wrong.yaml, line 2 is not valid YAML: found character",
    "model: GAN\ndata: x\nmodel: WGAN": "wrong.yaml, line 1 is not valid YAML: 'model' is",
    "x: !!python/object/apply:os.system ['touch executed']": (
        "wrong.yaml, line 1 is not valid YAML: could not determine a constructor for the tag"
    ),
    "model: {class_path: WGANPG}": "model has no class 'WGANPG'; nearest: WGANGP",
    "data: {class_path: DigitsData}": "data has no class 'DigitsData'; nearest: DigitsDataModule",
    "modle: {class_path: WGANGP}": "there is no option 'modle'; nearest: --model",
    "trainer: {max_stepz: 3}": "there is no option 'trainer.max_stepz'; nearest: --trainer.max_st",
    "model: {class_path: WGANGP, init_args: {latent_dimm: 3}}": (
        "WGANGP has no option 'latent_dimm'; nearest: --model.latent_dim"
    ),
    "model: {class_path: WGANGP, init_args: {n_critic: many}}": (
        "model.n_critic=many must be an integer"
    ),
    "model: {class_path: WGANGP, latent_dim: 3}": "model must have latent_dim below init_args",
    "model: {class_path: WGANGP, init_args: [a]}": "model={'class_path': 'WGANGP', 'init_args': ['",
    "model: 3": "model=3 must be a subclass of GenerativeModule, by its name or as a m",
    "model: {class_path: os.system}": "model=os.system must be a subclass of G",
    "model: WGANGP\ndata: DigitsDataModule\nsamples: 3": "samples=3 must be a mapping of options",
}


@pytest.mark.parametrize("text", CONFIGS)
def test_wrong_configs(text: str | bytes, fails: Callable[[str], str]) -> None:
    Path("wrong.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert fails("fit --config wrong.yaml").startswith(CONFIGS[text])
    assert not Path("executed").exists()


def test_more_gpus_than_there_are(
    fails: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    line = fails(f"{SMALL} --trainer.accelerator gpu --trainer.devices 4")
    assert line == "You requested gpu: [0, 1, 2, 3] But your machine only has: [0]"


@pytest.mark.usefixtures("small_config")
def test_the_right_input_that_looks_wrong() -> None:
    done = cli.main(
        shlex.split(f"{SHORT['OPTIMIZER']} Adam --model.generator_optimizer.betas '[0, 0.9]'")
        + ["--trainer.max_steps=1", "--trainer.max_steps", "1", "--trainer.devices", "01"]
    )
    optimizer, _ = done.trainer.optimizers
    betas = optimizer.param_groups[0]["betas"]
    assert betas == (0.0, 0.9)
    assert all(isinstance(beta, float) for beta in betas)
    assert Path("runs/small/0/checkpoints/last.ckpt").is_file()


@pytest.fixture
def fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    """``fixed``, a folder that is read only: by its mode, and for root, who may write anywhere."""
    folder, access, mkdir = Path("fixed").absolute(), os.access, os.mkdir
    # an error that began in a test's own code would be shown with its traceback
    refuse = Mock(side_effect=PermissionError(errno.EACCES, os.strerror(errno.EACCES)))

    def may(path: Any, mode: int, **options: Any) -> bool:
        refused = Path(path).absolute() == folder and mode & os.W_OK
        return not refused and access(path, mode, **options)

    def make(path: Any, *args: Any, **options: Any) -> None:
        if Path(path).absolute().parent == folder:
            refuse()
        mkdir(path, *args, **options)

    folder.mkdir(mode=0o500)
    monkeypatch.setattr("os.access", may)
    monkeypatch.setattr("os.mkdir", make)


@pytest.mark.usefixtures("fixed")
def test_read_only_folders(fails: Callable[[str], str]) -> None:
    line = fails(f"{SMALL} --trainer.default_root_dir fixed")
    assert line == "no run folder can be made in fixed/small (Permission denied)"
    line = fails(f"{SMALL} --samples.dirpath fixed/samples")
    assert line == "samples.dirpath='fixed/samples' cannot be written to: fixed is read only"


def test_a_failed_start_takes_back_its_own_folders_only(fails: Callable[[str], str]) -> None:
    Path("kept/small/0").mkdir(parents=True)
    fails(f"{SMALL} --data.batch_size 900 --trainer.default_root_dir kept")
    assert [path.name for path in Path("kept/small").iterdir()] == ["0"]
    assert [path.name for path in Path("kept").iterdir()] == ["small"]


@pytest.mark.slow
@pytest.mark.usefixtures("small_config")
@pytest.mark.parametrize(
    ("option", "status"), [("--data.batch_size=x", 2), ("--trainer.devices=0", 1)]
)
def test_the_process_ends_with_a_status_and_no_traceback(option: str, status: int) -> None:
    command = [sys.executable, str(Path(cli.__file__)), *SMALL.split(), option]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == status
    assert done.stderr.count("error: ") == 1
    assert "Traceback" not in done.stderr
    assert not Path("runs").exists()


def test_suggestions() -> None:
    assert suggestion("wgan", ["WGANGP", "DCGAN"]) == "; nearest: WGANGP, DCGAN"
    assert suggestion("xyz", ["b", "a"]) == "; choose from: a, b"
    assert suggestion("xyz", []) == ""


def test_lines_are_short() -> None:
    assert shortened("a\n  b") == "a b"
    assert shortened("ab cd ef", 6) == "ab cd ..."
    assert without_middle("a\n  b") == "a b"
    # what to do is at the end
    assert without_middle("ab cd ef gh ij kl", 12) == "ab cd ... ij kl"


def test_full_names() -> None:
    options = Namespace(
        samples=Namespace(n=0, seed=1),
        data=Namespace(class_path="X", init_args=Namespace(n=5, seed=1)),
    )
    assert with_full_name("n=0 must be positive", options) == "samples.n=0 must be positive"
    assert with_full_name("n=5 must be 6", options) == "data.n=5 must be 6"
    # where the value does not tell which it is, the name stays as it was
    assert with_full_name("seed=1 must be 2", options) == "seed=1 must be 2"
    assert with_full_name("n=50 must be 6", options) == "n=50 must be 6"
    assert with_full_name("no option at all", options) == "no option at all"
