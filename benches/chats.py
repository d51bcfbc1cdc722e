"""What conversations cost: `mashbill tokenize --chat-template` beside plain `tokenize` of the text that the template makes.

The conversations are pieces of the texts of a file, of about 300 characters each, in a random order that is always the same.
Each pair is one run of each kind, in turns; what a run on one line takes is subtracted from both. Told are the medians of the
pairs' ratios of speed, content bytes counted, with the least and the largest, and the largest memory of each kind. So is
what `mashbill verify` of masked rows takes beside that of plain ones. Needs transformers, which renders the plain texts.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import random
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PIECE = 300
"""Characters of a message."""


@dataclass(frozen=True)
class Used:
    """What a run has used: CPU-seconds of all threads, and its largest memory in bytes."""

    seconds: float
    memory: int


def pieces(file: Path) -> Iterator[str]:
    """Pieces of the texts of a JSON Lines file, in a random order, again and again."""
    found = []
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            text = json.loads(line)["text"]
            found += [text[at : at + PIECE].strip() for at in range(0, len(text), PIECE)]
    found = [piece for piece in found if len(piece) > PIECE // 8]
    random.Random(1).shuffle(found)
    return itertools.cycle(found)


def conversations(file: Path, exchanges: int, most: int) -> Iterator[list[dict[str, Any]]]:
    """Conversations of so many exchanges, until their content has `most` bytes."""
    size, words = 0, pieces(file)
    while size < most:
        roles = ["user", "assistant"] * exchanges
        messages = [{"role": role, "content": next(words)} for role in roles]
        size += sum(len(message["content"].encode()) for message in messages)
        yield messages


def write(work: Path, folder: Path, file: Path, exchanges: int, most: int) -> None:
    """Writes conversations, and the texts that the template makes of them."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    chats, texts = ((work / f"{kind}.jsonl").open("w", encoding="utf-8") for kind in ("chats", "texts"))
    with chats, texts:
        for messages in conversations(file, exchanges, most):
            chats.write(json.dumps({"messages": messages}, ensure_ascii=False) + "\n")
            text = tokenizer.apply_chat_template(messages, tokenize=False)
            texts.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mashbill", type=Path, required=True, help="the mashbill program")
    parser.add_argument("--tokenizer", type=Path, required=True, help="the folder of a tokenizer with a chat template")
    parser.add_argument(
        "--input", type=Path, required=True, help="a .jsonl file whose texts the conversations are made of"
    )
    parser.add_argument("--exchanges", type=int, default=8, help="questions with answers in a conversation [8]")
    parser.add_argument("--megabytes", type=int, default=70, help="content of the conversations, in 10^6 bytes [70]")
    parser.add_argument("--pairs", type=int, default=7, help="pairs of runs [7]")
    parser.add_argument("--threads", type=int, default=1, help="threads that compute [1]")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mashbill-chats-") as root:
        work = Path(root)
        for name, most in (("all", args.megabytes * 1_000_000), ("one", 1)):
            (work / name).mkdir()
            # In a process of its own, since children inherit the peak of their parent's memory.
            arguments = (work / name, args.tokenizer, args.input, args.exchanges, most)
            writing = multiprocessing.get_context("spawn").Process(target=write, args=arguments)
            writing.start()
            writing.join()
            if writing.exitcode != 0:
                raise SystemExit("error: the conversations could not be made")

        def run(*words: object) -> Used:
            environment = {**os.environ, "XDG_CACHE_HOME": str(work / "cache")}
            command = [str(word) for word in (args.mashbill, *words)]
            process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            said = process.stderr.read() if process.stderr else b""
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 0:
                raise SystemExit(f"error: exit code {process.returncode}\n{said.decode()}")
            return Used(used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)

        def tokenize(which: str, kind: str) -> Used:
            flags = ("--chat-template", "auto") if kind == "chats" else ("--no-bos", "--no-eos")
            shutil.rmtree(work / kind, ignore_errors=True)
            common = ("--quiet", "--tokenizer", args.tokenizer, "--threads", args.threads, "--max-seq-length", 2048)
            return run("tokenize", *common, "--input", work / which / f"{kind}.jsonl", "--output", work / kind, *flags)

        kinds = ("texts", "chats")
        starts = {kind: min(tokenize("one", kind).seconds for _ in range(5)) for kind in kinds}
        pairs = [{kind: tokenize("all", kind) for kind in kinds} for _ in range(args.pairs)]
        checks = [{kind: run("verify", "--quiet", work / kind) for kind in kinds} for _ in range(args.pairs)]
    net = {kind: [pair[kind].seconds - starts[kind] for pair in pairs] for kind in kinds}
    for kind in kinds:
        median, memory = statistics.median(net[kind]), max(pair[kind].memory for pair in pairs)
        print(f"{kind}: {args.megabytes / median:.2f} MB of content/CPU-s, {memory / 1e6:.0f} MB of memory")
    told("speed of chats / texts", [texts / chats for texts, chats in zip(net["texts"], net["chats"], strict=True)])
    told("memory of chats / texts", [pair["chats"].memory / pair["texts"].memory for pair in pairs])
    told("CPU of verify, chats / texts", [pair["chats"].seconds / pair["texts"].seconds for pair in checks])


def told(what: str, ratios: list[float]) -> None:
    print(f"{what}: {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}), {len(ratios)} pairs")


if __name__ == "__main__":
    main()
