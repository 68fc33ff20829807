"""Each person fills one seat of one approval, and as many seats are filled as can be."""

from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.policies import Seats, filled

FINANCE, LEADS = frozenset({"finance"}), frozenset({"finance-leads"})
BOTH = FINANCE | LEADS


@pytest.mark.parametrize(
    ("seats", "voters", "gives"),
    [
        ([Seats(FINANCE, 1)], {}, (0,)),
        ([], {"ana": FINANCE}, ()),
        ([Seats(FINANCE, 2)], {"ana": FINANCE}, (1,)),
        ([Seats(FINANCE, 1)], {"ana": FINANCE, "ben": FINANCE}, (1,)),
        ([Seats(FINANCE, 1)], {"ana": LEADS}, (0,)),
        ([Seats(FINANCE, 1), Seats(LEADS, 1)], {"ana": BOTH}, (1, 0)),
        ([Seats(FINANCE, 1), Seats(LEADS, 1)], {"ana": BOTH, "ben": FINANCE}, (1, 1)),
        ([Seats(LEADS, 1), Seats(FINANCE, 1)], {"ana": BOTH, "ben": LEADS}, (1, 1)),
        ([Seats(BOTH, 2), Seats(LEADS, 1)], {"ana": BOTH, "ben": LEADS, "cas": FINANCE}, (2, 1)),
    ],
)
def test_seats_are_filled(seats, voters, gives):
    assert filled(seats, voters) == gives


def most(seats, voters) -> int:
    """Try every way of seating everybody: what is right, however slow."""
    best = 0
    for placed in product([None, *range(len(seats))], repeat=len(voters)):
        sound = all(at is None or roles & seats[at].roles for at, roles in zip(placed, voters.values(), strict=True))
        if sound and all(placed.count(at) <= one.votes for at, one in enumerate(seats)):
            best = max(best, sum(at is not None for at in placed))
    return best


def greedy(seats, voters):
    """Seat each person at the first free seat, and never move anybody."""
    taken = [0] * len(seats)
    for roles in voters.values():
        at = next((at for at, one in enumerate(seats) if roles & one.roles and taken[at] < one.votes), None)
        if at is not None:
            taken[at] += 1
    return tuple(taken)


def is_the_most(count, seats, voters) -> None:
    taken = count(seats, voters)
    assert sum(taken) == most(seats, voters)
    assert all(number <= one.votes for number, one in zip(taken, seats, strict=True))


roles = st.frozensets(st.sampled_from("abc"), min_size=1, max_size=3)


@given(
    st.lists(st.builds(Seats, roles, st.integers(1, 2)), max_size=3),
    st.dictionaries(st.sampled_from("uvwxy"), roles | st.just(frozenset()), max_size=5),
)
def test_no_other_way_of_seating_people_fills_more(seats, voters):
    is_the_most(filled, seats, voters)


def test_control_seating_whoever_comes_first_is_caught():
    with pytest.raises(AssertionError):
        is_the_most(greedy, [Seats(FINANCE, 1), Seats(LEADS, 1)], {"ana": BOTH, "ben": FINANCE})


def test_the_order_of_votes_never_matters():
    seats, voters = [Seats(FINANCE, 1), Seats(LEADS, 1)], {"ana": BOTH, "ben": FINANCE, "cas": LEADS}
    assert {filled(seats, dict(each)) for each in permutations(voters.items())} == {(1, 1)}
