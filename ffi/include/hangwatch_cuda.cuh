/*
 * hangwatch_cuda.cuh: the device's side of hangwatch, for CUDA and HIP, C++11. This file is the manual; hangwatch.h is the
 * host's.
 *
 * A kernel that never returns is found, though the host thread that waits for it still beats: the device reports into a slot
 * of its own, by plain stores to the host's memory. No atomics, no call of the driver, nothing that waits for the host.
 *
 *     __global__ void denoise(hangwatch_device_t watch, float *latents, uint64_t steps)
 *     {
 *         const bool reports = blockIdx.x == 0 && threadIdx.x == 0;
 *         if (reports)
 *             hangwatch_device_begin(&watch);
 *         for (uint64_t i = 0; i < steps; i++) {
 *             one_step(latents);
 *             if (reports)
 *                 hangwatch_device_step_every(&watch, i + 1, 64);
 *         }
 *     }
 *
 *     hangwatch_device_t watch;
 *     hangwatch_worker_t *gpu = hangwatch_gpu_lane(w, "denoise", 0, NULL);
 *     hangwatch_cuda_register(gpu, &watch, NULL);
 *     ...
 *     hangwatch_begin_job(gpu, "a1b2c3d4", "stable_diffusion_xl", steps);
 *     denoise<<<blocks, threads, 0, stream>>>(watch, latents, steps);
 *     cudaStreamSynchronize(stream);
 *     hangwatch_end_job(gpu, HANGWATCH_OUTCOME_OK);
 *     ...
 *     hangwatch_cuda_unregister(gpu, &watch, NULL);
 *     hangwatch_detach(gpu);
 *
 * Who includes it: a CUDA file (nvcc, or clang -x cuda), a HIP file, and C99 or C++11 for the host alone, which then includes
 * <cuda_runtime_api.h> or <hip/hip_runtime_api.h> first if it is to register. In HIP the two functions of the host are
 * hangwatch_hip_register() and hangwatch_hip_unregister(); all else is spelled alike. Nothing of the CUDA runtime is needed
 * to build or to link hangwatch itself.
 *
 * Who writes what, and when
 *
 *   before the launch      the host: phases, jobs, passes, totals, by the functions of hangwatch.h on the GPU lane
 *   while the kernel runs  the device: progress and beat. One thread of one block, the same one throughout: with two, no word
 *                          is torn, but each hides what the other says. The host reports nothing on the lane meanwhile, but
 *                          for hangwatch_note(), hangwatch_alive() and hangwatch_should_stop(), whose words are others
 *   after you waited for   the host again. It goes on from the device's beat, so a beat never goes back
 *   the kernel's end
 *
 *   hangwatch_step() and hangwatch_beat() do nothing on a GPU lane. Kernels that overlap in time need a lane each, as jobs in
 *   flight do. A kernel that ended and one that hangs look alike until the host ends the job: so end it, or begin the next.
 *
 * What the monitor makes of it: no progress past its mark for the progress budget is `stalled`, at any percentage, and the
 * host's own slot stays what it is. A device is never `silent` where it reports progress. See docs/gpu.md.
 *
 * What a report costs: not measured yet. hangwatch_device_step() is two 8-byte stores over the bus, the second a release at
 * system scope, which waits for the reporting thread's own earlier stores (from sm_70 on; a fence of the system before that).
 * Nothing waits for the host to read. Keep it out of inner loops: a report every millisecond or so is plenty for a monitor
 * that polls once a second.
 */
#ifndef HANGWATCH_CUDA_CUH
#define HANGWATCH_CUDA_CUH

#if defined(__HIP__) || defined(__HIPCC__)
#include <hip/hip_runtime.h>
#elif defined(__CUDACC__) || defined(__CUDA__)
#include <cuda_runtime.h>
#endif

#include "hangwatch.h"

/* A function that runs on the device; on the host too, for tests and for a CPU that stands in. */
#if defined(__HIP__) || defined(__HIPCC__) || defined(__CUDACC__) || defined(__CUDA__)
#define HANGWATCH_DEVICE_ static inline __host__ __device__
#else
#define HANGWATCH_DEVICE_ static inline
#endif

