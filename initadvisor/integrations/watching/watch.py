"""`initadvisor.watch`: the health of gradients, activations and updates in a training loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch

from initadvisor.engine import CheckSettings
from initadvisor.errors import UnsupportedError, UsageError
from initadvisor.frontends.torch_module import unwrap
from initadvisor.integrations.assertion import complaint
from initadvisor.integrations.outcome import OnFinding, known_reaction, react
from initadvisor.integrations.processes import is_first
from initadvisor.integrations.watching.figures import figures
from initadvisor.integrations.watching.judge import Judge
from initadvisor.integrations.watching.window import STEPS, Window, samples_of
from initadvisor.integrations.writers.protocol import tag
from initadvisor.probe.shards import is_sharded
from initadvisor.rules import SEVERITIES

if TYPE_CHECKING:
    from initadvisor.integrations.writers import Writer
    from initadvisor.report import Report
    from initadvisor.rules import Severity

_COMPILED = "the model is compiled: its activations are not seen, its gradients and updates are"
_UNSEEN = "no forward pass of the model itself was seen: its activations are not, its gradients and updates are"


def watch(model: torch.nn.Module, optimizer: torch.optim.Optimizer | None = None, **options: Any) -> Watch:
    """Watch a training: two steps at its start and two before every `every`th; the options are those of `Watch`.

    Gives a handle that is also a context manager; `close()` takes everything off. Between the watched steps there is
    no hook on the model, and one call that counts on the optimizer.
    """
    return Watch(model, optimizer, **options)


class Watch:
    """A watch that is on; `report` is that of the last watched steps, None before and in all processes but the first.

    With an optimizer, its own hooks see each step, after clipping and unscaling. Without one, call `step()` after each
    update and before the gradients are cleared.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer | None = None,
        *,
        every: int = 100,
        on_finding: OnFinding = "warn",
        fail_on: Severity = "warning",
        writer: Writer | None = None,
        histograms: bool = False,
        scaler: torch.amp.GradScaler | None = None,
        example: Any = None,
        select: Iterable[str] = (),
        ignore: Iterable[str] = (),
        params: Mapping[str, Any] | None = None,
    ) -> None:
        """Look at the model once, as a check does, and begin.

        on_finding: "warn" tells each finding when it comes up, "raise" stops the training with FindingsError, "log"
        writes to the logger "initadvisor". fail_on: the mildest severity that is told. scaler: of mixed precision.
        example: an input, where none can be inferred. histograms: of weights and gradients, to the writer.
        Raises UsageError for a setting that makes no sense, UnsupportedError for sharded parameters.
        """
        known_reaction(on_finding)
        if every < STEPS:
            raise UsageError(f"every is {every}", hint=f"a watch takes {STEPS} steps in a row: give {STEPS} or more")
        if fail_on not in SEVERITIES:
            raise UsageError(f"fail_on is {fail_on!r}", hint=f"it is one of {', '.join(SEVERITIES)}")
        self.report: Report | None = None
        self.steps = 0
        self._every, self._on_finding, self._fail_on = every, on_finding, fail_on
        self._optimizer, self._writer, self._histograms, self._scaler = optimizer, writer, histograms, scaler
        self._module = unwrap(model)
        self._window: Window | None = None
        self._handles: list[Any] = []
        self._told: frozenset[str] = frozenset()
        self._on = is_first()
        if not self._on:
            return
        if any(is_sharded(p) for p in self._module.parameters()):
            raise UnsupportedError("a watch does not gather sharded parameters", hint="call initadvisor.probe instead")
        self._compiled = self._module is not model and hasattr(model, "_orig_mod")
        self._compiled |= any(getattr(part, "_compiled_call_impl", None) for part in self._module.modules())
        rules = CheckSettings(select=tuple(select), ignore=tuple(ignore), params=dict(params or {}))
        self._judge = Judge(self._module, rules, example)
        if optimizer is not None:
            self._handles.append(optimizer.register_step_pre_hook(self._before))
            self._handles.append(optimizer.register_step_post_hook(self._after))
        self._open()

    def __enter__(self) -> Watch:
        """The watch itself."""
        return self

    def __exit__(self, *_: Any) -> None:
        """Stop watching."""
        self.close()

    def close(self) -> None:
        """Take every hook off; may be called more than once."""
        self._on = False
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        if self._window is not None:
            self._window.close()
            self._window = None

    def step(self) -> None:
        """Count a step, where no optimizer was given; raises UsageError where one counts by itself."""
        if self._optimizer is not None:
            raise UsageError("the optimizer of this watch counts the steps itself", hint="leave out watch.step()")
        if not self._on:
            return
        if self._window is not None and not self._measured():
            raise UsageError(
                "no parameter has a gradient", hint="call watch.step() after optimizer.step(), before zero_grad()"
            )
        self._count()

    def _before(self, *_: Any) -> None:
        if self._window is not None and self._measured():
            self._window.before_update()

    def _after(self, *_: Any) -> None:
        self._count()

    def _measured(self) -> bool:
        assert self._window is not None
        # Fused optimizers divide by the scale themselves, within the step.
        within = getattr(self._optimizer, "grad_scale", None)
        scale = 1.0 if self._scaler is None else float(self._scaler.get_scale())
        return self._window.gradients_ready(1.0 if within is None else float(within), scale)

    def _count(self) -> None:
        self.steps += 1
        window = self._window
        if window is not None and window.steps:
            window.updated()
            if window.steps >= STEPS:
                self._window = None
                self._judged(window)
            elif self._optimizer is None:
                window.before_update()
        if self._on and self._window is None and (self.steps + STEPS) % self._every == 0:
            self._open()

    def _open(self) -> None:
        self._window = Window(self._module, () if self._compiled else self._judge.sites)
        if self._optimizer is None:
            self._window.before_update()

    def _judged(self, window: Window) -> None:
        seen = window.observed(self._optimizer, scaled=self._scaler is not None)
        unseen = not any(seen.seen)
        notes = (_COMPILED,) if self._compiled else (_UNSEEN,) if unseen and self._judge.sites else ()
        self.report, facts = self._judge.report(seen, notes)
        if self._writer is not None:
            self._writer.scalars(figures(self.report, facts), self.steps)
            if self._histograms:
                for kind, found in samples_of(window.gradients.parameters).items():
                    for name, values in found.items():
                        self._writer.histogram(tag(kind, name), values, self.steps)
        findings = tuple(f for f in self.report.findings if f.fingerprint not in self._told)
        self._told = frozenset(f.fingerprint for f in self.report.findings)
        fresh = self.report.model_copy(update={"findings": findings})
        message = complaint([fresh], self._fail_on, f"trains badly at step {self.steps}")
        if message and self._on_finding == "raise":
            self.close()
        react(message, self._on_finding, stacklevel=5)
