/*
 * json.c - see json.h.  Recursive descent over a bounded text; the values lie
 * in blocks that are freed with the document.
 *
 * Invariants: (1) depth <= JSON_DEPTH_MAX, so the stack is bounded.  (2) Every
 * string is valid UTF-8 and NUL-terminated; one that holds U+0000 has
 * strlen < len, and json_str() refuses it.
 */
#include "base/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

enum { BLOCK_SIZE = 4096 };

struct block {
	struct block *next;
	size_t used, cap;
	max_align_t bytes[];
};

struct json_doc {
	struct block *blocks;
	struct json root;
};

struct parser {
	struct json_doc *doc;
	const char *start, *p, *end;
	int depth;
	int rc;
	const char *why;
};

static void *pool_get(struct json_doc *d, size_t n)
{
	struct block *b = d->blocks;

	n = (n + sizeof(max_align_t) - 1) / sizeof(max_align_t) *
	    sizeof(max_align_t);
	if (!b || b->cap - b->used < n) {
		size_t cap = n > BLOCK_SIZE ? n : (size_t)BLOCK_SIZE;
		b = malloc(sizeof(*b) + cap);
		if (!b)
			return NULL;
		*b = (struct block){ .next = d->blocks, .cap = cap };
		d->blocks = b;
	}
	void *p = (char *)b->bytes + b->used;
	b->used += n;
	return p;
}

static bool fail(struct parser *s, int rc, const char *why)
{
	if (s->rc == 0) {
		s->rc = rc;
		s->why = why;
	}
	return false;
}

static void blanks(struct parser *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' ||
				 *s->p == '\n' || *s->p == '\r'))
		s->p++;
}

