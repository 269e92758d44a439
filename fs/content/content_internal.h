/*
 * content_internal.h - what the files of content share; see content.h for
 * what it is and content.c for the invariants of the struct.
 */
#ifndef FS_CONTENT_INTERNAL_H
#define FS_CONTENT_INTERNAL_H

#include <stdatomic.h>

#include "base/digest.h"
#include "base/limits.h"
#include "base/thread.h"
#include "fs/content/chunker.h"
#include "fs/content/content.h"
#include "fs/content/dirty.h"
#include "fs/content/extents.h"
#include "fs/content/plain_known.h"
#include "fs/store/store.h"
#include "fs/content/tree.h"
#include "base/workers.h"

enum {
	CONTENT_BACKLOG = 512 << 10,  /* of a stream, before it is cut */
	CONTENT_BATCH = 1 << 20,      /* cut by one worker in one go */
	CONTENT_STAGE = 1 << 20,      /* at most this much is staged */
	CONTENT_SHA_BEHIND = 4 << 20, /* the plain digest, at most */
	CONTENT_SHA_SMALL = 64 << 10, /* hashed in any case */
	CONTENT_SHA_LATER = 1 << 20,  /* no more of one with digests_later */
	CONTENT_PIECES = 256,	      /* of one batch */
	CONTENT_CUTS = 512,	      /* of one batch */
	CONTENT_SLICE = 4 << 20,      /* of one huge write */
	CONTENT_WRITERS = 8,	      /* idle writers kept */
	CONTENT_READERS = 48,	      /* spare ones */
	CONTENT_SCRATCHES = 8,	      /* idle scratches kept */
	CONTENT_LONG = 64 << 20, /* a stream that is longer fills no cache */
};

/* --- where bytes are: content_view.c --- */

enum piece_kind { PIECE_ZERO, PIECE_CHUNK, PIECE_MEM, PIECE_BASE };

/* Bytes [off, off + len) of the file and where they are. */
struct piece {
	uint64_t off;
	uint64_t len;
	struct digest id;      /* PIECE_CHUNK */
	struct dirty_buf *buf; /* PIECE_MEM */
	uint32_t at;	       /* first byte in the chunk or buffer */
	uint8_t kind;
	uint8_t flags; /* of the extent it comes from */
};

/*
 * Changed ranges since the last version: at most LIMIT_RANGES, in order, or
 * their hull.
 */
struct ranges {
	uint16_t n;
	bool hull;
	struct {
		uint64_t lo, hi;
	} v[LIMIT_RANGES];
};

void content_ranges_add(struct ranges *r, uint64_t lo, uint64_t hi);
void content_ranges_merge(struct ranges *r, const struct ranges *from);

/*
 * What was written on top of something: extents, and the offset from which on
 * what lies below does not show (it was truncated away).
 */
struct layer {
	struct extents ext;
	uint64_t limit;
	struct ranges ranges;
};

/* A file as layers: top, low (may be NULL), then a version. */
struct view {
	const struct layer *top;
	const struct layer *low;
	struct digest root;
	uint64_t root_size;
	uint64_t size;
};

/* The piece that starts at off, at most up to hi (off < hi). */
void content_view_piece(const struct view *v, struct piece *out, uint64_t off,
			uint64_t hi);

/* Reads a version; knows whether its root is a chunk or a node. */
struct reader {
	struct content_pool *pool;
	struct digest root;
	uint64_t size;
	enum { READER_UNKNOWN, READER_PLAIN, READER_TREE } kind;
	struct tree_source source;
	struct tree_cursor *cursor;
	struct digest last; /* chunk read */
};

/* One from the pool's spare ones, or a new one. */
int must_use content_reader_open(struct reader **out, struct content_pool *p,
				 const struct digest *root, uint64_t size);
/* Keeps it as a spare one: its nodes need not be read again.  NULL ok. */
void content_reader_close(struct reader *r);
/* Frees it: after an error, or for good. */
void content_reader_free(struct reader *r); /* NULL ok */
/* The reference that covers off: 1, 0 behind the end, or an error. */
int must_use content_reader_at(struct reader *r, struct tree_at *out,
			       uint64_t off);
