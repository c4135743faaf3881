"""Several clients' weights held against each other, one tensor at a time: structure, values, how alike they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from initadvisor.analysis.facts.clients import ClientFacts, ClientsFacts

SMALLEST = 64
"""Elements from which on a tensor's correlation and scale say something of its draw."""


@dataclass(frozen=True, slots=True)
class ClientTensor:
    """A float tensor of a client: its shape, and its elements when they are asked for, flat in float64."""

    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]


Client = Mapping[str, ClientTensor]


@dataclass(slots=True)
class _Sums:
    """What is gathered over the tensors. gram: inner products of centred weights; power: of the weights themselves."""

    gram: np.ndarray
    power: np.ndarray
    changed: np.ndarray
    non_finite: list[int]
    non_finite_at: list[str | None]
    scale: list[tuple[float, str]]
    identical: bool = True
    scales: bool = field(default=False)


def client_facts(clients: Sequence[Client], server: Client | None = None) -> tuple[ClientsFacts, list[ClientFacts]]:
    """The facts of the group and of each client; `server` is what the clients were sent, where that is known."""
    votes = Counter((name, tensor.shape) for client in clients for name, tensor in client.items())
    shapes: dict[str, tuple[int, ...]] = {}
    for (name, shape), count in votes.most_common():
        if 2 * count > len(clients) or (2 * count == len(clients) and name in clients[0]):
            shapes.setdefault(name, shape)
    common = [n for n, shape in shapes.items() if all(n in c and c[n].shape == shape for c in clients)]
    sums = _gather(clients, common, server)
    correlation = _correlation(sums.gram)
    group = ClientsFacts(
        count=len(clients),
        identical=sums.identical if common else None,
        correlation=_median_of_pairs(correlation),
        shrink=_shrink(sums.power),
    )
    moved = np.sqrt(sums.changed)
    middle = float(np.median(moved)) if server is not None and len(clients) > 1 else 0.0
    own = []
    for k, client in enumerate(clients):
        missing = [name for name in shapes if name not in client]
        unexpected = [name for name in client if name not in shapes]
        mismatched = [name for name in shapes if name in client and client[name].shape != shapes[name]]
        others = np.delete(correlation[k], k) if correlation is not None else np.zeros(0)
        scale, scale_at = sums.scale[k]
        own.append(
            ClientFacts(
                missing=len(missing),
                unexpected=len(unexpected),
                mismatched=len(mismatched),
                at=next(iter((*mismatched, *missing, *unexpected)), None),
                non_finite=sums.non_finite[k],
                non_finite_at=sums.non_finite_at[k],
                scale=scale if sums.scales else None,
                scale_at=scale_at if sums.scales else None,
                correlation=_known(float(np.median(others))) if others.size else None,
                moved=_known(float(moved[k]) / middle) if middle > 0 else None,
            )
        )
    return group, own


def _gather(clients: Sequence[Client], common: Sequence[str], server: Client | None) -> _Sums:
    n = len(clients)
    sums = _Sums(np.zeros((n, n)), np.zeros((n, n)), np.zeros(n), [0] * n, [None] * n, [(1.0, "")] * n)
    for k, client in enumerate(clients):  # what the others do not have can be damaged too
        for name in client.keys() - set(common):
            _count_non_finite(sums, k, name, client[name].read())
    for name in common:
        rows = np.stack([client[name].read() for client in clients])
        for k, row in enumerate(rows):
            _count_non_finite(sums, k, name, row)
        sums.identical &= bool((rows == rows[:1]).all())
        finite = np.where(np.isfinite(rows), rows, 0.0)
        if server is not None and name in server and server[name].shape == clients[0][name].shape:
            with np.errstate(over="ignore", invalid="ignore"):
                sums.changed += np.nan_to_num(((finite - server[name].read()) ** 2).sum(1))
        if len(clients[0][name].shape) < 2 or rows.shape[1] < SMALLEST:
            continue
        with np.errstate(over="ignore", invalid="ignore"):
            rms = np.sqrt((finite**2).mean(1))
            _scales(sums, name, rms)
            # Each tensor counts by its size, not by its scale: large embeddings would speak for all.
            unit = finite / np.where(rms > 0, rms, 1.0)[:, None]
            sums.power += finite @ finite.T / max(float(np.median(rms)) ** 2, 1e-300)
            unit -= unit.mean(1, keepdims=True)
            sums.gram += unit @ unit.T
    return sums


def _count_non_finite(sums: _Sums, k: int, name: str, row: np.ndarray) -> None:
    count = int(row.size - np.isfinite(row).sum())
    sums.non_finite[k] += count
    if count and sums.non_finite_at[k] is None:
        sums.non_finite_at[k] = name


def _scales(sums: _Sums, name: str, rms: np.ndarray) -> None:
    middle = float(np.median(rms))
    if middle <= 0:
        return
    sums.scales = True
    for k, own in enumerate(rms / middle):
        if _away(float(own)) > _away(sums.scale[k][0]):
            sums.scale[k] = (float(own), name)


def _away(ratio: float) -> float:
    return abs(np.log(ratio)) if ratio > 0 else np.inf


def _correlation(gram: np.ndarray) -> np.ndarray | None:
    norms = np.sqrt(np.diag(gram))
    if not gram.size or not (norms > 0).all():
        return None
    found: np.ndarray = gram / np.outer(norms, norms)
    return found


def _median_of_pairs(correlation: np.ndarray | None) -> float | None:
    if correlation is None or len(correlation) < 2:
        return None
    return _known(float(np.median(correlation[np.triu_indices(len(correlation), 1)])))


def _shrink(power: np.ndarray) -> float | None:
    own = float(np.diag(power).mean()) if power.size else 0.0
    return float(np.sqrt(max(power.mean(), 0.0) / own)) if 0 < own < np.inf else None


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None
