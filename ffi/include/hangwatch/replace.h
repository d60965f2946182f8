/* Opening a segment or making it, and replacing one that is left from before the last boot. */
#ifndef HANGWATCH_REPLACE_H
#define HANGWATCH_REPLACE_H

/* Opens the lock file and holds an exclusive flock on it, which others hold for a handful of calls. Its descriptor, or a
 * negative error. */
static int hangwatch_lock_unlinking_(const char *lock_path, const struct hangwatch_access_ *access)
{
    for (;;) {
        struct hangwatch_statx_ held, there;
        int rc, fd = hangwatch_open_sidecar_(lock_path, access);
        if (fd < 0)
            return fd;
        do
            rc = HANGWATCH_AS_(int, HANGWATCH_CALL_(hangwatch_syscall_(SYS_flock, HANGWATCH_AS_(long, fd), 2L)));
        while (rc == -EINTR);
        if (rc == 0)
            rc = hangwatch_stat_(fd, "", 1, &held);
        if (rc == 0) {
            rc = hangwatch_stat_(-1, lock_path, 0, &there);
            if (rc == 0 && hangwatch_same_file_(&held, &there))
                return fd;
            /* The last holder removed the name that was waited for: the lock of its successor is another file. */
            if (rc == -ENOENT)
                rc = 0;
        }
        hangwatch_close_(fd);
        if (rc != 0)
            return rc;
    }
}

/* Removes `path` if it is still the file that was opened. 0 or a negative error. */
static int hangwatch_remove_if_same_(const char *path, int stale_fd)
{
    struct hangwatch_statx_ opened, there;
    int rc = hangwatch_stat_(-1, path, 0, &there);
    if (rc == -ENOENT)
        return 0;
    if (rc == 0)
        rc = hangwatch_stat_(stale_fd, "", 1, &opened);
    if (rc == 0 && hangwatch_same_file_(&opened, &there))
        rc = hangwatch_unlink_(path);
    return rc;
}

/* The same under the unlink lock. 0, or -1 with *err filled. */
static int hangwatch_remove_stale_(const char *path, int stale_fd, const struct hangwatch_access_ *access,
                                   hangwatch_error_t *err)
{
    char *lock_path = hangwatch_sidecar_(path, "unlink");
    int rc, lock = lock_path == NULL ? -ENOMEM : hangwatch_lock_unlinking_(lock_path, access);
    if (lock >= 0) {
        rc = hangwatch_remove_if_same_(path, stale_fd);
        (void)hangwatch_unlink_(lock_path);
        hangwatch_close_(lock);
    } else {
        rc = lock;
    }
    free(lock_path);
    if (rc != 0)
        (void)hangwatch_fail_io_(err, "cannot remove segment", path, rc);
    return rc == 0 ? 0 : -1;
}

/* The segment at `path`, which is made if it is absent. NULL with *err filled. */
static struct hangwatch_segment_ *hangwatch_open_or_create_(const char *path, const struct hangwatch_geometry_ *geometry,
                                                            struct hangwatch_access_ *access, hangwatch_error_t *err)
{
    struct hangwatch_found_ found;
    struct hangwatch_report_ report;
    int tries, taken;
    /* Two tries: between the opening and the making somebody else may win the name, or lose it. */
    for (tries = 0; tries < 2; tries++) {
        struct hangwatch_segment_ *segment;
        if (hangwatch_open_segment_(path, access, &found, err) != 0)
            return NULL;
        if (found.segment != NULL)
            return found.segment;
        if (!found.absent) {
            int removed = hangwatch_remove_stale_(path, found.stale_fd, access, err);
            hangwatch_close_(found.stale_fd);
            if (removed != 0)
                return NULL;
        }
        segment = hangwatch_create_(path, geometry, access, &taken, err);
        if (segment != NULL || !taken)
            return segment;
    }
    if (hangwatch_open_segment_(path, access, &found, err) != 0)
        return NULL;
    if (found.absent) {
        report = hangwatch_fail_on_(err, HANGWATCH_ERROR_NOT_FOUND, hangwatch_opening_, path);
        hangwatch_put_(&report.text, "there is no such segment");
        hangwatch_hint_(&report, "a worker that attaches makes it; 'hangwatch status' lists those that exist");
    } else if (found.segment == NULL) {
        hangwatch_close_(found.stale_fd);
        (void)hangwatch_refused_stale_(err, path);
    }
    return found.segment;
}

#endif /* HANGWATCH_REPLACE_H */
