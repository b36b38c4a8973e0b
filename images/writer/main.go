// image-writer turns folders into a container image without Docker: one tar that is an OCI layout
// and a docker-archive at once, byte for byte the same for the same input.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

const usage = `usage: image-writer --out FILE.tar --name NAME:TAG --layer DIR [flags]

Writes the folders as the layers of one image, first to last, into FILE.tar, and prints the image's
digest. The file can be given to 'ctr images import', 'kind load image-archive', 'docker load' and
'skopeo copy oci-archive:FILE.tar'. Repeat a flag for a list.

`

type texts []string

func (t *texts) String() string         { return fmt.Sprint(*t) }
func (t *texts) Set(value string) error { *t = append(*t, value); return nil }

func main() {
	if err := run(os.Args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		fmt.Fprintf(os.Stderr, "image-writer: %v\n", err)
		os.Exit(2)
	}
}

func run(args []string) error {
	var config runConfig
	var names, layers, ownerTexts, entrypoint, command, env, labels texts
	flags := flag.NewFlagSet("image-writer", flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(flags.Output(), usage); flags.PrintDefaults() }
	out := flags.String("out", "", "the tar to write")
	flags.Var(&names, "name", "fully qualified name and tag (list)")
	flags.Var(&layers, "layer", "folder with a layer's files (list)")
	flags.Var(&ownerTexts, "own", "/PATH=UID:GID, owner of one entry; root owns the others (list)")
	flags.Var(&entrypoint, "entrypoint", "one word of the command that always runs (list)")
	flags.Var(&command, "cmd", "one word of its default arguments (list)")
	flags.Var(&env, "env", "NAME=VALUE (list)")
	flags.Var(&labels, "label", "NAME=VALUE (list)")
	arch := flags.String("arch", runtime.GOARCH, "architecture of the programs in the layers, such as amd64 or arm64")
	flags.StringVar(&config.User, "user", "", "UID or UID:GID")
	flags.StringVar(&config.WorkingDir, "workdir", "", "folder to start in")
	flags.StringVar(&config.StopSignal, "stop-signal", "", "signal that ends the container, such as SIGINT")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *out == "" || len(names) == 0 || len(layers) == 0 || flags.NArg() > 0 {
		return errors.New("--out, --name and --layer are required, and there are no positional arguments; see --help")
	}
	owners := map[string]owner{}
	for _, text := range ownerTexts {
		path, who, err := parseOwner(text)
		if err != nil {
			return err
		}
		owners[path] = who
	}
	config.Entrypoint, config.Cmd, config.Env = entrypoint, command, env
	for _, label := range labels {
		name, value, found := strings.Cut(label, "=")
		if !found {
			return fmt.Errorf("label %q: write NAME=VALUE", label)
		}
		if config.Labels == nil {
			config.Labels = map[string]string{}
		}
		config.Labels[name] = value
	}
	digest, err := build(*out, image{names, platform{*arch, "linux"}, config}, layers, owners)
	if err != nil {
		return err
	}
	fmt.Println(digest)
	return nil
}

// build writes beside the target and renames, so that an interrupted run leaves no half image.
func build(out string, image image, folders []string, owners map[string]owner) (string, error) {
	work, err := os.MkdirTemp(filepath.Dir(out), ".image-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	layers := []blob{}
	for _, folder := range folders {
		layer, err := writeLayer(work, folder, owners)
		if err != nil {
			return "", err
		}
		layers = append(layers, layer)
	}
	file, err := os.Create(filepath.Join(work, "image.tar"))
	if err != nil {
		return "", err
	}
	defer file.Close()
	digest, err := writeImage(file, image, layers)
	if err != nil {
		return "", err
	}
	if err := file.Close(); err != nil {
		return "", err
	}
	return digest, os.Rename(file.Name(), out)
}
