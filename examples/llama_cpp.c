/* llama.cpp, watched: its load, its prompt and its tokens.
 *
 *     gcc -std=c99 -I ffi/include -I LLAMA/include -I LLAMA/ggml/include examples/llama_cpp.c -L LLAMA/build/bin -lllama -o llama_cpp
 *     hangwatch run --inference-step-timeout 60s -- ./llama_cpp MODEL.gguf 'Once upon a time' 200
 *
 * What llama.cpp calls back, and what is said there:
 *
 *     progress_callback   in the load, with what part is loaded    true = go on     the load's count
 *     abort_callback      in each decode, before each operation    true = stop      a beat
 *
 * ggml calls the second some 40 to 140 times a token, in the thread that called llama_decode(), on the CPU backend alone: with
 * layers on a GPU a decode is silent, and has the heartbeat's budget. So there is nothing in it but a beat, two stores and a clock,
 * and a look at the command word, one load. The prompt is a phase of its own, since one decode of it may take minutes, and
 * counts its chunks; then each token is a step.
 *
 * A further word makes it hang, to see what is told: 'load', 'prompt', 'decode' never come back; 'loop' goes on and gets nowhere. */
#define _POSIX_C_SOURCE 200809L
#define HANGWATCH_IMPLEMENTATION
#include <hangwatch.h>
#include <llama.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How long a chunk of the prompt may take. */
#ifndef PATIENCE_MS
#define PATIENCE_MS 600000
#endif

enum { CHUNK = 32, PARTS = 1000 };

struct watched {
    hangwatch_worker_t *w;
    const char *hang; /* where to hang, or "" */
    int at_prompt;
    int done; /* tokens made */
};

static void hang_in(const struct watched *watched, const char *place)
{
    if (strcmp(watched->hang, place) == 0)
        for (;;) {
            struct timespec hour = {3600, 0};
            nanosleep(&hour, NULL);
        }
}

static bool loads(float part, void *data)
{
    struct watched *watched = data;
    hangwatch_step(watched->w, (uint64_t)(part * PARTS));
    if (part > 0.5f)
        hang_in(watched, "load");
    return !hangwatch_should_stop(watched->w); /* true: go on */
}

static bool aborts(void *data)
{
    struct watched *watched = data;
    hangwatch_beat(watched->w);
    if (watched->hang[0] != '\0' && (watched->at_prompt || watched->done == 5))
        hang_in(watched, watched->at_prompt ? "prompt" : "decode");
    return hangwatch_should_stop(watched->w); /* true: stop */
}

static void is_quiet(enum ggml_log_level level, const char *text, void *data)
{
    (void)data;
    if (level == GGML_LOG_LEVEL_ERROR)
        fputs(text, stderr);
}

/* The likeliest token: no sampler, so that two runs say the same. */
static llama_token likeliest(struct llama_context *ctx, int32_t n_vocab)
{
    const float *logits = llama_get_logits_ith(ctx, -1);
    llama_token best = 0, token;
    for (token = 1; token < n_vocab; token++)
        if (logits[token] > logits[best])
            best = token;
    return best;
}

/* 0: done; 2: it was asked to stop. */
static int generate(struct watched *watched, struct llama_context *ctx, const struct llama_vocab *vocab, llama_token *prompt,
                    int n_prompt, int wanted, hangwatch_phase_t prefill)
{
    llama_token token;
    int at, status = 0;

    watched->at_prompt = 1;
    hangwatch_enter(watched->w, prefill, (uint64_t)n_prompt);
    for (at = 0; at < n_prompt && status == 0; at += CHUNK) {
        int count = n_prompt - at < CHUNK ? n_prompt - at : CHUNK;
        status = llama_decode(ctx, llama_batch_get_one(prompt + at, count));
        hangwatch_step(watched->w, (uint64_t)(at + count));
    }
    hangwatch_leave(watched->w);
    watched->at_prompt = 0;
    while (status == 0 && watched->done < wanted) {
        token = likeliest(ctx, llama_vocab_n_tokens(vocab));
        if (llama_vocab_is_eog(vocab, token))
            break;
        if (strcmp(watched->hang, "loop") == 0 && watched->done == 5) {
            /* Tokens that are thrown away: it computes, and gets nowhere. */
            llama_memory_seq_rm(llama_get_memory(ctx), 0, n_prompt + watched->done, -1);
        } else {
            printf("%d ", (int)token);
            hangwatch_step(watched->w, (uint64_t)++watched->done);
        }
        status = llama_decode(ctx, llama_batch_get_one(&token, 1));
    }
    return status;
}

int main(int argc, char **argv)
{
    struct watched watched = {NULL, "", 0, 0};
    struct llama_model_params model_params = llama_model_default_params();
    struct llama_context_params params = llama_context_default_params();
    struct llama_model *model;
    struct llama_context *ctx;
    const struct llama_vocab *vocab;
    hangwatch_phase_t prefill;
    hangwatch_error_t err;
    llama_token prompt[4096];
    const char *name;
    int n_prompt, status, wanted;

    if (argc < 4) {
        fprintf(stderr, "usage: llama_cpp MODEL.gguf PROMPT TOKENS [load|prompt|decode|loop]\n");
        return 2;
    }
    wanted = atoi(argv[3]);
    watched.hang = argc > 4 ? argv[4] : "";
    watched.w = hangwatch_attach(NULL, "llama", &err);
    if (watched.w == NULL)
        fprintf(stderr, "llama_cpp: %s\n", err.message); /* it works on, unwatched */
    prefill = hangwatch_register_phase(watched.w, "prefill", HANGWATCH_CLASS_WORK, PATIENCE_MS, NULL);
    llama_log_set(is_quiet, NULL);

    hangwatch_phase_total(watched.w, HANGWATCH_PHASE_LOADING, PARTS);
    model_params.progress_callback = loads;
    model_params.progress_callback_user_data = &watched;
    model = llama_model_load_from_file(argv[1], model_params);
    if (model == NULL) {
        fprintf(stderr, "llama_cpp: cannot load '%s'%s\n", argv[1], hangwatch_should_stop(watched.w) ? ": it was asked to stop" : "");
        hangwatch_detach(watched.w);
        return 1;
    }
    params.abort_callback = aborts;
    params.abort_callback_data = &watched;
    params.n_ctx = 4096;
    params.n_threads = params.n_threads_batch = 1;
    ctx = llama_init_from_model(model, params);
    vocab = llama_model_get_vocab(model);
    hangwatch_phase(watched.w, HANGWATCH_PHASE_IDLE);

    name = strrchr(argv[1], '/') ? strrchr(argv[1], '/') + 1 : argv[1];
    n_prompt = llama_tokenize(vocab, argv[2], (int32_t)strlen(argv[2]), prompt, 2048, true, false);
    status = 1;
    if (ctx != NULL && n_prompt > 0) {
        hangwatch_begin_job(watched.w, "prompt", name, (uint64_t)wanted);
        status = generate(&watched, ctx, vocab, prompt, n_prompt, wanted, prefill);
        hangwatch_end_job(watched.w, status == 0   ? HANGWATCH_OUTCOME_OK
                                     : status == 2 ? HANGWATCH_OUTCOME_CANCELLED
                                                   : HANGWATCH_OUTCOME_FAILED);
    }
    printf("\n%d of %d tokens%s\n", watched.done, wanted, status == 2 ? ", stopped" : "");

    llama_free(ctx);
    llama_model_free(model);
    hangwatch_detach(watched.w);
    return status == 2 ? 0 : status;
}
