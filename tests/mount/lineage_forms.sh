#!/bin/bash
# Lineage as others take it: every form of a file's and of a run's; statements
# are signed; what came by ways that nobody can follow is said to have.
. "$TOP/tests/mount/lib.sh"

new_volume --origin vouchfs.example/forms
mount_volume

# statement FORM WHAT [OPTIONS]: the payload, its signature checked by openssl
statement() {
	local form=$1
	shift
	vouch lineage "$@" --as="$form" >envelope 2>err ||
		{ fail "lineage $* --as=$form: $(cat err)"; echo '{}'; return; }
	[ "$(wc -l <envelope)" = 1 ] || fail "not one line"
	jq -r .payload envelope | base64 -d >payload
	jq -r '.signatures[0].sig' envelope | base64 -d >sig
	jq -r .payloadType envelope | tr -d '\n' >type
	{
		printf 'DSSEv1 %d ' "$(stat -c %s type)"
		cat type
		printf ' %d ' "$(stat -c %s payload)"
		cat payload
	} >pae
	openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in pae -sigfile sig \
		>verified 2>&1 || fail "openssl: $(cat verified)"
	cat payload
}
reasons() { jq -c '[.. | .incomplete? // empty | .[].reason] | unique' "$1"; }
has_reason() { # FILE REASON WHAT
	jq -e --arg r "$2" '[.. | .incomplete? // empty | .[].reason] | index($r)' \
		"$1" >/dev/null || fail "$3: no reason $2 in $(reasons "$1")"
}
materials() { # FILE: "name strength", sorted
	jq -r '(.predicate.materials // .predicate.buildDefinition.resolvedDependencies)[] |
		select(.annotations.strength) | "\(.name) \(.annotations.strength)"' "$1" | sort
}

vouch key show vol --pem >key.pem || fail "key show --pem"
expect "a key that openssl reads" openssl pkey -pubin -in key.pem -noout
same "by its id" "$(vouch key show vol --pem --id="$(vouch key list vol --format=json |
	jq -r '.[] | select(.role == "mount") | .id')")" "$(cat key.pem)"
refuse "an unknown id" 1 "no key 00" vouch key show vol --pem --id=00
refuse "--id alone" 2 "goes with --pem" vouch key show vol --id=00

# --- a file ---

echo 1,2,3 >mnt/data.csv
cp mnt/data.csv mnt/copied
statement in-toto mnt/copied >s.json
same "subject" "$(jq -r '.subject[] | "\(.name) \(.digest.sha256) \(.annotations.strength)"' s.json)" \
	"copied $(sha256sum <mnt/copied | cut -d' ' -f1) exact"
same "materials" "$(materials s.json)" "data.csv exact"
same "the material's digest" "$(jq -r '.predicate.materials[0].digest.sha256' s.json)" \
	"$(sha256sum <mnt/data.csv | cut -d' ' -f1)"
same "command" "$(jq -c .predicate.command s.json)" '["cp","mnt/data.csv","mnt/copied"]'
same "never complete" "$(jq '.predicate.byproducts.vouchfs.complete' s.json)" false
! grep -qiw '"read"' s.json || fail "a statement says read"
statement slsa mnt/copied >s.json
same "SLSA's subject" "$(jq -r '.subject[0].name' s.json)" copied
same "SLSA's materials" "$(materials s.json)" "data.csv exact"
same "build type" "$(jq -r .predicate.buildDefinition.buildType s.json)" urn:vouchfs:write:v1
jq -r .predicate.runDetails.builder.id s.json |
	grep -Eq '^urn:vouchfs:volume:[0-9a-f]{32}:mount:1$' || fail "builder"
same "the same builder again" "$(jq -r .predicate.runDetails.builder.id s.json)" \
	"$(statement slsa mnt/data.csv | jq -r .predicate.runDetails.builder.id)"

# a plain digest that is owed is made
printf X | dd of=mnt/data.csv bs=1 seek=2 conv=notrunc status=none
same "digest on demand" "$(statement in-toto mnt/data.csv | jq -r '.subject[0].digest.sha256')" \
	"$(sha256sum <mnt/data.csv | cut -d' ' -f1)"
# of an old version the one there was; with --version
same "an older version" "$(statement in-toto mnt/data.csv --version=1 | jq -r '.subject[0].digest.sha256')" \
	"$(echo 1,2,3 | sha256sum | cut -d' ' -f1)"
refuse "no such version" 1 "no such version" vouch lineage mnt/data.csv --version=99 --as=slsa

