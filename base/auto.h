/*
 * auto.h - scope-bound cleanup for locals.
 *
 * Every variable that carries one of these attributes is initialised where
 * it is declared.  Nothing else in the code base hides control flow.
 */
#ifndef BASE_AUTO_H
#define BASE_AUTO_H

#include <stdlib.h>

static inline void auto_free_(void *p)
{
	free(*(void **)p);
}

/* Frees the pointer when it leaves scope. */
#define autofree __attribute__((cleanup(auto_free_)))

/* Calls FN on the address of the variable when it leaves scope. */
#define autocall(fn) __attribute__((cleanup(fn)))

/* Hands the pointer on: yields its value and leaves NULL behind. */
#define take(p)                         \
	({                              \
		__typeof__(p) v_ = (p); \
		(p) = NULL;             \
		v_;                     \
	})

#define must_use __attribute__((warn_unused_result))

#endif
