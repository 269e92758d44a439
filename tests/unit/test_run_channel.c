/*
 * test_run_channel.c - who connected to the run channel, when processes go and
 * their numbers come again; and waiting for words without being held up.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/thread.h"
#include "fs/daemon/run_words.h"
#include "fs/run/run_peer.h"

enum { OTHER_UID = 4242 };

static void pause_ms(long ms)
{
	const struct timespec t = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&t, NULL);
}

/* --- peers ------------------------------------------------------------------ */

static int listener(struct sockaddr_un *a, socklen_t *len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	/* abstract: the first byte is 0 */
	int n = snprintf(a->sun_path + 1, sizeof(a->sun_path) - 1,
			 "vouchfs-test-%d", (int)getpid());
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			   (size_t)n);
	cr_assert_eq(bind(fd, (struct sockaddr *)a, *len), 0);
	cr_assert_eq(listen(fd, 4), 0);
	return fd;
}

static void die_with_parent(int stay)
{
	char byte;

	/* ends when the test closes its side */
	(void)!read(stay, &byte, 1);
	_exit(0);
}

struct connected {
	int fd;	   /* accepted */
	pid_t pid; /* who connected */
	int stay;  /* close: who is left ends */
};

/*
 * A process connects, as three users; leaves: and goes at once, while its
 * child keeps the socket.
 */
static struct connected connect_as(uid_t real, uid_t effective, uid_t saved,
				   bool leaves)
{
	struct sockaddr_un a;
	socklen_t len;
	struct connected c;
	int l = listener(&a, &len), stay[2];

	cr_assert_eq(pipe(stay), 0);
	c.pid = fork();
	cr_assert_geq(c.pid, 0);
	if (c.pid == 0) {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		close(stay[1]);
		close(l);
		if (geteuid() == 0 && setresuid(real, effective, saved) < 0)
			_exit(1);
		if (connect(fd, (struct sockaddr *)&a, len) < 0)
			_exit(2);
		if (leaves && fork() > 0)
			_exit(0);
		die_with_parent(stay[0]);
	}
	close(stay[0]);
	c.stay = stay[1];
	if (leaves) {
		int status = -1;

		cr_assert_eq(waitpid(c.pid, &status, 0), c.pid);
		cr_assert_eq(status, 0);
	}
	c.fd = accept(l, NULL, NULL);
	cr_assert_geq(c.fd, 0);
	close(l);
	return c;
}

static void disconnect(struct connected *c)
{
	close(c->fd);
	close(c->stay);
}

/* A process that gets this number; -1 where we may not say so. */
static pid_t come_again(pid_t pid)
{
	struct clone_args a = {
		.exit_signal = SIGCHLD,
		.set_tid = (uintptr_t)&pid,
		.set_tid_size = 1,
	};
	pid_t got = (pid_t)syscall(SYS_clone3, &a, sizeof(a));

	if (got == 0)
		for (;;)
			pause();
	return got;
}

