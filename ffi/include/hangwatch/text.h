/*
 * Text of bounded length: sentences for hangwatch_error_t, labels for info records. Nothing is allocated, nothing is cut
 * within a character, and bytes that are no UTF-8 become U+FFFD as Rust's from_utf8_lossy makes them.
 */
#ifndef HANGWATCH_TEXT_H
#define HANGWATCH_TEXT_H

/* Text that keeps its first `capacity` bytes, up to a character's border. */
struct hangwatch_text_ {
    char *bytes;
    size_t capacity;
    size_t len;
    int full; /* a character did not fit: nothing after it may */
};

static struct hangwatch_text_ hangwatch_text_on_(char *bytes, size_t capacity)
{
    struct hangwatch_text_ text;
    text.bytes = bytes;
    text.capacity = capacity;
    text.len = 0;
    text.full = 0;
    return text;
}

/* The bytes of one character. */
static void hangwatch_put_bytes_(struct hangwatch_text_ *to, const char *bytes, size_t len)
{
    if (to->full || len > to->capacity - to->len) {
        to->full = 1;
        return;
    }
    memcpy(to->bytes + to->len, bytes, len);
    to->len += len;
}

/* A sentence of ours: ASCII. */
static void hangwatch_put_(struct hangwatch_text_ *to, const char *ascii)
{
    for (; *ascii != '\0'; ascii++)
        hangwatch_put_bytes_(to, ascii, 1);
}

