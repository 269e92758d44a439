# sample.sh: sourced by the scripts that show statements to other people's
# programs: a volume with a file, a run and a name that is hostile, and what
# `vouch lineage` says of them in NAME.FORM; the key in key.pem, another in
# wrong.pem.

hostile=$'evil "<b>\\\n\xff'

make_sample() {
	local form
	new_volume --origin vouchfs.example/foreign
	mount_volume
	echo 1,2,3 >mnt/data.csv
	cp mnt/data.csv mnt/model.bin
	cp mnt/data.csv "mnt/$hostile"
	vouch run -q --name build --in mnt -- \
		bash -c 'cat mnt/data.csv >mnt/out; cp mnt/out mnt/out2' || fail run
	vouch key show vol --pem >key.pem || fail 'key show'
	vouch init other >/dev/null && vouch key show other --pem >wrong.pem ||
		fail 'another key'
	cp mnt/model.bin model.bin
	for form in in-toto slsa prov openlineage; do
		vouch lineage mnt/model.bin --as=$form -o model.bin.$form || fail "$form"
		vouch lineage build.1 --in=mnt --as=$form -o build.1.$form || fail "$form"
		vouch lineage "mnt/$hostile" --as=$form -o "$hostile.$form" || fail "$form"
	done
	umount_volume
}
