"""The compiled part."""

from collections.abc import Sequence

__all__ = ["__version__", "run"]

__version__: str

def run(arguments: Sequence[str]) -> int:
    """Runs the `mashbill` command; `arguments` begins with the program's name. Gives the exit code."""
