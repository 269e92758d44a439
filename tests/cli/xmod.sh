#!/bin/bash
# The Go command's own verifier accepts our log, and refuses a changed one.
# timeout: 300
set -eu
. "$TOP/tests/foreign/lib.sh"
need_xmod

for more in 0 1 251 252 600; do
	mkdir "sample-$more"
	sample_log_export "sample-$more" "$more"
	xmod "sample-$more/log" "sample-$more/trust"
done

# The first byte of every file, one file at a time.
find sample-252/log -type f | sort >files
[ "$(wc -l <files)" -ge 5 ]
while read -r file; do
	cp -r sample-252 changed
	file=changed/${file#sample-252/}
	printf '\001' | dd of="$file" bs=1 seek=20 conv=notrunc status=none
	if xmod changed/log changed/trust >out 2>&1; then
		echo "accepted with $file changed"
		exit 1
	fi
	rm -r changed
done <files
