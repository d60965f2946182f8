/* A lock between threads of this process, of a word and the kernel: the header-only form links no thread library. */
#ifndef HANGWATCH_MUTEX_H
#define HANGWATCH_MUTEX_H

/* 0 free, 1 held, 2 held and perhaps waited for. */
static void hangwatch_lock_(uint32_t *word)
{
    uint32_t free_word = 0;
    /* Acquire: pairs with the Release of the last holder. */
    if (__atomic_compare_exchange_n(word, &free_word, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return;
    while (__atomic_exchange_n(word, 2, __ATOMIC_ACQUIRE) != 0) /* FUTEX_WAIT, private: returns at once if it is not 2 */
        (void)hangwatch_syscall_(SYS_futex, HANGWATCH_ADDRESS_(word), 128L, 2L, 0L, 0L, 0L);
}

static void hangwatch_unlock_(uint32_t *word)
{
    /* Release: pairs with the next holder's Acquire. */
    if (__atomic_exchange_n(word, 0, __ATOMIC_RELEASE) == 2)
        (void)hangwatch_syscall_(SYS_futex, HANGWATCH_ADDRESS_(word), 129L, 1L, 0L, 0L, 0L); /* FUTEX_WAKE, private */
}

#endif /* HANGWATCH_MUTEX_H */
