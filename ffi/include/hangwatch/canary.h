/*
 * The fork canary: one private page a process, which reads 1 in the process that made it and 0 in a forked child. A handler
 * of pthread_atfork misses raw clone; a page of the kernel's MADV_WIPEONFORK does not.
 */
#ifndef HANGWATCH_CANARY_H
#define HANGWATCH_CANARY_H

/* The canary of workers that never lived. */
static const uint8_t hangwatch_dead_ = 0;

static uint8_t *hangwatch_canary_ = NULL;

#define HANGWATCH_PAGE_ 4096u

static uint8_t *hangwatch_new_canary_(int *error)
{
    uint8_t *page = HANGWATCH_AS_(uint8_t *, hangwatch_map_(-1, HANGWATCH_PAGE_, error));
    if (page == NULL)
        return NULL;
    *error = HANGWATCH_AS_(int, HANGWATCH_CALL_(hangwatch_syscall_(SYS_madvise, HANGWATCH_ADDRESS_(page),
                                                                   HANGWATCH_AS_(long, HANGWATCH_PAGE_), 18L)));
    if (*error != 0) {
        hangwatch_unmap_(page, HANGWATCH_PAGE_);
        return NULL;
    }
    __atomic_store_n(page, HANGWATCH_AS_(uint8_t, 1), __ATOMIC_RELEASE);
    return page;
}

/* This process's canary. Pages are never unmapped; a forked child makes its own. NULL, with *error negative, on failure. */
static const uint8_t *hangwatch_current_canary_(int *error)
{
    /* Acquire: pairs with the Release of the exchange below; who sees the page sees its 1. */
    uint8_t *known = __atomic_load_n(&hangwatch_canary_, __ATOMIC_ACQUIRE), *fresh;
    *error = 0;
    if (known != NULL && __atomic_load_n(known, __ATOMIC_RELAXED) == 1)
        return known;
    /* NULL, or the parent's page, wiped: the parent's workers must stay dead here, so it is replaced and not written. */
    fresh = hangwatch_new_canary_(error);
    if (fresh == NULL)
        return NULL;
    if (__atomic_compare_exchange_n(&hangwatch_canary_, &known, fresh, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return fresh;
    /* Another thread of this process was faster. */
    hangwatch_unmap_(fresh, HANGWATCH_PAGE_);
    return known;
}

#endif /* HANGWATCH_CANARY_H */
