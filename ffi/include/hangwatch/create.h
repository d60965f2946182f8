/*
 * Making a segment: filled while it has no name, then named in one step, so that a visible name is a complete, valid segment.
 * Every page is reserved at once: no room is an error here and never a SIGBUS later.
 */
#ifndef HANGWATCH_CREATE_H
#define HANGWATCH_CREATE_H

static const char *const hangwatch_creating_ = "cannot create segment";

/* Not even an empty file could be made. */
static void hangwatch_fail_made_(const char *path, const char *dir, int error, hangwatch_error_t *err)
{
    struct hangwatch_report_ report;
    if (error != -ENOSPC && error != -EROFS && error != -EACCES) {
        (void)hangwatch_fail_io_(err, hangwatch_creating_, path, error);
        return;
    }
    report = hangwatch_fail_on_(err, error == -ENOSPC ? HANGWATCH_ERROR_FULL : HANGWATCH_ERROR_DENIED, hangwatch_creating_, path);
    hangwatch_put_(&report.text, error == -EACCES ? "this user may not write to '" : "'");
    hangwatch_put_lossy_(&report.text, dir);
    /* Pages are asked for later: what has run out is inodes. */
    hangwatch_put_(&report.text, error == -ENOSPC  ? "' has room for no more files"
                                 : error == -EROFS ? "' is mounted read-only here"
                                                   : "'");
    hangwatch_hint_(&report, error == -ENOSPC  ? "remove some, or mount it with a higher nr_inodes"
                             : error == -EROFS ? "whoever makes a segment, works in it or monitors it has to write it"
                                               : "set HANGWATCH_DIR to a folder in a tmpfs that you may write, or give a path in one");
}

/* Its pages could not be reserved. */
static void hangwatch_fail_room_(const char *path, const struct hangwatch_geometry_ *geometry, int error, hangwatch_error_t *err)
{
    struct hangwatch_report_ report;
    uint64_t bytes, fit = 0;
    char *dir;
    if (error != -ENOSPC) {
        (void)hangwatch_fail_io_(err, hangwatch_creating_, path, error);
        return;
    }
    dir = hangwatch_parent_(path);
    bytes = dir == NULL ? UINT64_MAX : hangwatch_bytes_free_(dir);
    if (bytes != UINT64_MAX && bytes > HANGWATCH_HEADER_LEN_)
        fit = (bytes - HANGWATCH_HEADER_LEN_) / geometry->slot_size;
    fit = fit > HANGWATCH_MAX_SLOTS_ ? HANGWATCH_MAX_SLOTS_ : fit;
    report = hangwatch_fail_on_(err, HANGWATCH_ERROR_FULL, hangwatch_creating_, path);
    hangwatch_put_(&report.text, "it needs ");
    hangwatch_put_decimal_(&report.text, (HANGWATCH_HEADER_LEN_ + geometry->slots * geometry->slot_size) / 1024);
    hangwatch_put_(&report.text, " KiB, '");
    hangwatch_put_lossy_(&report.text, dir != NULL ? dir : "?");
    hangwatch_put_(&report.text, "' has ");
    if (bytes == UINT64_MAX) {
        hangwatch_put_(&report.text, "too little");
    } else {
        hangwatch_put_decimal_(&report.text, bytes / 1024);
        hangwatch_put_(&report.text, " KiB");
    }
    hangwatch_put_(&report.text, " free");
    hangwatch_hint_(&report, "each slot takes ");
    hangwatch_put_decimal_(&report.text, geometry->slot_size / 1024);
    hangwatch_put_(&report.text, " KiB, the header 4 KiB: ");
    if (fit == 0) {
        hangwatch_put_(&report.text, "not one fits");
    } else {
        hangwatch_put_decimal_(&report.text, fit);
        hangwatch_put_(&report.text, " slots fit; ask for no more with --slots ");
        hangwatch_put_decimal_(&report.text, fit);
        hangwatch_put_(&report.text, " or HANGWATCH_SLOTS=");
        hangwatch_put_decimal_(&report.text, fit);
    }
    hangwatch_hint_(&report, "or give the tmpfs more room, or set HANGWATCH_DIR to a folder in one that has it");
    free(dir);
}

