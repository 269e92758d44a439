/*
 * chunker_scan.h - the inner loop of chunker.c: where the gear hash is small.
 */
#ifndef FS_CHUNKER_SCAN_H
#define FS_CHUNKER_SCAN_H

#include <stddef.h>
#include <stdint.h>

/*
 * First length i in (from, to] such that the hash of p[..i) has its top
 * `bits` bits zero; 0 if there is none.  *hash is that of p[..from) before
 * and, when 0 is returned, of p[..to) afterwards.
 */
size_t chunker_scan(const uint8_t *p, size_t from, size_t to, unsigned bits,
		    uint64_t *hash);

/* The hash of the n bytes at p alone. */
uint64_t chunker_scan_warm(const uint8_t *p, size_t n);

#endif
