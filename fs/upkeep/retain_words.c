/* retain_words.c - what a person is told of a version whose bytes are gone. */
#include "fs/upkeep/retain.h"

#include "base/buf.h"
#include "base/text.h"
#include "index/idx.h"
#include "index/idx_query.h"

static int on_release(void *ctx, const struct idx_release *v)
{
	struct idx_release *out = ctx;

	*out = *v;
	return 1;
}

static void add_no(struct buf *out, uint64_t no)
{
	buf_addf(out, "%llu.%u", (unsigned long long)IDX_SEAL(no),
		 (unsigned)IDX_POS(no));
}

void retain_words(struct buf *out, struct idx_reader *r, uint64_t released_no)
{
	struct idx_release g = { .no = 0 };
	struct idx_entry e;
	char time[TEXT_TIME_SIZE];

	buf_adds(out, "its bytes were released");
	if (idx_entry(r, &e, released_no) > 0) {
		text_time(time, e.wall_ns);
		buf_addf(out, " on %.10s", time);
	}
	buf_adds(out, " by entry ");
	add_no(out, released_no);
	if (idx_releases(r, released_no, 1, on_release, &g) > 0 &&
	    g.no == released_no && g.policy_no) {
		buf_adds(out, ", under the policy of entry ");
		add_no(out, g.policy_no);
	}
}
