"""The statements of the peers that write their SQL themselves."""

# A decimal as its exact text without trailing zeros, as the platform answers it.
_TRADE = """
    id, user_id AS "user", strategy_id AS strategy, deployment_id AS deployment, symbol, side,
    trim_scale(quantity)::text AS quantity, trim_scale(entry_price)::text AS entry_price,
    trim_scale(exit_price)::text AS exit_price, trim_scale(strike)::text AS strike,
    trim_scale(stop_loss)::text AS stop_loss, trim_scale(target)::text AS target,
    trim_scale(fees)::text AS fees, trim_scale(result)::text AS result,
    CASE WHEN result > 0 THEN 'win' WHEN result < 0 THEN 'loss' WHEN result = 0 THEN 'breakeven' END AS outcome,
    CASE WHEN closed_at IS NULL THEN 'open' ELSE 'closed' END AS status,
    {taken_at} AS taken_at, {closed_at} AS closed_at, is_corrected, external_id, version
"""
AS_INSTANT = _TRADE.format(taken_at="taken_at", closed_at="closed_at")
_TEXT = "replace(({0} AT TIME ZONE 'UTC')::text, ' ', 'T') || 'Z'"
AS_TEXT = _TRADE.format(taken_at=_TEXT.format("taken_at"), closed_at=_TEXT.format("closed_at"))

# One statement: the session is live, its account is active staff of that session_version, and sees the trader.
CALLER = """
SELECT caller.broker_id
FROM accounts_apisession session JOIN accounts_user caller ON caller.id = session.user_id
WHERE session.id = %s AND caller.id = %s AND session.revoked_at IS NULL AND session.expires_at > now()
    AND caller.is_active AND caller.is_staff
    AND session.session_version = %s AND caller.session_version = session.session_version
"""
# Counts one request in a window of a second, and keeps the counter that long.
COUNT = """
local n = redis.call('INCR', KEYS[1])
if n == 1 then redis.call('EXPIRE', KEYS[1], 2) end
return n
"""
LIMIT = 1_000_000

# A trader's newest page and one row more, if the caller's broker has the trader. The page first, then the texts: else
# the planner may write them for all rows of the trader, and sort these.
PAGE_OF = f"""
SELECT {AS_TEXT} FROM (
    SELECT * FROM trading_trade
    WHERE user_id = %s AND EXISTS (SELECT FROM accounts_user WHERE id = %s AND NOT is_staff AND broker_id = %s)
    ORDER BY taken_at DESC, id DESC LIMIT 101
) trade ORDER BY trade.taken_at DESC, trade.id DESC
"""
