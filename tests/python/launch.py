"""A command and the most memory that it took, as the system says.

A process inherits the peak of the one that started it, so a small one stands between, and says the peak of its child.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

BETWEEN = """
import os, resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
os.write(int(sys.argv[1]), f"{code} {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss}".encode())
"""


def launch(
    command: list[str],
    *,
    environment: Mapping[str, str],
    stdout: IO[bytes],
    stderr: IO[bytes],
    folder: Path | None = None,
) -> tuple[int, int]:
    """The exit code of a command that reads nothing, and its peak of memory in bytes."""
    read, write = os.pipe()
    try:
        subprocess.run(
            [sys.executable, "-S", "-c", BETWEEN, str(write), *command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            pass_fds=[write],
            check=True,
        )
        code, peak = map(int, os.read(read, 100).split())
    finally:
        os.close(read)
        os.close(write)
    return code, peak * 1024
