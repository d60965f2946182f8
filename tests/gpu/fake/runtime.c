/*
 * A runtime that stands in for libcudart, or with -DFAKE_HIP for libamdhip64: it keeps account of registered pages as those do,
 * gives the host's address for the device's, and fails when it is told to.
 */
#ifdef FAKE_HIP
#include "hip/hip_runtime_api.h"
#define FAKE(name) hip##name
#else
#include "cuda_runtime_api.h"
#define FAKE(name) cuda##name
#endif
#include "runtime.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define TEXT(name) TEXT_(name)
#define TEXT_(name) #name

enum { PAGES = 8, NAMES = 4 };

static const char *const names[NAMES] = {"HostRegister", "HostGetDevicePointer", "HostUnregister", "GetLastError"};
static int calls[NAMES], failures[NAMES];
static void *pages[PAGES];
static size_t last_size;
static unsigned int last_flags;
static FAKE(Error_t) last_error;

static int number(const char *name)
{
    int i;
    for (i = 0; i < NAMES && strcmp(names[i], name) != 0; i++)
        ;
    return i % NAMES;
}

int fake_calls(const char *name)
{
    return name == NULL ? calls[0] + calls[1] + calls[2] + calls[3] : calls[number(name)];
}

void fake_fail(const char *name, int error)
{
    failures[number(name)] = error;
}

int fake_registered(void)
{
    int i, count = 0;
    for (i = 0; i < PAGES; i++)
        count += pages[i] != NULL;
    return count;
}

size_t fake_size(void)
{
    return last_size;
}

unsigned int fake_flags(void)
{
    return last_flags;
}

/* A call is counted; whether it is to fail. */
static int fails(const char *name)
{
    const int i = number(name), error = failures[i];
    calls[i]++;
    failures[i] = 0;
    if (error != 0)
        last_error = (FAKE(Error_t))error;
    return error;
}

static FAKE(Error_t) said(FAKE(Error_t) error)
{
    if (error != FAKE(Success))
        last_error = error;
    return error;
}

static void **find(const void *page)
{
    int i;
    for (i = 0; i < PAGES; i++)
        if (pages[i] == page)
            return &pages[i];
    return NULL;
}

FAKE(Error_t) FAKE(HostRegister)(void *at, size_t size, unsigned int flags)
{
    void **room;
    if (fails("HostRegister"))
        return last_error;
    if (at == NULL || size == 0)
        return said(FAKE(ErrorInvalidValue));
    if (find(at) != NULL)
        return said(FAKE(ErrorHostMemoryAlreadyRegistered));
    room = find(NULL);
    if (room == NULL)
        return said(FAKE(ErrorOperatingSystem));
    *room = at;
    last_size = size;
    last_flags = flags;
    return FAKE(Success);
}

FAKE(Error_t) FAKE(HostGetDevicePointer)(void **device, void *host, unsigned int flags)
{
    if (fails("HostGetDevicePointer"))
        return last_error;
    if (host == NULL || find(host) == NULL || flags != 0)
        return said(FAKE(ErrorInvalidValue));
    *device = host;
    return FAKE(Success);
}

FAKE(Error_t) FAKE(HostUnregister)(void *at)
{
    void **room;
    if (fails("HostUnregister"))
        return last_error;
    room = at == NULL ? NULL : find(at);
    if (room == NULL)
        return said(FAKE(ErrorHostMemoryNotRegistered));
    *room = NULL;
    return FAKE(Success);
}

FAKE(Error_t) FAKE(GetLastError)(void)
{
    const FAKE(Error_t) error = last_error;
    calls[number("GetLastError")]++;
    last_error = FAKE(Success);
    return error;
}

const char *FAKE(GetErrorName)(FAKE(Error_t) error)
{
    static char name[64];
    if (error == FAKE(ErrorOperatingSystem))
        return TEXT(FAKE(ErrorOperatingSystem));
    (void)snprintf(name, sizeof name, "%s %d", TEXT(FAKE(Error)), (int)error);
    return name;
}

const char *FAKE(GetErrorString)(FAKE(Error_t) error)
{
    return error == FAKE(ErrorOperatingSystem) ? "OS call failed or operation not supported on this OS" : "another error";
}
