"""
Examples made from the schemas themselves, so that they can neither be forgotten nor drift away.

A value is chosen by the member's name where it has a usual look, else by its type.
"""

# What members are called in the contract, and what they look like. One that does not fit its schema's type or
# enum is not used.
USUAL = {
    "id": 7,
    "user": 7,
    "broker": 1,
    "strategy": 12,
    "deployment": 31,
    "trade": 4711,
    "order": 9001,
    "version": 3,
    "name": "Morning breakout",
    "email": "trader1@demo.example",
    "pending_email": "trader1.new@demo.example",
    "sent_to": "t***@demo.example",
    "actor": "agent@desk.example",
    "phone": "+4915112345678",
    "first_name": "Test",
    "last_name": "Trader",
    "password": "a long passphrase",
    "access": "eyJhbGciOiJIUzI1NiJ9.eyJraW5kIjoiYWNjZXNzIn0.c2lnbmF0dXJl",
    "refresh": "eyJhbGciOiJIUzI1NiJ9.eyJraW5kIjoicmVmcmVzaCJ9.c2lnbmF0dXJl",
    "symbol": "EUR/USD",
    "timeframe": "1h",
    "quantity": "1.5",
    "capital": "10000",
    "entry_price": "1.1012",
    "exit_price": "1.1034",
    "result": "12.5",
    "fees": "0.5",
    "external_id": "signals.csv:17",
    "taken_at": "2026-11-20T09:30:00Z",
    "closed_at": "2026-11-20T10:15:00Z",
    "win_rate": 0.701245,
    "max_open_trades": 3,
    "stop_loss_pct": 2.5,
    "take_profit_pct": 5.0,
    "action": "user.contact_changed",
    "subject_type": "user",
    "subject_id": 7,
    "changes": {"phone": [None, "+4915112345678"]},
    "reason": "asked by phone",
    "request_id": "5f2c8d1e9b7a4c60",
    "ip": "192.0.2.10",
    "bucket": "write",
    "key": "staff user",
    "limit": 120,
    "window_seconds": 60,
    "remaining": 118,
    "reset_seconds": 42,
    "scope": {"user": 7},
    "window": "24h",
    "method": "linear",
    "sign": "positive = cost to the trader",
    "excluded": {"not_filled": 36},
    "definitions": {"count": "Rows in the figures."},
    "summary": "Closed EUR/USD long: win, 12.5",
    "openapi": "3.1.1",
}
BY_FORMAT = {
    "date-time": "2026-11-22T10:00:00Z",
    "decimal": "12.5",
    "email": "trader1@demo.example",
    "uri": "https://support.example/api/v1/",
    "uri-reference": "/api/v1/",
}
BY_TYPE = {"string": "text", "integer": 1, "number": 1.5, "boolean": True}
PYTHON_TYPES = {"string": str, "integer": int, "number": int | float, "boolean": bool, "object": dict, "array": list}


def example_of(schema, schemas, *, name="", optional=True):
    """
    A value that fits the schema; `schemas` is where its references lead.

    Without `optional` an object holds only its required members, as an answer does by default.
    """
    schema = _resolved(schema, schemas)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else None)
    if isinstance(kind, list):
        kind = next(one for one in kind if one != "null")
    if _fits(name, kind):
        return USUAL[name]
    if kind == "object":
        required = schema.get("required", ())
        return {
            member: example_of(part, schemas, name=member, optional=optional)
            for member, part in schema.get("properties", {}).items()
            if optional or member in required
        }
    if kind == "array":
        item = example_of(schema.get("items", {}), schemas, name=name, optional=optional)
        return [item] * max(1, schema.get("minItems", 1))
    if schema.get("format") in BY_FORMAT:
        return BY_FORMAT[schema["format"]]
    if kind in ("integer", "number"):
        return max(BY_TYPE[kind], schema.get("minimum", BY_TYPE[kind]))
    return BY_TYPE.get(kind)


def _fits(name, kind):
    if name not in USUAL or kind not in PYTHON_TYPES:
        return False
    return isinstance(USUAL[name], PYTHON_TYPES[kind]) and not (kind == "integer" and isinstance(USUAL[name], bool))


def _resolved(schema, schemas):
    """The schema with references followed, parts joined and the first alternative taken."""
    if "$ref" in schema:
        return _resolved(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    for alternatives in ("oneOf", "anyOf"):
        if alternatives in schema:
            return _resolved(next(part for part in schema[alternatives] if part != {"type": "null"}), schemas)
    if "allOf" in schema:
        whole = {
            **schema,
            "properties": dict(schema.get("properties", {})),
            "required": list(schema.get("required", ())),
        }
        del whole["allOf"]
        for part in schema["allOf"]:
            part = _resolved(part, schemas)
            whole["type"] = part.get("type", "object")
            whole["properties"] |= part.get("properties", {})
            whole["required"] += part.get("required", ())
        return whole
    return schema
