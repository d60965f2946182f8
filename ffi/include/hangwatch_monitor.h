/*
 * hangwatch_monitor.h: the reader's and the monitor's side of hangwatch, for C99 and C++11. This file is the manual.
 *
 * A program may run the monitor as threads of its own and be called back when a worker hangs, and any program may read what the
 * workers of a segment say, monitor or not. hangwatch.h is the workers' side.
 *
 *     static void on_event(const hangwatch_event_t *event, void *user_data)
 *     {
 *         (void)user_data;
 *         if (event->kind == HANGWATCH_EVENT_OPENED)
 *             fprintf(stderr, "%s\n", event->sentence);
 *     }
 *
 *     hangwatch_monitor_options_t options = HANGWATCH_MONITOR_OPTIONS_INIT;
 *     hangwatch_policy_t *policy = hangwatch_policy_new();
 *     hangwatch_policy_set(policy, "progress_timeout", "60s", NULL);
 *     options.policy = policy;
 *     options.on_event = on_event;
 *     hangwatch_monitor_t *m = hangwatch_monitor_start(&options, NULL);
 *     hangwatch_policy_free(policy);
 *     ...
 *     hangwatch_monitor_stop(m, NULL);
 *
 * Link with -lhangwatch_monitor (pkg-config: hangwatch_monitor). That library holds all of libhangwatch too: link one of the two,
 * never both. A program whose workers are header-only may link it as well.
 *
 * What holds for every function below
 *
 *   It never harms its host: it raises no signal, does not abort, throw or print, and handles no signal unless it is asked to
 *   (hangwatch_survive_truncation()). What fails says so through a hangwatch_error_t, which may be NULL, and changes nothing. A
 *   defect of the library's own is a HANGWATCH_ERROR_SYSTEM that calls itself one, and alone may leave a line on stderr.
 *
 *   A function that returns int returns 1 where it did what it says and 0 where it did not. A NULL pointer to a reader, a
 *   monitor, a policy or a struct is an error of code HANGWATCH_ERROR_USAGE and never a crash; those that free take NULL and do
 *   nothing.
 *
 *   Text is UTF-8 and NUL-terminated. What workers wrote is another process's: control characters are escaped (\n, \u{1b}), so
 *   it may be printed or logged as it is; what is not UTF-8 is replaced, what does not fit is cut at a character's border.
 *
 *   Times are nanoseconds. Ages are counted by the monitor's own clock, in which a suspended machine and a monitor that was
 *   stopped count for two polls at most.
 *
 *   A struct whose first member is struct_size is told apart from newer versions by it: set it to the struct's sizeof before the
 *   call. Enumerations grow: a newer library may return numbers not listed here.
 */
#ifndef HANGWATCH_MONITOR_H
#define HANGWATCH_MONITOR_H

#include "hangwatch.h"

