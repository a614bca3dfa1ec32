/* Prints, as JSON, how a version of CPython lays out its objects, frames and interpreter. For dump_offsets.py. */
#define Py_BUILD_CORE 1
#include <Python.h>
#include <stddef.h>
#include <stdio.h>
#include <frameobject.h>
#if PY_VERSION_HEX < 0x03090000
#include "internal/pycore_pymem.h"
#include "internal/pycore_pystate.h"
#else
#include "internal/pycore_interp.h"
#include "internal/pycore_runtime.h"
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
#include "internal/pycore_frame.h"
typedef PyDictKeysObject Keys;
#endif

static const char *separator = "";

static void show(const char *name, long value)
{
    printf("%s\n  \"%s\": ", separator, name);
    if (value < 0)
        printf("null");
    else
        printf("%ld", value);
    separator = ",";
}

#define AT(name, type, field) show(name, (long)offsetof(type, field))
#define SIZE(name, type) show(name, (long)sizeof(type))
#define NONE(name) show(name, -1)

static void show_types(void)
{
    AT("tp_name", PyTypeObject, tp_name);
    AT("tp_basicsize", PyTypeObject, tp_basicsize);
    AT("tp_itemsize", PyTypeObject, tp_itemsize);
    AT("tp_flags", PyTypeObject, tp_flags);
    AT("tp_dict", PyTypeObject, tp_dict);
    AT("tp_base", PyTypeObject, tp_base);
    AT("tp_bases", PyTypeObject, tp_bases);
    AT("tp_mro", PyTypeObject, tp_mro);
    AT("tp_cache", PyTypeObject, tp_cache);
    AT("tp_subclasses", PyTypeObject, tp_subclasses);
    AT("tp_weaklist", PyTypeObject, tp_weaklist);
    AT("tp_weaklistoffset", PyTypeObject, tp_weaklistoffset);
    AT("tp_dictoffset", PyTypeObject, tp_dictoffset);
    SIZE("type_size", PyTypeObject);
    SIZE("heap_type_size", PyHeapTypeObject);
    AT("ht_name", PyHeapTypeObject, ht_name);
    AT("ht_qualname", PyHeapTypeObject, ht_qualname);
    AT("ht_slots", PyHeapTypeObject, ht_slots);
    AT("ht_cached_keys", PyHeapTypeObject, ht_cached_keys);
#if PY_VERSION_HEX >= 0x03090000
    AT("ht_module", PyHeapTypeObject, ht_module);
#else
    NONE("ht_module");
#endif
#if PY_VERSION_HEX >= 0x030B0000
    AT("ht_getitem", PyHeapTypeObject, _spec_cache.getitem);
#else
    NONE("ht_getitem");
#endif
}

static void show_containers(void)
{
    AT("ma_used", PyDictObject, ma_used);
    AT("ma_keys", PyDictObject, ma_keys);
    AT("ma_values", PyDictObject, ma_values);
    SIZE("dict_size", PyDictObject);
    AT("dk_usable", Keys, dk_usable);
    AT("dk_nentries", Keys, dk_nentries);
    AT("dk_indices", Keys, dk_indices);
#if PY_VERSION_HEX < 0x030B0000
    AT("dk_size", Keys, dk_size);
    NONE("dk_log2_size");
    NONE("dk_log2_index_bytes");
    NONE("dk_kind");
#else
    NONE("dk_size");
    AT("dk_log2_size", Keys, dk_log2_size);
    AT("dk_log2_index_bytes", Keys, dk_log2_index_bytes);
    AT("dk_kind", Keys, dk_kind);
#endif
#if PY_VERSION_HEX >= 0x030D0000
    AT("values_first", PyDictValues, values);
#elif PY_VERSION_HEX >= 0x030B0000
    AT("values_first", PyDictValues, values);
#else
    NONE("values_first");
#endif
    AT("list_items", PyListObject, ob_item);
    AT("list_allocated", PyListObject, allocated);
    SIZE("list_size", PyListObject);
    AT("tuple_items", PyTupleObject, ob_item);
    AT("set_used", PySetObject, used);
    AT("set_mask", PySetObject, mask);
    AT("set_table", PySetObject, table);
    AT("set_smalltable", PySetObject, smalltable);
    SIZE("set_size", PySetObject);
    AT("weakref_object", PyWeakReference, wr_object);
    AT("weakref_callback", PyWeakReference, wr_callback);
    SIZE("weakref_size", PyWeakReference);
}

static void show_texts(void)
{
    AT("str_length", PyASCIIObject, length);
    AT("str_state", PyASCIIObject, state);
    SIZE("ascii_size", PyASCIIObject);
    SIZE("compact_size", PyCompactUnicodeObject);
    SIZE("unicode_size", PyUnicodeObject);
    AT("str_utf8", PyCompactUnicodeObject, utf8);
    AT("str_utf8_length", PyCompactUnicodeObject, utf8_length);
    AT("bytes_data", PyBytesObject, ob_sval);
    AT("bytearray_allocated", PyByteArrayObject, ob_alloc);
}

