/*
 * alloc.c - see alloc.h.  Threads: any; the countdown is one for all.
 */
#include "tests/sim/alloc.h"

#include <stdatomic.h>
#include <stddef.h>

static _Atomic uint64_t left; /* 0: none fails */
static atomic_bool always, struck;

/* what the linker's --wrap calls instead */
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

void alloc_fail(uint64_t nth, bool forever)
{
	atomic_store(&always, forever);
	atomic_store(&left, nth);
}

uint64_t alloc_stop(void)
{
	return atomic_exchange(&left, 0);
}

void alloc_begin(void)
{
	atomic_store(&struck, false);
}

bool alloc_failed(void)
{
	return atomic_load(&struck);
}

static bool strikes(void)
{
	uint64_t n = atomic_load(&left);

	if (alloc_ours || n == 0)
		return false;
	while (n > 0 && !(n == 1 && atomic_load(&always)))
		if (atomic_compare_exchange_weak(&left, &n, n - 1))
			break;
	if (n != 1)
		return false;
	atomic_store(&struck, true);
	return true;
}

void *__wrap_malloc(size_t n)
{
	return strikes() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return strikes() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return strikes() ? NULL : __real_realloc(p, n);
}
