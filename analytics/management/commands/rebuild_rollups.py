from analytics import keeping, rollup_check
from analytics.blocks import instant
from analytics.models import Rollup
from analytics.readings import KINDS
from support_platform.commands import SupportCommand, Unsuccessful
from support_platform.instants import format_instant

SHOWN = 50


class Command(SupportCommand):
    help = (
        "Make the blocks anew that the figures of large scopes are folded from, from the raw rows. They follow every "
        "change by themselves; this is for when --verify has found a difference."
    )

    def add_arguments(self, parser):
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--due",
            action="store_true",
            help="only what the next answers would have to make: begin the rollups of scopes that have become large, "
            "and make those anew that much has moved in. A server does this by itself",
        )
        what.add_argument(
            "--verify",
            action="store_true",
            help="change nothing: compare every block with its raw rows, and fail if one differs",
        )

    def run(self, *, verify, due, **options):
        if due:
            return self.bring_up_to_date()
        rollups = list(Rollup.objects.order_by("id"))
        outcome = {"rollups": len(rollups), "blocks": 0}
        return self.verify(rollups, outcome) if verify else self.rebuild(rollups, outcome)

    def bring_up_to_date(self):
        before = Rollup.objects.count()
        for scopes in keeping.large_scopes():
            keeping.begin(scopes)
        rollups, done = list(keeping.due()), 0
        with self.progress("Making", len(rollups)) as advance:
            for number, rollup in enumerate(rollups, 1):
                done += keeping.bring_up_to_date(rollup)
                advance(number)
        return {"begun": Rollup.objects.count() - before, "made_anew": done}

    def rebuild(self, rollups, outcome):
        with self.progress("Rebuilding", len(rollups)) as advance:
            for done, rollup in enumerate(rollups, 1):
                outcome["blocks"] += rollup_check.rebuild(rollup)
                advance(done)
        return outcome

    def verify(self, rollups, outcome):
        outcome |= {"compared": 0, "differences": []}
        outcome["blocks"] = sum(kind.model.objects.count() for kind in KINDS.values())
        with self.progress("Verifying", outcome["blocks"] + len(rollups)) as advance:
            for rollup in rollups:
                for difference in rollup_check.compare(rollup):
                    outcome["compared"] += 1
                    advance(outcome["compared"])
                    if difference:
                        outcome["differences"].append(told(rollup, *difference))
        if found := len(outcome["differences"]):
            some = "1 block differs" if found == 1 else f"{found} blocks differ"
            raise Unsuccessful(f"{some} from the raw rows. Run rebuild_rollups without --verify.", outcome)
        return outcome

    def show(self, outcome):
        differences = outcome.pop("differences", [])
        super().show(outcome)
        for row in differences[:SHOWN]:
            where = f"from {row['first']} to {row['last']}" if row["first"] else "behind the last block"
            self.say(f"{row['kind']} of {row['scope']} {row['scope_id']}, {where}: {', '.join(row['figures'])}")
        if len(differences) > SHOWN:
            self.say(f"and {len(differences) - SHOWN} more (--json names all)")


def told(rollup, kept, figures):
    first, last = (format_instant(instant(at)) for at in (kept.first, kept.last)) if kept else (None, None)
    place = {"kind": rollup.kind, "scope": rollup.scope, "scope_id": rollup.scope_id}
    return place | {"first": first, "last": last, "figures": figures}
