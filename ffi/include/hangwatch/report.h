/* The vocabulary: phases, jobs, leases, beats. What each function does stands in hangwatch.h. */
#ifndef HANGWATCH_REPORT_H
#define HANGWATCH_REPORT_H

/* A phase is 16 bits; what cannot be one is unknown. */
static unsigned hangwatch_phase_in_bits_(hangwatch_phase_t phase)
{
    return phase > HANGWATCH_PHASE_UNKNOWN ? HANGWATCH_PHASE_UNKNOWN : phase;
}

static uint64_t hangwatch_ns_of_ms_(uint64_t ms)
{
    return ms > UINT64_MAX / 1000000 ? UINT64_MAX : ms * 1000000;
}

static struct hangwatch_outer_ hangwatch_shown_(const struct hangwatch_body_ *body)
{
    struct hangwatch_outer_ shown;
    shown.word = body->phase;
    shown.count = hangwatch_count_of_(body);
    return shown;
}

HANGWATCH_API void hangwatch_phase(hangwatch_worker_t *w, hangwatch_phase_t phase)
{
    hangwatch_phase_total(w, phase, HANGWATCH_TOTAL_NONE);
}

HANGWATCH_API void hangwatch_phase_total(hangwatch_worker_t *w, hangwatch_phase_t phase, uint64_t total)
{
    struct hangwatch_body_ *body = hangwatch_begin_report_(w);
    struct hangwatch_sections_ *sections;
    struct hangwatch_outer_ outermost;
    unsigned id = hangwatch_phase_in_bits_(phase), flags;
    int job_open, to_inference;
    if (body == NULL)
        return;
    sections = &body->sections;
    job_open = hangwatch_job_open_(body->phase);
    to_inference = job_open && id == HANGWATCH_PHASE_INFERENCE;
    /* It takes the place of all that are open; the job's inference is kept for its return. */
    outermost = sections->depth == 0 ? hangwatch_shown_(body) : sections->around[0];
    if (hangwatch_job_open_(outermost.word) && hangwatch_phase_id_of_(outermost.word) == HANGWATCH_PHASE_INFERENCE) {
        sections->inference = outermost;
        sections->has_inference = 1;
    }
    sections->depth = 0;
    sections->beyond = 0;
    if (to_inference && sections->has_inference) {
        sections->has_inference = 0;
        hangwatch_show_(body, w->epoch, id, hangwatch_phase_flags_of_(sections->inference.word), sections->inference.count, 0);
        return;
    }
    flags = hangwatch_next_flags_(body, job_open);
    hangwatch_show_(body, w->epoch, id, flags, hangwatch_fresh_(to_inference ? body->job_total : total), 0);
}

HANGWATCH_API void hangwatch_enter(hangwatch_worker_t *w, hangwatch_phase_t phase, uint64_t total)
{
    struct hangwatch_body_ *body = hangwatch_begin_report_(w);
    struct hangwatch_sections_ *sections;
    unsigned flags;
    if (body == NULL)
        return;
    sections = &body->sections;
    if (sections->depth == HANGWATCH_MAX_DEPTH_) {
        if (sections->beyond != UINT32_MAX)
            sections->beyond++;
        return;
    }
    sections->around[sections->depth++] = hangwatch_shown_(body);
    flags = hangwatch_next_flags_(body, hangwatch_job_open_(body->phase));
    hangwatch_show_(body, w->epoch, hangwatch_phase_in_bits_(phase), flags, hangwatch_fresh_(total), 0);
}

HANGWATCH_API void hangwatch_leave(hangwatch_worker_t *w)
{
    struct hangwatch_body_ *body = hangwatch_begin_report_(w);
    struct hangwatch_sections_ *sections;
    struct hangwatch_outer_ outer;
    if (body == NULL)
        return;
    sections = &body->sections;
    if (sections->beyond > 0) {
        sections->beyond--;
        return;
    }
    if (sections->depth == 0)
        return;
    outer = sections->around[--sections->depth];
    hangwatch_show_(body, w->epoch, hangwatch_phase_id_of_(outer.word), hangwatch_phase_flags_of_(outer.word), outer.count, 0);
}