/* ---------------------------------------------------------------------------------------------------------- types -- */

/*
 * What a kernel reports through: give it to each launch by value, also through a captured graph. hangwatch_cuda_register()
 * fills it, and it stays good until hangwatch_cuda_unregister(). All zero, as HANGWATCH_DEVICE_INIT, it reports nowhere and
 * every function does nothing: so a kernel runs unchanged where nobody watches.
 *
 * The copy that a kernel got belongs to the thread that reports, and dies with it.
 */
typedef struct hangwatch_device {
    hangwatch_slot_t *slot; /* as the device sees it; NULL: nowhere */
    uint64_t owner;         /* the owner word it was registered under */
    uint64_t local;         /* the beat word last stored */
    uint64_t last;          /* `done` of the last step */
    uint64_t epoch;         /* the epoch word last stored */
    uint64_t registered;    /* 1 where unregistering is ours to do */
} hangwatch_device_t;

#define HANGWATCH_DEVICE_INIT {NULL, 0, 0, 0, 0, 0}

/* ------------------------------------------------------------------------------------------- on the device, in a kernel -- */

/*
 * Begins a kernel's reports, and beats: once, by the thread that will report, before its first step. It goes on from the
 * words in the slot, so one hangwatch_device_t serves any number of launches: four loads over the bus, which this thread waits
 * for. Where the slot is not this lane's any more, nothing is reported.
 */
HANGWATCH_DEVICE_ void hangwatch_device_begin(hangwatch_device_t *d);

/*
 * `done` units of the job are done: iterations, tiles, tokens; over several kernels it goes on counting. As hangwatch_step():
 * only a `done` above all before it is progress, one that falls back is counted as a fall. Everything that this thread stored
 * before is visible to whoever sees the beat.
 */
HANGWATCH_DEVICE_ void hangwatch_device_step(hangwatch_device_t *d, uint64_t done);

/* The same, but only where `every` units are done since the last report, or the count fell back; else a subtraction and a
 * branch. What is left over at the end is not reported: end with a step, or with the job. */
HANGWATCH_DEVICE_ void hangwatch_device_step_every(hangwatch_device_t *d, uint64_t done, uint64_t every);

/* The kernel runs, without progress. It counts for jobs that report none (HANGWATCH_TOTAL_NONE). */
HANGWATCH_DEVICE_ void hangwatch_device_beat(hangwatch_device_t *d);

/* ------------------------------------------------------------------------------------------------------- on the host -- */

/*
 * hangwatch_cuda_register(gpu, &device, &err) lets the device into the slot of a GPU lane, and fills *device:
 *     hangwatch_code_e hangwatch_cuda_register(hangwatch_worker_t *gpu, hangwatch_device_t *device, hangwatch_error_t *err);
 *
 * Once a lane, after cudaSetDevice(); registering takes the driver long, so not for each job. It is for all contexts of the
 * process. A page that somebody has registered already is shared, and stays theirs to unregister.
 *
 * Returns HANGWATCH_OK, also where `gpu` is NULL, detached or inherited through fork(), with a *device that reports nowhere.
 * On failure *device reports nowhere too, and *err says why; kernels run on with it. After fork() a child can use neither
 * CUDA nor the lane.
 *
 * hangwatch_cuda_unregister(gpu, &device, &err) takes it out again: before hangwatch_detach(gpu), which may unmap the page,
 * and after the last kernel that has a copy of *device has ended. *device reports nowhere afterwards, whatever is returned.
 *     hangwatch_code_e hangwatch_cuda_unregister(hangwatch_worker_t *gpu, hangwatch_device_t *device, hangwatch_error_t *err);
 */

/* ------------------------------------------------------------------------------- below here nothing is for programs -- */

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 700
/* Each is one plain load or store of 8 aligned bytes at system scope, which is atomic in registered memory. */
#define HANGWATCH_LOAD_(at, value) \
    asm volatile("{ .reg .u64 g; cvta.to.global.u64 g, %1; ld.relaxed.sys.global.u64 %0, [g]; }" \
                 : "=l"(value) \
                 : "l"(at) \
                 : "memory")
