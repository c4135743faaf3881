"""The keys of a configuration file: what each is called, what it holds, what it means."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictStr, model_validator

from initadvisor.rules.rule import Severity

Language = Literal["en", "ja"]
Grade = Literal["error", "warning", "info", "off"]


def _words(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _day(value: Any) -> Any:
    if not isinstance(value, datetime.date | str):
        raise ValueError("a date such as 2027-01-31 was expected")
    return value


def _stated(value: str) -> str:
    if not value.strip():
        raise ValueError("say why, in a few words")
    return value


def _by_name(value: Any) -> Any:
    """A list of targets as a table of them, under their own names."""
    if not isinstance(value, list):
        return value
    if not all(isinstance(each, str) for each in value):
        raise ValueError("a list of texts, or a table for each target, was expected")
    return {each: {"target": each} for each in value}


Words = Annotated[tuple[StrictStr, ...], BeforeValidator(_words, json_schema_input_type=str | list[str])]
"""One text, or a list of them."""

Day = Annotated[datetime.date, BeforeValidator(_day)]
Stated = Annotated[StrictStr, BeforeValidator(_stated)]
Size = Annotated[int, Field(strict=True, ge=1)]


class Table(BaseModel):
    """A table of the file: unknown keys are refused, and names are written with hyphens."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=lambda name: name.replace("_", "-"))


class SuppressKeys(Table):
    """Findings that somebody has looked at and accepts."""

    layers: Words = Field((), description="globs over names of layers and tensors; all of them if it is not given")
    rules: Words = Field((), description="rules by id, prefix, name or category; all of them if it is not given")
    reason: Stated = Field(description="why this is accepted; has to be there")
    expires: Day | None = Field(None, description="the last day on which it holds")

    @model_validator(mode="after")
    def _names_something(self) -> SuppressKeys:
        if not self.layers and not self.rules:
            raise ValueError("name layers, rules or both")
        return self


class CheckKeys(Table):
    """What decides how a target is judged."""

    select: tuple[StrictStr, ...] = Field((), description="run only these rules: ids, prefixes, names, categories")
    ignore: tuple[StrictStr, ...] = Field((), description="do not run these")
    extend_select: tuple[StrictStr, ...] = Field((), description="run these as well")
    preview: StrictBool = Field(False, description="run preview rules too")
    severity: dict[str, Grade] = Field(
        default_factory=dict, description='give rules another severity, or "off": `IA103 = "warning"`'
    )
    params: dict[str, Any] = Field(default_factory=dict, description="parameters of rules: `IA101 = { low = 0.4 }`")
    suppress: tuple[SuppressKeys, ...] = Field(
        (), description="accepted findings, one `[[suppress]]` each: `layers`, `rules`, `reason`, `expires`"
    )
    model_suppressions: StrictBool = Field(
        False, description="obey the suppressions that an ONNX file carries; only for files that you trust"
    )
    fail_on: Severity = Field("error", description="exit with 1 from this severity on")
    strict: StrictBool = Field(False, description="exit with 2 where a selected rule could not be evaluated")
    batch_size: Size | None = Field(None, description="samples of a training step on one device")
    devices: Size | None = Field(None, description="devices that train copies of the model side by side")
    expect: Literal["pretrained", ""] = Field(
        "", description='"pretrained" for a model that is meant to hold pretrained weights: rules IA7xx hold it to that'
    )
    classes: Size | None = Field(None, description="classes of the task, which the head is held against")
    preset: StrictStr | None = Field(None, description="recipes that advice starts from, such as `gpt`")
    policy: dict[str, Any] = Field(
        default_factory=dict, description='what advice does with parameters by name: `"head.*" = "keep"`'
    )


class TargetKeys(CheckKeys):
    """One target; what it does not say is as at the top of the file."""

    target: StrictStr = Field(description="a file, relative to the configuration, or a reference such as `timm:NAME`")
    input_shapes: tuple[tuple[Size, ...], ...] = Field((), description="the shape of each input: `[[1, 3, 224, 224]]`")


class Keys(CheckKeys):
    """The whole file."""

    targets: Annotated[
        dict[str, TargetKeys], BeforeValidator(_by_name, json_schema_input_type=list[str] | dict[str, TargetKeys])
    ] = Field(default_factory=dict, description="what to check: a list, or a table `[targets.NAME]` for each")
    rules_dirs: tuple[StrictStr, ...] = Field((), description="folders with more rules, relative to the configuration")
    baseline: StrictStr | None = Field(
        None, description="a file of findings that are known already, relative to the configuration"
    )
    lang: Language = Field("en", description="the language of what people read: `en` or `ja`")
    fail_on_unused: StrictBool = Field(False, description="exit with 1 where a suppression covers nothing")
