"""Downloads under faults and on slow lines: mashbill's client beside the official one, on the same stand-in for the Hub.

    python3 -m venv .venv && .venv/bin/pip install --require-hashes -r requirements-hub.lock
    .venv/bin/python hub.py faults --markdown faults.md
    .venv/bin/python hub.py speed

Both clients are commands: `hf download` of this Python's environment, over plain HTTP, and mashbill's example `fetch`.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COMPARE = Path(__file__).resolve().parent
REPOSITORY = COMPARE.parents[1]
sys.path.insert(0, str(REPOSITORY / "tests" / "python"))

from stand_in import STRANGER_TOKEN, TOKEN, StandIn, stand_in  # noqa: E402

MB = 1_000_000
DATASET = "org/data"
STORE = "Signature="


@dataclass(frozen=True)
class Client:
    """A command that downloads."""

    name: str
    command: Callable[[str, Path, str | None], list[str]]


def official(dataset: str, folder: Path, file: str | None) -> list[str]:
    dataset, _, revision = dataset.partition("@")
    command = [str(Path(sys.executable).parent / "hf"), "download", "--repo-type", "dataset", dataset]
    command += [file] if file else []
    command += ["--revision", revision] if revision else []
    return [*command, "--local-dir", str(folder)]


def ours(program: Path) -> Callable[[str, Path, str | None], list[str]]:
    return lambda dataset, folder, file: [str(program), dataset, str(folder), *([file] if file else [])]


@dataclass(frozen=True)
class Outcome:
    """What came of a download."""

    text: str
    moved: int
    seconds: float


@dataclass(frozen=True)
class Row:
    """A fault, or several in turn, and the file it befalls."""

    label: str
    faults: list[tuple[str, Any, int]] = field(default_factory=list)
    file: str = "40.parquet"
    dataset: str = DATASET
    environment: dict[str, str] = field(default_factory=dict)
    site: dict[str, Any] = field(default_factory=dict)
    # Signals that end the command once so many bytes were sent, one run each; then it is run to its end.
    signals: list[tuple[int, int]] = field(default_factory=list)
    # What happens between the runs.
    between: Callable[[StandIn, Path], None] | None = None
    disk_mb: int = 0


def answer(status: int, **headers: str) -> dict[str, Any]:
    pairs = [[name.replace("_", "-"), value] for name, value in headers.items()]
    return {"answer": {"status": status, "headers": pairs}}


def change_upstream(hub: StandIn, files: Path) -> None:
    (files / "40.parquet").write_bytes(noise(40 * MB, 2))
    hub.put(DATASET, files)


def rows() -> list[Row]:
    used_up = {"answer": {"status": 429, "headers": [["RateLimit", '"resolvers";r=0;t=3']]}}
    slow = {"bytes_per_second": 20 * MB}
    moments = random.Random(1)
    kills = [(signal.SIGKILL, moments.randrange(3 * MB)) for _ in range(30)]
    quiet = {"HF_HUB_DOWNLOAD_TIMEOUT": "3", "HF_HUB_ETAG_TIMEOUT": "3"}
    return [
        Row("nothing"),
        Row("cut at 3 of 9 MB", [(STORE, {"cut_after": 3 * MB}, 1)], "9.parquet"),
        Row("cut at 25 of 40 MB", [(STORE, {"cut_after": 25 * MB}, 1)]),
        Row("cut every 8 MB", [(STORE, {"cut_after": 8 * MB}, 1000)]),
        Row("ten cuts, each after 1 MB", [(STORE, {"cut_after": MB}, 10)]),
        Row("the store always cuts at 0 bytes", [(STORE, {"cut_after": 0}, 1000)]),
        Row("cut, then Range ignored (200)", [(STORE, {"cut_after": 25 * MB}, 1), (STORE, "ignore_range", 1)]),
        Row("cut, then another range than asked for", [(STORE, {"cut_after": 25 * MB}, 1), (STORE, "wrong_range", 1)]),
        Row("cut at 25 MB, then 403 (expired address)", [(STORE, {"cut_after": 25 * MB}, 1), (STORE, answer(403), 1)]),
        Row("no byte after 5 MB", [(STORE, {"stall_after": 5 * MB}, 1)], environment=quiet),
        Row("no answer", [(STORE, "hang", 1)], environment=quiet),
        Row("SIGTERM at 20 MB, then again", site=slow, signals=[(signal.SIGTERM, 20 * MB)]),
        Row("kill -9 at 20 MB, then again", site=slow, signals=[(signal.SIGKILL, 20 * MB)]),
        Row("kill -9 at 30 random moments, then again", site=slow, signals=kills),
        Row(
            "killed at 20 MB, changed upstream, then again",
            site=slow,
            signals=[(signal.SIGKILL, 20 * MB)],
            between=change_upstream,
        ),
        Row("one byte flipped, once", [(STORE, {"flip_byte": 7 * MB}, 1)]),
        Row("one byte flipped, always", [(STORE, {"flip_byte": 7 * MB}, 1000)]),
        Row("429 on resolve, RateLimit t=3, twice", [("/resolve/", used_up, 2)]),
        Row("503 on resolve, twice", [("/resolve/", answer(503), 2)]),
        Row("429 on the store, Retry-After: 2", [(STORE, answer(429, Retry_After="2"), 1)]),
        Row("503 on the store, once", [(STORE, answer(503), 1)]),
        Row("403 on the store, once", [(STORE, answer(403), 1)]),
        Row("416 on the store, once", [(STORE, answer(416), 1)]),
        Row("500 on tree, once", [("/tree/", answer(500), 1)], file=""),
        Row("500 on revision, once", [("/revision/", answer(500), 1)], file=""),
        Row("missing repository", dataset="org/nowhere"),
        Row("missing revision", dataset=f"{DATASET}@nowhere"),
        Row("missing file", file="nowhere"),
        Row("gated, no token", dataset="org/gated"),
        Row("gated, token without access", dataset="org/gated", environment={"HF_TOKEN": STRANGER_TOKEN}),
        Row("a token that the Hub does not know", environment={"HF_TOKEN": "hf_Unknown"}),
        Row("private, good token", dataset="org/private", environment={"HF_TOKEN": TOKEN}),
        Row("`HF_HUB_OFFLINE=1`, nothing cached", environment={"HF_HUB_OFFLINE": "1"}),
        Row("a disk with room for 30 of 40 MB", disk_mb=30),
    ]


def noise(size: int, seed: int) -> bytes:
    generator = random.Random(seed)
    return b"".join(generator.randbytes(min(MB, size - start)) for start in range(0, size, MB))


def measure(row: Row, client: Client, program: Path, work: Path) -> Outcome:
    """Runs a client on a stand-in of its own."""
    files, folder, home = work / "files", work / "folder", work / "home"
    for path in (files, folder, home):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
    for name in ("9.parquet", "40.parquet"):
        (files / name).write_bytes(noise(int(name.split(".")[0]) * MB, 1))
    if row.disk_mb:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={row.disk_mb}m", "tmpfs", str(folder)], check=True)
    try:
        with stand_in(program, **row.site) as hub:
            for name, access in (("data", "open"), ("gated", "gated"), ("private", "private")):
                hub.put(f"org/{name}", files, access=access)
            for on, fault, times in row.faults:
                hub.fail(on, fault, times)
            return outcome(row, client, hub, files, folder, home)
    finally:
        if row.disk_mb:
            subprocess.run(["umount", str(folder)], check=False)


def outcome(row: Row, client: Client, hub: StandIn, files: Path, folder: Path, home: Path) -> Outcome:
    command = client.command(row.dataset, folder, row.file or None)
    environment = hub.environment(home, **row.environment)
    start = time.monotonic()
    for number, at in row.signals:
        end_at(command, environment, hub, number, at)
        if (found := wrong_files(files, folder)) is not None:
            return Outcome(f"**wrong bytes** in `{found}` after a kill", 0, 0)
    if row.between:
        row.between(hub, files)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)
    seconds = time.monotonic() - start
    log = hub.log()
    said = done.stdout + done.stderr
    assert "hf_" not in re.sub(r"hf_(hub|xet|transfer|home|token)", "", said, flags=re.I), said
    leaked = any(s["origin"] == "store" and "authorization" in {n.lower() for n, _ in s["headers"]} for s in log)
    text = ("ok" if done.returncode == 0 else f"exit {done.returncode}: {last_line(done.stderr)}") + (
        ", **token sent to the store**" if leaked else ""
    )
    names = [row.file] if row.file else ["9.parquet", "40.parquet"]
    if done.returncode == 0 and not all((folder / name).is_file() for name in names):
        text = "exit 0, **no file**"
    if (found := wrong_files(files, folder)) is not None:
        text = f"exit {done.returncode}, **wrong bytes** in `{found}`"
    moved = sum(seen["sent"] for seen in log if seen["origin"] == "store")
    return Outcome(text, moved, seconds)


def wrong_files(files: Path, folder: Path) -> str | None:
    """A file under its final name that is not what the Hub has."""
    for path in files.iterdir():
        found = folder / path.name
        if found.is_file() and digest(found) != digest(path):
            return path.name
    return None


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def end_at(command: list[str], environment: dict[str, str], hub: StandIn, number: int, at: int) -> None:
    """Sends a signal once so many bytes were sent to the command."""
    before = sum(seen["sent"] for seen in hub.log())
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if sum(seen["sent"] for seen in hub.log()) - before >= at:
                process.send_signal(number)
                process.wait()
            time.sleep(0.005)


def last_line(text: str) -> str:
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("Hint:")]
    line = next((line for line in reversed(lines) if line.lower().startswith("error")), lines[-1] if lines else "")
    line = re.sub(r"http://127[^ ,]+", "…", line).replace("|", "\\|")
    line = re.sub(r"`?/[^ `]*/(folder|home)/", "`…/", line)
    return line if len(line) <= 120 else line[:120] + "…"


def faults(clients: list[Client], program: Path, work: Path, only: str | None) -> str:
    lines = ["| what goes wrong | " + " | ".join(f"{client.name} | moved | s" for client in clients) + " |"]
    lines.append("|---|" + "---|---:|---:|" * len(clients))
    for row in rows():
        if only and only not in row.label:
            continue
        cells = [row.label]
        for client in clients:
            found = measure(row, client, program, work)
            size = sum(int(n.split(".")[0]) for n in ([row.file] if row.file else ["9.", "40."]) if n[0].isdigit()) * MB
            moved = f"{found.moved / size:.2f} ×" if found.moved and size else "–"
            cells += [found.text, moved, f"{found.seconds:.1f}"]
        lines.append("| " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def speed(clients: list[Client], program: Path, work: Path, rounds: int) -> str:
    files = work / "speed"
    for name in ("large", "small"):
        (files / name).mkdir(parents=True, exist_ok=True)
    (files / "large" / "400.parquet").write_bytes(noise(400 * MB, 3))
    for number in range(1000):
        (files / "small" / f"{number:04}.json").write_bytes(noise(10_000, number))
    lines = ["| files | " + " | ".join(f"{c.name}, s | CPU s" for c in clients) + " | ratio of times [range] |"]
    lines.append("|---|" + "---:|---:|" * len(clients) + "---:|")
    with stand_in(program, bytes_per_second=20 * MB, delay_ms=50) as hub:
        for name, label in (("large", "one of 400 MB"), ("small", "1,000 of 10 kB")):
            hub.put(f"org/{name}", files / name)
            measured: list[list[tuple[float, float]]] = [[] for _ in clients]
            for turn in range(rounds):
                order = list(range(len(clients)))
                for index in order if turn % 2 else reversed(order):
                    measured[index].append(timed(clients[index], f"org/{name}", hub, work))
            ratios = [there[0] / here[0] for here, there in zip(*measured, strict=True)]
            medians = [[statistics.median(times) for times in zip(*all_, strict=True)] for all_ in measured]
            cells = [f"{wall:.2f} | {cpu:.2f}" for wall, cpu in medians]
            ratio = f"{statistics.median(ratios):.1f} [{min(ratios):.1f}–{max(ratios):.1f}]"
            lines.append(f"| {label} | " + " | ".join(cells) + f" | {ratio} |")
            print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def timed(client: Client, dataset: str, hub: StandIn, work: Path) -> tuple[float, float]:
    """Wall and CPU seconds of a download into an empty folder."""
    folder, home = work / "folder", work / "home"
    for path in (folder, home):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    command = client.command(dataset, folder, None)
    subprocess.run(command, env=hub.environment(home), check=True, capture_output=True)
    seconds = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["faults", "speed"])
    parser.add_argument("--target", type=Path, default=REPOSITORY / "target" / "debug", help="where cargo built both")
    parser.add_argument("--only", help="only faults whose name contains this")
    parser.add_argument("--rounds", type=int, default=5, help="of the comparison of speed")
    parser.add_argument("--work", type=Path, help="a folder with a gigabyte of room")
    parser.add_argument("--markdown", type=Path, help="a file for the table")
    arguments = parser.parse_args()
    clients = [Client("mashbill", ours(arguments.target / "examples" / "fetch")), Client("`hf download`", official)]
    program = arguments.target / "mashbill-stand-in"
    with tempfile.TemporaryDirectory(dir=arguments.work) as work:
        if arguments.what == "faults":
            table = faults(clients, program, Path(work), arguments.only)
        else:
            table = speed(clients, program, Path(work), arguments.rounds)
    if arguments.markdown:
        arguments.markdown.write_text(table)


if __name__ == "__main__":
    main()
