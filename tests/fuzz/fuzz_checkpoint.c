/*
 * fuzz_checkpoint.c - checkpoints.  What parses formats to how it began.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "ledger/checkpoint.h"
#include "ledger/note.h"
#include "ledger/tile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct checkpoint c;
	struct note_vkey k;
	struct tile t;
	struct buf out = BUF_INIT;
	char path[TILE_PATH_MAX];
	static const uint8_t pub[32] = { 1 };

	if (note_vkey_make(&k, "vouchfs.example/sample", NOTE_ED25519, pub))
		abort();
	if (checkpoint_open(&c, data, size, &k, 1) == 0)
		abort(); /* nobody has that key */
	if (checkpoint_parse(&c, (const char *)data, size) == 0) {
		checkpoint_format(&out, &c);
		if (out.n > size || memcmp(out.p, data, out.n) != 0)
			abort();
	}
	if (tile_path_parse(&t, (const char *)data, size) == 0) {
		tile_path(path, &t);
		if (strlen(path) != size || memcmp(path, data, size) != 0)
			abort();
	}
	buf_release(&out);
	return 0;
}
