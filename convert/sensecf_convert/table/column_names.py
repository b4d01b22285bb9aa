"""What the name of a column says of it, in the words that public tables use: people, what lasts a life, what is known only later."""

from __future__ import annotations

import re

PEOPLE = {
    "patient", "patients", "subject", "subjects", "subj", "participant", "participants", "person", "persons", "people", "respondent",
    "respondents", "individual", "client", "volunteer", "user", "member", "mrn", "pid", "ptid", "patid", "usubjid", "subjid", "seqn",
    "personid", "patientid", "subjectid", "participantid", "userid", "patientnr", "patientno", "pat", "proband", "animal", "donor",
    "pt", "ptnr", "ptno", "ppt", "resp", "participantnr", "subjectnr", "idnr", "idno",
}  # fmt: skip
ENDS = {"id", "ids", "no", "nr", "num", "number", "code", "key", "name", "identifier", "uid", "uuid", "index"}
LIFELONG = {
    "age", "sex", "gender", "race", "ethnicity", "ethnic", "ethnicgroup", "height", "stature", "birth", "born", "birthdate",
    "birthyear", "birthplace", "birthweight", "dob", "yob", "male", "female", "famhist", "famhx", "heightcm", "heightin", "ageyears",
    "ageyrs", "agegroup", "agegrp", "agecat", "genotype",
}  # fmt: skip
NOT_LIFELONG = {"ratio", "waist", "hip", "diff", "difference", "gap", "partner", "spouse", "child", "step", "fundal", "sitting"}
LATER = {
    "followup", "survival", "censored", "censoring", "tte", "ttd", "tenddate", "los", "readmission", "readmitted", "discharge",
    "discharged", "death", "died", "dead", "deceased", "mortality", "autopsy", "outcome", "relapse", "recurrence", "remission",
}  # fmt: skip
LATER_PAIRS = (
    ("follow", "up"), ("time", "to"), ("days", "to"), ("months", "to"), ("years", "to"), ("weeks", "to"), ("time", "until"),
    ("days", "until"), ("length", "stay"), ("event", "time"), ("time", "event"), ("post", "treatment"), ("after", "treatment"),
    ("after", "diagnosis"), ("since", "diagnosis"), ("number", "visits"), ("n", "visits"), ("num", "visits"), ("visit", "count"),
    ("visits", "count"), ("last", "visit"), ("last", "contact"), ("days", "observed"), ("days", "hospital"),
)  # fmt: skip


def split_words(name: str) -> list[str]:
    """A name's words in small letters: patient_id, PatientID and "patient id" are patient and id."""
    return [part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def people(name: str) -> bool:
    """Whether a column is called like one that says whose a row is."""
    said = split_words(name)
    if len(said) == 1:
        return said[0] in PEOPLE or said[0] in ("id", "ids", "uid", "uuid")
    return bool(said) and said[0] in PEOPLE and all(word in PEOPLE | ENDS for word in said)


def lifelong(name: str) -> bool:
    """Whether a column is called like something that nobody can change: age, sex, height, birth, family history."""
    said = set(split_words(name))
    family = said & {"family", "fam", "familial", "parental", "maternal", "paternal"} and said & {"history", "hist", "hx"}
    return bool((said & LIFELONG or family) and not said & NOT_LIFELONG)


def later(name: str) -> bool:
    """Whether a column is called like something that is known only behind the outcome: follow-up, time to event, visits since."""
    said = split_words(name)
    return bool(set(said) & LATER) or any(set(pair) <= set(said) for pair in LATER_PAIRS)
