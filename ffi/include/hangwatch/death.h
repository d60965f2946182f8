/* Whether another process is gone: the only thing that frees another's slot. Silence is never proof, nor what is unknown. */
#ifndef HANGWATCH_DEATH_H
#define HANGWATCH_DEATH_H

/* Whether the process of a pidfd has exited, all its threads with it, reaped or not. Never waits. */
static int hangwatch_has_exited_(int fd)
{
    struct hangwatch_pollfd_ polled;
    polled.fd = fd;
    polled.events = 1; /* POLLIN */
    polled.revents = 0;
    return hangwatch_poll_(&polled) && (polled.revents & 1) != 0;
}

/* Whether no process has this number, or one that has exited, or another one by now. */
static int hangwatch_is_gone_(uint32_t pid, uint64_t pidfd_ino)
{
    int fd = hangwatch_pidfd_open_(pid), gone;
    uint64_t now;
    if (fd < 0)
        return fd == -ESRCH;
    gone = hangwatch_has_exited_(fd);
    now = hangwatch_pidfd_ino_(fd);
    hangwatch_close_(fd);
    /* Without inodes a reborn number cannot be told from the old one: no proof. */
    return gone || (now != 0 && pidfd_ino != 0 && now != pidfd_ino);
}

/* struct file_handle of a pidfd: 8 bytes, the inode. */
struct hangwatch_handle_ {
    uint32_t bytes;
    int32_t kind;
    uint64_t inode;
};

/* A handle on the process that has this inode for its name, whatever its number is, in our pid namespace or in one below. A
 * negative error: -ESTALE where no process that can be seen from here has it; others where the kernel cannot (before 6.14). */
static int hangwatch_pidfd_of_inode_(uint64_t inode, uint32_t own_pid)
{
    struct hangwatch_handle_ handle = {sizeof(uint64_t), 0, 0};
    int mount = 0, ours = hangwatch_pidfd_open_(own_pid), fd;
    long rc;
    if (ours < 0)
        return ours;
    rc = HANGWATCH_CALL_(hangwatch_syscall_(SYS_name_to_handle_at, HANGWATCH_AS_(long, ours), HANGWATCH_ADDRESS_(""),
                                            HANGWATCH_ADDRESS_(&handle), HANGWATCH_ADDRESS_(&mount),
                                            HANGWATCH_AT_EMPTY_PATH_));
    /* The one that is known shows that a handle is made of an inode and of nothing else. */
    if (rc == 0 && (handle.bytes != sizeof(uint64_t) || handle.inode == 0 || handle.inode != hangwatch_pidfd_ino_(ours)))
        rc = -EOPNOTSUPP;
    if (rc == 0) {
        handle.inode = inode;
        rc = HANGWATCH_CALL_(hangwatch_syscall_(SYS_open_by_handle_at, HANGWATCH_AS_(long, ours), HANGWATCH_ADDRESS_(&handle),
                                                HANGWATCH_AS_(long, HANGWATCH_O_RDONLY_ | HANGWATCH_O_CLOEXEC_)));
    }
    hangwatch_close_(ours);
    fd = HANGWATCH_AS_(int, rc);
    if (fd >= 0 && hangwatch_pidfd_ino_(fd) != inode) {
        hangwatch_close_(fd);
        return -EOPNOTSUPP;
    }
    return fd;
}

/* The same in whatever pid namespace it was, by the kernel's name for it alone. That it cannot be found is proof only where
 * every process can be seen: in the first namespace, whose number is the kernel's own. */
static int hangwatch_is_gone_elsewhere_(uint64_t pidfd_ino, const struct hangwatch_myself_ *me)
{
    int fd, gone;
    if (pidfd_ino == 0)
        return 0;
    fd = hangwatch_pidfd_of_inode_(pidfd_ino, me->pid);
    if (fd < 0)
        return fd == -ESTALE && me->pidns_ino == 0xeffffffc;
    gone = hangwatch_has_exited_(fd);
    hangwatch_close_(fd);
    return gone;
}

#endif /* HANGWATCH_DEATH_H */
