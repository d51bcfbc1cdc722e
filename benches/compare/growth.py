"""Shows that the time of `mashbill tokenize` grows in step with its input and its memory does not grow with it.

Inputs that are hard for tokenizers and pipelines (one enormous document, a million tiny ones, nothing but line ends,
nothing but spaces) are made in four sizes, each twice the one before, and the CPU time of a run (user and system, all
threads, the least of some rounds) is put beside the size, after what a run on next to nothing takes is subtracted. For
memory, a corpus is repeated, each copy with other ids and other first words, up to many times the memory there is.
The files are made in a folder that is removed in the end; the largest is given by --memory-gb.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from report import MEGABYTE, commit, machine, table
from usage import claim_memory

# The sizes that each kind of input is made in, as parts of the largest, besides next to nothing.
EIGHTHS = (1, 2, 4, 8)
# Added to documents, so that the least, too, is too long for the comparison with the reference, which takes as long for
# one document as for all.
LEAST = MEGABYTE // 10
# A cost below this is too small to tell how it grows.
CPU_SECONDS_MIN = 0.05

PAGE = """How the time and the memory of `mashbill tokenize` grow with its input, on inputs made to be hard. Made by the
command below, which anyone can run."""


@dataclass(frozen=True)
class Run:
    """What one run of mashbill took."""

    cpu_seconds: float
    wall_seconds: float
    memory_bytes_max: int


def main() -> None:
    args = arguments()
    with tempfile.TemporaryDirectory(prefix="mashbill-growth-", dir=args.work) as work:
        mashbill = Mashbill(args.mashbill, args.tokenizer, args.threads, Path(work))
        parts = [f"# Growth\n\n{PAGE}", f"`{command_line(args)}`", growth(mashbill, args.rounds)]
        if args.corpus:
            parts.append(memory(mashbill, args.corpus, args.memory_gb, args.rounds))
    version = subprocess.run([str(args.mashbill), "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout
    parts.append(f"- {version.strip()}, repository at {commit()}\n- {machine()}")
    text = "\n\n".join(parts) + "\n"
    if args.markdown:
        args.markdown.write_text(text, encoding="utf-8")
    print(text, end="")


class Mashbill:
    """The command, with a cache of its own and a folder for its output."""

    def __init__(self, program: Path, tokenizer: Path, threads: int, work: Path) -> None:
        self.work = work
        self.command = [str(program), "tokenize", "--quiet", "--tokenizer", str(tokenizer), "--threads", str(threads)]
        self.command += ["--max-seq-length", "1024", "--max-document", "400000000"]
        self.environment = {**os.environ, "XDG_CACHE_HOME": str(work / "cache")}

    def run(self, file: Path) -> Run:
        output = self.work / "output"
        shutil.rmtree(output, ignore_errors=True)
        # What a run may take: 400 MB, or six times its largest document, which may be the whole file.
        claim_memory(max(400 * MEGABYTE, min(6 * file.stat().st_size, 2_000 * MEGABYTE)))
        begin = time.monotonic()
        process = subprocess.Popen(
            [*self.command, "--input", str(file), "--output", str(output)],
            env=self.environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        said = process.stderr.read() if process.stderr else b""
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"error: {file.name}: exit code {process.returncode}\n{said.decode()}")
        shutil.rmtree(output)
        # Linux counts in KiB.
        return Run(used.ru_utime + used.ru_stime, time.monotonic() - begin, used.ru_maxrss * 1024)


def long_document(file: Path, eighths: int) -> int:
    """One document of up to 300 MB: words, numbers and line ends, never the same line twice."""
    size = LEAST + 300 * MEGABYTE * eighths // 8
    with file.open("wb") as out:
        out.write(b'{"text":"')
        written, number = 0, 0
        while written < size:
            line = f"Line {number} of a long document says that {number * 7919 % 104729} barrels were filled, "
            line += f"of which naïve {number % 97} were bottled.\\n"
            written += out.write(line.encode())
            number += 1
        out.write(b'"}\n')
    return file.stat().st_size


def tiny_documents(file: Path, eighths: int) -> int:
    """Up to a million documents of one token each."""
    with file.open("wb") as out:
        for number in range(100 + 1_000_000 * eighths // 8):
            out.write(b'{"text":"%c"}\n' % (97 + number % 26))
    return file.stat().st_size


def blank_lines(file: Path, eighths: int) -> int:
    """Up to ten million blank lines and one record."""
    with file.open("wb") as out:
        out.write(b'{"text":"a"}\n')
        for _ in range(10 * eighths):
            out.write(b"\n" * (MEGABYTE // 8))
    return file.stat().st_size


def spaces(file: Path, eighths: int) -> int:
    """One document of up to 20 MB of spaces."""
    with file.open("wb") as out:
        out.write(b'{"text":"a' + b" " * LEAST)
        for _ in range(20 * eighths):
            out.write(b" " * (MEGABYTE // 8))
        out.write(b'b"}\n')
    return file.stat().st_size


CASES: list[tuple[str, Callable[[Path, int], int]]] = [
    ("one document of 300 MB", long_document),
    ("a million documents of one token", tiny_documents),
    ("ten million blank lines", blank_lines),
    ("20 MB of spaces in one document", spaces),
]


def growth(mashbill: Mashbill, rounds: int) -> str:
    """The table of times: a row for each kind of input."""
    rows = []
    for label, make in CASES:
        files = [mashbill.work / f"input-{eighths}.jsonl" for eighths in (0, *EIGHTHS)]
        sizes = [make(file, eighths) for file, eighths in zip(files, (0, *EIGHTHS), strict=True)]
        # The tokenizer's tables are made once and kept.
        mashbill.run(files[0])
        # The sizes take turns, so that a slow moment of the machine meets all of them.
        turns = [[mashbill.run(file) for file in files] for _ in range(rounds)]
        least = [min(run.cpu_seconds for run in runs) for runs in zip(*turns, strict=True)]
        costs = [seconds - least[0] for seconds in least[1:]]
        memory_max = max(run.memory_bytes_max for *_, run in turns)
        for file in files:
            file.unlink()
        times = [f"{seconds:.3f}" for seconds in (least[0], *costs)]
        ratios = [step(costs[at], costs[-1], EIGHTHS[-1] / EIGHTHS[at]) for at in range(len(costs) - 1)]
        rows.append([label, f"{sizes[-1] / MEGABYTE:.1f}", *times, *ratios, f"{memory_max / MEGABYTE:.0f}"])
        print(f"{label}: {' '.join(times)} CPU-s, {memory_max / MEGABYTE:.0f} MB", file=sys.stderr)
    head = ["input", "MB", "0/8", "1/8", "2/8", "4/8", "8/8"]
    head += ["8/8 to 1/8", "8/8 to 2/8", "8/8 to 4/8", "peak memory in MB"]
    return "\n\n".join(
        [
            "CPU-seconds for next to nothing (0/8) and for four sizes of each input; the cost of 0/8 is subtracted from the other "
            f"columns. The least of {rounds} runs. The last ratios are cost to cost over size to size: 1.00 is exactly in step; "
            "those with a cost too small to tell are left out.",
            table(head, rows),
        ]
    )


def step(small: float, large: float, times: float) -> str:
    """How much faster than the size a cost grows."""
    return f"{large / small / times:.2f}" if small > CPU_SECONDS_MIN else ""


def memory(mashbill: Mashbill, corpus: Path, gigabytes: float, rounds: int) -> str:
    """The table of memory: the corpus once, and repeated."""
    rows = []
    once = corpus.stat().st_size
    for copies in (1, max(1, round(gigabytes * 1e9 / once))):
        file = mashbill.work / "input.jsonl"
        repeat(corpus, file, copies)
        size = file.stat().st_size
        # A long run has many times as many chances to come to its peak as a short one.
        runs = [mashbill.run(file) for _ in range(rounds if copies == 1 else 1)]
        file.unlink()
        memory_max = max(run.memory_bytes_max for run in runs)
        print(f"{size / MEGABYTE:.0f} MB: {memory_max / MEGABYTE:.0f} MB of memory", file=sys.stderr)
        least = min(runs, key=lambda run: run.cpu_seconds)
        cells = [f"{size / MEGABYTE:.0f}", f"{memory_max / MEGABYTE:.0f}"]
        rows.append([*cells, f"{least.cpu_seconds:.2f}", f"{least.wall_seconds:.2f}"])
    return "\n\n".join(
        [
            f"Memory for `{corpus.name}` (the most of {rounds} runs) and for it repeated, each copy with other ids.",
            table(["input in MB", "peak memory in MB", "CPU-s", "wall-s"], rows),
        ]
    )


def repeat(corpus: Path, file: Path, copies: int) -> None:
    """Writes the corpus so many times; each record has an id and begins with the number of its copy."""
    with file.open("wb") as out:
        for copy in range(copies):
            with corpus.open("rb") as lines:
                for number, line in enumerate(lines):
                    record = b'{"id":"%d-%d",' % (copy, number) + line.lstrip()[1:]
                    field = b'"text": "' if b'"text": "' in record else b'"text":"'
                    out.write(record.replace(field, b"%s%d " % (field, copy), 1))


def command_line(args: argparse.Namespace) -> str:
    """The command to type, without the folders of this machine."""
    words = ["python3", "benches/compare/growth.py", "--mashbill", args.mashbill.name]
    words += ["--tokenizer", args.tokenizer.name, "--threads", str(args.threads), "--rounds", str(args.rounds)]
    if args.corpus:
        words += ["--corpus", args.corpus.name, "--memory-gb", f"{args.memory_gb:g}"]
    return shlex.join(words)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mashbill", type=Path, required=True, help="the mashbill program")
    parser.add_argument("--tokenizer", type=Path, required=True, help="a tokenizer.json")
    parser.add_argument("--threads", type=int, default=2, help="threads that compute [2]")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each size, of which the fastest counts [5]")
    parser.add_argument("--corpus", type=Path, help="a .jsonl file, for the memory [none: memory is left out]")
    parser.add_argument("--memory-gb", type=float, default=5, help="size of the repeated corpus in GB [5]")
    parser.add_argument("--work", type=Path, help="a folder with room for the files [the temporary folder]")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file, too")
    args = parser.parse_args()
    for path in filter(None, (args.mashbill, args.tokenizer, args.corpus)):
        if not path.is_file():
            parser.error(f"{path} is no file")
    return args


if __name__ == "__main__":
    main()
