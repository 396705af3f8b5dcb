"""What differs between two values, at any depth: the readable side of an audit event's `changes`."""

import json
from dataclasses import dataclass
from itertools import islice, zip_longest

from django.utils.text import capfirst

MAX_DIFFERENCES = 200
MAX_DEPTH = 32
MAX_NAMED = 50
_ABSENT = object()


@dataclass(frozen=True)
class Difference:
    """One value that was and is; `address` is the page of the row that it belongs to, if that is another one."""

    label: str
    before: str
    after: str
    address: str = ""

    def __str__(self):
        return f"{self.label}: {self.before} → {self.after}"


def differences(changes, site=None, request=None):
    """
    The Differences of {field: (before, after)}, the first 200.

    With the console's `site`, entries that tell of several rows of a model, such as `deployments`, link to these rows;
    with a request, too, they name the first of them that are within its reach.
    """
    found = []
    for field, (before, after) in changes.items():
        page = site and _page_of_rows(site, field, before, after)
        names = _names(page, request, {**before, **after}) if page and request else {}
        for path, old, new in _walk((), before, after):
            label = " › ".join([capfirst(field.replace("_", " ")), *path])
            address = ""
            if path and path[0] in names:
                label, address = names[path[0]]
            elif page and path:
                label, address = " ".join([capfirst(page.opts.verbose_name), *path]), page.url("change", path[0])
            found.append(Difference(label, as_words(old), as_words(new), address))
            if len(found) == MAX_DIFFERENCES:
                return found
    return found


def as_words(value):
    """A value of the trail as text: nothing as –, truth as yes and no, documents as indented JSON."""
    if value is _ABSENT or value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict | list):
        return json.dumps(value, indent=2, ensure_ascii=False)
    return str(value)


def _walk(path, before, after):
    if len(path) < MAX_DEPTH and isinstance(before, dict) and isinstance(after, dict):
        for key in {**before, **after}:
            yield from _walk((*path, str(key)), before.get(key, _ABSENT), after.get(key, _ABSENT))
    elif len(path) < MAX_DEPTH and isinstance(before, list) and isinstance(after, list):
        for place, (old, new) in enumerate(zip_longest(before, after, fillvalue=_ABSENT), start=1):
            yield from _walk((*path, str(place)), old, new)
    elif type(before) is not type(after) or before != after:
        yield path, before, after


def _page_of_rows(site, field, before, after):
    """The page of the model whose rows `field` names by id, if it does."""
    if isinstance(before, dict) and isinstance(after, dict) and all(map(str.isdecimal, {**before, **after})):
        for model, page in site._registry.items():
            if f"{model._meta.model_name}s" == field:
                return page
    return None


def _names(page, request, ids):
    if not page.has_view_permission(request):
        return {}
    wanted = list(islice(ids, MAX_NAMED))
    rows = page.get_queryset(request).select_related(*page.list_select_related or ()).in_bulk(wanted)
    return {str(pk): (page.named(row), page.url("change", pk)) for pk, row in rows.items()}
