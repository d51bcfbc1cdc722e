"""Going on: what becomes of a configuration that was changed since, and what a run keeps of it.

A checkpoint has the configuration that its last step was made with and when it was changed before. What is given now
holds from the next step on, or is refused by name: nothing is taken from the checkpoint but the weights, the moments,
random numbers and the place in the data. `config.yaml` is written once a step was made with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mashbill.train import config as configuration
from mashbill.train import printer
from mashbill.train.config import Config, Resume
from mashbill.train.error import TrainError
from mashbill.train.strict_yaml import KeyPath

ANEW = "put it back, or start afresh with another `output_path`"


@dataclass(frozen=True)
class Change:
    """A key whose value is another one than that of the steps before."""

    path: KeyPath
    before: Any
    now: Any

    @property
    def key(self) -> str:
        return ".".join(map(str, self.path))

    def __str__(self) -> str:
        return f"{self.key} {_short(self.before)} → {_short(self.now)}"


def changes(config: Config, record: dict[str, Any]) -> list[Change]:
    """What is given now beside what the checkpoint's last step was made with. Changes that cannot be are a
    [`TrainError`]; whether those that are taken with the same rows only can be is [`rows_are_the_same`]'s."""
    found = list(_changes(record["config"], config.model_dump(), ()))
    for change in found:
        if _rule(change.path) == "refused":
            raise refused(config, change, "")
        if change.path == ("mix",) and _sources(change.before) != _sources(change.now):
            raise refused(config, change, ", since it names other splits or categories")
    if config.steps is not None and config.steps < record["step"]:
        place = config.place("steps")
        said = f"{place}: `steps: {config.steps}`: the run has {record['step']} steps behind it"
        raise TrainError(said, f"use at least {record['step']}, or start afresh with another `output_path`")
    return found


def rows_are_the_same(config: Config, record: dict[str, Any], found: list[Change], rows: dict[str, Any]) -> None:
    """Fails where the rows that are trained on, or those that are held out, are others than before."""
    for name, what in (("identity", "the rows that are trained on"), ("held_out", "the rows that are held out")):
        if record["rows"].get(name) == rows[name]:
            continue
        suspects = [change for change in found if _rule(change.path) == "same rows"]
        if suspects:
            raise refused(config, suspects[0], f", since {what} would be others")
        said = f"{config.place('train_data_path')}: {what} are others than those that the run began with"
        raise TrainError(said, "put the data back, or start afresh with another `output_path`")


def refused(config: Config, change: Change, why: str) -> TrainError:
    """The error that names a key, its place, and both values."""
    said = f"`{change.key}` cannot change when a run resumes{why}: {_short(change.before)} → {_short(change.now)}"
    return TrainError(f"{config.place(*change.path)}: {said}", ANEW)


def history(record: dict[str, Any], found: list[Change]) -> list[dict[str, Any]]:
    """The changes of a run so far: from which step on, and which."""
    kept: list[dict[str, Any]] = record.get("history", [])
    changed = {change.key: [change.before, change.now] for change in found}
    return [*kept, {"from_step": record["step"], "changed": changed}] if changed else kept


def resolved(config: Config, kept: list[dict[str, Any]]) -> str:
    """The text of `config.yaml`: what the steps are made with, and above it what was changed when."""
    lines = ["# What the last steps of this run were made with.\n"]
    for each in kept:
        said = ", ".join(f"{key} {_short(before)} → {_short(now)}" for key, (before, now) in each["changed"].items())
        lines.append(f"# Changed from step {each['from_step']} on: {printer.escaped(said)}\n")
    return "".join(lines) + configuration.text(config)


def _rule(path: KeyPath) -> Resume:
    """What the nearest key says of another value."""
    rules = configuration.rules()
    name = ".".join(map(str, path))
    if name in rules:
        return rules[name]
    # A section that comes or goes.
    of_its_keys = {rule for key, rule in rules.items() if key.startswith(f"{name}.")}
    return "refused" if "refused" in of_its_keys else "holds"


def _changes(before: Any, now: Any, path: KeyPath) -> Iterator[Change]:
    for key, value in now.items():
        # What the version that wrote the checkpoint did not know was its default.
        if key not in before:
            continue
        if isinstance(value, dict) and isinstance(before[key], dict):
            yield from _changes(before[key], value, (*path, key))
        elif value != before[key]:
            yield Change((*path, key), before[key], value)


def _sources(mix: list[dict[str, Any]] | None) -> set[str] | None:
    return None if mix is None else {name for stage in mix for name in stage["weights"]}


def _short(value: Any) -> str:
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= configuration.TEXT_SHOWN_MAX else f"{text[: configuration.TEXT_SHOWN_MAX]}…"
