/* Stands in for NVIDIA's header of the name. */
#include "cuda_runtime_api.h"
#include "language.h"
