"""The catalogue of faults: what goes wrong in servers, files and charts, what the program does then, and which tests play it.

`make docs` writes docs/reference/faults.md from it; `tests/house` holds that each test is there and that the page is current.
The tables of `tests/sources/faults_*.py` name the numbers of the entries that their faults stand for.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "faults.md"

INTRODUCTION = """# Faults: what goes wrong, and what the program does then

Under every fault a verdict is that of a run without it, or `unknown`. What was not read never counts as "there is none". What
must not be sent (a token, a patient's data) is sent to the configured server alone. A bad value costs a value, a bad resource
a resource, a bad patient a patient. This page is made from the catalogue that the tests are held to: each entry names a test.
"""


class Entry(NamedTuple):
    number: int
    room: str
    fault: str
    then: str
    tests: tuple[str, ...]  # file below tests::function


def _entries(room: str, first: int, *lines: str) -> list[Entry]:
    """Lines of `fault | what is done | tests`."""
    found = []
    for number, line in enumerate(lines, first):
        fault, then, tests = (part.strip() for part in line.split("|"))
        found.append(Entry(number, room, fault, then, tuple(tests.split())))
    return found


_ANSWERS = "sources/test_hostile.py::test_a_fault_that_stays_gives_less_and_says_so"
_HEALS = "sources/test_hostile.py::test_a_fault_that_passes_changes_nothing"
_PAGES = "sources/test_hostile.py::test_a_fault_of_a_search_turns_no_verdict_over"
_SIGN_IN = "sources/test_hostile_signin.py::test_a_fault_on_the_way_in_turns_no_verdict_over"
_TRANSPORT, _BODIES, _PAGING = (
    "sources/test_transport.py::test_",
    "sources/test_bodies.py::test_",
    "sources/test_paging.py::test_",
)
_BULK, _LINES, _FILES = "sources/test_bulk.py::test_", "sources/test_files_ndjson.py::test_", "sources/test_files.py::test_"
_JSON, _WHOLE = "sources/test_strict_json.py::test_", "sources/test_completeness.py::test_"
_STORE = "sinks/test_fhir_store.py::test_"

SERVERS = _entries(
    "Servers", 1,
    f"429 with a pause in seconds | all workers wait at least so long | {_ANSWERS} {_TRANSPORT}all_workers_of_a_server_share_the_pause",
    f"429 with a pause as a date | the same; a date in the past is no pause | {_HEALS} {_TRANSPORT}429_with_retry_after_as_http_date_waits_until_then_by_the_servers_clock",
    "a storm of 502, 503, 504 | growing pauses, a rest for the server, its patients come later | sources/test_server_faults.py::test_a_storm_of_503_gives_the_clean_charts_at_less_than_three_times_the_requests sources/test_turns.py::test_after_five_failures_in_a_row_the_server_rests_and_its_patients_come_later",
    f"500 for one patient for ever | that patient fails, after one more try | sources/test_server_faults.py::test_500_that_is_permanent_for_one_patient_fails_that_patient_only {_ANSWERS}",
    f"an answer that breaks off or drips | tried again, then the type is not complete | {_ANSWERS} {_BODIES}a_body_shorter_than_declared_is_tried_again_and_then_an_error",
    f"JSON that is cut, under a right length | tried again, then the type is not complete | {_ANSWERS} {_BODIES}json_that_is_cut_is_tried_again",
    f"200 with a sign-in page | an error that says so, no second try | {_ANSWERS} {_BODIES}200_with_an_html_sign_in_page_is_an_error_with_a_hint_and_no_retry_storm",
    f"200 with nothing in it, or 204 | an error, never \"there is none\" | {_ANSWERS} {_BODIES}204_is_an_error",
    f"200 with an OperationOutcome | an error, never \"there is none\" | {_ANSWERS} {_PAGES}",
    f"another content type over right FHIR | taken, with a warning | {_HEALS} {_BODIES}a_wrong_content_type_over_right_fhir_is_taken_with_one_warning",
    f"an error whose body is no JSON | its status and its technical words are told | {_ANSWERS} {_BODIES}an_error_body_that_is_not_json_keeps_the_status_and_a_safe_excerpt",
    f"gzip that is corrupt, doubled or not announced | tried once more, then an error | {_ANSWERS} {_BODIES}corrupt_cut_missing_or_doubled_gzip_is_an_error_after_one_retry",
    f"a gzip bomb | stopped at the limit | {_ANSWERS} {_BODIES}a_gzip_bomb_meets_the_limit_and_not_the_memory",
    f"very large pages and lines | stopped at the limit; the next line is read | {_BODIES}a_body_past_the_limit_is_an_error_and_not_asked_again {_LINES}a_line_past_the_limit_is_skipped_and_the_next_is_read",
    f"a next link to its own page | the search ends at the second sight | {_PAGES} {_PAGING}a_next_link_to_its_own_page_ends_the_search_at_the_second_sight",
    f"a next link to another host | nothing is sent there, the type is not complete | {_PAGES} {_PAGING}a_next_link_to_another_host_is_not_asked_and_the_type_is_not_complete",
    f"a next link with http where the base is https | refused | {_PAGES} {_PAGING}a_next_link_with_http_where_the_base_is_https_is_refused",
    f"a relative next link | followed | {_PAGES} {_PAGING}a_relative_next_link_is_followed",
    f"a next link that is too long for the server | asked by POST | {_ANSWERS} {_PAGING}a_next_link_longer_than_the_server_takes_is_asked_by_post",
    f"a paging session that expires | the search begins anew, at most twice | {_PAGES} {_PAGING}an_expired_paging_session_restarts_the_search_and_throws_the_half_away",
    f"an empty last page | is the end | {_PAGES} {_PAGING}an_empty_last_page_is_fine",
    f"the same resource on two pages | counts once | {_PAGES} {_PAGING}the_same_resource_on_two_pages_is_kept_once",
    f"data that change while pages are read | the highest version counts | {_PAGES} {_PAGING}two_versions_that_came_while_paging_are_both_handed_on",
    f"a server that ignores what was asked | filtered here; what it says of itself is read | {_PAGES} {_WHOLE}a_server_that_ignores_codes_is_filtered_here",
    f"a redirect | refused, nothing is sent there | {_ANSWERS} {_TRANSPORT}a_redirect_to_another_host_sends_nothing_there {_SIGN_IN}",
    f"409 and 412 in place of each other | both are a conflict | {_STORE}a_conflict_stops_the_patient",
    f"401 for ever, as of a proxy that strips the token | two renewals, then the end with a hint | {_ANSWERS} {_SIGN_IN}",
)  # fmt: skip

SIGNING_IN = _entries(
    "Signing in", 28,
    f"a token that ends in mid-paging | renewed once for all workers | {_SIGN_IN} sources/test_smart.py::test_sixteen_workers_ask_once_for_each_life_of_a_token sources/test_smart.py::test_tokens_that_die_in_mid_run_cost_sixteen_workers_one_call_each_and_no_patient",
    f"an assertion that is used twice, clocks that differ | each try has an assertion of its own, for 300 s at most | {_SIGN_IN} sources/test_smart.py::test_each_try_has_an_assertion_of_its_own_and_waits_as_it_is_told",
    f"a token endpoint elsewhere | https only, read once and kept; no redirect is followed | {_SIGN_IN} sources/test_smart.py::test_an_endpoint_that_is_not_safe_gets_no_assertion",
    f"a type that is refused, or not granted | told; what needs it is unknown, the rest goes on | {_ANSWERS} {_SIGN_IN} sources/test_smart.py::test_what_was_not_granted_is_not_asked_and_told_as_refused sinks/test_audit_and_grants.py::test_without_a_scope_to_write_nothing_is_read_and_nothing_written",
    "a key that others can read | refused with the fix | sources/test_smart_keys.py::test_a_key_that_others_can_read_is_refused_with_the_fix",
)  # fmt: skip

EXPORTS = _entries(
    "Exports and files", 33,
    f"an export that tells of errors | no type of it is complete | {_BULK}an_error_in_the_manifest_makes_no_type_complete {_LINES}an_export_with_errors_is_complete_in_nothing",
    f"a count that does not fit | the type is not complete | {_BULK}a_count_that_does_not_fit_makes_the_type_incomplete {_LINES}a_manifest_that_does_not_fit_its_files_makes_the_type_partial",
    f"a file that has expired | the export begins once more | {_BULK}an_expired_file_starts_the_export_once_more_and_no_oftener sources/test_bulk_faults.py::test_links_that_expire_are_asked_for_anew",
    f"an export that is never done | ends at the deadline, and can be gone on with | {_BULK}waits_follow_the_server_and_end_at_the_deadline sources/test_bulk_faults.py::test_an_export_that_is_not_done_in_time_is_gone_on_with",
    f"lines that are cut, doubled, blank or no UTF-8 | set aside with their place; whom they may concern is not complete | {_LINES}a_cut_line_amid_others_touches_only_its_patient_and_type {_LINES}two_objects_on_a_line_are_both_refused_and_both_patients_touched {_LINES}invalid_utf8_costs_its_line {_LINES}line_ends_blank_lines_and_a_bom_at_the_head_change_nothing",
    f"one patient over many files, in any order | the same assessment | {_FILES}one_patient_over_many_files_and_folders_is_one_chart golden/test_fixtures.py::test_any_order_and_duplicates_give_the_same_assessment",
    f"a line of another type than its file's | the line is trusted | {_LINES}the_line_is_trusted_where_the_manifest_names_another_type sources/test_bulk_faults.py::test_a_line_of_another_type_makes_the_type_of_its_file_incomplete",
    "a resource that another refers to is not there | told, and the type is not complete | sources/test_rest.py::test_a_medication_that_is_not_there_makes_the_medications_partial",
)  # fmt: skip

READING = _entries(
    "Reading", 41,
    f"a key twice in one object | the resource is refused, what hangs on it is unknown | {_PAGES} {_FILES}a_defect_costs_its_resource_and_tells_its_codes",
    f"NaN, endless numbers and exponents | refused at once | {_PAGES} {_JSON}a_number_out_of_bounds_is_refused_at_once",
    f"JSON that is too deep | a typed error | {_ANSWERS} {_JSON}hopeless_nesting_is_a_typed_error_at_once",
    f"1.50 and 1.5, 74.99999999 beside 75 | kept as sent, compared exactly | {_WHOLE}decimals_stay_as_sent {_JSON}a_decimal_is_kept_as_it_was_sent",
    f"one bad resource among many | that one is set aside | {_PAGES} {_JSON}a_defect_beside_the_resource_costs_its_entry_only",
    f"contained, versioned, absolute references to the own base | resolved | {_PAGES} {_WHOLE}absolute_references_under_the_base_are_the_patients",
    f"a reference to another host | never fetched | {_PAGES} {_FILES}absolute_references_lead_to_the_base_and_nowhere_else",
    f"paths and odd signs in ids | refused before any address or file name | {_PAGES} sources/test_rest.py::test_a_text_that_is_no_id_is_never_sent",
    f"half characters and control signs | refused, or shown safely | {_ANSWERS} {_JSON}half_a_character_is_refused {_FILES}a_file_name_with_control_characters_is_shown_safely",
)  # fmt: skip

WHOSE = _entries(
    "Whose record it is", 50,
    f"another patient's resource | dropped, an alarm, exit code 16 | {_PAGES} {_WHOLE}a_hundred_patients_with_mixed_answers_use_nothing_of_each_other",
    f"a resource of nobody, of a group, of an identifier alone | not counted; the type is not complete | {_PAGES} {_WHOLE}a_resource_whose_subject_cannot_be_read_is_handed_on_and_makes_the_type_incomplete",
    f"two patients with one record number | stay two | {_FILES}two_patients_with_one_record_number_stay_two",
    "a patient who has died | not met, by a criterion of its own | cohort/test_funnel.py::test_alive_stands_first_where_somebody_is_recorded_as_deceased",
    f"an id with leading zeros or like a number | is text | {_PAGES} sources/test_files.py::test_ids_that_look_like_numbers_are_texts",
)  # fmt: skip

WRITING = _entries(
    "Writing back",
    55,
    "a patient's data in a log or an error | nowhere | sources/test_server_faults.py::test_no_log_and_no_error_holds_a_word_of_a_patient house/test_canaries.py::test_a_canary_in_a_line_of_any_logger_is_heard",
    "a run that is killed, a full disk, two runs at once | the same bytes after going on; the second run is refused | cohort/test_resume.py::test_a_run_killed_at_random_moments_ends_with_the_same_bytes cohort/test_resume.py::test_a_full_disk_is_told_with_the_line_that_goes_on sinks/test_killed_writers.py::test_a_writer_that_was_killed_is_finished_by_the_next_run",
    "many writers of one record at once | one record | sinks/test_real_store.py::test_sixteen_writers_at_once_leave_one_subject sinks/test_interleavings.py::test_in_every_order_a_person_wins_and_reports_are_true",
    f"a person changes the record meanwhile | theirs stays, exit code 15 | {_STORE}a_conflict_stops_the_patient doors/test_write_back.py::test_a_conflict_has_its_exit_code",
    f"a record that a person has moved on | left alone | {_STORE}what_a_person_touched_stays_and_the_guidance_is_stored",
    "R4 and R5 | each gets its own shapes | sinks/test_store_answers.py::test_a_store_of_r5_gets_the_shapes_of_r5",
)  # fmt: skip

CATALOGUE: list[Entry] = [*SERVERS, *SIGNING_IN, *EXPORTS, *READING, *WHOSE, *WRITING]


def text() -> str:
    """The page."""
    parts = [INTRODUCTION]
    for room, entries in groupby(CATALOGUE, key=lambda entry: entry.room):
        lines = [f"## {room}", "", "| | fault | what is done |", "|---|---|---|"]
        lines += [f"| {entry.number} | {entry.fault} | {entry.then} |" for entry in entries]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def main() -> None:
    PAGE.write_text(text(), "utf-8")


if __name__ == "__main__":
    main()
