"""What conversations cost: `mashbill tokenize --chat-template` beside plain `tokenize` of the text that the template
makes of them.

The conversations are pieces of the texts of a file, of about 300 characters each, in a random order that is always the
same. Each pair is one run of each kind, in turns; what a run on one line takes is subtracted from both. Told are the
medians of the pairs' ratios of speed, content bytes counted, with the least and the largest, and the largest memory of
each kind. So is what `mashbill verify` of masked rows takes beside that of plain ones. With `--trl` TRL's trainer does
on the same conversations what it does before it trains: masks, packed rows. Needs transformers, which renders the plain
texts, and trl for that.
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
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PIECE = 300
"""Characters of a message."""

PREPARE_TRL = Path(__file__).parent / "compare" / "peers" / "prepare_trl.py"


@dataclass(frozen=True)
class Used:
    """What a run has used: CPU-seconds of all threads, and its largest memory in bytes."""

    seconds: float
    memory: int


def pieces(file: Path) -> list[str]:
    """Pieces of the texts of a JSON Lines file, in a random order."""
    found = []
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            text = json.loads(line)["text"]
            found += [text[at : at + PIECE].strip() for at in range(0, len(text), PIECE)]
    found = [piece for piece in found if len(piece) > PIECE // 8]
    random.Random(1).shuffle(found)
    return found


def conversations(file: Path, exchanges: int) -> Iterator[list[dict[str, Any]]]:
    """Conversations of so many exchanges, each piece in one of them."""
    roles = ["user", "assistant"] * exchanges
    words = iter(pieces(file))
    for contents in zip(*[words] * len(roles), strict=False):
        yield [{"role": role, "content": content} for role, content in zip(roles, contents, strict=True)]


def write(work: Path, folder: Path, file: Path, exchanges: int, most: int) -> None:
    """Writes conversations, and the texts that the template makes of them, until their content has `most` bytes; when
    there are no more, they come again.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(folder))

    def made() -> Iterator[tuple[int, str, str]]:
        for messages in conversations(file, exchanges):
            content = sum(len(message["content"].encode()) for message in messages)
            record = {"text": tokenizer.apply_chat_template(messages, tokenize=False)}
            lines = (json.dumps(line, ensure_ascii=False) + "\n" for line in ({"messages": messages}, record))
            yield (content, *lines)

    size = 0
    chats, texts = ((work / f"{kind}.jsonl").open("w", encoding="utf-8") for kind in ("chats", "texts"))
    with chats, texts:
        for content, chat, text in itertools.cycle(made()):
            chats.write(chat)
            texts.write(text)
            size += content
            if size >= most:
                break


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
    parser.add_argument(
        "--trl", type=int, default=0, metavar="RUNS", help="so many runs of TRL, each beside one of ours [0]"
    )
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
            command = [str(word) for word in words]
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
            paths = ("--input", work / which / f"{kind}.jsonl", "--output", work / kind)
            return run(args.mashbill, "tokenize", *common, *paths, *flags)

        def verify(kind: str) -> Used:
            return run(args.mashbill, "verify", "--quiet", work / kind)

        def prepare_trl(which: str) -> Used:
            shutil.rmtree(work / "trl", ignore_errors=True)
            return run(sys.executable, PREPARE_TRL, args.tokenizer, work / which / "chats.jsonl", work / "trl")

        kinds = ("texts", "chats")
        starts = {kind: min(tokenize("one", kind).seconds for _ in range(5)) for kind in kinds}
        pairs = [{kind: tokenize("all", kind) for kind in kinds} for _ in range(args.pairs)]
        checks = [{kind: verify(kind) for kind in kinds} for _ in range(args.pairs)]
        trl_start = min((prepare_trl("one").seconds for _ in range(2 if args.trl else 0)), default=0)
        peers = [(tokenize("all", "chats").seconds, prepare_trl("all").seconds) for _ in range(args.trl)]
    net = {kind: [pair[kind].seconds - starts[kind] for pair in pairs] for kind in kinds}
    for kind in kinds:
        median, memory = statistics.median(net[kind]), max(pair[kind].memory for pair in pairs)
        print(f"{kind}: {args.megabytes / median:.2f} MB of content/CPU-s, {memory / 1e6:.0f} MB of memory")
    told("speed of chats / texts", [texts / chats for texts, chats in zip(net["texts"], net["chats"], strict=True)])
    told("memory of chats / texts", [pair["chats"].memory / pair["texts"].memory for pair in pairs])
    told("CPU of verify, chats / texts", [pair["chats"].seconds / pair["texts"].seconds for pair in checks])
    if peers:
        nets = [(ours - starts["chats"], trl - trl_start) for ours, trl in peers]
        print(f"TRL: {args.megabytes / statistics.median(trl for _, trl in nets):.2f} MB of content/CPU-s")
        told("speed of chats / TRL", [trl / ours for ours, trl in nets])


def told(what: str, ratios: list[float]) -> None:
    print(f"{what}: {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}), {len(ratios)} pairs")


if __name__ == "__main__":
    main()
