#!/bin/bash
# run_guard_box.sh: the example of README, word for word: an agent in a box, of
# which nothing is writable but the mount, and of that not what is guarded.
# timeout: 60
. "$(dirname "$0")/lib.sh"

command -v bwrap >/dev/null || { echo "bubblewrap is not here"; exit 77; }
bwrap --ro-bind / / --dev /dev --proc /proc --unshare-all true 2>err ||
	{ echo "bubblewrap cannot make namespaces here: $(cat err)"; exit 77; }

sed -n '/^vouch run --in mnt --guard .* bwrap /,/ agent$/p' "$TOP/README.md" >example
same "the example is there" "$(wc -l <example)" 2

new_volume
mount_volume
mkdir -p mnt/.git/hooks mnt/src
echo SECRET >mnt/private.key
echo outside >outside
cat >mnt/agent <<'END'
#!/bin/bash
# what it tries, and what it gets
try() { # NAME COMMAND...
	local name=$1
	shift
	if "$@" >/dev/null 2>&1; then echo "$name yes"; else echo "$name no"; fi
}
top=$(dirname "$PWD")
try work sh -c 'echo done >src/result && mkdir src/new'
try key cat private.key
try hook sh -c 'echo evil >.git/hooks/pre-commit'
try envrc sh -c 'echo evil >.envrc'
try store ls "$top/vol/volume.conf"
sh -c "echo x >$top/outside" # at best into the box's own /tmp
try root sh -c 'echo x >/etc/agent-was-here'
try sockets sh -c 'ls /run/vouchfs/* || ls vol/control'
try run vouch run -q --in . -- cat private.key
try kill pgrep -x vouch
try signal sh -c 'kill -0 $PPID_OUTSIDE'
(setsid sh -c 'sleep 5; echo late >src/late' &)
END
chmod 755 mnt/agent
PATH=$PWD/mnt:$PATH PPID_OUTSIDE=$$ bash example >got 2>err || fail "the example: $(cat err)"
cat got
same "what it could" "$(grep ' yes' got | cut -d' ' -f1 | tr '\n' ' ')" "work "
same "the work is there" "$(cat mnt/src/result)" done
same "nothing else" "$(cat outside; ls mnt/.git/hooks; ls -a mnt | grep envrc)" outside
[ ! -e /etc/agent-was-here ] || fail "it wrote outside"
# nobody outlives it: the run has nothing left
same "and the log has it" "$(jq -r '.why' "mnt/audit/runs/bwrap.1/denied.jsonl" | sort -u | tr '\n' ' ')" "hidden protected "
same "whose it is" "$(jq -r 'select(.why == "hidden" and .path == "private.key").by.exe | split("/") | last' mnt/audit/runs/bwrap.1/denied.jsonl)" cat
[ ! -e mnt/src/late ] || fail "a process of it went on"
umount_volume
