"""Norms, and a stand-in for one, that torch does not bring along."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


class FrozenBatchNorm(nn.Module):  # type: ignore[misc]
    """A batch norm in evaluation for good: y = (x - mean) weight / sqrt(var + eps) + bias, all four of them buffers.

    x: (samples, channels, ...). The state dict has the keys of the batch norm that it stands in for.
    """

    num_batches_tracked: torch.Tensor | None
    of_batch = False
    """No statistics of the batch are used, in training either: rules on small batches have nothing to say."""

    def __init__(self, norm: _BatchNorm) -> None:
        """norm: a batch norm with running statistics; raises ValueError without them."""
        super().__init__()
        if norm.running_mean is None or norm.running_var is None:
            raise ValueError("a batch norm without running statistics cannot be frozen")
        self.num_features, self.eps = norm.num_features, norm.eps
        affine = norm.weight is not None
        for name, value in (
            ("weight", norm.weight if affine else torch.ones_like(norm.running_var)),
            ("bias", norm.bias if affine else torch.zeros_like(norm.running_mean)),
            ("running_mean", norm.running_mean),
            ("running_var", norm.running_var),
            ("num_batches_tracked", norm.num_batches_tracked),
        ):
            self.register_buffer(name, None if value is None else value.detach().clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise by the stored statistics; gradients reach x alone."""
        return nn.functional.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=False,
            eps=self.eps,  # type: ignore[arg-type]
        )

    def extra_repr(self) -> str:
        """Size and eps, as torch's norms print them."""
        return f"{self.num_features}, eps={self.eps}"


class BatchChannelNorm(nn.Module):  # type: ignore[misc]
    """A batch norm by running statistics, then a group norm: y = GN(BN(x)).

    The statistics of the whole set keep channels from falling silent; those of the sample need no batch. The batch
    part uses its running estimates in training too, updated by small steps. Source: Qiao et al. 2019,
    arXiv 1911.09738.
    """

    of_batch = False
    """The batch part uses its running estimates in training too."""

    def __init__(self, norm: _BatchNorm, groups: int) -> None:
        """norm: the batch norm whose scale, shift and statistics are taken over, by reference."""
        super().__init__()
        self.num_features, self.eps, self.momentum = norm.num_features, norm.eps, norm.momentum
        self.weight, self.bias = norm.weight, norm.bias
        mean, var = norm.running_mean, norm.running_var
        like = {"device": norm.weight.device, "dtype": norm.weight.dtype} if norm.weight is not None else {}
        self.register_buffer("running_mean", mean if mean is not None else torch.zeros(norm.num_features, **like))  # type: ignore[arg-type]
        self.register_buffer("running_var", var if var is not None else torch.ones(norm.num_features, **like))  # type: ignore[arg-type]
        self.channel = nn.GroupNorm(groups, norm.num_features, norm.eps, **like)  # type: ignore[arg-type]

    running_mean: torch.Tensor
    running_var: torch.Tensor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: (samples, channels, ...)."""
        if self.training:
            with torch.no_grad():
                over = [axis for axis in range(x.ndim) if axis != 1]
                rate = self.momentum if self.momentum is not None else 0.1
                self.running_mean.lerp_(x.mean(over).to(self.running_mean.dtype), rate)
                self.running_var.lerp_(x.var(over, unbiased=False).to(self.running_var.dtype), rate)
        y = nn.functional.batch_norm(
            x, self.running_mean.clone(), self.running_var.clone(), self.weight, self.bias, training=False, eps=self.eps
        )
        out: torch.Tensor = self.channel(y)
        return out

    def extra_repr(self) -> str:
        """Size, eps and momentum, as torch's norms print them."""
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"


class ScaledWeightStandardization(nn.Module):  # type: ignore[misc]
    """A parametrization of a weight: W' = g gain (W - mean) / (std sqrt(fan_in)), statistics for each output unit.

    Each unit's pre-activation then has the variance of its input whatever the elements of W, so no norm behind it is
    needed at the start. gain: 1 / sqrt(E[f(z)^2] - E[f(z)]^2) for the activation f behind, 1.7139 for a ReLU.
    Source: Brock et al. 2021, arXiv 2101.08692, equation 1.
    """

    def __init__(self, weight: torch.Tensor, gain: float, eps: float = 1e-4) -> None:
        """weight: (out, in / groups, ...), for its sizes."""
        super().__init__()
        self.gain, self.eps = gain, eps
        self.scale = nn.Parameter(weight.new_ones(weight.shape[0], *[1] * (weight.ndim - 1)))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The weight to compute with, of the same shape."""
        over = tuple(range(1, weight.ndim))
        var, mean = torch.var_mean(weight, over, unbiased=False, keepdim=True)
        fan_in = weight[0].numel()
        return self.scale * self.gain * (weight - mean) * torch.rsqrt(torch.clamp(var * fan_in, min=self.eps))