static bool take_char(struct parser *s, char c)
{
	if (s->p == s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

static bool hex4(struct parser *s, uint32_t *out)
{
	*out = 0;
	if (s->end - s->p < 4)
		return fail(s, -ERR_FORMAT, "short escape");
	for (int i = 0; i < 4; i++) {
		char c = *s->p++;
		uint32_t v;
		if (c >= '0' && c <= '9')
			v = (uint32_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = (uint32_t)(c - 'a') + 10;
		else if (c >= 'A' && c <= 'F')
			v = (uint32_t)(c - 'A') + 10;
		else
			return fail(s, -ERR_FORMAT, "bad escape");
		*out = *out << 4 | v;
	}
	return true;
}

/* After "\u": a code point, a surrogate pair being two escapes. */
static bool unicode(struct parser *s, uint32_t *out)
{
	uint32_t low;

	if (!hex4(s, out))
		return false;
	if (*out < 0xd800 || *out > 0xdfff)
		return true;
	if (*out > 0xdbff || !take_char(s, '\\') || !take_char(s, 'u') ||
	    !hex4(s, &low) || low < 0xdc00 || low > 0xdfff)
		return fail(s, -ERR_FORMAT, "lone surrogate");
	*out = 0x10000 + ((*out - 0xd800) << 10) + (low - 0xdc00);
	return true;
}

static char *utf8_put(char *o, uint32_t c)
{
	if (c < 0x80) {
		*o++ = (char)c;
	} else if (c < 0x800) {
		*o++ = (char)(0xc0 | c >> 6);
		*o++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*o++ = (char)(0xe0 | c >> 12);
		*o++ = (char)(0x80 | (c >> 6 & 0x3f));
		*o++ = (char)(0x80 | (c & 0x3f));
	} else {
		*o++ = (char)(0xf0 | c >> 18);
		*o++ = (char)(0x80 | (c >> 12 & 0x3f));
		*o++ = (char)(0x80 | (c >> 6 & 0x3f));
		*o++ = (char)(0x80 | (c & 0x3f));
	}
	return o;
}

/* One escape after its backslash; the output is never longer than the input. */
static bool escape(struct parser *s, char **o)
{
	static const char from[] = "\"\\/bfnrt";
	static const char to[] = "\"\\/\b\f\n\r\t";
	uint32_t code;

	if (s->p == s->end)
		return fail(s, -ERR_FORMAT, "short escape");
	char c = *s->p++;
	if (c == 'u') {
		if (!unicode(s, &code))
			return false;
		*o = utf8_put(*o, code);
		return true;
	}
	const char *at = c == '\0' ? NULL : strchr(from, c);
	if (!at)
		return fail(s, -ERR_FORMAT, "bad escape");
	*(*o)++ = to[at - from];
	return true;
}

static bool string(struct parser *s, const char **out, size_t *out_len)
{
	const char *q = s->p;
	size_t raw = 0;

	if (!take_char(s, '"'))
		return fail(s, -ERR_FORMAT, "string expected");
	for (q = s->p; q < s->end && *q != '"'; q += *q == '\\' ? 2 : 1)
		continue;
	if (q >= s->end)
		return fail(s, -ERR_FORMAT, "string without end");
	raw = (size_t)(q - s->p);
	char *text = pool_get(s->doc, raw + 1);
	if (!text)
		return fail(s, -ENOMEM, "out of memory");
	char *o = text;
	while (s->p < q) {
		char c = *s->p;
		if ((unsigned char)c < 0x20)
			return fail(s, -ERR_FORMAT, "control character");
		s->p++;
		if (c != '\\')
			*o++ = c;
		else if (!escape(s, &o))
			return false;
	}
	if (s->p != q)
		return fail(s, -ERR_FORMAT, "bad escape");
	s->p++;
	*o = '\0';
	*out = text;
	*out_len = (size_t)(o - text);
	if (!text_is_utf8(text, *out_len))
		return fail(s, -ERR_FORMAT, "no UTF-8");
	return true;
}

static bool digits(struct parser *s)
{
	const char *from = s->p;

	while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
		s->p++;
	return s->p > from || fail(s, -ERR_FORMAT, "digit expected");
}

static bool number(struct parser *s, struct json *v)
{
	const char *from = s->p;

	take_char(s, '-');
	bool zero = s->p < s->end && *s->p == '0';
	const char *whole = s->p;
	if (!digits(s))
		return false;
	if (zero && s->p - whole > 1)
		return fail(s, -ERR_FORMAT, "leading zero");
	if (take_char(s, '.') && !digits(s))
		return false;
	if (take_char(s, 'e') || take_char(s, 'E')) {
		if (!take_char(s, '+'))
			take_char(s, '-');
		if (!digits(s))
			return false;
	}
	v->type = JSON_NUMBER;
	v->len = (size_t)(s->p - from);
	char *text = pool_get(s->doc, v->len + 1);
	if (!text)
		return fail(s, -ENOMEM, "out of memory");
	memcpy(text, from, v->len);
	text[v->len] = '\0';
	v->text = text;
	return true;
}

static bool word(struct parser *s, const char *w, struct json *v,
		 enum json_type type)
{
	size_t n = strlen(w);

	if ((size_t)(s->end - s->p) < n || memcmp(s->p, w, n) != 0)
		return fail(s, -ERR_FORMAT, "value expected");
	s->p += n;
	v->type = type;
	return true;
}

static bool value(struct parser *s, struct json *v);

/* The key of a member and its colon; a key that was there is refused. */
static bool member_key(struct parser *s, const struct json *object,
		       struct json *m)
{
	size_t len;

	blanks(s);
	if (!string(s, &m->key, &len))
		return false;
	if (strlen(m->key) != len)
		return fail(s, -ERR_FORMAT, "NUL in a key");
	if (json_get(object, m->key))
		return fail(s, -ERR_FORMAT, "key given twice");
	blanks(s);
	return take_char(s, ':') || fail(s, -ERR_FORMAT, "colon expected");
}

static bool members(struct parser *s, struct json *v, char close)
{
	const struct json **tail = &v->first;

	v->type = close == ']' ? JSON_ARRAY : JSON_OBJECT;
	blanks(s);
	if (take_char(s, close))
		return true;
	do {
		struct json *m = pool_get(s->doc, sizeof(*m));
		if (!m)
			return fail(s, -ENOMEM, "out of memory");
		*m = (struct json){ 0 };
		if (close == '}' && !member_key(s, v, m))
			return false;
		blanks(s);
		if (!value(s, m))
			return false;
		*tail = m;
		tail = &m->next;
		v->count++;
		blanks(s);
	} while (take_char(s, ','));
	return take_char(s, close) ||
	       fail(s, -ERR_FORMAT, "comma or closing bracket expected");
}

static bool value(struct parser *s, struct json *v)
{
	bool ok = false;

	if (s->depth == JSON_DEPTH_MAX)
		return fail(s, -ERR_LIMIT, "nested too deep");
	s->depth++;
	switch (s->p < s->end ? *s->p : '\0') {
	case '{':
	case '[':
		ok = members(s, v, *s->p++ == '{' ? '}' : ']');
		break;
	case '"':
		v->type = JSON_STRING;
		ok = string(s, &v->text, &v->len);
		break;
	case 't':
		ok = word(s, "true", v, JSON_TRUE);
		break;
	case 'f':
		ok = word(s, "false", v, JSON_FALSE);
		break;
	case 'n':
		ok = word(s, "null", v, JSON_NULL);
		break;
	default:
		ok = number(s, v);
	}
	s->depth--;
	return ok;
}

int json_parse(struct json_doc **out, const void *p, size_t n,
	       struct errmsg *em)
{
	struct parser s = { .start = p, .p = p, .end = (const char *)p + n };

	if (n > JSON_SIZE_MAX)
		return errmsg_set(em, -ERR_LIMIT, "JSON text is too long");
	s.doc = calloc(1, sizeof(*s.doc));
	if (!s.doc)
		return -ENOMEM;
	blanks(&s);
	if (value(&s, &s.doc->root)) {
		blanks(&s);
		if (s.p != s.end)
			fail(&s, -ERR_FORMAT, "text after the value");
	}
	if (s.rc < 0) {
		json_free(s.doc);
		return errmsg_set(em, s.rc, "bad JSON at byte %zu: %s",
				  (size_t)(s.p - s.start), s.why);
	}
	*out = s.doc;
	return 0;
}

void json_free(struct json_doc *d)
{
	if (!d)
		return;
	while (d->blocks) {
		struct block *b = d->blocks;
		d->blocks = b->next;
		free(b);
	}
	free(d);
}

const struct json *json_root(const struct json_doc *d)
{
	return d ? &d->root : NULL;
}

const struct json *json_get(const struct json *object, const char *key)
{
	if (!object || object->type != JSON_OBJECT)
		return NULL;
	for (const struct json *m = object->first; m; m = m->next)
		if (strcmp(m->key, key) == 0)
			return m;
	return NULL;
}

const char *json_str(const struct json *v)
{
	if (!v || v->type != JSON_STRING || strlen(v->text) != v->len)
		return NULL;
	return v->text;
}

const char *json_get_str(const struct json *object, const char *key)
{
	return json_str(json_get(object, key));
}

bool json_get_bool(const struct json *object, const char *key, bool otherwise)
{
	const struct json *v = json_get(object, key);

	if (!v || (v->type != JSON_TRUE && v->type != JSON_FALSE))
		return otherwise;
	return v->type == JSON_TRUE;
}

bool json_i64(const struct json *v, int64_t *out)
{
	return v && v->type == JSON_NUMBER && text_i64_parse(out, v->text) == 0;
}

bool json_u64(const struct json *v, uint64_t *out)
{
	return v && v->type == JSON_NUMBER && text_u64_parse(out, v->text) == 0;
}

bool json_get_i64(const struct json *object, const char *key, int64_t *out)
{
	return json_i64(json_get(object, key), out);
}

bool json_get_u64(const struct json *object, const char *key, uint64_t *out)
{
	return json_u64(json_get(object, key), out);
}

bool json_double(const struct json *v, double *out)
{
	if (!v || v->type != JSON_NUMBER)
		return false;
	*out = strtod(v->text, NULL); /* nobody calls setlocale here */
	return true;
}
