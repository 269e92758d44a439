/*
 * sha256_rounds.h - one block of SHA-256 in each lane, as FIPS 180-4 writes
 * it down; the body of a function that sha256_lanes.c makes for each width.
 *
 * The includer names the function (ROUNDS), its lanes (LANES), the type of a
 * word of all lanes (VEC), the processor (TARGET) and the three functions of
 * bits (XOR3, CHOOSE, MAJORITY).  All are undefined here again.
 */
/* No guard: it is included once for each width. */

#define ROTATE(x, n) ((x) >> (n) | (x) << (32 - (n)))
#define SUM0(x) XOR3(ROTATE(x, 2), ROTATE(x, 13), ROTATE(x, 22))
#define SUM1(x) XOR3(ROTATE(x, 6), ROTATE(x, 11), ROTATE(x, 25))
#define MIX0(x) XOR3(ROTATE(x, 7), ROTATE(x, 18), (x) >> 3)
#define MIX1(x) XOR3(ROTATE(x, 17), ROTATE(x, 19), (x) >> 10)
/* Round i; the eight variables change their names, not their places. */
#define ROUND(a, b, c, d, e, f, g, h, i)                               \
	do {                                                           \
		VEC t = (h) + SUM1(e) + CHOOSE(e, f, g) + w[i] + k[i]; \
                                                                       \
		(d) += t;                                              \
		(h) = t + SUM0(a) + MAJORITY(a, b, c);                 \
	} while (0)
#define EIGHT_ROUNDS(i)                                 \
	do {                                            \
		ROUND(a, b, c, d, e, f, g, h, (i));     \
		ROUND(h, a, b, c, d, e, f, g, (i) + 1); \
		ROUND(g, h, a, b, c, d, e, f, (i) + 2); \
		ROUND(f, g, h, a, b, c, d, e, (i) + 3); \
		ROUND(e, f, g, h, a, b, c, d, (i) + 4); \
		ROUND(d, e, f, g, h, a, b, c, (i) + 5); \
		ROUND(c, d, e, f, g, h, a, b, (i) + 6); \
		ROUND(b, c, d, e, f, g, h, a, (i) + 7); \
	} while (0)

TARGET void ROUNDS(struct sha256_lanes *s)
{
	VEC *state[8], w[16];
	const uint32_t *k = constants;

	for (int i = 0; i < 8; i++)
		state[i] = (VEC *)(void *)s->h[i];
	for (int i = 0; i < 16; i++)
		w[i] = *(const VEC *)(const void *)s->w[i];

	VEC a = *state[0], b = *state[1], c = *state[2], d = *state[3];
	VEC e = *state[4], f = *state[5], g = *state[6], h = *state[7];

	for (int round = 0;; round += 16, k += 16) {
		EIGHT_ROUNDS(0);
		EIGHT_ROUNDS(8);
		if (round == 48)
			break;
#pragma GCC unroll 16
		for (int i = 0; i < 16; i++)
			w[i] += MIX0(w[(i + 1) % 16]) + w[(i + 9) % 16] +
				MIX1(w[(i + 14) % 16]);
	}
	*state[0] += a;
	*state[1] += b;
	*state[2] += c;
	*state[3] += d;
	*state[4] += e;
	*state[5] += f;
	*state[6] += g;
	*state[7] += h;
}

#undef ROTATE
#undef SUM0
#undef SUM1
#undef MIX0
#undef MIX1
#undef ROUND
#undef EIGHT_ROUNDS
#undef ROUNDS
#undef VEC
#undef TARGET
#undef XOR3
#undef CHOOSE
#undef MAJORITY
