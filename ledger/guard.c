/*
 * guard.c - the guard file: bytes, identity, and the two questions asked.
 *
 * The identity of a store is the inode number and birth time of its lock
 * file: a copy has another one, a rename or a bind mount keeps it.  The
 * filesystem id counts only where birth times are unknown, because some
 * filesystems change theirs at each boot.  Any thread.
 */
#include "ledger/guard.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "base/vio.h"
#include "ledger/lines.h"

#define MAGIC "vouchfs-guard-v"
#define VERSION "1"

void guard_name(char out[GUARD_NAME_SIZE], const uint8_t volume_id[16],
		const char *origin)
{
	struct digest d;

	digest_sha256(&d, origin, strlen(origin));
	digest_hex_bytes(out, volume_id, 16);
	out[32] = '.';
	digest_hex_bytes(out + 33, d.b, 4);
}

void guard_encode(struct buf *out, const struct guard *g)
{
	char id[33], inc[33], machine[33], root[DIGEST_HEX_SIZE];
	char check[DIGEST_HEX_SIZE];
	size_t start = out->n;
	struct digest d;

	digest_hex_bytes(id, g->volume_id, 16);
	digest_hex_bytes(inc, g->incarnation, 16);
	digest_hex_bytes(machine, g->machine, 16);
	digest_hex(root, &g->root);
	buf_addf(out,
		 MAGIC VERSION "\nvolume %s\norigin %s\nsize %" PRIu64
			       "\nroot %s\nincarnation %s\nfsid %" PRIu64
			       "\nlock %" PRIu64 "\nborn %" PRId64
			       "\nmachine %s\n",
		 id, g->origin, g->size, root, inc, g->fsid, g->lock_ino,
		 g->lock_btime_ns, machine);
	if (g->wal != 0)
		buf_addf(out, "wal %" PRIu64 "\n", g->wal);
	if (out->bad)
		return;
	digest_sha256(&d, out->p + start, out->n - start);
	digest_hex(check, &d);
	buf_addf(out, "check %s\n", check);
}

int guard_decode(struct guard *out, const void *p, size_t n)
{
	struct buf again = BUF_INIT;
	struct digest check;
	struct lines l, with_wal;
	bool same;

	memset(out, 0, sizeof(*out));
	lines_init(&l, p, n);
	lines_exact(&l, MAGIC VERSION);
	if (l.bad && n > strlen(MAGIC) && memcmp(p, MAGIC, strlen(MAGIC)) == 0)
		return -ERR_NEWER;
	lines_hex(&l, "volume", out->volume_id, 16);
	lines_value(&l, "origin", out->origin, sizeof(out->origin));
	out->size = lines_u64(&l, "size");
	lines_hex(&l, "root", out->root.b, DIGEST_SIZE);
	lines_hex(&l, "incarnation", out->incarnation, 16);
	out->fsid = lines_u64(&l, "fsid");
	out->lock_ino = lines_u64(&l, "lock");
	out->lock_btime_ns = lines_i64(&l, "born");
	lines_hex(&l, "machine", out->machine, 16);
	with_wal = l;
	out->wal = lines_u64(&with_wal, "wal");
	if (with_wal.bad)
		out->wal = 0;
	else
		l = with_wal;
	lines_hex(&l, "check", check.b, DIGEST_SIZE);
	if (!lines_done(&l))
		return -ERR_FORMAT;
	guard_encode(&again, out);
	same = !again.bad && again.n == n && memcmp(again.p, p, n) == 0;
	buf_release(&again);
	return same ? 0 : -ERR_FORMAT;
}

int guard_read(struct guard *out, struct vio *guard_vio,
	       const uint8_t volume_id[16], const char *origin,
	       struct errmsg *em)
{
	char name[GUARD_NAME_SIZE];
	struct buf text = BUF_INIT;
	int rc;

