"""
Rows like life's, made by the database itself, so that millions take minutes.

2,000 traders own them unevenly: the first 6 percent of all, the first twenty 18. Each has three strategies with
one deployment each. Trades come in the order of time, as they would, so a trader's rows lie far apart; one in fifty is
open. Each trade has an order for its entry and, once closed, one for its exit.

Indexes and foreign keys are dropped for the filling and made again as the migrations made them.
"""

import psycopg

TRADERS = 2000
SKEW = 2.7  # trader number 1 + floor(TRADERS * u ** SKEW) for an even u: the first gets TRADERS ** (-1 / SKEW) = 6 %
DAYS = 730
CHUNK = 250_000
TABLES = ("trading_trade", "trading_order")

PEOPLE = """
WITH trader AS (
    INSERT INTO accounts_user (version, password, is_superuser, email, first_name, last_name, is_staff, is_active,
        created_at, session_version, reset_nonce, email_nonce, broker_id)
    SELECT 1, '!', false, 'trader-' || number || '@benchmark.example', 'Trader', number::text, false, true,
        %(now)s::timestamptz - %(days)s * interval '1 day', 1, '', '',
        (SELECT id FROM accounts_broker WHERE name = 'Demo')
    FROM generate_series(1, %(traders)s) number
    RETURNING id, last_name::int AS number
), strategy AS (
    INSERT INTO trading_strategy (version, user_id, name, symbol, timeframe, definition, created_at)
    SELECT 1, id, 'Strategy ' || place, '', '', '{}', %(now)s::timestamptz - %(days)s * interval '1 day'
    FROM trader CROSS JOIN generate_series(1, 3) place
    RETURNING id, user_id, right(name, 1)::int AS place
), deployment AS (
    INSERT INTO trading_deployment (version, user_id, strategy_id, status, mode, symbol, max_open_trades, order_type,
        capital, started_at)
    SELECT 1, user_id, id, 'active', 'live', '', 1, 'market', 10000,
        %(now)s::timestamptz - %(days)s * interval '1 day'
    FROM strategy
    RETURNING id, strategy_id
)
INSERT INTO benchmark_owner
SELECT trader.number, strategy.place, trader.id, strategy.id, deployment.id
FROM trader JOIN strategy ON strategy.user_id = trader.id JOIN deployment ON deployment.strategy_id = strategy.id
"""

TRADES = """
INSERT INTO trading_trade (version, user_id, strategy_id, deployment_id, symbol, side, quantity, entry_price,
    exit_price, strike, stop_loss, target, fees, result, taken_at, closed_at, is_corrected, external_id)
SELECT 1, user_id, strategy_id, deployment_id,
    (ARRAY['BTC/USDT', 'ETH/USDT', 'EUR/USD', 'AAPL', 'SPY 261218P00450000'])[1 + floor(5 * dice_symbol)],
    CASE WHEN dice_side < 0.6 THEN 'long' ELSE 'short' END,
    quantity, price,
    CASE WHEN is_open THEN NULL ELSE price + move END,
    CASE WHEN dice_symbol >= 0.8 THEN 450 END,
    CASE WHEN dice_stop < 0.5 THEN round(price * 0.97, 2) END,
    CASE WHEN dice_stop < 0.3 THEN round(price * 1.06, 2) END,
    0.35,
    CASE WHEN is_open THEN NULL WHEN move = 0 THEN 0 ELSE round(move * quantity, 4) - 0.35 END,
    taken_at,
    CASE WHEN is_open THEN NULL ELSE least(taken_at + holding * interval '1 minute', %(now)s) END,
    false,
    CASE WHEN dice_stop < 0.9 THEN 'log:' || number END
FROM (
    SELECT number,
        1 + floor(%(traders)s * power(dice_owner, %(skew)s))::int AS owner,
        1 + floor(3 * dice_place)::int AS place,
        dice_symbol, dice_side, dice_stop, dice_open < 0.02 AS is_open,
        round((1 + 4 * dice_quantity)::numeric, 3) AS quantity,
        round((50 + 400 * dice_price)::numeric, 2) AS price,
        round((8 * (dice_move - 0.48))::numeric, 2) AS move,
        ceil(600 * dice_holding) AS holding,
        -- To the second: two trades of one trader may share an instant.
        date_trunc('second', %(now)s::timestamptz
            - (%(days)s * interval '1 day') * ((%(total)s - number)::float8 / %(total)s)) AS taken_at
    FROM (
        SELECT number, random() AS dice_owner, random() AS dice_place, random() AS dice_symbol, random() AS dice_side,
            random() AS dice_stop, random() AS dice_open, random() AS dice_quantity, random() AS dice_price,
            random() AS dice_move, random() AS dice_holding
        FROM generate_series(%(first)s::bigint, %(last)s::bigint) number
        OFFSET 0  -- each die is thrown once
    ) dice
    OFFSET 0
) trade JOIN benchmark_owner USING (owner, place)
"""

