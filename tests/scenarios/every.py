"""All scenarios, by section of scenarios.md."""

from tests.scenarios import (
    a_basic,
    b_attempts,
    c_forking,
    d_races,
    e_inside,
    f_transfers,
    g_messages,
    h_partial,
    i_identity,
    j_never,
    k_syntax,
    l_sfb,
    n_later,
)
from tests.scenarios.notation import Scenario

SCENARIOS: list[Scenario] = [
    *a_basic.SCENARIOS,
    *b_attempts.SCENARIOS,
    *c_forking.SCENARIOS,
    *d_races.SCENARIOS,
    *e_inside.SCENARIOS,
    *f_transfers.SCENARIOS,
    *g_messages.SCENARIOS,
    *h_partial.SCENARIOS,
    *i_identity.SCENARIOS,
    *j_never.SCENARIOS,
    *k_syntax.SCENARIOS,
    *l_sfb.SCENARIOS,
    *n_later.SCENARIOS,
]

NUMBERS = list(dict.fromkeys(each.number for each in SCENARIOS))
"""Their numbers, in order."""
