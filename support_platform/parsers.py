"""JSON in, and nothing else: what a lenient parser would let through is refused here, with a reason."""

import json
from collections import Counter
from decimal import Decimal, InvalidOperation

from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser

MAX_DEPTH = 32
MAX_NUMBER_LENGTH = 100


class AlwaysJSON(BaseContentNegotiation):
    """The API speaks JSON whatever Accept says; it has nothing else to offer."""

    def select_parser(self, request, parsers):
        content_type = (request.content_type or "").split(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == content_type), None)

    def select_renderer(self, request, renderers, format_suffix=None):
        return renderers[0], renderers[0].media_type


class StrictJSONParser(BaseParser):
    """
    One JSON object in UTF-8. Numbers with a point come as Decimal, exactly as written.

    Refused (400): an empty body, a byte order mark, other encodings, duplicate keys, NaN and Infinity, numbers
    no column could hold, NUL and lone surrogates, more than 32 levels, anything but an object on top.
    """

    media_type = "application/json"

    def parse(self, stream, media_type=None, parser_context=None):
        for parameter in (media_type or "").split(";")[1:]:
            name, _, value = parameter.strip().partition("=")
            if name.strip().lower() == "charset" and value.strip(' "').lower() not in ("utf-8", "utf8"):
                raise UnsupportedMediaType(media_type)
        raw = stream.read()
        if raw.startswith(b"\xef\xbb\xbf"):
            raise ParseError("The body begins with a byte order mark; send plain UTF-8.")
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise ParseError("The body is not UTF-8.") from None
        try:
            data = json.loads(
                text,
                parse_float=_decimal,
                parse_int=_integer,
                parse_constant=_constant,
                object_pairs_hook=_unique,
            )
        except RecursionError:
            raise ParseError(f"The body is nested deeper than {MAX_DEPTH} levels.") from None
        except json.JSONDecodeError as error:
            raise ParseError(f"The body is not JSON: {error.msg} at character {error.pos}.") from None
        if not isinstance(data, dict):
            raise ParseError("The body must be one JSON object.")
        _inspect(data)
        return data


def _decimal(literal):
    if len(literal) > MAX_NUMBER_LENGTH:
        raise ParseError(f"A number has more than {MAX_NUMBER_LENGTH} characters.")
    try:
        number = Decimal(literal)
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or abs(number.adjusted()) > MAX_NUMBER_LENGTH:
        raise ParseError("A number is out of range.")
    return number


def _integer(literal):
    if len(literal) > MAX_NUMBER_LENGTH:
        raise ParseError(f"A number has more than {MAX_NUMBER_LENGTH} characters.")
    return Decimal(literal) if literal == "-0" else int(literal)


def _constant(literal):
    raise ParseError(f"{literal} is not JSON.")


def _unique(pairs):
    data = dict(pairs)
    if len(data) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ParseError(f"The key {ascii(twice[:64])} appears twice in one object.")
    return data


def _inspect(data):
    """Walk without recursion: depth, and text that no database and no UTF-8 answer could carry."""
    waiting = [(data, 1)]
    while waiting:
        value, depth = waiting.pop()
        if isinstance(value, dict | list):
            if depth > MAX_DEPTH:
                raise ParseError(f"The body is nested deeper than {MAX_DEPTH} levels.")
            if isinstance(value, dict):
                waiting.extend((key, depth) for key in value)
                value = value.values()
            waiting.extend((item, depth + 1) for item in value)
        elif isinstance(value, str) and any(c == "\x00" or "\ud800" <= c <= "\udfff" for c in value):
            raise ParseError("A string holds a NUL or half of a surrogate pair.")
