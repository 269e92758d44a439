/*
 * stress_poller.c - workers and clients of a poller, more than there are
 * cores: close requests, some that last, pauses, so that the lead begins and
 * ends all the time.  Run under the thread sanitizer.
 *
 * What is checked: each request is answered, once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/sim/poll_box.h"
#include "tests/sim/prng.h"

enum { CLIENTS = 4, REQUESTS = 6000, WORKERS = 5 };

struct task {
	struct poll_box *box;
	unsigned no;
	struct thread thread;
};

static void client(void *arg)
{
	struct task *t = arg;
	struct poll_client c;
	struct prng r;

	prng_init(&r, t->no + 1);
	poll_client_open(&c, t->box);
	for (int i = 0; i < REQUESTS; i++) {
		uint64_t n = prng_u64(&r) % 512;
		if (n == 0)
			usleep(3000); /* quiet, if the others are, too */
		/* now and then many that last */
		poll_client_ask(&c, n == 1 || (i % 2000 > 1900 && n % 2) ?
					    POLL_LASTS :
					    POLL_QUICK);
	}
	poll_client_close(&c);
}

/* `clients` at once; the number of requests answered must be theirs. */
static int run(unsigned clients)
{
	struct task task[CLIENTS];
	struct poll_box box;
	uint64_t want = (uint64_t)clients * REQUESTS;

	poll_box_open(&box, WORKERS, 2);
	for (unsigned i = 0; i < clients; i++) {
		task[i] = (struct task){ .box = &box, .no = i };
		if (thread_start(&task[i].thread, "client", client, &task[i]))
			abort();
	}
	for (unsigned i = 0; i < clients; i++)
		thread_join(&task[i].thread);
	poll_box_close(&box);
	if (box.answered == want)
		return 0;
	printf("%u clients: %llu answered of %llu\n", clients,
	       (unsigned long long)box.answered, (unsigned long long)want);
	return 1;
}

int main(void)
{
	return run(1) | run(2) | run(CLIENTS);
}
