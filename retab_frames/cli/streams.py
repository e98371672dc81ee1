"""Where commands print: in any encoding, to a terminal, a file, a pipe or nowhere."""

from __future__ import annotations

import codecs
import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from retab_frames.errors import escape_line

if TYPE_CHECKING:
    from typing import TextIO

__all__ = ["echo", "finish_streams", "is_terminal", "prepare_streams", "write"]

_STAND_INS = {"…": "~", "∞": "inf"}
"""What is printed for characters of our own that an encoding lacks; others are escaped."""


def prepare_streams() -> None:
    """Let the standard streams take every text, whatever their encoding lacks."""
    codecs.register_error("retab-frames", _replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="retab-frames")
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # closed by the caller: the next file that is opened would be taken for a stream
            os.open(os.devnull, os.O_RDWR)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = "".join(_STAND_INS.get(c, c) for c in error.object[error.start : error.end])
    return text.encode("ascii", "backslashreplace").decode(), error.end


def finish_streams() -> None:
    """Give up what cannot be printed: Python would try again, and report it, when it ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            _send_nowhere(stream)


def _send_nowhere(stream: TextIO) -> None:
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def is_terminal() -> bool:
    """Return whether a person reads the output, and not a file or a pipe."""
    return sys.stdout is not None and sys.stdout.isatty()


def echo(text: str = "", *, err: bool = False) -> None:
    """Print lines, with an escape for each character that a terminal would obey.

    Where nobody reads any more, as when `head` has enough, the command goes on to its end without
    output, so that its exit code is the one that is due.

    Raises:
        OSError: If the output cannot be written; to stderr nothing more is printed then.
    """
    _print("\n".join(map(escape_line, text.split("\n"))) + "\n", err=err)


def write(text: str) -> None:
    """Print text as it is, for another program; on a terminal as `echo` does."""
    if is_terminal():
        echo(text.removesuffix("\n"))
    else:
        _print(text)


def _print(text: str, *, err: bool = False) -> None:
    # not by click.echo, which takes escapes out of raw values, and UTF-8 where ASCII is set
    stream = sys.stderr if err else sys.stdout
    if stream is None:
        return
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        _send_nowhere(stream)
    except OSError as error:
        if not err:
            raise OSError(f"cannot print: {error.strerror}") from None
