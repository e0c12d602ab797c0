#!/usr/bin/env python3
"""Compares what each target imports with the dependencies that its package declares.

    scripts/imports.py               checks the package, Benchmarks and Fuzz
    scripts/imports.py --self-test   plants wrong imports in a copy, and expects each to be refused

SwiftPM lets a target import every module that any target of the build depends on, and the compiler
has no working check for it. So the dependencies in Package.swift would hold nobody to anything.

Three rules:
  * A target imports its declared dependencies and the toolchain's modules, and nothing else.
  * A target declares no dependency that it does not import.
  * No type bears the name of a module: `Module.Type` would mean a member of the type then.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Packages by path, which depend on products of the root package.
PACKAGES = ["Benchmarks", "Fuzz"]

# Modules that come with Swift or with the system.
TOOLCHAIN = {
    "Darwin", "Dispatch", "Foundation", "FoundationEssentials", "Glibc", "Musl", "Swift",
    "Synchronization", "Testing",
}

# `import A`, `@testable public import struct A.B`. Group 1 is the module.
IMPORT = re.compile(
    r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|fileprivate|private)\s+)?"
    r"import\s+(?:(?:struct|class|enum|protocol|func|var|let|typealias)\s+)?(\w+)",
    re.MULTILINE,
)
TYPE = re.compile(r"\b(?:class|struct|enum|actor|protocol|typealias)\s+(\w+)")


def describe(package: Path) -> dict:
    """Returns the package's targets, as SwiftPM understands its manifest."""
    command = ["swift", "package", "--package-path", str(package), "describe", "--type", "json"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def module(name: str) -> str:
    """Returns the module of a target, or of a product that is named after its module."""
    return re.sub(r"\W", "_", name)


def violations(package: Path, description: dict, products: dict[str, list[str]]) -> list[str]:
    """Returns one sentence for each breach of the rules, with the file and line where there is one.

    `products` lists the targets of products that are not named after their one module.
    """
    targets = description["targets"]
    modules = {module(target["name"]) for target in targets}
    # A test that starts a program depends on its executable without importing it.
    executables = {module(target["name"]) for target in targets if target["type"] == "executable"}
    found = []
    for target in targets:
        if target["module_type"] != "SwiftTarget":
            continue
        name = target["name"]
        needed = {
            dependency: {module(part) for part in products.get(dependency, [dependency])}
            for dependency in target.get("target_dependencies", []) + target.get("product_dependencies", [])
        }
        declared = set().union(*needed.values())
        imported = set()
        for source in target["sources"]:
            path = package / target["path"] / source
            text = path.read_text(encoding="utf-8")
            for match in IMPORT.finditer(text):
                imported.add(match[1])
                if match[1] not in declared | TOOLCHAIN:
                    line = text.count("\n", 0, match.start(1)) + 1
                    found.append(f"{path}:{line}: {name} imports {match[1]}, which it does not declare")
            for match in TYPE.finditer(re.sub(r"//.*", "", text)):
                if match[1] in modules:
                    line = text.count("\n", 0, match.start(1)) + 1
                    found.append(f"{path}:{line}: the type {match[1]} bears a module's name")
        found += [
            f"{package / 'Package.swift'}: {name} declares {unused}, which it does not import"
            for unused in sorted(needed)
            if not needed[unused] & (imported | executables)
        ]
    return found


def self_test() -> list[str]:
    """Returns what was planted in a copy of the sources and not refused."""
    description = describe(ROOT)
    targets = {target["name"]: target for target in description["targets"]}
    plants = [
        ("RedisClient", "import SessionStore", "imports SessionStore"),
        ("SessionStore", "public import NIOSSL", "imports NIOSSL"),
        ("AgentService", "@testable import TestSupport", "imports TestSupport"),
        ("JSONText", "internal import struct Logging.Logger", "imports Logging"),
        ("JSONText", "enum SessionStore {}", "bears a module's name"),
    ]
    missed = []
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory)
        for folder in {target["path"].split("/")[0] for target in description["targets"]}:
            shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns(".build"))
        if before := violations(copy, description, {}):
            return before
        for name, line, complaint in plants:
            file = f"{targets[name]['path']}/{targets[name]['sources'][0]}"
            path = copy / file
            text = path.read_text(encoding="utf-8")
            path.write_text(f"{line}\n{text}", encoding="utf-8")
            found = violations(copy, description, {})
            if len(found) != 1 or complaint not in found[0] or f"{file}:1:" not in found[0]:
                missed.append(f"{file}: `{line}` was planted, and reported was: {found}")
            path.write_text(text, encoding="utf-8")
        # A dependency that nothing needs.
        targets["JSONText"]["product_dependencies"].append("Logging")
        if "declares Logging" not in "".join(violations(copy, description, {})):
            missed.append("an unused dependency was declared, and not reported")
    return missed


def main() -> int:
    if sys.argv[1:] == ["--self-test"]:
        found = self_test()
    elif not sys.argv[1:]:
        root = describe(ROOT)
        products = {product["name"]: product["targets"] for product in root["products"]}
        found = violations(Path("."), root, {})
        for package in PACKAGES:
            found += violations(Path(package), describe(ROOT / package), products)
    else:
        print(__doc__, file=sys.stderr)
        return 64
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
