"""`initadvisor data`."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

import click

from initadvisor.cli.check import internal, verdict_code
from initadvisor.cli.formats import outputs_of, print_reports, report_options
from initadvisor.cli.main import Session, debug_option, fail
from initadvisor.cli.options import config_option, configuration_of, judging_options
from initadvisor.cli.runs import Checkers, Run
from initadvisor.errors import InitAdvisorError, UsageError

if TYPE_CHECKING:
    from initadvisor.engine.data import DataChecker
    from initadvisor.report import Report


@click.command()
@click.argument("targets", nargs=-1, metavar="TARGET...")
@click.option("--validation", metavar="TARGET", help="A second set, which each target is compared with.")
@click.option(
    "--weights",
    metavar="NAME",
    help="Hold images against the preprocessing of these: resnet50:IMAGENET1K_V2, timm:NAME.",
)
@click.option("--classes", type=click.IntRange(min=1), help="Classes of the task: labels lie below.")
@click.option(
    "--samples", type=click.IntRange(min=1), default=2048, show_default=True, help="Samples of each set to look at."
)
@judging_options
@report_options
@config_option
@click.option("--quiet", "-q", is_flag=True, help="No progress, and nothing about clean targets.")
@debug_option
@click.pass_context
def data(ctx: click.Context, /, targets: tuple[str, ...], **options: Any) -> int:
    """Check data: its scale, values, copies, labels, and how two sets differ. No model is run.

    TARGET is an .npy, .npz or .safetensors file, a folder of images (its subfolders are the classes), or
    package.module:callable, which gives a loader, a data set or arrays. The last one runs code: your own module.
    An .npz file takes its labels from y, labels or targets, and x_train, y_train, x_test, y_test for two sets.
    """
    config = configuration_of(options)
    if not targets:
        raise UsageError("there is nothing to check", hint='give data, such as "initadvisor data train.npz"')
    from initadvisor.engine.data import DataChecker, preprocessing_of

    run = Run.of_nothing(config, options)
    outputs = outputs_of(options["outputs"], options["output_file"])
    session: Session = ctx.obj if isinstance(ctx.obj, Session) else Session()
    checkers = Checkers("data")
    checker = DataChecker(checkers.of(run))
    expected = preprocessing_of(options["weights"]) if options["weights"] else None
    asked = {
        "validation": options["validation"],
        "classes": options["classes"],
        "samples": options["samples"],
        "preprocessing": expected,
    }
    reports = [_look(checker, target, asked, options["quiet"], session) for target in targets]
    runs = [run] * len(reports)
    print_reports(reports, checkers, outputs, [run.settings.fail_on] * len(reports), options["quiet"])
    return verdict_code(reports, runs, options)


def _look(checker: DataChecker, target: str, asked: dict[str, Any], quiet: bool, session: Session) -> Report:
    from initadvisor.cli.progress import ProgressLine

    try:
        with contextlib.redirect_stdout(sys.stderr), ProgressLine(target, enabled=not quiet) as progress:
            progress("reading")
            report = checker.check(target, name=target, **asked)
    except Exception as error:
        fail(error if isinstance(error, InitAdvisorError) else internal(target, error), session)
        return checker.checker.not_checked(target, error)
    if report.error is not None:
        click.echo(f"error: {report.error.message}", err=True)
    return report
