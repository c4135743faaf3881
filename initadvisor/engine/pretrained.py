"""`initadvisor.pretrained_weights`: which weights exist for a target, and where its weights should come from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from initadvisor.engine.judgement import judgement
from initadvisor.engine.recognising import recognise, shapes_of
from initadvisor.errors import UsageError
from initadvisor.frontends.options import LoadOptions
from initadvisor.frontends.registry import PretrainedWeights, weights_of
from initadvisor.report.pretrained import Advice, DomainWeights, PretrainedReport, Recognised, WeightsRow
from initadvisor.rules.suggest import did_you_mean
from initadvisor.rules.vocabulary import clean_text

if TYPE_CHECKING:
    from collections.abc import Sequence


def pretrained_weights(
    target: Any, *, domain: str = "natural", samples: int | None = None, load: LoadOptions | None = None
) -> PretrainedReport:
    """Which pretrained weights exist for a model, on what data and terms, and which to prefer in a domain.

    target: a module, a path or a reference, as `initadvisor.check` takes it; nothing is downloaded. domain: natural,
    medical, chest-xray, radiology, pathology, remote-sensing or other. samples: labelled samples to train on.

    Raises UsageError for an unknown domain, and a LoadError where the target cannot be read.
    """
    table = judgement()
    if domain not in table.domains:
        hint = did_you_mean(domain, table.domains) or f"the domains are {', '.join(table.domains)}"
        raise UsageError(f'there is no domain "{domain}"', hint=hint)
    subject, shapes = _subject(target, load or LoadOptions())
    found = recognise(subject, shapes)
    rows = [row for each in found for row in map(_row, weights_of(each.library, each.architecture))]
    return PretrainedReport(
        target=clean_text(_label(target)),
        domain=domain,
        recognised=found,
        weights=tuple(rows),
        advice=tuple(_advice(domain, samples, found)),
        notes=tuple(_notes(found, rows)),
    )


def _subject(target: Any, load: LoadOptions) -> tuple[Any, Mapping[str, tuple[int, ...]]]:
    """What is to be recognised, and its shapes: a reference to user code is built, a library's is known by name."""
    from initadvisor import frontends
    from initadvisor.engine.fixing import is_reference
    from initadvisor.frontends.registry import named

    if not isinstance(target, str | os.PathLike):
        return target, {name: tuple(value.shape) for name, value in target.state_dict().items()}
    text = os.fspath(target)
    if is_reference(text):
        from initadvisor.frontends import references

        library = text.partition(":")[0] in ("torchvision", "timm", "hf", "transformers")
        module = references.build(text, LoadOptions(meta=True) if library else load)
        shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
        return (text if named(text) else module), shapes
    return text, shapes_of(frontends.load(text, load))


def _row(weights: PretrainedWeights) -> WeightsRow:
    return WeightsRow(**{field.name: getattr(weights, field.name) for field in fields(weights)})


def _advice(domain: str, samples: int | None, found: Sequence[Recognised]) -> list[Advice]:
    names = {each.architecture for each in found}
    return [
        Advice(
            prefer=counsel.prefer,  # type: ignore[arg-type]
            text=counsel.text,
            source=counsel.source,
            weights=tuple(
                DomainWeights(**{**table, "fits": bool(names & set(table["architectures"]))})
                for table in counsel.weights
            ),
        )
        for counsel in judgement().counsel(domain, samples)
    ]


def _notes(found: Sequence[Recognised], rows: Sequence[WeightsRow]) -> list[str]:
    notes = []
    if found and not rows:
        notes.append("the installed library lists no weights for this architecture")
    if len(found) > 1 and not any(each.where for each in found):
        notes.append("several architectures have these shapes: compare the forward pass before you trust the weights")
    if any(row.license is None for row in rows):
        notes.append("where no licence is stated, the terms of the training data and of the weights' source decide")
    return notes


def _label(target: Any) -> str:
    return os.fspath(target) if isinstance(target, str | os.PathLike) else type(target).__name__
