/*
 * What stands behind a hangwatch_worker_t: its first members, which the inline functions use, and the rest. Here is how one
 * is made, and how one count takes the place of another.
 */
#ifndef HANGWATCH_WORKER_H
#define HANGWATCH_WORKER_H

/* A count that a phase or section set aside. */
struct hangwatch_count_ {
    uint64_t progress, total, last, next_mark;
};

/* A section that is not shown. */
struct hangwatch_outer_ {
    uint64_t word;
    struct hangwatch_count_ count;
};

/*
 * Which sections are open around the one that the slot shows. All of it is the process's own: no reader depends on it.
 *
 *   begin_job      enter(loading)     enter(compiling)   leave          leave
 *   inference      inference          inference          inference      inference   with its count
 *                   └ loading          └ loading          └ loading
 *                                        └ compiling
 */
struct hangwatch_sections_ {
    struct hangwatch_outer_ around[HANGWATCH_MAX_DEPTH_];
    unsigned depth;
    uint32_t beyond; /* entered beyond what fits, and not left yet: they change nothing */
    unsigned last_number;
    int has_inference; /* the open job's, while another phase has its place */
    struct hangwatch_outer_ inference;
};

struct hangwatch_body_ {
    /* First: the pointer to it is the pointer to all. Its canary is what hangwatch_step() and _beat() go by: mute on a GPU
     * lane, whose progress and beats are the device's. */
    struct hangwatch_worker pen;
    const uint8_t *host; /* the canary that all else goes by */
    uint64_t owner;
    uint32_t index;
    struct hangwatch_hold_ hold;
    uint64_t phase; /* as the slot shows it */
    struct hangwatch_sections_ sections;
    uint64_t job_total;
    uint64_t lease; /* as the slot shows it */
    uint64_t record[HANGWATCH_INFO_WORDS_];
    uint32_t failed, cancelled;
    uint64_t jobs_ok;
    uint64_t alive __attribute__((__aligned__(8))); /* counts for any thread; the word is the slot's */
};

static struct hangwatch_body_ *hangwatch_body_of_(hangwatch_worker_t *w)
{
    void *body = w;
    return HANGWATCH_AS_(struct hangwatch_body_ *, body);
}

static const struct hangwatch_body_ *hangwatch_const_body_of_(const hangwatch_worker_t *w)
{
    const void *body = w;
    return HANGWATCH_AS_(const struct hangwatch_body_ *, body);
}

static struct hangwatch_segment_ *hangwatch_segment_of_(const hangwatch_worker_t *w)
{
    return HANGWATCH_AS_(struct hangwatch_segment_ *, w->segment);
}

/* Whether reports reach a slot: not for NULL, a detached worker, and one inherited through a fork. */
static int hangwatch_is_live_(const hangwatch_worker_t *w)
{
    /* Relaxed: set once before the worker was made; the kernel zeroes it in a forked child. */
    return w != NULL && __atomic_load_n(hangwatch_const_body_of_(w)->host, __ATOMIC_RELAXED) != 0;
}

static int hangwatch_is_gpu_(const struct hangwatch_body_ *body)
{
    return (body->owner >> 32 & 0xff) == HANGWATCH_KIND_GPU_;
}

/* Goes on from what a device wrote into its slot since our last store, so that the beat never goes back and no fall is lost.
 * The kernel has ended, and the host has waited for that. Words of another generation, job or pass are nobody's. */
static void hangwatch_resync_(struct hangwatch_worker *pen)
{
    /* Relaxed: waiting for the kernel's end made its stores visible; they precede whatever this thread does next. */
    uint64_t beat = hangwatch_load_(&pen->slot->beat), epoch = hangwatch_load_(&pen->slot->epoch);
    uint64_t progress = hangwatch_load_(&pen->slot->progress);
    if (hangwatch_generation_of_(beat) == hangwatch_generation_of_(pen->local) && beat > pen->local)
        pen->local = beat;
    if (epoch >> 16 == pen->epoch >> 16)
        pen->epoch = epoch;
    pen->last = progress == HANGWATCH_NO_PROGRESS_ ? 0 : progress;
}

/* What a report goes to; NULL where it reaches no slot. On a GPU lane it goes on from what the device has reported. */
static struct hangwatch_body_ *hangwatch_begin_report_(hangwatch_worker_t *w)
{
    struct hangwatch_body_ *body;
    if (!hangwatch_is_live_(w))
        return NULL;
    body = hangwatch_body_of_(w);
    if (hangwatch_is_gpu_(body))
        hangwatch_resync_(w);
    return body;
}

/* A detached worker; NULL where there is no memory for it. */
static struct hangwatch_body_ *hangwatch_new_body_(void)
{
    struct hangwatch_body_ *body = HANGWATCH_AS_(struct hangwatch_body_ *, calloc(1, sizeof *body));
    if (body == NULL)
        return NULL;
    body->pen.canary = &hangwatch_dead_;
    body->host = &hangwatch_dead_;
    body->record[HANGWATCH_I_DEVICE_] = HANGWATCH_NO_DEVICE_;
    return body;
}

