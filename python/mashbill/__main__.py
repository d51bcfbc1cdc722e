"""The `mashbill` command, the same code as the program that `cargo install` builds."""

import sys

from mashbill import _mashbill


def main() -> int:
    """Runs the command with the process's arguments and gives its exit code."""
    return _mashbill.run(["mashbill", *sys.argv[1:]], sys.executable)


if __name__ == "__main__":
    sys.exit(main())
