"""Code that the recorder cannot look into from Python: custom functions, TorchScript, registered operators."""

from __future__ import annotations

import torch
from torch import nn
from torture import case, row


class _Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, beta):
        ctx.save_for_backward(x, beta)
        return x * torch.sigmoid(beta * x)

    @staticmethod
    def backward(ctx, g):
        x, beta = ctx.saved_tensors
        s = torch.sigmoid(beta * x)
        return g * (s + x * beta * s * (1 - s)), (g * x * x * s * (1 - s)).sum().reshape(beta.shape)


@case(row(2, 8), weights={"a.weight": "linear", "beta": "mul"}, ops=("sigmoid",))
class CustomFunction(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.beta = nn.Linear(8, 8), nn.Parameter(torch.ones(()))

    def forward(self, x):
        return _Swish.apply(self.a(x), self.beta)


class _Split(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return x[:, :4].clone(), x

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, first, second):
        return second + torch.nn.functional.pad(first, (0, 4))


@case(row(2, 8), weights={"a.weight": "linear"})
class CustomFunctionOfSeveralOutputs(nn.Module):
    """One output is the input itself: torch hands out a view of it."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x):
        first, second = _Split.apply(self.a(x))
        return first.sum() + self.b(second)


class _Inplace(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)

    @staticmethod
    def backward(ctx, g):
        return g * 2


@case(row(2, 8), weights={"a.weight": "linear"})
class CustomInplaceFunction(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(8, 8)

    def forward(self, x):
        return _Inplace.apply(self.a(x).clone()) + 1


class _Scripted(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.relu(self.inner(x))
        if h.shape[0] > 1:
            h = h * 2
        return h


@case(row(2, 8), weights={"part.inner.weight": "addmm", "head.weight": "linear"}, ops=("relu",), autograd=False)
class ScriptedPart(nn.Module):
    def __init__(self):
        super().__init__()
        self.part, self.head = torch.jit.script(_Scripted()), nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.part(x))


@case(row(2, 8), weights={"inner.weight": "addmm"}, autograd=False)
def ScriptedWhole():
    return torch.jit.script(_Scripted())


@case(row(2, 8), weights={"inner.weight": "addmm"}, autograd=False)
def TracedWhole():
    return torch.jit.trace(_Scripted(), torch.randn(2, 8))


@torch.jit.script
def _fused(x: torch.Tensor) -> torch.Tensor:
    return x * torch.sigmoid(x)


@case(row(2, 8), weights={"a.weight": "linear", "b.weight": "linear"}, autograd=False)
class ScriptedFunction(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        return self.b(_fused(self.a(x)))


@torch.library.custom_op("torture::double", mutates_args=())
def _double(x: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(x.detach().numpy() * 2).clone()


@_double.register_fake
def _(x):
    return torch.empty_like(x)


@case(row(2, 8), weights={"a.weight": "linear"}, opaque=1, autograd=False)
class RegisteredOperator(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(8, 8)

    def forward(self, x):
        return torch.ops.torture.double(self.a(x))


@torch.library.custom_op("torture::shapeless", mutates_args=())
def _shapeless(x: torch.Tensor) -> torch.Tensor:
    return x.sum(-1)


@case(row(2, 8), weights={"a.weight": "linear"}, opaque=1, events=("kernel",), autograd=False)
class OperatorWithoutShapeRule(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(8, 8)

    def forward(self, x):
        return torch.ops.torture.shapeless(self.a(x))


@case(row(2, 8), weights={"a.weight": "linear"})
class AtenOperators(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(8, 8)

    def forward(self, x):
        h = torch.ops.aten.linear.default(x, self.a.weight, self.a.bias)
        return torch.ops.aten.relu(h) + torch.ops.aten.native_layer_norm.default(h, [8], None, None, 1e-5)[0]


class _Subclass(torch.Tensor):
    pass


@case(row(2, 8), weights={"a.weight": "linear"}, autograd=False)
class TensorSubclassParameter(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(8, 8)
        self.a.weight = nn.Parameter(torch.randn(8, 8).as_subclass(_Subclass))

    def forward(self, x):
        return self.a(x)


@case(row(2, 8), weights={"a.weight": "linear"}, autograd=False)
class SubclassInside(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(8, 8)

    def forward(self, x):
        return self.a(x.as_subclass(_Subclass)).as_subclass(torch.Tensor) * 2


@torch.library.custom_op("torture::halve_", mutates_args=("x",))
def _halve(x: torch.Tensor) -> None:
    x.mul_(0.5)


@_halve.register_fake
def _(x):
    return None


@case(row(2, 8), weights={"a.weight": "linear"}, opaque=1, autograd=False)
class RegisteredInplaceOperator(nn.Module):
    """A registered operator that writes its argument and returns nothing."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        h = self.a(x)
        torch.ops.torture.halve_(h)
        return self.b(h)
