"""Service Mesh Performance (SMP): its messages read, written and checked, and a score in MeshMark's spirit.

Source: the protocol buffers of SMP v0.6.1, package `smp`, which are the only schema that was published.
"""
