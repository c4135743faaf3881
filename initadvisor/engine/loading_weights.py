"""`initadvisor.load_pretrained`: a checkpoint put into a model, with an account of every tensor."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from initadvisor.engine.api import input_shapes
from initadvisor.engine.judgement import judgement
from initadvisor.errors import FormatError, MissingExtraError, UsageError
from initadvisor.frontends.options import LoadOptions
from initadvisor.report.pretrained import EntryRow, LoadReport, Verdict
from initadvisor.rules.vocabulary import clean_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import torch

    from initadvisor.apply.pretrained import Entry, Places
    from initadvisor.apply.pretrained.matching import Match
    from initadvisor.graph import Graph
    from initadvisor.plan import PlanStep

Head = Literal["auto", "redraw", "keep"]


def load_pretrained(
    model: torch.nn.Module,
    file: str | os.PathLike[str],
    *,
    head: Head = "auto",
    strict: bool = True,
    seed: int = 0,
    allow_pickle: bool = False,
    input_shape: Any | None = None,
) -> LoadReport:
    """Put the weights of a checkpoint into a model, in place, and say what became of every tensor.

    file: .safetensors, .pt, .pth, .bin or an index of shards; pickles that run code are refused. Prefixes such as
    `module.` or `backbone.` are repaired, stems are adapted to the model's input channels and position tables to its
    grid. head: "auto" draws a head anew where the file has none of its shape, "redraw" always, "keep" never.
    strict: refuse a file that leaves part of the backbone without weights. seed: of the draws of the head.
    input_shape: of the model's input, where it cannot be inferred.

    Raises FormatError, with the model unchanged, for another model's file, and for a partial one where strict;
    UnsafeError, LimitError and NotFoundError as reading a checkpoint does.
    """
    options = LoadOptions(allow_pickle=allow_pickle, input_shapes=input_shapes(input_shape))
    report = put(model, Path(file), head=head, partial=not strict, seed=seed, load=options)
    if not report.written:
        what = "belongs to another model" if report.verdict == "foreign" else "does not cover the whole backbone"
        lacking = [row.name for row in (*report.missing, *report.mismatched)]
        some = (
            ", ".join(lacking[:3]) + (", ..." if len(lacking) > 3 else "") or "none, but the file is a deeper model's"
        )
        hint = "strict=False loads what fits" if report.verdict == "partial" else None
        raise FormatError(f"{file} {what}: {report.covered:.1%} of it fits; without weights: {some}", hint=hint)
    return report


def put(
    model: torch.nn.Module,
    file: Path,
    *,
    head: Head = "auto",
    partial: bool = False,
    seed: int = 0,
    load: LoadOptions | None = None,
    target: str = "",
) -> LoadReport:
    """As `load_pretrained`, but a file that is refused is told by the report alone: `written` is False."""
    try:
        from initadvisor.apply.pretrained import match, transfer
        from initadvisor.frontends import torch_module
    except ImportError as error:
        raise MissingExtraError("loading weights into a model", "torch") from error
    from initadvisor.analysis import structure
    from initadvisor.frontends import checkpoint

    load = load or LoadOptions()
    if str(file).lower().endswith(".onnx"):
        raise UsageError(f"{file} is a model, not a checkpoint", hint="give a .safetensors or .pth file")
    held = checkpoint.load(file, load)
    graph = structure.describe(torch_module.load(model, load, target=target))
    found = match(_file_tensors(held), _model_tensors(model), _places(graph), head)
    covered, lacking = _coverage(found)
    used = _used(found, held)
    foreign = max(covered, used) < judgement().least_covered
    verdict: Verdict = "foreign" if foreign else "partial" if lacking or found.deeper else "complete"
    write = verdict == "complete" or (verdict == "partial" and partial)
    odd = transfer(model, found, _by_any_name(held), _head_steps(graph, found, seed), seed) if write else {}
    return _report(target or type(model).__name__, file, held, found, verdict, (covered, used), write, odd)


def _by_any_name(held: Graph) -> dict[str, Any]:
    return {name: p for p in held.parameters.values() for name in (p.name, *p.aliases)}


def _file_tensors(held: Graph) -> dict[str, Any]:
    from initadvisor.apply.pretrained.matching import Tensor

    return {
        name: Tensor(p.shape, p.dtype if p.source is not None else f"unreadable {p.dtype}")
        for name, p in _by_any_name(held).items()
    }


def _model_tensors(model: torch.nn.Module) -> dict[str, Any]:
    import torch

    from initadvisor.apply.pretrained.matching import Tensor

    return {
        name: Tensor(tuple(value.shape), str(value.dtype).removeprefix("torch."))
        for name, value in model.state_dict().items()
        if isinstance(value, torch.Tensor)
    }


def _places(graph: Graph) -> Places:
    """Heads, stems and position tables by the names of their entries; a head tied to an embedding is none."""
    from initadvisor.apply.pretrained import Places

    heads: set[str] = set()
    stems: set[str] = set()
    positions: set[str] = set()
    for layer in graph.layers:
        names = [name for name in (layer.weight, layer.bias) if name]
        every = [alias for name in names for alias in (name, *graph.parameters[name].aliases)]
        if layer.role == "head" and not layer.tied_to and "tied_fan_in" not in layer.attrs:
            heads.update(every)
        elif layer.role == "stem" and layer.weight:
            stems.add(layer.weight)
        elif layer.role in ("position", "relative_position"):
            positions.update(every)
    return Places(frozenset(heads), frozenset(stems), frozenset(positions))


def _coverage(found: Match) -> tuple[float, bool]:
    """(share of the elements outside heads that the file gives, whether any of them goes without)."""
    from math import prod

    taken = sum(prod(entry.shape) for entry in found.of("matched", "renamed", "adapted"))
    lacking = found.of("missing", "mismatched")
    total = taken + sum(prod(entry.shape) for entry in lacking)
    return (taken / total if total else 0.0), bool(lacking)


def _used(found: Match, held: Graph) -> float:
    """The share of the file's elements that belong somewhere in the model."""
    places = {entry.source for entry in found.of("matched", "renamed", "adapted", "redrawn", "kept")}
    total = sum(p.size for p in held.parameters.values())
    taken = sum(p.size for p in held.parameters.values() if places & {p.name, *p.aliases})
    return taken / total if total else 0.0