HANGWATCH_API hangwatch_phase_t hangwatch_register_phase(hangwatch_worker_t *w, const char *name,
                                                         hangwatch_class_e phase_class, uint64_t budget_ms,
                                                         hangwatch_error_t *err)
{
    char lossy[HANGWATCH_USER_PHASE_NAME_ + 1];
    struct hangwatch_text_ text = hangwatch_text_on_(lossy, HANGWATCH_USER_PHASE_NAME_);
    struct hangwatch_report_ report;
    hangwatch_phase_t phase;
    size_t len = hangwatch_lossy_len_(name = name != NULL ? name : "");
    /* An unknown class is work: it gets a budget. */
    unsigned bits = phase_class == HANGWATCH_CLASS_IDLE || phase_class == HANGWATCH_CLASS_EXIT
                        ? HANGWATCH_AS_(unsigned, phase_class)
                        : HANGWATCH_AS_(unsigned, HANGWATCH_CLASS_WORK);
    hangwatch_say_ok_(err);
    if (len > 0 && len <= HANGWATCH_USER_PHASE_NAME_) {
        hangwatch_put_lossy_(&text, name);
        lossy[text.len] = '\0';
        phase = hangwatch_built_in_(lossy);
        if (phase != HANGWATCH_PHASE_UNKNOWN || !hangwatch_is_live_(w))
            return phase;
        phase = hangwatch_find_or_register_(hangwatch_segment_of_(w), lossy, bits, hangwatch_ns_of_ms_(budget_ms));
        if (phase != HANGWATCH_PHASE_UNKNOWN)
            return phase;
    }
    report = hangwatch_fail_(err, len > 0 && len <= HANGWATCH_USER_PHASE_NAME_ ? HANGWATCH_ERROR_FULL : HANGWATCH_ERROR_USAGE);
    hangwatch_put_(&report.text, "cannot register phase '");
    hangwatch_put_escaped_(&report.text, name);
    if (len > 0 && len <= HANGWATCH_USER_PHASE_NAME_) {
        hangwatch_put_(&report.text, "': all 48 user phases of the segment are taken");
        hangwatch_hint_(&report, "reuse a name; a phase may carry on under its old one, work goes on either way");
    } else {
        hangwatch_put_(&report.text, "': its name has ");
        hangwatch_put_decimal_(&report.text, len);
        hangwatch_put_(&report.text, " bytes, expected 1 to 48");
    }
    return HANGWATCH_PHASE_UNKNOWN;
}

HANGWATCH_API void hangwatch_begin_job(hangwatch_worker_t *w, const char *id, const char *model, uint64_t total)
{
    hangwatch_job_t job = HANGWATCH_JOB_INIT;
    job.id = id;
    job.model = model;
    job.total = total;
    hangwatch_begin_job_with(w, &job);
}

HANGWATCH_API void hangwatch_begin_job_with(hangwatch_worker_t *w, const hangwatch_job_t *job)
{
    hangwatch_job_t nothing = HANGWATCH_JOB_INIT;
    struct hangwatch_body_ *body = hangwatch_begin_report_(w);
    uint64_t *record;
    uint32_t number;
    unsigned flags;
    if (body == NULL)
        return;
    /* A larger struct is a newer one: what this version knows stands first. A smaller one there never was. */
    if (job == NULL || job->struct_size < sizeof *job)
        job = &nothing;
    number = HANGWATCH_AS_(uint32_t, ((w->epoch >> 32) + 1) & UINT32_MAX);
    body->job_total = job->total;
    hangwatch_clear_sections_(body);
    flags = hangwatch_next_flags_(body, 1);
    record = body->record;
    record[HANGWATCH_I_GEN_TAG_] = hangwatch_gen_tag_(hangwatch_generation_of_(body->owner), number);
    record[HANGWATCH_I_JOB_START_] = hangwatch_clock_ns_(HANGWATCH_CLOCK_BOOTTIME_);
    record[HANGWATCH_I_DEADLINE_] = hangwatch_ns_of_ms_(job->deadline_ms);
    record[HANGWATCH_I_BATCH_] = job->batch;
    record[HANGWATCH_I_SIZE_] = job->size;
    /* A GPU lane is its device's, whatever the job runs on besides. */
    if (job->device != HANGWATCH_DEVICE_UNCHANGED && !hangwatch_is_gpu_(body))
        record[HANGWATCH_I_DEVICE_] = job->device;
    hangwatch_pack_(record, hangwatch_job_id_, job->id);
    hangwatch_pack_(record, hangwatch_model_, job->model);
    hangwatch_pack_(record, hangwatch_detail_, NULL);
    /* The first pass, without a fall. */
    hangwatch_show_(body, HANGWATCH_AS_(uint64_t, number) << 32, HANGWATCH_PHASE_INFERENCE, flags, hangwatch_fresh_(job->total), 1);
}

HANGWATCH_API void hangwatch_step_linked(hangwatch_worker_t *w, uint64_t done)
{
    hangwatch_step(w, done);
}

