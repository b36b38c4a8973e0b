package main

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

type owner struct{ uid, gid int }

// blob is a file that is known by the hash of its content.
type blob struct {
	path   string
	digest string // 64 hex digits of SHA-256
	size   int64  // bytes
}

// writeLayer packs a folder as an uncompressed layer into a file in dir. The bytes depend on
// names, modes, links and contents only: entries are sorted, times are the epoch, and owners are
// root unless owners names the path.
func writeLayer(dir, folder string, owners map[string]owner) (blob, error) {
	file, err := os.CreateTemp(dir, "layer-")
	if err != nil {
		return blob{}, err
	}
	defer file.Close()
	hash := sha256.New()
	counter := &countingWriter{to: io.MultiWriter(file, hash)}
	archive := tar.NewWriter(counter)
	// WalkDir visits each folder in lexical order.
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == folder {
			return err
		}
		return addEntry(archive, folder, path, owners)
	})
	if err != nil {
		return blob{}, fmt.Errorf("layer %s: %w", folder, err)
	}
	if err := archive.Close(); err != nil {
		return blob{}, err
	}
	return blob{file.Name(), hex.EncodeToString(hash.Sum(nil)), counter.bytes}, nil
}

func addEntry(archive *tar.Writer, folder, path string, owners map[string]owner) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	target := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if target, err = os.Readlink(path); err != nil {
			return err
		}
	}
	header, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	name, err := filepath.Rel(folder, path)
	if err != nil {
		return err
	}
	who := owners["/"+name]
	*header = tar.Header{
		Typeflag: header.Typeflag, Name: name, Linkname: target, Mode: header.Mode, Size: header.Size,
		Uid: who.uid, Gid: who.gid, ModTime: time.Unix(0, 0), Format: tar.FormatPAX,
	}
	if info.IsDir() {
		header.Name += "/"
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return nil
	}
	content, err := os.Open(path)
	if err != nil {
		return err
	}
	defer content.Close()
	_, err = io.Copy(archive, content)
	return err
}

// parseOwner reads PATH=UID:GID.
func parseOwner(text string) (string, owner, error) {
	path, ids, found := strings.Cut(text, "=")
	var who owner
	if _, err := fmt.Sscanf(ids, "%d:%d", &who.uid, &who.gid); !found || err != nil || !strings.HasPrefix(path, "/") {
		return "", owner{}, fmt.Errorf("owner %q: write /PATH=UID:GID", text)
	}
	return path, who, nil
}

type countingWriter struct {
	to    io.Writer
	bytes int64
}

func (w *countingWriter) Write(data []byte) (int, error) {
	n, err := w.to.Write(data)
	w.bytes += int64(n)
	return n, err
}
