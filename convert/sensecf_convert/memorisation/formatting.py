"""Figures of the check -> words and a table for people. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..presentation.numbers import percent
from .inference import FEW

TITLES = {
    "said": "what is said",
    "generator": "the generator, people",
    "pairs": "the generator, its own pairs",
    "classifier": "the classifier",
    "density": "the density",
}


def markdown(figures: Mapping[str, Any]) -> str:
    """A Markdown table `| | |` with its head, for the questions that were asked."""
    text = {"said": repetition_text}
    rows = [f"| {title} | {text.get(name, inference_text)(figures[name])} |" for name, title in TITLES.items() if name in figures]
    if figures.get("exact_factuals") is not None:
        rows.append(f"| exact copies of training rows among the made-up people it learnt from | {percent(figures['exact_factuals'])} |")
    return "\n".join(["| | |", "|---|---|", *rows])


def summary(figures: Mapping[str, Any]) -> str:
    """What was found, in one line."""
    asked = {name: f for name, f in figures.items() if name in TITLES and "p" in f}
    found = [TITLES[name] for name, f in asked.items() if f["found"]]
    if not asked:
        return f"fewer than {FEW} people on one side: nothing can be said of people"
    return f"people can be told by {', '.join(found)}" if found else f"nothing found by {len(asked)} questions"


def inference_text(f: Mapping[str, Any]) -> str:
    """What `inference.told_apart` found."""
    sides = f"{f['people_in']:,} in, {f['people_out']:,} out"
    if "auc" not in f:
        return f"{sides}: fewer than {FEW} on one side, nothing can be said"
    verdict = "**can be told**" if f["found"] else "not told"
    highest = f"{f['highest']:,} highest scores {f['highest_in']:,} were in (by chance {f['highest_chance']:.0f})"
    known = f.get("smallest_known")
    known = "too few to tell" if known is None else f"found four times in five from {percent(known)} of those in on who are known by heart"
    sure = MIXED if f["low"] is None else f"95 % interval by people {f['low']:.3f} to {f['high']:.3f}"
    return (
        f"{verdict}: AUC {f['auc']:.3f} ({sure}; {sides}); from {f['smallest']:.3f} on it "
        f"would be found four times in five. Of the {highest}; {known}"
    )


def repetition_text(f: Mapping[str, Any]) -> str:
    """What `repetition.repeated` found."""
    sides = f"{f['answers']:,} answers beside {f['people_in']:,} people in, {f['people_out']:,} out"
    if "p" not in f:
        return f"{sides}: fewer than {FEW} people on one side, nothing can be said"
    if f["share"] is None or f["smallest"] is None:
        return f"{sides}: not even a parrot would be found, so nothing can be said"
    verdict = "**repeats people**" if f["found"] else "not found"
    alone = f"{f['alone']:,} answers have values that one person alone holds, {f['alone_in']:,} of them a training person's"
    most = f"; no training person alone holds more than {f['most_in']:,}, no other more than {f['most_out']:,}" if "most_in" in f else ""
    return (
        f"{verdict}: as if {percent(f['share'])} of the answers repeated one training person (95 % interval by people "
        f"{percent(f['low'])} to {percent(f['high'])}; {sides}); from {percent(f['smallest'])} on it would be found four times in five. "
        f"{alone} (by chance {f['alone_chance']:.0f}){most}"
    )


MIXED = "no interval: a pair is mixed of several people's rows"

COVERS = (
    "In are people whose rows were trained on, out are the others; each question is a false alarm once in a hundred bundles that remember "
    "nobody. Likelihoods are those of teachers' answers to near copies of each person, as the file in this bundle gives them. This is one "
    "attack, asked by somebody who has a person's whole record (and the recorded class, for classifier and density); it bounds no better "
    "one and is no differential privacy. Not asked: `population.json` (101 quantiles of how ordinary people are), `reference.json` "
    "(quantiles from 1 to 99 % and deviations of numbers), the figures of groups in `manifest.json`, the ranges and "
    "bands in `schema.json`, `samples.json` (records of test people, where the licence allows it). How, and what it can miss: "
    "docs/memorisation.md."
)
"""What the check covers and what it does not, for the card."""
