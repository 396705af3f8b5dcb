"""Pages of trades: the requests that are measured, and the check that all servers answer them alike."""

from urllib.parse import urlsplit

from .load import request
from .rows import compare, results

PAGE = 100


def page_owners(filled, count):
    """`count` traders with a full page, spread evenly from the one with most trades to those with hardly enough."""
    found = [user for user, trades in filled.owners() if trades > PAGE]
    step = max(1, len(found) // count)
    return found[::step][:count]


def first_pages(server, users):
    """The requests for the first page of each trader."""
    token = server.stand.token("viewer")
    return [request(f"{server.kind.list_path}?user={user}", token) for user in users]


def check(servers, users):
    """
    All servers answer every trader's first page as the first server does.

    :raises DifferentRows: if one does not
    """
    first, *others = servers
    for user in users:
        ours = rows_of(first, user)
        for server in others:
            compare(ours, rows_of(server, user), server.kind.name)


def rows_of(server, user):
    return results(body_of(server, f"{server.kind.list_path}?user={user}"))


def body_of(server, path):
    answer = server.staff("viewer").get(path)
    if answer.status != 200:
        raise RuntimeError(f"{server.kind.name} answers {path} with {answer.status}: {answer.body[:500]}")
    return answer.json()


def deep_path(server, user, page):
    """
    The path of a trader's page number `page`, found by following `next`, in large steps where the server has them.

    :returns: (path, the number of the page that it is: fewer if there are not so many)
    """
    path, skipped = f"{server.kind.list_path}?user={user}", 0
    while skipped < (page - 1) * PAGE:
        left = (page - 1) * PAGE - skipped
        size = min(1000, left) if server.kind.is_platform else PAGE
        step = body_of(server, with_size(path, size) if server.kind.is_platform else path)
        if step["next"] is None:
            break
        skipped += len(results(step))
        path = "{0.path}?{0.query}".format(urlsplit(step["next"]))
    return (with_size(path, PAGE) if server.kind.is_platform else path), skipped // PAGE + 1


def with_size(path, size):
    kept = [part for part in path.partition("?")[2].split("&") if not part.startswith("page_size=")]
    return f"{path.partition('?')[0]}?{'&'.join([*kept, f'page_size={size}'])}"
