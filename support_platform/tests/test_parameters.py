"""
Hostile query parameters and ids, over every call there is: a new list is covered by being in the router.

Each is answered 400 naming the parameter (or 404 for ids in a path), never ignored, never a crash.
"""

import re
from urllib.parse import urlencode

import pytest

from accounts.tests.factories import StaffFactory, TraderFactory
from conftest import Api
from support_platform import filters
from support_platform.tests.calls import all_calls, assert_problem
from support_platform.tests.test_permissions import body_of

CALLS = all_calls()
READS = [call for call in CALLS if call.method == "GET"]
WRITES = [call for call in CALLS if call.method != "GET"]
PAGED = [call for call in CALLS if call.is_paged]
LISTS = [pytest.param(call, id=str(call)) for call in CALLS if call.is_list]
DETAILS = [call for call in CALLS if "{id}" in call.path]
LONG = "9" * 30

BAD_VALUES = {
    filters.IdField: ["0", "-1", str(2**63), LONG, "1.0", " 1", "01", "+1", "1e3", "٣", "abc", "true", "1,2", "[1]"],
    filters.BooleanField: ["True", "1", "0", "yes", "TRUE", "null", " true", "abc"],
    filters.ChoiceField: ["junk", "ACTIVE", "active,paused", " active", "null", "é", "'"],
    filters.InstantField: [
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00 02:00",
        "0000-01-01T00:00:00Z",
        "99999-01-01T00:00:00Z",
        "-2026-01-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-01-01T25:00:00Z",
        "2026-01-01T00:00:00+99:99",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2026-01-01T00:00:00.1234567Z",
        "1767225600",
        "now",
        "NaN",
        "٢٠٢٦-01-01T00:00:00Z",
    ],
    filters.TextField: [" ", "\t", "a\nb", "a\x07b", "a\u202eb", "\x7f"],
    filters.AddressField: ["999.1.1.1", "1.2.3", "localhost", "fe80::1%eth0", "1.2.3.4/32", "127.1", "0x7f000001"],
}
# What may be refused or may find nothing, but is never an error of ours.
HOSTILE = [
    "'",
    '"',
    '"a',
    "\\",
    "a\\u0000",
    "%",
    "_",
    "$.a",
    "$[0]",
    "{}",
    "[]",
    "a.b",
    "😀",
    "x" * 100,
    "-1e999",
    "' OR 1=1--",
]


def filters_of(call, kind=object):
    filters_by_name = call.view.filterset_class.base_filters
    return [name for name, item in filters_by_name.items() if issubclass(item.field_class, kind)]


@pytest.mark.parametrize(
    "name",
    ["nonsense", "Ordering", "owner__password", "user__password__startswith", "email__regex", "id__in", "pk", "format"],
)
def test_an_unknown_parameter_is_refused_with_what_is_allowed(superuser, samples, name):
    for call in READS:
        problem = assert_problem(superuser.get(call.address(samples), **{name: "x"}), 400, field=name)

        [error] = [error for error in problem["errors"] if error["field"] == name]
        assert error["code"] == "unknown"
        assert "This call takes: " in error["detail"]


@pytest.mark.parametrize(
    "query", ["nonsense=1", "page_size=1", "dry_run=true&dry_run=true", "dry_run=", "dry_run=1", "dry_run=True"]
)
def test_writes_take_their_own_parameters_only(superuser, samples, query, events):
    for call in WRITES:
        answer = superuser.call(call.method, f"{call.address(samples)}?{query}", body_of(call))

        assert_problem(answer, 400, field=query.split("=")[0])
    assert events() == []


def test_a_repeated_or_empty_parameter_is_refused(superuser, samples, unlimited):
    for call in PAGED:
        for name in ["page_size", "ordering", "cursor", "include_total", *(filters_of(call) if call.is_list else ())]:
            path = call.address(samples)
            twice = assert_problem(superuser.get(f"{path}?{name}=1&{name}=1"), 400, field=name)
            assert twice["errors"][0]["code"] == "repeated"
            empty = assert_problem(superuser.get(f"{path}?{name}="), 400, field=name)
            assert empty["errors"][0]["code"] == "empty"


@pytest.mark.parametrize(
    ("name", "given"),
    [
        *(
            ("page_size", value)
            for value in ["abc", "0", "-1", "1e3", LONG, "1001", "1.0", " 1", "+1", "٣", "²", "010"]
        ),
        *(
            ("ordering", value)
            for value in ["email", "-password", "id", "?", "--at", "at,id", "-at,at", "user__password"]
        ),
        *(("include_total", value) for value in ["True", "1", "yes", "null"]),
        *(
            ("cursor", value)
            for value in ["x", ":", "::", "a:b:c", "W10:1:1", "é:é:é", "A" * 2000, "null", "..", "e30="]
        ),
    ],
)
def test_the_parameters_of_a_page_are_strict(superuser, samples, name, given):
    for call in PAGED:
        problem = assert_problem(superuser.get(call.address(samples), **{name: given}), 400, field=name)

        if name == "ordering":
            assert all(ordering in problem["errors"][0]["detail"] for ordering in call.orderings)


def test_good_parameters_of_a_page_are_taken(superuser, samples, unlimited):
    for call in PAGED:
        for ordering in call.orderings:
            for size in (1, 1000):
                answer = superuser.get(call.address(samples), ordering=ordering, page_size=size, include_total="true")
                assert answer.status_code == 200, answer.content


@pytest.mark.parametrize("call", LISTS)
@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.__name__) for kind in BAD_VALUES])
def test_values_that_are_none_are_refused_by_name(superuser, samples, unlimited, call, kind):
    for name in filters_of(call, kind):
        for value in BAD_VALUES[kind]:
            assert_problem(superuser.get(f"{call.address(samples)}?{urlencode({name: value})}"), 400, field=name)


