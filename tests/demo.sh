#!/usr/bin/env bash
# demo.sh - the main job on real input, in about a minute; leaves nothing mounted, running or lying about.
# KEEP=1 keeps the directory with the volume.
set -euo pipefail

vouch=${VOUCH:-vouch}
check=${VOUCH_CHECK:-$(dirname "$(command -v "$vouch")")/vouch-check}
dir=$(mktemp -d "${TMPDIR:-/tmp}/vouch-demo.XXXXXX")
mnt=$dir/mnt vol=$dir/vol
export VOUCHFS_GUARD_DIR=$dir/guard	# leave no note behind

if [ -t 1 ]; then bold=$'\e[1m' dim=$'\e[2m' off=$'\e[0m'; else bold='' dim='' off=''; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$off"; }
run() { printf '%s$ %s%s\n' "$dim" "$*" "$off"; "$@"; }

finish() {
	status=$?
	if mountpoint -q "$mnt" 2>/dev/null || grep -q " $mnt fuse" /proc/mounts; then
		"$vouch" umount "$mnt" || umount -l "$mnt" || true
	fi
	if [ -n "${KEEP:-}" ]; then
		echo "kept: $dir"
	else
		rm -rf "$dir"
	fi
	[ "$status" = 0 ] || echo "demo: failed (status $status)" >&2
	exit "$status"
}
trap finish EXIT

say "1. A volume, with two copies of everything elsewhere"
mkdir "$mnt" "$dir/east" "$dir/west"
run "$vouch" init "$vol" --origin demo.example/log
run "$vouch" replica add "$vol" "$dir/east"
run "$vouch" replica add "$vol" "$dir/west"
run "$vouch" mount "$vol" "$mnt"

say "2. Ordinary tools: copy this machine's header files, clone a repository inside the mount"
src=/usr/include
run cp -a "$src" "$mnt/include"
repo=$dir/upstream
git init -q "$repo"
(
	cd "$repo"
	git config user.name demo && git config user.email demo@example.org
	cp -r "$src/linux" . && git add -A && git commit -q -m "kernel headers"
	printf 'int main(void) { return 0; }\n' >main.c && git add -A && git commit -q -m "a program"
)
run git clone -q "$repo" "$mnt/repo"
run git -C "$mnt/repo" fsck --no-progress
run cp -a "$mnt/include" "$mnt/second-copy"

say "3. Work on it: edit, rename, delete"
cp "$mnt/include/stdio.h" "$mnt/notes.h"
sed -i 's/FILE/STREAM/' "$mnt/notes.h"
mv "$mnt/notes.h" "$mnt/notes-renamed.h"
echo '/* one more line */' >>"$mnt/notes-renamed.h"
rm -r "$mnt/second-copy/linux"
find "$mnt" -path "$mnt/audit" -prune -o -type f -print | wc -l | sed 's/$/ files/'

say "4. A training job: a script reads a data file in the mount and writes a model below /models/demo/1/"
mkdir -p "$mnt/models/demo/1" "$mnt/data"
awk 'BEGIN { srand(7); for (i = 0; i < 2000; i++) { a = rand() * 10; b = rand() * 4; e = rand() - .5
	printf "%.4f,%.4f,%.4f\n", a, b, 3 * a - 2 * b + 5 + e } }' >"$mnt/data/points.csv"
