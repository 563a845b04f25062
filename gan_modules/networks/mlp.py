"""Fully connected generator and discriminator, for small images."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook

from gan_modules.networks.layers.blocks import Maxout, check_choice, check_sizes
from gan_modules.networks.layers.conditioning import append_labels

__all__ = ["MLPDiscriminator", "MLPGenerator"]


class MLPGenerator(nn.Module):
    """Latent to image through ReLU layers and a final tanh.

    Args:
        image_shape: ``(C, H, W)`` of the images made, or ``(D,)`` for points.
        latent_dim: size of the latent vector.
        num_classes: 0 for an unconditional network; otherwise labels are appended to the latent.
        hidden: widths of the hidden layers.
        batch_norm: normalise every hidden layer over the batch.

    Raises:
        ValueError: if a width is not positive.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int,
        num_classes: int = 0,
        hidden: Sequence[int] = (512, 512, 512),
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(hidden=hidden)
        self.num_classes = num_classes
        layers: list[nn.Module] = []
        width = latent_dim + num_classes
        for features in hidden:
            layers.append(nn.Linear(width, features))
            if batch_norm:
                layers.append(nn.BatchNorm1d(features))
            layers.append(nn.ReLU())
            width = features
        layers += [nn.Linear(width, math.prod(image_shape)), nn.Tanh()]
        layers.append(nn.Unflatten(1, tuple(image_shape)))
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents ``(N, latent_dim)`` to images ``(N, C, H, W)`` in [-1, 1]."""
        images: Tensor = self.layers(append_labels(z, labels, self.num_classes))
        return images


class MLPDiscriminator(nn.Module):
    """Image to one logit through LeakyReLU(0.2) or maxout layers.

    Args:
        image_shape: ``(C, H, W)`` of the images judged, or ``(D,)`` for points.
        num_classes: 0 for an unconditional network; otherwise labels are appended to the pixels.
        hidden: widths of the hidden layers.
        norm: ``"layer"`` normalises every hidden layer per sample, ``"none"`` does not.
        activation: ``"leaky_relu"``, or ``"maxout"`` with five pieces per unit.
        input_dropout: share of the pixels (and labels) that is dropped in training.
        dropout: share of every hidden layer's units that is dropped in training.

    Raises:
        ValueError: for any other norm or activation, or if a width is not positive.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int = 0,
        hidden: Sequence[int] = (512, 512, 512),
        norm: Literal["none", "layer"] = "none",
        activation: Literal["leaky_relu", "maxout"] = "leaky_relu",
        input_dropout: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_choice("norm", norm, ("none", "layer"))
        check_choice("activation", activation, ("leaky_relu", "maxout"))
        check_sizes(hidden=hidden)
        self.num_classes = num_classes
        layers: list[nn.Module] = [nn.Dropout(input_dropout)] if input_dropout else []
        width = math.prod(image_shape) + num_classes
        for features in hidden:
            layers.append((Maxout if activation == "maxout" else nn.Linear)(width, features))
            if norm == "layer":
                layers.append(nn.LayerNorm(features))
            if activation == "leaky_relu":
                layers.append(nn.LeakyReLU(0.2))
            if dropout:
                layers.append(nn.Dropout(dropout))
            width = features
        layers.append(nn.Linear(width, 1))
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images ``(N, C, H, W)`` to logits ``(N,)``."""
        logits: Tensor = self.layers(append_labels(images.flatten(1), labels, self.num_classes))
        return logits.squeeze(1)

    @property
    def gives_gradients(self) -> bool:
        """Whether :meth:`logits_and_gradients` applies.

        It does to linear layers with LeakyReLU between them, at least one, all of which are called
        as torch calls them: without hooks, and without a ``forward`` of somebody else's.
        """
        if (
            type(self).forward is not MLPDiscriminator.forward
            or type(self.layers) is not nn.Sequential
        ):
            return False
        layers = list(self.layers)
        return (
            len(layers) % 2 == 1
            and len(layers) > 1
            and all(type(layer) is nn.Linear for layer in layers[::2])
            and all(type(layer) is nn.LeakyReLU and not layer.inplace for layer in layers[1::2])
            and all(_is_called_as_usual(module) for module in (self, self.layers, *layers))
            and not _has_any_global_hook()
        )

    def logits_and_gradients(
        self, images: Tensor, position: Tensor, labels: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Logits of pairs of images, and gradients of the logits of images between them.

        That is what a gradient penalty takes, with less work than autograd has with it: the first
        layer's output between two images lies between theirs, and the gradient, a product of
        weights and of slopes that are constants, is written out. Under autocast gradients are
        computed in float32.

        Args:
            images: shape ``(2 N, C, H, W)``; the first is paired with number ``N``, and so on.
            position: shape ``(N, 1)``, from 0 at the second of a pair to 1 at the first.
            labels: ``(2 N,)``, both of a pair the same.

        Returns:
            Logits ``(2 N,)``, and gradients ``(N, C H W)``, whose own gradients reach the weights.
            They are right where :attr:`gives_gradients` holds.
        """
        inputs = append_labels(images.flatten(1), labels, self.num_classes)
        layers: list[Any] = list(self.layers)
        first = logits = layers[0](inputs)
        for layer in layers[1:]:
            logits = layer(logits)
        linear, activations = layers[::2], layers[1::2]
        with torch.autocast(images.device.type, enabled=False):
            with torch.no_grad():
                if first.dtype == linear[0].weight.dtype:
                    outputs = [_between(first, position)]
                else:  # half precision
                    outputs = [linear[0](_between(inputs.float(), position))]
                for activation, layer in zip(activations, linear[1:-1], strict=False):
                    outputs.append(layer(activation(outputs[-1])))
            gradients = linear[-1].weight.sum(0).expand_as(outputs[-1])
            back = zip(linear, activations, outputs, strict=False)
            for layer, activation, output in reversed(list(back)):
                gradients = torch.ops.aten.leaky_relu_backward(
                    gradients, output, activation.negative_slope, False
                )
                gradients = gradients @ layer.weight
        return logits.squeeze(1), gradients[:, : math.prod(images.shape[1:])]


def _between(pairs: Tensor, position: Tensor) -> Tensor:
    one, other = pairs.chunk(2)
    return torch.lerp(other, one, position)


def _is_called_as_usual(module: nn.Module) -> bool:
    return (
        type(module).__call__ is nn.Module.__call__
        and "forward" not in module.__dict__
        and module._compiled_call_impl is None
        and not module._forward_hooks
        and not module._forward_pre_hooks
        and not module._backward_hooks
        and not module._backward_pre_hooks
    )
