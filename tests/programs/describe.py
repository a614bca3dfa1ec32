"""Says what a program can see of how it was started, as JSON."""

import json
import os
import sys


def tty(fd):
    try:
        return os.ttyname(fd)[:9]
    except OSError:
        return ""


print(
    json.dumps(
        {
            "argv": sys.argv,
            "path": sys.path,
            "name": __name__,
            "package": __package__,
            "main": vars(sys.modules["__main__"]).get("__file__"),
            "spec": getattr(__spec__, "name", None),
            "cwd": os.getcwd(),
            "environ": dict(os.environ),
            "executable": sys.executable,
            "flags": list(sys.flags),
            "fds": sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:4],
            "stdout_tty": os.isatty(1),
            "stderr_tty": os.isatty(2),
            "stdin": os.readlink("/proc/self/fd/0"),
            "leader": os.getsid(0) == os.getpid() == os.getpgid(0),
        }
    )
)
