/*
 * json.h - a small strict reader of JSON texts (RFC 8259), from memory.
 *
 * For requests, replies and settings, not for bulk: a text becomes a tree in
 * one allocation pool.  Strict: UTF-8 only, no duplicate keys, no trailing
 * bytes, depth and size bounded.  Writing is done with a buf and
 * text_json_string().  Pure; a parsed document is immutable.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"

struct errmsg;
struct json_doc;

enum json_type {
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

enum { JSON_DEPTH_MAX = 64, JSON_SIZE_MAX = 64 << 20 };

struct json {
	enum json_type type;
	uint32_t count;	  /* members of an array or object */
	const char *key;  /* of a member of an object, else NULL */
	size_t len;	  /* bytes of the string, or of the number */
	const char *text; /* NUL-terminated: string, or number as written */
	const struct json *next;  /* sibling */
	const struct json *first; /* member */
};

/* -ERR_FORMAT with the byte's position in em; -ERR_LIMIT. */
int must_use json_parse(struct json_doc **out, const void *p, size_t n,
			struct errmsg *em);
void json_free(struct json_doc *d); /* NULL is a no-op */
/* The top value; lives as long as the document. */
const struct json *json_root(const struct json_doc *d);

/* All take NULL and values of another type, and then answer "not there". */
const struct json *json_get(const struct json *object, const char *key);
/* A string without NUL inside, or NULL. */
const char *json_str(const struct json *v);
/* The same of an object's member. */
const char *json_get_str(const struct json *object, const char *key);
bool json_get_bool(const struct json *object, const char *key, bool otherwise);
/* An integer without fraction or exponent that fits. */
bool json_i64(const struct json *v, int64_t *out);
bool json_u64(const struct json *v, uint64_t *out);
bool json_get_i64(const struct json *object, const char *key, int64_t *out);
bool json_get_u64(const struct json *object, const char *key, uint64_t *out);
bool json_double(const struct json *v, double *out);

#endif
