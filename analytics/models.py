"""
What the figures of large scopes are folded from: blocks of rows added up, and a journal of what has moved since.

The journal is written by triggers on trading's tables, in the transaction of whoever writes there, so that it becomes
visible exactly when the change does. Nothing here says anything that trading's rows do not: all of it can be made anew
from them (manage.py rebuild_rollups). How they stay equal: docs/decisions/0014-rollups.md.
"""

from django.db import models


class Rollup(models.Model):
    """The blocks of one scope. `version` counts their changes, so that of two who bring them up to date one does."""

    class Kind(models.TextChoices):
        PERFORMANCE = "performance"
        LATENCY = "latency"
        SLIPPAGE = "slippage"

    kind = models.CharField(max_length=11, choices=Kind)
    scope = models.CharField(max_length=10)  # user | strategy | deployment
    scope_id = models.BigIntegerField()
    version = models.PositiveBigIntegerField(default=0)
    claimed_until = models.DateTimeField(null=True, help_text="until then a server is making the blocks in advance")

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["kind", "scope", "scope_id"], name="rollup_once_per_scope")]

    def __str__(self):
        return f"{self.kind} of {self.scope} {self.scope_id}"

    def touches(self):
        """What the journal tells of this scope and is not yet worked in."""
        return Touch.objects.filter(kind=self.kind, scope=self.scope, scope_id=self.scope_id).order_by("id")


class Answer(models.Model):
    """
    What all blocks of a rollup fold to, kept so that they are not read and folded for each answer. It holds for this
    version of the rollup, and only while the journal tells nothing of its scope.
    """

    rollup = models.OneToOneField(Rollup, on_delete=models.CASCADE, primary_key=True)
    version = models.PositiveBigIntegerField()
    folded = models.TextField()

    class Meta:
        default_permissions = ()

    def __str__(self):
        return f"{self.rollup}, all time"


class BlockModel(models.Model):
    """
    The rows that follow the block before, up to the instant `last`, packed by `blocks`, `latency_blocks` or
    `slippage_blocks`.

    Instants in microseconds since 1970.
    """

    rollup = models.ForeignKey(Rollup, on_delete=models.CASCADE)
    first = models.BigIntegerField()
    last = models.BigIntegerField()
    size = models.BigIntegerField(help_text="in rows")
    figures = models.TextField()

    class Meta:
        abstract = True
        default_permissions = ()

    def __str__(self):
        return f"{self.rollup} up to {self.last}"


class PerformanceBlock(BlockModel):
    steps = models.BinaryField()

    class Meta(BlockModel.Meta):
        constraints = [models.UniqueConstraint(fields=["rollup", "last"], name="performance_block_once")]


class GroupedBlockModel(BlockModel):
    """Of level 1: some blocks of level 0 in one, so that a long span takes few rows."""

    level = models.PositiveSmallIntegerField()

    class Meta(BlockModel.Meta):
        abstract = True
        constraints = [models.UniqueConstraint(fields=["rollup", "level", "last"], name="%(class)s_once")]


class LatencyBlock(GroupedBlockModel):
    pass


class SlippageBlock(GroupedBlockModel):
    pass


class Touch(models.Model):
    """
    A note of the journal: rows of the scope have changed from the instant `low` to `high`, or something of the trades
    from the id `first_trade` to `last_trade`, whenever these close.
    """

    kind = models.CharField(max_length=11, choices=Rollup.Kind)
    scope = models.CharField(max_length=10)
    scope_id = models.BigIntegerField()
    low = models.DateTimeField(null=True)
    high = models.DateTimeField(null=True)
    first_trade = models.BigIntegerField(null=True)
    last_trade = models.BigIntegerField(null=True)

    class Meta:
        default_permissions = ()
        verbose_name_plural = "touches"
        indexes = [models.Index(fields=["scope_id", "scope", "kind"], name="touch_scope")]

    def __str__(self):
        return f"{self.kind} of {self.scope} {self.scope_id}"
