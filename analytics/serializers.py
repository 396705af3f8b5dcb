"""
The shapes of the three answers, for the schema; what each figure means is told by the answer's `definitions`.

The answers are made by `reports` and not rendered by these; a test holds the two together, key by key.
"""

from rest_framework.serializers import CharField, ChoiceField, DictField, Field, FloatField, IntegerField, Serializer

from support_platform.fields import InstantField


class AmountField(Field):
    """An exact decimal string. Sums and products have more digits than the rows they are made of."""

    json_schema = {"type": "string", "format": "decimal", "pattern": r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$"}


def number():
    return FloatField(allow_null=True)


def amount():
    return AmountField(allow_null=True)


def instant():
    return InstantField(allow_null=True)


class ScopeSerializer(Serializer):
    """Exactly one of them."""

    user = IntegerField(required=False)
    strategy = IntegerField(required=False)
    deployment = IntegerField(required=False)


class FiguresSerializer(Serializer):
    """What the three answers have in common."""

    scope = ScopeSerializer()
    since = instant()
    until = instant()
    window = CharField(allow_null=True, help_text="as it was asked for, such as 24h")
    as_of = InstantField()
    count = IntegerField()
    excluded = DictField(child=IntegerField(), help_text="reason -> count")
    method = CharField()
    definitions = DictField(child=CharField(), help_text="figure -> what it means")


class HistogramSerializer(Serializer):
    le = IntegerField(allow_null=True, help_text="upper bound in ms, inclusive; null: open above")
    count = IntegerField(help_text="above the previous bound, not cumulative")


class StageSerializer(Serializer):
    count = IntegerField()
    missing = IntegerField()
    clock_skew = IntegerField()
    min = number()
    mean = number()
    p50 = number()
    p90 = number()
    p95 = number()
    p99 = number()
    max = number()
    histogram = HistogramSerializer(many=True)


class StagesSerializer(Serializer):
    decision = StageSerializer()
    acknowledgement = StageSerializer()
    fill = StageSerializer()
    execution = StageSerializer()
    total = StageSerializer()


class StagePercentilesSerializer(Serializer):
    count = IntegerField()
    p50 = number()
    p95 = number()
    p99 = number()


class LatencyIntervalSerializer(Serializer):
    start = InstantField()
    count = IntegerField()
    decision = StagePercentilesSerializer()
    acknowledgement = StagePercentilesSerializer()
    fill = StagePercentilesSerializer()
    execution = StagePercentilesSerializer()
    total = StagePercentilesSerializer()


class LatencyRecordSerializer(Serializer):
    order = IntegerField()
    trade = IntegerField(allow_null=True)
    latency_ms = number()
    decision_ms = number()
    acknowledgement_ms = number()
    fill_ms = number()
    execution_ms = number()
    total_ms = number()
    timestamp = instant()


class LatencySerializer(FiguresSerializer):
    unit = ChoiceField(choices=["ms"])
    stages = StagesSerializer()
    series = LatencyIntervalSerializer(many=True)
    records = LatencyRecordSerializer(many=True)


class SlippageBriefSerializer(Serializer):
    count = IntegerField()
    mean_bps = number()
    total_cost = AmountField()


class SlippageBySideSerializer(Serializer):
    buy = SlippageBriefSerializer()
    sell = SlippageBriefSerializer()


class SlippageBySymbolSerializer(SlippageBriefSerializer):
    symbol = CharField()


class WorstOrderSerializer(Serializer):
    order = IntegerField()
    bps = FloatField()
    cost = amount()


class SlippageIntervalSerializer(Serializer):
    start = InstantField()
    count = IntegerField()
    mean_bps = number()
    weighted_mean_bps = number()
    p50_bps = number()
    p95_bps = number()
    total_cost = AmountField()


class SlippageRecordSerializer(Serializer):
    order = IntegerField()
    trade = IntegerField(allow_null=True)
    symbol = CharField()
    side = ChoiceField(choices=["buy", "sell"])
    bps = number()
    cost = amount()
    delay_bps = number()
    execution_bps = number()
    expected_price = amount()
    arrival_price = amount()
    filled_price = amount()
    filled_quantity = amount()
    excluded = CharField(allow_null=True, help_text="why the order has no slippage")
    timestamp = instant()


class SlippageSerializer(FiguresSerializer):
    without_quantity = IntegerField()
    unit = ChoiceField(choices=["bps"])
    sign = CharField()
    mean_bps = number()
    weighted_mean_bps = number()
    p5_bps = number()
    p50_bps = number()
    p95_bps = number()
    p99_bps = number()
    worst_bps = number()
    best_bps = number()
    total_cost = AmountField()
    adverse_share = number()
    favourable_share = number()
    zero_share = number()
    split_count = IntegerField()
    delay_bps = number()
    execution_bps = number()
    by_side = SlippageBySideSerializer()
    by_symbol = SlippageBySymbolSerializer(many=True)
    worst = WorstOrderSerializer(many=True)
    series = SlippageIntervalSerializer(many=True)
    records = SlippageRecordSerializer(many=True)


class MaxDrawdownSerializer(Serializer):
    absolute = amount()
    percent = number()
    peak_at = instant()
    trough_at = instant()
    recovered_at = instant()


class EquityPointSerializer(Serializer):
    at = InstantField()
    equity = AmountField()
    drawdown = AmountField()


class PerformanceIntervalSerializer(Serializer):
    start = InstantField()
    trades = IntegerField()
    wins = IntegerField()
    losses = IntegerField()
    pnl = AmountField()
    fees = AmountField()
    win_rate = FloatField()
    equity = AmountField()
    drawdown = AmountField()


class PerformanceRecordSerializer(Serializer):
    trade = IntegerField()
    strategy = IntegerField()
    deployment = IntegerField()
    symbol = CharField()
    side = ChoiceField(choices=["long", "short"])
    result = AmountField()
    fees = AmountField()
    taken_at = InstantField()
    closed_at = InstantField()
    outcome = ChoiceField(choices=["win", "loss", "breakeven"])


class PerformanceSerializer(FiguresSerializer):
    trades = IntegerField()
    open_trades = IntegerField()
    wins = IntegerField()
    losses = IntegerField()
    breakevens = IntegerField()
    win_rate = number()
    win_rate_decided = number()
    gross_pnl = amount()
    fees = amount()
    pnl = amount()
    profit_factor = number()
    profit_factor_reason = CharField(allow_null=True)
    expectancy = amount()
    average_win = amount()
    average_loss = amount()
    best = amount()
    worst = amount()
    starting_capital = amount()
    return_pct = number()
    sharpe_ratio = number()
    sharpe_ratio_reason = CharField(allow_null=True)
    max_drawdown = MaxDrawdownSerializer()
    average_holding_seconds = number()
    slippage_cost = AmountField()
    equity_curve = EquityPointSerializer(many=True)
    series = PerformanceIntervalSerializer(many=True)
    records = PerformanceRecordSerializer(many=True)
