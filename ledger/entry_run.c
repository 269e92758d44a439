/*
 * entry_run.c - see entry_run.h.
 */
#include "ledger/entry_run.h"

#include <assert.h>

#include "base/buf.h"
#include "base/bytes.h"

const char *entry_run_how_word(unsigned how)
{
	static const char *const words[] = { NULL, "cgroup", "ancestry",
					     "marker", "process group" };

	return how < sizeof(words) / sizeof(words[0]) ? words[how] : NULL;
}

enum entry_run_how entry_run_how(const struct entry_body *b)
{
	struct entry_str v = entry_tlv(b, ENTRY_TLV_RUN_HOW);

	if (b->kind != ENTRY_ACTOR || v.n != 1 ||
	    !entry_run_how_word((uint8_t)v.p[0]))
		return ENTRY_RUN_UNKNOWN;
	return (enum entry_run_how)v.p[0];
}

size_t entry_run_how_put(uint8_t out[ENTRY_RUN_HOW_MAX], enum entry_run_how how)
{
	struct bwriter w;

	if (how == ENTRY_RUN_UNKNOWN)
		return 0;
	bwriter_init(&w, out, ENTRY_RUN_HOW_MAX);
	bwriter_u16(&w, ENTRY_TLV_RUN_HOW);
	bwriter_u16(&w, 1);
	bwriter_u8(&w, (uint8_t)how);
	assert(!w.bad);
	return w.n;
}

struct entry_str entry_run_cgroup(const struct entry_body *b)
{
	struct entry_str none = { .p = "" };

	return b->kind == ENTRY_RUN_START ? entry_tlv(b, ENTRY_TLV_RUN_CGROUP) :
					    none;
}

uint32_t entry_run_env_left(const struct entry_body *b)
{
	struct entry_str v = entry_tlv(b, ENTRY_TLV_RUN_ENV_LEFT);
	struct breader r;

	if (b->kind != ENTRY_RUN_START || v.n != 4)
		return 0;
	breader_init(&r, v.p, v.n);
	return breader_u32(&r);
}

void entry_run_start_put(struct buf *out, struct entry_str cgroup,
			 uint32_t env_left)
{
	assert(cgroup.n <= LIMIT_PATH);
	if (cgroup.n > 0) {
		buf_u16(out, ENTRY_TLV_RUN_CGROUP);
		buf_u16(out, (uint16_t)cgroup.n);
		buf_add(out, cgroup.p, cgroup.n);
	}
	if (env_left > 0) {
		buf_u16(out, ENTRY_TLV_RUN_ENV_LEFT);
		buf_u16(out, 4);
		buf_u32(out, env_left);
	}
}

struct entry_run_git entry_run_git(const struct entry_body *b)
{
	struct entry_str v = entry_tlv(b, ENTRY_TLV_RUN_GIT);
	struct entry_run_git git = { 0, 0 };

	if (b->kind != ENTRY_RUN_START || v.n != 2 ||
	    !entry_run_git_of_word((uint8_t)v.p[0]))
		return git;
	git.of = (uint8_t)v.p[0];
	git.state = (uint8_t)v.p[1];
	return git;
}

void entry_run_git_put(struct buf *out, struct entry_run_git git)
{
	if (git.of == ENTRY_RUN_GIT_NONE)
		return;
	buf_u16(out, ENTRY_TLV_RUN_GIT);
	buf_u16(out, 2);
	buf_u8(out, git.of);
	buf_u8(out, git.state);
}

uint64_t entry_run_limit(const struct entry_body *b)
{
	struct entry_str v = entry_tlv(b, ENTRY_TLV_RUN_LIMIT);
	struct breader r;

	if (b->kind != ENTRY_RUN_START || v.n != 8)
		return 0;
	breader_init(&r, v.p, v.n);
	return breader_u64(&r);
}

void entry_run_limit_put(struct buf *out, uint64_t limit)
{
	if (limit == 0)
		return;
	buf_u16(out, ENTRY_TLV_RUN_LIMIT);
	buf_u16(out, 8);
	buf_u64(out, limit);
}

const char *entry_run_git_of_word(unsigned of)
{
	static const char *const words[] = { NULL, "script", "executable",
					     "working directory" };

	return of < sizeof(words) / sizeof(words[0]) ? words[of] : NULL;
}

const char *entry_run_git_state_word(unsigned state)
{
	static const char *const words[] = { NULL, "not known in time",
					     "changes not known in time",
					     "not readable", "no commit yet" };

	return state < sizeof(words) / sizeof(words[0]) ? words[state] :
							  "not known";
}
