"""What a command costs: CPU time and memory of all its processes.

CPU time is what the kernel counted for the command and every process it left behind, which this process adopts and
waits for. Memory is sampled, which takes CPU time from the sampled on a small machine, so a run that is sampled is no
run to be timed.

A virtual machine may give free memory back to its host (free page reporting). To get it again takes some ten times as
long as to clear memory that it kept, up to a second a gigabyte, and whoever runs next is charged. So memory is claimed
before a run that is timed.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

SAMPLES_PER_SECOND = 20
PR_SET_CHILD_SUBREAPER = 36
# How long processes that a command left behind may go on before they are ended.
ORPHANS_SECONDS = 10


@dataclass(frozen=True)
class Usage:
    """What one run of a command took."""

    cpu_seconds: float
    wall_seconds: float
    memory_bytes_max: int | None
    stdout: str


class CommandFailedError(Exception):
    """A command that was to be measured did not succeed."""


def adopt_orphans() -> None:
    """Makes this process the parent of processes whose parent ends, so that their CPU time is not lost."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) failed")


def claim_memory(count: int) -> None:
    """Takes this many bytes from the system and gives them back, so that the next process finds them at hand."""
    if count == 0:
        return
    # In a process of its own, since children inherit the peak of their parent's memory.
    pid = os.fork()
    if pid == 0:
        memory = mmap.mmap(-1, count, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory.madvise(mmap.MADV_HUGEPAGE)
        for page in range(0, count, mmap.PAGESIZE):
            memory[page] = 1
        os._exit(0)
    os.waitpid(pid, 0)


def run(command: list[str], environment: dict[str, str], sample_memory: bool) -> Usage:
    """Runs a command to its end; raises CommandFailedError with the end of what it said."""
    before = _cpu_seconds_of_children()
    begin = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    sampler = _MemorySampler() if sample_memory else None
    if sampler:
        sampler.start()
    stdout, stderr = process.communicate()
    wall_seconds = time.monotonic() - begin
    _wait_for_orphans()
    memory_bytes_max = sampler.stop() if sampler else None
    if process.returncode != 0:
        raise CommandFailedError(f"{' '.join(command)}\nended with {process.returncode}:\n{stderr[-4000:]}")
    return Usage(_cpu_seconds_of_children() - before, wall_seconds, memory_bytes_max, stdout)


def _cpu_seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _wait_for_orphans() -> None:
    deadline = time.monotonic() + ORPHANS_SECONDS
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            if time.monotonic() > deadline:
                for orphan in _descendants():
                    os.kill(orphan, signal.SIGKILL)
            time.sleep(0.01)


class _MemorySampler(threading.Thread):
    """Keeps the largest sum of the memory of all descendants of this process."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._ended = threading.Event()
        self._bytes_max = 0

    def run(self) -> None:
        while not self._ended.wait(1 / SAMPLES_PER_SECOND):
            self._bytes_max = max(self._bytes_max, sum(_memory_bytes(pid) for pid in _descendants()))

    def stop(self) -> int:
        self._ended.set()
        self.join()
        return self._bytes_max


def _descendants() -> list[int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue  # It has ended meanwhile.
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found = [os.getpid()]
    for pid in found:  # It grows while it is gone through.
        found.extend(child for child, parent in parents.items() if parent == pid)
    return found[1:]


def _memory_bytes(pid: int) -> int:
    """Proportional set size: memory that processes share is counted once in their sum."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # It has ended meanwhile.
    return 0
