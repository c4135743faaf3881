"""From a module to a probe report: static facts, the run, its facts beside them, the rules."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from initadvisor.analysis import structure
from initadvisor.analysis.facts import LayerFacts, ModelFacts, NormFacts, TensorFacts
from initadvisor.engine.checker import Checker, Progress, silent
from initadvisor.engine.data import DataChecker
from initadvisor.engine.details import with_details
from initadvisor.engine.look import look
from initadvisor.engine.probe_record import probe_record
from initadvisor.engine.results import report_of
from initadvisor.errors import FormatError, UsageError
from initadvisor.frontends import references
from initadvisor.frontends.options import LoadOptions
from initadvisor.frontends.torch_module import unwrap
from initadvisor.frontends.torch_module.load import load_with_inputs
from initadvisor.frontends.torch_module.trees import leaves
from initadvisor.probe.batch import Batch, given, made_up, made_up_detection
from initadvisor.probe.facts import ProbeFacts, facts_of
from initadvisor.probe.observation import Observation
from initadvisor.probe.ranks import ALONE, ranks_of
from initadvisor.probe.run import run
from initadvisor.probe.settings import ProbeSettings
from initadvisor.probe.site import Site, consumed_by, owner
from initadvisor.rules import Finding, Judgement, Need, evaluate

if TYPE_CHECKING:
    from pydantic import BaseModel

    from initadvisor.frontends.torch_module.inputs import Trial
    from initadvisor.graph import Graph, Layer
    from initadvisor.report import Report


class Prober:
    """Rules compiled once, for as many targets as there are."""

    def __init__(self, checker: Checker, settings: ProbeSettings, seeds: int = 1) -> None:
        self.checker = checker
        self.settings = settings
        self.seeds = seeds
        self.data = DataChecker(Checker(checker.settings, purpose="data"))

    def probe(
        self,
        target: Any,
        batch: Any = None,
        loss: Any = None,
        *,
        load: LoadOptions | None = None,
        progress: Progress | None = None,
        details: bool = False,
    ) -> Report:
        """The report of a module or of the reference to one; raises a LoadError where it cannot be read or run.

        details: whether the report is to hold what only pictures need.
        """
        tell = progress or silent
        options = load or self.checker.settings.load
        tell("reading")
        compiled = self.checker.compiled
        names: Mapping[str, str] = {}
        ranks = ALONE
        trial: Trial | None
        if _is_onnx(target):
            from initadvisor.engine.onnx_subject import onnx_subject, own_names

            module, graph, trial, sites = onnx_subject(os.fspath(target), options)
            names = own_names(module)
        else:
            module, name = _module(target, options)
            ranks = ranks_of(module, self.settings.replicated)
            module = unwrap(module)
            if batch is not None:
                options = replace(options, example=_example(module, batch, loss))
            graph, trial = load_with_inputs(module, options, name)
            structure.describe(graph)
            sites = sites_of(graph, module)
        # One seed is enough for a batch that is given: nothing but what the model draws would differ.
        seeds = self.seeds if batch is None else 1
        runs: list[tuple[Observation, Judgement]] = []
        view = None
        for index in range(seeds):
            tell("running", index, seeds)
            settings = replace(self.settings, seed=self.settings.seed + index * ranks.count + ranks.rank)
            batches = (
                given(module, batch, with_targets=loss is not None)
                if batch is not None
                else _made_up(trial, settings, options)
            )
            seen = run(module, sites, batches, loss, settings, _squashed(graph), ranks)
            facts = _renamed(facts_of(seen, _elements(graph)), names)
            tell("judging")
            looked = look(graph, tell, lambda scope, n, groups, facts=facts: enrich(facts, scope, n, groups), view)  # type: ignore[misc]
            view = view or looked
            available: frozenset[Need] = looked.available | frozenset[Need](("probe",))
            runs.append((seen, evaluate(compiled, looked.subjects, available, looked.reasons)))
        assert view is not None
        judgement, counts = _together([judged for _, judged in runs])
        if batch is not None:
            judgement = _joined(judgement, self._data(module, batch, loss))
        judgement, accepted = self.checker.settle(judgement, graph)
        report = report_of(graph, view, judgement, self.checker.settings_digest, accepted=accepted)
        if details:
            report = with_details(report, graph)
        record = probe_record([seen for seen, _ in runs], counts, self.settings.seed)
        notes = (*report.coverage.notes, *record.pop("notes"))
        coverage = report.coverage.model_copy(update={"notes": notes})
        # Sums over ranks are rounded alike, what they are made of need not be: all have the report of the first.
        return ranks.gathered(report.model_copy(update={"probe": record, "coverage": coverage}))[0]

    def _data(self, module: torch.nn.Module, batch: Any, loss: Any) -> Judgement:
        """What the rules of data say of the batch that was given."""
        first = next(given(module, batch, with_targets=loss is not None))
        tensors = [leaf for leaf in leaves((first.args, dict(first.kwargs))) if leaf.ndim]
        names = ["input"] if len(tensors) == 1 else [f"input {index}" for index in range(len(tensors))]
        data: dict[str, Any] = dict(zip(names, tensors, strict=True))
        if isinstance(first.targets, torch.Tensor) and first.targets.ndim:
            data["labels"] = first.targets
        return self.data.judge(data)[0] if tensors else Judgement()


def _joined(a: Judgement, b: Judgement) -> Judgement:
    return Judgement([*a.findings, *b.findings], [*a.not_evaluated, *b.not_evaluated], a.ok + b.ok)


def _is_onnx(target: Any) -> bool:
    return isinstance(target, str | os.PathLike) and os.fspath(target).lower().endswith((".onnx", ".onnx.textproto"))


def _renamed(facts: ProbeFacts, names: Mapping[str, str]) -> ProbeFacts:
    """Facts of parameters under the names that the graph gives them, where those are others than the module's."""
    if not names:
        return facts
    found = {name: facts.parameters[path] for name, path in names.items() if path in facts.parameters}
    return replace(facts, parameters=found)


