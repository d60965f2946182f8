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

/* An entry's ready byte. */
enum { HANGWATCH_TAKEN_ = 1, HANGWATCH_READY_ = 2 };

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

/* Fills the entry if it is free: whether it was. A registrar that dies in between costs one entry, never a wrong reading. */
static int hangwatch_register_in_(hangwatch_word_t *entry, uint64_t id, const char *name, unsigned phase_class,
                                  uint64_t budget_ns)
{
    uint64_t words[HANGWATCH_USER_PHASE_NAME_ / 8], unused = 0, first = id << 16 | phase_class << 8;
    int i;
    /* Relaxed: taking the entry publishes nothing; the ready store does. */
    if (!__atomic_compare_exchange_n(&entry[0], &unused, first | HANGWATCH_TAKEN_, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return 0;
    hangwatch_store_(&entry[1], budget_ns);
    hangwatch_words_of_(words, name, strlen(name), HANGWATCH_USER_PHASE_NAME_);
    for (i = 0; i < HANGWATCH_USER_PHASE_NAME_ / 8; i++)
        hangwatch_store_(&entry[2 + i], words[i]);
    /* Release: pairs with the Acquire of whoever reads it; a ready entry implies its budget and name. */
    __atomic_store_n(&entry[0], first | HANGWATCH_READY_, __ATOMIC_RELEASE);
    return 1;
}

/* Finds the name, or registers it in the first free entry; HANGWATCH_PHASE_UNKNOWN where the table is full. */
static hangwatch_phase_t hangwatch_find_or_register_(struct hangwatch_segment_ *segment, const char *name,
                                                     unsigned phase_class, uint64_t budget_ns)
{
    uint32_t i;
    for (i = 0; i < HANGWATCH_USER_PHASES_; i++) {
        hangwatch_word_t *entry = &segment->header[HANGWATCH_H_USER_PHASES_ + i * HANGWATCH_USER_PHASE_WORDS_];
        uint32_t id = HANGWATCH_FIRST_USER_ID_ + i;
        if (hangwatch_is_named_(entry, name) || hangwatch_register_in_(entry, id, name, phase_class, budget_ns))
            return id;
    }
    return HANGWATCH_PHASE_UNKNOWN;
}

#endif /* HANGWATCH_PHASES_H */
