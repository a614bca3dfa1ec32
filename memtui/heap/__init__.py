"""Memory bytes of a target to objects and types. numpy is used here only, in a process of its own."""
