"""PyTorch modules as graphs: one eager forward pass, recorded on virtual tensors."""

from initadvisor.frontends.torch_module.load import load
from initadvisor.frontends.torch_module.wrappers import unwrap

__all__ = ["load", "unwrap"]
