#!/usr/bin/env python3
"""Draws sentences and docstrings at random from the documentation and the sources, for a reading check.

    scripts/draw_sentences.py SEED [COUNT]

The same seed draws the same texts from the same sources. A reader marks each text that must be read twice; of 100, at most 8
may be. The population is: sentences of Markdown prose and of table cells, documentation comments of Swift, and comments of
Lua, shell, Python and configuration files.
"""
import pathlib, random, re, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ABBREVIATION = re.compile(r"\b(e\.g|i\.e|vs|cf|etc)\.$")


def sentences(text):
    """Splits a text at the ends of its sentences."""
    text = re.sub(r"\s+", " ", text).strip()
    start = 0
    for end in re.finditer(r"[.!?:](?=\s+[A-Z`*“\"(])", text):
        if not ABBREVIATION.search(text[: end.end()]):
            yield text[start : end.end()].strip()
            start = end.end()
    yield text[start:].strip()


def markdown(text):
    """Yields (line number, sentence) of the prose and of the tables of a Markdown page, without code and headings."""
    text = re.sub(r"<!--.*?-->", lambda comment: "\n" * comment[0].count("\n"), text, flags=re.DOTALL)
    paragraph, first, fenced = [], 0, False
    for number, line in enumerate(text.splitlines() + [""], 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
            line = ""
        if fenced:
            continue
        if line.startswith("|"):
            cells = [] if re.fullmatch(r"[|\s:-]+", line) else line.strip("|").split(" | ")
            for cell in cells:
                yield from ((number, sentence) for sentence in sentences(cell))
            line = ""
        begins = re.match(r"\s*([*-]|\d+\.)\s+", line)
        if (not line.strip() or begins or line.startswith("#")) and paragraph:
            yield from ((first, sentence) for sentence in sentences(" ".join(paragraph)))
            paragraph = []
        if line.strip() and not line.startswith("#"):
            first = first if paragraph else number
            paragraph.append(line[begins.end() :] if begins else line)


def comments(text, marker):
    """Yields (line number, text) of each run of whole-line comments: a docstring is one text."""
    run, first = [], 0
    for number, line in enumerate(text.splitlines() + [""], 1):
        stripped = line.strip()
        if stripped.startswith(marker) and not stripped.startswith("#!"):
            first = first if run else number
            run.append(stripped[len(marker) :].strip())
        elif run:
            yield first, " ".join(run)
            run = []


def population():
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    for name in sorted(filter(None, files)):
        path = ROOT / name
        markers = {".swift": "///", ".lua": "--", ".sh": "#", ".py": "#", ".conf": "#", ".cfg": "#", ".yml": "#", ".pml": "//"}
        if path.suffix != ".md" and path.suffix not in markers or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        texts = markdown(text) if path.suffix == ".md" else comments(text, markers[path.suffix])
        for number, sentence in texts:
            if len(re.findall(r"[A-Za-z]{2,}", sentence)) >= 5:
                yield f"{name}:{number}", sentence


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    seed, count = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) == 3 else 100
    texts = list(population())
    drawn = random.Random(seed).sample(texts, min(count, len(texts)))
    print(f"{len(drawn)} of {len(texts)} texts, seed {seed}\n")
    for number, (place, text) in enumerate(drawn, 1):
        print(f"{number:3}. {text}\n     {place}")


main()