for form in prov dot mermaid json openlineage; do
	expect "$form" vouch lineage mnt/copied --as=$form
	cp out $form.out
	expect "$form into a file" vouch lineage mnt/copied --as=$form -o $form.file
	same "$form, twice" "$(cmp $form.out $form.file 2>&1)" ""
done
same "PROV: used" "$(jq -r '.used[]."vouchfs:strength"' prov.out)" exact
same "PROV derives nothing" "$(jq .wasDerivedFrom prov.out)" null
same "OpenLineage" "$(jq -r '"\(.eventType) \(.inputs[0].name) \(.outputs[0].name)"' openlineage.out)" \
	"OTHER data.csv copied"
head -n 1 mermaid.out | grep -qx 'flowchart LR' || fail mermaid

# hostile names: no form breaks
evil=$'e"<b>\\&]|\n\x1b[31m\xff$(x)'
echo x >"mnt/$evil"
cp "mnt/$evil" mnt/of-evil
for form in in-toto slsa; do statement $form "mnt/$evil" >s.json; done
expect "a proof of it" vouch prove "mnt/$evil"
jq -e '.subject[0].annotations.name_hex' s.json >/dev/null || fail "bytes of the name are lost"
for form in prov openlineage json; do
	vouch lineage mnt/of-evil --as=$form | jq -e . >/dev/null || fail "$form of a hostile name"
done
# bytes that are no UTF-8, of names, arguments, directories and the environment,
# are there in hex, too
hexed() { printf %s "$1" | od -An -tx1 -v | tr -d ' \n'; }
mkdir "mnt/dir"$'\xfe'
(cd "mnt/dir"$'\xfe' && env $'A\xfd=1' $'A\xfe=2' vouch run -q --name odd -- sh -c 'cat "$1" >made' $'sh\xfc' "../$evil")
same "how odd ended" $? 0
name=$(hexed "$evil") argv=$(hexed "${evil#*\\}")
vouch lineage "mnt/dir"$'\xfe/made' --as=slsa | jq -r .payload | base64 -d >s.json
jq -e --arg a "$argv" --arg n "$name" '.predicate.buildDefinition | (.internalParameters.vouchfs.command_hex | contains($a)) and
	(.externalParameters.cwd_hex | endswith("646972fe")) and
	(.resolvedDependencies[0].annotations.name_hex == $n)' s.json >/dev/null || fail "slsa lost bytes"
(cd mnt && vouch lineage odd --as=slsa) | jq -r .payload | base64 -d |
	jq -e --arg a "$argv" '.predicate.buildDefinition | (.internalParameters.vouchfs.command_hex | contains($a)) and
	(.externalParameters.cwd_hex | endswith("646972fe"))' >/dev/null || fail "the run's slsa lost bytes"
vouch lineage "mnt/dir"$'\xfe/made' --as=in-toto | jq -r .payload | base64 -d |
	jq -e '.predicate.byproducts.vouchfs | .command_hex and .writer.cwd_hex' >/dev/null || fail "in-toto lost bytes"
vouch lineage "mnt/dir"$'\xfe/made' --as=openlineage |
	jq -e --arg a "$name" '.inputs[0].facets.vouchfs_statement.name_hex == $a and
		.run.facets.vouchfs_statement.statement.command_hex' >/dev/null || fail "OpenLineage lost bytes"
for what in "mnt/dir"$'\xfe/made' odd; do
	(cd mnt && vouch lineage "${what#mnt/}" --as=prov) | jq -e --arg a "$name" \
		'[.entity[] | .["vouchfs:label_hex"]] | index($a)' >/dev/null || fail "PROV of $what lost bytes"
done
(cd mnt && vouch lineage odd --as=slsa) | jq -r .payload | base64 -d |
	jq -e '.predicate.buildDefinition.internalParameters.environment |
		.["hex:41fd"] and .["hex:41fe"] and .["hex:41fd"] != .["hex:41fe"]' >/dev/null ||
	fail "names of the environment became one"
for form in mermaid dot; do
	vouch lineage mnt/of-evil --as=$form >evil.$form
	! grep -q $'\x1b' evil.$form || fail "$form lets escapes through"
	same "lines of $form" "$(wc -l <evil.$form)" "$([ $form = mermaid ] && echo 4 || echo 7)"
done

# --- ways that launder ---

