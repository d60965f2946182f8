/* Stands in for AMD's header of the name, whose guard is this one. */
#ifndef HIP_INCLUDE_HIP_HIP_RUNTIME_API_H
#define HIP_INCLUDE_HIP_HIP_RUNTIME_API_H
#define hipHostRegisterPortable 0x1
#define hipHostRegisterMapped 0x2
#define FAKE(name) hip##name
#include "../api.h"
#undef FAKE
#endif
