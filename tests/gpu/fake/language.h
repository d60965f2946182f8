/* What a kernel is written with. Without a device's compiler the words mean nothing. */
#if defined(__clang__) && (defined(__CUDA__) || defined(__HIP__))
#define __host__ __attribute__((host))
#define __device__ __attribute__((device))
#define __global__ __attribute__((global))
#else
#define __host__
#define __device__
#define __global__
#endif