#ifdef __cplusplus
/* An enumeration of a newer library's numbers: in C++ only one of a fixed size holds a number that it does not list. */
#define HANGWATCH_NUMBER_ : int
extern "C" {
#else
#define HANGWATCH_NUMBER_
#endif

/* ---------------------------------------------------------------------------------------------------------- types -- */

/*
 * Reads a segment. Made by hangwatch_reader_open(), ended by hangwatch_reader_close(). It belongs to one thread at a time; a
 * forked child may go on with its copy.
 */
typedef struct hangwatch_reader hangwatch_reader_t;

/*
 * What a monitor expects of workers. Made by hangwatch_policy_new(), ended by hangwatch_policy_free(), copied by whoever is given
 * it. It belongs to one thread at a time.
 */
typedef struct hangwatch_policy hangwatch_policy_t;

/*
 * A monitor at work. Made by hangwatch_monitor_start(), ended by hangwatch_monitor_stop(). Every function but the stop may be
 * called from any thread, several at once, the callback among them; the callback still while it is being stopped, where they fail
 * with HANGWATCH_ERROR_USAGE. In a forked child it is dead: its threads are the parent's, every function fails in the same way,
 * and the stop frees its memory and nothing else.
 */
typedef struct hangwatch_monitor hangwatch_monitor_t;

/* What a slot is judged to be, the gravest first. */
typedef enum hangwatch_verdict HANGWATCH_NUMBER_ {
    HANGWATCH_VERDICT_NONE = 0,          /* not about a slot */
    HANGWATCH_VERDICT_UNKILLABLE = 1,    /* SIGKILL is pending in uninterruptible sleep; acting */
    HANGWATCH_VERDICT_DEAD = 2,          /* its process has exited without giving the slot back; acting */
    HANGWATCH_VERDICT_ZOMBIE = 3,        /* the same, and its parent has not reaped it; acting */
    HANGWATCH_VERDICT_FOREIGN = 4,       /* a writer that has lost the slot beats in it */
    HANGWATCH_VERDICT_THREAD_GONE = 5,   /* the thread that attached ended, the process lives */
    HANGWATCH_VERDICT_STOPPED = 6,       /* by a signal, a debugger or a frozen cgroup: on purpose */
    HANGWATCH_VERDICT_NEVER_STARTED = 7, /* no beat within the start budget; acting */
    HANGWATCH_VERDICT_SILENT = 8,        /* in inference, no sign of life for heartbeat_timeout; acting */
    HANGWATCH_VERDICT_LOOPING = 9,       /* no progress past its mark for progress_timeout, and it fell back; acting */
    HANGWATCH_VERDICT_STALLED = 10,      /* no progress past its mark for progress_timeout, at any percentage; acting */
    HANGWATCH_VERDICT_OVERDUE = 11,      /* a phase's budget or the job's deadline is spent; acting */
    HANGWATCH_VERDICT_STARVED = 12,      /* a budget is spent, and the machine held the worker up */
    HANGWATCH_VERDICT_SUSPECT = 13,      /* a learnt threshold is passed */
    HANGWATCH_VERDICT_SLOW = 14,         /* advances, but slower than it should */
    HANGWATCH_VERDICT_IDLE = 15,         /* waits for work */
    HANGWATCH_VERDICT_OK = 16,           /* signs of life within budget */
    HANGWATCH_VERDICT_UNKNOWN = 17       /* no live monitor and no usable stamp */
} hangwatch_verdict_e;

/* What happened. */
typedef enum hangwatch_event_kind HANGWATCH_NUMBER_ {
    HANGWATCH_EVENT_OPENED = 1,           /* an episode began: a worker is not as it should be */
    HANGWATCH_EVENT_REMINDER = 2,         /* it goes on; told at doubling distances */
    HANGWATCH_EVENT_CLOSED = 3,           /* it ended */
    HANGWATCH_EVENT_ACTION = 4,           /* hangwatch acts: a signal */
    HANGWATCH_EVENT_WOULD_ACT = 5,        /* it would, if its mode let it */
    HANGWATCH_EVENT_EVIDENCE = 6,         /* what could be seen of a hung worker was kept; `hangwatch run` and `watch` only */
    HANGWATCH_EVENT_REPLACED = 7,         /* a worker was replaced; `hangwatch run` only */
    HANGWATCH_EVENT_LOST_JOB = 8,         /* a job was open in a process that is gone */
    HANGWATCH_EVENT_GAVE_UP = 9,          /* a worker is not restarted any more; `hangwatch run` only */
    HANGWATCH_EVENT_QUARANTINED = 10,     /* set aside: a slot whose owner could not be killed */
    HANGWATCH_EVENT_ADOPTED = 11,         /* `hangwatch run` only */
    HANGWATCH_EVENT_STORM = 12,           /* `hangwatch run` only */
    HANGWATCH_EVENT_ALL_FROZEN = 13,      /* all workers are frozen: rather the host than they */
    HANGWATCH_EVENT_MONITOR_GAP = 14,     /* the monitor itself was away: this poll judges nobody */
    HANGWATCH_EVENT_SEGMENT_LOST = 15,    /* the segment is gone, replaced or damaged */
    HANGWATCH_EVENT_SEGMENT_FOUND = 16,   /* its name leads to one again, and that one is watched from now on */
    HANGWATCH_EVENT_CONFIG_RELOADED = 17, /* another policy is in force; every age goes on */
    HANGWATCH_EVENT_CONFIG_REJECTED = 18  /* never here: hangwatch_monitor_reload() says so itself */
} hangwatch_event_kind_e;

/* What became of a segment's file since it was opened. */
typedef enum hangwatch_presence HANGWATCH_NUMBER_ {
    HANGWATCH_PRESENCE_PRESENT = 1,    /* there, whole, under its name */
    HANGWATCH_PRESENCE_UNLINKED = 2,   /* its name is gone: new workers make another one */
    HANGWATCH_PRESENCE_REPLACED = 3,   /* its name leads to another file: new workers are in that one */
    HANGWATCH_PRESENCE_TRUNCATED = 4,  /* cut short: nothing can be read any more */
    HANGWATCH_PRESENCE_SUPERSEDED = 5, /* it says itself that a newer segment has taken its place */
    HANGWATCH_PRESENCE_ERASED = 6      /* its header was overwritten: nothing can be read any more */
} hangwatch_presence_e;

/* What a slot is. */
typedef enum hangwatch_slot_state HANGWATCH_NUMBER_ {
    HANGWATCH_STATE_FREE = 0,       /* nobody's */
    HANGWATCH_STATE_CLAIMING = 1,   /* being claimed */
    HANGWATCH_STATE_LIVE = 2,       /* a worker's */
    HANGWATCH_STATE_RESERVED = 3,   /* set aside for a child that has not attached yet; pid is the supervisor's */
    HANGWATCH_STATE_QUARANTINED = 4 /* its owner could not be killed */
} hangwatch_slot_state_e;

/* What reports through a slot. */
typedef enum hangwatch_slot_kind HANGWATCH_NUMBER_ {
    HANGWATCH_KIND_WORKER = 0, /* a thread that works */
    HANGWATCH_KIND_LANE = 1,   /* another job in flight of such a thread's process */
    HANGWATCH_KIND_GPU = 2     /* a device, which writes for itself */
} hangwatch_slot_kind_e;

/* Where a snapshot's verdict and ages come from. */
typedef enum hangwatch_source HANGWATCH_NUMBER_ {
    HANGWATCH_SOURCE_NONE = 0,   /* nowhere: verdict and ages are unknown */
    HANGWATCH_SOURCE_STAMPS = 1, /* the worker's own stamps, judged by the default budgets: no monitor is alive */
    HANGWATCH_SOURCE_MONITOR = 2 /* a live monitor's words */
} hangwatch_source_e;

/* What a monitor may do. */
typedef enum hangwatch_mode HANGWATCH_NUMBER_ {
    /* It tells, and never signals anybody. */
    HANGWATCH_MODE_OBSERVE = 0,
    /*
     * It ends hung workers of other processes: SIGTERM, the policy's grace, SIGKILL. Only those of the same user, and only where
     * it is proven who they are; never a worker of this process, and it starts none. As `hangwatch watch --mode act`.
     */
    HANGWATCH_MODE_ACT = 1
} hangwatch_mode_e;

/* Values that are not a number. */
#define HANGWATCH_NO_PROGRESS UINT64_MAX  /* done: no step in this count yet, which is not 0 */
#define HANGWATCH_NS_UNKNOWN UINT64_MAX   /* an age that is not known, a budget that does not run or is not known */
#define HANGWATCH_PERCENT_UNKNOWN (-1.0)  /* percent, and a rate: not known */
#define HANGWATCH_NO_DEVICE UINT32_MAX    /* no device was named */

/*
 * What an event says. It and its strings live as long as the call; copy what you keep. A string is NULL where there is nothing to
 * say, a number as noted.
 */
typedef struct hangwatch_event {
    size_t struct_size; /* what this library wrote: members past it are not there */
    hangwatch_event_kind_e kind;
    hangwatch_verdict_e verdict; /* HANGWATCH_VERDICT_NONE where it is about no slot */
    int32_t slot;                /* -1 where it is about none; the four below are then 0, but for the device */
    hangwatch_slot_kind_e slot_kind;
    uint32_t pid;        /* the worker's, in its own pid namespace; 0 unknown */
    uint32_t generation; /* how often the slot was claimed, modulo 65536 */
    uint32_t device;     /* HANGWATCH_NO_DEVICE */
    uint32_t reserved;
    uint64_t episode;          /* number of the episode, unique in the segment; 0 none */
    uint64_t time_ns;          /* wall clock, since 1970 */
    uint64_t heartbeat_age_ns; /* since the last beat, step or alive; to the millisecond, as all four */
    uint64_t progress_age_ns;  /* since progress last passed its mark */
    uint64_t budget_ns;        /* of the clock that expired */
    uint64_t spent_ns;         /* what of the time was held against the worker: no lease, no stop, no starvation */
    uint64_t done;             /* units; HANGWATCH_NO_PROGRESS */
    uint64_t total;            /* units in all; HANGWATCH_TOTAL_UNKNOWN where it is not known */
    double percent;            /* 0 to 100; HANGWATCH_PERCENT_UNKNOWN */
    const char *clock;         /* which expired: heartbeat, progress, start, phase, max_phase, deadline, learnt */
    const char *segment;       /* path; never NULL */
    const char *worker;        /* its label */
    const char *model;
    const char *job; /* the open job's id; #n where it has none */
    const char *phase;
    const char *detail;
    const char *sentence; /* all of it in one sentence, as the log has it; never NULL */
    const char *json;     /* all of it as one JSON object, as `hangwatch watch --events` writes it; never NULL */
    const char *lane;     /* the lane's name */
} hangwatch_event_t;

/*
 * Called for each event, one at a time, on a thread of the monitor's own and never in its scan: it may be slow, and may wait.
 * While it does, up to 4096 events wait with it; what does not fit is counted (events_lost). The first call may come before
 * hangwatch_monitor_start() has returned, the last one comes before hangwatch_monitor_stop() does.
 *
 * It must return. A C++ exception that leaves it, a longjmp, and pthread_exit() are undefined: catch everything within
 * (hangwatch_monitor.hpp does). All signals but those of a fault are blocked in the thread that calls it.
 */
typedef void (*hangwatch_on_event_t)(const hangwatch_event_t *event, void *user_data);

/*
 * What a monitor is to do. Start from HANGWATCH_MONITOR_OPTIONS_INIT and set what you need. It, its strings and its policy are
 * read during the call only; what user_data points to must live until the stop has returned.
 */
typedef struct hangwatch_monitor_options {
    size_t struct_size;
    const char *segment; /* a name, or a path if it has a slash; NULL: HANGWATCH_SEGMENT, else "default". Made if absent */
    const hangwatch_policy_t *policy; /* NULL: the defaults. HANGWATCH_* variables of the policy are not read */
    hangwatch_on_event_t on_event;    /* NULL: nobody is told; hangwatch_monitor_next() shows what is judged */
    void *user_data;
    const char *learnt; /* the file of what is learnt; NULL: <segment>.learnt. Anything but such a file is refused */
    hangwatch_mode_e mode;
    uint32_t slots;         /* of the segment, where it is made here; 0: HANGWATCH_SLOTS, else 64 */
    uint32_t slot_size;     /* the same: 1024, or 4096 for hangwatch_gpu_lane(); 0: HANGWATCH_SLOT_SIZE, else 1024 */
    uint32_t unlink_at_end; /* 1: the stop removes the segment's name; workers that are attached keep what they have */
} hangwatch_monitor_options_t;

#define HANGWATCH_MONITOR_OPTIONS_INIT \
    {sizeof(hangwatch_monitor_options_t), NULL, NULL, NULL, NULL, NULL, HANGWATCH_MODE_OBSERVE, 0, 0, 0}

/* How a monitor is: for whoever watches the watcher. */
typedef struct hangwatch_monitor_status {
    size_t struct_size;            /* set it before the call */
    int32_t is_running;            /* its scan goes on; 0 only after a defect */
    hangwatch_presence_e presence; /* of the segment that it watches now */
    uint64_t polls;                /* so far */
    uint64_t good_polls;           /* of these, those that saw: neither after a gap of its own nor of a lost segment */
    uint64_t events_lost;          /* that the callback was too slow for */
    uint64_t interval_ns;
    uint64_t last_poll_age_ns; /* HANGWATCH_NS_UNKNOWN before the first */
    uint64_t late_ns;          /* by how much the last poll came late */
    uint64_t worst_late_ns;    /* the latest of all */
    uint64_t worst_case_detection_ns; /* the latest that a hang in inference is seen, while polls are on time */
} hangwatch_monitor_status_t;

/* How a segment is. */
typedef struct hangwatch_segment_status {
    size_t struct_size; /* set it before the call */
    hangwatch_presence_e presence;
    int32_t monitor_alive; /* 1 where one holds the segment's lock */
    uint32_t monitor_pid;  /* as this process sees it; 0 where there is none, or it cannot be seen from here */
    uint32_t slots;
    uint32_t slot_size; /* bytes from one slot to the next */
    uint32_t reserved;
    uint64_t interval_ns;             /* the monitor's poll interval; HANGWATCH_NS_UNKNOWN without one */
    uint64_t worst_case_detection_ns; /* the same */
} hangwatch_segment_status_t;

/*
 * One slot. The words of the worker belong together and to its open job; those past `is_read` are empty, 0 or unknown where that
 * is 0. Sizes of text hold every name that hangwatch.h takes, and its NUL.
 */
typedef struct hangwatch_snapshot {
    size_t struct_size; /* set it before the call */
    uint32_t slot;
    hangwatch_slot_state_e state;
    hangwatch_slot_kind_e kind;
    uint32_t generation; /* how often the slot was claimed, modulo 65536 */
    uint32_t pid;        /* of its owner, in the owner's pid namespace: for display, never to be signalled */
    uint32_t tid;        /* the thread that claimed; 0 unknown */
    hangwatch_source_e source;
    hangwatch_verdict_e verdict; /* HANGWATCH_VERDICT_UNKNOWN where source is none */
    int32_t is_read;             /* 1 where the worker's words were read: state live, and its writer held still long enough */
    int32_t job_open;            /* 1 while a job is open */
    hangwatch_phase_t phase;     /* HANGWATCH_PHASE_UNKNOWN where not read; 256 and more are users' own */
    uint32_t job_number;         /* jobs begun since the claim */
    uint32_t pass;               /* of the job, from 0 */
    uint32_t falls;              /* how often progress fell back in this pass, modulo 65536 */
    uint32_t device;             /* HANGWATCH_NO_DEVICE */
    uint32_t jobs_failed;
    uint32_t jobs_cancelled;
    uint32_t reserved;
    uint64_t jobs_ok;
    uint64_t done;      /* units of this count; HANGWATCH_NO_PROGRESS */
    uint64_t total;     /* HANGWATCH_TOTAL_NONE, HANGWATCH_TOTAL_UNKNOWN, or a number */
    double percent;     /* 0 to 100; HANGWATCH_PERCENT_UNKNOWN */
    double rate_per_s;  /* units a second since the job began, by its stamps; HANGWATCH_PERCENT_UNKNOWN */
    uint64_t eta_ns;    /* to the end at that rate; HANGWATCH_NS_UNKNOWN */
    uint64_t batch;     /* 0 not said */
    uint64_t size;      /* 0 not said */
    uint64_t deadline_ns;      /* from the job's begin; 0 none */
    uint64_t job_age_ns;       /* since the job began; HANGWATCH_NS_UNKNOWN, as the next two */
    uint64_t heartbeat_age_ns; /* since the last beat, step or alive */
    uint64_t progress_age_ns;  /* since progress last passed its mark */
    uint64_t lease_left_ns;    /* 0 where none is in force, or that is not known */
    uint64_t heartbeat_budget_ns; /* the budgets that run now; from hangwatch_monitor_read() and _next() only, */
    uint64_t progress_budget_ns;  /* a reader knows no monitor's policy; HANGWATCH_NS_UNKNOWN */
    uint64_t phase_budget_ns;     /* of a phase other than inference, and before the first beat the start's */
    uint64_t episode;             /* number of the open episode; 0 none, or no monitor lives */
    uint64_t restarts;            /* of this slot's worker */
    char clock[16];               /* the clock that expired, as in hangwatch_event_t; empty for none */
    char phase_name[56];          /* a user's phase as it was registered */
    char worker[48];              /* its label */
    char lane[32];                /* the lane's label */
    char job[72];                 /* the open job's id; #n where it has none, empty without a job */
    char model[104];
    char detail[104]; /* hangwatch_note() */
} hangwatch_snapshot_t;

/* --------------------------------------------------------------------------------------------------------- reader -- */

/*
 * Opens an existing segment read-only: a name, or a path if it has a slash; NULL reads HANGWATCH_SEGMENT, and where that is unset
 * or empty too it is "default". Needs no monitor and disturbs none, nor any worker.
 *
 * Returns NULL on failure, with *err saying why: HANGWATCH_ERROR_NOT_FOUND where there is none, HANGWATCH_ERROR_BAD_SEGMENT where
 * it is damaged, of another version, or from before the last boot.
 */
hangwatch_reader_t *hangwatch_reader_open(const char *segment, hangwatch_error_t *err);

/* The segment's path, absolute; "" for NULL. Lives as long as the reader. */
const char *hangwatch_reader_path(const hangwatch_reader_t *r);

/* How the segment is, and whether a monitor lives: asked at each call. A few system calls. */
int hangwatch_reader_status(hangwatch_reader_t *r, hangwatch_segment_status_t *status, hangwatch_error_t *err);

/*
 * Reads slot `slot`, taken or free, as it is now. HANGWATCH_ERROR_NOT_FOUND past the last one; HANGWATCH_ERROR_BAD_SEGMENT where
 * the segment was cut short or overwritten since it was opened, and then for ever: close it and open it again.
 */
int hangwatch_reader_read(hangwatch_reader_t *r, uint32_t slot, hangwatch_snapshot_t *snapshot, hangwatch_error_t *err);

/*
 * Reads the first slot from `from` on that is anybody's. 0 past the last of them, with err->code HANGWATCH_OK; 0 on failure, with
 * another one. A sweep that begins at 0 asks anew whether a monitor lives, and its ages are those of that instant.
 *
 *     hangwatch_snapshot_t s;
 *     s.struct_size = sizeof s;
 *     for (uint32_t from = 0; hangwatch_reader_next(r, from, &s, &err); from = s.slot + 1)
 *         printf("%u %s %s\n", s.slot, s.worker, hangwatch_verdict_name(s.verdict));
 */
int hangwatch_reader_next(hangwatch_reader_t *r, uint32_t from, hangwatch_snapshot_t *snapshot, hangwatch_error_t *err);

/* Closes it and frees it. */
void hangwatch_reader_close(hangwatch_reader_t *r);

/*
 * From now on a segment of this library's in this process, a worker's, a reader's or a monitor's, whose file is cut short in the
 * middle of a call reads as zeroes, and that call or the next says so. Without it such a cut is a SIGBUS; one between two calls is
 * an error either way. Nothing of hangwatch cuts a segment short.
 *
 * It installs a handler of SIGBUS, which belongs to the program: this library never calls it by itself. Every SIGBUS that is not
 * of a segment goes where it went before. The library must stay loaded from then on. A second call changes nothing.
 */
int hangwatch_survive_truncation(hangwatch_error_t *err);

/* --------------------------------------------------------------------------------------------------------- policy -- */

/* The defaults. */
hangwatch_policy_t *hangwatch_policy_new(void);

/*
 * Sets a key of the policy table (docs/policy.md) to a value as text: "progress_timeout" to "600s", "max_batch" to "4",
 * "adaptive" to "off", "poll_interval" to "500ms"; "profile" to "low-end" goes under all others. The last one counts.
 * HANGWATCH_ERROR_USAGE for a key that there is not, and for text that is no value of it. Whether all of them hold together is
 * checked by whoever is given the policy.
 */
int hangwatch_policy_set(hangwatch_policy_t *p, const char *key, const char *value, hangwatch_error_t *err);

/* The same for workers whose job names such a model: a name, or a pattern with * and ?. It goes before everybody's value. */
int hangwatch_policy_set_for_model(hangwatch_policy_t *p, const char *pattern, const char *key, const char *value,
                                   hangwatch_error_t *err);

/* The same for workers of such a label. It goes before a model's value. */
int hangwatch_policy_set_for_worker(hangwatch_policy_t *p, const char *pattern, const char *key, const char *value,
                                    hangwatch_error_t *err);

/* Frees it. */
void hangwatch_policy_free(hangwatch_policy_t *p);

/* -------------------------------------------------------------------------------------------------------- monitor -- */

/*
 * Starts a monitor: three threads of this process (one more in HANGWATCH_MODE_ACT), in which all signals but those of a fault are
 * blocked. It watches the workers of every process that attached to the segment, this one's too, and goes over to a new segment
 * when its own is lost.
 *
 * Returns NULL on failure, with *err saying why: HANGWATCH_ERROR_HELD, with who it is, where another monitor of the segment is
 * alive; HANGWATCH_ERROR_USAGE where the policy does not hold together, with the values and where they came from.
 */
hangwatch_monitor_t *hangwatch_monitor_start(const hangwatch_monitor_options_t *options, hangwatch_error_t *err);

/*
 * From the next poll on this policy is in force (NULL: the defaults), and every age goes on. Told as
 * HANGWATCH_EVENT_CONFIG_RELOADED. One that does not hold together is an error, and the one in force stays.
 */
int hangwatch_monitor_reload(hangwatch_monitor_t *m, const hangwatch_policy_t *p, hangwatch_error_t *err);

/* How it is. Never waits for a poll. */
int hangwatch_monitor_status(hangwatch_monitor_t *m, hangwatch_monitor_status_t *status, hangwatch_error_t *err);

/*
 * Slot `slot` as it judges it now, with the budgets that run. As hangwatch_reader_read() but for those, without a reader and
 * without waiting for a poll: the verdict is the last poll's, the ages are this instant's.
 */
int hangwatch_monitor_read(hangwatch_monitor_t *m, uint32_t slot, hangwatch_snapshot_t *snapshot, hangwatch_error_t *err);

/* The first slot from `from` on that is anybody's, as hangwatch_reader_next() has it. */
int hangwatch_monitor_next(hangwatch_monitor_t *m, uint32_t from, hangwatch_snapshot_t *snapshot, hangwatch_error_t *err);

/*
 * Stops it: ends its scan, tells the events that are queued, joins its threads, closes what it opened and frees it. It waits for
 * the callback that runs, so hold nothing that the callback waits for. The workers go on, and the segment stays for them and for
 * the next monitor, unless unlink_at_end was set. Stop every monitor before the library is unloaded.
 *
 * Called from its own callback it is an error, HANGWATCH_ERROR_USAGE, and the monitor goes on: let the callback tell another thread.
 */
int hangwatch_monitor_stop(hangwatch_monitor_t *m, hangwatch_error_t *err);

/* ---------------------------------------------------------------------------------------------------------- names -- */

/* "stalled"; "none" for HANGWATCH_VERDICT_NONE. Here and below: never NULL, lives as long as the library, "unknown" for a number
 * that it does not know. */
const char *hangwatch_verdict_name(hangwatch_verdict_e verdict);

/* 1 for a verdict upon which a monitor that may act acts: the worker hangs, or is gone. */
int hangwatch_verdict_is_acting(hangwatch_verdict_e verdict);

/* "opened". */
const char *hangwatch_event_kind_name(hangwatch_event_kind_e kind);

/* "inference"; "user" for a phase of a user's own, whose name a snapshot has. */
const char *hangwatch_phase_name(hangwatch_phase_t phase);

/* "present". */
const char *hangwatch_presence_name(hangwatch_presence_e presence);

/* ------------------------------------------------------------------------------- below here nothing is for programs -- */

/* What the library was built with; it asserts the same numbers. */
#if defined(__cplusplus)
#define HANGWATCH_MONITOR_ASSERT_(name, holds) static_assert(holds, #name)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define HANGWATCH_MONITOR_ASSERT_(name, holds) _Static_assert(holds, #name)
#else
#define HANGWATCH_MONITOR_ASSERT_(name, holds) struct hangwatch_monitor_assert_##name { int name : (holds) ? 1 : -1; }
#endif

HANGWATCH_MONITOR_ASSERT_(event_is_192_bytes, sizeof(void *) != 8 || sizeof(hangwatch_event_t) == 192);
HANGWATCH_MONITOR_ASSERT_(snapshot_is_656_bytes, sizeof(void *) != 8 || sizeof(hangwatch_snapshot_t) == 656);
HANGWATCH_MONITOR_ASSERT_(options_are_64_bytes, sizeof(void *) != 8 || sizeof(hangwatch_monitor_options_t) == 64);
HANGWATCH_MONITOR_ASSERT_(status_is_80_bytes, sizeof(void *) != 8 || sizeof(hangwatch_monitor_status_t) == 80);
HANGWATCH_MONITOR_ASSERT_(segment_status_is_48_bytes, sizeof(void *) != 8 || sizeof(hangwatch_segment_status_t) == 48);
/* Fails under -fshort-enums, which changes how enumerators are passed. */
HANGWATCH_MONITOR_ASSERT_(enums_are_ints, sizeof(hangwatch_verdict_e) == 4 && sizeof(hangwatch_event_kind_e) == 4 &&
                                              sizeof(hangwatch_presence_e) == 4 && sizeof(hangwatch_slot_state_e) == 4 &&
                                              sizeof(hangwatch_slot_kind_e) == 4 && sizeof(hangwatch_source_e) == 4 &&
                                              sizeof(hangwatch_mode_e) == 4);

#undef HANGWATCH_MONITOR_ASSERT_
#undef HANGWATCH_NUMBER_

#ifdef __cplusplus
}
#endif

#endif /* HANGWATCH_MONITOR_H */
