"""Regenerates memtui/observe/offsets.json from the headers of the interpreters given (or checks it).

    python tests/tools/dump_offsets.py [--check] PYTHON...

Each PYTHON is an interpreter with its development headers; a C compiler named ``cc`` is needed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_suffix(".c")
TABLE = Path(__file__).resolve().parents[2] / "memtui" / "observe" / "offsets.json"
ABOUT = "Offsets in bytes on 64-bit Linux, compiled from each version's own headers by tests/tools/dump_offsets.py."
INCLUDE = "import sysconfig; print(sysconfig.get_path('include'))"


def offsets_of(python: str) -> dict[str, Any]:
    """The offsets of one interpreter. Raises CalledProcessError when its headers do not compile."""
    include = subprocess.run([python, "-c", INCLUDE], check=True, capture_output=True, text=True).stdout.strip()
    with tempfile.TemporaryDirectory() as directory:
        program = Path(directory) / "offsets"
        # 3.8 includes its internal headers by their bare names; newer ones by "internal/...".
        includes = [f"-I{include}", f"-I{include}/internal"]
        subprocess.run(["cc", "-w", *includes, "-o", str(program), str(SOURCE)], check=True, capture_output=True)
        answer: dict[str, Any] = json.loads(subprocess.run([program], check=True, capture_output=True).stdout)
        return answer


def _numbers(versions: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Without the patch release they come from, within which nothing moves."""
    return {name: {**offsets, "compiled_from": ""} for name, offsets in versions.items()}


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the table instead of writing it")
    parser.add_argument("pythons", nargs="+", metavar="PYTHON")
    arguments = parser.parse_args()
    table = json.loads(TABLE.read_text("utf-8")) if TABLE.exists() else {}
    versions = dict(table.get("versions", {}))
    for python in arguments.pythons:
        offsets = offsets_of(python)
        versions[".".join(offsets["compiled_from"].split(".")[:2])] = offsets
    ordered = dict(sorted(versions.items(), key=lambda item: tuple(map(int, item[0].split(".")))))
    if arguments.check:
        return int(_numbers(ordered) != _numbers(table.get("versions", {})))
    TABLE.write_text(json.dumps({"about": ABOUT, "versions": ordered}, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
