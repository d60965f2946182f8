/*
 * What went wrong: "what: why", then a line for each hint. The sentences are those of the Rust side, word for word, and
 * tests/c_api compares them. A sentence too long for hangwatch_error_t is cut at a character's border.
 */
#ifndef HANGWATCH_ERROR_H
#define HANGWATCH_ERROR_H

/* The sentence as it grows, in the caller's memory or, where there is none, in nobody's. */
struct hangwatch_report_ {
    hangwatch_error_t *err;
    struct hangwatch_text_ text;
};

static void hangwatch_say_ok_(hangwatch_error_t *err)
{
    if (err != NULL) {
        memset(err, 0, sizeof *err);
        err->code = HANGWATCH_OK;
    }
}

/* Begins a sentence; it is whole and ended after every put. */
static struct hangwatch_report_ hangwatch_fail_(hangwatch_error_t *err, hangwatch_code_e code)
{
    struct hangwatch_report_ report;
    report.err = err;
    report.text = hangwatch_text_on_(NULL, 0);
    if (err != NULL) {
        /* All of it is zero beyond the text, whose last byte is never written: the text is always ended. */
        memset(err, 0, sizeof *err);
        err->code = code;
        report.text = hangwatch_text_on_(err->message, sizeof err->message - 1);
    }
    return report;
}

/* "{verb} '{subject}'", what was being done: the subject is another's text. */
static struct hangwatch_report_ hangwatch_fail_on_(hangwatch_error_t *err, hangwatch_code_e code, const char *verb,
                                                   const char *subject)
{
    struct hangwatch_report_ report = hangwatch_fail_(err, code);
    hangwatch_put_(&report.text, verb);
    hangwatch_put_(&report.text, " '");
    hangwatch_put_lossy_(&report.text, subject);
    hangwatch_put_(&report.text, "': ");
    return report;
}

/* A hint of one sentence. */
static void hangwatch_hint_(struct hangwatch_report_ *report, const char *ascii)
{
    hangwatch_put_(&report->text, "\n  ");
    hangwatch_put_(&report->text, ascii);
}

/* A hint around another's text. */
static void hangwatch_hint_on_(struct hangwatch_report_ *report, const char *before, const char *subject, const char *after)
{
    hangwatch_hint_(report, before);
    hangwatch_put_lossy_(&report->text, subject);
    hangwatch_put_(&report->text, after);
}

/* The kind of failure that a system error is. `error` may be negative, as calls return it. */
static hangwatch_code_e hangwatch_code_of_(int error)
{
    switch (error < 0 ? -error : error) {
    case ENOENT:
        return HANGWATCH_ERROR_NOT_FOUND;
    case EACCES:
    case EPERM:
        return HANGWATCH_ERROR_DENIED;
    case ENOSPC:
        return HANGWATCH_ERROR_FULL;
    default:
        return HANGWATCH_ERROR_SYSTEM;
    }
}

/* The system's sentence, in the house's shape: lower case, no number. */
static void hangwatch_put_system_(struct hangwatch_text_ *to, int error)
{
    char text[256];
    int kept = errno;
    memset(text, 0, sizeof text);
    (void)hangwatch_strerror_(error < 0 ? -error : error, text, sizeof text - 1);
    errno = kept;
    if (text[0] >= 'A' && text[0] <= 'Z')
        text[0] = HANGWATCH_AS_(char, text[0] + ('a' - 'A'));
    hangwatch_put_lossy_(to, text);
}

/* A failed system call: what, and the system's sentence. */
static struct hangwatch_report_ hangwatch_fail_io_(hangwatch_error_t *err, const char *verb, const char *subject, int error)
{
    struct hangwatch_report_ report = hangwatch_fail_on_(err, hangwatch_code_of_(error), verb, subject);
    hangwatch_put_system_(&report.text, error);
    return report;
}

#endif /* HANGWATCH_ERROR_H */
