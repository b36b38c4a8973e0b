package main

import (
	"bytes"
	"encoding/json"
	"os"
	"syscall"
)

const missingCapability = "CAP_SYS_RESOURCE"

// host is what this machine allows its processes.
type host struct {
	oomScoreAdj int64
	// hardLimit gives the inherited hard limit of an OCI rlimit name; false when unknown.
	hardLimit func(name string) (uint64, bool)
}

var rlimits = map[string]int{
	"RLIMIT_AS": syscall.RLIMIT_AS, "RLIMIT_CORE": syscall.RLIMIT_CORE, "RLIMIT_CPU": syscall.RLIMIT_CPU,
	"RLIMIT_DATA": syscall.RLIMIT_DATA, "RLIMIT_FSIZE": syscall.RLIMIT_FSIZE,
	"RLIMIT_NOFILE": syscall.RLIMIT_NOFILE, "RLIMIT_STACK": syscall.RLIMIT_STACK,
	"RLIMIT_NPROC": 6, "RLIMIT_MEMLOCK": 8, // the same on every Linux architecture but MIPS and SPARC
}

func hardLimit(name string) (uint64, bool) {
	number, known := rlimits[name]
	if !known {
		return 0, false
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(number, &limit); err != nil {
		return 0, false
	}
	return limit.Max, true
}

func relaxFile(path string, host host) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var document map[string]any
	if err := decoder.Decode(&document); err != nil {
		return err
	}
	relax(document, host)
	out, err := json.Marshal(document)
	if err != nil {
		return err
	}
	return os.WriteFile(path, out, 0o600)
}

// relax edits an OCI config (with a "process") or a process document in place.
func relax(document map[string]any, host host) {
	process := document
	if inner, ok := document["process"].(map[string]any); ok {
		process = inner
	}
	if sets, ok := process["capabilities"].(map[string]any); ok {
		for name, set := range sets {
			sets[name] = without(set, missingCapability)
		}
	}
	if score, ok := process["oomScoreAdj"].(json.Number); ok {
		if value, err := score.Int64(); err == nil && value < host.oomScoreAdj {
			process["oomScoreAdj"] = host.oomScoreAdj
		}
	}
	if limits, ok := process["rlimits"].([]any); ok {
		process["rlimits"] = withinHard(limits, host)
	}
}

func without(set any, name string) []any {
	kept := []any{}
	entries, _ := set.([]any)
	for _, entry := range entries {
		if entry != name {
			kept = append(kept, entry)
		}
	}
	return kept
}

func withinHard(limits []any, host host) []any {
	kept := []any{}
	for _, entry := range limits {
		limit, _ := entry.(map[string]any)
		name, _ := limit["type"].(string)
		hard, _ := limit["hard"].(json.Number)
		var wanted uint64
		if err := json.Unmarshal([]byte(hard), &wanted); err != nil {
			continue
		}
		if allowed, known := host.hardLimit(name); known && wanted <= allowed {
			kept = append(kept, entry)
		}
	}
	return kept
}
