/*
 * Who owns a slot: claim, release, reclaim, and the reading of an identity.
 *
 *   FREE g, RESERVED g, or LIVE g of our own before an exec  ── claim ──►  CLAIMING g+1  ──►  LIVE g+1  ── release ──►  FREE g+1
 *
 * The generation grows by one at every claim and never otherwise. Freeing swaps the exact word, never stores blindly: a late
 * release must not free the next owner's slot. A slot is freed only by its owner or on proof of death.
 */
#ifndef HANGWATCH_CLAIM_H
#define HANGWATCH_CLAIM_H

/* Who claims, and what the record shall say of it. */
struct hangwatch_claimer_ {
    struct hangwatch_segment_ *segment;
    struct hangwatch_myself_ me;
    unsigned kind;
    uint32_t sub;
    uint64_t *record;
    struct hangwatch_reserved_ reserved;
};

/* A claimed slot; NULL: none. */
struct hangwatch_claimed_ {
    hangwatch_slot_t *slot;
    uint32_t index;
    uint64_t owner;
};

static uint64_t hangwatch_namespaces_(const struct hangwatch_myself_ *me)
{
    return me->pidns_ino << 32 | (me->timens_ino & UINT32_MAX);
}

static void hangwatch_write_claimed_(const struct hangwatch_claimer_ *by, hangwatch_slot_t *slot, unsigned generation)
{
    uint64_t start = HANGWATCH_AS_(uint64_t, generation) << 48;
    hangwatch_store_(&slot->beat, start);
    hangwatch_store_(&slot->alive, start);
    hangwatch_store_(&slot->progress, HANGWATCH_NO_PROGRESS_);
    hangwatch_store_(&slot->total, HANGWATCH_TOTAL_NONE);
    hangwatch_store_(&slot->phase, 0);
    hangwatch_store_(&slot->epoch, 0);
    hangwatch_store_(&slot->lease, 0);
    hangwatch_store_(&slot->stamp_ns, 0);
    hangwatch_store_(&slot->progress_stamp_ns, 0);
    hangwatch_store_(&slot->jobs_ok, 0);
    hangwatch_store_(&slot->jobs_bad, 0);
    hangwatch_store_(&slot->starttime, by->me.starttime);
    hangwatch_store_(&slot->pidfd_ino, by->me.pidfd_ino);
    hangwatch_store_(&slot->namespaces, hangwatch_namespaces_(&by->me));
    hangwatch_store_(&slot->tid, HANGWATCH_AS_(uint64_t, by->me.tid) << 32 | by->sub);
    hangwatch_store_(&slot->claimed_boottime_ns, hangwatch_clock_ns_(HANGWATCH_CLOCK_BOOTTIME_));
    by->record[HANGWATCH_I_GEN_TAG_] = hangwatch_gen_tag_(generation, 0);
    hangwatch_publish_(slot, by->record);
}

