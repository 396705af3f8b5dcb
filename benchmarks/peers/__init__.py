"""
What the platform is compared with. Each reads the platform's own tables, checks the same bearer token, counts the
caller in the same Redis, runs with as many workers, and is written as its documentation recommends.
"""
