"""Commands of the build side: a table becomes a bundle, a bundle is measured. Their work is done by `sensecf_convert`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..settings import DEVICES, LOOP
from . import terminal
from .options import MODEL_HELP, QUANTIZED, TYPICAL_HELP, choice_of, encoding, generators, model_or_usage_error

if TYPE_CHECKING:
    from ..generators.choice import Choice

KINDS = ("random-forest", "svm", "xgboost", "neural-network")
TEACHERS = ("search", "neighbours", "pairs")
SIZES = ("tiny", "small", "large")
TYPES = (*QUANTIZED, "F16")
"""The build side's words, known here without importing it; a test holds the two together."""


@click.command()
@click.argument("table", type=click.Path(path_type=Path))
@encoding
@click.option("--target", required=True, metavar="COLUMN", help="Column to predict.")
@click.option("--wanted", required=True, metavar="VALUE", help="Class to move people to.")
@click.option("--schema", "schema_file", required=True, type=click.Path(path_type=Path), help="Schema file; see `schema draft`.")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Folder of the new bundle.")
@click.option("--person", metavar="COLUMN", help="Column that names the person; people are never split.")
@click.option("--test-share", type=click.FloatRange(0.05, 0.9), metavar="SHARE", help="People to test on, of all.  [default: 0.3]")
@click.option("--final-share", type=click.FloatRange(0, 0.5), metavar="SHARE", help="People whom only the last figures see.  [default: 0]")
@click.option("--name", help="Name of the model.  [default: DIR's name]")
@click.option("--about", type=click.Path(path_type=Path), metavar="FILE", help="Title, source, licence, notes for the card (JSON).")
@click.option("--seed", type=int, default=LOOP.seed, help="Same seed, same bundle, where machine and versions are the same.")
@click.option("--work", type=click.Path(path_type=Path), metavar="DIR", help="Where an interrupted fit resumes.  [default: fit-work/NAME]")
@click.option("--classifier", metavar="KIND|FILE", help=f"{', '.join(KINDS)}, or your own .onnx or .skops file.  [default: {KINDS[0]}]")
@click.option("--teacher", "teachers", multiple=True, type=click.Choice(TEACHERS), help="Who answers the invented people. Repeatable.")
@click.option(
    "--allow",
    multiple=True,
    metavar="COLUMN",
    help="Use a column that looks like a leak or an id; few-people: classes of fewer than 20; repeated: every row is a person of its "
    "own; all-mutable: everything may change. Repeatable.",
)
@click.option("--threshold", type=float, metavar="RISK", help="Risk (0..1) from which on a person is a case.  [default: a score of 0.5]")
@click.option("--miss-cost", type=float, metavar="K", help="Draw that line where a missed case costs K false alarms: 1/(1+K).")
@click.option("--turned", is_flag=True, default=None, help="Turn one-way features round: for rows of the unwanted class, never advice.")
@click.option(
    "--generator", metavar="own|none|smollm2|FILE.gguf",
    help="none: no language model, search alone answers. A general model proposes as it comes.  [default: own]",
)
@click.option("--size", type=click.Choice(SIZES), help="A new generator of 1 (small) or 4 (large) million parameters.  [default: small]")
@click.option("--base", metavar="DIR|ID|FILE.gguf|smollm2", help="Tune this Llama or Mistral instead of a new small model.")
@click.option("--tune", type=click.Choice(["lora", "full", "qlora"]), help="How the base is tuned.  [default: lora]")
@click.option("--batch", type=click.IntRange(1), metavar="N", help="Pairs in a step of the base's tuning.  [default: 8, on CUDA 32]")
@click.option("--rate", type=click.FloatRange(0, 1), help="Learning rate of the base's tuning.  [default: 2e-4, whole 2e-5]")
@click.option("--rank", type=click.IntRange(1, 512), help="Rank of the base's LoRA adapter.  [default: 16]")
@click.option("--prompt", type=click.Choice(["brief", "words"]), help="How the base is spoken to: brief, or told the whole schema.")
@click.option("--hints/--no-hints", default=None, help="Tell it what single changes give.  [default: a base is told]")
@click.option("--device", type=click.Choice(DEVICES), help="Where the base is tuned.  [default: auto]")
@click.option("--type", "quantization", type=click.Choice(TYPES), help=f"How the generator is quantized.  [default: {TYPES[0]}]")
@click.option("--improve/--no-improve", default=None, help="Self-improvement behind the training.  [default: where first tries need it]")
@click.option("--rivals", is_flag=True, default=None, help="Ship other kinds of classifiers that are as good: a second opinion on answers.")
@click.option("--study", is_flag=True, default=None, help="Card: what each teacher contributes, what each type costs (20 minutes).")
@click.option("--pairs", type=click.IntRange(100), metavar="N", help="Invented people to teach.  [default: 8000]")
@click.option("--passes", type=click.FloatRange(0.1), help="Passes of training over them.  [default: 6, small tables 8]")
@click.option("--limit", type=click.IntRange(0), metavar="N", help="Measure at most N records for the card, 0 all.  [default: 200]")
@click.option("--minutes", type=click.FloatRange(0.05), help="Cut training to what this machine does in so long; log and card say so.")
def fit(**options: Any) -> int:
    """Train a classifier and a generator on TABLE and write a bundle.

    Every finished step is kept in the work folder, which holds training rows: keep it where the table is kept. Run the
    same command again to resume.
    """
    with terminal.extra("convert"):
        from sensecf_convert.table.cohort import cohort, read_table
        from sensecf_convert.table.fit_relations import read_schema

        # All that is wrong with schema and table is said before the long imports.
        schema, _ = read_schema(options["schema_file"])
        cohort(read_table(options["table"]), schema, options["target"], options["wanted"], options["person"])
        from sensecf_convert.fit import fit as run

        run(**options)
    return 0


