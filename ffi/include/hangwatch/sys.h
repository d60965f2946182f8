/*
 * The kernel and the C library as the header-only form reaches them: by system call numbers, and by symbols under names of
 * our own. So nothing depends on a feature macro, on what was included before, or on the C library's structs, and nothing
 * but the C library is linked. Raw system calls are no cancellation points: an attach is never left halfway.
 */
#ifndef HANGWATCH_SYS_H
#define HANGWATCH_SYS_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#if !defined(__linux__)
#error "hangwatch runs on Linux"
#endif

#if (defined(__riscv) && __riscv_xlen == 32) || (defined(__x86_64__) && defined(__ILP32__))
#error "hangwatch's header-only form knows 32-bit machines by their old time ABI only: link libhangwatch"
#endif

/* An address as a system call takes it, and one that it gives. */
#if defined(__cplusplus)
#define HANGWATCH_ADDRESS_(pointer) reinterpret_cast<long>(pointer)
#define HANGWATCH_POINTER_(type, number) reinterpret_cast<type>(number)
#else
#define HANGWATCH_ADDRESS_(pointer) ((long)(pointer))
#define HANGWATCH_POINTER_(type, number) ((type)(number))
#endif

/* The C library's functions that have 64-bit offsets under a second name on its 32-bit machines. */
#if defined(__GLIBC__) && UINTPTR_MAX == UINT32_MAX
#define HANGWATCH_LFS_(name) name "64"
#else
#define HANGWATCH_LFS_(name) name
#endif

extern long hangwatch_syscall_(long number, ...) __asm__("syscall");
extern int hangwatch_clock_gettime_(int clock, struct hangwatch_time_ *now) __asm__("clock_gettime");
extern unsigned long hangwatch_getauxval_(unsigned long key) __asm__("getauxval");
/* Not a system call: where the file system has no fallocate, the C library writes to every block. Returns the error. */
extern int hangwatch_fallocate_(int fd, int64_t offset, int64_t len) __asm__(HANGWATCH_LFS_("posix_fallocate"));
/* The form of POSIX, which fills the buffer. glibc has another under the plain name. */
#if defined(__GLIBC__)
extern int hangwatch_strerror_(int error, char *text, size_t len) __asm__("__xpg_strerror_r");
#else
extern int hangwatch_strerror_(int error, char *text, size_t len) __asm__("strerror_r");
#endif

/* Numbers that kernel headers older than the kernel lack. They are the same on every machine listed below. */
#if defined(SYS_pidfd_open)
#define HANGWATCH_SYS_PIDFD_OPEN_ SYS_pidfd_open
#else
#define HANGWATCH_SYS_PIDFD_OPEN_ 434
#endif
#if !defined(SYS_statx) || !defined(SYS_renameat2) || !defined(SYS_getrandom)
#error "hangwatch's header-only form needs the kernel headers of Linux 4.11 or newer"
#endif

/* Flags of open, which <fcntl.h> hides in strict C. */
#if defined(__x86_64__) || defined(__i386__) || defined(__riscv) || defined(__loongarch__)
#define HANGWATCH_O_DIRECTORY_ 0200000
#define HANGWATCH_O_NOFOLLOW_ 0400000
#define HANGWATCH_O_LARGEFILE_ 0100000
#elif defined(__aarch64__) || defined(__arm__) || defined(__powerpc64__)
#define HANGWATCH_O_DIRECTORY_ 040000
#define HANGWATCH_O_NOFOLLOW_ 0100000
#define HANGWATCH_O_LARGEFILE_ 0400000
#else
#error "hangwatch's header-only form does not know this machine's flags of open: link libhangwatch"
#endif
#define HANGWATCH_O_RDONLY_ 0
#define HANGWATCH_O_RDWR_ 02
#define HANGWATCH_O_CREAT_ 0100
#define HANGWATCH_O_EXCL_ 0200
#define HANGWATCH_O_NOCTTY_ 0400
#define HANGWATCH_O_NONBLOCK_ 04000
#define HANGWATCH_O_CLOEXEC_ 02000000
#define HANGWATCH_O_TMPFILE_ (020000000 | HANGWATCH_O_DIRECTORY_)

#define HANGWATCH_AT_FDCWD_ (-100L)
#define HANGWATCH_AT_SYMLINK_NOFOLLOW_ 0x100L
#define HANGWATCH_AT_SYMLINK_FOLLOW_ 0x400L
#define HANGWATCH_AT_EMPTY_PATH_ 0x1000L

#define HANGWATCH_CLOCK_REALTIME_ 0
#define HANGWATCH_CLOCK_BOOTTIME_ 7

