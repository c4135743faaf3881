"""What holds for every method: its std, its regions, its keys, its JSON, its code."""

from __future__ import annotations

import json
import subprocess
import sys
from math import sqrt

import numpy as np
import pytest

from initadvisor.errors import UsageError
from initadvisor.initializers import METHODS, InitSpec, Key
from tests.initializers.table import CASES, IDS, RECORDS

EVERY = pytest.mark.parametrize(("spec", "shape", "layout"), RECORDS, ids=IDS)


def test_the_table_of_cases_names_every_method():
    assert {spec.method for spec, _ in CASES} == set(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_what_it_is_and_where_it_comes_from(name):
    entry = METHODS[name]
    assert entry.summary.endswith(".")
    assert "\n" not in entry.summary
    assert entry.source
    for heading in ("Formula:", "Use:", "Caveat:", "Source:"):
        assert entry.doc.count(heading) == 1


@EVERY
def test_the_drawn_std_is_the_declared_one(spec, shape, layout):
    drawn = np.stack([spec.draw(shape, Key(seed, "w"), layout, np.float64) for seed in range(4)])
    declared = spec.std(shape, layout)
    # A whole matrix declares its RMS, which tells from its std by its mean alone.
    measured = {drawn.std(), sqrt(np.mean(drawn**2))}
    slack = 6 / sqrt(drawn.size) if spec.distribution(shape, layout) is not None else 0.05
    assert min(abs(m - declared) for m in measured) <= slack * declared + 1e-12


@EVERY
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_draw_has_shape_and_dtype_and_is_a_function_of_its_key(spec, shape, layout, dtype):
    drawn = spec.draw(shape, Key(3, "a.weight"), layout, dtype)
    assert drawn.shape == shape
    assert drawn.dtype == dtype
    assert np.isfinite(drawn).all()
    assert (drawn == spec.draw(shape, Key(3, "a.weight"), layout, dtype)).all()


@EVERY
def test_a_shard_is_a_slice_of_the_whole(spec, shape, layout):
    whole = spec.draw(shape, Key(3, "a.weight"), layout)
    for axis, size in enumerate(shape):
        for part in (slice(0, size // 3), slice(size // 3, size), slice(1, None, 2)):
            region = tuple(part if a == axis else slice(None) for a in range(len(shape)))
            assert (spec.draw(shape, Key(3, "a.weight"), layout, region=region) == whole[region]).all()
    flat = range(whole.size // 5, whole.size - 3)
    assert (spec.draw(shape, Key(3, "a.weight"), layout, region=flat) == whole.reshape(-1)[flat.start : -3]).all()


DETERMINISTIC = {
    *("constant", "zeros", "ones", "identity", "idinit_zero", "zero", "focal_prior", "class_prior", "base_rate"),
    *("lstm_bias", "hippo_legs", "hippo_input", "s4d_log_real", "s4d_imaginary", "s4d_real", "mamba_a_log", "lora_b"),
}


@EVERY
def test_seeds_draw_different_numbers_unless_the_method_has_none(spec, shape, layout):
    same = (spec.draw(shape, Key(3, "w"), layout) == spec.draw(shape, Key(4, "w"), layout)).all()
    one_by_one = layout is not None and layout.groups == 32 and spec.method == "sparse_orthogonal"
    fixed = spec.method in DETERMINISTIC or one_by_one or (spec.method == "idinit" and "loose" not in spec.params)
    assert same == fixed


@EVERY
def test_json_gives_the_same_spec_back(spec, shape, layout):
    again = InitSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert again == spec
    assert hash(again) == hash(spec)
    assert (again.draw(shape, Key(0, "w"), layout) == spec.draw(shape, Key(0, "w"), layout)).all()


HEADER = "import numpy as np, torch\nfrom torch import nn\nRNG = np.random.default_rng(0)\n"


def test_the_pytorch_code_of_every_method_draws_the_same_std_without_this_package(tmp_path):
    """One fresh process runs the code of all records and prints mean and RMS of each."""
    lines = [HEADER]
    for spec, shape, layout in RECORDS:
        code = spec.code("pytorch", shape, layout)
        lines += [*code.helpers, "torch.manual_seed(0)", f"tensor = torch.full({shape}, float('nan'))"]
        lines += ["with torch.no_grad():", *("    " + line for line in code.text.splitlines())]
        lines += ["print(float(tensor.double().mean()), float(tensor.double().square().mean().sqrt()))"]
    script = tmp_path / "draws.py"
    script.write_text("\n".join(lines))
    run = subprocess.run([sys.executable, "-P", script], capture_output=True, text=True, cwd=tmp_path, check=True)
    for (spec, shape, layout), line in zip(RECORDS, run.stdout.splitlines(), strict=True):
        ours = np.stack([spec.draw(shape, Key(seed, "w"), layout, np.float64) for seed in range(4)])
        mean, rms = (float(x) for x in line.split())
        own = sqrt(np.mean(ours**2))
        assert rms == pytest.approx(own, rel=8 / sqrt(ours[0].size) + 1e-5, abs=1e-12), spec
        assert mean == pytest.approx(ours.mean(), abs=8 * own / sqrt(ours[0].size) + 1e-12), spec


@pytest.mark.parametrize("framework", ["keras", "flax"])
def test_code_for_other_frameworks_is_valid_python(framework):
    for spec, shape, layout in RECORDS:
        code = spec.code(framework, shape, layout)
        compile("\n".join(code.helpers) + f"\ninit = {code.text}", "emitted", "exec")
        assert "initadvisor" not in code.text


def test_other_names_of_the_field_lead_to_the_same_method():
    assert InitSpec("he_normal") == InitSpec("kaiming_normal")
    assert InitSpec("glorot_uniform").method == "xavier_uniform"


def test_errors_name_what_was_asked_and_what_there_is():
    with pytest.raises(UsageError, match="did you mean kaiming_normal"):
        InitSpec("kaiming_norm")
    with pytest.raises(UsageError, match=r"no parameter 'slope'.*negative_slope"):
        InitSpec("kaiming_normal", {"slope": 1})
    with pytest.raises(UsageError, match="needs the parameter 'std'"):
        InitSpec("normal")
    with pytest.raises(UsageError, match="fan mode"):
        InitSpec("variance_scaling", {"mode": "fan"}).std((3, 3))
    with pytest.raises(UsageError, match="gap or overlap"):
        InitSpec("blocks", {"axis": 0, "blocks": [{"name": "q", "start": 1, "stop": 3, "spec": "zeros"}]}).std((3, 3))
    with pytest.raises(UsageError, match="slices"):
        InitSpec("normal", {"std": 1.0}).draw((3, 3), Key(0, "w"), region=(slice(None),))
    with pytest.raises(UsageError, match="expected"):
        InitSpec.from_json(["normal"])
    with pytest.raises(UsageError, match="no code"):
        InitSpec("zeros").code("caffe", (3,))