HANGWATCH_API void hangwatch_beat_linked(hangwatch_worker_t *w)
{
    hangwatch_beat(w);
}

HANGWATCH_API void hangwatch_alive(hangwatch_worker_t *w)
{
    uint64_t next;
    if (!hangwatch_is_live_(w))
        return;
    /* Relaxed: the counter publishes nothing, and two helpers that store out of order still change the word. */
    next = __atomic_add_fetch(&hangwatch_body_of_(w)->alive, 1, __ATOMIC_RELAXED);
    /* Release: what the helper did before it said so is seen by whoever sees it. */
    __atomic_store_n(&w->slot->alive, next, __ATOMIC_RELEASE);
}

HANGWATCH_API void hangwatch_begin_pass(hangwatch_worker_t *w)
{
    struct hangwatch_body_ *body = hangwatch_begin_report_(w);
    struct hangwatch_sections_ *sections;
    uint64_t now, epoch, total;
    unsigned i;
    if (body == NULL)
        return;
    sections = &body->sections;
    now = hangwatch_stamp_(body);
    total = hangwatch_load_(&w->slot->total); /* Relaxed: our own word */
    /* What was counted before the pass is no mark of it. */
    for (i = 0; i < sections->depth; i++)
        sections->around[i].count = hangwatch_fresh_(sections->around[i].count.total);
    sections->inference.count = hangwatch_fresh_(sections->inference.count.total);
    /* The next pass of the same job, without a fall. The phase goes on, and so does a lease: a pass is no entry. */
    epoch = (w->epoch & UINT64_C(0xffffffff00000000)) | ((w->epoch + UINT64_C(0x10000)) & UINT64_C(0xffff0000));
    hangwatch_boundary_(body, epoch, body->phase, hangwatch_fresh_(total));
    hangwatch_beat_at_(body, now);
}

HANGWATCH_API void hangwatch_extend(hangwatch_worker_t *w, uint64_t ms)
{
    struct hangwatch_body_ *body = hangwatch_begin_report_(w);
    uint64_t now;
    if (body == NULL)
        return;
    now = hangwatch_stamp_(body);
    hangwatch_lease_(body, ms);
    hangwatch_beat_at_(body, now);
}

HANGWATCH_API void hangwatch_note(hangwatch_worker_t *w, const char *text)
{
    if (!hangwatch_is_live_(w))
        return;
    hangwatch_pack_(hangwatch_body_of_(w)->record, hangwatch_detail_, text);
    hangwatch_publish_(w->slot, hangwatch_body_of_(w)->record);
}

HANGWATCH_API void hangwatch_end_job(hangwatch_worker_t *w, hangwatch_outcome_e outcome)
{
    struct hangwatch_body_ *body = hangwatch_begin_report_(w);
    unsigned flags;
    if (body == NULL)
        return;
    /* Without an open job nothing is counted: an error path may end it a second time. */
    if (hangwatch_job_open_(body->phase)) {
        if (outcome == HANGWATCH_OUTCOME_OK)
            body->jobs_ok++;
        else if (outcome == HANGWATCH_OUTCOME_CANCELLED)
            body->cancelled++;
        else
            body->failed++;
    }
    /* Relaxed: counters for statistics. */
    hangwatch_store_(&w->slot->jobs_ok, body->jobs_ok);
    hangwatch_store_(&w->slot->jobs_bad, HANGWATCH_AS_(uint64_t, body->failed) << 32 | body->cancelled);
    body->record[HANGWATCH_I_JOB_START_] = 0;
    body->record[HANGWATCH_I_DEADLINE_] = 0;
    body->record[HANGWATCH_I_BATCH_] = 0;
    body->record[HANGWATCH_I_SIZE_] = 0;
    hangwatch_pack_(body->record, hangwatch_job_id_, NULL);
    hangwatch_clear_sections_(body);
    flags = hangwatch_next_flags_(body, 0);
    hangwatch_show_(body, w->epoch, HANGWATCH_PHASE_IDLE, flags, hangwatch_fresh_(HANGWATCH_TOTAL_NONE), 1);
}

HANGWATCH_API int hangwatch_should_stop(const hangwatch_worker_t *w)
{
    uint64_t cmd;
    if (!hangwatch_is_live_(w))
        return 0;
    cmd = hangwatch_load_(&w->slot->cmd); /* Relaxed: a flag, seen a little later at worst */
    /* An order for another generation is nobody's. */
    return hangwatch_generation_of_(cmd) == hangwatch_generation_of_(w->local) && (cmd >> 40 & 0xff) == 1;
}

#endif /* HANGWATCH_REPORT_H */
