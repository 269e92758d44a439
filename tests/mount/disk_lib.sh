# disk_lib.sh: sourced by the scripts about full disks, after lib.sh: a small
# disk of its own for the volume $volume, which is mounted at mnt.

# small_disk SIZE [KIND]: an empty one at disk/; KIND is tmpfs, or ext4 where
# there are loop devices
small_disk() {
	[ "$(id -u)" = 0 ] || { echo "only root makes small disks"; exit 77; }
	mkdir -p disk mnt
	if [ "${2:-tmpfs}" = tmpfs ] || ! truncate -s "$1" image ||
		! "mkfs.$2" -q -F -m 0 image >err 2>&1 ||
		! mount -o loop image disk 2>err; then
		mount -t tmpfs -o size="$1" tmpfs disk || { echo "no small disk"; exit 77; }
	fi
	volume=disk/vol
	trap 'end_disk; clean_up' EXIT
}

end_disk() {
	vouch umount "$TMPDIR_OF_TEST/mnt" 2>/dev/null
	umount "$TMPDIR_OF_TEST/disk" || umount -l "$TMPDIR_OF_TEST/disk"
}

up() {
	vouch mount $volume mnt || { fail "mount"; tail -n 5 $volume/vouch.log; exit 1; }
}
