"""The head's bias from labels: what the first loss is, every form that labels come in, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import initadvisor
from initadvisor.errors import NotFoundError, UsageError
from tests.cli.running import run

COUNTS = [700, 200, 80, 20]
LABELS = torch.arange(4).repeat_interleave(torch.tensor(COUNTS))


def network(outputs: int = 4, bias: bool = True) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, outputs, bias=bias))


def head_bias(model: nn.Module, **options) -> torch.Tensor:
    initadvisor.apply(model, initadvisor.advise(model, input_shape=(2, 8), **options))
    return model[2].bias.detach()


def test_the_first_loss_is_the_entropy_of_the_labels() -> None:
    model = network()
    head_bias(model, labels=LABELS, policy={"2.weight": {"method": "zeros"}})
    shares = np.array(COUNTS) / 1000
    loss = nn.functional.cross_entropy(model(torch.randn(1000, 8)), LABELS).detach()
    assert float(loss) == pytest.approx(-float((shares * np.log(shares)).sum()), rel=1e-6)


@pytest.mark.parametrize(
    "given",
    [
        {"class_counts": COUNTS},
        {"labels": LABELS},
        {"labels": LABELS.numpy()},
        {"labels": LABELS.tolist()},
        {"labels": LABELS[:, None].float()},
        {"labels": (torch.zeros(1000, 8), LABELS)},
        {"labels": {"x": torch.zeros(1000, 8), "labels": LABELS}},
        {"labels": torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.zeros(1000, 8), LABELS), 300)},
    ],
    ids=["counts", "tensor", "array", "list", "column", "batch", "mapping", "loader"],
)
def test_labels_come_in_many_forms(given: dict) -> None:
    assert head_bias(network(), **given).softmax(0).tolist() == pytest.approx([0.7, 0.2, 0.08, 0.02], rel=1e-5)


def test_one_sigmoid_output_starts_at_the_base_rate() -> None:
    labels = torch.tensor([1.0] * 3 + [0.0] * 97)
    assert float(head_bias(network(1), labels=labels).sigmoid()) == pytest.approx(0.03, rel=1e-5)


def test_several_labels_a_sample_start_each_output_at_its_own_rate() -> None:
    labels = torch.zeros(100, 4)
    labels[:50, 0] = labels[:10, 1] = labels[:1, 2] = 1
    labels[:99, 3] = 1
    assert head_bias(network(), labels=labels).sigmoid().tolist() == pytest.approx([0.5, 0.1, 0.01, 0.99], rel=1e-5)


def test_a_class_without_a_sample_is_smoothed() -> None:
    assert head_bias(network(), class_counts=[97, 0, 0, 0]).softmax(0).tolist() == pytest.approx(
        [98 / 101, 1 / 101, 1 / 101, 1 / 101], rel=1e-5
    )


@pytest.mark.parametrize(("prior", "wanted"), [("focal", 0.01), (0.2, 0.2)])
def test_a_focal_prior_needs_no_labels(prior, wanted: float) -> None:
    assert head_bias(network(), prior=prior).sigmoid().tolist() == pytest.approx([wanted] * 4, rel=1e-5)


def test_only_the_bias_is_decided_and_the_users_own_globs_win() -> None:
    plan, plain = (initadvisor.advise(network(), input_shape=(2, 8), **o) for o in ({"class_counts": COUNTS}, {}))
    assert [s.method for s in plan] == ["class_prior" if s.parameter == "2.bias" else s.method for s in plain]
    assert "frequencies" in plan.step("2.bias").reason
    mine = initadvisor.advise(
        network(), input_shape=(2, 8), class_counts=COUNTS, policy={"2.bias": {"method": "zeros"}}
    )
    assert mine.step("2.bias").method == "zeros"
    flagged = initadvisor.advise(network(), input_shape=(2, 8), class_counts=COUNTS, only_flagged=True)
    assert [step.parameter for step in flagged.draws] == ["2.bias"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"class_counts": [5, 5, 5]}, "3 classes, and no head has as many outputs .2: 4"),
        ({"class_counts": [0, 0]}, "no samples"),
        ({"class_counts": [5, -1, 2, 2]}, "no samples"),
        ({"class_counts": COUNTS, "labels": LABELS}, "same thing twice"),
        ({"prior": "class"}, "not known"),
        ({"prior": 1.5}, "is a probability"),
        ({"labels": torch.tensor([])}, "no label"),
        ({"labels": torch.zeros(9)}, "all labels are class 0"),
        ({"labels": torch.tensor([0, 1, -100])}, "no class numbers from 0"),
        ({"labels": torch.tensor([0.0, float("nan")])}, "no class numbers"),
        ({"labels": torch.rand(5, 4)}, "other values than 0 and 1"),
        ({"labels": np.array(["cat", "dog"])}, "no class numbers"),
        ({"labels": 3}, "holds no labels"),
    ],
)
def test_what_cannot_be_used_is_said(options: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        initadvisor.advise(network(), input_shape=(2, 8), **options)


def test_a_head_without_a_bias_cannot_hold_a_prior() -> None:
    with pytest.raises(UsageError, match="no head whose bias"):
        initadvisor.advise(network(bias=False), input_shape=(2, 8), class_counts=COUNTS)


def test_the_command_line_takes_counts_labels_and_a_prior(tmp_path: Path) -> None:
    (tmp_path / "made.py").write_text("from torch import nn\ndef net(): return nn.Linear(8, 4)\n")
    np.save(tmp_path / "labels.npy", LABELS.numpy())
    np.savetxt(tmp_path / "labels.csv", LABELS.numpy(), fmt="%d")
    shape = ("--input-shape", "2x8", "--quiet", "--emit", "json")
    ways = (("--class-counts", "700,200,80,20"), ("--labels", "labels.npy"), ("--labels", "labels.csv"))
    for way in ways:
        done = run("advise", "made:net", *way, *shape, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        (step,) = (s for s in json.loads(done.stdout)["steps"] if s["parameter"] == "bias")
        assert step["params"]["priors"] == COUNTS


def test_what_the_command_line_cannot_read_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "cut.npy").write_bytes(b"\x93NUMPY\x01")
    from initadvisor.engine.priors import labels_in

    for file, error, said in (("no.npy", NotFoundError, "cannot read"), ("cut.npy", UsageError, "holds no labels")):
        with pytest.raises(error, match=said):
            labels_in(tmp_path / file)


def test_lsuv_and_gradinit_take_the_users_batch_and_loss_at_the_front_door() -> None:
    x, y = torch.randn(64, 8), torch.randint(0, 4, (64,))
    model = network()
    assert all(std == pytest.approx(1.0, abs=0.1) for std in initadvisor.lsuv(model, x).values())
    calls = []

    def mine(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        calls.append(len(target))
        return (1 + output - output.gather(1, target[:, None])).relu().mean()

    model[2].weight.data.mul_(20)
    before = float(mine(model(x), y).detach())
    factors = initadvisor.gradinit(model, [(x[:32], y[:32]), (x[32:], y[32:])], mine, steps=30, rate=0.1)
    assert set(factors) == {name for name, _ in model.named_parameters()}
    assert float(mine(model(x), y).detach()) < before
    assert 32 in calls
    with pytest.raises(UsageError, match="cannot be differentiated twice"):
        initadvisor.gradinit(model, [(x, y)], nn.functional.multi_margin_loss, steps=1)
