/*
 * The lock on a slot's byte of `<segment>.liveness`: proof for a monitor that did not spawn this process. A POSIX record lock,
 * which the kernel drops when the process ends and which no forked child keeps.
 *
 * Any close of any descriptor of the file drops every lock of the process on it. So a process opens it once: the table below
 * counts its users, and the last one closes it. A forked child makes a table of its own and leaves its parent's as it is, whose
 * lock may be held for ever there. Another copy of hangwatch in this process has another table, and the first that closes
 * the file drops the other's locks: less is allowed then than might be, never more.
 */
#ifndef HANGWATCH_LIVENESS_H
#define HANGWATCH_LIVENESS_H

struct hangwatch_opened_ {
    struct hangwatch_opened_ *next;
    uint64_t device, ino;
    int fd;
    size_t users;
    uint32_t *held; /* bytes; one that is held twice stands here twice */
    size_t count, capacity;
};

struct hangwatch_table_ {
    const uint8_t *canary; /* reads 0 in a forked child */
    uint32_t mutex;
    struct hangwatch_opened_ *opened;
    struct hangwatch_table_ *parents; /* of the process that this one was forked from: kept, so that nobody misses it */
};

static struct hangwatch_table_ *hangwatch_table_ = NULL;

/* A byte that this process holds; table NULL: none. */
struct hangwatch_hold_ {
    struct hangwatch_table_ *table;
    uint64_t device, ino;
    uint32_t index;
};

static int hangwatch_is_ours_(const struct hangwatch_table_ *table)
{
    /* Relaxed: the kernel zeroes it in a forked child before any code runs there. */
    return __atomic_load_n(table->canary, __ATOMIC_RELAXED) == 1;
}

