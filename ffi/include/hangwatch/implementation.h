/*
 * The header-only form: every function of hangwatch.h, in this one file of the program that defines HANGWATCH_IMPLEMENTATION
 * before it includes hangwatch.h. Nothing is linked but the C library. Not to be included by itself.
 *
 * Its behaviour is that of the Rust side (src/worker, src/segment, src/layout, src/os), word for word, and tests/c_api holds the two
 * against each other. Linux, 64-bit atomics; glibc or musl; C99 to C++20.
 *
 *     sys        the kernel and the C library under our own names
 *     text error environment path                   strings, sentences, names
 *     access denied file folder                     files and folders, and who may use them
 *     layout record validate                        what the bytes of a segment mean
 *     identity death canary mutex liveness          who this process is, who is gone, and who holds what
 *     segment create replace                        a segment: opened, made, replaced
 *     claim phases worker                           a slot: who has it and what is shown in it
 *     attach report                                 the functions themselves
 */
#ifndef HANGWATCH_IMPLEMENTATION_H
#define HANGWATCH_IMPLEMENTATION_H

/* Before the block below: in C++ these may hold more than C declarations. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "sys.h"
#include "text.h"
#include "error.h"
#include "layout.h"
#include "environment.h"
#include "record.h"
#include "validate.h"
#include "path.h"
#include "access.h"
#include "denied.h"
#include "file.h"
#include "folder.h"
#include "identity.h"
#include "death.h"
#include "canary.h"
#include "mutex.h"
#include "segment.h"
#include "create.h"
#include "replace.h"
#include "liveness.h"
#include "claim.h"
#include "phases.h"
#include "worker.h"
#include "attach.h"
#include "report.h"

#ifdef __cplusplus
}
#endif

#endif /* HANGWATCH_IMPLEMENTATION_H */
