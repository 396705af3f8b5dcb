"""From the OpenAPI document to hostile requests, each with the status it must be answered with."""

from urllib.parse import quote

from . import values
from .operation import JSON
from .values import Raw, json_text

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "CONNECT", "FOO")
MAX_BODY_BYTES = 256 * 1024
# Members that are only looked at beside another.
COMPANIONS = {"verified": {"email": "new@demo.example"}}

# Headers that say nothing to the API: answered as if they were not there.
UNHEARD = {
    f"{name}: {value[:30]!a}": (name, value)
    for name, value in (
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Server", "evil.example"),
        ("Forwarded", "host=evil.example;for=10.0.0.1"),
        ("X-Original-URL", "/admin/"),
        ("X-Rewrite-URL", "/admin/"),
        ("X-Forwarded-For", "10.0.0.1, <script>"),
        ("X-Forwarded-Proto", "https, gopher"),
        ("X-Forwarded-Port", "evil"),
        ("X-Forwarded-Prefix", "/evil"),
        ("X-Real-IP", "10.0.0.1"),
        ("Accept", "text/html"),
        ("Accept", "application/xml;q=1, */*;q=0"),
        ("Accept", "\u00e9;;;q=abc"),
        ("Accept-Language", "../../etc/passwd"),
        ("Accept-Encoding", "identity;q=0, *;q=0"),
        ("Accept-Charset", "utf-16"),
        ("Cookie", "sessionid=x; csrftoken=y; sessionid=z"),
        ("Cookie", "=;=\x00;a"),
        ("Origin", "https://evil.example"),
        ("Referer", "https://evil.example/"),
        ("X-Requested-With", "XMLHttpRequest"),
        ("Range", "bytes=0-18446744073709551615"),
        ("If-None-Match", "*"),
        ("If-Modified-Since", "Sat, 99 Foo 99999 99:99:99 GMT"),
        ("Expect", "nothing"),
        ("Upgrade", "h2c"),
        ("User-Agent", "() { :;}; echo x"),
    )
}


def cases_of(operation, credentials):
    """Every case of one operation; `credentials` are headers Authorization that nobody is to be let in with."""
    yield from _paths(operation)
    yield from _ids(operation)
    yield from _methods(operation)
    yield from _media_types(operation)
    yield from _bodies(operation)
    yield from _queries(operation)
    yield from _parameters(operation)
    yield from _members(operation)
    yield from _headers(operation)
    yield from _tokens(operation, credentials)
    yield from _nobody(operation)


def _paths(operation):
    path = operation.address
    for name, wrong in {
        "no slash at the end": path[:-1],
        "two slashes at the end": f"{path}/",
        "two slashes inside": path.replace("/v1/", "/v1//").replace("/schema/", "//schema/"),
        "slash escaped": f"{path[:-1]}%2F{path[-1]}",
        "a segment more": f"{path}nothing/",
        "a dot at the end": f"{path}./",
        "dots at the end": f"{path}x/../",
        "format suffix": f"{path[:-1]}.json",
        "capitals": f"/api/{path[5:].upper()}",
        "matrix parameter": f"{path[:-1]};a=b/",
        "space at the end": f"{path}%20",
        "line break at the end": f"{path}%0A",
        "NUL at the end": f"{path}%00",
        "not UTF-8": f"{path}%FF/",
        "surrogate": f"{path}%ED%A0%80/",
        "overlong slash": f"{path}%C0%AF/",
        "another version": path.replace("/v1/", "/v2/").replace("/schema/", "/schema2/"),
        "full-width letter": path[:-2] + quote(chr(ord(path[-2]) + 0xFEE0)) + "/",
        "10,000 characters": path + "a" * 10_000 + "/",
    }.items():
        yield operation.refused("path", name, 404, path=wrong)


def _ids(operation):
    if operation.parameters["path"]:
        for name, value in values.PATH_IDS.items():
            yield operation.refused("id", name, 404, path=operation.path.replace("{id}", value))


def _methods(operation):
    known = {method.upper() for method in operation.document["paths"][operation.path]} | {"HEAD"}
    for method in METHODS:
        if method not in known:
            yield operation.refused("method", method, 405, method=method)
            yield operation.refused("method", f"{method} and a query", 405, method=method, query="nonsense=1")
    for header in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        for method in ("DELETE", "GET", "TRACE"):
            yield operation.taken("method", f"{header}: {method}", headers=((header, method),))


