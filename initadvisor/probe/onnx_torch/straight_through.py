"""Where quantized codes may be carried as floats, so that a gradient passes from DequantizeLinear to QuantizeLinear."""

from __future__ import annotations

from initadvisor.probe.onnx_torch.program import Program, Step

_MAKERS = frozenset(
    {
        "QuantizeLinear",
        "com.microsoft::QuantizeLinear",
        "DynamicQuantizeLinear",
        "QLinearConv",
        "QLinearMatMul",
        "com.microsoft::QLinearAdd",
        "com.microsoft::QLinearMul",
        "com.microsoft::QGemm",
        "com.microsoft::QLinearConcat",
        "com.microsoft::QLinearGlobalAveragePool",
        "com.microsoft::QLinearLeakyRelu",
        "com.microsoft::QLinearSigmoid",
        "com.microsoft::QLinearSoftmax",
    }
)
_ENDS: dict[str, tuple[int, ...]] = {
    "DequantizeLinear": (0,),
    "com.microsoft::DequantizeLinear": (0,),
    "Cast": (0,),
    "QLinearConv": (0,),
    "QLinearMatMul": (0, 3),
    "com.microsoft::QLinearAdd": (0, 3),
    "com.microsoft::QLinearMul": (0, 3),
    "com.microsoft::QLinearConcat": tuple(range(2, 200, 3)),
    "com.microsoft::QGemm": (0,),
    "com.microsoft::QLinearGlobalAveragePool": (0,),
    "com.microsoft::QLinearLeakyRelu": (0,),
    "com.microsoft::QLinearSigmoid": (0,),
    "com.microsoft::QLinearSoftmax": (0,),
}
"""Operators that turn codes into numbers, and the inputs by which they read codes."""

_THROUGH = frozenset(
    {
        "ConvInteger",
        "Expand",
        "Flatten",
        "Gather",
        "Identity",
        "MatMulInteger",
        "MaxPool",
        "Reshape",
        "Slice",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    }
)
"""Operators whose result is codes in another arrangement, or sums of their products, by their first input."""


def carry_codes(program: Program) -> None:
    """Mark the steps of a program whose codes are read only where floats of the same numbers do as well."""
    readers: dict[str, list[tuple[Step, int]]] = {}
    for step in program.steps:
        for at, name in enumerate(step.inputs):
            readers.setdefault(name, []).append((step, at))
    fine: dict[str, bool] = {}
    for step in reversed(program.steps):
        for name in step.outputs:
            fine[name] = name not in program.outputs and all(
                _reads_codes(reader, at, fine) for reader, at in readers.get(name, ())
            )
        if step.node.spelling in _MAKERS:
            step.node.carry_codes(fine[step.outputs[0]])


def _reads_codes(reader: Step, at: int, fine: dict[str, bool]) -> bool:
    kind = reader.node.spelling
    if at in _ENDS.get(kind, ()):
        return True
    through = (kind in _THROUGH and at == 0) or kind == "Concat"
    return through and len(reader.outputs) == 1 and fine.get(reader.outputs[0], False)
