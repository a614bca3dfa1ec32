/* Prints, as JSON, where one version of CPython keeps what memtui reads. Compiled by dump_offsets.py. */
#define Py_BUILD_CORE 1
#include <Python.h>
#include <stddef.h>
#include <stdio.h>

#if PY_VERSION_HEX < 0x03090000
#include "internal/pycore_pymem.h"
#include "internal/pycore_pystate.h"
#define FINALIZING finalizing
#define GC_OWNER "runtime"
#define GC_OFFSET offsetof(_PyRuntimeState, gc)
#else
#include "internal/pycore_gc.h"
#include "internal/pycore_interp.h"
#include "internal/pycore_runtime.h"
#define FINALIZING _finalizing
#define GC_OWNER "interpreter"
#define GC_OFFSET offsetof(PyInterpreterState, gc)
#endif

#define SHOW(name, value) printf("  \"%s\": %zu,\n", name, (size_t)(value))
#define GC(field) offsetof(struct _gc_runtime_state, field)

int main(void)
{
    printf("{\n  \"compiled_from\": \"%s\",\n  \"gc_owner\": \"%s\",\n", PY_VERSION, GC_OWNER);
    SHOW("runtime_main_interpreter", offsetof(_PyRuntimeState, interpreters.main));
    SHOW("runtime_initialized", offsetof(_PyRuntimeState, initialized));
    SHOW("runtime_finalizing", offsetof(_PyRuntimeState, FINALIZING));
    SHOW("gc", GC_OFFSET);
    SHOW("gc_size", sizeof(struct _gc_runtime_state));
    SHOW("gc_enabled", GC(enabled));
    SHOW("gc_generations", GC(generations));
    SHOW("gc_generation_size", sizeof(struct gc_generation));
    SHOW("gc_threshold", offsetof(struct gc_generation, threshold));
    SHOW("gc_count", offsetof(struct gc_generation, count));
    SHOW("gc_permanent", GC(permanent_generation));
    SHOW("gc_collecting", GC(collecting));
    SHOW("gc_stats", GC(generation_stats));
    SHOW("gc_stats_size", sizeof(struct gc_generation_stats));
    SHOW("gc_long_lived_total", GC(long_lived_total));
    printf("  \"gc_long_lived_pending\": %zu\n}\n", GC(long_lived_pending));
    return 0;
}
