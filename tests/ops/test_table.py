"""The operator table: spellings that torch and onnx really use, and element-wise functions that agree with them."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import numpy as np
import onnx.defs
import pytest
import torch
from torch.overrides import TorchFunctionMode, get_testing_overrides, resolve_name

from initadvisor.ops import ONNX, OPERATORS, TORCH, register

# what torch and ONNX have and no neural network's forward pass reads from: refused on purpose
NOT_TENSOR_MATHS = {"StringConcat", "StringSplit", "RegexFullMatch", "StringNormalizer", "LabelEncoder"}


def test_importing_the_table_imports_neither_torch_nor_onnx() -> None:
    code = "import sys, initadvisor.ops; print([m for m in ('torch', 'onnx') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_every_standard_onnx_operator_has_an_entry() -> None:
    names = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == "" and not schema.deprecated}
    missing = names - set(ONNX) - NOT_TENSOR_MATHS
    assert missing <= {"Adagrad", "Adam", "Momentum", "Gradient"}, sorted(missing)


def test_every_onnx_spelling_of_the_standard_domain_exists() -> None:
    names = {schema.name for schema in onnx.defs.get_all_schemas_with_history()}
    assert {name for name in ONNX if "::" not in name} - names <= {"SimplifiedLayerNormalization"}


def test_onnx_renames_and_inputs_speak_of_things_that_exist() -> None:
    schemas: dict[str, list[Any]] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        schemas.setdefault(schema.name, []).append(schema)
    for name, entry in ONNX.items():
        if name not in schemas:
            continue
        attributes = {a for schema in schemas[name] for a in schema.attributes}
        inputs = {i.name for schema in schemas[name] for i in schema.inputs}
        assert set(entry.onnx[name]) <= attributes | inputs, name
        declared = entry.onnx_inputs.get(name, "").split() or list(entry.slots)
        if not any(slot.endswith("...") for slot in declared):
            assert len(declared) >= max(len(schema.inputs) for schema in schemas[name] if not schema.deprecated) - 1, (
                name
            )


CALLS = {
    "torch.nn.functional.relu": lambda x: torch.relu_(x.clone()),
    "add": lambda x: x + 1,
    "reversed_sub": lambda x: 1 - x,
    "reversed_div": lambda x: 1 / x,
    "reversed_pow": lambda x: 2**x,
    "gelu": torch.nn.functional.gelu,
    "silu": lambda x: torch.nn.functional.silu(x, inplace=True),
    "matmul": lambda x: x @ x,
    "linear": lambda x: torch.nn.functional.linear(x, x),
    "matrix_transpose": lambda x: x.mT,
    "reshape": lambda x: x.view(-1),
    "permute": lambda x: x.permute(1, 0),
    "transpose": lambda x: x.transpose(0, 1),
    "getitem": lambda x: x[0],
    "identity": lambda x: x.clone(),
    "cast": lambda x: x.to(torch.float64),
    "softmax": lambda x: x.softmax(-1),
    "sigmoid": torch.nn.functional.sigmoid,
    "cat": lambda x: torch.cat([x, x]),
    "einsum": lambda x: torch.einsum("ij,jk", x, x),
    "layer_norm": lambda x: torch.nn.functional.layer_norm(x, (4,)),
    "scaled_dot_product_attention": lambda x: torch.nn.functional.scaled_dot_product_attention(x, x, x),
    "dropout": torch.nn.functional.dropout,
    "vector_norm": lambda x: x.norm(dim=1),
    "split": lambda x: torch.split(x, 2),
    "lstm": lambda x: torch.nn.LSTM(4, 4)(x),
}


@pytest.mark.parametrize("name", sorted(CALLS))
def test_what_a_function_mode_sees_is_in_the_table(name: str) -> None:
    seen = set()

    class Mode(TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            spelling = resolve_name(function)
            if spelling in TORCH:
                seen.add(TORCH[spelling].name)
            return function(*args, **(kwargs or {}))

    x = torch.ones(4, 4)
    with Mode():
        CALLS[name](x)
    assert name.rpartition(".")[2] in seen


def test_parameter_orders_are_those_of_torch() -> None:
    """Where torch's own parameter names are the canonical ones, they stand in torch's order."""
    overrides = {resolve_name(function): stub for function, stub in get_testing_overrides().items()}
    wrong = {}
    for spelling, entry in TORCH.items():
        stub = overrides.get(spelling)
        if stub is None or spelling in ("torch.instance_norm", "torch.embedding"):
            continue
        try:
            names = [p for p in inspect.signature(stub).parameters if p not in ("out", "args", "kwargs")]
        except (TypeError, ValueError):
            continue
        declared = [part.removesuffix("...") for part in entry.torch[spelling].split()]
        shared = [name for name in declared if name in names]
        if "Tensor.where" in spelling or "return_indices" in names or "addbmm" in spelling:
            continue  # torch's own stubs of these differ from the real signatures
        if shared != [name for name in names if name in declared]:
            wrong[spelling] = (declared, names)
    reversed_ones = {s for s in wrong if ".__r" in s or s == "torch.rsub"}
    assert set(wrong) <= reversed_ones, {s: wrong[s] for s in set(wrong) - reversed_ones}


UNARY = [op for op in OPERATORS.values() if op.evaluate is not None and op.slots == ("input",)]
INTEGER_ONLY = {"bitwise_not", "bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift"}


@pytest.mark.parametrize("op", UNARY, ids=lambda op: op.name)
@pytest.mark.parametrize("seed", [0, 1])
def test_unary_functions_compute_what_torch_computes(op: Any, seed: int) -> None:
    spelling = next((s for s in op.torch if hasattr(torch, s.rpartition(".")[2])), None)
    functional = next((s for s in op.torch if hasattr(torch.nn.functional, s.rpartition(".")[2])), None)
    if op.name in INTEGER_ONLY or (spelling is None and functional is None):
        x = np.arange(-4, 4)
        assert np.asarray(op.evaluate(x)).shape == x.shape
        return
    home = torch.nn.functional if functional else torch
    function = getattr(home, (functional or spelling).rpartition(".")[2])
    arguments = {"threshold": (0.5, 0.1), "clamp": (-0.5, 0.7)}.get(op.name, ())
    keywords = {"threshold": {"threshold": 0.5, "value": 0.1}, "clamp": {"min": -0.5, "max": 0.7}}.get(op.name, {})
    x = np.random.default_rng(seed).normal(size=(3, 5)) * 2
    if op.name in ("acosh", "log", "sqrt", "rsqrt", "log2", "log10", "log1p"):
        x = np.abs(x) + 1.0
    if op.name in ("asin", "acos", "atanh", "logit"):
        x = 0.5 + 0.4 * np.tanh(x)
    with np.errstate(all="ignore"):
        expected = function(torch.from_numpy(x), *arguments).numpy()
        assert op.evaluate(x, **keywords) == pytest.approx(expected, rel=1e-6, abs=1e-6, nan_ok=True)


BINARY = [
    op
    for op in OPERATORS.values()
    if op.evaluate is not None and len(op.slots) == 2 and op.family in ("elementwise", "compare")
]


@pytest.mark.parametrize("op", BINARY, ids=lambda op: op.name)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_binary_functions_keep_the_order_of_their_slots(op: Any, dtype: type) -> None:
    rng = np.random.default_rng(3)
    a, b = (rng.integers(1, 9, size=(2, 3)).astype(dtype) for _ in range(2))
    reached = 0
    for spelling in op.torch:
        if not spelling.startswith("torch.Tensor.") or (spelling.endswith("_") and not spelling.endswith("__")):
            continue
        method = spelling.removeprefix("torch.Tensor.")
        if method.startswith("__i"):
            continue
        try:
            expected = getattr(torch.from_numpy(a), method)(torch.from_numpy(b)).numpy()
        except (RuntimeError, TypeError, AttributeError):
            continue
        names = op.torch[spelling].split()
        # self comes first in torch's call: the table's first name says which role it plays
        roles = dict(zip(names, (a, b), strict=False))
        ordered = [roles[slot] for slot in op.slots]
        assert op.evaluate(*ordered) == pytest.approx(expected, rel=1e-5)
        reached += 1
    if dtype is np.float64 and op.name not in INTEGER_ONLY:
        assert reached or not any(".Tensor." in spelling for spelling in op.torch)


def test_two_entries_for_one_spelling_are_refused() -> None:
    before = len(OPERATORS)
    with pytest.raises(ValueError, match="registered twice"):
        register("relu", "activation", "input")
    assert len(OPERATORS) == before


def test_transparent_operators_take_their_signal_from_slot_0() -> None:
    for op in OPERATORS.values():
        if op.transparent:
            assert op.slots[0] in ("input", "tensors..."), op.name
