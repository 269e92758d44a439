#!/bin/bash
# data_digest.sh: the plain digest of a file that was not hashed while it was
# written is there when somebody asks, and comes by itself when all rests.
# timeout: 180
. "$(dirname "$0")/lib.sh"

digests() { # of the file
	vouch log "mnt/$1" --format=json | grep -c '"digest"'
}
sha() {
	getfattr --only-values -n user.vouch.sha256 "mnt/$1" 2>/dev/null
}

new_volume
mount_volume
head -c 40M /dev/urandom >whole
# the second half first: no stream
for f in asked left; do
	dd if=whole of=mnt/$f bs=1M skip=20 seek=20 conv=notrunc status=none
	dd if=whole of=mnt/$f bs=1M count=20 conv=notrunc status=none
done
same "not hashed yet" "$(digests asked) $(digests left)" "0 0"
want=$(sha256sum <whole | cut -d' ' -f1)
same "asked for" "$(sha asked)" "$want"
same "entered" "$(digests asked)" 1
for ((i = 0; i < 100 * SLOWNESS; i++)); do
	[ "$(digests left)" = 0 ] || break
	sleep 0.3
done
same "by itself" "$(digests left)" 1
same "and right" "$(sha left)" "$want"
same "once" "$(digests left) $(digests asked)" "1 1"
# as fast as can be: whether hashed on the way or not, the answer is the same
cat whole whole whole whole >many
cp many mnt/many
same "a fast stream" "$(sha many)" "$(sha256sum <many | cut -d' ' -f1)"
umount_volume
expect "verify" vouch verify --deep vol
