"""
The stage of the permission tables: two brokers with the same rows each, and everyone who may knock.

It is built once for a module's tests (fixture `stage`); what one of them changes is rolled back to here (`world`).
"""

from contextlib import contextmanager
from datetime import timedelta
from http.cookies import SimpleCookie

from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import connection, transaction
from django.utils import timezone

from accounts import operations, session_operations, staff_operations, tokens
from accounts.models import ApiSession, Broker, OutgoingMail, RecoveryCode, SecondFactor, User
from accounts.tests.factories import BrokerFactory, SecondFactorFactory, StaffFactory, SuperuserFactory, TraderFactory
from conftest import Api
from support_platform.audit import Actor
from support_platform.models import AuditEvent, IdempotencyRecord
from support_platform.tests.console import Console
from trading import operations as trading_operations
from trading.models import Deployment, Order, Scanner, Strategy, Trade
from trading.tests.factories import DeploymentFactory, OrderFactory, ScannerFactory, StrategyFactory, TradeFactory

SYSTEM = Actor(name="system")
NOBODY = 10**9  # an id that no row has
NO_SESSION = "00000000-0000-4000-8000-000000000000"

# Whoever is turned away at the door. All but the first and the last two are Agents of the home broker, whose token
# and console session were good until what their name says.
STRANGERS = ("anonymous", "expired", "revoked", "deactivated", "reactivated", "new role", "wrong door", "trader")
# Staff who get in, by broker and role: "foreign" of the other broker, "free" of none, who sees the traders of all.
STAFF = {
    "no role": ("own", None),
    "Viewer": ("own", "Viewer"),
    "Agent": ("own", "Agent"),
    "service": ("own", "Agent"),  # an Agent's service token
    "Supervisor": ("own", "Supervisor"),
    "foreign Agent": ("foreign", "Agent"),
    "foreign Supervisor": ("foreign", "Supervisor"),
    "free Agent": (None, "Agent"),
    "free Supervisor": (None, "Supervisor"),
    "superuser": (None, None),
}
# What a refused attempt must leave as it was.
KEPT = [
    model._meta.db_table
    for model in (
        Broker,
        User,
        User.groups.through,
        User.user_permissions.through,
        ApiSession,
        SecondFactor,
        RecoveryCode,
        OutgoingMail,
        Strategy,
        Deployment,
        Trade,
        Order,
        Scanner,
        IdempotencyRecord,
    )
]


def grid(text):
    """A block of a table, one line per target: {target: what each caller gets}. A "-" is no target."""
    lines = (line.split(maxsplit=1) for line in text.strip().splitlines())
    return {"" if target == "-" else target: line for target, line in lines}


