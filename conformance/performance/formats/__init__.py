"""Results of other load generators, read into one form."""

from conformance.performance.formats.foreign import Foreign, FormatError
from conformance.performance.formats.reading import TOOLS, read

__all__ = ["TOOLS", "Foreign", "FormatError", "read"]
