"""The loader on disks that are full, hang, or are somebody else's."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import mashbill
import pytest
from mashbill import DataLoader, Dataset

HANGS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
/* A network disk that does not answer: reads of shards never return, whatever signal comes. */
ssize_t pread64(int file, void *bytes, size_t count, off64_t offset) {
    static ssize_t (*real)(int, void *, size_t, off64_t);
    char link[64], path[4096];
    ssize_t length;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    if (strstr(path, "shard_")) {
        fprintf(stderr, "hangs\\n");
        for (;;) pause();
    }
    if (!real) real = dlsym(RTLD_NEXT, "pread64");
    return real(file, bytes, count, offset);
}
"""

WAITS = """
import sys
from mashbill import DataLoader, Dataset
loader = DataLoader(Dataset(sys.argv[1]), 4, label_convention="shifted", threads=int(sys.argv[2]))
try:
    next(iter(loader))
except KeyboardInterrupt:
    # Where it is can be asked while the disk still hangs.
    print("interrupted", loader.step, loader.state_dict()["mashbill"][:1], flush=True)
    sys.exit(7)
"""


@pytest.fixture(scope="module")
def hanging_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if sys.platform != "linux" or shutil.which("cc") is None:
        pytest.skip("takes Linux and a C compiler")
    place = tmp_path_factory.mktemp("hangs")
    (place / "hangs.c").write_text(HANGS)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", place / "hangs.so", place / "hangs.c", "-ldl"], check=True)
    return place / "hangs.so"


def interrupted(command: list[str], waits_for: str, **options: object) -> tuple[int, str]:
    """Starts `command`, and sends Ctrl-C when a line of its errors says `waits_for`."""
    # A shell that starts these tests in the background lets its children ignore Ctrl-C.
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes, **options) as process:
        try:
            signal.signal(signal.SIGINT, ignored)
            assert process.stderr is not None and process.stdout is not None
            for line in process.stderr:
                if waits_for in line:
                    break
            process.send_signal(signal.SIGINT)
            code = process.wait(timeout=30)
            return code, process.stdout.read()
        finally:
            process.kill()


@pytest.mark.parametrize("threads", [0, 2])
def test_a_disk_that_hangs_lets_ctrl_c_through(folder: Path, hanging_disk: Path, threads: int) -> None:
    command = [sys.executable, "-c", WAITS, str(folder), str(threads)]
    code, out = interrupted(command, "hangs", env=os.environ | {"LD_PRELOAD": str(hanging_disk)})
    assert (code, out) == (7, "interrupted 0 {\n")


BUILDS = """
import sys
from mashbill import Dataset
print("begins", file=sys.stderr, flush=True)
Dataset(sys.argv[1], cache=sys.argv[2])
"""


