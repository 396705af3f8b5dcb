"""
The OpenAPI document, derived from what the views declare, so that a new view describes itself.

`rights`, `inputs`, `parameters`, `filterset_class`, `orderings`, `bucket` and `serializer_class` are what the views
work with. A view adds only what cannot be seen from outside:

- docstrings: the first sentence of an action's is its summary, the whole its description
- `answers` (action -> serializer, or {status: serializer}) where the answer is not the row
- `further_buckets` (action -> buckets) that the action counts in besides its own
- `tag` and `operation_ids` (action -> id) where app and method names do not say it
"""

import inspect

from django.utils.text import camel_case_to_spaces
from drf_spectacular.drainage import warn
from drf_spectacular.plumbing import ResolvedComponent, force_instance
from rest_framework.permissions import AllowAny
from rest_framework.serializers import ListSerializer

from ..fields import NothingSerializer, PatchSerializer
from ..filters import StrictFilterSet
from ..models import VersionedModel
from ..pagination import KeysetPagination
from ..permissions import ANY_STAFF, ROLES
from ..throttling import CallerThrottle, LoginThrottle
from ..viewsets import PlatformView, ResourceViewSet
from .components import BEARER, COUNTED_HEADERS, PROBLEMS, header_refs, limits_of, ref
from .fields import BOOLEAN, ID, filter_description, query_schema
from .serializers import MODEL, SerializerSchema

JSON = "application/json"
VERBS = {
    "list": "list",
    "retrieve": "get",
    "partial_update": "update",
    "update": "replace",
    "destroy": "delete",
    "create": "create",
}
WINDOWS = {1: "second", 60: "minute", 3600: "hour", 86400: "day"}


