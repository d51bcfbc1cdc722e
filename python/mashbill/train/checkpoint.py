"""Checkpoints: folders that `transformers` loads and that a run goes on from.

A checkpoint is written under a name of its own, synced, and renamed when it is whole; older ones go after that. A kill
or a full disk at any moment leaves the one before.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch

from mashbill.train.error import TrainError

STATE = "training_state.pt"
RECORD = "training_state.json"


def latest(folder: Path) -> Path | None:
    """The last whole checkpoint in `folder`."""
    return max(folder.glob("step_*"), default=None)


def record(checkpoint: Path) -> dict[str, Any]:
    """The step and the loader's state of a checkpoint."""
    loaded: dict[str, Any] = json.loads((checkpoint / RECORD).read_text(encoding="utf-8"))
    return loaded


def save(
    folder: Path,
    step: int,
    model: Any,
    tokenizer: dict[str, str],
    state: dict[str, Any],
    about: dict[str, Any],
    keep: int,
) -> Path:
    """Writes the checkpoint of `step`, then removes all but the last `keep`. `state` goes to torch's format, `about`
    to JSON. A failure removes what was begun and is a [`TrainError`] with the reason."""
    partial = folder / f".partial_{step:08d}"
    final = folder / f"step_{step:08d}"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        model.save_pretrained(partial)
        for name, text in tokenizer.items():
            (partial / name).write_text(text, encoding="utf-8")
        torch.save(state, partial / STATE)
        (partial / RECORD).write_text(json.dumps(about, indent=1), encoding="utf-8")
        for path in partial.iterdir():
            _sync(path)
        if final.exists():
            shutil.rmtree(final)
        partial.rename(final)
        _sync(folder)
    # torch and safetensors have errors of their own for a disk that is full.
    except Exception as error:
        shutil.rmtree(partial, ignore_errors=True)
        before = latest(folder)
        stands = f"; {before} is whole" if before else ""
        raise TrainError(
            f"the checkpoint of step {step} could not be written to `{folder}`: {error}{stands}",
            "make space, then give the same command again: it goes on from the last checkpoint",
            code=3,
        ) from error
    for old in sorted(folder.glob("step_*"))[:-keep]:
        shutil.rmtree(old)
    return final


def random_state() -> dict[str, Any]:
    """The state of every generator that a model may draw from in this process."""
    cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
    return {"torch": torch.get_rng_state(), "cuda": cuda}


def restore_random_state(state: dict[str, Any]) -> None:
    """Takes up [`random_state`]."""
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
