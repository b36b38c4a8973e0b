package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

func TestSpecPath(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--root", "/r", "create", "--bundle", "/b", "--pid-file", "/p", "id"}, "/b/config.json"},
		{[]string{"run", "-b=/b", "id"}, "/b/config.json"},
		{[]string{"create", "id"}, "config.json"},
		{[]string{"--root", "/r", "exec", "--process", "/tmp/p", "id"}, "/tmp/p"},
		{[]string{"exec", "id", "sh"}, ""},
		{[]string{"delete", "--force", "id"}, ""},
	} {
		if got := specPath(c.args); got != c.want {
			t.Errorf("%v: got %q, want %q", c.args, got, c.want)
		}
	}
}

func TestRelaxFile(t *testing.T) {
	const process = `{"capabilities":{"bounding":["CAP_CHOWN","CAP_SYS_RESOURCE"],"effective":["CAP_SYS_RESOURCE"]},` +
		`"oomScoreAdj":-999,"rlimits":[{"type":"RLIMIT_NOFILE","hard":100,"soft":100},` +
		`{"type":"RLIMIT_CORE","hard":18446744073709551615,"soft":0},{"type":"RLIMIT_UNHEARD_OF","hard":1,"soft":1}]}`
	const want = `{"capabilities":{"bounding":["CAP_CHOWN"],"effective":[]},"oomScoreAdj":5,` +
		`"rlimits":[{"hard":100,"soft":100,"type":"RLIMIT_NOFILE"}]}`
	machine := host{oomScoreAdj: 5, hardLimit: func(name string) (uint64, bool) {
		return 100, name == "RLIMIT_NOFILE" || name == "RLIMIT_CORE"
	}}
	for name, c := range map[string][2]string{
		"process of exec": {process, want},
		"bundle":          {`{"process":` + process + `,"root":{"path":"r"}}`, `{"process":` + want + `,"root":{"path":"r"}}`},
		"nothing to do":   {`{"process":{"oomScoreAdj":7}}`, `{"process":{"oomScoreAdj":7}}`},
	} {
		path := filepath.Join(t.TempDir(), "spec.json")
		if err := os.WriteFile(path, []byte(c[0]), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := relaxFile(path, machine); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(got) || string(got) != c[1] {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c[1])
		}
	}
}
