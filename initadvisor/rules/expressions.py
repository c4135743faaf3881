"""Common Expression Language, as far as rules use it: compile with types, evaluate to a value or an unknown fact.

The language has no loops, no side effects and bounded work, so that an expression from a stranger is safe to run.
An unknown fact makes an expression an error, which `&&` and `||` absorb where the other side decides.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from initadvisor.rules.suggest import did_you_mean
from initadvisor.rules.vocabulary import FactName, FactType, FactValue

MAX_CHARACTERS = 4_000
"""An expression beyond this length is not a judgement that a person can check."""

_STRING = re.compile(r"""r?("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')""")
_CHAIN = re.compile(r"(?<![\w.])[A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)*")
_KNOWN = re.compile(r"\bknown\s*\(\s*([\w.\s]+?)\s*\)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")
_NO_OVERLOAD = re.compile(r"found no matching overload for '([^']*)' applied to '([^']*)'")
_SYNTAX = re.compile(r"(Syntax error: .*)")
_MISSING = re.compile(r'No value with name "([^"]+)" found')
_PLACE = re.compile(r"^ERROR: <input>:-?\d+:-?\d+: ")
_CODE = re.compile(r" \[[A-Z_]+\]$")
_STATUS = re.compile(r"^[A-Z_]+: ")


