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

/* Gives an unnamed file its name; -EEXIST where it is taken. */
static int hangwatch_link_unnamed_(int fd, const char *path)
{
    char from[48];
    struct hangwatch_text_ text = hangwatch_text_on_(from, sizeof from - 1);
    hangwatch_put_(&text, "/proc/self/fd/");
    hangwatch_put_decimal_(&text, HANGWATCH_AS_(uint64_t, fd));
    from[text.len] = '\0';
    return HANGWATCH_AS_(int, HANGWATCH_CALL_(hangwatch_syscall_(SYS_linkat, HANGWATCH_AT_FDCWD_, HANGWATCH_ADDRESS_(from),
                                                                 HANGWATCH_AT_FDCWD_, HANGWATCH_ADDRESS_(path),
                                                                 HANGWATCH_AT_SYMLINK_FOLLOW_)));
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

/* Opens or makes a small lock file beside a segment. It has its mode before it has its name: another member of a group that
 * finds it can open it. */
static int hangwatch_open_sidecar_(const char *path, const struct hangwatch_access_ *access)
{
    for (;;) {
        int rc, fd = hangwatch_open_existing_(path);
        char *dir;
        if (fd != -ENOENT)
            return fd;
        dir = hangwatch_parent_(path);
        if (dir == NULL)
            return -ENOMEM;
        fd = hangwatch_unnamed_in_(dir);
        free(dir);
        if (fd == -EOPNOTSUPP) {
            /* Such a file system shows it for a moment as the umask has it. */
            rc = fd = hangwatch_new_named_(path);
            if (fd >= 0)
                rc = hangwatch_set_mode_(access, fd);
        } else if (fd >= 0) {
            rc = hangwatch_set_mode_(access, fd);
            if (rc == 0)
                rc = hangwatch_link_unnamed_(fd, path);
        } else {
            return fd;
        }
        if (rc >= 0)
            return fd;
        hangwatch_close_(fd);
        /* Otherwise somebody else was faster, and may be gone again. */
        if (rc != -EEXIST)
            return rc;
    }
}

/* Makes a folder and those that it is in; one that is there is no error. `path` is changed and changed back. */
static int hangwatch_make_folders_(char *path, unsigned mode)
{
    struct hangwatch_statx_ about;
    size_t cut;
    char kept;
    int rc, parents;
    rc = HANGWATCH_AS_(int, HANGWATCH_CALL_(hangwatch_syscall_(SYS_mkdirat, HANGWATCH_AT_FDCWD_, HANGWATCH_ADDRESS_(path),
                                                               HANGWATCH_AS_(long, mode))));
    if (rc == -ENOENT) {
        cut = hangwatch_trimmed_(path, hangwatch_last_(path));
        /* Where nothing is left, the name itself is what cannot be made. */
        if (cut == 0 || path[cut] == '\0')
            return rc;
        kept = path[cut];
        path[cut] = '\0';
        parents = hangwatch_make_folders_(path, mode);
        path[cut] = kept;
        if (parents < 0)
            return parents;
        rc = HANGWATCH_AS_(int, HANGWATCH_CALL_(hangwatch_syscall_(SYS_mkdirat, HANGWATCH_AT_FDCWD_, HANGWATCH_ADDRESS_(path),
                                                                   HANGWATCH_AS_(long, mode))));
    }
    if (rc < 0 && hangwatch_stat_(-1, path, 1, &about) == 0 && hangwatch_is_folder_(&about))
        return 0;
    return rc;
}

static void hangwatch_deny_folder_(struct hangwatch_report_ *report)
{
    hangwatch_hint_(report, "set HANGWATCH_DIR to a folder of your own, mode 0700");
}

/* Makes the folder of named segments if it is absent, and refuses one that others may change. 0, or -1 with *err filled. */
static int hangwatch_ensure_directory_(char *dir, const struct hangwatch_access_ *access, hangwatch_error_t *err)
{
    static const char *const what = "cannot use segment directory";
    struct hangwatch_report_ report;
    struct hangwatch_statx_ about;
    int rc = hangwatch_make_folders_(dir, hangwatch_folder_mode_(access));
    if (rc < 0 && rc != -EEXIST) {
        report = hangwatch_fail_io_(err, what, dir, rc);
        hangwatch_hint_(&report, "set HANGWATCH_DIR to a folder in a tmpfs that you may write");
        return -1;
    }
    rc = hangwatch_stat_(-1, dir, 0, &about);
    if (rc < 0) {
        (void)hangwatch_fail_io_(err, what, dir, rc);
        return -1;
    }
    if (hangwatch_is_folder_(&about) && hangwatch_may_own_(access, about.uid) &&
        !hangwatch_is_open_to_strangers_(access, &about))
        return 0;
    report = hangwatch_fail_on_(err, HANGWATCH_ERROR_DENIED, what, dir);
    if (!hangwatch_is_folder_(&about)) {
        hangwatch_put_(&report.text, "it is not a directory");
    } else if (!hangwatch_may_own_(access, about.uid)) {
        hangwatch_put_(&report.text, "it belongs to uid ");
        hangwatch_put_decimal_(&report.text, about.uid);
        hangwatch_put_(&report.text, ", expected ");
        hangwatch_put_decimal_(&report.text, hangwatch_euid_());
    } else {
        hangwatch_put_(&report.text, "others may write it: mode ");
        hangwatch_put_mode_(&report.text, about.mode);
        hangwatch_put_(&report.text, ", expected 0700");
    }
    hangwatch_deny_folder_(&report);
    return -1;
}

#endif /* HANGWATCH_FILE_H */
