/* What a supervisor or a user says to a worker by its environment. */
#ifndef HANGWATCH_ENVIRONMENT_H
#define HANGWATCH_ENVIRONMENT_H

/* Begins the sentence about a value that makes no sense. */
static struct hangwatch_report_ hangwatch_bad_value_(hangwatch_error_t *err, const char *name, const char *value)
{
    struct hangwatch_report_ report = hangwatch_fail_(err, HANGWATCH_ERROR_USAGE);
    hangwatch_put_(&report.text, "cannot use ");
    hangwatch_put_(&report.text, name);
    hangwatch_put_(&report.text, "=");
    hangwatch_put_escaped_(&report.text, value);
    hangwatch_put_(&report.text, ": ");
    return report;
}

/* A variable's value in *value, NULL where it is unset or empty. 0, or -1 with *err filled. */
static int hangwatch_env_(const char *name, const char **value, hangwatch_error_t *err)
{
    struct hangwatch_report_ report;
    *value = getenv(name);
    if (*value == NULL || **value == '\0') {
        *value = NULL;
        return 0;
    }
    if (hangwatch_is_utf8_(*value))
        return 0;
    report = hangwatch_bad_value_(err, name, *value);
    hangwatch_put_(&report.text, "it is not UTF-8");
    return -1;
}

/* A slot that a supervisor reserved. */
struct hangwatch_reserved_ {
    int is;
    uint32_t index;
    unsigned generation;
};

/* HANGWATCH_SLOT, "index:generation". 0, or -1 with *err filled. */
static int hangwatch_reserved_slot_(struct hangwatch_reserved_ *reserved, hangwatch_error_t *err)
{
    struct hangwatch_report_ report;
    const char *text, *colon;
    uint64_t index = 0, generation = 0;
    reserved->is = 0;
    if (hangwatch_env_("HANGWATCH_SLOT", &text, err) != 0)
        return -1;
    if (text == NULL)
        return 0;
    colon = strchr(text, ':');
    if (colon != NULL && hangwatch_parse_(text, HANGWATCH_AS_(size_t, colon - text), UINT32_MAX, &index) &&
        hangwatch_parse_(colon + 1, strlen(colon + 1), UINT16_MAX, &generation)) {
        reserved->is = 1;
        reserved->index = HANGWATCH_AS_(uint32_t, index);
        reserved->generation = HANGWATCH_AS_(unsigned, generation);
        return 0;
    }
    report = hangwatch_bad_value_(err, "HANGWATCH_SLOT", text);
    hangwatch_put_(&report.text, "expected 'index:generation', such as '3:7'");
    hangwatch_hint_(&report, "'hangwatch run' sets it; unset it otherwise");
    return -1;
}

/* HANGWATCH_DEVICE: the first number of "0", "0,1" or "cuda:0". 0, or -1 with *err filled. */
static int hangwatch_device_(uint64_t *device, hangwatch_error_t *err)
{
    struct hangwatch_report_ report;
    const char *text, *end, *begin;
    *device = HANGWATCH_NO_DEVICE_;
    if (hangwatch_env_("HANGWATCH_DEVICE", &text, err) != 0)
        return -1;
    if (text == NULL)
        return 0;
    end = text + strcspn(text, ",");
    for (begin = end; begin > text && begin[-1] != ':'; begin--)
        ;
    while (begin < end && strchr(" \t\n\v\f\r", *begin) != NULL)
        begin++;
    while (end > begin && strchr(" \t\n\v\f\r", end[-1]) != NULL)
        end--;
    if (hangwatch_parse_(begin, HANGWATCH_AS_(size_t, end - begin), UINT32_MAX, device))
        return 0;
    report = hangwatch_bad_value_(err, "HANGWATCH_DEVICE", text);
    hangwatch_put_(&report.text, "expected a device number, such as '0'");
    return -1;
}

/* How many slots a segment has that is made, and how far apart they are. */
struct hangwatch_geometry_ {
    uint64_t slots, slot_size;
};

/* A variable that is digits and nothing else, in *value where it is set. 0 where it is none. */
static int hangwatch_digits_(const char *text, uint64_t max, uint64_t *value)
{
    return *text != '+' && hangwatch_parse_(text, strlen(text), max, value);
}

/* HANGWATCH_SLOTS and HANGWATCH_SLOT_SIZE. 0, or -1 with *err filled. */
static int hangwatch_geometry_from_env_(struct hangwatch_geometry_ *geometry, hangwatch_error_t *err)
{
    struct hangwatch_report_ report;
    const char *text;
    geometry->slots = 64;
    geometry->slot_size = HANGWATCH_SLOT_LEN_;
    if (hangwatch_env_("HANGWATCH_SLOTS", &text, err) != 0)
        return -1;
    if (text != NULL && (!hangwatch_digits_(text, HANGWATCH_MAX_SLOTS_, &geometry->slots) || geometry->slots == 0)) {
        report = hangwatch_bad_value_(err, "HANGWATCH_SLOTS", text);
        hangwatch_put_(&report.text, "expected a number of slots, 1 to 1048576");
        return -1;
    }
    if (hangwatch_env_("HANGWATCH_SLOT_SIZE", &text, err) != 0)
        return -1;
    if (text != NULL && (!hangwatch_digits_(text, UINT32_MAX, &geometry->slot_size) ||
                         (geometry->slot_size != 1024 && geometry->slot_size != 4096))) {
        report = hangwatch_bad_value_(err, "HANGWATCH_SLOT_SIZE", text);
        hangwatch_put_(&report.text, "expected the size of a slot: 1024, or 4096 for device slots");
        return -1;
    }
    return 0;
}

#endif /* HANGWATCH_ENVIRONMENT_H */
