// xmod checks an exported log with the verifier that the Go command itself
// uses, golang.org/x/mod/sumdb/{note,tlog}: the checkpoint's signature, every
// hash tile, every record's inclusion, and consistency between many sizes.
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go run main.go LOGDIR TRUSTFILE
package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// tiles serves C2SP tile files; x/mod names them with the height in front.
type tiles struct{ dir string }

func (t tiles) Height() int { return 8 }

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (t tiles) ReadTiles(want []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, w := range want {
		name := strings.Replace(w.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(t.dir, name))
		if err != nil && w.W < 256 {
			// A partial tile may have been replaced by the full one.
			full := w
			full.W = 256
			name = strings.Replace(full.Path(), "tile/8/", "tile/", 1)
			data, err = os.ReadFile(filepath.Join(t.dir, name))
			if len(data) > w.W*tlog.HashSize {
				data = data[:w.W*tlog.HashSize]
			}
		}
		if err != nil {
			return nil, err
		}
		out = append(out, data)
	}
	return out, nil
}

// verifiers are the log keys of a trust file.
func verifiers(file string) note.Verifiers {
	f, err := os.Open(file)
	check(err)
	defer f.Close()
	var list []note.Verifier
	for s := bufio.NewScanner(f); s.Scan(); {
		if strings.HasPrefix(s.Text(), "log ") {
			v, err := note.NewVerifier(s.Text()[len("log "):])
			check(err)
			list = append(list, v)
		}
	}
	return note.VerifierList(list...)
}

// bundlePath names entry bundle n of a log with size records.
func bundlePath(n, size int64) string {
	w := 256
	if left := size - n*256; left < 256 {
		w = int(left)
	}
	t := tlog.Tile{H: 8, L: 0, N: n, W: w}
	return strings.Replace(t.Path(), "tile/8/0/", "tile/entries/", 1)
}

// records reads all entries of the bundles.
func records(dir string, size int64) [][]byte {
	var out [][]byte
	for n := int64(0); n*256 < size; n++ {
		data, err := os.ReadFile(filepath.Join(dir, bundlePath(n, size)))
		if os.IsNotExist(err) {
			data, err = os.ReadFile(filepath.Join(dir, bundlePath(n, (n+1)*256)))
		}
		check(err)
		for len(data) > 0 && int64(len(out)) < size {
			k := int(binary.BigEndian.Uint16(data)) + 2
			out = append(out, data[2:k])
			data = data[k:]
		}
	}
	return out
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: xmod LOGDIR TRUSTFILE")
	}
	dir := os.Args[1]
	msg, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	check(err)
	n, err := note.Open(msg, verifiers(os.Args[2]))
	check(err)
	lines := strings.Split(n.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := tlog.ParseHash(lines[2])
	check(err)
	if lines[0] != n.Sigs[0].Name {
		log.Fatalf("origin %q signed by %q", lines[0], n.Sigs[0].Name)
	}

	tree := tlog.Tree{N: size, Hash: root}
	reader := tlog.TileHashReader(tree, tiles{dir})
	list := records(dir, size)
	if int64(len(list)) != size {
		log.Fatalf("%d records, want %d", len(list), size)
	}
	for i, data := range list {
		proof, err := tlog.ProveRecord(size, int64(i), reader)
		check(err)
		check(tlog.CheckRecord(proof, size, root, int64(i), tlog.RecordHash(data)))
	}
	sizes := 0
	for old := int64(1); old <= size; old += 1 + size/97 {
		h, err := tlog.TreeHash(old, reader)
		check(err)
		proof, err := tlog.ProveTree(size, old, reader)
		check(err)
		check(tlog.CheckTree(proof, size, root, old, h))
		sizes++
	}
	fmt.Printf("x/mod: %s: %d records and %d earlier sizes verified\n",
		lines[0], size, sizes)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