def _module(target: Any, options: LoadOptions) -> tuple[torch.nn.Module, str]:
    if isinstance(target, torch.nn.Module):
        module, name = target, type(unwrap(target)).__name__
    elif isinstance(target, str | os.PathLike):
        name = os.fspath(target)
        if ":" not in name or os.path.exists(name):
            raise FormatError(
                f"cannot probe {name}: a probe runs a torch module or an ONNX graph",
                hint="give a .onnx file, package.module:factory, torchvision:NAME, timm:NAME or hf:NAME",
            )
        module = references.build(name, options)
    else:
        raise FormatError(f"cannot probe an object of type {type(target).__name__}", hint="pass a torch.nn.Module")
    return module, name


def _example(module: torch.nn.Module, batch: Any, loss: Any) -> Any:
    """The arguments of the likeliest way to call the model on the caller's batch."""
    first = next(given(module, batch, with_targets=loss is not None), None)
    if first is None:
        raise UsageError(f"a batch of type {type(batch).__name__} cannot be used", hint="give tensors")
    return (first.args, dict(first.kwargs)) if first.kwargs else first.args


def _made_up(trial: Trial | None, settings: ProbeSettings, options: LoadOptions) -> Iterator[Batch]:
    if trial is None:
        raise UsageError("no input could be inferred for this model", hint="give --input-shape, or a batch from Python")
    if trial.note == "detection":
        yield made_up_detection(trial, settings.seed)
    elif not options.input_shapes:
        yield made_up(trial, settings.batch_size, settings.seed)
    plain = made_up(trial, None, settings.seed)
    yield plain
    if not trial.evaluation:
        yield replace(plain, evaluation=True, description=f"{plain.description}, in evaluation mode")


def _squashed(graph: Graph) -> str:
    """The function that makes the output, "" for none."""
    return str(graph.summary.get("output_activation") or "")


def _elements(graph: Graph) -> float:
    """Elements of all float parameters."""
    return float(sum(math.prod(p.shape) for p in graph.parameters.values() if p.is_float and not p.buffer))


def sites_of(graph: Graph, module: torch.nn.Module) -> list[Site]:
    """Where to look: layers and norms whose output is the output of the module that owns their weight."""
    paths = {path for path, _ in module.named_modules()}
    found: dict[str, Site] = {}
    for layer in graph.layers:
        if layer.weight is None or layer.kind in ("scale", "table"):
            continue
        path = owner(layer.weight)
        if path in paths and path not in found and _is_output(layer):
            found[path] = Site(
                name=layer.name,
                module=path,
                weight=layer.weight,
                activation=consumed_by(layer),
                kind=layer.kind,
                role=layer.role or "",
                depth=layer.depth or 0,
                norm=layer.op if layer.kind == "norm" else "",
            )
    return list(found.values())


def _is_output(layer: Layer) -> bool:
    """Whether the module that owns the weight gives the layer's output: not so where it computes more (attention)."""
    leaf = (layer.weight or "").rpartition(".")[2]
    return leaf in ("weight", "weight_g", "weight_v") or leaf.startswith(("original", "weight_ih", "weight_hh"))


def enrich(facts: ProbeFacts, scope: str, name: str, groups: Mapping[str, BaseModel]) -> None:
    """Put what was measured beside what is known without running."""
    for model in groups.values():
        if isinstance(model, ModelFacts):
            model.probe = facts.model
        elif isinstance(model, TensorFacts) and model.name is not None:
            model.probe = facts.parameters.get(model.name)
        elif isinstance(model, LayerFacts | NormFacts):
            model.probe = facts.layers.get(name)


def _together(judgements: list[Judgement]) -> tuple[Judgement, Counter[str]]:
    """The findings of all runs, each once, and in how many runs each came up, by fingerprint."""
    counts: Counter[str] = Counter()
    first: dict[str, Finding] = {}
    for judgement in judgements:
        for finding in judgement.findings:
            counts[finding.fingerprint] += 1
            first.setdefault(finding.fingerprint, finding)
    whole = judgements[0]
    return Judgement(list(first.values()), whole.not_evaluated, whole.ok), counts
