"""Native allocations, recorded by memray: in a running process, under a launched program, read from a file."""