#define HANGWATCH_STORE_(at, value) \
    asm volatile("{ .reg .u64 g; cvta.to.global.u64 g, %0; st.relaxed.sys.global.u64 [g], %1; }" \
                 : \
                 : "l"(at), "l"(value) \
                 : "memory")
#define HANGWATCH_PUBLISH_(at, value) \
    asm volatile("{ .reg .u64 g; cvta.to.global.u64 g, %0; st.release.sys.global.u64 [g], %1; }" \
                 : \
                 : "l"(at), "l"(value) \
                 : "memory")
#elif defined(__CUDA_ARCH__)
/* Before scopes: volatile, which no cache holds back, and a fence of the whole system for the release. */
#define HANGWATCH_LOAD_(at, value) \
    asm volatile("{ .reg .u64 g; cvta.to.global.u64 g, %1; ld.volatile.global.u64 %0, [g]; }" \
                 : "=l"(value) \
                 : "l"(at) \
                 : "memory")
#define HANGWATCH_STORE_(at, value) \
    asm volatile("{ .reg .u64 g; cvta.to.global.u64 g, %0; st.volatile.global.u64 [g], %1; }" \
                 : \
                 : "l"(at), "l"(value) \
                 : "memory")
#define HANGWATCH_PUBLISH_(at, value) \
    asm volatile("{ .reg .u64 g; cvta.to.global.u64 g, %0; membar.sys; st.volatile.global.u64 [g], %1; }" \
                 : \
                 : "l"(at), "l"(value) \
                 : "memory")
#elif defined(__HIP_DEVICE_COMPILE__)
#define HANGWATCH_LOAD_(at, value) (value) = __hip_atomic_load((at), __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_SYSTEM)
#define HANGWATCH_STORE_(at, value) __hip_atomic_store((at), (value), __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_SYSTEM)
#define HANGWATCH_PUBLISH_(at, value) __hip_atomic_store((at), (value), __ATOMIC_RELEASE, __HIP_MEMORY_SCOPE_SYSTEM)
#else
/* The host, and a CPU that plays the device. */
#define HANGWATCH_LOAD_(at, value) (value) = __atomic_load_n((at), __ATOMIC_RELAXED)
#define HANGWATCH_STORE_(at, value) __atomic_store_n((at), (value), __ATOMIC_RELAXED)
#define HANGWATCH_PUBLISH_(at, value) __atomic_store_n((at), (value), __ATOMIC_RELEASE)
#endif

HANGWATCH_DEVICE_ void hangwatch_device_begin(hangwatch_device_t *d)
{
    uint64_t owner, progress;
    if (d->slot == NULL)
        return;
    /* Relaxed: the launch has made the host's stores visible, and an earlier kernel's are this device's own. */
    HANGWATCH_LOAD_(&d->slot->owner, owner);
    if (owner != d->owner) {
        d->slot = NULL;
        return;
    }
    HANGWATCH_LOAD_(&d->slot->beat, d->local);
    HANGWATCH_LOAD_(&d->slot->epoch, d->epoch);
    HANGWATCH_LOAD_(&d->slot->progress, progress);
    d->last = progress == UINT64_MAX ? 0 : progress;
    hangwatch_device_beat(d);
}

HANGWATCH_DEVICE_ void hangwatch_device_beat(hangwatch_device_t *d)
{
    if (d->slot == NULL)
        return;
    d->local++;
    /* Release: pairs with the reader's Acquire after the beat; a beat that is seen implies its progress. */
    HANGWATCH_PUBLISH_(&d->slot->beat, d->local);
}

HANGWATCH_DEVICE_ void hangwatch_device_step(hangwatch_device_t *d, uint64_t done)
{
    if (d->slot == NULL)
        return;
    if (done < d->last) {
        /* The low 16 bits count falls, and wrap without touching the pass above them. */
        d->epoch = (d->epoch & ~UINT64_C(0xffff)) | ((d->epoch + 1) & UINT64_C(0xffff));
        /* Relaxed: job and pass are unchanged; a fall seen late is seen at the next poll. */
        HANGWATCH_STORE_(&d->slot->epoch, d->epoch);
    }
    d->last = done;
    /* Relaxed: the beat carries it. */
    HANGWATCH_STORE_(&d->slot->progress, done);
    hangwatch_device_beat(d);
}