ORDERS = """
INSERT INTO trading_order (version, user_id, strategy_id, deployment_id, trade_id, external_id, symbol, side,
    order_type, quantity, expected_price, arrival_price, filled_price, filled_quantity,
    signal_at, sent_at, acknowledged_at, filled_at)
SELECT 1, user_id, strategy_id, deployment_id, id, id || leg, symbol, side, 'market', quantity,
    CASE WHEN dice_known < 0.98 THEN price END,
    CASE WHEN dice_known < 0.5 THEN price + delay END,
    CASE WHEN is_filled THEN price + delay + slip END,
    CASE WHEN is_filled THEN quantity END,
    at, sent_at,
    -- One in 500 has a clock that is behind.
    CASE WHEN dice_clock < 0.002 THEN sent_at - interval '3 ms' ELSE acknowledged_at END,
    CASE WHEN is_filled THEN acknowledged_at + fill * interval '1 ms' END
FROM (
    SELECT dice.*, dice_filled < 0.97 AS is_filled, sent_at + acknowledgement * interval '1 ms' AS acknowledged_at
    FROM (
        SELECT trade.id, user_id, strategy_id, deployment_id, symbol, quantity, leg,
            CASE WHEN (side = 'long') = (leg = '-entry') THEN 'buy' ELSE 'sell' END AS side,
            CASE leg WHEN '-entry' THEN entry_price ELSE exit_price END AS price,
            CASE leg WHEN '-entry' THEN taken_at ELSE closed_at END AS at,
            CASE leg WHEN '-entry' THEN taken_at ELSE closed_at END
                + (0.5 + 4 * power(random(), 4)) * interval '1 ms' AS sent_at,
            -- Long tails, as networks and exchanges have.
            5 + 20 / (1.002 - random()) AS acknowledgement,
            10 + 40 / (1.001 - random()) AS fill,
            round(((random() - 0.45) * 0.02)::numeric, 4) AS delay,
            round(((random() - 0.4) * 0.05)::numeric, 4) AS slip,
            random() AS dice_known, random() AS dice_clock, random() AS dice_filled
        FROM trading_trade trade CROSS JOIN (VALUES ('-entry'), ('-exit')) legs (leg)
        WHERE trade.id BETWEEN %(first)s AND %(last)s AND (leg = '-entry' OR closed_at IS NOT NULL)
        OFFSET 0
    ) dice
    OFFSET 0
) leg
"""


def fill(url, trades, *, seed, now, advance=lambda done, total: None):
    """Fill a migrated database that has the demo data's brokers and staff."""
    with psycopg.connect(url, autocommit=True) as connection:
        run = connection.execute
        run("SET maintenance_work_mem = '512MB'")
        run("SET synchronous_commit = off")
        run("SET statement_timeout = 0")
        run("SELECT setseed(%s)", [1 / (1 + seed)])
        run("CREATE TEMPORARY TABLE benchmark_owner (owner int, place int, user_id bigint, strategy_id bigint,"
            " deployment_id bigint)")  # fmt: skip
        everything = {"now": now, "days": DAYS, "traders": TRADERS, "skew": SKEW, "total": trades}
        run(PEOPLE, everything)
        run("ANALYZE benchmark_owner")
        [[before]] = run("SELECT coalesce(max(id), 0) FROM trading_trade").fetchall()
        dropped = [statement for table in TABLES for statement in take_away(connection, table)]
        steps = 3 * trades + len(dropped)
        for first, last in chunks(1, trades):
            run(TRADES, {**everything, "first": first, "last": last})
            advance(last, steps)
        for first, last in chunks(before + 1, before + trades):
            run(ORDERS, {"first": first, "last": last})
            advance(trades + 2 * (last - before), steps)
        for number, statement in enumerate(dropped, 1):
            run(statement)
            advance(3 * trades + number, steps)
        run("VACUUM (ANALYZE)")
        run("CHECKPOINT")


def chunks(first, last, size=CHUNK):
    return [(start, min(last, start + size - 1)) for start in range(first, last + 1, size)]


def take_away(connection, table):
    """
    Drop a table's indexes, unique constraints and foreign keys; its primary key and its checks stay.

    :returns: the statements that make them again
    """
    constraints = connection.execute(
        "SELECT conname, pg_get_constraintdef(oid), contype::text FROM pg_constraint"
        " WHERE conrelid = %s::regclass AND contype IN ('f', 'u') ORDER BY contype DESC, conname",
        [table],
    ).fetchall()
    indexes = connection.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
        " WHERE indrelid = %s::regclass AND NOT indisprimary"
        " AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('u', 'x', 'p'))"
        " ORDER BY 1",
        [table],
    ).fetchall()
    for name, _, _ in constraints:
        connection.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    made = [definition for _, definition in indexes]
    made += [f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}' for name, definition, _ in constraints]
    return made
