"""
Reads the audit trail's chains from their first event to their end and tells what is not as it was written.

It may run while others write: each chain is read up to the end it had when the check began, and an end is written in
the transaction of its event.
"""

from collections import deque
from dataclasses import dataclass

from django.db import DataError
from django.db.models import Max, Q

from .audit_chain import SEALED, chain_of, keys, seal
from .models import AuditChain, AuditEvent

BATCH = 2000
# Of what is wrong this many findings are kept, and of one stretch of events that are not right this many are looked at
# together; the check needs the same memory for any number of them.
MAX_FINDINGS = 1000
MAX_RUN = 1000
# What reading a value raises that no operation of ours can have written.
UNREADABLE = (ValueError, TypeError, AttributeError, DataError)


@dataclass(frozen=True)
class Finding:
    """
    What is wrong with the events numbered `first` to `last` of a chain; `events` are the ids of those that are there,
    the first ten.

    `kind` is changed (or forged), reordered, missing, truncated, inserted, wrong_chain, end (the kept end of the chain
    is not that of its events) or anchor (the chain does not hold the end it had earlier).
    """

    chain: int
    kind: str
    first: int
    last: int
    detail: str
    events: tuple = ()


class Check:
    """
    One reading of all chains.

    `anchors` are the ends {chain: (length, seal)} that the chains had earlier and must still contain. After `run`:
    `ends` as they are now, `events` how many were read, `findings` the first 1,000 of the `found`.
    """

    def __init__(self, anchors=None):
        self.anchors = anchors or {}
        # The chains of the events first: whatever chain is seen has its end by then.
        chains = set(AuditEvent.objects.order_by().values_list("chain", flat=True).distinct())
        self.ends = {end.chain: (end.length, end.seal) for end in AuditChain.objects.all()}
        self.chains = sorted(chains | self.ends.keys() | self.anchors.keys())
        self.total = sum(length for length, _ in self.ends.values())
        self.keys = keys()
        self.events, self.found, self.findings = 0, 0, []

    def run(self, advance=lambda done: None):
        """`advance` is told how many events were read, of `total`."""
        for chain in self.chains:
            self._read_chain(chain, advance)

    def tell(self, *what, **more):
        self.found += 1
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(Finding(*what, **more))

    def _read_chain(self, chain, advance):
        rows = AuditEvent.objects.filter(chain=chain)
        length, end_seal = self.ends.get(chain) or (rows.aggregate(last=Max("sequence"))["last"] or 0, None)
        if end_seal is None and length:
            self.tell(chain, "end", length, length, "The kept end of the chain is gone.")
        anchor = self.anchors.get(chain)
        place, last_id, previous, run = 0, 0, Previous(""), Run(self, chain)
        for event in _read(rows.filter(sequence__lte=length)):
            self.events += 1
            if self.events % BATCH == 0:
                advance(self.events)
            at, pk = event["sequence"], event["id"]
            if at <= place:
                self.tell(chain, "inserted", at, at, "A second event has this number, or one below 1.", events=(pk,))
                continue
            if at > place + 1:
                run.close()
                text = "No event has these numbers. What follows them cannot be checked against them."
                self.tell(chain, "missing", place + 1, at - 1, text)
                previous = Previous()
            place = at
            if anchor and at == anchor[0] and event["seal"] != anchor[1]:
                self.tell(chain, "anchor", at, at, "The event is not the one that the anchor names.", events=(pk,))
            if "broker" in event and chain_of(event["broker"]) != chain:
                text = f"The event is of broker {event['broker']}, whose chain is another."
                self.tell(chain, "wrong_chain", at, at, text, events=(pk,))
                previous = previous.or_after(self, event)
            elif previous.precedes(self, event):
                run.close()
                if pk < last_id:
                    text = "The event has a lower id than the one before it: ids were changed."
                    self.tell(chain, "reordered", at, at, text, events=(pk,))
                previous = Previous(event["seal"])
            else:
                run.add(event, previous)
                previous = previous.or_after(self, event)
            last_id = pk
        run.close()
        if place < length:
            self.tell(chain, "truncated", place + 1, length, "The last events of the chain are gone.")
        elif end_seal is not None and not previous.may_be(end_seal):
            self.tell(chain, "end", length, length, "The kept end of the chain is not the seal of its last event.")
        if anchor and anchor[0] > length:
            text = f"The chain ends at {length}, but had {anchor[0]} events when the anchor was made."
            self.tell(chain, "anchor", length + 1, anchor[0], text)
        if end_seal is not None:
            self._look_beyond(chain, rows, length)

    def _look_beyond(self, chain, rows, length):
        """What stands after the end was written meanwhile, and the end has moved with it; or it was put there."""
        last = rows.filter(sequence__gt=length).aggregate(last=Max("sequence"))["last"]
        if last is None:
            return
        now = AuditChain.objects.filter(pk=chain).values_list("length", flat=True).first() or length
        put = rows.filter(sequence__gt=now, sequence__lte=last).order_by("sequence")
        if ids := list(put.values_list("id", flat=True)[:10]):
            self.tell(chain, "inserted", now + 1, last, "Events stand after the end of the chain.", events=tuple(ids))

    def seals(self, event, previous):
        """The seals that the event may carry after `previous`; none for one that holds what cannot be sealed."""
        for key in self.keys:
            try:
                yield seal(event, previous, key)
            except (*UNREADABLE, KeyError):
                return


