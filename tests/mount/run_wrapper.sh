#!/bin/bash
# run_wrapper.sh: a program under `vouch run` cannot be told from one without:
# input, output, exit status, signals, terminal; and what is said when it
# cannot be started or declared.
# timeout: 180
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/run_lib.sh"

new_volume
mount_volume
cd mnt || exit 1
run() { vouch run "$@"; }

# --- what goes through
same "output" "$(echo 'a b' | run -- cat)" "a b"
same "both" "$(run -- sh -c 'echo out; echo err >&2' 2>&1)" $'out\nerr'
same "arguments" "$(run -- printf '%s|' 'a b' '' -- -x '*')" 'a b||--|-x|*|'
same "options are the program's" "$(run sh -c 'echo $1' -q -q)" -q
same "the directory" "$(run -- pwd)" "$PWD"
same "descriptors" "$(run -- sh -c 'ls /proc/self/fd | wc -l')" "$(sh -c 'ls /proc/self/fd | wc -l')"
same "the environment" "$(A=1 run -- sh -c 'echo $A')" 1
[ "$(run -- sh -c 'echo ${#VOUCH_RUN}')" = 32 ] || fail "no marker"
same "a large stream" "$(head -c 20000000 /dev/zero | run -- cat | wc -c)" 20000000
same "nothing is said" "$(run -- true 2>&1)" ''
same "the process group" "$(run -- sh -c 'ps -o pgid= $$ | tr -d " "' 2>/dev/null)" \
	"$(sh -c 'ps -o pgid= $$ | tr -d " "' 2>/dev/null)"
head -c 20000000 /dev/zero | run -- head -c 1 >/dev/null || fail "a pipe that breaks"
same "nohup stays" "$(trap '' HUP INT; run -- sh -c 'kill -HUP $$; kill -INT $$; echo on')" on

# --- how it ends
for status in 0 1 2 77 125 126 127 128 255; do
	run -- sh -c "exit $status"
	same "status" $? $status
done
for sig in TERM KILL SEGV INT HUP USR1 PIPE ABRT; do
	n=$(kill -l $sig)
	bash -c "vouch run -- sh -c 'kill -$sig \$\$'; exit \$?" 2>/dev/null
	same "the end by $sig" $? $((128 + n))
done
# by the same signal, not only with the status of it
same "ended by it" "$(python3 -c '
import subprocess
print(subprocess.run(["vouch", "run", "--", "sh", "-c", "kill -TERM $$"]).returncode)')" -15
ls core* >/dev/null 2>&1 && fail "a core of the wrapper"

# --- signals sent to the wrapper alone reach the program
cat >../signals.py <<'PY'
import os, signal, subprocess, time
for name in "TERM INT HUP QUIT USR1 USR2".split():
    for f in ("ready", "got"):
        if os.path.exists(f): os.unlink(f)
    number = getattr(signal, "SIG" + name)
    p = subprocess.Popen(["vouch", "run", "--", "bash", "-c",
        "trap 'echo %s >got; exit 9' %s; : >ready; while :; do sleep 0.05; done" % (name, name)],
        preexec_fn=lambda: [signal.signal(s, signal.SIG_DFL) for s in (signal.SIGINT, signal.SIGQUIT)])
    while not os.path.exists("ready"): time.sleep(0.02)
    p.send_signal(number)
    print(name, p.wait(60), open("got").read().strip())
PY
timeout 60 python3 ../signals.py >../signals.out 2>&1
for sig in TERM INT HUP QUIT USR1 USR2; do
	grep -qx "$sig 9 $sig" ../signals.out || fail "$sig is not passed on: $(cat ../signals.out)"
done
rm -f ready got

