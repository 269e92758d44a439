/*
 * text.h - hostile bytes made safe for one output format each, and the text
 * forms of times, sizes and base64.
 *
 * Names and arguments are arbitrary bytes.  Every text_*_escape appends to a
 * buf and keeps valid UTF-8 as it is.  Bytes that are no UTF-8 become U+FFFD
 * each; views that must not lose them add a field with the bytes in hex
 * (text_is_utf8 says when).  All functions are pure but text_time_parse,
 * which reads the local time zone.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"

struct buf;

/* Is `path` `dir` itself or below it?  Everything is below "/" and "". */
bool text_path_below(const char *path, const char *dir);

/* Valid UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool text_is_utf8(const void *p, size_t n);
/*
 * Length of the valid UTF-8 sequence at p (1..4) and its code point, 0 when
 * the first byte starts none.  n > 0.
 */
size_t text_utf8_next(const void *p, size_t n, uint32_t *out_code);

/* The inside of a JSON string, without the quotes. */
void text_json_escape(struct buf *out, const void *p, size_t n);
/* With the quotes. */
void text_json_string(struct buf *out, const void *p, size_t n);
/* The inside of a DOT "quoted" label; no HTML labels, no \l \n \N escapes. */
void text_dot_escape(struct buf *out, const void *p, size_t n);
/* The inside of a Mermaid "quoted" label: #code; for all but plain text. */
void text_mermaid_escape(struct buf *out, const void *p, size_t n);
/* Inline Markdown and HTML: every punctuation that could mean something. */
void text_markdown_escape(struct buf *out, const void *p, size_t n);
/* A CSV field (RFC 4180), quoted when needed; formula starts get a quote '. */
void text_csv_escape(struct buf *out, const void *p, size_t n);
/* XML and HTML text or attribute value. */
void text_xml_escape(struct buf *out, const void *p, size_t n);
/* For a terminal: see log_escape; reversible (\xNN, \\). */
void text_term_escape(struct buf *out, const void *p, size_t n);
/* One line and one column of a tab-separated form: \t \n \\ and \xNN. */
void text_tab_escape(struct buf *out, const void *p, size_t n);
/*
 * How many columns of a terminal text takes that was escaped for one: East
 * Asian characters and pictures take two, marks that go above others none.
 */
size_t text_columns(const char *s);
/* Any bytes as lower-case hex. */
void text_hex(struct buf *out, const void *p, size_t n);
/* Hex of either case, an even number of digits; 0 or -ERR_FORMAT. */
int must_use text_hex_decode(struct buf *out, const char *s, size_t n);

/* "2026-11-21T10:00:00.123456789Z" and NUL. */
enum { TEXT_TIME_SIZE = 40 };
void text_time(char out[TEXT_TIME_SIZE], int64_t ns);
/*
 * RFC 3339 with a zone, 0..9 digits of fraction, years 1678 to 2261; strict.
 * 0 or -ERR_FORMAT.
 */
int must_use text_time_parse_rfc3339(int64_t *out_ns, const char *s);
/*
 * What a person types: RFC 3339 (zone optional: local time), "2026-11-21",
 * "2026-11-21 10:00", "2026-11-21 10:00:00", "10:00", "now", "today",
 * "yesterday", "10 minutes ago", "2h ago", "@1790000000".  Days start at
 * local midnight.  0 or -ERR_FORMAT.
 */
int must_use text_time_parse(int64_t *out_ns, const char *s, int64_t now_ns);
/* "90s" "10 minutes" "2h" "1d" "500ms"; 0 or -ERR_FORMAT. */
int must_use text_duration_parse(int64_t *out_ns, const char *s);

/* "0 B", "1023 B", "1.5 KiB", "12 MiB"; always terminated. */
enum { TEXT_SIZE_SIZE = 24 };
void text_size(char out[TEXT_SIZE_SIZE], uint64_t bytes);
/* "4096" "64K" "64KiB" "1.5 GiB" "10MB" (10^6); 0 or -ERR_FORMAT. */
int must_use text_size_parse(uint64_t *out, const char *s);
/* All of s is one decimal number; 0 or -ERR_FORMAT. */
int must_use text_u64_parse(uint64_t *out, const char *s);
int must_use text_i64_parse(int64_t *out, const char *s);

/* Standard alphabet, padded. */
void text_base64(struct buf *out, const void *p, size_t n);
/*
 * The canonical form only: padded, no blanks, unused bits zero.
 * 0 or -ERR_FORMAT (nothing is added then).
 */
int must_use text_base64_decode(struct buf *out, const char *s, size_t n);

#endif
