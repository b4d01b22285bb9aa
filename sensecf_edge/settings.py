"""Every default of the project, once. The command line reads its defaults from here.

Named tuples, since every start of the program makes them and a dataclass takes eight times as long to make.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class LoopSettings(NamedTuple):
    """How hard `explain` tries, and what it accepts.

    `margin` is added to the classifier's threshold: advice that sits on the threshold is a coin toss.
    """

    proposals: int = 8
    rounds: int = 3
    margin: float = 0.05
    max_changes: int = 4
    answers: int = 1
    seed: int = 0
    temperature: float = 0.7
    temperature_step: float = 0.4


class EngineSettings(NamedTuple):
    """What the engine may use. `threads` 0 leaves their number to `threads.rule`, which never takes all of many cores.

    `prompt_threads` 0 means as many as `threads`. `device`: auto, cpu or cuda; `gpu_layers` go to the GPU where one is
    used, -1 for all.
    """

    threads: int = 0
    prompt_threads: int = 0
    device: str = "auto"
    gpu_layers: int = -1
    max_sequences: int = 32
    max_answer_tokens: int = 256


class RecordSettings(NamedTuple):
    """Limits on what is read as a record."""

    max_bytes: int = 1_000_000


DEVICES = ("auto", "cpu", "cuda")
LOOP = LoopSettings()
ENGINE = EngineSettings()
RECORD = RecordSettings()

SMALL_MODEL = 64_000_000
"""Language models of fewer bytes are opened from memory, as they were hashed, and get one thread."""

WEAK_AUC = 0.7
"""Below this AUC on unseen people every answer says that the classifier is weak."""


@dataclass(frozen=True)
class CostSettings:
    """Prices in `measure.change_cost`: of a changed feature, of a change over a whole reference range, of the rarest record.

    `floor` is a percentile of realism: an answer that is rarer than this and rarer than the record itself costs `below`
    more, which is more than any number of changes; it is shown only where nothing above the floor was found. `near`: of an answer that is
    as far from made-up people of the wanted class as they are from each other.
    """

    count: float = 1.0
    distance: float = 1.0
    realism: float = 2.0
    floor: float = 5.0
    below: float = 10.0
    near: float = 0.0


class RefineSettings(NamedTuple):
    """How long a proposal is improved: passes of single-feature moves, each one batch for all proposals.

    `rows` candidates may be tried for one record over all its rounds. Where a space has more than `moves` values, each pass
    begins with an even part of them.
    """

    passes: int = 6
    rows: int = 400_000
    moves: int = 2_048


class SearchSettings(NamedTuple):
    """How far sets of features are searched besides what the generator proposes.

    `rows` a record may ask the classifier about by default, `exact_rows` where proof is asked for; in batches of `batch`.
    `wide_rows` each time that an alternative is still wanted and another change of the first answer is done without.
    `features` is the largest set that is searched; where there is no answer at all, sets of `max_changes`. Whether one exists is
    asked for `proof` units of work, some hundredths of a second, or `proof_row` for each row where that is more, before anything is
    repaired; and for `proof_last`, a second or two, where all else has found nothing.
    """

    rows: int = 256
    wide_rows: int = 2_048
    exact_rows: int = 2_000_000
    batch: int = 256
    features: int = 3
    proof: float = 1e5
    proof_last: float = 2e8
    proof_row: float = 1e2


class WalkSettings(NamedTuple):
    """Walks towards made-up people: so many are `drawn`, at most `people` of them walked to, `rows` asked about on the way; more of both
    where all else has found nothing, and then only towards those whom the classifier puts in the wanted class."""

    drawn: int = 1_000
    people: int = 32
    rows: int = 2_048


class EasingSettings(NamedTuple):
    """What it may cost to say what would have to give: units of work for the prover, `each` at a time (10 million are about half a
    second), and rows of the search that is asked where it says nothing, with `moves` a refinement.

    A lower margin is found to within `margin`, in so many `halvings`. `shown` at most; where answers were found, `without` features of
    the first one are done without in turn.
    """

    work: float = 3e7
    each: float = 2e6
    rows: int = 60_000
    moves: int = 8_192
    margin: float = 0.001
    halvings: int = 8
    shown: int = 6
    without: int = 2


class UnknownSettings(NamedTuple):
    """How unknown values are judged: over at most so many `completions`, and for what `share` of them something has to hold.

    The present prediction counts as the wanted one where it holds for the share, as the unwanted one where the rest of it does.
    """

    completions: int = 64
    share: float = 0.9


class StabilitySettings(NamedTuple):
    """Noisy readings drawn for each answer that is shown."""

    draws: int = 64


class WhySettings(NamedTuple):
    """What a reason for a prediction may cost: so many rows of the classifier, over `people` drawn ones at least where every set of
    features is tried, and over `most` at all. `listed` parts are told in words, in each direction."""

    rows: int = 8_192
    people: int = 64
    most: int = 512
    listed: int = 3


COST = CostSettings()
NEAREST = CostSettings(count=0.25, distance=4.0, realism=0.0)
TYPICAL = CostSettings(count=0.25, distance=0.5, realism=8.0)
NEAR = CostSettings(count=1.0, distance=0.0, realism=0.0, below=1_000.0, near=30.0)
REFINE = RefineSettings()
SEARCH = SearchSettings()
WALK = WalkSettings()
LAST_WALK = WalkSettings(people=64, rows=8_192)
EASING = EasingSettings()
UNKNOWN = UnknownSettings()
STABILITY = StabilitySettings()
WHY = WhySettings()


class BatchSettings(NamedTuple):
    """Rows that are answered in shared batches and committed together: more are faster, fewer are lost to an interruption."""

    chunk: int = 64


BATCH = BatchSettings()


class WatchSettings(NamedTuple):
    """Limits of the long-running process, in seconds and messages."""

    every: float = 0.0
    queue: int = 100
    policy: str = "drop-oldest"
    patience: float = 0.5
    tell: float = 5.0
    told: int = 20
    longest_pause: int = 30
    first_contact: float = 5.0
    unsent: int = 1_000
    held_bytes: int = 1_000_000
    expire: float = 86_400.0


WATCH = WatchSettings()


class StreamSettings(NamedTuple):
    """Limits of a stream of readings. `every` seconds between two looks at somebody's day so far; for `late` hours a date that has ended
    takes readings; a date is over `quiet` seconds after its end. `group` readings go onto the disk at once. More than
    `held` readings of the open days of one person, `series` of their devices and kinds, or `people`, are no stream of people's sensors.
    """

    every: float = 900.0
    late: float = 48.0
    quiet: int = 900
    queue: int = 10_000
    group: int = 1_000
    look: float = 0.5
    held: int = 500_000
    series: int = 64
    people: int = 2_000


STREAM = StreamSettings()


class ServeSettings(NamedTuple):
    """Limits of the page, in bytes, seconds and requests.

    `record_bytes` a request may hold, `upload_bytes` a file that is read; a request has `head_seconds` to say what it asks and
    `body_seconds` to send it. `waiting` may wait at once, each for `seconds` at most; `answers` are shown unless more are asked for.
    """

    port: int = 8765
    record_bytes: int = RECORD.max_bytes
    upload_bytes: int = 32_000_000
    head_seconds: float = 10.0
    body_seconds: float = 20.0
    connections: int = 256
    waiting: int = 128
    seconds: float = 60.0
    sessions: int = 64
    answers: int = 3
    most_answers: int = 6


SERVE = ServeSettings()


class FhirSettings(NamedTuple):
    """How much of a Bundle is read, in bytes, and how old a reading may be (see `fhir.moments.within`)."""

    max_bytes: int = SERVE.upload_bytes
    within: str = "1y"


FHIR = FhirSettings()
