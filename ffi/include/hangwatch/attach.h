/* Where a worker comes from and goes to: hangwatch_attach, _lane, _gpu_lane, _detach, and what it says of itself. */
#ifndef HANGWATCH_ATTACH_H
#define HANGWATCH_ATTACH_H

static const char *const hangwatch_attaching_ = "cannot attach to segment";

/* Fills `body` with a claimed slot. 0, or -1 with *err filled. It takes a use of the segment where it succeeds. */
static int hangwatch_claim_for_(struct hangwatch_body_ *body, struct hangwatch_segment_ *segment, unsigned kind,
                                const struct hangwatch_reserved_ *reserved, int stamps, hangwatch_error_t *err)
{
    struct hangwatch_claimer_ by;
    struct hangwatch_claimed_ claimed;
    struct hangwatch_report_ report;
    const uint8_t *canary;
    int error;
    by.me = hangwatch_know_myself_();
    canary = hangwatch_current_canary_(&error);
    if (canary == NULL) {
        report = hangwatch_fail_io_(err, hangwatch_attaching_, segment->path, error);
        hangwatch_hint_(&report, "the fork canary needs MADV_WIPEONFORK (Linux 4.14 or newer)");
        return -1;
    }
    by.segment = segment;
    by.kind = kind;
    by.record = body->record;
    by.sub = 0;
    if (body->record[HANGWATCH_I_DEVICE_] != HANGWATCH_NO_DEVICE_)
        by.sub = HANGWATCH_AS_(uint32_t, body->record[HANGWATCH_I_DEVICE_] & UINT32_MAX);
    by.reserved = *reserved;
    if (!hangwatch_claim_any_(&by, &claimed)) {
        report = hangwatch_fail_on_(err, HANGWATCH_ERROR_FULL, hangwatch_attaching_, segment->path);
        hangwatch_put_(&report.text, "all ");
        hangwatch_put_decimal_(&report.text, segment->slot_count);
        hangwatch_put_(&report.text, " slots are taken and no owner is proven dead");
        hangwatch_hint_on_(&report, "see who has them with 'hangwatch status --segment ", segment->path, "'");
        hangwatch_hint_(&report, "a segment with more is made with --slots; one that exists cannot grow");
        return -1;
    }
    (void)__atomic_add_fetch(&segment->users, 1, __ATOMIC_RELAXED);
    body->host = canary;
    body->pen.canary = kind == HANGWATCH_KIND_GPU_ ? &hangwatch_dead_ : canary;
    body->pen.slot = claimed.slot;
    body->pen.segment = segment;
    body->pen.local = hangwatch_freed_(claimed.owner); /* gen16|0 */
    body->pen.clock = stamps && segment->stamp_clock == 1 && hangwatch_has_vdso_() ? hangwatch_clock_gettime_ : NULL;
    body->owner = claimed.owner;
    body->index = claimed.index;
    body->alive = body->pen.local;
    hangwatch_take_(&body->hold, segment, claimed.index);
    return 0;
}

/* The segment and what was reserved in it. *segment NULL: nothing is named, which is no error. 0, or -1 with *err filled. */
static int hangwatch_find_segment_(const char *wanted, struct hangwatch_segment_ **segment,
                                   struct hangwatch_reserved_ *reserved, hangwatch_error_t *err)
{
    struct hangwatch_access_ access = {NULL, 0};
    struct hangwatch_geometry_ geometry;
    const char *from_env;
    char *path = NULL, *env_path = NULL;
    int rc = hangwatch_env_("HANGWATCH_SEGMENT", &from_env, err);
    *segment = NULL;
    reserved->is = 0;
    wanted = wanted != NULL ? wanted : from_env;
    if (rc != 0 || wanted == NULL)
        return rc;
    path = hangwatch_resolve_(wanted, err);
    rc = path == NULL ? -1 : 0;
    /* A reserved slot is one of the environment's segment. */
    if (rc == 0 && from_env != NULL) {
        env_path = hangwatch_resolve_(from_env, err);
        rc = env_path == NULL ? -1 : hangwatch_same_path_(path, env_path) ? hangwatch_reserved_slot_(reserved, err) : 0;
    }
    if (rc == 0)
        rc = hangwatch_geometry_from_env_(&geometry, err);
    if (rc == 0)
        rc = hangwatch_access_from_env_(&access, err);
    if (rc == 0) {
        *segment = hangwatch_open_or_create_(path, &geometry, &access, err);
        rc = *segment == NULL ? -1 : 0;
    }
    free(access.uids);
    free(path);
    free(env_path);
    return rc;
}

