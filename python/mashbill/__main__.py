"""The `mashbill` command, the same code as the program that `cargo install` builds."""

import os
import sys

from mashbill import _mashbill


def main() -> int:
    """Runs the command with the process's arguments and gives its exit code."""
    # Python starts with closed ones, and a file that is opened then would take what is printed.
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    return _mashbill.run(["mashbill", *sys.argv[1:]], sys.executable)


if __name__ == "__main__":
    sys.exit(main())
