"""What an id looks like in an address or a parameter: one way to write each, and none that no column could hold."""

import re

MAX_ID = 2**63 - 1
_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)


def is_id(text):
    return bool(_ID.fullmatch(text)) and int(text) <= MAX_ID
