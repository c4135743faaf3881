"""`initadvisor check`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from initadvisor.cli import complete
from initadvisor.cli.accepted import baseline_option, baselines_of, unused_option, warn, without_known
from initadvisor.cli.expand import expanded
from initadvisor.cli.formats import outputs_of, print_reports, report_options, wants_details
from initadvisor.cli.main import EXIT_FINDINGS, EXIT_NOT_CHECKED, EXIT_OK, Session, debug_option, fail
from initadvisor.cli.options import configuration_of, reading_options, rule_options, training_options
from initadvisor.cli.remote import check_there, server_of, server_options
from initadvisor.cli.runs import Checkers, Run, runs_of
from initadvisor.cli.sweeping import Plan, sweep_options, swept, wanted
from initadvisor.errors import InitAdvisorError

if TYPE_CHECKING:
    from initadvisor.engine import Checker
    from initadvisor.report import Report


@click.command()
@click.argument("targets", nargs=-1, metavar="TARGET...", shell_complete=complete.targets)
@rule_options
@report_options
@baseline_option
@unused_option
@click.option(
    "--expect",
    type=click.Choice(("pretrained",)),
    help="Hold the model to this: pretrained weights everywhere but in the head.",
)
@click.option("--classes", type=click.IntRange(min=1), help="Classes of the task, which the head is held against.")
@click.option("--explain", metavar="LAYER", help="Follow the predicted signal to this layer, and the gradient back.")
@click.option(
    "--meta", is_flag=True, help="Build the models of references without numbers: quick, for what is known of them."
)
@training_options
@reading_options
@server_options
@sweep_options
@click.option("--show-settings", is_flag=True, help="Show the settings of each target and where they come from; stop.")
@click.option("--quiet", "-q", is_flag=True, help="No progress, and nothing about clean targets.")
@debug_option
@click.pass_context
def check(ctx: click.Context, /, targets: tuple[str, ...], **options: Any) -> int:
    """Check models: how their weights are drawn, and what that does to signal and gradient.

    TARGET is model.onnx, model.safetensors, model.pt (weights only), package.module:factory, torchvision:NAME,
    timm:NAME or hf:NAME. All but the files run code: your own, or the library's. A target of the configuration goes by
    its name; without any, all of them are checked.

    With --server, the check runs there: files are sent, and other targets are names that the service has registered.

    Many at once: "models/**/*.onnx", "torchvision:*", "timm:resnet*", "hf:*" (model types; nothing is downloaded),
    @models.txt (one a line), hf:@names.txt; with --jobs, --engine ray and --resume.
    """
    config = configuration_of(options)
    apart = wanted(options)
    targets = expanded(targets, config)
    if options["show_settings"] and not targets and not config.targets:
        return _show_settings([Run.of_nothing(config, options)])
    runs = runs_of(config, targets, options, "initadvisor check model.onnx")
    if options["show_settings"]:
        return _show_settings(runs)
    outputs = outputs_of(options["outputs"], options["output_file"])
    server = server_of(options)
    session: Session = ctx.obj if isinstance(ctx.obj, Session) else Session()
    baselines = baselines_of(runs)
    checkers = Checkers()
    prepared = [(checkers.of(run), run) for run in runs]
    details = wants_details(outputs)
    if server is not None:
        reports = check_there(server, prepared, options, session, details=details)
    elif apart:
        reports = swept(runs, checkers, Plan("check", details, options["explain"]), options, session)
    else:
        reports = [check_one(checker, run.target, options, session, details=details) for checker, run in prepared]
    reports = [without_known(report, run, baselines) for report, run in zip(reports, runs, strict=True)]
    print_reports(reports, checkers, outputs, [run.settings.fail_on for run in runs], options["quiet"])
    unused = warn(reports, runs, config, options)
    code = verdict_code(reports, runs, options)
    stale = unused and runs[0].settings.fail_on_unused and not options["exit_zero"]
    return EXIT_FINDINGS if stale and code == EXIT_OK else code


def verdict_code(reports: Sequence[Report], runs: Sequence[Run], options: dict[str, Any]) -> int:
    """The exit code of a command: not checked before findings before nothing found."""
    if any(report.verdict == "not_checked" for report in reports):
        return EXIT_NOT_CHECKED
    pairs = list(zip(reports, runs, strict=True))
    if any(run.settings.strict and report.not_evaluated for report, run in pairs):
        click.echo("error: a selected rule could not be evaluated, and --strict is set", err=True)
        return EXIT_NOT_CHECKED
    found = any(report.failing(run.settings.fail_on) for report, run in pairs)
    return EXIT_FINDINGS if found and not options["exit_zero"] else EXIT_OK


def check_one(
    checker: Checker, target: str, options: dict[str, Any], session: Session, *, details: bool = False
) -> Report:
    """The report on one target behind a progress line; what goes wrong is said on stderr and in the report."""
    from initadvisor.cli.progress import ProgressLine

    try:
        # What a factory prints belongs to nobody's report: stdout is for data.
        with contextlib.redirect_stdout(sys.stderr), ProgressLine(target, enabled=not options["quiet"]) as progress:
            explain = options.get("explain")
            report = checker.check(target, progress=progress, explain=explain, details=details)
    except Exception as error:
        fail(error if isinstance(error, InitAdvisorError) else internal(target, error), session)
        return checker.not_checked(target, error)
    if report.error is not None:
        click.echo(f"error: {report.error.message}", err=True)
    return report


def internal(target: str, error: Exception) -> Exception:
    """An error that nobody meant, with the target that it came up on."""
    error.add_note(f"while checking {target}")
    return error


def _show_settings(runs: Sequence[Run]) -> int:
    from initadvisor.cli.output import write
    from initadvisor.cli.settings import settings_as_text

    write("\n".join(settings_as_text(run) for run in runs))
    return EXIT_OK
