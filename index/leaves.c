/*
 * leaves.c - see leaves.h.
 *
 * The list of open tables is the one piece of state of the process here; it
 * exists because a table has one opener, while readers know nothing but the
 * directory.  The files are index.db -> leaves.tab, X.db -> X.leaves.tab.
 */
#include "index/leaves.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/ptable.h"
#include "base/thread.h"

enum { LEAVES_CACHE = 32 << 20 };

struct leaves {
	struct ptable *tab;
	struct leaves_place at;
	char *name;
	unsigned refs;	     /* guarded by list_mu */
	struct leaves *next; /* guarded by list_mu */
};

static pthread_once_t list_once = PTHREAD_ONCE_INIT;
static struct mutex list_mu;
static struct leaves *list; /* guarded by list_mu */

static void list_init(void)
{
	mutex_init(&list_mu);
}

int leaves_name(char out[LEAVES_NAME], const char *name)
{
	size_t n = strlen(name);
	int len;

	if (n > 3 && !strcmp(name + n - 3, ".db"))
		n -= 3;
	if (n == 5 && !memcmp(name, "index", 5))
		len = snprintf(out, LEAVES_NAME, "leaves.tab");
	else
		len = snprintf(out, LEAVES_NAME, "%.*s.leaves.tab", (int)n,
			       name);
	return len < 0 || len >= LEAVES_NAME ? -ENAMETOOLONG : 0;
}

int leaves_place(struct leaves_place *out, const char *dir)
{
	struct stat st;

	if (stat(dir, &st))
		return -errno;
	out->dev = st.st_dev;
	out->ino = st.st_ino;
	return 0;
}

static struct leaves *find_locked(const struct leaves_place *at,
				  const char *name)
{
	struct leaves *l;

	for (l = list; l; l = l->next)
		if (l->at.dev == at->dev && l->at.ino == at->ino &&
		    !strcmp(l->name, name))
			return l;
	return NULL;
}

struct leaves *leaves_attach(const struct leaves_place *at, const char *name)
{
	struct leaves *l;

	(void)pthread_once(&list_once, list_init);
	mutex_lock(&list_mu);
	l = find_locked(at, name);
	if (l)
		l->refs++;
	mutex_unlock(&list_mu);
	return l;
}

static void leaves_free(struct leaves *l)
{
	if (!l)
		return;
	ptable_close(l->tab);
	free(l->name);
	free(l);
}

int leaves_open(struct leaves **out, struct vio *v, const char *dir,
		const char *name, struct errmsg *em)
{
	char path[LEAVES_NAME];
	struct leaves *l = NULL;
	struct leaves_place at = { .dev = 0 };
	int rc = leaves_name(path, name);

	if (!rc)
		rc = leaves_place(&at, dir);
	if (rc)
		return rc;
	(void)pthread_once(&list_once, list_init);
	mutex_lock(&list_mu);
	if (find_locked(&at, name)) {
		rc = errmsg_set(em, -EBUSY, "the index is open already");
		goto fail;
	}
	l = calloc(1, sizeof(*l));
	if (l)
		l->name = strdup(name);
	if (!l || !l->name) {
		rc = -ENOMEM;
		goto fail;
	}
	rc = ptable_open(&l->tab, v, path, LEAVES_CACHE, NULL);
	if (rc == -ERR_CORRUPT || rc == -ERR_FORMAT) {
		rc = ptable_remove(v, path);
		if (!rc)
			rc = ptable_open(&l->tab, v, path, LEAVES_CACHE, em);
	}
	if (rc) {
		rc = errmsg_wrap(em, rc, "%s", path);
		goto fail;
	}
	l->at = at;
	l->refs = 1;
	l->next = list;
	list = l;
	*out = l;
	mutex_unlock(&list_mu);
	return 0;
fail:
	leaves_free(l);
	mutex_unlock(&list_mu);
	return rc;
}

void leaves_close(struct leaves *l)
{
	struct leaves **at;

	if (!l)
		return;
	mutex_lock(&list_mu);
	if (--l->refs) {
		mutex_unlock(&list_mu);
		return;
	}
	for (at = &list; *at != l; at = &(*at)->next)
		;
	*at = l->next;
	leaves_free(l);
	mutex_unlock(&list_mu);
}

int leaves_put(struct leaves *l, const struct digest *leaf, uint64_t entry_no)
{
	return ptable_put(l->tab, digest_prefix(leaf), entry_no);
}

int leaves_get(struct leaves *l, const struct digest *leaf, uint64_t *out,
	       size_t max)
{
	return ptable_get(l->tab, digest_prefix(leaf), out, max);
}

int leaves_flush(struct leaves *l, uint64_t seals, struct errmsg *em)
{
	uint64_t mark[PTABLE_MARKS] = { seals };

	return ptable_flush(l->tab, mark, em);
}

uint64_t leaves_mark(struct leaves *l)
{
	uint64_t mark[PTABLE_MARKS];

	ptable_mark(l->tab, mark);
	return mark[0];
}

int leaves_reset(struct leaves *l, struct errmsg *em)
{
	return ptable_reset(l->tab, em);
}