/* Attaches `body`. 0, or -1 with *err filled. */
static int hangwatch_attach_body_(struct hangwatch_body_ *body, const char *wanted, const char *name, hangwatch_error_t *err)
{
    struct hangwatch_segment_ *segment;
    struct hangwatch_reserved_ reserved;
    int rc = hangwatch_find_segment_(wanted, &segment, &reserved, err);
    if (rc != 0 || segment == NULL)
        return rc;
    rc = hangwatch_device_(&body->record[HANGWATCH_I_DEVICE_], err);
    if (rc == 0 && name == NULL)
        rc = hangwatch_env_("HANGWATCH_NAME", &name, err);
    if (rc == 0) {
        hangwatch_pack_(body->record, hangwatch_name_, name);
        rc = hangwatch_claim_for_(body, segment, HANGWATCH_KIND_WORKER_, &reserved, 1, err);
    }
    hangwatch_let_go_(segment);
    return rc;
}

/* What `rc` says of `body`: the worker, or NULL. */
static hangwatch_worker_t *hangwatch_made_(struct hangwatch_body_ *body, int rc, hangwatch_error_t *err)
{
    if (rc != 0) {
        free(body);
        return NULL;
    }
    hangwatch_say_ok_(err);
    return &body->pen;
}

HANGWATCH_API hangwatch_worker_t *hangwatch_attach(const char *segment, const char *name, hangwatch_error_t *err)
{
    struct hangwatch_body_ *body;
    struct hangwatch_report_ report;
    int kept = errno, rc = -1;
    if (segment != NULL && !hangwatch_is_utf8_(segment)) {
        report = hangwatch_fail_on_(err, HANGWATCH_ERROR_USAGE, hangwatch_attaching_, segment);
        hangwatch_put_(&report.text, "it is not UTF-8");
        return NULL;
    }
    body = hangwatch_new_body_();
    if (body == NULL)
        (void)hangwatch_fail_io_(err, hangwatch_attaching_, segment != NULL ? segment : "", ENOMEM);
    else
        rc = hangwatch_attach_body_(body, segment, name, err);
    errno = kept;
    return hangwatch_made_(body, rc, err);
}

/* A lane beside w, which lives, on `device`. 0, or -1 with *err filled. */
static int hangwatch_lane_body_(struct hangwatch_body_ *body, hangwatch_worker_t *w, const char *name, unsigned kind,
                                uint64_t device, int stamps, hangwatch_error_t *err)
{
    const uint64_t *base = hangwatch_body_of_(w)->record;
    struct hangwatch_reserved_ none = {0, 0, 0};
    size_t at = hangwatch_name_.at / 8;
    memcpy(&body->record[at], &base[at], hangwatch_name_.capacity);
    body->record[HANGWATCH_I_LENS_] = base[HANGWATCH_I_LENS_] & UINT64_C(0xff) << hangwatch_name_.len_shift;
    body->record[HANGWATCH_I_DEVICE_] = device;
    hangwatch_pack_(body->record, hangwatch_lane_name_, name);
    return hangwatch_claim_for_(body, hangwatch_segment_of_(w), kind, &none, stamps, err);
}

HANGWATCH_API hangwatch_worker_t *hangwatch_lane(hangwatch_worker_t *w, const char *name, hangwatch_error_t *err)
{
    struct hangwatch_body_ *body = hangwatch_new_body_();
    int kept = errno, rc = 0;
    if (body == NULL) {
        (void)hangwatch_fail_io_(err, "cannot make a lane", name != NULL ? name : "", ENOMEM);
        rc = -1;
    } else if (hangwatch_is_live_(w)) {
        uint64_t device = hangwatch_body_of_(w)->record[HANGWATCH_I_DEVICE_];
        rc = hangwatch_lane_body_(body, w, name, HANGWATCH_KIND_LANE_, device, w->clock != NULL, err);
    }
    errno = kept;
    return hangwatch_made_(body, rc, err);
}

