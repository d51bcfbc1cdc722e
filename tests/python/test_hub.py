"""The stand-in for the Hub is faithful: the official clients find on it what they find on the Hub."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cases import Workshop
from stand_in import STRANGER_TOKEN, TOKEN, StandIn, stand_in

ROWS = 300

HUB = """
import json, sys
from pathlib import Path
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError, GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError,
)

api = HfApi()
kind = dict(repo_type="dataset")
good = dict(token=sys.argv[1], **kind)

def name(call):
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return "no error"

info = api.dataset_info("org/open")
tree = list(api.list_repo_tree("org/open", recursive=True, **kind))
refs = api.list_repo_refs("org/open", **kind)
converted = api.list_repo_tree("org/open", "default", revision="refs/convert/parquet", recursive=True, **kind)
folder = Path(snapshot_download("org/open", **kind))
private = Path(hf_hub_download("org/private", "data.jsonl", **good))
paths = api.get_paths_info("org/open", ["train/0.parquet", "nowhere"], **kind)
print(json.dumps({
    "sha": info.sha,
    "siblings": sorted(file.rfilename for file in info.siblings),
    "license": [tag for tag in info.tags if tag.startswith("license:")],
    "files": {e.path: [e.size, e.lfs.sha256 if e.lfs else e.blob_id] for e in tree if hasattr(e, "size")},
    "folders": [entry.path for entry in tree if not hasattr(entry, "size")],
    "converts": [[ref.name, ref.ref] for ref in refs.converts],
    "branches": [[ref.name, ref.target_commit] for ref in refs.branches],
    "converted": [entry.path for entry in converted if hasattr(entry, "size")],
    "snapshot": {str(path.relative_to(folder)): str(path) for path in folder.rglob("*") if path.is_file()},
    "private": private.read_text(),
    "moved": api.dataset_info("org/moved").id,
    "paths": [path.path for path in paths],
    "whoami": api.whoami(token=sys.argv[1])["name"],
    "errors": [
        name(lambda: api.dataset_info("org/nowhere")),
        name(lambda: api.dataset_info("org/private")),
        name(lambda: api.dataset_info("org/open", revision="nowhere")),
        name(lambda: hf_hub_download("org/open", "nowhere", **kind)),
        name(lambda: hf_hub_download("org/gated", "data.jsonl", **kind)),
        name(lambda: hf_hub_download("org/gated", "data.jsonl", token=sys.argv[2], **kind)),
        name(lambda: api.whoami(token="hf_unknown")),
    ],
}))
"""

DATASETS = """
import json
from datasets import load_dataset
parquet = load_dataset("org/open", split="train")
lines = load_dataset("org/lines", split="train")
streamed = load_dataset("org/open", split="train", streaming=True)
print(json.dumps({
    "parquet": [parquet.num_rows, parquet[7]],
    "lines": list(lines["text"]),
    "streamed": sum(1 for _ in streamed),
}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the repositories, a folder each."""
    folder = tmp_path_factory.mktemp("repositories")
    for name in ("open/train", "converted/default/train", "lines", "closed"):
        (folder / name).mkdir(parents=True)
    table = pa.table({"id": list(range(ROWS)), "text": [f"text {row}" for row in range(ROWS)]})
    pq.write_table(table, folder / "open/train/0.parquet")
    pq.write_table(table, folder / "converted/default/train/0000.parquet")
    (folder / "open/README.md").write_text("---\nlicense: mit\n---\nhello\n")
    (folder / "open/notes ä +.txt").write_text("ä")
    (folder / "lines/train.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n')
    (folder / "closed/data.jsonl").write_text('{"text": "three"}\n')
    return folder


@pytest.fixture(scope="module")
def hub(workshop: Workshop, folder: Path) -> Iterator[StandIn]:
    program = workshop.binary.parent / "mashbill-stand-in"
    assert program.is_file(), f"{program} is not there: `cargo build` makes it"
    # Pages of three files, so that lists have several.
    with stand_in(program, page_size=3) as hub:
        hub.put("org/open", folder / "open", branches={"refs/convert/parquet": str(folder / "converted")})
        hub.put("org/lines", folder / "lines")
        hub.put("org/private", folder / "closed", access="private")
        hub.put("org/gated", folder / "closed", access="gated")
        hub.put("org/moved", folder / "closed", moved_to="org/open")
        yield hub


def git_sha1(contents: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(contents) + contents).hexdigest()


def test_huggingface_hub_finds_what_is_there(hub: StandIn, folder: Path, tmp_path: Path) -> None:
    hub.reset()
    found = hub.run(HUB, TOKEN, STRANGER_TOKEN, home=tmp_path)
    names = ["README.md", "notes ä +.txt", "train/0.parquet"]
    contents = {name: (folder / "open" / name).read_bytes() for name in names}
    parquet = contents["train/0.parquet"]
    assert (found["siblings"], found["license"]) == (names, ["license:mit"])
    assert found["files"] == {
        "README.md": [len(contents["README.md"]), git_sha1(contents["README.md"])],
        "notes ä +.txt": [2, git_sha1("ä".encode())],
        "train/0.parquet": [len(parquet), hashlib.sha256(parquet).hexdigest()],
    }
    assert found["folders"] == ["train"]
    assert {name: Path(path).read_bytes() for name, path in found["snapshot"].items()} == contents
    assert found["branches"] == [["main", found["sha"]]]
    assert found["converts"] == [["parquet", "refs/convert/parquet"]]
    assert found["converted"] == ["default/train/0000.parquet"]
    assert json.loads(found["private"]) == {"text": "three"}
    assert (found["moved"], found["paths"], found["whoami"]) == ("org/open", ["train/0.parquet"], "friend")
    assert found["errors"] == [
        "RepositoryNotFoundError",
        "RepositoryNotFoundError",
        "RevisionNotFoundError",
        "RemoteEntryNotFoundError",
        "GatedRepoError",
        "GatedRepoError",
        "HfHubHTTPError",
    ]
    # The store, another origin, is given no token.
    stored = [seen for seen in hub.log() if seen["origin"] == "store"]
    assert stored and not any(name.lower() == "authorization" for seen in stored for name, _ in seen["headers"])


def test_datasets_loads_from_it(hub: StandIn, tmp_path: Path) -> None:
    found = hub.run(DATASETS, home=tmp_path)
    assert found == {"parquet": [ROWS, {"id": 7, "text": "text 7"}], "lines": ["one", "two"], "streamed": ROWS}


def test_the_official_client_meets_the_faults(hub: StandIn, tmp_path: Path) -> None:
    """The faults are such as its own code for them knows: it waits as it is told, and goes on after a cut."""
    script = """
import json
from huggingface_hub import hf_hub_download
path = hf_hub_download("org/open", "train/0.parquet", repo_type="dataset")
print(json.dumps(path))
"""
    hub.reset()
    hub.fail("GET /", {"answer": {"status": 429, "headers": [["Retry-After", "0"]]}})
    hub.fail("Signature=", {"cut_after": 100})
    path = hub.run(script, home=tmp_path)
    assert pq.read_table(path).num_rows == ROWS
    statuses = [seen["status"] for seen in hub.log() if seen["method"] == "GET"]
    assert 429 in statuses and statuses.count(200) + statuses.count(206) >= 2, statuses
