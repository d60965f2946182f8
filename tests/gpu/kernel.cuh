/* Kernels of one report each, whose text the tests look into. */
#include <hangwatch_cuda.cuh>

extern "C" __global__ void one_begin(hangwatch_device_t watch, hangwatch_device_t *out)
{
    hangwatch_device_begin(&watch);
    *out = watch;
}

extern "C" __global__ void one_step(hangwatch_device_t watch, uint64_t done)
{
    hangwatch_device_step(&watch, done);
}

extern "C" __global__ void one_beat(hangwatch_device_t watch)
{
    hangwatch_device_beat(&watch);
}

extern "C" __global__ void steps(hangwatch_device_t watch, uint64_t count, uint64_t every)
{
    hangwatch_device_begin(&watch);
    for (uint64_t done = 1; done <= count; done++)
        hangwatch_device_step_every(&watch, done, every);
}
