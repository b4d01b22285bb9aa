"""Bundles that somebody changed who also knows how to write the hashes: none may end the process that opens it, or fill its memory.

    python tests/soak/hostile_bundles.py [COUNT] [SEED] [--native N]

Each is a shipped bundle with one file changed: bytes turned, cut, doubled, spliced or blown up; numbers, keys and nesting of its JSON.
Every one is opened here, under a limit on memory, as `models show` opens it. One in N (default 10) of those that open then does
what a trial does, in a child with a trial's limits: that may end in any way, and only for the child. Ends with figures and a verdict.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from sensecf_edge import trial_child
from sensecf_edge.bundle.audit import entry_of
from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.errors import SenseCFError
from sensecf_edge.explain import Explainer
from sensecf_edge.judge.graph_audit import check_graph

MODELS = ("heart", "metabolic", "stress")
SHARE = {"manifest.json": 4, "schema.json": 3, "classifier.onnx": 4, "generator.gguf": 4, "density.json": 3, "population.json": 1,
         "reference.json": 2, "samples.json": 1, "CARD.md": 1}  # fmt: skip
ODD: tuple[Any, ...] = (None, True, -1, 0, 1, 2**31, -(2**63), 10**30, 1e308, -1e-308, 5e-324, "", "x" * 10_000, "\u202e\x00", [], {}, [[]])
OPENS_WITHIN = 512 << 20
"""Bytes that opening a bundle may take beside what the process has: the shipped ones take under 40 MB."""
CHILD_SECONDS, CHILD_MEGABYTES = 60, 1024


def bytes_changed(data: bytes, chance: random.Random) -> bytes:
    """The file with a stretch of it turned, cut, doubled, moved, zeroed, blown up or numbers in it replaced."""
    at, length = chance.randrange(len(data)), min(len(data), 1 << chance.randrange(12))
    part = data[at : at + length]
    kind = chance.randrange(7)
    if kind == 0:
        flipped = bytearray(data)
        for _ in range(1 << chance.randrange(6)):
            flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
        return bytes(flipped)
    if kind == 1:
        return data[:at]
    if kind == 2:
        return data[:at] + part * chance.choice((2, 3, 1000)) + data[at + length :]
    if kind == 3:
        return data[:at] + data[at + length :]
    if kind == 4:
        return data[:at] + bytes(length) + data[at + length :]
    if kind == 5:
        number = chance.choice((0xFF, 0x7F, 2**31, 2**32 - 1, 2**63, 2**64 - 1))
        return data[:at] + number.to_bytes(chance.choice((8, 9)), "little") + data[at + 8 :]
    other = chance.randrange(len(data))
    return data[:at] + data[other : other + length] + data[at + length :]


def json_changed(value: Any, chance: random.Random) -> Any:
    """One place of it replaced, taken out, renamed, doubled or wrapped."""
    if isinstance(value, dict | list) and value and chance.random() < 0.85:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = chance.choice(keys)
        if chance.random() < 0.7:
            value[key] = json_changed(value[key], chance)
        elif chance.random() < 0.5:
            del value[key]
        elif isinstance(value, list):
            value.extend([value[key]] * (1000 if chance.random() < 0.5 and len(value) < 100 else 1))
        else:
            value[chance.choice((*keys, "", "__class__"))] = value.pop(key)
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and chance.random() < 0.5:
        return value * chance.choice((-1, 0, 1e-9, 1.5, 1e9))
    deep = value
    for _ in range(chance.choice((1, 1, 50))):
        deep = [deep]
    return copy.deepcopy(chance.choice((*ODD, deep)))


def hostile(files: dict[str, bytes], chance: random.Random, folder: Path) -> str:
    """Write a changed bundle into the folder; the name of the file that was changed."""
    name = chance.choices(list(SHARE), list(SHARE.values()))[0]
    changed = dict(files)
    if name.endswith(".json") and chance.random() < 0.8:
        value = json.loads(files[name])
        for _ in range(chance.choice((1, 1, 3))):
            value = copy.deepcopy(json_changed(value, chance))  # what stands in several places is changed in one of them
        changed[name] = json.dumps(value).encode()
    else:
        changed[name] = bytes_changed(files[name], chance)
    for other, data in changed.items():
        if other == name or not (folder / other).exists():
            (folder / other).write_bytes(data)
    if name != "manifest.json":  # the hashes are right again, as far as the manifest is still read
        manifest = json.loads(files["manifest.json"])
        entry = entry_of(folder / name)
        manifest["files"][name] = {"sha256": entry.sha256, "bytes": entry.bytes}
        if name == "schema.json":
            manifest["schema_hash"] = schema_hash(folder / name)
        (folder / "manifest.json").write_text(json.dumps(manifest))
    return name


def schema_hash(path: Path) -> str:
    """As the manifest has to say it; anything where it is no schema."""
    from sensecf_edge.schema.schema import Schema

    with suppress(Exception):
        return Schema.load(path).hash
    return "0" * 64


def restore(files: dict[str, bytes], name: str, folder: Path) -> None:
    """The folder as the shipped bundle is."""
    for each in {name, "manifest.json"}:
        (folder / each).write_bytes(files[each])


def opened(folder: Path) -> str:
    """What became of it in this process. Anything but SenseCFError is a fault of ours and is raised."""
    try:
        check_graph(Bundle.open(folder).classifier_bytes(), "the classifier")
    except SenseCFError as error:
        text = str(error)
        if len(text) > 1_100 or "\n" in text.strip() or "\x00" in text:
            raise AssertionError(f"a message nobody can read: {text[:300]!r}") from error
        return "refused"
    return "opened"


def tried(folder: Path) -> str:
    """What became of a child that does what a trial does."""
    child = os.fork()
    if not child:
        with suppress(BaseException):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(1, 2)
            signal.alarm(CHILD_SECONDS)
            try:
                trial_child.child(str(folder), "path", "1", "cpu", str(CHILD_MEGABYTES), "", "")
            except SystemExit as end:
                os._exit(int(end.code or 0))
            os._exit(0)
        os._exit(70)
    _, status, used = os.wait4(child, 0)
    if used.ru_maxrss > (CHILD_MEGABYTES + 512) << 10:
        raise AssertionError(f"a child took {used.ru_maxrss >> 10} MB")
    if os.WIFSIGNALED(status):
        return f"child ended by {signal.Signals(os.WTERMSIG(status)).name}"
    if (code := os.WEXITSTATUS(status)) not in (0, 3):
        raise AssertionError(f"a child left with {code}")
    return "child refused" if code else "child answered"


def main() -> int:
    """Run all, say what happened and the first of each fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", nargs="?", type=int, default=2000)
    parser.add_argument("seed", nargs="?", type=int, default=0)
    parser.add_argument("--native", type=int, default=10)
    asked = parser.parse_args()
    with Explainer.load("heart") as explainer:  # what has to be imported is imported before memory is bounded
        explainer.explain(explainer.bundle.samples[0].values, rounds=1)
    bound = _data() + OPENS_WITHIN
    resource.setrlimit(resource.RLIMIT_DATA, (bound, resource.RLIM_INFINITY))
    began, counts, broken = time.monotonic(), Counter[str](), dict[str, str]()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as place:
        bundles = {name: _copied(name, Path(place)) for name in MODELS}
        for k in range(asked.count):
            chance = random.Random(f"{asked.seed}/{k}")
            name = MODELS[k % len(MODELS)]
            folder, files = Path(place) / name, bundles[name]
            file = hostile(files, chance, folder)
            try:
                fate = opened(folder)
                counts[f"{file}: {fate}"] += 1
                if fate == "opened" and k % asked.native == 0:
                    counts[tried(folder)] += 1
            except Exception as error:
                last = traceback.extract_tb(error.__traceback__)[-1]
                broken.setdefault(f"{type(error).__name__} in {Path(last.filename).name}:{last.lineno}",
                                  f"bundle {k} ({name}, {file}): {str(error)[:300]}")  # fmt: skip
            restore(files, file, folder)
            if (k + 1) % 1000 == 0:
                print(f"{k + 1:,} of {asked.count:,}, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    for what, count in sorted(counts.items()):
        print(f"{count:8,}  {what}")
    for what, first in broken.items():
        print(f"BROKEN  {what}: {first}")
    if broken:
        return 1
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{asked.count:,} hostile bundles, none ended this process; at most {megabytes} MB")
    return 0


def _copied(name: str, place: Path) -> dict[str, bytes]:
    files = {path.name: path.read_bytes() for path in Bundle.open(name).folder.iterdir() if path.is_file()}
    (place / name).mkdir()
    for each, data in files.items():
        (place / name / each).write_bytes(data)
    return files


def _data() -> int:
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmData"))


if __name__ == "__main__":
    sys.exit(main())
