"""Files of a run that are whole under their names: written beside, synced, and renamed."""

import contextlib
import os
from pathlib import Path

from mashbill.train.error import TrainError

FILES = ("config.yaml", "loader.json", "metrics.jsonl", ".mashbill/lock")
FOLDERS = ("checkpoints", "tensorboard", ".mashbill")
"""What a run writes into its folder."""


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
        hint = "make space or set its rights right, then run the same command again"
        raise TrainError(f"`{path}` cannot be written: {error.strerror}", hint, code=3) from error


def fail_if_in_the_way(folder: Path) -> None:
    """A [`TrainError`] where something else has the name of a file or a folder that a run writes into `folder`."""
    for names, is_right, what in ((FILES, Path.is_file, "file"), (FOLDERS, Path.is_dir, "folder")):
        for path in (folder / name for name in names):
            if os.path.lexists(path) and not is_right(path):
                said = f"`{path}` is in the way: the run writes a {what} of that name"
                raise TrainError(said, "move it away, or train into another folder: `--set output_path=…`")


def sync(path: Path) -> None:
    """Waits until a file or the names in a folder are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
