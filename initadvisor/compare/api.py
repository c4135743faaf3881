"""`initadvisor.compare`: the arguments as people give them; torch is imported when they are in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from initadvisor.compare.data import load_data
from initadvisor.compare.inits import DEFAULT, Init, parse_inits
from initadvisor.compare.settings import Optimizer, Schedule, Settings, seeds_of
from initadvisor.errors import MissingExtraError

if TYPE_CHECKING:
    from initadvisor.compare.model import Comparison

Progress = Callable[..., None]
"""Called with (stage, done, total)."""


def compare(
    target: Any,
    *,
    inits: str | Iterable[str | Init] = DEFAULT,
    data: Any = "digits",
    steps: int = 300,
    lr: float | Iterable[float] | None = None,
    optimizer: Optimizer = "sgd",
    schedule: Schedule = "constant",
    batch_size: int = 64,
    seeds: int | Sequence[int] = 1,
    device: str = "auto",
    input_shape: Sequence[int] | None = None,
    target_score: float = 0.9,
    progress: Progress | None = None,
) -> Comparison:
    """Train a model from several initializations on the same batches, and give what they learned and carried.

    target: a torch module, which is as before afterwards; a function that makes one, called once a seed; or a reference
        ("package.module:factory", "torchvision:resnet18").
    inits: names of the initializer table ("orthogonal:gain=1.4" sets a parameter), "he", "xavier", "lecun", and
        "default" or "as-is" (the model's own draw), "recommended" (what `advise` says), "lsuv". A method of the table
        draws every matrix and kernel and zeroes its bias; norms, embeddings and scales stay as they are.
    data: "digits", "wine", "breast-cancer", "diabetes", an .npz or .safetensors file with x and y, or a pair (x, y).
    steps: of training. lr: one or several learning rates; the one of the lowest training loss is shown, all are kept.
    optimizer: "sgd" (momentum 0.9) or "adam". schedule: "constant" or "cosine" (down to 0 at the last step).
    seeds: a number of them or the seeds themselves: each draws weights and an order of batches.
    input_shape: of one sample as the model takes it; found by trying where it is not given.
    target_score: the held-out accuracy (R^2 for a regression) whose first crossing is counted in steps.

    A run that diverges is a result. After an interrupt (Ctrl-C) the comparison holds what was done, and says so.
    Raises a subclass of InitAdvisorError where the target or the data cannot be read, or do not go together.
    """
    wanted = parse_inits(inits)
    rates = () if lr is None else (float(lr),) if isinstance(lr, int | float) else tuple(float(rate) for rate in lr)
    settings = Settings(
        steps=steps,
        learning_rates=rates,
        optimizer=optimizer,
        schedule=schedule,
        batch_size=batch_size,
        seeds=seeds_of(seeds),
        device=device,
        target=target_score,
        input_shape=tuple(int(size) for size in input_shape) if input_shape is not None else None,
    )
    try:
        from initadvisor.compare.runner import run
    except ImportError as error:
        raise MissingExtraError("a comparison", "compare") from error
    return run(target, wanted, load_data(data), settings, progress or _silent)


def _silent(*_: Any) -> None:
    """Tell nobody."""
