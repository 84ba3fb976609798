"""Charts from a FHIR server: what a protocol needs of one patient, each entry re-checked, its completeness proved or denied.

A search that fails gives less, never "has none": every type that a protocol needs has its line in `Chart.retrieved`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from fhir_elig.errors import AuthorisationError, DeadlineError, SourceError, UsageError
from fhir_elig.record import MEDICATION_TYPES, Need, merge_needs
from fhir_elig.references import is_id
from fhir_elig.sources import Chart, Resource
from fhir_elig.sources.access import Access
from fhir_elig.sources.completeness import Remark
from fhir_elig.sources.credentials import Bearer
from fhir_elig.sources.entries import linked_patients, medication_ids, members
from fhir_elig.sources.patient_links import Links, read_links
from fhir_elig.sources.planner import Served, Step, ladder, read_served
from fhir_elig.sources.replies import StatusError, unexpected
from fhir_elig.sources.search import Found, IgnoredError, Question, search
from fhir_elig.sources.seen import lacks_encounters, newest_results
from fhir_elig.sources.transport import Transport
from fhir_elig.sources.turns import failure, in_turn
from fhir_elig.sources.workers import Workers
from fhir_elig.verdict import Retrieved

_DOWN = frozenset({400, 404, 405, 413, 414, 415, 422, 501})
_UNKNOWN = frozenset({404, 410})
_READ_OTHERWISE = frozenset({"Patient", "Medication"})
_MOST_LINKED = 10


class RestSource:
    """Reads patients from one server, several at once (`Limits.connections`); one object's `fetch` is for one thread.

    `needs` is what the protocol reads. `complete` names types (or `all`) that a person who knows the server declares complete:
    it overrules only what does not show a lack. `access` says how to sign in; `token` is a plain bearer token. `count` is the
    page size that is asked for. `look_back` limits searches to the
    needs' look-back; without it older results are read too, so that a verdict can show them as too old.
    """

    def __init__(
        self,
        base: str,
        *,
        needs: Sequence[Need],
        token: str | None = None,
        timeout: float = 60.0,
        complete: frozenset[str] | Literal["all"] = frozenset(),
        count: int | None = 200,
        look_back: bool = False,
        allow_http: bool = False,
        transport: Transport | None = None,
        access: Access | None = None,
    ) -> None:
        self._transport = transport or (access or Access(base, Bearer(token))).transport(timeout, allow_http=allow_http)
        self.base = str(self._transport.base)
        self._needs = [need for need in merge_needs(needs) if need.type not in _READ_OTHERWISE]
        self._complete = complete
        self._count, self._look_back = count, look_back
        self._served: Served | None = None
        self._first_step: dict[str, int] = {}
        self._medications: dict[str, Resource | None] = {}

    def served(self) -> Served:
        """What the server declares, asked once. Raises SourceError if it cannot be read."""
        if self._served is None:
            served = read_served(self._read("metadata", "CapabilityStatement", self._transport.deadline()))
            if not served.is_read():
                raise SourceError(
                    "the server speaks a version of FHIR that is not read", code="FE0412", where=f"{self.base}/metadata",
                    fix="ask for the base address of R4, R4B or R5",
                )  # fmt: skip
            self._served = served
        return self._served

    def patients(self, ids: Iterable[str] = (), group: str = "") -> Iterator[Chart]:
        """One chart for each patient named, then for each member of the Group who is not named too.

        Raises SourceError if the server's metadata or the Group cannot be read, AuthorisationError wherever it happens.
        """
        named = [name.removeprefix("Patient/") for name in ids]
        if group or any(map(is_id, named)):  # nothing is asked of the server where nobody can be meant
            self.served()
        listed, lost = self.members(group) if group else ([], 0)
        wanted = dict.fromkeys((*named, *listed))
        given: set[str] = set()
        number = max(1, min(self._transport.limits.connections, len(wanted)))
        with Workers([self.fetch, *(self._sibling().fetch for _ in range(number - 1))]) as workers:
            for chart in in_turn(wanted, workers.start, self._transport.sleep, workers.ahead):
                if chart.patient not in given:  # two ids of one person give one chart
                    yield chart
                given.add(chart.patient)
        for number in range(1, lost + 1):
            yield failure(f"unresolved-member-{number}", "FE0404", "a member of the group cannot be resolved", self.base)

    def _sibling(self) -> RestSource:
        """The same source for another thread: what was learned of the server is shared, the connection is not."""
        twin = copy.copy(self)
        twin._transport = self._transport.sibling()
        return twin

    def members(self, group: str) -> tuple[list[str], int]:
        """Ids of a Group's patients, and how many members cannot be resolved. Raises SourceError if it cannot be read."""
        name = group.removeprefix("Group/")
        if not is_id(name):
            raise UsageError("this is not the id of a FHIR Group", where="--group", fix="give the id as the server writes it")
        try:
            found = self._read(f"Group/{name}", "Group", self._transport.deadline())
        except StatusError as error:
            if error.status in _UNKNOWN:
                raise SourceError("the server does not know the group", code="FE0404", fix="look at the group's id") from None
            raise
        listed = list(members(found, self.base))
        return [member for member in listed if member is not None], listed.count(None)

    def fetch(self, patient: str) -> Chart:
        """One patient's chart, under the id of the record that replaced the patient's, if one did.

        What could not be read is told in it; raises AuthorisationError, and SourceError for metadata.
        """
        patient = patient.removeprefix("Patient/")
        if not is_id(patient):
            return failure(patient, "FE0404", "this is not the id of a FHIR resource", self.base)
        self.served()
        deadline = self._transport.deadline()
        try:
            person = self._read(f"Patient/{patient}", "Patient", deadline)
        except AuthorisationError:
            raise
        except SourceError as error:
            unknown = isinstance(error, StatusError) and error.status in _UNKNOWN
            return failure(patient, "FE0404" if unknown else error.code, str(error), self.base)
        if person.get("id") != patient:
            notes = [Retrieved(need.type, False, "not-asked: another patient's record came") for need in self._needs]
            return Chart(patient=patient, resources=[], retrieved=tuple(notes), base=self.base, identity=True)
        return self._chart(patient, person, deadline)

    def _chart(self, patient: str, person: Resource, deadline: float) -> Chart:
        found = self._persons(person, deadline)
        links = read_links(found.resources, self.base)
        ids = [str(one["id"]) for one in found.resources]
        retrieved = [self._retrieved("Patient", found.remarks)]
        for need in self._needs:
            answer, line = self._ask(need, ids, deadline)
            found.add(answer)
            retrieved.append(line)
        if lacks_encounters(self._needs, found.resources):
            post = not self._first_step.get("Observation")
            found.add(newest_results(self._transport, self.served(), ids, post=post, deadline=deadline))
        retrieved += self._drugs(found, deadline)
        found.identity = found.identity or patient in links.doubtful
        return Chart(
            patient=links.survivors.get(patient, patient),
            resources=found.resources,
            retrieved=tuple(sorted(retrieved, key=lambda line: line.type)),
            refused=tuple(found.refused),
            base=self.base,
            identity=found.identity,
            broken=bool(found.errors),
            errors=(*found.errors, *_merged(links)),
        )

    def _persons(self, person: Resource, deadline: float) -> Found:
        """The Patient and the records that its links tie to it: those that replaced it, and those that it replaced."""
        found, ids = Found([person]), {str(person["id"])}
        waiting = sorted(set(linked_patients(person, self.base)) - ids)
        while waiting:
            name = waiting.pop(0)
            ids.add(name)
            try:
                if len(ids) > _MOST_LINKED:
                    raise SourceError("too many records are linked")
                other = self._read(f"Patient/{name}", "Patient", deadline)
                if other.get("id") != name:
                    raise SourceError("another record came")
            except AuthorisationError:
                raise
            except SourceError as error:
                found.break_off("Patient", error, "a linked record could not be read")
                return found
            found.resources.append(other)
            waiting = sorted({*waiting, *linked_patients(other, self.base)} - ids)
        return found

    def _ask(self, need: Need, ids: Sequence[str], deadline: float) -> tuple[Found, Retrieved]:
        """Goes down the ladder until the server answers in kind."""
        served = self.served()
        if not served.serves(need.type):
            return Found(), Retrieved(need.type, False, "not-served")
        grant = self._transport.credentials.grant(deadline)
        if grant is not None and not grant.reads(need.type):
            return Found(), Retrieved(need.type, False, "refused: no scope for it was granted")
        codes = need.codes if need.type == "Observation" else None
        question = Question(need.type, frozenset(ids), codes or None, served.parameters(need.type))
        limits, count, look_back = self._transport.limits, self._count, self._look_back
        ladders = [ladder(need, name, served, limits, count=count, look_back=look_back) for name in ids]
        why = "not-served: no search by patient"
        for number in range(self._first_step.get(need.type, 0), len(ladders[0])):
            steps = [steps[number] for steps in ladders]
            try:
                found = self._step(question, steps, deadline)
            except IgnoredError:
                continue
            except StatusError as error:
                if error.status == 403:
                    return Found(), Retrieved(need.type, False, "refused: 403")
                why = f"not-served: HTTP {error.status}"
                continue
            if grant is not None and grant.narrow(need.type):
                found.remarks.append(Remark("partial: the scope that was granted is narrower than the type"))
            if steps[0].note:
                found.remarks.append(Remark(steps[0].note, soft=True))
            elif not found.errors:
                self._first_step[need.type] = number
            return found, self._retrieved(need.type, found.remarks)
        return Found(), Retrieved(need.type, False, why)

    def _step(self, question: Question, steps: Sequence[Step], deadline: float) -> Found:
        """All searches of one step; raises what sends the caller down the ladder."""
        found = Found()
        for post, params in [(step.post, params) for step in steps for params in step.searches]:
            try:
                found.add(search(self._transport, question, post, params, deadline))
            except (AuthorisationError, IgnoredError):
                raise
            except SourceError as error:
                if isinstance(error, StatusError) and error.status in _DOWN | {403}:
                    raise
                found.break_off(question.type, error, str(error))
                return found
        return found

    def _retrieved(self, kind: str, remarks: Sequence[Remark]) -> Retrieved:
        """The verdict on completeness: the gravest remark, or complete if none is left."""
        declared = self._complete == "all" or kind in self._complete
        left = sorted((remark for remark in remarks if not (remark.soft and declared)), key=lambda remark: remark.soft)
        return Retrieved(kind, not left, left[0].note if left else "")

    def _drugs(self, found: Found, deadline: float) -> list[Retrieved]:
        """Reads the Medications that the records refer to, each once a run; adds them to what was found."""
        there = {one["id"] for one in found.resources if one["resourceType"] == "Medication" and "id" in one}
        records = [one for one in found.resources if one["resourceType"] in MEDICATION_TYPES]
        wanted = sorted({name for one in records for name in medication_ids(one, self.base)} - there)
        if not wanted:
            return []
        if "Medication" not in self.served().reads:
            return [Retrieved("Medication", False, "not-served")]
        remarks: list[Remark] = []
        for name in wanted:
            try:
                drug = self._medication(name, deadline)
            except AuthorisationError:
                raise
            except SourceError as error:
                refused = isinstance(error, StatusError) and error.status == 403
                note = Remark("refused: 403" if refused else f"partial: a Medication could not be read ({error})")
                remarks.append(note)
                if not refused:
                    found.errors.append(f"{error.code} Medication: {error}")
                if isinstance(error, DeadlineError) or refused:
                    break
                continue
            if drug is None:
                remarks.append(Remark("partial: a Medication that is referred to is not there"))
            else:
                found.resources.append(drug)
        return [self._retrieved("Medication", remarks)]

    def _medication(self, name: str, deadline: float) -> Resource | None:
        if name not in self._medications:
            try:
                drug = self._read(f"Medication/{name}", "Medication", deadline)
            except StatusError as error:
                if error.status not in _UNKNOWN:
                    raise
                self._medications[name] = None
            else:
                self._medications[name] = drug if drug.get("id") == name else None
        return self._medications[name]

    def _read(self, address: str, kind: str, deadline: float) -> Resource:
        """One resource of the type that was asked for."""
        page = self._transport.get(address, deadline)
        if page.document["resourceType"] != kind:
            raise unexpected(page, kind)
        return page.document


def _merged(links: Links) -> list[str]:
    return [f"Patient/{old} was replaced by Patient/{new}: read as one" for old, new in sorted(links.survivors.items())]
