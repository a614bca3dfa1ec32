"""Entry point of the ``memtui`` command and of ``python -m memtui``."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line and return its exit code."""
    from memtui.cli.main import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
