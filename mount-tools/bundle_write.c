/*
 * bundle_write.c - provenance.jsonl: a line for each file, its proof asked of
 * the volume FILES_AT_ONCE at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "index/idx_query.h"
#include "mount-tools/ask.h"
#include "mount-tools/bundle.h"
#include "mount-tools/dir_walk.h"
#include "mount-tools/progress.h"

enum { FILES_AT_ONCE = 128, REQUEST_MAX = 512 << 10 };

struct file {
	char *path;
	char hex[DIGEST_HEX_SIZE];
	uint64_t size;
};

struct writer {
	struct bundle_from from;
	struct progress bar;
	uint64_t done;
	FILE *f;
	struct file v[FILES_AT_ONCE];
	unsigned n;
	size_t bytes;
	uint64_t proved, unproved;
};

static void put_path(struct buf *out, const char *path)
{
	size_t n = strlen(path);

	buf_adds(out, "\"path\":");
	text_json_string(out, path, n);
	if (text_is_utf8(path, n))
		return;
	buf_adds(out, ",\"path_hex\":\"");
	text_hex(out, path, n);
	buf_addc(out, '"');
}

static int put_line(struct writer *w, const struct file *f,
		    const struct json *answer)
{
	const char *proof = json_get_str(answer, "proof");
	const char *why = json_get_str(answer, "why");
	struct buf b = BUF_INIT;
	int rc = 0;

	buf_addc(&b, '{');
	put_path(&b, f->path);
	buf_addf(&b, ",\"sha256\":\"%s\",\"size\":%llu,\"%s\":", f->hex,
		 (unsigned long long)f->size, proof ? "proof" : "why");
	why = why ? why : "unknown";
	text_json_string(&b, proof ? proof : why, strlen(proof ? proof : why));
	buf_adds(&b, "}\n");
	if (b.bad)
		rc = -ENOMEM;
	else if (fwrite(b.p, 1, b.n, w->f) != b.n)
		rc = -EIO;
	progress_set(&w->bar, ++w->done, w->from.files);
	w->proved += proof != NULL;
	w->unproved += proof == NULL;
	buf_release(&b);
	return rc;
}

static void request(const struct writer *w, unsigned from, struct buf *b)
{
	buf_adds(b, "\"verb\":\"provenance\",");
	if (w->from.at != IDX_NOW)
		buf_addf(b, "\"at\":%llu,", (unsigned long long)w->from.at);
	buf_adds(b, "\"files\":[");
	for (unsigned i = from; i < w->n; i++) {
		struct buf path = BUF_INIT;

		buf_addf(&path, "%s/%s", w->from.inside, w->v[i].path);
		buf_addf(b, "%s{", i > from ? "," : "");
		put_path(b, (char *)path.p);
		buf_addf(b, ",\"sha256\":\"%s\"}", w->v[i].hex);
		b->bad |= path.bad;
		buf_release(&path);
	}
	buf_addc(b, ']');
}

/* Asks for those gathered; what an answer had no room for, again. */
static int flush(struct writer *w, struct errmsg *em)
{
	unsigned done = 0;
	int rc = 0;

	while (rc == 0 && done < w->n) {
		struct json_doc *answer = NULL;
		struct buf b = BUF_INIT;
		unsigned before = done;
		const struct json *list = NULL;

		request(w, done, &b);
		rc = b.bad ? -ENOMEM :
			     ask_volume(&answer, w->from.place, (char *)b.p,
					em);
		buf_release(&b);
		if (rc == 0)
			list = json_get(json_root(answer), "proofs");
		for (const struct json *v = list ? list->first : NULL;
		     v && rc == 0 && done < w->n; v = v->next)
			rc = put_line(w, &w->v[done++], v);
		if (rc == 0 && done == before)
			rc = -ERR_FORMAT;
		json_free(answer);
	}
	for (unsigned i = 0; i < w->n; i++)
		free(w->v[i].path);
	w->n = 0;
	w->bytes = 0;
	return rc < 0 ? errmsg_set(em, rc, "provenance: %s", err_text(rc)) : 0;
}

static int gather(void *ctx, const struct dir_walk_entry *e, struct errmsg *em)
{
	struct writer *w = ctx;
	struct file *f = &w->v[w->n];
	struct digest sha256;
	int rc;

	if (!S_ISREG(e->st->st_mode))
		return 0;
	rc = dir_walk_sha256(&sha256, e);
	f->path = rc == 0 ? strdup(e->path) : NULL;
	if (rc == 0 && !f->path)
		rc = -ENOMEM;
	if (rc < 0)
		return errmsg_set(em, rc, "%s: %s", e->path, err_text(rc));
	digest_hex(f->hex, &sha256);
	f->size = (uint64_t)e->st->st_size;
	w->n++;
	w->bytes += 8 * strlen(e->path) + 200;
	return w->n == FILES_AT_ONCE || w->bytes > REQUEST_MAX ? flush(w, em) :
								 0;
}

/* Whole, or not there. */
static int finish(FILE *f, const char *temp, const char *path, int rc)
{
	if (rc == 0 && (fflush(f) != 0 || fsync(fileno(f)) < 0))
		rc = -errno;
	if (fclose(f) != 0 && rc == 0)
		rc = -errno;
	if (rc == 0 && rename(temp, path) < 0)
		rc = -errno;
	if (rc < 0)
		(void)!unlink(temp);
	return rc;
}

int bundle_write(uint64_t *out_proved, uint64_t *out_unproved,
		 const struct bundle_from *from, const char *dir,
		 struct errmsg *em)
{
	struct buf tree = BUF_INIT, path = BUF_INIT, temp = BUF_INIT;
	struct writer *w = calloc(1, sizeof(*w));
	int rc, dropped;

	buf_addf(&tree, "%s/tree", dir);
	buf_addf(&path, "%s/provenance.jsonl", dir);
	buf_addf(&temp, "%s/.provenance.new", dir);
	rc = !w || tree.bad || path.bad || temp.bad ? -ENOMEM : 0;
	if (rc == 0)
		rc = ask_hold(from->place, em);
	if (rc < 0)
		goto done;
	w->from = *from;
	w->f = fopen((char *)temp.p, "we");
	rc = w->f ? 0 : -errno;
	if (rc == 0) {
		progress_start(&w->bar, "proving", false);
		fputs("{\"format\":\"vouchfs-provenance-1\"}\n", w->f);
		rc = dir_walk((char *)tree.p, gather, w, em);
		if (rc == 0)
			rc = flush(w, em);
		progress_end(&w->bar);
		rc = finish(w->f, (char *)temp.p, (char *)path.p, rc);
		*out_proved = w->proved;
		*out_unproved = w->unproved;
	}
	dropped = ask_drop(rc == 0 ? em : NULL);
	rc = rc == 0 ? dropped : rc;
done:
	for (unsigned i = 0; w && i < w->n; i++)
		free(w->v[i].path);
	free(w);
	buf_release(&tree);
	buf_release(&path);
	buf_release(&temp);
	return rc < 0 ? errmsg_set(em, rc, "%s/provenance.jsonl: %s", dir,
				   err_text(rc)) :
			0;
}
