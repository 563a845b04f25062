"""Real images above fake ones."""

from torch import Tensor

from gan_modules.callbacks.pictures import Picture, rule
from gan_modules.families.noise import NoiseGAN
from gan_modules.families.translation_model import TranslationModel
from gan_modules.training.batches import Batch

__all__ = ["RealAgainstFake"]

COLUMNS = 16


class RealAgainstFake(Picture):
    """Save ``real_and_fake/step_XXXXXX.png``: rows of held-out images above rows of generated ones.

    Of a conditional model, each sample has the class of the image above it. Of a model that
    translates, four rows belong together: images of A, images of B brought to A, images of B,
    images of A brought to B; the last two alone if it translates one way. Without validation data,
    training images are shown.

    Args:
        every_n_steps: generator updates between two pictures; the end of training is always drawn,
            with None it alone.
        n: real images, and as many fakes, of each domain.
        seed: of the latents.
        width: images are enlarged by a whole factor until the picture has about this many pixels.
        dirpath: folder; by default ``real_and_fake`` in the trainer's ``default_root_dir``. Where
            it exists, ``-v1`` and so on is appended.

    Raises:
        ValueError: if an option is out of its range, or the model makes points.
    """

    name = "real_and_fake"
    needs = "real_and_fake"

    def __init__(
        self,
        every_n_steps: int | None = None,
        n: int = 32,
        seed: int = 0,
        width: int = 512,
        dirpath: str | None = None,
    ) -> None:
        super().__init__(every_n_steps, n, seed, width, dirpath)

    def draw(self, model: NoiseGAN | TranslationModel, batch: Batch) -> Tensor:
        """The model's ``real_and_fake``, cut into rows of 16; what fills no row is left out."""
        images = model.real_and_fake(self.n, self.seed, batch)
        columns = min(COLUMNS, images.shape[1])
        whole = images[:, : images.shape[1] // columns * columns]
        rows: Tensor = whole.unflatten(1, (-1, columns)).transpose(0, 1).flatten(0, 1)
        return rows

    def grid(self, images: Tensor) -> Tensor:
        """A page with a line below each pair of rows, real above fake."""
        return rule(super().grid(images), images, 0, range(2, len(images), 2))