/* Digits of `value` to `base` 10 or 16, at least `width` of them. */
static void hangwatch_put_number_(struct hangwatch_text_ *to, uint64_t value, unsigned base, int width)
{
    char digits[24];
    int n = 0;
    do {
        digits[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0 || n < width);
    while (n > 0)
        hangwatch_put_bytes_(to, &digits[--n], 1);
}

static void hangwatch_put_decimal_(struct hangwatch_text_ *to, uint64_t value)
{
    hangwatch_put_number_(to, value, 10, 1);
}

/* "0x" and 16 digits. */
static void hangwatch_put_word_(struct hangwatch_text_ *to, uint64_t value)
{
    hangwatch_put_(to, "0x");
    hangwatch_put_number_(to, value, 16, 16);
}

/* A file's mode: "0600". */
static void hangwatch_put_mode_(struct hangwatch_text_ *to, unsigned mode)
{
    int shift;
    for (shift = 9; shift >= 0; shift -= 3)
        hangwatch_put_bytes_(to, &"01234567"[mode >> shift & 7], 1);
}

/* What a character is to whoever takes it. */
struct hangwatch_char_ {
    uint32_t code;  /* U+FFFD where the bytes are none */
    unsigned bytes; /* how many it took of the text */
    int valid;
};

/* The character at `at`, of which `len` > 0 bytes are left; the longest beginning of one is taken together where it is none. */
static struct hangwatch_char_ hangwatch_char_at_(const unsigned char *at, size_t len)
{
    struct hangwatch_char_ c;
    unsigned first = at[0], low = 0x80, high = 0xbf, need;
    c.code = first;
    c.bytes = 1;
    c.valid = 1;
    if (first < 0x80)
        return c;
    need = first >= 0xc2 && first <= 0xdf ? 1 : (first & 0xf0) == 0xe0 ? 2 : first >= 0xf0 && first <= 0xf4 ? 3 : 0;
    /* Not the shortest form, a surrogate, beyond U+10FFFF: shown by the second byte. */
    if (first == 0xe0)
        low = 0xa0;
    else if (first == 0xed)
        high = 0x9f;
    else if (first == 0xf0)
        low = 0x90;
    else if (first == 0xf4)
        high = 0x8f;
    c.valid = need != 0;
    c.code = first & (0x3fu >> need);
    while (c.valid && c.bytes <= need) {
        c.valid = c.bytes < len && at[c.bytes] >= low && at[c.bytes] <= high;
        if (c.valid)
            c.code = c.code << 6 | (at[c.bytes++] & 0x3fu);
        low = 0x80;
        high = 0xbf;
    }
    if (!c.valid)
        c.code = 0xfffd;
    return c;
}

/* Text of others: what is no UTF-8 is replaced. */
static void hangwatch_put_lossy_of_(struct hangwatch_text_ *to, const char *text, size_t len)
{
    while (len > 0) {
        const unsigned char *at = HANGWATCH_AS_(const unsigned char *, HANGWATCH_AS_(const void *, text));
        struct hangwatch_char_ c = hangwatch_char_at_(at, len);
        if (c.valid)
            hangwatch_put_bytes_(to, text, c.bytes);
        else
            hangwatch_put_bytes_(to, "\xef\xbf\xbd", 3);
        text += c.bytes;
        len -= c.bytes;
    }
}

static void hangwatch_put_lossy_(struct hangwatch_text_ *to, const char *text)
{
    hangwatch_put_lossy_of_(to, text, strlen(text));
}

/* One character as a terminal may see it: printable ASCII, or escaped as Rust's escape_default does. */
static void hangwatch_put_escaped_char_(struct hangwatch_text_ *to, uint32_t code)
{
    char c = HANGWATCH_AS_(char, code & 0x7f);
    if (code == '\t' || code == '\n' || code == '\r') {
        hangwatch_put_(to, code == '\t' ? "\\t" : code == '\n' ? "\\n" : "\\r");
    } else if (code >= 0x20 && code < 0x7f) {
        if (code == '\'' || code == '"' || code == '\\')
            hangwatch_put_(to, "\\");
        hangwatch_put_bytes_(to, &c, 1);
    } else {
        hangwatch_put_(to, "\\u{");
        hangwatch_put_number_(to, code, 16, 1);
        hangwatch_put_(to, "}");
    }
}

static void hangwatch_put_escaped_(struct hangwatch_text_ *to, const char *text)
{
    size_t len = strlen(text);
    while (len > 0) {
        const unsigned char *at = HANGWATCH_AS_(const unsigned char *, HANGWATCH_AS_(const void *, text));
        struct hangwatch_char_ c = hangwatch_char_at_(at, len);
        hangwatch_put_escaped_char_(to, c.code);
        text += c.bytes;
        len -= c.bytes;
    }
}

static int hangwatch_is_utf8_(const char *text)
{
    size_t len = strlen(text);
    while (len > 0) {
        const unsigned char *at = HANGWATCH_AS_(const unsigned char *, HANGWATCH_AS_(const void *, text));
        struct hangwatch_char_ c = hangwatch_char_at_(at, len);
        if (!c.valid)
            return 0;
        text += c.bytes;
        len -= c.bytes;
    }
    return 1;
}

/* The length of `text` once it is lossy. */
static size_t hangwatch_lossy_len_(const char *text)
{
    size_t len = strlen(text), sum = 0;
    while (len > 0) {
        const unsigned char *at = HANGWATCH_AS_(const unsigned char *, HANGWATCH_AS_(const void *, text));
        struct hangwatch_char_ c = hangwatch_char_at_(at, len);
        sum += c.valid ? c.bytes : 3;
        text += c.bytes;
        len -= c.bytes;
    }
    return sum;
}

/* A whole decimal number up to `max`, with or without a plus, as Rust parses one: 1, or 0 where it is none. */
static int hangwatch_parse_(const char *text, size_t len, uint64_t max, uint64_t *value)
{
    size_t i = len > 0 && text[0] == '+' ? 1 : 0;
    *value = 0;
    if (i == len)
        return 0;
    for (; i < len; i++) {
        uint64_t digit = HANGWATCH_AS_(uint64_t, HANGWATCH_AS_(unsigned char, text[i])) - '0';
        if (digit > 9 || *value > (max - digit) / 10)
            return 0;
        *value = *value * 10 + digit;
    }
    return 1;
}

#endif /* HANGWATCH_TEXT_H */