HANGWATCH_DEVICE_ void hangwatch_device_step_every(hangwatch_device_t *d, uint64_t done, uint64_t every)
{
    /* One comparison for both: a count that fell back wraps to a number above any `every`. */
    if (done - d->last >= every)
        hangwatch_device_step(d, done);
}

#undef HANGWATCH_LOAD_
#undef HANGWATCH_STORE_
#undef HANGWATCH_PUBLISH_
#undef HANGWATCH_DEVICE_

/* The two runtimes differ in a prefix. */
#if defined(__HIP__) || defined(__HIPCC__) || defined(HIP_INCLUDE_HIP_HIP_RUNTIME_API_H)
#define HANGWATCH_RUNTIME_(name) hip##name
#define HANGWATCH_RUNTIME_NAME_ "HIP"
#define hangwatch_register_ hangwatch_hip_register
#define hangwatch_unregister_ hangwatch_hip_unregister
#elif defined(CUDART_VERSION)
#define HANGWATCH_RUNTIME_(name) cuda##name
#define HANGWATCH_RUNTIME_NAME_ "CUDA"
#define hangwatch_register_ hangwatch_cuda_register
#define hangwatch_unregister_ hangwatch_cuda_unregister
#endif

#ifdef HANGWATCH_RUNTIME_

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Bytes of a slot that a device may be let into, and what the owner word of a GPU lane says. */
enum {
    HANGWATCH_DEVICE_PAGE_ = 4096,
    HANGWATCH_DEVICE_KIND_ = 2,
    HANGWATCH_DEVICE_TAG_ = 2
};

/* Fills *err, where there is one. All of it is short enough for its room. */
static inline hangwatch_code_e hangwatch_failed_(hangwatch_error_t *err, hangwatch_code_e code, const char *what, long slot,
                                                 const char *why, const char *hint)
{
    if (err != NULL) {
        err->code = code;
        (void)snprintf(err->message, sizeof err->message, "cannot %s slot %ld with " HANGWATCH_RUNTIME_NAME_ ": %s%s%s", what,
                       slot, why,
                       *hint == '\0' ? "" : "\n  ", hint);
    }
    return code;
}

/* A call of the runtime that failed; its error is taken back, or the program's next check would find it. */
static inline hangwatch_code_e hangwatch_runtime_failed_(hangwatch_error_t *err, const char *what, long slot,
                                                         HANGWATCH_RUNTIME_(Error_t) error, const char *hint)
{
    const char *name = HANGWATCH_RUNTIME_(GetErrorName)(error), *meaning = HANGWATCH_RUNTIME_(GetErrorString)(error);
    char why[160];
    (void)HANGWATCH_RUNTIME_(GetLastError)();
    (void)snprintf(why, sizeof why, "%s (%s)", name == NULL ? "?" : name, meaning == NULL ? "?" : meaning);
    return hangwatch_failed_(err, HANGWATCH_ERROR_SYSTEM, what, slot, why, hint);
}

static inline hangwatch_code_e hangwatch_well_(hangwatch_error_t *err)
{
    if (err != NULL) {
        err->code = HANGWATCH_OK;
        err->message[0] = '\0';
    }
    return HANGWATCH_OK;
}

