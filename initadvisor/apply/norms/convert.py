"""Batch norms of a module exchanged for others, in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal, get_args

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize

from initadvisor.analysis.norm_groups import group_count
from initadvisor.apply.norms.layers import BatchChannelNorm, FrozenBatchNorm, ScaledWeightStandardization
from initadvisor.errors import UsageError
from initadvisor.ops.gains import gains

Kind = Literal["frozen", "sync", "group", "layer", "batch-channel", "ws", "none"]
KINDS: tuple[str, ...] = get_args(Kind)
_ALSO = {"batch_channel": "batch-channel", "none": "ws"}
"""Other spellings: "none" says what becomes of the norm, "ws" what takes its place."""
_KEEPS = ("frozen", "sync")


@dataclass(frozen=True, slots=True)
class Converted:
    """What was done.

    norms: module path -> what is there now. skipped: path -> why it was left. keeps_function: whether the model in
    evaluation mode computes what it did before, up to rounding.
    """

    norms: Mapping[str, str]
    skipped: Mapping[str, str] = field(default_factory=dict)
    keeps_function: bool = False


def convert_norms(module: nn.Module, to: Kind = "group", *, groups: int | None = None, only: str = "*") -> Converted:
    """Exchange the batch norms of a module, in place; scale, shift and running statistics are taken over.

    to: "frozen" (evaluation for good, for fine-tuning on small batches) and "sync" (statistics over all ranks) keep
        the function in evaluation mode. "group", "layer" (one group) and "batch-channel" take statistics from each
        sample; "ws" (or "none") leaves the norm out and standardises the weight in front of it (arXiv 2101.08692).
        These compute another function and need training anew: no choice of scale and shift makes a norm of one sample
        agree with fixed statistics on every input.
    groups: of a group or batch-channel norm; by default `group_count` of the channels.
    only: a glob over module paths.

    Raises UsageError for a kind that is not there, or groups that do not divide the channels.
    """
    to = _ALSO.get(to, to)  # type: ignore[assignment]
    if to not in KINDS:
        from initadvisor.rules.suggest import did_you_mean

        raise UsageError(f'there is no norm "{to}"', hint=did_you_mean(to, KINDS) or f"one of {', '.join(KINDS)}")
    found = {
        path: norm
        for path, norm in module.named_modules()
        if isinstance(norm, _BatchNorm) and path and fnmatchcase(path, only)
    }
    before = _weights_before(module) if to == "ws" else {}
    done: dict[str, str] = {}
    skipped: dict[str, str] = {}
    for path, norm in found.items():
        try:
            new = _exchanged(norm, to, groups, before.get(path))
        except ValueError as error:
            skipped[path] = str(error)
            continue
        new.train(norm.training)
        parent, _, leaf = path.rpartition(".")
        setattr(module.get_submodule(parent) if parent else module, leaf, new)
        done[path] = str(new)
    return Converted(done, skipped, keeps_function=to in _KEEPS)


def _exchanged(norm: _BatchNorm, to: Kind, groups: int | None, before: tuple[nn.Module, str] | None) -> nn.Module:
    """What stands in for a norm; raises ValueError with the reason where nothing can."""
    channels = norm.num_features
    if to == "frozen":
        return FrozenBatchNorm(norm)
    if to == "sync":
        synced: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(norm)
        return synced
    if to == "ws":
        return _without(norm, before)
    count = 1 if to == "layer" else groups or group_count(channels)
    if channels % count:
        raise UsageError(f"{count} groups do not divide {channels} channels", hint=f"{group_count(channels)} would")
    if to == "batch-channel":
        return BatchChannelNorm(norm, count)
    like = norm.weight if norm.weight is not None else norm.running_mean
    grouped = nn.GroupNorm(count, channels, norm.eps, affine=norm.affine)
    if like is not None:
        grouped.to(device=like.device, dtype=like.dtype)
    if norm.affine:
        # The parameters themselves: an optimizer that holds them goes on holding the right ones.
        grouped.weight, grouped.bias = norm.weight, norm.bias
    return grouped


def _without(norm: _BatchNorm, before: tuple[nn.Module, str] | None) -> nn.Module:
    """Nothing in place of the norm, its shift kept as the bias of the layer in front."""
    if before is None:
        raise ValueError("no convolution or linear layer of its own stands right before it")
    layer, activation = before
    gain = gains(activation).nf_gamma
    weight = layer.get_parameter("weight")
    parametrize.register_parametrization(layer, "weight", ScaledWeightStandardization(weight, gain))
    if getattr(layer, "bias", None) is None and norm.affine:
        layer.register_parameter("bias", nn.Parameter(norm.bias.detach().clone()))
    return nn.Identity()


def _weights_before(module: nn.Module) -> dict[str, tuple[nn.Module, str]]:
    """Norm path -> the convolution or linear layer that feeds it alone, and the activation behind the norm."""
    from initadvisor import frontends
    from initadvisor.analysis import structure

    graph = structure.describe(frontends.load(module))
    acts: dict[str, str] = {layer.name: layer.activation.name for layer in graph.layers if layer.activation is not None}
    kinds: tuple[Callable[..., nn.Module], ...] = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    found: dict[str, tuple[nn.Module, str]] = {}
    modules = dict(module.named_modules())
    for layer in graph.layers:
        own = modules.get(layer.name)
        if layer.norm_after and isinstance(own, kinds) and not layer.tied_to:  # type: ignore[arg-type]
            found[layer.norm_after] = (own, acts.get(layer.norm_after, acts.get(layer.name, "linear")))
    return found
