/* imported.c - see imported.h. */
#include "analytics/imported.h"

#include <stdbool.h>

#include "analytics/line.h"
#include "base/buf.h"
#include "base/err.h"
#include "index/idx_query.h"
#include "ledger/entry.h"
#include "ledger/entry_import.h"
#include "ledger/entry_json.h"

/*
 * It follows its version, after its digest at most; but who imports again,
 * with keys that he trusts now, adds another, and the last one counts.
 */
enum { LOOK_AHEAD = 64 };

struct look {
	uint64_t version;
	uint64_t no;
};

static int look(void *ctx, const struct idx_entry *e)
{
	struct look *l = ctx;

	if (e->kind == ENTRY_VERSION && e->version > l->version)
		return 1;
	if (e->kind != ENTRY_IMPORT || e->rejected)
		return 0;
	l->no = e->no;
	return 0;
}

int imported_find(struct core *c, struct idx_reader *r,
		  const struct idx_version *v, struct buf *stored,
		  struct entry *out)
{
	struct look l = { .version = v->version };
	int rc = idx_history(r, v->ino, v->no + 1, IDX_NOW, LOOK_AHEAD, false,
			     look, &l);

	if (rc < 0 || !l.no)
		return rc < 0 ? rc : 0;
	rc = line_load(c, stored, out, l.no);
	return rc < 0 ? rc : !out->body.opaque;
}

void imported_json(struct buf *out, const struct entry *e)
{
	size_t start = out->n;

	entry_json_body(out, e); /* each member begins with a comma */
	if (!out->bad && out->n > start)
		out->p[start] = '{';
	buf_addc(out, '}');
}