def test_every_filter_is_of_a_kind_that_is_tried_here():
    tried = tuple(BAD_VALUES)
    for page in LISTS:
        for name, item in page.values[0].view.filterset_class.base_filters.items():
            assert issubclass(item.field_class, tried), name


@pytest.mark.parametrize("call", LISTS)
def test_text_has_a_length(superuser, samples, call):
    for name in filters_of(call, filters.TextField):
        limit = call.view.filterset_class.base_filters[name].field.max_length
        assert limit <= 254
        assert_problem(superuser.get(f"{call.address(samples)}?{name}={'x' * (limit + 1)}"), 400, field=name)
    if "search" in call.view.filterset_class.base_filters:
        assert_problem(superuser.get(call.address(samples), search="x" * 101), 400, field="search")
        assert superuser.get(call.address(samples), search="x" * 100).status_code == 200


@pytest.mark.parametrize("call", LISTS)
def test_a_span_that_ends_before_it_begins_is_refused(superuser, samples, call):
    for name in filters_of(call, filters.InstantField):
        if name.endswith("_after"):
            end = name.replace("_after", "_before")
            early, late = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"
            assert_problem(superuser.get(call.address(samples), **{name: late, end: early}), 400, field=name)
            assert superuser.get(call.address(samples), **{name: early, end: late}).status_code == 200
            assert superuser.get(call.address(samples), **{name: early, end: early}).json()["results"] == []


@pytest.mark.parametrize("call", LISTS)
def test_every_bad_parameter_is_named_at_once(superuser, samples, call):
    answer = superuser.get(call.address(samples), nonsense="1", other="2", page_size="")

    assert {error["field"] for error in assert_problem(answer, 400)["errors"]} == {"nonsense", "other", "page_size"}


def test_every_bad_value_is_named_at_once(superuser):
    answer = superuser.get("audit/", user="0", at_after="yesterday", source="mail")

    assert {error["field"] for error in assert_problem(answer, 400)["errors"]} == {"user", "at_after", "source"}


@pytest.mark.parametrize("call", [pytest.param(call, id=str(call)) for call in READS])
def test_hostile_text_finds_nothing_or_is_refused_but_never_breaks(superuser, samples, unlimited, call):
    for name in filters_of(call) if call.is_list else ["cursor", "window", "user_email"]:
        for value in HOSTILE:
            answer = superuser.get(f"{call.address(samples)}?{urlencode({name: value})}")

            assert answer.status_code in (200, 400, 404), (name, value, answer.content)
            assert "json" in answer["Content-Type"]


@pytest.mark.parametrize(
    "given",
    [
        *("0", "-1", str(2**63), LONG, "1.0", "01", "+1", "1e0", "0x1", "1,2", "1;2", "abc", "null", "..", "%2E%2E"),
        *("%00", "1%00", "%201", "1%20", "%0A1", "1%0A", "%D9%A1", "%EF%BC%91"),
    ],
)
def test_an_id_in_a_path_has_one_spelling(superuser, samples, given, events):
    for call in DETAILS:
        problem = assert_problem(superuser.call(call.method, call.address(samples, pk=given), body_of(call)), 404)

        assert LONG not in problem["detail"]
    assert [event for event in events() if event.action != "user.attempt_refused"] == []


def test_the_one_spelling_is_found(superuser, samples):
    for call in DETAILS:
        if call.method == "GET":
            assert superuser.get(call.address(samples)).status_code == 200


# --- cursors ----------------------------------------------------------------------------------------------
@pytest.fixture
def cursor(superuser, broker):
    TraderFactory.create_batch(3, broker=broker)
    return cursor_of(superuser.get("users/", page_size=1))


def cursor_of(answer):
    return re.search(r"cursor=([^&]+)", answer.json()["next"])[1].replace("%3A", ":")


def test_a_cursor_is_good_for_its_list_and_any_page_size(superuser, cursor):
    assert len(superuser.get("users/", cursor=cursor, page_size=2).json()["results"]) == 2


def test_a_damaged_cursor_is_refused(superuser, cursor):
    half = len(cursor) // 2
    flipped = cursor[:half] + ("A" if cursor[half] != "A" else "B") + cursor[half + 1 :]
    for damaged in (cursor[:-1], cursor[:half], cursor[1:], flipped, f"{cursor}A", cursor.upper(), f" {cursor}"):
        assert_problem(superuser.get("users/", cursor=damaged), 400, field="cursor")


@pytest.mark.parametrize("other", [{"status": "active"}, {"search": "x"}, {"ordering": "created_at"}])
def test_a_cursor_of_another_filter_set_is_refused(superuser, cursor, other):
    assert_problem(superuser.get("users/", cursor=cursor, **other), 400, field="cursor")


def test_a_cursor_without_its_filter_is_refused(superuser, broker):
    TraderFactory.create_batch(2, broker=broker)
    filtered = cursor_of(superuser.get("users/", page_size=1, status="active"))

    assert_problem(superuser.get("users/", cursor=filtered), 400, field="cursor")
    assert superuser.get("users/", cursor=filtered, status="active").status_code == 200


def test_a_cursor_of_another_caller_is_refused(cursor):
    colleague = Api(StaffFactory(role="Supervisor"))

    assert_problem(colleague.get("users/", cursor=cursor), 400, field="cursor")


def test_a_cursor_of_another_list_is_refused(superuser, samples, cursor):
    for call in PAGED:
        if call.path != "users/":
            assert_problem(superuser.get(call.address(samples), cursor=cursor), 400, field="cursor")
