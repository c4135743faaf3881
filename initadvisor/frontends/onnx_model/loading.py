"""From a path to a graph."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from initadvisor.errors import FormatError, LoadError
from initadvisor.frontends.onnx_model.builder import Builder
from initadvisor.frontends.onnx_model.carried import carried
from initadvisor.frontends.onnx_model.document import open_document
from initadvisor.frontends.onnx_model.exporters import provenance
from initadvisor.frontends.onnx_model.external import ExternalFiles
from initadvisor.frontends.onnx_model.functions import functions
from initadvisor.frontends.onnx_model.parameters import assign
from initadvisor.frontends.onnx_model.shapes import set_input_shapes
from initadvisor.frontends.onnx_model.tensor_reader import TensorReader
from initadvisor.frontends.onnx_model.text import text
from initadvisor.frontends.onnx_model.wire import Payloads
from initadvisor.frontends.options import LoadOptions
from initadvisor.graph import Coverage, Graph
from initadvisor.ops import operator

if TYPE_CHECKING:
    from onnx import ModelProto


def load(path: str | Path, options: LoadOptions | None = None) -> Graph:
    """Read an ONNX file; its weights stay memory-mapped in the file or in the external data beside it.

    Raises a LoadError for anything that cannot be read as a model: NotFoundError, FormatError, UnsafeError (external
    data outside the model's folder), LimitError (more declared than stored, or more than `options` allow).
    """
    options = options or LoadOptions()
    path = Path(path)
    document = open_document(path, options)
    try:
        return _read(document.model, path, document.payloads, document.data, options)
    except LoadError as error:
        if str(path) in error.message:
            raise
        raise type(error)(f"{path}: {error.message}", hint=error.hint) from None


def _read(model: ModelProto, path: Path, payloads: Payloads, data: np.ndarray, options: LoadOptions) -> Graph:
    opsets = operator_sets(model)
    known = functions(model, options.max_nodes)
    if options.input_shapes is not None:
        set_input_shapes(model, options.input_shapes)
    graph = Graph(str(path), "onnx", coverage=Coverage("onnx"))
    reader = TensorReader(payloads, data, ExternalFiles(path.absolute().parent, options))
    builder = Builder(graph, reader, provenance(model), opsets, known, options.max_nodes)
    builder.main(model.graph)
    assign(builder)
    _note(builder)
    _cover(graph)
    graph.markers, problem = carried(model)
    if problem:
        graph.coverage.notes.append(problem)
    return graph


def operator_sets(model: ModelProto) -> dict[str, int]:
    """Operator set versions by domain, the standard one as ""."""
    from onnx import defs

    found: dict[str, int] = {}
    for entry in model.opset_import:
        domain = text(entry.domain)
        domain = "" if domain == "ai.onnx" else domain
        if found.setdefault(domain, entry.version) != entry.version:
            raise FormatError(f"the model asks for two versions of operator set {domain or 'ai.onnx'!r}")
    newest = defs.onnx_opset_version()
    version = found.setdefault("", 1)
    if not 1 <= version <= newest:
        raise FormatError(
            f"the model asks for operator set {version}; this release of onnx knows 1 to {newest}",
            hint="a newer release of the onnx package may know it" if version > newest else None,
        )
    return found


def _note(builder: Builder) -> None:
    """Say what an exporter did that the graph undoes."""
    if not builder.folded_norms:
        return
    builder.note("folded_norms", f"{builder.folded_norms} batch norms were folded into the convolution before them")
    if any(node.op == "dropout" and node.attrs.get("training") for node in builder.graph.nodes):
        builder.note(
            "folded_in_training", "the export keeps dropout active but has its batch norms folded as for inference"
        )


def _cover(graph: Graph) -> None:
    """Say which operators the table does not know, and which weights are there but not read as numbers."""
    opaque = Counter(node.native for node in graph.nodes if node.op == "opaque")
    graph.coverage.opaque = dict(opaque)
    total = len(graph.nodes)
    graph.coverage.operators = 1.0 - sum(opaque.values()) / total if total else 1.0
    weighted = {v for node in graph.nodes if _reads_weights(node.op) for v in node.inputs if v is not None}
    read = {graph.values[v].parameter for v in weighted}
    quantized = [p for p in graph.parameters.values() if p.name in read and not p.is_float]
    if quantized:
        graph.coverage.notes.append(f"{len(quantized)} quantized weights were not read: their scale was not found")
    unreadable = [p for p in graph.parameters.values() if p.is_float and p.source is None]
    if unreadable:
        kinds = ", ".join(sorted({p.dtype for p in unreadable}))
        graph.coverage.notes.append(f"{len(unreadable)} weights were not read: their type ({kinds}) is not known here")


def _reads_weights(op: str) -> bool:
    entry = operator(op)
    return entry is not None and entry.family in ("weighted", "embedding", "recurrent")
