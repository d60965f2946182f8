/*
 * The host's side of hangwatch_cuda.cuh against a runtime that stands in: with -DFAKE_HIP for HIP, else for CUDA. argv[1] is a
 * segment whose slots are 4096 bytes apart, or is made as one; argv[2] one whose slots are not.
 */
#ifdef FAKE_HIP
#include <hip/hip_runtime_api.h>
#define REGISTER hangwatch_hip_register
#define UNREGISTER hangwatch_hip_unregister
#define RUNTIME "hip"
#define NAME "HIP"
#else
#include <cuda_runtime_api.h>
#define REGISTER hangwatch_cuda_register
#define UNREGISTER hangwatch_cuda_unregister
#define RUNTIME "cuda"
#define NAME "CUDA"
#endif
#include <hangwatch_cuda.cuh>

#include "check.h"
#include "runtime.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static hangwatch_error_t err;

static void fresh(hangwatch_device_t *device)
{
    memset(device, 0xff, sizeof *device);
    memset(&err, 0xff, sizeof err);
}

static void nowhere(const hangwatch_device_t *device)
{
    CHECK(device->slot == NULL && device->registered == 0, "the device reports nowhere");
}

static void well(hangwatch_code_e code)
{
    CHECK(code == HANGWATCH_OK && err.code == HANGWATCH_OK && err.message[0] == '\0', err.message);
}

static void failed(hangwatch_code_e code, hangwatch_code_e expected, const char *what, const char *why)
{
    CHECK(code == expected && err.code == expected, err.message);
    CHECK(strncmp(err.message, what, strlen(what)) == 0, err.message);
    CHECK(strstr(err.message, why) != NULL, err.message);
}

/* On such a struct every function of the device does nothing. */
static void reports_nowhere(hangwatch_device_t device)
{
    hangwatch_device_begin(&device);
    hangwatch_device_step(&device, 1);
    hangwatch_device_step_every(&device, 9, 2);
    hangwatch_device_beat(&device);
    nowhere(&device);
}

static void of_nobody(void)
{
    hangwatch_device_t device;
    hangwatch_device_t zero = HANGWATCH_DEVICE_INIT;
    hangwatch_worker_t *detached = hangwatch_gpu_lane(NULL, "gpu", 0, NULL);
    int i;
    for (i = 0; i < 2; i++) {
        hangwatch_worker_t *w = i == 0 ? NULL : detached;
        fresh(&device);
        well(REGISTER(w, &device, &err));
        nowhere(&device);
        reports_nowhere(device);
        memset(&err, 0xff, sizeof err);
        well(UNREGISTER(w, &device, &err));
        CHECK(REGISTER(w, &device, NULL) == HANGWATCH_OK && UNREGISTER(w, &device, NULL) == HANGWATCH_OK, "err may be NULL");
    }
    reports_nowhere(zero);
    CHECK(UNREGISTER(NULL, NULL, NULL) == HANGWATCH_OK, "nothing is there to unregister");
    CHECK(fake_calls(NULL) == 0, "where nobody watches the runtime is not called");
    hangwatch_detach(detached);
}

static void not_a_page(const char *path)
{
    hangwatch_worker_t *w = hangwatch_attach(path, "small", &err);
    CHECK(w != NULL, err.message);
    CHECK(hangwatch_gpu_lane(w, "gpu", 0, &err) == NULL && err.code == HANGWATCH_ERROR_USAGE, err.message);
    CHECK(strstr(err.message, "its slots are 1024 bytes apart, expected 4096") != NULL, err.message);
    CHECK(strstr(err.message, "--slot-size 4096") != NULL, "the error says the way out");
    hangwatch_detach(w);
}

