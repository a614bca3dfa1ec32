"""Runs a command from which some system calls (x86-64 numbers, joined by commas) are withheld: they fail with EPERM."""
import ctypes
import os
import struct
import sys

LOAD, EQUAL, GIVE = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | 1
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, FILTER = 22, 38, 2

numbers = [int(one) for one in sys.argv[1].split(",")]
rules = [(LOAD, 0, 0, 0)]
rules += [(EQUAL, len(numbers) - at, 0, number) for at, number in enumerate(numbers)]
rules += [(GIVE, 0, 0, ALLOW), (GIVE, 0, 0, REFUSE)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in rules))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(rules), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
assert libc.prctl(PR_SET_SECCOMP, FILTER, ctypes.c_void_p(ctypes.addressof(program)), 0, 0) == 0, ctypes.get_errno()
os.execv(sys.argv[2], sys.argv[2:])
