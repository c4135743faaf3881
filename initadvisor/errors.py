"""What can go wrong, as one small tree.

    InitAdvisorError            everything this package raises on purpose; `exit_code` 2
    ├── UsageError              the command line or an argument is off
    ├── ConfigError             a configuration file cannot be used
    ├── RuleError               a rule file cannot be used
    ├── MissingExtraError       an optional dependency is needed and not installed
    ├── FindingsError           a caller asked to be stopped by findings, and there are some; `exit_code` 1
    ├── ServiceError            a service cannot be reached, refuses, or ends a check without a report
    ├── WorkerLostError         the process that worked on a target died, as often as it was started
    └── LoadError               a target could not be read
        ├── NotFoundError       there is nothing at that path or name
        ├── FormatError         the file is damaged, truncated or not what its name says
        ├── UnsafeError         the file asks for something that is not allowed (path escape, code in a pickle)
        ├── LimitError          the file declares more than it holds, or more than can be read
        ├── UnsupportedError    the file is sound and asks for an operator that cannot be run here
        └── TargetCodeError     the user's own factory or model raised

Every message says what was tried, on what, why it failed, and where there is something to do, what.
"""

from __future__ import annotations


class InitAdvisorError(Exception):
    """The root of the errors raised on purpose; the CLI prints `str(error)` on one line and exits with `exit_code`.

    `hint` is what the person can do about it.
    """

    exit_code = 2

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(InitAdvisorError):
    """The command line or an argument of a function is off."""


class ConfigError(InitAdvisorError):
    """A configuration file cannot be used."""


class RuleError(InitAdvisorError):
    """A rule file cannot be used."""


class MissingExtraError(InitAdvisorError):
    """An optional dependency is needed for this and is not installed."""

    def __init__(self, what: str, extra: str = "", package: str = "") -> None:
        """extra: of this package. package: one that no extra brings."""
        wanted = package or f'"initadvisor[{extra}]"'
        super().__init__(f"{what} needs packages that are not installed", hint=f"pip install {wanted}")


class FindingsError(InitAdvisorError):
    """A model does not start or train well, and the caller asked to be stopped by that."""

    exit_code = 1


class ServiceError(InitAdvisorError):
    """A service cannot be reached, refuses what it is asked, or ends a check without a report.

    `status` is the HTTP status of a refusal, None where there was no answer; `kind` the last part of the problem's
    type, or the kind of a failure; `retry_after` the seconds after which the service asks to be tried again.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        status: int | None = None,
        kind: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.kind = kind
        self.retry_after = retry_after


class WorkerLostError(InitAdvisorError):
    """The process that worked on a target died, as often as it was started."""


class LoadError(InitAdvisorError):
    """A target could not be read."""


class NotFoundError(LoadError):
    """There is nothing at that path or under that name."""


class FormatError(LoadError):
    """The file is damaged, truncated, or not what its name says."""


class UnsafeError(LoadError):
    """The file asks for something that is not allowed: a path outside its folder, code in a pickle."""


class LimitError(LoadError):
    """The file declares more than it holds, or more than may be read."""


class UnsupportedError(LoadError):
    """The file is sound and asks for an operator that cannot be run here."""


class TargetCodeError(LoadError):
    """The user's own factory or model raised while it was built or run."""


def first_line(error: BaseException, most: int = 200) -> str:
    """What somebody else's exception says, for a message of ours: one line, or its type where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:most]
