/*
 * What a device's report costs, and how long it takes to be seen. argv[1] is a folder in which it leaves steps.csv and
 * delay.csv, one row a measurement; HANGWATCH_SEGMENT is a segment whose slots are 4096 bytes apart. Every kernel ends by
 * itself within seconds.
 */
#include <hangwatch_cuda.cuh>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { REPEATS = 20, ROUNDS = 20000, WARM_UP = 200 };

/* How a loop reports. */
enum Report { NONE, STEP, STEP_EVERY_16, STEP_EVERY_64, STEP_EVERY_1024, BEAT, REPORTS };
static const char *const report_names[REPORTS] = {"none", "step", "step_every_16", "step_every_64", "step_every_1024", "beat"};

static void must(cudaError_t error, const char *what)
{
    if (error != cudaSuccess) {
        fprintf(stderr, "cost: cannot %s: %s (%s)\n", what, cudaGetErrorName(error), cudaGetErrorString(error));
        exit(1);
    }
}

static void must_say(bool holds, const char *why)
{
    if (!holds) {
        fprintf(stderr, "cost: %s\n", why);
        exit(1);
    }
}

__device__ static unsigned long long device_ns()
{
    unsigned long long now;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
    return now;
}

/* Dependent multiplications, which no compiler can leave out. */
__device__ static float work(float x, int spins)
{
    for (int i = 0; i < spins; i++)
        asm volatile("fma.rn.f32 %0, %0, 0f3F800001, 0f3F000000;" : "+f"(x));
    return x;
}

template <int report>
__global__ void loop(hangwatch_device_t watch, uint64_t iterations, int spins, unsigned long long *ns, float *sink)
{
    const bool reports = blockIdx.x == 0 && threadIdx.x == 0;
    float x = (float)threadIdx.x;
    if (reports)
        hangwatch_device_begin(&watch);
    __syncthreads();
    const unsigned long long begin = device_ns();
    for (uint64_t done = 1; done <= iterations; done++) {
        x = work(x, spins);
        if (reports) {
            if (report == STEP)
                hangwatch_device_step(&watch, done);
            else if (report == STEP_EVERY_16)
                hangwatch_device_step_every(&watch, done, 16);
            else if (report == STEP_EVERY_64)
                hangwatch_device_step_every(&watch, done, 64);
            else if (report == STEP_EVERY_1024)
                hangwatch_device_step_every(&watch, done, 1024);
            else if (report == BEAT)
                hangwatch_device_beat(&watch);
        }
    }
    if (reports)
        *ns = device_ns() - begin;
    sink[threadIdx.x] = x;
}

static void launch(int report, hangwatch_device_t watch, uint64_t iterations, int spins, unsigned long long *ns, float *sink)
{
    switch (report) {
    case NONE:
        loop<NONE><<<1, 32>>>(watch, iterations, spins, ns, sink);
        break;
    case STEP:
        loop<STEP><<<1, 32>>>(watch, iterations, spins, ns, sink);
        break;
    case STEP_EVERY_16:
        loop<STEP_EVERY_16><<<1, 32>>>(watch, iterations, spins, ns, sink);
        break;
    case STEP_EVERY_64:
        loop<STEP_EVERY_64><<<1, 32>>>(watch, iterations, spins, ns, sink);
        break;
    case STEP_EVERY_1024:
        loop<STEP_EVERY_1024><<<1, 32>>>(watch, iterations, spins, ns, sink);
        break;
    default:
        loop<BEAT><<<1, 32>>>(watch, iterations, spins, ns, sink);
    }
    must(cudaGetLastError(), "launch a loop");
    must(cudaDeviceSynchronize(), "run a loop");
}

static void steps(FILE *out, hangwatch_worker_t *gpu, hangwatch_device_t watch)
{
    /* From back to back to a report in tens of microseconds. */
    static const struct {
        int spins;
        uint64_t iterations;
    } rows[] = {{0, 20000}, {64, 20000}, {1024, 5000}, {16384, 1000}};
    unsigned long long *ns;
    float *sink;
    must(cudaHostAlloc(&ns, sizeof *ns, cudaHostAllocMapped), "allocate");
    must(cudaMalloc(&sink, 32 * sizeof *sink), "allocate");
    fprintf(out, "report,spins,iterations,repeat,ns\n");
    /* Interleaved, so that what the device's clock does meets all alike; the first round warms up. */
    for (int repeat = -1; repeat < REPEATS; repeat++)
        for (const auto &row : rows)
            for (int report = 0; report < REPORTS; report++) {
                hangwatch_begin_job(gpu, "cost", "loop", row.iterations);
                launch(report, watch, row.iterations, row.spins, ns, sink);
                hangwatch_end_job(gpu, HANGWATCH_OUTCOME_OK);
                if (repeat >= 0)
                    fprintf(out, "%s,%d,%llu,%d,%llu\n", report_names[report], row.spins, (unsigned long long)row.iterations,
                            repeat, *ns);
            }
    must(cudaFreeHost(ns), "free");
    must(cudaFree(sink), "free");
}