static void show_code(void)
{
    AT("co_name", PyCodeObject, co_name);
    AT("co_filename", PyCodeObject, co_filename);
    AT("co_stacksize", PyCodeObject, co_stacksize);
    AT("co_weakreflist", PyCodeObject, co_weakreflist);
#if PY_VERSION_HEX >= 0x030B0000
    AT("co_qualname", PyCodeObject, co_qualname);
    AT("co_localsplusnames", PyCodeObject, co_localsplusnames);
    AT("co_nlocalsplus", PyCodeObject, co_nlocalsplus);
    AT("co_code_adaptive", PyCodeObject, co_code_adaptive);
#if PY_VERSION_HEX >= 0x030C0000
    AT("co_cached", PyCodeObject, _co_cached);
#else
    NONE("co_cached");
#endif
    NONE("co_varnames");
    NONE("co_cellvars");
    NONE("co_freevars");
#else
    NONE("co_qualname");
    NONE("co_localsplusnames");
    NONE("co_nlocalsplus");
    NONE("co_code_adaptive");
    NONE("co_cached");
    AT("co_varnames", PyCodeObject, co_varnames);
    AT("co_cellvars", PyCodeObject, co_cellvars);
    AT("co_freevars", PyCodeObject, co_freevars);
#endif
    AT("function_code", PyFunctionObject, func_code);
    AT("function_qualname", PyFunctionObject, func_qualname);
}

static void show_frames(void)
{
#if PY_VERSION_HEX >= 0x030B0000
#if PY_VERSION_HEX >= 0x030D0000
    AT("frame_code", _PyInterpreterFrame, f_executable);
#else
    AT("frame_code", _PyInterpreterFrame, f_code);
#endif
    AT("frame_previous", _PyInterpreterFrame, previous);
    AT("frame_globals", _PyInterpreterFrame, f_globals);
    AT("frame_builtins", _PyInterpreterFrame, f_builtins);
    AT("frame_object", _PyInterpreterFrame, frame_obj);
    AT("frame_stacktop", _PyInterpreterFrame, stacktop);
    AT("frame_localsplus", _PyInterpreterFrame, localsplus);
    AT("frameobject_frame", PyFrameObject, f_frame);
    AT("frameobject_own", PyFrameObject, _f_frame_data);
    NONE("frameobject_code");
    NONE("frameobject_localsplus");
    NONE("frameobject_back");
    NONE("frameobject_valuestack");
    NONE("frameobject_stacktop");
    NONE("frameobject_stackdepth");
    NONE("frameobject_trace");
#else
    NONE("frame_code");
    NONE("frame_previous");
    NONE("frame_globals");
    NONE("frame_builtins");
    NONE("frame_object");
    NONE("frame_stacktop");
    NONE("frame_localsplus");
    NONE("frameobject_frame");
    NONE("frameobject_own");
    AT("frameobject_code", PyFrameObject, f_code);
    AT("frameobject_localsplus", PyFrameObject, f_localsplus);
    AT("frameobject_back", PyFrameObject, f_back);
    AT("frameobject_valuestack", PyFrameObject, f_valuestack);
#if PY_VERSION_HEX >= 0x030A0000
    NONE("frameobject_stacktop");
    AT("frameobject_stackdepth", PyFrameObject, f_stackdepth);
#else
    AT("frameobject_stacktop", PyFrameObject, f_stacktop);
    NONE("frameobject_stackdepth");
#endif
    AT("frameobject_trace", PyFrameObject, f_trace);
#endif
}

static void show_interpreter(void)
{
    AT("runtime_main", _PyRuntimeState, interpreters.main);
    SIZE("interpreter_size", PyInterpreterState);
    SIZE("thread_size", PyThreadState);
    AT("thread_next", PyThreadState, next);
    AT("thread_id", PyThreadState, thread_id);
    AT("thread_dict", PyThreadState, dict);
#if PY_VERSION_HEX >= 0x030B0000
    AT("interpreter_threads", PyInterpreterState, threads.head);
    AT("thread_native_id", PyThreadState, native_thread_id);
#else
    AT("interpreter_threads", PyInterpreterState, tstate_head);
    NONE("thread_native_id");
#endif
#if PY_VERSION_HEX >= 0x030D0000
    AT("thread_frame", PyThreadState, current_frame);
    NONE("thread_cframe");
    NONE("cframe_frame");
#elif PY_VERSION_HEX >= 0x030B0000
    NONE("thread_frame");
    AT("thread_cframe", PyThreadState, cframe);
    AT("cframe_frame", _PyCFrame, current_frame);
#else
    AT("thread_frame", PyThreadState, frame);
    NONE("thread_cframe");
    NONE("cframe_frame");
#endif
#if PY_VERSION_HEX >= 0x030C0000
    AT("interpreter_modules", PyInterpreterState, imports.modules);
#else
    AT("interpreter_modules", PyInterpreterState, modules);
#endif
    AT("interpreter_builtins", PyInterpreterState, builtins);
    AT("interpreter_sysdict", PyInterpreterState, sysdict);
}

int main(void)
{
    printf("{\n  \"compiled_from\": \"%s\"", PY_VERSION);
    separator = ",";
    show_types();
    show_containers();
    show_texts();
    show_code();
    show_frames();
    show_interpreter();
    printf("\n}\n");
    return 0;
}
