/*
 * op_data.c - bytes: read, write, map, seek, copy, sizes, sync.
 *
 * Direct I/O is aligned and at offsets that are given: what it refuses
 * natively, a FUSE file system need not.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/twin/world.h"

static bool direct(const struct slot *sl)
{
	return sl->flags & O_DIRECT && !(sl->flags & O_PATH);
}

static void align(off_t *o, size_t *n)
{
	*o &= ~4095;
	*n &= ~(size_t)4095;
}

static void position_same(const struct slot *sl)
{
	if (slot_is(sl, S_IFREG)) /* a device has none, or none of its own */
		BOTH(lseek(sl->fd[s], 0, SEEK_CUR));
}

void op_write(void)
{
	static const int rwf[] = { 0, RWF_APPEND, RWF_DSYNC, RWF_SYNC };
	struct slot *sl = reg_slot();
	off_t o = any_offset();
	size_t n = any_length();
	uint64_t how = below(8);
	int flags = ANY(rwf);
	struct iovec v[3];

	if (direct(sl)) {
		if (sl->flags & O_APPEND)
			return;
		align(&o, &n);
		how = 2;
	}
	fill(n);
	if (below(3) == 0)
		watch_slot(sl);
	if (how < 2) {
		say("write %zu to %d", n, sl->fd[0]);
		BOTH(write(sl->fd[s], data, n));
		position_same(sl);
	} else if (how < 6) {
		say("pwrite %zu at %lld to %d", n, (long long)o, sl->fd[0]);
		BOTH(pwrite(sl->fd[s], data, n, o));
	} else {
		v[0] = (struct iovec){ data, n / 3 };
		v[1] = (struct iovec){ data + n / 3, 0 };
		v[2] = (struct iovec){ data + n / 3, n - n / 3 };
		if (below(5) == 0)
			o = -1; /* where the descriptor is */
		say("pwritev2 %zu at %lld flags %d to %d", n, (long long)o,
		    flags, sl->fd[0]);
		BOTH(pwritev2(sl->fd[s], v, 3, o, flags));
		position_same(sl);
	}
	slot_stat(sl);
}

void op_read(void)
{
	struct slot *sl = reg_slot();
	off_t o = any_offset();
	size_t n = any_length();
	/* a directory's position is each file system's own */
	bool at = below(3) || direct(sl) || slot_is(sl, S_IFDIR);
	long r[2];

	if (direct(sl))
		align(&o, &n);
	say("%s %zu at %lld of %d", at ? "pread" : "read", n, (long long)o,
	    sl->fd[0]);
	if (!BOTH(r[s] = at ? pread(sl->fd[s], got[s], n, o) :
			      read(sl->fd[s], got[s], n)))
		return;
	if (memcmp(got[0], got[1], (size_t)r[0]) != 0)
		differ("other bytes");
	if (!at)
		position_same(sl);
}

static void map_use(unsigned char *const map[2], size_t size, bool shared)
{
	size_t o = below(size), n = below(size - o) + 1;
	uint64_t sync = below(3);

	if (memcmp(map[0], map[1], size) != 0)
		differ("other bytes in the map");
	if (!shared)
		return;
	n = n < IO_MAX ? n : IO_MAX;
	fill(n);
	for (int s = 0; s < 2; s++) {
		memcpy(map[s] + o, data, n);
		if (sync == 0 && msync(map[s], size, MS_SYNC) < 0)
			differ("msync: %s", strerror(errno));
	}
}

void op_mmap(void)
{
	struct slot *sl = reg_slot();
	bool shared = below(3) != 0;
	unsigned char *map[2];
	struct stat st;

	if (!slot_is(sl, S_IFREG) || fstat(sl->fd[1], &st) != 0 ||
	    st.st_size == 0 || st.st_size > 4 * FILE_MAX)
		return;
	say("mmap %s of %d, %lld", shared ? "shared" : "private", sl->fd[0],
	    (long long)st.st_size);
	if (!BOTH(({
		    map[s] = mmap(NULL, (size_t)st.st_size,
				  shared ? PROT_READ | PROT_WRITE : PROT_READ,
				  shared ? MAP_SHARED : MAP_PRIVATE, sl->fd[s],
				  0);
		    map[s] == MAP_FAILED ? -1 : 0;
	    })))
		return;
	map_use(map, (size_t)st.st_size, shared);
	for (int s = 0; s < 2; s++)
		munmap(map[s], (size_t)st.st_size);
}

void op_seek(void)
{
	static const int whences[] = { SEEK_SET, SEEK_CUR, SEEK_END };
	struct slot *sl = reg_slot();
	off_t o = any_offset() - (below(4) ? 0 : FILE_MAX);
	int whence = ANY(whences);

	if (slot_is(sl, S_IFDIR))
		return; /* positions in it are each file system's own */
	say("seek %lld from %d of %d", (long long)o, whence, sl->fd[0]);
	BOTH(lseek(sl->fd[s], o, whence));
}

/* Holes need not be where they are there; what lies in them is zero. */
static void hole_is_zero(const struct slot *sl, off_t from, off_t to)
{
	for (off_t o = from; o < to;) {
		size_t n = (size_t)(to - o);
		ssize_t r;

		n = n < IO_MAX ? n : IO_MAX;
		r = pread(sl->fd[1], got[1], n, o);
		if (r <= 0)
			differ("short read");
		for (ssize_t i = 0; i < r; i++)
			if (got[1][i])
				differ("data in a hole at %lld",
				       (long long)o + (long long)i);
		o += r;
	}
}

