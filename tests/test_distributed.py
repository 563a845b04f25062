"""Two processes with half the batch each do what one does with the whole batch."""

import subprocess
import sys
from pathlib import Path

import torch
from torch.testing import assert_close

SCRIPT = """
import sys
from functools import partial

import torch
from lightning.pytorch import Trainer

from datamodules import DigitsDataModule
from gan_modules import WGANGP
from gan_modules.networks import MLPDiscriminator, MLPGenerator


class SharedNoise(WGANGP):
    # each rank takes its share of the noise that one process would draw; the penalty is taken
    # half way between real and fake, because its positions cannot be shared the same way
    draws = 0

    def sample_noise(self, n, generator=None):
        own.append(super().sample_noise(n))
        ranks, self.draws = self.trainer.world_size, self.draws + 1
        generator = torch.Generator().manual_seed(self.draws)
        return torch.randn(n * ranks, 8, generator=generator)[self.global_rank :: ranks]

    def discriminator_losses(self, batch):
        real, fake = batch[0], self.generate(batch)
        scores = self.discriminate_both(real, fake, None)
        score = lambda x: self.discriminator(x).sum()
        norms = torch.func.grad(score)((real + fake) / 2).flatten(1).norm(dim=1)
        return {"w": scores[1].mean() - scores[0].mean(), "gp": 10 * (norms - 1).square().mean()}


if __name__ == "__main__":
    own = []
    processes = int(sys.argv[1])
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = SharedNoise(
        image_shape=(1, 16, 16), latent_dim=8, n_critic=2,
        generator=partial(MLPGenerator, hidden=(32,)),
        discriminator=partial(MLPDiscriminator, hidden=(32,)),
    )
    trainer = Trainer(
        max_steps=10, accelerator="cpu", devices=processes, logger=False, log_every_n_steps=5,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )
    trainer.fit(model, DigitsDataModule(batch_size=32 // processes))
    metrics = {name: value.clone() for name, value in trainer.callback_metrics.items()}
    result = {"state": model.state_dict(), "noise": own[0], "metrics": metrics}
    torch.save(result, f"{processes}_{trainer.global_rank}.pt")
"""


def test_two_processes_equal_one() -> None:
    Path("train.py").write_text(SCRIPT)
    for processes in (1, 2):
        subprocess.run([sys.executable, "train.py", str(processes)], check=True)
    one, first, second = (torch.load(f"{name}.pt") for name in ("1_0", "2_0", "2_1"))
    assert_close(first["state"], second["state"], rtol=0, atol=0)
    assert_close(first["state"], one["state"], rtol=0, atol=1e-6)
    # what is logged is the mean over ranks
    assert_close(first["metrics"]["d/w"], one["metrics"]["d/w"], rtol=0, atol=1e-5)
    assert not torch.equal(first["noise"], second["noise"])