static inline hangwatch_code_e hangwatch_register_(hangwatch_worker_t *gpu, hangwatch_device_t *device, hangwatch_error_t *err)
{
    static const char what[] = "register";
    HANGWATCH_RUNTIME_(Error_t) error;
    uint64_t owner, registered;
    void *page, *seen = NULL;
    long slot;

    if (device == NULL)
        return hangwatch_failed_(err, HANGWATCH_ERROR_USAGE, what, (long)hangwatch_slot(gpu), "no hangwatch_device_t is given",
                                 "");
    memset(device, 0, sizeof *device);
    if (!hangwatch_is_attached(gpu))
        return hangwatch_well_(err);
    slot = (long)hangwatch_slot(gpu);
    page = gpu->slot;
    owner = __atomic_load_n(&gpu->slot->owner, __ATOMIC_RELAXED);
    if ((owner >> 32 & 0xff) != HANGWATCH_DEVICE_KIND_)
        return hangwatch_failed_(err, HANGWATCH_ERROR_USAGE, what, slot, "it is no GPU lane's",
                                 "make one with hangwatch_gpu_lane(): this worker's own thread reports here");
    if ((owner >> 40 & 0xff) != HANGWATCH_DEVICE_TAG_ || owner >> 48 != gpu->local >> 48)
        return hangwatch_failed_(err, HANGWATCH_ERROR_HELD, what, slot, "it was taken from this lane", "attach anew");
    if ((uintptr_t)page % HANGWATCH_DEVICE_PAGE_ != 0)
        return hangwatch_failed_(err, HANGWATCH_ERROR_USAGE, what, slot, "it begins no page",
                                 "a segment with GPU lanes is made with --slot-size 4096 or HANGWATCH_SLOT_SIZE=4096");
    if (sysconf(_SC_PAGESIZE) != HANGWATCH_DEVICE_PAGE_)
        return hangwatch_failed_(err, HANGWATCH_ERROR_SYSTEM, what, slot, "pages of this machine are not of 4096 bytes",
                                 "there are no GPU lanes on it");

    error = HANGWATCH_RUNTIME_(HostRegister)(page, HANGWATCH_DEVICE_PAGE_,
                                             HANGWATCH_RUNTIME_(HostRegisterMapped) |
                                                 HANGWATCH_RUNTIME_(HostRegisterPortable));
    registered = error == HANGWATCH_RUNTIME_(Success);
    if (error == HANGWATCH_RUNTIME_(ErrorHostMemoryAlreadyRegistered))
        /* Somebody's who let the device in as well, or else there is no pointer below. */
        (void)HANGWATCH_RUNTIME_(GetLastError)();
    else if (!registered)
        return hangwatch_runtime_failed_(err, what, slot, error,
                                         "the segment must be in a tmpfs such as /dev/shm, and a device must be there to see it");
    error = HANGWATCH_RUNTIME_(HostGetDevicePointer)(&seen, page, 0);
    if (error != HANGWATCH_RUNTIME_(Success) || seen == NULL) {
        if (registered)
            (void)HANGWATCH_RUNTIME_(HostUnregister)(page);
        return hangwatch_runtime_failed_(err, what, slot, error,
                                         registered ? "" : "the page is registered already, and not mapped for the device");
    }
    device->slot = (hangwatch_slot_t *)seen;
    device->owner = owner;
    device->registered = registered;
    return hangwatch_well_(err);
}

static inline hangwatch_code_e hangwatch_unregister_(hangwatch_worker_t *gpu, hangwatch_device_t *device, hangwatch_error_t *err)
{
    static const char what[] = "unregister";
    HANGWATCH_RUNTIME_(Error_t) error;
    const uint64_t registered = device == NULL ? 0 : device->registered;

    if (device != NULL)
        memset(device, 0, sizeof *device);
    /* In a forked child the registration is the parent's. */
    if (registered == 0 || !hangwatch_is_attached(gpu))
        return hangwatch_well_(err);
    error = HANGWATCH_RUNTIME_(HostUnregister)(gpu->slot);
    if (error != HANGWATCH_RUNTIME_(Success))
        return hangwatch_runtime_failed_(err, what, (long)hangwatch_slot(gpu), error,
                                         "the page stays registered: keep the lane attached until the process ends");
    return hangwatch_well_(err);
}

#undef HANGWATCH_RUNTIME_
#undef HANGWATCH_RUNTIME_NAME_
#undef hangwatch_register_
#undef hangwatch_unregister_
#endif /* HANGWATCH_RUNTIME_ */

#endif /* HANGWATCH_CUDA_CUH */
