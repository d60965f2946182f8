/* What any call into an extension by the stable ABI costs, and the least that a step could: the floors of step.py.
 *
 * A method with one argument of a class that PyType_FromSpec makes: what w.step(done) is to CPython. */
#define Py_LIMITED_API 0x03090000
#include <Python.h>
#include <stdint.h>
#include <time.h>

static uint64_t slot[8];

static PyObject *nothing(PyObject *self, PyObject *done) {
    (void)self;
    (void)done;
    Py_RETURN_NONE;
}

/* The number is read, as a step must. */
static PyObject *reads(PyObject *self, PyObject *done) {
    (void)self;
    if (PyLong_AsUnsignedLongLong(done) == (unsigned long long)-1) PyErr_Clear();
    Py_RETURN_NONE;
}

/* And two plain stores, as an unstamped step. */
static PyObject *stores(PyObject *self, PyObject *done) {
    (void)self;
    unsigned long long read = PyLong_AsUnsignedLongLong(done);
    if (read == (unsigned long long)-1) PyErr_Clear();
    __atomic_store_n(&slot[1], read, __ATOMIC_RELAXED);
    __atomic_store_n(&slot[0], slot[0] + 1, __ATOMIC_RELEASE);
    Py_RETURN_NONE;
}

/* And the coarse clock, as a stamped one. */
static PyObject *stamps(PyObject *self, PyObject *done) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    __atomic_store_n(&slot[3], (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec, __ATOMIC_RELAXED);
    return stores(self, done);
}

static PyMethodDef methods[] = {
    {"nothing", nothing, METH_O, NULL},
    {"reads", reads, METH_O, NULL},
    {"stores", stores, METH_O, NULL},
    {"stamps", stamps, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot parts[] = {{Py_tp_methods, methods}, {0, NULL}};
static PyType_Spec spec = {"floor.Floor", sizeof(PyObject), 0, Py_TPFLAGS_DEFAULT, parts};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "floor", NULL, -1, NULL, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_floor(void) {
    PyObject *made = PyModule_Create(&module);
    PyObject *type = PyType_FromSpec(&spec);
    if (made == NULL || type == NULL || PyModule_AddObject(made, "Floor", type) < 0) return NULL;
    return made;
}