/* This process's, which is never freed; NULL where it cannot be made. */
static struct hangwatch_table_ *hangwatch_current_table_(void)
{
    /* Acquire: pairs with the Release of the exchange below. */
    struct hangwatch_table_ *known = __atomic_load_n(&hangwatch_table_, __ATOMIC_ACQUIRE), *fresh;
    const uint8_t *canary;
    int error;
    if (known != NULL && hangwatch_is_ours_(known))
        return known;
    canary = hangwatch_current_canary_(&error);
    fresh = canary == NULL ? NULL : HANGWATCH_AS_(struct hangwatch_table_ *, calloc(1, sizeof *fresh));
    if (fresh == NULL)
        return NULL;
    fresh->canary = canary;
    fresh->parents = known;
    if (__atomic_compare_exchange_n(&hangwatch_table_, &known, fresh, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return fresh;
    free(fresh);
    return known;
}

static struct hangwatch_opened_ *hangwatch_find_(const struct hangwatch_table_ *table, uint64_t device, uint64_t ino)
{
    struct hangwatch_opened_ *one = table->opened;
    while (one != NULL && (one->device != device || one->ino != ino))
        one = one->next;
    return one;
}

/* Whether the descriptor is still of this file: a host that closes numbers which are not its own may have opened something
 * else under this one. */
static int hangwatch_is_itself_(const struct hangwatch_opened_ *one)
{
    struct hangwatch_statx_ about;
    return hangwatch_stat_(one->fd, "", 1, &about) == 0 && hangwatch_device_of_(&about) == one->device && about.ino == one->ino;
}

/* Who else could write it could hold a byte too, but as himself; who else could replace it could take all locks away. */
static int hangwatch_may_lock_(const struct hangwatch_statx_ *about, const struct hangwatch_access_ *access)
{
    return hangwatch_is_regular_(about) && hangwatch_may_own_(access, about->uid) &&
           !hangwatch_is_open_to_strangers_(access, about);
}

/* One user more of the file at `path`, which is made if it is absent; NULL where it cannot be had. Under the table's lock. */
static struct hangwatch_opened_ *hangwatch_use_(struct hangwatch_table_ *table, const char *path,
                                                const struct hangwatch_access_ *access)
{
    struct hangwatch_statx_ about;
    struct hangwatch_opened_ *one = NULL;
    int fd, rc = hangwatch_stat_(-1, path, 0, &about);
    if (rc != 0 && rc != -ENOENT)
        return NULL;
    if (rc == 0) {
        if (!hangwatch_may_lock_(&about, access))
            return NULL;
        /* The table is asked before the file is opened: to close a second descriptor would drop the locks of the first. */
        one = hangwatch_find_(table, hangwatch_device_of_(&about), about.ino);
    }
    if (one != NULL) {
        one->users++;
        return one;
    }
    fd = hangwatch_open_sidecar_(path, access);
    if (fd < 0)
        return NULL;
    rc = hangwatch_stat_(fd, "", 1, &about);
    one = rc != 0 ? NULL : hangwatch_find_(table, hangwatch_device_of_(&about), about.ino);
    if (one != NULL) {
        /* The path led elsewhere a moment ago. The descriptor stays open, for the locks of the other. */
        one->users++;
        return one;
    }
    if (rc == 0 && hangwatch_may_lock_(&about, access))
        one = HANGWATCH_AS_(struct hangwatch_opened_ *, calloc(1, sizeof *one));
    if (one == NULL) {
        hangwatch_close_(fd);
        return NULL;
    }
    one->device = hangwatch_device_of_(&about);
    one->ino = about.ino;
    one->fd = fd;
    one->users = 1;
    one->next = table->opened;
    table->opened = one;
    return one;
}

/* One user less; the last one closes it. Under the table's lock. */
static void hangwatch_disuse_(struct hangwatch_table_ *table, struct hangwatch_opened_ *one)
{
    struct hangwatch_opened_ **at = &table->opened;
    if (--one->users != 0)
        return;
    while (*at != one)
        at = &(*at)->next;
    *at = one->next;
    if (hangwatch_is_itself_(one))
        hangwatch_close_(one->fd);
    free(one->held);
    free(one);
}

/* Locks or unlocks a byte; never waits. 0 or a negative error. */
static long hangwatch_set_byte_(int fd, int type, uint32_t index)
{
    struct hangwatch_flock_ lock;
    memset(&lock, 0, sizeof lock);
    lock.type = HANGWATCH_AS_(int16_t, type);
    lock.start = HANGWATCH_AS_(int64_t, index);
    lock.len = 1;
    return HANGWATCH_CALL_(hangwatch_syscall_(HANGWATCH_SYS_FCNTL_, HANGWATCH_AS_(long, fd), HANGWATCH_F_SETLK_,
                                              HANGWATCH_ADDRESS_(&lock)));
}

/* Locks the byte and notes it: whether that went well. */
static int hangwatch_take_byte_(struct hangwatch_opened_ *one, uint32_t index)
{
    if (!hangwatch_is_itself_(one))
        return 0;
    if (one->count == one->capacity) {
        size_t capacity = one->capacity * 2 + 4;
        void *more = realloc(one->held, capacity * sizeof *one->held);
        if (more == NULL)
            return 0;
        one->held = HANGWATCH_AS_(uint32_t *, more);
        one->capacity = capacity;
    }
    if (hangwatch_set_byte_(one->fd, HANGWATCH_F_WRLCK_, index) != 0)
        return 0;
    one->held[one->count++] = index;
    return 1;
}

/* Takes byte `index` of the segment's file. To lack it is no error: a monitor that did not spawn us only observes us then. */
static void hangwatch_take_(struct hangwatch_hold_ *hold, const struct hangwatch_segment_ *segment, uint32_t index)
{
    struct hangwatch_table_ *table = hangwatch_current_table_();
    struct hangwatch_opened_ *one;
    char *path = hangwatch_sidecar_(segment->path, "liveness");
    hold->table = NULL;
    if (table != NULL && path != NULL) {
        hangwatch_lock_(&table->mutex);
        one = hangwatch_use_(table, path, &segment->access);
        if (one != NULL && hangwatch_take_byte_(one, index)) {
            hold->table = table;
            hold->device = one->device;
            hold->ino = one->ino;
            hold->index = index;
        } else if (one != NULL) {
            hangwatch_disuse_(table, one);
        }
        hangwatch_unlock_(&table->mutex);
    }
    free(path);
}

/* Takes the byte off the list; whether it stands there no more. */
static int hangwatch_forget_byte_(struct hangwatch_opened_ *one, uint32_t index)
{
    size_t i;
    for (i = 0; i < one->count && one->held[i] != index; i++)
        ;
    if (i < one->count)
        one->held[i] = one->held[--one->count];
    for (i = 0; i < one->count && one->held[i] != index; i++)
        ;
    return i == one->count;
}

/* Gives the byte back; in a forked child it does nothing. */
static void hangwatch_give_back_(struct hangwatch_hold_ *hold)
{
    struct hangwatch_table_ *table = hold->table;
    struct hangwatch_opened_ *one;
    hold->table = NULL;
    if (table == NULL || !hangwatch_is_ours_(table))
        return;
    hangwatch_lock_(&table->mutex);
    one = hangwatch_find_(table, hold->device, hold->ino);
    if (one != NULL) {
        /* A slot that was taken from us and came back is held by another worker of ours too. */
        if (hangwatch_is_itself_(one) && hangwatch_forget_byte_(one, hold->index))
            (void)hangwatch_set_byte_(one->fd, HANGWATCH_F_UNLCK_, hold->index);
        hangwatch_disuse_(table, one);
    }
    hangwatch_unlock_(&table->mutex);
}

#endif /* HANGWATCH_LIVENESS_H */
