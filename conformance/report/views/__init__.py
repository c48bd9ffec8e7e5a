"""The commands `mesh-conformance report …`, one module each: `add_options(parser)` and `run(chosen) -> int`.

They read records from files or `-`, and write to standard output, so that they compose by pipes.
"""