@click.command()
@click.argument("table", type=click.Path(path_type=Path))
@encoding
@click.option("--model", help=MODEL_HELP)
@click.option("--final", is_flag=True, help="Measure the final part (`fit --final-share`) instead of the test part.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Explain at most N records.")
@generators
@click.option("--typical", is_flag=True, help=TYPICAL_HELP)
@click.option("--curve", is_flag=True, help="Also: who is answered for how few rows of the classifier, beside baselines.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Write that curve as a PNG picture.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def evaluate(
    table: Path, model: str | None, final: bool, limit: int | None, typical: bool, curve: bool, plot: Path | None, as_json: bool,
    **generator: Any,
) -> int:  # fmt: skip
    """Measure MODEL on people of TABLE it has not seen.

    \b
    asked for      records that the model puts into the unwanted class
    exists         some admissible answer reaches that score; proven by branch
                   and bound, or by trying all; what is unproven counts as
                   existing
    first try      the generator's likeliest proposal as it came, rules kept:
                   valid with a score at the threshold or beyond
    usable         an answer after the whole search, threshold and margin
    features changed, features left as they are, distance: Gower,
    distance: L1 in MADs, kNN ratio, LOF inliers, realism percentile
                   means over answers. Gower: steps over ranges, 0 to 1. MADs:
                   L1 over median absolute deviations. kNN: distance to the 5
                   nearest real records of the wanted class over their own.
                   LOF: share of answers called inliers among those. Realism:
                   percentile among such people
    alternatives   different sets of features among three answers
    baselines      additive: every single change in one batch of the classifier,
                   the best added until their gains reach the goal; chance: one
                   random admissible answer; search: no generator
    """
    with terminal.extra("convert"):
        from sensecf_convert.evaluate.measure import evaluate as run

        run(table, model_or_usage_error(model), limit, as_json, final, curve, plot, choice_of(generator), typical)
    return 0


@click.group()
def schema() -> None:
    """What a record may hold and what may change."""


@schema.command()
@click.argument("table", type=click.Path(path_type=Path))
@encoding
@click.option("--target", required=True, metavar="COLUMN", help="Column to predict; left out of the schema.")
@click.option("--person", metavar="COLUMN", help="Column that names the person; left out as well.")
@click.option("--allow", multiple=True, type=click.Choice(["repeated"]), help="repeated: every row is a person of its own.")
@click.option("--generator", metavar="TEXT", help="Let a language model suggest labels, units, ranges, and what can change: smollm2, "
              "FILE.gguf or openai:URL#MODEL. It is told no row. Each suggestion has to be checked by you.")  # fmt: skip
@click.option("--allow-host", multiple=True, metavar="HOST", help="Ask a model on this other machine, with openai:. Repeatable.")
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="FILE", help="Schema file to write.  [default: standard output]")
def draft(
    table: Path, target: str, person: str | None, allow: tuple[str, ...], generator: str | None, allow_host: tuple[str, ...],
    out: Path | None,
) -> int:  # fmt: skip
    """Draft a schema from TABLE, to be edited by hand: units, what is immutable, directions."""
    from ..generators.choice import Choice

    choice = Choice.parse(generator, hosts=allow_host) if generator else None
    with terminal.extra("convert"):
        from sensecf_convert.table.draft import draft as run

        drafted = run(table=table, target=target, person=person, allow=allow)
        if choice is not None:
            drafted = _suggested(drafted, choice)
    if out is None:
        click.echo(terminal.json_text(drafted))
    else:
        import json

        out.write_text(json.dumps(drafted, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        click.echo(
            f"wrote {out}; now mark what is immutable, one-way, optional, give units, and see that each list of choices runs in its "
            "natural order: directions and limits count along it, and a classifier of your own must code it so",
            err=True,
        )
    return 0


def _suggested(drafted: dict[str, Any], choice: Choice) -> dict[str, Any]:
    """The draft with what a language model suggests, marked; where the model cannot be asked, the draft as it was."""
    from sensecf_convert.table import suggest

    from ..errors import EngineError
    from ..schema.parsing import SUGGESTED
    from ..schema.schema import Schema

    try:
        out: dict[str, Any] = suggest.suggested(Schema.from_json(drafted), choice, terminal.say)
    except EngineError as error:
        terminal.say(f"no suggestions: {error}; the draft is as it is without")
        return drafted
    count = sum(len(feature.get(SUGGESTED, ())) for feature in out["features"])
    terminal.say(
        f"{count} suggestions stand in the draft, each named under {SUGGESTED!r} of its feature. They may be wrong: check each, then take "
        f"{SUGGESTED!r} out; a schema that has one left is refused"
    )
    return out
