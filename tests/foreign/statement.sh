#!/bin/bash
# What `vouch lineage --as` prints is taken by the libraries of those who made
# the formats: securesystemslib, in-toto-attestation, prov, openlineage-python.
. "$TOP/tests/mount/lib.sh"
. "$TOP/tests/foreign/lib.sh"
need_python
. "$TOP/tests/foreign/statement/sample.sh"

make_sample
for form in in-toto slsa prov openlineage; do
	for what in model.bin build.1 "$hostile"; do
		expect "$form of $what" python_check $form "$what.$form" key.pem wrong.pem
	done
done
[ $failures = 0 ] || cat err
