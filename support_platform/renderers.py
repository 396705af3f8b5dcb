"""How answers become JSON."""

import orjson
from rest_framework.renderers import JSONRenderer


class Finite(dict):
    """
    An answer in which nothing is NaN or Infinity: rows as the database keeps them, and figures that `metrics.number`
    has rounded.
    """


class FastRenderer(JSONRenderer):
    """
    Rows by orjson, which takes a tenth of the time; the rest by DRF's, which refuses the NaN that orjson would write
    as null.
    """

    def render(self, data, accepted_media_type=None, renderer_context=None):
        if type(data) is Finite:
            try:
                text = orjson.dumps(data)
                if b"\xe2\x80" in text:
                    # Escaped as DRF does, for whoever pastes JSON into JavaScript.
                    text = text.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
                return text
            except TypeError:
                pass  # such as a number of more than 64 bits in a strategy's definition
        return super().render(data, accepted_media_type, renderer_context)
