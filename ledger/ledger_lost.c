/*
 * ledger_lost.c - the words for what was acknowledged and is gone, and who
 * else than the mark (wal_mark.h) remembers that it was.  Any thread.
 */
#include <stdarg.h>
#include <stdio.h>

#include "ledger/ledger_impl.h"
#include "ledger/wal.h"

typedef unsigned long long ull_;

int ledger_tell_lost(struct ledger *l, struct errmsg *em, const char *fmt, ...)
{
	char what[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return errmsg_set(
		em, -ERR_LOST,
		"what was synced is gone: the volume was in use and was not "
		"unmounted, and %s; the log is whole up to its %llu seals, "
		"what came after them (a second's work, as a rule) is not "
		"there; put wal/ back, or go on without: `vouch fsck --repair "
		"--accept-loss`",
		what, (ull_)l->size);
}

int ledger_check_marked(struct ledger *l, uint64_t sequence, struct errmsg *em)
{
	if (sequence <= wal_newest(l->wal))
		return 0;
	return ledger_tell_lost(l, em,
				"the guard knows of segment %llu of the "
				"write-ahead log, wal/ has none that new",
				(ull_)sequence);
}

int ledger_tell_ahead(struct ledger *l, uint64_t seals, struct errmsg *em)
{
	return ledger_tell_lost(
		l, em, "the index had applied %llu seals already", (ull_)seals);
}
