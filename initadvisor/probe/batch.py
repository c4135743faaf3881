"""What a model is run on: the caller's batch, or one made up from the inputs that were inferred."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import torch

from initadvisor.errors import UsageError
from initadvisor.frontends.torch_module.inputs import Trial
from initadvisor.frontends.torch_module.inputs.example import trials
from initadvisor.frontends.torch_module.trees import leaves, map_tensors


@dataclass(frozen=True, slots=True)
class Batch:
    """Arguments of the forward pass, and targets of the loss where there are any.

    synthetic: the inputs were made up. evaluation: the model is to run in evaluation mode, since its training mode
    wants more than inputs. selective: drawn targets decide which layers get a gradient. size: samples, 0 for unknown.
    """

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    targets: Any = None
    synthetic: bool = False
    evaluation: bool = False
    selective: bool = False
    size: int = 0
    description: str = ""

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device, in tensors of its own: the caller's are never written to."""
        return replace(
            self,
            args=_copied(self.args, device),
            kwargs={key: _copied(value, device) for key, value in self.kwargs.items()},
            targets=_copied(self.targets, device),
        )

    def halved(self) -> Batch | None:
        """The first half of the samples, or None where there is one sample or no common first axis."""
        if self.size < 2:
            return None
        return self.part(0, self.size // 2)

    def part(self, start: int, stop: int) -> Batch:
        """The samples [start, stop)."""

        def cut(tensor: torch.Tensor) -> torch.Tensor:
            return tensor[start:stop] if tensor.ndim and tensor.shape[0] == self.size else tensor

        return replace(
            self,
            args=map_tensors(cut, self.args),
            kwargs=map_tensors(cut, dict(self.kwargs)),
            targets=map_tensors(cut, self.targets),
            size=stop - start,
        )


def _copied(tree: Any, device: torch.device) -> Any:
    return map_tensors(lambda t: t.detach().to(device, copy=True), tree)


def given(module: torch.nn.Module, batch: Any, with_targets: bool) -> Iterator[Batch]:
    """The ways in which the caller's batch can be meant, the likeliest first.

    with_targets: a pair is (inputs, targets), since the caller gave a loss or the forward pass takes one argument.
    Raises UsageError for an empty data loader.
    """
    batch = _first(batch)
    if isinstance(batch, Mapping):
        targets = next((batch[key] for key in ("labels", "label", "targets", "target", "y") if key in batch), None)
        for trial in trials(module, batch):
            yield _of_trial(trial, targets)
        return
    pair = isinstance(batch, tuple | list) and len(batch) == 2
    if pair and (with_targets or takes_one(module)):
        inputs, targets = batch
        if isinstance(inputs, Mapping):
            yield _made((), dict(inputs), targets)
        if isinstance(inputs, tuple | list):
            yield _made(tuple(inputs), {}, targets)
        yield _made((inputs,), {}, targets)
    for trial in trials(module, batch):
        dropped = tuple(batch)[len(trial.args) :] if isinstance(batch, tuple | list) else ()
        yield _of_trial(trial, dropped[0] if len(dropped) == 1 else dropped or None)


def _first(batch: Any) -> Any:
    loader = isinstance(batch, torch.utils.data.DataLoader | Iterator)
    if not loader:
        return batch
    try:
        return next(iter(batch))
    except StopIteration:
        raise UsageError("the data loader gave no batch") from None


def takes_one(module: torch.nn.Module) -> bool:
    """Whether the forward pass has exactly one argument."""
    try:
        parameters = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):
        return False
    return len(parameters) == 1 and next(iter(parameters)).kind is not inspect.Parameter.VAR_POSITIONAL


def _of_trial(trial: Trial, targets: Any) -> Batch:
    return _made(trial.args, dict(trial.kwargs), targets)


def _made(args: tuple[Any, ...], kwargs: dict[str, Any], targets: Any) -> Batch:
    return Batch(args, kwargs, targets, size=_samples((args, kwargs)), description="the given batch")


