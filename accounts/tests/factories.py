import factory
from django.contrib.auth.models import Group

from accounts import second_factor
from accounts.models import Broker, RecoveryCode, SecondFactor, User

PASSWORD = "correct horse battery"


class BrokerFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Broker

    name = factory.Sequence(lambda n: f"Broker {n}")
    domain = factory.Sequence(lambda n: f"broker{n}.example")


class AccountFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = User
        abstract = True

    first_name = "Test"
    last_name = factory.Sequence(lambda n: f"Person {n}")
    password = factory.django.Password(PASSWORD)


class TraderFactory(AccountFactory):
    class Meta:
        model = User

    email = factory.Sequence(lambda n: f"trader{n}@demo.example")
    broker = factory.SubFactory(BrokerFactory)


class StaffFactory(AccountFactory):
    class Meta:
        model = User
        skip_postgeneration_save = True

    email = factory.Sequence(lambda n: f"staff{n}@desk.example")
    is_staff = True

    @factory.post_generation
    def role(self, create, extracted, **kwargs):
        if extracted:
            self.groups.add(Group.objects.get(name=extracted))


class SuperuserFactory(AccountFactory):
    class Meta:
        model = User

    email = factory.Sequence(lambda n: f"root{n}@desk.example")
    is_staff = True
    is_superuser = True


KEY = b"of the tests' phone!"


class SecondFactorFactory(factory.django.DjangoModelFactory):
    """A device that shows codes of KEY, none of them used yet, and one recovery code."""

    class Meta:
        model = SecondFactor
        skip_postgeneration_save = True

    sealed_key = factory.LazyAttribute(lambda factor: second_factor.seal(KEY, factor.user.pk))
    last_step = -1

    @factory.post_generation
    def recovery_code(self, create, extracted, **kwargs):
        digest = second_factor.digest_of(extracted or "abcd-efgh-ijkl-mnop")
        RecoveryCode.objects.create(factor=self, digest=digest)
