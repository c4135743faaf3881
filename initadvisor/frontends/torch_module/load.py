"""A live module as a graph: the ladder from a virtual recording down to the bare module tree.

    virtual       one forward pass on virtual tensors
    real          one forward pass on copies of the real numbers
    export        `torch.export`, its program recorded
    parts         for a container without a forward pass of its own: each part by itself
    module tree   the modules and their weights, without edges

Each step is taken where the one above fails, and says in `coverage.notes` why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch

from initadvisor.frontends.markers import markers_of
from initadvisor.frontends.options import LoadOptions
from initadvisor.frontends.torch_module.failure import ForwardFailed
from initadvisor.frontends.torch_module.forward import record
from initadvisor.frontends.torch_module.guesses import Guesses
from initadvisor.frontends.torch_module.inputs import Search, Trial
from initadvisor.frontends.torch_module.lazy import is_lazy
from initadvisor.frontends.torch_module.parts import has_no_forward, recorded_parts
from initadvisor.frontends.torch_module.tree import module_tree
from initadvisor.frontends.torch_module.wrappers import unwrap
from initadvisor.graph import Coverage, Event, Graph

REAL_BYTES = 1 << 31
"""Bytes of parameters up to which a forward pass on copies of the real numbers is tried."""

REAL_TRIALS = 3
"""Inputs that are tried on real numbers: each pass costs what the model costs."""


EXPORT_MODULES = 200
"""Modules up to which `torch.export` is tried: it takes minutes on large models and prints what it cannot follow."""


def load(module: torch.nn.Module, options: LoadOptions | None = None, target: str = "") -> Graph:
    """Return the graph of a module; `coverage.capture` names the step of the ladder that gave it.

    The inputs are `options.example`, or of `options.input_shapes`, or inferred; an event says what was assumed.
    Never raises because of the model's own code: the last step needs none of it.
    """
    return load_with_inputs(module, options, target)[0]


def load_with_inputs(
    module: torch.nn.Module, options: LoadOptions | None = None, target: str = ""
) -> tuple[Graph, Trial | None]:
    """The graph of a module as `load` gives it, and the inputs it was recorded on.

    Where no recording came through, they are the ones that got furthest, or None where there were none to try.
    """
    module = unwrap(module)
    graph, trial = _climb(module, options or LoadOptions(), target or type(module).__name__)
    graph.markers = list(markers_of(module))
    _mark_norms(graph, module)
    return graph, trial


def _mark_norms(graph: Graph, module: torch.nn.Module) -> None:
    """Say of batch norms what their operator does not: statistics over all processes, or kept while the rest trains."""
    owners = dict(module.named_modules())
    for node in graph.nodes:
        owner = owners.get(node.scope) if node.op == "batch_norm" else None
        if isinstance(owner, torch.nn.modules.batchnorm._BatchNorm):
            node.attrs["synchronised"] = isinstance(owner, torch.nn.SyncBatchNorm) or None
            node.attrs["evaluating"] = (module.training and not owner.training) or None
        elif owner is not None:
            node.attrs["evaluating"] = getattr(owner, "of_batch", True) is False or None


def _climb(module: torch.nn.Module, options: LoadOptions, target: str) -> tuple[Graph, Trial | None]:
    if has_no_forward(module):
        parts = recorded_parts(module, partial(load, options=replace(options, example=None)), target, [])
        return parts or module_tree(module, target, ["the module has no forward pass"]), None
    search = Search(module, options)
    notes: list[str] = []
    for step in (_virtual, _real, _export):
        graph = step(module, search, target, notes)
        if graph is not None:
            return graph, search.taken
    tree = module_tree(module, target, notes)
    if search.best is None:
        tree.coverage.failure = notes[0]
        return tree, None
    trial, worst = search.best
    tree.coverage.failure = f"the forward pass raised {worst.text[:300].rstrip('.')} at {worst.where}"
    return tree, trial


def _virtual(module: torch.nn.Module, search: Search, target: str, notes: list[str]) -> Graph | None:
    found: tuple[int, Graph, Trial] | None = None
    for trial in search:
        graph = _attempt(module, search, trial, target)
        if graph is not None and (found is None or _silent(graph) < found[0]):
            found = (_silent(graph), graph, trial)
        if found is not None and (found[0] == 0 or not search.go_on()):
            break
    if found is not None:
        search.taken = found[2]
        return _finished(found[1], "virtual", found[2], notes)
    if search.best is None:
        notes.append("no example input could be inferred")
    else:
        trial, worst = search.best
        reached = len(worst.graph.nodes)
        notes.append(f"recording on virtual tensors failed after {reached} operators, {trial.describe()}")
        notes.append(f"the forward pass raised {worst.text[:300].rstrip('.')} at {worst.where}")
    return None


def _attempt(module: torch.nn.Module, search: Search, trial: Trial, target: str) -> Graph | None:
    """One recording of a trial, or up to three more with a guessed answer turned round."""
    try:
        return _record(module, trial, target)
    except ForwardFailed as failed:
        answers = _other_answers(failed) if search.failed(trial, failed) else []
    for turned in answers:
        try:
            return _record(module, trial, target, guesses=Guesses(turned))
        except ForwardFailed:
            continue
    return None


def _silent(graph: Graph) -> int:
    """How many weights the forward pass did not read."""
    read = {v.parameter for v in graph.values if v.parameter is not None}
    return sum(p.is_float and not p.buffer and p.name not in read for p in graph.parameters.values())


def _record(
    module: torch.nn.Module, trial: Trial, target: str, virtual: bool = True, guesses: Guesses | None = None
) -> Graph:
    """One recording; with gradients where the forward pass differentiates."""
    run: Callable[[bool], Graph] = lambda gradients: record(  # noqa: E731
        module,
        trial.args,
        trial.kwargs,
        target=target,
        virtual=virtual,
        evaluation=trial.evaluation,
        gradients=gradients,
        guesses=guesses,
    )
    try:
        return run(False)
    except ForwardFailed as failed:
        if "does not require grad" not in failed.text and "requires_grad" not in failed.text:
            raise
        return run(True)


def _other_answers(failed: ForwardFailed) -> list[frozenset[int]]:
    """Which guessed branches to turn round after a failure: the last one first."""
    last = failed.guesses - 1
    return [frozenset({i}) for i in dict.fromkeys((last, 0, last - 1)) if 0 <= i <= last]


def _real(module: torch.nn.Module, search: Search, target: str, notes: list[str]) -> Graph | None:
    if search.best is None or is_lazy(module):
        return None
    size = sum(p.numel() * p.element_size() for p in module.parameters())
    if size > REAL_BYTES or any(p.is_meta for p in module.parameters()):
        return None
    trial, _ = search.best
    search.taken = trial
    try:
        return _finished(_record(module, trial, target, virtual=False), "real", trial, notes)
    except ForwardFailed as failed:
        notes.append(f"recording on real tensors failed: {failed.text[:300]}")
        search.hopeless = failed.text == search.best[1].text
        return None


def _export(module: torch.nn.Module, search: Search, target: str, notes: list[str]) -> Graph | None:
    from initadvisor.frontends.torch_module.programs import exported

    size = sum(p.numel() * p.element_size() for p in module.parameters()) if not is_lazy(module) else REAL_BYTES
    if (
        search.best is None
        or search.hopeless
        or size >= REAL_BYTES
        or sum(1 for _ in module.modules()) > EXPORT_MODULES
    ):
        return None
    trial, _ = search.best
    search.taken = trial
    try:
        graph = exported(module, trial, target)
    except Exception as error:  # whatever the exporter does not like
        notes.append(f"torch.export failed: {type(error).__name__}: {' '.join(str(error).split())[:200]}")
        return None
    return _finished(graph, "export", trial, notes)


def _finished(graph: Graph, capture: str, trial: Trial, notes: list[str]) -> Graph:
    graph.coverage = Coverage(capture, notes=list(notes))
    graph.events.insert(0, Event("input", trial.describe()))
    guesses = [e for e in graph.events if e.kind in ("guess", "kernel", "opaque")]
    if guesses:
        graph.coverage.notes.append(f"{len(guesses)} answers were guessed while recording; the events name the places")
    for node in graph.nodes:
        if node.op == "opaque":
            graph.coverage.opaque[node.native] = graph.coverage.opaque.get(node.native, 0) + 1
    return graph
