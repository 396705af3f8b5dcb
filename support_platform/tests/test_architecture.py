"""The rules of the house that a reader cannot see in one file: who may import whom, and what has no place here."""

import ast
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import call_command

from analytics import readings

ROOT = Path(__file__).resolve().parent.parent.parent
# What each app may import besides itself.
MAY_IMPORT = {
    "support_platform": set(),
    "accounts": {"support_platform"},
    "trading": {"support_platform", "accounts"},
    "analytics": {"support_platform", "accounts", "trading"},
    # From outside: HTTP, commands, rows. Only armed.py wraps the application that it serves.
    "faults": {"support_platform"},
    "benchmarks": {"faults"},
    # Tests throughout: what a person sees, beside the rows that it is made of.
    "browser": {"support_platform", "accounts", "trading", "analytics"},
}
LOOKS_UP = {ROOT / "support_platform" / name for name in ("urls.py", "settings.py", "management")}
NOT_HERE = {"services", "selectors", "repositories", "utils", "helpers", "constants", "signals"}
DOMAIN = {"models", "operations", "queries", "metrics"}


def modules():
    for app in MAY_IMPORT:
        for path in sorted((ROOT / app).rglob("*.py")):
            if "tests" not in path.relative_to(ROOT).parts:
                yield app, path


def imported(path):
    """The dotted names of all modules a file imports, relative ones made absolute."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *([node.module] if node.module else [])))
            yield from (f"{module}.{alias.name}" for alias in node.names)


def is_domain(path):
    return path.stem in DOMAIN or path.stem.endswith("_operations") or path.stem.endswith("_queries")


def name(path):
    return str(path.relative_to(ROOT))


def test_imports_run_one_way():
    wrong = [
        f"{name(path)} imports {module}"
        for app, path in modules()
        if not LOOKS_UP & {path, *path.parents}
        for module in imported(path)
        if module.split(".")[0] in MAY_IMPORT.keys() - MAY_IMPORT[app] - {app}
    ]
    assert wrong == []


def test_migrations_import_no_app_above():
    """They may name another app in `dependencies`, as text, but import only the ground."""
    wrong = [
        f"{name(path)} imports {module}"
        for app, path in modules()
        if path.parent.name == "migrations"
        for module in imported(path)
        if module.split(".")[0] in MAY_IMPORT.keys() - {"support_platform"}
    ]
    assert wrong == []


def test_the_domain_knows_no_http():
    wrong = [
        f"{name(path)} imports {module}"
        for _, path in modules()
        if is_domain(path)
        for module in imported(path)
        if module.split(".")[0] == "rest_framework" or module.startswith("django.http")
    ]
    assert wrong == []


def test_the_metrics_are_arithmetic_only():
    figures = [ROOT / "analytics" / f"{stem}.py" for stem in ("metrics", "latency", "slippage", "performance")]
    wrong = [
        f"{name(path)} imports {module}"
        for path in figures
        for module in imported(path)
        if module.split(".")[0] in ("django", "rest_framework", "trading", "accounts", "support_platform")
    ]
    assert wrong == []


def test_analytics_never_writes_the_tables_of_others():
    models = set(apps.get_app_config("analytics").get_models())
    assert {kind.model for kind in readings.KINDS.values()} <= models  # what `self.model` is there
    own = {"model", *(model.__name__ for model in models)}
    writes = {"save", "create", "bulk_create", "update", "bulk_update", "delete", "get_or_create", "update_or_create"}
    wrong = [
        f"{name(path)}:{node.lineno} calls objects…{node.func.attr}()"
        for app, path in modules()
        if app == "analytics"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in writes
        if "objects" in ast.dump(node.func)
        if not own & {getattr(part, "id", getattr(part, "attr", None)) for part in ast.walk(node.func)}
    ]
    assert wrong == []


def test_rooms_that_are_not_here_on_purpose():
    unwanted = [name(path) for _, path in modules() if NOT_HERE & {path.stem, path.parent.name}]
    unwanted += [name(path) for app, path in modules() if path.name == "urls.py" and app != "support_platform"]
    assert unwanted == []


def test_files_stay_readable():
    long = [name(path) for _, path in modules() if len(path.read_text().splitlines()) > 420]
    assert [path for path in long if "/migrations/" not in path] == []


@pytest.mark.django_db
def test_models_and_migrations_agree():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