def _samples(tree: Any) -> int:
    """The common first axis of the tensors, else that of the first one."""
    sizes = [t.shape[0] for t in leaves(tree) if t.ndim]
    return int(sizes[0]) if sizes else 0


def made_up(trial: Trial, size: int | None, seed: int) -> Batch:
    """Numbers for inferred inputs: standard normal floats; integers within the range of the inferred ones.

    size: samples wanted instead of those of the trial; ignored where the inputs have no common first axis.
    """
    generator = torch.Generator().manual_seed(seed)
    tensors = leaves((trial.args, dict(trial.kwargs)))
    first = {t.shape[0] for t in tensors if t.ndim}
    scalable = len(first) == 1 and all(t.ndim > 1 or t.is_floating_point() for t in tensors if t.ndim)
    whole = next(iter(first)) if scalable else 0
    wanted = size if size and whole else None

    def fill(tensor: torch.Tensor) -> torch.Tensor:
        return _numbers(tensor, wanted if tensor.ndim else None, generator)

    args = map_tensors(fill, trial.args)
    kwargs = map_tensors(fill, dict(trial.kwargs))
    text = trial.describe() if wanted is None else replace(trial, args=args, kwargs=kwargs).describe()
    return Batch(
        args,
        kwargs,
        synthetic=True,
        evaluation=trial.evaluation,
        size=wanted or whole or _samples((args, kwargs)),
        description=f"{text}; standard normal numbers, seed {seed}",
    )


def made_up_detection(trial: Trial, seed: int) -> Batch:
    """Images with two boxes each, and all that torchvision's detectors ask for in training mode."""
    plain = made_up(trial, None, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    targets = [_objects(image, generator) for image in plain.args[0]]
    return replace(
        plain,
        args=(*plain.args, targets),
        evaluation=False,
        selective=True,
        description=f"{plain.description.replace(', in evaluation mode', '')}, two drawn boxes in each image",
    )


def _objects(image: torch.Tensor, generator: torch.Generator) -> dict[str, torch.Tensor]:
    height, width = image.shape[-2:]
    scale = torch.tensor([width, height, width, height]) / 2
    corners = torch.rand(2, 4, generator=generator) * 0.5
    boxes = (corners + torch.tensor([0.0, 0.0, 1.0, 1.0])) * scale
    masks = torch.zeros(2, height, width, dtype=torch.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes.int().tolist(), strict=True):
        mask[top:bottom, left:right] = 1
    middle = torch.cat(((boxes[:, :2] + boxes[:, 2:]) / 2, torch.ones(2, 1)), 1)
    keypoints = middle[:, None].expand(2, 17, 3).clone()
    return {"boxes": boxes, "labels": torch.ones(2, dtype=torch.int64), "masks": masks, "keypoints": keypoints}


def _numbers(tensor: torch.Tensor, size: int | None, generator: torch.Generator) -> torch.Tensor:
    shape = (size, *tensor.shape[1:]) if size else tuple(tensor.shape)
    if tensor.is_floating_point() or tensor.is_complex():
        if not tensor.is_meta and not size:
            return tensor.detach().clone()
        return torch.randn(shape, generator=generator, dtype=torch.float32).to(tensor.dtype)
    if tensor.is_meta:
        return torch.zeros(shape, dtype=tensor.dtype)
    if not size or not tensor.ndim:
        return tensor.clone()
    if bool((tensor == tensor[:1]).all()):  # masks, positions: the same for every sample
        return tensor[:1].expand(shape).clone()
    low, high = int(tensor.min()), int(tensor.max())
    return torch.randint(low, high + 1, shape, generator=generator).to(tensor.dtype)


Loss = Callable[..., torch.Tensor]


def microbatches(batch: Batch, count: int) -> Sequence[Batch]:
    """The batch in `count` parts of near-equal size; raises UsageError where it has fewer samples."""
    if count == 1:
        return (batch,)
    if batch.size < count:
        raise UsageError(f"a batch of {batch.size} cannot be split into {count} micro-batches")
    edges = [round(batch.size * i / count) for i in range(count + 1)]
    return tuple(batch.part(a, b) for a, b in pairwise(edges))
