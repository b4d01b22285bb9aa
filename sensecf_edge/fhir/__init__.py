"""Health records as other systems exchange them: HL7 FHIR R4 and CDS Hooks 2.0, as plain JSON values.

In: a Bundle of Observations, Conditions and a Patient. Out: a record's values and where each is from; of an Explanation a
RiskAssessment, and cards. Asks no server for anything, guesses nothing, and never writes what an answer would change as if somebody had
measured it. Where a Bundle can be read in two ways it is refused, with the path of what is at fault.
"""

from ..lazy import lazily

__getattr__ = lazily(__name__, {"read": "reading", "Reading": "reading", "risk_assessment": "writing"})
