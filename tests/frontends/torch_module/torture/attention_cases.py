"""Attention, transformers and mixtures of experts in their many spellings."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn
from torture import case, row


@case(row(2, 5, 8), weights={"attention.in_proj_weight": "multi_head_attention"}, ops=("multi_head_attention",))
class PackedProjection(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]


@case(lambda: (torch.randn(5, 2, 8), torch.randn(7, 2, 6)), weights={"attention.k_proj_weight": "multi_head_attention"})
class SeparateProjections(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, kdim=6, vdim=6, add_bias_kv=True)

    def forward(self, q, kv):
        return self.attention(q, kv, kv)


@case(
    row(2, 5, 8),
    weights={"layers.0.linear1.weight": "linear", "layers.1.self_attn.out_proj.weight": "multi_head_attention"},
)
def EncoderStack():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    return nn.TransformerEncoder(layer, 2)


@case(row(2, 5, 8), weights={"layers.0.linear1.weight": "linear"})
def EncoderInEvaluationMode():
    """The fused fast path of inference must not hide the operators."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    return nn.TransformerEncoder(layer, 1).eval()


@case(
    lambda: (torch.randn(2, 5, 8), torch.randn(2, 4, 8)),
    weights={"layers.0.multihead_attn.in_proj_weight": "multi_head_attention"},
)
def DecoderStack():
    return nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16, batch_first=True, norm_first=True), 2)


@case(row(2, 5, 8), weights={"qkv.weight": "linear"}, ops=("scaled_dot_product_attention",))
class FusedQkv(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(8, 24)
        self.out = nn.Linear(8, 8)

    def forward(self, x):
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, 2, c // 2).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(b, n, c))


@case(row(2, 5, 8), weights={"k.weight": "linear"}, ops=("softmax",))
class ByHand(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(8, 8, bias=False) for _ in range(3))

    def forward(self, x):
        scores = self.q(x) @ self.k(x).transpose(-2, -1) / math.sqrt(8)
        causal = torch.ones(5, 5, dtype=torch.bool).tril()
        return scores.masked_fill(~causal, float("-inf")).softmax(-1) @ self.v(x)


@case(row(2, 5, 8), weights={"kv.weight": "linear"})
class GroupedQuery(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.kv = nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, x):
        q = self.q(x).unflatten(-1, (4, 2)).transpose(1, 2)
        k, v = (t.transpose(1, 2).expand(-1, 4, -1, -1) for t in self.kv(x).unflatten(-1, (2, 1, 2)).unbind(2))
        return F.scaled_dot_product_attention(q, k, v)


@case(row(2, 5, 8), weights={"q.weight": "linear"}, ops=("cos", "sin"))
class Rotary(nn.Module):
    def __init__(self):
        super().__init__()
        self.q = nn.Linear(8, 8)
        self.register_buffer("frequency", 1.0 / 10_000 ** (torch.arange(0, 8, 2) / 8))

    def forward(self, x):
        q = self.q(x)
        angle = torch.outer(torch.arange(x.shape[1]).float(), self.frequency).repeat(1, 2)
        half = torch.cat((-q[..., 4:], q[..., :4]), -1)
        return q * angle.cos() + half * angle.sin()


@case(row(2, 4, 8), weights={"table": "add"})
class RelativePositionBias(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(8, 24)
        self.table = nn.Parameter(torch.zeros(7, 1))
        position = torch.arange(4)
        self.register_buffer("index", position[:, None] - position[None] + 3)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        bias = self.table[self.index.view(-1)].view(4, 4, 1).permute(2, 0, 1)
        return (q @ k.transpose(1, 2) + bias).softmax(-1) @ v


@case(row(2, 5, 8), weights={"position": "add", "token": "add"})
class ClassToken(nn.Module):
    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, 8))
        self.position = nn.Parameter(torch.zeros(1, 6, 8))
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        return self.head(x[:, 0])


@case(row(2, 5, 8), weights={"gamma": "mul", "alpha": "mul"})
class ScaledBranches(nn.Module):
    """LayerScale and ReZero."""

    def __init__(self):
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(8), nn.Linear(8, 8)
        self.gamma, self.alpha = nn.Parameter(torch.full((8,), 1e-5)), nn.Parameter(torch.zeros(1))

    def forward(self, x):
        x = x + self.gamma * self.linear(self.norm(x))
        return x + self.alpha * torch.tanh(x)


@case(row(6, 8), weights={"router.weight": "linear"}, autograd=False)
class SparseExperts(nn.Module):
    """Tokens are sent to experts by index; every expert is recorded, whoever would be picked."""

    def __init__(self):
        super().__init__()
        self.router = nn.Linear(8, 3)
        self.experts = nn.ModuleList(nn.Linear(8, 8) for _ in range(3))

    def forward(self, x):
        weight, choice = self.router(x).softmax(-1).topk(1)
        out = torch.zeros_like(x)
        for i, expert in enumerate(self.experts):
            rows, _ = torch.where(choice == i)
            out.index_add_(0, rows, expert(x[rows]) * weight[rows])
        return out


@case(row(6, 8), weights={"router.weight": "linear"}, autograd=False)
class SkippedExperts(nn.Module):
    """An expert that gets no token is skipped: the guess must not lose it."""

    def __init__(self):
        super().__init__()
        self.router = nn.Linear(8, 3)
        self.experts = nn.ModuleList(nn.Linear(8, 8) for _ in range(3))

    def forward(self, x):
        choice = self.router(x).argmax(-1)
        gate = self.router(x).softmax(-1).amax(-1, keepdim=True)
        out = torch.zeros_like(x)
        for i in choice.new_tensor([0, 1, 2]).tolist():
            picked = choice == i
            if picked.sum() == 0:
                continue
            out[picked] = self.experts[i](x[picked]) * gate[picked]
        return out


@case(row(6, 8), weights={"up": "matmul", "down": "matmul"}, autograd=False)
class BatchedExperts(nn.Module):
    def __init__(self):
        super().__init__()
        self.router = nn.Linear(8, 3)
        self.up, self.down = nn.Parameter(torch.randn(3, 8, 16)), nn.Parameter(torch.randn(3, 16, 8))

    def forward(self, x):
        gate = self.router(x).softmax(-1)
        hidden = F.gelu(torch.matmul(x.expand(3, -1, -1), self.up))
        return (torch.bmm(hidden, self.down) * gate.t()[..., None]).sum(0)


@case(row(2, 3, 8, 8), weights={"reduce.weight": "conv", "conv.weight": "conv"})
class SqueezeExcite(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.reduce, self.expand = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)

    def forward(self, x):
        x = self.conv(x)
        return x * self.expand(self.reduce(x.mean((2, 3), keepdim=True)).relu()).sigmoid()


@case(row(2, 8), weights={"gate.weight": "linear"}, ops=("silu",))
class GatedUnit(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate, self.up, self.down = nn.Linear(8, 16, bias=False), nn.Linear(8, 16, bias=False), nn.Linear(16, 8)

    def forward(self, x):
        return self.down(F.silu(self.gate(x)) * self.up(x))
