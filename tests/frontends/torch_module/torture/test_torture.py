"""Hard modules: each is recorded whole, with its parameters, edges, ties and events."""

from __future__ import annotations

import attention_cases  # noqa: F401
import branching_cases  # noqa: F401
import exotic_cases  # noqa: F401
import input_cases  # noqa: F401
import mutation_cases  # noqa: F401
import opaque_cases  # noqa: F401
import pytest
import recurrent_cases  # noqa: F401
import sharing_cases  # noqa: F401
import torch
import wrapper_cases  # noqa: F401
from torture import CASES, Case, consumers, reached, with_gradient

from initadvisor.frontends.options import LoadOptions
from initadvisor.frontends.torch_module import load, unwrap


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_hard_module_is_recorded(case: Case) -> None:
    torch.manual_seed(0)
    module = case.build()
    example = case.inputs() if case.inputs is not None else None
    graph = load(module, LoadOptions(example=example))
    assert graph.coverage.capture == case.capture, graph.coverage.notes
    assert case.opaque is None or sum(graph.coverage.opaque.values()) == case.opaque, graph.coverage.opaque
    found = reached(graph)
    wanted = {n for n, p in graph.parameters.items() if p.is_float and not p.buffer} - set(case.unreached)
    assert wanted <= found, f"not reached: {wanted - found}"
    assert not found & set(case.unreached)
    for parameter, op in case.weights.items():
        assert op in consumers(graph, parameter), (parameter, consumers(graph, parameter))
    assert set(case.ops) <= {node.op for node in graph.nodes}
    assert set(case.events) <= {event.kind for event in graph.events}, graph.events
    for name, aliases in (case.ties or {}).items():
        assert set(graph.parameters[name].aliases) == set(aliases)
    if case.autograd and example is not None:
        named = with_gradient(unwrap(module), example)
        names = {a: p.name for p in graph.parameters.values() for a in (p.name, *p.aliases)}
        trained = {names[n] for n in named}
        assert found & {n for n, p in graph.parameters.items() if p.trainable} == trained


def test_the_suite_is_large_enough() -> None:
    assert len(CASES) >= 90
    assert len({case.name for case in CASES}) == len(CASES)