def _media_types(operation):
    for encoding in ("gzip", "deflate", "br", "zstd", "identity", "gzip, identity", "x"):
        headers = (("Content-Encoding", encoding),)
        yield operation.refused("media type", f"Content-Encoding: {encoding}", 415, headers=headers)
    yield operation.refused(
        "media type", "256 KiB and one byte", 413, body=b"[" * (MAX_BODY_BYTES + 1), content_type=JSON
    )
    if not operation.is_write:
        return
    for content_type in (
        *(
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=b",
            "text/plain",
            "text/json",
            "text/html",
        ),
        *("application/xml", "application/merge-patch+json", "application/json-patch+json", "application/ld+json"),
        *("application/octet-stream", "application/x-ndjson", "application/problem+json", "application/*", "*/*", ""),
        *(
            "nonsense",
            "application/json/x",
            "application/jsonx",
            "json",
            f"text/plain, {JSON}",
            "\u0430pplication/json",
        ),
        *(f"{JSON}; charset={charset}" for charset in ("utf-16", "utf-7", "latin-1", "rot13", "hex", "nonsense", '"')),
    ):
        body = json_text(operation.good_body).encode()
        yield operation.refused("media type", content_type or "none", 415, body=body, content_type=content_type)
    for content_type in (f"{JSON}; charset=utf-8", f'{JSON};charset="UTF-8"', "Application/JSON", f"{JSON}; a=b"):
        yield operation.taken("media type", content_type, content_type=content_type)


def _bodies(operation):
    if not operation.is_write:
        return
    good = json_text(operation.good_body)
    for name, body in {
        "blank": b" ",
        "NUL alone": b"\x00",
        "cut off": b'{"a": ',
        "byte order mark": b"\xef\xbb\xbf" + good.encode(),
        "UTF-16": good.encode("utf-16"),
        "UTF-16 without mark": good.encode("utf-16-be"),
        "UTF-32": good.encode("utf-32"),
        "not UTF-8": b'{"a": "\xff"}',
        "surrogate in UTF-8": b'{"a": "\xed\xa0\x80"}',
        "overlong NUL": b'{"a": "\xc0\x80"}',
        "a form": b"email=a%40demo.example&verified=true",
        "XML": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        "YAML": b"!!python/object/apply:os.system ['id']",
        "pickle": b"cos\nsystem\n(S'id'\ntR.",
        "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xae\x05\x00\x43\xbf\xa6\xa3\x02\x00\x00\x00",
        "an array": f"[{good}]".encode(),
        "two objects": f"{good} {good}".encode(),
        "two lines": f"{good}\n{good}\n".encode(),
        "a string": b'"text"',
        "a number": b"1",
        "null": b"null",
        "true": b"true",
        "NaN": b"NaN",
        "JSONP": f"a({good})".encode(),
        "comment": f"{good} // comment".encode(),
        "a prefix against scripts": f")]}}',\n{good}".encode(),
        "33 levels": b'{"a": ' * 33 + b"1" + b"}" * 33,
        "2 kB of objects": b'{"a":' * 400,
        "200 kB of brackets": b"[" * 200_000,
        "256 KiB": b"{" + b" " * (MAX_BODY_BYTES - 2) + b"]",
        "a key twice": b'{"a": 1, "a": 2}',
    }.items():
        yield operation.refused("body", name, 400, "body", body=body)
    for name, value in values.NO_JSON_VALUE.items():
        body = json_text({**operation.good_body, "a": value}).encode()
        yield operation.refused("body", f"member {name}", 400, "body", body=body)
    if operation.needs_body:
        yield operation.refused("body", "none", 400, body=b"")
        yield operation.refused("body", "empty object", 400, body=b"{}")


