"""`initadvisor.probe`: run a few steps of a model, and judge what they show by the rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from initadvisor.engine.api import input_shapes
from initadvisor.engine.checker import Checker, CheckSettings
from initadvisor.errors import MissingExtraError, UsageError
from initadvisor.frontends.options import LoadOptions

if TYPE_CHECKING:
    from initadvisor.engine.prober import Prober
    from initadvisor.report import Report


def probe(
    target: Any,
    batch: Any = None,
    loss: Any = None,
    *,
    steps: int = 3,
    optimizer: Any = None,
    device: str = "auto",
    seed: int = 0,
    seeds: int = 1,
    batch_size: int | None = None,
    precision: Literal["float32", "bf16", "fp16"] = "float32",
    accumulate: int = 1,
    noise: bool = False,
    jacobian: bool = False,
    sharpness: bool = False,
    lookahead: bool = False,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    extend_select: Iterable[str] = (),
    preview: bool = False,
    rules_dirs: Iterable[Path | str] = (),
    params: Mapping[str, Any] | None = None,
    input_shape: Sequence[int] | Sequence[Sequence[int]] | None = None,
    allow_pickle: bool = False,
    details: bool = False,
) -> Report:
    """Run a few training steps and report how signal and gradient fare; the model and the process are as before.

    target: a torch module, or a reference that builds one ("package.module:factory", "torchvision:resnet50").
    batch: a tensor, (inputs, targets), a tuple of arguments, a dict of them, or a data loader, whose first batch is
        taken; without one, standard normal numbers in the shape that the model takes, and drawn targets.
    loss: called as loss(output, targets), or loss(output) for a batch without targets; without one, the model's own,
        else cross-entropy on what looks like logits, else mean squared error.
    steps: optimizer steps, at least 2; up to 3 more follow while some gradient is still exactly zero.
    optimizer: an instance (its steps are undone), a callable that makes one from the parameters, or None for SGD.
    device: "auto" or torch's name of one. precision: "float32", or autocast to "bf16" or "fp16".
    seeds: how many made-up batches, from `seed` on; the report says in how many of them a finding came up.
    accumulate: micro-batches of a step.
    noise, jacobian, sharpness, lookahead: also measure gradient noise, the input-output Jacobian's singular values,
        the largest Hessian eigenvalue, 50 steps at three learning rates.
    A model whose parameters are sharded (`torch.distributed.fsdp.fully_shard`) or that is wrapped for data parallelism
    is probed on every rank of its process group, each with its own part of the batch; all get the same report.
    The other arguments are those of `initadvisor.check`; rules that need no probe run only where selected by name.

    Raises a subclass of InitAdvisorError where the target cannot be read or run, or a setting is off.
    """
    prober = make_prober(
        CheckSettings(
            select=tuple(select),
            ignore=tuple(ignore),
            extend_select=tuple(extend_select),
            preview=preview,
            rules_dirs=tuple(rules_dirs),
            params=dict(params or {}),
            load=LoadOptions(input_shapes=input_shapes(input_shape), allow_pickle=allow_pickle),
        ),
        seeds=seeds,
        steps=steps,
        optimizer=optimizer,
        device=device,
        seed=seed,
        batch_size=batch_size,
        precision=precision,
        accumulate=accumulate,
        noise=noise,
        jacobian=jacobian,
        sharpness=sharpness,
        lookahead=lookahead,
    )
    return prober.probe(target, batch, loss, details=details)


def launched() -> bool:
    """Whether torchrun started this process; False without torch."""
    try:
        from initadvisor.probe import launch
    except ImportError:
        return False
    return launch.launched()


def process_group() -> AbstractContextManager[int]:
    """The group of the processes that torchrun started; gives the rank of this one."""
    from initadvisor.probe import launch

    return launch.process_group()


def make_prober(settings: CheckSettings, *, seeds: int = 1, checker: Checker | None = None, **options: Any) -> Prober:
    """A prober for these settings; raises MissingExtraError without torch, UsageError for a setting that is off."""
    try:
        from initadvisor.engine.prober import Prober
        from initadvisor.probe.settings import ProbeSettings
    except ImportError as error:
        raise MissingExtraError("a probe", "torch") from error
    if seeds < 1:
        raise UsageError("a probe runs on one batch at least", hint="seeds is 1 or more")
    given = {key: value for key, value in options.items() if value is not None}
    return Prober(checker or Checker(settings, purpose="probe"), ProbeSettings(**given), seeds)