/* The fixed words of a new segment. 0, or -1 with *err filled. */
static int hangwatch_fixed_words_(uint64_t *fixed, const struct hangwatch_geometry_ *geometry, const char *path,
                                  hangwatch_error_t *err)
{
    struct hangwatch_myself_ me = hangwatch_know_myself_();
    int rc;
    memset(fixed, 0, 8 * HANGWATCH_FIXED_WORDS_);
    rc = hangwatch_random_(&fixed[HANGWATCH_H_SEGMENT_ID_], 16);
    if (rc != 0) {
        (void)hangwatch_fail_io_(err, hangwatch_creating_, path, rc);
        return -1;
    }
    fixed[HANGWATCH_H_MAGIC_] = HANGWATCH_MAGIC_;
    fixed[HANGWATCH_H_ABI_TAG_] = HANGWATCH_ABI_TAG_;
    fixed[HANGWATCH_H_VERSION_] = HANGWATCH_AS_(uint64_t, HANGWATCH_MAJOR_) << 32 | HANGWATCH_MINOR_;
    fixed[HANGWATCH_H_HEADER_LEN_] = HANGWATCH_HEADER_LEN_;
    fixed[HANGWATCH_H_SLOT_SIZE_] = geometry->slot_size;
    fixed[HANGWATCH_H_SLOT_COUNT_] = geometry->slots;
    fixed[HANGWATCH_H_SLOTS_OFF_] = HANGWATCH_HEADER_LEN_;
    fixed[HANGWATCH_H_TOTAL_LEN_] = HANGWATCH_HEADER_LEN_ + geometry->slots * geometry->slot_size;
    hangwatch_boot_id_(&fixed[HANGWATCH_H_BOOT_ID_]);
    fixed[HANGWATCH_H_CREATED_BOOTTIME_NS_] = hangwatch_clock_ns_(HANGWATCH_CLOCK_BOOTTIME_);
    fixed[HANGWATCH_H_CREATED_REALTIME_NS_] = hangwatch_clock_ns_(HANGWATCH_CLOCK_REALTIME_);
    fixed[HANGWATCH_H_CREATOR_PID_] = me.pid;
    fixed[HANGWATCH_H_CREATOR_STARTTIME_] = me.starttime;
    fixed[HANGWATCH_H_CREATOR_PIDNS_INO_] = me.pidns_ino;
    fixed[HANGWATCH_H_STAMP_CLOCK_] = HANGWATCH_AS_(uint64_t, hangwatch_has_vdso_());
    fixed[HANGWATCH_H_TIMENS_INO_] = me.timens_ino;
    fixed[HANGWATCH_H_CHECK_] = hangwatch_check_(fixed);
    return 0;
}

/* Reserves, maps and writes everything, the magic last. NULL with *err filled. */
static struct hangwatch_segment_ *hangwatch_fill_(int fd, const char *path, const struct hangwatch_geometry_ *geometry,
                                                  struct hangwatch_access_ *access, hangwatch_error_t *err)
{
    struct hangwatch_segment_ *segment;
    uint64_t fixed[HANGWATCH_FIXED_WORDS_], len = HANGWATCH_HEADER_LEN_ + geometry->slots * geometry->slot_size;
    int i, error = len > PTRDIFF_MAX ? -EFBIG : hangwatch_allocate_(fd, len);
    if (error != 0) {
        hangwatch_fail_room_(path, geometry, error, err);
        return NULL;
    }
    if (hangwatch_fixed_words_(fixed, geometry, path, err) != 0)
        return NULL;
    segment = hangwatch_map_segment_(fd, path, fixed, access, &error);
    if (segment == NULL) {
        (void)hangwatch_fail_io_(err, hangwatch_creating_, path, error);
        return NULL;
    }
    /* Release: what was done before the state is seen by whoever sees it. */
    __atomic_store_n(&segment->header[HANGWATCH_H_SEG_STATE_], UINT64_C(1), __ATOMIC_RELEASE);
    for (i = 1; i < HANGWATCH_FIXED_WORDS_; i++)
        hangwatch_store_(&segment->header[i], fixed[i]);
    /* Release: pairs with the naming of the file; whoever reads the magic reads a whole header. */
    __atomic_store_n(&segment->header[HANGWATCH_H_MAGIC_], fixed[HANGWATCH_H_MAGIC_], __ATOMIC_RELEASE);
    return segment;
}

