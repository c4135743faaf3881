"""An ONNX graph as a torch module that can be trained: one tiny module a node, the stored tensors as its parameters."""

from initadvisor.probe.onnx_torch.limits import RunLimits
from initadvisor.probe.onnx_torch.module import OnnxModule, to_module

__all__ = ["OnnxModule", "RunLimits", "to_module"]
