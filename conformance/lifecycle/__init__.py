"""What happens to a cluster before and after a run: meshes are installed, removed, found and accounted for.

Every object that the harness applies carries the label of its run. Nothing else is ever deleted, except what a mesh's
description names as its leftovers, and then only by whoever installed it.
"""
