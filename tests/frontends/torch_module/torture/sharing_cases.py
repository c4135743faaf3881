"""Weights that are shared, tied, computed, sliced: every one keeps its link to the parameter."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune, weight_norm
from torture import case, row


def ids(*shape: int):
    return lambda: (torch.randint(0, 10, shape),)


@case(ids(2, 5), weights={"embedding.weight": "embedding"}, ties={"embedding.weight": ("head.weight",)})
class TiedEmbedding(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 8)
        self.head = nn.Linear(8, 10, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids):
        return self.head(self.embedding(ids))


@case(ids(2, 5), weights={"embedding.weight": "linear"})
class TiedFunctionally(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 8)

    def forward(self, ids):
        return F.linear(torch.relu(self.embedding(ids)), self.embedding.weight)


@case(ids(2, 5), weights={"embedding.weight": "matmul"})
class TiedByTranspose(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 8)

    def forward(self, ids):
        return self.embedding(ids) @ self.embedding.weight.t()


@case(
    row(2, 8),
    weights={"block.weight": "linear"},
    ties={"block.weight": ("again.weight",), "block.bias": ("again.bias",)},
)
class SharedModule(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = nn.Linear(8, 8)
        self.again = self.block

    def forward(self, x):
        return self.again(torch.relu(self.block(x)))


@case(row(2, 8), weights={"a.weight": "linear"}, ties={"a.weight": ("b.weight",)})
class TiedStorage(nn.Module):
    """Two Parameter objects over one memory."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(8, 8, bias=False)
        self.b = nn.Linear(8, 8, bias=False)
        self.b.weight.data = self.a.weight.data

    def forward(self, x):
        return self.b(torch.relu(self.a(x)))


@case(row(2, 8), weights={"layer.weight": "linear"})
class CalledManyTimes(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x):
        for _ in range(5):
            x = x + torch.tanh(self.layer(x))
        return x


@case(row(2, 8), weights={"used.weight": "linear"}, unreached=("spare.weight", "spare.bias"), events=("unused",))
class NeverCalled(nn.Module):
    def __init__(self):
        super().__init__()
        self.used = nn.Linear(8, 8)
        self.spare = nn.Linear(8, 8)

    def forward(self, x):
        return self.used(x)


@case(row(2, 8), weights={"used.weight": "linear"}, unreached=("probe.weight", "probe.bias"))
class ResultThrownAway(nn.Module):
    def __init__(self):
        super().__init__()
        self.used = nn.Linear(8, 8)
        self.probe = nn.Linear(8, 8)

    def forward(self, x):
        self.probe(x)
        return self.used(x)


@case(row(2, 8), weights={"used.weight": "linear"})
class UsedWithoutCall(nn.Module):
    """The weights of a module are used, the module itself is never called."""

    def __init__(self):
        super().__init__()
        self.used = nn.Linear(8, 8)

    def forward(self, x):
        return F.linear(x, self.used.weight, self.used.bias)


@case(row(2, 5, 8), weights={"qkv.weight": "linear", "qkv.bias": "linear"})
class SlicedFusedWeight(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(8, 24)

    def forward(self, x):
        w, b = self.qkv.weight, self.qkv.bias
        q = F.linear(x, w[:8], b[:8])
        k, v = (F.linear(x, w[i : i + 8], b[i : i + 8]) for i in (8, 16))
        return F.scaled_dot_product_attention(q, k, v)


@case(row(2, 5, 8), weights={"weight": "linear"}, ops=("chunk",))
class ChunkedWeight(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(16, 8))

    def forward(self, x):
        gate, up = self.weight.chunk(2)
        return F.silu(F.linear(x, gate)) * F.linear(x, up)


@case(row(2, 8), weights={"weight": "einsum"})
class EinsumWeight(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 2, 4))
        self.out = nn.Parameter(torch.randn(2, 4, 8))

    def forward(self, x):
        return torch.einsum("bhd,hdo->bo", torch.einsum("bi,ihd->bhd", x, self.weight), self.out)


@case(row(2, 8), weights={"weight": "matmul"})
class ReshapedWeight(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(64))

    def forward(self, x):
        return x @ self.weight.view(8, 8).t().contiguous()


