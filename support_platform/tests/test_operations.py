"""The bones of every operation: `by` is named by the caller, and all of it is one transaction."""

import ast
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
