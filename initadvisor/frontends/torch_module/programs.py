"""Programs: what `torch.export` and TorchScript saved, and modules that only `torch.export` can follow."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from initadvisor.errors import FormatError, UnsafeError
from initadvisor.frontends.options import LoadOptions
from initadvisor.frontends.torch_module.forward import record
from initadvisor.frontends.torch_module.state import Guard
from initadvisor.graph import Graph

if TYPE_CHECKING:
    from initadvisor.frontends.torch_module.inputs import Trial


def load(path: str, options: LoadOptions) -> Graph:
    """Read a `.pt2` program or a TorchScript archive. Both carry code: UnsafeError unless `options.allow_pickle`."""
    if not options.allow_pickle:
        raise UnsafeError(f"{path} holds a program, which can run code", hint="pass --allow-pickle if you trust it")
    from initadvisor.frontends import torch_module
    from initadvisor.frontends.checkpoint.load import check_regular

    check_regular(Path(path), options)
    try:
        if path.lower().endswith(".pt2"):
            program = torch.export.load(path)
            return _program(program, path)
        module = torch.jit.load(path, map_location="cpu")
    except Exception as error:
        raise FormatError(f"{path} cannot be read as a program: {' '.join(str(error).split())[:200]}") from error
    return torch_module.load(module, options, target=path)


def exported(module: torch.nn.Module, trial: Trial, target: str) -> Graph:
    """Export a copy of a module and record the exported program. Raises whatever the exporter raises.

    A copy, because the exporter computes on the true tensors of plain attributes and running statistics.
    """
    with silenced(), Guard(module):
        program = torch.export.export(copy.deepcopy(module), trial.args, dict(trial.kwargs), strict=False)
    return _program(program, target)


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """The exporter prints graphs and warnings about what it cannot follow; that it failed is said elsewhere."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def _program(program: torch.export.ExportedProgram, target: str) -> Graph:
    module = program.module()
    args, kwargs = program.example_inputs
    return record(module, args, kwargs, target=target)
