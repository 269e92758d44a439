#!/bin/bash
# cosign takes our DSSE statements as provenance of a file, offline, and
# refuses them for another file, key or type.  It takes ten minutes to build:
# `make check-cosign` does, and `make nightly`.
# timeout: 300
. "$TOP/tests/mount/lib.sh"
. "$TOP/tests/foreign/lib.sh"
need_cosign
. "$TOP/tests/foreign/statement/sample.sh"

cosign_check() { # FILE KEY TYPE STATEMENT
	"$cosign" verify-blob-attestation --insecure-ignore-tlog --key "$2" \
		--type "$3" --signature "$4" "$1"
}

make_sample
cp model.bin other.bin
echo more >>other.bin
expect "SLSA provenance" cosign_check model.bin key.pem slsaprovenance1 model.bin.slsa
expect "a link" cosign_check model.bin key.pem \
	https://in-toto.io/attestation/link/v0.3 model.bin.in-toto
vouch mount vol mnt || fail mount
cp mnt/out2 out2
umount_volume
expect "one of a run's files" cosign_check out2 key.pem slsaprovenance1 build.1.slsa
refuse "another file" 1 digest cosign_check other.bin key.pem slsaprovenance1 model.bin.slsa
refuse "another key" 1 signature cosign_check model.bin wrong.pem slsaprovenance1 model.bin.slsa
refuse "another type" 1 predicate cosign_check model.bin key.pem spdx model.bin.slsa
