"""What `mashbill tokenize --val-fraction` costs: paired runs over the same file with it and without.

The documents that are held out are made by a run of their own over the same input, which reads, parses and hashes all
of it and encodes only them. Each pair is one run of each kind, in turns; what a run on one line takes is subtracted
from both, and the median of the pairs' ratios is told with the least and the largest.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mashbill", type=Path, required=True, help="the mashbill program")
    parser.add_argument("--tokenizer", required=True, help="a tokenizer, as `mashbill tokenize` takes it")
    parser.add_argument("--input", type=Path, required=True, help="a .jsonl file")
    parser.add_argument("--fraction", type=float, default=0.01, help="the share that is held out [0.01]")
    parser.add_argument("--pairs", type=int, default=7, help="pairs of runs [7]")
    parser.add_argument("--threads", type=int, default=1, help="threads that compute [1]")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mashbill-held-out-") as work:
        one_line = Path(work) / "line.jsonl"
        one_line.write_text('{"text":"a"}\n', encoding="utf-8")

        def cost(file: Path, *flags: str) -> float:
            """CPU-seconds of a run, user and system, all threads."""
            output = Path(work) / "output"
            shutil.rmtree(output, ignore_errors=True)
            command = [args.mashbill, "tokenize", "--quiet", "--tokenizer", args.tokenizer, "--threads", args.threads]
            command += ["--max-seq-length", 1024, "--input", file, "--output", output, *flags]
            environment = {**os.environ, "XDG_CACHE_HOME": str(Path(work) / "cache")}
            process = subprocess.Popen([str(word) for word in command], env=environment, stderr=subprocess.PIPE)
            said = process.stderr.read() if process.stderr else b""
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 0:
                raise SystemExit(f"error: exit code {process.returncode}\n{said.decode()}")
            return used.ru_utime + used.ru_stime

        held_out = ("--val-fraction", str(args.fraction))
        cost(args.input)
        starts = [min(cost(one_line, *flags) for _ in range(5)) for flags in ((), held_out)]
        pairs = [(cost(args.input) - starts[0], cost(args.input, *held_out) - starts[1]) for _ in range(args.pairs)]
    ratios = [with_it / without for without, with_it in pairs]
    without, with_it = (statistics.median(each) for each in zip(*pairs, strict=True))
    print(f"without {without:.2f} CPU-s, with --val-fraction {args.fraction} {with_it:.2f} CPU-s")
    print(f"ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}), {args.pairs} pairs")


if __name__ == "__main__":
    main()
