"""What a prober sent and did not live to hear of is no loss of the network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from probes.flows import ANSWERED, FORWARDING_DELAY_THRESHOLD_NS, LOST, NOT_SENT
from tests.scenarios.made import END, STEP, trace

states = st.lists(st.sampled_from([ANSWERED, LOST, NOT_SENT]), min_size=END, max_size=END)


@given(states=states, until=st.integers(0, 2 * END))
def test_what_had_less_than_two_seconds_to_be_answered_is_not_known_to_be_lost(states: list[int], until: int) -> None:
    made = replace(trace(), state=np.array(states, np.uint8))
    found = made.heard_until(until * STEP)
    soon = made.due > until * STEP - FORWARDING_DELAY_THRESHOLD_NS
    assert np.all(found.state[soon] != LOST)
    assert np.all(found.state[~soon] == made.state[~soon]), "what was lost before is lost"
    assert np.all(found.state[made.state != LOST] == made.state[made.state != LOST])
    assert found.state.dtype == np.uint8
