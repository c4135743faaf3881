"""`initadvisor.check_data`: judge a batch, or a loader, by the rules of the category `data`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from initadvisor.engine.checker import Checker, CheckSettings
from initadvisor.engine.results import report_of_data
from initadvisor.errors import MissingExtraError
from initadvisor.rules import Judgement, Subject, evaluate, flatten
from initadvisor.rules.vocabulary import clean_text

if TYPE_CHECKING:
    from initadvisor.frontends.data_files import DataSet
    from initadvisor.report import Report


def check_data(
    data: Any,
    validation: Any = None,
    *,
    classes: int | None = None,
    preprocessing: Mapping[str, Any] | str | None = None,
    samples: int = 2048,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    extend_select: Iterable[str] = (),
    preview: bool = False,
    rules_dirs: Iterable[Path | str] = (),
    params: Mapping[str, Any] | None = None,
) -> Report:
    """Check what a model is fed; nothing is run and nothing changed, but a loader is iterated.

    data: a tensor or array with the samples first, (inputs, labels), a dict of tensors, a data set, or a loader; or, as
        a text, what `initadvisor data` takes: an .npy or .npz file, a folder of images, "package.module:loader".
    validation: a second set of the same kind, which is compared with the first.
    classes: of the task. preprocessing: that of the pretrained weights the data is meant for, as {"mean": one number a
        channel in [0, 1], "std": likewise, "side": pixels, "weights": name}, or the name of the weights:
        "resnet50:IMAGENET1K_V2", "timm:NAME".
    samples: how many are looked at, from the front of each set.
    The other arguments are those of `initadvisor.check`.

    Raises UsageError or a LoadError where the data cannot be read.
    """
    settings = CheckSettings(
        select=tuple(select),
        ignore=tuple(ignore),
        extend_select=tuple(extend_select),
        preview=preview,
        rules_dirs=tuple(rules_dirs),
        params=dict(params or {}),
    )
    return DataChecker(Checker(settings, purpose="data")).check(
        data, validation, classes=classes, preprocessing=preprocessing, samples=samples
    )


class DataChecker:
    """Data rules compiled once, for as many sets as there are."""

    def __init__(self, checker: Checker) -> None:
        self.checker = checker

    def check(self, data: Any, validation: Any = None, *, name: str = "data", **options: Any) -> Report:
        """The report on one set of data, under a name; arguments as in `check_data`."""
        judgement, notes = self.judge(data, validation, **options)
        return report_of_data(name, judgement, notes, self.checker.settings_digest)

    def judge(
        self,
        data: Any,
        validation: Any = None,
        *,
        classes: int | None = None,
        preprocessing: Mapping[str, Any] | str | None = None,
        samples: int = 2048,
    ) -> tuple[Judgement, tuple[str, ...]]:
        """What the rules say of the data, and what could not be looked at."""
        from initadvisor.analysis.batch import Preprocessing, batch_facts, gather

        opened = _opened(data, samples)
        first = gather(opened.source, samples)
        first = replace(first, unreadable=opened.unreadable, notes=(*opened.notes, *first.notes))
        other = _opened(validation, samples).source if validation is not None else opened.validation
        second = gather(other, samples) if other is not None else None
        if isinstance(preprocessing, str):
            preprocessing = preprocessing_of(preprocessing)
        expected = Preprocessing.of(preprocessing) if preprocessing is not None else None
        if classes is None and opened.classes:
            classes = len(opened.classes)
        subjects: list[Subject] = []
        found = batch_facts(first, second, classes=classes, preprocessing=expected, stored=opened.stored)
        for name, groups in found:
            known: dict[str, Any] = {}
            for group, model in groups.items():
                flatten(group, model, known)
            subjects.append(Subject("batch", clean_text(name), known, None))
        notes = first.notes + (second.notes if second is not None else ())
        return evaluate(self.checker.compiled, {"batch": subjects}, frozenset({"batch"})), notes


def _opened(data: Any, samples: int) -> DataSet:
    """What a text names, or the data itself."""
    from initadvisor.frontends.data_files import DataSet, read_data

    return read_data(os.fspath(data), samples) if isinstance(data, str | os.PathLike) else DataSet(data)


def preprocessing_of(weights: str) -> Mapping[str, Any]:
    """The published normalization of pretrained weights by name; raises NotFoundError, or MissingExtraError."""
    try:
        from initadvisor.frontends.torch_module.preprocessing import published
    except ImportError as error:
        raise MissingExtraError(f"the preprocessing of {weights!r}", "torch") from error
    return published(weights)