def test_a_cache_that_somebody_else_makes_lets_ctrl_c_through(folder: Path, tmp_path: Path) -> None:
    import fcntl
    import json

    cache = tmp_path / "cache"
    cache.mkdir(mode=0o755)
    manifest = json.loads((folder / "manifest.json").read_text())
    locks = []
    for split in manifest["splits"].values():
        for shard in split["shard_list"]:
            if "file" not in shard:
                continue
            locks.append((cache / f"{shard['file']['checksum']}.lock").open("w"))
            fcntl.flock(locks[-1], fcntl.LOCK_EX)
    code, _ = interrupted([sys.executable, "-c", BUILDS, str(folder), str(cache)], "begins")
    assert code in (1, -signal.SIGINT)
    for lock in locks:
        lock.close()
    # What the killed process left is no hindrance.
    Dataset(folder, cache=cache)
    assert {path.suffix for path in cache.iterdir()} == {".rows"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_leaves_nothing_half_made(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k,mode=755", "tmpfs", cache], check=False).returncode:
        pytest.skip("this user may not mount a tmpfs")
    try:
        with pytest.raises(
            mashbill.MashbillError, match=r"no space left on the disk.*\nhint: make room, or name a cache"
        ):
            Dataset(folder, cache=cache)
        assert [path for path in cache.iterdir() if path.suffix != ".rows"] == []
        # Without the cache, and with it on a larger disk, training goes on.
        assert len(next(iter(DataLoader(Dataset(folder), 4, label_convention="shifted"))).rows) == 4
        subprocess.run(["mount", "-o", "remount,size=64m", cache], check=True)
        Dataset(folder, cache=cache)
    finally:
        subprocess.run(["umount", cache], check=False)


def test_processes_that_want_the_same_cache_make_it_once(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", BUILDS, str(folder), str(tmp_path / "cache")]
    for process in [subprocess.Popen(command) for _ in range(3)]:
        assert process.wait(timeout=60) == 0
    cached = Dataset(folder, cache=tmp_path / "cache")
    assert {path.suffix for path in (tmp_path / "cache").iterdir()} == {".rows"}
    rows = [batch["input_ids"].tolist() for batch in DataLoader(cached, 4, label_convention="shifted")]
    assert rows == [batch["input_ids"].tolist() for batch in DataLoader(Dataset(folder), 4, label_convention="shifted")]


def test_a_file_of_the_cache_that_is_cut_off_is_made_again_with_a_word(folder: Path, tmp_path: Path) -> None:
    dataset = Dataset(folder, cache=tmp_path / "cache")
    files = sorted((tmp_path / "cache").iterdir())
    before = [path.read_bytes() for path in files]
    for path, whole in zip(files, before, strict=True):
        path.write_bytes(whole[: len(whole) // 2])
    one = DataLoader(dataset, len(dataset), label_convention="shifted")
    with pytest.warns(UserWarning, match="a file in the cache `.*` was damaged and is made again"):
        batch = next(iter(one))
    other = next(iter(DataLoader(Dataset(folder), len(dataset), label_convention="shifted")))
    assert (batch["input_ids"] == other["input_ids"]).all()
    assert [path.read_bytes() for path in files] == before


def test_a_cache_of_everybody_is_not_trusted(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    with pytest.raises(mashbill.MashbillError, match=r"is not trusted: every user can write to it\nhint: chmod go-w"):
        Dataset(folder, cache=cache)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("threads", [0, 2])
def test_the_same_error_reads_the_same(folder: Path, tmp_path: Path, threads: int) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    for shard in copy.glob("*/shard_*.parquet"):
        bytes = bytearray(shard.read_bytes())
        bytes[100] ^= 1
        shard.write_bytes(bytes)
    one = DataLoader(Dataset(copy), 4, label_convention="shifted", threads=threads)
    errors = []
    for _ in range(3):
        with pytest.raises(mashbill.ShardError, match=r"is damaged: .*\nhint: `mashbill verify .*copy` says") as raised:
            next(iter(one))
        errors.append(str(raised.value))
    assert len(set(errors)) == 1
    assert one.step == 0


def test_a_table_that_does_not_fit_is_said(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    table = copy / "water" / "_documents" / "shard_0000.documents"
    bytes = bytearray(table.read_bytes())
    bytes[len(bytes) // 3] ^= 4
    table.write_bytes(bytes)
    dataset = Dataset(copy, ["water"])
    one = DataLoader(dataset, len(dataset), label_convention="shifted", documents=True)
    message = r"document table `.*shard_0000\.documents` of split `water` is damaged: its checksum is"
    with pytest.raises(mashbill.ShardError, match=message):
        dataset.sources(next(iter(one)))
    with pytest.raises(mashbill.ShardError, match=message):
        one.locate(0)
    # A key that no document has is no source of another one.
    whole = Dataset(folder, ["water"])
    batch = next(iter(DataLoader(whole, 4, label_convention="shifted", documents=True)))
    batch.doc_ids[0] += 1
    with pytest.raises(mashbill.ShardError, match=r"has no document \d+, but a row has a part of it"):
        whole.sources(batch)
