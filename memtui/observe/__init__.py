"""What can be seen of a process without running anything in it."""
