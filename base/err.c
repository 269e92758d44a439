/*
 * err.c - the one table of error codes.  Pure, any thread.
 *
 * Private codes lie above every errno of Linux (those that reach users are
 * below 512), so one int tells the two kinds apart.
 */
#include "base/err.h"

#include <stdio.h>
#include <string.h>

static const struct {
	int class;
	const char *text;
} table[] = {
#define X(name, cls, words) [ERR_##name - ERR_BASE_ - 1] = { cls, words },
	ERR_TABLE(X)
#undef X
};

_Static_assert(sizeof(table) / sizeof(table[0]) == ERR_END_ - ERR_BASE_ - 1,
	       "one row per code");

static int is_private(int rc)
{
	return rc > -(int)ERR_END_ && rc < -(int)ERR_BASE_;
}

int err_class(int rc)
{
	if (rc >= 0)
		return 0;
	if (is_private(rc))
		return table[-rc - ERR_BASE_ - 1].class;
	/* No errno: the kernel would refuse such a reply. */
	if (rc <= -512)
		return EIO;
	return -rc;
}

const char *err_text(int rc)
{
	const char *s;

	if (rc >= 0)
		return "no error";
	if (is_private(rc))
		return table[-rc - ERR_BASE_ - 1].text;
	if (rc < -(int)ERR_BASE_)
		return "unknown error";
	s = strerrordesc_np(-rc); /* static, thread-safe, not translated */
	return s != NULL ? s : "unknown error";
}

int errmsg_set(struct errmsg *em, int rc, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (em == NULL || em->text[0] != '\0')
		return rc;
	va_start(ap, fmt);
	n = vsnprintf(em->text, sizeof(em->text), fmt, ap);
	va_end(ap);
	/* A long name must not hide why. */
	if (n >= (int)sizeof(em->text)) {
		char why[160];

		n = snprintf(why, sizeof(why), "...: %s", err_text(rc));
		memcpy(em->text + sizeof(em->text) - 1 - n, why, (size_t)n);
	}
	return rc;
}

int errmsg_wrap(struct errmsg *em, int rc, const char *fmt, ...)
{
	char old[ERRMSG_MAX];
	va_list ap;
	size_t n;

	if (em == NULL)
		return rc;
	snprintf(old, sizeof(old), "%s", errmsg_text(em, rc));
	va_start(ap, fmt);
	vsnprintf(em->text, sizeof(em->text), fmt, ap);
	va_end(ap);
	n = strlen(em->text);
	snprintf(em->text + n, sizeof(em->text) - n, ": %s", old);
	return rc;
}

const char *errmsg_text(const struct errmsg *em, int rc)
{
	if (em != NULL && em->text[0] != '\0')
		return em->text;
	return err_text(rc);
}
