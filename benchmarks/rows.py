"""Whether two servers answer the same rows: the same fields with the same values, however they are written."""

from datetime import datetime
from decimal import Decimal

DECIMALS = ("quantity", "entry_price", "exit_price", "strike", "stop_loss", "target", "fees", "result")
INSTANTS = ("taken_at", "closed_at")


class DifferentRows(Exception):
    """Two servers do not answer the same; the text names the first difference."""


def results(body):
    """The rows of a page, whatever the library calls them."""
    for name in ("results", "items"):
        if name in body:
            return body[name]
    raise DifferentRows(f"no rows in {', '.join(body)}")


def compare(ours, theirs, name):
    """
    Two lists of rows: ours, and those of the server called `name`.

    :raises DifferentRows: if they differ in number, order, fields or values
    """
    if len(ours) != len(theirs):
        raise DifferentRows(f"{name}: {len(theirs)} rows where {len(ours)} are due")
    for number, (our, their) in enumerate(zip(ours, theirs, strict=True), 1):
        if our.keys() != their.keys():
            raise DifferentRows(f"{name}, row {number}: fields {sorted(our.keys() ^ their.keys())} on one side only")
        for field in our:
            if value(field, our[field]) != value(field, their[field]):
                raise DifferentRows(f"{name}, row {number}: {field} is {their[field]!r}, not {our[field]!r}")


def value(field, written):
    """What a field's text means: 12.50 is 12.5, and an instant is the same in every offset."""
    if written is None:
        return None
    if field in DECIMALS:
        if not isinstance(written, str):
            raise DifferentRows(f"{field} is {written!r}, which is no decimal string")
        return Decimal(written)
    if field in INSTANTS:
        return datetime.fromisoformat(written)
    return written
