"""
The fault harness: what the platform promises under load, races and failure, measured on real servers.

`python -m faults` lists the figures, `python -m faults NAME` measures one; docs/reliability.md says what each means.
Nothing here imports the platform: it is spoken to over HTTP, its commands and its database, as an outsider would.
"""
