"""LoRA's two factors."""

from __future__ import annotations

from math import sqrt

from initadvisor.graph import Layout
from initadvisor.initializers.distributions import Constant, Normal, Uniform
from initadvisor.initializers.registry import distribution_method


@distribution_method("lora_a")
def lora_a(shape: tuple[int, ...], layout: Layout) -> Uniform:
    """The first factor of a LoRA update.

    Formula: A ~ U(-1 / sqrt(fan_in), 1 / sqrt(fan_in)), with B = 0 the update B A starts at 0.
    Use: LoRA's A.
    Caveat: with B drawn too the adapter disturbs the pretrained model; with A zero too it never learns.
    Source: Hu et al. 2021, arXiv 2106.09685, and microsoft/LoRA (kaiming_uniform_ with a = sqrt(5)).
    """
    return Uniform(1.0 / sqrt(layout.fan_in(shape)))


@distribution_method("lora_a_gaussian")
def lora_a_gaussian(shape: tuple[int, ...], layout: Layout, *, rank: int) -> Normal:
    """The Gaussian variant of LoRA's first factor.

    Formula: A ~ N(0, 1 / rank^2).
    Use: LoRA's A where the paper's Gaussian is wanted.
    Caveat: as `lora_a`; its scale ignores fan_in.
    Source: peft's "gaussian" option; Hu et al. 2021, arXiv 2106.09685.
    """
    return Normal(1.0 / rank)


@distribution_method("lora_b")
def lora_b(shape: tuple[int, ...], layout: Layout) -> Constant:
    """The second factor of a LoRA update.

    Formula: B = 0.
    Use: LoRA's B, with A drawn by `lora_a`.
    Caveat: A's gradient is exactly 0 at the first step: that is by design.
    Source: Hu et al. 2021, arXiv 2106.09685.
    """
    return Constant(0.0)