class PlatformSchema(SerializerSchema):
    def get_operation(self, path, path_regex, path_prefix, method, registry):
        self.registry, self.path, self.path_regex, self.method = registry, path, path_regex, method
        if self.is_excluded() or not isinstance(self.view, PlatformView):
            return None
        self.action = getattr(self.view, "action", None) or method.lower()
        self.is_write = method not in ("GET", "HEAD")
        self.is_resource_write = self.is_write and isinstance(self.view, ResourceViewSet)
        self.allowed = self.view.allowed_parameters()
        self.is_page = "cursor" in self.allowed
        operation = {
            "operationId": self.get_operation_id(),
            "summary": self.get_summary(),
            "description": self.get_description(),
            "tags": self.get_tags(),
            "parameters": self.path_parameters() + self.query_parameters() + self.header_parameters(),
            "security": self.get_auth(),
            "responses": self.responses(),
            **self.extensions(),
        }
        if body := self.request_body():
            operation["requestBody"] = body
        return operation

    # --- words ---------------------------------------------------------------------------------------
    def get_operation_id(self):
        """verb_noun, as the operations are called; an action that has its noun in its name keeps its name."""
        declared = getattr(self.view, "operation_ids", {}).get(self.action)
        if declared:
            return declared
        one, many = self.nouns()
        if self.action == "list":
            return f"list_{many}" if self.is_page else f"get_{one}"
        if self.action in VERBS:
            return f"{VERBS[self.action]}_{one}"
        if not self.is_write:
            return f"{'list' if self.is_page or self.is_many() else 'get'}_{one}_{self.action}"
        return self.action if "_" in self.action else f"{self.action}_{one}"

    def nouns(self):
        """What the view's resource is called, one and many: by its model, else by its path."""
        model = self.model()
        if model is None:
            word = self.path.strip("/").rpartition("/")[2].replace("-", "_")
            return word, word
        # The class name tells words apart ("audit event") where Django's model_name does not.
        one = camel_case_to_spaces(model.__name__)
        many = getattr(self.view, "plural", None) or str(model._meta.verbose_name_plural)
        return one.replace(" ", "_"), many.replace(" ", "_")

    def model(self):
        """What the view's rows are, whatever an action of it answers."""
        return getattr(getattr(getattr(type(self.view), "serializer_class", None), "Meta", None), "model", None)

    def own_docstring(self):
        """The docstring of the action itself, or of a view that is one call only."""
        text = inspect.cleandoc(getattr(self.view, self.action).__doc__ or "")
        return text or ("" if hasattr(self.view, "action") else inspect.getdoc(type(self.view)))

    def get_summary(self):
        """The first sentence of the action's docstring, else its id in words."""
        if hasattr(self.view, "action") and self.own_docstring():
            return self.own_docstring().partition("\n")[0].partition(". ")[0].rstrip(".")
        words = self.get_operation_id().replace("_", " ")
        return words[:1].upper() + words[1:]

    def get_description(self):
        text = self.own_docstring() or inspect.getdoc(type(self.view)) or ""
        facts = [*self.filters_in_words(), self.right_in_words(), self.limits_in_words()]
        return "\n\n".join(part for part in (text, *facts) if part)

    def filters_in_words(self):
        """What the filter sets say of themselves, from the list's own to the most general."""
        filterset_class = getattr(self.view, "filterset_class", None) if self.action == "list" else None
        kinds = filterset_class.__mro__ if filterset_class else ()
        kinds = [kind for kind in kinds if issubclass(kind, StrictFilterSet) and kind is not StrictFilterSet]
        return [inspect.cleandoc(kind.__dict__["__doc__"]) for kind in kinds if kind.__dict__.get("__doc__")]

    def get_tags(self):
        return [getattr(self.view, "tag", None) or type(self.view).__module__.partition(".")[0].capitalize()]

    # --- rights and limits ---------------------------------------------------------------------------
    def rights(self):
        """The rights of which one opens the door; empty where any caller may enter."""
        right = self.view.rights.get(self.action)
        if right is None or right is ANY_STAFF:
            return ()
        return right if isinstance(right, tuple) else (right,)

    def roles(self):
        return [role for role, given in ROLES.items() if not self.rights() or set(self.rights()) & set(given)]

    def is_open(self):
        return any(isinstance(permission, AllowAny) for permission in self.view.get_permissions())

    def right_in_words(self):
        if self.is_open():
            return ""
        if not self.rights():
            return "**Right:** any staff member."
        return f"**Right:** {' or '.join(f'`{right}`' for right in self.rights())} ({', '.join(self.roles())})."

    def buckets(self):
        found = []
        for throttle in self.view.throttle_classes:
            if issubclass(throttle, CallerThrottle):
                found.append(getattr(self.view, "bucket", None) or ("write" if self.is_write else "read"))
            elif issubclass(throttle, LoginThrottle):
                found.append("login")
        return [*found, *getattr(self.view, "further_buckets", {}).get(self.action, ())]

    def limits_in_words(self):
        figures = [
            f"{row['limit']} per {WINDOWS.get(row['window_seconds'], str(row['window_seconds']) + ' seconds')} "
            f"per {row['key']} (`{row['bucket']}`)"
            for row in limits_of(self.buckets())
        ]
        return f"**Limits:** {', '.join(figures)}." if figures else ""

    def extensions(self):
        """The same for programs."""
        found = {"x-rate-limits": limits_of(self.buckets())}
        if not self.is_open():
            found |= {"x-rights": list(self.rights()), "x-roles": self.roles()}
        return found

    def get_auth(self):
        if not self.view.get_authenticators():
            return []
        return [{BEARER: []}, {}] if self.is_open() else [{BEARER: []}]

    # --- parameters ----------------------------------------------------------------------------------
    def path_parameters(self):
        if "{id}" not in self.path:
            return []
        return [{"name": "id", "in": "path", "required": True, "schema": dict(ID)}]

    def query_parameters(self):
        """One for each that the view takes, asked of the view itself."""
        known = self.declared_parameters() | self.filter_parameters() | self.page_parameters()
        found = [{"name": name, "in": "query", **known[name]} for name in known if name in self.allowed]
        if "dry_run" in self.allowed:
            found.append(ref("parameters", "DryRun"))
        for name in self.allowed - known.keys() - {"dry_run"}:
            warn(f"Parameter {name} has no description: name it in `parameters` with a form field.")
        return found

    def declared_parameters(self):
        declared = self.view.parameters.get(self.action, {})
        if not isinstance(declared, dict):
            return {}
        return {name: _parameter(query_schema(field), str(field.help_text)) for name, field in declared.items()}

    def filter_parameters(self):
        filterset_class = getattr(self.view, "filterset_class", None)
        if filterset_class is None:
            return {}
        return {
            name: _parameter(
                {**query_schema(filter_.field), MODEL: self.model()}, filter_description(filterset_class, name, filter_)
            )
            for name, filter_ in filterset_class.base_filters.items()
        }

    def page_parameters(self):
        if not issubclass(getattr(self.view, "pagination_class", None) or object, KeysetPagination):
            return {}
        pages = self.view.pagination_class
        sizes = {"type": "integer", "minimum": 1, "maximum": pages.max_page_size, "default": pages.default_page_size}
        orderings = {"type": "string", "enum": list(self.view.orderings), "default": self.view.orderings[0]}
        return {
            "ordering": _parameter(orderings, "A leading `-` is newest first. Rows without the instant come last."),
            "page_size": _parameter(sizes, "Rows on one page."),
            "cursor": _parameter({"type": "string"}, "Where the page begins; taken from `next` or `previous`."),
            "include_total": _parameter(
                {**BOOLEAN, "default": False}, f"Count all rows too, up to {KeysetPagination.max_total}, as `total`."
            ),
        }

    def header_parameters(self):
        names = ["RequestId"]
        if self.is_resource_write:
            names += ["AuditReason", "IdempotencyKey"]
            if self.is_versioned():
                names.append("IfMatch")
        elif getattr(self.view, "takes_reason", False):
            names.append("AuditReason")
        return [ref("parameters", name) for name in names]

    # --- bodies --------------------------------------------------------------------------------------
    def input_class(self):
        found = getattr(self.view, "inputs", {}).get(self.action) or getattr(self.view, "input", None)
        return None if found is None or issubclass(found, NothingSerializer) else found

    def request_body(self):
        serializer = self.input_class()
        if serializer is None:
            return None
        component = self.resolve_serializer(serializer, "request")
        required = bool(component.schema.get("required")) or issubclass(serializer, PatchSerializer)
        return {"required": required, "content": {JSON: {"schema": component.ref}}}

    def answer(self):
        """(status, serializer) of the answer when all goes well."""
        declared = getattr(self.view, "answers", {}).get(self.action) or getattr(self.view, "serializer_class", None)
        if isinstance(declared, dict):
            [(status, serializer)] = declared.items()
            return status, serializer
        return 200, declared

    def is_many(self):
        return isinstance(self.answer()[1], ListSerializer)

    def is_versioned(self):
        """Every write is of a row with a version: the addressed one, or the subject of the event that is reverted."""
        is_of_such = self.is_resource_write or issubclass(self.model() or object, VersionedModel)
        return getattr(self.view, "detail", False) and is_of_such

    def answer_schema(self):
        _, serializer = self.answer()
        if serializer is None:
            warn(f"{self.get_operation_id()} has no answer: name its serializer in `answers`.")
            return {}
        serializer = force_instance(serializer)
        row = serializer.child if self.is_many() else serializer
        component = self.resolve_serializer(row, "response")
        if self.is_page:
            return self.component(f"{component.name}Page", row, _page(component.ref))
        if self.is_many():
            return {"type": "array", "items": component.ref}
        if self.is_resource_write:
            return self.dry_run_answer(component, row)
        return component.ref

    def dry_run_answer(self, component, row):
        """A write answers what it always answers, and "dry_run": true if that is all it was."""
        mark = {"type": "boolean", "const": True, "description": "Only on a dry run: nothing was kept."}
        if type(row) is not self.view.serializer_class:
            component.schema["properties"]["dry_run"] = mark
            return component.ref
        changed = {"allOf": [component.ref, {"type": "object", "properties": {"dry_run": mark}}]}
        return self.component(f"Changed{component.name}", row, changed)

    def component(self, name, row, schema):
        component = ResolvedComponent(name=name, type=ResolvedComponent.SCHEMA, schema=schema, object=type(row))
        self.registry.register_on_missing(component)
        return component.ref

    def responses(self):
        status, _ = self.answer()
        headers = [*(("ETag",) if self.answers_etag() else ()), *(COUNTED_HEADERS if self.buckets() else ())]
        headers += ["Idempotent-Replayed"] if self.is_resource_write else []
        well = {
            "description": "Done." if self.is_write else "Found.",
            "headers": header_refs(*headers),
            "content": {JSON: {"schema": self.answer_schema()}},
        }
        refused = {str(code): ref("responses", PROBLEMS[code][0]) for code in self.problems()}
        return {str(status): well, **refused, "default": ref("responses", "Error")}

    def answers_etag(self):
        return self.is_versioned() and (self.is_resource_write or self.action == "retrieve")

    def problems(self):
        applies = {
            400: True,
            401: self.get_auth() or self.is_write,
            403: self.rights(),
            404: getattr(self.view, "detail", False) or "user_email" in self.allowed,
            409: self.is_resource_write,
            412: self.is_resource_write and self.is_versioned(),
            413: self.input_class(),
            415: self.input_class(),
            422: self.is_resource_write,
            429: self.buckets(),
            503: self.get_auth() or self.is_write,
        }
        return [code for code in PROBLEMS if applies[code]]


def _parameter(schema, description):
    return {"description": description, "schema": schema} if description else {"schema": schema}


def _page(row):
    link = {"type": ["string", "null"], "format": "uri"}
    return {
        "type": "object",
        "properties": {
            "next": {**link, "description": "The following page; null on the last."},
            "previous": {**link, "description": "The page before; null on the first."},
            "results": {"type": "array", "items": row},
            "total": {
                "type": "integer",
                "minimum": 0,
                "maximum": KeysetPagination.max_total,
                "description": "Only with include_total=true. Exact, unless `total_is_capped`.",
            },
            "total_is_capped": {
                "const": True,
                "description": f"Only where there are more than the {KeysetPagination.max_total} that are counted.",
            },
        },
        "required": ["next", "previous", "results"],
    }
