"""Data in the shape that a model takes: flat, as an image, as a sequence, enlarged, with channels repeated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import torch
from torch.nn import functional as F

from initadvisor.compare.data import Data
from initadvisor.errors import UsageError
from initadvisor.frontends.options import LoadOptions
from initadvisor.frontends.references import describe
from initadvisor.frontends.torch_module.load import load_with_inputs
from initadvisor.frontends.torch_module.trees import leaves
from initadvisor.probe.loss import main_output

SIDE = 32
"""Pixels that small images are enlarged to for models of natural images, which shrink theirs five times by two."""

_TRIED = 2
"""Samples of a trial."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Data on a device. `shape` is that of a sample as the model gets it; `outputs` the model's logits or values."""

    x: torch.Tensor
    y: torch.Tensor
    held_x: torch.Tensor
    held_y: torch.Tensor
    shape: tuple[int, ...]
    outputs: int
    notes: tuple[str, ...] = ()

    def to(self, device: torch.device) -> Inputs:
        """The same on a device."""
        x, y, held_x, held_y = (t.to(device) for t in (self.x, self.y, self.held_x, self.held_y))
        return replace(self, x=x, y=y, held_x=held_x, held_y=held_y)

    def fitted(self, x: torch.Tensor) -> torch.Tensor:
        """Samples in the shape that the model takes."""
        return shaped(x, self.shape)


