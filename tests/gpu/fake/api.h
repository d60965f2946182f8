/*
 * The few functions of the CUDA and HIP runtimes that hangwatch_cuda.cuh uses, as both declare them, for tests where neither
 * is installed. FAKE(name) is the runtime's spelling.
 */
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum FAKE(Error) {
    FAKE(Success) = 0,
    FAKE(ErrorInvalidValue) = 1,
    FAKE(ErrorNoDevice) = 100,
    FAKE(ErrorOperatingSystem) = 304,
    FAKE(ErrorHostMemoryAlreadyRegistered) = 712,
    FAKE(ErrorHostMemoryNotRegistered) = 713,
    FAKE(ErrorNotSupported) = 801
} FAKE(Error_t);

FAKE(Error_t) FAKE(HostRegister)(void *at, size_t size, unsigned int flags);
FAKE(Error_t) FAKE(HostGetDevicePointer)(void **device, void *host, unsigned int flags);
FAKE(Error_t) FAKE(HostUnregister)(void *at);
FAKE(Error_t) FAKE(GetLastError)(void);
const char *FAKE(GetErrorName)(FAKE(Error_t) error);
const char *FAKE(GetErrorString)(FAKE(Error_t) error);

#ifdef __cplusplus
}
#endif
