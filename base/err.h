/*
 * err.h - error codes: what failed, in one int.
 *
 * 0 is success; a positive value is a count or a documented answer; a
 * negative value is -errno or minus one of the private codes below.  Each
 * private code carries the errno class that a POSIX caller sees; the class is
 * taken in exactly one place, where the kernel is answered.
 *
 * Words that a person reads travel beside the code in a struct errmsg, an
 * explicit out-parameter (always last, may be NULL), never a global.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>

#include "base/auto.h"

/* code, errno class, text */
#define ERR_TABLE(X)                                                   \
	X(CORRUPT, EIO, "stored bytes are damaged")                    \
	X(SHORT, EIO, "input ends early")                              \
	X(FORMAT, EIO, "not the expected format")                      \
	X(NEWER, EIO, "written by a newer version of vouchfs")         \
	X(NONCANON, EIO, "not the canonical encoding")                 \
	X(LIMIT, EFBIG, "beyond a fixed limit")                        \
	X(SIGNATURE, EIO, "signature does not verify")                 \
	X(KEY, EACCES, "key is missing, wrong or not trusted")         \
	X(KEYPERM, EACCES, "key file is readable by others")           \
	X(HASH, EIO, "hash does not match")                            \
	X(MISSING_CHUNK, EIO, "chunk is in no replica")                \
	X(STICKY, EROFS, "read-only after a failed write")             \
	X(ROLLBACK, EROFS, "older copy of the volume")                 \
	X(COPY, EROFS, "copy of the volume")                           \
	X(BUSY, EBUSY, "in use by another mount")                      \
	X(REJECTED, EIO, "entry rejected")                             \
	X(PROOF, EIO, "proof does not hold")                           \
	X(SQL, EIO, "database error")                                  \
	X(RELOCKED, EAGAIN, "state changed while unlocked, try again") \
	X(AGAIN, EAGAIN, "not yet, try again")                         \
	X(USAGE, EINVAL, "wrong usage")                                \
	X(LOST, EIO, "what was acknowledged is gone")

enum err_code {
	ERR_BASE_ = 2047,
#define X(name, cls, text) ERR_##name,
	ERR_TABLE(X)
#undef X
		ERR_END_,
};

/* The positive errno that a system caller should see for rc; 0 for rc >= 0. */
int err_class(int rc);

/* A sentence fragment for rc, lower case, static storage, never NULL. */
const char *err_text(int rc);

enum { ERRMSG_MAX = 1024 };

/* Words for a person; starts empty; later sets do not overwrite the first. */
struct errmsg {
	char text[ERRMSG_MAX];
};

#define ERRMSG_INIT        \
	{                  \
		.text = "" \
	}

/*
 * Sets the words unless they are set already, and returns rc, so that
 * `return errmsg_set(em, -ERR_CORRUPT, "pack %s: ...", name);` reads well.
 */
int errmsg_set(struct errmsg *em, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "PREFIX: " before the words (or before err_text(rc) if none). */
int errmsg_wrap(struct errmsg *em, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The words, or err_text(rc) where nobody found better ones. */
const char *errmsg_text(const struct errmsg *em, int rc);

#endif
