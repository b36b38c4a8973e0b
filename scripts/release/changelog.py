"""The changes of a release: a section of CHANGELOG.md, or before there is one, what it will consist of."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHANGELOG = ROOT / "CHANGELOG.md"
UNRELEASED = ROOT / "release-notes" / "unreleased"
# The first word of a fragment's name decides its section. Sections appear in this order.
SECTIONS = {
    "security": "Security",
    "removed": "Removed",
    "renamed": "Renamed",
    "added": "Added",
    "changed": "Changed",
    "fixed": "Fixed",
}


def fragments() -> dict[str, list[str]]:
    """The texts of each section, in the order of the files' names."""
    found: dict[str, list[str]] = {section: [] for section in SECTIONS.values()}
    for file in sorted(UNRELEASED.glob("*")):
        kind = file.name.split("-")[0]
        if file.suffix != ".md" or kind not in SECTIONS:
            kinds = ", ".join(f"{kind}-" for kind in SECTIONS)
            sys.exit(f"error: {file.name}: the name of a release note begins with one of {kinds} and ends with .md")
        text = file.read_text().strip()
        if not text or text.startswith(("-", "#")):
            sys.exit(f"error: {file.name}: a release note is one or more sentences, without a heading or a bullet")
        found[SECTIONS[kind]].append("- " + text.replace("\n", "\n  "))
    return found


def release(version: str) -> str | None:
    """The text of a release in CHANGELOG.md."""
    found = re.search(rf"^## {re.escape(version)}(?: [^\n]*)?\n(.*?)(?=^## |\Z)", CHANGELOG.read_text(), re.M | re.S)
    return found[1].strip() if found else None


def unreleased() -> str:
    """The section Unreleased of CHANGELOG.md together with the fragments, which precede its groups."""
    written = dict(re.findall(r"^### ([^\n]+)\n(.*?)(?=^### |\Z)", release("Unreleased") or "", re.M | re.S))
    unknown = set(written) - set(SECTIONS.values())
    if unknown:
        sys.exit(f"error: CHANGELOG.md: Unreleased has sections other than {', '.join(SECTIONS.values())}: {unknown}")
    parts = []
    for section, texts in fragments().items():
        body = "\n\n".join(filter(None, ["\n".join(texts), written.get(section, "").strip()]))
        if body:
            parts.append(f"### {section}\n\n{body}")
    return "\n\n".join(parts)
