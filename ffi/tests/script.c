/*
 * The C driver of the conformance suite (docs/conformance.md): does what its stdin says, a line a call, and answers each with
 * a line. Linked with the library, or header-only with -DHANGWATCH_IMPLEMENTATION on the command line. A few calls are C's own,
 * for the tests of this API; the suite makes none of them.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* for fork and exec, not for hangwatch.h */
#endif
#include <hangwatch.h>

#include "check.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGS = 16, HANDLES = 3 };

static hangwatch_worker_t *handles[HANDLES];
/* The one that the call is about: "@b …" is another's than the first's. */
static int held = 0;
static char **own_command;

static int hex(char c)
{
    const char digits[] = "0123456789abcdef";
    const char *at = c == '\0' ? NULL : strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);
    return at == NULL ? -1 : (int)(at - digits);
}

/* '-' stands for NULL; %41 for a byte by its number. In place. */
static char *text(char *word)
{
    char *from = word, *to = word;
    if (strcmp(word, "-") == 0)
        return NULL;
    for (; *from != '\0'; from++) {
        if (*from == '%' && hex(from[1]) >= 0 && hex(from[2]) >= 0) {
            *to++ = (char)(unsigned char)(hex(from[1]) * 16 + hex(from[2]));
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    return word;
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

static void answer_made(hangwatch_worker_t *made, const hangwatch_error_t *err)
{
    handles[held] = made;
    if (made == NULL)
        answer_error(err);
    else if (hangwatch_is_attached(made))
        printf("slot %ld", (long)hangwatch_slot(made));
    else
        printf("detached");
}

static void begin_with(hangwatch_worker_t *w, char **arg)
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
    hangwatch_begin_job_with(w, &job);
}

/* A struct from a later version of the header: larger, what is known first. */
static void begin_with_larger(hangwatch_worker_t *w, const char *id)
{
    struct {
        hangwatch_job_t known;
        uint64_t later[4];
    } job = {HANGWATCH_JOB_INIT, {1, 2, 3, 4}};
    job.known.struct_size = sizeof job;
    job.known.id = id;
    hangwatch_begin_job_with(w, &job.known);
}

static void begin_with_sizeless(hangwatch_worker_t *w)
{
    hangwatch_job_t job;
    memset(&job, 0xff, sizeof job);
    job.struct_size = 0;
    hangwatch_begin_job_with(w, &job);
}

static void register_phase(hangwatch_worker_t *w, char **arg)
{
    hangwatch_error_t err;
    hangwatch_phase_t phase;
    hangwatch_class_e phase_class = HANGWATCH_CLASS_WORK;
    if (strcmp(arg[2], "idle") == 0)
        phase_class = HANGWATCH_CLASS_IDLE;
    if (strcmp(arg[2], "exit") == 0)
        phase_class = HANGWATCH_CLASS_EXIT;
    phase = hangwatch_register_phase(w, text(arg[1]), phase_class, number(arg[3]), &err);
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

/* Round after round without a pause: the suite looks on. */
static void storm(hangwatch_worker_t *w, uint64_t rounds)
{
    uint64_t i;
    for (i = 1; i <= rounds; i++) {
        char id[32];
        snprintf(id, sizeof id, "%llu", (unsigned long long)i);
        hangwatch_begin_job(w, id, id, 1000000 + i);
        hangwatch_step(w, i);
        hangwatch_step(w, 500000 + i);
        hangwatch_beat(w);
        if (i % 2 == 0)
            hangwatch_end_job(w, HANGWATCH_OUTCOME_OK);
    }
}

static int does(char **arg, const char *name)
{
    return strcmp(arg[0], name) == 0;
}

/* What a call says is its answer; 0 where it says nothing, -1 where there is no such call. */
static int call(char **arg)
{
    hangwatch_worker_t *w = handles[held];
    hangwatch_error_t err;
    if (does(arg, "attach"))
        return answer_made(hangwatch_attach(text(arg[1]), text(arg[2]), &err), &err), 1;
    if (does(arg, "lane"))
        return answer_made(hangwatch_lane(handles[0], text(arg[1]), &err), &err), 1;
    if (does(arg, "gpu_lane"))
        return answer_made(hangwatch_gpu_lane(handles[0], text(arg[1]), (uint32_t)number(arg[2]), &err), &err), 1;
    if (does(arg, "is_attached"))
        return printf("%d", hangwatch_is_attached(w)), 1;
    if (does(arg, "should_stop"))
        return printf("%d", hangwatch_should_stop(w)), 1;
    if (does(arg, "register_phase"))
        return register_phase(w, arg), 1;
    if (does(arg, "phase"))
        return hangwatch_phase(w, (hangwatch_phase_t)number(arg[1])), 0;
    if (does(arg, "phase_total"))
        return hangwatch_phase_total(w, (hangwatch_phase_t)number(arg[1]), number(arg[2])), 0;
    if (does(arg, "enter"))
        return hangwatch_enter(w, (hangwatch_phase_t)number(arg[1]), number(arg[2])), 0;
    if (does(arg, "leave"))
        return hangwatch_leave(w), 0;
    if (does(arg, "begin_job"))
        return hangwatch_begin_job(w, text(arg[1]), text(arg[2]), number(arg[3])), 0;
    if (does(arg, "begin_job_with"))
        return begin_with(w, arg), 0;
    if (does(arg, "begin_job_with_null"))
        return hangwatch_begin_job_with(w, NULL), 0;
    if (does(arg, "begin_job_with_sizeless"))
        return begin_with_sizeless(w), 0;
    if (does(arg, "begin_job_with_larger"))
        return begin_with_larger(w, arg[1]), 0;
    if (does(arg, "step"))
        return hangwatch_step(w, number(arg[1])), 0;
    if (does(arg, "beat"))
        return hangwatch_beat(w), 0;
    if (does(arg, "alive"))
        return hangwatch_alive(w), 0;
    if (does(arg, "begin_pass"))
        return hangwatch_begin_pass(w), 0;
    if (does(arg, "extend"))
        return hangwatch_extend(w, number(arg[1])), 0;
    if (does(arg, "note"))
        return hangwatch_note(w, text(arg[1])), 0;
    if (does(arg, "end_job"))
        return hangwatch_end_job(w, outcome(arg[1])), 0;
    if (does(arg, "storm"))
        return storm(w, number(arg[1])), 0;
    if (does(arg, "unstamp"))
        return w->clock = NULL, 0;
    if (does(arg, "detach"))
        return hangwatch_detach(w), handles[held] = NULL, 0;
    return -1;
}

static void answer(char **arg)
{
    int said = call(arg);
    if (said <= 0)
        printf(said == 0 ? "ok" : "unsupported");
}

/* The call in a child, which then ends as programs do. */
static void in_fork(char **arg)
{
    int status = -1;
    pid_t pid = fork();
    CHECK(pid >= 0, "fork works");
    if (pid == 0) {
        answer(arg);
        exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0, "a child ends well");
}

static void exec_again(void)
{
    printf("ok\n");
    fflush(stdout);
    execv("/proc/self/exe", own_command);
    CHECK(0, "exec works");
}

int main(int argc, char **argv)
{
    static char line[8192];
    static char empty[1] = "";
    (void)argc;
    own_command = argv;
    while (fgets(line, sizeof line, stdin) != NULL) {
        char *words[ARGS], **arg = words;
        char *word = strtok(line, " \n");
        int i;
        for (i = 0; i < ARGS; i++) {
            words[i] = word == NULL ? empty : word;
            word = word == NULL ? NULL : strtok(NULL, " \n");
        }
        held = 0;
        if (arg[0][0] == '@' && arg[0][1] >= 'a' && arg[0][1] < 'a' + HANDLES)
            held = (*arg++)[1] - 'a';
        if (does(arg, "exec"))
            exec_again();
        else if (does(arg, "fork"))
            in_fork(arg + 1);
        else
            answer(arg);
        putchar('\n');
        fflush(stdout);
    }
    return 0;
}
