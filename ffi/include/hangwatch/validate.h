/* What a header must say before its segment is mapped, and the sentence about each way to be wrong. */
#ifndef HANGWATCH_VALIDATE_H
#define HANGWATCH_VALIDATE_H

static const char *const hangwatch_opening_ = "cannot open segment";

enum {
    HANGWATCH_ACCEPTED_ = 0,
    HANGWATCH_REFUSED_ = -1, /* *err is filled */
    HANGWATCH_STALE_ = 1     /* made before the last boot, else good */
};

static struct hangwatch_report_ hangwatch_refuse_(hangwatch_error_t *err, const char *path)
{
    return hangwatch_fail_on_(err, HANGWATCH_ERROR_BAD_SEGMENT, hangwatch_opening_, path);
}

static int hangwatch_refused_to_recreate_(struct hangwatch_report_ *report, const char *path)
{
    hangwatch_hint_on_(report, "if no worker uses it, remove it with 'rm ", path, "'; the next worker makes a new one");
    return HANGWATCH_REFUSED_;
}

static int hangwatch_refused_version_(struct hangwatch_report_ *report, const char *path, int newer)
{
    hangwatch_hint_(report, newer ? "the workers run a newer hangwatch than this program"
                                  : "it was made by a hangwatch of another version");
    hangwatch_hint_on_(report, "compare 'hangwatch --version' with 'hangwatch inspect --header ", path,
                       newer ? "', or upgrade this side first" : "'");
    return HANGWATCH_REFUSED_;
}

static int hangwatch_refused_magic_(hangwatch_error_t *err, const char *path, uint64_t magic)
{
    struct hangwatch_report_ report = hangwatch_refuse_(err, path);
    hangwatch_put_(&report.text, "not a hangwatch segment: ");
    if (magic == 0) {
        hangwatch_put_(&report.text, "its first bytes are zero, expected \"HGWTCH01\"");
    } else {
        int i;
        hangwatch_put_(&report.text, "it begins with \"");
        for (i = 0; i < 8; i++) {
            unsigned byte = HANGWATCH_AS_(unsigned, magic >> 8 * i & 0xff);
            if (byte == '\t' || byte == '\n' || byte == '\r' || (byte >= 0x20 && byte < 0x7f)) {
                hangwatch_put_escaped_char_(&report.text, byte);
            } else {
                hangwatch_put_(&report.text, "\\x");
                hangwatch_put_number_(&report.text, byte, 16, 2);
            }
        }
        hangwatch_put_(&report.text, "\", expected \"HGWTCH01\"");
    }
    hangwatch_hint_(&report, "another program's file? give the segment's own path or name with --segment");
    return HANGWATCH_REFUSED_;
}

static int hangwatch_refused_abi_(hangwatch_error_t *err, const char *path, uint64_t tag)
{
    struct hangwatch_report_ report = hangwatch_refuse_(err, path);
    if (__builtin_bswap64(tag) == HANGWATCH_ABI_TAG_) {
        hangwatch_put_(&report.text, "made on a machine of the other byte order");
    } else {
        hangwatch_put_(&report.text, "abi tag ");
        hangwatch_put_word_(&report.text, tag);
        hangwatch_put_(&report.text, ", expected ");
        hangwatch_put_word_(&report.text, HANGWATCH_ABI_TAG_);
    }
    hangwatch_hint_(&report, "a segment cannot be shared between machines");
    return hangwatch_refused_to_recreate_(&report, path);
}

/* "{before}{number}{after}" and the hint to make it anew. */
static int hangwatch_refused_number_(hangwatch_error_t *err, const char *path, const char *before, uint64_t number,
                                     const char *after)
{
    struct hangwatch_report_ report = hangwatch_refuse_(err, path);
    hangwatch_put_(&report.text, before);
    hangwatch_put_decimal_(&report.text, number);
    hangwatch_put_(&report.text, after);
    return hangwatch_refused_to_recreate_(&report, path);
}

static int hangwatch_refused_text_(hangwatch_error_t *err, const char *path, const char *why)
{
    struct hangwatch_report_ report = hangwatch_refuse_(err, path);
    hangwatch_put_(&report.text, why);
    return hangwatch_refused_to_recreate_(&report, path);
}

static int hangwatch_refused_short_(hangwatch_error_t *err, const char *path, uint64_t there, uint64_t needed)
{
    struct hangwatch_report_ report = hangwatch_refuse_(err, path);
    hangwatch_put_(&report.text, "truncated: ");
    hangwatch_put_decimal_(&report.text, there);
    hangwatch_put_(&report.text, " bytes, its header needs ");
    hangwatch_put_decimal_(&report.text, needed);
    return hangwatch_refused_to_recreate_(&report, path);
}

