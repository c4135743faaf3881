"""Which operators there are, and the models that ship with onnx: exports of old PyTorch releases with their results."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import defs, numpy_helper

from initadvisor.probe.onnx_torch import to_module
from initadvisor.probe.onnx_torch.registry import IMPLEMENTATIONS, implements
from initadvisor.probe.onnx_torch.tabled import tabled
from initadvisor.probe.onnx_torch.unsupported import UNSUPPORTED

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data"
TEXT = "test_strnorm_model"
TRAINING = "test_gradient_of"


def _runs(schema):
    known = schema.name in IMPLEMENTATIONS or tabled(schema.name) is not None
    return known or schema.has_function or schema.has_context_dependent_function


def test_every_operator_of_the_standard_runs_or_is_listed_as_missing():
    standard = [schema for schema in defs.get_all_schemas() if schema.domain == ""]
    missing = {schema.name for schema in standard if not _runs(schema)}
    assert missing == set(UNSUPPORTED)


def test_an_operator_is_implemented_once():
    with pytest.raises(ValueError, match="'Conv' is implemented twice"):
        implements("Conv")(lambda call: None)


def test_what_the_shared_table_spells_has_no_second_entry():
    """Where both have one, the raw node means more than the table's torch spelling says."""
    both = {name for name in IMPLEMENTATIONS if tabled(name) is not None}
    assert both == {
        "Clip",
        "Div",
        "HardSigmoid",
        "IsInf",
        "Mod",
        "PRelu",
        "Pow",
        "Selu",
        "Shrink",
        "Swish",
        "com.microsoft::FastGelu",
        "com.microsoft::QuickGelu",
    }


def _tensor(path):
    proto = onnx.TensorProto.FromString(path.read_bytes())
    try:
        return torch.from_numpy(np.array(numpy_helper.to_array(proto)))
    except (TypeError, ValueError, KeyError):
        sequence = onnx.SequenceProto.FromString(path.read_bytes())
        return [torch.from_numpy(np.array(numpy_helper.to_array(item))) for item in sequence.tensor_values]


def _check(found, expected):
    if isinstance(expected, list):
        for one, other in zip(found, expected, strict=True):
            _check(one, other)
        return
    torch.testing.assert_close(found.detach(), expected, rtol=1e-3, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("family", ["pytorch-converted", "pytorch-operator", "simple"])
def test_stored_models_give_their_stored_results(family):
    folders = [f for f in sorted((FOLDER / family).iterdir()) if not f.name.startswith((TEXT, TRAINING))]
    assert len(folders) > 10
    for folder in folders:
        module = to_module(folder / "model.onnx")
        for data in sorted(folder.glob("test_data_set_*")):
            inputs = sorted(data.glob("input_*.pb"), key=lambda path: int(path.stem.split("_")[-1]))
            outputs = sorted(data.glob("output_*.pb"), key=lambda path: int(path.stem.split("_")[-1]))
            found = module(*[_tensor(path) for path in inputs])
            found = found if isinstance(found, tuple) else (found,)
            for got, path in zip(found, outputs, strict=True):
                _check(got, _tensor(path))
