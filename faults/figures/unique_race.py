"""
One free e-mail address given to many traders at the same moment: one has it, the others are told that it is taken.

Each call switches a trader's address at once (`verified`). Reached: in every round one 200, otherwise 409
`email_taken`; one account has the address, and one audit event tells of it.
"""

from ..load import expect, in_rounds
from ..servers import StandError
from . import Measured

REACH = "100 rounds x 8: one 200 each, the others 409, no 5xx"
FULL = {"rounds": 100, "callers": 8, "batch": 20}
QUICK = {"rounds": 6, "callers": 6, "batch": 3}
TARGETS = ("platform", "sqlite")
OWN_SERVICES = False


def measure(stand, sizes, advance):
    wrong = taken = 0
    with stand.serve() as server:
        traders = server.ids("users", status="active")[: sizes["callers"]]
        if len(traders) < sizes["callers"]:
            raise StandError(f"{len(traders)} active traders are too few.")
        for done in range(0, sizes["rounds"], sizes["batch"]):
            advance(done, sizes["rounds"])
            addresses = [f"wanted{number}-{stand.seed}@demo.example" for number in range(done, done + sizes["batch"])]
            last_event = stand.last_event()
            rounds = in_rounds([switches(server, trader, addresses) for trader in traders])
            events = stand.events(last_event)
            for address, answers in zip(addresses, rounds, strict=True):
                refused = [answer for answer in answers if answer.status == 409]
                taken += len(refused)
                told = [event for event in events if event.changes.get("email", [None, None])[1] == address]
                right = len(refused) == len(answers) - 1 and len(told) == 1
                right &= all(answer.json()["code"] == "email_taken" for answer in refused)
                wrong += not right
    numbers = {"rounds": sizes["rounds"], "refused": taken, "wrong_rounds": wrong}
    said = f"{sizes['rounds']} rounds, {sizes['rounds'] - wrong} with one winner, {taken} answers 409, no 5xx"
    return Measured(not wrong, said, numbers)


def switches(server, trader, addresses):
    client, path = server.staff("supervisor"), f"/api/v1/users/{trader}/"
    return [
        lambda address=address: expect(client.patch(path, {"email": address, "verified": True}), 200, 409)
        for address in addresses
    ]
