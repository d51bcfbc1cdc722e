"""What a terminal is sent: nothing that steers it comes from files, names or servers."""

import json
import os
import pty
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cases import Workshop

# Escape sequences of both kinds, a carriage return, a bell, a step back, marks of direction and a separator of lines.
HOSTILE = "x\x1b]0;own\x07\x1b[2J\x9b31m\r\x08\x85\u202etxt\u2066\u2069\u200e\u061c\u2028y"
STEERING = {*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), *"\u061c\u200e\u200f"}
STEERING |= {*map(chr, range(0x2028, 0x202F)), *map(chr, range(0x2066, 0x206A))}


def on_terminal(folder: Path, *arguments: str, **environment: str) -> str:
    """What the command sends to a terminal on stdout and stderr."""
    ours, theirs = pty.openpty()
    env = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    env |= {"HOME": str(folder), "HF_HUB_OFFLINE": "1", "TERM": "xterm-256color", "COLUMNS": "200"} | environment
    process = subprocess.Popen(
        [folder / "mashbill", *arguments],
        cwd=folder,
        env=env,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        close_fds=True,
    )
    os.close(theirs)
    sent = b""
    while True:
        try:
            some = os.read(ours, 1 << 16)
        except OSError:  # Linux's word for the end.
            break
        if not some:
            break
        sent += some
    os.close(ours)
    assert process.wait(60) in {0, 1, 2, 3, 4}, sent
    return sent.decode()


def assert_harmless(sent: str) -> None:
    """Only the command's own colors, bars and line ends steer."""
    left = OWN.sub("", sent)
    found = [ascii(left[max(at - 20, 0) : at + 20]) for at, character in enumerate(left) if character in STEERING]
    assert not found, found[:5]


# Colors, and how a bar is drawn and cleared; the terminal turns line ends into two characters.
OWN = re.compile(r"\x1b\[(?:\d+(?:;\d+)*)?m|\x1b\[[0-2]?[KJ]|\x1b\[\d*[ABG]|\r\n|\r(?=[\x1b█░ #\-]|$)|\n")


def file_name(text: str) -> str:
    return text.replace("/", "_")


@pytest.fixture
def folder(tmp_path: Path, workshop: Workshop) -> Path:
    (tmp_path / "mashbill").symlink_to(workshop.binary)
    data = tmp_path / "data"
    data.mkdir()
    record = {"text": HOSTILE + "\n" + HOSTILE, "id": HOSTILE, "source": HOSTILE, "category": HOSTILE}
    (data / "a.jsonl").write_text(json.dumps(record) + "\n" + json.dumps({HOSTILE: HOSTILE}) + "\n" + HOSTILE + "\n")
    (data / "sub\u202efolder").mkdir()
    (data / "sub\u202efolder" / "b\u200etxt.jsonl").write_text(json.dumps(record) + "\n")
    return tmp_path


def tokenize(folder: Path, *more: str) -> str:
    return on_terminal(
        folder, "tokenize", "--input", "data", "--recursive", "--output", "out", "--tokenizer", "gpt2",
        "--max-seq-length", "16", *more,
    )  # fmt: skip


def test_a_run_and_everything_that_reads_it(folder: Path) -> None:
    sent = tokenize(folder)
    assert "\\u{200e}" in sent
    assert_harmless(sent)
    (folder / "out" / f"stray{file_name(HOSTILE)}").mkdir()
    (folder / "out" / "a" / f"stray{file_name(HOSTILE)}.parquet").write_bytes(b"PAR1")
    for arguments in (
        ["verify", "out"],
        ["verify", "out", "--json"],
        ["verify", "data"],
        ["inspect", "out"],
        ["inspect", "out", "--json"],
        ["inspect", "out", "--find", "txt"],
        ["inspect", "out", "--find", HOSTILE],
        ["inspect", "out", "--doc", HOSTILE],
        ["inspect", "out", "--split", HOSTILE],
        ["inspect", "out", "--step", "0", "--batch-size", "1"],
        ["inspect", "out", "--step", "0", "--batch-size", "1", "--json"],
        ["inspect", "data"],
        ["inspect", "data", "--json"],
        ["inspect", "data", "--find", HOSTILE],
        ["report", "out", "--output", f"page{file_name(HOSTILE)}.html"],
        ["report", "data", "--output", "page.html"],
        ["download", "--status-only", "--output", "data"],
    ):
        sent = on_terminal(folder, *arguments)
        assert sent.strip(), arguments
        assert_harmless(sent)
    assert_harmless(tokenize(folder, "--skip-existing"))


