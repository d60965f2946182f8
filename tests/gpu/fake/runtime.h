/* What a test asks of the runtime that stands in. */
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Calls so far, by name without its prefix; in all where it is NULL. */
int fake_calls(const char *name);
/* The next call of that name fails with this error. */
void fake_fail(const char *name, int error);
/* Pages that are registered now, and what the last one was registered with. */
int fake_registered(void);
size_t fake_size(void);
unsigned int fake_flags(void);

#ifdef __cplusplus
}
#endif
