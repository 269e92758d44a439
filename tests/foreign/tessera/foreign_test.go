// Checks an exported log and proof with transparency-dev's own code: tessera's
// fsck reads every bundle and tile, formats parses the checkpoint and the
// .tlog-proof, merkle verifies the inclusion.
//
//	LOG=dir/with/checkpoint TRUST=trust PROOF=x.tlog-proof go test ./...
//
// PROOF may be a list; without one that test is skipped.
package foreign

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	flog "github.com/transparency-dev/formats/log"
	fproof "github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
)

// verifier is the log key of the trust file whose name is the checkpoint's
// origin.
func verifier(t *testing.T, checkpoint []byte) note.Verifier {
	t.Helper()
	origin, _, _ := strings.Cut(string(checkpoint), "\n")
	trust, err := os.ReadFile(os.Getenv("TRUST"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(trust), "\n") {
		key, ok := strings.CutPrefix(line, "log ")
		if !ok {
			continue
		}
		v, err := note.NewVerifier(key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := note.Open(checkpoint, note.VerifierList(v)); err == nil && v.Name() == origin {
			return v
		}
	}
	t.Fatalf("no key of the trust file signed the checkpoint of %q", origin)
	return nil
}

func leafHashes(bundle []byte) ([][]byte, error) {
	b := &api.EntryBundle{}
	if err := b.UnmarshalText(bundle); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	var out [][]byte
	for _, e := range b.Entries {
		h := rfc6962.DefaultHasher.HashLeaf(e)
		out = append(out, h[:])
	}
	return out, nil
}

func check(t *testing.T, dir string) error {
	t.Helper()
	checkpoint, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	v := verifier(t, checkpoint)
	f := fsck.New(v.Name(), v, client.FileFetcher{Root: dir}, leafHashes, fsck.Opts{N: 4})
	return f.Check(context.Background())
}

func TestFsckAcceptsTheLog(t *testing.T) {
	if err := check(t, os.Getenv("LOG")); err != nil {
		t.Fatal(err)
	}
}

// A verifier that says yes to everything proves nothing.
func TestFsckRefusesAChangedTile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	if err := os.CopyFS(dir, os.DirFS(os.Getenv("LOG"))); err != nil {
		t.Fatal(err)
	}
	changed := 0
	err := filepath.Walk(filepath.Join(dir, "tile"), func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() || changed > 0 || strings.Contains(path, "entries") {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		data[len(data)/2] ^= 1
		changed++
		if err := os.Chmod(path, 0o600); err != nil {
			return err
		}
		return os.WriteFile(path, data, 0o600)
	})
	if err != nil || changed == 0 {
		t.Fatal("nothing was changed:", err)
	}
	if check(t, dir) == nil {
		t.Fatal("a changed tile was accepted")
	}
}

func TestFormatsVerifiesProofs(t *testing.T) {
	files := strings.Fields(os.Getenv("PROOF"))
	if len(files) == 0 {
		t.Skip("no PROOF")
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var p fproof.TLogProof
		if err := p.Unmarshal(data); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(p.Marshal(), data) {
			t.Errorf("%s: formats writes it differently", file)
		}
		v := verifier(t, p.Checkpoint)
		c, _, _, err := flog.ParseCheckpoint(p.Checkpoint, v.Name(), v)
		if err != nil {
			t.Fatal(err)
		}
		// The extra line's first TLV (u16 tag 1, u32 length) is the seal.
		if binary.LittleEndian.Uint16(p.ExtraData) != 1 {
			t.Fatal("no seal in the extra line")
		}
		n := binary.LittleEndian.Uint32(p.ExtraData[2:])
		leaf := rfc6962.DefaultHasher.HashLeaf(p.ExtraData[6 : 6+n])
		var path [][]byte
		for i := range p.Hashes {
			path = append(path, p.Hashes[i][:])
		}
		if err := proof.VerifyInclusion(rfc6962.DefaultHasher, p.Index, c.Size, leaf, path, c.Hash); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		leaf[0] ^= 1
		if proof.VerifyInclusion(rfc6962.DefaultHasher, p.Index, c.Size, leaf, path, c.Hash) == nil {
			t.Errorf("%s: another leaf was accepted", file)
		}
	}
}
