"""Control flow, sequences and optionals of ONNX; higher-order operators of torch; detection post-processing."""

from __future__ import annotations

from initadvisor.ops.registry import register

register("if", "control", "condition captured...", onnx="If")
register("loop", "control", "trip_count condition carried...", onnx="Loop")
register("scan", "control", "inputs...", onnx="Scan")
for _name, _slots, _onnx in (
    ("sequence_construct", "inputs...", "SequenceConstruct"),
    ("sequence_empty", "", "SequenceEmpty"),
    ("sequence_at", "sequence position", "SequenceAt"),
    ("sequence_insert", "sequence tensor position", "SequenceInsert"),
    ("sequence_erase", "sequence position", "SequenceErase"),
    ("sequence_length", "sequence", "SequenceLength"),
    ("split_to_sequence", "input split", "SplitToSequence"),
    ("sequence_map", "sequence inputs...", "SequenceMap"),
    ("optional", "input", "Optional"),
    ("optional_get", "input", "OptionalGetElement"),
    ("optional_has", "input", "OptionalHasElement"),
):
    register(_name, "control", _slots, transparent=_name == "optional_get", onnx=_onnx)
register(
    "non_max_suppression",
    "other",
    "boxes scores",
    onnx_inputs={
        "NonMaxSuppression": "boxes scores max_output_boxes_per_class iou_threshold score_threshold",
    },
    torch={"torchvision.nms": "boxes scores iou_threshold", "torchvision.ops.nms": "boxes scores iou_threshold"},
    onnx="NonMaxSuppression",
)
register(
    "stft",
    "other",
    "input window",
    torch={"torch.functional.stft": "input n_fft hop_length win_length window"},
    onnx="STFT",
    onnx_inputs={"STFT": "input hop_length window n_fft"},
)
register(
    "mel_weight_matrix",
    "create",
    "",
    onnx="MelWeightMatrix",
    onnx_inputs={"MelWeightMatrix": "num_mel_bins dft_length sample_rate lower_edge_hertz upper_edge_hertz"},
)
register("string_normalizer", "other", "input", onnx="StringNormalizer")
register("tfidf", "other", "input", onnx="TfIdfVectorizer")
register("image_decoder", "other", "input", onnx="ImageDecoder")
register("dft", "other", "input", onnx="DFT", onnx_inputs={"DFT": "input dft_length axis"})
for _name in ("fft", "ifft", "rfft", "irfft"):
    for _suffix, _parameters in (("", "input n dim norm"), ("2", "input s dim norm"), ("n", "input s dim norm")):
        register(f"{_name}{_suffix}", "other", "input", torch={f"torch.fft.{_name}{_suffix}": _parameters})
for _name in ("fftshift", "ifftshift"):
    register(_name, "shape", "input", transparent=True, torch={f"torch.fft.{_name}": "input dim"})
register("complex", "other", "real imag", torch="torch.complex")
register("polar", "other", "abs angle", torch="torch.polar")
register(
    "item",
    "other",
    "input",
    torch="torch.Tensor.item torch.Tensor.tolist torch.Tensor.__bool__ torch.Tensor.__int__ torch.Tensor.__float__ "
    "torch.Tensor.__index__ torch.Tensor.__len__",
)

_INVERSE = ("inv", "pinv", "cholesky", "qr", "svd", "svdvals", "eigh", "eigvalsh", "matrix_exp", "slogdet")
for _name in (*_INVERSE, "householder_product", "solve", "solve_triangular", "matrix_power", "matrix_rank", "lstsq"):
    _spellings = [f"torch.linalg.{_name}", f"torch.{_name}", f"torch.Tensor.{_name}"]
    if _name == "inv":
        _spellings += ["torch.inverse", "torch.Tensor.inverse"]
    register(f"linalg_{_name}", "other", "input other", torch=" ".join(_spellings))
register("cross", "elementwise", "input other", torch="torch.cross torch.Tensor.cross torch.linalg.cross")
register("histogram", "other", "input", torch="torch.bincount torch.Tensor.bincount torch.histc torch.Tensor.histc")
register("cov", "reduce", "input", torch="torch.cov torch.Tensor.cov torch.corrcoef torch.Tensor.corrcoef")
