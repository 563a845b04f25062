"""The family of generators against discriminators."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from gan_modules.errors import require
from gan_modules.training.batches import Batch
from gan_modules.training.module import GenerativeModule
from gan_modules.training.optimizers import dcgan_adam
from gan_modules.training.players import OptimizerFactory, PlayerOptions, SchedulerFactory

__all__ = ["GANModule"]


class GANModule(GenerativeModule):
    """One generator against one discriminator, trained with manual optimization.

    A paper answers four questions: :meth:`build_generator`, :meth:`build_discriminator`,
    :meth:`discriminator_losses` and :meth:`generator_losses`. One iteration is ``n_critic``
    discriminator updates, each with a part of the batch of its own, then one generator update with
    the last part.

    Args:
        n_critic: discriminator updates per generator update.
        generator_optimizer: called with the generator's parameters.
        discriminator_optimizer: called with the discriminator's parameters.
        generator_scheduler: called with the generator's optimizer; stepped once per iteration.
        discriminator_scheduler: called with the discriminator's optimizer; stepped once per
            iteration, too.
        generator_gradient_clip_val: largest norm of the generator's gradient.
        discriminator_gradient_clip_val: largest norm of the discriminator's gradient.
        generator_accumulate_grad_batches: compute each generator update in that many equal pieces,
            whose gradients are averaged: less memory, the same update wherever samples are
            independent of each other.
        discriminator_accumulate_grad_batches: the same for each discriminator update.
        **kwargs: options of :class:`GenerativeModule`.

    Raises:
        ValueError: if an option is out of its range.
    """

    # the generator's optimizer comes first, as in all checkpoints
    players: ClassVar = {"generator": ("generator",), "discriminator": ("discriminator",)}

    generator: nn.Module
    discriminator: nn.Module
    averaged_generator: nn.Module | None

    def __init__(
        self,
        *,
        n_critic: int = 1,
        generator_optimizer: OptimizerFactory = dcgan_adam,
        discriminator_optimizer: OptimizerFactory = dcgan_adam,
        generator_scheduler: SchedulerFactory | None = None,
        discriminator_scheduler: SchedulerFactory | None = None,
        generator_gradient_clip_val: float | None = None,
        discriminator_gradient_clip_val: float | None = None,
        generator_accumulate_grad_batches: int = 1,
        discriminator_accumulate_grad_batches: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        require(n_critic >= 1, "n_critic", n_critic, "at least 1")
        self.n_critic = n_critic
        self.play(
            generator=PlayerOptions(
                generator_optimizer,
                generator_scheduler,
                generator_gradient_clip_val,
                generator_accumulate_grad_batches,
            ),
            discriminator=PlayerOptions(
                discriminator_optimizer,
                discriminator_scheduler,
                discriminator_gradient_clip_val,
                discriminator_accumulate_grad_batches,
            ),
        )

    @property
    def parts_per_iteration(self) -> int:
        """``n_critic``."""
        return self.n_critic

    def turns(self, parts: Sequence[Batch]) -> Sequence[tuple[str, Batch]]:
        """The discriminator with every part, then the generator with the last."""
        return [*(("discriminator", part) for part in parts), ("generator", parts[-1])]

    def build_networks(self) -> None:
        """The paper's networks."""
        self.generator = self.build_generator()
        self.discriminator = self.build_discriminator()

    @abstractmethod
    def build_generator(self) -> nn.Module:
        """The paper's generator, used unless another one is passed as ``generator``."""

    @abstractmethod
    def build_discriminator(self) -> nn.Module:
        """The paper's discriminator, used unless another one is passed as ``discriminator``."""

    @abstractmethod
    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """Named, weighted scalar terms whose sum the discriminator minimises.

        ``batch`` is the part of the training batch that belongs to this update. The generator is
        frozen meanwhile, so that fakes carry no graph.
        """

    @abstractmethod
    def generator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """Named, weighted scalar terms whose sum the generator minimises.

        ``batch`` is the last part of the training batch. The discriminator is frozen meanwhile.
        """
