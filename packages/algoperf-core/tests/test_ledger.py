from hypothesis import given
from hypothesis import strategies as st

from algoperf_core.ledger import Account, Ledger
from algoperf_core.testing import FakeClock


def test_ledger_starts_with_set_up(clock):
    ledger = Ledger(clock)
    clock.advance(2.0)
    ledger.charge()
    assert ledger.entries() == {"set_up": 2.0, "submission": 0.0, "evaluation": 0.0, "logging": 0.0}


def test_switch_charges_the_account_that_was_open(clock):
    ledger = Ledger(clock)
    ledger.switch(Account.SUBMISSION)
    clock.advance(3.0)
    ledger.switch(Account.EVALUATION)
    clock.advance(5.0)
    ledger.switch(Account.SUBMISSION)
    assert ledger.seconds(Account.SUBMISSION) == 3.0
    assert ledger.seconds(Account.EVALUATION) == 5.0


@given(st.lists(st.tuples(st.sampled_from(list(Account)), st.floats(0, 1e4))))
def test_accounts_add_up_to_the_total_whatever_happens(moves):
    clock = FakeClock()
    ledger = Ledger(clock)
    for account, seconds in moves:
        ledger.switch(account)
        clock.advance(seconds)
    ledger.charge()
    assert abs(sum(ledger.entries().values()) - ledger.total_s) <= 1e-6
    assert abs(ledger.total_s - (clock() - 100.0)) <= 1e-6
