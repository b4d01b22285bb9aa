"""CARD.md: what a bundle is, what it was measured to do, and what it must not be used for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sensecf_edge.answer.risk import RiskScale
from sensecf_edge.report.phrases import auc_text, rate_text
from sensecf_edge.schema.schema import Schema
from sensecf_edge.settings import WEAK_AUC

from .. import statistics
from ..baselines import comparison
from ..classifier import calibration
from ..classifier.threshold import goal_of
from ..evaluate import advice, groups, quantizations, teaching
from ..evaluate.formatting import metric_rows, sure
from ..generator.steps import cut
from ..memorisation import formatting as memorisation


def card_text(manifest: Mapping[str, Any], notes: str, schema: Schema | None = None) -> str:
    """The card of a measured bundle as Markdown; with its schema, what answers advise is told feature by feature."""
    target, model, data, figures = (manifest[k] for k in ("target", "classifier", "data", "metrics"))
    wanted, threshold = target["wanted"], target["threshold"]
    unwanted = next(c for c in target["classes"] if c != wanted)
    weak = (
        "\n\n**The classifier is weak.** Every answer says so. Use this bundle to try the software, not to advise anyone."
        if model["auc"] < WEAK_AUC
        else ""
    )
    return f"""# {manifest["title"]}

Moves a record from **{unwanted}** to **{wanted}** (`{target["column"]}`), threshold {threshold:.3g} on p({wanted}).{weak}

{notes}

## Data

{data["source"]}. Licence: {data["licence"]}. {data["attribution"]}{_dates(data)}

{_split(manifest)}

The bundle holds no training row: trained weights, aggregates, and the sample records in `samples.json`
(of the test part, without ids, as the licence allows).

## Classifier

{_classifier(manifest)}

## Risk

{_risk(manifest, unwanted)}
{_groups(manifest, schema)}
## Generator

{_generator(manifest["generator"])}

## Figures on the {figures.get("part", "test")} {_unit(model)}

{_whose(manifest)}

{_figures(figures)}

First-try validity is the greedy proposal, untouched, with p >= {threshold:.3g}; usable means p >= {goal_of(threshold):.3g} after the
loop, in range, on the lattice, nothing immutable changed. Unknown values count as the classifier fills them in; with `explain` an
answer must hold over all that they may be, so fewer get one where values are missing. Definitions: `sensecf-edge evaluate --help`.
{_advice(schema, figures)}{_more(manifest)}
{_intended(manifest)}## Not for

