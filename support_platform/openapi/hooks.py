"""What is done to the whole document at the end: shared parts, names for the enums, examples."""

from ..viewsets import PlatformView
from .components import components, ref
from .examples import example_of
from .serializers import MODEL


def finish(result, generator, request, public):
    """drf-spectacular calls it with the document it has made."""
    for kind, parts in components().items():
        result["components"][kind] = {**result["components"].get(kind, {}), **parts}
    # The library finds a path's methods in a set, in another order each time.
    in_order = PlatformView.http_method_names.index
    result["paths"] = {
        path: {method: operations[method] for method in sorted(operations, key=in_order)}
        for path, operations in result["paths"].items()
    }
    _name_enums(result["components"]["schemas"], list(_operations(result)))
    for operation in _operations(result):
        _give_examples(operation, result["components"]["schemas"])
    return result


def _operations(result):
    for path, operations in result["paths"].items():
        for operation in operations.values():
            yield {**operation, "path": path}


def _name_enums(schemas, operations):
    """
    Each enum becomes a component with a name, such as TradeSide, so that generated clients have one type of it.

    A model's row names it; a body or an answer of another shape has the row's name where the values are the same.
    """
    named = {}
    for name, schema in sorted(schemas.items(), key=lambda item: not item[1].get(MODEL)):
        model = schema.pop(MODEL, None)
        for member, part in schema.get("properties", {}).items():
            if "enum" not in part:
                continue
            values = tuple(value for value in part["enum"] if value is not None)
            enum_name = (model.__name__ if model else name) + _camelized(member)
            if not model:
                enum_name = named.get((member, values), enum_name)
            named.setdefault((member, values), enum_name)
            schemas[enum_name] = {"type": "string", "enum": list(values)}
            kept = {key: value for key, value in part.items() if key not in ("type", "enum")}
            is_nullable = None in part["enum"]
            named_part = (
                {"oneOf": [ref("schemas", enum_name), {"type": "null"}]} if is_nullable else ref("schemas", enum_name)
            )
            schema["properties"][member] = {**named_part, **kept}
    for operation in operations:
        for parameter in operation["parameters"]:
            model = parameter.get("schema", {}).pop(MODEL, None)
            enum_name = f"{model.__name__}{_camelized(parameter['name'])}" if model else None
            if enum_name in schemas and schemas[enum_name]["enum"] == parameter["schema"].get("enum"):
                parameter["schema"] = ref("schemas", enum_name)


def _camelized(name):
    return "".join(word.capitalize() for word in name.split("_"))


def _give_examples(operation, schemas):
    asked = operation.get("requestBody", {}).get("content", {})
    answered = next(iter(operation["responses"].values()))["content"]
    for content, optional in ((asked, True), (answered, False)):
        for media in content.values():
            value = example_of(media["schema"], schemas, optional=optional)
            if "next" in value:
                following = f"https://support.example{operation['path']}?cursor=WzcsIDQyXQ"
                value |= {"next": following, "previous": None}
            media["examples"] = {operation["operationId"]: {"value": value}}