# a pipe, nothing declared: the writer opened nothing, and the reader is not in the log
cat mnt/data.csv | tr 1 2 >mnt/piped
statement in-toto mnt/piped >s.json
same "through a pipe" "$(materials s.json)" ""
has_reason s.json nothing-opened pipe
has_reason s.json others-not-in-the-log pipe
# the same in a declared run: what the others opened is told, as a possibility
expect "a run" vouch run -q --name piper --in mnt -- bash -c 'cat mnt/data.csv | tr 1 3 >mnt/piped2'
statement slsa mnt/piped2 >s.json
same "through a run's pipe" "$(materials s.json)" ""
has_reason s.json opened-by-others-of-the-run pipe
same "told as a possibility" "$(jq -r '[.. | .mayHaveBeenHandedOn? // empty | .[].name] | join(" ")' s.json)" data.csv
# another filesystem
expect "a run" vouch run -q --name round --in mnt -- bash -c 'cat mnt/data.csv >outside; cat outside >mnt/back'
statement in-toto mnt/back >s.json
has_reason s.json nothing-opened "by another filesystem"
has_reason s.json passed-on "by another filesystem"
same "the run opened it" "$(statement in-toto round --in=mnt | materials /dev/stdin)" "data.csv exact"
# a descriptor that was inherited
bash -c 'exec 5<mnt/data.csv; sh -c "cat <&5 >mnt/inherited"; true'
statement in-toto mnt/inherited >s.json
grep -qx 'data.csv by ancestry' <<<"$(materials s.json)" || fail "inherited: $(materials s.json)"
has_reason s.json opened-by-ancestor inherited
# a mapping
python3 - <<'P'
import mmap
f = open('mnt/mapped', 'w+b')
f.truncate(8192)
m = mmap.mmap(f.fileno(), 8192)
m[0:5] = b'hello'
m.flush()
m.close()
P
same "mapped" "$(statement in-toto mnt/mapped | jq -r '.subject[0].annotations.strength')" "by handle"
has_reason payload written-by-handle mapped

# --- a run ---

vouch run -q --name job --in mnt -- bash -c '
	cat mnt/data.csv >mnt/made; cat mnt/made >mnt/made2; echo >mnt/tmp; rm mnt/tmp; exit 3'
same "it ended" $? 3
for form in in-toto slsa; do
	statement $form job --in=vol >s.json
	same "what it wrote" "$(jq -r '[.subject[].name] | sort | join(" ")' s.json)" "made made2"
	same "what it opened" "$(materials s.json)" "data.csv exact"
	has_reason s.json temporary job
done
same "how it ended" "$(jq -c '[.. | .run? // empty | select(.how) | .how, .status]' s.json)" '["exit",3]'
jq -e '.predicate.buildDefinition.internalParameters.environment.HOME | startswith("sha256:")' s.json >/dev/null ||
	fail "environment digests"
! grep -q "$PWD/guard" s.json || fail "a value of the environment is told"
for form in prov json; do
	vouch lineage job --in=mnt --as=$form | jq -e . >/dev/null || fail "a run as $form"
done
same "OpenLineage of a run" "$(vouch lineage job --in=mnt --as=openlineage | jq -rs 'map(.eventType) | join(" ")')" "START FAIL"
expect "in words" vouch lineage job --in=mnt
grep -q '^    made$' out || fail "a run in words: $(cat out)"
# where one is, a word is a run; where there is a file of that name, the file
(cd mnt && vouch lineage job --as=json) | jq -e '.vouchfs.about == "run"' >/dev/null || fail "a run by its word"
echo x >mnt/job
(cd mnt && vouch lineage job --as=json) | jq -e '.format == "vouchfs-lineage-1"' >/dev/null || fail "a file named as a run"
refuse "no such run" 1 "no run nobody" vouch lineage nobody --in=mnt --as=slsa
expect "a run" vouch run -q --name idle --in mnt -- true
refuse "nothing written" 1 "nothing to state" vouch lineage idle --in=mnt --as=slsa
refuse "a form there is not" 2 "--as=spdx" vouch lineage mnt/data.csv --as=spdx
refuse "a directory" 1 "only regular files" vouch lineage mnt --as=slsa

# --- without a mount, and read-only ---

umount_volume
statement slsa vol copied >s.json
same "unmounted" "$(materials s.json)" "data.csv exact"
statement in-toto job --in=vol >s.json
same "a run, unmounted" "$(materials s.json)" "data.csv exact"
mount_volume -o ro
refuse "read-only" 1 "signs nothing" vouch lineage mnt/copied --as=slsa
expect "what is not signed" vouch lineage mnt/copied --as=prov
umount_volume