{manifest["not_for"]}
An answer says what this model would predict for a changed record. It does not say that the change causes the outcome.
"""


def _dates(data: Mapping[str, Any]) -> str:
    return f" Of the time: {data['dates']}." if data.get("dates") else ""


def _intended(manifest: Mapping[str, Any]) -> str:
    return f"## Meant for\n\n{manifest['intended']}\n\n" if manifest.get("intended") else ""


def _groups(manifest: Mapping[str, Any], schema: Schema | None) -> str:
    """The classifier by groups of unseen people, or why there are none; empty where nobody looked."""
    measured = manifest.get("groups")
    if measured is None:
        return ""
    if not measured:
        return f"\n## For whom it was measured\n\n{_no_groups(manifest, schema)}\n"
    table = groups.markdown(measured, schema, _unit(manifest["classifier"]))
    return f"\n## For whom it was measured\n\n{GROUPS.format(part=manifest['metrics'].get('part', 'test'))}\n\n{table}\n"


def _no_groups(manifest: Mapping[str, Any], schema: Schema | None) -> str:
    """Why there are no figures by group."""
    named = schema is not None and bool(groups.asked(schema))
    why = "every group has under ten rows" if named else "no feature is sex or age, and the schema marks no other as `group`"
    people = manifest.get("parts", {}).get("final", {}).get("people") or manifest["classifier"]["people_test"]
    if people is None or people >= FEW_PEOPLE:
        return f"Not by group: {why}."
    return (
        f"Not by group: {why}. With {people} unseen people figures by group would be those of one or two of them: nobody can say from this "
        "bundle for whom the model does better or worse."
    )


FEW_PEOPLE = 10


GROUPS = (
    "The classifier on the {part} part, by group; an answer names the groups that fit the person. Intervals are of 95 %, by person. "
    "Groups of under ten rows are left out."
)


def _unit(model: Mapping[str, Any]) -> str:
    return "rows" if model["people_test"] is None else "people"


def _split(manifest: Mapping[str, Any]) -> str:
    model, final = manifest["classifier"], manifest.get("parts", {}).get("final")
    parts = [("training", model["people_train"], model["rows_train"]), (TEST, model["people_test"], model["rows_test"])]
    parts += [(FINAL, final["people"], final["rows"])] if final else []
    if model["people_train"] is None:
        return "\n".join(["| | rows |", "|---|---|", *(f"| {name} | {rows:,} |" for name, _, rows in parts)])
    return "\n".join(["| | people | rows |", "|---|---|---|", *(f"| {name} | {people:,} | {rows:,} |" for name, people, rows in parts)])


TEST = "test (this fit trained, taught and tuned nothing on them)"
FINAL = "final (drawn before all else; this fit did nothing with them but measure these figures)"


def _whose(manifest: Mapping[str, Any]) -> str:
    """How many people and rows the figures are of."""
    figures = manifest["metrics"]
    people = "" if figures.get("people") is None else f"{figures['people']:,} people, "
    command = "evaluate --final" if figures.get("part") == "final" else "evaluate"
    command += "" if _all_asked(figures) else f" --limit {figures['asked']}"
    return f"Of {people}{figures['rows']:,} rows; `sensecf-edge {command}` gives them again."


def _classifier(manifest: Mapping[str, Any]) -> str:
    model = manifest["classifier"]
    said = (
        f"{model['kind']}, as ONNX, with unknown values handled inside the graph; calibration: {model['calibrated']}.{_parity(model)}\n\n"
        f"AUC on unseen {_unit(model)}, and Brier score of p, both classes weighed alike:\n\n"
    )
    tried = f", the best of {model['recipes_tried']} recipes and so a little flattered" if model.get("recipes_tried", 1) > 1 else ""
    rows = [] if model["auc_cv"] is None else [(f"folds of the training {_unit(model)}{tried}", model["auc_cv"], model["brier_cv"], None)]
    parts = manifest.get("parts") or {"test": model}
    rows += [(f"{name} {_unit(model)}", f["auc"], f["brier"], f.get("intervals", {}).get("auc")) for name, f in parts.items()]
    last = len(rows) - 1
    lines = [f"| {name} | {_auc(auc, known, _unit(model), k == last)} | {brier:.3f} |" for k, (name, auc, brier, known) in enumerate(rows)]
    return said + "\n".join(["| | AUC | Brier score |", "|---|---|---|", *lines])


def _auc(auc: float, known: Mapping[str, Any] | None, unit: str, bold: bool) -> str:
    ends = "" if known is None else f" ({statistics.interval(known, lambda v: f'{v:.3f}', unit)})"
    return f"{'**' if bold else ''}{auc_text(auc, 3)}{'**' if bold else ''}{ends}"


def _parity(model: Mapping[str, Any]) -> str:
    if model["parity"] is None:
        return " It was brought as ONNX; there is nothing to compare the graph with."
    ties = model["parity_ties"]
    told = f"; {ties:,} more stand on a tree's threshold that float32 cannot tell from the value" if ties else ""
    return (
        f" The graph differs from the fitted classifier by {model['parity']:.1e} at most on {model['parity_rows']:,} rows and by "
        f"{model['parity_lattice']:.1e} on {model['parity_lattice_rows']:,} random points of the lattice{told}."
    )


def _risk(manifest: Mapping[str, Any], unwanted: str) -> str:
    """How scores are told as risks, and how true that was on unseen people."""
    target, scale = manifest["target"], RiskScale(**manifest["risk"])
    said = (
        f"The classifier's score p weighs both classes alike; people are told a risk instead, the probability of {unwanted} at a stated "
        f"base rate. By default that is the share among the training rows, {rate_text(scale.base_rate)}; `--base-rate` and the schema's "
        f"`base_rate` name another one. The model predicts {target['wanted']} up to a risk of {rate_text(scale.risk(target['threshold']))} "
        f"(p >= {target['threshold']:g}). {HOW[manifest['classifier']['class_weights'] == 'as brought']}"
    )
    measured = {name: part["calibration"] for name, part in manifest.get("parts", {}).items()}
    if not measured and "calibration" in manifest["metrics"]:
        measured = {"test": manifest["metrics"]["calibration"]}
    for name, figures in measured.items():
        told = calibration.rows(figures, unwanted, target["wanted"], _unit(manifest["classifier"]))
        rows = "\n".join(f"| {k} | {v} |" for k, v in told)
        said += f"\n\nOn the {name} rows:\n\n| | |\n|---|---|\n{rows}\n\n```text\n{calibration.plot(figures)}\n```"
    return said


HOW = {
    False: "Slope and intercept were fitted to the scores of training people in folds that had not seen them.",
    True: "The classifier was brought along, and its probabilities are taken at their word.",
}


def _generator(facts: Mapping[str, Any]) -> str:
    if facts.get("none"):
        return (
            "None: this bundle holds no language model. Answers come from the search over classifier and density alone, and there is no "
            "first try. `--generator` of `explain` puts one in its place."
        )
    if facts.get("untuned"):
        return (
            f"{facts['weights']['name']}, a general language model as it comes, which learnt nothing from the table and is told the schema "
            "in words. The bundle names it by its hash and does not hold it."
        )
    said = (
        f"Llama architecture, {facts['parameters']:,} parameters, trained from nothing on {facts['pairs']:,} people made of training "
        f"rows (mixed, swapped, with noise) and answered by {' and '.join(facts['teachers'])}; "
        f"{facts['vocabulary']:,} tokens derived from the schema; {facts['quantization']}."
        if facts["how"] == "from nothing"
        else f"{facts['base']}, {facts['parameters']:,} parameters, tuned ({facts['how']}) on {facts['pairs']:,} people made of training "
        f"rows and answered by {' and '.join(facts['teachers'])}; {facts['quantization']}."
    )
    if facts.get("hints"):
        said += " Beside a record it is told what the best change of each feature alone would give: one batch of the classifier."
    if told := cut(facts):
        said += f" **The {told}.**"
    gain = facts.get("improvement", {})
    if "after" not in gain and gain:
        said += f"\n\nFirst tries on invented people whom it had not met are valid for {gain['before']:.1%}; it did not practise."
    elif gain:
        kept = "kept" if gain["after"] >= gain["before"] else "not kept"
        said += (
            f"\n\nA round of self-improvement on {gain['asked']:,} new invented people ({gain['own']:,} of its own answers accepted, "
            f"{gain['taught']:,} taught) moved first-try validity on others again from {gain['before']:.1%} to {gain['after']:.1%}; {kept}."
        )
    return said


def _advice(schema: Schema | None, figures: Mapping[str, Any]) -> str:
    """What answers move, which way, and why that way is right."""
    told = figures.get("advice")
    if schema is None or not told:
        return ""
    faults = "\n".join(f"| {k} | {v} |" for k, v in advice.rows(told))
    return f"\n## What answers advise\n\n| | |\n|---|---|\n{faults}\n\n{ADVICE}\n\n{advice.table(schema, told)}\n"


ADVICE = (
    "First answers on the same people. A lever is something that somebody can act on, a finding the result of an examination or a "
    "reading, which would have to read so. What follows is computed from the others, never proposed."
)


def _more(manifest: Mapping[str, Any]) -> str:
    """Memorisation, teachers and quantizations, as far as they were measured."""
    out = []
    if figures := manifest["metrics"].get("rivals"):
        table = comparison.markdown(figures, _unit(manifest["classifier"]))
        out.append(f"\n## Beside baselines\n\n{RIVALS}\n\n{table}\n")
    if "said" in (figures := manifest["metrics"].get("memorisation", {})):
        out.append(f"\n## Memorisation\n\n{memorisation.markdown(figures)}\n\n{memorisation.COVERS}\n")
    if rows := manifest.get("teachers"):
        out.append(f"\n## What each teacher contributes\n\n{STUDY}\n\n{teaching.markdown(rows)}\n")
    if rows := manifest.get("quantizations"):
        out.append(f"\n## Quantizations\n\n{quantizations.markdown(rows)}\n")
    return "".join(out)


RIVALS = (
    "What each hands over for the same records. Generator: its first try. Additive: each single change is scored in one batch of the "
    "classifier, and the best are added until their gains reach the goal. Chance: one "
    "random admissible answer. Search: the runtime's search without the generator."
)
STUDY = (
    f"A generator that learnt from {teaching.PAIRS:,} pairs of one teacher alone in {teaching.PASSES:g} passes; first tries on invented "
    "people it had not met."
)


def _all_asked(figures: Mapping[str, Any]) -> bool:
    return bool(figures["asked"] >= figures.get("predicted", 0))


def _figures(f: Mapping[str, Any]) -> str:
    unit = "rows" if f.get("people") is None else "people"
    rows = [
        ("records asked for (predicted unwanted)", f["asked"] if _all_asked(f) else f"{f['asked']:,} of {f['predicted']:,}, evenly"),
        ("of these, may change nothing at all", f.get("locked", 0)),
        (
            "of these, an answer with p >= threshold / + margin exists",
            f"{f['possible_valid']} / {f['possible_usable']} ({f['unproven']} unproven)",
        ),
        ("first-try validity, of all asked for", sure(f, "first_try_valid_of_asked", f["asked"], unit)),
        ("first-try validity, where one exists", sure(f, "first_try_valid", f["possible_valid"], unit)),
        ("usable after the loop, of all asked for", sure(f, "usable", f["asked"], unit)),
        ("usable after the loop, where one exists", sure(f, "usable_of_possible", f["possible_usable"], unit)),
        ("immutable, out-of-range or off-lattice answers", f["broken"]),
        *metric_rows(f, unit),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {k} | {v} |" for k, v in rows)])
