/*
 * examples/cuda_worker.cu where there is no device: the kernel is a thread of the CPU, and the runtime the one in fake/. The
 * same flags, and --hang-once FILE: the kernel hangs only in the process that makes that file.
 */
#include <cuda_runtime_api.h>
#include <hangwatch_cuda.cuh>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    unsigned long steps, step_us, jobs, hang_at, device;
    const char *hang_once;
} o = {100, 2000, 1, 0, 0, NULL};

/* A launch: the struct by value, as a kernel gets it. */
typedef struct launch {
    hangwatch_device_t watch;
    uint64_t hang_at;
    int is_done;
} launch_t;

static void *denoise(void *at)
{
    launch_t *launch = (launch_t *)at;
    hangwatch_device_t watch = launch->watch;
    uint64_t done;
    hangwatch_device_begin(&watch);
    for (done = 1; done <= o.steps; done++) {
        usleep((unsigned int)o.step_us);
        hangwatch_device_step(&watch, done);
        while (done == launch->hang_at)
            usleep(1000);
    }
    __atomic_store_n(&launch->is_done, 1, __ATOMIC_RELEASE);
    return NULL;
}

static int run(hangwatch_worker_t *w, launch_t *launch)
{
    pthread_t device;
    launch->is_done = 0;
    if (pthread_create(&device, NULL, denoise, launch) != 0)
        return 1;
    while (!__atomic_load_n(&launch->is_done, __ATOMIC_ACQUIRE)) {
        hangwatch_beat(w);
        usleep(10000);
    }
    return pthread_join(device, NULL);
}

static int hangs(void)
{
    int made;
    if (o.hang_at == 0 || o.hang_once == NULL)
        return o.hang_at != 0;
    made = open(o.hang_once, O_CREAT | O_EXCL | O_WRONLY, 0600);
    return made >= 0 && close(made) == 0;
}

static void options(int argc, char **argv)
{
    int i;
    for (i = 1; i + 1 < argc; i += 2) {
        const unsigned long number = strtoul(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--steps") == 0)
            o.steps = number;
        else if (strcmp(argv[i], "--step-us") == 0)
            o.step_us = number;
        else if (strcmp(argv[i], "--jobs") == 0)
            o.jobs = number;
        else if (strcmp(argv[i], "--hang-at") == 0)
            o.hang_at = number;
        else if (strcmp(argv[i], "--device") == 0)
            o.device = number;
        else if (strcmp(argv[i], "--hang-once") == 0)
            o.hang_once = argv[i + 1];
        else
            exit(2);
    }
}

int main(int argc, char **argv)
{
    hangwatch_error_t err;
    launch_t launch;
    hangwatch_worker_t *w, *gpu;
    unsigned long job;

    options(argc, argv);
    w = hangwatch_attach(NULL, NULL, &err);
    if (w == NULL)
        fprintf(stderr, "hangwatch: %s\n", err.message);
    gpu = hangwatch_gpu_lane(w, "denoise", (uint32_t)o.device, &err);
    if (gpu == NULL || hangwatch_cuda_register(gpu, &launch.watch, &err) != HANGWATCH_OK)
        fprintf(stderr, "hangwatch: %s\n", err.message);
    printf("cuda_worker: pid %ld, slot %ld, GPU slot %ld\n", (long)getpid(), (long)hangwatch_slot(w), (long)hangwatch_slot(gpu));
    fflush(stdout);
    launch.hang_at = hangs() ? o.hang_at * o.steps / 100 : 0;
    for (job = 0; job < o.jobs && !hangwatch_should_stop(w); job++) {
        int ran;
        hangwatch_begin_job(w, "job", "stable_diffusion_xl", HANGWATCH_TOTAL_NONE);
        hangwatch_begin_job(gpu, "job", "stable_diffusion_xl", o.steps);
        ran = run(w, &launch);
        hangwatch_end_job(gpu, ran == 0 ? HANGWATCH_OUTCOME_OK : HANGWATCH_OUTCOME_FAILED);
        hangwatch_end_job(w, ran == 0 ? HANGWATCH_OUTCOME_OK : HANGWATCH_OUTCOME_FAILED);
    }
    hangwatch_cuda_unregister(gpu, &launch.watch, NULL);
    hangwatch_detach(gpu);
    hangwatch_detach(w);
    return 0;
}
