/*
 * entry_denied.c - see entry_denied.h.
 */
#include "ledger/entry_denied.h"

#include <assert.h>

#include "base/buf.h"
#include "base/bytes.h"

enum { FIXED = 1 + 1 + 8 + 8 };

const char *entry_denied_call_word(unsigned call)
{
	static const char *const words[] = {
		"more",	       "open",	    "write",   "list",	   "readlink",
		"getxattr",    "listxattr", "setattr", "truncate", "setxattr",
		"removexattr", "create",    "mkdir",   "symlink",  "link",
		"unlink",      "rmdir",	    "rename",  "control",
	};

	return call < sizeof(words) / sizeof(words[0]) ? words[call] : "?";
}

const char *entry_denied_why_word(unsigned why)
{
	static const char *const words[ENTRY_DENIED_WHYS] = {
		"?", "hidden", "protected", "read-only", "not told apart"
	};

	return why < ENTRY_DENIED_WHYS ? words[why] : "?";
}

bool entry_denied_get(struct entry_denied *out, const struct entry_body *b)
{
	struct entry_str v = entry_tlv(b, ENTRY_TLV_DENIED);
	struct breader r;

	if (b->kind != ENTRY_ALERT || b->opaque ||
	    b->alert.what != ENTRY_ALERT_DENIED || v.n < FIXED)
		return false;
	breader_init(&r, v.p, v.n);
	out->call = breader_u8(&r);
	out->why = breader_u8(&r);
	out->inode = breader_u64(&r);
	out->count = breader_u64(&r);
	out->path = (struct entry_str){ v.p + FIXED, v.n - FIXED };
	return true;
}

void entry_denied_put(struct buf *out, const struct entry_denied *d)
{
	assert(d->path.n <= LIMIT_PATH);
	buf_u16(out, ENTRY_TLV_DENIED);
	buf_u16(out, (uint16_t)(FIXED + d->path.n));
	buf_u8(out, (uint8_t)d->call);
	buf_u8(out, (uint8_t)d->why);
	buf_u64(out, d->inode);
	buf_u64(out, d->count);
	buf_add(out, d->path.p, d->path.n);
}
