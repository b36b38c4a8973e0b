"""The scripts that make a release, without building one."""

import json
import os
import platform
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RELEASE = ROOT / "scripts" / "release"


def run(*command: object, input: str = "", **environment: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, input=input, env=environment)


class InFolder(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def write(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file


UNRELEASED = """# Changelog

## Unreleased

### Fixed

**App**
- D.

## 1.2.2 - 2026-01-01

### Added

- E.
"""


class Changes(InFolder):
    def setUp(self) -> None:
        super().setUp()
        for name in ("notes", "prepare", "changelog.py"):
            script = self.write(f"scripts/release/{name}", "")
            shutil.copy(RELEASE / name, script)
        self.write("CHANGELOG.md", UNRELEASED)

    def script(self, name: str, *arguments: str) -> subprocess.CompletedProcess:
        return run(self.folder / "scripts/release" / name, *arguments, PYTHONDONTWRITEBYTECODE="1")

    def notes(self, files: dict[str, str]) -> subprocess.CompletedProcess:
        for name, text in files.items():
            self.write(f"release-notes/unreleased/{name}", text)
        return self.script("notes", "1.2.3", "registry.example/poker")

    def prepare(self, *, readme: str = "  version: \"1.2.2\"\n") -> subprocess.CompletedProcess:
        self.write("Cargo.toml", '[workspace]\nmembers = ["a"]\n\n[workspace.package]\nversion = "1.2.2"\n')
        self.write("a/Cargo.toml", "[package]\nname = \"a\"\nversion.workspace = true\n")
        self.write("a/src/lib.rs", "")
        self.write("README.md", readme)
        for chart in ("poker-operator", "poker-operator-crds"):
            self.write(f"charts/{chart}/Chart.yaml", "version: 1.2.2\nappVersion: 1.2.2\n")
        self.write("release-notes/unreleased/added-c.md", "C.\n")
        return self.script("prepare", "1.2.3")

    def test_each_file_is_an_item_of_the_section_that_its_name_says(self) -> None:
        made = self.notes({"fixed-b.md": "B.\n", "fixed-a.md": "A\ngoes on.\n", "added-c.md": "C.\n"})
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertIn("## Added\n\n- C.\n\n## Fixed\n\n- A\n  goes on.\n- B.\n\n**App**\n- D.\n\n## Install", made.stdout)
        self.assertIn("registry.example/poker/poker-app:1.2.3", made.stdout)
        self.assertNotIn("E.", made.stdout)

    def test_a_file_of_an_unknown_kind_is_refused(self) -> None:
        made = self.notes({"improved-a.md": "A.\n"})
        self.assertEqual(made.returncode, 1)
        self.assertIn("improved-a.md: the name of a release note begins with", made.stderr)

    def test_a_file_with_a_heading_is_refused(self) -> None:
        self.assertIn("without a heading", self.notes({"fixed-a.md": "# A\n"}).stderr)

    def test_prepare_moves_what_is_unreleased_and_keeps_the_notes(self) -> None:
        before = self.notes({"added-c.md": "C.\n"}).stdout
        made = self.prepare()
        self.assertEqual(made.returncode, 0, made.stderr)
        changelog = (self.folder / "CHANGELOG.md").read_text()
        self.assertRegex(changelog, r"## Unreleased\n\n## 1\.2\.3 - [0-9-]{10}\n\n### Added\n\n- C\.\n\n### Fixed")
        self.assertTrue(changelog.endswith("- D.\n\n## 1.2.2 - 2026-01-01\n\n### Added\n\n- E.\n"))
        self.assertEqual(self.notes({}).stdout, before)

    def test_prepare_sets_the_version_everywhere(self) -> None:
        made = self.prepare()
        self.assertEqual(made.returncode, 0, made.stderr)
        for path, text in {
            "Cargo.toml": 'version = "1.2.3"',
            "Cargo.lock": 'name = "a"\nversion = "1.2.3"',
            "README.md": '  version: "1.2.3"',
            "charts/poker-operator/Chart.yaml": "version: 1.2.3\nappVersion: 1.2.3",
            "charts/poker-operator-crds/Chart.yaml": "version: 1.2.3\nappVersion: 1.2.3",
        }.items():
            self.assertIn(text, (self.folder / path).read_text())

    def test_prepare_refuses_a_place_without_a_version(self) -> None:
        made = self.prepare(readme="")
        self.assertEqual(made.returncode, 1)
        self.assertIn("README.md has 0 lines that match", made.stderr)


class Compare(InFolder):
    def test_equal_folders_are_equal(self) -> None:
        self.write("a/x", "1")
        self.write("b/x", "1")
        self.assertEqual(run(RELEASE / "compare", self.folder / "a", self.folder / "b").returncode, 0)

    def test_files_that_differ_or_are_missing_are_named(self) -> None:
        self.write("a/same", "1")
        self.write("b/same", "1")
        self.write("a/other", "1")
        self.write("b/other", "2")
        self.write("a/missing", "1")
        compared = run(RELEASE / "compare", self.folder / "a", self.folder / "b")
        self.assertEqual(compared.returncode, 1)
        self.assertIn("  other", compared.stderr)
        self.assertIn("  missing", compared.stderr)
        self.assertNotIn("  same", compared.stderr)

    def test_nothing_is_not_reproducible(self) -> None:
        for name in ("a", "b"):
            (self.folder / name).mkdir()
        self.assertIn("no artifacts", run(RELEASE / "compare", self.folder / "a", self.folder / "b").stderr)


class Reproducible(InFolder):
    def check(self, recipe: str) -> subprocess.CompletedProcess:
        """Checks a repository whose release is what the recipe writes into OUT."""
        for name in ("release/check-reproducible", "release/compare", "step", "version"):
            shutil.copy(ROOT / "scripts" / name, self.write(f"scripts/{name}", ""))
        self.write("Cargo.toml", '[workspace.package]\nversion = "1.2.3"\n')
        self.write("Makefile", f"release-artifacts:\n\tmkdir -p $(OUT)\n\t{recipe}\n")
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.com")
        for command in (("init", "-q"), ("add", "."), (*identity, "commit", "-qm", "release")):
            run("git", "-C", self.folder, *command)
        return run(self.folder / "scripts/release/check-reproducible", TMPDIR=str(self.folder))

    def test_a_release_without_traces_of_the_build_passes(self) -> None:
        made = self.check("echo $(VERSION) >$(OUT)/program")
        self.assertEqual(made.returncode, 0, made.stdout + made.stderr)
        self.assertIn("1 artifacts are the same in both builds", made.stdout)
        self.assertEqual(list(self.folder.glob("reproducible.*")), [])

    def test_a_commit_during_the_check_changes_nothing(self) -> None:
        commit = "git -C $$(git config remote.origin.url) -c user.name=t -c user.email=t@example.com commit -q --allow-empty -m next"
        made = self.check(f"git rev-parse HEAD >$(OUT)/program && {commit}")
        self.assertEqual(made.returncode, 0, made.stdout + made.stderr)

    def test_a_release_with_the_folder_of_the_build_fails_and_is_kept(self) -> None:
        made = self.check("pwd >$(OUT)/program")
        self.assertEqual(made.returncode, 1)
        self.assertIn("these artifacts differ", made.stderr)
        self.assertEqual(len(list(self.folder.glob("reproducible.*/*/program"))), 2)


class Sbom(unittest.TestCase):
    def test_two_runs_on_two_machines_give_the_same_document(self) -> None:
        printed = []
        for serial, time in (("urn:uuid:1", "2026-01-01T00:00:00Z"), ("urn:uuid:2", "2026-01-02T00:00:00Z")):
            metadata = {"timestamp": time, "component": {"name": "web", "version": "0.0.0"}}
            document = {"serialNumber": serial, "metadata": metadata, "name": f"path+file://{ROOT}/operator"}
            made = run(
                RELEASE / "normalize-sbom", "poker-web", "1.2.3", input=json.dumps(document), SOURCE_DATE_EPOCH="0"
            )
            printed.append(made.stdout)
        self.assertEqual(printed[0], printed[1])
        self.assertEqual(
            json.loads(printed[0]),
            {
                "metadata": {"timestamp": "1970-01-01T00:00:00Z", "component": {"name": "poker-web", "version": "1.2.3"}},
                "name": "path+file:///src/operator",
            },
        )


class Architectures(InFolder):
    def buildable(self, arches: str) -> subprocess.CompletedProcess:
        """What a machine builds that has only its own standard library and cannot install anything."""
        host = platform.machine()
        for name, text in {
            "rustc": f"echo {self.folder}/sysroot",
            "rustup": "exit 1",
            "dpkg-query": "exit 1",
            "apt-get": "exit 1",
        }.items():
            self.write(f"bin/{name}", f"#!/bin/sh\n{text}\n").chmod(0o755)
        self.write(f"sysroot/lib/rustlib/{host}-unknown-linux-gnu/lib/libstd.rlib", "")
        script = "set -euo pipefail; shopt -s inherit_errexit; source scripts/release/lib.sh; buildable_arches"
        path = f"{self.folder}/bin:{os.environ['PATH']}"
        return subprocess.run(
            ["bash", "-c", script], capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PATH": path, "ARCHES": arches}
        )

    def setUp(self) -> None:
        super().setUp()
        names = {"x86_64": ("amd64", "arm64"), "aarch64": ("arm64", "amd64")}
        self.own, self.other = names[platform.machine()]

    def test_an_architecture_that_cannot_be_built_is_skipped_with_what_is_missing(self) -> None:
        made = self.buildable("")
        self.assertEqual(made.stdout, f"{self.own}\n", made.stderr)
        self.assertIn(f"warning: no artifacts for {self.other}, this is missing: Rust's standard library (rustup", made.stderr)
        self.assertIn(", a C compiler and C library (apt-get install gcc-", made.stderr)

    def test_an_architecture_that_was_asked_for_must_be_buildable(self) -> None:
        made = self.buildable(f"{self.own} {self.other}")
        self.assertEqual(made.returncode, 1)
        self.assertIn(f"error: cannot build for {self.other}, this is missing: ", made.stderr)


class Artifacts(InFolder):
    def test_a_folder_with_files_is_not_overwritten(self) -> None:
        kept = self.write("kept", "1")
        version = run(ROOT / "scripts/version").stdout.strip()
        made = run(RELEASE / "artifacts", VERSION=version, OUT=str(self.folder), CARGO_TARGET_DIR=str(self.folder))
        self.assertEqual(made.returncode, 1)
        self.assertIn("is not empty", made.stderr)
        self.assertTrue(kept.exists())

    def test_a_version_that_is_not_the_programs_is_refused(self) -> None:
        made = run(RELEASE / "artifacts", VERSION="99.0.0")
        self.assertEqual(made.returncode, 1)
        self.assertIn("VERSION is 99.0.0, and Cargo.toml has version", made.stderr)

    def test_without_a_version_it_prints_what_to_write(self) -> None:
        made = run(RELEASE / "artifacts", VERSION="")
        self.assertEqual(made.returncode, 2)
        self.assertIn("usage: make release-artifacts VERSION=", made.stderr)


if __name__ == "__main__":
    unittest.main()
