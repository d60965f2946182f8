/*
 * A worker in C that plays inference: it loads, runs jobs step by step and reports each step. It can be told to hang, so
 * that a monitor can be seen at work:
 *
 *     cargo build --release -p hangwatch-ffi
 *     gcc -std=c99 -I ffi/include examples/c_worker.c -L target/release -lhangwatch -Wl,-rpath,$PWD/target/release -o c_worker
 *     hangwatch run --replicas 2 -- ./c_worker --hang-at 25 --hang-replica 0 --replica {i}
 */
#define _POSIX_C_SOURCE 200809L /* for sigaction and nanosleep, not for hangwatch.h */

#include <hangwatch.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
    "usage: c_worker [options]\n"
    "  --steps N           steps of a job (50)\n"
    "  --step-ms N         milliseconds of a step (100)\n"
    "  --jobs N            jobs to run, 0 for no end (1)\n"
    "  --model NAME        the model's name (stable_diffusion_xl)\n"
    "  --hang-at PCT       hang for ever at this percentage of a job\n"
    "  --hang-replica N    hang only if this is replica N\n"
    "  --replica N         which replica this is (0)\n"
    "  --ignore-term       take no notice of SIGTERM\n"
    "  --beat-while-hung   go on beating while hung: progress alone stands still\n"
    "  --busy-hang         hang in a busy loop\n"
    "  --help              this text\n";

struct options {
    uint64_t steps, step_ms, jobs, hang_at, hang_replica, replica;
    const char *model;
    int hangs, one_replica_hangs, ignores_term, beats_while_hung, busy_hang;
};

static volatile sig_atomic_t terminated = 0;

static void on_term(int signal_number)
{
    (void)signal_number;
    terminated = 1;
}

static uint64_t number(const char *flag, const char *text)
{
    char *end = NULL;
    unsigned long long value;
    errno = 0;
    value = text == NULL ? 0 : strtoull(text, &end, 10);
    if (text == NULL || *text < '0' || *text > '9' || *end != '\0' || errno != 0) {
        fprintf(stderr, "c_worker: cannot use %s %s: expected a whole number\n", flag, text == NULL ? "" : text);
        exit(2);
    }
    return value;
}

static struct options parse(char **args)
{
    struct options o = {50, 100, 1, 0, 0, 0, "stable_diffusion_xl", 0, 0, 0, 0, 0};
    for (args++; *args != NULL; args++) {
        const char *flag = *args;
        uint64_t *to = NULL;
        if (strcmp(flag, "--help") == 0) {
            fputs(usage, stdout);
            exit(0);
        } else if (strcmp(flag, "--ignore-term") == 0) {
            o.ignores_term = 1;
        } else if (strcmp(flag, "--beat-while-hung") == 0) {
            o.beats_while_hung = 1;
        } else if (strcmp(flag, "--busy-hang") == 0) {
            o.busy_hang = 1;
        } else if (strcmp(flag, "--model") == 0 && args[1] != NULL) {
            o.model = *++args;
        } else if (strcmp(flag, "--steps") == 0) {
            to = &o.steps;
        } else if (strcmp(flag, "--step-ms") == 0) {
            to = &o.step_ms;
        } else if (strcmp(flag, "--jobs") == 0) {
            to = &o.jobs;
        } else if (strcmp(flag, "--hang-at") == 0) {
            to = &o.hang_at;
            o.hangs = 1;
        } else if (strcmp(flag, "--hang-replica") == 0) {
            to = &o.hang_replica;
            o.one_replica_hangs = 1;
        } else if (strcmp(flag, "--replica") == 0) {
            to = &o.replica;
        } else {
            fprintf(stderr, "c_worker: cannot use argument '%s'\n%s", flag, usage);
            exit(2);
        }
        if (to != NULL) {
            *to = number(flag, args[1]);
            args++;
        }
    }
    if (o.one_replica_hangs && o.replica != o.hang_replica)
        o.hangs = 0;
    return o;
}

static void work(uint64_t ms)
{
    struct timespec left;
    left.tv_sec = (time_t)(ms / 1000);
    left.tv_nsec = (long)(ms % 1000) * 1000000;
    if (ms != 0)
        nanosleep(&left, NULL); /* a signal may cut a step short: nobody minds here */
}

/* What a deadlock or a lost GPU looks like from outside. Nothing asks whether to stop; SIGTERM ends it unless ignored. */
static void hang(hangwatch_worker_t *w, const struct options *o)
{
    volatile int hung = 1;
    if (!o->ignores_term)
        signal(SIGTERM, SIG_DFL);
    while (hung && !terminated) {
        if (o->beats_while_hung) {
            work(o->step_ms);
            hangwatch_beat(w);
        } else if (!o->busy_hang) {
            pause();
        }
    }
}

static int told_to_stop(const hangwatch_worker_t *w)
{
    return terminated || hangwatch_should_stop(w);
}

static hangwatch_outcome_e run_job(hangwatch_worker_t *w, const struct options *o)
{
    uint64_t done = 0;
    for (;;) {
        if (o->hangs && done * 100 >= o->hang_at * o->steps)
            hang(w, o);
        if (told_to_stop(w))
            return HANGWATCH_OUTCOME_CANCELLED;
        if (done == o->steps)
            return HANGWATCH_OUTCOME_OK;
        work(o->step_ms);
        hangwatch_step(w, ++done);
    }
}

int main(int argc, char **argv)
{
    struct options o;
    struct sigaction action;
    hangwatch_error_t err;
    hangwatch_worker_t *w;
    uint64_t job;

    (void)argc;
    o = parse(argv);
    memset(&action, 0, sizeof action);
    if (o.ignores_term)
        action.sa_handler = SIG_IGN;
    else
        action.sa_handler = on_term;
    sigaction(SIGTERM, &action, NULL);

    w = hangwatch_attach(NULL, NULL, &err);
    if (w == NULL)
        fprintf(stderr, "c_worker: %s\n  going on unwatched\n", err.message);
    if (hangwatch_is_attached(w))
        printf("c_worker: pid %ld, slot %ld\n", (long)getpid(), (long)hangwatch_slot(w));
    else
        printf("c_worker: pid %ld, detached\n", (long)getpid());
    fflush(stdout);

    hangwatch_phase(w, HANGWATCH_PHASE_LOADING);
    work(o.step_ms);
    hangwatch_phase(w, HANGWATCH_PHASE_IDLE);
    for (job = 0; (o.jobs == 0 || job < o.jobs) && !told_to_stop(w); job++) {
        char id[64];
        snprintf(id, sizeof id, "c-%ld-%llu", (long)getpid(), (unsigned long long)job);
        hangwatch_begin_job(w, id, o.model, o.steps);
        hangwatch_end_job(w, run_job(w, &o));
    }
    hangwatch_phase(w, HANGWATCH_PHASE_ENDING);
    hangwatch_detach(w);
    return 0;
}