def _queries(operation):
    for name, query in {
        "NUL": "a=%00",
        "NUL in a name": "%00=1",
        "not UTF-8": "a=%FF",
        "not UTF-8 in a name": "%C3%28=1",
        "surrogate": "a=%ED%A0%80",
        "overlong NUL": "a=%C0%80",
        "overlong slash": "a=%C0%AF",
        "bytes over 127": "a=\xff",
    }.items():
        yield operation.refused("query", name, 400, "query", query=query)
    yield operation.refused("query", "1,500 parameters", 400, query="&".join(f"a{n}=1" for n in range(1500)))
    for name in (
        *("nonsense", "page", "offset", "fields", "format", "_method", "callback", "limit[]", "user[]", "user.id"),
        *("owner__password", "user__password__startswith", "email__regex", "id__in", "pk", "broker__name", "__class__"),
        *("Ordering", " user", "user ", "us\u0435r", "constructor", "$where", "a\u202eb", "x" * 300),
    ):
        query = operation.with_query((name, "1"))
        yield operation.refused("query", f"unknown {name[:40]!a}", 400, name[:100], query=query)


def _parameters(operation):
    for name, schema in operation.parameters["query"].items():
        generic, own = values.for_parameter(schema)
        for told, value in {**operation.some(generic, 8, of=name), **own}.items():
            query = operation.with_query((name, value))
            yield operation.refused("parameter", f"{name} is {told}", 400, name, query=query)
        good = _good(schema, operation)
        for told, query in {
            "twice": [(name, good), (name, good)],
            "twice, once empty": [(name, good), (name, "")],
            "empty": [(name, "")],
        }.items():
            yield operation.refused("parameter", f"{name} {told}", 400, name, query=operation.with_query(*query))
        if "maxLength" in schema and "pattern" not in schema:
            yield from _texts(operation, name)
        if name.endswith("_after") or name == "since":
            end = {"since": "until"}.get(name, name.replace("_after", "_before"))
            query = operation.with_query((name, "2026-01-01T00:00:01Z"), (end, "2026-01-01T00:00:00Z"))
            yield operation.refused("parameter", f"{name} past {end}", 400, name, query=query)


def _texts(operation, name):
    for told, value in operation.some(values.TEXT_FOUND_NOWHERE, 6, of=name).items():
        changes = {"query": operation.with_query((name, value))}
        if name == "user_email":
            yield operation.refused("parameter", f"{name} is {told}", 404, **changes)
        else:
            yield operation.refused("parameter", f"{name} is {told}", 200, finds_nothing=True, **changes)


def _good(schema, operation):
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("format") == "date-time":
        return "2026-01-01T00:00:00Z"
    return {"integer": str(operation.user_id), "boolean": "true"}.get(schema["type"], "1d")


def _members(operation):
    if not operation.is_write:
        return
    for name, schema in operation.members.items():
        rest = {**operation.good_body, **COMPANIONS.get(name, {})}
        for told, value in values.for_member(schema).items():
            body = json_text({**rest, name: value}).encode()
            yield operation.refused("member", f"{name} is {told}", 400, name, body=body)
        for told, value in operation.some(values.NO_JSON_VALUE, 8, of=name).items():
            body = json_text({**rest, name: value}).encode()
            yield operation.refused("member", f"{name} is, as it stands, {told}", 400, "body", body=body)
        pair = f'"{name}": {json_text({"a": rest.get(name)})[6:-1]}'
        body = f"{{{pair}, {pair}}}".encode()
        yield operation.refused("member", f"{name} twice", 400, "body", body=body)
        if name in operation.good_body:
            known = {other: value for other, value in rest.items() if other != name}
            body = json_text({**known, name.upper(): rest[name]}).encode()
            yield operation.refused("member", f"{name} in capitals", 400, name.upper(), body=body)
    for name in (
        *("nonsense", "pk", "user", "user_id", "broker", "is_staff", "is_superuser", "is_active", "is_corrected"),
        *("session_version", "reset_nonce", "groups", "deleted_at", "published_at", "owner__password", "__proto__"),
        *(
            "constructor",
            "__class__",
            "$set",
            "us\u0435r",
            "a\u202eb",
            "email ",
            "x" * 300,
            "id",
            "version",
            "created_at",
        ),
    ):
        body = json_text({**operation.good_body, name: 1}).encode()
        yield operation.refused("member", f"unknown {name[:40]!a}", 400, name[:100], body=body)
    if not operation.members:
        for told, value in values.OF_ANOTHER_TYPE.items():
            body = json_text({"reason": value}).encode()
            yield operation.refused("member", f"unknown, {told}", 400, "reason", body=body)
    many = json_text({f"a{n}": Raw("0") for n in range(20_000)}).encode()
    yield operation.refused("member", "20,000 unknown", 400, body=many)