# --- and those sent to the whole group reach it once
cat >../group.py <<'PY'
import os, signal, subprocess, sys, time
child = """
import os, signal, sys, time
n = 0
def hear(s, f):
    global n
    n += 1
    os.write(1, b"%d\\n" % n)
for s in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1): signal.signal(s, hear)
os.write(1, b"ready\\n")
end = time.time() + 60
while time.time() < end and n < 8: time.sleep(0.05)
if n < 8: sys.exit(99)
if os.fork() == 0:
    time.sleep(0.3); os.kill(0, signal.SIGTERM); os._exit(0)
while n < 9: time.sleep(0.05)
time.sleep(0.5)
sys.exit(n)
"""
p = subprocess.Popen(["vouch", "run", "--", sys.executable, "-c", child], stdout=subprocess.PIPE,
    preexec_fn=lambda: (os.setpgid(0, 0), [signal.signal(s, signal.SIG_DFL) for s in (signal.SIGTERM, signal.SIGINT)]))
out = [p.stdout.readline().strip()]
for s in (signal.SIGTERM, signal.SIGINT):
    for send in (os.killpg, os.kill, os.killpg, os.kill):
        send(p.pid, s)
        out.append(p.stdout.readline().strip())
        time.sleep(0.3) # a second one would be here by then
print(b" ".join(out).decode(), p.wait(60))
PY
same "sent to the group" "$(timeout 60 python3 ../group.py 2>&1)" "ready 1 2 3 4 5 6 7 8 9"

# --- a terminal: ^C and ^Z reach the program, once; the shell sees the stop
cat >../term.py <<'PY'
import os, pty, select, sys, time
def talk(argv, steps):
    pid, fd = pty.fork()
    if pid == 0:
        os.execvp(argv[0], argv)
    seen = b""
    for wait, say in steps:
        end = time.time() + 30
        while wait not in seen:
            if time.time() > end:
                print("NOT SEEN", wait, seen); os.kill(pid, 9); sys.exit(1)
            if not select.select([fd], [], [], 1)[0]: continue
            try: piece = os.read(fd, 4096)
            except OSError: break
            if not piece: break
            seen += piece
        seen = seen[seen.index(wait) + len(wait):] if wait in seen else seen
        time.sleep(0.3) # what reads next has set up its terminal
        os.write(fd, say)
    while True:
        try: piece = os.read(fd, 4096)
        except OSError: break
        if not piece: break
        seen += piece
    _, status = os.waitpid(pid, 0)
    return status, seen
trap = "n=0; trap 'n=$((n+1)); echo int $n' INT; echo up; read x; read x; echo bye $n; exit 4"
status, seen = talk(["vouch", "run", "--", "bash", "-c", trap],
                    [(b"up", b"\x03"), (b"int 1", b"\nx\n")])
print("int", os.waitstatus_to_exitcode(status), b"bye 1" in seen, b"int 2" in seen)
shell = ["env", "PS1=>> ", "bash", "--norc", "-i"]
status, seen = talk(shell, [(b">> ", b"vouch run -q -- cat\n"),
    (b"cat", b"one\n"), (b"one\r\none", b"\x1a"), (b"Stopped", b""), (b">> ", b"fg\n"),
    (b"-- cat\r\n", b"two\n"), (b"two\r\ntwo", b"\x04"), (b">> ", b"echo st=$?\n"), (b"st=0", b"exit\n")])
print("stop", os.waitstatus_to_exitcode(status))
status, seen = talk(shell, [(b">> ", b"vouch run -q -- env PS1='=''= ' bash --norc -i\n"),
    (b"== ", b"suspend\n"), (b"Stopped", b""), (b">> ", b"fg\n"),
    (b"norc -i\r\n", b"\n"), (b"== ", b"echo in-$((1+1))\n"), (b"in-2", b"exit 6\n"), (b">> ", b"echo st=$?\n"),
    (b"st=6", b"exit\n")])
print("shell", os.waitstatus_to_exitcode(status))
status, seen = talk(["vouch", "run", "--name", "shown", "--", "sh", "-c", "tty; echo 12345 >shown; exit 5"], [])
print("tty", os.waitstatus_to_exitcode(status), b"/dev/pts/" in seen,
      b"shown.1 (" in seen and b"exit status 5" in seen,
      b"1 file made, 1 version written (6 B); see " in seen and b"/audit/runs/shown.1" in seen and
      b"vouch undo shown.1 takes it back" in seen)