/* Whether each slot is a page of its own, which a device may be let into. 0, or -1 with *err filled. */
static int hangwatch_check_pages_(const struct hangwatch_segment_ *segment, hangwatch_error_t *err)
{
    struct hangwatch_report_ report;
    if (segment->slots_off % HANGWATCH_PAGE_ == 0 && segment->slot_size % HANGWATCH_PAGE_ == 0)
        return 0;
    report = hangwatch_fail_on_(err, HANGWATCH_ERROR_USAGE, "cannot make a GPU lane in segment", segment->path);
    hangwatch_put_(&report.text, "its slots are ");
    hangwatch_put_decimal_(&report.text, segment->slot_size);
    hangwatch_put_(&report.text, " bytes apart, expected 4096: a device needs a page");
    hangwatch_hint_(&report, "a segment that exists cannot change: remove it where nobody uses it, and make it anew");
    hangwatch_hint_(&report, "with --slot-size 4096 for 'hangwatch run' or 'watch', or HANGWATCH_SLOT_SIZE=4096 for whoever "
                             "attaches first");
    return -1;
}

HANGWATCH_API hangwatch_worker_t *hangwatch_gpu_lane(hangwatch_worker_t *w, const char *name, uint32_t device,
                                                     hangwatch_error_t *err)
{
    struct hangwatch_body_ *body = hangwatch_new_body_();
    int kept = errno, rc = 0;
    if (body == NULL) {
        (void)hangwatch_fail_io_(err, "cannot make a GPU lane", name != NULL ? name : "", ENOMEM);
        rc = -1;
    } else if (hangwatch_is_live_(w)) {
        const uint64_t own = hangwatch_body_of_(w)->record[HANGWATCH_I_DEVICE_];
        rc = hangwatch_check_pages_(hangwatch_segment_of_(w), err);
        /* Unstamped: a device has another clock, and a stamp of the host's would say nothing of it. */
        if (rc == 0)
            rc = hangwatch_lane_body_(body, w, name, HANGWATCH_KIND_GPU_, device == HANGWATCH_DEVICE_UNCHANGED ? own : device, 0,
                                      err);
        /* It begins idle, for a device has nothing to start. */
        if (rc == 0)
            hangwatch_phase(&body->pen, HANGWATCH_PHASE_IDLE);
    }
    errno = kept;
    return hangwatch_made_(body, rc, err);
}

HANGWATCH_API void hangwatch_detach(hangwatch_worker_t *w)
{
    struct hangwatch_body_ *body;
    int kept = errno;
    if (w == NULL)
        return;
    /* In a forked child it is not live: the parent's slot stays the parent's. */
    body = hangwatch_begin_report_(w);
    if (body != NULL) {
        /* A monitor looks for change in the line of the beats first: a last one tells it to look at the owner too. */
        hangwatch_publish_beat_(w);
        /* Before the slot is free: the next owner is to find its byte free too. */
        hangwatch_give_back_(&body->hold);
        (void)hangwatch_release_(w->slot, body->owner);
    }
    hangwatch_let_go_(hangwatch_segment_of_(w));
    free(hangwatch_body_of_(w));
    errno = kept;
}

HANGWATCH_API int hangwatch_is_attached(const hangwatch_worker_t *w)
{
    return hangwatch_is_live_(w);
}

HANGWATCH_API int32_t hangwatch_slot(const hangwatch_worker_t *w)
{
    return hangwatch_is_live_(w) ? HANGWATCH_AS_(int32_t, hangwatch_const_body_of_(w)->index) : -1;
}

HANGWATCH_API const char *hangwatch_version(void)
{
    return HANGWATCH_VERSION;
}

#endif /* HANGWATCH_ATTACH_H */
