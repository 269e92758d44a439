/*
 * seq_int.h - what seq.c and seq_look.c share.
 */
#ifndef TESTS_SIM_SEQ_INT_H
#define TESTS_SIM_SEQ_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a file's figures are kept; the few files of a sequence never meet. */
unsigned seq_slot(uint64_t ino);
uint64_t seq_bytes_hash(const void *p, size_t n); /* never 0 */
/* An error that the model does not know: it comes from below. */
bool seq_from_below(int rc);

#endif
