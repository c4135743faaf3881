"""The records of the registry, and one door to the libraries behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Entries = Mapping[str, tuple[int, ...]]
"""Name -> shape of what a state dict holds."""


@dataclass(frozen=True, slots=True)
class PretrainedWeights:
    """One set of weights as its library describes it; None and empty mean that the library does not say.

    trained_on: data sets, the last one first trained on last. accuracy: "data set metric" -> value in percent or in
    the metric's own unit. preprocessing: size and resize in pixels, mean and std a channel for inputs in [0, 1].
    """

    library: str
    architecture: str
    name: str
    load: str
    trained_on: tuple[str, ...] = ()
    license: str | None = None
    accuracy: Mapping[str, float] = field(default_factory=dict)
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    classes: int | None = None
    parameters: int | None = None
    url: str | None = None
    recipe: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """An architecture of a library with the names and shapes of its parameters and buffers."""

    library: str
    architecture: str
    entries: Entries


def known_architectures(library: str, family: str | None, parameters: int) -> Iterator[Known]:
    """The architectures of a library that a model with so many parameters may be, built without numbers.

    family: the library's module that defines the model's class, where it is known.
    """
    from initadvisor.frontends.registry import timm_models, torchvision_models

    source = {"torchvision": torchvision_models, "timm": timm_models}[library]
    yield from source.known(family, parameters)


def weights_of(library: str, architecture: str) -> Sequence[PretrainedWeights]:
    """The weights that a library has for an architecture; empty where it has none, or is not installed."""
    from initadvisor.frontends.registry import huggingface_models, timm_models, torchvision_models

    sources: Mapping[str, Callable[[str], Sequence[PretrainedWeights]]] = {
        "torchvision": torchvision_models.weights,
        "timm": timm_models.weights,
        "transformers": huggingface_models.weights,
    }
    try:
        return sources[library](architecture)
    except ImportError:
        return ()


def named(target: str) -> tuple[str, str] | None:
    """(library, architecture) that a reference names outright, or None."""
    prefix, _, name = target.partition(":")
    if prefix == "torchvision" and name:
        return "torchvision", name
    if prefix == "timm" and name:
        return "timm", name.partition(".")[0]
    return None
