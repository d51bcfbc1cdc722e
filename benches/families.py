"""What each family of tokenizers costs: `mashbill tokenize` beside `encode_batch` of Hugging Face `tokenizers`.

Each round of a tokenizer is one run of each on the same documents, one right after the other, in turns, on one
thread. What is measured of `tokenize` is the whole run (JSON, ids, rows, Parquet), less what a run on one line takes;
of Python the CPU time of `encode_batch` alone, of texts that are in memory. Told are the medians of the rounds, with
the least and the largest ratio, and what a start takes: the first one, which makes tables and checks them against the
reference, and later ones. With `--kinds` the documents of one script or of code are encoded by themselves, too. Needs
the `tokenizers` package.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

BATCH = 1000
"""Documents that Python encodes at once."""

KINDS = {
    "Chinese": r"[\u4e00-\u9fff]",
    "Japanese": r"[\u3040-\u30ff]",
    "Cyrillic": r"[\u0400-\u04ff]",
    "Arabic": r"[\u0600-\u06ff]",
    "Thai": r"[\u0e00-\u0e7f]",
    "code": r"[{}();=]",
}
"""What a twentieth (of code) or a fifth of the characters of a document is, for it to be of a kind."""


@dataclass(frozen=True)
class Run:
    """CPU-seconds, and bytes of memory at most."""

    seconds: float
    memory: int


def kind_of(text: str) -> str:
    """The kind that a document is of."""
    head = text[:2000]
    for kind in ("Japanese", *KINDS):
        least = 20 if kind == "code" else 10 if kind == "Japanese" else 5
        if len(re.findall(KINDS[kind], head)) * least > len(head):
            return kind
    return "other"


def encode_in_python(tokenizer_json: Path, documents: Path) -> None:
    """Prints the CPU time that `encode_batch` takes for the texts of a file."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_json))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    with documents.open(encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    start = time.process_time()
    for first in range(0, len(texts), BATCH):
        tokenizer.encode_batch(texts[first : first + BATCH], add_special_tokens=False)
    print(time.process_time() - start)


class Bench:
    """Runs of one tokenizer."""

    def __init__(self, mashbill: Path, tokenizer: Path, work: Path) -> None:
        self.mashbill, self.tokenizer, self.work = mashbill, tokenizer, work
        self.pad = self.filling_token()

    def filling_token(self) -> str:
        """A token for the ends of rows: any will do."""
        file = json.loads(self.tokenizer.read_text(encoding="utf-8"))
        added = [token["content"] for token in file.get("added_tokens", []) if token["special"]]
        vocabulary = file["model"]["vocab"]
        first = next(iter(vocabulary))
        return str((added or [first if isinstance(vocabulary, dict) else first[0]])[0])

    def tokenize(self, documents: Path) -> Run:
        """A run of the command."""
        output = self.work / "output"
        shutil.rmtree(output, ignore_errors=True)
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
        return Run(used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)

    def python(self, documents: Path) -> float:
        """CPU-seconds of `encode_batch`."""
        words = (sys.executable, __file__, "--encode", self.tokenizer, documents)
        environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1"}
        done = subprocess.run([str(word) for word in words], env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"error: {done.stderr}")
        return float(done.stdout)


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
    parser.add_argument("--kinds", action="store_true", help="also the documents of each script, and of code")
    parser.add_argument("--markdown", type=Path, help="a file for the tables")
    args = parser.parse_args()
    import tokenizers

    with args.input.open(encoding="utf-8") as lines:
        all_documents = lines.readlines()
    most = args.megabytes * 1_000_000
    tables = ["| tokenizer | mashbill, MB/CPU-s | Python, MB/CPU-s | ratio | first start, CPU-s | later | memory |"]
    tables.append("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
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
            first = bench.tokenize(one).seconds
            later = min(bench.tokenize(one).seconds for _ in range(5))

            ours, theirs, memory = [], [], 0
            for number in range(args.rounds):
                python = bench.python(documents) if number % 2 else None
                run = bench.tokenize(documents)
                memory = max(memory, run.memory)
                ours.append(size / 1e6 / (run.seconds - later))
                theirs.append(size / 1e6 / (bench.python(documents) if python is None else python))
            ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
            medians = f"{statistics.median(ours):.1f} | {statistics.median(theirs):.2f}"
            spread = f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"
            row = f"| {tokenizer.stem} | {medians} | {spread} | {first:.2f} | {later:.2f} | {memory / 1e6:.0f} MB |"
            tables.append(row)
            print(row, flush=True)
            speeds = {}
            for kind, lines_of_kind in kinds.items():
                file = work / "kind.jsonl"
                size_of_kind = write(lines_of_kind, most, file)
                seconds = [bench.tokenize(file).seconds - later for _ in range(args.rounds)]
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
    tables += [
        "",
        f"{version}, tokenizers {tokenizers.__version__}, Python {platform.python_version()}; {size / 1e6:.1f} MB",
    ]
    if args.markdown:
        args.markdown.write_text("\n".join(tables) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--encode"]:
        encode_in_python(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main()
