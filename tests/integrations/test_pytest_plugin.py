"""The plugin in real sessions of pytest: tests for targets, the fixture, xdist, without it, and what it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOADED = "initadvisor.integrations.pytest_plugin"


def test_each_target_is_a_test(installed: pytest.Pytester) -> None:
    result = installed.runpytest_subprocess(
        "--initadvisor=some_models:good", "--initadvisor", "some_models:bad", "--initadvisor=some_models:broken", "-v"
    )
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        [
            "initadvisor::some_models:good PASSED*",
            "initadvisor::some_models:bad FAILED*",
            "*some_models:bad does not start well*",
            "*fix: *",
            "*no such luck*",
        ]
    )
    result.stdout.no_fnmatch_line("*assertion.py*")


def test_settings_of_the_ini_file_and_of_the_command_line(installed: pytest.Pytester) -> None:
    installed.makeini(
        "[pytest]\ninitadvisor_targets =\n    some_models:good\n    some_models:bad\ninitadvisor_select = ALL"
    )
    installed.runpytest_subprocess().assert_outcomes(passed=1, failed=1)
    installed.runpytest_subprocess("--initadvisor-select=IA001,IA003").assert_outcomes(passed=2)
    installed.makeini("[pytest]\ninitadvisor_fail_on = never\n")
    result = installed.runpytest_subprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*initadvisor_fail_on is 'never'*error, warning, info*"])


def test_keywords_markers_and_deselection_choose_among_targets(installed: pytest.Pytester) -> None:
    installed.makepyfile("def test_other(): pass")
    both = ("--initadvisor=some_models:good", "--initadvisor=some_models:bad", "--strict-markers", "--collect-only")

    def chosen(*options: str) -> set[str]:
        lines = installed.runpytest_subprocess(*both, "-q", *options).outlines
        return {line for line in lines if "::" in line}

    good, bad = "initadvisor::some_models:good", "initadvisor::some_models:bad"
    assert chosen("-k", "good") == {good}
    assert chosen("-m", "initadvisor") == {good, bad}
    assert len(chosen("-m", "not initadvisor")) == 1
    assert chosen("--deselect", bad) - {good} == chosen("-m", "not initadvisor")


def test_the_fixture_follows_the_options_of_the_session(installed: pytest.Pytester) -> None:
    installed.makepyfile(
        """
        import torch
        from some_models import good

        def odd():
            model = good()
            torch.nn.init.constant_(model[2].bias, 3.0)
            return model

        def test_it(initadvisor):
            report = initadvisor.assert_init_ok(odd())
            assert report.findings == initadvisor.check(odd()).findings
            assert initadvisor.probe(good()).probe is not None
        """
    )
    installed.runpytest_subprocess().assert_outcomes(passed=1)
    result = installed.runpytest_subprocess("--initadvisor-fail-on=warning")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*InitNotOk: *does not start well*"])
    result.stdout.no_fnmatch_line("*assertion.py*")


def test_under_xdist_each_target_is_checked_once(installed: pytest.Pytester) -> None:
    result = installed.runpytest_subprocess(
        "-n", "1", "-v", "--initadvisor=some_models:good", "--initadvisor=some_models:bad"
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*some_models:bad does not start well*"])


def test_switched_off_nothing_of_it_is_left(installed: pytest.Pytester) -> None:
    installed.makepyfile(
        f"""
        import sys

        def test_absent(request):
            assert not request.config.pluginmanager.has_plugin("initadvisor")
            assert {LOADED!r} not in sys.modules
        """
    )
    installed.runpytest_subprocess("-p", "no:initadvisor").assert_outcomes(passed=1)
    result = installed.runpytest_subprocess("-p", "no:initadvisor", "--initadvisor=some_models:good")
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_a_session_that_checks_nothing_loads_nothing_of_ours(installed: pytest.Pytester) -> None:
    installed.makepyfile(
        """
        import sys

        def test_loaded(request):
            assert request.config.pluginmanager.has_plugin("initadvisor")
            ours = {name for name in sys.modules if name.split(".")[0] == "initadvisor"}
            assert ours == {"initadvisor", "initadvisor.integrations", "initadvisor.integrations.pytest_plugin"}
            heavy = {"torch", "numpy", "onnx", "pydantic", "click", "rich", "jinja2", "tomllib"}
            assert not heavy & set(sys.modules) - {"tomllib"}
        """
    )
    installed.runpytest_subprocess("-p", "no:xdist", "-p", "no:hypothesispytest").assert_outcomes(passed=1)


def test_loading_brings_nothing_but_the_standard_library_and_pytest() -> None:
    """What the plugin costs other people's sessions; the milliseconds are in benchmarks/results/startup.json."""
    code = (
        f"import sys, pytest; before = set(sys.modules); import {LOADED}; "
        "print(*sorted({m.partition('.')[0] for m in set(sys.modules) - before}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"initadvisor", *sys.stdlib_module_names}
