"""YAML as a configuration needs it: every value means one thing to every reader, and every fault has its line.

YAML 1.1, which PyYAML reads, takes `no` for false, `0100` for 64 and `1:30` for 90; YAML 1.2 does not. What the two
read differently is refused, and so is what a configuration has no use for: a key given twice, tags, directives,
anchors, aliases (a few lines of which stand for gigabytes) and a second document. PyYAML's parser gives the events;
values are made of them here, so that nothing is constructed before it was looked at.
"""

import codecs
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

BYTES_MAX = 256 * 1024
"""Bytes of a file: two thousand splits can be named in half of it."""
DEPTH_MAX = 16
"""Sections in sections: no key lies deeper than 4."""
INTEGER_MAX = 2**64 - 1
"""The largest size of a whole number, of either sign."""

KeyPath = tuple[str | int, ...]
"""The keys and indices that lead to a value."""

_NULL = ("", "~", "null", "Null", "NULL")
_TRUE, _FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")
_BOOLEAN_1_1 = {name for word in ("yes", "no", "on", "off") for name in (word, word.capitalize(), word.upper())}
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_LIKE_A_NUMBER = re.compile(
    r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?|[-+]?0[xob][0-9a-fA-F_]+|[-+]?[0-9.][0-9_.]*"
)
_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


class YamlError(Exception):
    """What is wrong, in which line from 1, and what mends it."""

    def __init__(self, message: str, line: int, hint: str) -> None:
        super().__init__(message)
        self.line = line
        self.hint = hint


@dataclass
class Document:
    """The values of a text, the line of each, and each plain number or word as it was written."""

    values: Any
    lines: dict[KeyPath, int] = field(default_factory=dict)
    written: dict[KeyPath, str] = field(default_factory=dict)


def read(path: Path) -> str:
    """The text of a file: UTF-8, with or without a mark. A [`YamlError`] names another encoding; an `OSError` says why
    the file cannot be read."""
    # Opened without waiting: a FIFO that nobody writes to would hold the command for ever.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        if not stat.S_ISREG(mode := os.fstat(descriptor).st_mode) and not stat.S_ISDIR(mode):
            raise OSError(0, "it is not a file but a device or a pipe")
        data = b""
        while len(data) <= BYTES_MAX and (more := os.read(descriptor, BYTES_MAX + 1 - len(data))):
            data += more
    finally:
        os.close(descriptor)
    if len(data) > BYTES_MAX:
        raise YamlError(f"it is larger than {BYTES_MAX // 1024} KiB, the most that is read", 1, "give the right file")
    for mark, name in _MARKS:
        if data.startswith(mark):
            raise YamlError(f"it is in {name}, not UTF-8", 1, f"save it as UTF-8: iconv -f {name} -t UTF-8")
    try:
        return data.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"it is not UTF-8: byte 0x{data[error.start]:02X}"
        raise YamlError(found, line, "save it as UTF-8, such as by: iconv -f LATIN1 -t UTF-8") from error


def parse(text: str) -> Document:
    """The one document of `text`. A [`YamlError`] says what is no YAML, or not clear, and where."""
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise YamlError("there is a NUL character", line, "save it as UTF-8 text")
    document = Document(None)
    try:
        _document(_events(text), document)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlError(
            f"there is the character U+{error.character:04X}, which YAML does not have", line, "remove it"
        ) from error
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark or error.context_mark
        said = ", ".join(filter(None, (error.context, error.problem)))
        hint = "indent with spaces" if "\\t" in said else "correct it, or put a text in quotes"
        raise YamlError(f"it is not YAML: {said}", mark.line + 1 if mark else 1, hint) from error
    return document


