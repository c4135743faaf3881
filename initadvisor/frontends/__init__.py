"""Reading a target into a `Graph`, whatever it is: a file, a reference such as `torchvision:resnet50`, a module."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from initadvisor.errors import FormatError, NotFoundError
from initadvisor.frontends.options import LoadOptions

if TYPE_CHECKING:
    from initadvisor.graph import Graph

__all__ = ["LoadOptions", "load"]

_STATE_DICTS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".index.json")
_PROGRAMS = (".pt2", ".torchscript", ".ptl")


def load(target: Any, options: LoadOptions | None = None) -> Graph:
    """Return the graph of a path, a reference or a live `torch.nn.Module`.

    A path ends in .onnx, .safetensors, .pt, .pth, .bin, .ckpt or .pt2; a reference is `package.module:factory`,
    `torchvision:NAME`, `timm:NAME` or `hf:NAME_OR_CONFIG`. Torch is imported only for targets that need it.
    Raises a LoadError that says what is wrong, UnsafeError for files that hold code unless `options.allow_pickle`.
    """
    options = options or LoadOptions()
    if not isinstance(target, str | os.PathLike):
        return _load_object(target, options)
    text = os.fspath(target)
    lower = text.lower()
    if lower.endswith((".onnx", ".onnx.textproto")):
        from initadvisor.frontends import onnx_model

        return onnx_model.load(text, options)
    if lower.endswith(_PROGRAMS) or (lower.endswith((".pt", ".pth")) and _holds_program(text)):
        from initadvisor.frontends.torch_module import programs

        return programs.load(text, options)
    if lower.endswith(_STATE_DICTS):
        from initadvisor.frontends import checkpoint

        return checkpoint.load(text, options)
    if ":" in text and not os.path.exists(text):
        from initadvisor.frontends import references

        return references.load(text, options)
    if not os.path.exists(text):
        raise NotFoundError(f"there is no file {text!r}", hint=_FORMS)
    if os.path.isdir(text):
        files = os.path.join(text, "*.onnx")
        raise FormatError(f"{text} is a folder", hint=f'"{files}" names the files in it')
    if lower.endswith(".py"):
        module = os.path.splitext(os.path.basename(text))[0]
        raise FormatError(
            f"{text} is Python source, and may build many models", hint=f"name the function: {module}:FUNCTION"
        )
    raise FormatError(f"{text} has no suffix that says what it is", hint=_FORMS)


_FORMS = "a target is a .onnx, .safetensors, .pt or .pt2 file, package.module:factory, torchvision:, timm: or hf:NAME"


def _load_object(target: Any, options: LoadOptions) -> Graph:
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(target, torch.nn.Module):
        from initadvisor.frontends import torch_module

        return torch_module.load(target, options)
    kind = f"{type(target).__module__}.{type(target).__qualname__}"
    raise FormatError(f"cannot read an object of type {kind}", hint="pass a torch.nn.Module, or the path of a file")


def _holds_program(path: str) -> bool:
    """Whether a `.pt` file is a TorchScript archive: a zip with a `code/` folder."""
    import zipfile

    try:
        if not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as archive:
            return any("/code/" in f"/{name}" for name in archive.namelist()[:10_000])
    except (OSError, zipfile.BadZipFile, ValueError):
        return False
