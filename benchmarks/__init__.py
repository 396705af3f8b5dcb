"""
The benchmarks: what a request costs here and in its peers, side by side on one machine.

`python -m benchmarks` lists the figures, `python -m benchmarks NAME` measures one; docs/performance.md says what each
means. Nothing here imports the platform: it is spoken to over HTTP and by its commands, like its peers.
"""
