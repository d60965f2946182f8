/*
 * What the bytes of a segment mean beyond hangwatch_slot_t (layout 1.0): the header's words and the bits of those that hold
 * several values. Every word is read and written whole, as an atomic, by everyone, always.
 *
 *   owner  gen16|tag8|kind8|pid32       beat, alive  gen16|count48         epoch  job32|pass16|falls16
 *   phase  id16|section12|depth3|job_open1|entry32     lease  seq16|ms48   cmd    gen16|cmd8|arg40
 */
#ifndef HANGWATCH_LAYOUT_H
#define HANGWATCH_LAYOUT_H

#define HANGWATCH_MAGIC_ UINT64_C(0x3130484354574748) /* "HGWTCH01" */
#define HANGWATCH_ABI_TAG_ UINT64_C(0x0807060504030201)
#define HANGWATCH_MAJOR_ 1u
#define HANGWATCH_MINOR_ 0u
#define HANGWATCH_HEADER_LEN_ 4096u
#define HANGWATCH_SLOT_LEN_ 1024u
#define HANGWATCH_MAX_SLOTS_ (UINT64_C(1) << 20)

/* Words of the header. Those below 32 never change once the magic is there. */
enum {
    HANGWATCH_H_MAGIC_ = 0,
    HANGWATCH_H_ABI_TAG_ = 1,
    HANGWATCH_H_VERSION_ = 2, /* major32|minor32 */
    HANGWATCH_H_HEADER_LEN_ = 3,
    HANGWATCH_H_SLOT_SIZE_ = 4,
    HANGWATCH_H_SLOT_COUNT_ = 5,
    HANGWATCH_H_SLOTS_OFF_ = 6,
    HANGWATCH_H_TOTAL_LEN_ = 7,
    HANGWATCH_H_FEAT_INCOMPAT_ = 8,
    HANGWATCH_H_FEAT_COMPAT_ = 9,
    HANGWATCH_H_SEGMENT_ID_ = 10, /* and 11 */
    HANGWATCH_H_BOOT_ID_ = 12,    /* and 13 */
    HANGWATCH_H_CREATED_BOOTTIME_NS_ = 14,
    HANGWATCH_H_CREATED_REALTIME_NS_ = 15,
    HANGWATCH_H_CREATOR_PID_ = 16,
    HANGWATCH_H_CREATOR_STARTTIME_ = 17,
    HANGWATCH_H_CREATOR_PIDNS_INO_ = 18,
    HANGWATCH_H_STAMP_CLOCK_ = 19, /* 1: CLOCK_MONOTONIC */
    HANGWATCH_H_TIMENS_INO_ = 20,
    HANGWATCH_H_CHECK_ = 31, /* FNV-1a of words 1 to 30 */
    HANGWATCH_FIXED_WORDS_ = 32,
    HANGWATCH_H_SEG_STATE_ = 0x130 / 8, /* 1: open */
    HANGWATCH_H_CLAIM_HINT_ = 0x180 / 8,
    HANGWATCH_H_USER_PHASES_ = 0x400 / 8,
    HANGWATCH_USER_PHASES_ = 48,
    HANGWATCH_USER_PHASE_WORDS_ = 8, /* id16|class8|ready8, budget in ns, name[48] */
    HANGWATCH_USER_PHASE_NAME_ = 48,
    HANGWATCH_FIRST_USER_ID_ = 256
};

enum {
    HANGWATCH_TAG_FREE_ = 0,
    HANGWATCH_TAG_CLAIMING_ = 1, /* its claimer writes its identity; nothing in the slot may be believed */
    HANGWATCH_TAG_LIVE_ = 2,
    HANGWATCH_TAG_RESERVED_ = 3,   /* set aside by the supervisor whose pid it holds */
    HANGWATCH_TAG_QUARANTINED_ = 4 /* its owner could not be killed */
};

enum { HANGWATCH_KIND_WORKER_ = 0, HANGWATCH_KIND_LANE_ = 1, HANGWATCH_KIND_GPU_ = 2 };

#define HANGWATCH_NO_PROGRESS_ UINT64_MAX
#define HANGWATCH_NO_DEVICE_ UINT64_MAX
#define HANGWATCH_LOW_48_ ((UINT64_C(1) << 48) - 1)
#define HANGWATCH_MAX_SECTION_ 0xfffu
#define HANGWATCH_MAX_DEPTH_ 7u

static uint64_t hangwatch_owner_(unsigned generation, unsigned tag, unsigned kind, uint32_t pid)
{
    return HANGWATCH_AS_(uint64_t, generation & 0xffff) << 48 | HANGWATCH_AS_(uint64_t, tag) << 40 |
           HANGWATCH_AS_(uint64_t, kind) << 32 | pid;
}

static unsigned hangwatch_generation_of_(uint64_t owner_or_beat)
{
    return HANGWATCH_AS_(unsigned, owner_or_beat >> 48);
}

static unsigned hangwatch_tag_of_(uint64_t owner)
{
    return HANGWATCH_AS_(unsigned, owner >> 40 & 0xff);
}

static uint32_t hangwatch_pid_of_(uint64_t owner)
{
    return HANGWATCH_AS_(uint32_t, owner & UINT32_MAX);
}

/* The same generation, free. */
static uint64_t hangwatch_freed_(uint64_t owner)
{
    return owner & ~HANGWATCH_LOW_48_;
}

static uint64_t hangwatch_phase_word_(unsigned id, unsigned flags, uint32_t entry)
{
    return HANGWATCH_AS_(uint64_t, id) << 48 | HANGWATCH_AS_(uint64_t, flags) << 32 | entry;
}

static unsigned hangwatch_phase_id_of_(uint64_t phase)
{
    return HANGWATCH_AS_(unsigned, phase >> 48);
}

static unsigned hangwatch_phase_flags_of_(uint64_t phase)
{
    return HANGWATCH_AS_(unsigned, phase >> 32 & 0xffff);
}

static int hangwatch_job_open_(uint64_t phase)
{
    return HANGWATCH_AS_(int, phase >> 32 & 1);
}

/* A lease too long for its field is the longest, not another's number. */
static uint64_t hangwatch_lease_word_(unsigned seq, uint64_t ms)
{
    return HANGWATCH_AS_(uint64_t, seq & 0xffff) << 48 | (ms > HANGWATCH_LOW_48_ ? HANGWATCH_LOW_48_ : ms);
}

/* hdr_check: a check against garbage, not against an adversary. */
static uint64_t hangwatch_check_(const uint64_t *fixed)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    int i, shift;
    for (i = HANGWATCH_H_ABI_TAG_; i < HANGWATCH_H_CHECK_; i++)
        for (shift = 0; shift < 64; shift += 8)
            hash = (hash ^ (fixed[i] >> shift & 0xff)) * UINT64_C(0x100000001b3);
    return hash;
}

/* gcc's thread sanitizer knows no fences and says so where it meets one. It needs none: every access is an atomic. */
#if defined(__SANITIZE_THREAD__) && !defined(__clang__) && __GNUC__ >= 11
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtsan"
#define HANGWATCH_TSAN_
#endif

static void hangwatch_fence_acquire_(void)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
}

static void hangwatch_fence_release_(void)
{
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

#ifdef HANGWATCH_TSAN_
#pragma GCC diagnostic pop
#undef HANGWATCH_TSAN_
#endif

static uint64_t hangwatch_load_(const hangwatch_word_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static void hangwatch_store_(hangwatch_word_t *word, uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

#endif /* HANGWATCH_LAYOUT_H */