class Home:
    """
    A broker, one of its staff, and the rows of its traders by the path of their resource.

    What takes a row in another state finds that row by its own name (strategies/restore).
    """

    def __init__(self, name):
        self.broker = BrokerFactory(name=name)
        self.colleague = StaffFactory(broker=self.broker, role="Supervisor")
        SecondFactorFactory(user=self.colleague)
        trader = TraderFactory(broker=self.broker, phone=f"+4915112345{len(name)}", last_name=name)
        waiting = TraderFactory(broker=self.broker, pending_email=f"new@{name.lower()}.example")
        strategy = StrategyFactory(user=trader)
        deployment = DeploymentFactory(user=trader, strategy=strategy)
        trade, now = TradeFactory(deployment=deployment), timezone.now()
        self.rows = {
            "users": trader,
            "users/pending-email": waiting,
            "users/cancel_email_change": waiting,
            "users/activate": TraderFactory(broker=self.broker, is_active=False),
            "users/treat_deployments": DeploymentFactory(user__broker=self.broker, user__is_active=False).user,
            "strategies": StrategyFactory(user=trader),
            "strategies/unpublish": StrategyFactory(user=trader, published_at=now),
            "strategies/restore": StrategyFactory(user=trader, deleted_at=now),
            "deployments": deployment,
            "deployments/resume": DeploymentFactory(user=trader, strategy=strategy, status="paused"),
            "trades": trade,
            "orders": OrderFactory(user=trader, strategy=strategy, deployment=deployment, trade=trade),
            "scanners": ScannerFactory(user=trader),
            "scanners/restore": ScannerFactory(user=trader, deleted_at=now),
        }
        by = Actor.of(self.colleague, reason=f"asked at {name}", request_id=name)
        operations.change_contact(trader, by=by, phone=f"+4915112346{len(name)}")
        self.rows["audit"] = AuditEvent.objects.latest("id")
        trading_operations.correct_trade(trade, by=by, result=trade.result + 1)
        operations.reset_password(waiting, by=by)
        session_operations.log_in(self.colleague, by=by)
        for row in self.rows.values():
            row.refresh_from_db()
        # What has a page in the console alone.
        self.rows["brokers"] = self.broker
        self.rows["staff"] = self.colleague
        self.rows["sessions"] = self.colleague.api_sessions.get()
        self.rows["mails"] = OutgoingMail.objects.get(user=waiting)

    def row(self, path):
        """The row for a call below /api/v1/ such as strategies/{id}/restore/, or for an operation of the console."""
        name = path.partition("?")[0].replace("{id}/", "").strip("/")
        return self.rows.get(name) or self.rows[name.partition("/")[0]]