/* The kernel's struct statx: the same on every machine. */
struct hangwatch_statx_time_ {
    int64_t s;
    uint32_t ns;
    int32_t pad;
};
struct hangwatch_statx_ {
    uint32_t mask, blksize;
    uint64_t attributes;
    uint32_t nlink, uid, gid;
    uint16_t mode, pad0;
    uint64_t ino, size, blocks, attributes_mask;
    struct hangwatch_statx_time_ atime, btime, ctime, mtime;
    uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
    uint64_t spare[14];
};

/* What the kernel says of a file system: words of its own size where they count blocks, else of 64 bits. */
struct hangwatch_statfs_ {
#if UINTPTR_MAX == UINT32_MAX
    uint32_t type, bsize, blocks, bfree, bavail, files, ffree;
    int32_t fsid[2];
    uint32_t namelen, frsize, flags, spare[12];
#else
    int64_t type, bsize;
    uint64_t blocks, bfree, bavail, files, ffree;
    int32_t fsid[2];
    int64_t namelen, frsize, flags, spare[12];
#endif
};

/* A record lock with 64-bit offsets, as fcntl64 has it on 32-bit machines and fcntl on the others. */
struct hangwatch_flock_ {
    int16_t type, whence;
    int64_t start, len;
    int32_t pid;
};
#if UINTPTR_MAX == UINT32_MAX
#define HANGWATCH_SYS_FCNTL_ SYS_fcntl64
#define HANGWATCH_F_SETLK_ 13L
#else
#define HANGWATCH_SYS_FCNTL_ SYS_fcntl
#define HANGWATCH_F_SETLK_ 6L
#endif
#define HANGWATCH_F_WRLCK_ 1
#define HANGWATCH_F_UNLCK_ 2

/* A call's result, or its error as a negative number: errno itself is the host's. */
#define HANGWATCH_CALL_(result) hangwatch_checked_(result)

static inline long hangwatch_checked_(long result)
{
    return result < 0 ? -HANGWATCH_AS_(long, errno) : result;
}

/* Opens; the error is negative. Tries again where a signal came in between. */
static inline int hangwatch_open_(const char *path, int flags, unsigned mode)
{
    long fd;
#if UINTPTR_MAX == UINT32_MAX
    flags |= HANGWATCH_O_LARGEFILE_;
#endif
    do
        fd = HANGWATCH_CALL_(hangwatch_syscall_(SYS_openat, HANGWATCH_AT_FDCWD_, HANGWATCH_ADDRESS_(path),
                                                HANGWATCH_AS_(long, flags | HANGWATCH_O_CLOEXEC_),
                                                HANGWATCH_AS_(long, mode)));
    while (fd == -EINTR);
    return HANGWATCH_AS_(int, fd);
}

static inline void hangwatch_close_(int fd)
{
    if (fd >= 0)
        (void)hangwatch_syscall_(SYS_close, HANGWATCH_AS_(long, fd));
}

/* Reads up to `len` bytes, fewer only at the file's end: how many, or a negative error. */
static inline long hangwatch_read_(int fd, void *buffer, size_t len)
{
    size_t filled = 0;
    while (filled < len) {
        long n = HANGWATCH_CALL_(hangwatch_syscall_(SYS_read, HANGWATCH_AS_(long, fd),
                                                    HANGWATCH_ADDRESS_(HANGWATCH_AS_(char *, buffer) + filled),
                                                    HANGWATCH_AS_(long, len - filled)));
        if (n == -EINTR)
            continue;
        if (n < 0)
            return n;
        if (n == 0)
            break;
        filled += HANGWATCH_AS_(size_t, n);
    }
    return HANGWATCH_AS_(long, filled);
}

/* The beginning of a small file as a string: its length, or a negative error. */
static inline long hangwatch_read_text_(const char *path, char *text, size_t capacity)
{
    long n;
    int fd = hangwatch_open_(path, HANGWATCH_O_RDONLY_, 0);
    if (fd < 0)
        return fd;
    memset(text, 0, capacity);
    n = hangwatch_read_(fd, text, capacity - 1);
    hangwatch_close_(fd);
    return n;
}

/* `fd` is asked where it is not negative, else `path`; `follow`: a symbolic link's target. 0 or a negative error. */
static inline int hangwatch_stat_(int fd, const char *path, int follow, struct hangwatch_statx_ *about)
{
    long flags = fd >= 0 ? HANGWATCH_AT_EMPTY_PATH_ : follow ? 0 : HANGWATCH_AT_SYMLINK_NOFOLLOW_;
    memset(about, 0, sizeof *about);
    return HANGWATCH_AS_(int, HANGWATCH_CALL_(hangwatch_syscall_(
                                  SYS_statx, fd >= 0 ? HANGWATCH_AS_(long, fd) : HANGWATCH_AT_FDCWD_,
                                  HANGWATCH_ADDRESS_(fd >= 0 ? "" : path), flags, 0x7ffL, HANGWATCH_ADDRESS_(about))));
}

