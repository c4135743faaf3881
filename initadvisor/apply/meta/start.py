"""`initadvisor.meta_start`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Literal

from torch import nn

from initadvisor.apply.meta.conditioned import conditioned
from initadvisor.apply.meta.maml import anil, maml
from initadvisor.apply.meta.reptile import reptile
from initadvisor.apply.meta.tasks import Sampler
from initadvisor.errors import UsageError

_METHODS: dict[str, Callable[..., dict[str, Any]]] = {"maml": maml, "anil": anil, "reptile": reptile}


def meta_start(
    model: nn.Module,
    sampler: Sampler,
    *,
    method: Literal["maml", "anil", "reptile", "conditioned"] = "maml",
    support: tuple[Any, Any] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """A state dict to start few-shot tasks from, learned over a user's tasks; the model itself is left as it was.

    sampler: called with a torch.Generator, returns ((support inputs, targets), (query inputs, targets)) of one task.
    method: "maml" (order=1 for the first-order form), "anil", "reptile", or "conditioned", whose start is made for one
        task: `support`, (inputs, class numbers from 0), is its labelled samples.
    options: those of `initadvisor.apply.meta.maml`, `.anil`, `.reptile`, `.conditioned`: steps, tasks, inner_rate,
        inner_steps, outer_rate, loss, seed and so on.

    Raises UsageError for another method or option, and where the sampler gives no task or a loss is not finite.
    """
    if method not in (*_METHODS, "conditioned"):
        raise UsageError(f"there is no method {method!r}", hint=f"one of {', '.join((*_METHODS, 'conditioned'))}")
    if (support is not None) != (method == "conditioned"):
        said = "needs the support set of the task to start" if support is None else "makes one start for all tasks"
        raise UsageError(f'method="{method}" {said}', hint='support=(inputs, labels) belongs to "conditioned"')
    learn = _METHODS.get(method, conditioned)
    known = list(inspect.signature(learn).parameters)[2:]
    unknown = sorted(options.keys() - set(known))
    if unknown:
        raise UsageError(f"{method} has no option {unknown[0]!r}", hint=f"it has {', '.join(known)}")
    if support is not None:
        return conditioned(model, sampler, **options).start(support)
    return _METHODS[method](model, sampler, **options)
