"""The Gateway API's own conformance suite beside ours: its outcomes read, and compared with a record test by test.

Two harnesses that judge the same behaviour of the same mesh should agree; where they do not, one of them is wrong, or
the text that both follow can be read in two ways. What nobody judged is never taken for agreement.
"""

from conformance.official.comparison import Compared, Comparison, Relation, compare
from conformance.official.errors import OfficialError
from conformance.official.events import Official, Test, TestOutcome, read_events
from conformance.official.profile import Claims, Profile, read_claims
from conformance.official.table import Pair, Pairs, Scope, pairs

__all__ = [
    "Claims", "Compared", "Comparison", "Official", "OfficialError", "Pair", "Pairs", "Profile", "Relation", "Scope",
    "Test", "TestOutcome", "compare", "pairs", "read_claims", "read_events",
]
