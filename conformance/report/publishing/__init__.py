"""Publishing: a report that may be published gets a place of its own below one directory, and an index of all of them.

Everything that is read here was written by someone else: records, and the names of meshes and versions in them, from
which the names of directories are made.
"""
