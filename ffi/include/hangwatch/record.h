/*
 * The info record: who the worker is and what it works on, 384 bytes, in two copies.
 *
 *   000 gen_tag   008 job_start_boottime_ns   010 lens   018 deadline_ns   020 batch   028 device   030 size   038 reserved
 *   040 job_id[64]        080 model[96]        0E0 name[40]        108 lane[24]        120 detail[96]
 *
 * Strings are bytes of the words, byte i of a field in bits 8 (i mod 8) of its word i/8, whatever the machine.
 */
#ifndef HANGWATCH_RECORD_H
#define HANGWATCH_RECORD_H

enum { HANGWATCH_INFO_WORDS_ = 48 };

enum {
    HANGWATCH_I_GEN_TAG_ = 0, /* gen16|job32 */
    HANGWATCH_I_JOB_START_ = 1,
    HANGWATCH_I_LENS_ = 2, /* job8|model8|name8|lane8|detail8 */
    HANGWATCH_I_DEADLINE_ = 3,
    HANGWATCH_I_BATCH_ = 4,
    HANGWATCH_I_DEVICE_ = 5,
    HANGWATCH_I_SIZE_ = 6
};

/* Where a string stands in the record, in bytes, and where its length does in the word of lengths. */
struct hangwatch_field_ {
    size_t at, capacity;
    int len_shift;
};

static const struct hangwatch_field_ hangwatch_job_id_ = {0x40, 64, 32};
static const struct hangwatch_field_ hangwatch_model_ = {0x80, 96, 24};
static const struct hangwatch_field_ hangwatch_name_ = {0xe0, 40, 16};
static const struct hangwatch_field_ hangwatch_lane_name_ = {0x108, 24, 8};
static const struct hangwatch_field_ hangwatch_detail_ = {0x120, 96, 0};

/* Bytes as words; the last ones are zero. */
static void hangwatch_words_of_(uint64_t *words, const char *bytes, size_t len, size_t capacity)
{
    size_t i;
    for (i = 0; i < capacity / 8; i++)
        words[i] = 0;
    for (i = 0; i < len; i++)
        words[i / 8] |= HANGWATCH_AS_(uint64_t, HANGWATCH_AS_(unsigned char, bytes[i])) << 8 * (i % 8);
}

/* A label into the record: NULL is empty, what is too long is cut at a character's border. */
static void hangwatch_pack_(uint64_t *record, struct hangwatch_field_ field, const char *text)
{
    char bytes[96];
    struct hangwatch_text_ fitting = hangwatch_text_on_(bytes, field.capacity);
    memset(bytes, 0, sizeof bytes);
    if (text != NULL)
        hangwatch_put_lossy_(&fitting, text);
    hangwatch_words_of_(&record[field.at / 8], bytes, fitting.len, field.capacity);
    record[HANGWATCH_I_LENS_] &= ~(UINT64_C(0xff) << field.len_shift);
    record[HANGWATCH_I_LENS_] |= HANGWATCH_AS_(uint64_t, fitting.len) << field.len_shift;
}

static uint64_t hangwatch_gen_tag_(unsigned generation, uint32_t job)
{
    return HANGWATCH_AS_(uint64_t, generation) << 32 | job;
}

/* Publishes the record. One writer. `seq` counts records; copy `seq & 1` is the readable one and is not written until `seq`
 * has moved on, so a writer that dies at any instruction leaves a whole copy readable. */
static void hangwatch_publish_(hangwatch_slot_t *slot, const uint64_t *record)
{
    /* Relaxed: our own word, or the last owner's, seen through the claim. */
    uint64_t seq = hangwatch_load_(&slot->info_seq);
    hangwatch_word_t *copy = slot->info[(seq + 1) & 1];
    int i;
    /* Release: pairs with the reader's second fence; one of our words below implies `seq` as it was stored before. */
    hangwatch_fence_release_();
    for (i = 0; i < HANGWATCH_INFO_WORDS_; i++)
        hangwatch_store_(&copy[i], record[i]);
    /* Release: pairs with the reader's first fence; this `seq` implies the whole copy. */
    __atomic_store_n(&slot->info_seq, seq + 1, __ATOMIC_RELEASE);
}

#endif /* HANGWATCH_RECORD_H */
