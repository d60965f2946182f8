/* Stands in for AMD's header of the name. */
#include "../language.h"
#include "hip_runtime_api.h"
