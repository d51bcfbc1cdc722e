"""Memory and speed of `mashbill verify` and `mashbill report` on a folder of any size.

    python3 benches/verify_memory.py FOLDER --gb 5 --mashbill target/release/mashbill

FOLDER is one that `mashbill tokenize` wrote. Its splits are put into a new folder again and again, under names of their
own and with entries in its manifest, until that holds as many gigabytes: a dataset like any other, in which nothing is
wrong. Shards are hard links where the file system has them, so that the folder is made in seconds; they are read all
the same. Prints what each command took at its peak and how fast it was. Needs nothing but Python.
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path


def repeat(folder: Path, target: Path, size: int) -> int:
    """Makes a folder of at least `size` bytes of shards at `target`; gives how many bytes they have."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    splits, done, copy = {}, 0, 0
    while done < size:
        for name, split in manifest["splits"].items():
            other = f"{name}_{copy:04}"
            repeat_split(folder / name, target / other, name, other)
            splits[other] = split
            done += sum(shard["file"]["bytes"] for shard in split["shard_list"] if "file" in shard)
        copy += 1
    manifest["splits"], manifest["files_processed"], manifest["vanished"] = splits, len(splits), {}
    (target / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return done


def repeat_split(source: Path, target: Path, name: str, other: str) -> None:
    """Puts a split's files into another folder under another name."""
    target.mkdir(parents=True)
    for file in source.iterdir():
        if file.is_dir():
            repeat_split(file, target / file.name, name, other)
            continue
        place = target / (other + file.name.removeprefix(name) if file.name.startswith(f"{name}_") else file.name)
        if file.suffix == ".json":
            stats = json.loads(file.read_text(encoding="utf-8"))
            stats["split"] = other
            place.write_text(json.dumps(stats), encoding="utf-8")
            continue
        try:
            os.link(file, place)
        except OSError:
            shutil.copyfile(file, place)


def run(command: list[str]) -> str:
    """Runs a command and says what it took; ends where it fails."""
    begin = time.monotonic()
    process = os.posix_spawnp(command[0], command, os.environ)
    _, status, used = os.wait4(process, 0)
    seconds = time.monotonic() - begin
    code = os.waitstatus_to_exitcode(status)
    if code:
        raise SystemExit(f"error: {' '.join(command)}: exit code {code}")
    cpu = used.ru_utime + used.ru_stime
    return f"{used.ru_maxrss / 1024:.0f} MiB at its peak, {seconds:.1f} s, {cpu:.1f} CPU seconds"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a folder that `mashbill tokenize` wrote")
    parser.add_argument("--gb", type=float, default=5.0, help="gigabytes of shards [%(default)s]")
    parser.add_argument("--mashbill", default="target/release/mashbill", help="the command [%(default)s]")
    parser.add_argument("--threads", default="2", help="threads that compute [%(default)s]")
    parser.add_argument(
        "--work", type=Path, help="where the folder is made, on the same disk for hard links [FOLDER/..]"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="verify-memory-", dir=args.work or args.folder.absolute().parent) as work:
        repeated = Path(work) / "repeated"
        size = repeat(args.folder, repeated, int(args.gb * 1e9))
        print(f"{size / 1e9:.2f} GB of shards, {args.threads} threads")
        common = [str(repeated), "--threads", args.threads, "--quiet"]
        print(f"verify: {run([args.mashbill, 'verify', *common])}")
        print(f"report: {run([args.mashbill, 'report', *common, '-o', str(Path(work) / 'report.html')])}")
        print(f"the page: {(Path(work) / 'report.html').stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
