"""A forward pass that did not come through: how far it got, and on what it failed."""

from __future__ import annotations

import traceback
from collections import deque
from dataclasses import dataclass

from initadvisor.frontends.torch_module.sites import skipped
from initadvisor.graph import Graph


@dataclass(slots=True, frozen=True)
class FailedCall:
    """The operator that raised: its canonical name, and its tensors as (shape, dtype, value) each.

    `groups` is that of a convolution, else 1.
    """

    op: str
    tensors: tuple[tuple[tuple[int, ...], str, int | None], ...]
    groups: int = 1


class ForwardFailed(Exception):
    """What a forward pass raised, without the frames that it went through: they hold every tensor alive.

    text: the error on one line. where: the last line outside torch and this package. absent: local names that were
    None where the error came up, the innermost function first. graph: what had been recorded by then.
    guesses: branches that had been guessed by then. call: the operator that raised, or None where Python code did.
    """

    def __init__(self, error: BaseException, graph: Graph, guesses: int, call: FailedCall | None) -> None:
        text = " ".join(str(error).split())
        self.text = f"{type(error).__name__}: {text}" if text else type(error).__name__
        super().__init__(self.text)
        self.where: str | None = None
        self.absent: list[str] = []
        self.graph = graph
        self.guesses = guesses
        self.call = call
        names: dict[str, None] = {}
        for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
            if self.where is None and not skipped(frame.f_code.co_filename):
                self.where = f"{frame.f_code.co_filename}:{line}"
            names.update(dict.fromkeys(n for n, v in frame.f_locals.items() if v is None))
        self.absent = list(names)

    def last_value(self) -> int | None:
        """What the last recorded operator gave, or the first input: where a check in Python code failed."""
        if self.graph.nodes:
            return self.graph.nodes[-1].outputs[0] if self.graph.nodes[-1].outputs else None
        return self.graph.inputs[0] if self.graph.inputs else None

    def inputs_behind(self, value: int | None) -> tuple[str, list[str]] | None:
        """The nearest model input that a value comes from, and the operators on the way there."""
        if value is None:
            return None
        values, nodes = self.graph.values, self.graph.nodes
        came: dict[int, int | None] = {value: None}
        waiting = deque([value])
        while waiting:
            here = waiting.popleft()
            if values[here].kind == "input":
                ops = []
                step = came[here]
                while step is not None:
                    producer = values[step].producer
                    ops.append(nodes[producer].op if producer is not None else "")
                    step = came[step]
                return values[here].name, ops
            producer = values[here].producer
            for before in nodes[producer].inputs if producer is not None else ():
                if before is not None and before not in came:
                    came[before] = here
                    waiting.append(before)
        return None
