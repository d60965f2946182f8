/* Where segments live and what they may be called. Paths compare and fall apart as Rust's do: by their parts. */
#ifndef HANGWATCH_PATH_H
#define HANGWATCH_PATH_H

/* Three texts as one, to be freed; NULL where there is no memory for it. */
static char *hangwatch_joined_(const char *a, size_t a_len, const char *b, const char *c)
{
    size_t b_len = strlen(b), c_len = strlen(c);
    char *text = HANGWATCH_AS_(char *, malloc(a_len + b_len + c_len + 1));
    if (text == NULL)
        return NULL;
    memcpy(text, a, a_len);
    memcpy(text + a_len, b, b_len);
    memcpy(text + a_len + b_len, c, c_len + 1);
    return text;
}

/* The path of `name` in `dir`. */
static char *hangwatch_in_(const char *dir, const char *name)
{
    size_t len = strlen(dir);
    return hangwatch_joined_(dir, len, len > 0 && dir[len - 1] == '/' ? "" : "/", name);
}

/* The path of a file beside a segment. */
static char *hangwatch_sidecar_(const char *segment, const char *suffix)
{
    return hangwatch_joined_(segment, strlen(segment), ".", suffix);
}

/* The next part of a path, its end in *len; "" at the end. A '.' is none. */
static const char *hangwatch_part_(const char *at, size_t *len)
{
    for (;;) {
        at += strspn(at, "/");
        *len = strcspn(at, "/");
        if (*len != 1 || *at != '.')
            return at;
        at += *len;
    }
}

/* Whether a relative path says that it is one: "./x", which is another than "x". */
static int hangwatch_dotted_(const char *path)
{
    return path[0] == '.' && (path[1] == '/' || path[1] == '\0');
}

static int hangwatch_same_path_(const char *a, const char *b)
{
    size_t a_len, b_len;
    if ((a[0] == '/') != (b[0] == '/') || hangwatch_dotted_(a) != hangwatch_dotted_(b))
        return 0;
    for (;;) {
        a = hangwatch_part_(a, &a_len);
        b = hangwatch_part_(b, &b_len);
        if (a_len != b_len || memcmp(a, b, a_len) != 0)
            return 0;
        if (a_len == 0)
            return 1;
        a += a_len;
        b += b_len;
    }
}

/* The length of a path without slashes and dots at its end. */
static size_t hangwatch_trimmed_(const char *path, size_t len)
{
    size_t root = path[0] == '/' ? 1 : 0;
    for (;;) {
        while (len > root && path[len - 1] == '/')
            len--;
        if (len >= 2 && path[len - 1] == '.' && path[len - 2] == '/')
            len--;
        else
            return len;
    }
}

/* Where the last part of a path begins. */
static size_t hangwatch_last_(const char *path)
{
    size_t at = hangwatch_trimmed_(path, strlen(path));
    while (at > 0 && path[at - 1] != '/')
        at--;
    return at;
}

/* The folder that a path is in, to be freed. */
static char *hangwatch_parent_(const char *path)
{
    size_t len = hangwatch_trimmed_(path, hangwatch_last_(path));
    return len == 0 ? hangwatch_joined_(".", 1, "", "") : hangwatch_joined_(path, len, "", "");
}

/* The path from the root, as it is now, to be freed: a program may change its directory. */
static char *hangwatch_absolute_(const char *path)
{
    size_t len = strlen(path), part, at = 0;
    char cwd[4096], *whole;
    long cwd_len = 0;
    if (path[0] != '/') {
        cwd_len = HANGWATCH_CALL_(hangwatch_syscall_(SYS_getcwd, HANGWATCH_ADDRESS_(cwd), HANGWATCH_AS_(long, sizeof cwd)));
        /* The kernel counts the zero at its end. A folder that cannot be reached from the root has no slash. */
        if (cwd_len <= 0 || cwd[0] != '/')
            return hangwatch_joined_(path, len, "", "");
        at = HANGWATCH_AS_(size_t, cwd_len) - 1;
        at = at == 1 ? 0 : at;
    }
    whole = HANGWATCH_AS_(char *, malloc(at + len + 3));
    if (whole == NULL)
        return NULL;
    memcpy(whole, cwd, at);
    /* Two slashes at the beginning may mean something, more of them do not. */
    if (path[0] == '/' && path[1] == '/' && path[2] != '/')
        whole[at++] = '/';
    for (path = hangwatch_part_(path, &part); part > 0; path = hangwatch_part_(path + part, &part)) {
        whole[at++] = '/';
        memcpy(whole + at, path, part);
        at += part;
    }
    if (at == 0 || path[-1] == '/')
        whole[at++] = '/';
    whole[at] = '\0';
    return whole;
}

