"""Twenty clients at once, each with a vocabulary of its own: nobody gets another's answer."""

import os

import pytest

from benchmarks.demo_load import run_load

CLIENTS = 20
# What an allocator may keep more after hundreds of passes; a leak of one result each is far more.
MEGABYTES_KEPT = 50


@pytest.mark.slow
def test_twenty_clients_get_their_own_answers_and_the_memory_comes_back():
    """For two minutes, or as long as SCORE_LOAD_SECONDS says."""
    load = run_load(CLIENTS, float(os.environ.get("SCORE_LOAD_SECONDS", 120)))
    assert load.wrong == 0 and load.errors == []
    assert load.answers >= CLIENTS
    assert load.megabytes_after <= load.megabytes_before + MEGABYTES_KEPT
