// Holds a log's heads, proofs and tiles against golang.org/x/mod/sumdb: one JSON question a line on stdin, one JSON answer a line on stdout.
// The only code here that is not Go's own reads files and passes values on.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type question struct {
	Ask     string   `json:"ask"`
	Key     string   `json:"key"`
	Note    string   `json:"note"`
	Since   string   `json:"since"`
	Index   int64    `json:"index"`
	Content string   `json:"content"`
	Path    []string `json:"path"`
	Folder  string   `json:"folder"`
}

// head opens a signed note and reads origin, size and root hash from its text.
func head(key, text string) (tree tlog.Tree, err error) {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return tree, err
	}
	opened, err := note.Open([]byte(text), note.VerifierList(verifier))
	if err != nil {
		return tree, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return tree, fmt.Errorf("not three lines of this log")
	}
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return tree, err
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, err
}

func hashes(texts []string) (found []tlog.Hash, err error) {
	for _, text := range texts {
		hash, err := tlog.ParseHash(text)
		if err != nil {
			return nil, err
		}
		found = append(found, hash)
	}
	return found, nil
}

// folder reads tiles of an export. Go names the height of tiles in their path, c2sp.org/tlog-tiles does not: it is always 8.
type folder string

func (f folder) Height() int { return 8 }

func (f folder) SaveTiles(tiles []tlog.Tile, data [][]byte) {}

func (f folder) ReadTiles(tiles []tlog.Tile) (found [][]byte, err error) {
	for _, tile := range tiles {
		content, err := os.ReadFile(filepath.Join(string(f), "tile", strings.TrimPrefix(tile.Path(), "tile/8/")))
		if err != nil {
			return nil, err
		}
		found = append(found, content)
	}
	return found, nil
}

func answer(q question) error {
	tree, err := head(q.Key, q.Note)
	if err != nil || q.Ask == "note" {
		return err
	}
	path, err := hashes(q.Path)
	if err != nil {
		return err
	}
	content, err := base64.StdEncoding.DecodeString(q.Content)
	if err != nil {
		return err
	}
	switch q.Ask {
	case "inclusion":
		return tlog.CheckRecord(tlog.RecordProof(path), tree.N, tree.Hash, q.Index, tlog.RecordHash(content))
	case "consistency":
		older, err := head(q.Key, q.Since)
		if err != nil {
			return err
		}
		return tlog.CheckTree(tlog.TreeProof(path), tree.N, tree.Hash, older.N, older.Hash)
	case "tiles":
		reader := tlog.TileHashReader(tree, folder(q.Folder))
		proof, err := tlog.ProveRecord(tree.N, q.Index, reader)
		if err != nil {
			return err
		}
		return tlog.CheckRecord(proof, tree.N, tree.Hash, q.Index, tlog.RecordHash(content))
	}
	return fmt.Errorf("no such question")
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var q question
		err := json.Unmarshal(lines.Bytes(), &q)
		if err == nil {
			err = answer(q)
		}
		reason := ""
		if err != nil {
			reason = err.Error()
		}
		text, _ := json.Marshal(map[string]interface{}{"ok": err == nil, "reason": reason})
		fmt.Println(string(text))
	}
}
