/* Phases by name: those that are built in, and the segment's table of 48 that workers register. */
#ifndef HANGWATCH_PHASES_H
#define HANGWATCH_PHASES_H

/* The built-in phase of that name, or HANGWATCH_PHASE_UNKNOWN. */
static hangwatch_phase_t hangwatch_built_in_(const char *name)
{
    static const char *const names[] = {"starting", "idle",      "received",  "downloading",     "downloading_aux", "loading",
                                        "compiling", "inference", "post_processing", "safety", "ending",          "ended"};
    hangwatch_phase_t i;
    for (i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return HANGWATCH_PHASE_UNKNOWN;
}

/*
 * An entry's ready byte. One name, one entry: an entry is never free again, and a registrar takes the first that is free, by a CAS that
 * leaves the hash of its name in bits 32 and up until the entry is ready. So two of one name meet: the later one comes by the entry of the
 * other, sees its own hash and waits until it can be read. One that does not get ready in that time, its registrar dead or stopped, is made
 * void; a registrar that finds its own so begins anew, and finds what came after it.
 */
enum { HANGWATCH_TAKEN_ = 1, HANGWATCH_READY_ = 2, HANGWATCH_VOID_ = 3 };

/* Looks at an entry that another registrar of this name has taken, each after a yield. */
enum { HANGWATCH_PATIENCE_ = 1000 };

/* What an entry is to a registrar that came by it: it bears the name, it never will, or it was ours and is void. */
enum hangwatch_met_ { HANGWATCH_MET_OURS_, HANGWATCH_MET_NOT_OURS_, HANGWATCH_MET_LOST_ };

/* FNV-1a, 32 bits, never 0: what a registrar of an older version leaves there. */
static uint64_t hangwatch_hash_(const char *name)
{
    uint32_t hash = UINT32_C(0x811c9dc5);
    for (; *name != '\0'; name++)
        hash = (hash ^ HANGWATCH_AS_(unsigned char, *name)) * UINT32_C(0x01000193);
    return hash != 0 ? hash : 1;
}

/* Whether the entry is ready and has this name, which is UTF-8. */
static int hangwatch_is_named_(const hangwatch_word_t *entry, const char *name)
{
    char bytes[HANGWATCH_USER_PHASE_NAME_ + 1], lossy[3 * HANGWATCH_USER_PHASE_NAME_];
    struct hangwatch_text_ text = hangwatch_text_on_(lossy, sizeof lossy);
    uint64_t first = hangwatch_load_(&entry[0]);
    int i;
    /* Acquire: pairs with the ready store. */
    hangwatch_fence_acquire_();
    if ((first & 0xff) != HANGWATCH_READY_)
        return 0;
    for (i = 0; i < HANGWATCH_USER_PHASE_NAME_; i++)
        bytes[i] = HANGWATCH_AS_(char, hangwatch_load_(&entry[2 + i / 8]) >> 8 * (i % 8) & 0xff);
    bytes[i] = '\0';
    hangwatch_put_lossy_(&text, bytes);
    return text.len == strlen(name) && memcmp(lossy, name, text.len) == 0;
}

/* Fills the entry that was taken as `taken`: whether it is ready, and not void. */
static int hangwatch_fill_entry_(hangwatch_word_t *entry, uint64_t taken, uint64_t ready, const char *name, uint64_t budget_ns)
{
    uint64_t words[HANGWATCH_USER_PHASE_NAME_ / 8];
    int i;
    hangwatch_store_(&entry[1], budget_ns);
    hangwatch_words_of_(words, name, strlen(name), HANGWATCH_USER_PHASE_NAME_);
    for (i = 0; i < HANGWATCH_USER_PHASE_NAME_ / 8; i++)
        hangwatch_store_(&entry[2 + i], words[i]);
    /* Release: pairs with the Acquire of whoever reads it; a ready entry implies its budget and name. */
    return __atomic_compare_exchange_n(&entry[0], &taken, ready, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

static enum hangwatch_met_ hangwatch_meet_(hangwatch_word_t *entry, uint64_t id, const char *name, unsigned phase_class,
                                           uint64_t budget_ns)
{
    uint64_t hash = hangwatch_hash_(name), plain = id << 16 | phase_class << 8;
    int left = HANGWATCH_PATIENCE_;
    for (;;) {
        /* Relaxed: nothing rides on it; what is read of a ready entry is read by hangwatch_is_named_. */
        uint64_t first = hangwatch_load_(&entry[0]), taken = hash << 32 | plain | HANGWATCH_TAKEN_;
        if (first == 0) {
            /* Relaxed: taking the entry publishes nothing; what makes it ready does. Where it fails, somebody was quicker. */
            if (__atomic_compare_exchange_n(&entry[0], &first, taken, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
                return hangwatch_fill_entry_(entry, taken, plain | HANGWATCH_READY_, name, budget_ns) ? HANGWATCH_MET_OURS_
                                                                                                 : HANGWATCH_MET_LOST_;
        } else if ((first & 0xff) != HANGWATCH_TAKEN_ || (first >> 32 != hash && first >> 32 != 0)) {
            return hangwatch_is_named_(entry, name) ? HANGWATCH_MET_OURS_ : HANGWATCH_MET_NOT_OURS_;
        } else if (left > 0) {
            left--;
            (void)hangwatch_syscall_(SYS_sched_yield);
        } else if (first >> 32 == 0) {
            /* One of an older version would store over it: nothing can be settled with that one. */
            return HANGWATCH_MET_NOT_OURS_;
        } else {
            /* Void, or ready just now: the next look tells. */
            (void)__atomic_compare_exchange_n(&entry[0], &first, (first & ~UINT64_C(0xff)) | HANGWATCH_VOID_, 0, __ATOMIC_RELAXED,
                                              __ATOMIC_RELAXED);
        }
    }
}

/* Finds the name, or registers it in the first free entry; HANGWATCH_PHASE_UNKNOWN where the table is full. */
static hangwatch_phase_t hangwatch_find_or_register_(struct hangwatch_segment_ *segment, const char *name,
                                                     unsigned phase_class, uint64_t budget_ns)
{
    uint32_t i = 0;
    while (i < HANGWATCH_USER_PHASES_) {
        hangwatch_word_t *entry = &segment->header[HANGWATCH_H_USER_PHASES_ + i * HANGWATCH_USER_PHASE_WORDS_];
        uint32_t id = HANGWATCH_FIRST_USER_ID_ + i;
        enum hangwatch_met_ met = hangwatch_meet_(entry, id, name, phase_class, budget_ns);
        if (met == HANGWATCH_MET_OURS_)
            return id;
        /* Begins anew with an entry less, so there is an end to it. */
        i = met == HANGWATCH_MET_LOST_ ? 0 : i + 1;
    }
    return HANGWATCH_PHASE_UNKNOWN;
}

#endif /* HANGWATCH_PHASES_H */
