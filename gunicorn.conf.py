"""How the platform is served: one process with threads by default, several (WEB_CONCURRENCY) with REDIS_URL."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "support_platform.settings")
try:
    from support_platform import settings
except ImproperlyConfigured as error:
    sys.exit("\n".join(f"error: {line}" for line in str(error).splitlines()))

bind = f"{settings.HOST}:{settings.PORT}"
workers = settings.WORKERS
worker_class = "support_platform.worker.Worker"
logger_class = "support_platform.worker.ServerLog"
threads = settings.THREADS
preload_app = True  # once for all workers: they start at once and share its memory; SIGHUP reads no code anew
timeout = 60
graceful_timeout = 30
keepalive = 5
limit_request_line = 8190
limit_request_fields = 100
limit_request_field_size = 8190
# A header from whoever connects must not change the path or the scheme; proxies are counted by TRUSTED_PROXY_HOPS.
forwarded_allow_ips = "*" if settings.TRUSTED_PROXY_HOPS else ""
secure_scheme_headers = {"X-FORWARDED-PROTO": "https"}
forwarder_headers = ""
control_socket_disable = True  # nothing steers the server but its signals
logconfig_dict = settings.LOGGING


def when_ready(server):
    """script/run passes what to say once the server can be reached."""
    if "WELCOME" in os.environ:
        print(os.environ["WELCOME"], flush=True)  # noqa: T201


def post_worker_init(worker):
    """
    Errors that gunicorn itself answers are problems too. And each worker has a courier, so that no request waits for
    a mail server, and a keeper, so that none waits for blocks to be made; a mail or a rollup is claimed in the
    database, so it is done once. Started here, after the fork: threads do not survive one.
    """
    from django.conf import settings

    from support_platform import server

    server.answer_with_problems()
    if settings.MAIL_RETRY_IN_SERVER:
        from accounts import mail
        from analytics import keeping
        from support_platform.management.purge import purge

        worker.courier = mail.start_courier(housework=purge)
        worker.keeper = keeping.start_keeper()


def worker_exit(server, worker):
    """The requests are answered; a mail in hand may finish, within two seconds."""
    if hasattr(worker, "courier"):
        worker.keeper.stop()
        worker.courier.stop()
