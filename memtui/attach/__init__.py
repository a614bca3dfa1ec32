"""Getting the agent into a process, at a safe point, without a debugger."""
