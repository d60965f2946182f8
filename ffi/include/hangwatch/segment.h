/* A mapped segment: nothing is followed, nothing blocks, nothing is mapped before it is validated. */
#ifndef HANGWATCH_SEGMENT_H
#define HANGWATCH_SEGMENT_H

/* What was read of the header is copied, checked and never read again. */
struct hangwatch_segment_ {
    char *path; /* from the root */
    hangwatch_word_t *header;
    size_t len;
    uint64_t slots_off, slot_size, slot_count, stamp_clock, creator_pidns_ino;
    uint32_t dev_major, dev_minor;
    uint64_t ino;
    struct hangwatch_access_ access;
    uint32_t users; /* workers on it; the last one unmaps it */
    uint32_t claimed_through;
};

static hangwatch_slot_t *hangwatch_slot_at_(const struct hangwatch_segment_ *segment, uint64_t index)
{
    /* Validation showed that all of the slots lie in the mapping, and are aligned. */
    char *start = HANGWATCH_AS_(char *, HANGWATCH_AS_(void *, segment->header));
    void *at = start + segment->slots_off + index * segment->slot_size;
    return index < segment->slot_count ? HANGWATCH_AS_(hangwatch_slot_t *, at) : NULL;
}

static void hangwatch_let_go_(struct hangwatch_segment_ *segment)
{
    /* Release: pairs with the Acquire of the last one, who unmaps what all others have let go of. */
    if (segment == NULL || __atomic_sub_fetch(&segment->users, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    if (segment->header != NULL)
        hangwatch_unmap_(segment->header, segment->len);
    free(segment->path);
    free(segment->access.uids);
    free(segment);
}

/* Maps an open file of which the fixed words are known. NULL, with *error negative, on failure. It takes over the list of
 * `access` where it succeeds. */
static struct hangwatch_segment_ *hangwatch_map_segment_(int fd, const char *path, const uint64_t *fixed,
                                                         struct hangwatch_access_ *access, int *error)
{
    struct hangwatch_segment_ *segment;
    struct hangwatch_statx_ about;
    *error = hangwatch_stat_(fd, "", 1, &about);
    if (*error != 0)
        return NULL;
    *error = -ENOMEM;
    segment = HANGWATCH_AS_(struct hangwatch_segment_ *, calloc(1, sizeof *segment));
    if (segment == NULL)
        return NULL;
    segment->users = 1;
    segment->path = hangwatch_absolute_(path);
    segment->len = HANGWATCH_AS_(size_t, fixed[HANGWATCH_H_TOTAL_LEN_]);
    segment->slots_off = fixed[HANGWATCH_H_SLOTS_OFF_];
    segment->slot_size = fixed[HANGWATCH_H_SLOT_SIZE_];
    segment->slot_count = fixed[HANGWATCH_H_SLOT_COUNT_];
    segment->stamp_clock = fixed[HANGWATCH_H_STAMP_CLOCK_];
    segment->creator_pidns_ino = fixed[HANGWATCH_H_CREATOR_PIDNS_INO_];
    segment->dev_major = about.dev_major;
    segment->dev_minor = about.dev_minor;
    segment->ino = about.ino;
    if (segment->path != NULL)
        segment->header = HANGWATCH_AS_(hangwatch_word_t *, hangwatch_map_(fd, segment->len, error));
    if (segment->header == NULL) {
        hangwatch_let_go_(segment);
        return NULL;
    }
    segment->access = *access;
    access->uids = NULL;
    access->count = 0;
    return segment;
}

static int hangwatch_refused_type_(const char *path, unsigned mode, hangwatch_error_t *err)
{
    struct hangwatch_report_ report = hangwatch_refuse_(err, path);
    unsigned type = mode & 0170000;
    hangwatch_put_(&report.text, "it is ");
    hangwatch_put_(&report.text, type == 0010000                      ? "a FIFO"
                                 : type == 0040000                    ? "a directory"
                                 : type == 0140000                    ? "a socket"
                                 : type == 0020000 || type == 0060000 ? "a device"
                                                                      : "no regular file");
    hangwatch_put_(&report.text, ", expected a regular file");
    return HANGWATCH_REFUSED_;
}

/* Type, owner, mode and header of an opened file. The header is read, not mapped: a short file is an error, not a SIGBUS. */
static int hangwatch_check_file_(int fd, const char *path, const struct hangwatch_access_ *access, uint64_t *fixed,
                                 hangwatch_error_t *err)
{
    struct hangwatch_statx_ about;
    uint64_t boot_id[2];
    long n = hangwatch_stat_(fd, "", 1, &about);
    if (n != 0) {
        (void)hangwatch_fail_io_(err, hangwatch_opening_, path, HANGWATCH_AS_(int, n));
        return HANGWATCH_REFUSED_;
    }
    if (!hangwatch_is_regular_(&about))
        return hangwatch_refused_type_(path, about.mode, err);
    if (hangwatch_forbidden_(hangwatch_opening_, path, &about, access, HANGWATCH_A_SEGMENT_, err) != 0)
        return HANGWATCH_REFUSED_;
    n = hangwatch_read_(fd, fixed, 8 * HANGWATCH_FIXED_WORDS_);
    if (n < 0) {
        (void)hangwatch_fail_io_(err, hangwatch_opening_, path, HANGWATCH_AS_(int, n));
        return HANGWATCH_REFUSED_;
    }
    if (n < 8 * HANGWATCH_FIXED_WORDS_)
        return hangwatch_refused_short_(err, path, about.size, HANGWATCH_HEADER_LEN_);
    hangwatch_boot_id_(boot_id);
    return hangwatch_validate_(fixed, about.size, boot_id, path, err);
}

static void hangwatch_fail_open_(const char *path, int error, const struct hangwatch_access_ *access, hangwatch_error_t *err)
{
    struct hangwatch_report_ report;
    switch (-error) {
    case EACCES:
    case EPERM:
        hangwatch_not_permitted_(hangwatch_opening_, path, access, err);
        return;
    case EROFS:
        report = hangwatch_fail_on_(err, HANGWATCH_ERROR_DENIED, hangwatch_opening_, path);
        hangwatch_put_(&report.text, "its file system is mounted read-only here");
        hangwatch_hint_(&report, hangwatch_read_only_);
        return;
    case ELOOP:
    case ENXIO:
    case EISDIR:
        break;
    default:
        (void)hangwatch_fail_io_(err, hangwatch_opening_, path, error);
        return;
    }
    report = hangwatch_refuse_(err, path);
    hangwatch_put_(&report.text, error == -ELOOP   ? "it is a symbolic link"
                                 : error == -ENXIO ? "it is a FIFO or a socket"
                                                   : "it is a directory");
    hangwatch_put_(&report.text, ", expected a regular file");
    if (error == -ELOOP)
        hangwatch_hint_(&report, "give the path it leads to, if you trust who made it");
}

/* What was found at a path. */
struct hangwatch_found_ {
    struct hangwatch_segment_ *segment; /* NULL where there is none that is good */
    int stale_fd;                       /* an open segment from before the last boot, or -1 */
    int absent;
};

/* 0, or -1 with *err filled. */
static int hangwatch_open_segment_(const char *path, struct hangwatch_access_ *access, struct hangwatch_found_ *found,
                                   hangwatch_error_t *err)
{
    uint64_t fixed[HANGWATCH_FIXED_WORDS_];
    int error = 0, checked, fd = hangwatch_open_existing_(path);
    memset(fixed, 0, sizeof fixed);
    found->segment = NULL;
    found->stale_fd = -1;
    found->absent = fd == -ENOENT;
    if (found->absent)
        return 0;
    if (fd < 0) {
        hangwatch_fail_open_(path, fd, access, err);
        return -1;
    }
    checked = hangwatch_check_file_(fd, path, access, fixed, err);
    if (checked == HANGWATCH_STALE_) {
        found->stale_fd = fd;
        return 0;
    }
    if (checked == HANGWATCH_ACCEPTED_) {
        found->segment = hangwatch_map_segment_(fd, path, fixed, access, &error);
        if (found->segment == NULL)
            (void)hangwatch_fail_io_(err, hangwatch_opening_, path, error);
    }
    hangwatch_close_(fd);
    return found->segment != NULL ? 0 : -1;
}

#endif /* HANGWATCH_SEGMENT_H */
