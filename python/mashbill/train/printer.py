"""The one door to the terminal: what a run says, without what a file, a name or a server could do to the screen.

Control characters and marks that turn the direction of text are spelled, as by the command; what looks like a token of
the Hub is not shown at all.
"""

import logging
import re
import sys

from mashbill import _mashbill

LINE_CHARACTERS_MAX = 4000
"""The longest line: a name, a setting, or what a server says may have megabytes."""

_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{16,}")


def escaped(text: str, kept: str = "") -> str:
    """`text` with what would steer a terminal spelled, but for the characters in `kept`."""
    text = _TOKEN.sub("hf_…", text)
    if text.isascii() and text.isprintable():
        return text
    parts = re.split(f"([{re.escape(kept)}])", text) if kept else [text]
    return "".join(each if each in kept else _mashbill.shown(each) for each in parts)


def holds_token(text: str) -> bool:
    """Whether a token of the Hub stands in it."""
    return _TOKEN.search(text) is not None


def say(text: str) -> None:
    """A line on stderr; of one that is too long the beginning."""
    line = escaped(text)
    if len(line) > LINE_CHARACTERS_MAX:
        line = f"{line[:LINE_CHARACTERS_MAX]}… and {len(line) - LINE_CHARACTERS_MAX:,} more characters"
    print(line, file=sys.stderr, flush=True)


def tell_error(message: str, hint: str) -> None:
    """An error, and on a line of its own what to type next."""
    say(f"error: {message}")
    say(f"hint: {hint}")


def reason(error: BaseException) -> str:
    """What an exception of another library says, on one line."""
    said = " ".join(str(error).split())
    return said or type(error).__name__


class _Record(logging.LogRecord):
    def getMessage(self) -> str:  # noqa: N802
        return escaped(super().getMessage(), kept="\n\t")


def escape_logs() -> None:
    """Warnings of the libraries go through the door, too."""
    logging.setLogRecordFactory(_Record)
    logging.captureWarnings(True)
