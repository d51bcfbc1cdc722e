"""Checkpoints: folders that `transformers` loads and that a run resumes from.

A checkpoint is written under a name of its own, synced, and renamed when it is whole; older ones go after that. A kill
or a full disk at any moment leaves the one before. It lists the checksums of its files, so one that was damaged later
is found, named and set aside, and the one before it is used. Only folders whose names are ours count: copies, links and
other people's folders are neither used nor removed.
"""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from mashbill import _mashbill
from mashbill.train import printer
from mashbill.train.error import TrainError
from mashbill.train.publish import sync

STATE = "training_state.pt"
RECORD = "training_state.json"
CHECKSUMS = "checksums.json"
"""The XXH3-128 of each other file of a checkpoint."""
LISTED_BYTES_MAX = 64 << 20
"""Of a record or a list of checksums: a hundred thousand splits take a tenth of it."""

_KINDS = {
    "step": int,
    "rows_taken": int,
    "tokens_by_split": dict,
    "rows": dict,
    "loader": dict,
    "config": dict,
    "history": list,
}
"""The keys of a record, of which the first versions did not write all."""

_NAME = re.compile(r"step_(\d{8,})")
_LEFT = re.compile(r"\.(partial|removed)_\d{8,}")


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint."""

    folder: Path
    record: dict[str, Any]


@dataclass(frozen=True)
class Damaged:
    """A checkpoint that cannot be used, and why."""

    folder: Path
    why: str


def name(step: int) -> str:
    """The name of the checkpoint after `step` steps."""
    return f"step_{step:08d}"


def steps(folder: Path) -> list[int]:
    """The steps of the checkpoints in `folder`, in order."""
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise TrainError(
            f"`{folder}` cannot be read: {error.strerror}", "correct `output_path`, or its rights"
        ) from error
    found = []
    for entry in entries:
        matched = _NAME.fullmatch(entry.name)
        # Eight digits, more only where they are needed: another spelling is not ours.
        if matched and name(int(matched[1])) == entry.name and entry.is_dir(follow_symlinks=False):
            found.append(int(matched[1]))
    return sorted(found)


def newest(folder: Path) -> tuple[Checkpoint | None, list[Damaged]]:
    """The newest whole checkpoint in `folder`, and the damaged ones after it, newest first."""
    damaged: list[Damaged] = []
    for step in reversed(steps(folder)):
        path = folder / name(step)
        if not any(os.path.lexists(path / each) for each in (STATE, RECORD, CHECKSUMS)):
            printer.say(f"warning: `{path}` is skipped: it is not a checkpoint of `mashbill train`")
            continue
        try:
            record = _checked(path)
        except PermissionError as error:
            raise _unreadable(path / RECORD, error) from error
        except _DamageError as error:
            damaged.append(Damaged(path, str(error)))
            continue
        if record["step"] == step:
            return Checkpoint(path, record), damaged
        printer.say(f"warning: `{path}` is skipped: it is a copy of step {record['step']}")
    return None, damaged


def set_aside(damaged: Damaged) -> Path:
    """Gives a damaged checkpoint, or whatever else is in a checkpoint's place, a name that is not a checkpoint's."""
    number = 0
    while os.path.lexists(aside := damaged.folder.with_name(f"{damaged.folder.name}.damaged{number or ''}")):
        number += 1
    try:
        damaged.folder.rename(aside)
    except OSError as error:
        said = f"`{damaged.folder}` is damaged ({damaged.why}) and cannot be moved away: {error.strerror}"
        raise TrainError(said, f"move it away by hand: mv '{damaged.folder}' '{aside}'") from error
    return aside


def clear(folder: Path) -> None:
    """Removes what a kill left of checkpoints that were being written or removed."""
    # A folder that cannot be read is told where its checkpoints are looked for.
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(folder)):
            if _LEFT.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)


def save(folder: Path, step: int, write: Callable[[Path], None], record: dict[str, Any]) -> list[str]:
    """Writes the checkpoint of `step`. `write` puts the model and all that is no JSON into a folder. Gives what was in
    the way and was set aside. A failure removes what was begun and is a [`TrainError`] with the reason."""
    in_the_way = []
    partial, final = folder / f".partial_{step:08d}", folder / name(step)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        write(partial)
        (partial / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
        sums = {path.name: _mashbill.checksum(path) for path in sorted(partial.iterdir())}
        (partial / CHECKSUMS).write_text(json.dumps(sums, indent=1), encoding="utf-8")
        for path in partial.iterdir():
            sync(path)
        sync(partial)
        if os.path.lexists(final):
            aside = set_aside(Damaged(final, "it is in the way of this run's checkpoint"))
            in_the_way.append(f"`{final}` was in the way and is now `{aside.name}`")
        partial.rename(final)
        sync(folder)
    # torch and safetensors have errors of their own for a disk that is full.
    except Exception as error:
        shutil.rmtree(partial, ignore_errors=True)
        before = steps(folder)
        stands = f"; `{folder / name(before[-1])}` is whole" if before else ""
        raise TrainError(
            f"the checkpoint of step {step} could not be written to `{folder}`: {printer.reason(error)}{stands}",
            "make space, then run the same command again: it resumes from the last checkpoint",
            code=3,
        ) from error
    return in_the_way


def prune(folder: Path, keep: int) -> list[str]:
    """Removes all but the last `keep` checkpoints. What is not as it was written counts for none and stays; gives what
    that is, and why."""
    whole, kept = [], []
    for step in steps(folder):
        why = next(_strange(folder / name(step)), None)
        if why is None:
            whole.append(step)
        else:
            kept.append(f"`{folder / name(step)}` is kept: {why}")
    return kept + [failed for step in whole[:-keep] if (failed := _remove(folder, step))]


class _DamageError(Exception):
    """Why a checkpoint is not whole."""


def _checked(folder: Path) -> dict[str, Any]:
    """The record of a checkpoint, of which every byte was read."""
    sums = _json(folder / CHECKSUMS)
    if RECORD not in sums or STATE not in sums:
        raise _DamageError(f"{CHECKSUMS} does not list its files")
    for file, expected in sums.items():
        found = _sum(folder / file) if file == Path(file).name else None
        if found != expected:
            raise _DamageError(f"{file} is missing" if found is None else f"{file} is not what was written")
        if file.endswith(".safetensors"):
            _weights_are_finite(folder / file)
    return _record(folder / RECORD)


def _record(path: Path) -> dict[str, Any]:
    """What a checkpoint says of itself; what is no record of a run is damage, whoever wrote it."""
    record = _json(path)
    defaults: dict[str, Any] = {"tokens_by_split": {}, "history": []}
    for key, kind in _KINDS.items():
        if type(record.get(key, defaults.get(key))) is not kind:
            raise _DamageError(f"{path.name} is not a record of `mashbill train`: its `{key}`")
    if any(not isinstance(each, dict) or set(each) != {"from_step", "changed"} for each in record.get("history", [])):
        raise _DamageError(f"{path.name} is not a record of `mashbill train`: its `history`")
    return record


def _weights_are_finite(path: Path) -> None:
    """Fails at a NaN or an infinity: a run that resumes from one learns nothing."""
    with safe_open(path, framework="pt") as weights:
        for each in weights.keys():  # noqa: SIM118, it is no dict
            if not torch.isfinite(weights.get_tensor(each)).all():
                raise _DamageError(f"{path.name} holds weights that are not finite: {each}")


def _sum(path: Path) -> str | None:
    """The checksum of a file; none where there is no such file."""
    if not path.is_file() or path.is_symlink():
        return None
    try:
        return _mashbill.checksum(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> Exception:
    """A disk that fails is damage; a file that this user may not read is none."""
    said = f"{path.name} cannot be read: {error.strerror}"
    if isinstance(error, PermissionError):
        return TrainError(f"`{path.parent}`: {said}", "set its rights right, or run as its owner")
    return _DamageError(said)


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file() or path.is_symlink():
        raise _DamageError(f"{path.name} is missing")
    try:
        with path.open("rb") as file:
            loaded = json.loads(file.read(LISTED_BYTES_MAX))
    except OSError as error:
        raise _unreadable(path, error) from error
    except (ValueError, RecursionError):
        loaded = None
    if not isinstance(loaded, dict):
        raise _DamageError(f"{path.name} is cut off or something else")
    return loaded


def _remove(folder: Path, step: int) -> str | None:
    """Removes an old checkpoint, or says why it stays. Its name goes first: half a checkpoint is none."""
    old, leaving = folder / name(step), folder / f".removed_{step:08d}"
    try:
        shutil.rmtree(leaving, ignore_errors=True)
        old.rename(leaving)
        shutil.rmtree(leaving)
    except OSError as error:
        return f"`{old}` could not be removed: {error.strerror}"
    return None


def _strange(folder: Path) -> Iterator[str]:
    """What speaks against a folder being a checkpoint that nobody has touched."""
    try:
        sums = _json(folder / CHECKSUMS)
        there = {path.name for path in folder.iterdir()} - {CHECKSUMS}
        step = _json(folder / RECORD).get("step")
    except (_DamageError, TrainError) as error:
        yield str(error)
        return
    except OSError as error:
        yield f"it cannot be read: {error.strerror}"
        return
    if not isinstance(step, int) or name(step) != folder.name:
        yield f"it is a copy of step {step}"
    yield from (f"it holds `{each}`, which this run did not write" for each in sorted(there - set(sums)))
    yield from (f"`{each}` is missing" for each in sorted(set(sums) - there))
