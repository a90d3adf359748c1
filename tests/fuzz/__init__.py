"""Feeds damaged and hostile files to everything that reads bytes from outside.

A target (`target.py`) makes inputs of a kind and reads them. Inputs are whole files with something
wrong in them (`damage.py`): random bytes would only test the first four. What must hold for each
(`guard.py`): it is read, or refused by the documented error with a sentence, in little time and
memory, and nothing of it runs. The targets are in files by subject, gathered in `targets.py`.

The test run (`test_fuzz.py`) takes a few fixed inputs a target. For more, new ones each time:

    python -m tests.fuzz --examples 10000                    # all targets
    python -m tests.fuzz --examples 10000 --target coco      # one

It prints how many inputs each target has seen. An input that breaks a rule is made as small as
possible, told, and ends its target. Mend the reader and add a test of the case beside its others;
`docs/security.md` has the table of what was found so far.
"""
