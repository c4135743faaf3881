"""Run by two processes: draw a sharded model from the meta device, gather it, compare with a single-process draw."""

from __future__ import annotations

import json
import sys

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Shard, distribute_tensor

from initadvisor.apply.keyed_torch import fill_
from initadvisor.apply.torch_module import apply
from initadvisor.graph import Layout
from initadvisor.initializers import InitSpec, Key
from initadvisor.plan import Plan


class Net(nn.Module):
    """A little of everything: odd sizes, a tie, a convolution, fused attention, a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 12)
        self.conv = nn.Conv1d(12, 12, 3, padding=1)
        self.layer = nn.TransformerEncoderLayer(12, 2, 31, 0.0, batch_first=True)
        self.head = nn.Linear(12, 11, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.embed(x)
        h = h + self.conv(h.transpose(1, 2)).transpose(1, 2)
        return self.head(self.layer(h))


def main(plan_file: str, single_file: str, rank: int, port: str) -> None:
    """Exit with an assertion where a gathered tensor is not bit for bit that of one process."""
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    mesh = init_device_mesh("cpu", (2,))
    with open(plan_file) as file:
        plan = Plan.from_json(json.load(file))
    expected = torch.load(single_file, weights_only=True)
    with torch.device("meta"):
        model = Net()
    for part in (model.layer, model):
        fully_shard(part, mesh=mesh)
    applied = apply(model, plan, device="cpu")
    assert applied.materialised
    for name, parameter in model.named_parameters(remove_duplicate=False):
        assert torch.equal(parameter.full_tensor(), expected[name]), name
    assert model.head.weight is model.embed.weight

    for axis in (0, 1):
        for method in ("kaiming_normal", "orthogonal"):
            spec, key, layout = InitSpec(method), Key(5, "w"), Layout((0,), (1,))
            whole = fill_(torch.empty(37, 29), spec, key, layout)
            sharded = distribute_tensor(torch.zeros(37, 29), mesh, [Shard(axis)])
            assert torch.equal(fill_(sharded, spec, key, layout).full_tensor(), whole), (axis, method)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
