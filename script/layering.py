#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the includes under src/ against the floors of the house and each folder's own USES list.

    script/layering.py            checks src/; prints each breach with the reason of its rule; exit code 1
    script/layering.py FOLDER     the same for another root that has a src/
"""
import re
import sys
from pathlib import Path
from typing import Iterator, NamedTuple, Optional

# Lowest first. A module uses what stands on the floors below its own, and nothing beside it.
FLOORS = [
    ["base"],
    ["http", "model"],
    ["store", "client", "secret", "image", "engine", "route"],
    ["control", "api", "cli"],
    ["source", "pipeline", "provision", "deploy", "domain", "observe", "notify", "backup", "catalog",
     "scaffold", "identity", "retention"],
    ["apps"],
]
FLOOR = {module: level for level, modules in enumerate(FLOORS) for module in modules}
# Narrower than their floor would allow.
ONLY = {"cli": {"base", "http", "model", "client"}}
# Implementations made for tests.
FAKES = {"fake", "memory"}

REASONS = {
    "unknown": "every folder has its place on a floor: add it to FLOORS in script/layering.py",
    "undeclared": "a folder states what it may use: add it to USES in its CMakeLists.txt, or do without",
    "floor": "no arrow runs up the house or along a floor; what neighbours need of each other is handed to "
             "them as a function by apps",
    "cli": "the command reaches the platform through client alone, so that it can do nothing the API cannot",
    "inside": "another folder is known by its face; only apps names implementations (and tests their fakes)",
    "implementation": "a face knows none of its implementations",
    "path": 'an include is written from src/ ("store/store.hpp"), so that it means the same everywhere',
    "missing": "there is no such file under src/",
}


class Breach(NamedTuple):
    place: str
    what: str
    rule: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}\n    because {REASONS[self.rule]}"


class Module(NamedTuple):
    uses: set[str]
    test_uses: set[str]


def declared(text: str) -> Optional[Module]:
    """What a CMakeLists.txt says in towpath_module(NAME USES … LINK … TEST_LINK …)."""
    text = re.sub(r"#.*", "", text)
    call = re.search(r"towpath_module\s*\(\s*\S+([^)]*)\)", text)
    if not call:
        return None
    lists: dict[str, set[str]] = {}
    current = None
    for word in call.group(1).split():
        if word in ("USES", "LINK", "TEST_LINK", "EXCLUDE"):
            current = lists.setdefault(word, set())
        elif current is not None:
            current.add(word)
    linked = {word.removeprefix("towpath_") for word in lists.get("TEST_LINK", ()) if word.startswith("towpath_")}
    return Module(lists.get("USES", set()), linked)


def allowed(module: str, used: str) -> Optional[str]:
    """The rule that forbids `module` to use `used`, if there is one."""
    if used not in FLOOR:
        return "unknown"
    if FLOOR[used] >= FLOOR[module]:
        return "floor"
    if used not in ONLY.get(module, {used}):
        return "cli"
    return None


def check_declaration(module: str, uses: Module) -> Iterator[Breach]:
    for used in sorted(uses.uses | uses.test_uses):
        rule = allowed(module, used.partition("_")[0])  # store_memory lies in store/memory
        if rule:
            yield Breach(f"src/{module}/CMakeLists.txt", f"{module} may not use {used}", rule)


def check_include(src: Path, file: Path, line: int, target: str, uses: Module) -> Iterator[Breach]:
    own = file.relative_to(src).parts
    there = Path(target).parts
    place = f"src/{'/'.join(own)}:{line}"
    module, used = own[0], there[0]
    is_test = file.name.endswith(("_test.cpp", "_test.hpp", "_fuzz.cpp"))

    def breach(rule: str) -> Breach:
        return Breach(place, f'{module} includes "{target}"', rule)

    if len(there) < 2 or ".." in there:
        yield breach("path")
        return
    if not (src / target).is_file():
        yield breach("missing")
    inside = len(there) > 2  # store/sqlite/sqlite.hpp
    if used == module:
        if inside and len(own) == 2 and not is_test and module != "apps":
            yield breach("implementation")
        return
    rule = allowed(module, used)
    if rule:
        yield breach(rule)
    elif used != "base" and used not in uses.uses and not (is_test and used in uses.test_uses):
        yield breach("undeclared")
    if inside and module != "apps" and not (is_test and there[1] in FAKES):
        yield breach("inside")


def includes(file: Path) -> Iterator[tuple[int, str]]:
    for number, text in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*"([^"]+)"', text)
        if match:
            yield number, match.group(1)


def check(root: Path) -> list[Breach]:
    src = root / "src"
    breaches: list[Breach] = []
    for folder in sorted(path for path in src.iterdir() if path.is_dir()):
        module = folder.name
        if module not in FLOOR:
            breaches.append(Breach(f"src/{module}", f"{module} is on no floor", "unknown"))
            continue
        lists = folder / "CMakeLists.txt"
        uses = declared(lists.read_text(encoding="utf-8")) if lists.is_file() else None
        # Nothing is built of a folder without a list; its faces are held against the floors all the same.
        below = {other for other, level in FLOOR.items() if level < FLOOR[module]}
        uses = uses or Module(below, set())
        breaches += check_declaration(module, uses) if lists.is_file() else []
        for file in sorted([*folder.rglob("*.hpp"), *folder.rglob("*.cpp")]):
            for line, target in includes(file):
                breaches += check_include(src, file, line, target, uses)
    return breaches


def main() -> int:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    breaches = check(root)
    for breach in breaches:
        print(breach)
    if breaches:
        print(f"{len(breaches)} breach{'es' if len(breaches) > 1 else ''} of the layering")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