PY
timeout 100 python3 ../term.py >../term.out 2>&1 || fail "terminal: $(cat ../term.out)"
cat ../term.out
grep -qx 'int 4 True False' ../term.out || fail "^C"
grep -qx 'stop 0' ../term.out || fail "^Z and fg"
grep -qx 'shell 0' ../term.out || fail "a shell that suspends itself"
grep -qx 'tty 5 True True True' ../term.out || fail "the summary"

# --- what cannot be
refuse "not found" 127 "no such" vouch run -- nothing-of-that-name
refuse "not found, by path" 127 "no such" vouch run -- ./nothing
: >plain
refuse "not executable" 126 "permission" vouch run -- ./plain
refuse "no command" 2 "missing" vouch run
refuse "no command" 2 "missing" vouch run --name x --
refuse "unknown option" 2 "unknown option" vouch run --frob -- true
for bad in '' .x -x 'a b' a/b $'a\nb' "$(printf 'x%.0s' $(seq 65))"; do
	refuse "name" 2 "a name is" vouch run --name="$bad" -- true
done
expect "the longest name" vouch run --name="$(printf 'x%.0s' $(seq 64))" -- true
refuse "elsewhere" 125 "not inside" vouch run --in / -- true
refuse "nowhere" 125 "no such" vouch run --in nowhere -- true
run --name 9.a_b-C -- true || fail "a name"
cd .. || exit 1
log_read
same "of the command" "$(run_id nothing | head -c 4 | wc -c)" 4
same "a failure is an end" "$(run_end nothing)" "exit 127"
same "made fit" "$(jq -rs 'map(select(.kind == "run-start")) | map(.name) | index("plain") != null' log.jsonl)" true

# --- the environment is told by names and digests
SECRET=hunter2 vouch run --name secret --in mnt -- true
log_read
grep -q hunter2 log.jsonl && fail "a value is in the log"
want=$(printf hunter2 | sha256sum | cut -d' ' -f1)
same "a digest" "$(jq -rs 'map(select(.kind == "run-start" and .name == "secret"))[0].environment.SECRET' log.jsonl)" "$want"
same "not the marker" "$(jq -rs 'map(select(.kind == "run-start" and .name == "secret"))[0].environment.VOUCH_RUN' log.jsonl)" null
# more than an entry holds
(for i in $(seq 1200); do export "LARGE_NUMBER_$i=$i"; done
	exec vouch run --name large --in mnt -- true) || fail "a large environment"
log_read
[ "$(jq -rs 'map(select(.kind == "run-start" and .name == "large"))[0].environment_left_out' log.jsonl)" -ge 200 ] ||
	fail "what was left out is not told"

# --- a mount whose virtual names lie elsewhere: it is these that are read
umount_volume
mount_volume -o virtual=.v
mkdir -p mnt/audit/runs
cat >seen.py <<'PY'
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execvp("vouch", ["vouch", "run", "--name", "elsewhere", "--in", "mnt", "--", "sh", "-c", "echo 1 >mnt/made"])
seen = b""
while True:
    try: piece = os.read(fd, 4096)
    except OSError: break
    if not piece: break
    seen += piece
os.waitpid(pid, 0)
sys.stdout.buffer.write(seen)
PY
timeout 60 python3 seen.py >seen.out
grep -q '1 file made.* see .*mnt/\.v/audit/runs/elsewhere\.1' seen.out || fail "the summary: $(cat seen.out)"

# --- read-only, and no volume at all
umount_volume
mount_volume -o ro
refuse "read-only" 125 "read-only" vouch run --in mnt -- true
umount_volume
refuse "no volume" 125 "not inside" vouch run --in mnt -- true
