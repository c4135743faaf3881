"""Complex, sparse and nested tensors, vmap, functional calls, gradients inside, threads, generators of randomness."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, grad, jacrev, vmap
from torture import case, row


class _One(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(8, 8)


@case(row(2, 8), weights={"weight": "mul"}, ops=("view_as_real",))
class ComplexFilter(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(5, 2))

    def forward(self, x):
        spectrum = torch.fft.rfft(x)
        return torch.view_as_real(spectrum * torch.view_as_complex(self.weight))


@case(lambda: (torch.randn(2, 8, dtype=torch.complex64),), weights={"weight": "linear"})
class ComplexLinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 8, dtype=torch.complex64))

    def forward(self, x):
        return F.linear(x, self.weight).abs()

    # complex parameters are no float parameters: nothing is demanded of them


@case(lambda: (torch.eye(4).to_sparse(), torch.randn(4, 8)), weights={"a.weight": "linear"}, autograd=False)
class SparseAdjacency(_One):
    def forward(self, adjacency, x):
        return torch.sparse.mm(adjacency, self.a(x))


@case(row(4, 8), weights={"a.weight": "linear"}, autograd=False)
class SparseBuffer(_One):
    def __init__(self):
        super().__init__()
        self.register_buffer("adjacency", torch.eye(4).to_sparse())

    def forward(self, x):
        return self.adjacency @ self.a(x)


@case(row(2, 8), weights={"a.weight": "linear"}, autograd=False)
class SparseMadeInside(_One):
    def forward(self, x):
        h = self.a(x)
        index = torch.tensor([[0, 1], [1, 0]])
        return torch.sparse_coo_tensor(index, torch.ones(2), (2, 2)) @ h


@case(row(3, 8), weights={"a.weight": "linear"})
class VmapOverBatch(_One):
    def forward(self, x):
        return vmap(lambda row: torch.tanh(self.a(row)))(x)


@case(row(3, 8), weights={"weights": "matmul"})
class VmapOverWeights(nn.Module):
    """An ensemble: one weight matrix per member, mapped over."""

    def __init__(self):
        super().__init__()
        self.weights = nn.Parameter(torch.randn(3, 8, 8))

    def forward(self, x):
        return vmap(lambda w, row: torch.relu(row @ w))(self.weights, x)


@case(row(2, 8), weights={"a.weight": "mul", "a.bias": "linear"})
class FunctionalCall(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(8, 8)
        self.scale = nn.Parameter(torch.ones(8))

    def forward(self, x):
        made = {"weight": self.a.weight * self.scale, "bias": self.a.bias}
        return functional_call(self.a, made, (x,))


@case(row(2, 8), weights={"a.weight": "linear"}, opaque=1, autograd=False)
class InnerGradient(_One):
    """A force field: the output is the gradient of an energy with respect to the input."""

    def forward(self, x):
        with torch.enable_grad():
            x = x.requires_grad_(True)
            energy = torch.tanh(self.a(x)).sum()
            (force,) = torch.autograd.grad(energy, x, create_graph=True)
        return energy, force

    # the gradient itself is one operator without a name in the table


@case(row(2, 8), weights={"a.weight": "linear"}, opaque=1, autograd=False)
class FunctorchGradient(_One):
    def forward(self, x):
        return vmap(grad(lambda row: torch.tanh(self.a(row)).sum()))(x) + self.a(x)


@case(row(8), weights={"a.weight": "linear"}, opaque=1, autograd=False)
class Jacobian(_One):
    def forward(self, x):
        return jacrev(lambda row: torch.tanh(self.a(row)))(x).sum() + self.a(x)


@case(row(2, 8), weights={"a.weight": "linear", "b.weight": "linear"})
class Threads(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        with ThreadPoolExecutor(2) as pool:
            return torch.cat(list(pool.map(lambda layer: layer(x), (self.a, self.b))), -1)


@case(row(2, 8), weights={"a.weight": "linear"}, autograd=False)
class NoiseInside(_One):
    def forward(self, x):
        mean, log_std = self.a(x).chunk(2, -1)
        return mean + torch.randn_like(mean) * log_std.exp() + torch.randn(2, 4) * torch.empty(2, 4).normal_()


@case(row(2, 8), weights={"a.weight": "linear"}, autograd=False)
class OwnGenerator(_One):
    def __init__(self):
        super().__init__()
        self.generator = torch.Generator().manual_seed(3)

    def forward(self, x):
        return self.a(x) * torch.rand(8, generator=self.generator)


@case(row(2, 8), weights={"a.weight": "linear"}, autograd=False)
class Distribution(_One):
    def forward(self, x):
        mean, scale = self.a(x).chunk(2, -1)
        return torch.distributions.Normal(mean, F.softplus(scale)).rsample()


@case(row(2, 8), weights={"a.weight": "linear"}, autograd=False)
class GumbelChoice(_One):
    def forward(self, x):
        return F.gumbel_softmax(self.a(x), hard=True)


@case(row(2, 8), weights={"a.weight": "linear"}, autograd=False)
class NestedTensors(_One):
    def forward(self, x):
        nested = torch.nested.nested_tensor([torch.zeros(2, 8), torch.zeros(3, 8)])
        return self.a(x) + nested.to_padded_tensor(0.0).sum()


@case(row(2, 3, 16, 16), weights={"conv.weight": "conv_transpose"}, ops=("interpolate", "pad", "grid_sample"))
class ImageOperators(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.ConvTranspose2d(3, 4, 4, 2, 1)

    def forward(self, x):
        x = F.interpolate(self.conv(x), scale_factor=0.5, mode="bilinear")
        x = F.pad(x, (1, 1, 1, 1), mode="reflect")
        grid = F.affine_grid(torch.eye(2, 3).expand(2, 2, 3), (2, 4, 16, 16))
        return F.grid_sample(x, grid)


@case(row(2, 3, 16, 16), weights={"depthwise.weight": "conv", "down.weight": "conv"})
class ConvolutionZoo(nn.Module):
    def __init__(self):
        super().__init__()
        self.depthwise = nn.Conv2d(3, 6, 3, groups=3, padding="same")
        self.down = nn.Conv2d(6, 4, 2, stride=2, dilation=2, padding_mode="circular", padding=1)
        self.volume = nn.Conv3d(1, 2, (1, 2, 2))

    def forward(self, x):
        x = self.down(self.depthwise(x))
        return self.volume(x.unsqueeze(1))


@case(row(2, 8), weights={"a.weight": "linear"}, autograd=False)
class LinearAlgebra(_One):
    def forward(self, x):
        h = self.a(x)
        q, r = torch.linalg.qr(h.t() @ h + torch.eye(8))
        return torch.linalg.solve(q + torch.eye(8), r) + torch.linalg.norm(h)


@case(row(2, 8), weights={"weight": "prelu", "a.weight": "linear"})
class ManyActivations(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(8, 8)
        self.weight = nn.Parameter(torch.full((1,), 0.25))

    def forward(self, x):
        h = F.prelu(self.a(x), self.weight)
        for f in (
            F.relu6,
            F.elu,
            F.selu,
            F.celu,
            F.gelu,
            F.silu,
            F.mish,
            F.hardswish,
            F.softplus,
            F.leaky_relu,
            F.tanhshrink,
        ):
            h = f(h)
        return F.glu(h)


@case(row(2, 8), weights={"a.weight": "linear"}, autograd=False)
class InferenceModeInside(_One):
    def forward(self, x):
        with torch.inference_mode():
            return self.a(x).relu_()


@case(row(2, 8), weights={"a.weight": "linear", "b.weight": "linear"}, autograd=False)
class ForkedCalls(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        later = torch.jit.fork(self.a, x)
        return self.b(x) + torch.jit.wait(later)


@case(lambda: (torch.randn(2, 2, 16, 8),), weights={"a.weight": "linear"}, autograd=False, opaque=None)
class FlexAttention(_One):
    def forward(self, x):
        from torch.nn.attention.flex_attention import flex_attention

        q = self.a(x)
        return flex_attention(q, q, q)


@case(row(2, 8), weights={"a.weight": "linear"}, autograd=False, opaque=None)
class TracedCondition(_One):
    def forward(self, x):
        h = self.a(x)
        return torch.cond(h.sum() > 0, lambda h: h.sin(), lambda h: h.cos(), (h,))


@case(lambda: (torch.randn(2, 8), 3), weights={"a.weight": "linear"}, autograd=False)
class Recursion(_One):
    def forward(self, x, depth):
        return x if depth == 0 else self.forward(torch.tanh(self.a(x)), depth - 1)


@case(row(2, 8), weights={"a.weight": "linear"}, events=("unregistered",), autograd=False)
class ModulesInAPlainList(_One):
    def __init__(self):
        super().__init__()
        self.hidden = [nn.Linear(8, 8)]

    def forward(self, x):
        return self.a(self.hidden[0](x))


@case(row(2, 8), weights={"a.weight": "linear"}, autograd=False)
class ForwardReplaced(_One):
    """The instance's own forward hides that of the class."""

    def __init__(self):
        super().__init__()
        self.forward = lambda x: torch.relu(self.a(x))


@case(row(2, 8), weights={"table": "add"}, autograd=False)
class ClampedByTensor(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.low = nn.Parameter(torch.zeros(8)), nn.Parameter(torch.zeros(8))

    def forward(self, x):
        return torch.clamp(x + self.table, min=self.low, max=torch.tensor(3.0))
