"""`initadvisor completion`: what a shell runs to complete commands, options, rules, formats and targets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import click
from click.shell_completion import CompletionItem, get_completion_class

from initadvisor.cli.main import cli, debug_option
from initadvisor.cli.output import write

SHELLS = ("bash", "zsh", "fish")
PROGRAM, VARIABLE = "initadvisor", "_INITADVISOR_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@debug_option
def completion(shell: str) -> None:
    """Print the script that makes a shell complete what you type.

    \b
    bash:  eval "$(initadvisor completion bash)"        in ~/.bashrc
    zsh:   eval "$(initadvisor completion zsh)"         in ~/.zshrc, after compinit
    fish:  initadvisor completion fish | source         in ~/.config/fish/config.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    write(kind(cli, {}, PROGRAM, VARIABLE).source() + "\n")


def rules_of(ctx: click.Context, incomplete: str, *, categories: bool) -> list[CompletionItem]:
    """Rule ids with their names, also behind a comma; names and categories where a small letter was typed."""
    done, comma, word = incomplete.rpartition(",")
    folders = [packaged_rules(), *(Path(folder) for folder in ctx.params.get("rules_dirs") or ())]
    found = dict(_rule_names(folders))
    choices = list(found.items())
    if word[:1].islower():
        choices = [(name, rule) for rule, name in found.items()]
        choices += [(name, "category") for name in _categories(folders)] if categories else []
    return [CompletionItem(done + comma + value, help=help) for value, help in choices if value.startswith(word)]


def packaged_rules() -> Path:
    """The folder of the rules that ship with initadvisor, found without the rule engine: it takes too long to load."""
    package = Path(__file__).resolve().parents[1]
    wheel = package / "_rules"
    return wheel if wheel.is_dir() else package.parent / "rules"


def _rule_names(folders: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """Ids and names, from the names of the files."""
    for stem in sorted(path.stem for folder in folders for path in folder.glob("**/*.md")):
        rule, _, name = stem.partition("-")
        if rule[-1:].isdecimal() and rule[:1].isupper():
            yield rule, name


def _categories(folders: Iterable[Path]) -> list[str]:
    return sorted({path.name for folder in folders if folder.is_dir() for path in folder.iterdir() if path.is_dir()})


TARGETS = {
    "torchvision:": "a model of torchvision, such as torchvision:resnet50",
    "timm:": "a model of timm",
    "hf:": "a Hugging Face name or configuration",
}
SUFFIXES = (".onnx", ".safetensors", ".pt", ".pth", ".pt2", ".bin", ".textproto")


def targets_of(incomplete: str) -> list[CompletionItem]:
    """Model files, folders on the way to them, and what references start with."""
    prefixes = [CompletionItem(name, help=help) for name, help in TARGETS.items() if name.startswith(incomplete)]
    if not incomplete or not prefixes:
        # The shell completes files better than we would: it knows about ~, spaces and folders.
        return [CompletionItem(incomplete, type="file")]
    here = sorted(path.name + "/" * path.is_dir() for path in Path().glob(f"{incomplete}*"))
    files = [CompletionItem(name) for name in here if name.endswith(("/", *SUFFIXES))]
    return [*prefixes, *files]
