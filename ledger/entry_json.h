/*
 * entry_json.h - one entry as one line of JSON, a view of log.jsonl.
 *
 * Always valid JSON and UTF-8, whatever names and arguments hold; where a
 * string is no UTF-8 a field NAME_hex follows it.  Fields in a fixed order:
 * entry, kind, time, leaf, mount, then of the core what is not 0 (inode,
 * parent, version, prev, actor), then the body's.  Pure.
 */
#ifndef LEDGER_ENTRY_JSON_H
#define LEDGER_ENTRY_JSON_H

#include <stdint.h>

#include "base/auto.h"

struct buf;
struct digest;
struct entry;

struct entry_json {
	uint64_t seal_index;
	uint32_t position;
	uint32_t mount_no;
	const struct digest *leaf; /* NULL: left out */
	const struct entry *entry;
	/* Where the actor's leaf hash lies, -1 unknown: "actor_entry". */
	int64_t actor_no;
	const char *note; /* "rejected", "missing" ...; NULL: none */
};

/* Appends `{...}\n`. */
void entry_json(struct buf *out, const struct entry_json *j);
/* Appends only the members of the body: `,"name":"x"` ... */
void entry_json_body(struct buf *out, const struct entry *e);

#endif
