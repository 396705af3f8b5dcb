import re

from django.core.exceptions import ValidationError as DjangoValidationError
from django.core.validators import validate_email
from rest_framework import serializers

from support_platform.fields import (
    BooleanField,
    ChoiceField,
    InstantField,
    PatchSerializer,
    StrictSerializer,
)
from support_platform.text import check_text

from .models import User

# E.164: a plus, the country code, at most 15 digits in all.
PHONE = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)


class EmailField(serializers.Field):
    """
    An address; stored and answered in lower case.

    Django's validator lets control characters pass in a quoted local part and direction controls in a domain.
    """

    default_error_messages = {"invalid": "Give an e-mail address of at most 254 characters."}
    json_schema = {"type": "string", "format": "email", "maxLength": 254}

    def to_internal_value(self, data):
        if not isinstance(data, str):
            self.fail("invalid")
        address = data.lower()  # first: lower case can be longer
        try:
            validate_email(check_text(address, 254))
        except (DjangoValidationError, ValueError):
            self.fail("invalid")
        if not address.rpartition("@")[0].isascii():
            self.fail("invalid")
        return address

    def to_representation(self, value):
        return value


class PhoneField(serializers.Field):
    """A phone number in E.164."""

    default_error_messages = {"invalid": "Give the number in E.164, such as +4915112345678."}
    json_schema = {"type": "string", "pattern": f"^{PHONE.pattern}$", "description": "E.164, such as +4915112345678."}

    def to_internal_value(self, data):
        if not isinstance(data, str) or not PHONE.fullmatch(data):
            self.fail("invalid")
        return data

    def to_representation(self, value):
        return value


class SecretField(serializers.Field):
    """A password or a token: a string, never answered."""

    default_error_messages = {"invalid": "Give a string of 1 to {maximum} characters."}

    def __init__(self, *, maximum, **kwargs):
        super().__init__(write_only=True, **kwargs)
        self.maximum = maximum
        self.json_schema = {"type": "string", "format": "password", "minLength": 1, "maxLength": maximum}

    def to_internal_value(self, data):
        if not isinstance(data, str) or not 1 <= len(data) <= self.maximum:
            self.fail("invalid", maximum=self.maximum)
        return data


class UserSerializer(serializers.ModelSerializer):
    status = serializers.ChoiceField(choices=User.Status.choices, read_only=True)
    created_at = InstantField()
    last_login = InstantField()

    class Meta:
        model = User
        fields = [
            "id",
            "email",
            "pending_email",
            "phone",
            "first_name",
            "last_name",
            "broker",
            "status",
            "created_at",
            "last_login",
            "version",
        ]


class UpdateContactSerializer(PatchSerializer):
    email = EmailField(required=False)
    phone = PhoneField(required=False, allow_null=True)
    verified = BooleanField(required=False)

    def validate(self, attrs):
        if "verified" in attrs and "email" not in attrs:
            raise serializers.ValidationError(
                {"verified": [serializers.ErrorDetail("Goes with email; give both.", code="invalid")]}
            )
        return super().validate(attrs)


class SetStatusSerializer(StrictSerializer):
    status = ChoiceField(choices=User.Status.values)
    deployments = ChoiceField(choices=["leave", "pause", "stop"], required=False)

    def validate(self, attrs):
        if attrs["status"] == User.Status.ACTIVE and attrs.get("deployments", "leave") != "leave":
            raise serializers.ValidationError(
                {"deployments": [serializers.ErrorDetail("Only with status inactive.", code="invalid")]}
            )
        return attrs


class StatusAnswerSerializer(UserSerializer):
    sessions_revoked = serializers.IntegerField()
    deployments_paused = serializers.IntegerField()
    deployments_stopped = serializers.IntegerField()

    class Meta(UserSerializer.Meta):
        fields = [
            *UserSerializer.Meta.fields,
            "sessions_revoked",
            "deployments_paused",
            "deployments_stopped",
        ]


class PasswordResetAnswerSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    sent_to = serializers.CharField(help_text="masked: the first letter and the domain")
    expires_at = serializers.DateTimeField()


class LoginSerializer(StrictSerializer):
    email = EmailField()
    password = SecretField(maximum=1000)


class RefreshSerializer(StrictSerializer):
    refresh = SecretField(maximum=4096)


class RevokeSerializer(StrictSerializer):
    refresh = SecretField(maximum=4096, required=False)


class RevocationSerializer(serializers.Serializer):
    revoked_at = InstantField()


class TokenPairSerializer(serializers.Serializer):
    access = serializers.CharField()
    refresh = serializers.CharField()
