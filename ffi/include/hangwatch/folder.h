/* The folder of named segments. */
#ifndef HANGWATCH_FOLDER_H
#define HANGWATCH_FOLDER_H

static int hangwatch_mkdir_(const char *path, const struct hangwatch_access_ *access)
{
    long mode = HANGWATCH_AS_(long, hangwatch_folder_mode_(access));
    long rc = HANGWATCH_CALL_(hangwatch_syscall_(SYS_mkdirat, HANGWATCH_AT_FDCWD_, HANGWATCH_ADDRESS_(path), mode));
    /* The umask has taken a part of the mode of a group's. */
    if (rc == 0 && access->uids != NULL)
        rc = HANGWATCH_CALL_(hangwatch_syscall_(SYS_fchmodat, HANGWATCH_AT_FDCWD_, HANGWATCH_ADDRESS_(path), mode));
    return HANGWATCH_AS_(int, rc == -EEXIST ? 0 : rc);
}

/* Makes a folder and those above it that are absent; one that is there is left as it is. `path` is changed and changed back. */
static int hangwatch_make_folders_(char *path, const struct hangwatch_access_ *access)
{
    size_t cut;
    char kept;
    int rc = hangwatch_mkdir_(path, access);
    if (rc != -ENOENT)
        return rc;
    cut = hangwatch_trimmed_(path, hangwatch_last_(path));
    /* Where nothing is left, the name itself is what cannot be made. */
    if (cut == 0 || path[cut] == '\0')
        return rc;
    kept = path[cut];
    path[cut] = '\0';
    rc = hangwatch_make_folders_(path, access);
    path[cut] = kept;
    return rc != 0 ? rc : hangwatch_mkdir_(path, access);
}

/* Makes the folder if it is absent, and refuses one that others may change. 0, or -1 with *err filled. */
static int hangwatch_ensure_directory_(char *dir, const struct hangwatch_access_ *access, hangwatch_error_t *err)
{
    static const char *const what = "cannot use segment directory";
    struct hangwatch_report_ report;
    struct hangwatch_statx_ about;
    int rc = hangwatch_make_folders_(dir, access);
    if (rc != 0) {
        report = hangwatch_fail_io_(err, what, dir, rc);
        hangwatch_hint_(&report, "set HANGWATCH_DIR to a folder in a tmpfs that you may write");
        return -1;
    }
    rc = hangwatch_stat_(-1, dir, 0, &about);
    if (rc < 0) {
        (void)hangwatch_fail_io_(err, what, dir, rc);
        return -1;
    }
    if (hangwatch_is_folder_(&about))
        return hangwatch_forbidden_(what, dir, &about, access, HANGWATCH_A_FOLDER_, err);
    report = hangwatch_fail_on_(err, HANGWATCH_ERROR_DENIED, what, dir);
    hangwatch_put_(&report.text, "it is not a directory");
    hangwatch_hint_(&report, hangwatch_own_folder_);
    return -1;
}

#endif /* HANGWATCH_FOLDER_H */
