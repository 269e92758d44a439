/*
 * test_control.c - the control socket answers who may ask, one line at a
 * time, and ends in order.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/thread.h"
#include "fs/daemon/control.h"
#include "fs/core/core.h"
#include "fs/run/run_peer.h"

static struct cred heard;
static char dir[] = "/tmp/test_control_XXXXXX";

static int echo(void *ctx, const struct json *request, const struct cred *peer,
		struct buf *out, struct errmsg *em)
{
	const char *text = json_get_str(request, "text");

	(void)ctx;
	(void)em;
	heard = *peer; /* no cr_assert on another thread */
	control_add_str(out, "text", text ? text : "");
	control_add_u64(out, "n", 18446744073709551615ULL);
	control_add_i64(out, "i", -1);
	control_add_bool(out, "b", 1);
	return 0;
}

static int no(void *ctx, const struct json *request, const struct cred *peer,
	      struct buf *out, struct errmsg *em)
{
	(void)ctx;
	(void)request;
	(void)peer;
	control_add_str(out, "half", "an answer");
	return errmsg_set(em, -EEXIST, "no \"way\"\n");
}

static void doing(void *ctx, struct buf *out)
{
	(void)ctx;
	buf_adds(out, "saving \"x\"");
}

static bool there; /* whom admit() was asked about last */

static int admit(void *ctx, const char *verb, const struct run_peer *peer,
		 struct errmsg *em)
{
	(void)ctx;
	(void)verb;
	(void)em;
	there = run_peer_there(peer);
	return 0;
}

static struct control *start(void)
{
	struct control *c = NULL;

	cr_assert_not_null(mkdtemp(dir));
	cr_assert_eq(control_open(&c, dir, NULL), 0);
	control_register(c, "echo", echo, NULL);
	control_register(c, "no", no, NULL);
	control_on_wait(c, doing, NULL);
	control_admit(c, admit, NULL);
	cr_assert_eq(control_start(c), 0);
	return c;
}

static int connect_to(int fd)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/control", dir);
	return connect(fd, (struct sockaddr *)&a, sizeof(a));
}

static int dial(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	cr_assert_eq(connect_to(fd), 0);
	return fd;
}

static void line(int fd, char *out, size_t cap)
{
	size_t n = 0;

	while (n + 1 < cap && read(fd, out + n, 1) == 1 && out[n] != '\n')
		n++;
	out[n] = '\0';
}

static void ask(int fd, const char *request, char *out, size_t cap)
{
	cr_assert_eq(write(fd, request, strlen(request)),
		     (ssize_t)strlen(request));
	line(fd, out, cap);
}

static void end(struct control *c, int rc, const struct errmsg *em)
{
	control_quiesce(c);
	control_close(c, rc, em);
	cr_assert_eq(rmdir(dir), 0, "the socket is left");
}

