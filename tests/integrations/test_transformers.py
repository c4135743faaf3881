"""The callback in real runs of Hugging Face's trainer."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments, set_seed

from initadvisor.errors import FindingsError
from initadvisor.integrations.outcome import InitWarning
from initadvisor.integrations.transformers import InitAdvisorCallback


def model(seed: int = 0) -> Any:
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, num_labels=3
    )
    return BertForSequenceClassification(config)


def samples() -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(3)
    return [
        {
            "input_ids": torch.randint(0, 50, (12,), generator=generator),
            "attention_mask": torch.ones(12, dtype=torch.int64),
            "labels": torch.randint(0, 3, (), generator=generator),
        }
        for _ in range(16)
    ]


def train(net: Any, *callbacks: Any, folder: Path) -> tuple[str, Any]:
    """Two steps with a warm-up from a rate of zero; what they left, and the trainer."""
    set_seed(5)
    args = TrainingArguments(
        str(folder),
        max_steps=2,
        per_device_train_batch_size=8,
        warmup_steps=1,
        learning_rate=1e-3,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        seed=5,
    )
    trainer = Trainer(net, args, train_dataset=samples(), callbacks=list(callbacks))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        trainer.train()
    weights = [f"{k} {v.numpy().tobytes().hex()}" for k, v in net.state_dict().items()]
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    return repr((weights, losses, torch.get_rng_state().tolist(), str(trainer.optimizer.state_dict()))), trainer


def test_the_training_does_not_notice_it(tmp_path: Path) -> None:
    alone, _ = train(model(), folder=tmp_path)
    callback = InitAdvisorCallback(probe=True, on_finding="log", report_file=tmp_path / "start.json")
    looked, trainer = train(model(), callback, folder=tmp_path)
    assert looked == alone
    check, probe = callback.reports
    assert check.coverage.operators > 0.9
    assert probe.probe is not None
    assert probe.probe["loss"] == "the loss that the model returns"
    assert probe.probe["own_optimizer"]
    assert probe.probe["learning_rate"] == 1e-3
    assert probe.probe["samples"] == 8
    assert "initadvisor/probe/error" in trainer.state.log_history[0]
    assert (tmp_path / "start.json").is_file()


def test_it_warns_or_raises(tmp_path: Path) -> None:
    broken = model()
    torch.nn.init.constant_(broken.classifier.weight, float("nan"))
    with pytest.raises(FindingsError, match="classifier"):
        train(broken, InitAdvisorCallback(on_finding="raise"), folder=tmp_path)
    still = model()
    torch.nn.init.constant_(still.bert.encoder.layer[0].intermediate.dense.weight, float("nan"))
    with pytest.warns(InitWarning, match=r"intermediate\.dense"):
        train(still, InitAdvisorCallback(), folder=tmp_path)
