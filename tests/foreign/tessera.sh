#!/bin/bash
# Tessera's fsck accepts our log; transparency-dev's formats takes our proof
# and writes it back byte for byte.
# timeout: 600
set -eu
. "$TOP/tests/foreign/lib.sh"
need_tessera

for more in 0 251 252 600; do
	mkdir "sample-$more"
	sample_log_export "sample-$more" "$more"
	tessera "sample-$more/log" "sample-$more/trust" \
		"sample-$more/model.bin.tlog-proof"
done