void op_holes(void)
{
	struct slot *sl = reg_slot();
	off_t at = 0, hole, end;
	struct stat st;
	int again = 0;

	if (!slot_is(sl, S_IFREG) || fstat(sl->fd[1], &st) != 0 || direct(sl) ||
	    (sl->flags & O_PATH) || (sl->flags & O_ACCMODE) == O_WRONLY)
		return;
	say("holes of %d", sl->fd[0]);
	while (at < st.st_size && st.st_size <= 4 * FILE_MAX) {
		hole = lseek(sl->fd[0], at, SEEK_HOLE);
		if (hole < at || hole > st.st_size)
			differ("SEEK_HOLE from %lld gives %lld", (long long)at,
			       (long long)hole);
		if (hole == st.st_size)
			break;
		end = lseek(sl->fd[0], hole, SEEK_DATA);
		if (end < 0 && errno == ENXIO)
			end = st.st_size;
		/* a version made meanwhile may have a hole begin later */
		if (end < hole || (end == hole && ++again > 3) ||
		    end > st.st_size)
			differ("SEEK_DATA from %lld gives %lld",
			       (long long)hole, (long long)end);
		hole_is_zero(sl, hole, end);
		at = end;
	}
	BOTH(lseek(sl->fd[s], st.st_size, SEEK_DATA));
	BOTH(lseek(sl->fd[s], st.st_size + 1, SEEK_HOLE));
	BOTH(lseek(sl->fd[s], -1, SEEK_DATA));
	BOTH(lseek(sl->fd[s], 0, SEEK_SET));
}

static off_t any_size(void)
{
	uint64_t odd = below(40);

	return odd == 0 ? -1 : odd == 1 ? (off_t)1 << 32 : any_offset();
}

void op_truncate(void)
{
	struct slot *sl = reg_slot();
	off_t n = any_size();
	struct place p;

	if (below(3) == 0) {
		place_any(&p);
		say("truncate %s to %lld", p.path, (long long)n);
		memcpy(p.at, root, sizeof(p.at));
		watch_path(&p);
		BOTH(({
			char full[PATH_MAX * 2 + 40];
			snprintf(full, sizeof(full), "/proc/self/fd/%d/%s",
				 root[s], p.path);
			truncate(full, n);
		}));
		return;
	}
	say("ftruncate %d to %lld", sl->fd[0], (long long)n);
	watch_slot(sl);
	BOTH(ftruncate(sl->fd[s], n));
	slot_stat(sl);
}

void op_fallocate(void)
{
	static const int modes[] = {
		0,
		FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE,
		0x80,
	};
	struct slot *sl = reg_slot();
	off_t o = any_offset(), n = (off_t)any_length();
	int mode = ANY(modes);

	if (below(20) == 0)
		o = -1;
	say("fallocate %d mode %d at %lld, %lld", sl->fd[0], mode, (long long)o,
	    (long long)n);
	if (me->limited)
		return; /* ext4 changes mode and times before it looks */
	watch_slot(sl);
	BOTH(fallocate(sl->fd[s], mode, o, n));
	slot_stat(sl);
}

static long copy_all(int from, off_t from_at, int to, off_t to_at, size_t n)
{
	size_t done = 0;
	ssize_t r;

	do {
		r = copy_file_range(from, &from_at, to, &to_at, n - done, 0);
		if (r > 0)
			done += (size_t)r;
	} while (r > 0 && done < n);
	return r < 0 && done == 0 ? -1 : (long)done;
}

static long send_all(int from, off_t at, int to, size_t n)
{
	size_t done = 0;
	ssize_t r;

	do {
		r = sendfile(to, from, &at, n - done);
		if (r > 0)
			done += (size_t)r;
	} while (r > 0 && done < n);
	return r < 0 && done == 0 ? -1 : (long)done;
}

static bool same_file(const struct slot *x, const struct slot *y)
{
	struct stat st[2];

	return fstat(x->fd[1], &st[0]) == 0 && fstat(y->fd[1], &st[1]) == 0 &&
	       st[0].st_ino == st[1].st_ino;
}

/* sendfile within a file reads pages that it has written: however large. */
void op_copy(void)
{
	struct slot *x = reg_slot(), *y = reg_slot();
	off_t o = any_offset(), t = any_offset();
	size_t n = any_length();
	bool send = below(4) == 0 && !same_file(x, y);

	if (direct(x) || direct(y) || slot_is(x, S_IFIFO) ||
	    slot_is(y, S_IFIFO))
		return;
	say("%s %lld of %d to %lld of %d, %zu", send ? "sendfile" : "copy",
	    (long long)o, x->fd[0], (long long)t, y->fd[0], n);
	if (send)
		BOTH(send_all(x->fd[s], o, y->fd[s], n));
	else
		BOTH(copy_all(x->fd[s], o, y->fd[s], t, n));
	slot_stat(y);
}

void op_sync(void)
{
	struct slot *sl = any_slot();
	bool all = below(2);

	say("%s %d", all ? "fsync" : "fdatasync", sl->fd[0]);
	BOTH(all ? fsync(sl->fd[s]) : fdatasync(sl->fd[s]));
}
