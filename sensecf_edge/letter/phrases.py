"""The phrases of letters and notes. The first of each list is the template's; a language model chooses among all of them.

No phrase asks for anything to be done with a value, names a dose or an illness of its own, or promises anything: it says what the model
would predict. What stands in braces is filled in from the answer.
"""

from __future__ import annotations

LETTER, NOTE = "letter", "note"
KINDS = (LETTER, NOTE)

GREETING = ("Hello,", "Good day,", "Dear reader,")

OPENING = {
    LETTER: (
        "This letter puts into words what a computer model makes of your record.",
        "You gave a record to a computer model; this letter puts into words what it makes of it.",
        "These lines say in plain words how a computer model reads your record.",
    ),
    NOTE: ("The record was put to the model “{model}”.", "A record was read by the model “{model}”."),
}
NOW = {
    LETTER: (
        "As your record stands, the model puts the risk of “{unwanted}” at {risk} ({base}).",
        "For your record as it is, the model tells a risk of “{unwanted}” of {risk} ({base}).",
        "The model puts the risk of “{unwanted}” at {risk} for your record as it is ({base}).",
    ),
    NOTE: (
        "As the record stands, the model puts the risk of “{unwanted}” at {risk} ({base}).",
        "Risk of “{unwanted}” for the record as it is: {risk} ({base}).",
    ),
}
LINE = (
    "Where the risk is {threshold} or less, it predicts “{target}”.",
    "It predicts “{target}” where the risk is {threshold} or less.",
)
SPAN = (
    "Some values are not known, and depending on them the risk lies at {span}.",
    "Depending on values that are not known the risk lies at {span}.",
)
ALREADY = (
    "So it predicts “{target}” already, which is what is wanted.",
    "That is a prediction of “{target}”, as wanted.",
)
SETTLED = {
    LETTER: ("Nothing needs to change for that.", "For that, nothing about your record needs to change."),
    NOTE: ("Nothing needs to change for that.",),
}
NARROW = (
    "It is only just so: an answer would have to reach a risk of {edge} or less.",
    "That is a narrow thing: an answer would have to reach a risk of {edge} or less.",
)
DEPENDS = (
    "What it predicts depends on values that are not known.",
    "It cannot say more without values that are not known.",
)
NONE = {
    LETTER: (
        "The model looked for a change after which it would tell a risk of {goal}, among those it may suggest, and found none.",
        "It was asked for a change, among those it may suggest, after which it would tell a risk of {goal}. None was found.",
    ),
    NOTE: ("A change after which the model would tell a risk of {goal} was looked for, among those it may suggest; none was found.",),
}
NOTHING = (
    "No change was looked for: {reason}.",
    "There was no change to look for: {reason}.",
)
COMFORT = {
    LETTER: (
        "That says where this model’s search ends. It is no verdict on you.",
        "This is a limit of what the model may suggest, and no verdict on you.",
    ),
    NOTE: ("That is a limit of what the model may suggest.",),
}
LEAD = {
    LETTER: (
        "The model was then asked what would have to be otherwise for it to predict “{target}”, with as little change as possible and "
        "among what it may suggest. It found this:",
        "It was then asked for as little change as possible, among what it may suggest, after which it would predict “{target}”. This is "
        "what it found:",
    ),
    NOTE: (
        "Asked for as little change as possible, among what it may suggest, after which it would predict “{target}”, it found this:",
        "What it found when it was asked for as little change as possible, among what it may suggest, after which it would predict "
        "“{target}”:",
    ),
}
LEAD_SEVERAL = {
    LETTER: (
        "The model was then asked what would have to be otherwise for it to predict “{target}”, with as little change as possible and "
        "among what it may suggest. It found {count} ways, and each stands by itself.",
        "It was then asked for as little change as possible, among what it may suggest, after which it would predict “{target}”. There are "
        "{count} ways, and each stands by itself.",
    ),
    NOTE: (
        "Asked for as little change as possible, among what it may suggest, after which it would predict “{target}”, it found {count} "
        "ways; each stands by itself.",
    ),
}
FEWER = ("That is fewer than the {asked} that were asked for.", "More were asked for, {asked} in all; these are all that were found.")
WAY = ("Way {number}:", "This is way {number}:")

RAISED = {True: {"way": "up", "than": "higher"}, False: {"way": "down", "than": "lower"}}
"""The words of a direction: True for up."""

CHANGES = {
    ("lever", True): (
        "{title} would go {way} from {before} to {after}.",
        "{title} would be {after} instead of {before}.",
        "{title} would go {way} by {by}, from {before} to {after}.",
        "{title} would stand at {after}, {than} than now ({before}).",
    ),
    ("lever", False): (
        "{title} would be “{after}” instead of “{before}”.",
        "{title} would change from “{before}” to “{after}”.",
        "{title} would be “{after}”, where it is “{before}” now.",
    ),
    ("marker", True): (
        "{title} would read {after} instead of {before}.",
        "{title} would come out at {after}, {than} than now ({before}).",
        "{title} would read {after}, {than} than now ({before}).",
    ),
    ("marker", False): (
        "{title} would read “{after}” instead of “{before}”.",
        "{title} would come out as “{after}” rather than “{before}”.",
    ),
    ("follows", True): (
        "{title} would change along with that, from {before} to {after}.",
        "{title} would move {way} along with that, from {before} to {after}.",
    ),
    ("follows", False): ("{title} would change along with that, from “{before}” to “{after}”.",),
}
"""By what is changed (a feature's role, or what follows from others), and whether it is a number."""

AFTER = (
    "With all of this together, the model would put the risk at {after} rather than {risk}.",
    "If all of this were so, the model would put the risk at {after} instead of {risk}.",
    "Taken together, the model would then tell a risk of {after} instead of {risk}.",
)
AFTER_ONE = (
    "With that, the model would put the risk at {after} rather than {risk}.",
    "If that were so, the model would put the risk at {after} instead of {risk}.",
    "With that alone, the model would tell a risk of {after} instead of {risk}.",
)
AFTER_SPAN = (
    "Depending on what is not known, that risk would lie at {span}.",
    "That risk would lie at {span}, depending on what is not known.",
)
FINDINGS = {
    LETTER: (
        "Lines with “would read” or “would come out” are about findings. Nobody can simply decide what those show, and nobody asks that "
        "of you.",
        "Where a line says “would read” or “would come out”, it is about a finding, which nobody can simply decide, and nobody asks that "
        "of you.",
    ),
    NOTE: ("Lines with “would read” or “would come out” are about findings, not about levers.",),
}
UNUSUAL = (
    "Such a record would be unusual: it would be more typical than {typical} real “{target}” records.",
    "Few real records are like that: it would be more typical than {typical} real “{target}” records.",
)
RARE = (
    "Such a record would be very unusual: hardly any real “{target}” record is as rare.",
    "Hardly any real “{target}” record is as unusual as that would be.",
)
MIND = {
    LETTER: ("Please keep in mind:", "Some things to keep in mind:", "It is fair to add:"),
    NOTE: ("To be kept in mind:", "Limits:"),
}
CLOSING = {
    LETTER: (
        "If this raises questions or worries you, please talk about it with somebody who looks after your health.",
        "Please take this to somebody who looks after your health if you have questions, or if it worries you.",
        "You are welcome to show this letter to somebody who looks after your health, and to ask them whatever it leaves open.",
    ),
    NOTE: (),
}
BY_TEMPLATE = "Worded by sensecf-edge from its own phrases, without a language model."
BY_MODEL = "Worded by {writer}, a language model on this machine. It chose among phrases of sensecf-edge and could say nothing else."
