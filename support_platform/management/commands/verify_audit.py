import json
import os
from dataclasses import asdict
from pathlib import Path

from django.core.management.base import CommandError

from support_platform.audit_check import MAX_FINDINGS, Check
from support_platform.commands import SupportCommand, Unsuccessful

SHOWN = 50


class Command(SupportCommand):
    help = (
        "Read the whole audit trail and tell what was changed, removed, moved or put in besides the platform. With "
        "--anchors it also finds a trail that was cut at its end or set back as a whole."
    )

    def add_arguments(self, parser):
        parser.add_argument(
            "--anchors",
            metavar="FILE",
            help="the ends of the chains as they were: must still be there, and are replaced by those of now if all is "
            "well; made if missing. Keep it where nobody who can write the database can write",
        )

    def run(self, *, anchors, **options):
        path = Path(anchors) if anchors else None
        earlier = read_anchors(path) if path and path.exists() else {}
        check = Check(earlier)
        with self.progress("Verifying", check.total) as advance:
            check.run(advance)
        ends = [{"chain": chain, "length": n, "seal": seal} for chain, (n, seal) in sorted(check.ends.items())]
        outcome = {
            "chains": len(check.chains),
            "events": check.events,
            "anchors_checked": len(earlier),
            "found": check.found,
            "findings": [asdict(finding) for finding in check.findings],
            "ends": ends,
        }
        if check.found:
            line = f"the audit trail is not as it was written: {check.found} finding{'s' if check.found > 1 else ''}."
            raise Unsuccessful(line + (f" {path} was left as it was." if path else ""), outcome)
        if path:
            write_anchors(path, ends)
        return outcome

    def show(self, outcome):
        rows = [(name, outcome[name]) for name in ("chains", "events", "anchors_checked", "found")]
        self.table([(name.replace("_", " "), value) for name, value in rows], title="Audit trail")
        for finding in outcome["findings"][:SHOWN]:
            numbers = f"{finding['first']}" + (f" to {finding['last']}" if finding["last"] > finding["first"] else "")
            ids = f" Ids: {', '.join(map(str, finding['events']))}." if finding["events"] else ""
            self.say(f"chain {finding['chain']}, number {numbers}: {finding['kind']}. {finding['detail']}{ids}")
        if outcome["found"] > SHOWN:
            self.say(f"and {outcome['found'] - SHOWN} more (--json names {MAX_FINDINGS})")


def read_anchors(path):
    """
    {chain: (length, seal)}

    :raises CommandError: if the file holds something else
    """
    try:
        ends = {row["chain"]: (row["length"], row["seal"]) for row in json.loads(path.read_text())["ends"]}
    except (ValueError, TypeError, KeyError):
        ends = None
    if ends is None or not all(
        isinstance(chain, int) and isinstance(length, int) and isinstance(seal, str)
        for chain, (length, seal) in ends.items()
    ):
        raise CommandError(f"{path} holds no ends of audit chains. Name the file that --anchors wrote, or a new one.")
    return ends


def write_anchors(path, ends):
    """Whole or not at all: the old ones are all there is to check against."""
    draft = path.with_name(f"{path.name}.new")
    draft.write_text(json.dumps({"ends": ends}, indent=1) + "\n")
    os.replace(draft, path)