def test_arguments_and_paths_in_errors(folder: Path) -> None:
    for arguments in (
        [HOSTILE],
        [f"--{HOSTILE}"],
        ["verify", f"--{HOSTILE}"],
        ["verify", HOSTILE],
        ["inspect", HOSTILE],
        ["report", HOSTILE],
        ["tokenize", "--input", HOSTILE, "--output", "out", "--tokenizer", "gpt2", "--max-seq-length", "16"],
        ["tokenize", "--input", "data", "--output", "out", "--tokenizer", HOSTILE, "--max-seq-length", "16"],
        ["tokenize", "--input", "data", "--output", "out", "--tokenizer", "gpt2", "--max-seq-length", HOSTILE],
        ["tokenize", "--input", "data", "--output", "out", "--tokenizer", "gpt2", "--eos-token", HOSTILE],
        ["download", "--dataset", HOSTILE],
        ["download", "--category", HOSTILE],
        ["download", "--catalog", HOSTILE],
        ["download", "--budget", HOSTILE],
        ["doctor", "--tokenizer", HOSTILE, "--output", HOSTILE, "--python", HOSTILE],
    ):
        sent = on_terminal(folder, *arguments)
        assert "error" in sent, arguments
        assert_harmless(sent)


def test_files_that_are_wrong(folder: Path) -> None:
    tokenize(folder)
    manifest = json.loads((folder / "out/manifest.json").read_text())
    (folder / "catalog.toml").write_bytes(f'[[dataset]]\nrepo = "a/b"\n"{HOSTILE}" = 1\n'.encode())
    (folder / "tokenizer.json").write_text(json.dumps({"version": HOSTILE, "model": {"type": HOSTILE}, HOSTILE: 1}))
    for change in (
        {"tokenizer": HOSTILE},
        {"labels": {"convention": HOSTILE, "ignore_index": -100, "boundary": "", "last_position": ""}},
        {"splits": {HOSTILE: manifest["splits"]["a"]}},
        {"splits": {"a": manifest["splits"]["a"] | {"rejected": {HOSTILE: 1}}}},
    ):
        (folder / "out/manifest.json").write_text(json.dumps(manifest | change, ensure_ascii=False))
        for command in ("verify", "inspect", "report"):
            assert_harmless(on_terminal(folder, command, "out"))
        assert_harmless(tokenize(folder, "--skip-existing"))
    for arguments in (
        ["download", "--catalog", "catalog.toml", "--dry-run"],
        ["tokenize", "--input", "data", "--output", "o", "--tokenizer", "tokenizer.json", "--max-seq-length", "16"],
    ):
        sent = on_terminal(folder, *arguments)
        assert "error" in sent
        assert_harmless(sent)


def test_a_server_that_answers_with_them(folder: Path) -> None:
    body = json.dumps({"error": HOSTILE, "sha": HOSTILE, "id": HOSTILE, "siblings": [{"rfilename": HOSTILE}]}).encode()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(int(self.server.status))  # type: ignore[attr-defined]
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        # Other codes are tried again for minutes.
        for status in (401, 404):
            server.status = status  # type: ignore[attr-defined]
            for arguments in (
                ["download", "--dataset", "org/name", "--output", "d"],
                ["tokenize", "--input", "data", "--output", "o", "--tokenizer", "org/name", "--max-seq-length", "16"],
                ["doctor", "--tokenizer", "org/name"],
            ):
                sent = on_terminal(folder, *arguments, HF_ENDPOINT=endpoint, HF_HUB_OFFLINE="0")
                assert_harmless(sent)
    finally:
        server.shutdown()
