"""Parameters that an exporter merged because they were equal, taken apart again before they get values of their own."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from initadvisor.errors import UsageError
from initadvisor.graph import Graph, Parameter
from initadvisor.plan import Plan, PlanStep

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto


def split_shared(model: ModelProto, graph: Graph, plan: Plan) -> list[str]:
    """Give each parameter of a merged tensor a tensor of its own where the plan wants different values.

    Changes the message and the parameters' `pieces` in the graph; returns what was done, in words. Raises UsageError
    where the uses in the file cannot be told apart.
    """
    owners: dict[tuple[tuple[str, int, int], ...], list[Parameter]] = defaultdict(list)
    for parameter in graph.parameters.values():
        if parameter.pieces:
            owners[parameter.pieces].append(parameter)
    steps = {step.parameter: step for step in plan}
    notes = []
    for pieces, sharing in owners.items():
        if len(sharing) < 2 or _agree([steps.get(p.name) for p in sharing]):
            continue
        if len(pieces) != 1:
            raise UsageError(f"{sharing[0].name!r} and {sharing[1].name!r} share parts of a tensor: draw both alike")
        _split(model, graph, pieces[0][0], sharing)
        notes.append(f"{len(sharing)} parameters that shared the tensor {pieces[0][0]!r} have one each now")
    return notes


def _agree(steps: list[PlanStep | None]) -> bool:
    """Whether all parameters of a merged tensor are to hold the same constant, or all stay as they are."""
    known = [step for step in steps if step is not None]
    if all(step.spec is None for step in known):
        return True
    if len(known) < len(steps) or any(step.spec is None for step in known):
        return False
    first = known[0].spec
    constant = first is not None and (d := first.distribution(known[0].shape, known[0].layout)) is not None
    return constant and d is not None and d.kind == "constant" and all(step.spec == first for step in known)


def _split(model: ModelProto, graph: Graph, name: str, sharing: list[Parameter]) -> None:
    """One initializer a parameter: the nth use in the file is the nth use in the graph."""
    renamed = _identities(model, name)
    names = {name, *(node.output[0] for node in renamed)}
    uses = [
        (node, slot)
        for node in model.graph.node
        for slot, read in enumerate(node.input)
        if read in names and node not in renamed
    ]
    found = _uses_in_graph(graph, {p.name for p in sharing})
    original = next((t for t in model.graph.initializer if t.name == name), None)
    if original is None or len(uses) != len(found) or not _matching(uses, found):
        some = ", ".join(repr(p.name) for p in sharing[:3])
        raise UsageError(
            f"{some} share the tensor {name!r} in the file, and which node reads which cannot be told",
            hint="draw them alike, or export the model again with distinct values",
        )
    outputs = {value.name for value in model.graph.output}
    for node in renamed:
        if node.output[0] not in outputs:
            model.graph.node.remove(node)
    taken = {t.name for t in model.graph.initializer} | {o for n in model.graph.node for o in n.output}
    own: dict[str, str] = {}
    for (node, slot), (parameter, _) in zip(uses, found, strict=True):
        if parameter not in own:
            own[parameter] = name if not own else _free(parameter, taken)
            if own[parameter] != name:
                copy = model.graph.initializer.add()
                copy.CopyFrom(original)
                copy.name = own[parameter]
                _embed(copy, graph.parameters[parameter])
                if model.ir_version < 4:  # such files list every initializer among the inputs
                    declared = next(value for value in model.graph.input if value.name == name)
                    model.graph.input.add().CopyFrom(declared)
                    model.graph.input[-1].name = copy.name
        node.input[slot] = own[parameter]
    for shared in sharing:
        (_, start, stop) = shared.pieces[0]
        shared.pieces = ((own[shared.name], start, stop),)


def _embed(copy: TensorProto, parameter: Parameter) -> None:
    """Elements of its own for the copy of a tensor with external data, which would share the bytes of the original."""
    if copy.data_location == 1:
        raw = parameter.source.raw() if parameter.source is not None else None
        if raw is None:
            raise UsageError(f"the elements of {parameter.name!r} cannot be read")
        copy.ClearField("external_data")
        copy.ClearField("data_location")
        copy.raw_data = raw.tobytes()


def _identities(model: ModelProto, name: str) -> list[NodeProto]:
    """The Identity nodes by which exporters give a merged tensor its other names."""
    names, found = {name}, []
    for node in model.graph.node:
        if node.op_type == "Identity" and node.input and node.input[0] in names:
            names.add(node.output[0])
            found.append(node)
    return found


def _uses_in_graph(graph: Graph, names: set[str]) -> list[tuple[str, str]]:
    """(parameter, operator type of the file) of each use, in execution order."""
    values = {v.id: v.parameter for v in graph.values if v.parameter in names}
    return [
        (str(values[value]), node.native)
        for node in graph.nodes
        for value in node.inputs
        if value is not None and value in values
    ]


def _matching(uses: list[tuple[NodeProto, int]], found: list[tuple[str, str]]) -> bool:
    return all(node.op_type == native.rpartition("::")[2] for (node, _), (_, native) in zip(uses, found, strict=True))


def _free(name: str, taken: set[str]) -> str:
    candidate, count = name, 2
    while candidate in taken:
        candidate, count = f"{name}.{count}", count + 1
    taken.add(candidate)
    return candidate