class ExpressionError(ValueError):
    """An expression that cannot be compiled; `hint` is what to do about it."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Failed:
    """An expression that gave no value: `fact` is the unknown name behind it, or None where `why` is another reason."""

    fact: str | None
    why: str


class Expression:
    """A compiled expression: `references` are the names it reads, `type` is what it gives."""

    __slots__ = ("_asked", "_bound", "_program", "_read", "references", "source", "type")

    def __init__(
        self, source: str, program: Any, kind: FactType, references: tuple[str, ...], asked: tuple[str, ...] = ()
    ) -> None:
        self.source = source
        self.type: FactType = kind
        self.references = references
        self._program = program
        self._asked = asked
        self._bound: dict[str, FactValue] = {}
        self._read = references

    def bind(self, constants: Mapping[str, FactValue]) -> Expression:
        """The same expression with some names fixed for all evaluations."""
        bound = Expression(self.source, self._program, self.type, self.references, self._asked)
        bound._bound = {name: constants[name] for name in self.references if name in constants}
        bound._read = tuple(name for name in self.references if name not in constants)
        return bound

    def evaluate(self, values: Mapping[str, FactValue]) -> FactValue | Failed:
        """The value over named facts, or why there is none."""
        data = self._bound.copy()
        for name in self._read:
            known = values.get(name)
            if known is not None:
                data[name] = known
        for name in self._asked:
            data[f"known.{name}"] = name in values
        try:
            result = self._program.eval(data=data)
        except RuntimeError as error:  # the budget of work is spent
            return Failed(None, _plain(str(error)))
        value = result.plain_value()
        if value is True or value is False or result.type() != _error_type():
            return value  # type: ignore[no-any-return]
        text = str(value)
        missing = _MISSING.search(text)
        return Failed(missing[1], f"{missing[1]} is not known") if missing else Failed(None, _plain(text))


def compile_expression(source: str, names: Mapping[str, FactName], limit: int = MAX_CHARACTERS) -> Expression:
    """Compile over the declared names; raises ExpressionError for an unknown name, a misfit of types, or syntax."""
    if len(source) > limit:
        raise ExpressionError(f"the expression has {len(source)} characters; {limit} are allowed")
    if re.search(r"\bhas\s*\(", _STRING.sub("''", source)):
        raise ExpressionError("has() is not available", "known(fact) tells whether a fact is known")
    references = references_of(source, names)
    text, asked = _with_known(source, names)
    cel = _cel()
    types = _types()
    variables = {name: types[names[name].type] for name in references}
    environment = cel.NewEnv(
        variables=variables | {f"known.{name}": types["flag"] for name in asked},
        extensions=[_math_extension()],
        functions=_functions(),
    )
    try:
        program = environment.compile(text)
    except RuntimeError as error:
        raise _explain(str(error), names) from error
    kind = _fact_type(program.return_type())
    if kind is None:
        raise ExpressionError(
            f"the expression gives a {program.return_type().name().lower()}, not a number, text or truth value"
        )
    return Expression(source, program, kind, references, asked)


def _with_known(source: str, names: Mapping[str, FactName]) -> tuple[str, tuple[str, ...]]:
    """Turn `known(fact)` into a flag of its own: (the expression, the facts asked about)."""
    asked: dict[str, None] = {}

    def flag(call: re.Match[str]) -> str:
        name = re.sub(r"\s", "", call[1])
        if name not in names or "." not in name:
            raise ExpressionError(f'there is no fact "{name}" here', did_you_mean(name, names))
        asked[name] = None
        return f"known.{name}"

    return _outside_strings(source, lambda code: _KNOWN.sub(flag, code)), tuple(asked)


def _outside_strings(source: str, change: Callable[[str], str]) -> str:
    pieces, at = [], 0
    for literal in _STRING.finditer(source):
        pieces += [change(source[at : literal.start()]), literal[0]]
        at = literal.end()
    return "".join((*pieces, change(source[at:])))


def inline(source: str, definitions: Mapping[str, str]) -> str:
    """The expression with each defined name replaced by its definition; later definitions may use earlier ones.

    The language is pure, so this changes no value; it spares an evaluation for every definition.
    Raises ExpressionError where the result grows beyond all measure.
    """
    for name in reversed(list(definitions)):
        replacement = f"({definitions[name]})"
        word = re.compile(rf"(?<![\w.]){re.escape(name)}(?!\w)")
        source = _outside_strings(source, lambda code, word=word, text=replacement: word.sub(lambda _: text, code))  # type: ignore[misc]
        if len(source) > 16 * MAX_CHARACTERS:
            raise ExpressionError("the expression grows too large once its let values are filled in")
    return source


def references_of(source: str, names: Mapping[str, FactName]) -> tuple[str, ...]:
    """The declared names that an expression reads, in order of appearance."""
    found: dict[str, None] = {}
    for chain in _CHAIN.findall(_STRING.sub("''", source)):
        parts = re.sub(r"\s", "", chain).split(".")
        for stop in range(len(parts), 0, -1):
            name = ".".join(parts[:stop])
            if name in names:
                found[name] = None
                break
    return tuple(found)


def _explain(text: str, names: Mapping[str, FactName]) -> ExpressionError:
    undeclared = _UNDECLARED.findall(text)
    if undeclared:
        # A chain that fails is reported prefix first; the longest is what the author wrote.
        name = max(undeclared, key=len)
        return ExpressionError(f'there is no fact, parameter or let value "{name}" here', did_you_mean(name, names))
    overload = _NO_OVERLOAD.search(text)
    if overload:
        operator, types = overload[1].strip("_").replace("_", " ").strip(), overload[2].strip("()")
        hint = "every number is a double: write 8.0 for 8" if "int" in types and "double" in types else None
        return ExpressionError(f"{operator} does not take ({types})", hint)
    syntax = _SYNTAX.search(text)
    first = syntax[1] if syntax else _PLACE.sub("", _plain(text))
    return ExpressionError(first[:1].lower() + _CODE.sub("", first)[1:])


def _plain(text: str) -> str:
    """The first line of an error of the library, without its status codes."""
    return _CODE.sub("", _STATUS.sub("", text.splitlines()[0] if text else "no reason given"))


def _fact_type(kind: Any) -> FactType | None:
    name = kind.name()
    table: dict[str, FactType] = {
        "BOOL": "flag",
        "DOUBLE": "number",
        "STRING": "text",
        "LIST<DOUBLE>": "numbers",
        "LIST<STRING>": "texts",
    }
    return table.get(name)


def _cel() -> Any:
    # Imported on first use: it brings protobuf, which costs more than the rest of a cold start.
    from cel_expr_python import cel

    return cel


@lru_cache(maxsize=1)
def _error_type() -> Any:
    return _cel().Type.ERROR


@lru_cache(maxsize=1)
def _types() -> dict[FactType, Any]:
    kinds = _cel().Type
    return {
        "number": kinds.DOUBLE,
        "text": kinds.STRING,
        "flag": kinds.BOOL,
        "numbers": kinds.List(kinds.DOUBLE),
        "texts": kinds.List(kinds.STRING),
    }


@lru_cache(maxsize=1)
def _math_extension() -> Any:
    from cel_expr_python.ext import ext_math

    return ext_math.ExtMath()


@lru_cache(maxsize=1)
def _functions() -> list[Any]:
    """math.log, math.log10, math.exp and math.pow, which the standard extension lacks."""
    cel = _cel()
    double = cel.Type.DOUBLE

    def declare(name: str, function: Any, arguments: int) -> Any:
        overload = cel.Overload(f"{name}_double", return_type=double, parameters=[double] * arguments, impl=function)
        return cel.FunctionDecl(name, [overload])

    unary = {"math.log": math.log, "math.log10": math.log10, "math.exp": math.exp}
    return [*(declare(name, function, 1) for name, function in unary.items()), declare("math.pow", math.pow, 2)]
