/* CHECK: says where and what, and ends the test. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(holds, invariant)                                                             \
    do {                                                                                    \
        if (!(holds)) {                                                                     \
            fprintf(stderr, "%s:%d: %s: not %s\n", __FILE__, __LINE__, invariant, #holds);  \
            exit(1);                                                                        \
        }                                                                                   \
    } while (0)

#endif
