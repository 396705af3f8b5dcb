"""What the console asks before it changes an account."""

from django import forms
from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError
from rest_framework import serializers

from support_platform.console.forms import ReadableField, ReasonForm, RowForm
from support_platform.permissions import ROLES

from .models import Broker
from .serializers import EmailField, UpdateContactSerializer


class ContactForm(RowForm):
    input = UpdateContactSerializer
    rights = {"verified": "accounts.override_email_verification"}

    email = forms.CharField(label="E-mail", max_length=254)
    phone = forms.CharField(required=False, empty_value=None, max_length=16, help_text="Such as +4915112345678.")
    verified = forms.BooleanField(
        required=False,
        label="The new e-mail is verified",
        help_text="It then takes effect at once, without the link that its owner would follow.",
    )


TREATMENTS = [("leave", "Leave as they are"), ("pause", "Pause the active ones"), ("stop", "Stop all for good")]


class DeactivateForm(ReasonForm):
    deployments = forms.ChoiceField(choices=TREATMENTS, initial="leave", help_text="What becomes of the deployments.")


class TreatmentForm(ReasonForm):
    deployments = forms.ChoiceField(choices=TREATMENTS[1:], initial="pause")


class AddressField(forms.CharField):
    """An address by the API's own rule."""

    def __init__(self, **kwargs):
        super().__init__(label="E-mail", **kwargs)

    def clean(self, value):
        try:
            return EmailField().run_validation(super().clean(value))
        except serializers.ValidationError as error:
            raise ValidationError([str(detail) for detail in error.detail]) from None


class PasswordField(forms.CharField):
    def __init__(self, **kwargs):
        widget = forms.PasswordInput(attrs={"autocomplete": "new-password"})
        super().__init__(strip=False, max_length=1000, widget=widget, **kwargs)

    def clean(self, value):
        value = super().clean(value)
        if value:
            password_validation.validate_password(value)
        return value


class StaffForm(RowForm):
    email = AddressField()
    first_name = ReadableField(required=False, max_length=150)
    last_name = ReadableField(required=False, max_length=150)
    role = forms.ChoiceField(required=False, choices=[("", "none"), *((role, role) for role in ROLES)])
    broker = forms.ModelChoiceField(Broker.objects.order_by("name"), required=False, empty_label="all brokers")
    is_superuser = forms.BooleanField(required=False, label="Superuser")
    is_active = forms.BooleanField(required=False, label="Active")

    def prefill(self):
        super().prefill()
        self.initial["broker"] = self.row.broker_id
        self.initial["role"] = self.row.groups.values_list("name", flat=True).first() or ""

    def clean_role(self):
        role = self.cleaned_data["role"]
        if not role and self.initial["role"]:
            raise ValidationError("A role can be changed, not taken away. Deactivate the account instead.")
        return role


class NewPasswordForm(ReasonForm):
    password = PasswordField(label="New password", help_text=password_validation.password_validators_help_text_html)


class NewStaffForm(ReasonForm):
    email = AddressField()
    role = forms.ChoiceField(required=False, choices=[("", "none"), *((role, role) for role in ROLES)])
    broker = forms.ModelChoiceField(Broker.objects.order_by("name"), required=False, empty_label="all brokers")
    is_superuser = forms.BooleanField(required=False, label="Superuser", help_text="May do everything; needs no role.")
    password = PasswordField(help_text=password_validation.password_validators_help_text_html)

    def clean(self):
        cleaned = super().clean()
        if not cleaned.get("role") and not cleaned.get("is_superuser") and "role" in cleaned:
            self.add_error("role", "Choose a role; without one only a superuser can do anything.")
        return cleaned


class BrokerForm(RowForm):
    name = ReadableField(max_length=100)
    domain = ReadableField(required=False, max_length=253)
