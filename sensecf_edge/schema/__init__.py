"""What a record may hold: features with units and lattices, relations between them, and one person's checked values.

In: a schema's JSON, and a record's JSON or cells of a table. Out: a `Schema` and a `Record`, whose `vector` holds one code a feature
(numbers in their units, choices as places, NaN unknown). Knows nothing of models, and of what may change only what the schema says.
"""

from ..lazy import lazily

__getattr__ = lazily(
    __name__,
    {
        "Schema": "schema",
        "Feature": "feature",
        "Relation": "relation",
        "Record": "record",
        "FORMAT": "schema",
        "spell_difference": "schema",
    },
)
