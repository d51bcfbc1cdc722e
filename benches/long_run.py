"""What a long run costs: `mashbill tokenize` of a file several times over beside gigatoken's `encode_files` of the same.

The records of each time have other ids, so no document is the same, but all words were met before. Told are the medians of
pairs of runs, one right after the other, in turns, on one thread: once over the file, where most is new, and `--times`
over it. Of mashbill it is the whole run (JSON, ids, rows, Parquet), less what a run on one line takes; of gigatoken reading
and encoding, with all ids in memory and nothing written. CPU-hours are those for 10^12 tokens at that speed. Makes the virtual
environment `benches/.venv-encoders` from its lock.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

COMPARE = Path(__file__).resolve().parent / "compare"
sys.path.insert(0, str(COMPARE))

from kinds import kind_of  # noqa: E402
from report import commit, machine, write_section  # noqa: E402
from systems import environment_of, versions_of  # noqa: E402
from usage import claim_memory  # noqa: E402


EXPLANATION = (
    "Ratios are of MB/CPU-s: the whole run of mashbill (JSON, ids, rows, Parquet), less its start, to gigatoken's reading "
    "and encoding, which keeps all ids in memory and writes nothing. The records of each time have other ids, so no document "
    "is met twice, but all words are."
)


@dataclass(frozen=True)
class Run:
    """CPU-seconds, tokens, and bytes of memory at most."""

    seconds: float
    tokens: int
    memory: int

    def speed(self, size: int) -> float:
        return size / 1e6 / self.seconds

    def hours(self) -> float:
        """CPU-hours for 10^12 tokens."""
        return self.seconds / self.tokens * 1e12 / 3600


class Bench:
    """Runs with one tokenizer."""

    def __init__(self, mashbill: Path, tokenizer: Path, pad_token: str, work: Path) -> None:
        self.mashbill, self.tokenizer, self.pad_token, self.work = mashbill, tokenizer, pad_token, work
        one = work / "one.jsonl"
        one.write_text('{"text": "one"}\n', encoding="utf-8")
        self.start = 0.0
        self.ours(one)
        self.start = min(self.ours(one).seconds for _ in range(5))

    def ours(self, documents: Path) -> Run:
        """A run of the command, less its start."""
        output = self.work / "output"
        shutil.rmtree(output, ignore_errors=True)
        options = ["--quiet", "--threads", "1", "--max-seq-length", "1024", "--no-bos", "--no-eos"]
        words = [str(self.mashbill), "tokenize", *options, "--tokenizer", str(self.tokenizer)]
        words += [f"--pad-token={self.pad_token}", "--input", str(documents), "--output", str(output)]
        environment = {**os.environ, "XDG_CACHE_HOME": str(self.work / "cache")}
        process = subprocess.Popen(words, env=environment)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"error: exit code {process.returncode} of {' '.join(words)}")
        manifest = json.loads((output / "manifest.json").read_text(encoding="utf-8"))
        tokens = sum(split["tokens"] for split in manifest["splits"].values())
        return Run(used.ru_utime + used.ru_stime - self.start, tokens, used.ru_maxrss * 1024)

    def theirs(self, documents: Path) -> Run:
        words = [environment_of("encoders"), COMPARE / "peers" / "encode_files.py", self.tokenizer, documents]
        environment = {**os.environ, "RAYON_NUM_THREADS": "1"}
        done = subprocess.run(
            [str(word) for word in words], env=environment, capture_output=True, text=True, check=True
        )
        return Run(**json.loads(done.stdout))


def repeat(file: Path, times: int, target: Path) -> int:
    """Writes the records of a file so many times, each with an `id` of its own, and returns the bytes."""
    size = 0
    with target.open("wb") as out:
        for time in range(times):
            with file.open("rb") as lines:
                for number, line in enumerate(lines):
                    record = json.loads(line)
                    record["id"] = f"{time}-{number}"
                    size += out.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
    return size


def measure(bench: Bench, file: Path, times: int, rounds: int, name: str) -> str:
    """Pairs of runs over a file so many times, as a row of a table."""
    documents = bench.work / "documents.jsonl"
    size = repeat(file, times, documents)
    pairs = []
    for number in range(rounds):
        runs = {}
        for kind in (bench.ours, bench.theirs) if number % 2 else (bench.theirs, bench.ours):
            claim_memory(2_000_000_000)
            runs[kind.__name__] = kind(documents)
        pairs.append((runs["ours"], runs["theirs"]))
    ratios = [theirs.seconds / ours.seconds for ours, theirs in pairs]
    speeds = [statistics.median(run.speed(size) for run in kind) for kind in zip(*pairs, strict=True)]
    memory = [f"{max(run.memory for run in kind) / 1e6:.0f}" for kind in zip(*pairs, strict=True)]
    hours = [statistics.median(run.hours() for run in kind) for kind in zip(*pairs, strict=True)]
    ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    return (
        f"| {name}, {size / 1e6:.0f} MB | {speeds[0]:.1f} | {speeds[1]:.1f} | {ratio} "
        f"| {' and '.join(memory)} MB | {hours[0]:.1f} and {hours[1]:.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mashbill", type=Path, required=True, help="the mashbill program")
    parser.add_argument("--tokenizer", type=Path, required=True, help="a `tokenizer.json`")
    parser.add_argument("--pad-token", required=True, help="a token for the ends of rows: any will do")
    parser.add_argument("--input", type=Path, required=True, help="a .jsonl file of documents")
    parser.add_argument("--times", type=int, default=10, help="how often the file is repeated [10]")
    parser.add_argument("--rounds", type=int, default=3, help="pairs of runs [3]")
    parser.add_argument("--kinds", action="store_true", help="also the documents of each script, and of code")
    parser.add_argument("--markdown", type=Path, help="a page on which to write the table, too, as a section")
    args = parser.parse_args()
    header = ["input", "mashbill, MB/CPU-s", "gigatoken, MB/CPU-s", "ratio", "memory", "CPU-hours for 10^12 tokens"]
    rows = [f"| {' | '.join(header)} |", "| --- |" + " ---: |" * (len(header) - 1)]
    print("\n".join(rows))
    with tempfile.TemporaryDirectory(prefix="mashbill-long-run-") as root:
        work = Path(root)
        bench = Bench(args.mashbill, args.tokenizer, args.pad_token, work)
        inputs = {"all": args.input}
        for line in args.input.open(encoding="utf-8") if args.kinds else ():
            kind = kind_of(json.loads(line)["text"])
            inputs[kind] = work / f"{kind}.jsonl"
            with inputs[kind].open("a", encoding="utf-8") as file:
                file.write(line)
        for name, file in inputs.items():
            for times in dict.fromkeys((1, args.times)):
                rows.append(measure(bench, file, times, args.rounds, name if times == 1 else f"{times} times {name}"))
                print(rows[-1], flush=True)
    version = subprocess.run([args.mashbill, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    versions = versions_of("encoders", ("gigatoken",))
    rows += ["", f"- {version}, repository at {commit()}; {versions}; {args.tokenizer.stem}", f"- {machine()}"]
    print("\n".join(rows[-2:]))
    if args.markdown:
        command = ["python3", "benches/long_run.py", "--input", args.input.name, "--tokenizer", args.tokenizer.name]
        command += ["--pad-token", args.pad_token, "--times", str(args.times), "--rounds", str(args.rounds)]
        command += ["--kinds"] if args.kinds else []
        write_section(
            args.markdown, "The long run", "\n".join([f"`{shlex.join(command)}`", "", EXPLANATION, "", *rows])
        )


if __name__ == "__main__":
    main()
