/*
 * world.h - two directories, several processes and users, and calls made on
 * both directories by one of them at a time.
 *
 * A call is a pure function of the seed, its number and what the calls before
 * it left; leaving some out (ONLY=) keeps the others as they are.  Everything
 * that the processes share lies in one shared mapping.
 */
#ifndef TESTS_TWIN_WORLD_H
#define TESTS_TWIN_WORLD_H

#include <errno.h>
#include <limits.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

enum {
	SLOTS = 12,
	WORKERS = 5,
	TABLES = 3, /* of descriptors: the first is shared by three workers */
	FILE_MAX = 600 * 1024,
	IO_MAX = 150 * 1024,
};

/* An open file, here ([0]) and there ([1]). */
struct slot {
	int fd[2];
	int flags;
	off_t seek; /* what telldir said here; 0: nothing yet */
};

struct shared {
	sem_t turn[WORKERS], done;
	uint64_t seed;
	unsigned long op_no;
	unsigned long fine, refused;
	bool stop, failed;
	struct slot slots[TABLES][SLOTS];
	char text[4 * PATH_MAX];
};

/* Who the calling process is. */
struct worker {
	const char *name;
	uid_t uid;
	gid_t gid, more;
	int table;
	bool limited; /* RLIMIT_FSIZE */
};

extern struct shared *world;
extern const struct worker *me;
extern int root[2]; /* the two directories */
extern int cwd[2];  /* where we are, or -1 */
extern unsigned char *data, *got[2];
extern bool privileged;

/* --- random */

void rng_for(uint64_t seed, unsigned long op_no);
uint64_t rng(void);
uint64_t below(uint64_t n);
#define ANY(list) ((list)[below(sizeof(list) / sizeof(*(list)))])

off_t any_offset(void);
size_t any_length(void);
void fill(size_t n);
struct slot *any_slot(void);   /* an open one, when there are some */
struct slot *reg_slot(void);   /* a regular file that is open, or any */
struct slot *empty_slot(void); /* closes what is in it */
bool slot_is(const struct slot *sl, mode_t type);
void slot_close(struct slot *sl);

/* --- names: a base directory and a path */

struct place {
	int at[2];
	char path[PATH_MAX * 2];
};

void place_any(struct place *p);
const char *place_text(const struct place *p);

/* --- comparing */

__attribute__((format(printf, 1, 2))) void say(const char *format, ...);
__attribute__((noreturn, format(printf, 1, 2))) void differ(const char *format,
							    ...);
void same(long a, int ea, long b, int eb);
void side_enter(int s);
void stats_same(const struct stat st[2], const char *what);
void slot_stat(const struct slot *sl);

/* Evaluates CALL with `s` 0 and 1 and compares; true when both succeeded. */
#define BOTH(call)                                \
	({                                        \
		long r_[2];                       \
		int e_[2];                        \
		for (int s = 0; s < 2; s++) {     \
			side_enter(s);            \
			errno = 0;                \
			r_[s] = (call);           \
			e_[s] = errno;            \
		}                                 \
		same(r_[0], e_[0], r_[1], e_[1]); \
		r_[0] >= 0;                       \
	})
/* Likewise, where what is answered is a number of no meaning. */
#define BOTH_FD(call)                    \
	BOTH(({                          \
		long n_ = (call);        \
		n_ < 0 ? -1 : (n_ *= 0); \
	}))

void as_root(void);
void as_self(void);

/* --- times: which of them a call moved */

void watch_path(const struct place *p);
void watch_slot(const struct slot *sl);
void watch_compare(void);
void watch_forget(void);

/* --- calls */

void op_open(void);
void op_reopen(void);
void op_close(void);
void op_flags(void);
void op_write(void);
void op_read(void);
void op_mmap(void);
void op_seek(void);
void op_holes(void);
void op_truncate(void);
void op_fallocate(void);
void op_copy(void);
void op_sync(void);
void op_rename(void);
void op_link(void);
void op_make(void);
void op_remove(void);
void op_mode(void);
void op_owner(void);
void op_times(void);
void op_look(void);
void op_xattr(void);
void op_acl(void);
void op_list(void);
void op_chdir(void);
void op_lock(void);

/* --- trees */

/* Prints one line a name, sorted; `all`: times, blocks and inodes, too. */
int dump_tree(const char *dir, bool all);

#endif
