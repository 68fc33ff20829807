// Command verifier reads a log in C2SP tlog-tiles with Go's own golang.org/x/mod/sumdb, of which nothing was written here.
//
//	verifier KEY FOLDER [EARLIER] < proofs
//
// It opens the checkpoint (note), reads every leaf and holds it against the tiles, and those against the signed root (tlog);
// makes and checks proofs of its own, and that the checkpoint in the file EARLIER is of the same log; and checks the proofs that
// it is given. It prints how many leaves and proofs it checked, or ends with 1 and what is wrong.
package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height, width = 8, 256

// folder reads tiles: the same files as Go's own, but for the height in their path.
type folder string

func (f folder) Height() int                     { return height }
func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		data, err := os.ReadFile(filepath.Join(string(f), "tile", strings.TrimPrefix(tile.Path(), "tile/8/")))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

// leaves reads the bundle beside a tile of leaf hashes.
func (f folder) leaves(tile tlog.Tile) ([][]byte, error) {
	data, err := os.ReadFile(filepath.Join(string(f), "tile", "entries", strings.TrimPrefix(tile.Path(), "tile/8/0/")))
	if err != nil {
		return nil, err
	}
	var leaves [][]byte
	for len(data) > 0 {
		if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("%s is truncated", tile.Path())
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		leaves, data = append(leaves, data[2:end]), data[end:]
	}
	if len(leaves) != tile.W {
		return nil, fmt.Errorf("%s has %d leaves, not %d", tile.Path(), len(leaves), tile.W)
	}
	return leaves, nil
}

func checkpoint(path, key string) (tree tlog.Tree, err error) {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return tree, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return tree, err
	}
	opened, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		return tree, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return tree, fmt.Errorf("not a checkpoint of %s", verifier.Name())
	}
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return tree, err
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, err
}

// begins reads the first leaf of a log whose front was pruned, before its first export: the tiles of the leaves before it are missing.
func begins(folder string) (int64, error) {
	var about struct{ From struct{ Index int64 } }
	data, err := os.ReadFile(filepath.Join(folder, "log.json"))
	if err != nil {
		return 0, err
	}
	err = json.Unmarshal(data, &about)
	return about.From.Index, err
}

func checkLeaves(f folder, first int64, tree tlog.Tree, hashes tlog.HashReader) error {
	for start := first; start < tree.N; start += width {
		count := min(tree.N-start, width)
		leaves, err := f.leaves(tlog.Tile{H: height, L: 0, N: start / width, W: int(count)})
		if err != nil {
			return err
		}
		var indexes []int64
		for each := range leaves {
			indexes = append(indexes, tlog.StoredHashIndex(0, start+int64(each)))
		}
		stored, err := hashes.ReadHashes(indexes)
		if err != nil {
			return err
		}
		for each, leaf := range leaves {
			if tlog.RecordHash(leaf) != stored[each] {
				return fmt.Errorf("leaf %d is not the one that was hashed", start+int64(each))
			}
		}
	}
	return nil
}

func checkOwnProofs(first int64, tree tlog.Tree, earlier tlog.Tree, hashes tlog.HashReader) error {
	if root, err := tlog.TreeHash(tree.N, hashes); err != nil || root != tree.Hash {
		return fmt.Errorf("the root is %v, not %v: %v", root, tree.Hash, err)
	}
	for _, index := range []int64{first, first + 1, tree.N / 2, tree.N - 2, tree.N - 1} {
		if index < first || index >= tree.N {
			continue
		}
		proof, err := tlog.ProveRecord(tree.N, index, hashes)
		if err != nil {
			return err
		}
		leaf, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, leaf[0]); err != nil {
			return err
		}
	}
	if earlier.N == 0 {
		return nil
	}
	proof, err := tlog.ProveTree(tree.N, earlier.N, hashes)
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, tree.N, tree.Hash, earlier.N, earlier.Hash)
}

// given are the proofs to check: of a leaf where Leaf is set, else that the log grew from Old leaves.
type given struct {
	Index, Old int64
	Leaf, Root tlog.Hash
	Proof      []tlog.Hash
	Growth     bool
}

func checkGiven(tree tlog.Tree, proofs []given) error {
	for _, each := range proofs {
		err := error(nil)
		if each.Growth {
			err = tlog.CheckTree(each.Proof, tree.N, tree.Hash, each.Old, each.Root)
		} else {
			err = tlog.CheckRecord(each.Proof, tree.N, tree.Hash, each.Index, each.Leaf)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func run(arguments []string) error {
	tree, err := checkpoint(filepath.Join(arguments[1], "checkpoint"), arguments[0])
	if err != nil {
		return err
	}
	var earlier tlog.Tree
	if len(arguments) > 2 {
		if earlier, err = checkpoint(arguments[2], arguments[0]); err != nil {
			return err
		}
	}
	hashes := tlog.TileHashReader(tree, folder(arguments[1]))
	first, err := begins(arguments[1])
	if err != nil {
		return err
	}
	if err := checkLeaves(folder(arguments[1]), first, tree, hashes); err != nil {
		return err
	}
	if err := checkOwnProofs(first, tree, earlier, hashes); err != nil {
		return err
	}
	var proofs []given
	if err := json.NewDecoder(os.Stdin).Decode(&proofs); err != nil && err != io.EOF {
		return err
	}
	if err := checkGiven(tree, proofs); err != nil {
		return err
	}
	fmt.Println(tree.N, len(proofs))
	return nil
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