static struct hangwatch_count_ hangwatch_fresh_(uint64_t total)
{
    struct hangwatch_count_ count;
    count.progress = HANGWATCH_NO_PROGRESS_;
    count.total = total;
    count.last = 0;
    count.next_mark = 0;
    return count;
}

/* The count as it stands, to be set aside. */
static struct hangwatch_count_ hangwatch_count_of_(const struct hangwatch_body_ *body)
{
    struct hangwatch_count_ count;
    /* Relaxed: our own words; nobody else writes them. */
    count.progress = hangwatch_load_(&body->pen.slot->progress);
    count.total = hangwatch_load_(&body->pen.slot->total);
    count.last = body->pen.last;
    count.next_mark = body->pen.next_mark;
    return count;
}

/* Flags of a section that begins now, with those that are open around it. */
static unsigned hangwatch_next_flags_(struct hangwatch_body_ *body, int job_open)
{
    struct hangwatch_sections_ *sections = &body->sections;
    /* 0 is the section of a fresh claim. */
    sections->last_number = sections->last_number >= HANGWATCH_MAX_SECTION_ ? 1 : sections->last_number + 1;
    return sections->last_number << 4 | sections->depth << 1 | HANGWATCH_AS_(unsigned, job_open);
}

/* A job begins or ends: nothing of before is open. */
static void hangwatch_clear_sections_(struct hangwatch_body_ *body)
{
    body->sections.depth = 0;
    body->sections.beyond = 0;
    body->sections.has_inference = 0;
}

/* Starts another count: a new job, pass or phase. A reader never pairs the old count's words with the new epoch or phase, nor
 * the other way round: at the border it sees nobody's count, no progress of no total. */
static void hangwatch_boundary_(struct hangwatch_body_ *body, uint64_t epoch, uint64_t phase, struct hangwatch_count_ count)
{
    hangwatch_slot_t *slot = body->pen.slot;
    /* Nobody's: the new count's own words here could be read with the old epoch, which still stands. */
    hangwatch_store_(&slot->progress, HANGWATCH_NO_PROGRESS_);
    hangwatch_store_(&slot->total, HANGWATCH_TOTAL_NONE);
    /* Release: pairs with the reader's Acquire after the epoch: the new epoch implies that the old count is gone. */
    hangwatch_fence_release_();
    hangwatch_store_(&slot->epoch, epoch);
    hangwatch_store_(&slot->phase, phase);
    /* Release: pairs with the reader's Acquire before its second reading: a word of the new count implies the new epoch. */
    hangwatch_fence_release_();
    /* Relaxed: the beat that follows carries them. */
    hangwatch_store_(&slot->total, count.total);
    hangwatch_store_(&slot->progress, count.progress);
    body->pen.epoch = epoch;
    body->pen.last = count.last;
    body->pen.next_mark = count.next_mark;
}

/* A beat with the stamp that was taken before the words that it carries. */
static void hangwatch_beat_at_(struct hangwatch_body_ *body, uint64_t now)
{
    if (body->pen.clock != NULL)
        hangwatch_store_(&body->pen.slot->stamp_ns, now);
    hangwatch_publish_beat_(&body->pen);
}

static uint64_t hangwatch_stamp_(const struct hangwatch_body_ *body)
{
    return body->pen.clock != NULL ? hangwatch_now_coarse_(&body->pen) : 0;
}

/* Publishes a lease, the next one. */
static void hangwatch_lease_(struct hangwatch_body_ *body, uint64_t ms)
{
    body->lease = hangwatch_lease_word_(hangwatch_generation_of_(body->lease) + 1, ms);
    /* Relaxed: the beat that follows carries it. */
    hangwatch_store_(&body->pen.slot->lease, body->lease);
}

/* Everything that shows another phase or section goes through here. */
static void hangwatch_show_(struct hangwatch_body_ *body, uint64_t epoch, unsigned phase, unsigned flags,
                            struct hangwatch_count_ count, int publish)
{
    uint64_t now = hangwatch_stamp_(body);
    uint32_t entry = HANGWATCH_AS_(uint32_t, (body->phase + 1) & UINT32_MAX);
    uint64_t next = hangwatch_phase_word_(phase, flags, entry);
    if ((body->lease & HANGWATCH_LOW_48_) != 0)
        hangwatch_lease_(body, 0);
    hangwatch_boundary_(body, epoch, next, count);
    body->phase = next;
    if (publish)
        hangwatch_publish_(body->pen.slot, body->record);
    hangwatch_beat_at_(body, now);
}

#endif /* HANGWATCH_WORKER_H */
