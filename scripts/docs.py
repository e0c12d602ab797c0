#!/usr/bin/env python3
"""Checks the Markdown pages: links and their anchors, the files that ARCHITECTURE.md names, lengths of pages and lines.

Prints every violation, and fails if there is one.
"""
import pathlib, re, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAXIMUM_LINES = 300
MAXIMUM_COLUMNS = 100


def tracked(pattern):
    listing = subprocess.run(["git", "ls-files", pattern], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    # An unpacked archive has no list of its files.
    found = listing.split("\n") if listing else (str(path.relative_to(ROOT)) for path in ROOT.rglob(pattern))
    return [name for name in found if name and not re.search(r"(^|/)\.(build|git)", name) and (ROOT / name).is_file()]


def prose(text):
    """Returns the lines of a page with their numbers, without its blocks of code."""
    lines, fenced = [], False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            lines.append((number, line))
    return lines


def anchors(page):
    headings = (line.lstrip("#").strip() for _, line in prose(page.read_text(encoding="utf-8")) if line.startswith("#"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def violations(name):
    page = ROOT / name
    text = page.read_text(encoding="utf-8")
    if text.count("\n") > MAXIMUM_LINES:
        yield f"{name}: more than {MAXIMUM_LINES} lines; split it by subject"
    for number, line in prose(text):
        is_breakable = not line.startswith(("|", "<!--")) and "http" not in line
        if len(line) > MAXIMUM_COLUMNS and is_breakable:
            yield f"{name}:{number}: wider than {MAXIMUM_COLUMNS} columns"
    for target in re.findall(r"\]\(([^)\s]+)\)", "\n".join(line for _, line in prose(text))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        other = (page.parent / path).resolve() if path else page
        if not other.exists():
            yield f"{name}: {target} does not exist"
        elif anchor and other.suffix == ".md" and anchor not in anchors(other):
            yield f"{name}: {target} names no heading"


def missing_sources(name):
    """Yields the source files that a page names in code style and that do not exist."""
    sources = [f"/{source}" for pattern in ("*.swift", "*.lua", "*.json") for source in tracked(pattern)]
    for file in re.findall(r"`([\w+./-]+\.(?:swift|lua|json))`", (ROOT / name).read_text(encoding="utf-8")):
        if not any(source.endswith(f"/{file}") for source in sources):
            yield f"{name}: no source file {file}"


def main():
    found = [violation for name in tracked("*.md") for violation in violations(name)]
    found += missing_sources("ARCHITECTURE.md")
    print("\n".join(found), end="\n" if found else "")
    sys.exit(1 if found else 0)


main()
