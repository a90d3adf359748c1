from score_hf.demo.waiting import CANCELLED, told_failure


def test_the_end_of_a_cancelled_run_is_no_failure():
    assert told_failure(CANCELLED) == CANCELLED
    assert told_failure("Looking for them …") == "That did not work: see the message."