/* Identity: whether the words are a hangwatch segment's of a layout that this code reads. */
static int hangwatch_validate_identity_(const uint64_t *w, const char *path, hangwatch_error_t *err)
{
    struct hangwatch_report_ report;
    uint64_t version = w[HANGWATCH_H_VERSION_], computed;
    if (w[HANGWATCH_H_MAGIC_] != HANGWATCH_MAGIC_)
        return hangwatch_refused_magic_(err, path, w[HANGWATCH_H_MAGIC_]);
    if (w[HANGWATCH_H_ABI_TAG_] != HANGWATCH_ABI_TAG_)
        return hangwatch_refused_abi_(err, path, w[HANGWATCH_H_ABI_TAG_]);
    /* The version first: another major may compute its check otherwise. */
    if (version >> 32 != HANGWATCH_MAJOR_) {
        report = hangwatch_refuse_(err, path);
        hangwatch_put_(&report.text, "layout ");
        hangwatch_put_decimal_(&report.text, version >> 32);
        hangwatch_put_(&report.text, ".");
        hangwatch_put_decimal_(&report.text, version & UINT32_MAX);
        hangwatch_put_(&report.text, ", this build reads ");
        hangwatch_put_decimal_(&report.text, HANGWATCH_MAJOR_);
        hangwatch_put_(&report.text, ".x");
        return hangwatch_refused_version_(&report, path, version >> 32 > HANGWATCH_MAJOR_);
    }
    computed = hangwatch_check_(w);
    if (w[HANGWATCH_H_CHECK_] != computed) {
        report = hangwatch_refuse_(err, path);
        hangwatch_put_(&report.text, "damaged header: check ");
        hangwatch_put_word_(&report.text, w[HANGWATCH_H_CHECK_]);
        hangwatch_put_(&report.text, ", computed ");
        hangwatch_put_word_(&report.text, computed);
        return hangwatch_refused_to_recreate_(&report, path);
    }
    /* This layout knows no incompatible feature. */
    if (w[HANGWATCH_H_FEAT_INCOMPAT_] != 0) {
        report = hangwatch_refuse_(err, path);
        hangwatch_put_(&report.text, "it needs features 0x");
        hangwatch_put_number_(&report.text, w[HANGWATCH_H_FEAT_INCOMPAT_], 16, 1);
        hangwatch_put_(&report.text, " that this build does not know");
        return hangwatch_refused_version_(&report, path, 0);
    }
    return HANGWATCH_ACCEPTED_;
}

/* Checks the fixed words against each other, the file's size and the running boot. */
static int hangwatch_validate_(const uint64_t *w, uint64_t file_len, const uint64_t *boot_id, const char *path,
                               hangwatch_error_t *err)
{
    uint64_t size = w[HANGWATCH_H_SLOT_SIZE_], count = w[HANGWATCH_H_SLOT_COUNT_], off = w[HANGWATCH_H_SLOTS_OFF_];
    uint64_t header = w[HANGWATCH_H_HEADER_LEN_], total = w[HANGWATCH_H_TOTAL_LEN_];
    if (hangwatch_validate_identity_(w, path, err) != HANGWATCH_ACCEPTED_)
        return HANGWATCH_REFUSED_;
    if (size < HANGWATCH_SLOT_LEN_ || size % 128 != 0)
        return hangwatch_refused_number_(err, path, "slot size ", size, ", expected a multiple of 128 from 1024 on");
    if (count == 0 || count > HANGWATCH_MAX_SLOTS_)
        return hangwatch_refused_number_(err, path, "", count, " slots, expected 1 to 1048576");
    if (header < HANGWATCH_HEADER_LEN_ || off < header || off % 128 != 0)
        return hangwatch_refused_text_(err, path, "damaged header: the slots do not start after the header");
    /* count × size + off ≤ total without overflow, and a length that this machine can map. */
    if (off > total || (total - off) / count < size || total > PTRDIFF_MAX)
        return hangwatch_refused_text_(err, path, "damaged header: the slots do not fit its length");
    if (total > file_len)
        return hangwatch_refused_short_(err, path, file_len, total);
    /* A boot that is not known, to its maker or to us, is no earlier one: the segment of workers that live would be replaced. */
    if ((w[HANGWATCH_H_BOOT_ID_] != boot_id[0] || w[HANGWATCH_H_BOOT_ID_ + 1] != boot_id[1]) && (boot_id[0] | boot_id[1]) != 0 &&
        (w[HANGWATCH_H_BOOT_ID_] | w[HANGWATCH_H_BOOT_ID_ + 1]) != 0)
        return HANGWATCH_STALE_;
    return HANGWATCH_ACCEPTED_;
}

static int hangwatch_refused_stale_(hangwatch_error_t *err, const char *path)
{
    return hangwatch_refused_text_(err, path, "made before the last boot; its workers are gone");
}

#endif /* HANGWATCH_VALIDATE_H */
