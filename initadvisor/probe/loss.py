"""The loss of a probe: the caller's, the model's own, or one that fits the shape of the output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

from initadvisor.errors import UsageError
from initadvisor.frontends.torch_module.trees import leaves
from initadvisor.probe.batch import Batch


@dataclass(slots=True)
class Fitted:
    """A loss as a function of the model's result alone, and what was assumed.

    classes: of a cross-entropy, else None. drawn: the targets were drawn, so that no input says anything about them.
    """

    function: Callable[[Any], torch.Tensor]
    description: str
    classes: int | None = None
    drawn: bool = True
    constant: float | None = None
    """Loss of the best answer that does not look at the input, where the targets are known."""


def fit(result: Any, batch: Batch, loss: Any, seed: int, squashed: str = "") -> Fitted:
    """The loss for a result of the model on this batch; raises UsageError where there is none.

    loss: the caller's, called as loss(output, targets) where the batch has targets, else as loss(output).
    squashed: the function that makes the output, where it is known ("softmax", "sigmoid" ...).
    """
    if loss is not None:
        if not callable(loss):
            raise UsageError(f"the loss is a {type(loss).__name__}, which cannot be called")
        return Fitted(lambda out: _scalar(_called(loss, out, batch)), "the given loss", drawn=False)
    own = _own_loss(result)
    if own is not None:
        return Fitted(lambda out: _scalar(_own_loss(out)), "the loss that the model returns", drawn=False)
    outputs = [t for t in leaves(result) if t.is_floating_point() and t.requires_grad]
    if not outputs:
        raise UsageError(
            "no output of the model carries a gradient, so no loss can be made of it",
            hint="give a batch and a loss, as initadvisor.probe(model, batch, loss)",
        )
    logits = main_output(result)
    targets = batch.targets
    if targets is not None and isinstance(targets, torch.Tensor) and logits is not None:
        known = _for_targets(logits, targets)
        if known is not None:
            return known
    return _made_up(outputs, batch, seed, squashed)


def _called(loss: Any, out: Any, batch: Batch) -> Any:
    if isinstance(loss, torch.nn.Module) or batch.targets is not None:
        return loss(out, batch.targets) if batch.targets is not None else loss(out)
    return loss(out)


def _scalar(value: Any) -> torch.Tensor:
    if not isinstance(value, torch.Tensor):
        raise UsageError(f"the loss gave a {type(value).__name__}, not a tensor")
    return value if value.ndim == 0 else value.mean()


def _own_loss(result: Any) -> torch.Tensor | None:
    """What the result calls its loss, or the sum of a result that is nothing but named scalars (detection models)."""
    value = result.get("loss") if isinstance(result, Mapping) else getattr(result, "loss", None)
    if value is None and isinstance(result, Mapping) and result:
        terms = list(result.values())
        if all(isinstance(t, torch.Tensor) and t.ndim == 0 and t.is_floating_point() for t in terms):
            value = torch.stack(terms).sum()
    return value if isinstance(value, torch.Tensor) and value.requires_grad and value.numel() == 1 else None


def main_output(result: Any) -> torch.Tensor | None:
    """The output that is called logits, or the first float one."""
    named = result.get("logits") if isinstance(result, Mapping) else getattr(result, "logits", None)
    if isinstance(named, torch.Tensor) and named.is_floating_point():
        return named
    return next((t for t in leaves(result) if t.is_floating_point()), None)


def _for_targets(logits: torch.Tensor, targets: torch.Tensor) -> Fitted | None:
    """A loss for targets that the caller gave without one: by their type and shape."""
    if targets.is_floating_point():
        if targets.shape != logits.shape:
            return None
        floor = float(targets.var(0, correction=0).mean())
        return Fitted(
            lambda out: F.mse_loss(_main(out).float(), targets), "mean squared error", drawn=False, constant=floor
        )
    axis = 1 if logits.ndim > 1 and targets.shape == (*logits.shape[:1], *logits.shape[2:]) else -1
    if targets.shape != logits.select(axis, 0).shape or logits.shape[axis] < 2:
        return None

    def cross_entropy(out: Any) -> torch.Tensor:
        return F.cross_entropy(_main(out).float().movedim(axis, 1), targets.long())

    return Fitted(cross_entropy, "cross-entropy", logits.shape[axis], drawn=False, constant=_entropy(targets))


def _entropy(labels: torch.Tensor) -> float:
    """Entropy of the shares of the classes, in nats."""
    counts = labels[labels >= 0].flatten().bincount().double().cpu()
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * shares.log()).sum())


def _main(result: Any) -> torch.Tensor:
    output = main_output(result)
    assert output is not None
    return output


def _made_up(outputs: list[torch.Tensor], batch: Batch, seed: int, squashed: str) -> Fitted:
    """Drawn targets: cross-entropy on what looks like logits, mean squared error against normal numbers on the rest."""
    generator = torch.Generator().manual_seed(seed + 1)
    inputs = [t for t in leaves((batch.args, dict(batch.kwargs))) if t.ndim]
    parts = [_part(output, inputs, generator, squashed) for output in outputs]
    classes = next((part.classes for part in parts if part.classes), None)

    def total(result: Any) -> torch.Tensor:
        found = [t for t in leaves(result) if t.is_floating_point() and t.requires_grad]
        terms = [part.function(tensor) for part, tensor in zip(parts, found, strict=False)]
        return torch.stack([term.to(terms[0].device) for term in terms]).sum()

    kinds = [part.description for part in parts]
    words = kinds[0] if len(set(kinds)) == 1 else " and ".join(sorted(set(kinds)))
    over = f", summed over {len(parts)} outputs" if len(parts) > 1 else ""
    floor = sum(part.constant or 0.0 for part in parts)
    return Fitted(total, f"{words} against drawn targets{over}", classes if len(parts) == 1 else None, constant=floor)


def _part(output: torch.Tensor, inputs: list[torch.Tensor], generator: torch.Generator, squashed: str) -> Fitted:
    """The term of one output."""
    axis = _class_axis(output, inputs)
    if axis is None or squashed in ("sigmoid", "tanh"):
        targets = torch.randn(output.shape, generator=generator).to(output.device)
        if squashed == "sigmoid":
            targets = (targets > 0).float()
        floor = float(targets.var(0, correction=0).mean()) if targets.ndim else 0.0
        return Fitted(lambda out: F.mse_loss(out.float(), targets), "mean squared error", constant=floor)
    labels = torch.randint(0, output.shape[axis], output.select(axis, 0).shape, generator=generator).to(output.device)

    def cross_entropy(out: torch.Tensor) -> torch.Tensor:
        if squashed == "softmax":
            # The output is a probability already; its logarithm is what cross-entropy starts from.
            return F.nll_loss(out.float().clamp_min(1e-12).log().movedim(axis, 1), labels)
        return F.cross_entropy(out.float().movedim(axis, 1), labels)

    return Fitted(cross_entropy, "cross-entropy", output.shape[axis], constant=_entropy(labels))


def _class_axis(output: torch.Tensor, inputs: list[torch.Tensor]) -> int | None:
    """Where the classes lie: features of vectors and of token sequences, channels of maps; None for a regression."""
    if output.ndim < 2 or any(t.shape == output.shape for t in inputs if t.is_floating_point()):
        return None
    tokens = any(not t.is_floating_point() and t.ndim == 2 for t in inputs)
    if output.ndim == 2:
        axis = 1
    elif output.ndim == 3:
        axis = 2 if tokens else -1
        if not tokens:
            return None
    else:
        axis = 1
    return axis if output.shape[axis] > 1 else None
