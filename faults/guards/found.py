"""Guards of which there are many of one kind, found in the source: rights, transactions, locks."""

import re

from .guard import LOCKS, OPERATIONS, PERMISSIONS, ROOT, Guard


def rights():
    """Each right that a view asks for: without it any staff member may call."""
    for path in ("accounts/views.py", "trading/views.py", "analytics/views.py"):
        source = (ROOT / path).read_text()
        for view, table in re.findall(r"class (\w+)\(.*?\n    rights = \{(.*?)\}", source, re.DOTALL):
            for action, right in re.findall(r'"(\w+)": (\(.*?\)|"[\w.]+")', table):
                whole = re.search(rf"class {view}\(.*?rights = \{{.*?\}}", source, re.DOTALL)[0]
                line = f'"{action}": {right}'
                opened = whole.replace(
                    line, f'"{action}": __import__("support_platform.permissions").permissions.ANY_STAFF'
                )
                yield Guard(f"right of {view}.{action}", path, whole, opened, PERMISSIONS)


def transactions():
    """Each operation's transaction."""
    for path, source in _operations():
        for name in re.findall(r"^@transaction\.atomic\ndef ([a-z]\w*)\(", source, re.MULTILINE):
            yield Guard(f"transaction of {name}", path, f"@transaction.atomic\ndef {name}(", f"def {name}(", OPERATIONS)


def locks():
    """Each lock that an operation takes: without it the row is only read."""
    for path, source in _operations():
        for function in re.split(r"(?m)^(?=(?:@|def ))", source):
            name = re.search(r"^def (\w+)", function, re.MULTILINE)
            for locked in re.findall(r"\block\(([\w.]+)\)", function) if name else ():
                read = function.replace(f"lock({locked})", f"type({locked})._base_manager.get(pk={locked}.pk)", 1)
                yield Guard(f"lock of {locked} in {name[1]}", path, function, read, LOCKS)


def _operations():
    for app in ("accounts", "trading"):
        for path in sorted((ROOT / app).glob("*operations.py")):
            yield str(path.relative_to(ROOT)), path.read_text()