/* Answers each ball by a step, or by a bare store as a floor to compare with. Gives up after some seconds without one. */
__global__ void echo(hangwatch_device_t watch, const volatile uint64_t *ball, volatile uint64_t *back, uint64_t rounds, bool steps)
{
    if (steps)
        hangwatch_device_begin(&watch);
    for (uint64_t round = 1; round <= rounds; round++) {
        const unsigned long long begin = device_ns();
        while (*ball < round)
            if (device_ns() - begin > 3000000000ull)
                return;
        if (steps)
            hangwatch_device_step(&watch, round);
        else
            *back = round;
    }
}

static uint64_t host_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* From the host's store to the sight of the answer: the device's read of the ball is in it, so it is more than the delay. */
static void delay(FILE *out, hangwatch_worker_t *gpu, hangwatch_device_t watch, bool steps)
{
    uint64_t *words, *seen;
    must(cudaHostAlloc(&words, 4096, cudaHostAllocMapped), "allocate a page of the host's");
    must(cudaHostGetDevicePointer(&seen, words, 0), "map it");
    words[0] = words[256] = 0;
    hangwatch_begin_job(gpu, "delay", "echo", ROUNDS);
    const uint64_t first = __atomic_load_n(&gpu->slot->beat, __ATOMIC_ACQUIRE);
    echo<<<1, 1>>>(watch, seen, seen + 256, ROUNDS, steps);
    must(cudaGetLastError(), "launch the echo");
    /* The kernel's first beat says that it runs. */
    const uint64_t began = host_ns();
    while (steps && __atomic_load_n(&gpu->slot->beat, __ATOMIC_ACQUIRE) == first)
        must_say(host_ns() - began < 3000000000u, "the device's beat is not seen while its kernel runs");
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        const uint64_t thrown = host_ns();
        __atomic_store_n(&words[0], round, __ATOMIC_RELEASE);
        while (steps ? __atomic_load_n(&gpu->slot->beat, __ATOMIC_ACQUIRE) != first + 1 + round
                     : __atomic_load_n(&words[256], __ATOMIC_ACQUIRE) != round)
            must_say(host_ns() - thrown < 3000000000u, "an answer of the device is not seen while its kernel runs");
        const uint64_t took = host_ns() - thrown;
        must_say(!steps || __atomic_load_n(&gpu->slot->progress, __ATOMIC_RELAXED) == round, "a beat was seen before its progress");
        if (round > WARM_UP)
            fprintf(out, "%s,%llu,%llu\n", steps ? "step" : "bare_store", (unsigned long long)round, (unsigned long long)took);
    }
    must(cudaDeviceSynchronize(), "run the echo");
    hangwatch_end_job(gpu, HANGWATCH_OUTCOME_OK);
    must(cudaFreeHost(words), "free");
}

static FILE *file(const char *folder, const char *name)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "w");
    must_say(out != NULL, "cannot write into the folder that is named");
    return out;
}

int main(int argc, char **argv)
{
    hangwatch_error_t err;
    hangwatch_device_t watch = HANGWATCH_DEVICE_INIT;
    must_say(argc == 2, "usage: cost FOLDER");
    must(cudaSetDevice(0), "use the device");
    hangwatch_worker_t *w = hangwatch_attach(NULL, "cost", &err);
    must_say(w != NULL && hangwatch_is_attached(w), w == NULL ? err.message : "HANGWATCH_SEGMENT is not set");
    hangwatch_worker_t *gpu = hangwatch_gpu_lane(w, "cost", 0, &err);
    must_say(gpu != NULL, err.message);
    const uint64_t began = host_ns();
    must_say(hangwatch_cuda_register(gpu, &watch, &err) == HANGWATCH_OK, err.message);
    printf("registered a slot page of a tmpfs in %.3f ms\n", (double)(host_ns() - began) / 1e6);

    FILE *out = file(argv[1], "steps.csv");
    steps(out, gpu, watch);
    must_say(fclose(out) == 0, "cannot write steps.csv");
    out = file(argv[1], "delay.csv");
    fprintf(out, "answer,round,ns\n");
    for (int answer = 0; answer < 2; answer++)
        delay(out, gpu, watch, answer == 1);
    must_say(fclose(out) == 0, "cannot write delay.csv");

    must_say(hangwatch_cuda_unregister(gpu, &watch, &err) == HANGWATCH_OK, err.message);
    hangwatch_detach(gpu);
    hangwatch_detach(w);
    return 0;
}
