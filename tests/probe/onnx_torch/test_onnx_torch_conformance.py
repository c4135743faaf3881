"""The operator tests that ship with onnx, run by torch operators.

`KNOWN` lists what does not pass, and why. The test fails when something else does not pass, and when something listed
does: the list is what a reader may rely on.
"""

import warnings
from fnmatch import fnmatchcase

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from initadvisor.errors import InitAdvisorError
from initadvisor.probe.onnx_torch import to_module

KNOWN = {
    "test_adagrad*": "an optimizer",
    "test_adam*": "an optimizer",
    "test_momentum*": "an optimizer",
    "test_nesterov_momentum": "an optimizer",
    "test_ai_onnx_ml_*": "classic machine learning",
    "test_image_decoder_*": "compressed images",
    "test_melweightmatrix": "a constant that exporters fold",
    "test_regex_full_match_*": "text",
    "test_string_*": "text",
    "test_strnormalizer_*": "text",
    "test_tfidfvectorizer_*": "text",
    "test_cast*_to_*INT4*": "codes below a byte are only made by QuantizeLinear",
    "test_cast*_to_*INT2*": "codes below a byte are only made by QuantizeLinear",
    "test_*FLOAT4E2M1*": "torch has no float of 4 bits",
    "test_*float4e2m1": "torch has no float of 4 bits",
    "test_cast_e8m0_FLOAT*_to_FLOAT8E8M0": "torch computes nothing with this type",
    "test_cast*_no_saturate_FLOAT*_to_FLOAT8E4M3FN": "torch's own cast saturates",
    "test_cast*_no_saturate_FLOAT*_to_FLOAT8E4M3FN_expanded": "torch's own cast saturates",
    "test_equal_string*": "text",
    "test_col2im_5d": "torch folds images of two axes only",
    "test_roialign_mode_max": "torchvision averages only",
}
"""Pattern of test names -> why they do not pass."""

RANDOM = ("test_bernoulli*", "test_training_dropout*")
"""What is drawn at random: only types and shapes can be compared."""


def _torch(value):
    """A test's input or output as torch tensors, with the type that the module uses for it."""
    if value is None:
        return None
    if isinstance(value, list):
        return [_torch(item) for item in value]
    if isinstance(value, onnx.TensorProto):
        value = numpy_helper.to_array(value)
    array = np.array(value)
    kind = array.dtype.name
    if array.dtype.kind in "OSU":
        raise TypeError("text")
    if kind == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    if kind.startswith("float8"):
        return torch.from_numpy(array.view(np.uint8)).view(getattr(torch, kind))
    if kind in ("int4", "int2", "uint4", "uint2"):
        return torch.from_numpy(array.astype(np.int8 if kind.startswith("int") else np.uint8))
    return torch.from_numpy(array)


def _difference(got, expected, shapes_only, rtol, atol):
    """What differs, "" where nothing does."""
    if isinstance(expected, list):
        if not isinstance(got, list) or len(got) != len(expected):
            return "another number of elements"
        return next(
            filter(None, (_difference(g, w, shapes_only, rtol, atol) for g, w in zip(got, expected, strict=True))), ""
        )
    if expected is None or got is None:
        return "" if got is expected else "a value or none"
    if got.dtype != expected.dtype or got.shape != expected.shape:
        return f"{got.dtype} {list(got.shape)}, not {expected.dtype} {list(expected.shape)}"
    if shapes_only:
        return ""
    # A step of the narrow types is larger than the tolerance that suits float32.
    step = torch.finfo(got.dtype).eps if got.dtype in (torch.float16, torch.bfloat16) else 0.0
    wide = torch.float64 if not got.is_complex() else torch.complex128
    near = torch.allclose(
        got.detach().to(wide),
        expected.to(wide),
        rtol=max(rtol, 1e-3, 4 * step),
        atol=max(atol, 1e-5, step),
        equal_nan=True,
    )
    return "" if near else "other numbers"


def run_case(case, path):
    """What is wrong with a case, "" where it passes."""
    path.write_bytes(case.model.SerializeToString())
    shapes_only = any(fnmatchcase(case.name, pattern) for pattern in RANDOM)
    try:
        module = to_module(path)
        for given, expected in case.data_sets:
            given = given.values() if isinstance(given, dict) else given
            found = module(*[_torch(value) for value in given])
            found = found if isinstance(found, tuple) else (found,)
            if len(found) != len(expected):
                return f"{len(found)} outputs, not {len(expected)}"
            for got, want in zip(found, expected, strict=True):
                wrong = _difference(got, _torch(want), shapes_only, case.rtol, case.atol)
                if wrong:
                    return wrong
    except (InitAdvisorError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Case -> what is wrong with it."""
    from onnx.backend.test.case.node import collect_testcases

    path = tmp_path_factory.mktemp("node") / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = [case for case in collect_testcases(None) if case.model is not None]
        return {case.name: run_case(case, path) for case in cases}


def _listed(name):
    return any(fnmatchcase(name, pattern) for pattern in KNOWN)


def test_every_operator_test_passes_but_the_listed_ones(outcomes):
    assert len(outcomes) > 1500
    failing = {name: wrong for name, wrong in outcomes.items() if wrong and not _listed(name)}
    assert not failing, f"{len(failing)} of {len(outcomes)}: {list(failing.items())[:20]}"


def test_what_is_listed_as_missing_is_missing(outcomes):
    passing = [name for name, wrong in outcomes.items() if not wrong and _listed(name)]
    assert not passing
    unused = [pattern for pattern in KNOWN if not any(fnmatchcase(name, pattern) for name in outcomes)]
    assert not unused
