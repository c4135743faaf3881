"""The callback in real fits of both Lightnings: what it finds, and that the training does not notice it."""

from __future__ import annotations

import importlib
import logging
import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from initadvisor.errors import FindingsError
from initadvisor.integrations.outcome import InitWarning
from tests.integrations.models import bad, good

LIBRARIES = {
    "lightning": "lightning.pytorch",
    "pytorch_lightning": "pytorch_lightning",
}
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)


def module_of(library: str, net: nn.Module, own_forward: bool = False, manual: bool = False) -> Any:
    """A module with noise, a buffer that counts, logging, and a warm-up of its learning rate."""
    base = importlib.import_module(LIBRARIES[library]).LightningModule

    class Module(base):  # type: ignore[misc,valid-type]
        def __init__(self) -> None:
            super().__init__()
            self.net = net
            self.dropout = nn.Dropout(0.1)
            self.norm = nn.BatchNorm1d(64)
            self.automatic_optimization = not manual
            self.seen: list[float] = []

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            x, y = batch
            loss = nn.functional.cross_entropy(self.net(self.dropout(self.norm(x))), y)
            self.log("loss", loss)
            self.seen.append(float(loss.detach()))
            if manual:
                self.optimizers().zero_grad()
                self.manual_backward(loss)
                self.optimizers().step()
            return loss

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.AdamW(self.parameters(), lr=1e-3)
            return [optimizer], [torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: step / 10)]

    if own_forward:
        Module.forward = lambda self, x: self.net(x)  # type: ignore[method-assign]
    return Module()


def data() -> DataLoader[Any]:
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(32, 64, generator=generator), torch.randint(0, 10, (32,), generator=generator)
    return DataLoader(TensorDataset(x, y), batch_size=8, shuffle=True, generator=generator)


def fit(library: str, module: Any, *callbacks: Any, folder: Path, **options: Any) -> str:
    """Two steps; a hash of the module and all generators afterwards."""
    L = importlib.import_module(LIBRARIES[library])
    torch.manual_seed(7), random.seed(7), np.random.seed(7)
    logger = importlib.import_module(f"{LIBRARIES[library]}.loggers").CSVLogger(folder)
    trainer = L.Trainer(
        max_steps=2,
        accelerator="cpu",
        devices=1,
        logger=logger,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        log_every_n_steps=1,
        callbacks=list(callbacks),
        default_root_dir=folder,
        **options,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(bottleneck|num_workers|LeafSpec|LambdaLR|lr_scheduler).*")
        trainer.fit(module, data())
    state = [f"{name} {value.numpy().tobytes().hex()}" for name, value in module.state_dict().items()]
    generators = (torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist())
    optimizer = trainer.optimizers[0].state_dict()
    return repr((state, generators, str(optimizer), module.training, trainer.global_step))


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_training_does_not_notice_it(library: str, tmp_path: Path) -> None:
    callback = importlib.import_module(f"initadvisor.integrations.{library}").InitAdvisorCallback
    plain = module_of(library, good())
    watched = module_of(library, good())
    looking = callback(probe=True, on_finding="log", report_file=tmp_path / "found" / "start.json")
    alone = fit(library, plain, folder=tmp_path)
    assert fit(library, watched, looking, folder=tmp_path) == alone
    assert watched.seen == plain.seen
    assert "forward" not in vars(watched)
    check, probe = looking.reports
    assert check.coverage.operators == 1.0
    assert {row.name for row in check.layers} == {"norm", "net.0", "net.2", "net.4"}
    assert probe.probe is not None
    assert probe.probe["own_optimizer"]
    assert probe.probe["learning_rate"] == 1e-3, "the probe's steps run at the rate behind the warm-up"
    assert (tmp_path / "found" / "start.json").read_text().count('"schema_version"') == 2
    metrics = "".join(path.read_text() for path in tmp_path.rglob("metrics.csv"))
    assert "initadvisor/probe/error" in metrics


def test_it_warns_raises_or_logs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from initadvisor.integrations.lightning import InitAdvisorCallback

    with pytest.warns(InitWarning, match="does not start well"):
        fit("lightning", module_of("lightning", bad()), InitAdvisorCallback(), folder=tmp_path)
    module = module_of("lightning", bad())
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises(FindingsError, match=r"net\.0"):
        fit("lightning", module, InitAdvisorCallback(on_finding="raise", probe=True), folder=tmp_path)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert module.seen == []
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING, "initadvisor"):
        warnings.simplefilter("error", InitWarning)
        fit("lightning", module_of("lightning", bad()), InitAdvisorCallback(on_finding="log"), folder=tmp_path)
    assert "does not start well" in caplog.text


def test_what_cannot_be_probed_is_said_and_does_not_stop_the_fit(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from initadvisor.integrations.lightning import InitAdvisorCallback

    callback = InitAdvisorCallback(probe=True, on_finding="log")
    module = module_of("lightning", good(), own_forward=True, manual=True)
    with caplog.at_level(logging.WARNING, "initadvisor"):
        fit("lightning", module, callback, folder=tmp_path)
    assert "optimizes by itself" in caplog.text
    assert len(callback.reports) == 1
    assert len(module.seen) == 2


def test_a_training_step_that_uses_its_own_forward_pass(tmp_path: Path) -> None:
    from initadvisor.integrations.lightning import InitAdvisorCallback

    module = module_of("lightning", good(), own_forward=True)
    callback = InitAdvisorCallback(probe=True, on_finding="raise")
    fit("lightning", module, callback, folder=tmp_path)
    assert [r.coverage.operators for r in callback.reports] == [1.0, 1.0]