def _headers(operation):
    named = operation.parameters["header"]
    if "Audit-Reason" in named:
        for told, value in {
            "empty": "",
            "space": "%20",
            "NUL": "%00",
            "line break": "a%0Ab",
            "CRLF and a header": "a%0D%0AX-Evil: 1",
            "right-to-left override": "%E2%80%AE",
            "surrogate": "%ED%A0%80",
            "not UTF-8": "%FF",
            "not escaped": "\u00e9",
            "501 characters": "x" * 501,
            "501 emoji": "%F0%9F%98%80" * 501,
        }.items():
            headers = (("Audit-Reason", value),)
            yield operation.refused("header", f"Audit-Reason: {told}", 400, "Audit-Reason", headers=headers)
    if "If-Match" in named:
        for value in (
            *("junk", "1", '""', '"0"', '"-1"', '"01"', '"+1"', '"1.0"', '"a"', 'W/"1"', "'1'", '"1', "\u00e9", ","),
            *('"99"', f'"{2**63}"', f'"{values.DIGITS_30}"', f'"{values.ARABIC_ONE}"', ", ".join(['"99"'] * 1000)),
        ):
            headers = (("If-Match", value),)
            yield operation.refused("header", f"If-Match: {value[:20]!a}", 412, headers=headers)
    if "Idempotency-Key" in named:
        for told, value in {
            "empty": "",
            "256 characters": "x" * 256,
            "10,000 characters": "x" * 10_000,
            "control": "a\x07b",
            "C1 control": "a\x85b",
        }.items():
            headers = (("Idempotency-Key", value),)
            yield operation.refused("header", f"Idempotency-Key: {told}", 400, "Idempotency-Key", headers=headers)
    for value in ("x" * 65, "a b", "a\u00e9", "<script>", "a\tb", "\x00", "%0d%0aX-Evil:1", "${jndi:ldap://x}", "../x"):
        yield operation.taken("header", f"X-Request-ID: {value[:20]!a}", headers=(("X-Request-ID", value),))
    for host in (
        *("evil.example", "evil.example:80", "testserver.evil.example", "testserver@evil.example", "testserver, evil"),
        *("evil.example#testserver", "a b", "[::1", "testserver:evil", "testserver:", "..", "\u00e9", "127.0.0.1.evil"),
    ):
        field = "Host"
        yield operation.refused("header", f"Host: {host!a}", 400, field, headers=(("Host", host),))
    for told, header in operation.some(UNHEARD, 10, of="headers").items():
        yield operation.taken("header", told, headers=(header,))


def _tokens(operation, credentials):
    for name, header in operation.some(credentials, 30, of="tokens").items():
        headers = () if header is None else (("Authorization", header),)
        changes = {"headers": headers, "is_signed_in": False}
        if operation.needs_token:
            yield operation.refused("token", name, 401, **changes)
        elif operation.reads_token:
            body = json_text({}).encode()
            yield operation.refused("token", name, 401, body=body, **changes)
        else:
            yield operation.taken("token", name, **changes)


def _nobody(operation):
    """Nobody is told anything but 401, whatever else is wrong."""
    if not operation.needs_token:
        return
    for name, changes in {
        "unknown parameter": {"query": "nonsense=1"},
        "no JSON": {"body": b"{"},
        "unknown member": {"body": b'{"nonsense": 1}'},
        "media type": {"body": b"a=1", "content_type": "text/plain"},
        "stale If-Match": {"headers": (("If-Match", '"99"'),)},
        "bad reason": {"headers": (("Audit-Reason", "%00"),)},
        "bad key": {"headers": (("Idempotency-Key", ""),)},
    }.items():
        yield operation.refused("nobody", name, 401, is_signed_in=False, **changes)
    if operation.row_id:
        absent = operation.path.replace("{id}", str(10**9))
        yield operation.refused("nobody", "an id that is not there", 401, is_signed_in=False, path=absent)
