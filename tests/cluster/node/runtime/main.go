// An OCI runtime for machines whose root lacks CAP_SYS_RESOURCE: it takes out of every container
// what such a machine cannot give, then becomes runc. Without it runc fails with "unable to apply
// caps: operation not permitted".
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	if err := run(os.Args); err != nil {
		fmt.Fprintf(os.Stderr, "runtime wrapper: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	runc, err := exec.LookPath("runc")
	if err != nil {
		return fmt.Errorf("runc is not on PATH, install it: %w", err)
	}
	host, err := readHost()
	if err != nil {
		return err
	}
	if path := specPath(args[1:]); path != "" {
		if err := relaxFile(path, host); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return syscall.Exec(runc, append([]string{"runc"}, args[1:]...), os.Environ())
}

// specPath is the file that describes the process to start: the bundle's config.json for create
// and run, the --process file for exec, empty otherwise.
func specPath(args []string) string {
	command, bundle, process := "", ".", ""
	for i := 0; i < len(args); i++ {
		name, value, joined := strings.Cut(args[i], "=")
		if !joined && i+1 < len(args) {
			value = args[i+1]
		}
		switch name {
		case "create", "run", "exec":
			if command == "" {
				command = name
			}
		case "--bundle", "-b":
			bundle = value
		case "--process", "-p":
			process = value
		}
	}
	switch command {
	case "create", "run":
		return filepath.Join(bundle, "config.json")
	case "exec":
		return process
	}
	return ""
}

func readHost() (host, error) {
	raw, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return host{}, err
	}
	score, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64)
	if err != nil {
		return host{}, err
	}
	return host{oomScoreAdj: score, hardLimit: hardLimit}, nil
}
