"""Shapes that the documentation of `forward` spells out, worked out with the numbers of the model's configuration.

pixel_values (`torch.Tensor` of shape `(num_images, patch_size * spatial_merge_size, num_channels)`):
"""

from __future__ import annotations

import ast
import inspect
import operator
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from initadvisor.frontends.torch_module.inputs.trial import floats, tokens

if TYPE_CHECKING:
    from initadvisor.frontends.torch_module.inputs.huggingface import Maker

_ENTRY = re.compile(r"^\s{0,8}(\w+) \(`*([^`\n]*)`* of shape `*\(([^`\n]+)\)`", re.MULTILINE)
_COUNTS = re.compile(r"(sizes|lengths|thw|ids|indices|positions)$")
"""Names of integers, whatever type the documentation gives."""

_ARITHMETIC: dict[type, Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.floordiv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}
_LARGEST = 1 << 16
"""Along one axis; what comes out larger was misread."""


def tensors(maker: Maker) -> dict[str, torch.Tensor]:
    """Argument -> a tensor of the documented shape and type, for those whose shape can be worked out."""
    text = (inspect.getdoc(maker.module.forward) or "").split("Returns:")[0]
    found: dict[str, torch.Tensor] = {}
    for name, kind, expression in _ENTRY.findall(text):
        shape = _shape(maker, expression)
        if name not in maker.arguments or shape is None:
            continue
        if "Long" in kind or "Int" in kind:
            found[name] = tokens(*shape, high=2)
        elif _COUNTS.search(name):
            found[name] = torch.ones(shape, dtype=torch.long)
        elif "Bool" in kind or name.endswith("mask"):
            found[name] = torch.ones(shape, dtype=torch.bool if "Bool" in kind else torch.long)
        else:
            found[name] = floats(*shape)
    return found


def agreed(value: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
    """A guessed value brought to the documented shape: signals take it, indices only an axis that they lack."""
    if value.is_floating_point():
        return told
    if told.dim() == 3 and value.dim() == 2:  # several choices for every sequence
        return value[:, None].repeat(1, told.shape[1], 1)
    return value


def _shape(maker: Maker, expression: str) -> tuple[int, ...] | None:
    try:
        tree = ast.parse(f"({expression},)".replace(",,", ","), mode="eval").body
    except (SyntaxError, ValueError):
        return None
    sizes = [_size(maker, part) for part in tree.elts] if isinstance(tree, ast.Tuple) else [None]
    shape = tuple(s for s in sizes if s is not None and 0 < s <= _LARGEST)
    return shape if len(shape) == len(sizes) else None


def _size(maker: Maker, part: ast.expr) -> int | None:
    if isinstance(part, ast.Constant) and isinstance(part.value, int):
        return part.value
    if isinstance(part, ast.Name):
        return _named(maker, part.id)
    if isinstance(part, ast.Attribute):  # config.hidden_size
        return _named(maker, part.attr)
    if isinstance(part, ast.BinOp) and type(part.op) in _ARITHMETIC:
        left, right = _size(maker, part.left), _size(maker, part.right)
        if left is None or right is None or (isinstance(part.op, ast.Pow) and not 0 <= right <= 4):
            return None
        try:
            return _ARITHMETIC[type(part.op)](left, right)
        except ArithmeticError:
            return None
    return None


def _named(maker: Maker, name: str) -> int | None:
    """What a word in a shape stands for."""
    if name in ("batch_size", "batch", "num_images", "num_videos", "bsz"):
        return maker.batch
    if name in ("height", "width", "image_size"):
        return maker.image_size()[name == "width"]
    if name in ("num_image_tokens", "num_patches", "total_patches", "num_tokens") and maker.takes_grid():
        return maker.grid_patches()
    size = maker.find(name)
    if isinstance(size, int):
        return size
    if "length" in name or name.startswith("seq"):
        return maker.length
    return maker.batch if name.startswith(("num_", "max_num_")) else None
