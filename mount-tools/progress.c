/* progress.c - see progress.h. */
#include "mount-tools/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

enum { CELLS = 24 };
#define DRAW_EVERY_NS 100000000LL
#define SILENT_FIRST_NS 300000000LL

void progress_start(struct progress *p, const char *what, bool bytes)
{
	*p = (struct progress){ .what = what, .bytes = bytes };
	mutex_init(&p->mu);
	p->shown = isatty(STDERR_FILENO) == 1;
	p->start_ns = clock_mono_ns();
}

static void amount(char *out, size_t cap, uint64_t n, bool bytes)
{
	char size[TEXT_SIZE_SIZE];

	text_size(size, n);
	if (bytes)
		snprintf(out, cap, "%s", size);
	else
		snprintf(out, cap, "%llu", (unsigned long long)n);
}

static void draw(struct progress *p, uint64_t done, uint64_t all)
{
	char bar[CELLS + 1], a[32], b[32];

	amount(a, sizeof(a), done, p->bytes);
	if (all == 0) {
		fprintf(stderr, "\r%s: %s\033[K", p->what, a);
		return;
	}
	if (done > all)
		done = all;
	size_t full = (size_t)((double)done / (double)all * CELLS);
	memset(bar, '.', CELLS);
	memset(bar, '#', full > CELLS ? CELLS : full);
	bar[CELLS] = '\0';
	amount(b, sizeof(b), all, p->bytes);
	fprintf(stderr, "\r%s: [%s] %3u%% %s of %s\033[K", p->what, bar,
		(unsigned)((double)done / (double)all * 100), a, b);
}

void progress_set(struct progress *p, uint64_t done, uint64_t all)
{
	if (!p->shown)
		return;
	int64_t now = clock_mono_ns();
	mutex_lock(&p->mu);
	if (now - p->start_ns >= SILENT_FIRST_NS &&
	    now - p->drawn_ns >= DRAW_EVERY_NS) {
		p->drawn = true;
		p->drawn_ns = now;
		draw(p, done, all);
	}
	mutex_unlock(&p->mu);
}

void progress_wipe(struct progress *p)
{
	mutex_lock(&p->mu);
	if (p->drawn)
		fprintf(stderr, "\r\033[K");
	p->drawn = false;
	mutex_unlock(&p->mu);
}

void progress_end(struct progress *p)
{
	progress_wipe(p);
	mutex_destroy(&p->mu);
}

void progress_tell(void *ctx, uint64_t done, uint64_t all)
{
	progress_set(ctx, done, all);
}
