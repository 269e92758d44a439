#!/bin/bash
# tools_build.sh: a C project is built and run in the mount; make sees what
# changed and nothing else; editors save there.
# timeout: 120
. "$(dirname "$0")/lib.sh"

new_volume
mount_volume
mkdir mnt/project
cd mnt/project || exit 1
for i in $(seq 12); do
	printf '#include "all.h"\nint f%d(int x)\n{\n\treturn x + %d;\n}\n' $i $i \
		>f$i.c
	echo "int f$i(int);" >>all.h
done
{
	printf '#include "all.h"\n#include <stdio.h>\nint main(void)\n{\n\tint x = 0;\n'
	for i in $(seq 12); do
		printf '\tx = f%d(x);\n' $i
	done
	printf '\tprintf("%%d\\n", x);\n}\n'
} >main.c
cat >Makefile <<'M'
objects = $(patsubst %.c,%.o,$(wildcard *.c))
project: lib.a main.o
	$(CC) -o $@ main.o lib.a
lib.a: $(filter-out main.o,$(objects))
	rm -f $@
	ar rcs $@ $^
%.o: %.c all.h
	$(CC) -O1 -g -c -o $@ $<
M
expect "make" make -s -j2
same "the program runs" "$(./project)" 78
make -q || fail "make has something to do at once"
sleep 0.02
sed -i 's/x + 3/x + 1003/' f3.c
make >out 2>&1 || fail "make again: $(tail -n 5 out)"
same "one file compiled again" "$(grep -c -- '-O1 -g -c' out)" 1
same "the new program" "$(./project)" 1078

# the program runs while it is replaced
cp /bin/sleep ./running
./running 3 &
sleeper=$!
cp /bin/true new.tmp && mv new.tmp running || fail "replace a running program"
./running || fail "the new one"
cp /bin/sleep busy
./busy 3 &
busy=$!
sleep 0.3
(: >>busy) 2>/dev/null && fail "a running program can be written"
kill $sleeper $busy
wait $sleeper $busy 2>/dev/null

# as editors save: a new file, fsync, rename; and a backup beside it
python3 - <<'P' || fail "an editor's save"
import os
for i in range(200):
    fd = os.open(".f1.c.swp", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    text = b"line %d\n" % i * 500
    os.write(fd, text)
    if i % 10 == 0:
        os.fsync(fd)
    os.close(fd)
    if os.path.exists("note~"):
        os.unlink("note~")
    if os.path.exists("note"):
        os.link("note", "note~")
    os.rename(".f1.c.swp", "note")
    assert open("note", "rb").read() == text
    d = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    if i % 10 == 0:
        os.fsync(d)
    os.close(d)
assert open("note~", "rb").read() == b"line 198\n" * 500
P
if command -v ed >/dev/null; then
	printf '1s/line/LINE/\nw\nq\n' | ed -s note || fail "ed"
	same "ed" "$(head -n 1 note)" "LINE 199"
fi
if command -v vim >/dev/null; then
	vim -N -u NONE -i NONE -es -c '%s/line/vim/' -c wq note </dev/null ||
		fail "vim"
	same "vim" "$(sed -n 2p note)" "vim 199"
fi
sed -i.bak 's/199/2oo/' note || fail "sed -i"
sort -o note note || fail "sort -o"
sum=$(sha256sum note | cut -d' ' -f1)
cd ../..
umount_volume
mount_volume
same "the note" "$(sha256sum mnt/project/note | cut -d' ' -f1)" "$sum"
same "the program, mounted again" "$(mnt/project/project)" 1078
make -q -C mnt/project || fail "make has something to do after mounting again"
umount_volume
