"""`initadvisor.check_clients`: judge what the clients of a federated run hold before it is averaged."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from initadvisor.engine.checker import Checker, CheckSettings
from initadvisor.engine.results import report_of_data
from initadvisor.errors import UsageError
from initadvisor.rules import Subject, evaluate, flatten
from initadvisor.rules.vocabulary import clean_text

if TYPE_CHECKING:
    from initadvisor.analysis.clients import Client
    from initadvisor.graph import TensorSource
    from initadvisor.report import Report

_CHUNK = 1 << 20


def check_clients(
    clients: Sequence[Any] | Mapping[str, Any],
    *,
    server: Any = None,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    extend_select: Iterable[str] = (),
    preview: bool = False,
    rules_dirs: Iterable[Path | str] = (),
    params: Mapping[str, Any] | None = None,
) -> Report:
    """Check the weights that several clients start from or send back; nothing is averaged and nothing changed.

    clients: two or more state dicts, torch modules or checkpoint files (.safetensors, .pt), in a list or by name.
    server: the weights that the clients were sent, which tells the one that did not train.
    The other arguments are those of `initadvisor.check`. Tensors are read one at a time, of all clients together.

    Raises UsageError where there are fewer than two clients or one holds no weights, and a LoadError for a file that
    cannot be read.
    """
    settings = CheckSettings(
        select=tuple(select),
        ignore=tuple(ignore),
        extend_select=tuple(extend_select),
        preview=preview,
        rules_dirs=tuple(rules_dirs),
        params=dict(params or {}),
    )
    return ClientsChecker(Checker(settings, purpose="clients")).check(clients, server)


class ClientsChecker:
    """Rules about clients compiled once, for as many rounds as there are."""

    def __init__(self, checker: Checker) -> None:
        self.checker = checker

    def check(self, clients: Sequence[Any] | Mapping[str, Any], server: Any = None) -> Report:
        """The report on one round; arguments as in `check_clients`."""
        from initadvisor.analysis.clients import client_facts

        if isinstance(clients, str | bytes | os.PathLike) or not isinstance(clients, Sequence | Mapping):
            raise UsageError(
                f"the clients are {type(clients).__name__}, not a list of them", hint="give a list of state dicts"
            )
        named = dict(clients) if isinstance(clients, Mapping) else {_name(c, k): c for k, c in enumerate(clients)}
        if len(named) < 2:
            raise UsageError(f"{len(named)} client has no other to be compared with", hint="give two or more")
        held = [_client(given, name) for name, given in named.items()]
        sent = _client(server, "the server") if server is not None else None
        group, own = client_facts(held, sent)
        whole = flatten("clients", group, {})
        each = [
            Subject("client", clean_text(str(name)), flatten("client", facts, dict(whole)), None)
            for name, facts in zip(named, own, strict=True)
        ]
        subjects = {"clients": [Subject("clients", "", whole, None)], "client": each}
        judgement = evaluate(self.checker.compiled, subjects, frozenset({"clients", "weights"}))
        notes = () if sent is not None else ("without the server's weights nothing says whether a client trained",)
        return report_of_data("clients", judgement, notes, self.checker.settings_digest)


def _name(client: Any, number: int) -> str:
    """A file by its path, anything else by its place in the list, from 0."""
    return f"{number}: {os.fspath(client)}" if isinstance(client, str | os.PathLike) else str(number)


def _client(given: Any, name: str) -> Client:
    """The float tensors of a state dict, a module or a file, by name."""
    from initadvisor.analysis.clients import ClientTensor

    if isinstance(given, str | os.PathLike):
        from initadvisor.frontends import checkpoint
        from initadvisor.frontends.options import LoadOptions

        graph = checkpoint.load(os.fspath(given), LoadOptions())
        found = {
            own: ClientTensor(parameter.shape, _reader(parameter.source))
            for parameter in graph.parameters.values()
            if parameter.is_float and parameter.source is not None
            for own in (parameter.name, *parameter.aliases)
        }
    else:
        table = given.state_dict() if hasattr(given, "state_dict") else given
        if not isinstance(table, Mapping):
            raise UsageError(
                f"client {name} is {type(given).__name__}", hint="give state dicts, modules or checkpoint files"
            )
        arrays = {str(key): _array(value) for key, value in table.items() if hasattr(value, "shape")}
        found = {
            key: ClientTensor(tuple(a.shape), partial(_flat, a)) for key, a in arrays.items() if a.dtype.kind == "f"
        }
    if not found:
        raise UsageError(f"client {name} holds no float tensor", hint="give its state dict")
    return found


def _reader(source: TensorSource) -> Any:
    def read() -> np.ndarray:
        parts = [np.array(part, np.float64) for part in source.chunks(_CHUNK)]
        return np.concatenate(parts) if parts else np.zeros(0)

    return read


def _flat(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, np.float64).ravel()


def _array(value: Any) -> np.ndarray:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if value.is_floating_point() and value.dtype.itemsize < 4:
            value = value.float()  # NumPy has no bfloat16
    return np.asarray(value)
