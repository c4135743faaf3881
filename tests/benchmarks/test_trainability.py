"""The trainability benchmark: cases that never change, labels by the stated rule, scores that are what they say."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.trainability import cases as drawn
from benchmarks.trainability import fit, labels, runs
from benchmarks.trainability.data import load, loss, score
from benchmarks.trainability.scores import Judged, auc, by_rule, rates, scored, verdict
from benchmarks.trainability.training import Curve, train, train_modules
from initadvisor.analysis.risk import Scale, Term


def case(**changes: object) -> drawn.Case:
    plain = next(c for c in drawn.cases() if c.family == "mlp")
    sound = {"data": "digits", "depth": 2, "width": 16, "activation": "relu", "norm": "none", "residual": False,
             "squeeze": 0, "recipe": "he normal", "fault": "none", "rates": drawn.RATES, "scale": "standard",
             "tail": "none", "planted": "none"}  # fmt: skip
    return replace(plain, **{**sound, **changes})  # type: ignore[arg-type]


def judged(scores: list[float], errors: list[str] = [], part: str = "test") -> Judged:  # noqa: B006
    curves = [Curve(0, rate, [(300, value)], [1.0], steps=300) for rate, value in zip(drawn.RATES, scores, strict=True)]
    found = [[rule, "error", ""] for rule in errors]
    return Judged(case(part=part), curves, {"static": {}, "probe": {}, "findings": {"probe": found}})


def test_cases_are_the_same_every_time() -> None:
    assert drawn.cases() == drawn.cases()
    assert len({c.key for c in drawn.cases()}) == sum(drawn.COUNTS.values())


def test_a_draw_depends_on_key_and_factor_alone() -> None:
    digest = hashlib.sha256(b"trainability 1|mlp-000|part").digest()
    assert drawn.draw("mlp-000", "part", range(1000)) == int.from_bytes(digest[:8], "big") % 1000
    assert drawn.draw("mlp-000", "part", ("a",)) == "a"
    shares = np.mean([drawn.draw(str(i), "part", (0, 1)) for i in range(2000)])
    assert abs(shares - 0.5) < 4 * math.sqrt(0.25 / 2000)


def test_what_was_looked_at_is_no_test() -> None:
    tests = [c for c in drawn.cases() if c.part == "test"]
    assert {c.family for c in tests} == set(drawn.COUNTS)
    assert all(int(c.key.rpartition("-")[2]) >= drawn.SEEN[c.family] for c in tests)
    later = [c for c in drawn.cases() if int(c.key.rpartition("-")[2]) >= drawn.SEEN[c.family]]
    assert 0.4 < len(tests) / len(later) < 0.6


def test_the_short_form_is_part_of_the_whole() -> None:
    assert set(drawn.cases(short=True)) <= set(drawn.cases())


def test_every_case_can_be_built_and_run_and_leaves_the_random_state_alone() -> None:
    state = torch.random.get_rng_state()
    for one in drawn.cases(short=True):
        inputs, targets = drawn.batch(one)
        output = drawn.build(one, 0)(inputs)
        assert output.shape[0] == len(inputs)
        assert loss(output, targets).ndim == 0
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_seed_gives_the_same_network_and_another_one_another() -> None:
    def weights(seed: int) -> torch.Tensor:
        return next(drawn.build(case(), seed).parameters()).detach()

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def test_factors_are_as_many_as_the_readme_says() -> None:
    every = drawn.cases()
    assert len({c.activation for c in every}) >= 12
    assert len({c.recipe for c in every} | {c.fault for c in every}) >= 15
    assert {c.planted for c in every} == set(drawn.CAUSES)
    assert max(c.depth for c in every) == 100


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({}, "none"),
        ({"rates": (10.0, 100.0, 1000.0)}, "learning_rate"),
        ({"scale": "x255"}, "data_scale"),
        ({"tail": "softmax"}, "head"),
        ({"squeeze": 1}, "architecture"),
        ({"recipe": "zeros"}, "initialization"),
        ({"fault": "biases -10"}, "initialization"),
        ({"fault": "head zero"}, "none"),
        ({"recipe": "xavier normal", "depth": 32}, "initialization"),
        ({"recipe": "recommended", "depth": 32, "activation": "sigmoid"}, "architecture"),
        ({"recipe": "recommended", "depth": 32}, "none"),
    ],
)
def test_the_planted_cause_follows_from_the_factors(changes: dict[str, object], cause: str) -> None:
    assert drawn.planted(case(**changes)) == cause


def test_labels_follow_the_stated_rule() -> None:
    goal, floor = 0.9, 0.1
    assert [labels.label(v, goal, floor) for v in (0.9, 0.89, 0.5, 0.49, -1.0)] == [
        "trainable", "slow", "slow", "untrainable", "untrainable"]  # fmt: skip
    assert labels.best(["slow", "untrainable"]) == "slow"
    assert labels.worst(["slow", "trainable"]) == "slow"
    assert labels.majority(["trainable", "untrainable", "trainable"]) == "trainable"


def test_goals_are_those_of_the_readme() -> None:
    assert labels.goal("digits") == 0.9
    assert labels.goal("pixels") == 0.5
    found = load("diabetes")
    inputs = np.column_stack([found.inputs.double().numpy(), np.ones(len(found.inputs))])
    wanted = found.targets.double().numpy()[:, 0]
    normal = np.linalg.solve(inputs.T @ inputs, inputs.T @ wanted)
    explained = 1 - ((wanted - inputs @ normal) ** 2).sum() / ((wanted - wanted.mean()) ** 2).sum()
    assert labels.goal("diabetes") == pytest.approx(0.9 * explained, abs=1e-6)


def test_scores_are_accuracy_and_explained_variance() -> None:
    logits = torch.tensor([[[2.0, 1.0], [0.0, 1.0], [0.0, 1.0], [3.0, 1.0]]])
    assert score(logits, torch.tensor([0, 1, 0, 0])).item() == 0.75
    assert score(torch.full((1, 4, 2), float("nan")), torch.tensor([0, 0, 0, 0])).item() == 0.0
    wanted = torch.tensor([[1.0], [3.0]])
    assert score(torch.tensor([[[2.0], [2.0]]]), wanted).item() == pytest.approx(0.0)
    assert score(wanted[None], wanted).item() == pytest.approx(1.0)


@pytest.mark.parametrize("family", ["mlp", "cnn", "rnn", "lstm", "transformer"])
def test_stacked_training_is_plain_sgd_with_momentum(family: str) -> None:
    one = case(family=family, depth=1, activation="tanh" if family != "transformer" else "gelu", steps=8,
               norm="pre" if family == "transformer" else "none")  # fmt: skip
    modules = [drawn.build(one, seed) for seed in (0, 1)]
    curves = train_modules(one, modules, (0, 1), (0.01, 0.1), steps=3)
    found = load("digits")
    for curve in curves:
        module = drawn.build(one, curve.seed)
        optimizer = torch.optim.SGD(module.parameters(), curve.rate, momentum=0.9)
        order = torch.randperm(len(found.inputs), generator=torch.Generator().manual_seed(1000 * curve.seed))
        losses = []
        for step in range(3):
            chosen = order[32 * step : 32 * step + 32]
            value = loss(module(found.inputs[chosen]), found.targets[chosen])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            losses.append(value.item())
        assert curve.losses[0] == pytest.approx(np.mean(losses), rel=1e-4)


def test_a_run_that_diverges_is_left_alone_and_does_not_touch_the_others() -> None:
    one = case(data="diabetes")
    alone = train(one, seeds=(0,), rates=(0.003,), steps=50)
    both = train(one, seeds=(0,), rates=(0.003, 1e6), steps=50)
    assert [v for _, v in both[0].scores] == pytest.approx([v for _, v in alone[0].scores], rel=1e-3)
    assert not both[1].finite
    assert both[1].final == -1.0


def test_outcomes_of_a_case() -> None:
    fine, slow, dead = judged([0.95, 0.92, 0.9]), judged([0.2, 0.6, 0.1]), judged([0.1, 0.1, -1.0])
    assert [j.outcome for j in (fine, slow, dead)] == ["trainable", "slow", "untrainable"]
    assert fine.always
    assert not judged([0.95, 0.92, 0.89]).always
    # A slow one neither trains nor fails.
    assert [j.fails for j in (fine, slow, dead)] == [False, False, True]
    assert [j.trains for j in (fine, slow, dead)] == [True, False, False]


def test_area_under_the_curve_counts_ties_half() -> None:
    assert auc([0.1, 0.4, 0.35, 0.8], [False, False, True, True]) == 0.75
    assert auc([1.0, 1.0], [True, False]) == 0.5
    assert math.isnan(auc([1.0], [True]))


def test_rates_of_a_table() -> None:
    # 3 hits, 1 false alarm, 1 missed, 5 quiet.
    fired = [True] * 4 + [False] * 6
    bad = [True, True, True, False, True] + [False] * 5
    found = rates(fired, bad)
    assert (found["precision"], found["recall"]) == (0.75, 0.75)
    assert found["false-positive rate"] == pytest.approx(1 / 6, abs=1e-4)
    assert rates([False], [False])["precision"] is None


def test_a_finding_at_error_level_ranks_above_every_risk() -> None:
    scale = Scale(0.0, (), (), 0.0)
    scales = dict.fromkeys(("signal", "probe", "lookahead"), scale)
    found, silent = judged([0.1] * 3, ["IA610"]), judged([0.95] * 3)
    assert verdict(found, "probe", scales) > verdict(silent, "probe", scales) == 0.5
    result = scored([found, silent, silent], "probe", scales)
    assert result["AUC"] == 1.0
    assert result["AUC of the risk alone"] == 0.5
    assert by_rule([found, silent, judged([0.95] * 3, ["IA610"])], ["probe"]) == {
        "IA610 error": {"fired": 2, "fail": 1, "slow": 0, "not trainable": 0.5}
    }


def test_the_fit_uses_the_calibration_part_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    own = [judged([0.95] * 3, part="calibration"), judged([0.1] * 3, part="calibration")] * 5
    other = [judged([0.1] * 3, part="test")] * 7
    monkeypatch.setattr(fit, "crossed", lambda x, y, keys: np.full(len(y), 0.5))
    for one in own:
        one.said["static"]["model.signal.end_rms"] = 1.0 if not one.fails else 1e-6
    assert fit.fit([*own, *other], []) == fit.fit(own, [])
    assert "# 10 starts" in fit.fit([*own, *other], [])
    stock = [{"key": "one", "static": {"model.signal.end_rms": 1.0}}, {"key": "two", "left out": "too large"}]
    assert "With 1 stock models" in fit.fit(own, stock)


def test_the_fit_finds_the_weights_of_a_logistic_model() -> None:
    generator = np.random.default_rng(0)
    x = generator.uniform(size=(20000, 2))
    chance = 1 / (1 + np.exp(-(-2 + 4 * x[:, 0])))
    intercept, weights = fit.logistic(x, (generator.uniform(size=20000) < chance).astype(float), ridge=1e-6)
    # Standard error of a weight: about 1 / sqrt(20000 * var(x) * mean p(1-p)) = 0.06.
    assert intercept == pytest.approx(-2, abs=0.25)
    assert weights == pytest.approx([4, 0], abs=0.25)
    assert (weights >= 0).all()


def test_the_written_terms_give_the_fitted_logit() -> None:
    # A candidate on [-4, 0] of which less is worse: weight 2 on a share of 1 - (-1 + 4) / 4 = 1/4 gives 0.5.
    term = Term("f", "log", -4.0, 0.0, 0.0, -1 * 2 / 4)
    assert -(-1 * 2 / 4) * 0.0 + term.of({"f": 0.1}) == pytest.approx(0.5)


def test_both_commands_together_have_the_findings_of_either() -> None:
    one = judged([0.1, 0.1, 0.1])
    said = {"check and signal": [["IA103", "error", ""]], "probe with look-ahead": [["IA603", "error", ""]]}
    one = replace(one, said={**one.said, "findings": said})
    assert one.found("check and probe") == ["IA103", "IA603"]
    assert one.found("check and signal") == ["IA103"]


def test_cases_are_done_once_by_any_number_of_processes(tmp_path: Path) -> None:
    few = drawn.cases(short=True)[:3]
    file = tmp_path / "rows.jsonl"
    assert runs.each(named, few, file, {few[0].key}, float("inf"), 2) == 0
    assert sorted(json.loads(line)["key"] for line in file.read_text().splitlines()) == [c.key for c in few[1:]]
    assert runs.each(named, few, file, set(), -1.0, 2) == 3


def named(case: drawn.Case) -> dict[str, str]:
    """What a process of the pool makes of a case."""
    return {"key": case.key}
