"""What each family of tokenizers costs: `mashbill tokenize` beside `encode_batch` of Hugging Face `tokenizers`, and others.

Each round of a tokenizer is runs of both on the same documents, one right after the other, in turns, on one thread, for each
library that is compared. What is measured of `tokenize` is the whole run (JSON, ids, rows, Parquet), less what a run on one
line takes; of the library the CPU time of encoding texts that are in memory. Told are the medians of the rounds, with the least
and the largest ratio, and what a start takes: the first one, which makes tables and checks them against the reference, and
later ones. With `--kinds` the documents of one script or of code are encoded by themselves, too. A library that has other ids
than `tokenizers` 0.23 is said to have them. Makes virtual environments `benches/.venv-encoders*` from their locks.
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

REFERENCE = "tokenizers"
LIBRARIES = {
    REFERENCE: ("encoders", "tokenizers"),
    "tokenizers-rc": ("encoders-rc", "tokenizers"),
    "kitoken": ("encoders", "kitoken"),
    "tokie": ("encoders", "tokie"),
    "gigatoken": ("encoders", "gigatoken"),
}
"""What is compared: the environment of each, and its name in `peers/encode.py`."""


EXPLANATION = (
    "Ratios are of MB/CPU-s: the whole run of mashbill (JSON, ids, rows, Parquet), less its start, to a library's encoding "
    "of texts that are in memory. Medians of the rounds (least to greatest)."
)

CLAIMED = 600_000_000
"""Bytes that a run takes at most, nearly: so much memory is at hand before each."""


@dataclass(frozen=True)
class Encoded:
    """CPU-seconds of a library, and the checksum of the ids."""

    seconds: float
    checksum: str


@dataclass
class Compared:
    """MB per CPU-second of mashbill and of a library, round by round."""

    ours: list[float]
    theirs: list[float]

    def ratio(self) -> str:
        ratios = [a / b for a, b in zip(self.ours, self.theirs, strict=True)]
        return f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"


class Bench:
    """Runs of one tokenizer."""

    def __init__(self, mashbill: Path, tokenizer: Path, work: Path) -> None:
        self.mashbill, self.tokenizer, self.work = mashbill, tokenizer, work
        self.pad = self.filling_token()
        self.checksum = ""

    def filling_token(self) -> str:
        """A token for the ends of rows: any will do."""
        file = json.loads(self.tokenizer.read_text(encoding="utf-8"))
        added = [token["content"] for token in file.get("added_tokens", []) if token["special"]]
        vocabulary = file["model"]["vocab"]
        first = next(iter(vocabulary))
        return str((added or [first if isinstance(vocabulary, dict) else first[0]])[0])

    def tokenize(self, documents: Path) -> float:
        """The CPU-seconds of a run of the command."""
        output = self.work / "output"
        shutil.rmtree(output, ignore_errors=True)
        claim_memory(CLAIMED)
        options = ("--quiet", "--threads", "1", "--max-seq-length", "1024", "--no-bos", "--no-eos")
        words = (self.mashbill, "tokenize", *options, "--tokenizer", self.tokenizer, f"--pad-token={self.pad}")
        words = (*words, "--input", documents, "--output", output)
        environment = {**os.environ, "XDG_CACHE_HOME": str(self.work / "cache")}
        process = subprocess.Popen([str(word) for word in words], env=environment, stderr=subprocess.PIPE)
        said = process.stderr.read().decode() if process.stderr else ""
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"error: exit code {process.returncode}\n{said}")
        return used.ru_utime + used.ru_stime

    def library(self, name: str, documents: Path) -> Encoded | None:
        """A run of a library; none where it fails."""
        environment, library = LIBRARIES[name]
        claim_memory(CLAIMED)
        words = (environment_of(environment), COMPARE / "peers" / "encode.py", library, self.tokenizer, documents)
        one_thread = {**os.environ, "TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1"}
        done = subprocess.run([str(word) for word in words], env=one_thread, capture_output=True, text=True)
        if done.returncode != 0:
            return None
        found = json.loads(done.stdout)
        return Encoded(found["seconds"], found["checksum"])

    def compare(self, name: str, documents: Path, size: int, later: float, rounds: int) -> Compared | str:
        """Runs beside a library, the reference first, or why there is no comparison."""
        compared = Compared([], [])
        for number in range(rounds):
            # Who is first changes from round to round.
            theirs = self.library(name, documents) if number % 2 else None
            ours = self.tokenize(documents)
            theirs = theirs or self.library(name, documents)
            if theirs is None:
                return "fails"
            self.checksum = self.checksum or theirs.checksum
            if theirs.checksum != self.checksum:
                return "other ids"
            compared.ours.append(size / 1e6 / (ours - later))
            compared.theirs.append(size / 1e6 / theirs.seconds)
        return compared


def write(documents: list[str], most: int, file: Path) -> int:
    """Writes documents until they have `most` bytes, again and again where there are too few, and returns how many."""
    size = 0
    with file.open("w", encoding="utf-8") as out:
        while size < most:
            for line in documents:
                out.write(line)
                size += len(line.encode())
                if size >= most:
                    break
    return size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mashbill", type=Path, required=True, help="the mashbill program")
    parser.add_argument(
        "--tokenizers", type=Path, nargs="+", required=True, help="`tokenizer.json` files, of any names"
    )
    parser.add_argument("--input", type=Path, required=True, help="a .jsonl file of documents")
    parser.add_argument("--megabytes", type=int, default=24, help="documents of the input, in 10^6 bytes [24]")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each tokenizer [3]")
    parser.add_argument(
        "--peers", nargs="*", choices=[*LIBRARIES][1:], default=[], help="libraries beside Hugging Face's [none]"
    )
    parser.add_argument("--kinds", action="store_true", help="also the documents of each script, and of code")
    parser.add_argument("--markdown", type=Path, help="a page on which to write the tables, too, as a section")
    args = parser.parse_args()
    with args.input.open(encoding="utf-8") as lines:
        all_documents = lines.readlines()
    most = args.megabytes * 1_000_000
    peers = "".join(f" {name} |" for name in args.peers)
    tables = [f"| tokenizer | mashbill, MB/CPU-s | Python, MB/CPU-s | ratio |{peers} first start, CPU-s | later |"]
    tables.append("| --- |" + " ---: |" * (5 + len(args.peers)))
    by_kind = []
    with tempfile.TemporaryDirectory(prefix="mashbill-families-") as root:
        work = Path(root)
        one, documents = work / "one.jsonl", work / "documents.jsonl"
        write(all_documents, 1, one)
        size = write(all_documents, most, documents)
        kinds = {}
        for line in all_documents if args.kinds else []:
            kinds.setdefault(kind_of(json.loads(line)["text"]), []).append(line)
        for tokenizer in args.tokenizers:
            bench = Bench(args.mashbill, tokenizer, work)
            shutil.rmtree(work / "cache", ignore_errors=True)
            first = bench.tokenize(one)
            later = min(bench.tokenize(one) for _ in range(5))

            python = bench.compare(REFERENCE, documents, size, later, args.rounds)
            if isinstance(python, str):
                raise SystemExit(f"error: {REFERENCE} {python} over {tokenizer}")
            compared = [bench.compare(name, documents, size, later, args.rounds) for name in args.peers]
            others = "".join(f" {each if isinstance(each, str) else each.ratio()} |" for each in compared)
            medians = f"{statistics.median(python.ours):.1f} | {statistics.median(python.theirs):.2f}"
            starts = f"{first:.2f} | {later:.2f} |"
            row = f"| {tokenizer.stem} | {medians} | {python.ratio()} |{others} {starts}"
            tables.append(row)
            print(row, flush=True)
            speeds = {}
            for kind, lines_of_kind in kinds.items():
                file = work / "kind.jsonl"
                size_of_kind = write(lines_of_kind, most, file)
                seconds = [bench.tokenize(file) - later for _ in range(args.rounds)]
                speeds[kind] = size_of_kind / 1e6 / statistics.median(seconds)
            if speeds:
                by_kind.append((tokenizer.stem, speeds))
                print("  " + ", ".join(f"{kind} {value:.1f}" for kind, value in speeds.items()), flush=True)
    if by_kind:
        names = list(by_kind[0][1])
        tables += ["", "| tokenizer, MB/CPU-s | " + " | ".join(names) + " |", "| --- |" + " ---: |" * len(names)]
        for stem, speeds in by_kind:
            tables.append(f"| {stem} | " + " | ".join(f"{speeds[name]:.1f}" for name in names) + " |")
    version = subprocess.run([args.mashbill, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    environments = dict.fromkeys(LIBRARIES[name][0] for name in [REFERENCE, *args.peers])
    versions = "; ".join(versions_of(name, ("tokenizers", "kitoken", "tokie", "gigatoken")) for name in environments)
    names = [file.name for file in args.tokenizers]
    command = ["python3", "benches/families.py", "--input", args.input.name, "--megabytes", str(args.megabytes)]
    command += ["--rounds", str(args.rounds), "--tokenizers", *names]
    command += (["--peers", *args.peers] if args.peers else []) + (["--kinds"] if args.kinds else [])
    tables += ["", f"- {version}, repository at {commit()}; {versions}; {size / 1e6:.1f} MB", f"- {machine()}"]
    if args.markdown:
        text = "\n".join([f"`{shlex.join(command)}`", "", EXPLANATION, "", *tables])
        write_section(args.markdown, "Families of tokenizers", text)


if __name__ == "__main__":
    main()
