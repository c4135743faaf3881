"""Find rule files: those that ship with the package, those of installed packs, those of a user's folders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from initadvisor.errors import RuleError
from initadvisor.rules.parse import parse
from initadvisor.rules.rule import Rule
from initadvisor.rules.suggest import did_you_mean

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "initadvisor.rules"
"""An installed pack gives "package" or "package:folder", where its rule files lie."""

MAX_FILES = 2_000


@dataclass(frozen=True)
class RuleSet:
    """Rules by id, in order of id; removed ones are in it and stay findable."""

    rules: Mapping[str, Rule]

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules.values())

    def __len__(self) -> int:
        return len(self.rules)

    def find(self, name: str) -> Rule:
        """The rule of an id or name, in any case; raises RuleError with a suggestion where there is none."""
        for rule in self:
            if name.casefold() in (rule.id.casefold(), rule.name):
                return rule
        known = [word for rule in self for word in (rule.id, rule.name)]
        raise RuleError(f'there is no rule "{name}"', hint=did_you_mean(name, known))


def packaged_folder() -> Path:
    """The folder of the rules that ship with initadvisor: in an installed wheel, else in the checkout."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_rules", package.parent / "rules"):
        if folder.is_dir():
            return folder
    raise RuleError(f"the rules that ship with initadvisor are missing from {package}", hint="install it again")


def rule_files(folder: Path) -> list[Path]:
    """The rule files under a folder, sorted; raises RuleError where it is none, or holds far too many."""
    if not folder.is_dir():
        raise RuleError(f"the rules folder {folder} does not exist")
    files: list[Path] = []
    for path in folder.rglob("*.md"):
        if path.name.startswith((".", "_")) or path.name.casefold() == "readme.md" or not path.is_file():
            continue
        files.append(path)
        if len(files) > MAX_FILES:
            raise RuleError(f"the rules folder {folder} holds more than {MAX_FILES} rule files")
    return sorted(files)


def collect(files: Iterable[Path]) -> RuleSet:
    """Parse rule files into one set; raises RuleError where one cannot be used or two have one id or name."""
    rules: dict[str, Rule] = {}
    names: dict[str, Rule] = {}
    for path in files:
        rule = parse(path)
        for key, other in ((rule.id, rules.get(rule.id)), (rule.name, names.get(rule.name))):
            if other is not None:
                raise RuleError(f'{rule.where()}: "{key}" is taken by {other.where()}')
        rules[rule.id] = names[rule.name] = rule
    return RuleSet(dict(sorted(rules.items())))


def discover(folders: Iterable[Path] = (), *, packs: bool = True) -> RuleSet:
    """The packaged rules, those of installed packs, and those of `folders`, as one set."""
    files = rule_files(packaged_folder())
    for folder in (*(_pack_folders() if packs else ()), *folders):
        files += [path for path in rule_files(folder) if path not in files]
    return collect(files)


def _pack_folders() -> list[Path]:
    from importlib.metadata import entry_points

    return [pack_folder(entry) for entry in entry_points(group=ENTRY_POINTS)]


def pack_folder(entry: EntryPoint) -> Path:
    """The folder of an installed pack; the package that holds it is found, not run.

    Raises RuleError where the entry point names no such package.
    """
    from importlib.util import find_spec

    try:
        spec = find_spec(entry.module)
    except (ImportError, ValueError) as error:
        raise RuleError(f'the installed rule pack "{entry.name}" cannot be found: {error}') from error
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    if not folders:
        raise RuleError(f'the installed rule pack "{entry.name}" names "{entry.value}", which is no package')
    # "package:folder" names a folder inside the package.
    return Path(folders[0], *(entry.attr or "").split("."))
