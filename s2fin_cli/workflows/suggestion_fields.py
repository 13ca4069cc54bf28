"""The fields of the points that `suggest` writes and a report reads."""

from __future__ import annotations

#: The number of the place, 1 for the one that is worth most, and the class, which the user fills in.
RANK, CLASS = "rank", "class"
#: The likeliest class and its probability, and the same of the second.
LIKELIEST, PROB, SECOND, PROB_SECOND = "likeliest", "prob", "second", "prob_2nd"
#: Why the place was chosen.
WHY = "why"