/* A device number in one word. */
static inline uint64_t hangwatch_device_of_(const struct hangwatch_statx_ *about)
{
    return HANGWATCH_AS_(uint64_t, about->dev_major) << 32 | about->dev_minor;
}

static inline int hangwatch_same_file_(const struct hangwatch_statx_ *a, const struct hangwatch_statx_ *b)
{
    return hangwatch_device_of_(a) == hangwatch_device_of_(b) && a->ino == b->ino;
}

static inline int hangwatch_unlink_(const char *path)
{
    return HANGWATCH_AS_(int, HANGWATCH_CALL_(hangwatch_syscall_(SYS_unlinkat, HANGWATCH_AT_FDCWD_,
                                                                 HANGWATCH_ADDRESS_(path), 0L)));
}

static inline uint32_t hangwatch_euid_(void)
{
#if defined(SYS_geteuid32)
    return HANGWATCH_AS_(uint32_t, hangwatch_syscall_(SYS_geteuid32));
#else
    return HANGWATCH_AS_(uint32_t, hangwatch_syscall_(SYS_geteuid));
#endif
}

/* Maps `len` bytes; `fd` -1: private memory of nobody else's. NULL, with *error negative, where it cannot be had. */
static inline void *hangwatch_map_(int fd, size_t len, int *error)
{
    /* PROT_READ | PROT_WRITE; MAP_SHARED, or MAP_PRIVATE | MAP_ANONYMOUS. */
    long flags = fd >= 0 ? 0x01L : 0x22L;
#if UINTPTR_MAX == UINT32_MAX
    long at = hangwatch_syscall_(SYS_mmap2, 0L, HANGWATCH_AS_(long, len), 3L, flags, HANGWATCH_AS_(long, fd), 0L);
#else
    long at = hangwatch_syscall_(SYS_mmap, 0L, HANGWATCH_AS_(long, len), 3L, flags, HANGWATCH_AS_(long, fd), 0L);
#endif
    *error = at == -1 ? -errno : 0;
    return at == -1 ? NULL : HANGWATCH_POINTER_(void *, at);
}

static inline void hangwatch_unmap_(void *at, size_t len)
{
    (void)hangwatch_syscall_(SYS_munmap, HANGWATCH_ADDRESS_(at), HANGWATCH_AS_(long, len));
}

/* One descriptor that is waited for, as poll has it. */
struct hangwatch_pollfd_ {
    int fd;
    short events, revents;
};

/* Whether the descriptor is ready now. Machines without poll have ppoll, whose time is two longs on all of them. */
static inline int hangwatch_poll_(struct hangwatch_pollfd_ *polled)
{
#if defined(SYS_poll)
    return hangwatch_syscall_(SYS_poll, HANGWATCH_ADDRESS_(polled), 1L, 0L) == 1;
#else
    long at_once[2] = {0, 0};
    return hangwatch_syscall_(SYS_ppoll, HANGWATCH_ADDRESS_(polled), 1L, HANGWATCH_ADDRESS_(at_once), 0L, 0L) == 1;
#endif
}

/* A clock in ns; 0 where it cannot be read. */
static inline uint64_t hangwatch_clock_ns_(int clock)
{
    struct hangwatch_time_ now;
    int kept = errno, rc = hangwatch_clock_gettime_(clock, &now);
    errno = kept;
    return rc == 0 ? HANGWATCH_AS_(uint64_t, now.s) * UINT64_C(1000000000) + HANGWATCH_AS_(uint64_t, now.ns) : 0;
}

/* Whether the kernel maps a vDSO: without one every stamp would be a system call. */
static inline int hangwatch_has_vdso_(void)
{
    int kept = errno, has = hangwatch_getauxval_(33) != 0; /* AT_SYSINFO_EHDR */
    errno = kept;
    return has;
}

/* Random bytes of the kernel: 0 or a negative error. */
static inline int hangwatch_random_(void *buffer, size_t len)
{
    size_t filled = 0;
    memset(buffer, 0, len);
    while (filled < len) {
        long n = HANGWATCH_CALL_(hangwatch_syscall_(SYS_getrandom,
                                                    HANGWATCH_ADDRESS_(HANGWATCH_AS_(char *, buffer) + filled),
                                                    HANGWATCH_AS_(long, len - filled), 0L));
        if (n < 0 && n != -EINTR)
            return HANGWATCH_AS_(int, n);
        if (n > 0)
            filled += HANGWATCH_AS_(size_t, n);
    }
    return 0;
}

#endif /* HANGWATCH_SYS_H */
