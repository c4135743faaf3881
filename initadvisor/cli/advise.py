"""`initadvisor advise`."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from initadvisor.cli import complete
from initadvisor.cli.main import EXIT_OK, debug_option
from initadvisor.cli.options import (
    plan_options,
    reading_options,
    rule_options,
)
from initadvisor.cli.output import write
from initadvisor.cli.runs import one_run
from initadvisor.errors import UsageError

if TYPE_CHECKING:
    from initadvisor.config import Config
    from initadvisor.engine import Checker, Examination
    from initadvisor.plan import Plan

_FORMS = ("text", "json", "pytorch", "keras", "flax")


@click.command()
@click.argument("target", metavar="TARGET", shell_complete=complete.targets)
@plan_options
@click.option(
    "--emit",
    type=click.Choice(_FORMS),
    default="text",
    show_default=True,
    help='A table to read, the plan that "fix --plan" takes, or source code of a function init_weights.',
)
@click.option(
    "--output-file", type=click.Path(dir_okay=False, path_type=Path), help="Write the advice here, not to stdout."
)
@rule_options
@reading_options
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@debug_option
def advise(target: str, **options: Any) -> int:
    """Say what each parameter of a model should be drawn from, and why. Nothing is changed.

    What holds something learned is left alone, and so is what starts at zero on purpose. TARGET is as for check.
    """
    run, checker = one_run(target, options, "initadvisor advise model.onnx")
    plan = plan_of(run.settings, examined(checker, run.target, run.target, options["quiet"]), options)
    write(_emitted(plan, options), options["output_file"])
    return EXIT_OK


def examined(checker: Checker, subject: Any, label: str, quiet: bool) -> Examination:
    """A target examined behind a progress line; raises UsageError where it holds nothing to advise on."""
    from initadvisor.cli.progress import ProgressLine

    with contextlib.redirect_stdout(sys.stderr), ProgressLine(label, enabled=not quiet) as progress:
        done = checker.examine(subject, progress=progress)
    if done.view.empty:
        raise UsageError(f"there is nothing to advise on in {label}: {done.view.empty}")
    return done


def plan_of(settings: Config, done: Examination, options: dict[str, Any]) -> Plan:
    """The plan that a configuration and the options of a command ask for."""
    from initadvisor.engine import plan_for
    from initadvisor.engine.priors import labels_in, prior_of

    labels = labels_in(options["labels"]) if options["labels"] is not None else None
    return plan_for(
        done,
        preset=options["preset"] or settings.preset,
        policy=settings.policy,
        classes=prior_of(labels, options["class_counts"], options["prior"]),
        only_flagged=options["only_flagged"],
        include_trained=options["allow_trained"],
        seed=options["seed"] or 0,
    )


def _emitted(plan: Plan, options: dict[str, Any]) -> str:
    if options["emit"] == "json":
        return json.dumps(plan.to_json(), indent=2) + "\n"
    if options["emit"] != "text":
        from initadvisor.apply.emit import emit

        return emit(plan, options["emit"])
    from initadvisor.report.plan_text import plan_as_text
    from initadvisor.report.terminal import columns, wants_color

    color = options["output_file"] is None and wants_color(sys.stdout)
    return plan_as_text(plan, columns=columns(sys.stdout), color=color)
