"""What each quantization of a bundle's generator costs and loses: one table from which the shipped one is chosen.

    f32 GGUF -> one bundle a type -> speed, turn about -> divergence from f32 -> figures of `measure`

Choose on `people="training"` (nobody's choice may rest on the test people), report on `people="unseen"`.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sensecf_edge.bundle.bundle import Bundle, write_manifest
from sensecf_edge.bundle.manifest import GENERATOR, MANIFEST
from sensecf_edge.errors import ConstraintError, ExportError
from sensecf_edge.generators.prompting import Prompting
from sensecf_edge.judge.classifier import OnnxChecker
from sensecf_edge.llama.engine import LlamaEngine
from sensecf_edge.llama.threads import settled, usable
from sensecf_edge.propose.engine import Request, Unanswered
from sensecf_edge.propose.grammar import Grammar
from sensecf_edge.schema.record import Record
from sensecf_edge.settings import ENGINE, LOOP
from sensecf_edge.space.admissible import admissible
from sensecf_edge.space.constraints import Constraints

from ..export.divergence import Divergence, compare, scripts, summed
from ..export.quantize import QUANTIZATIONS, fallbacks, quantize, shape
from ..plan import BETTER, FIRST
from ..presentation.numbers import percent
from ..proof.prover import Prover
from ..table.cohort import Cohort
from ..table.split import parts
from ..work import file_hash
from .figures import Figures
from .measure import measure_bundle

TYPES = ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0")
PEOPLE = ("unseen", "training")
LOST = 0.005
"""First-try validity (0..1) that a type may lose against f32 and still be chosen."""
PROMPTS, ROUNDS = 200, 5

Report = Callable[[float, str], None]


@dataclass(frozen=True)
class Variant:
    """The bundle with its generator in one type."""

    kind: str
    bundle: Bundle
    fallen_back: int

    @property
    def bytes(self) -> int:
        """Size of the generator."""
        return self.bundle.manifest.files[GENERATOR].bytes


def measure(bundle: Bundle, table: Path, source: Path, types: Sequence[str] = TYPES, people: str = "unseen",
            limit: int | None = None, report: Report | None = None) -> list[dict[str, Any]]:  # fmt: skip
    """One row a type, f32 first, plain values throughout (see `row` for the keys).

    `source`: the f32 GGUF that the bundle's generator was made from (see `source_of`). `people`: `unseen` people of the table, or
    those of the `training` part. `limit`: at most so many records.
    Raises TableError for another table than the bundle's, ExportError for a source of another generator.
    """
    train, test = parts(bundle, table)
    asked = test if people == "unseen" else train
    tell = report or (lambda share, words: None)
    requests = _requests(bundle, asked, limit)
    if not requests:
        raise ExportError(f"no {people} record of {table} is predicted in the unwanted class, so there is nothing to measure")
    with tempfile.TemporaryDirectory(prefix="sensecf-report-") as folder:
        variants = list(_variants(bundle, source, types, Path(folder), tell))
        speeds, far = _side_by_side(variants, requests, tell)
        figures = list(_figures(variants, train, asked, limit, tell))
    shipped = bundle.manifest.files[GENERATOR].sha256
    rows = [row(*each, people, shipped) for each in zip(variants, speeds, far, figures, strict=True)]
    return [{**r, "speed_of_f32": round(r["tokens_per_second"] / rows[0]["tokens_per_second"], 3)} for r in rows]


def row(variant: Variant, speed: float, far: Divergence, figures: Figures, people: str, shipped: str) -> dict[str, Any]:
    """One line of the table. Shares are 0..1, None over no records.

    type, bytes; tokens_per_second: answer tokens, 8 proposals a record, prompts decoded and the grammar kept; kl, kl_99:
    divergence from f32 in nats, mean and 99th percentile over `positions`; same_top: share of positions with the same
    likeliest token; fallen_back: tensors stored in another type than asked for; shipped: it is the bundle's generator.
    """
    return {
        "type": variant.kind, "bytes": variant.bytes, "tokens_per_second": round(speed), "people": people, "asked": figures.asked,
        "first_try_valid": figures.first_try_valid, "possible_valid": figures.possible_valid,
        "usable": figures.usable_of_possible, "possible_usable": figures.possible_usable, "kl": far.mean, "kl_99": far.high,
        "same_top": far.same, "positions": far.positions, "fallen_back": variant.fallen_back,
        "shipped": variant.bundle.manifest.files[GENERATOR].sha256 == shipped,
    }  # fmt: skip


def choose(rows: Sequence[Mapping[str, Any]], lost: float = LOST) -> str:
    """The smallest type that keeps first-try validity and usable answers within `lost` of f32; f32 where none does."""
    exact = rows[0]

    def kept(r: Mapping[str, Any]) -> bool:
        return all((r[k] or 0.0) >= (exact[k] or 0.0) - lost - 1e-9 for k in ("first_try_valid", "usable"))

    return str(min((r for r in rows if kept(r)), key=lambda r: r["bytes"])["type"])


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table for a card or a page, with a line that says on whom it was measured."""
    exact = rows[0]
    out = [
        "| type | MB | tokens/s, against f32 | first try valid | usable | KL from f32, mean (99 %) | same likeliest token |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        name = f"**{r['type']}** (shipped)" if r["shipped"] else r["type"]
        name += f" ({r['fallen_back']} tensors in another type)" if r["fallen_back"] else ""
        far = "" if r is exact else f"{r['kl']:.2g} ({r['kl_99']:.2g})"
        same = "" if r is exact else percent(r["same_top"])
        out.append(f"| {name} | {r['bytes'] / 1e6:.2f} | {r['speed_of_f32']:.2f} | {percent(r['first_try_valid'])} "
                   f"| {percent(r['usable'])} | {far} | {same} |")  # fmt: skip
    who = "people of the training part" if exact["people"] == "training" else "unseen people"
    late = "" if exact["people"] == "training" else " (to choose by it, measure on the training part)"
    out += ["", f"{exact['asked']} records of {who}; validity over the {exact['possible_valid']}, usable over the "
            f"{exact['possible_usable']} that can be moved; divergence in nats over {exact['positions']:,} places of answers. "
            f"The smallest type within {100 * LOST:.1f} points of f32: {choose(rows)}{late}."]  # fmt: skip
    return "\n".join(out)


def source_of(bundle: Bundle, work: Path = Path("fit-work")) -> Path:
    """The unquantized generator that a fit with the default work folder has left: behind practice where that was kept, else
    before it. Raises ExportError where it is not there."""
    gain = json.loads((bundle.folder / MANIFEST).read_text(encoding="utf-8"))["generator"].get("improvement")
    stage = BETTER if gain and gain.get("after", -1.0) >= gain["before"] else FIRST
    paths = [work / bundle.name / f"{stage}-{ending}.gguf" for ending in ("f32", "plain")]
    if found := next((path for path in paths if path.is_file()), None):
        return found
    raise ExportError(f"{paths[0]} is not there; name the f32 GGUF that {bundle.name}'s generator was made from with --source")


def _requests(bundle: Bundle, people: Cohort, limit: int | None) -> list[Request]:
    """A request as `explain` makes it for every record in the unwanted class that has anything to change."""
    manifest, out = bundle.manifest, []
    target = manifest.target
    checker = OnnxChecker(bundle.classifier_bytes(), len(bundle.schema), target.index, classes=len(target.classes))
    prompting, p = Prompting.of(bundle), checker.p_target(people.X)
    for x, now in [(x, float(now)) for x, now in zip(people.X, p, strict=True) if now < target.threshold][:limit]:
        try:
            space = admissible(Record(bundle.schema, x), Constraints())
        except ConstraintError:
            continue
        out.append(Request(prompting.prompt(space, now, checker), Grammar(space), LOOP.proposals, LOOP.seed, LOOP.temperature))
    return out


def _variants(bundle: Bundle, source: Path, types: Sequence[str], folder: Path, tell: Report) -> Iterator[Variant]:
    """The bundle itself in f32 and in every type, each opened as any bundle is."""
    _same_model(bundle, source)
    _same_weights(bundle, source, folder)
    for k, kind in enumerate(("f32", *types)):
        tell(0.1 * k / (len(types) + 1), f"writing {kind}")
        own = folder / kind
        shutil.copytree(bundle.folder, own, ignore=shutil.ignore_patterns(GENERATOR, MANIFEST, *bundle.unlisted))
        if kind == "f32":
            shutil.copyfile(source, own / GENERATOR)
        else:
            quantize(source, own / GENERATOR, kind, usable())
        facts = json.loads((bundle.folder / MANIFEST).read_text(encoding="utf-8"))
        facts["generator"]["quantization"] = kind
        write_manifest(own, facts)
        yield Variant(kind, Bundle.open(own), 0 if kind == "f32" else len(fallbacks(own / GENERATOR, kind)))


def _same_model(bundle: Bundle, source: Path) -> None:
    """The source is unquantized and has the vocabulary and the tensors of the bundle's generator."""
    ours, theirs = shape(bundle.generator_path), shape(source)
    if ours.tokens != theirs.tokens or ours.tensors != theirs.tensors:
        what = "vocabulary" if ours.tokens != theirs.tokens else "tensors"
        raise ExportError(f"{source} has other {what} than {bundle.name}'s generator; give the f32 GGUF that it was made from")
    if theirs.packed:
        raise ExportError(f"{source} is quantized ({', '.join(theirs.packed)}); give the f32 GGUF it was made from")


def _same_weights(bundle: Bundle, source: Path, folder: Path) -> None:
    """The source becomes the very file that ships, in its type: a fit leaves several generators of the same shape."""
    kind, again = bundle.manifest.generator.quantization, source
    if kind in QUANTIZATIONS:
        again = quantize(source, folder / "shipped.gguf", kind, usable())
    elif kind.lower() != "f32":
        return
    if file_hash(again) != bundle.manifest.files[GENERATOR].sha256:
        raise ExportError(
            f"{source} holds other weights than {bundle.name} ships: quantized to {kind} it is another file. A fit leaves the generator "
            f"before practice ({FIRST}-f32.gguf) and behind it ({BETTER}-f32.gguf); give the one that was kept"
        )


def _side_by_side(variants: Sequence[Variant], asked: Sequence[Request], tell: Report) -> tuple[list[float], list[Divergence]]:
    """Answer tokens a second of every type, turn about in one run, so that what else the machine does falls on all alike;
    and divergences from the first. All models are open at once."""
    asked = asked[:PROMPTS]
    with ExitStack() as stack:
        engines = [stack.enter_context(_open(v.bundle)) for v in variants]
        best = [0.0] * len(engines)
        for turn in range(ROUNDS + 1):  # the first round only warms up
            tell(0.1 + 0.1 * turn / ROUNDS, f"speed, round {turn} of {ROUNDS}")
            for k, engine in enumerate(engines):
                rate = _tokens_per_second(engine, asked)
                best[k] = max(best[k], rate) if turn else 0.0
        lines = scripts(engines[0], asked)
        found: list[list[Any]] = [[] for _ in engines[1:]]
        for k, pairs in enumerate(compare(engines, lines)):
            tell(0.2 + 0.1 * k / len(lines), f"divergence, prompt {k + 1} of {len(lines)}")
            for kept, pair in zip(found, pairs, strict=True):
                kept.append(pair)
    others = [summed(kept) for kept in found]
    places = sum(len(line.tokens) - line.start for line in lines)
    return best, [Divergence(0.0, 0.0, 1.0, places), *others]


def _open(bundle: Bundle) -> LlamaEngine:
    path = bundle.generator_path
    return LlamaEngine(path, settled(path, ENGINE), bundle.manifest.generator.context, bundle.adapter_path)


def _tokens_per_second(engine: LlamaEngine, asked: Sequence[Request]) -> float:
    engine.empty()
    began = time.perf_counter()
    answers = engine.propose(asked)
    seconds = time.perf_counter() - began
    said = [(r, a) for r, a in zip(asked, answers, strict=True) if not isinstance(a, Unanswered)]
    return sum(len(engine.tokenise(part.text)) for _, answer in said for part in answer) / seconds


def _figures(variants: Sequence[Variant], train: Cohort, asked: Cohort, limit: int | None, tell: Report) -> Iterator[Figures]:
    first = variants[0].bundle
    checker = OnnxChecker(first.classifier_bytes(), len(first.schema), first.manifest.target.index)
    prover = Prover(checker, first.classifier_bytes(), train, first.manifest.target.index)
    for k, variant in enumerate(variants):

        def part(share: float, words: str, k: int = k, kind: str = variant.kind) -> None:
            tell(0.3 + 0.7 * (k + share) / len(variants), f"{kind}: {words}")

        yield measure_bundle(variant.bundle, train, asked, limit, part, prover)
