"""The bundled workload of `memtui run --demo`."""