def _head_steps(graph: Graph, found: Match, seed: int) -> Mapping[str, PlanStep]:
    """How the entries that are drawn anew are drawn: as their place in this model asks for."""
    if not found.of("redrawn"):
        return {}
    from initadvisor.plan import advise

    plan = advise(graph, include_trained=True, seed=seed)
    return {name: step for step in plan.steps for name in (step.parameter, *step.aliases)}


def _report(
    target: str,
    file: Path,
    held: Graph,
    found: Match,
    verdict: Verdict,
    shares: tuple[float, float],
    written: bool,
    odd: Mapping[str, int],
) -> LoadReport:
    from initadvisor.analysis import structure
    from initadvisor.engine.recognising import by_shapes, shapes_of

    looks = by_shapes(shapes_of(held)) if verdict == "foreign" else ()
    trained = _trained(structure.describe(held))
    notes = [f"{event.message}{f' ({event.where})' if event.where else ''}" for event in held.events]
    notes += [f"{name} holds {count} NaN or infinite values" for name, count in odd.items()]
    if trained is not None and trained < 0.5:
        notes.append(f"the file looks untrained: {1 - trained:.0%} of its weights are at a random draw")
    if found.deeper:
        notes.append(
            f"{len(found.deeper)} weights of the file repeat blocks that the model has fewer of ({found.deeper[0]}): "
            "it was made for a deeper model"
        )
    part = _part_of_shards(file)
    return LoadReport(
        target=clean_text(target),
        file=clean_text(str(file)),
        verdict=verdict,
        covered=shares[0],
        used=shares[1],
        written=written,
        prefix_removed=clean_text(found.strip),
        prefix_added=clean_text(found.add),
        **{action: _rows(found.of(action)) for action in _LISTS},  # type: ignore[arg-type]
        unexpected=tuple(map(clean_text, found.unexpected)),
        dtypes=dict(Counter(p.dtype for p in held.parameters.values())),
        trained=trained,
        looks_like=looks,
        notes=tuple(clean_text(note) for note in [*notes, *part]),
    )


_LISTS = ("matched", "renamed", "adapted", "redrawn", "kept", "mismatched", "missing")


def _rows(entries: Iterable[Entry]) -> tuple[EntryRow, ...]:
    return tuple(
        EntryRow(
            name=clean_text(entry.name),
            source=None if entry.source is None else clean_text(entry.source),
            shape=entry.shape,
            source_shape=entry.source_shape,
            reason=entry.reason,
        )
        for entry in entries
    )


def _trained(graph: Graph) -> float | None:
    """The share of the elements of a file's matrices that look trained; None where that cannot be told."""
    from initadvisor.analysis.tensor_facts import tensor_facts

    size = moved = 0
    for facts in tensor_facts(graph).values():
        count = facts.count or 0
        if facts.draw is not None and facts.draw.trained is not None and (facts.rank or 0) > 1:
            size += count
            moved += count if facts.draw.trained else 0
    return moved / size if size else None


def _part_of_shards(file: Path) -> list[str]:
    """A word where the file is one shard of several."""
    import re

    found = re.search(r"-(\d{5})-of-(\d{5})\.", file.name)
    if found is None or int(found[2]) < 2:
        return []
    return [f"the file is shard {int(found[1])} of {int(found[2])}: give their index, *.index.json, to read them all"]
