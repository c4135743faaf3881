"""What two processes do for test_several.py: `python several.py FOLDER RANK PORT`."""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

import initadvisor
from initadvisor.errors import FindingsError
from tests.integrations.models import bad, good


def watched(rank: int) -> dict[str, Any]:
    """A watch on a model that is trained by both, each on its own data."""
    model = nn.parallel.DistributedDataParallel(good())
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    generator = torch.Generator().manual_seed(rank)
    with initadvisor.watch(model, optimizer, every=3, on_finding="log") as watch:
        for _ in range(6):
            x, y = torch.randn(16, 64, generator=generator), torch.randint(0, 10, (16,), generator=generator)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
    seen = watch.report.probe if watch.report is not None else None
    return {
        "layers": sorted(seen["layers"]) if seen else None,
        "sum": float(sum(p.double().sum() for p in model.parameters())),
    }


def started(rank: int) -> dict[str, Any]:
    """The callbacks' examination of a healthy and of a broken model."""
    from initadvisor.integrations.start import StartCheck

    found: dict[str, Any] = {}
    batch = {"input": torch.randn(8, 64, generator=torch.Generator().manual_seed(rank))}
    for name, model in (("good", good()), ("bad", bad()), ("synchronised", nn.Sequential(nn.SyncBatchNorm(64)))):
        look = StartCheck(on_finding="raise", probe=True)
        before = torch.get_rng_state()
        look.examine(model, lambda: batch["input"])
        try:
            look.tell()
            found[name] = ""
        except FindingsError as error:
            found[name] = str(error)
        found[f"{name}-reports"] = len(look.reports)
        assert torch.equal(torch.get_rng_state(), before)
    return found


def lightning(folder: Path) -> dict[str, Any]:
    """A fit by both, with and without the callback."""
    import lightning as L

    from initadvisor.integrations.lightning import InitAdvisorCallback
    from tests.integrations.test_lightning import data, module_of

    sums = []
    for callbacks in ([], [InitAdvisorCallback(probe=True, on_finding="log")]):
        torch.manual_seed(3)
        module = module_of("lightning", good())
        trainer = L.Trainer(
            max_steps=2,
            accelerator="cpu",
            devices=2,
            strategy="ddp",
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            callbacks=callbacks,
            default_root_dir=folder,
        )
        trainer.fit(module, data())
        sums.append([float(p.double().sum()) for p in module.parameters()])
    return {"same": sums[0] == sums[1], "reports": len(callbacks[0].reports)}


def main(folder: str, rank: str, port: str) -> None:
    """Do all of the work and write what came out."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "RANK": rank, "WORLD_SIZE": "2"}
    os.environ |= {"LOCAL_RANK": rank, "NODE_RANK": "0"}
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    dist.init_process_group("gloo", rank=int(rank), world_size=2)
    number = int(rank)
    found = {
        "watched": watched(number),
        "started": started(number),
        "lightning": lightning(Path(folder)),
    }
    (Path(folder) / f"{rank}.json").write_text(json.dumps(found))
    dist.barrier()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
