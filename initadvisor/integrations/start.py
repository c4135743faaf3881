"""The check and the probe at the start of a training, for the callbacks of the trainers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from initadvisor.engine import Checker, CheckSettings
from initadvisor.engine.probing import make_prober
from initadvisor.errors import InitAdvisorError, UsageError
from initadvisor.frontends.options import LoadOptions
from initadvisor.frontends.torch_module.state import Guard
from initadvisor.integrations.assertion import complaint
from initadvisor.integrations.outcome import LOGGER, OnFinding, known_reaction, react
from initadvisor.integrations.processes import is_first, told_by_first, why_not_alone, world_size
from initadvisor.probe.batch import given
from initadvisor.report import Report
from initadvisor.rules import SEVERITIES

if TYPE_CHECKING:
    from initadvisor.integrations.writers import Writer
    from initadvisor.rules import Severity


class StartCheck:
    """How a start is examined, and what findings lead to.

    on_finding: "warn", "raise" (FindingsError, in every process) or "log" (the logger "initadvisor").
    fail_on: the mildest severity that is told. probe: also run a few training steps, which are undone.
    writer: where the counts and the text of the report go, besides the trainer's own loggers.
    report_file: the reports as JSON. select, ignore, params: rules, as for `initadvisor.check`.
    """

    def __init__(
        self,
        *,
        on_finding: OnFinding = "warn",
        fail_on: Severity = "error",
        probe: bool = False,
        steps: int = 3,
        select: Iterable[str] = (),
        ignore: Iterable[str] = (),
        params: Mapping[str, Any] | None = None,
        writer: Writer | None = None,
        report_file: Path | str | None = None,
    ) -> None:
        """Raises UsageError for a setting that does not exist."""
        known_reaction(on_finding)
        if fail_on not in SEVERITIES:
            raise UsageError(f"fail_on is {fail_on!r}", hint=f"it is one of {', '.join(SEVERITIES)}")
        self.on_finding = on_finding
        self.fail_on = fail_on
        self.wants_probe = probe
        self.steps = steps
        self.rules = CheckSettings(select=tuple(select), ignore=tuple(ignore), params=dict(params or {}))
        self.writer = writer
        self.report_file = None if report_file is None else Path(report_file)
        self.reports: list[Report] = []
        """What was found when the training last started; empty in all processes but the first."""

    def examine(
        self,
        module: torch.nn.Module,
        batch: Callable[[], Any],
        *,
        loss: Any = None,
        optimizer: torch.optim.Optimizer | None = None,
        precision: str = "float32",
        no_probe: str = "",
    ) -> None:
        """Look at the module in the first process; nothing of it, of the optimizer and of the process changes.

        batch: gives the first batch. no_probe: why this training cannot be probed, "" where it can.
        Model code that fails here is no reason to stop a training: it is logged, and the training shows it.
        """
        self.reports = []
        if not is_first():
            return
        hindered = why_not_alone(module)
        if hindered:
            LOGGER.warning("initadvisor: %s is not looked at: %s", type(module).__name__, hindered)
            return
        with Guard(module):
            try:
                data = batch()
            except Exception as error:
                LOGGER.warning("initadvisor: no batch could be taken: %s", error)
                data = None
            self._attempt(lambda: Checker(self.rules).check(module, load=_load(module, data, loss)), "checked")
            if not self.wants_probe:
                return
            if no_probe or data is None:
                LOGGER.warning("initadvisor: no probe: %s", no_probe or "there is no batch to run")
                return
            with stepping(optimizer) as own:
                prober = make_prober(
                    self.rules, steps=self.steps, optimizer=own, device=str(_device(module)), precision=precision
                )
                self._attempt(lambda: prober.probe(module, data, loss), "probed")

    def _attempt(self, look: Callable[[], Report], done: str) -> None:
        try:
            self.reports.append(look())
        except InitAdvisorError as error:
            LOGGER.warning("initadvisor: the model could not be %s: %s", done, error)

    def tell(self, step: int = 0) -> None:
        """Write what was found, then warn, raise or log; every process has to come here."""
        if self.reports and self.writer is not None:
            from initadvisor.integrations.writers import write_reports

            write_reports(self.writer, self.reports, step)
        if self.reports and self.report_file is not None:
            from initadvisor.report import render

            self.report_file.parent.mkdir(parents=True, exist_ok=True)
            self.report_file.write_text(render(self.reports, "json"), encoding="utf-8")
        message = complaint([r for r in self.reports if r.verdict != "not_checked"], self.fail_on)
        if self.on_finding == "raise" and world_size() > 1:
            # The others would wait for the first process for ever.
            message = told_by_first(message)
        react(message, self.on_finding, stacklevel=3)


def _load(module: torch.nn.Module, batch: Any, loss: Any) -> LoadOptions:
    if batch is None:
        return LoadOptions()
    first = next(given(module, batch, with_targets=loss is not None), None)
    if first is None:
        return LoadOptions()
    return LoadOptions(example=(first.args, dict(first.kwargs)) if first.kwargs else first.args)


def _device(module: torch.nn.Module) -> torch.device:
    return next((p.device for p in module.parameters()), torch.device("cpu"))


@contextmanager
def stepping(optimizer: torch.optim.Optimizer | None) -> Iterator[torch.optim.Optimizer | None]:
    """The optimizer for steps of a probe: at the rate that a warm-up leads to, without the hooks of others."""
    if optimizer is None:
        yield None
        return
    hooks = [getattr(optimizer, name, None) for name in ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")]
    held = [(hook, dict(hook)) for hook in hooks if hook]
    rates = [group.get("lr") for group in optimizer.param_groups]
    for hook, _ in held:
        hook.clear()
    for group in optimizer.param_groups:
        peak, now = group.get("initial_lr"), group.get("lr")
        if isinstance(peak, float) and isinstance(now, float) and now < peak:
            group["lr"] = peak
    try:
        # At a rate of zero no step would change anything, which says nothing about the model.
        yield optimizer if any(group.get("lr") for group in optimizer.param_groups) else None
    finally:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            if "lr" in group:
                group["lr"] = rate
        for hook, content in held:
            hook.update(content)
