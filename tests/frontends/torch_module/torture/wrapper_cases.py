"""Wrappers for speed and scale, lazy and quantised modules, modules on the meta device."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint, checkpoint_sequential
from torture import case, row


def _mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


@case(row(2, 8), weights={"0.weight": "linear", "2.weight": "linear"}, autograd=False)
def Compiled():
    return torch.compile(_mlp())


@case(row(2, 8), weights={"0.weight": "linear"}, autograd=False)
def CompiledInPlace():
    model = _mlp()
    model.compile()
    return model


@case(row(2, 8), autograd=False, weights={"part._orig_mod.0.weight": "linear", "head.weight": "linear"})
class CompiledPart(nn.Module):
    def __init__(self):
        super().__init__()
        self.part = torch.compile(_mlp())
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.part(x))


@case(row(2, 8), autograd=False, weights={"layer.weight": "linear"})
class CompiledFunction(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)
        self.act = torch.compile(lambda x: x * torch.sigmoid(x))

    def forward(self, x):
        return self.act(self.layer(x))


@case(row(2, 8), weights={"0.weight": "linear"}, autograd=False)
def DataParallel():
    return nn.DataParallel(_mlp())


@case(row(2, 8), weights={"parts.0.0.weight": "linear"})
class Checkpointed(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleList(_mlp() for _ in range(2))
        self.lift = nn.Linear(4, 8)

    def forward(self, x):
        x = checkpoint(self.parts[0], x, use_reentrant=False)
        return checkpoint(self.parts[1], self.lift(x), use_reentrant=False)


@case(row(2, 8), weights={"0.weight": "linear"}, autograd=False)
class CheckpointedReentrant(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8))

    def forward(self, x):
        x = checkpoint(self[0], x, use_reentrant=True)
        return checkpoint_sequential(list(self)[1:], 2, x, use_reentrant=True)


@case(row(2, 8), weights={"0.weight": "linear", "2.weight": "linear"}, autograd=False)
def Lazy():
    return nn.Sequential(nn.LazyLinear(16), nn.ReLU(), nn.LazyLinear(4))


@case(None, weights={"0.weight": "conv"}, ops=("batch_norm",))
def LazyConvolution():
    return nn.Sequential(nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(4))


@case(row(2, 8), weights={"0.weight": "linear"}, autograd=False)
def OnMeta():
    with torch.device("meta"):
        return _mlp()


@case(row(2, 8), weights={"0.weight": "linear"}, autograd=False)
def HalfPrecisionModel():
    return _mlp().half()


@case(lambda: (torch.randn(2, 8, dtype=torch.bfloat16),), weights={"0.weight": "linear"})
def Bfloat16():
    return _mlp().bfloat16()


@case(row(2, 8), weights={"layer.weight": "linear"})
class Autocast(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            h = self.layer(x)
        return F.layer_norm(h.float(), (8,))


@case(row(2, 8), weights={"layer.weight": "linear"}, autograd=False)
class HardCodedDevice(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x):
        mask = torch.ones(2, 8, device="cuda")
        h = self.layer(x.cuda()) * mask.to("cuda:0", non_blocking=True)
        return h.to(x.device).type(torch.cuda.FloatTensor) if x.is_cuda else h.cpu()


@case(row(2, 8), weights={"0.weight": "linear"})
def WithHooks():
    model = _mlp()
    model[0].register_forward_hook(lambda module, args, out: out * 2)
    model[2].register_forward_pre_hook(lambda module, args: (args[0] + 1,))
    return model


@case(row(2, 8), weights={"layer.weight": "linear"})
class HookKeepsFeatures(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)
        self.head = nn.Linear(8, 2)
        self.features = {}
        self.layer.register_forward_hook(lambda module, args, out: self.features.update(out=out))

    def forward(self, x):
        self.layer(x)
        return self.head(self.features["out"])


@case(row(2, 8), weights={"weight": "mul", "scale": "mul"}, autograd=False)
class WeightOnlyInt8(nn.Module):
    """int8 codes in a buffer, dequantised in the forward pass."""

    def __init__(self):
        super().__init__()
        self.register_buffer("weight", torch.randint(-127, 127, (8, 8), dtype=torch.int8))
        self.scale = nn.Parameter(torch.ones(8, 1))
        self.bias = nn.Parameter(torch.zeros(8))

    def forward(self, x):
        return F.linear(x, self.weight.to(x.dtype) * self.scale, self.bias)


@case(row(2, 8), weights={"layer.weight": "linear"}, autograd=False)
class FakeQuantised(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x):
        w = torch.fake_quantize_per_tensor_affine(self.layer.weight, 0.1, 0, -128, 127)
        return F.linear(x, w, self.layer.bias)


@case(row(2, 8), weights={"layer.weight": "sign"})
class StraightThrough(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x):
        w = self.layer.weight
        return F.linear(x, w + (w.sign() - w).detach(), self.layer.bias)


@case(lambda: (torch.randn(2, 3, 8, 8),), weights={"0.weight": "conv"}, autograd=False)
def FxGraphModule():
    return torch.fx.symbolic_trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()))


@case(lambda: (torch.randn(2, 3, 8, 8).contiguous(memory_format=torch.channels_last),), weights={"0.weight": "conv"})
def ChannelsLast():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).to(memory_format=torch.channels_last)


def _alone() -> None:
    """A process group of one, in memory."""
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)


@case(row(2, 8), weights={"0.weight": "linear", "2.weight": "linear"}, autograd=False)
def DistributedDataParallel():
    _alone()
    return nn.parallel.DistributedDataParallel(_mlp())


@case(row(2, 8), weights={"0.weight": "linear", "2.weight": "linear"}, autograd=False)
def FullyShardedTwice():
    """FSDP2: weights are DTensors, gathered by hooks that must not run."""
    _alone()
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    model, mesh = _mlp(), init_device_mesh("cpu", (1,))
    fully_shard(model[0], mesh=mesh)
    return fully_shard(model, mesh=mesh)


@case(row(2, 8), weights={"0.weight": "linear", "2.weight": "linear"}, autograd=False)
def DynamicallyQuantised():
    return torch.ao.quantization.quantize_dynamic(_mlp(), {nn.Linear}, dtype=torch.qint8)


@case(
    lambda: {"input": torch.randn(2, 8)},
    weights={
        "base_model.model.0.lora_A.default.weight": "linear",
        "base_model.model.2.lora_B.default.weight": "linear",
    },
    autograd=False,
)
def PeftLora():
    peft = pytest.importorskip("peft")
    return peft.get_peft_model(_mlp(), peft.LoraConfig(r=2, target_modules=["0", "2"]))


@case(row(2, 8), weights={"0.weight": "linear"}, autograd=False)
def StochasticWeightAverage():
    return torch.optim.swa_utils.AveragedModel(_mlp()).module


@case(None, weights={"generator.0.weight": "linear", "critics.1.2.weight": "linear"}, capture="parts")
class WithoutForward(nn.Module):
    """A generator beside its critics: nothing runs them together."""

    def __init__(self):
        super().__init__()
        self.generator = _mlp()
        self.critics = nn.ModuleList([_mlp(), _mlp()])
