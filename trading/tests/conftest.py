"""What the tests of this app's lists share."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from trading.tests.csv_rows import COLUMNS


@pytest.fixture
def walk():
    """Ids of a list page by page: following `next` to the end, and then `previous` back to the beginning."""

    def follow(client, path, **query):
        answer = client.get(path, **query).json()
        forward = [_ids(answer)]
        while answer["next"]:
            answer = client.get(answer["next"]).json()
            forward.append(_ids(answer))
        backward = [_ids(answer)]
        while answer["previous"]:
            answer = client.get(answer["previous"]).json()
            backward.insert(0, _ids(answer))
        return forward, backward

    return follow


@pytest.fixture
def ids():
    """The ids that a list answers, in its order."""

    def read(client, path, **query):
        answer = client.get(path, **query)
        assert answer.status_code == 200, answer.content
        return _ids(answer.json())

    return read


@pytest.fixture
def count_queries():
    """How many queries one GET takes."""

    def count(client, path):
        with CaptureQueriesContext(connection) as captured:
            assert client.get(path).status_code == 200
        return len(captured)

    return count


@pytest.fixture
def refused():
    """Asserts a 400 and gives the names of the fields it refuses."""

    def read(answer):
        assert answer.status_code == 400, answer.content
        return {error["field"] for error in answer.json()["errors"]}

    return read


def _ids(answer):
    return [row["id"] for row in answer["results"]]


@pytest.fixture
def file(tmp_path):
    """Writes a CSV file of these lines below the header, and gives its path."""

    def write(*lines, header=COLUMNS, name="trades.csv", encoding="utf-8", end="\n"):
        path = tmp_path / name
        path.write_bytes(end.join([header, *lines, ""]).encode(encoding))
        return path

    return write
