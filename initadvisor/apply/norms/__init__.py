"""Batch norms exchanged for what works at the batch size at hand: `initadvisor.convert_norms(model, "group")`."""

from initadvisor.analysis.norm_groups import group_count
from initadvisor.apply.norms.convert import KINDS, Converted, convert_norms
from initadvisor.apply.norms.layers import BatchChannelNorm, FrozenBatchNorm, ScaledWeightStandardization

__all__ = [
    "KINDS",
    "BatchChannelNorm",
    "Converted",
    "FrozenBatchNorm",
    "ScaledWeightStandardization",
    "convert_norms",
    "group_count",
]
