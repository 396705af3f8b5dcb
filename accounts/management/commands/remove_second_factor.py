from accounts import second_factor_operations
from accounts.commands import find_staff
from accounts.models import SecondFactor
from support_platform.commands import ActingCommand
from support_platform.retries import retried


class Command(ActingCommand):
    help = (
        "Forget the second factor of a staff account whose owner has lost the device and the recovery codes, and end "
        "its tokens and sessions. The password then opens the console again, or, where a second factor is required, "
        "the page to set one up. Make sure that it is the owner who asks."
    )

    def add_arguments(self, parser):
        parser.add_argument("email")

    def run(self, *, email, **options):
        staff = find_staff(email)
        had_one = SecondFactor.objects.filter(user=staff).exists()
        retried(second_factor_operations.remove_second_factor, staff, by=self.by)
        return {"id": staff.pk, "email": staff.email, "removed": had_one}

    def show(self, outcome):
        if outcome["removed"]:
            self.say(f"The second factor of {outcome['email']} is removed; its tokens and sessions are ended.")
        else:
            self.say(f"{outcome['email']} has no second factor; nothing was changed.")
