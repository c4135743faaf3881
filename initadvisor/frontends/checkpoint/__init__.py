"""State dicts: files that hold named tensors and no graph (`.safetensors`, `.pt`, `.pth`, `.bin`, `.ckpt`)."""

from initadvisor.frontends.checkpoint.load import load

__all__ = ["load"]
