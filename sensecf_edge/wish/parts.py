"""A sentence -> its parts, each a list of items: what every word does, features and numbers among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..schema.schema import Schema
from . import cues
from .names import Words, names
from .text import Token
from .units import WORDS

UNKNOWN = "unknown"
LONGEST = 7
JOINTS = (("to",), ("and",), ("-",), ("–",), ("/",))
ASKED, HOLLOW_SAID, OTHER_SAID = (
    "a question says nothing to keep to",
    "it is not said for sure",
    "it speaks of somebody else, or of the past",
)


@dataclass(frozen=True)
class Item:
    """What a phrase does (one of `cues`, or UNKNOWN), its words and place; a number's value or a range, its unit and period."""

    kind: str
    words: Words
    start: int
    end: int
    features: tuple[str, ...] = ()
    value: float | None = None
    upper: float | None = None
    unit: tuple[str, float] | None = None
    unsure: bool = False


@dataclass
class Clause:
    """Some items between two separators; `joined` is the separator in front. `why`: why nothing may be taken from it."""

    items: list[Item] = field(default_factory=list)
    joined: str = ""
    why: str = ""

    def of(self, *kinds: str) -> list[Item]:
        """The items that do one of these things, in order."""
        return [item for item in self.items if item.kind in kinds]

    def has(self, *kinds: str) -> bool:
        """Whether any item does one of these things."""
        return any(item.kind in kinds for item in self.items)

    @property
    def idle(self) -> bool:
        """Nothing but words that do nothing."""
        return all(item.kind == cues.FILL for item in self.items)

    @property
    def features_alone(self) -> bool:
        """A feature or more, and nothing said of them."""
        return self.has(cues.FEATURE) and all(item.kind in (cues.FEATURE, cues.FILL) for item in self.items)


def parts(sentence: Sequence[Token], schema: Schema) -> list[Clause]:
    """The parts of one sentence in order; lists of features are drawn to what is said of them."""
    asks = bool(sentence) and sentence[-1].word == "?"
    items = _ranges(_items([token for token in sentence if token.word != "?"], schema))
    out = [Clause()]
    for item in items:
        if item.kind == "":
            out.append(Clause(joined=item.words[0]))
        else:
            out[-1].items.append(item)
    found = _listed([part for part in out if part.items])
    words = [token.word for token in sentence]
    hollow = bool(cues.single("hollow").intersection(words)) or _excepts(words)
    _doubts(found, ASKED if asks else HOLLOW_SAID if hollow else "")
    return found


def _excepts(words: Sequence[str]) -> bool:
    """ "Everything but", "all but": what is named behind it is what the rest of the sentence is not about."""
    buts = [at for at, word in enumerate(words) if word == "but"]
    return any(words[at - 1 : at] in (["all"], ["any"]) or cues.single("whole").intersection(words[:at]) for at in buts)


def _doubts(found: Sequence[Clause], whole: str) -> None:
    """Mark the parts from which nothing may be taken."""
    tainted = False
    for part in found:
        begins = next((item.words[0] for item in part.items), "")
        tainted = tainted and part.joined != "but" and begins not in ("i", "my")
        tainted = tainted or any(cues.single("others").intersection(item.words) for item in part.items if item.kind == UNKNOWN)
        part.why = whole or (OTHER_SAID if tainted else "")


def _items(sentence: Sequence[Token], schema: Schema) -> list[Item]:
    """The longest phrase that is known at each place; separators have no kind."""
    out: list[Item] = []
    at = 0
    while at < len(sentence):
        token = sentence[at]
        if token.number is not None:
            unit, used = _unit(sentence, at + 1)
            out.append(Item(cues.NUMBER, (token.word,), token.start, sentence[at + used].end, (), token.number, None, unit, token.unsure))
            at += 1 + used
            continue
        item, used = _phrase(sentence, at, names(schema))
        out.append(item)
        at += used
    return out


