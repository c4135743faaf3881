"""What a command runs on: targets by name or as given, each with the settings that govern it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from initadvisor.cli.options import configuration_of, settings_of, with_options
from initadvisor.errors import UsageError

if TYPE_CHECKING:
    from initadvisor.config import Config, NamedTarget
    from initadvisor.engine import Checker, CheckSettings
    from initadvisor.engine.checker import Purpose
    from initadvisor.rules import Rule


@dataclass(frozen=True, slots=True)
class Run:
    """One target. `name` is what the configuration calls it, "" for one that it does not know.

    settings: those that govern it, those of the command line included; they have the last word.
    """

    name: str
    target: str
    settings: Config
    checked: CheckSettings

    @classmethod
    def of_nothing(cls, config: Config, options: dict[str, Any]) -> Run:
        """What would govern a target that the configuration does not know."""
        return _run(config, "any target", options)

    def key(self, baseline: Path) -> str:
        """How a baseline file names the target: not by where the command was run, nor by where the checkout lies."""
        if self.name:
            return self.name
        file = Path(self.target)
        if not file.exists():
            return self.target
        try:
            return Path(os.path.relpath(file.resolve(), baseline.resolve().parent)).as_posix()
        except ValueError:  # on another drive
            return file.as_posix()


def runs_of(config: Config, given: Sequence[str], options: dict[str, Any], example: str) -> list[Run]:
    """A run for each target that was given, or for each of the configuration where none was.

    Raises UsageError where there is none at all; `example` is the command that names one.
    """
    if not given and not config.targets:
        raise UsageError(f"there is nothing to {example.split()[1]}", hint=f'give a target, such as "{example}"')
    found = [_named(config, text) or text for text in given] or list(config.targets)
    return [_run(config, each, options) for each in found]


def one_run(target: str, options: dict[str, Any], example: str) -> tuple[Run, Checker]:
    """The run of a command that takes one target, and its checker; raises like `runs_of` and `Checkers.of`."""
    [run] = runs_of(configuration_of(options), (target,), options, example)
    return run, Checkers().of(run)


def _run(config: Config, target: NamedTarget | str, options: dict[str, Any]) -> Run:
    if isinstance(target, str):
        return Run("", target, with_options(config, options), settings_of(config, options))
    own = config.of(target)
    return Run(target.name, target.target, with_options(own, options), settings_of(own, options))


def _named(config: Config, text: str) -> NamedTarget | None:
    """The target of the configuration that a text means: by its name, else by its file or reference."""
    named = config.named(text)
    if named is None and config.targets:
        place = os.path.abspath(text)
        same = (t for t in config.targets if text == t.target or place == os.path.abspath(t.target))
        named = next(same, None)
        if named is None and ":" not in text and not Path(text).suffix and not Path(text).exists():
            from initadvisor.rules.suggest import did_you_mean

            names = [target.name for target in config.targets]
            hint = did_you_mean(text, names) or f"the targets of the configuration are {', '.join(names)}"
            raise UsageError(f'there is no target and no file "{text}"', hint=hint)
    return named


@dataclass
class Checkers:
    """Checkers by their settings, made once each, and together the rules that a report may name."""

    purpose: Purpose = "check"
    _made: list[tuple[CheckSettings, Checker]] = field(default_factory=list)

    def of(self, run: Run) -> Checker:
        """The checker for a run; raises RuleError or UsageError where its settings cannot be used."""
        from initadvisor.engine import Checker

        for settings, checker in self._made:
            if settings == run.checked:
                return checker
        first = self._made[0][1] if self._made else None
        self._made.append((run.checked, Checker(run.checked, purpose=self.purpose, like=first)))
        return self._made[-1][1]

    @cached_property
    def rules(self) -> list[Rule]:
        """The rules of all checkers, each id once."""
        known = {rule.id: rule for _, checker in self._made for rule in checker.rules}
        return [known[name] for name in sorted(known)]

    def reasons(self) -> dict[str, str]:
        """One sentence for each rule on why it matters."""
        return {rule: why for _, checker in self._made for rule, why in checker.reasons().items()}
