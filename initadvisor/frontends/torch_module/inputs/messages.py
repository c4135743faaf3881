"""What an error message spells out: placeholder tokens of images and sounds, shapes in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import nn

from initadvisor.frontends.torch_module.failure import ForwardFailed
from initadvisor.frontends.torch_module.inputs import huggingface
from initadvisor.frontends.torch_module.inputs.edits import arguments, exchanged, input_at, like
from initadvisor.frontends.torch_module.inputs.trial import Trial


def placeholders(module: nn.Module, trial: Trial, failed: ForwardFailed) -> Iterator[Trial]:
    """`Image features and image tokens do not match: tokens: 0, features 576`: that many tokens stand for the image."""
    match = re.search(
        r"(image|video|audio|speech)\w* (features|tokens).*?tokens?:? *(\d+).*?features:? *(\d+)", failed.text, re.I
    )
    ids = trial.kwargs.get("input_ids")
    if match is None or not isinstance(ids, torch.Tensor) or not huggingface.is_model(module):
        return
    token = huggingface.Maker(module).placeholder(match.group(1).lower())
    if token is None:
        return
    wanted, width = int(match.group(4)), 0
    hidden = int(huggingface.Maker(module).find("hidden_size", "d_model", part="text", default=1))
    elements = wanted > 8 * hidden and wanted % hidden == 0  # some models count numbers, not tokens
    for count in dict.fromkeys((wanted // hidden if elements else wanted, wanted * (1 if elements else ids.shape[0]))):
        each = -(-count // ids.shape[0])
        kept = torch.where(ids == token, torch.full_like(ids, (token + 1) % 50), ids)
        width = max(ids.shape[1], each + 4)
        filled = kept[:, torch.arange(width) % ids.shape[1]].contiguous()
        flat = filled[:, 1:-1].reshape(ids.shape[0], -1)
        flat[:, :each] = token
        filled[:, 1:-1] = flat
        extra = each * ids.shape[0] - count
        if extra:
            filled[-1, 1 : 1 + extra] = (token + 1) % 50
        changed = {k: v for k, v in trial.kwargs.items() if k not in ("attention_mask", "position_ids")}
        yield replace(trial, kwargs={**changed, "input_ids": filled}, note=f"{count} {match.group(1).lower()} tokens")


_SIZES = {
    "batch": 2,
    "channel": 3,
    "height": 64,
    "width": 64,
    "frame": 4,
    "length": 16,
    "seq": 16,
    "time": 16,
    "num": 2,
}
"""Words in a spelt-out shape -> an example size."""


def spelled_out(module: nn.Module, trial: Trial, failed: ForwardFailed) -> Iterator[Trial]:
    """`Input must be a 5D tensor of shape (batch_size, 2, num_channels, height, width)`."""
    match = re.search(r"shape:? *[\(\[]([a-z_ ]+,[a-z_0-9, ]+)[\)\]]", failed.text)
    name = next((label for label, value in arguments(trial) if isinstance(value, torch.Tensor)), None)
    own = input_at(trial, name) if name else None
    if match is None or name is None or own is None:
        return
    shape = []
    for word in (w.strip() for w in match.group(1).split(",")):
        size = next((s for key, s in _SIZES.items() if key in word), None)
        if word.isdigit() or size is not None:
            shape.append(int(word) if word.isdigit() else int(size or 1))
    if len(shape) == match.group(1).count(",") + 1:
        if "height" in match.group(1) and own.dim() >= 4:
            shape[-2:] = own.shape[-2:]
        yield exchanged(trial, name, like(own, shape))
