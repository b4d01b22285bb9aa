"""Sentences of people, each with the rules that it means, written down before anything could read them.

A rule is what `told` makes of it: ("freeze", F), ("low", F, value), ("high", F, value), ("hard", F) or ("easy", F). Where
a sentence means nothing that a schema can keep to, or may mean two things, its rules are none: then nothing may be taken.

    python tests/wishes.py                        how the matcher does
    python tests/wishes.py smollm2                how a language model does, under a grammar of the schema's rules
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sensecf_edge.propose.branching import Branching

S, H, M = "stress", "heart", "metabolic"
Rule = tuple[str, ...] | tuple[str, str, float]


class Wish(NamedTuple):
    """`text` about the shipped model `model`, and what it means."""

    model: str
    text: str
    rules: frozenset[Rule]


def _of(model: str, text: str, *rules: Rule) -> Wish:
    return Wish(model, text, frozenset(rules))


DRINKING = ("AlcoholDay", "AlcoholYear")
SPORT = ("PhysActive", "PhysActiveDays")
WISHES = (
    _of(S, "my knee hurts, no more steps please, and I cannot get under seven hours of sleep",
        ("freeze", "steps"), ("low", "sleep_h", 7.0)),
    _of(S, "Please leave my sleep alone.", ("freeze", "sleep_h")),
    _of(S, "I can't walk more than 8000 steps a day.", ("high", "steps", 8000.0)),
    _of(S, "No sport, but walking is fine.", ("freeze", "vigorous_min"), ("easy", "steps")),
    _of(S, "Keep deep sleep as it is.", ("freeze", "deep_sleep_pct")),
    _of(S, "At least 6.5 hours of sleep", ("low", "sleep_h", 6.5)),
    _of(S, "not less than seven and a half hours of sleep", ("low", "sleep_h", 7.5)),
    _of(S, "I could do half an hour of vigorous activity at most", ("high", "vigorous_min", 30.0)),
    _of(S, "max 10k steps", ("high", "steps", 10000.0)),
    _of(S, "between 6 and 9 hours of sleep", ("low", "sleep_h", 6.0), ("high", "sleep_h", 9.0)),
    _of(S, "Sleep must stay between 7 and 8,5 hours", ("low", "sleep_h", 7.0), ("high", "sleep_h", 8.5)),
    _of(S, "running is hard for me", ("hard", "vigorous_min")),
    _of(S, "I don't mind walking", ("easy", "steps")),
    _of(S, "I don't want to change my sleep or my steps", ("freeze", "sleep_h"), ("freeze", "steps")),
    _of(S, "My wife smokes and sleeps badly."),
    _of(S, "I used to run ten kilometres."),
    _of(S, "If I slept more, would it help?"),
    _of(S, "What would happen with 9 hours of sleep?"),
    _of(S, "I can't not move"),
    _of(S, "no more than 45 minutes of vigorous activity and no fewer than 6 hours sleep",
        ("high", "vigorous_min", 45.0), ("low", "sleep_h", 6.0)),
    _of(S, "My doctor says I should sleep 8 hours."),
    _of(S, "nothing under 5000 steps", ("low", "steps", 5000.0)),
    _of(S, "Don't touch the glucose values", ("freeze", "glucose_mean"), ("freeze", "glucose_cv")),
    _of(S, "more sleep would be great"),
    _of(S, "I cannot sleep."),
    _of(S, "I never want to sleep less than 6h", ("low", "sleep_h", 6.0)),
    _of(S, "walking more is really hard for me", ("hard", "steps")),
    _of(S, "I am happy to walk more", ("easy", "steps")),
    _of(S, "up to 90 min of active time is okay", ("high", "active_min", 90.0)),
    _of(S, "no less than 1 hour of active time per day", ("low", "active_min", 60.0)),
    _of(S, "Sleep: 7 to 9 hours", ("low", "sleep_h", 7.0), ("high", "sleep_h", 9.0)),
    _of(S, "I wouldn't say no to more steps"),
    _of(S, "no problem with more steps", ("easy", "steps")),
    _of(S, "I must not do vigorous activity", ("freeze", "vigorous_min")),
    _of(S, "I can't run or walk more", ("freeze", "vigorous_min"), ("freeze", "steps")),
    _of(S, "at least 7 hours of sleep, but no more than 9", ("low", "sleep_h", 7.0), ("high", "sleep_h", 9.0)),
    _of(S, "an hour and a half of vigorous activity is the most I can do", ("high", "vigorous_min", 90.0)),
    _of(S, "I do 20 minutes of vigorous activity"),
    _of(S, "at most 3 hours of active time per week"),
    _of(H, "please do not change my cholesterol", ("freeze", "chol")),
    _of(H, "blood pressure not below 120", ("low", "trestbps", 120.0)),
    _of(H, "my blood pressure cannot go under 110 mmHg", ("low", "trestbps", 110.0)),
    _of(H, "I take statins"),
    _of(H, "cholesterol at most 200 mg/dl", ("high", "chol", 200.0)),
    _of(H, "cholesterol at most 5 mmol/L"),
    _of(H, "heart rate can't go above 160", ("high", "thalach", 160.0)),
    _of(H, "leave everything except cholesterol"),
    _of(H, "my mother had a blood pressure of 180"),
    _of(M, "I can't lose more weight", ("freeze", "Weight")),
    _of(M, "my weight must not go under 80 kg", ("low", "Weight", 80.0)),
    _of(M, "not below 180 lb"),
    _of(M, "weight not below 180 pounds", ("low", "Weight", 81.6)),
    _of(M, "I don't want to give up drinking", *(("freeze", name) for name in DRINKING)),
    _of(M, "I can't quit smoking", ("freeze", "SmokeNow")),
    _of(M, "My husband smokes, but I can do sport at most 3 days a week", ("high", "PhysActiveDays", 3.0)),
    _of(M, "I'd rather not change my sleep", ("hard", "SleepHrsNight")),
    _of(M, "I do not smoke"),
    _of(M, "no more than 2 drinks on a drinking day", ("high", "AlcoholDay", 2.0)),
    _of(M, "I hate sports", *(("hard", name) for name in SPORT)),
    _of(M, "quitting smoking is no problem", ("easy", "SmokeNow")),
    _of(M, "Leave blood pressure as it is", ("freeze", "BPSysAve"), ("freeze", "BPDiaAve")),
    _of(M, "blood pressure under 120"),
    _of(M, "systolic blood pressure no lower than 115", ("low", "BPSysAve", 115.0)),
    _of(M, "I already lost 5 kg"),
    _of(M, "I would like to keep my weight between 85 and 95 kg", ("low", "Weight", 85.0), ("high", "Weight", 95.0)),
    _of(M, "I'm not able to do more sport", *(("freeze", name) for name in SPORT)),
    _of(M, "don't worry about my weight"),
    _of(M, "weight: no change", ("freeze", "Weight")),
    _of(M, "It is hard for me to lose weight, and I can't sleep less than six hours", ("hard", "Weight"), ("low", "SleepHrsNight", 6.0)),
    _of(M, "I don't want you to keep my weight"),
    _of(M, "until my knee is better, no sport"),
    _of(M, "Twelve drinking days a year, no more", ("high", "AlcoholYear", 12.0)),
    _of(M, "neither weight nor sleep may change", ("freeze", "Weight"), ("freeze", "SleepHrsNight")),
    _of(M, "I can only sleep 6 hours", ("high", "SleepHrsNight", 6.0)),
    _of(M, "8 hours of sleep is the most I can do", ("high", "SleepHrsNight", 8.0)),
    _of(M, "sleep should not be changed", ("freeze", "SleepHrsNight")),
    _of(M, "My sleep can change but my weight can't", ("freeze", "Weight")),
    _of(M, "do not freeze my weight"),
    _of(M, "it's not true that I can't walk"),
    _of(M, "Without changing my weight please", ("freeze", "Weight")),
    _of(M, "no more alcohol"),
    _of(M, "I want to lose weight", ("easy", "Weight")),
)  # fmt: skip


def told(understood: Any) -> frozenset[Rule]:
    """What was understood, as rules are written here; values to a tenth, ends that the record has as a freeze would be."""
    out: set[Rule] = set()
    for rule in understood.rules:
        if rule.kind != "bound":
            out.add((rule.kind, rule.feature))
        elif rule.now:
            out.add((f"now {rule.now}", rule.feature))
        else:
            out |= {(end, rule.feature, round(value, 1)) for end in ("low", "high") if (value := getattr(rule, end)) is not None}
    return frozenset(out)


SHOWN = (
    ("leave my blood sugar alone", "keep {0} |"),
    ("my back hurts, at most {1} of {0} please", "{0} at most {1} |"),
    ("I had a nice day", "none"),
    ("never less than {1} {0}, and {2} is hard for me", "{0} at least {1} | {2} hard |"),
    ("My aunt likes {2}", "none"),
    ("no problem with {2}, but do not change {0}", "{2} easy | keep {0} |"),
)
"""Examples for a language model, filled in with features of the schema."""


def spoken(schema: Any) -> Branching:
    """Up to four rules of this schema, or none, as a language model says them."""

    def steps(state: Any) -> list[tuple[str, Any]]:
        kind, left, name = state
        if kind == "begin":
            kept = [(f"keep {f.name} |", ("then", left, "")) for f in schema.features]
            said = [(f"{f.name} ", ("of", left, f.name)) for f in schema.features]
            return kept + said + ([("none", ("end", 0, ""))] if left == 4 else [])
        if kind == "of":
            ways = [("hard |", ("then", left, "")), ("easy |", ("then", left, ""))]
            return ways + [(f"at {way} ", ("value", left, name)) for way in ("least", "most") if schema[name].kind == "number"]
        if kind == "value":
            return [(text, ("then", left, "")) for text in marked(schema[name].texts)]
        if kind == "then":
            return [("\n", ("end", 0, "")), *([(" ", ("begin", left - 1, ""))] if left > 1 else [])]
        return []

    return Branching(("begin", 4, ""), steps)


def marked(texts: Sequence[str]) -> list[str]:
    """Values with a mark behind them, so that none begins another."""
    return [f"{text} |" for text in texts]


def asked(model: str) -> Callable[[Any, str], frozenset[Rule]]:
    """A language model as the reader of wishes: six examples and the features in front of each."""
    from sensecf_edge.generators.weights import weights
    from sensecf_edge.llama.engine import LlamaEngine
    from sensecf_edge.propose.engine import Request
    from sensecf_edge.settings import EngineSettings

    path = weights("smollm2") if model == "smollm2" else Path(model)
    engine = LlamaEngine(path, EngineSettings(threads=1, max_sequences=1), context=1_500)

    def read(schema: Any, text: str) -> frozenset[Rule]:
        free = [f for f in schema.features if f.kind == "number" and f.mutable]
        fill = (free[0].name, free[0].texts[len(free[0].texts) // 2], free[1].name)
        lines = [f"Wish: {said.format(*fill)}\nRules: {rules.format(*fill)}" for said, rules in SHOWN]
        features = ", ".join(f"{f.name} ({f.title}, {f.unit or 'no unit'})" for f in schema.features)
        prompt = f"Turn each wish into rules about these features: {features}.\n\n" + "\n\n".join([*lines, f"Wish: {text}\nRules: "])
        (answer,) = engine.propose([Request(prompt, spoken(schema), 1, 0, 0.0)])
        return frozenset(parsed(answer[0].text)) if not hasattr(answer, "reason") and answer else frozenset()

    return read


def parsed(said: str) -> Iterator[Rule]:
    """The rules that a language model said."""
    for rule in said.strip().removesuffix("|").split("|"):
        words = rule.split()
        if not words:
            continue
        if words[0] == "keep":
            yield "freeze", words[1]
        elif len(words) == 4:
            yield "low" if words[2] == "least" else "high", words[0], round(float(words[3]), 1)
        elif len(words) == 2:
            yield words[1], words[0]


def main() -> None:
    """Print how many wishes are read right, and each that is not."""
    from sensecf_edge.bundle.bundle import Bundle
    from sensecf_edge.wish.reading import understand

    schemas = {model: Bundle.open(model).schema for model in (S, H, M)}
    read = asked(sys.argv[1]) if len(sys.argv) > 1 else lambda schema, text: told(understand(schema, text))
    wrong = missed = right = exact = 0
    began = time.process_time()
    for wish in WISHES:
        got = read(schemas[wish.model], wish.text)
        right, missed, wrong = right + len(got & wish.rules), missed + len(wish.rules - got), wrong + len(got - wish.rules)
        exact += got == wish.rules
        if got != wish.rules:
            print(f"{wish.model}: {wish.text}\n    meant {sorted(wish.rules)}\n    read  {sorted(got)}")
    seconds = (time.process_time() - began) / len(WISHES)
    print(f"{exact} of {len(WISHES)} wishes; {right} rules right, {missed} missed, {wrong} that were not meant; {seconds:.4f} s a wish")


if __name__ == "__main__":
    main()
