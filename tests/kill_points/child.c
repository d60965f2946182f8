/*
 * One operation on a segment, between two stops, for a tracer that steps through it:
 *     child OPERATION SEGMENT [TEMPLATE]
 * The ones that begin with "wrong_" do it as it must not be done: the tracer has to find them.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hangwatch.h"

/* As long as a note may be: every word of it is another one. */
#define OLD_NOTE "old note 2345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
#define NEW_NOTE "NEW_NOTE.ABCDEFGHIJKLMNOPQRSTUVWXYZ.ABCDEFGHIJKLMNOPQRSTUVWXYZ.ABCDEFGHIJKLMNOPQRSTUVWXYZ.ABCDEFGH"

static void stop(void)
{
    kill(getpid(), SIGSTOP);
}

static hangwatch_worker_t *attached(const char *segment, const char *name)
{
    hangwatch_error_t err;
    hangwatch_worker_t *w = hangwatch_attach(segment, name, &err);
    if (w == NULL) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    return w;
}

#ifndef HANGWATCH_IMPLEMENTATION
static void relaxed(hangwatch_word_t *word, uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

/* A plain seqlock: one copy, written where it stands, between two numbers. */
static void wrong_note(hangwatch_worker_t *w)
{
    uint64_t seq = w->slot->info_seq;
    hangwatch_word_t *record = w->slot->info[seq & 1];
    for (int word = 8; word < 48; word++)
        relaxed(&record[word], UINT64_C(0x6e6e6e6e6e6e6e6e));
    __atomic_store_n(&w->slot->info_seq, seq + 2, __ATOMIC_RELEASE);
}

/* LIVE before the words that say who lives. */
static void wrong_claim(hangwatch_slot_t *slot)
{
    uint64_t generation = (slot->owner >> 48) + 1;
    relaxed(&slot->owner, generation << 48 | UINT64_C(2) << 40 | (uint64_t)getpid());
    relaxed(&slot->starttime, 7);
    relaxed(&slot->tid, (uint64_t)getpid() << 32);
    relaxed(&slot->beat, generation << 48);
    relaxed(&slot->epoch, 0);
}

/* A claim whose swap does not name the claimer. */
static void wrong_swap(hangwatch_slot_t *slot)
{
    uint64_t generation = (slot->owner >> 48) + 1;
    relaxed(&slot->owner, generation << 48 | UINT64_C(1) << 40);
    relaxed(&slot->owner, generation << 48 | UINT64_C(2) << 40 | (uint64_t)getpid());
}

/* The job's number before the last job's count is gone. */
static void wrong_begin_job(hangwatch_worker_t *w)
{
    relaxed(&w->slot->epoch, UINT64_C(9) << 32);
    relaxed(&w->slot->progress, UINT64_MAX);
    relaxed(&w->slot->total, 60);
}

/* The beat before what it speaks of. */
static void wrong_step(hangwatch_worker_t *w)
{
    __atomic_store_n(&w->slot->beat, w->local + 1, __ATOMIC_RELEASE);
    relaxed(&w->slot->progress, 4);
}

/* The name before what stands under it. */
static void wrong_create(const char *segment, const char *template)
{
    static char bytes[1 << 17];
    int from = open(template, O_RDONLY), to;
    ssize_t length = read(from, bytes, sizeof bytes);
    stop();
    to = open(segment, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (write(to, bytes, (size_t)length) != length)
        exit(1);
    stop();
}
#endif

int main(int argc, char **argv)
{
    const char *operation = argc > 2 ? argv[1] : "", *segment = argc > 2 ? argv[2] : "";
    hangwatch_worker_t *w;

    if (strcmp(operation, "claim") == 0 || strcmp(operation, "create") == 0) {
        stop();
        w = attached(segment, "killed");
        stop();
        return w == NULL;
    }
#ifndef HANGWATCH_IMPLEMENTATION
    if (strcmp(operation, "wrong_create") == 0) {
        wrong_create(segment, argv[3]);
        return 0;
    }
#endif

    w = attached(segment, "killed");
    hangwatch_begin_job(w, "old", "old-model", 50);
    hangwatch_note(w, OLD_NOTE);
    hangwatch_step(w, 3);
    stop();
    if (strcmp(operation, "step") == 0)
        hangwatch_step(w, 4);
    else if (strcmp(operation, "fall") == 0)
        hangwatch_step(w, 2);
    else if (strcmp(operation, "beat") == 0)
        hangwatch_beat(w);
    else if (strcmp(operation, "note") == 0)
        hangwatch_note(w, NEW_NOTE);
    else if (strcmp(operation, "begin_job") == 0)
        hangwatch_begin_job(w, NEW_NOTE, NEW_NOTE, 60);
    else if (strcmp(operation, "end_job") == 0)
        hangwatch_end_job(w, HANGWATCH_OUTCOME_OK);
    else if (strcmp(operation, "phase") == 0)
        hangwatch_phase_total(w, HANGWATCH_PHASE_LOADING, 7);
    else if (strcmp(operation, "register") == 0)
        (void)hangwatch_register_phase(w, "upscale", HANGWATCH_CLASS_WORK, 30000, NULL);
    else if (strcmp(operation, "release") == 0)
        hangwatch_detach(w);
#ifndef HANGWATCH_IMPLEMENTATION
    else if (strcmp(operation, "wrong_note") == 0)
        wrong_note(w);
    else if (strcmp(operation, "wrong_claim") == 0)
        wrong_claim(w->slot);
    else if (strcmp(operation, "wrong_swap") == 0)
        wrong_swap(w->slot);
    else if (strcmp(operation, "wrong_begin_job") == 0)
        wrong_begin_job(w);
    else if (strcmp(operation, "wrong_step") == 0)
        wrong_step(w);
#endif
    else
        return 2;
    stop();
    return 0;
}