class World:
    def __init__(self):
        self.own, self.foreign = Home("Home"), Home("Abroad")
        self.peer, self.root = self.own.colleague, SuperuserFactory()
        self.people = {name: self._person(name) for name in (*STRANGERS[1:], *STAFF)}
        for superuser in (self.root, self.people["superuser"]):
            SecondFactorFactory(user=superuser)
        tokens_of = {name: self._token(name, user) for name, user in self.people.items()}
        self.apis = {"anonymous": Api(), **{name: Api(token=token) for name, token in tokens_of.items()}}
        self.consoles = {"anonymous": Console(), **{name: Console(user) for name, user in self.people.items()}}
        for doors in (self.apis, self.consoles):
            for door in doors.values():
                door.client.handler = doors["anonymous"].client.handler  # each would load the middleware anew
        self._swap_keys("wrong door")
        self._end_what_strangers_held()
        self.cookies = {name: console.client.cookies.output(header="") for name, console in self.consoles.items()}
        self.gone = self._gone()
        self.events = {
            "staff": self._told_of(self.peer),
            "free-staff": self._told_of(self.people["free Agent"]),
        }
        self.state = state()
        self.last_event = AuditEvent.objects.latest("id").pk
        self.has_written = True  # unless a moment knows better

    def _person(self, name):
        if name == "trader":
            return self.own.rows["users"]
        if name == "superuser":
            return SuperuserFactory()
        home, role = STAFF.get(name, ("own", "Agent"))
        return StaffFactory(broker=getattr(self, home).broker if home else None, role=role)

    def _token(self, name, user):
        by = Actor.of(user)
        if name == "service":
            return session_operations.create_service_token(user, 30, by=by)[0]
        if name not in ("expired", "trader"):
            return session_operations.log_in(user, by=by)["access"]
        # As only our own server could sign it.
        session = ApiSession(user=user, session_version=user.session_version)
        session.expires_at = timezone.now() + timedelta(hours=1)
        session.save(force_insert=True)
        lifetime = timedelta(minutes=-1 if name == "expired" else 15)
        return tokens.issue("access", session, lifetime=lifetime)[0]

    def _swap_keys(self, name):
        """The console's cookie goes to the API, and the API's token to the console."""
        api, console = self.apis[name].client, self.consoles[name].client
        api.cookies, console.cookies = console.cookies, api.cookies
        console.defaults["HTTP_AUTHORIZATION"] = self.apis[name].headers.pop("Authorization")

    def _end_what_strangers_held(self):
        people = self.people
        session_operations.revoke_session(people["revoked"].api_sessions.get(), by=SYSTEM)
        self.consoles["revoked"].client.session.delete()
        expired = Session.objects.filter(session_key=self.consoles["expired"].client.session.session_key)
        expired.update(expire_date=timezone.now() - timedelta(minutes=1))
        staff_operations.change_staff(people["new role"], by=SYSTEM, role="Supervisor")
        for name, is_active in (("deactivated", False), ("reactivated", False), ("reactivated", True)):
            staff_operations.change_staff(people[name], by=SYSTEM, is_active=is_active)

    def _gone(self):
        """The id of an account that was there once."""
        account = TraderFactory(broker=self.own.broker)
        pk = account.pk
        account.delete()
        return pk

    def _told_of(self, staff):
        """An event about a staff account."""
        staff_operations.change_staff(staff, by=Actor.of(self.root), first_name="Kim")
        return AuditEvent.objects.latest("id")

    # --- who knocks, and at what ---------------------------------------------------------------------
    def api(self, actor):
        return self.apis[actor]

    def console(self, actor):
        console = self.consoles[actor]
        console.client.cookies = SimpleCookie(self.cookies[actor])  # without what earlier answers set
        return console

    def id_of(self, target, path, actor):
        """The id that `target` stands for in a call or page of this path, asked by this actor."""
        if target in ("own", "foreign"):
            return getattr(self, target).row(path).pk
        if target in self.events:
            return self.events[target].pk
        if target == "self" and path.startswith("audit"):
            own = AuditEvent.objects.filter(actor_id=self.account(actor).pk).order_by("id").first()
            return own.pk if own else NOBODY
        if target == "nobody" and path.startswith("sessions"):
            return NO_SESSION
        accounts = {
            "peer": self.peer,
            "superuser": self.root,
            "self": self.account(actor),
            "trader": self.own.rows["users"],
        }
        return accounts[target].pk if target in accounts else {"gone": self.gone, "nobody": NOBODY}[target]

    def email_of(self, target, actor):
        if target in ("own", "foreign"):
            return getattr(self, target).row("users").email
        accounts = {"peer": self.peer, "superuser": self.root, "self": self.account(actor)}
        return accounts[target].email if target in accounts else f"{target}@demo.example"

    def account(self, actor):
        return self.people.get(actor, self.peer)  # anonymous has none: any

    # --- what became of it ---------------------------------------------------------------------------
    @contextmanager
    def moment(self):
        """For one attempt: limits are full before it, and it is undone after it."""
        cache.clear()
        self.has_written = False
        with transaction.atomic(), connection.execute_wrapper(self._watch):
            yield
            transaction.set_rollback(True)

    def _watch(self, execute, sql, params, many, context):
        """What only reads keeps nothing, so that most attempts need no comparison of all rows."""
        self.has_written |= not sql.startswith(("SELECT", "SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT"))
        return execute(sql, params, many, context)

    def told(self):
        """The events since the stage was set: (those of changes, those of refused attempts)."""
        events = list(AuditEvent.objects.filter(pk__gt=self.last_event).order_by("pk"))
        is_refusal = [event.action.endswith(".attempt_refused") for event in events]
        return (
            [event for event, refused in zip(events, is_refusal, strict=True) if not refused],
            [event for event, refused in zip(events, is_refusal, strict=True) if refused],
        )

    def assert_nothing_kept(self, *, attempts=0):
        """No row, no mail, and no event but this many of refused attempts."""
        if self.has_written or attempts:
            changes, refused = self.told()
            assert changes == []
            assert len(refused) == attempts
            assert state() == self.state


def state():
    """Every row of the tables in KEPT, as the database has it."""
    rows = {}
    with connection.cursor() as cursor:
        for table in KEPT:
            cursor.execute(f"SELECT * FROM {table} ORDER BY 1")
            rows[table] = cursor.fetchall()
    return rows
