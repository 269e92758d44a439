#!/bin/bash
# /query: SQL files and their results.
# timeout: 180
. "$TOP/tests/mount/lib.sh"

new_volume
mount_volume
q=mnt/query
mkdir mnt/d
for i in 1 2 3; do head -c $((i * 100)) /dev/zero >mnt/d/f$i; done
cat >$q/big.sql <<'E'
-- the biggest files
SELECT path, size, 1.5 AS real, NULL AS none, x'0aff' AS blob, 'a,"b' AS text
FROM files WHERE path LIKE 'd/%' ORDER BY size DESC
E
same "listed beside the text" "$(ls $q | tr '\n' ' ')" "big big.sql "
same "nothing ran by looking" "$(find $q -type f | sort | tr '\n' ' ')" "$q/big.sql $q/big/status.json "
expect "not run" jq -e '.state == "not run"' $q/big/status.json
printf 'path,size,real,none,blob,text\r\nd/f3,300,1.5,,0aff,"a,""b"\r\nd/f2,200,1.5,,0aff,"a,""b"\r\nd/f1,100,1.5,,0aff,"a,""b"\r\n' >want
expect "csv" cmp $q/big/result.csv want
same "sizes are exact" "$(stat -c %s $q/big/result.csv)" "$(stat -c %s want)"
expect "jsonl" jq -se 'any(.size == 200 and .real == 1.5 and .none == null and .blob == "0aff" and .text == "a,\"b")' $q/big/result.jsonl
expect "schema" jq -e '[.columns[].name] == ["path","size","real","none","blob","text"] and .rows == 3 and (.columns[1].types == ["integer"])' $q/big/schema.json
expect "the digest of the text" [ "$(jq -r .query.sha256 $q/big/status.json)" = "$(sha256sum <$q/big.sql | cut -d' ' -f1)" ]
expect "the digest of the result" [ "$(jq -r '."result.csv".sha256' $q/big/status.json)" = "$(sha256sum <$q/big/result.csv | cut -d' ' -f1)" ]
same "all are listed" "$(ls $q/big | tr '\n' ' ')" "result.csv result.jsonl schema.json status.json "
# nothing is added meanwhile: the digests that come when idle are there
find mnt/d $q -maxdepth 1 -type f -exec getfattr -n user.vouch.sha256 {} + >/dev/null 2>&1
vouch sync mnt
cat $q/big/result.csv >/dev/null
mkdir t
expect "tar" tar -C $q -cf r.tar big
tar -C t -xf r.tar && expect "tar holds the result" cmp t/big/result.csv want
expect "mmap, page cache" python3 -c "
import mmap
for i in range(4):
    f = open('$q/big/result.csv', 'rb')
    assert f.read() == open('want', 'rb').read()
f = open('$q/big/result.csv', 'rb')
m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
assert m[:] == open('want', 'rb').read()"

# another log, another text: another result
head -c 400 /dev/zero >mnt/d/f4
same "the log went on" "$(sed -n 2p $q/big/result.csv | cut -d, -f1)" d/f4
same "through the page cache too" "$(for i in 1 2 3 4; do wc -l <$q/big/result.csv; done | uniq)" 5
rm mnt/d/f4 mnt/d/f3
same "fewer rows" "$(for i in 1 2 3 4; do cat $q/big/result.csv | wc -l; done | uniq)" 3
echo 'SELECT 7 AS x' >$q/big.sql
same "the text was changed" "$(tr -d '\r' <$q/big/result.csv | tr '\n' ' ')" "x 7 "
mv $q/big.sql $q/small.sql
[ ! -e $q/big ] || fail "the result of a renamed query is there"
same "under the new name" "$(tail -n 1 $q/small/result.jsonl)" '{"x":7}'
rm $q/small.sql
[ ! -e $q/small ] || fail "the result of a removed query is there"

# failures tell where
printf 'SELECT path,\n\tnonesuch\nFROM files\n' >$q/bad.sql
[ ! -e $q/bad/error ] || fail "error is there before anything ran"
refuse "a bad query" 1 "invalid argument" cat $q/bad/result.csv
head -n 1 $q/bad/error | grep -q '^line 2, column 2: no such column: nonesuch$' || fail "place: $(cat $q/bad/error)"
sed -n 3p $q/bad/error | grep -q '\^' || fail "no caret"
same "no result of it" "$(ls $q/bad | tr '\n' ' ')" "error status.json "
echo 'SELECT 1 AS one' >$q/bad.sql
same "put right" "$(cat $q/bad/result.jsonl)" '{"one":1}'
[ ! -e $q/bad/error ] || fail "error is there still"

# what is not allowed
cat >forbidden <<'E'
ATTACH 'x.db' AS y
PRAGMA query_only=OFF
SELECT * FROM audit.inode
SELECT * FROM inode
SELECT * FROM sqlite_master
SELECT * FROM audit.sqlite_master
SELECT * FROM pragma_table_info('inode')
SELECT load_extension('libc.so.6')
SELECT writefile('x', 'y')
DELETE FROM audit.files
UPDATE audit.inode SET size=0
CREATE TABLE t(x)
CREATE TEMP VIEW files AS SELECT 1
DROP VIEW audit.files
INSERT INTO audit.files VALUES (1)
VACUUM INTO 'copy.db'
BEGIN
SELECT 1; SELECT 2
EXPLAIN QUERY PLAN DELETE FROM audit.inode
SELECT zeroblob(1000000000)
SELECT fts3_tokenizer('simple')
E
while IFS= read -r sql; do
	echo "$sql" >$q/no.sql
	! cat $q/no/result.csv >o 2>/dev/null || fail "allowed: $sql: $(cat o)"
	[ -s $q/no/error ] || fail "no words for: $sql"
done <forbidden
: >$q/no.sql
! cat $q/no/result.csv 2>/dev/null || fail "an empty text gave a result"
printf 'SELECT 1\0' >$q/no.sql
! cat $q/no/result.csv 2>/dev/null || fail "a NUL was accepted"
[ ! -e vol/copy.db ] && [ ! -e copy.db ] && [ ! -e x.db ] || fail "a file was written"

# what runs for ever is cut off, and hurts nobody meanwhile
echo 'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT count(*) FROM c' >$q/slow.sql
(cat $q/slow/result.csv 2>slow.err; echo $? >slow.rc) &
sleep 0.5
start=$(date +%s)
echo 'SELECT 1 AS one' >$q/quick.sql
same "another query meanwhile" "$(cat $q/quick/result.jsonl)" '{"one":1}'
echo x >mnt/d/written
[ $(($(date +%s) - start)) -le $((5 * SLOWNESS)) ] || fail "a slow query holds up the others"
wait
same "cut off" "$(cat slow.rc)" 1
grep -q 'longer than' $q/slow/error || fail "words: $(cat $q/slow/error)"
echo "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT x, hex(zeroblob(500000)) FROM c" >$q/huge.sql
! cat $q/huge/result.csv >/dev/null 2>&1 || fail "a result without end"
grep -q 'cut off' $q/huge/error || fail "words: $(cat $q/huge/error)"

# the views of the manual page
for v in entries names files versions lineage actors runs keys snapshots policies holds releases; do
	echo "SELECT count(*) AS n FROM audit.$v" >$q/v.sql
	expect "view $v" jq -e '.n >= 0' $q/v/result.jsonl
done
umount_volume
