/* Stands in for NVIDIA's header of the name. */
#ifndef FAKE_CUDA_RUNTIME_API_H
#define FAKE_CUDA_RUNTIME_API_H
#define CUDART_VERSION 12040
#define cudaHostRegisterPortable 0x01
#define cudaHostRegisterMapped 0x02
#define FAKE(name) cuda##name
#include "api.h"
#undef FAKE
#endif