def _events(text: str) -> Iterator[Any]:
    """The parser's events, without those that a configuration has no use for."""
    documents = 0
    event: Any
    for event in yaml.parse(text, yaml.SafeLoader):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if event.version or event.tags:
                raise YamlError("there is a directive (`%`)", line, "remove it")
            if documents > 1:
                raise YamlError("a second document begins", line, "keep one in the file")
            continue
        if isinstance(event, yaml.AliasEvent):
            raise YamlError(f"there is an alias, `*{event.anchor}`", line, "write out what it stands for")
        if getattr(event, "anchor", None) is not None:
            raise YamlError(f"there is an anchor, `&{event.anchor}`", line, "write values out where they are used")
        if getattr(event, "tag", None) is not None:
            raise YamlError(f"there is a tag, `{event.tag}`", line, "remove it; a text may stand in quotes")
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent | yaml.CollectionEndEvent):
            yield event


def _document(events: Iterator[Any], into: Document) -> None:
    first = next(events, None)
    if first is not None:
        into.values = _value(first, events, (), into)
        # Whatever stands behind is looked at, too.
        for _ in events:
            pass


def _value(event: Any, events: Iterator[Any], path: KeyPath, into: Document) -> Any:
    line = event.start_mark.line + 1
    into.lines.setdefault(path, line)
    if len(path) > DEPTH_MAX:
        raise YamlError(f"values lie in more than {DEPTH_MAX} others", line, "see configs/train_direct.yaml")
    if isinstance(event, yaml.ScalarEvent):
        if event.style is not None:
            return event.value
        into.written[path] = event.value
        return plain(event.value, line)
    if isinstance(event, yaml.SequenceStartEvent):
        items: list[Any] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(_value(event, events, (*path, len(items)), into))
        return items
    values: dict[str, Any] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        key = _key(event, path, values, into)
        values[key] = _value(next(events), events, (*path, key), into)
    return values


def _key(event: Any, path: KeyPath, before: dict[str, Any], into: Document) -> str:
    """A key: a text, as it is written."""
    line = event.start_mark.line + 1
    if not isinstance(event, yaml.ScalarEvent):
        raise YamlError("a key is a list or a section", line, "write `key: value`")
    key: str = event.value
    if not key:
        raise YamlError("a key is empty", line, "write `key: value`")
    if key == "<<" and event.style is None:
        raise YamlError("there is a merge key, `<<`", line, "write out what it stands for")
    if key in before:
        first = into.lines[(*path, key)]
        raise YamlError(f"the key `{key}` is given twice, in line {first} before", line, "keep one of the two")
    into.lines[(*path, key)] = line
    return key


def plain(text: str, line: int) -> Any:
    """A scalar without quotes: null, a boolean, a number, or a text."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if text in _BOOLEAN_1_1:
        meant = "true" if text.lower() in ("yes", "on") else "false"
        said = f"`{text}` is a text to some readers of YAML and {meant} to others"
        raise YamlError(said, line, f'write {meant}, or "{text}" where a text is meant')
    if _NOT_FINITE.fullmatch(text):
        raise YamlError(f"`{text}` is not a number that can be used", line, "write a finite number")
    if _INTEGER.fullmatch(text):
        # Python itself refuses to read thousands of digits.
        if len(text) > 21 or abs(int(text)) > INTEGER_MAX:
            raise YamlError(f"`{_cut(text)}` is out of range", line, "write a number that 64 bits hold")
        return int(text)
    is_octal = re.fullmatch(r"[-+]?0[0-9]+", text) is not None
    if _FLOAT.fullmatch(text) and not is_octal and not re.match(r"[-+]?0[0-9]", text):
        return _float(text, line)
    if _LIKE_A_NUMBER.fullmatch(text) and any(each.isdigit() for each in text) and not _is_version(text):
        said = f"`{_cut(text)}` is one number to some readers of YAML and another, or a text, to others"
        raise YamlError(said, line, f'write it in plain digits, or "{_cut(text)}" where a text is meant')
    return text


def _float(text: str, line: int) -> float:
    number = float(text)
    digits = re.split("[eE]", text)[0]
    is_nothing = number == 0 and any(each in "123456789" for each in digits)
    if number in (float("inf"), float("-inf")) or is_nothing:
        raise YamlError(f"`{_cut(text)}` is out of range", line, "write a number that 64 bits hold")
    return number


def _is_version(text: str) -> bool:
    """Whether it is like 1.2.3: a text to everybody."""
    return text.count(".") > 1 and "_" not in text and ":" not in text


def _cut(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"
