"""Which parts of CI a change runs."""

import importlib.machinery
import importlib.util
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / ".ci" / "parts"
LOADER = importlib.machinery.SourceFileLoader("parts", str(SCRIPT))
parts = importlib.util.module_from_spec(importlib.util.spec_from_loader("parts", LOADER))
LOADER.exec_module(parts)


class Parts(unittest.TestCase):
    def test_documents_are_only_linted(self) -> None:
        self.assertEqual(parts.parts_of(["README.md", "docs/examples/a.yaml", "release-notes/unreleased/fixed-a.md"]), ["lint"])

    def test_the_page_needs_no_servers(self) -> None:
        self.assertEqual(parts.parts_of(["poker-app/web/src/main.tsx"]), ["lint", "unit", "web", "e2e"])

    def test_the_operator_needs_no_page(self) -> None:
        self.assertEqual(parts.parts_of(["operator/src/main.rs", "README.md"]), ["lint", "unit", "integration", "e2e"])

    def test_a_file_that_no_pattern_matches_runs_all_parts(self) -> None:
        for file in ("Cargo.toml", "poker-app/src/main.rs", "Makefile", ".github/workflows/ci.yaml", "new/file"):
            self.assertEqual(parts.parts_of([file]), parts.ALL, file)


if __name__ == "__main__":
    unittest.main()