cat >"$mnt/train.sh" <<'TRAIN'
#!/bin/sh
# Linear regression by gradient descent: y = w1 a + w2 b + w0.
exec awk -F, '
{ a[NR] = $1; b[NR] = $2; y[NR] = $3 }
END {
	for (epoch = 0; epoch < 400; epoch++) {
		g0 = g1 = g2 = loss = 0
		for (i = 1; i <= NR; i++) {
			e = w0 + w1 * a[i] + w2 * b[i] - y[i]
			g0 += e; g1 += e * a[i]; g2 += e * b[i]; loss += e * e
		}
		w0 -= .02 * g0 / NR; w1 -= .02 * g1 / NR; w2 -= .02 * g2 / NR
	}
	printf "{\"w0\": %.4f, \"w1\": %.4f, \"w2\": %.4f, \"mse\": %.4f}\n", w0, w1, w2, loss / NR
}' "$1" >"$2"
TRAIN
chmod +x "$mnt/train.sh"
run "$mnt/train.sh" "$mnt/data/points.csv" "$mnt/models/demo/1/model.json"
run cat "$mnt/models/demo/1/model.json"

say "5. What happened to one file: every change, who did it, with which program"
run "$vouch" log "$mnt/notes-renamed.h"

say "6. Where the model comes from: the data, the script, the program"
run "$vouch" lineage "$mnt/models/demo/1/model.json"

say "7. A query over the ledger, as a file: the largest files, and what wrote them"
cat >"$mnt/query/largest.sql" <<'SQL'
SELECT path, size, sha256 FROM files ORDER BY size DESC, path LIMIT 5;
SQL
run cat "$mnt/query/largest/result.csv"

say "8. A proof that a stranger checks, offline, trusting nobody here"
run "$vouch" prove "$mnt/models/demo/1/model.json" -o "$dir/model.tlog-proof"
"$vouch" key show "$vol" >"$dir/trust"
cp "$mnt/models/demo/1/model.json" "$dir/model.json"
run "$check" "$dir/model.json" "$dir/model.tlog-proof" --trust "$dir/trust"
sed 's/w1/w9/' "$dir/model.json" >"$dir/forged.json"
printf '%sand one changed byte:%s\n' "$dim" "$off"
if "$check" "$dir/forged.json" "$dir/model.tlog-proof" --trust "$dir/trust"; then
	echo "a forged file was accepted" >&2
	exit 1
fi

say "9. A disk goes bad: bytes of a pack are overwritten; reading repairs them from a copy"
run "$vouch" replica sync "$mnt"
run "$vouch" umount "$mnt"
pack=$(ls -S "$vol"/packs/*.pack | head -n 1)
size=$(stat -c %s "$pack")
for i in 1 2 3 4 5 6 7 8 9; do
	printf 'ROT ROT ROT ROT ' | dd of="$pack" bs=1 seek=$((size * i / 10)) conv=notrunc status=none
done
run "$vouch" mount "$vol" "$mnt"
run diff -r --no-dereference "$src" "$mnt/include" && echo "every byte is right"
run "$vouch" scrub "$mnt"
grep -c '"kind":"repair"' "$mnt/audit/log.jsonl" | sed 's/$/ repairs, each an entry of the ledger/'

say "10. Everything verified: signatures, log, tiles, every chunk"
run "$vouch" verify "$mnt" --deep

say "11. Space: two copies of the headers and a repository with some of them"
run "$vouch" status "$mnt"

say "12. Unmounted and mounted again: all is there"
run "$vouch" umount "$mnt"
run "$vouch" mount "$vol" "$mnt"
diff -r --no-dereference "$src" "$mnt/include"
cat "$mnt/models/demo/1/model.json"
[ "$(git -C "$mnt/repo" status --porcelain | wc -l)" = 0 ] && echo "the clone is clean"
ls "$mnt/audit"
run "$vouch" umount "$mnt"

say "Done.  To try next:"
cat <<'NEXT'
  vouch init ~/vol && mkdir ~/mnt && vouch mount ~/vol ~/mnt
  tail -f ~/mnt/audit/log.jsonl          everything that happens, as it happens
  cat ~/mnt/audit/history/FILE.jsonl     all that happened to FILE
  ls ~/mnt/audit/at/$(date -u +%Y-%m-%dT%H:%M:%SZ)/   the tree as it was at any time
  getfattr -n user.vouch.sha256 ~/mnt/FILE
  man vouch
NEXT
