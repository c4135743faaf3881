"""The plan: one step a parameter."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from initadvisor.errors import FormatError, InitAdvisorError
from initadvisor.graph import Layout
from initadvisor.initializers import InitSpec
from initadvisor.plan.alternatives import Alternative

if TYPE_CHECKING:
    from initadvisor.plan.score import Score

VERSION = 1


@dataclass(frozen=True, slots=True)
class PlanStep:
    """What happens to one parameter.

    spec: how it is drawn, or None where it is left as it is. rules: ids of the findings that it answers.
    replaces: what is there now, in words. safe: whether nothing learned is lost, None where that cannot be told.
    learning_rate: factors on an optimizer's rate that a recipe asks for ("adam", "sgd").
    """

    parameter: str
    shape: tuple[int, ...]
    dtype: str
    spec: InitSpec | None
    reason: str
    layer: str = ""
    layout: Layout | None = None
    rules: tuple[str, ...] = ()
    replaces: str = "unknown"
    safe: bool | None = None
    std_before: float | None = None
    mean_before: float | None = None
    aliases: tuple[str, ...] = ()
    learning_rate: Mapping[str, float] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """The method's name, "keep" for a parameter that is left as it is."""
        return self.spec.method if self.spec is not None else "keep"

    @property
    def std_after(self) -> float | None:
        """The standard deviation that the parameter will have."""
        return self.std_before if self.spec is None else self.spec.std(self.shape, self.layout)

    @property
    def mean_after(self) -> float | None:
        """The mean that the parameter will have, 0 for what is drawn as a whole."""
        if self.spec is None:
            return self.mean_before
        distribution = self.spec.distribution(self.shape, self.layout)
        return distribution.mean if distribution is not None else 0.0

    def to_json(self) -> dict[str, Any]:
        """The step as JSON values."""
        return {
            "parameter": self.parameter,
            "layer": self.layer,
            "shape": list(self.shape),
            "dtype": self.dtype,
            "method": self.method,
            "params": dict(self.spec.params) if self.spec is not None else {},
            "reason": self.reason,
            "rules": list(self.rules),
            "replaces": self.replaces,
            "safe": self.safe,
            "std_before": self.std_before,
            "mean_before": self.mean_before,
            "std_after": self.std_after,
            "aliases": list(self.aliases),
            "learning_rate": dict(self.learning_rate),
            "layout": asdict(self.layout) if self.layout is not None else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PlanStep:
        """Read what `to_json` wrote."""
        layout = data.get("layout")
        if layout is not None:
            fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in layout.items()}
            layout = Layout(**fields)
        method = data["method"]
        return cls(
            parameter=str(data["parameter"]),
            shape=tuple(int(d) for d in data["shape"]),
            dtype=str(data["dtype"]),
            spec=None if method == "keep" else InitSpec(method, data.get("params", {})),
            reason=str(data.get("reason", "")),
            layer=str(data.get("layer", "")),
            layout=layout,
            rules=tuple(data.get("rules", ())),
            replaces=str(data.get("replaces", "unknown")),
            safe=data.get("safe"),
            std_before=data.get("std_before"),
            mean_before=data.get("mean_before"),
            aliases=tuple(data.get("aliases", ())),
            learning_rate=dict(data.get("learning_rate", {})),
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps for one model, with the seed that their draws are keyed by.

    signal: what the plan does to the predicted signal, None where the graph is not known. alternatives: what is
    predicted of the model as it is, as the plan leaves it, and with other activations or norms.
    """

    target: str
    steps: tuple[PlanStep, ...]
    seed: int = 0
    notes: tuple[str, ...] = ()
    signal: Score | None = None
    alternatives: tuple[Alternative, ...] = ()

    def __iter__(self) -> Any:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def step(self, parameter: str) -> PlanStep | None:
        """The step of a parameter, by its name or an alias."""
        return next((s for s in self.steps if parameter == s.parameter or parameter in s.aliases), None)

    @property
    def draws(self) -> tuple[PlanStep, ...]:
        """The steps that change something."""
        return tuple(step for step in self.steps if step.spec is not None)

    def only(self, wanted: Callable[[PlanStep], bool]) -> Plan:
        """The plan with every step that is not wanted turned into leaving the parameter as it is."""
        kept = tuple(
            s if s.spec is None or wanted(s) else replace(s, spec=None, reason="not asked for") for s in self.steps
        )
        return replace(self, steps=kept)

    def only_flagged(self) -> Plan:
        """The plan reduced to the parameters that a rule found fault with."""
        return self.only(lambda step: bool(step.rules))

    def with_seed(self, seed: int) -> Plan:
        """The same plan under another seed."""
        return replace(self, seed=seed)

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON values."""
        return {
            "schema_version": VERSION,
            "target": self.target,
            "seed": self.seed,
            "notes": list(self.notes),
            "signal": self.signal.to_json() if self.signal is not None else None,
            "alternatives": [alternative.to_json() for alternative in self.alternatives],
            "steps": [step.to_json() for step in self.steps],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | str) -> Plan:
        """Read what `to_json` wrote, or its text; raises FormatError for anything else."""
        try:
            table = json.loads(data) if isinstance(data, str) else data
            if table["schema_version"] != VERSION:
                raise FormatError(f"a plan of version {table['schema_version']} cannot be read", hint="make it anew")
            steps: Sequence[PlanStep] = [PlanStep.from_json(step) for step in table["steps"]]
            signal = _score(table.get("signal"))
            others = tuple(Alternative.from_json(each) for each in table.get("alternatives", ()))
            notes = tuple(table.get("notes", ()))
            return cls(str(table["target"]), tuple(steps), int(table["seed"]), notes, signal, others)
        except InitAdvisorError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FormatError(f"this is not a plan: {type(error).__name__}: {error}") from error


def _score(data: Mapping[str, Any] | None) -> Score | None:
    if data is None:
        return None
    # Imported on first use: a plan that is only read needs no prediction, and the score needs steps itself.
    from initadvisor.plan.score import Score

    return Score.from_json(data)
