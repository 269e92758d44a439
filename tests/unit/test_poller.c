/*
 * test_poller.c - who reads requests: close ones make a worker poll; one that
 * lasts, quiet, kinds that last, and the end, stop it.
 */
#include <criterion/criterion.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/poll_box.h"

static struct poll_box box;
static struct poll_client a, b;

static void open_box(unsigned cores)
{
	poll_box_open(&box, 4, cores);
	poll_client_open(&a, &box);
	poll_client_open(&b, &box);
}

static void close_box(void)
{
	poll_box_close(&box);
	poll_client_close(&a);
	poll_client_close(&b);
}

/* Within ten seconds. */
static bool soon_nobody_polls(void)
{
	for (int i = 0; i < 10000 && poller_polls(&box.poller); i++)
		usleep(1000);
	return !poller_polls(&box.poller);
}

static double cpu_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

Test(poller, close_requests_are_polled_for_and_each_is_answered_once)
{
	open_box(2);
	cr_assert(poll_client_until_polled(&a));
	uint64_t before = box.answered;
	for (int i = 0; i < 2000; i++)
		poll_client_ask(&a, POLL_QUICK);
	cr_assert_eq(box.answered, before + 2000);
	close_box();
}

Test(poller, a_request_that_is_stuck_stops_nobody_else)
{
	for (int i = 0; i < 5; i++) {
		open_box(2);
		cr_assert(poll_client_until_polled(&a));
		poll_client_send(&b, POLL_HELD);
		for (int k = 0; k < 200; k++)
			poll_client_ask(&a, POLL_QUICK);
		box.release = true;
		poll_client_wait(&b);
		close_box();
	}
}

Test(poller, all_workers_but_one_may_be_stuck)
{
	struct poll_client c[3];

	open_box(2);
	cr_assert(poll_client_until_polled(&a));
	for (int i = 0; i < 3; i++) {
		poll_client_open(&c[i], &box);
		poll_client_send(&c[i], POLL_HELD);
	}
	for (int k = 0; k < 200; k++)
		poll_client_ask(&a, POLL_QUICK);
	box.release = true;
	for (int i = 0; i < 3; i++) {
		poll_client_wait(&c[i]);
		poll_client_close(&c[i]);
	}
	close_box();
}

Test(poller, when_nothing_comes_nobody_polls_and_no_cpu_is_used)
{
	open_box(2);
	cr_assert(poll_client_until_polled(&a));
	cr_assert(soon_nobody_polls());
	double before = cpu_s();
	usleep(300000);
	cr_assert_lt(cpu_s() - before, 0.003);
	cr_assert_not(poller_polls(&box.poller));
	poll_client_ask(&a, POLL_QUICK);
	close_box();
}

Test(poller, requests_that_last_with_others_behind_get_all_workers)
{
	open_box(2);
	cr_assert(poll_client_until_polled(&a));
	for (int i = 0; i < 200; i++) {
		poll_client_send(&a, POLL_LASTS);
		poll_client_send(&b, POLL_LASTS);
		poll_client_wait(&a);
		poll_client_wait(&b);
	}
	/* the lead was ended, and the next one has to wait longer */
	cr_assert_gt(box.poller.wanted, 16);
	close_box();
}

Test(poller, a_crowd_gets_all_workers_where_there_are_cores)
{
	enum { MANY = 2000 };

	open_box(4);
	cr_assert(poll_client_until_polled(&a));
	for (int i = 0; i < MANY; i++)
		poll_client_send(&a, POLL_QUICK);
	for (int i = 0; i < MANY; i++)
		poll_client_wait(&a);
	/* the lead was ended, and the next one has to wait longer */
	cr_assert_gt(box.poller.wanted, 16);
	close_box();
}

Test(poller, with_one_core_nobody_polls)
{
	open_box(1);
	for (int i = 0; i < 3000; i++) {
		poll_client_ask(&a, POLL_QUICK);
		cr_assert_not(poller_polls(&box.poller));
	}
	close_box();
}

Test(poller, stopping_ends_those_who_are_parked)
{
	for (int i = 0; i < 20; i++) {
		open_box(2);
		cr_assert(poll_client_until_polled(&a));
		close_box();
	}
}
