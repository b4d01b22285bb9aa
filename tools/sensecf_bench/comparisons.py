"""bench: what this engine costs beside llama.cpp alone, llama-cpp-python, an idle Python and, if asked, another method.

Every line is a ratio of two things measured in the same run, by processor time where one thread works. A machine that
is busy with something else spoils the absolute figures and, less, the ratios; nothing here waits for a quiet one.
What is not there to measure against is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.explain import Explainer
from sensecf_edge.llama.engine import LlamaEngine
from sensecf_edge.llama.threads import settled
from sensecf_edge.schema.record import Record
from sensecf_edge.settings import EngineSettings
from sensecf_edge.space.admissible import Admissible

from . import masking, measuring, programs

SEQUENCES = (1, 8, 32)


@dataclass(frozen=True)
class Line:
    """One comparison. `ratio` is ours over theirs; `goal` what it should be, `met` whether it is (None: no goal)."""

    what: str
    ours: float | None
    theirs: float | None
    unit: str
    against: str
    ratio: float | None = None
    goal: str = ""
    met: bool | None = None


def line(
    what: str, ours: float, theirs: float, unit: str, against: str, at_least: float | None = None, at_most: float | None = None
) -> Line:
    """A comparison with its ratio, held against its goal."""
    ratio = ours / theirs
    if at_least is not None:
        return Line(what, ours, theirs, unit, against, ratio, f">= {at_least:g}", ratio >= at_least)
    if at_most is not None:
        return Line(what, ours, theirs, unit, against, ratio, f"<= {at_most:g}", ratio <= at_most)
    return Line(what, ours, theirs, unit, against, ratio)


def missing(what: str, why: str) -> Line:
    """A comparison that could not be made."""
    return Line(what, None, None, "", why)


@dataclass(frozen=True)
class Comparison:
    """What is measured: a bundle, and for the engine's part perhaps another generator with its prompt style and context."""

    bundle: Bundle
    generator: Path
    style: str
    context: int
    seconds: float
    records: int
    settings: EngineSettings

    @property
    def wanted(self) -> str:
        """The class that prompts ask for."""
        return self.bundle.manifest.target.wanted


def plan(model: str, seconds: float, records: int, threads: int, generator: Path | None = None) -> Comparison:
    """The bundle with its own generator, or with another one that is spoken to in words."""
    bundle = Bundle.open(model)
    own = bundle.manifest.generator
    settings = settled(generator or bundle.generator_path, EngineSettings(threads=threads))
    if generator is not None:
        return Comparison(bundle, generator, "instruct", 2048, seconds, records, settings)
    return Comparison(bundle, bundle.generator_path, own.prompt, own.context, seconds, records, settings)


def run(what: Comparison, people: Sequence[Record] | None = None, others: dict[str, dict[str, float]] | None = None) -> Iterator[Line]:
    """All comparisons, as they are made. `others`: seconds a record of other methods on the same `people`."""
    where = measuring.spaces(measuring.records(what.bundle, 200))
    yield from _engine(what, where)
    yield from _grammar(what, where)
    if what.generator == what.bundle.generator_path:
        yield from _records(what, people, others or {})
        yield from _process(what)


def _engine(what: Comparison, where: Sequence[Admissible]) -> Iterator[Line]:
    own = what.generator == what.bundle.generator_path
    where = where if own else where[:1]
    threads, program = what.settings.threads, programs.batched_bench()
    parts = (what.generator, what.style, what.wanted, what.context, where)
    plain = measuring.completions(*parts, what.seconds, threads)
    for n in SEQUENCES if own else SEQUENCES[:2]:
        settings = EngineSettings(threads=threads, max_sequences=n, max_answer_tokens=what.settings.max_answer_tokens)
        got = measuring.speed(*parts, n, what.seconds, settings)
        said = got.tokens / got.seconds
        goal = 30 if n == 32 else None
        yield line(f"answer tokens, {n} sequences", said, plain, "tokens/s", "create_completion with the same grammars", goal)
        yield line(f"the same decodes, {n} sequences", 1 / got.seconds, 1 / got.bare_seconds, "runs/s", "llama.cpp alone, nothing chosen",
                   None if own else 0.97)  # fmt: skip
        each, all_ = got.turns / got.answers, got.tokens / got.answers
        yield line(f"decode steps of an answer, {n} sequences", each, all_, "", "tokens in it", at_most=0.6)
        yield line(f"rows for all answers, {n} sequences", got.rows, got.tokens, "", "tokens in them", at_most=0.6)
        if program is None:
            yield missing(f"batched bench, {n} sequences", "not built: make bench")
            continue
        length = max(1, round(got.prompt_tokens / len(where)))
        bench = programs.run_batched(
            program, what.generator, length, max(4, round(got.tokens / got.answers)), n, threads, not own, 40 if own else 1
        )
        strict = got.prompt_tokens / bench.prompts + got.rows / bench.tokens
        yield line(f"rows and prompts, {n} sequences", 1 / got.seconds, 1 / strict, "runs/s", "llama.cpp's batched bench, no grammar",
                   0.85 if own else 0.97)  # fmt: skip
        per_answer = got.answers / (got.prompt_tokens / bench.prompts + got.tokens / bench.tokens)
        yield line(
            f"whole answers, {n} sequences", got.answers / got.seconds, per_answer, "answers/s", "batched bench, every token decoded"
        )