/* Claims the slot if its owner word is still `expected`, which must be FREE, RESERVED, or LIVE with our own identity. */
static int hangwatch_claim_(const struct hangwatch_claimer_ *by, uint32_t index, uint64_t expected,
                            struct hangwatch_claimed_ *claimed)
{
    hangwatch_slot_t *slot = hangwatch_slot_at_(by->segment, index);
    unsigned generation = (hangwatch_generation_of_(expected) + 1) & 0xffff;
    uint64_t claiming = hangwatch_owner_(generation, HANGWATCH_TAG_CLAIMING_, by->kind, by->me.pid);
    uint64_t live = hangwatch_owner_(generation, HANGWATCH_TAG_LIVE_, by->kind, by->me.pid);
    if (slot == NULL)
        return 0;
    /* Acquire: pairs with the freeing swap; the last owner's words are seen before ours replace them. */
    if (!__atomic_compare_exchange_n(&slot->owner, &expected, claiming, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return 0;
    /* Release: no ordering of the swap holds our stores behind its own; with this fence a word of ours that is seen implies
     * CLAIMING. Pairs with the reader's fence before it reads the owner again. */
    hangwatch_fence_release_();
    hangwatch_write_claimed_(by, slot, generation);
    /* Release: pairs with the Acquire after the owner in a reader; LIVE implies the words above. */
    __atomic_store_n(&slot->owner, live, __ATOMIC_RELEASE);
    claimed->slot = slot;
    claimed->index = index;
    claimed->owner = live;
    return 1;
}

/* Frees the slot whose owner word is `own`; whether it was. */
static int hangwatch_release_(hangwatch_slot_t *slot, uint64_t own)
{
    /* Release: pairs with the claiming swap; the next owner sees all of ours, or of the dead one's as its proof showed it. */
    return __atomic_compare_exchange_n(&slot->owner, &own, hangwatch_freed_(own), 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

/* Identity words that belong to a LIVE or QUARANTINED owner word. */
struct hangwatch_identity_ {
    uint64_t owner, starttime, pidfd_ino, namespaces;
};

/* Whether there is one, and it did not change meanwhile. */
static int hangwatch_read_identity_(const hangwatch_slot_t *slot, struct hangwatch_identity_ *identity)
{
    unsigned tag;
    identity->owner = hangwatch_load_(&slot->owner);
    tag = hangwatch_tag_of_(identity->owner);
    if (tag != HANGWATCH_TAG_LIVE_ && tag != HANGWATCH_TAG_QUARANTINED_)
        return 0;
    /* Acquire: pairs with the LIVE store. */
    hangwatch_fence_acquire_();
    identity->namespaces = hangwatch_load_(&slot->namespaces);
    identity->starttime = hangwatch_load_(&slot->starttime);
    identity->pidfd_ino = hangwatch_load_(&slot->pidfd_ino);
    /* Acquire: pairs with the fence after the claiming swap; a later claimer's word shows in the owner. */
    hangwatch_fence_acquire_();
    return hangwatch_load_(&slot->owner) == identity->owner;
}

/* The exact owner word that is proven dead, or 0, which no dead owner has. Nothing that is unknown is proof. */
static uint64_t hangwatch_proven_dead_(const struct hangwatch_claimer_ *by, const hangwatch_slot_t *slot)
{
    struct hangwatch_identity_ identity;
    uint64_t owner = hangwatch_load_(&slot->owner), pidns = by->me.pidns_ino;
    switch (hangwatch_tag_of_(owner)) {
    case HANGWATCH_TAG_LIVE_:
    case HANGWATCH_TAG_QUARANTINED_:
        if (!hangwatch_read_identity_(slot, &identity))
            return 0;
        /* A number means nothing in another pid namespace. */
        if (pidns != 0 && identity.namespaces >> 32 == (pidns & UINT32_MAX))
            return hangwatch_is_gone_(hangwatch_pid_of_(identity.owner), identity.pidfd_ino) ? identity.owner : 0;
        return hangwatch_is_gone_elsewhere_(identity.pidfd_ino, &by->me) ? identity.owner : 0;
    case HANGWATCH_TAG_CLAIMING_:
    case HANGWATCH_TAG_RESERVED_:
        /* No identity words are theirs: only a number that is gone counts, and only in the namespace that made the segment.
         * A child of a supervisor that is gone finds its reservation taken and claims a free slot. */
        if (pidns == 0 || by->segment->creator_pidns_ino != pidns)
            return 0;
        return hangwatch_is_gone_(hangwatch_pid_of_(owner), 0) ? owner : 0;
    default:
        return 0;
    }
}

static int hangwatch_claim_reserved_(const struct hangwatch_claimer_ *by, struct hangwatch_claimed_ *claimed)
{
    hangwatch_slot_t *slot = by->reserved.is ? hangwatch_slot_at_(by->segment, by->reserved.index) : NULL;
    uint64_t owner = slot == NULL ? 0 : hangwatch_load_(&slot->owner);
    return slot != NULL && hangwatch_tag_of_(owner) == HANGWATCH_TAG_RESERVED_ &&
           hangwatch_generation_of_(owner) == by->reserved.generation && hangwatch_claim_(by, by->reserved.index, owner, claimed);
}

/* The owner word of a slot of this very identity, or 0. */
static uint64_t hangwatch_own_(const struct hangwatch_claimer_ *by, uint32_t index)
{
    const hangwatch_slot_t *slot = hangwatch_slot_at_(by->segment, index);
    struct hangwatch_identity_ identity;
    if (slot == NULL || hangwatch_pid_of_(hangwatch_load_(&slot->owner)) != by->me.pid || !hangwatch_read_identity_(slot, &identity))
        return 0;
    if (hangwatch_pid_of_(identity.owner) != by->me.pid || identity.starttime != by->me.starttime ||
        identity.pidfd_ino != by->me.pidfd_ino || identity.namespaces != hangwatch_namespaces_(&by->me))
        return 0;
    return identity.owner;
}

/* A slot that an exec may have left behind. */
struct hangwatch_left_ {
    uint32_t index;
    uint64_t owner;
};

/* Slots of this very identity, at most `most` of them: how many. */
static size_t hangwatch_find_left_(const struct hangwatch_claimer_ *by, struct hangwatch_left_ *left, size_t most)
{
    uint32_t count = HANGWATCH_AS_(uint32_t, by->segment->slot_count), i;
    size_t found = 0;
    for (i = 0; i < count && found < most; i++) {
        uint64_t owner = hangwatch_own_(by, i);
        if (owner == 0)
            continue;
        if (left != NULL) {
            left[found].index = i;
            left[found].owner = owner;
        }
        found++;
    }
    return found;
}

/* After exec the process is the same and its workers are gone: its slots are its own to take over or to free. They are noted
 * before it is known that no other copy of hangwatch is at work here, so that none of a copy that begins now is among them. */
static int hangwatch_claim_left_by_exec_(const struct hangwatch_claimer_ *by, int first, struct hangwatch_claimed_ *claimed)
{
    struct hangwatch_segment_ *segment = by->segment;
    struct hangwatch_left_ *left;
    size_t count, i, chosen = 0;
    int taken = 0;
    if (!first || by->kind != HANGWATCH_KIND_WORKER_)
        return 0;
    count = hangwatch_find_left_(by, NULL, SIZE_MAX);
    left = count == 0 ? NULL : HANGWATCH_AS_(struct hangwatch_left_ *, calloc(count, sizeof *left));
    if (left == NULL)
        return 0;
    count = hangwatch_find_left_(by, left, count);
    if (count > 0 && !hangwatch_mapped_elsewhere_(segment->dev_major, segment->dev_minor, segment->ino)) {
        /* The reserved slot first: the supervisor knows this worker by it. */
        for (i = 0; i < count; i++)
            if (by->reserved.is && left[i].index == by->reserved.index)
                chosen = i;
        taken = hangwatch_claim_(by, left[chosen].index, left[chosen].owner, claimed);
        for (i = 0; i < count; i++)
            if (i != chosen)
                (void)hangwatch_release_(hangwatch_slot_at_(segment, left[i].index), left[i].owner);
    }
    free(left);
    return taken;
}

static int hangwatch_claim_free_(const struct hangwatch_claimer_ *by, struct hangwatch_claimed_ *claimed)
{
    hangwatch_word_t *hint = &by->segment->header[HANGWATCH_H_CLAIM_HINT_];
    uint64_t count = by->segment->slot_count, i;
    /* Relaxed: a hint. It walks on, so that a freed slot is the last to be given again. */
    uint64_t start = hangwatch_load_(hint) % count;
    for (i = 0; i < count; i++) {
        uint32_t index = HANGWATCH_AS_(uint32_t, (start + i) % count);
        uint64_t owner = hangwatch_load_(&hangwatch_slot_at_(by->segment, index)->owner);
        if (hangwatch_tag_of_(owner) == HANGWATCH_TAG_FREE_ && hangwatch_claim_(by, index, owner, claimed)) {
            hangwatch_store_(hint, HANGWATCH_AS_(uint64_t, index) + 1);
            return 1;
        }
    }
    return 0;
}

/* No slot is free: one whose owner is proven dead will do, where no monitor has reclaimed it. */
static int hangwatch_claim_dead_(const struct hangwatch_claimer_ *by, struct hangwatch_claimed_ *claimed)
{
    uint32_t count = HANGWATCH_AS_(uint32_t, by->segment->slot_count), i;
    for (i = 0; i < count; i++) {
        hangwatch_slot_t *slot = hangwatch_slot_at_(by->segment, i);
        uint64_t dead = hangwatch_proven_dead_(by, slot);
        if (dead != 0 && hangwatch_release_(slot, dead) && hangwatch_claim_(by, i, hangwatch_freed_(dead), claimed))
            return 1;
    }
    return 0;
}

/* A slot for the claimer: whether there is one. */
static int hangwatch_claim_any_(const struct hangwatch_claimer_ *by, struct hangwatch_claimed_ *claimed)
{
    /* Later a slot of this very identity is a living worker's, not one that an exec left behind. Relaxed: one of two racing
     * claimers is the first, whichever. */
    int first = __atomic_exchange_n(&by->segment->claimed_through, 1, __ATOMIC_RELAXED) == 0;
    return hangwatch_claim_reserved_(by, claimed) || hangwatch_claim_left_by_exec_(by, first, claimed) ||
           hangwatch_claim_free_(by, claimed) || hangwatch_claim_dead_(by, claimed);
}

#endif /* HANGWATCH_CLAIM_H */
