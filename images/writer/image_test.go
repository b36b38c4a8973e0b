package main

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// tree makes the same files each time, at another place and another time.
func tree(t *testing.T, when time.Time) string {
	root := t.TempDir()
	write(t, filepath.Join(root, "usr/bin/tool"), "binary", 0o755)
	write(t, filepath.Join(root, "etc/passwd"), "root:x:0:0::/:", 0o644)
	if err := os.Symlink("usr/bin", filepath.Join(root, "bin")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "tmp"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(root, "tmp"), 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(root, "etc/passwd"), when, when); err != nil {
		t.Fatal(err)
	}
	return root
}

func read(t *testing.T, path string) map[string]string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	entries := map[string]string{}
	for archive := tar.NewReader(file); ; {
		header, err := archive.Next()
		if err == io.EOF {
			return entries
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		entries[header.Name] = string(content)
	}
}

func TestSameFilesGiveTheSameBytes(t *testing.T) {
	sums := map[string]bool{}
	for _, when := range []time.Time{time.Unix(1, 0), time.Now()} {
		out := filepath.Join(t.TempDir(), "image.tar")
		args := []string{"--out", out, "--name", "localhost/tool:1", "--layer", tree(t, when), "--entrypoint", "/usr/bin/tool"}
		if err := run(args); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(raw)
		sums[hex.EncodeToString(sum[:])] = true
	}
	if len(sums) != 1 {
		t.Errorf("two builds of the same files differ: %v", sums)
	}
}

func TestImageIsBothFormats(t *testing.T) {
	out := filepath.Join(t.TempDir(), "image.tar")
	args := []string{"--out", out, "--name", "localhost/a:1", "--name", "localhost/b:2", "--layer", tree(t, time.Now()),
		"--layer", tree(t, time.Now()), "--env", "A=1", "--user", "65532", "--stop-signal", "SIGINT", "--own", "/tmp=5:6",
		"--arch", "arm64", "--label", "org.opencontainers.image.version=1.0"}
	if err := run(args); err != nil {
		t.Fatal(err)
	}
	entries := read(t, out)
	for path, content := range entries {
		if name, isBlob := strings.CutPrefix(path, blobFolder); isBlob {
			if sum := sha256.Sum256([]byte(content)); hex.EncodeToString(sum[:]) != name {
				t.Errorf("the content of %s does not have that hash", path)
			}
		}
	}
	var archive []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal([]byte(entries["manifest.json"]), &archive); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(archive[0].RepoTags, " "); got != "localhost/a:1 localhost/b:2" {
		t.Errorf("names: %s", got)
	}
	var index struct{ Manifests []descriptor }
	if err := json.Unmarshal([]byte(entries["index.json"]), &index); err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	digest := strings.TrimPrefix(index.Manifests[1].Digest, "sha256:")
	if err := json.Unmarshal([]byte(entries[blobFolder+digest]), &manifest); err != nil {
		t.Fatal(err)
	}
	if manifest.Config.Digest != "sha256:"+strings.TrimPrefix(archive[0].Config, blobFolder) || len(manifest.Layers) != 2 {
		t.Errorf("the two formats disagree: %+v", manifest)
	}
	if got := index.Manifests[1].Annotations["org.opencontainers.image.ref.name"]; got != "2" {
		t.Errorf("tag: %q", got)
	}
	if got := index.Manifests[0].Platform.Architecture; got != "arm64" {
		t.Errorf("architecture: %q", got)
	}
	config := entries[archive[0].Config]
	for _, want := range []string{`"User":"65532"`, `"A=1"`, `"architecture":"arm64"`, `"org.opencontainers.image.version":"1.0"`} {
		if !strings.Contains(config, want) {
			t.Errorf("config without %s: %s", want, config)
		}
	}
}

func TestLayerEntries(t *testing.T) {
	layer, err := writeLayer(t.TempDir(), tree(t, time.Now()), map[string]owner{"/tmp": {5, 6}})
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(layer.path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	got := []string{}
	for archive := tar.NewReader(file); ; {
		header, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Name == "tmp/" && (header.Mode != 0o1777 || header.Uid != 5 || header.Gid != 6) {
			t.Errorf("tmp: mode %o, owner %d:%d", header.Mode, header.Uid, header.Gid)
		}
		if header.ModTime.Unix() != 0 {
			t.Errorf("%s has a time", header.Name)
		}
		got = append(got, header.Name+header.Linkname)
	}
	if want := "binusr/bin etc/ etc/passwd tmp/ usr/ usr/bin/ usr/bin/tool"; strings.Join(got, " ") != want {
		t.Errorf("entries: %v", got)
	}
}

func TestBadUse(t *testing.T) {
	for _, args := range [][]string{{}, {"--out", "x"}, {"--out", "x", "--name", "a:1", "--layer", ".", "--own", "tmp=1"},
		{"--out", "x", "--name", "a:1", "--layer", ".", "--label", "version"},
		{"--out", "/nowhere/x", "--name", "a:1", "--layer", "."}} {
		if err := run(args); err == nil {
			t.Errorf("%v was accepted", args)
		}
	}
}
