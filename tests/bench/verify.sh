# vouch verify of a volume with many entries and many bytes, beside SHA-256
# and BLAKE3 of the same files on one core.  Deep is verify and more: what it
# takes more is compared with BLAKE3 of the packs, which is all it reads more.
# shellcheck shell=bash
set -u
. "$TOP/tests/bench/lib.sh"

mib=1024 files=50000
[ -z "${QUICK:-}" ] || { mib=128 files=5000; }
need_space $((mib * 4))
asks verify || exit 0

start_ours
names make mnt/f $files 4 >/dev/null && names remove mnt/f >/dev/null &&
	work write mnt/u $mib unique 1 >/dev/null || exit 1
vouch umount mnt || exit 1
for ((r = 0; r < rounds; r++)); do
	figure verify log "$(work run vouch verify vol)"
	figure verify log.sha "$(work hash sha256 vol/ledger vol/wal | cut -d' ' -f1)"
	figure verify deep "$(work run vouch verify vol --deep)"
	figure verify all.blake "$(work hash blake3 vol/packs vol/ledger vol/wal | cut -d' ' -f1)"
	figure verify deep.blake "$(work hash blake3 vol/packs | cut -d' ' -f1)"
done
entries=$(vouch verify vol --format=json | sed 's/.*"entries":\([0-9]*\).*/\1/')
bytes=$(work hash blake3 vol/packs vol/ledger vol/wal | cut -d' ' -f2)
fact "verify: log and signatures" "$entries / $(median verify log)" entries/s
fact "verify: its speed, of one core's SHA-256 of the log's files" \
	"$(median verify log.sha) / $(median verify log)" x ">=1.5"
fact "verify --deep" "$bytes / 1e6 / $(median verify deep)" MB/s
fact "verify --deep: its speed, of one core's BLAKE3 of all files" \
	"$(median verify all.blake) / $(median verify deep)" x ">=0.7"
fact "verify --deep: content, of one core's BLAKE3 of the packs" \
	"$(median verify deep.blake) / ($(median verify deep) - $(median verify log))" x
finish
