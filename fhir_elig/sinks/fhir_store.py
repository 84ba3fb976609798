"""Keeps ResearchSubjects at a FHIR store, in two phases: the subject first, then what tells of it, with literal references.

Every write is preceded by a look, sent once under a condition, and read back. Who stands in the way is never written over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from fhir_elig.errors import AuthorisationError, FhirEligError, SourceError, WriteConflictError
from fhir_elig.outputs.fhir_json import relink
from fhir_elig.sinks import Outcome, Resource, Result
from fhir_elig.sinks.beside import Beside
from fhir_elig.sinks.outbox import Delivery, Last, Outbox
from fhir_elig.sinks.plan import How, Plan
from fhir_elig.sinks.standing import follows, is_about, is_later, same, state_of, touched, version_of
from fhir_elig.sinks.wire import Answer, Wire
from fhir_elig.sources.transport import UnansweredError

_KIND = "ResearchSubject"
_LEFT = "superseded by a person or another system"


class Store:
    """Writes deliveries of one study at one server. `links` lead from our own ids to those that the server gave."""

    def __init__(self, wire: Wire, plan: Plan, outbox: Outbox, links: Mapping[str, str] | None = None) -> None:
        self._wire, self._plan, self._outbox = wire, plan, outbox
        self._beside = Beside(wire, plan)
        self._links = dict(links or {})

    def recover(self, besides: Set[str] = frozenset()) -> Iterator[Result]:
        """Finishes what an earlier run began; the first thing to do. `besides` are the keys of patients who have been assessed
        anew: their earlier recommendation is not written any more, `deliver` settles it."""
        for delivery in self._outbox.unfinished(self._plan.base, self._plan.rules.study):
            if delivery.key not in besides:
                yield self._settled(delivery)

    def deliver(self, delivery: Delivery) -> Result:
        """One patient. Raises AuthorisationError, and FhirEligError if the outbox cannot be used; all else is in the result."""
        before = self._outbox.begun(delivery.key)
        if before is not None and (trouble := self._told_of(before)) is not None:
            return trouble
        self._outbox.intend(delivery)
        return self._settled(delivery)

    def _told_of(self, before: Delivery) -> Result | None:
        """Looks whether a write that was begun earlier shows: it is then ours. What kept us from looking, or None."""
        try:
            found = self._look(before, self._wire.deadline())
        except AuthorisationError:
            raise
        except WriteConflictError:
            return None  # the new one meets it too, and tells
        except SourceError as error:
            return _failed(before, Result(before.patient, Outcome.FAILED), error)
        last = self._adopted(before, found) if found is not None else Last()
        if found is not None and last.version and last.version == version_of(found):
            self._outbox.confirm(before.key, last.reference, last.version)
        else:
            self._outbox.refused(before.key)
        return None

    def _settled(self, delivery: Delivery) -> Result:
        result, deadline = Result(delivery.patient, Outcome.FAILED), self._wire.deadline()
        try:
            found = self._look(delivery, deadline)
            if found is not None or (delivery.new and delivery.subject):
                result = self._subject(delivery, found, deadline)
                subject = "" if result.outcome is Outcome.LEFT else result.reference
                self._beside.write(delivery, subject, self._links, deadline)
            else:
                result = Result(delivery.patient, Outcome.NOT_CREATED, note="the site allows no new record of this state")
        except AuthorisationError:
            raise
        except (SourceError, WriteConflictError) as error:
            result = _failed(delivery, result, error)
        if result.outcome is not Outcome.FAILED:
            self._outbox.finish(delivery.key, result.outcome)
        return result

    def _look(self, delivery: Delivery, deadline: float) -> Resource | None:
        """The one subject of this patient in this study; None if none is there. Raises WriteConflictError if there are more."""
        named = {("patient", delivery.patient), ("study", delivery.study)}
        listed = self._wire.search(_KIND, sorted(named), deadline) if _KIND in self._plan.looks else []
        hits = {one["id"]: one for one in listed if is_about(one, delivery.patient, delivery.study, self._wire.base)}
        own = self._wire.read(_KIND, delivery.key, deadline)
        if own is not None:
            hits.setdefault(delivery.key, own)
        reference = self._outbox.last(delivery.key).reference
        if not hits and reference:
            raise WriteConflictError("what was written there before is gone", fix="look who removed it; it is not made again")
        if len(hits) > 1:
            raise WriteConflictError(f"there are {len(hits)}", code="FE0503", fix="let a person settle which one holds")
        return next(iter(hits.values()), None)

    def _subject(self, delivery: Delivery, found: Resource | None, deadline: float) -> Result:
        if found is None:
            return self._create(delivery, deadline)
        last = self._adopted(delivery, found)
        reference, version = f"{_KIND}/{found['id']}", version_of(found)
        rules = self._plan.rules
        told = self._beside.versions(reference, deadline)
        ours = {last.version if last.reference == reference else "", *told}
        why = touched(found, delivery.key, rules.canonical_base, ours, rules.allow)
        if not is_about(found, delivery.patient, delivery.study, self._wire.base):
            why = "it is of another patient or study"
        where = f"{reference}/_history/{version}" if version else reference
        if why:
            return Result(delivery.patient, Outcome.LEFT, where, f"{_LEFT}: {why}")
        if is_later(told.get(version, ""), delivery.recorded):
            return Result(delivery.patient, Outcome.LEFT, where, "a newer recommendation of ours stands there")
        if delivery.subject is None:
            return Result(delivery.patient, Outcome.UNCHANGED, where, "the site allows none of the states due")
        if _equal(delivery.subject, found):
            self._outbox.confirm(delivery.key, reference, version)
            outcome = Outcome.CREATED if last.sent_over == "" else Outcome.UNCHANGED
            return Result(delivery.patient, outcome, where, state_of(found))
        return self._update(delivery, found, deadline)

    def _adopted(self, delivery: Delivery, found: Resource) -> Last:
        """What we last wrote there; a write under way that shows on the server, and only it, counts as done."""
        last = self._outbox.last(delivery.key)
        if last.sent_over is None or delivery.subject is None:
            return last
        shows = _equal(delivery.subject, found) and same(delivery.subject, found, self._wire.base)
        if shows and follows(last.sent_over, version_of(found)):
            return Last(f"{_KIND}/{found['id']}", version_of(found), last.sent_over)
        return last

    def _create(self, delivery: Delivery, deadline: float) -> Result:
        assert delivery.subject is not None
        how, body = self._plan.how[_KIND], relink(delivery.subject, self._links)
        self._outbox.sending(delivery.key, "")
        try:
            if how is How.PUT:
                answer = self._wire.put(body, {"If-None-Match": "*"}, deadline)
            else:
                whose = (("patient", delivery.patient), ("study", delivery.study)) if how is How.CONDITIONAL else ()
                answer = self._wire.post(body, deadline, whose)
        except UnansweredError:
            return self._after_silence(delivery, Outcome.CREATED, deadline)
        if not answer.created:
            self._outbox.refused(delivery.key)
            raise WriteConflictError("one was made in the meantime: the answer was not 201 Created", fix="look at the record")
        if not answer.id and how is not How.PUT:
            return self._after_silence(delivery, Outcome.CREATED, deadline)  # nobody told under which id
        return self._read_back(delivery, answer, "", Outcome.CREATED, deadline)

    def _update(self, delivery: Delivery, found: Resource, deadline: float) -> Result:
        assert delivery.subject is not None
        version = version_of(found)
        body = {**relink(delivery.subject, self._links), "id": found["id"]}
        self._outbox.sending(delivery.key, version)
        try:
            answer = self._wire.put(body, {"If-Match": f'W/"{version}"'}, deadline)
        except UnansweredError:
            return self._after_silence(delivery, Outcome.UPDATED, deadline)
        if answer.created:
            raise WriteConflictError("it was removed in the meantime", fix="look who removed it")
        return self._read_back(delivery, Answer(False, found["id"], answer.version), version, Outcome.UPDATED, deadline)

    def _after_silence(self, delivery: Delivery, outcome: Outcome, deadline: float) -> Result:
        """No answer came: a look tells what became of the write. Raises UnansweredError if it does not show."""
        before = self._outbox.last(delivery.key).sent_over or ""
        found = self._look(delivery, deadline)
        if found is None or version_of(found) == before:
            raise UnansweredError("the write was not answered, and does not show yet", fix="run again: it looks first")
        return self._read_back(delivery, Answer(False, found["id"]), before, outcome, deadline)

    def _read_back(self, delivery: Delivery, answer: Answer, before: str, outcome: Outcome, deadline: float) -> Result:
        """Confirms a write only if the server shows it, in the version that it named, and shows no second subject."""
        assert delivery.subject is not None
        name = answer.id or delivery.key
        found = self._wire.read(_KIND, name, deadline)
        if found is None:
            raise UnansweredError("what was written cannot be read back", fix="run again: it looks first")
        version = version_of(found)
        told = version == answer.version if answer.version else follows(before, version)
        if not same(relink(delivery.subject, self._links), found, self._wire.base) or (version and not told):
            raise WriteConflictError("somebody else wrote right after us", fix="look at the record; it was left")
        self._outbox.confirm(delivery.key, f"{_KIND}/{name}", version)
        if outcome is Outcome.CREATED:
            self._look(delivery, deadline)  # a second one is an alarm
        note = state_of(found) + ("" if version else "; without a version it will never be changed again")
        where = f"{_KIND}/{name}/_history/{version}" if version else f"{_KIND}/{name}"
        return Result(delivery.patient, outcome, where, note)


def _failed(delivery: Delivery, stands: Result, error: FhirEligError) -> Result:
    """What went wrong for one patient; once the subject itself was settled, what stands there is told too."""
    outcome = Outcome.CONFLICT if isinstance(error, WriteConflictError) else Outcome.FAILED
    note = str(error)
    if stands.reference:
        where = error.findings[0].where or "what is stored with it"
        note = f"the ResearchSubject is settled ({stands.outcome.value}); {where}: {note}"
    return Result(delivery.patient, outcome, stands.reference, note, error.code)


def _equal(subject: Resource, found: Resource) -> bool:
    """Whether the record says already what is to be said: state and narrative."""
    text, other = subject.get("text", {}), found.get("text", {})
    return state_of(subject) == state_of(found) and isinstance(other, dict) and text.get("div") == other.get("div")
