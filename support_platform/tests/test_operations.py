"""The bones of every operation: `by` is named by the caller, it is one transaction, and its event comes last in it."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
APPS = ("support_platform", "accounts", "trading", "analytics")


def find_operations():
    for app in APPS:
        for path in sorted((ROOT / app).glob("*operations.py")):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                    yield pytest.param(node, id=f"{app}.{path.stem}.{node.name}")


def is_atomic(expression):
    """`transaction.atomic` or `transaction.atomic(...)`."""
    target = expression.func if isinstance(expression, ast.Call) else expression
    return ast.unparse(target) == "transaction.atomic"


OPERATIONS = list(find_operations())


def test_there_are_operations_to_look_at():
    assert len(OPERATIONS) >= 12


@pytest.mark.parametrize("operation", OPERATIONS)
def test_takes_by_as_a_keyword_that_must_be_given(operation):
    required = [
        argument.arg
        for argument, default in zip(operation.args.kwonlyargs, operation.args.kw_defaults, strict=True)
        if default is None
    ]
    assert "by" in required


@pytest.mark.parametrize("operation", OPERATIONS)
def test_is_one_transaction(operation):
    opened = [item.context_expr for node in ast.walk(operation) if isinstance(node, ast.With) for item in node.items]
    assert any(is_atomic(expression) for expression in [*operation.decorator_list, *opened])


@pytest.mark.parametrize("operation", OPERATIONS)
def test_is_named_verb_first_or_explains_itself(operation):
    assert "_" in operation.name or ast.get_docstring(operation)


# What is made new has nothing to lock; a login writes only a row of its own.
LOCKS_NOTHING = {"create_broker", "create_trader", "record_new_trader", "create_staff", "log_in"}
# These find or make their trader in a function of their own, which locks it; a reversal calls another operation.
LOCKS_ELSEWHERE = {"import_trades", "import_orders", "revert_change"}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_locks_what_it_changes_before_it_looks_at_it(operation):
    """`lock(subject)` or a helper named so, `select_for_update`, or a link read with locked=True."""
    calls = [node for node in ast.walk(operation) if isinstance(node, ast.Call)]
    is_locked = any(
        re.fullmatch(r"_?lock(_\w+)?|\w+(\.\w+)*\.select_for_update", ast.unparse(call.func))
        or "select_for_update" in ast.unparse(call)
        or any(keyword.arg == "locked" for keyword in call.keywords)
        for call in calls
    )
    assert is_locked or operation.name in LOCKS_NOTHING | LOCKS_ELSEWHERE


# --- recorded last ----------------------------------------------------------------------------------------
def find_recorders():
    """Every function that records an event, as (what holds the rest of its transaction, the recording call)."""
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if {"tests", "migrations"} & {*path.relative_to(ROOT).parts}:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef):
                    blocks = [block for block in ast.walk(node) if isinstance(block, ast.With)]
                    opened = [b for b in blocks if any(is_atomic(item.context_expr) for item in b.items)]
                    for call in calls_of("audit.record", node):
                        around = [b for b in opened if call in ast.walk(b)]
                        yield pytest.param(around[-1] if around else node, call, id=f"{app}.{path.stem}.{node.name}")


def calls_of(name, node):
    return [part for part in ast.walk(node) if isinstance(part, ast.Call) and ast.unparse(part.func) == name]


RECORDERS = list(find_recorders())


def test_there_are_recorders_to_look_at():
    assert len(RECORDERS) >= 20


@pytest.mark.parametrize(("transaction", "recorded"), RECORDERS)
def test_nothing_is_called_after_recording(transaction, recorded):
    """The event takes the lock that every other change of the broker waits for: last of all locks, and shortly."""
    later = [
        ast.unparse(part)
        for part in ast.walk(transaction)
        if isinstance(part, ast.Call) and part.lineno > recorded.end_lineno
    ]
    assert later == []