/*
 * Bytes of the references in [lo, hi) that are no holes; both ends lie
 * between references.
 */
int must_use content_reader_count(struct reader *r, uint64_t *out, uint64_t lo,
				  uint64_t hi);
/* Is this the end of a file, less than a block and all zeros? */
bool content_zero_tail(uint64_t off, uint64_t len, const struct digest *id);
/* n bytes at off; all lie inside the version. */
int must_use content_reader_read(struct reader *r, uint8_t *out, size_t n,
				 uint64_t off);
/* The cursor, for tree_builder_copy. */
int must_use content_reader_cursor(struct reader *r, struct tree_cursor **out);

/*
 * n bytes of a piece, from off on.  The buffer of a PIECE_MEM is pinned, or
 * cannot change; r is of the version below (may be NULL when there is none).
 */
int must_use content_piece_read(struct content_pool *p, struct reader *r,
				const struct piece *piece, uint8_t *out,
				size_t n, uint64_t off);

/* Contiguous bytes out of a view that cannot change, or a list of pieces. */
struct window {
	struct content_pool *pool;
	struct reader *reader;
	const struct view *view;   /* or */
	const struct piece *piece; /* ascending, touching */
	size_t n_piece;
	size_t hint;
	uint64_t end; /* no bytes from here on */
	bool eof;     /* ... because the file, or region, ends there */
	uint8_t *buf; /* CONTENT_WINDOW bytes */
	uint64_t off; /* of what is in buf */
	size_t n;
};

enum { CONTENT_WINDOW = CHUNKER_MAX + CHUNKER_BLOCK + (64 << 10) };

/* At least min(want, end - off) bytes at off, borrowed until the next call. */
int must_use content_window_get(struct window *w, const uint8_t **out,
				size_t *out_n, uint64_t off, size_t want);
/*
 * The next cut of a chunker that is at off: 1 and the bytes (not for a hole),
 * 0 when the bytes up to w->end do not decide, or an error.
 */
int must_use content_window_cut(struct window *w, struct chunker_cut *out,
				const uint8_t **out_p, uint64_t off);

/* --- pool --- */

/* What one thread needs to make chunks. */
struct scratch {
	struct scratch *next;
	struct chunk_maker *maker;
	uint8_t *window; /* CONTENT_WINDOW */
	struct piece piece[CONTENT_PIECES];
	struct extent done[CONTENT_CUTS];
};

struct writer {
	struct writer *next;
	struct store_writer *w;
};

struct content_pool {
	struct store *store;
	struct vio *vio;
	struct workers *workers;
	struct dirty dirty;
	struct work press;
	struct plain_known known;

	atomic_uint_least64_t uses;    /* reads and writes of contents */
	bool digests_later;	       /* set at open */
	atomic_uint_least64_t extents; /* of all contents */
	uint64_t extents_max;

	struct mutex mu; /* a leaf */
	struct cond unpinned;
	struct cond thinned; /* extents are no more than their bound again */
	unsigned thinning;   /* who waits for that, and may for long */
	struct scratch *scratch;
	unsigned n_scratch;
	struct writer *writer;
	unsigned n_writer;
	struct reader *reader[CONTENT_READERS]; /* oldest first */
	unsigned n_reader;
	uint64_t contents;
	struct content *all; /* newest first */
	/* contents with buffers, oldest first */
	struct content *head, *tail;
};

int must_use content_pool_scratch(struct content_pool *p, struct scratch **out);
void content_pool_unscratch(struct content_pool *p, struct scratch *s);
int must_use content_pool_writer(struct content_pool *p, struct writer **out);
void content_pool_unwriter(struct content_pool *p, struct writer *w);

/* --- the content --- */

struct content {
	struct content_pool *pool;
	struct work work; /* cuts the stream */

	struct mutex mu;
	struct cond cond;
	/* all below is guarded by mu */
	uint64_t size;
	struct digest root; /* of the base */
	uint64_t root_size;
	struct layer layer[2];
	struct layer *top;	/* takes the writes */
	struct layer *low;	/* frozen for a version; NULL if none */
	uint64_t gen;		/* of the newest version made */
	struct digest low_root; /* what versioned(gen) makes the base */
	uint64_t low_size;
	uint64_t low_data;
	uint64_t hidden_end; /* bytes up to here may show after truncation */
	uint64_t base_data;  /* bytes that are no holes; ~0: not known */

