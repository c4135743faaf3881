"""A plan on a module, in place: what changes, what stays, what is refused."""

from __future__ import annotations

import copy
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from initadvisor.apply.torch_module import apply
from initadvisor.errors import UsageError
from initadvisor.initializers import InitSpec, Key
from initadvisor.plan import Plan, PlanStep, overrides
from tests.apply.sharded import Net
from tests.plan.plans import plan_of


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def resnet_plan() -> Plan:
    return plan_of(torchvision.models.resnet18())


def test_every_draw_is_the_one_of_its_step(resnet_plan):
    model = torchvision.models.resnet18()
    applied = apply(model, resnet_plan)
    named = dict(model.named_parameters())
    assert set(applied.drawn) | set(applied.kept) == set(named)
    for step in resnet_plan.draws:
        expected = step.spec.draw(step.shape, Key(resnet_plan.seed, step.parameter), step.layout)
        assert (named[step.parameter].detach().numpy() == expected).all()


def test_applying_twice_gives_the_same_bits_and_another_seed_other_ones(resnet_plan):
    model = torchvision.models.resnet18()
    apply(model, resnet_plan)
    first = state(model)
    apply(model, resnet_plan)
    assert same(state(model), first)
    apply(model, resnet_plan.with_seed(1))
    assert not torch.equal(model.conv1.weight, first["conv1.weight"])


def test_draws_depend_on_the_name_and_not_on_the_other_layers():
    small = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))
    large = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
    apply(small, plan_of(small, (2, 8)))
    apply(large, plan_of(large, (2, 8)))
    assert torch.equal(small[0].weight, large[0].weight)


def test_everything_but_the_drawn_values_stays(resnet_plan):
    model = torchvision.models.resnet18().eval()
    model(torch.randn(1, 3, 64, 64)).sum().backward()
    gradient, identity = model.conv1.weight.grad, id(model.conv1.weight)
    handle = model.conv1.register_forward_hook(lambda *_: None)
    random = torch.get_rng_state()
    buffers = {n: b.clone() for n, b in model.named_buffers()}
    apply(model, resnet_plan)
    assert id(model.conv1.weight) == identity
    assert model.conv1.weight.grad is gradient
    assert not model.training
    assert len(model.conv1._forward_hooks) == 1
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(b, buffers[n]) for n, b in model.named_buffers())
    handle.remove()


def test_autograd_notices_the_change():
    layer = nn.Linear(4, 4)
    loss = layer(torch.randn(2, 4, requires_grad=True)).sum()
    apply(layer, plan_of(layer, (2, 4)))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_tied_weight_is_drawn_once_and_stays_tied():
    model = Net()
    plan = plan_of(model)
    assert sum("embed" in step.parameter or "head" in step.parameter for step in plan) == 1
    apply(model, plan)
    assert model.head.weight is model.embed.weight


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_another_dtype_holds_the_same_draw(dtype):
    single = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
    other = copy.deepcopy(single).to(dtype)
    plan = plan_of(single, (2, 16))
    apply(single, plan)
    apply(other, plan)
    for a, b in zip(single.parameters(), other.parameters(), strict=True):
        assert torch.allclose(b.double(), a.double(), rtol=max(torch.finfo(dtype).eps, 2**-22), atol=1e-12)


def test_a_meta_model_is_materialised_and_equals_the_real_one():
    real = Net()
    plan = plan_of(real)
    apply(real, plan)
    with torch.device("meta"):
        model = Net()
    applied = apply(model, plan)
    assert not any(p.is_meta for p in model.parameters())
    assert model.head.weight is model.embed.weight
    assert same(state(model), state(real))
    assert set(applied.materialised) == {n for n, _ in model.named_parameters(remove_duplicate=False)}


def test_a_meta_batch_norm_gets_its_running_statistics():
    with torch.device("meta"):
        model = torchvision.models.resnet18()
    apply(model, plan_of(torchvision.models.resnet18()))
    assert float(model.bn1.running_mean.abs().sum()) == 0
    assert float(model.bn1.running_var.sum()) == 64
    assert int(model.bn1.num_batches_tracked) == 0
    assert torch.isfinite(model.eval()(torch.randn(1, 3, 64, 64))).all()


class WithBuffer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.register_buffer("frequencies", torch.arange(4.0), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) * self.frequencies


def test_a_meta_buffer_of_unknown_values_is_refused_and_nothing_is_changed():
    plan = plan_of(WithBuffer(), (2, 4))
    with torch.device("meta"):
        model = WithBuffer()
    with pytest.raises(UsageError, match="frequencies on the meta device"):
        apply(model, plan)
    assert all(p.is_meta for p in model.parameters())


def test_a_plan_of_another_model_is_refused_and_nothing_is_changed(resnet_plan):
    model = nn.Linear(4, 4)
    before = state(model)
    with pytest.raises(UsageError, match=r"conv1\.weight"):
        apply(model, resnet_plan)
    other = Plan("x", (PlanStep("weight", (5, 4), "float32", InitSpec("zeros"), ""),))
    with pytest.raises(UsageError, match=r"\(5, 4\)"):
        apply(model, other)
    assert same(state(model), before)


def test_wrapped_modules_keep_their_plan():
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))
    plan = plan_of(model, (2, 8))
    apply(model, plan)
    expected = state(model)
    nn.init.zeros_(model[0].weight)
    apply(torch.compile(model, backend="eager"), plan)
    assert same(state(model), expected)
    nn.init.zeros_(model[0].weight)
    apply(nn.DataParallel(model), plan)
    assert same(state(model), expected)


def test_frozen_and_overridden_parameters_are_left_or_set():
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))
    model[0].weight.requires_grad_(False)
    before = model[0].weight.clone()
    plan = plan_of(model, (2, 8), policy=overrides({"2": {"method": "zeros"}, "2.bias": {"method": "ones"}}))
    apply(model, plan)
    assert torch.equal(model[0].weight, before)
    assert plan.step("0.weight").method == "keep"
    assert not model[2].weight.any()
    assert (model[2].bias == 1).all()


def test_the_padding_row_of_an_embedding_stays_zero():
    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(10, 6, padding_idx=3)
            self.head = nn.Linear(6, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.table(x).mean(1))

    model = Words()
    apply(model, plan_of(model, (2, 5)))
    assert not model.table.weight[3].any()
    assert (model.table.weight[[0, 1, 2, 4, 9]].abs().sum(1) > 0).all()


def test_two_ranks_gather_to_the_bits_of_one_process(tmp_path):
    """FSDP2 on the CPU over gloo, from the meta device: no rank ever holds the whole model."""
    model = Net()
    plan = plan_of(model)
    apply(model, plan)
    single, file = tmp_path / "single.pt", tmp_path / "plan.json"
    torch.save({n: p.detach() for n, p in model.named_parameters(remove_duplicate=False)}, single)
    file.write_text(json.dumps(plan.to_json()))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    script = Path(__file__).parent / "sharded.py"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    ranks = [
        subprocess.Popen(
            [sys.executable, script, file, single, str(rank), port], stderr=subprocess.PIPE, env=environment
        )
        for rank in range(2)
    ]
    errors = [rank.communicate(timeout=120)[1].decode() for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], "\n".join(errors)[-3000:]
