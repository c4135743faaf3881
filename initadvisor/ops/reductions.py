"""Reductions over axes. `dim` is one axis, several, or None for all."""

from __future__ import annotations

from initadvisor.ops.registry import register
from initadvisor.ops.spelling import spell

_AXES = {"axes": "dim", "keepdims": "keepdim"}


def _reduce(name: str, torch: dict[str, str], onnx: str = "") -> None:
    register(
        name,
        "reduce",
        "input",
        torch=torch,
        onnx={onnx: _AXES} if onnx else {},
        onnx_inputs={onnx: "input dim"} if onnx else {},
        onnx_defaults={onnx: {"keepdim": 1}} if onnx else {},
    )


_reduce("sum", spell("sum nansum", "input dim keepdim"), "ReduceSum")
_reduce("mean", spell("mean nanmean", "input dim keepdim"), "ReduceMean")
_reduce("max", spell("max", "input dim keepdim"))
_reduce("min", spell("min", "input dim keepdim"))
_reduce("amax", spell("amax", "input dim keepdim"), "ReduceMax")
_reduce("amin", spell("amin", "input dim keepdim"), "ReduceMin")
_reduce("aminmax", spell("aminmax", "input"))
_reduce("prod", spell("prod", "input dim keepdim"), "ReduceProd")
_reduce("logsumexp", spell("logsumexp", "input dim keepdim", also="torch.special.logsumexp"), "ReduceLogSumExp")
_reduce("log_sum", {}, "ReduceLogSum")
_reduce("l1_norm", {}, "ReduceL1")
_reduce("l2_norm", {}, "ReduceL2")
_reduce("square_sum", {}, "ReduceSumSquare")
_reduce("var", spell("var", "input dim correction keepdim"))
_reduce("std", spell("std", "input dim correction keepdim"))
_reduce("var_mean", {"torch.var_mean": "input dim correction keepdim"})
_reduce("std_mean", {"torch.std_mean": "input dim correction keepdim"})
_reduce(
    "vector_norm",
    {
        "torch.functional.norm": "input p dim keepdim",
        "torch.norm": "input p dim keepdim",
        "torch.Tensor.norm": "input p dim keepdim",
        "torch.linalg.norm": "input p dim keepdim",
        "torch.linalg.vector_norm": "input p dim keepdim",
        "torch.frobenius_norm": "input dim keepdim",
    },
)
_reduce("matrix_norm", {"torch.linalg.matrix_norm": "input p dim keepdim"})
_reduce("median", spell("median nanmedian", "input dim keepdim"))
_reduce("quantile", spell("quantile nanquantile", "input q dim keepdim"))
_reduce("kthvalue", spell("kthvalue", "input k dim keepdim"))
_reduce("mode", spell("mode", "input dim keepdim"))
_reduce("all", spell("all", "input dim keepdim") | {"torch._is_all_true": "input"})
_reduce("any", spell("any", "input dim keepdim"))
_reduce("count_nonzero", spell("count_nonzero", "input dim"))
_reduce("trace", spell("trace", "input"))
for _name, _onnx in (("argmax", "ArgMax"), ("argmin", "ArgMin")):
    register(
        _name,
        "reduce",
        "input",
        torch=spell(_name, "input dim keepdim"),
        onnx={_onnx: {"axis": "dim", "keepdims": "keepdim"}},
        onnx_defaults={_onnx: {"dim": 0, "keepdim": 1}},
    )
register(
    "cumsum",
    "reduce",
    "input",
    torch=spell("cumsum", "input dim", inplace=True),
    onnx="CumSum",
    onnx_inputs={"CumSum": "input dim"},
)
register(
    "cumprod",
    "reduce",
    "input",
    torch=spell("cumprod", "input dim", inplace=True),
    onnx="CumProd",
    onnx_inputs={"CumProd": "input dim"},
)
for _name in ("cummax", "cummin", "logcumsumexp"):
    register(_name, "reduce", "input", torch=spell(_name, "input dim"))
register("diff", "reduce", "input", torch=spell("diff", "input n dim"))
register("sum_to_size", "reduce", "input", torch="torch.Tensor.sum_to_size")
register("det", "reduce", "input", torch=spell("det", "input", also="torch.linalg.det"), onnx="Det")
