"""What counts as text here: something a person can read, without characters that hide or reverse it."""

import unicodedata

# Explicit direction controls (embeddings, overrides, isolates): they make one text look like another.
DIRECTION_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def check_text(value, max_length):
    """
    :raises ValueError: when it is blank, too long, or holds control or direction-override characters
    """
    if not value.strip():
        raise ValueError("Must not be blank.")
    if len(value) > max_length:
        raise ValueError(f"May have {max_length} characters; this has {len(value)}.")
    if any(c in DIRECTION_CONTROLS or unicodedata.category(c) in ("Cc", "Cs") for c in value):
        raise ValueError("Must not hold control or direction-override characters.")
    return value
