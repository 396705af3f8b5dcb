"""Pages of trades: the requests that are measured, and the check that all servers answer them alike."""

from urllib.parse import urlsplit

from .load import BadAnswer, request
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
    for user in users:
        check_paths(servers, [f"{server.kind.list_path}?user={user}" for server in servers])


def check_paths(servers, paths):
    """As `check`, for one path of each server."""
    ours, *others = [results(body_of(server, path)) for server, path in zip(servers, paths, strict=True)]
    for server, theirs in zip(servers[1:], others, strict=True):
        compare(ours, theirs, server.kind.name)


def body_of(server, path, role="viewer"):
    """:raises BadAnswer: if it is not answered with 200"""
    answer = server.staff(role).get(path)
    if answer.status != 200:
        raise BadAnswer(f"{server.kind.name} answers {path} with {answer.status}: {answer.body[:500]}")
    return answer.json()


def deep_path(server, user, page):
    """
    The path of a trader's page number `page`: named where pages have numbers, else found by following `next`, in large
    steps where the server has them. There must be a page after it.
    """
    path, skipped = f"{server.kind.list_path}?user={user}", 0
    if server.kind.name == "stock":
        return f"{path}&page={page}"
    while skipped < (page - 1) * PAGE:
        size = min(1000, (page - 1) * PAGE - skipped) if server.kind.is_platform else PAGE
        step = body_of(server, with_size(path, size) if server.kind.is_platform else path)
        skipped += len(results(step))
        path = "{0.path}?{0.query}".format(urlsplit(step["next"]))
    return with_size(path, PAGE) if server.kind.is_platform else path


def with_size(path, size):
    start, _, query = path.partition("?")
    kept = [part for part in query.split("&") if not part.startswith("page_size=")]
    return f"{start}?{'&'.join([*kept, f'page_size={size}'])}"