def _grammar(what: Comparison, where: Sequence[Admissible]) -> Iterator[Line]:
    path, name = programs.large_vocabulary(), "mask of one token, 128,256 tokens"
    if path is None:
        yield missing(name, "no Llama 3 vocabulary in the cache: make bench")
        return
    with LlamaEngine(path, EngineSettings(max_sequences=1), 256) as engine:
        said = masking.answers(engine, where)
        steps = sum(masking.turns(engine, s, own) for s, own in zip(where, said, strict=True))
        tokens = sum(map(len, said))
        yield line("decode steps, 128,256 tokens", steps / len(said), tokens / len(said), "", "tokens of an answer, its own", at_most=0.6)
        half = len(where) // 2
        ours = masking.masks(engine)
        masking.per_token(ours, where[half:], said[half:], what.seconds)  # what is remembered of other records
        keepers = {
            "llama.cpp's grammar sampler": (masking.llama_sampler(engine), 0.1),
            "one sampled token verified by it, if always right": (masking.llama_sampler(engine, verify=True), None),
            "llguidance": (masking.guidance(engine), None),
        }
        for against, (keeper, goal) in keepers.items():
            if keeper is None:
                yield missing(name, f"{against} is not installed")
                continue
            mine = masking.per_token(masking.masks(engine), where[:half], said[:half], what.seconds)
            theirs = masking.per_token(keeper, where[:half], said[:half], what.seconds)
            yield line(name, 1e6 * mine, 1e6 * theirs, "us", against, at_most=goal)


def _records(what: Comparison, people: Sequence[Record] | None, others: dict[str, dict[str, float]]) -> Iterator[Line]:
    now = measuring.clock(what.settings.threads)
    with Explainer.load(what.bundle.folder, threads=what.settings.threads) as explainer:
        asked = list(people) if people is not None else measuring.records(what.bundle, 4 * what.records, seed=1)
        p = explainer.checker.p_target(np.array([r.vector for r in asked]))
        asked = [r for r, now in zip(asked, p, strict=True) if now < explainer.target.threshold][: what.records]
        explainer.explain_many(asked[:20])
        began = now()
        explainer.explain_many(asked)
        rate = len(asked) / (now() - began)
        times = []
        for record in asked[:100]:
            began = now()
            explainer.explain(record, ease=False)
            times.append(now() - began)
        p50 = float(np.median(times))
    yield line(f"records in one call ({len(asked)})", rate, 1 / p50, "records/s", "one at a time, warm")
    for name, figures in others.items():
        most, least = (1.0, 3.0) if "ONNX" not in name else (5.0, 0.5)
        yield line("records in one call", rate, figures["records_per_second"], "records/s", name, at_least=least)
        yield line("one warm record, p50", 1000 * p50, 1000 * figures["p50"], "ms", name, at_most=most)


def _process(what: Comparison) -> Iterator[Line]:
    explain = ("-m", "sensecf_edge", "explain", "--sample", "1", "--model", str(what.bundle.folder), "--threads", "1", "--json")
    idle = ("-c", programs.BASELINE)
    cold, bare = programs.fastest(5, explain, idle)
    yield line("cold explain, one core", cold, bare, "s", f"python -c '{programs.BASELINE}'", at_most=1.6)
    mine, theirs = programs.peak_mb(*explain), programs.peak_mb(*idle)
    if mine and theirs:
        above = mine - theirs
        yield Line("memory of explain above that", mine, theirs, "MB", f"idle Python; {above:.0f} MB above", None, "<= 60 MB", above <= 60)


def to_json(what: Comparison, lines: Sequence[Line]) -> dict[str, Any]:
    """The figures for other programs."""
    return {"format": 1, "model": what.bundle.name, "generator": what.generator.name, "threads": what.settings.threads,
            "lines": [asdict(one) for one in lines]}  # fmt: skip


def row(one: Line) -> tuple[str, str, str, str, str]:
    """A line for people: what, ours, theirs, ratio, goal."""
    if one.ours is None or one.theirs is None:
        return one.what, "", one.against, "", ""
    mark = "" if one.met is None else ("  ok" if one.met else "  MISSED")
    ratio = f"{one.ratio:.3g}" if one.ratio is not None else ""
    return one.what, f"{one.ours:,.4g} {one.unit}", f"{one.theirs:,.4g} {one.unit}  {one.against}", ratio, one.goal + mark
