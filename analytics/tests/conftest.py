"""What the tests of the arithmetic share."""

import csv
import json
import os
import random
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data():
    """The folder of real order and trade logs; REAL_DATA names another place."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("REAL_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set REAL_DATA to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def read_log(real_data):
    """The rows of a CSV file of the real data, and what another source expects of them."""

    def read(folder, name):
        with open(real_data / folder / name, newline="") as file:
            rows = list(csv.DictReader(file))
        return rows, json.loads((real_data / folder / "expected.json").read_text())

    return read


@pytest.fixture
def shuffled():
    def shuffle(rows):
        mixed = list(rows)
        random.Random(7).shuffle(mixed)
        return mixed

    return shuffle
