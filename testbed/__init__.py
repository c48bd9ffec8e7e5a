"""A real Kubernetes of one node, for this project's end-to-end proof: brought up and taken down without a trace.

`python -m testbed up | down | status | run -- COMMAND`; see `docs/testbed.md`. It needs root and lives in namespaces of
its own, so that the end of one process is the end of all of it:

    build, images       what it runs: binaries from Go modules, images from this machine's own packages
    layout              which paths, names and addresses it uses
    pki, settings       certificates, configuration files
    components, dns     command lines, and the objects of CoreDNS
    cgroups, processes  what the kernel shows of them
    holder, init        the namespaces, and process 1 in them
    node, ready         up and down, in `steps`; when it counts as up
    machine, refusal    what it must not change, and where it must not run
"""
