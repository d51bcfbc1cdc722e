"""How a configuration is read: the file, the settings of the command line over it, and every mistake with its place."""

import difflib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from mashbill.train import contradictions, strict_yaml
from mashbill.train.config import EXAMPLE, SCHEMA, Config, Source, inner
from mashbill.train.error import TrainError
from mashbill.train.strict_yaml import KeyPath, YamlError


def read(path: Path, settings: list[str]) -> Config:
    """The configuration in `path`, with `key.key=value` of `settings` put over it."""
    source = Source(path, _document(path))
    given = source.document.values
    for setting in settings:
        _put(source, setting)
    try:
        config = Config.model_validate(given)
    except ValidationError as error:
        raise _explained(error, source) from None
    config._source = source
    for paths, said, hint in contradictions.of(config):
        raise TrainError(f"{source.blamed(paths)}: {said}", hint)
    return config


def _document(path: Path) -> strict_yaml.Document:
    try:
        document = strict_yaml.parse(strict_yaml.read(path))
    except OSError as error:
        raise TrainError(f"`{path}` cannot be read: {error.strerror}", "give a YAML file with `--config`") from error
    except ValueError as error:
        raise TrainError(f"`{path}` cannot be read: {error}", "give a YAML file with `--config`") from error
    except YamlError as error:
        raise TrainError(f"{path}:{error.line}: {error}", error.hint) from error
    if not isinstance(document.values, dict):
        raise TrainError(f"{path}:{document.lines.get((), 1)}: the file holds no keys", EXAMPLE)
    return document


def _put(source: Source, setting: str) -> None:
    """Puts one `key.key=value` over the file's values. Whatever is wrong with it is said of it, not of the file."""
    key, separator, text = setting.partition("=")
    place = f"--set {setting}"
    example = "write `--set key=value`, such as `--set optimizer.clip=0.5`"
    names = key.split(".")
    if not separator:
        raise TrainError(f"`{place}` has no `=`", example)
    if not all(names):
        raise TrainError(f"{place}: `{key}` is not a key", example)
    value = _setting_value(place, text)
    section: Any = source.document.values
    path: KeyPath = ()
    for index, name in enumerate(names):
        step = _step(section, name, place, ".".join(names[:index]))
        path = (*path, step)
        if index == len(names) - 1:
            section[step] = value
        else:
            if isinstance(section, dict) and section.get(step) is None:
                section[step] = {}
                source.settings.setdefault(path, setting)
            section = section[step]
    for other, before in source.settings.items():
        if other[: len(path)] == path:
            raise TrainError(f"{place}: it replaces `--set {before}`, which was given before it", "give one of the two")
    source.document.lines = {each: line for each, line in source.document.lines.items() if each[: len(path)] != path}
    source.settings[path] = setting


def _setting_value(place: str, text: str) -> Any:
    try:
        value = strict_yaml.parse(text).values
    except YamlError as error:
        raise TrainError(f"{place}: {error}", error.hint) from error
    if "#" in text and "#" not in str(value):
        raise TrainError(f"{place}: `#` begins a comment", "put the text in quotes: `--set 'key=\"a # b\"'`")
    return value


def _step(section: Any, name: str, place: str, parent: str) -> str | int:
    """The key or the index that leads on from a section or a list."""
    if isinstance(section, dict):
        return name
    if not isinstance(section, list):
        said = f"{place}: `{parent}` has the value `{section}` and is not a section"
        raise TrainError(said, f"set the whole of it: `--set '{parent}={{…}}'`")
    if not (name.isascii() and name.isdigit() and len(name) < 9 and int(name) < len(section)):
        said = f"{place}: `{parent}` is a list of {len(section)}, without `{name}`"
        raise TrainError(said, f"number them from 0, or set the whole of it: `--set '{parent}=[…]'`")
    return int(name)


def _explained(error: ValidationError, source: Source) -> TrainError:
    """The first problem as a sentence, with its line in the file or the setting that it came with."""
    problem = error.errors()[0]
    path: KeyPath = tuple(each for each in problem["loc"] if each != "[key]")
    key, place = ".".join(map(str, path)), source.place(path)
    if problem["type"] == "missing":
        return TrainError(f"{place}: `{key}` is missing", f"add `{path[-1]}: …`")
    if problem["type"] == "extra_forbidden":
        names = list(_section(path[:-1]).model_fields)
        close = difflib.get_close_matches(str(path[-1]), names, 1, 0.5)
        return TrainError(
            f"{place}: `{key}` is not a key",
            f"did you mean `{close[0]}`?" if close else f"there are {', '.join(names)}",
        )
    if problem["type"] == "value_error":
        return TrainError(f"{place}: `{key}`: {problem['ctx']['error']}", SCHEMA)
    said = problem["msg"][0].lower() + problem["msg"][1:]
    return TrainError(f"{place}: `{key}`: {said}, not `{source.written(path, problem['input'])}`", SCHEMA)


def _section(path: KeyPath) -> type[BaseModel]:
    """The class of the section at `path`."""
    section: type[BaseModel] = Config
    for part in path:
        if isinstance(part, str) and part in section.model_fields:
            section = inner(section.model_fields[part].annotation) or section
    return section
