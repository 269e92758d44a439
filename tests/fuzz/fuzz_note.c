/*
 * fuzz_note.c - signed notes and verifier keys, as lines and whole.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "ledger/note.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A key that claims to have made the note's first signature. */
static void verify(const struct note *n)
{
	struct note_vkey k = { .alg = NOTE_ED25519, .pub = { 1 } };
	bool by = false;
	uint64_t when = 0;

	if (n->sigs[0].name_n > NOTE_NAME_MAX)
		abort();
	memcpy(k.name, n->sigs[0].name, n->sigs[0].name_n);
	k.id = n->sigs[0].id;
	if (note_verify(n, &k, 1, &by, &when) >= 0)
		abort();
	k.alg = NOTE_COSIGNATURE;
	if (note_verify(n, &k, 1, &by, &when) >= 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct note n;
	struct note_vkey k;
	struct buf out = BUF_INIT;

	if (note_parse(&n, data, size) == 0) {
		if (n.n_sigs == 0 || n.text_n >= size ||
		    n.text[n.text_n - 1] != '\n')
			abort();
		verify(&n);
	}
	if (note_vkey_parse(&k, (const char *)data, size) == 0) {
		note_vkey_format(&out, &k);
		if (out.n != size || memcmp(out.p, data, size) != 0)
			abort();
	}
	buf_release(&out);
	return 0;
}
