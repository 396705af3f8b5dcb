"""Load: jobs in processes of their own, released together."""

import multiprocessing
import threading
import traceback

# Forked, so that a job can be any function, closures included. The harness itself has no threads to lose.
context = multiprocessing.get_context("fork")
PATIENCE = 300  # seconds a job waits for the others


class JobFailed(Exception):
    """A job raised; the text is its traceback."""

    @property
    def cause(self):
        """The last line of it: what was raised, and what it said."""
        return str(self).strip().splitlines()[-1]


class UnexpectedAnswer(Exception):
    """An answer that the figure is not about, such as a 500: what it measures does not hold."""


def at_once(jobs, *, threads=1):
    """
    Run every job at the same time, each in a process of its own or, with `threads`, so many of them in one process.

    A job is called with `gate`: calling it waits until every job has called it, as often as each job likes.

    :returns: what the jobs return, in their order
    :raises JobFailed: if one raises; the others are ended
    """
    barrier = context.Barrier(len(jobs))

    def gate():
        barrier.wait(PATIENCE)

    groups = [jobs[start : start + threads] for start in range(0, len(jobs), threads)]
    workers = []
    try:
        for group in groups:
            reader, writer = context.Pipe(duplex=False)
            process = context.Process(target=_run_group, args=(group, gate, barrier, writer), daemon=True)
            process.start()
            writer.close()
            workers.append((process, reader))
        outcomes = [outcome for _, reader in workers for outcome in _received(reader)]
    finally:
        for process, reader in workers:
            reader.close()
            process.terminate()
            process.join()
    failures = [text for text, _ in outcomes if text is not None]
    if failures:
        # The others fail of the broken barrier; the first cause is the one that tells.
        raise JobFailed(next((text for text in failures if "BrokenBarrierError" not in text), failures[0]))
    return [value for _, value in outcomes]


def expect(answer, *statuses):
    """
    The answer, if it is one of those that the figure is about.

    :raises UnexpectedAnswer: if it is another
    """
    if answer.status not in statuses:
        due = " or ".join(map(str, statuses))
        raise UnexpectedAnswer(f"{answer.status} where {due} is due: {answer.body[:500]}")
    return answer


def in_rounds(calls):
    """
    Calls side by side, round after round: each of `calls` is a list with one function for each round, and all
    functions of a round are called at once, each list's in a process of its own.

    :returns: for each round what its functions returned
    """

    def job(functions):
        def run(gate):
            outcomes = []
            for function in functions:
                gate()
                outcomes.append(function())
            return outcomes

        return run

    return list(zip(*at_once([job(functions) for functions in calls]), strict=True))


def _received(reader):
    try:
        return reader.recv()
    except EOFError:
        return [("A load process ended without a word.", None)]


def _run_group(group, gate, barrier, writer):
    outcomes = [None] * len(group)

    def run(place):
        try:
            outcomes[place] = (None, group[place](gate))
        except BaseException:
            barrier.abort()
            outcomes[place] = (traceback.format_exc(), None)

    threads = [threading.Thread(target=run, args=(place,)) for place in range(1, len(group))]
    for thread in threads:
        thread.start()
    run(0)
    for thread in threads:
        thread.join()
    writer.send(outcomes)
    writer.close()
