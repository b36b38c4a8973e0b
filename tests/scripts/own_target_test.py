"""What `scripts/own-target` promises of two checkouts that share one folder of build results."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "own-target"
LONG_AGO_NS = 1_000_000_000 * 10**9


def age(file: Path) -> int:
    return file.stat().st_mtime_ns


class OwnTarget(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def checkout(self, name: str, files: dict[str, str]) -> Path:
        root = self.folder / name
        (root / "scripts").mkdir(parents=True)
        shutil.copy(SCRIPT, root / "scripts")
        subprocess.run(["git", "init", "-q", root], check=True)
        for file, text in files.items():
            (root / file).write_text(text)
        return root

    def own(self, root: Path) -> None:
        environment = {**os.environ, "CARGO_TARGET_DIR": str(self.folder / "target")}
        subprocess.run([root / "scripts" / "own-target"], check=True, env=environment)

    def test_equal_files_of_another_checkout_keep_their_age_and_others_are_new(self) -> None:
        first = self.checkout("first", {"same.rs": "a", "other.rs": "b"})
        self.own(first)
        built = age(first / "same.rs")
        second = self.checkout("second", {"same.rs": "a", "other.rs": "c", "more.rs": "d"})
        for name in ("other.rs", "more.rs"):
            os.utime(second / name, ns=(LONG_AGO_NS, LONG_AGO_NS))
        self.own(second)
        self.assertEqual(age(second / "same.rs"), built)
        self.assertGreater(age(second / "other.rs"), built)
        self.assertGreater(age(second / "more.rs"), built)

    def test_what_changed_in_a_checkout_after_it_was_recorded_may_have_been_built(self) -> None:
        first = self.checkout("first", {"lib.rs": "a"})
        self.own(first)
        recorded = age(first / "lib.rs")
        (first / "lib.rs").write_text("b")  # and built, by cargo alone
        second = self.checkout("second", {"lib.rs": "a"})
        self.own(second)
        self.assertGreater(age(second / "lib.rs"), recorded)

    def test_nothing_is_touched_where_it_was_built(self) -> None:
        first = self.checkout("first", {"lib.rs": "a"})
        self.own(first)
        os.utime(first / "lib.rs", ns=(LONG_AGO_NS, LONG_AGO_NS))
        self.own(first)
        self.assertEqual(age(first / "lib.rs"), LONG_AGO_NS)


if __name__ == "__main__":
    unittest.main()