/* A hidden name beside `path`, to be freed. NULL, with *error negative, on failure. */
static char *hangwatch_temporary_(const char *dir, const char *path, int *error)
{
    char name[300];
    struct hangwatch_text_ text = hangwatch_text_on_(name, sizeof name - 18);
    uint64_t random;
    char *temporary;
    size_t at = hangwatch_last_(path);
    *error = hangwatch_random_(&random, sizeof random);
    if (*error != 0)
        return NULL;
    hangwatch_put_(&text, ".");
    hangwatch_put_lossy_of_(&text, path + at, hangwatch_trimmed_(path, strlen(path)) - at);
    text.full = 0;
    text.capacity = sizeof name - 1;
    hangwatch_put_(&text, ".");
    hangwatch_put_number_(&text, random, 16, 16);
    name[text.len] = '\0';
    temporary = hangwatch_in_(dir, name);
    if (temporary == NULL)
        *error = -ENOMEM;
    return temporary;
}

/* Makes the file, fills it and names it. NULL: *taken, or *err filled. */
static struct hangwatch_segment_ *hangwatch_create_in_(const char *dir, const char *path,
                                                       const struct hangwatch_geometry_ *geometry,
                                                       struct hangwatch_access_ *access, int *taken, hangwatch_error_t *err)
{
    struct hangwatch_segment_ *segment = NULL;
    char *temporary = NULL;
    int error = 0, named = -1, fd = hangwatch_unnamed_in_(dir);
    if (fd == -EOPNOTSUPP) {
        temporary = hangwatch_temporary_(dir, path, &error);
        fd = temporary == NULL ? error : hangwatch_new_named_(temporary);
    }
    if (fd < 0) {
        free(temporary);
        hangwatch_fail_made_(path, dir, fd, err);
        return NULL;
    }
    error = hangwatch_set_mode_(access, fd);
    if (error != 0)
        hangwatch_fail_made_(path, dir, error, err);
    else
        segment = hangwatch_fill_(fd, path, geometry, access, err);
    if (segment != NULL) {
        named = temporary == NULL ? hangwatch_link_unnamed_(fd, path) : hangwatch_rename_new_(temporary, path);
        *taken = named == -EEXIST;
        if (named != 0 && !*taken)
            hangwatch_fail_made_(path, dir, named, err);
    }
    if (named != 0) {
        if (temporary != NULL)
            (void)hangwatch_unlink_(temporary);
        if (segment != NULL) {
            /* For the next try. */
            *access = segment->access;
            segment->access.uids = NULL;
            hangwatch_let_go_(segment);
        }
        segment = NULL;
    }
    hangwatch_close_(fd);
    free(temporary);
    return segment;
}

/* The new segment. NULL: *taken where somebody else was faster, else *err is filled. */
static struct hangwatch_segment_ *hangwatch_create_(const char *path, const struct hangwatch_geometry_ *geometry,
                                                    struct hangwatch_access_ *access, int *taken, hangwatch_error_t *err)
{
    struct hangwatch_segment_ *segment = NULL;
    char *dir = hangwatch_parent_(path), *named = hangwatch_directory_();
    *taken = 0;
    if (dir == NULL || named == NULL)
        (void)hangwatch_no_memory_(hangwatch_creating_, path, err);
    else if (!hangwatch_same_path_(dir, named) || hangwatch_ensure_directory_(dir, access, err) == 0)
        segment = hangwatch_create_in_(dir, path, geometry, access, taken, err);
    free(dir);
    free(named);
    return segment;
}

#endif /* HANGWATCH_CREATE_H */