/* The folder of named segments, to be freed: $HANGWATCH_DIR, else $XDG_RUNTIME_DIR/hangwatch, else one in /dev/shm. */
static char *hangwatch_directory_(void)
{
    const char *set = getenv("HANGWATCH_DIR");
    char digits[24];
    struct hangwatch_text_ uid = hangwatch_text_on_(digits, sizeof digits - 1);
    if (set != NULL && *set != '\0')
        return hangwatch_joined_(set, strlen(set), "", "");
    set = getenv("XDG_RUNTIME_DIR");
    if (set != NULL && *set != '\0')
        return hangwatch_in_(set, "hangwatch");
    hangwatch_put_decimal_(&uid, hangwatch_euid_());
    digits[uid.len] = '\0';
    return hangwatch_joined_("/dev/shm/hangwatch-", 19, digits, "");
}

/* Begins the sentence about a bad name. */
static struct hangwatch_report_ hangwatch_bad_name_(hangwatch_error_t *err, const char *name)
{
    struct hangwatch_report_ report = hangwatch_fail_(err, HANGWATCH_ERROR_USAGE);
    hangwatch_put_(&report.text, "cannot use segment name '");
    hangwatch_put_escaped_(&report.text, name);
    hangwatch_put_(&report.text, "': ");
    return report;
}

static int hangwatch_ends_with_(const char *text, const char *ending)
{
    size_t len = strlen(text), end = strlen(ending);
    return len > end && text[len - end - 1] == '.' && strcmp(text + len - end, ending) == 0;
}

/* 0, or -1 with *err filled. `name` is UTF-8. */
static int hangwatch_check_name_(const char *name, hangwatch_error_t *err)
{
    static const char *const sidecars[] = {"monitor",      "unlink", "liveness",   "children",
                                           "children.new", "learnt", "learnt.bad", "learnt.new"};
    struct hangwatch_report_ report = hangwatch_bad_name_(err, name);
    size_t len = strlen(name), i;
    const char *at = name + strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    if (len == 0) {
        hangwatch_put_(&report.text, "it is empty");
    } else if (len > 64) {
        hangwatch_put_(&report.text, "it has ");
        hangwatch_put_decimal_(&report.text, len);
        hangwatch_put_(&report.text, " bytes, at most 64");
    } else if (*at != '\0') {
        const unsigned char *bytes = HANGWATCH_AS_(const unsigned char *, HANGWATCH_AS_(const void *, at));
        hangwatch_put_(&report.text, "'");
        hangwatch_put_escaped_char_(&report.text, hangwatch_char_at_(bytes, strlen(at)).code);
        hangwatch_put_(&report.text, "' is not allowed in a name");
    } else if (name[0] == '.') {
        hangwatch_put_(&report.text, "it begins with '.'");
    } else {
        for (i = 0; i < sizeof sidecars / sizeof *sidecars && !hangwatch_ends_with_(name, sidecars[i]); i++)
            ;
        if (i == sizeof sidecars / sizeof *sidecars) {
            hangwatch_say_ok_(err);
            return 0;
        }
        hangwatch_put_(&report.text, "'.");
        hangwatch_put_(&report.text, sidecars[i]);
        hangwatch_put_(&report.text, "' is the ending of a file beside a segment");
    }
    hangwatch_hint_(&report, "a name has 1 to 64 letters, digits, '.', '_' or '-' and does not begin with '.'; a path has a '/'");
    return -1;
}

/* Says that there is no memory for `what`; NULL. */
static char *hangwatch_no_memory_(const char *what, const char *subject, hangwatch_error_t *err)
{
    (void)hangwatch_fail_io_(err, what, subject, ENOMEM);
    return NULL;
}

/* A segment's path, to be freed: as it is if it has a slash, else a name in the folder. NULL with *err filled. */
static char *hangwatch_resolve_(const char *name_or_path, hangwatch_error_t *err)
{
    char *dir, *path;
    if (strchr(name_or_path, '/') != NULL) {
        path = hangwatch_joined_(name_or_path, strlen(name_or_path), "", "");
    } else {
        if (hangwatch_check_name_(name_or_path, err) != 0)
            return NULL;
        dir = hangwatch_directory_();
        path = dir == NULL ? NULL : hangwatch_in_(dir, name_or_path);
        free(dir);
    }
    return path != NULL ? path : hangwatch_no_memory_("cannot attach to segment", name_or_path, err);
}

#endif /* HANGWATCH_PATH_H */