class Previous:
    """
    The seals that the event before may have had; none: it is gone, and any is possible.

    One, as long as all is well. After an event that is not right, also what it should carry and what the ones before
    it carried: so the events that follow are known to be right, and only what was touched is named.
    """

    def __init__(self, *seals):
        self.seals = deque(seals, maxlen=16)

    def precedes(self, check, event):
        return not self.seals or any(event["seal"] in check.seals(event, previous) for previous in self.seals)

    def or_after(self, check, event):
        expected = check.seals(event, self.seals[-1]) if self.seals else ()
        return Previous(*self.seals, *expected, event["seal"])

    def may_be(self, seal):
        return not self.seals or seal in self.seals


class Run:
    """Events in a row that do not carry the right seals; told as one finding."""

    def __init__(self, check, chain):
        self.check, self.chain = check, chain
        self.events, self.before = [], None

    def add(self, event, previous):
        if not self.events:
            self.before = previous
        self.events.append(event)
        if len(self.events) == MAX_RUN:
            self.close()

    def close(self):
        if not self.events:
            return
        if self._is_reordered():
            kind, text = "reordered", "The events stand in another order than they were written in."
        else:
            kind, text = "changed", "What stands here is not what was sealed: changed, moved or forged."
        first, last = self.events[0]["sequence"], self.events[-1]["sequence"]
        ids = tuple(event["id"] for event in self.events[:10])
        self.check.tell(self.chain, kind, first, last, text, events=ids)
        self.events = []

    def _is_reordered(self):
        """Whether all of them are right when put in the order of their ids, which is that of their writing."""
        written = sorted(self.events, key=lambda event: event["id"])
        if written == self.events:
            return False
        previous = self.before
        for place, event in enumerate(written, self.events[0]["sequence"]):
            if not previous.precedes(self.check, event | {"sequence": place}):
                return False
            previous = Previous(event["seal"])
        return True


def _read(rows):
    """The rows in the order of the chain, as dicts; of one that cannot be read, what must be known of it."""
    rows, last = rows.order_by("sequence", "id"), None
    while True:
        batch = rows
        if last:
            # A second condition for rows that share a number, which the database lets nobody write.
            batch = rows.filter(sequence__gte=last[0]).filter(Q(sequence__gt=last[0]) | Q(id__gt=last[1]))
        try:
            found = list(batch.values("id", "seal", *SEALED)[:BATCH])
        except UNREADABLE:
            found = [_read_one(row) for row in list(batch.values("id", "seal", "sequence")[:BATCH])]
        yield from found
        if len(found) < BATCH:
            return
        last = found[-1]["sequence"], found[-1]["id"]


def _read_one(row):
    try:
        return AuditEvent.objects.values("id", "seal", *SEALED).get(pk=row["id"])
    except UNREADABLE:
        return row
