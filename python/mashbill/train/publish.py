"""Files of a run that are whole under their names: written beside, synced, and renamed."""

import contextlib
import os
from pathlib import Path

from mashbill.train.error import TrainError


def whole(path: Path, text: str) -> None:
    """Puts `text` at `path`, or leaves what was there. A [`TrainError`] says why it could not be written."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        sync(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        hint = "make space or set its rights right, then give the same command again"
        raise TrainError(f"`{path}` cannot be written: {error.strerror}", hint, code=3) from error


def sync(path: Path) -> None:
    """Waits until a file or the names in a folder are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
