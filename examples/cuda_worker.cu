/*
 * A worker whose kernel reports for itself: the job runs in one launch, and a kernel that never returns is found though the
 * host's thread still beats. It runs unchanged where nobody watches. See docs/gpu.md.
 *
 *     nvcc -DHANGWATCH_IMPLEMENTATION -I ffi/include examples/cuda_worker.cu -o cuda_worker
 *     hangwatch run --slot-size 4096 --inference-step-timeout 10s -- ./cuda_worker --hang-at 25
 */
#include <hangwatch_cuda.cuh>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct Options {
    unsigned long steps = 100, step_us = 20000, jobs = 1, hang_at = 0; /* hang_at: percent; 0 never */
    int device = 0;
};

static Options options(int argc, char **argv)
{
    Options o;
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        char *end = NULL;
        const unsigned long number = strtoul(value, &end, 10);
        const bool is_number = *value >= '0' && *value <= '9' && *end == '\0';
        if (is_number && strcmp(argv[i], "--steps") == 0)
            o.steps = number;
        else if (is_number && strcmp(argv[i], "--step-us") == 0)
            o.step_us = number;
        else if (is_number && strcmp(argv[i], "--jobs") == 0)
            o.jobs = number;
        else if (is_number && strcmp(argv[i], "--hang-at") == 0)
            o.hang_at = number;
        else if (is_number && strcmp(argv[i], "--device") == 0)
            o.device = (int)number;
        else {
            fprintf(stderr, "usage: cuda_worker [--steps N] [--step-us US] [--jobs N] [--hang-at PERCENT] [--device N]\n");
            exit(2);
        }
    }
    return o;
}

__device__ static void work(long long cycles)
{
    const long long begin = clock64();
    while (clock64() - begin < cycles)
        ;
}

/* One job, a step after the other. `hang_at` is the step that never ends; 0 is none. */
__global__ void denoise(hangwatch_device_t watch, uint64_t steps, long long cycles, uint64_t hang_at)
{
    const bool reports = blockIdx.x == 0 && threadIdx.x == 0;
    if (reports)
        hangwatch_device_begin(&watch);
    for (uint64_t done = 1; done <= steps; done++) {
        work(cycles);
        if (reports)
            hangwatch_device_step(&watch, done);
        while (done == hang_at)
            work(cycles);
    }
}

static void must(cudaError_t error, const char *what)
{
    if (error != cudaSuccess) {
        fprintf(stderr, "cuda_worker: cannot %s: %s (%s)\n", what, cudaGetErrorName(error), cudaGetErrorString(error));
        exit(1);
    }
}

int main(int argc, char **argv)
{
    const Options o = options(argc, argv);
    hangwatch_error_t err;
    hangwatch_device_t watch = HANGWATCH_DEVICE_INIT;
    hangwatch_worker_t *w = hangwatch_attach(NULL, NULL, &err), *gpu;
    if (w == NULL)
        fprintf(stderr, "hangwatch: %s\n", err.message); /* and go on: a failed attach never stops the work */
    hangwatch_phase(w, HANGWATCH_PHASE_LOADING);

    int khz = 0;
    must(cudaSetDevice(o.device), "use the device");
    must(cudaDeviceGetAttribute(&khz, cudaDevAttrClockRate, o.device), "read the device's clock");
    /* The number that `hangwatch run` gave this worker: CUDA counts the devices that it was let to see, from 0. */
    gpu = hangwatch_gpu_lane(w, "denoise", HANGWATCH_DEVICE_UNCHANGED, &err);
    if (gpu == NULL || hangwatch_cuda_register(gpu, &watch, &err) != HANGWATCH_OK)
        fprintf(stderr, "hangwatch: %s\n", err.message); /* the kernel runs on with a struct that reports nowhere */
    printf("cuda_worker: pid %ld, slot %ld, GPU slot %ld\n", (long)getpid(), (long)hangwatch_slot(w), (long)hangwatch_slot(gpu));
    fflush(stdout);

    for (unsigned long job = 0; job < o.jobs && !hangwatch_should_stop(w); job++) {
        /* The host's own job reports no progress: its slot says that the thread lives, the GPU's how far the work is. */
        hangwatch_begin_job(w, "job", "stable_diffusion_xl", HANGWATCH_TOTAL_NONE);
        hangwatch_begin_job(gpu, "job", "stable_diffusion_xl", o.steps);
        denoise<<<1, 32>>>(watch, o.steps, (long long)o.step_us * khz / 1000, o.hang_at * o.steps / 100);
        cudaError_t ran;
        while ((ran = cudaStreamQuery(0)) == cudaErrorNotReady) {
            hangwatch_beat(w);
            usleep(10000);
        }
        hangwatch_end_job(gpu, ran == cudaSuccess ? HANGWATCH_OUTCOME_OK : HANGWATCH_OUTCOME_FAILED);
        hangwatch_end_job(w, ran == cudaSuccess ? HANGWATCH_OUTCOME_OK : HANGWATCH_OUTCOME_FAILED);
        must(ran, "run the kernel");
    }
    hangwatch_cuda_unregister(gpu, &watch, NULL);
    hangwatch_detach(gpu);
    hangwatch_detach(w);
    return 0;
}
