"""One recorded forward pass of a module."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from initadvisor.frontends.torch_module.failure import FailedCall, ForwardFailed
from initadvisor.frontends.torch_module.guesses import Guesses
from initadvisor.frontends.torch_module.lazy import shapeable
from initadvisor.frontends.torch_module.parameters import Names
from initadvisor.frontends.torch_module.patches import patched
from initadvisor.frontends.torch_module.recorder import Recorder
from initadvisor.frontends.torch_module.scopes import Scopes
from initadvisor.frontends.torch_module.state import Guard
from initadvisor.frontends.torch_module.tape import Tape
from initadvisor.frontends.torch_module.trees import labelled, leaves, replaced
from initadvisor.frontends.torch_module.twins import Twins
from initadvisor.frontends.torch_module.wrappers import without_sharding
from initadvisor.graph import Event, Graph


def record(
    module: torch.nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    target: str = "",
    virtual: bool = True,
    gradients: bool = False,
    evaluation: bool = False,
    guesses: Guesses | None = None,
) -> Graph:
    """Run `module(*args, **kwargs)` once under the recorder and return the graph.

    virtual: parameters and large tensors have no numbers; else everything is computed on copies.
    evaluation: record in evaluation mode, whatever mode the module is in.
    gradients: record with gradients enabled, for models that differentiate inside their forward pass.
    Raises ForwardFailed where the forward pass raises; the module is left as it was either way.
    """
    module = shapeable(module)
    tape = Tape(target)
    names = Names(module)
    twins = Twins(tape, names, virtual)
    twins.attributes = _attributes(module)
    scopes = Scopes(module, names)
    recorder = Recorder(tape, twins, scopes, guesses or Guesses())
    inputs = _named_inputs(args, kwargs)
    with Guard(module), warnings.catch_warnings(), torch.set_grad_enabled(gradients), patched(recorder):
        warnings.simplefilter("ignore")
        for name, tensor in inputs:
            if names.name(tensor) is None:
                twins.inputs.setdefault(id(tensor), name)
        stand_ins = [twins.stand_in(tensor) for _, tensor in inputs]
        args = [_exchanged(a, f"input{i}" if i else "input", inputs, twins) for i, a in enumerate(args)]
        kwargs = {k: _exchanged(a, k, inputs, twins) for k, a in kwargs.items()}
        if evaluation:
            module.eval()
        without_sharding(module)
        try:
            with recorder:
                result = module(*args, **kwargs)
        except Exception as error:
            tape.graph.inputs = tuple(recorder.value(t) for t in stand_ins)
            failed = ForwardFailed(error, tape.graph, recorder.guesses.asked, _failed_call(tape, error))
            traceback.clear_frames(error.__traceback__)
            raise failed from None
        outputs = [twins.stand_in(tensor) for tensor in leaves(result)]
        graph = tape.graph
        graph.inputs = tuple(dict.fromkeys(recorder.value(t) for t in stand_ins))
        graph.outputs = tuple(dict.fromkeys(recorder.value(t) for t in outputs))
    graph.parameters = names.parameters
    _uncalled(module, scopes, twins, graph)
    return graph


def _failed_call(tape: Tape, error: BaseException) -> FailedCall | None:
    """The operator that an error came from, if it did; earlier failures may have been caught by the model."""
    if tape.failed is None:
        return None
    came: BaseException | None = error
    while came is not None and came is not tape.failed[0]:
        came = came.__cause__ or came.__context__
    call = tape.failed[1] if came is not None else None
    tape.failed = None  # it holds the frames that it went through
    return call


def _named_inputs(args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[tuple[str, torch.Tensor]]:
    arguments = (*((f"input{i}" if i else "input", a) for i, a in enumerate(args)), *kwargs.items())
    return [found for label, item in arguments for found in labelled(item, label)]


def _exchanged(value: Any, label: str, inputs: Sequence[tuple[str, torch.Tensor]], twins: Twins) -> Any:
    """An argument with stand-ins in the place of its tensors, where its structure lets itself be copied."""
    for path, tensor in inputs:
        if path == label or path.startswith(f"{label}."):
            value = replaced(value, label, path, twins.stand_in(tensor))
    return value


def _attributes(module: torch.nn.Module) -> dict[int, str]:
    """Tensors that modules hold as plain attributes, neither parameter nor buffer."""
    found: dict[int, str] = {}
    for path, part in module.named_modules():
        for name, value in vars(part).items():
            if name in ("_parameters", "_buffers", "_modules"):
                continue
            held = leaves(value, 1) if isinstance(value, torch.Tensor | list | tuple | dict) else ()
            for tensor in held:
                found.setdefault(id(tensor), f"{path}.{name}" if path else name)
    return found


def _uncalled(module: torch.nn.Module, scopes: Scopes, twins: Twins, graph: Graph) -> None:
    """Say which modules own parameters that the forward pass never touched, and which it called unregistered."""
    for path in scopes.unregistered:
        message = f"module {path} is called but registered nowhere: no optimizer or state dict knows its parameters"
        graph.events.append(Event("unregistered", message, path))
    for path, part in module.named_modules():
        own = [twins.names.name(p) for p in part._parameters.values() if p is not None]
        if own and not scopes.called[path] and not any(name in twins.used for name in own if name):
            message = f"module {path or '(root)'} ({type(part).__name__}) is never called"
            graph.events.append(Event("unused", message, path))
