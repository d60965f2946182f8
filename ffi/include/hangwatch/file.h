/* Files of a segment: made unnamed and whole, then named; opened without following or blocking. Errors are negative. */
#ifndef HANGWATCH_FILE_H
#define HANGWATCH_FILE_H

/* For reading and writing; a symbolic link is ELOOP, a FIFO does not block. */
static int hangwatch_open_existing_(const char *path)
{
    return hangwatch_open_(path, HANGWATCH_O_RDWR_ | HANGWATCH_O_NOFOLLOW_ | HANGWATCH_O_NONBLOCK_ | HANGWATCH_O_NOCTTY_, 0);
}

/* A nameless file in `dir`; -EOPNOTSUPP where the file system has none. */
static int hangwatch_unnamed_in_(const char *dir)
{
    int fd = hangwatch_open_(dir, HANGWATCH_O_RDWR_ | HANGWATCH_O_TMPFILE_, 0600);
    return fd == -EISDIR || fd == -EINVAL ? -EOPNOTSUPP : fd;
}

/* A new named file; -EEXIST where the name is taken. */
static int hangwatch_new_named_(const char *path)
{
    return hangwatch_open_(path, HANGWATCH_O_RDWR_ | HANGWATCH_O_CREAT_ | HANGWATCH_O_EXCL_ | HANGWATCH_O_NOFOLLOW_, 0600);
}

static int hangwatch_linkat_(long from_fd, const char *from, const char *to, long flags)
{
    return HANGWATCH_AS_(int, HANGWATCH_CALL_(hangwatch_syscall_(SYS_linkat, from_fd, HANGWATCH_ADDRESS_(from), HANGWATCH_AT_FDCWD_,
                                                                 HANGWATCH_ADDRESS_(to), flags)));
}

/* Gives an unnamed file its name; -EEXIST where it is taken. Without a /proc only newer kernels (6.10) and the mighty can. */
static int hangwatch_link_unnamed_(int fd, const char *path)
{
    char from[48];
    struct hangwatch_text_ text = hangwatch_text_on_(from, sizeof from - 1);
    int rc;
    hangwatch_put_(&text, "/proc/self/fd/");
    hangwatch_put_decimal_(&text, HANGWATCH_AS_(uint64_t, fd));
    from[text.len] = '\0';
    rc = hangwatch_linkat_(HANGWATCH_AT_FDCWD_, from, path, HANGWATCH_AT_SYMLINK_FOLLOW_);
    return rc == -ENOENT ? hangwatch_linkat_(fd, "", path, HANGWATCH_AT_EMPTY_PATH_) : rc;
}

/* Renames without replacing; -EEXIST where the name is taken. */
static int hangwatch_rename_new_(const char *from, const char *to)
{
    return HANGWATCH_AS_(int, HANGWATCH_CALL_(hangwatch_syscall_(SYS_renameat2, HANGWATCH_AT_FDCWD_, HANGWATCH_ADDRESS_(from),
                                                                 HANGWATCH_AT_FDCWD_, HANGWATCH_ADDRESS_(to), 1L)));
}

/* Reserves every page of the file now, so that a full file system is an error here and never a SIGBUS later. */
static int hangwatch_allocate_(int fd, uint64_t len)
{
    int error;
    do
        error = hangwatch_fallocate_(fd, 0, HANGWATCH_AS_(int64_t, len));
    while (error == EINTR);
    return -error;
}

/* Bytes free to us on the file system of `dir`, or UINT64_MAX where it does not say. */
static uint64_t hangwatch_bytes_free_(const char *dir)
{
    struct hangwatch_statfs_ about;
    uint64_t unit;
    memset(&about, 0, sizeof about);
    if (HANGWATCH_CALL_(hangwatch_syscall_(SYS_statfs, HANGWATCH_ADDRESS_(dir), HANGWATCH_ADDRESS_(&about))) != 0)
        return UINT64_MAX;
    unit = HANGWATCH_AS_(uint64_t, about.frsize != 0 ? about.frsize : about.bsize);
    return HANGWATCH_AS_(uint64_t, about.bavail) * unit;
}

/* A group's has its mode before it has its name, whatever the umask: another member that finds it can open it. */
static int hangwatch_make_sidecar_(const char *path, const struct hangwatch_access_ *access)
{
    int rc, fd = -EOPNOTSUPP;
    if (access->uids != NULL) {
        char *dir = hangwatch_parent_(path);
        fd = dir == NULL ? -ENOMEM : hangwatch_unnamed_in_(dir);
        free(dir);
    }
    if (fd >= 0) {
        rc = hangwatch_set_mode_(access, fd);
        if (rc == 0)
            rc = hangwatch_link_unnamed_(fd, path);
    } else if (fd == -EOPNOTSUPP) {
        /* A file system that has no such files shows a group's for a moment as the umask has it. */
        fd = hangwatch_new_named_(path);
        rc = fd < 0 ? fd : hangwatch_set_mode_(access, fd);
    } else {
        rc = fd;
    }
    hangwatch_close_(fd);
    return rc;
}

/* Opens or makes a small lock file beside a segment. */
static int hangwatch_open_sidecar_(const char *path, const struct hangwatch_access_ *access)
{
    /* Whoever makes and removes it for ever is not followed. */
    int left = 100;
    for (;;) {
        int rc, fd = hangwatch_open_existing_(path);
        if (fd != -ENOENT || left-- == 0)
            return fd;
        rc = hangwatch_make_sidecar_(path, access);
        /* Otherwise somebody else may have been faster. */
        if (rc != 0 && rc != -EEXIST)
            return rc;
    }
}

#endif /* HANGWATCH_FILE_H */