	bool dirty;   /* differs from the base that core knows */
	bool touched; /* changed since the freeze */
	bool unsaved;
	bool base_unsaved; /* the base is a clone no save has reported */
	uint64_t saved_size;
	int64_t write_ns;
	int64_t unsaved_ns;

	/* exclusion of save, version, pressure and spilling */
	bool busy;
	bool cutting;
	bool closing;
	bool appending; /* a huge append writes its slices */
	unsigned inflight;

	struct dirty_buf *tail; /* takes the next bytes; referenced */

	/* the stream that is cut while it is written */
	bool streaming;
	uint64_t stream_no; /* another stream, or none, has another number */
	uint64_t stream_start, stream_cut, stream_end;
	uint64_t run_start, run_end; /* another run, may become the stream */
	uint64_t seq;		     /* changes that were not the stream's */
	uint64_t over;		     /* writes over what was there */
	uint64_t scattered;	     /* bytes that were not the stream's */
	bool scattering;	     /* a batch of those is at work */

	/* plain digest; off: it comes later, when somebody asks or all rests */
	bool sha_on;
	uint64_t sha_stream;
	uint64_t sha_len; /* written in order so far */
	uint64_t sha_no;  /* a file begun anew has another number */
	/* only for who cuts or is busy, without mu: */
	uint64_t sha_pos;    /* hashed so far ... */
	uint64_t sha_pos_no; /* ... of the file with this number */
	struct digest_sha256_ctx *sha;

	/* bulk writer; wmu is taken without mu */
	struct mutex wmu;
	struct writer *writer; /* guarded by wmu */
	bool unflushed;	       /* guarded by wmu */

	/* the pool's lists; guarded by pool->mu */
	struct content *all_prev, *all_next;
	struct content *prev, *next;
	bool listed;
	unsigned pins;
	uint64_t counted; /* of its extents, in pool->extents; guarded by mu */
};

/* The view of all layers; mu is held. */
void content_view_locked(struct content *c, struct view *out)
	requires_capability(&c->mu);
/* Waits until nobody saves, versions or spills, and keeps them out. */
void content_enter(struct content *c) excludes_capability(&c->mu);
void content_enter_locked(struct content *c) requires_capability(&c->mu);
void content_leave(struct content *c) excludes_capability(&c->mu);
/* Puts frozen and top layer together again. */
int must_use content_thaw_locked(struct content *c) requires_capability(&c->mu);
/* The pool knows how many extents there are. */
void content_count_locked(struct content *c) requires_capability(&c->mu);
/* ... and the content is on the pool's list while it holds buffers. */
void content_list_locked(struct content *c) requires_capability(&c->mu);
/*
 * After extents were added here and there, without locks and outside of
 * sections (lease.h): waits a while where there are too many.
 */
void content_pool_thin(struct content_pool *p);
/* content_write() that does not wait for that. */
int must_use content_write_soon(struct content *c, const void *p, size_t n,
				uint64_t off);
/* Where a change begins: cuts that end in the same block are none any more. */
void content_uncut_locked(struct layer *l, uint64_t lo);
/* Makes the file at least `size` bytes; the gap reads as zeros. */
int must_use content_grow_locked(struct content *c, uint64_t size)
	requires_capability(&c->mu);
/* Notes a change of [lo, hi). */
void content_changed_locked(struct content *c, uint64_t lo, uint64_t hi)
	requires_capability(&c->mu);

/*
 * Stores a chunk through the bulk writer, or flushes what went through it.
 * forget: it is of a long stream, and nobody will read it soon.
 */
int must_use content_bulk_put(struct content *c, const struct chunk *k,
			      bool forget);
int must_use content_bulk_flush(struct content *c);

/* --- spilling: content_spill.c --- */

void content_spill_work(struct work *k);
/* True when the stream has enough for a batch. */
bool content_stream_due_locked(const struct content *c)
	requires_capability(&c->mu);
