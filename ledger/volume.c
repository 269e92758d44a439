/*
 * volume.c - reads and writes volume.conf.
 *
 * One value has one text: the decoder writes what it understood again and
 * compares.  Any thread.
 */
#include "ledger/volume.h"

#include <string.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/vio.h"
#include "ledger/cert.h"
#include "ledger/checkpoint.h"
#include "ledger/lines.h"

#define MAGIC "vouchfs-volume-v"
#define VERSION "1"

void volume_encode(struct buf *out, const struct volume *v)
{
	char id[33];

	digest_hex_bytes(id, v->id, sizeof(v->id));
	buf_addf(out,
		 MAGIC VERSION "\nvolume %s\norigin %s\nmount %u\nguard %s\n",
		 id, v->origin, v->mount_no, v->guarded ? "required" : "none");
}

int volume_decode(struct volume *out, const void *p, size_t n,
		  struct errmsg *em)
{
	struct buf again = BUF_INIT;
	struct lines l;
	char guard[16];
	uint64_t mount;
	bool same;

	memset(out, 0, sizeof(*out));
	lines_init(&l, p, n);
	lines_exact(&l, MAGIC VERSION);
	if (l.bad && n > strlen(MAGIC) && memcmp(p, MAGIC, strlen(MAGIC)) == 0)
		return errmsg_set(em, -ERR_NEWER,
				  "%s: written by a newer version of vouchfs",
				  VOLUME_FILE);
	lines_hex(&l, "volume", out->id, sizeof(out->id));
	lines_value(&l, "origin", out->origin, sizeof(out->origin));
	mount = lines_u64(&l, "mount");
	lines_value(&l, "guard", guard, sizeof(guard));
	if (!lines_done(&l) || mount == 0 || mount > CERT_MOUNT_MAX ||
	    checkpoint_origin_check(out->origin, strlen(out->origin)) != 0)
		goto bad;
	out->mount_no = (uint32_t)mount;
	out->guarded = strcmp(guard, "required") == 0;
	volume_encode(&again, out);
	same = !again.bad && again.n == n && memcmp(again.p, p, n) == 0;
	buf_release(&again);
	if (same)
		return 0;
bad:
	return errmsg_set(em, -ERR_FORMAT, "%s: line %u is not understood",
			  VOLUME_FILE, l.number + !l.bad);
}

int volume_read(struct volume *out, struct vio *vio, struct errmsg *em)
{
	struct buf text = BUF_INIT;
	int rc = vio_read_file(vio, &text, VOLUME_FILE, VOLUME_FILE_MAX);

	if (rc == -ENOENT)
		errmsg_set(em, rc, "no volume here: %s is missing",
			   VOLUME_FILE);
	else if (rc < 0)
		errmsg_set(em, rc, "%s: %s", VOLUME_FILE, err_text(rc));
	else
		rc = volume_decode(out, text.p, text.n, em);
	buf_release(&text);
	return rc;
}

int volume_write(const struct volume *v, struct vio *vio, struct errmsg *em)
{
	struct buf text = BUF_INIT;
	int rc;

	volume_encode(&text, v);
	rc = text.bad ? -ENOMEM :
			atomic_file_write(vio, VOLUME_FILE, text.p, text.n, 0);
	buf_release(&text);
	if (rc < 0)
		errmsg_set(em, rc, "%s: %s", VOLUME_FILE, err_text(rc));
	return rc;
}
