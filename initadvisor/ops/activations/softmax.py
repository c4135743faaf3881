"""Entries of what is normalised over an axis: softmax and its kin."""

from initadvisor.ops.registry import register
from initadvisor.ops.spelling import functional, spell

register(
    "softmax",
    "attention",
    "input",
    torch=spell("softmax", "input dim", also="torch.special.softmax") | functional("softmax", "input dim _stacklevel"),
    onnx={"Softmax": {"axis": "dim"}},
)
register("softmin", "attention", "input", torch=functional("softmin", "input dim"))
register(
    "log_softmax",
    "attention",
    "input",
    torch=spell("log_softmax", "input dim", also="torch.special.log_softmax")
    | {"torch.nn.functional.log_softmax": "input dim _stacklevel"},
    onnx={"LogSoftmax": {"axis": "dim"}},
)
register(
    "gumbel_softmax",
    "attention",
    "input",
    torch=functional("gumbel_softmax", "input tau hard eps dim"),
    torch_keywords={"logits": "input"},
)
register("hardmax", "attention", "input", onnx={"Hardmax": {"axis": "dim"}})
