"""One run at a time in a folder.

The lock is the operating system's, so it ends with the process, however that ends: a file that a kill left is no
obstacle. Its text only names the holder. It is the file that `mashbill tokenize` takes in its output folder, so the two
do not write into one folder either.
"""

import contextlib
import errno
import fcntl
import os
import socket
from datetime import datetime, timezone
from pathlib import Path

from mashbill.train.error import TrainError

HOLDER_BYTES_MAX = 1024
"""Of the text that names the holder."""


class Lock:
    """The right to write into a folder, held until it is let go or the process ends."""

    def __init__(self, folder: Path) -> None:
        """Takes the lock of `folder`, which is made where it is not there. A [`TrainError`] names the holder."""
        path = folder / ".mashbill" / "lock"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise _unwritable(folder, error) from error
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            since = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
            os.ftruncate(self.descriptor, 0)
            os.pwrite(self.descriptor, f"{os.getpid()} {socket.gethostname()} since {since}\n".encode(), 0)
        except OSError as error:
            holder = os.pread(self.descriptor, HOLDER_BYTES_MAX, 0).decode("utf-8", "replace").strip()
            self.release()
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise _unwritable(folder, error) from error
            pid, _, where = holder.partition(" ")
            said = f"process {pid} on {where}" if where else "another process"
            raise TrainError(
                f"`{folder}` is in use by {said}",
                "wait for it, stop it, or train into another folder: `--set output_path=…`",
                code=3,
            ) from error

    def release(self) -> None:
        """Lets the folder go."""
        with contextlib.suppress(OSError):
            os.close(self.descriptor)


def _unwritable(folder: Path, error: OSError) -> TrainError:
    return TrainError(
        f"`{folder}` cannot be written to: {error.strerror}", "correct `output_path` or its rights, or make space"
    )
