"""What the architectures give back: a signal frame that heals a borrowed thread, and changes to its registers."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Changes = tuple[tuple[int, bytes], ...]
    Read = Callable[[int, int], bytes]


class HealFrame:
    """A signal frame that brings a borrowed thread back by itself.

    ``blocks`` are to be written into the target. A function called with the stack pointer at ``stack_pointer``
    returns to ``restore_rt``, which makes the call ``rt_sigreturn``: that restores every register, the FPU and the
    signal mask as they were. ``context`` is what the stack pointer is when that call is made.
    """

    def __init__(
        self, blocks: tuple[tuple[int, bytes], ...], stack_pointer: int, context: int, restore_rt: int
    ) -> None:
        self.blocks, self.stack_pointer, self.context, self.restore_rt = blocks, stack_pointer, context, restore_rt