/* True when there is work for the workers. */
bool content_spill_due_locked(const struct content *c)
	requires_capability(&c->mu);

/* Stores a chunk and answers the flags of its extent. */
struct put {
	int (*put)(struct put *p, const struct chunk *k, uint8_t *out_flags);
	struct content *content;
	bool forget; /* content_bulk_put */
};

/* struct put's function that sends everything to the bulk writer. */
int must_use content_spill_put(struct put *p, const struct chunk *k,
			       uint8_t *out_flags);
/*
 * One more hand beside the workers until the stream is cut up to where it
 * ends now, but for less than a backlog: before save and version, which cut
 * alone.  An error is left to them to meet again.
 */
void content_spill_drain(struct content *c, struct scratch *sc);
/* Cuts and stores what can be cut of the stream below `end`.  Entered. */
int must_use content_spill_stream(struct content *c, struct scratch *sc,
				  uint64_t end, struct put *put);

/* Pieces taken out under the lock, and what became of them. */
struct spill {
	struct piece *piece; /* ascending; buffers are pinned */
	size_t n_piece, cap_piece;
	struct extent *done; /* chunks and holes in their place, ascending */
	size_t n_done, cap_done;
	uint64_t seq, over;
};

enum spill_what {
	SPILL_UNSAVED,	 /* whatever no save has reported */
	SPILL_BUFFERS,	 /* of that, what is in buffers */
	SPILL_SCATTERED, /* of that, what nobody else will take by itself */
};

/*
 * Takes the extents of [from, to) that `what` says, until max bytes of buffers
 * are among them.
 */
int must_use content_spill_take_locked(struct content *c, struct spill *s,
				       uint64_t from, uint64_t to,
				       enum spill_what what, uint64_t max)
	requires_capability(&c->mu);
/* Makes chunks of the buffers among pieces [i, j) and adds them to done. */
int must_use content_spill_store(struct content *c, struct scratch *sc,
				 struct spill *s, size_t i, size_t j,
				 struct put *put);
/* Puts done[i..] into the top layer where the bytes are still the same. */
int must_use content_spill_apply_locked(struct content *c,
					const struct spill *s, size_t i)
	requires_capability(&c->mu);
/* Unpins pieces [i, j). */
void content_spill_unpin_locked(struct spill *s, size_t i, size_t j);
void content_spill_release(struct spill *s); /* all are unpinned */

/* False when there will be no plain digest of what is written.  mu is held. */
bool content_sha_keeps_up_locked(struct content *c) requires_capability(&c->mu);
/* Hashes file number `no` up to `to`.  Entered, or cutting. */
int must_use content_sha_to(struct content *c, uint64_t no, struct window *w,
			    uint64_t to);

/* --- scattered writes: content_scatter.c --- */

/* True when there are enough of them for a batch. */
bool content_scatter_due_locked(const struct content *c)
	requires_capability(&c->mu);
/* One batch, if there is *out_any; lets go of the lock meanwhile. */
int must_use content_scatter_locked(struct content *c, struct scratch *sc,
				    bool *out_any) requires_capability(&c->mu);

/* --- making room: content_press.c --- */

void content_press_work(struct work *k);

/* --- what entries must carry: content_sink.c --- */

/*
 * Stages chunks while they are small and few, and goes over to the bulk
 * writer when they are not; ids that must ride in a frame, each once.
 */
struct sink {
	struct put put; /* first */
	bool bulk;
	uint64_t bytes; /* staged */
	struct digest *id;
	bool *noted; /* staged by an earlier sink */
	size_t n, cap;
};

void content_sink_init(struct sink *s, struct content *c, bool bulk);
/* Lists an id that an earlier sink staged. */
int must_use content_sink_note(struct sink *s, const struct digest *id);
/* Everything put is durable or listed. */
int must_use content_sink_flush(struct sink *s);
/* Hands the list to the caller; the sink is done. */
void content_sink_take(struct sink *s, struct digest **out, size_t *out_n);
/* The sink is done; what it staged stays staged. */
void content_sink_release(struct sink *s);
/* The sink is done, and nothing will name what it staged. */
void content_sink_undo(struct sink *s);

#endif
