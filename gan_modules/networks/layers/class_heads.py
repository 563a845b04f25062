"""How discriminators are told classes, or tell them."""

from typing import Literal

from torch import Tensor, nn

from gan_modules.networks.judgement import Judgement
from gan_modules.networks.layers.blocks import check_choice
from gan_modules.networks.layers.conditioning import append_labels, one_hot

__all__ = ["ConditionedDiscriminator", "Conditioning", "labels_appended"]

Conditioning = Literal["concat", "projection", "ac"]


def labels_appended(conditioning: Conditioning, num_classes: int) -> int:
    """How many channels of labels an image gets, ``num_classes`` or 0."""
    return num_classes if conditioning == "concat" else 0


class ConditionedDiscriminator(nn.Module):
    """A discriminator that meets classes in one of three ways.

    - ``"concat"``: labels are appended to the image as channels (arXiv:1411.1784).
    - ``"projection"``: ``<embedding(y), phi(x)>`` is added to the logit, ``phi`` being what the
      last layer sees (Miyato & Koyama 2018, arXiv:1802.05637).
    - ``"ac"``: labels are not used; a further layer tells the class of an image from ``phi``, an
      auxiliary classifier (Odena et al. 2016, arXiv:1610.09585).

    Of ``layers`` the last two give the logits, the others ``phi``; a network that is made another
    way has a ``forward`` of its own.
    """

    layers: nn.Sequential
    num_classes: int
    appended: int
    """How many labels are appended to the image, see :func:`labels_appended`."""

    def meet_classes(self, conditioning: Conditioning, num_classes: int, features: int) -> None:
        """Make the layer that is needed: ``embedding``, ``classifier``, or none.

        Args:
            conditioning: ``"concat"``, ``"projection"`` or ``"ac"``.
            num_classes: 0 for an unconditional network.
            features: size of ``phi``.

        Raises:
            ValueError: for any other conditioning.
        """
        check_choice("conditioning", conditioning, ("concat", "projection", "ac"))
        self.num_classes = num_classes
        self.conditioning = conditioning if num_classes else "concat"
        self.appended = labels_appended(conditioning, num_classes)
        if self.conditioning == "projection":
            # a linear layer of one-hot labels is an embedding, and can be normalised as one
            self.embedding = nn.Linear(num_classes, features, bias=False)
        elif self.conditioning == "ac":
            self.classifier = nn.Linear(features, num_classes)

    def class_layers(self) -> list[nn.Linear]:
        """The layer that :meth:`meet_classes` made, if any."""
        found = {"projection": "embedding", "ac": "classifier"}.get(self.conditioning)
        return [] if found is None else [getattr(self, found)]

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor | Judgement:
        """Map images ``(N, C, H, W)`` to logits ``(N,)``; ``"ac"`` gives logits of classes, too."""
        *trunk, last, flatten = self.layers
        phi = append_labels(images, labels, self.appended)
        for layer in trunk:
            phi = layer(phi)
        return self.conclude(flatten(last(phi)), phi.flatten(1), labels)

    def conclude(self, logits: Tensor, phi: Tensor, labels: Tensor | None) -> Tensor | Judgement:
        """Logits ``(N,)``, with the projection; with ``"ac"`` a judgement that has classes.

        Args:
            logits: of the last layer, shape ``(N,)``.
            phi: what it saw, shape ``(N, features)``.
            labels: shape ``(N,)``.

        Raises:
            ValueError: if there are no labels for the projection.
        """
        if self.conditioning == "ac":
            return Judgement(logits, classes=self.classifier(phi))
        if self.conditioning == "projection":
            embedded = self.embedding(one_hot(labels, self.num_classes, phi.dtype))
            logits = logits + (embedded * phi).sum(1)
        return logits
