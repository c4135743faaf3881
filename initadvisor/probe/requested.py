"""What is measured on request, since it costs more than the steps themselves."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from initadvisor.frontends.torch_module.trees import leaves, map_tensors
from initadvisor.probe.loss import main_output
from initadvisor.probe.settings import LOOKAHEAD_RATES, LOOKAHEAD_STEPS

if TYPE_CHECKING:
    from initadvisor.probe.training import Training

ITERATIONS = 30
TOLERANCE = 1e-3
"""Power iterations at most, and the relative change below which the eigenvalue counts as found."""

READ = 10
"""Steps of the look-ahead after which its losses are read."""

LEARNED = 1e-3
"""Share of the constant answer's loss at which a batch is known by heart: the risk tells nothing smaller apart."""

HUTCHINSON = 8
"""Random directions over which the squared Frobenius norm of the Jacobian is averaged."""


def measure_requested(training: Training) -> dict[str, float]:
    """Everything that the settings ask for, each from the original state; by the name of its fact."""
    settings, found = training.settings, dict[str, float]()
    if settings.noise:
        found |= gradient_noise(training)
    if settings.jacobian:
        found |= jacobian(training)
    if settings.sharpness:
        found |= sharpness(training)
    if settings.lookahead:
        found |= lookahead(training)
    return found


def gradient_noise(training: Training) -> dict[str, float]:
    """tr(covariance of the per-sample gradient) / norm(gradient)^2 from parts of the batch; McCandlish et al. 2018.

    Two samples a part, so that batch norms have something to divide by.
    """
    count = training.batch.size // 2
    if count < 2 or training.settings.accumulate != 1:
        return {}
    parted = replace(training, settings=replace(training.settings, accumulate=count), fitted={})
    parted.begin()
    total: list[torch.Tensor] = []
    squares = 0.0
    for index, part in enumerate(parted.parts()):
        loss = parted.loss_of(index, parted.result(part))
        found = torch.autograd.grad(loss, list(parted.parameters.values()), allow_unused=True)
        gradients = [
            torch.zeros_like(p) if g is None else g for g, p in zip(found, parted.parameters.values(), strict=True)
        ]
        squares += _square(gradients) / count
        total = gradients if not total else [a + g for a, g in zip(total, gradients, strict=True)]
    whole = _square(total) / count**2
    small, large = training.batch.size / count, float(training.batch.size)
    trace = (squares - whole) / (1 / small - 1 / large)
    signal = (large * whole - small * squares) / (large - small)
    # A batch whose gradient is all noise leaves no estimate of the signal.
    return {"noise_scale": trace / signal} if signal > 0 else {}


def _square(tensors: list[torch.Tensor]) -> float:
    return float(torch.stack([t.detach().float().square().sum() for t in tensors]).sum())


def jacobian(training: Training) -> dict[str, float]:
    """Largest singular value (power iteration on J^T J) and root mean square of all (Hutchinson), of one sample.

    In evaluation mode, so that the sample is not tied to others by a batch norm. Empty for inputs without floats.
    """
    training.begin()
    training.module.eval()
    part = training.batch.part(0, 1).to(training.device) if training.batch.size else training.batch.to(training.device)
    point = next((t for t in leaves((part.args, dict(part.kwargs))) if t.is_floating_point()), None)
    if point is None:
        return {}
    variable = point.detach().clone().requires_grad_(True)
    args, kwargs = map_tensors(lambda t: variable if t is point else t, (part.args, dict(part.kwargs)))
    with sdpa_kernel(SDPBackend.MATH):
        output = main_output(training.module(*args, **kwargs))
        if output is None or not output.requires_grad:
            return {}
        dummy = torch.zeros_like(output, requires_grad=True)
        (pulled,) = torch.autograd.grad(output, variable, dummy, create_graph=True)
        direction = torch.randn_like(variable)
        value = 0.0
        for _ in range(ITERATIONS):
            direction = direction / torch.linalg.vector_norm(direction)
            (pushed,) = torch.autograd.grad(pulled, dummy, direction, retain_graph=True)
            before, value = value, float(torch.linalg.vector_norm(pushed))
            if not value or abs(value - before) <= TOLERANCE * value:
                break
            (direction,) = torch.autograd.grad(output, variable, pushed, retain_graph=True)
        frobenius = 0.0
        for _ in range(HUTCHINSON):
            (back,) = torch.autograd.grad(output, variable, torch.randn_like(output), retain_graph=True)
            frobenius += float(back.double().square().sum() if back.device.type != "mps" else back.square().sum())
    rank = min(variable.numel(), output.numel())
    return {"jacobian_largest": value, "jacobian_rms": (frobenius / HUTCHINSON / rank) ** 0.5}


