"""The same kind of server as the platform's: processes with threads, connections kept alive."""

import os

bind = f"{os.environ['HOST']}:{os.environ['PORT']}"
workers = int(os.environ["WEB_CONCURRENCY"])
worker_class = "gthread"
threads = int(os.environ["THREADS"])
keepalive = 5
control_socket_disable = True
