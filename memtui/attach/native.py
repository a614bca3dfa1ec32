"""The architecture of this machine. On one that memtui does not know, nothing is ever put into a process."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memtui.attach.architecture import Architecture, StubCode

arch: Architecture
stub_code: StubCode
if os.uname().machine == "aarch64":
    from memtui.attach import aarch64, aarch64_stubs

    arch, stub_code = aarch64, aarch64_stubs
else:
    from memtui.attach import x86_64, x86_64_stubs

    arch, stub_code = x86_64, x86_64_stubs