def sharpness(training: Training) -> dict[str, float]:
    """Largest eigenvalue (by magnitude) of the Hessian of the loss, by power iteration on Hessian-vector products."""
    training.begin()
    parameters = list(training.parameters.values())
    with sdpa_kernel(SDPBackend.MATH):
        loss = training.loss_of(0, training.result(training.parts()[0]))
        found = torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True)
        pairs = [(g, p) for g, p in zip(found, parameters, strict=True) if g is not None and g.requires_grad]
        if not pairs:
            return {}
        gradients, used = [g for g, _ in pairs], [p for _, p in pairs]
        direction = [torch.randn_like(p) for p in used]
        value = 0.0
        for _ in range(ITERATIONS):
            length = _square(direction) ** 0.5
            if not length:
                break
            direction = [d / length for d in direction]
            product = torch.autograd.grad(gradients, used, direction, retain_graph=True, allow_unused=True)
            following = [torch.zeros_like(p) if h is None else h for h, p in zip(product, used, strict=True)]
            before = value
            value = float(torch.stack([(d * h).sum() for d, h in zip(direction, following, strict=True)]).sum())
            if abs(value - before) <= TOLERANCE * abs(value):
                break
            direction = following
    return {"sharpness": value}


def _ahead(trial: Training, enough: float) -> list[float]:
    """The losses of one rate, cut short where they are enough or past return; read now and then, as reading waits."""
    losses: list[float] = []
    while len(losses) < LOOKAHEAD_STEPS:
        losses += map(float, [trial.plain_step() for _ in range(min(READ, LOOKAHEAD_STEPS - len(losses)))])
        if not math.isfinite(losses[-1]) or min(losses) <= enough:
            break
    return losses


def lookahead(training: Training) -> dict[str, float]:
    """Best loss over `LOOKAHEAD_STEPS` steps of SGD with momentum at each of `LOOKAHEAD_RATES`.

    It is given as a share of the loss of the best answer that does not look at the input: the last bias alone
    reaches that, whatever lies before it. Once it is down to `LEARNED` of that, no further rate is tried.
    """
    known = training.fitted[0].constant if training.settings.accumulate == 1 else None
    everyone = [value for value in training.ranks.gathered(known) if value is not None]
    reference = sum(everyone) / training.ranks.count if len(everyone) == training.ranks.count else None
    best, rate_of_best = float("inf"), 0.0
    for rate in LOOKAHEAD_RATES:
        settings = replace(training.settings, optimizer=lambda ps, rate=rate: torch.optim.SGD(ps, rate, momentum=0.9))
        trial = replace(training, settings=settings)
        trial.begin()
        values = _ahead(trial, LEARNED * (reference or 0.0))
        reference = reference or values[0]
        lowest = min((v for v in values[1:] if v == v), default=float("inf"))
        if lowest < best:
            best, rate_of_best = lowest, rate
        if best <= LEARNED * reference:
            break
    if not reference or best == float("inf"):
        return {}
    steps = float(LOOKAHEAD_STEPS)
    return {"lookahead_ratio": best / reference, "lookahead_rate": rate_of_best, "lookahead_steps": steps}
