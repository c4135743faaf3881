"""What torch draws in nn.Linear and nn.Conv where nobody asks for anything else."""

from __future__ import annotations

from math import sqrt

from initadvisor.graph import Layout
from initadvisor.initializers.distributions import Uniform
from initadvisor.initializers.registry import distribution_method


@distribution_method("pytorch_default")
def pytorch_default(shape: tuple[int, ...], layout: Layout) -> Uniform:
    """The default of torch's linear and convolution weights, a third of LeCun's variance.

    Formula: W ~ U(-1 / sqrt(f), 1 / sqrt(f)), f the fan_in that torch computes from axis 1 and the kernel.
    Use: to reproduce a torch model; LoRA's A.
    Caveat: a ReLU stack without normalization loses a factor 6 of its second moment a layer.
    Source: torch.nn.Linear.reset_parameters (kaiming_uniform_ with a = sqrt(5)).
    """
    return Uniform(1.0 / sqrt(max(layout.conventional_fans(shape)[0], 1)))
