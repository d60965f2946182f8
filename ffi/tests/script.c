/*
 * Does what its stdin says, a line a call, and answers each with a line: so that a reader in another process can look at
 * the slot after every call. '-' stands for NULL.
 */
#include <hangwatch.h>

#include "check.h"

#include <string.h>

enum { ARGS = 10 };

static hangwatch_worker_t *worker = NULL, *lane = NULL;

static const char *text(const char *word)
{
    return strcmp(word, "-") == 0 ? NULL : word;
}

static uint64_t number(const char *word)
{
    char *end = NULL;
    uint64_t value = strtoull(word, &end, 10);
    CHECK(*word != '\0' && *end == '\0', word);
    return value;
}

static void answer_error(const hangwatch_error_t *err)
{
    const char *c;
    printf("error %d ", (int)err->code);
    for (c = err->message; *c != '\0'; c++)
        putchar(*c == '\n' ? '\t' : *c);
}

static void attach_or_lane(char **arg)
{
    hangwatch_error_t err;
    hangwatch_worker_t *made;
    if (strcmp(arg[0], "attach") == 0)
        made = worker = hangwatch_attach(text(arg[1]), text(arg[2]), &err);
    else
        made = lane = hangwatch_lane(worker, text(arg[1]), &err);
    if (made == NULL)
        answer_error(&err);
    else
        printf("slot %ld", (long)hangwatch_slot(made));
}

static void begin_with(char **arg)
{
    hangwatch_job_t job = HANGWATCH_JOB_INIT;
    job.id = text(arg[1]);
    job.model = text(arg[2]);
    job.total = number(arg[3]);
    job.batch = number(arg[4]);
    job.size = number(arg[5]);
    job.deadline_ms = number(arg[6]);
    if (text(arg[7]) != NULL)
        job.device = (uint32_t)number(arg[7]);
    hangwatch_begin_job_with(worker, &job);
}

/* A struct from a later version of the header: larger, what is known first. */
static void begin_with_larger(const char *id)
{
    struct {
        hangwatch_job_t known;
        uint64_t later[4];
    } job = {HANGWATCH_JOB_INIT, {1, 2, 3, 4}};
    job.known.struct_size = sizeof job;
    job.known.id = id;
    hangwatch_begin_job_with(worker, &job.known);
}

static void register_phase(char **arg)
{
    hangwatch_error_t err;
    hangwatch_phase_t phase;
    hangwatch_class_e phase_class = HANGWATCH_CLASS_WORK;
    if (strcmp(arg[2], "idle") == 0)
        phase_class = HANGWATCH_CLASS_IDLE;
    if (strcmp(arg[2], "exit") == 0)
        phase_class = HANGWATCH_CLASS_EXIT;
    phase = hangwatch_register_phase(worker, text(arg[1]), phase_class, number(arg[3]), &err);
    if (err.code == HANGWATCH_OK)
        printf("phase %lu", (unsigned long)phase);
    else
        answer_error(&err);
}

static hangwatch_outcome_e outcome(const char *word)
{
    if (strcmp(word, "ok") == 0)
        return HANGWATCH_OUTCOME_OK;
    return strcmp(word, "failed") == 0 ? HANGWATCH_OUTCOME_FAILED : HANGWATCH_OUTCOME_CANCELLED;
}

/* What a monitor would write: stop, for this generation or the next. */
static void order_stop(int for_another)
{
    uint64_t generation = (worker->local >> 48) + (for_another ? 1 : 0);
    __atomic_store_n(&worker->slot->cmd, generation << 48 | UINT64_C(1) << 40, __ATOMIC_RELAXED);
}

static int does(char **arg, const char *name)
{
    return strcmp(arg[0], name) == 0;
}

static void call(char **arg)
{
    hangwatch_job_t sizeless;
    if (does(arg, "attach") || does(arg, "lane"))
        attach_or_lane(arg);
    else if (does(arg, "unstamp"))
        worker->clock = NULL;
    else if (does(arg, "phase"))
        hangwatch_phase(worker, (hangwatch_phase_t)number(arg[1]));
    else if (does(arg, "phase_total"))
        hangwatch_phase_total(worker, (hangwatch_phase_t)number(arg[1]), number(arg[2]));
    else if (does(arg, "enter"))
        hangwatch_enter(worker, (hangwatch_phase_t)number(arg[1]), number(arg[2]));
    else if (does(arg, "leave"))
        hangwatch_leave(worker);
    else if (does(arg, "register_phase"))
        register_phase(arg);
    else if (does(arg, "begin_job"))
        hangwatch_begin_job(worker, text(arg[1]), text(arg[2]), number(arg[3]));
    else if (does(arg, "begin_job_with"))
        begin_with(arg);
    else if (does(arg, "begin_job_with_null"))
        hangwatch_begin_job_with(worker, NULL);
    else if (does(arg, "begin_job_with_sizeless")) {
        memset(&sizeless, 0xff, sizeof sizeless);
        sizeless.struct_size = 0;
        hangwatch_begin_job_with(worker, &sizeless);
    } else if (does(arg, "begin_job_with_larger"))
        begin_with_larger(arg[1]);
    else if (does(arg, "step"))
        hangwatch_step(worker, number(arg[1]));
    else if (does(arg, "beat"))
        hangwatch_beat(worker);
    else if (does(arg, "alive"))
        hangwatch_alive(worker);
    else if (does(arg, "begin_pass"))
        hangwatch_begin_pass(worker);
    else if (does(arg, "extend"))
        hangwatch_extend(worker, number(arg[1]));
    else if (does(arg, "note"))
        hangwatch_note(worker, text(arg[1]));
    else if (does(arg, "end_job"))
        hangwatch_end_job(worker, outcome(arg[1]));
    else if (does(arg, "should_stop"))
        printf("%d", hangwatch_should_stop(worker));
    else if (does(arg, "order_stop"))
        order_stop(strcmp(arg[1], "another") == 0);
    else if (does(arg, "is_attached"))
        printf("%d", hangwatch_is_attached(worker));
    else if (does(arg, "lane_step"))
        hangwatch_step(lane, number(arg[1]));
    else if (does(arg, "detach_lane"))
        hangwatch_detach(lane);
    else if (does(arg, "detach"))
        hangwatch_detach(worker);
    else
        CHECK(0, arg[0]);
}

int main(void)
{
    static char line[8192];
    static char empty[1] = "";
    while (fgets(line, sizeof line, stdin) != NULL) {
        char *arg[ARGS];
        char *word = strtok(line, " \n");
        int i;
        for (i = 0; i < ARGS; i++) {
            arg[i] = word == NULL ? empty : word;
            word = word == NULL ? NULL : strtok(NULL, " \n");
        }
        call(arg);
        putchar('\n');
        fflush(stdout);
    }
    return 0;
}
