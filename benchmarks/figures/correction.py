"""
A correction: processor time of PATCH trades/{id}/ with audit and impact, against the same work in bare SQL.

The floor does in psycopg what the call promises: token, session, account, broker and limit checked, deployment and
trade locked, the deployment's win rate, PnL and drawdown before and after, the change, the audit event at the end of
the broker's chain, one commit. Trades are those of deployments of one size, each request changes a result. Reached: the
platform costs at most twice the floor.
"""

import json
from contextlib import ExitStack

from faults.figures import Measured

from .. import rounds
from ..load import Load, request
from ..rounds import Contestant
from ..rows import DifferentRows
from ..servers import MeasuredServer

REACH = "<= 2 x the floor"
FULL = {"trades": 5_000_000, "deployments": 40, "closed": 500, "rounds": 7, "seconds": 4}
QUICK = {"trades": 50_000, "deployments": 10, "closed": 50, "rounds": 3, "seconds": 1.5}
DUE = 2
# Those with about so many closed trades, and their newest closed trade.
TRADES = """
SELECT max(id) FROM trading_trade WHERE closed_at IS NOT NULL AND external_id LIKE 'log:%%' GROUP BY deployment_id
ORDER BY abs(count(*) - %s), 1 LIMIT %s
"""


def measure(stand, sizes, advance):
    filled = stand.at(sizes["trades"])
    trades = [trade for [trade] in filled.rows(TRADES, sizes["closed"], sizes["deployments"])]
    with ExitStack() as stack:
        servers = [stack.enter_context(MeasuredServer(kind, filled)) for kind in ("platform", "floor")]
        check(servers, trades[0])
        contestants = []
        for place, server in enumerate(servers):
            requests = [
                correction(server, trade, f"{10 * place + turn}.25")
                for turn in (1, 2, 3)  # so that none finds the result it brings
                for trade in trades
            ]
            contestants.append(Contestant(server.kind.name, Load(server.port, requests), server.parts))
        found, spare = rounds.run(contestants, rounds=sizes["rounds"], seconds=sizes["seconds"], advance=advance)
    times = rounds.ratios(found["platform"], found["floor"])
    told = rounds.summary(found, spare)
    cost, floor = (told[name]["cpu_ms"]["median"] for name in ("platform", "floor"))
    said = f"{times['median']:.2f} x the floor ({cost:.2f} and {floor:.2f} ms, deployments of {sizes['closed']} trades)"
    return Measured(times["median"] <= DUE, said, {"times_of_floor": times, "contestants": told})


def correction(server, trade, result):
    token = server.stand.token("supervisor")
    body = json.dumps({"result": result}).encode()
    return request(f"{server.kind.list_path}{trade}/", token, method="PATCH", body=body)


def check(servers, trade):
    """
    Both tell the same of the same change, and what the one left is what the other finds.

    :raises DifferentRows: if they do not
    """
    told = []
    for result, server in zip(("901.5", "902.5", "901.5", "902.5"), servers * 2, strict=True):
        answer = server.staff("supervisor").patch(f"{server.kind.list_path}{trade}/", {"result": result}).json()
        told.append({when: essence(answer["impact"][when]) for when in ("before", "after")} | {"is": answer["result"]})
    if told[0]["after"] != told[1]["before"] or told[2:] != [{**told[0], "before": told[1]["after"]}, told[1]]:
        raise DifferentRows(f"corrections are told otherwise: {told}")


def essence(figures):
    return round(figures["win_rate"], 6), figures["pnl"], figures["max_drawdown"]["absolute"]
