"""The top command, and what happens to errors: one line on stderr and an exit code of their own."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import click

from initadvisor.cli.language import lang_option
from initadvisor.errors import InitAdvisorError, UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

EXIT_OK, EXIT_FINDINGS, EXIT_NOT_CHECKED, EXIT_INTERRUPTED = 0, 1, 2, 130

_COMMANDS = {
    "check": ("initadvisor.cli.check", "check", "Check how the weights of a model start."),
    "probe": ("initadvisor.cli.probe", "probe", "Run a few training steps and check signal and gradient."),
    "data": ("initadvisor.cli.data", "data", "Check what a model is fed: arrays, images, a loader."),
    "advise": ("initadvisor.cli.advise", "advise", "Say what each parameter should be drawn from, and why."),
    "fix": ("initadvisor.cli.fix", "fix", "Draw the weights anew, as advised, into a new file."),
    "pretrained": ("initadvisor.cli.pretrained", "pretrained", "Say which weights exist for a model; load some."),
    "compare": ("initadvisor.cli.compare", "compare", "Train from several initializations side by side."),
    "baseline": ("initadvisor.cli.baseline", "baseline", "Keep a file of the findings that are known already."),
    "rule": ("initadvisor.cli.rule", "rule", "List, explain, test and start rules."),
    "schema": ("initadvisor.cli.schema", "schema", "Print the JSON Schema of the report, or of the configuration."),
    "completion": ("initadvisor.cli.completion", "completion", "Print what makes a shell complete commands."),
    "serve": ("initadvisor.cli.serve", "serve", "Serve checks over HTTP, with a queue and a page."),
}


@dataclass(slots=True)
class Session:
    """What outlives a command: whether a traceback is wanted."""

    debug: bool = False


class LazyGroup(click.Group):
    """A group whose commands are imported when they are run, so that `--help` stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; None where there is none of that name."""
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of the first argument; raises UsageError with a suggestion."""
        known = not args or args[0] in _COMMANDS or args[0].startswith("-")
        if not known and not ctx.resilient_parsing:
            from initadvisor.rules.suggest import did_you_mean

            raise UsageError(f'there is no command "{args[0]}"', hint=did_you_mean(args[0], _COMMANDS))
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands from the table, and the options: nothing is imported for it."""
        from click.shell_completion import CompletionItem

        named = [(name, text) for name, (_, _, text) in _COMMANDS.items() if name.startswith(incomplete)]
        commands = [CompletionItem(name, help=text) for name, text in named]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from the table: nothing is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, _, help_text) in _COMMANDS.items()])


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from initadvisor import __version__

        click.echo(f"initadvisor {__version__}")
        ctx.exit()


def debug_option(function: Any) -> Any:
    """`--debug`: show the traceback of an error."""

    def remember(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        if value and isinstance(ctx.obj, Session):
            ctx.obj.debug = True

    return click.option(
        "--debug", is_flag=True, expose_value=False, callback=remember, help="Show the traceback of an error."
    )(function)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Print the version."
)
@debug_option
@lang_option
def cli() -> None:
    """Check the state that a neural network is in before training.

    Exit codes: 0 nothing found, 1 findings at or above --fail-on, 2 could not check (usage, configuration, load).
    """


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave the process with its exit code."""
    session = Session()
    if not sys.warnoptions:
        # Warnings of libraries are for their authors; what a user has to know is in the report.
        warnings.simplefilter("ignore")
    try:
        result = cli.main(args=list(args) if args is not None else None, obj=session, standalone_mode=False)
        code = result if isinstance(result, int) else EXIT_OK
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        code = EXIT_NOT_CHECKED
    except (KeyboardInterrupt, click.Abort):
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        from initadvisor.cli.output import silence_stdout

        silence_stdout()
        code = EXIT_OK
    except Exception as error:
        code = fail(error, session)
    sys.exit(code)


def fail(error: BaseException, session: Session) -> int:
    """Say on one line of stderr what went wrong, with the traceback before it where that is wanted; the exit code."""
    if session.debug:
        import traceback

        traceback.print_exception(error)
    click.echo(f"error: {describe(error)}", err=True)
    return error.exit_code if isinstance(error, InitAdvisorError) else EXIT_NOT_CHECKED


def describe(error: BaseException) -> str:
    """One printable line about an error."""
    from initadvisor.report.escape import visible

    if isinstance(error, InitAdvisorError):
        return visible(str(error))
    if isinstance(error, click.ClickException):
        message = error.format_message().strip().rstrip(".").replace("\n", " ")
        context = getattr(error, "ctx", None)
        hint = f' (see "{context.command_path} --help")' if context else ""
        return visible(message[:1].lower() + message[1:] + hint)
    kind = type(error).__name__
    return visible(f"internal error, {kind}: {error}; --debug shows where, and we would like to hear of it")
