"""
The correction of a trade as bare SQL: lock, measure, change, measure, record in the broker's audit chain, commit.

What is measured is what the platform's `impact` tells: win rate, PnL and the depth of the drawdown. The audit event is
a real one with its place in the chain and a seal of the same length, by a key of the floor's own.
"""

import hmac
import json

# Ordered by the instant alone, a running sum takes trades that close at once in one step, as the platform does.
FIGURES = """
SELECT count(*), count(*) FILTER (WHERE result > 0), trim_scale(sum(result))::text,
    trim_scale(max(greatest(high, 0) - total))::text
FROM (
    SELECT result, total, max(total) OVER (ORDER BY closed_at) AS high
    FROM (
        SELECT id, closed_at, result, sum(result) OVER (ORDER BY closed_at) AS total
        FROM trading_trade WHERE deployment_id = %s AND closed_at IS NOT NULL
    ) run
) peaks
"""
TRADE = """
SELECT deployment_id, user_id, (SELECT broker_id FROM accounts_user WHERE id = trade.user_id AND NOT is_staff)
FROM trading_trade trade WHERE id = %s
"""
CHANGE = "UPDATE trading_trade SET result = %s, is_corrected = true, version = version + 1 WHERE id = %s"
EVENT = """
INSERT INTO support_platform_auditevent (at, actor, actor_id, broker, action, subject_type, subject_id, "user", changes,
    reason, request_id, source, ip, chain, sequence, seal)
VALUES (now(), 'floor', %s, %s, 'trade.corrected', 'trade', %s, %s, %s, '', '', 'api', '127.0.0.1', %s, %s, %s)
"""
END_OF_CHAIN = "SELECT length, seal FROM support_platform_auditchain WHERE chain = %s FOR UPDATE"
MOVE_END = "UPDATE support_platform_auditchain SET length = %s, seal = %s WHERE chain = %s"


def correct_trade(cursor, caller, trade, result, trade_statement):
    """
    :returns: the trade as a row of `trade_statement`, and {"before", "after"}; None if the caller may not see it
    """
    with cursor.connection.transaction():
        row = cursor.execute(TRADE, [trade]).fetchone()
        if row is None or row[2] != caller["broker"]:
            return None
        deployment, user, broker = row
        cursor.execute("SELECT id FROM trading_deployment WHERE id = %s FOR UPDATE", [deployment])
        [before_result] = cursor.execute(
            "SELECT trim_scale(result)::text FROM trading_trade WHERE id = %s FOR UPDATE", [trade]
        ).fetchone()
        before = _figures(cursor, deployment)
        cursor.execute(CHANGE, [result, trade])
        after = _figures(cursor, deployment)
        changed = cursor.execute(trade_statement, [trade, broker]).fetchone()
        names = [column.name for column in cursor.description]
        length, seal = cursor.execute(END_OF_CHAIN, [broker]).fetchone()
        changes = json.dumps({"result": [before_result, result]})
        said = json.dumps([seal, caller["id"], broker, trade, user, changes, length + 1])
        seal = hmac.digest(b"the floor's own key", said.encode(), "sha256").hex()
        cursor.execute(EVENT, [caller["id"], broker, trade, user, changes, broker, length + 1, seal])
        cursor.execute(MOVE_END, [length + 1, seal, broker])
    return {**dict(zip(names, changed, strict=True)), "impact": {"before": before, "after": after}}


def _figures(cursor, deployment):
    count, wins, pnl, deepest = cursor.execute(FIGURES, [deployment]).fetchone()
    return {"win_rate": wins / count, "pnl": pnl, "max_drawdown": {"absolute": deepest}}