static void end_process(pid_t pid)
{
	kill(pid, SIGKILL);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

Test(run_peer, is_the_process_while_it_is_there)
{
	uid_t me = getuid();
	struct connected c = connect_as(me, me, me, false);
	struct run_peer p;

	cr_assert_eq(run_peer_of(&p, c.fd), 0);
	cr_assert_eq(p.cr.uid, me);
	cr_assert_eq(p.cr.pid, (uint32_t)c.pid);
	cr_assert_gt(p.start, 0);
	cr_assert(run_peer_there(&p));
	cr_assert(run_peer_is(&p, (uint32_t)c.pid, p.start));
	cr_assert(!run_peer_is(&p, (uint32_t)c.pid, p.start + 1));
	end_process(c.pid);
	cr_assert(!run_peer_there(&p));
	pause_ms(50); /* another tick of the clock */
	pid_t again = come_again(c.pid);
	if (again > 0) {
		cr_assert_eq(again, c.pid);
		cr_assert(!run_peer_there(&p), "the number is another's");
		end_process(again);
	}
	disconnect(&c);
}

Test(run_peer, who_went_before_is_no_process)
{
	uid_t me = getuid();
	struct connected c = connect_as(me, me, me, true);
	struct run_peer p;

	cr_assert_eq(run_peer_of(&p, c.fd), 0);
	cr_assert_eq(p.cr.uid, me, "the user is the kernel's word");
	cr_assert_eq(p.cr.pid, 0);
	cr_assert(!run_peer_there(&p));
	cr_assert(!run_peer_is(&p, 0, 0));
	disconnect(&c);
}

Test(run_peer, who_has_the_number_now_is_not_the_one)
{
	struct run_peer p;

	if (geteuid() != 0)
		cr_skip_test("only root gives numbers to processes");
	struct connected c = connect_as(OTHER_UID, OTHER_UID, OTHER_UID, true);
	pid_t again = come_again(c.pid);
	if (again < 0) {
		disconnect(&c);
		cr_skip_test("processes cannot be given numbers here");
	}
	cr_assert_eq(again, c.pid);
	cr_assert_eq(run_peer_of(&p, c.fd), 0);
	cr_assert_eq(p.cr.uid, OTHER_UID);
	cr_assert_eq(p.cr.pid, 0, "root's process is taken for a user's");
	end_process(again);
	disconnect(&c);
}

Test(run_peer, a_process_of_two_users_is_nobodys)
{
	struct run_peer p;

	if (geteuid() != 0)
		cr_skip_test("only root is two users");
	struct connected c = connect_as(OTHER_UID, OTHER_UID, 0, false);
	cr_assert_eq(run_peer_of(&p, c.fd), 0);
	cr_assert_eq(p.cr.uid, OTHER_UID);
	cr_assert_eq(p.cr.pid, 0);
	disconnect(&c);
}

/* --- words ------------------------------------------------------------------- */

/* An index that gets there when it is told to. */
struct slow {
	struct mutex mu;
	struct cond cond;
	unsigned began, may_end; /* rounds */
};

static int slow_settle(void *ctx)
{
	struct slow *s = ctx;

	mutex_lock(&s->mu);
	unsigned round = ++s->began;
	cond_broadcast(&s->cond);
	while (s->may_end < round)
		cond_wait(&s->cond, &s->mu);
	mutex_unlock(&s->mu);
	return 0;
}

static void until_began(struct slow *s, unsigned round)
{
	mutex_lock(&s->mu);
	while (s->began < round)
		cond_wait(&s->cond, &s->mu);
	mutex_unlock(&s->mu);
}

static void let_end(struct slow *s, unsigned round)
{
	mutex_lock(&s->mu);
	s->may_end = round;
	cond_broadcast(&s->cond);
	mutex_unlock(&s->mu);
}

static void until_woken(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char byte;

	cr_assert_eq(poll(&p, 1, 60000), 1, "nobody was woken");
	cr_assert_eq(read(fd, &byte, 1), 1);
}

Test(run_words, nobody_waits_who_asks)
{
	struct slow s = { .began = 0 };
	struct run_words *w = NULL;
	int wake[2];

	mutex_init(&s.mu);
	cond_init(&s.cond);
	cr_assert_eq(pipe(wake), 0);
	cr_assert_eq(run_words_open(&w, slow_settle, &s, wake[1]), 0);
	uint64_t first = run_words_ask(w);
	until_began(&s, 1);
	/* asked while a round goes on: only the next one says so */
	uint64_t second = run_words_ask(w), third = run_words_ask(w);
	cr_assert(!run_words_ready(w, first) && !run_words_ready(w, second));
	let_end(&s, 1);
	until_woken(wake[0]);
	cr_assert(run_words_ready(w, first));
	cr_assert(!run_words_ready(w, second) && !run_words_ready(w, third));
	until_began(&s, 2);
	let_end(&s, 2);
	until_woken(wake[0]);
	cr_assert(run_words_ready(w, second) && run_words_ready(w, third));
	cr_assert_eq(s.began, 2, "one round for both");
	run_words_close(w);
	close(wake[0]);
	close(wake[1]);
	cond_destroy(&s.cond);
	mutex_destroy(&s.mu);
}
