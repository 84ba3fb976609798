"""An assessment as a FHIR Parameters resource, and the way back.

The resource mirrors the published JSON key by key: names in kebab case, lists as repeated parameters, objects as parts; the
rows below are the whole mapping. What is empty in the JSON (a text, a list, an object) has no parameter, because FHIR has no
empty values; elements of lists and values of maps are taken to hold something.
"""

from __future__ import annotations

import msgspec

from fhir_elig.errors import DataError
from fhir_elig.outputs.fhir_json import DEFAULT_BASE, Json, is_code, is_date, is_date_time, is_uri
from fhir_elig.outputs.parameter_kinds import (
    AnyCode,
    Boolean,
    Cited,
    Entries,
    Link,
    Many,
    Map,
    OwnCode,
    Part,
    Row,
    Text,
    read,
    write,
)
from fhir_elig.verdict import Assessment

TEXT = Text()
CODE = Text("Code", is_code)
DATE = Text("Date", is_date)
DATE_TIME = Text("DateTime", is_date_time)
URI = Text("Uri", is_uri)
BOOLEAN = Boolean()
LINK = Link()
VERDICT = OwnCode("verdict")

IDENTIFIED = [Row(key, key, TEXT, "") for key in ("id", "version", "sha256")]
RETRIEVED = [Row("type", "type", CODE, ""), Row("complete", "complete", BOOLEAN), Row("note", "note", TEXT)]
EVIDENCE = [
    Row("reference", "reference", LINK, ""),
    Row("version", "version", TEXT),
    Row("received", "received", TEXT),
    Row("compared", "compared", TEXT),
    Row("limit", "limit", TEXT),
    Row("time", "time", DATE_TIME),
    Row("note", "note", TEXT),
    Row("window", "window", TEXT),
]
SET_ASIDE = [Row("reference", "reference", LINK, ""), Row("why", "why", TEXT, "")]
SETTLED_BY = [
    Row("resource", "resource", TEXT),
    Row("codes", "code", Many(AnyCode())),
    Row("window", "window", TEXT),
    Row("question", "question", TEXT),
    Row("milestone", "milestone", TEXT),
]
CRITERION = [
    Row("id", "id", TEXT, ""),
    Row("text", "text", TEXT),
    Row("verdict", "verdict", VERDICT),
    Row("reason", "reason", OwnCode("reason")),
    Row("reading", "reading", TEXT),
    Row("provisional", "provisional", BOOLEAN),
    Row("recoverable", "recoverable", BOOLEAN),
    Row("recoverable_from", "recoverable-from", DATE),
    Row("near_limit", "near-limit", BOOLEAN),
    Row("conditional", "conditional", BOOLEAN),
    Row("exclusion", "exclusion", BOOLEAN),
    Row("notes", "note", Many(TEXT)),
    Row("evidence", "evidence", Many(Cited(EVIDENCE))),
    Row("set_aside", "set-aside", Many(Cited(SET_ASIDE))),
    Row("settled_by", "settled-by", Part(SETTLED_BY)),
]
CRITERION.append(Row("criteria", "criterion", Many(Part(CRITERION))))
ASSESSMENT = [
    Row("schema", "schema", TEXT),
    Row("patient", "patient", LINK, ""),
    Row("protocol", "protocol", Part(IDENTIFIED)),
    Row("mappings", "mappings", Map(), {}),
    Row("package", "package", Map(), {}),
    Row("base", "base", URI, None),
    Row("as_of", "as-of", DATE_TIME, ""),
    Row("milestones", "milestone", Entries("name", "date", DATE_TIME), {}),
    Row("retrieved", "retrieved", Many(Part(RETRIEVED)), []),
    Row("verdict", "verdict", VERDICT),
    Row("status", "status", CODE),
    Row("recoverable", "recoverable", BOOLEAN),
    Row("provisional", "provisional", BOOLEAN),
    Row("valid_until", "valid-until", DATE, None),
    Row("decisive", "decisive", Many(TEXT), []),
    Row("decisions", "decision", Entries("name", "reading", TEXT)),
    Row("notes", "note", Many(TEXT)),
    Row("criteria", "criterion", Many(Part(CRITERION)), []),
    Row("errors", "error", Many(TEXT)),
]


def to_parameters(assessment: Assessment, canonical_base: str = DEFAULT_BASE) -> Json:
    """The assessment as Parameters (id `assessment`); the same in R4 and R5."""
    found = write(ASSESSMENT, msgspec.to_builtins(assessment), canonical_base)
    return {"resourceType": "Parameters", "id": "assessment", "parameter": found}


def from_parameters(parameters: Json) -> Json:
    """The assessment's JSON object from its Parameters. Raises DataError if they do not hold an assessment."""
    try:
        assessment = msgspec.convert(read(ASSESSMENT, parameters["parameter"]), Assessment)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError("these Parameters do not hold an assessment", where="Parameters") from error
    published: Json = msgspec.json.decode(assessment.to_json())
    return published
