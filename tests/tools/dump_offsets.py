"""Regenerates the tables of offsets from the headers of the interpreters given (or checks them).

memtui/observe/offsets.json is made by dump_offsets.c, memtui/heap/read/layout.json by dump_layout.c.

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

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parents[1] / "memtui"
TABLES = {
    HERE / "dump_offsets.c": PACKAGE / "observe" / "offsets.json",
    HERE / "dump_layout.c": PACKAGE / "heap" / "read" / "layout.json",
}
ABOUT = "Offsets in bytes on 64-bit Linux, compiled from each version's own headers by tests/tools/dump_offsets.py."
INCLUDE = "import sysconfig; print(sysconfig.get_path('include'))"


def offsets_of(python: str, source: Path) -> dict[str, Any]:
    """What ``source`` prints for one interpreter. Raises CalledProcessError when its headers do not compile."""
    include = subprocess.run([python, "-c", INCLUDE], check=True, capture_output=True, text=True).stdout.strip()
    with tempfile.TemporaryDirectory() as directory:
        program = Path(directory) / "offsets"
        # 3.8 includes its internal headers by their bare names; newer ones by "internal/...".
        includes = [f"-I{include}", f"-I{include}/internal"]
        subprocess.run(["cc", "-w", *includes, "-o", str(program), str(source)], check=True, capture_output=True)
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
    results = [
        _update(source, table, arguments.pythons, only_check=arguments.check) for source, table in TABLES.items()
    ]
    return int(not all(results))


def _update(source: Path, path: Path, pythons: list[str], only_check: bool) -> bool:
    """Whether the table at ``path`` is what ``source`` prints; it is made so unless ``only_check``."""
    table = json.loads(path.read_text("utf-8")) if path.exists() else {}
    versions = dict(table.get("versions", {}))
    for python in pythons:
        offsets = offsets_of(python, source)
        versions[".".join(offsets["compiled_from"].split(".")[:2])] = offsets
    ordered = dict(sorted(versions.items(), key=lambda item: tuple(map(int, item[0].split(".")))))
    if only_check:
        return _numbers(ordered) == _numbers(table.get("versions", {}))
    path.write_text(json.dumps({"about": ABOUT, "versions": ordered}, indent=1) + "\n", "utf-8")
    return True


if __name__ == "__main__":
    sys.exit(main())
