"""The adapters against the real libraries, offline: what was written is read back with their own readers."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import initadvisor
from initadvisor.errors import UsageError
from initadvisor.integrations.writers import (
    MlflowWriter,
    TensorBoardWriter,
    WandbWriter,
    Writer,
    write_reports,
)
from initadvisor.integrations.writers.protocol import tag
from tests.integrations.models import bad

VALUES = np.linspace(-1.0, 1.0, 101)


def fill(writer: Writer) -> None:
    writer.scalars({tag("gradient_norm"): 0.25, tag("dead_units", "layer.0"): 0.5}, 3)
    writer.scalars({tag("gradient_norm"): 0.125}, 6)
    writer.histogram(tag("weights", "layer.0"), VALUES, 3)
    write_reports(writer, [initadvisor.check(bad())], 3)


def test_tensorboard_reads_back_what_was_written(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    writer = TensorBoardWriter(tmp_path)
    fill(writer)
    writer.close()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    norms = [(e.step, e.value) for e in events.Scalars("initadvisor/gradient_norm")]
    assert norms == [(3, 0.25), (6, 0.125)]
    assert events.Scalars("initadvisor/check/error")[0].value >= 2
    histogram = events.Histograms("initadvisor/weights/layer.0")[0].histogram_value
    assert (histogram.num, histogram.min, histogram.max) == (101, -1.0, 1.0)
    text = events.Tensors("initadvisor/check/report/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "    Sequential:0: IA" in text


def test_mlflow_reads_back_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    monkeypatch.chdir(tmp_path)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    try:
        client = mlflow.MlflowClient()
        experiment = client.create_experiment("starts", artifact_location=(tmp_path / "artifacts").as_uri())
        with pytest.raises(UsageError, match=r"mlflow\.start_run"):
            MlflowWriter()
        with mlflow.start_run(experiment_id=experiment) as run:
            fill(MlflowWriter())
        norms = [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "initadvisor/gradient_norm")]
        assert norms == [(3, 0.25), (6, 0.125)]
        metrics = client.get_run(run.info.run_id).data.metrics
        assert metrics["initadvisor/check/error"] >= 2
        assert metrics["initadvisor/weights/layer.0/p95"] == pytest.approx(0.9)
        texts = [path.read_text() for path in (tmp_path / "artifacts").rglob("report-3.txt")]
        assert len(texts) == 1
        assert "Sequential:0: IA" in texts[0]
    finally:
        mlflow.set_tracking_uri(before)


def test_weights_and_biases_keeps_an_offline_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    for name, value in {"MODE": "offline", "DIR": str(tmp_path), "SILENT": "true", "CONSOLE": "off"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    with pytest.raises(UsageError, match=r"wandb\.init"):
        WandbWriter()
    run = wandb.init(project="starts", dir=tmp_path)
    run.log({"loss": 1.0}, step=0)
    fill(WandbWriter())
    run.log({"loss": 0.5}, step=1)
    run.finish()
    file = next(tmp_path.rglob("run-*.wandb"))
    rows, summary = _history(file)
    for _ in range(60):  # a process of the library writes the file, and may still do so
        if sum("loss" in row for row in rows) == 2:
            break
        time.sleep(1)
        rows, summary = _history(file)
    written = [row for row in rows if "initadvisor/gradient_norm" in row]
    assert [row["initadvisor/gradient_norm"] for row in written][-1] == 0.125
    assert "IA" in json.dumps(summary["initadvisor/check/report"])
    assert written[-1]["initadvisor/check/error"] >= 2
    assert written[-1]["initadvisor/weights/layer.0/_type"] == "histogram"
    assert [row["loss"] for row in rows if "loss" in row] == [1.0, 0.5]


def _history(file: Path) -> tuple[list[dict[str, object]], dict[str, object]]:
    """The rows and the summary of an offline run, by the library's own messages."""
    from wandb.proto import wandb_internal_pb2

    rows: list[dict[str, object]] = []
    summary: dict[str, object] = {}
    for data in _records(file.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "history":
            items = record.history.item
            rows.append({i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in items})
        for item in record.summary.update:
            summary[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
    return rows, summary


def _records(data: bytes, block: int = 32768) -> Iterator[bytes]:
    """The records of a LevelDB log behind W&B's 7 bytes of header: (checksum, length, kind) before each piece."""
    assert data.startswith(b":W&B")
    place, whole = 7, b""
    while place + 7 <= len(data):
        if block - place % block < 7:  # too little room for a header: the rest of the block is empty
            place += block - place % block
            continue
        length, kind = struct.unpack_from("<HB", data, place + 4)
        piece = data[place + 7 : place + 7 + length]
        if len(piece) < length:  # it is still being written
            return
        place += 7 + length
        whole = piece if kind in (1, 2) else whole + piece
        if kind in (1, 4):
            yield whole


def test_names_from_a_model_are_made_fit() -> None:
    assert tag("dead_units", "blocks.0.mlp") == "initadvisor/dead_units/blocks.0.mlp"
    assert tag("x", "a\nb<script>:é/../..") == "initadvisor/x/a_b_script___/_/_"
    assert len(tag("x", "y" * 999)) == 200
