"""
The platform's own server, so that what stands on it is compared and not the server: its worker needs nothing of Django.
"""

import os

bind = f"{os.environ['HOST']}:{os.environ['PORT']}"
workers = int(os.environ["WEB_CONCURRENCY"])
worker_class = "support_platform.worker.Worker"
logger_class = "support_platform.worker.ServerLog"
threads = int(os.environ["THREADS"])
keepalive = 5
control_socket_disable = True
