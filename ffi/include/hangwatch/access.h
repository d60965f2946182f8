/*
 * Who may own and write the files of a segment: this user alone, or in group mode (HANGWATCH_ALLOWED_UIDS) each user of a
 * list, and their group; never others. Files that are made have mode 0600 or 0660, folders 0700 or 2770: a group's folder
 * hands its group on to what is made in it.
 */
#ifndef HANGWATCH_ACCESS_H
#define HANGWATCH_ACCESS_H

struct hangwatch_access_ {
    uint32_t *uids; /* NULL: own mode */
    size_t count;
};

/* A list such as "1000,1001" is read; the highest number is the kernel's word for no user. 0 where it is no list. */
static int hangwatch_parse_uids_(const char *list, struct hangwatch_access_ *access)
{
    const char *at = list;
    access->count = 0;
    for (;;) {
        size_t len = strcspn(at, ",");
        uint64_t uid;
        if (*at == '+' || !hangwatch_parse_(at, len, UINT32_MAX - UINT64_C(1), &uid))
            return 0;
        access->uids[access->count++] = HANGWATCH_AS_(uint32_t, uid);
        if (at[len] == '\0')
            return 1;
        at += len + 1;
    }
}

/* The mode that the environment asks for; its list is to be freed. 0, or -1 with *err filled. */
static int hangwatch_access_from_env_(struct hangwatch_access_ *access, hangwatch_error_t *err)
{
    struct hangwatch_report_ report;
    const char *list, *at;
    size_t most = 1;
    access->uids = NULL;
    access->count = 0;
    if (hangwatch_env_("HANGWATCH_ALLOWED_UIDS", &list, err) != 0)
        return -1;
    if (list == NULL)
        return 0;
    for (at = list; *at != '\0'; at++)
        most += *at == ',';
    access->uids = HANGWATCH_AS_(uint32_t *, calloc(most, sizeof(uint32_t)));
    if (access->uids == NULL) {
        (void)hangwatch_fail_io_(err, "cannot use HANGWATCH_ALLOWED_UIDS", list, ENOMEM);
        return -1;
    }
    if (hangwatch_parse_uids_(list, access))
        return 0;
    free(access->uids);
    access->uids = NULL;
    report = hangwatch_bad_value_(err, "HANGWATCH_ALLOWED_UIDS", list);
    hangwatch_put_(&report.text, "expected user numbers with commas between them, such as '1000,1001'");
    return -1;
}

static unsigned hangwatch_file_mode_(const struct hangwatch_access_ *access)
{
    return access->uids != NULL ? 0660 : 0600;
}

static unsigned hangwatch_folder_mode_(const struct hangwatch_access_ *access)
{
    return access->uids != NULL ? 02770 : 0700;
}

static int hangwatch_may_own_(const struct hangwatch_access_ *access, uint32_t uid)
{
    size_t i;
    for (i = 0; i < access->count; i++)
        if (access->uids[i] == uid)
            return 1;
    return uid == hangwatch_euid_();
}

/* Whether its mode lets somebody write who may not. */
static int hangwatch_is_open_to_strangers_(const struct hangwatch_access_ *access, const struct hangwatch_statx_ *about)
{
    return (about->mode & (access->uids != NULL ? 002 : 022)) != 0;
}

static int hangwatch_is_regular_(const struct hangwatch_statx_ *about)
{
    return (about->mode & 0170000) == 0100000;
}

static int hangwatch_is_folder_(const struct hangwatch_statx_ *about)
{
    return (about->mode & 0170000) == 0040000;
}

/* Gives a new file its mode, of which the umask may have taken a part. */
static int hangwatch_set_mode_(const struct hangwatch_access_ *access, int fd)
{
    if (access->uids == NULL)
        return 0;
    return HANGWATCH_AS_(int, HANGWATCH_CALL_(hangwatch_syscall_(SYS_fchmod, HANGWATCH_AS_(long, fd),
                                                                 HANGWATCH_AS_(long, hangwatch_file_mode_(access)))));
}

#endif /* HANGWATCH_ACCESS_H */
