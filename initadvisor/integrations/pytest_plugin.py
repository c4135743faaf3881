"""The pytest plugin: `--initadvisor TARGET` adds a test for each target, the fixture `initadvisor` checks in a test.

Loaded in every session of everyone who has the package: imports nothing but pytest until a model is checked.
PYTEST_DONT_REWRITE
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from initadvisor.integrations.assertion import assert_init_ok
    from initadvisor.report import Report

__all__ = ["InitAdvisor", "assert_init_ok"]

_SEVERITIES = ("error", "warning", "info")


def __getattr__(name: str) -> Any:
    if name == "assert_init_ok":
        from initadvisor.integrations.assertion import assert_init_ok

        return assert_init_ok
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options and settings."""
    group = parser.getgroup("initadvisor", "how models start (initadvisor)")
    group.addoption(
        "--initadvisor",
        action="append",
        default=[],
        metavar="TARGET",
        help="check a model as a test: package.module:factory, torchvision:NAME or a file; may be repeated",
    )
    group.addoption(
        "--initadvisor-fail-on",
        choices=_SEVERITIES,
        default=None,
        help="the mildest severity that fails a test (default: error)",
    )
    for option, text in (("select", "run only these rules"), ("ignore", "do not run these rules")):
        group.addoption(
            f"--initadvisor-{option}", action="append", default=[], metavar="RULE,...", help=f"{text}: ids, prefixes"
        )
    parser.addini("initadvisor_targets", "models to check as tests", type="linelist", default=[])
    parser.addini("initadvisor_fail_on", "the mildest severity that fails a test", default="error")
    parser.addini("initadvisor_select", "the rules that run", type="args", default=[])
    parser.addini("initadvisor_ignore", "the rules that do not run", type="args", default=[])


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker of the tests that are added."""
    config.addinivalue_line("markers", "initadvisor: a model checked by --initadvisor or initadvisor_targets")
    setting = config.getini("initadvisor_fail_on")
    if setting not in _SEVERITIES:
        raise pytest.UsageError(f"initadvisor_fail_on is {setting!r}: it is one of {', '.join(_SEVERITIES)}")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add a test for each target; `-k`, `-m` and `--deselect` choose among them as among all others."""
    targets = dict.fromkeys((*config.getini("initadvisor_targets"), *config.getoption("--initadvisor")))
    if targets:
        parent = _Targets.from_parent(session, name="initadvisor", nodeid="initadvisor")
        items += [_Target.from_parent(parent, name=target) for target in targets]


class _Targets(pytest.Collector):
    """What the added tests belong to."""

    def collect(self) -> list[Any]:
        """Nothing: the tests are made with the session's items."""
        return []


class _Target(pytest.Item):
    """The check of one target."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_marker("initadvisor")

    def runtest(self) -> None:
        """Check the target, and fail where it does not start well."""
        InitAdvisor(self.config).assert_init_ok(self.name)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The findings, or why the target could not be checked, without a traceback through this package."""
        from initadvisor.errors import InitAdvisorError

        if isinstance(excinfo.value, AssertionError | InitAdvisorError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, None, str]:
        """What a failure is headed with."""
        return self.config.rootpath, None, f"initadvisor {self.name}"


class InitAdvisor:
    """What the fixture gives: the calls of the package, with the rules and severity of the session's options."""

    def __init__(self, config: pytest.Config) -> None:
        self._defaults: dict[str, Any] = {
            "fail_on": config.getoption("--initadvisor-fail-on") or config.getini("initadvisor_fail_on"),
            "select": _words(config, "select"),
            "ignore": _words(config, "ignore"),
        }

    def assert_init_ok(self, model: Any, **options: Any) -> Report:
        """`initadvisor.integrations.assertion.assert_init_ok`."""
        __tracebackhide__ = True
        from initadvisor.integrations.assertion import assert_init_ok

        return assert_init_ok(model, **{**self._defaults, **options})

    def check(self, model: Any, **options: Any) -> Report:
        """`initadvisor.check`."""
        from initadvisor.engine import check

        return check(model, **{**self._rules(), **options})

    def probe(self, model: Any, batch: Any = None, loss: Any = None, **options: Any) -> Report:
        """`initadvisor.probe`."""
        from initadvisor.engine.probing import probe

        return probe(model, batch, loss, **{**self._rules(), **options})

    def _rules(self) -> dict[str, Any]:
        return {key: self._defaults[key] for key in ("select", "ignore")}


def _words(config: pytest.Config, option: str) -> tuple[str, ...]:
    given = config.getoption(f"--initadvisor-{option}") or config.getini(f"initadvisor_{option}")
    return tuple(word.strip() for value in given for word in value.split(",") if word.strip())


@pytest.fixture(scope="session")
def initadvisor(pytestconfig: pytest.Config) -> InitAdvisor:
    """Check models in a test: `initadvisor.assert_init_ok(model)`, and `.check` and `.probe` for their reports."""
    return InitAdvisor(pytestconfig)
