/* Prints, as JSON, where one version of CPython keeps what memtui reads. Compiled by dump_offsets.py. */
#define Py_BUILD_CORE 1
#include <Python.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

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

#if PY_VERSION_HEX < 0x030B0000
/* Until 3.10 the keys of a dict are declared in a source file only (Objects/dict-common.h). */
typedef struct {
    Py_ssize_t dk_refcnt;
    Py_ssize_t dk_size;
    void *dk_lookup;
    Py_ssize_t dk_usable;
    Py_ssize_t dk_nentries;
    char dk_indices[];
} Keys;
#else
#include "internal/pycore_dict.h"
typedef PyDictKeysObject Keys;
#endif

#define SHOW(name, value) printf("  \"%s\": %zu,\n", name, (size_t)(value))
#define GC(field) offsetof(struct _gc_runtime_state, field)
#define OBJECT(name, value) printf("   \"%s\": %zu,\n", name, (size_t)(value))
#define NO_OBJECT(name) printf("   \"%s\": null,\n", name)

/* The bits of a str's state that are set when one field of it is ``value``. */
#define STATE_BITS(field, value) \
    (memset(&text, 0, sizeof text), text.state.field = (value), memcpy(&bits, &text.state, sizeof bits), bits)

static void show_objects(void)
{
    PyASCIIObject text;
    unsigned int bits;

    printf("  \"objects\": {\n");
    OBJECT("type_name", offsetof(PyTypeObject, tp_name));
    OBJECT("type_flags", offsetof(PyTypeObject, tp_flags));
    OBJECT("type_dict", offsetof(PyTypeObject, tp_dict));
    OBJECT("type_qualname", offsetof(PyHeapTypeObject, ht_qualname));
    OBJECT("dict_keys", offsetof(PyDictObject, ma_keys));
    OBJECT("dict_values", offsetof(PyDictObject, ma_values));
    OBJECT("keys_entry_count", offsetof(Keys, dk_nentries));
    OBJECT("keys_indices", offsetof(Keys, dk_indices));
#if PY_VERSION_HEX < 0x030B0000
    OBJECT("keys_size", offsetof(Keys, dk_size));
    NO_OBJECT("keys_log2_index_bytes");
    NO_OBJECT("keys_kind");
#else
    NO_OBJECT("keys_size");
    OBJECT("keys_log2_index_bytes", offsetof(Keys, dk_log2_index_bytes));
    OBJECT("keys_kind", offsetof(Keys, dk_kind));
#endif
    OBJECT("str_length", offsetof(PyASCIIObject, length));
    OBJECT("str_state", offsetof(PyASCIIObject, state));
    OBJECT("str_kind_mask", STATE_BITS(kind, 7));
    OBJECT("str_kind_unit", STATE_BITS(kind, 1));
    OBJECT("str_compact_mask", STATE_BITS(compact, 1));
    OBJECT("str_ascii_mask", STATE_BITS(ascii, 1));
    OBJECT("str_ascii_data", sizeof(PyASCIIObject));
    printf("   \"str_compact_data\": %zu\n  }\n", sizeof(PyCompactUnicodeObject));
}

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
    SHOW("gc_long_lived_pending", GC(long_lived_pending));
    show_objects();
    printf("}\n");
    return 0;
}
