"""A player: the networks that one optimizer trains, and how it is stepped."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from gan_modules.errors import raised_by, require
from gan_modules.training.optimizers import check_optimizer, lay_out_like_weights

__all__ = [
    "OptimizerFactory",
    "PlayerOptions",
    "SchedulerFactory",
    "configure_player",
    "first_of_two",
    "frozen",
    "in_order_of",
    "owned_parameters",
]

OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]
SchedulerFactory = Callable[[Optimizer], LRScheduler]
EXAMPLES = {
    "optimizer": "torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999)",
    "scheduler": "torch.optim.lr_scheduler.StepLR, step_size=1000",
}


class PlayerOptions(NamedTuple):
    """How one player is trained; named ``<player>_optimizer`` and so on in a model's arguments."""

    optimizer: OptimizerFactory
    scheduler: SchedulerFactory | None = None
    gradient_clip_val: float | None = None
    accumulate_grad_batches: int = 1

    def check(self, player: str) -> None:
        """Raise ``ValueError`` if an option is out of its range."""
        for name in ("optimizer", "scheduler"):
            factory = getattr(self, name)
            if not callable(factory) and (factory is not None or name == "optimizer"):
                # an optimizer's own repr has many lines
                raise ValueError(
                    f"{player}_{name}={type(factory).__name__} object must be a class or function "
                    f"that builds one: functools.partial({EXAMPLES[name]})"
                )
        clip, pieces = self.gradient_clip_val, self.accumulate_grad_batches
        right = "positive, or null for no clipping"
        require(clip is None or clip > 0, f"{player}_gradient_clip_val", clip, right)
        require(pieces >= 1, f"{player}_accumulate_grad_batches", pieces, "at least 1")


def owned_parameters(
    module: nn.Module, players: Mapping[str, Sequence[str]], copies: Sequence[str]
) -> dict[str, list[nn.Parameter]]:
    """The trainable parameters of every player.

    Args:
        module: that has the networks.
        players: names of the attributes that each player trains.
        copies: names of the attributes that follow others, and are not trained.

    Raises:
        ValueError: if a trainable parameter belongs to nobody, or to two.
    """
    owner: dict[int, str] = {}
    owned: dict[str, list[nn.Parameter]] = {player: [] for player in players}
    for player, attributes in players.items():
        for attribute in attributes:
            for name, parameter in getattr(module, attribute).named_parameters():
                other = owner.setdefault(id(parameter), player)
                if other != player:
                    raise ValueError(
                        f"{attribute}.{name} is trained by both {other} and {player}: a parameter "
                        f"belongs to one player of {type(module).__name__}.players"
                    )
                if parameter.requires_grad and all(parameter is not p for p in owned[player]):
                    owned[player].append(parameter)
    for name, parameter in module.named_parameters():
        if (
            parameter.requires_grad
            and id(parameter) not in owner
            and not name.startswith(tuple(f"{copy}." for copy in copies))
        ):
            raise ValueError(
                f"{name} is trained by nobody: name its network in {type(module).__name__}.players,"
                " or set its requires_grad to False"
            )
    return owned


def configure_player(
    player: str, options: PlayerOptions, parameters: list[nn.Parameter]
) -> dict[str, Any]:
    """An optimizer that clips what it is given, and a scheduler where one is wanted.

    Raises:
        ValueError: for an optimizer or a scheduler with which nothing would be learnt.
    """
    with raised_by(f"{player}_optimizer"):
        optimizer = options.optimizer(parameters)
    check_optimizer(f"{player}_optimizer", optimizer)
    optimizer.register_load_state_dict_post_hook(lay_out_like_weights)
    if options.gradient_clip_val is not None:
        optimizer.register_step_pre_hook(_clipping(options.gradient_clip_val))
    configured: dict[str, Any] = {"optimizer": optimizer}
    if options.scheduler is not None:
        with raised_by(f"{player}_scheduler"):
            scheduler = options.scheduler(optimizer)
        require(
            not isinstance(scheduler, ReduceLROnPlateau),
            f"{player}_scheduler",
            "ReduceLROnPlateau",
            "a scheduler without a metric: adversarial losses have no plateau to wait for",
        )
        configured["lr_scheduler"] = scheduler
    return configured


def _clipping(bound: float) -> Callable[..., Any]:
    """A hook of an optimizer's step that clips what the step is taken with.

    Lightning calls its own hooks, in which gradients are looked at, from the step's closure: they
    see them as they were.
    """

    def clip(optimizer: Optimizer) -> None:
        # a fused optimizer divides by the loss scale itself, after this
        scale = getattr(optimizer, "grad_scale", None)
        largest = bound if scale is None else bound * scale
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(parameters, largest)

    def before_step(optimizer: Optimizer, args: Any, kwargs: Any) -> Any:
        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
        if closure is None:
            clip(optimizer)
            return None

        def closure_and_clip() -> Any:
            loss = closure()
            clip(optimizer)
            return loss

        return args[:1], {**kwargs, "closure": closure_and_clip}

    return before_step


def first_of_two(
    turns: Sequence[tuple[str, Any]], options: Mapping[str, PlayerOptions]
) -> int | None:
    """Number of the last turn before the counted one, if another player takes it with one part."""
    if len(turns) < 2:
        return None
    (one, first), (other, second) = turns[-2:]
    in_pieces = any(options[player].accumulate_grad_batches > 1 for player in (one, other))
    return len(turns) - 2 if one != other and first is second and not in_pieces else None


@contextmanager
def frozen(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Exclude parameters from every graph, which skips all gradients that nobody needs."""
    parameters = list(parameters)
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def in_order_of(players: Sequence[str], saved: Sequence[str], states: list[Any]) -> list[Any]:
    """A checkpoint's states in the order of the players at hand.

    Raises:
        ValueError: if they are other players'.
    """
    if sorted(players) != sorted(saved) or len(saved) != len(states):
        raise ValueError(
            f"the checkpoint has optimizers of {', '.join(saved)}, not of {', '.join(players)}"
        )
    return [states[saved.index(player)] for player in players]