def _unit(sentence: Sequence[Token], at: int) -> tuple[tuple[str, float] | None, int]:
    """The unit that stands at a place, and how many tokens it takes."""
    for length in (3, 2, 1):
        words = tuple(token.word for token in sentence[at : at + length])
        if len(words) == length and words in WORDS:
            return WORDS[words], length
    return None, 0


def _phrase(sentence: Sequence[Token], at: int, called: dict[Words, tuple[str, ...]]) -> tuple[Item, int]:
    known = cues.phrases()
    for length in range(min(LONGEST, len(sentence) - at), 0, -1):
        tokens = sentence[at : at + length]
        words, start, end = tuple(token.word for token in tokens), tokens[0].start, tokens[-1].end
        if words in called and words in known and known[words] != cues.FILL:
            return Item(UNKNOWN, words, start, end), length  # a feature that is called as something is done
        if words in called:
            return Item(cues.FEATURE, words, start, end, called[words]), length
        if words in known and not (words == ("so",) and _separates(sentence, at)):
            return Item(known[words], words, start, end), length
    token = sentence[at]
    return Item("" if _separates(sentence, at) else UNKNOWN, (token.word,), token.start, token.end), 1


def _separates(sentence: Sequence[Token], at: int) -> bool:
    """Whether a word parts what is before it from what is behind; "so" does where it does not stand for "very"."""
    if sentence[at].word != "so":
        return sentence[at].word in cues.single("separators")
    behind = {tuple(token.word for token in sentence[at + 1 : at + 1 + length]) for length in (1, 2)}
    return at > 0 and not any(cues.phrases().get(words) in (cues.HARD, cues.EASY) for words in behind) and ("much",) not in behind


def _ranges(items: Sequence[Item]) -> list[Item]:
    """Two numbers with "to", "and" or a dash between them as one."""
    out: list[Item] = []
    at = 0
    while at < len(items):
        three = items[at : at + 3]
        joins = len(three) == 3 and three[0].kind == three[2].kind == cues.NUMBER and three[1].words in JOINTS
        between = bool(out) and out[-1].kind == cues.BETWEEN
        if joins and (between or three[1].words != ("and",)):
            low, _, high = three
            unit, doubt = low.unit or high.unit, low.unsure or high.unsure or (low.unit or high.unit) != high.unit
            doubt = doubt or three[1].words == ("/",) or ((high.value or 0) >= 1000 > 10 * (low.value or 0))  # five to eight thousand
            out.append(Item(cues.NUMBER, low.words, low.start, high.end, (), low.value, high.value, unit, doubt))
            at += 3
        else:
            out.append(items[at])
            at += 1
    return out


def _listed(found: Sequence[Clause]) -> list[Clause]:
    """Parts that are features alone go to the part in front of them, where that ends with a feature, else to the one behind."""
    out: list[Clause] = []
    waiting: Clause | None = None
    for part in found:
        last = out[-1] if out else None
        if waiting is not None:
            part = Clause([*waiting.items, *part.items], waiting.joined)
            waiting = None
        ended = [item.kind for item in last.items if item.kind != cues.FILL][-1:] if last else []
        if part.features_alone and last is not None and ended == [cues.FEATURE] and part.joined in ("and", ","):
            last.items += part.items
        elif last is not None and _more_or_less(part) and last.has(cues.NUMBER) and not last.has(*cues.COMPARING):
            last.items.append(Item(cues.MOST if part.has(cues.MORE) else cues.LEAST, (), part.items[0].start, part.items[-1].end))
        elif part.features_alone:
            waiting = part
        else:
            out.append(part)
    return out + ([waiting] if waiting is not None else [])


def _more_or_less(part: Clause) -> bool:
    """ "No more" behind a number."""
    kinds = [item.kind for item in part.items if item.kind != cues.FILL]
    return kinds in ([cues.NOT, cues.MORE], [cues.NOT, cues.LESS])
