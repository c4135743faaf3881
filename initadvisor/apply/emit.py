"""A plan as source code: a self-contained `init_weights` for PyTorch, Keras or Flax that needs nothing of this package.

What comes from a model (names, reasons that quote them) enters the text only as `repr` of a string or as a comment of
printable characters on one line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import get_args

from initadvisor.errors import UsageError
from initadvisor.graph import Layout
from initadvisor.initializers import Code, Framework, InitSpec
from initadvisor.plan import Plan, PlanStep

FORMATS = (*get_args(Framework), "json")


def emit(plan: Plan, what: str) -> str:
    """The plan as text; what: "pytorch", "keras", "flax" or "json". Raises UsageError for anything else."""
    if what == "json":
        return json.dumps(plan.to_json(), indent=1) + "\n"
    if what not in FORMATS:
        raise UsageError(f"a plan cannot be written as {what!r}", hint=f"choose {', '.join(FORMATS)}")
    framework: Framework = what  # type: ignore[assignment]
    codes = [(step, _code(step, framework)) for step in plan.draws]
    helpers = dict.fromkeys(helper.rstrip() for _, code in codes for helper in code.helpers)
    head = [
        f"# Starting weights for {_line(plan.target)}, {len(codes)} of {len(plan)} parameters, seed {plan.seed}.",
        "# Written by initadvisor; it stands alone and draws from the same distributions, not the same numbers.",
    ]
    write = {"pytorch": _pytorch, "keras": _keras, "flax": _flax}[framework]
    return "\n".join([*head, *write(plan, codes, list(helpers))]) + "\n"


def _code(step: PlanStep, framework: Framework) -> Code:
    assert step.spec is not None
    if framework == "pytorch" or step.layout is None or len(step.shape) < 2:
        return step.spec.code(framework, step.shape, step.layout)
    return _channels_last(step.spec, step.shape, step.layout, framework)


def _channels_last(spec: InitSpec, shape: tuple[int, ...], layout: Layout, framework: Framework) -> Code:
    """The code for a weight as Keras and Flax store it: kernel axes, then in, then out.

    Only Keras' transposed convolution has out before in; tables and experts keep their order.
    """
    kernel = layout.kernel_axes(len(shape))
    sides = (*layout.in_axes, *layout.out_axes)
    if layout.transposed and framework == "keras":
        sides = (*layout.out_axes, *layout.in_axes)
    order = (*layout.batch_axes, *kernel, *sides)

    def moved(axes: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(order.index(axis) for axis in axes)

    stored = Layout(
        moved(layout.out_axes),
        moved(layout.in_axes),
        moved(layout.batch_axes),
        layout.groups,
        layout.stride,
        layout.transposed,
    )
    if "blocks" in spec.params:
        spec = InitSpec(spec.method, {**spec.params, "axis": order.index(int(spec.params["axis"]))})
    return spec.code(framework, tuple(shape[axis] for axis in order), stored)


def _line(text: str) -> str:
    """Text fit for a comment: printable characters on one line."""
    return "".join(c if c.isprintable() else " " for c in text).strip()


def _grouped(codes: Iterable[tuple[PlanStep, Code]]) -> dict[tuple[str, str], list[PlanStep]]:
    """Steps with the same text and reason, in order of first appearance."""
    groups: dict[tuple[str, str], list[PlanStep]] = {}
    for step, code in codes:
        groups.setdefault((code.text, step.reason), []).append(step)
    return groups


def _indented(text: str, by: int) -> list[str]:
    return [" " * by + line if line else line for line in text.splitlines()]


def _names(steps: list[PlanStep], by: int) -> list[str]:
    return [" " * by + f"{step.parameter!r}," for step in steps]


def _pytorch(plan: Plan, codes: list[tuple[PlanStep, Code]], helpers: list[str]) -> list[str]:
    random = any("RNG" in code.text or "np." in code.text for _, code in codes)
    lines = ["", *(["import numpy as np"] if random or helpers else []), "import torch", "from torch import nn", ""]
    lines += [f"RNG = np.random.default_rng({plan.seed})", ""] if random or helpers else []
    for helper in helpers:
        lines += ["", helper, ""]
    lines += ["", "def init_weights(model: nn.Module) -> None:"]
    lines += ['    """Draw the parameters in place; what is not named here is left as it is."""']
    lines += ["    tensors = dict(model.named_parameters())", "    with torch.no_grad():"]
    for (text, reason), steps in _grouped(codes).items():
        lines += [f"        # {_line(reason)}"]
        if len(steps) == 1:
            lines += [f"        tensor = tensors[{steps[0].parameter!r}]", *_indented(text, 8)]
        else:
            lines += ["        for name in (", *_names(steps, 12), "        ):"]
            lines += ["            tensor = tensors[name]", *_indented(text, 12)]
    return lines if codes else [*lines, "        pass"]


_KERAS_END = '''

def init_weights(model, names=None):
    """Assign every variable that has an initializer here; `names` maps a variable's path to a name of the table."""
    for variable in model.variables:
        init = lookup(variable.path, names)
        if init is not None:
            variable.assign(init(tuple(variable.shape), variable.dtype))
'''
_FLAX_END = '''

def init_weights(params, key, names=None):
    """A copy of a tree of parameters with new values; `names` maps a path ("dense.kernel") to a name of the table."""

    def draw(path, value):
        name = ".".join(str(getattr(part, "key", getattr(part, "idx", getattr(part, "name", part)))) for part in path)
        init = lookup(name, names)
        if init is None:
            return value
        return init(jax.random.fold_in(key, zlib.crc32(name.encode())), value.shape, value.dtype)

    return jax.tree_util.tree_map_with_path(draw, params)
'''
_LOOKUP = '''

ENDINGS = {name: "weight" for name in ("kernel", "scale", "gamma", "embedding", "embeddings")} | {"beta": "bias"}


def lookup(path, names=None):
    """The initializer of a variable: by its path with dots, with PyTorch's endings, without the names around it."""
    parts = (names or {}).get(path, path).replace("/", ".").split(".")
    for first in range(len(parts)):
        stem, ending = ".".join(parts[first:-1]), parts[-1]
        for name in (f"{stem}.{ending}", f"{stem}.{ENDINGS.get(ending, ending)}"):
            if name.lstrip(".") in INITIALIZERS:
                return INITIALIZERS[name.lstrip(".")]
    return None
'''


def _table(codes: list[tuple[PlanStep, Code]]) -> list[str]:
    lines = ["", "INITIALIZERS = {}"]
    for (text, reason), steps in _grouped(codes).items():
        lines += [f"# {_line(reason)}", "for name in (", *_names(steps, 4), "):", f"    INITIALIZERS[name] = {text}"]
    return lines


def _keras(plan: Plan, codes: list[tuple[PlanStep, Code]], helpers: list[str]) -> list[str]:
    lines = ["", "import keras", "import numpy as np", "", f"RNG = np.random.default_rng({plan.seed})"]
    lines += [f"SEEDS = keras.random.SeedGenerator({plan.seed % 2**31})", ""]
    for helper in helpers:
        lines += ["", helper, ""]
    return [*lines, *_table(codes), *_LOOKUP.splitlines(), *_KERAS_END.splitlines()]


def _flax(plan: Plan, codes: list[tuple[PlanStep, Code]], helpers: list[str]) -> list[str]:
    lines = ["", "import zlib", "", "import jax", "import jax.numpy as jnp", "import numpy as np", ""]
    for helper in helpers:
        lines += ["", helper, ""]
    return [*lines, *_table(codes), *_LOOKUP.splitlines(), *_FLAX_END.splitlines()]