static void a_forked_child_uses_neither(hangwatch_worker_t *gpu, hangwatch_device_t device)
{
    const int before = fake_calls(NULL);
    int status = 0;
    pid_t pid = fork();
    CHECK(pid >= 0, "fork works");
    if (pid == 0) {
        hangwatch_device_t mine;
        fresh(&mine);
        well(UNREGISTER(gpu, &device, &err));
        well(REGISTER(gpu, &mine, &err));
        nowhere(&mine);
        CHECK(fake_calls(NULL) == before, "what is registered is the parent's");
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child is content");
    CHECK(fake_registered() == 1, "the child's unregistering is none of the parent's");
}

int main(int argc, char **argv)
{
    static const char what[] = "cannot register slot 1 with " NAME ": ";
    hangwatch_device_t device, second;
    hangwatch_worker_t *w, *gpu;
    int calls;

    CHECK(argc == 3, "two segments are named");
    of_nobody();
    not_a_page(argv[2]);

    w = hangwatch_attach(argv[1], "host", &err);
    CHECK(w != NULL, err.message);
    gpu = hangwatch_gpu_lane(w, "gpu", 3, &err);
    CHECK(gpu != NULL, err.message);

    fresh(&device);
    failed(REGISTER(w, &device, &err), HANGWATCH_ERROR_USAGE, "cannot register slot 0 with " NAME ": ", "it is no GPU lane's");
    nowhere(&device);
    memset(&err, 0xff, sizeof err);
    failed(REGISTER(gpu, NULL, &err), HANGWATCH_ERROR_USAGE, what, "no hangwatch_device_t is given");
    CHECK(fake_calls(NULL) == 0, "what is wrong before the runtime is asked does not reach it");

    /* Refused: the name and the meaning of the error are said, and the program's own check finds none. */
    fake_fail("HostRegister", 304);
    fresh(&device);
    failed(REGISTER(gpu, &device, &err), HANGWATCH_ERROR_SYSTEM, what,
           RUNTIME "ErrorOperatingSystem (OS call failed or operation not supported on this OS)\n  ");
    nowhere(&device);
    CHECK(fake_calls("HostGetDevicePointer") == 0 && fake_registered() == 0, "nothing is left of it");
    CHECK(fake_calls("GetLastError") == 1, "the error is taken back");

    /* Registered, and no address for the device: unregistered again. */
    fake_fail("HostGetDevicePointer", 304);
    fresh(&device);
    failed(REGISTER(gpu, &device, &err), HANGWATCH_ERROR_SYSTEM, what, RUNTIME "ErrorOperatingSystem");
    nowhere(&device);
    CHECK(fake_registered() == 0, "a page that cannot be used is given back");

    /* Well. */
    calls = fake_calls("HostRegister");
    fresh(&device);
    well(REGISTER(gpu, &device, &err));
    CHECK(device.slot == gpu->slot && device.registered == 1, "the page's address, and it is ours");
    CHECK(fake_calls("HostRegister") == calls + 1 && fake_registered() == 1, "registered once");
    CHECK(fake_size() == 4096 && fake_flags() == 3, "one page, mapped and portable");
    CHECK((uintptr_t)device.slot % 4096 == 0, "a page");
    a_forked_child_uses_neither(gpu, device);

    /* A second time: shared, and the first one's to unregister. */
    calls = fake_calls("GetLastError");
    fresh(&second);
    well(REGISTER(gpu, &second, &err));
    CHECK(second.slot == device.slot && second.registered == 0, "shared");
    CHECK(fake_calls("GetLastError") == calls + 1, "that it was registered already is no error of the program's");
    memset(&err, 0xff, sizeof err);
    well(UNREGISTER(gpu, &second, &err));
    nowhere(&second);
    CHECK(fake_registered() == 1, "it is not the second one's to unregister");

    /* Registered by somebody who did not map it. */
    fake_fail("HostGetDevicePointer", 1);
    fresh(&second);
    failed(REGISTER(gpu, &second, &err), HANGWATCH_ERROR_SYSTEM, what, "the page is registered already");
    nowhere(&second);
    CHECK(fake_registered() == 1, "nor is what cannot be used of another's");

    /* The host keeps its slot, the device has one, and they go on one after the other. */
    hangwatch_begin_job(gpu, "job", "model", 100);
    {
        hangwatch_device_t kernel = device;
        hangwatch_device_begin(&kernel);
        hangwatch_device_step(&kernel, 25);
        CHECK(gpu->slot->progress == 25 && w->slot->progress == UINT64_MAX, "a device reports into its own slot");
        hangwatch_end_job(gpu, HANGWATCH_OUTCOME_OK);
        CHECK(gpu->slot->beat == kernel.local + 1, "the host goes on from the device's beat");
    }

    /* Unregister, then detach; a copy of the struct that is left reports nowhere, as the slot is nobody's. */
    second = device;
    memset(&err, 0xff, sizeof err);
    well(UNREGISTER(gpu, &device, &err));
    nowhere(&device);
    CHECK(fake_registered() == 0 && fake_calls("HostUnregister") == 2, "unregistered, once more than the one that was given back");
    well(UNREGISTER(gpu, &device, &err));
    CHECK(fake_calls("HostUnregister") == 2, "a second time does nothing");
    hangwatch_detach(gpu);
    hangwatch_device_begin(&second);
    CHECK(second.slot == NULL, "a kernel that is launched too late reports nowhere");

    /* The runtime refuses to let go. */
    gpu = hangwatch_gpu_lane(w, "gpu", 3, &err);
    CHECK(gpu != NULL, err.message);
    well(REGISTER(gpu, &device, &err));
    fake_fail("HostUnregister", 304);
    failed(UNREGISTER(gpu, &device, &err), HANGWATCH_ERROR_SYSTEM, "cannot unregister slot ",
           "the page stays registered");
    nowhere(&device);
    hangwatch_detach(gpu);
    hangwatch_detach(w);
    return 0;
}