def shaped(x: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Samples in another shape: reshaped where the elements are as many, else enlarged and repeated over channels."""
    if tuple(x.shape[1:]) == shape:
        return x
    if prod(x.shape[1:]) == prod(shape):
        return x.reshape(len(x), *shape)
    if x.shape[2:] != shape[1:]:
        x = F.interpolate(x, size=shape[1:], mode="bilinear", align_corners=False)
    return x if x.shape[1] == shape[0] else x.expand(-1, shape[0], -1, -1)


def fit_inputs(
    module: torch.nn.Module, data: Data, device: torch.device, target: str, wanted: tuple[int, ...] | None = None
) -> Inputs:
    """The data as this model takes it, found by trying; the module is on the device.

    wanted: the shape of a sample, without the batch, where the caller knows it.
    Raises UsageError where no shape is taken, or where the model has fewer outputs than the data asks for.
    """
    x = torch.from_numpy(data.x)
    if not x.is_floating_point() and not any(isinstance(part, torch.nn.Embedding) for part in module.modules()):
        x = x.float()
    sample = x[:_TRIED].to(device)
    tried: list[str] = []
    failure = ""
    for shape in _distinct(_wanted(data, wanted) if wanted is not None else _shapes(module, data)):
        tried.append("x".join(map(str, shape)))
        try:
            with torch.no_grad():
                output = main_output(module(shaped(sample, shape)))
        except Exception as error:  # whatever the model's code raises on an input that it was not made for
            failure = f"it raised {describe(error)}"
            continue
        if output is None or output.shape[:1] != (_TRIED,) or output.ndim > 2:
            failure = f"it gave {'no float tensor' if output is None else f'an output of shape {list(output.shape)}'}"
            continue
        return _accepted(data, x, shape, output, device, target)
    raise UsageError(
        f"{target} takes {data.name} in none of the shapes {', '.join(tried)} (of a sample): {failure}",
        hint="--input-shape names another, --data other data",
    )


def _accepted(
    data: Data, x: torch.Tensor, shape: tuple[int, ...], output: torch.Tensor, device: torch.device, target: str
) -> Inputs:
    outputs = int(output.shape[1]) if output.ndim == 2 else 1
    needed = data.classes if data.classes is not None else int(data.y.shape[1])
    if outputs < needed or (data.classes is None and outputs != needed):
        what = f"{needed} classes" if data.classes is not None else f"{needed} target{'s' * (needed != 1)} a sample"
        raise UsageError(
            f"{target} has {outputs} output{'s' * (outputs != 1)} and {data.name} has {what}",
            hint="build the model with as many outputs as there are classes"
            if data.classes is not None
            else "a regression needs as many outputs as targets",
        )
    notes = _adaptation(data.sample_shape, shape)
    if data.classes is not None and outputs > needed:
        notes.append(f"{outputs} outputs for {needed} classes: the others are never right")
    held = torch.from_numpy(data.held_x).to(x.dtype)
    y, held_y = torch.from_numpy(data.y), torch.from_numpy(data.held_y)
    return Inputs(x, y, held, held_y, shape=shape, outputs=outputs, notes=tuple(notes)).to(device)


def _adaptation(own: tuple[int, ...], shape: tuple[int, ...]) -> list[str]:
    """What was done to samples to give them a shape, in words."""
    if own == shape:
        return []
    before, after = ("x".join(map(str, s)) for s in (own, shape))
    if prod(own) == prod(shape):
        return [f"samples of {before} reshaped to {after}"]
    notes = []
    if own[1:] != shape[1:]:
        notes.append(f"images of {own[1]}x{own[2]} enlarged to {shape[1]}x{shape[2]} (bilinear)")
    if own[0] != shape[0]:
        notes.append(f"one channel repeated {shape[0]} times")
    return notes


def _wanted(data: Data, wanted: tuple[int, ...]) -> list[tuple[int, ...]]:
    own = data.sample_shape
    resizable = data.image and len(wanted) == 3 and own[0] in (1, wanted[0])
    if prod(wanted) != prod(own) and not resizable:
        asked, has = ("x".join(map(str, s)) for s in (wanted, own))
        raise UsageError(f"samples of {data.name} have the shape {has} and cannot be made {asked}")
    return [wanted]


def _shapes(module: torch.nn.Module, data: Data) -> Iterator[tuple[int, ...]]:
    """Shapes of a sample to try, the likeliest first."""
    own = data.sample_shape
    channels = _channels(module)
    if not data.image or channels is None:
        yield from ((prod(own),), own) if data.image else (own, (prod(own),))
        if data.image:
            yield own[1:] if own[0] == 1 else (own[0], own[1] * own[2])
        inferred = _inferred(module)
        if inferred is not None and prod(inferred) == prod(own):
            yield inferred
        return
    if own[0] not in (1, channels):
        raise UsageError(f"{data.name} has images of {own[0]} channels and the first convolution takes {channels}")
    sizes = [own[1:], (16, 16), (28, 28), (SIDE, SIDE)]
    if channels != own[0]:  # made for natural images
        sizes = [(SIDE, SIDE), own[1:]]
    for height, width in sizes:
        if height >= own[1] and width >= own[2]:
            yield (channels, height, width)
    inferred = _inferred(module)
    if inferred is not None and len(inferred) == 3 and inferred[0] == channels:
        yield inferred


def _channels(module: torch.nn.Module) -> int | None:
    """What the first convolution of images takes."""
    first = next((part for part in module.modules() if isinstance(part, torch.nn.Conv2d)), None)
    return None if first is None else int(first.in_channels)


def _inferred(module: torch.nn.Module) -> tuple[int, ...] | None:
    """The shape of a sample that the model says itself that it takes."""
    trial = load_with_inputs(module, LoadOptions())[1]
    tensors = leaves((trial.args, dict(trial.kwargs))) if trial is not None else []
    return tuple(int(size) for size in tensors[0].shape[1:]) if tensors else None


def _distinct(shapes: Iterator[tuple[int, ...]] | list[tuple[int, ...]]) -> Iterator[tuple[int, ...]]:
    seen: set[tuple[int, ...]] = set()
    for shape in shapes:
        if shape not in seen:
            seen.add(shape)
            yield shape


def as_example(inputs: Inputs) -> tuple[torch.Tensor, ...]:
    """Arguments to record the model on."""
    return (inputs.fitted(inputs.x[:_TRIED]),)


def spread(data: Data) -> tuple[float, float]:
    """(mean, standard deviation) of all training inputs."""
    values = data.x.astype(np.float64)
    return float(values.mean()), float(values.std())
