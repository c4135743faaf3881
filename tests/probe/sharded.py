"""Run by two processes at once: probes of one model, sharded or copied, told as a dictionary in a file of each rank."""

from __future__ import annotations

import copy
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

import initadvisor
from initadvisor.errors import InitAdvisorError

WIDTH, CLASSES, SAMPLES = 24, 10, 12


class Transformer(nn.Module):
    """Two pre-norm blocks, odd sizes, tied embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, 2, 31, 0.0, norm_first=True, batch_first=True)
        self.blocks = nn.ModuleList([layer, copy.deepcopy(layer)])
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, 11)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.embed(x)
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h))


def mlp() -> nn.Sequential:
    """Three layers; fewer classes than would split evenly."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 33), nn.Tanh(), nn.Linear(33, CLASSES))


def transformer() -> nn.Module:
    """With the weights of seed 0."""
    torch.manual_seed(0)
    return Transformer()


def dead() -> nn.Sequential:
    """A hidden layer whose rectifiers never open."""
    model = mlp()
    nn.init.constant_(model[0].bias, -100.0)
    return model


def vanishing() -> nn.Sequential:
    """Thirty layers that each halve the signal and more."""
    torch.manual_seed(0)
    layers = [m for _ in range(30) for m in (nn.Linear(16, 16), nn.Tanh())]
    for layer in layers[::2]:
        nn.init.normal_(layer.weight, std=0.02)
    return nn.Sequential(*layers, nn.Linear(16, CLASSES))


def shards() -> nn.Module:
    """For the command line, which has joined a process group before it calls this."""
    return sharded(mlp())


def copies() -> nn.Module:
    """A plain model, the same in every process."""
    return mlp()


def dead_shards() -> nn.Module:
    """Sharded, with a fault."""
    return sharded(dead())


MODELS = {"mlp": mlp, "transformer": transformer, "dead": dead, "vanishing": vanishing}


def batch_of(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """All samples, with their targets."""
    generator = torch.Generator().manual_seed(1)
    if name == "transformer":
        tokens = torch.randint(0, 11, (SAMPLES, 7), generator=generator)
        return tokens, tokens.roll(1, 1)
    labels = torch.randint(0, CLASSES, (SAMPLES,), generator=generator)
    return torch.randn(SAMPLES, 16, generator=generator), labels


def sharded(model: nn.Module) -> nn.Module:
    """Its blocks or weighted layers one by one, then the rest."""
    mesh = init_device_mesh("cpu", (2,))
    parts = model.blocks if isinstance(model, Transformer) else [m for m in model if isinstance(m, nn.Linear)]
    for part in parts:
        fully_shard(part, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def told(report: Any) -> dict[str, Any]:
    """What the tests compare."""
    return {
        "probe": report.probe,
        "rules": sorted({finding.rule for finding in report.findings}),
        "verdict": report.verdict,
        "notes": list(report.coverage.notes),
    }


def state(module: nn.Module, optimizer: torch.optim.Optimizer) -> str:
    """A hash of shards, gradients, the optimizer's state and the generators."""
    found: list[Any] = [torch.get_rng_state().numpy().tobytes()]
    for name, parameter in module.named_parameters():
        part = parameter._local_tensor if hasattr(parameter, "_local_tensor") else parameter
        found += [name, id(parameter), part.detach().numpy().tobytes(), type(parameter).__name__]
        gradient = parameter.grad
        found.append(None if gradient is None else getattr(gradient, "_local_tensor", gradient).numpy().tobytes())
        for key, value in optimizer.state[parameter].items():
            found += [key, getattr(value, "_local_tensor", value).numpy().tobytes()]
    for module_ in module.modules():
        found += [module_.training, len(module_._forward_hooks), len(module_._forward_pre_hooks)]
    return hashlib.sha256(repr(found).encode()).hexdigest()


def step(model: nn.Module, optimizer: torch.optim.Optimizer, part: Any) -> float:
    """One ordinary step; its gradients stay."""
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(part[0]), part[1])
    loss.backward()
    optimizer.step()
    return loss.item()


def facts(name: str, rank: int, kind: str) -> dict[str, Any]:
    """A probe on this rank's half of the batch."""
    model = MODELS[name]()
    model = sharded(model) if kind == "sharded" else nn.parallel.DistributedDataParallel(model)
    half = tuple(t.chunk(2)[rank] for t in batch_of(name))
    return told(initadvisor.probe(model, half, steps=2))


def restored(rank: int) -> dict[str, Any]:
    """A probe between two steps of an ordinary training; the same training without one."""
    half = tuple(t.chunk(2)[rank] for t in batch_of("mlp"))
    losses, same = [], True
    for probed in (False, True):
        model = sharded(mlp())
        optimizer = torch.optim.AdamW(model.parameters(), 0.1)
        step(model, optimizer, half)
        if probed:
            before = state(model, optimizer)
            initadvisor.probe(model, half, optimizer=optimizer)
            same = state(model, optimizer) == before
        losses.append([step(model, optimizer, half) for _ in range(3)])
    return {"same": same, "losses": losses}


class Stumbling(nn.Linear):
    """Raises in one forward pass, on rank 1 or on all."""

    passes, at, ranks = 0, 0, (1,)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # Hooks tell a watched pass: a recording has none.
        self.passes += bool(self._forward_hooks)
        if self._forward_hooks and self.passes == self.at and dist.get_rank() in self.ranks:
            raise ValueError("stumbled, on purpose")
        return super().forward(x)


def failing(rank: int, ranks: tuple[int, ...], kind: str, at: int) -> dict[str, Any]:
    """A probe that fails, on one rank or on all."""
    model = mlp()
    model[2] = Stumbling(WIDTH, 33)
    model[2].ranks = ranks
    model = sharded(model) if kind == "sharded" else nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.AdamW(model.parameters(), 0.1)
    half = tuple(t.chunk(2)[rank] for t in batch_of("mlp"))
    step(model, optimizer, half)
    inner = getattr(model, "module", model)
    inner[2].passes, inner[2].at = 0, at
    before, said = state(inner, optimizer), ""
    from initadvisor.engine import CheckSettings
    from initadvisor.engine.probing import make_prober

    try:
        make_prober(CheckSettings(), optimizer=optimizer, rank_timeout=2.0).probe(model, half)
    except InitAdvisorError as error:
        said = f"{type(error).__name__}: {error}"
    inner[2].at = 0
    found = {"same": state(inner, optimizer) == before, "error": said}
    if len(ranks) == 2:
        found["next"] = step(model, optimizer, half)
    return found


def main(work: str, folder: str, rank: int, port: str) -> None:
    """Write what a probe says on this rank."""
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    found: dict[str, Any] = {}
    for item in work.split(","):
        kind, _, name = item.partition(":")
        if kind in ("sharded", "copied"):
            found[item] = facts(name, rank, kind)
        elif kind == "restored":
            found[item] = restored(rank)
        elif kind == "failing":
            model, _, ranks = name.partition("-")
            found[item] = failing(rank, (0, 1) if ranks == "all" else (1,), model, 1 if ranks == "first" else 2)
    Path(folder, f"{rank}.json").write_text(json.dumps(found))
    for _ in range(300):
        # A process that leaves would wake one that waits for it: each stays until both are done.
        if Path(folder, f"{1 - rank}.json").exists():
            break
        time.sleep(0.1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