	guard_name(name, volume_id, origin);
	rc = vio_read_file(guard_vio, &text, name, GUARD_FILE_MAX);
	if (rc == 0)
		rc = guard_decode(out, text.p, text.n);
	if (rc == 0 && (memcmp(out->volume_id, volume_id, 16) != 0 ||
			strcmp(out->origin, origin) != 0))
		rc = -ERR_FORMAT;
	buf_release(&text);
	if (rc == -ERR_FORMAT)
		return errmsg_set(
			em, rc,
			"guard file %s is damaged: restore it, or `vouch "
			"adopt` if you are sure that this store is the newest",
			name);
	if (rc < 0 && rc != -ENOENT)
		errmsg_set(em, rc, "guard file %s: %s", name, err_text(rc));
	return rc;
}

int guard_write(const struct guard *g, struct vio *guard_vio, struct errmsg *em)
{
	char name[GUARD_NAME_SIZE];
	struct buf text = BUF_INIT;
	int rc;

	guard_name(name, g->volume_id, g->origin);
	guard_encode(&text, g);
	rc = text.bad ? -ENOMEM :
			atomic_file_write(guard_vio, name, text.p, text.n,
					  VIO_PRIVATE);
	buf_release(&text);
	if (rc < 0)
		errmsg_set(em, rc, "guard file %s: %s", name, err_text(rc));
	return rc;
}

void guard_identify(struct guard *g, struct vio *guard_vio,
		    const struct vio_stat *lock)
{
	struct buf text = BUF_INIT, id = BUF_INIT;

	g->fsid = lock->fsid;
	g->lock_ino = lock->ino;
	g->lock_btime_ns = lock->btime_ns;
	memset(g->machine, 0, sizeof(g->machine));
	if (vio_read_file(guard_vio, &text, "/etc/machine-id", 256) == 0 &&
	    text.n >= 32 &&
	    text_hex_decode(&id, (const char *)text.p, 32) == 0 && id.n == 16)
		memcpy(g->machine, id.p, 16);
	buf_release(&text);
	buf_release(&id);
}

/* "9,120"; a number has at most 26 characters so. */
static const char *grouped(char out[32], uint64_t v)
{
	char digits[24];
	int n = snprintf(digits, sizeof(digits), "%" PRIu64, v);
	int k = 0;

	for (int i = 0; i < n; i++) {
		if (i > 0 && (n - i) % 3 == 0)
			out[k++] = ',';
		out[k++] = digits[i];
	}
	out[k] = '\0';
	return out;
}

int guard_check_size(const struct guard *g, uint64_t size,
		     const struct digest *root, struct errmsg *em)
{
	char a[32], b[32];

	if (size < g->size)
		return errmsg_set(
			em, -ERR_ROLLBACK,
			"this is an older copy: %s were signed, the store has "
			"%s",
			grouped(a, g->size), grouped(b, size));
	if (root == NULL || !digest_eq(root, &g->root))
		return errmsg_set(
			em, -ERR_ROLLBACK,
			"this is another history: what was signed at size %s "
			"is not in the store",
			grouped(a, g->size));
	return 0;
}

int guard_check_identity(const struct guard *g, const struct guard *now,
			 struct errmsg *em)
{
	static const uint8_t unknown[16];
	bool same = g->lock_ino == now->lock_ino &&
		    g->lock_btime_ns == now->lock_btime_ns;

	if (same && g->lock_btime_ns == 0)
		same = g->fsid == now->fsid;
	if (!same)
		return errmsg_set(
			em, -ERR_COPY,
			"this is a copy: `vouch adopt STORE` if it moved, "
			"`vouch fork STORE` for a new volume");
	if (memcmp(g->machine, unknown, 16) != 0 &&
	    memcmp(now->machine, unknown, 16) != 0 &&
	    memcmp(g->machine, now->machine, 16) != 0)
		return errmsg_set(
			em, -ERR_COPY,
			"this machine is a copy of the one that signed last: "
			"`vouch adopt STORE` if it moved, `vouch fork STORE` "
			"for a new volume");
	return 0;
}
