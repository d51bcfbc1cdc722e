"""The stand-in for the Hub as a process, and the official clients run against it."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOKEN = "hf_GoodSecret"
STRANGER_TOKEN = "hf_StrangerSecret"


@dataclass(frozen=True)
class StandIn:
    """A running stand-in. It ends with its input."""

    process: subprocess.Popen[str]
    endpoint: str
    store: str

    def put(self, repo: str, main: Path, *, access: str = "open", **more: Any) -> None:  # noqa: ANN401
        """Puts a dataset whose files lie in the folder `main`."""
        branches = {"main": str(main), **more.pop("branches", {})}
        self._say({"id": repo, "access": access, "license": "mit", "branches": branches, **more})

    def fail(self, on: str, fault: str | dict[str, Any], times: int = 1) -> None:
        """Lets the next requests whose `METHOD path` contains `on` go wrong."""
        self._request("POST", "rules", {"on": on, "times": times, "fault": fault})

    def log(self) -> list[dict[str, Any]]:
        return self._request("GET", "log")

    def reset(self) -> None:
        """Forgets the faults and the log."""
        self._request("DELETE", "rules")
        self._request("DELETE", "log")

    def _say(self, line: dict[str, Any]) -> Any:  # noqa: ANN401
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def _request(self, method: str, what: str, body: Any = None) -> Any:  # noqa: ANN401
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.endpoint}/_stand-in/{what}", data, method=method)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def environment(self, home: Path, **more: str) -> dict[str, str]:
        """What a client needs to find this Hub, and to find nothing of the user's."""
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
            kept.pop(name, None)
        return {
            **kept,
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            **more,
        }

    def run(self, script: str, *arguments: str, home: Path, **more: str) -> Any:  # noqa: ANN401
        """Runs a script in a Python of its own, since clients read the environment once; returns what it prints."""
        command = [sys.executable, "-c", script, *arguments]
        done = subprocess.run(command, env=self.environment(home, **more), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])


@contextmanager
def stand_in(program: Path, **first: Any) -> Iterator[StandIn]:  # noqa: ANN401
    """Starts the stand-in; `first` says how it behaves where nothing goes wrong."""
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        first = {"token": TOKEN, "stranger_token": STRANGER_TOKEN, **first}
        process.stdin.write(json.dumps(first) + "\n")
        process.stdin.flush()
        addresses = json.loads(process.stdout.readline())
        yield StandIn(process, addresses["endpoint"], addresses["store"])
        process.stdin.close()
