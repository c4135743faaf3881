"""`initadvisor fix`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from initadvisor.cli import complete
from initadvisor.cli.advise import examined, plan_of
from initadvisor.cli.main import EXIT_FINDINGS, EXIT_OK, debug_option
from initadvisor.cli.options import (
    plan_options,
    reading_options,
    rule_options,
)
from initadvisor.cli.output import write
from initadvisor.cli.runs import one_run
from initadvisor.errors import FormatError, NotFoundError, UsageError

if TYPE_CHECKING:
    from initadvisor.config import Config
    from initadvisor.engine import Examination
    from initadvisor.engine.fixing import Fixable
    from initadvisor.plan import Plan


@click.command()
@click.argument("target", metavar="TARGET", shell_complete=complete.targets)
@click.option(
    "--output-file",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The new file.  [default: model.fixed.*, after the target]",
)
@click.option("--force", is_flag=True, help="Replace the new file where there is one. The target never is.")
@click.option("--diff", is_flag=True, help="Show what would change and write nothing; exit with 1 if anything would.")
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help='Follow this plan, which "advise --emit json" wrote.',
)
@click.option(
    "--norm",
    type=click.Choice(("frozen", "sync", "group", "layer", "batch-channel", "batch_channel", "ws", "none")),
    help="Exchange batch norms first. frozen and sync keep the function in evaluation, the others train anew; "
    "ws standardises weights in place of norms.",
)
@plan_options
@rule_options
@reading_options
@click.option("--quiet", "-q", is_flag=True, help="No progress, and nothing about what was written.")
@debug_option
def fix(target: str, **options: Any) -> int:
    """Draw the weights of a model anew, as "advise" says, into a new file.

    model.onnx gives model.fixed.onnx: the same graph, types and data layout with other elements.
    package.module:factory and torchvision:NAME give the state dict of what they build, as model.fixed.safetensors.
    The draws depend on the seed and the names of the parameters alone: the same command gives the same bits.
    """
    from initadvisor.engine.fixing import fixable
    from initadvisor.report.escape import visible

    run, checker = one_run(target, options, "initadvisor fix model.onnx")
    settings, target = run.settings, run.target
    given = _read_plan(options)
    source = fixable(target, checker.settings.load)
    exchanged = source.exchange_norms(options["norm"]) if options["norm"] else ()
    file: Path = options["output_file"] or source.default_file()
    if not options["diff"]:
        _refuse(source, file, options["force"])
    done = examined(checker, source.subject, target, options["quiet"])
    plan = replace(_plan(settings, done, given, options), target=target)
    for note in plan.notes:
        click.echo(f"warning: {visible(note)}", err=True)
    if options["diff"]:
        return _show(plan)
    for note in exchanged:
        click.echo(f"note: {visible(note)}", err=True)
    if not plan.draws and not exchanged:
        _tell(f"{_line(plan)}; no file was written\n", options)
        return EXIT_OK
    for note in source.write(plan, done.graph, file):
        click.echo(f"note: {visible(note)}", err=True)
    _tell(f"{_line(plan)}; written to {file}\n", options)
    return EXIT_OK


def _read_plan(options: dict[str, Any]) -> Plan | None:
    from initadvisor.plan import Plan

    file: Path | None = options["plan_file"]
    if file is None:
        return None
    if options["preset"] is not None:
        raise UsageError("--preset makes a plan and --plan brings one", hint="give one of them")
    for option in ("class_counts", "labels", "prior"):
        if options[option] is not None:
            name = option.replace("_", "-")
            raise UsageError(f"--{name} makes a plan and --plan brings one", hint="give one of them")
    try:
        return Plan.from_json(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise NotFoundError(f"cannot read the plan {file}: {error.strerror or error}") from error
    except (UnicodeDecodeError, FormatError) as error:
        said = error.message if isinstance(error, FormatError) else str(error)
        raise FormatError(f"{file}: {said}", hint='"initadvisor advise --emit json" writes one') from error


def _plan(settings: Config, done: Examination, given: Plan | None, options: dict[str, Any]) -> Plan:
    if given is None:
        return plan_of(settings, done, options)
    from initadvisor.engine.advising import fitted

    plan = fitted(given, done, include_trained=options["allow_trained"])
    plan = plan.only_flagged() if options["only_flagged"] else plan
    return plan if options["seed"] is None else plan.with_seed(options["seed"])


def _refuse(source: Fixable, file: Path, force: bool) -> None:
    source.refuse(file)
    if file.exists() and not file.is_file():
        raise UsageError(f"{file} is not a plain file")
    if file.exists() and not force:
        raise UsageError(f"{file} exists", hint="--force replaces it, -o FILE names another")
    if not file.parent.is_dir():
        raise UsageError(f"the folder {file.parent} does not exist")


def _show(plan: Plan) -> int:
    from initadvisor.engine.fixing import rehearse
    from initadvisor.report.plan_text import changes_as_text
    from initadvisor.report.terminal import columns

    write(changes_as_text(plan, list(rehearse(plan)), columns=columns(sys.stdout)))
    return EXIT_FINDINGS if plan.draws else EXIT_OK


def _line(plan: Plan) -> str:
    from initadvisor.report.plan_text import heading

    return heading(plan)


def _tell(text: str, options: dict[str, Any]) -> None:
    if not options["quiet"]:
        write(text)
