"""Which architecture of an installed library a target is: by its name, by its configuration, by its shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from initadvisor.analysis.recognition import likeness
from initadvisor.engine.judgement import judgement
from initadvisor.frontends.registry import known_architectures, named
from initadvisor.report.pretrained import Recognised

if TYPE_CHECKING:
    from initadvisor.frontends.registry.known import Known
    from initadvisor.graph import Graph

Shapes = Mapping[str, tuple[int, ...]]

MOST_NAMES = 0.9
"""Share of an architecture's names from which on they decide between twins of the same shapes."""

MOST_NAMED = 5
"""Architectures that are named where several have the same shapes."""


def recognise(target: Any, shapes: Shapes) -> tuple[Recognised, ...]:
    """What a target is, best first; empty where no installed library has it.

    target: a module, or what a user calls it. shapes: of its parameters and buffers by name.
    """
    found = list(_by_name(target))
    if not found and not isinstance(target, str):
        found = list(_by_parts(target))
    return tuple(found or by_shapes(shapes))


def shapes_of(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the parameters of a graph."""
    return {parameter.name: parameter.shape for parameter in graph.parameters.values()}


def _by_name(target: Any) -> Iterator[Recognised]:
    given = named(target) if isinstance(target, str) else None
    if given is not None:
        yield Recognised(library=given[0], architecture=given[1], by="name")


def _by_parts(module: Any) -> Iterator[Recognised]:
    """The parts of a module that a library made, from the outside in, each only once."""
    from initadvisor.frontends.registry.huggingface_models import configured

    inside: list[str] = []
    for path, part in module.named_modules():
        if any(path.startswith(f"{outer}.") or not outer for outer in inside):
            continue
        found = None
        config = getattr(part, "pretrained_cfg", None)
        kind = configured(part)
        if isinstance(config, Mapping) and isinstance(config.get("architecture"), str):
            found = Recognised(library="timm", architecture=config["architecture"], by="configuration", where=path)
        elif kind is not None:
            found = Recognised(library="transformers", architecture=kind[0], by="configuration", where=path)
        elif type(part).__module__.startswith("torchvision.models."):
            shapes = {name: tuple(value.shape) for name, value in part.state_dict().items()}
            best = by_shapes(shapes, family=type(part).__module__, where=path)
            found = best[0] if best else None
        if found is not None:
            inside.append(path)
            yield found


def by_shapes(shapes: Shapes, *, family: str | None = None, where: str = "") -> tuple[Recognised, ...]:
    """The architectures of torchvision that have these shapes, or nearly, best first.

    family: the module that defines the class, which leaves fewer to compare with.
    """
    scored = sorted(_scored(shapes, family), key=lambda pair: (-pair[0].exact, -pair[0].share, -pair[0].names))
    least = judgement().least_alike
    close = [(alike, known) for alike, known in scored if alike.share >= least]
    if close and close[0][0].exact:
        close = [(alike, known) for alike, known in close if alike.exact]
        if close[0][0].names >= MOST_NAMES:  # of twins with the same matrices (VGG with batch norms, and without)
            close = [(alike, known) for alike, known in close if alike.names == close[0][0].names]
    return tuple(
        Recognised(
            library=known.library,
            architecture=known.architecture,
            by="shapes",
            share=min(alike.share, 1.0),
            exact=alike.exact,
            where=where,
            differences=alike.differences,
        )
        for alike, known in close[:MOST_NAMED]
    )


def _scored(shapes: Shapes, family: str | None) -> Iterator[tuple[Any, Known]]:
    from math import prod

    from initadvisor.frontends.checkpoint.safetensors_file import is_buffer

    count = sum(prod(shape) for name, shape in shapes.items() if not is_buffer(name))
    try:
        for known in known_architectures("torchvision", family, count):
            yield likeness(shapes, known.entries), known
    except ImportError:
        return
