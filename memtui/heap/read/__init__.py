"""From the bytes of a process's memory to a :class:`memtui.heap.picture.Picture`."""
