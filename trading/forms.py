"""What the console asks before it changes what traders made."""

from django import forms

from support_platform.console.forms import InstantField, NumberField, ReasonForm, RowForm

from .models import Deployment
from .serializers import CorrectTradeSerializer, UpdateDeploymentSerializer

STATUS, PARAMETERS = "trading.control_deployment", "trading.change_deployment"


class DeploymentForm(RowForm):
    input = UpdateDeploymentSerializer
    rights = {
        "status": STATUS,
        **dict.fromkeys(
            ("quantity", "stop_loss_pct", "take_profit_pct", "max_open_trades", "order_type", "capital"), PARAMETERS
        ),
    }

    status = forms.ChoiceField(choices=Deployment.Status.choices, help_text="Stopped is final.")
    quantity = NumberField(required=False)
    stop_loss_pct = NumberField(required=False, label="Stop loss %", help_text="More than 0, at most 100; or empty.")
    take_profit_pct = NumberField(required=False, label="Take profit %", help_text="As the stop loss.")
    max_open_trades = forms.IntegerField()
    order_type = forms.ChoiceField(choices=Deployment.OrderType.choices)
    capital = NumberField(required=False)


class DeleteStrategyForm(ReasonForm):
    stop_deployments = forms.BooleanField(
        required=False, label="Stop its deployments", help_text="Without this, a strategy that still runs is kept."
    )


class CorrectionForm(RowForm):
    input = CorrectTradeSerializer

    taken_at = InstantField()
    closed_at = InstantField(required=False, help_text="Empty: the trade is open again, and its result is cleared.")
    strike = NumberField(required=False)
    result = NumberField(required=False, help_text="Profit or loss in account currency, net of fees.")
