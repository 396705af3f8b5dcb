"""
What the console's pages are made of besides a row's own fields, in their order: panels of "home", and of each model's
rows, by their names, for the ground knows no app (panels.py). The settings take the tables from here.
"""

FIGURES = [f"analytics.panels.{figures}Panel" for figures in ("Performance", "Latency", "Slippage")]
PANELS = {
    "home": ["support_platform.console.home.AttentionPanel", "analytics.home.FiguresPanel"],
    "accounts.user": [
        "accounts.panels.ContactPanel",
        "trading.trader_panels.DeploymentsPanel",
        "trading.trader_panels.OpenTradesPanel",
        "trading.trader_panels.ClosedTradesPanel",
        "analytics.trader_panels.BaselinePanel",
        "analytics.trader_panels.OrdersPanel",
        *FIGURES,
        "trading.trader_panels.StrategiesPanel",
        "trading.trader_panels.ScannersPanel",
        "trading.trader_panels.TimelinePanel",
    ],
    "trading.strategy": [
        "trading.row_panels.DefinitionPanel",
        "trading.row_panels.MarketplacePanel",
        "trading.row_panels.StrategyDeploymentsPanel",
        *FIGURES,
        "trading.row_panels.StrategyTradesPanel",
    ],
    "trading.deployment": [
        "trading.row_panels.TroublePanel",
        "trading.row_panels.OpenTradesPanel",
        *FIGURES,
        "trading.row_panels.DeploymentTradesPanel",
        "trading.row_panels.DeploymentOrdersPanel",
        "trading.row_panels.ChangesPanel",
    ],
    "trading.trade": [
        "analytics.order_panels.TradeOrdersPanel",
        "trading.trade_panels.PricesPanel",
        "trading.trade_panels.ParametersThenPanel",
        "trading.trade_panels.CorrectionsPanel",
    ],
    "trading.order": [
        "analytics.order_panels.OrderLifePanel",
        "analytics.order_panels.ComparisonPanel",
        "trading.trade_panels.OrderHomePanel",
    ],
    "support_platform.auditevent": ["support_platform.panels.SameRequestPanel"],
    "trading.scanner": ["trading.row_panels.CriteriaPanel", "trading.row_panels.OtherScannersPanel"],
}

# Those of them that come after the page, by a request of their own: nobody waits for figures to see who a trader is.
LATER_PANELS = dict.fromkeys(("accounts.user", "trading.strategy", "trading.deployment"), FIGURES)

# What the home page looks for, and tells when there is some (home.py).
MATTERS = [
    "trading.home.DeploymentsInTrouble",
    "trading.home.InactiveWithDeployments",
    "trading.home.UnansweredOrders",
    "accounts.home.UndeliveredMails",
    "accounts.home.UnconfirmedEmails",
    "trading.home.RecentCorrections",
]