Test(control, verbs_answer_and_errors_have_words)
{
	struct control *c = start();
	char out[512];
	struct stat st;
	int fd = dial();

	ask(fd, "{\"verb\":\"echo\",\"text\":\"a\\u00e9\\n\"}\n", out,
	    sizeof(out));
	cr_assert_str_eq(out,
			 "{\"ok\":true,\"text\":\"a\xc3\xa9\\n\","
			 "\"n\":18446744073709551615,\"i\":-1,\"b\":true}");
	cr_assert_eq(heard.uid, geteuid());
	cr_assert_eq(heard.pid, (uint32_t)getpid());
	ask(fd, "{\"verb\":\"no\"}\n", out, sizeof(out));
	cr_assert_str_eq(out, "{\"ok\":false,\"code\":-17,"
			      "\"error\":\"no \\\"way\\\"\\n\"}");
	ask(fd, "{\"verb\":\"what\"}\n", out, sizeof(out));
	cr_assert_not_null(strstr(out, "unknown verb"));
	ask(fd, "{}\n", out, sizeof(out));
	cr_assert_not_null(strstr(out, "\"ok\":false"));
	ask(fd, "[1,\n", out, sizeof(out));
	cr_assert_not_null(strstr(out, "bad JSON"));
	close(fd);
	snprintf(out, sizeof(out), "%s/control", dir);
	cr_assert_eq(stat(out, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	end(c, 0, NULL);
}

/* The number may be another's by now, who may do what the first may not. */
Test(control, who_was_handed_the_socket_of_one_that_is_gone_is_no_process)
{
	struct control *c = start();
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), status = -1;
	char out[512];
	pid_t pid = fork();

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		if (connect_to(fd) < 0)
			_exit(1);
		ask(fd, "{\"verb\":\"echo\"}\n", out, sizeof(out));
		_exit(strstr(out, "\"ok\":true") ? 0 : 2);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
	cr_assert_eq(heard.pid, (uint32_t)pid);
	cr_assert(there);
	ask(fd, "{\"verb\":\"echo\"}\n", out, sizeof(out));
	cr_assert_not_null(strstr(out, "\"ok\":true"));
	cr_assert_eq(heard.uid, geteuid());
	cr_assert_eq(heard.pid, 0);
	cr_assert_not(there);
	close(fd);
	end(c, 0, NULL);
}

Test(control, two_requests_in_one_write)
{
	struct control *c = start();
	char out[512];
	int fd = dial();

	ask(fd, "{\"verb\":\"no\"}\n{\"verb\":\"echo\"}\n", out, sizeof(out));
	cr_assert_not_null(strstr(out, "no "));
	line(fd, out, sizeof(out));
	cr_assert_not_null(strstr(out, "\"ok\":true"));
	close(fd);
	end(c, 0, NULL);
}

Test(control, who_waits_is_told_how_it_ended)
{
	struct control *c = start();
	struct errmsg em = ERRMSG_INIT;
	char out[512];
	int fd = dial();

	ask(fd, "{\"verb\":\"wait\"}\n", out, sizeof(out));
	cr_assert_str_eq(out, "{\"ok\":true}");
	end(c, errmsg_set(&em, -ENOSPC, "disk full"), &em);
	line(fd, out, sizeof(out));
	cr_assert_str_eq(out, "{\"ok\":false,\"code\":-28,"
			      "\"error\":\"disk full\"}");
	cr_assert_eq(read(fd, out, 1), 0);
	close(fd);
}

Test(control, who_waits_is_told_what_for)
{
	struct control *c = start();
	char out[512];
	int fd = dial();

	ask(fd, "{\"verb\":\"wait\",\"tell\":true}\n", out, sizeof(out));
	cr_assert_str_eq(out, "{\"ok\":true}");
	for (int i = 0; i < 2; i++) {
		line(fd, out, sizeof(out));
		cr_assert_str_eq(out, "{\"ok\":true,"
				      "\"doing\":\"saving \\\"x\\\"\"}");
	}
	end(c, 0, NULL);
	do
		line(fd, out, sizeof(out));
	while (strstr(out, "doing"));
	cr_assert_str_eq(out, "{\"ok\":true}");
	close(fd);
}

/* Unmounts of a busy mount: after 32 of them nobody was heard any more. */
Test(control, who_waited_and_left_takes_no_place)
{
	static const char request[] = "{\"verb\":\"wait\"}\n";
	struct control *c = start();
	char out[512] = "";

	for (int i = 0, tries = 0; i < 40 && tries < 100; tries++) {
		int fd = dial();

		(void)!send(fd, request, strlen(request), MSG_NOSIGNAL);
		line(fd, out, sizeof(out));
		close(fd);
		if (strcmp(out, "{\"ok\":true}") == 0)
			i++;
		else
			usleep(100000); /* it looks once a second */
	}
	cr_assert_str_eq(out, "{\"ok\":true}");
	end(c, 0, NULL);
}

Test(control, endless_line_is_cut_off)
{
	struct control *c = start();
	char piece[4096];
	size_t sent = 0;
	int fd = dial();

	memset(piece, 'x', sizeof(piece));
	while (sent < 4u * CONTROL_REQUEST_MAX) {
		ssize_t n = send(fd, piece, sizeof(piece), MSG_NOSIGNAL);
		if (n < 0)
			break;
		sent += (size_t)n;
	}
	cr_assert_lt(sent, 4u * CONTROL_REQUEST_MAX);
	close(fd);
	end(c, 0, NULL);
}

Test(control, stale_socket_is_replaced)
{
	struct control *c = NULL;
	char path[64], out[64];

	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/control", dir);
	FILE *f = fopen(path, "w");
	fclose(f);
	cr_assert_eq(control_open(&c, dir, NULL), 0);
	cr_assert_eq(control_start(c), 0);
	int fd = dial();
	ask(fd, "{\"verb\":\"x\"}\n", out, sizeof(out));
	close(fd);
	end(c, 0, NULL);
}

Test(control, silent_connection_holds_nothing_up)
{
	struct control *c = start();
	int fd = dial();

	end(c, 0, NULL);
	close(fd);
}
