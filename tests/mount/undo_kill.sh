#!/bin/bash
# vouch undo that is killed, and whose daemon is killed, at random moments: said
# again it does the rest; until then vouch status tells.  ROUNDS=n for more.
. "$TOP/tests/mount/lib.sh"

rounds=${ROUNDS:-2}
RANDOM=${SEED:-$RANDOM}
new_volume
mount_volume
cat >list.py <<'END'
import hashlib, os, stat
for top, dirs, files in os.walk("mnt/k"):
    dirs.sort()
    for name in sorted(dirs + files):
        path = os.path.join(top, name)
        st = os.lstat(path)
        what = [oct(st.st_mode), st.st_nlink if not stat.S_ISDIR(st.st_mode) else "-"]
        if stat.S_ISREG(st.st_mode):
            what.append(hashlib.sha256(open(path, "rb").read()).hexdigest())
        print(path, *what)
END
cat >job.sh <<'END'
cd mnt/k || exit
for i in $(seq 1 40); do
	echo more >>a$i; rm b$i; mv c$i e$i; mkdir n$i; echo n >n$i/n; chmod 600 d$i; mv d$i/x d$i/y; rm -r g$i
done
mv e1 t; mv e2 e1; mv t e2; mv a1 t; mv a2 a1; mv t a2; mv h/i .; mv h i/h
END
mkdir -p mnt/k/h/i
for i in $(seq 1 40); do
	mkdir -p mnt/k/d$i mnt/k/g$i/gg
	for f in a$i b$i c$i d$i/x g$i/gg/f; do echo $f >mnt/k/$f; done
done
chmod 755 mnt/k/d*
unfinished=0
for round in $(seq "$rounds"); do
	python3 list.py >before
	expect "the run" vouch run -q --name kill --in=mnt -- bash job.sh
	python3 list.py >after
	cmp -s before after && fail "the run did nothing"
	vouch undo kill.$round --in=mnt >undo.out 2>&1 &
	pid=$!
	there=mnt/k/b$((RANDOM % 40 + 1))
	for ((i = 0; i < 1000; i++)); do
		[ ! -e $there ] && [ ! -s undo.out ] || break
		sleep 0.01
	done
	if ((round % 2)); then # the client, all of it
		kill -9 $(cat /proc/$pid/task/$pid/children) $pid 2>/dev/null
		wait $pid 2>/dev/null
	else
		kill_daemon
		wait $pid 2>/dev/null
		vouch umount -l mnt 2>/dev/null
		mount_volume
	fi
	was=$(head -n 1 mnt/audit/runs/kill.$round/undo.jsonl | jq .unfinished)
	vouch status mnt | grep "begun for kill.$round and not finished" >told
	[ "$was" = true ] && [ ! -s told ] && fail "status tells nothing: $(vouch status mnt)"
	if [ "$was" != true ]; then # it had ended, or not begun
		[ ! -s told ] || fail "status tells of what is finished"
		python3 list.py >now
		cmp -s now before || cmp -s now after || fail "half undone, and nobody tells"
	fi
	[ "$was" != true ] || unfinished=$((unfinished + 1))
	vouch undo kill.$round --in=mnt >out 2>err || fail "said again: $(cat out err)"
	python3 list.py | diff before - >diff || { fail "round $round: $(head -n 9 diff; cat out)"; break; }
	head -n 1 mnt/audit/runs/kill.$round/undo.jsonl | grep '"unfinished":true' && fail "it was finished"
	vouch status mnt | grep "not finished" && fail "it is finished"
	find mnt/k | grep -F .vouch-undo && fail "left on its way"
done
echo "$unfinished of $rounds were told as unfinished"
umount_volume
expect "the volume is well" vouch verify vol --deep
