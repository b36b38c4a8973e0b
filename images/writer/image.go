package main

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"sort"
	"strings"
	"time"
)

// runConfig is how a container of the image starts, as the OCI image specification names it.
type runConfig struct {
	Entrypoint []string `json:"Entrypoint,omitempty"`
	Cmd        []string `json:"Cmd,omitempty"`
	Env        []string `json:"Env,omitempty"`
	User       string   `json:"User,omitempty"`
	WorkingDir string   `json:"WorkingDir,omitempty"`
	StopSignal string   `json:"StopSignal,omitempty"`

	Labels map[string]string `json:"Labels,omitempty"`
}

// image is what is known of an image besides its layers.
type image struct {
	names    []string
	platform platform
	config   runConfig
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Platform    *platform         `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

const (
	indexType    = "application/vnd.oci.image.index.v1+json"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar"
	blobFolder   = "blobs/sha256/"
)

// writeImage writes one tar that is an OCI layout and a docker-archive at once, and returns the
// digest of the image's manifest.
func writeImage(out io.Writer, image image, layers []blob) (string, error) {
	entries := map[string]any{} // path in the tar → []byte or blob
	add := func(document any) (string, int64, error) {
		raw, err := json.Marshal(document)
		if err != nil {
			return "", 0, err
		}
		sum := sha256.Sum256(raw)
		digest := hex.EncodeToString(sum[:])
		entries[blobFolder+digest] = raw
		return digest, int64(len(raw)), nil
	}
	configDigest, configSize, err := add(imageConfig(image, layers))
	if err != nil {
		return "", err
	}
	descriptors := []descriptor{}
	layerPaths := []string{}
	for _, layer := range layers {
		entries[blobFolder+layer.digest] = layer
		layerPaths = append(layerPaths, blobFolder+layer.digest)
		descriptors = append(descriptors, descriptor{MediaType: layerType, Digest: "sha256:" + layer.digest, Size: layer.size})
	}
	manifestDigest, manifestSize, err := add(map[string]any{
		"schemaVersion": 2,
		"mediaType":     manifestType,
		"config":        descriptor{MediaType: configType, Digest: "sha256:" + configDigest, Size: configSize},
		"layers":        descriptors,
	})
	if err != nil {
		return "", err
	}
	manifests := []descriptor{}
	for _, name := range image.names {
		manifests = append(manifests, descriptor{
			MediaType: manifestType, Digest: "sha256:" + manifestDigest, Size: manifestSize,
			Platform: &image.platform,
			Annotations: map[string]string{
				"io.containerd.image.name":          name,
				"org.opencontainers.image.ref.name": name[strings.LastIndex(name, ":")+1:],
			},
		})
	}
	for path, document := range map[string]any{
		"oci-layout":    map[string]string{"imageLayoutVersion": "1.0.0"},
		"index.json":    map[string]any{"schemaVersion": 2, "mediaType": indexType, "manifests": manifests},
		"manifest.json": []any{map[string]any{"Config": blobFolder + configDigest, "RepoTags": image.names, "Layers": layerPaths}},
	} {
		if entries[path], err = json.Marshal(document); err != nil {
			return "", err
		}
	}
	return "sha256:" + manifestDigest, writeEntries(out, entries)
}

func imageConfig(image image, layers []blob) map[string]any {
	diffs := []string{}
	history := []map[string]string{}
	for _, layer := range layers {
		diffs = append(diffs, "sha256:"+layer.digest)
		history = append(history, map[string]string{"created": "1970-01-01T00:00:00Z"})
	}
	return map[string]any{
		"created":      "1970-01-01T00:00:00Z",
		"architecture": image.platform.Architecture,
		"os":           image.platform.OS,
		"config":       image.config,
		"rootfs":       map[string]any{"type": "layers", "diff_ids": diffs},
		"history":      history,
	}
}

func writeEntries(out io.Writer, entries map[string]any) error {
	paths := make([]string, 0, len(entries))
	for path := range entries {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	archive := tar.NewWriter(out)
	for _, path := range paths {
		if err := writeEntry(archive, path, entries[path]); err != nil {
			return err
		}
	}
	return archive.Close()
}

func writeEntry(archive *tar.Writer, path string, content any) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: 0o644, ModTime: time.Unix(0, 0)}
	if raw, ok := content.([]byte); ok {
		header.Size = int64(len(raw))
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		_, err := archive.Write(raw)
		return err
	}
	layer := content.(blob)
	header.Size = layer.size
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	file, err := os.Open(layer.path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(archive, file)
	return err
}
