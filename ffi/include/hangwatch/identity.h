/* Who this process is, in words that another process can check. What /proc does not say is 0, and proves nothing to anybody. */
#ifndef HANGWATCH_IDENTITY_H
#define HANGWATCH_IDENTITY_H

struct hangwatch_myself_ {
    uint32_t pid, tid;
    uint64_t starttime; /* field 22 of stat: ticks since boot in our own time namespace */
    uint64_t pidfd_ino; /* 0 where the kernel has none (before 6.9) */
    uint64_t pidns_ino, timens_ino;
};

/* A new handle on the process that has this number now, or a negative error: -ESRCH where there is none. */
static int hangwatch_pidfd_open_(uint32_t pid)
{
    if (pid > INT32_MAX)
        return -ESRCH;
    return HANGWATCH_AS_(int, HANGWATCH_CALL_(hangwatch_syscall_(HANGWATCH_SYS_PIDFD_OPEN_, HANGWATCH_AS_(long, pid), 0L)));
}

/* The inode that names a pidfd's process for this boot; 0 where the kernel has none. */
static uint64_t hangwatch_pidfd_ino_(int fd)
{
    struct hangwatch_statfs_ fs;
    struct hangwatch_statx_ about;
    memset(&fs, 0, sizeof fs);
    if (HANGWATCH_CALL_(hangwatch_syscall_(SYS_fstatfs, HANGWATCH_AS_(long, fd), HANGWATCH_ADDRESS_(&fs))) != 0 ||
        fs.type != 0x50494446 || hangwatch_stat_(fd, "", 1, &about) != 0)
        return 0;
    return about.ino;
}

static uint64_t hangwatch_inode_of_(const char *path)
{
    struct hangwatch_statx_ about;
    return hangwatch_stat_(-1, path, 1, &about) == 0 ? about.ino : 0;
}

/* Our start time; 0 where it cannot be read. */
static uint64_t hangwatch_starttime_(void)
{
    char text[1024];
    const char *at;
    uint64_t starttime;
    int field;
    if (hangwatch_read_text_("/proc/self/stat", text, sizeof text) < 0)
        return 0;
    /* The command's name ends at the last bracket; field 3 follows. */
    at = strrchr(text, ')');
    for (field = 2; at != NULL && field < 22; field++) {
        at = strchr(at, ' ');
        at = at == NULL ? NULL : at + 1;
    }
    return at != NULL && hangwatch_parse_(at, strcspn(at, " \n"), UINT64_MAX, &starttime) ? starttime : 0;
}

static struct hangwatch_myself_ hangwatch_know_myself_(void)
{
    struct hangwatch_myself_ me;
    int fd;
    memset(&me, 0, sizeof me);
    me.pid = HANGWATCH_AS_(uint32_t, hangwatch_syscall_(SYS_getpid));
    me.tid = HANGWATCH_AS_(uint32_t, hangwatch_syscall_(SYS_gettid));
    me.starttime = hangwatch_starttime_();
    fd = hangwatch_pidfd_open_(me.pid);
    if (fd >= 0) {
        me.pidfd_ino = hangwatch_pidfd_ino_(fd);
        hangwatch_close_(fd);
    }
    me.pidns_ino = hangwatch_inode_of_("/proc/self/ns/pid");
    me.timens_ino = hangwatch_inode_of_("/proc/self/ns/time");
    return me;
}

/* The boot's id as two words; the same in every namespace. Both are 0 where it cannot be read. */
static void hangwatch_boot_id_(uint64_t *words)
{
    char text[64];
    const char *at = text;
    int digits = 0;
    words[0] = words[1] = 0;
    if (hangwatch_read_text_("/proc/sys/kernel/random/boot_id", text, sizeof text) < 0)
        return;
    for (; *at != '\0' && digits < 32; at++) {
        const char *hex = "0123456789abcdef";
        const char *digit = strchr(hex, *at);
        if (digit == NULL)
            continue;
        words[digits / 16] = words[digits / 16] << 4 | HANGWATCH_AS_(uint64_t, digit - hex);
        digits++;
    }
}

/* What a line of /proc/self/maps says: its field 3 is the device, its field 4 the inode. */
struct hangwatch_maps_line_ {
    int field, in_field;
    size_t len;
    char device[32], inode[32];
};

static void hangwatch_maps_byte_(struct hangwatch_maps_line_ *line, char byte)
{
    char *to = line->field == 3 ? line->device : line->field == 4 ? line->inode : NULL;
    if (byte == ' ' || byte == '\t') {
        line->field += line->in_field;
        line->in_field = 0;
        line->len = 0;
        return;
    }
    line->in_field = 1;
    if (to != NULL && line->len < sizeof line->device - 1)
        to[line->len++] = byte;
}

/*
 * Whether a file may be mapped otherwise than once in this process image. Exec drops mappings, so another mapping means that
 * another copy of hangwatch in this image holds slots there. None means that the file system shows other numbers in maps than
 * in stat (overlays, btrfs), so nothing is known, and the answer is the careful one, as where maps cannot be read.
 */
static int hangwatch_mapped_elsewhere_(uint32_t major, uint32_t minor, uint64_t inode)
{
    struct hangwatch_maps_line_ line;
    char wanted[32], buffer[2048];
    struct hangwatch_text_ text = hangwatch_text_on_(wanted, sizeof wanted - 1);
    int count = 0, fd = hangwatch_open_("/proc/self/maps", HANGWATCH_O_RDONLY_, 0);
    long n, i;
    if (fd < 0)
        return 1;
    hangwatch_put_number_(&text, major, 16, 2);
    hangwatch_put_(&text, ":");
    hangwatch_put_number_(&text, minor, 16, 2);
    wanted[text.len] = '\0';
    memset(&line, 0, sizeof line);
    while ((n = hangwatch_read_(fd, buffer, sizeof buffer)) > 0) {
        for (i = 0; i < n; i++) {
            uint64_t found = 0;
            if (buffer[i] != '\n') {
                hangwatch_maps_byte_(&line, buffer[i]);
                continue;
            }
            if (strcmp(line.device, wanted) == 0 && hangwatch_parse_(line.inode, strlen(line.inode), UINT64_MAX, &found) &&
                found == inode)
                count++;
            memset(&line, 0, sizeof line);
        }
    }
    hangwatch_close_(fd);
    return n < 0 || count != 1;
}

#endif /* HANGWATCH_IDENTITY_H */
