/*
 * proof_text.h - a checked proof in words or JSON: who, what, when, from
 * what, and how sure.  Hostile strings come out escaped.  Pure.
 */
#ifndef LEDGER_PROOF_TEXT_H
#define LEDGER_PROOF_TEXT_H

struct buf;
struct proof_report;

/* Lines for a person; `file` is the name checked, may be NULL. */
void proof_text(struct buf *out, const struct proof_report *r,
		const char *file);
/* One JSON object and a newline. */
void proof_text_json(struct buf *out, const struct proof_report *r,
		     const char *file);

#endif
