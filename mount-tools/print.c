/* print.c - see print.h. */
#include "mount-tools/print.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "base/vio.h"
#include "index/idx.h"
#include "index/idx_query.h"
#include "ledger/argv.h"

enum { COMMAND_MAX = 100 };

int print_flush(struct buf *b)
{
	int rc = b->bad ? -ENOMEM : 0;

	if (rc == 0 && b->n)
		fwrite(b->p, 1, b->n, stdout);
	buf_clear(b);
	return rc;
}

void print_time(struct buf *out, int64_t ns)
{
	char s[TEXT_TIME_SIZE];

	text_time(s, ns);
	s[10] = ' ';
	s[19] = 'Z';
	s[20] = '\0';
	buf_adds(out, s);
}

void print_number(struct buf *out, uint64_t entry_no)
{
	buf_addf(out, "%llu.%u", (unsigned long long)IDX_SEAL(entry_no),
		 (unsigned)IDX_POS(entry_no));
}

void print_actor(struct buf *out, struct idx_reader *r, uint64_t actor_no)
{
	struct idx_actor a;
	struct buf command = BUF_INIT;

	if (actor_no == 0) {
		buf_adds(out, "the system");
		return;
	}
	if (idx_actor(r, &a, actor_no) <= 0) {
		buf_adds(out, "process of entry ");
		print_number(out, actor_no);
		return;
	}
	if (a.argv.n > 0)
		argv_text(&command, a.argv.p, a.argv.n);
	else
		text_term_escape(&command, a.exe.p, a.exe.n);
	if (command.n > COMMAND_MAX) {
		/* Not in the middle of a character. */
		size_t n = COMMAND_MAX - 3;

		while (n > 0 && (command.p[n] & 0xc0) == 0x80)
			n--;
		buf_add(out, command.p, n);
		buf_adds(out, "...");
	} else if (command.n > 0) {
		buf_add(out, command.p, command.n);
	}
	buf_addf(out, " (uid %u, pid %u)", a.uid, a.tgid);
	buf_release(&command);
	idx_actor_release(&a);
}

void print_count(struct buf *out, uint64_t n, const char *noun)
{
	buf_addf(out, "%llu %s%s", (unsigned long long)n, noun, print_s(n));
}

const char *print_s(uint64_t n)
{
	return n == 1 ? "" : "s";
}

int print_file(const char *path, const void *p, size_t n, struct errmsg *em)
{
	autofree char *cwd = path[0] == '/' ? NULL : getcwd(NULL, 0);
	autofree char *abs = NULL;
	struct vio *root = NULL;
	int rc =
		asprintf(&abs, "%s/%s", cwd ? cwd : "", path) < 0 ? -ENOMEM : 0;

	if (rc < 0)
		abs = NULL;
	if (rc == 0)
		rc = vio_posix_open(&root, "/");
	if (rc == 0)
		rc = atomic_file_write(root, abs + strspn(abs, "/"), p, n, 0);
	vio_free(root);
	return rc < 0 ? errmsg_set(em, rc, "%s: %s", path, err_text(rc)) : 0;
}
