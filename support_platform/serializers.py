from rest_framework import serializers

from .fields import InstantField
from .models import AuditEvent


class AuditEventSerializer(serializers.ModelSerializer):
    at = InstantField()
    changes = serializers.DictField(
        child=serializers.ListField(min_length=2, max_length=2),
        help_text="field -> [before, after]",
    )

    class Meta:
        model = AuditEvent
        fields = [
            "id",
            "at",
            "actor",
            "actor_id",
            "broker",
            "action",
            "subject_type",
            "subject_id",
            "user",
            "changes",
            "reason",
            "request_id",
            "source",
            "ip",
        ]


class LimitSerializer(serializers.Serializer):
    bucket = serializers.CharField()
    key = serializers.CharField(help_text="what the bucket counts by")
    limit = serializers.IntegerField(help_text="requests in one window")
    window_seconds = serializers.IntegerField()
    remaining = serializers.IntegerField(
        allow_null=True, help_text="null where the bucket is not the caller's own, as for a reset's target"
    )
    reset_seconds = serializers.IntegerField(allow_null=True, help_text="until the window ends")


class LimitsSerializer(serializers.Serializer):
    limits = LimitSerializer(many=True)