@case(
    row(2, 8),
    weights={"parametrizations.weight.original0": "weight_norm", "parametrizations.weight.original1": "weight_norm"},
)
def NewWeightNorm():
    return parametrizations.weight_norm(nn.Linear(8, 4))


@case(row(2, 8), weights={"weight_g": "weight_norm", "weight_v": "weight_norm"})
def OldWeightNorm():
    return weight_norm(nn.Linear(8, 4))


@case(row(2, 8), weights={"bias": "linear"})
def SpectralNorm():
    return parametrizations.spectral_norm(nn.Linear(8, 4))


@case(row(2, 8), weights={"bias": "linear"})
def OldSpectralNorm():
    return nn.utils.spectral_norm(nn.Linear(8, 4))


@case(row(2, 8), autograd=False)
def OrthogonalParametrization():
    return parametrizations.orthogonal(nn.Linear(8, 8))


class _Symmetric(nn.Module):
    def forward(self, w):
        return w.triu() + w.triu(1).transpose(-1, -2)


@case(row(2, 8), weights={"parametrizations.weight.original": "triu"})
def UserParametrization():
    layer = nn.Linear(8, 8)
    parametrize.register_parametrization(layer, "weight", _Symmetric())
    return layer


@case(row(2, 8), weights={"weight_orig": "mul"})
def Pruned():
    layer = nn.Linear(8, 8)
    prune.l1_unstructured(layer, "weight", amount=0.5)
    return layer


@case(row(2, 8), weights={"base.weight": "linear", "lora_a": "linear", "lora_b": "linear"})
class LoraByHand(nn.Module):
    def __init__(self):
        super().__init__()
        self.base = nn.Linear(8, 8)
        self.lora_a = nn.Parameter(torch.randn(2, 8))
        self.lora_b = nn.Parameter(torch.zeros(8, 2))

    def forward(self, x):
        return self.base(x) + F.linear(F.linear(x, self.lora_a), self.lora_b) * 0.5


@case(row(2, 8), weights={"lora_a": "matmul", "lora_b": "matmul"})
class LoraMerged(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 8))
        self.lora_a = nn.Parameter(torch.randn(2, 8))
        self.lora_b = nn.Parameter(torch.zeros(8, 2))

    def forward(self, x):
        return F.linear(x, self.weight + self.lora_b @ self.lora_a)


@case(row(2, 8))
class HyperNetwork(nn.Module):
    """The weights of the main layer are the output of another network."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(4))
        self.maker = nn.Linear(4, 8 * 8 + 8)

    def forward(self, x):
        made = self.maker(self.embedding)
        return F.linear(x, made[:64].view(8, 8), made[64:])


@case(row(2, 8))
class ParameterContainers(nn.Module):
    def __init__(self):
        super().__init__()
        self.list = nn.ParameterList([nn.Parameter(torch.randn(8, 8)) for _ in range(3)])
        self.dict = nn.ParameterDict({"scale": nn.Parameter(torch.ones(8)), "shift": nn.Parameter(torch.zeros(8))})

    def forward(self, x):
        for w in self.list:
            x = torch.relu(x @ w)
        return x * self.dict["scale"] + self.dict["shift"]


@case(row(2, 8), weights={"experts": "matmul"}, autograd=False)
class ExpertBank(nn.Module):
    def __init__(self):
        super().__init__()
        self.router = nn.Linear(8, 4)
        self.experts = nn.Parameter(torch.randn(4, 8, 8))

    def forward(self, x):
        scores, index = self.router(x).softmax(-1).topk(2)
        return (x[:, None, None] @ self.experts[index]).squeeze(2).mul(scores[..., None]).sum(1)


@case(row(2, 8), weights={"weight": "linear"})
class HalfPrecisionWeight(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 8, dtype=torch.bfloat16))

    def forward(self, x):
        return F.linear(x, self.weight.to(x.dtype))


@case(row(2, 8), weights={"a.weight": "linear"}, autograd=False)
class FrozenCopy(nn.Module):
    """A momentum copy of the encoder, as in BYOL: updated in the forward pass, detached."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(8, 8)
        self.target = nn.Linear(8, 8)

    def forward(self, x):
        with torch.no_grad():
            for p, q in zip(self.a.parameters(), self.target.parameters(), strict=True):
                q.data.mul_(0.99).add_(p.data, alpha=0.01)
            y = self.target(x)
        return self.a(x) - y.detach()
