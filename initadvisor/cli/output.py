"""Writing results: to stdout whatever its encoding, to a file as a whole or not at all, quietly into a closed pipe."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from initadvisor.errors import UsageError


def write(text: str, file: Path | None = None) -> None:
    """Write text to a file or to stdout; raises UsageError where the file cannot be written."""
    if file is not None:
        _write_file(text, file)
        return
    try:
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has what it wanted; the exit code still tells the verdict.
        silence_stdout()


def append(text: str, file: Path) -> None:
    """Add text to the end of a file; raises UsageError where that cannot be done."""
    try:
        with file.open("a", encoding="utf-8") as end:
            end.write(text)
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror or error}") from error


def silence_stdout() -> None:
    """Point stdout at nothing, so that the interpreter does not complain when it flushes at exit."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        sys.stdout = None  # type: ignore[assignment]


def _write_file(text: str, file: Path) -> None:
    part: Path | None = None
    try:
        file = file.resolve()  # a link stays one: what it points to is replaced
        if file.exists() and not file.is_file():
            # A device or a named pipe cannot be replaced, only written to.
            file.write_text(text, encoding="utf-8")
            return
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=file.parent, prefix=f".{file.name[:64]}.", delete=False
        ) as handle:
            part = Path(handle.name)
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())  # otherwise a crash of the machine could leave an empty file behind the new name
        _like_a_new_file(part, file)
        os.replace(part, file)
        part = None
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        raise UsageError(f"cannot write {file}: {getattr(error, 'strerror', None) or error}") from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def _like_a_new_file(part: Path, file: Path) -> None:
    """Temporary files are private; give the result the mode that the file has, or that a plain open would give."""
    if file.exists():
        part.chmod(file.stat().st_mode & 0o777)
        return
    mask = os.umask(0)
    os.umask(mask)
    part.chmod(0o666 & ~mask)
