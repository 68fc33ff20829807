"""A catalog collects actions and refuses, when it is made, what could not work at a call."""

from importlib.metadata import EntryPoint

import pytest

from remit.actions import Catalog, action, per_call
from remit.actions import catalog as catalog_module
from remit.errors import DefinitionError

from . import shop
from .shop import Books, look_up_hours, refund_payment, ship_parcel


def act(**declared):
    def recall_parcel() -> None:
        """Recall a parcel."""

    return action(**{"key": per_call, "owns": None, "owns_reason": "a test", **declared})(recall_parcel)


def test_sources_of_every_kind(monkeypatch):
    point = EntryPoint("shop", "tests.actions.shop", "remit.actions")
    monkeypatch.setattr(catalog_module, "entry_points", lambda group: [point] if group == "remit.actions" else [])
    monkeypatch.setattr(EntryPoint, "load", lambda _self: shop)
    recall = act()
    every = Catalog([shop, recall, look_up_hours, Catalog([refund_payment]), [ship_parcel, recall], "entry:remit.actions"])
    assert list(every) == ["look_up_hours", "recall_parcel", "refund_payment", "ship_parcel"]
    assert every["refund_payment"] is refund_payment
    assert (len(every), every.get("nothing"), every.suggest("refund_paiment")) == (4, None, "refund_payment")


def test_two_actions_of_one_name():
    with pytest.raises(
        DefinitionError, match=r"called 'refund_payment': .*shop\.refund_payment and .*recall_parcel; give one another name"
    ):
        Catalog([refund_payment, act(name="refund_payment")])


def test_undo_must_be_registered():
    with pytest.raises(DefinitionError, match="undo='recall_parcel' is not registered; register"):
        Catalog([ship_parcel])
    with pytest.raises(DefinitionError, match="did you mean 'recall_parcels'"):
        Catalog([ship_parcel, act(name="recall_parcels")])


@pytest.mark.parametrize("source", [42, "remit.actions", print, [42]])
def test_other_sources(source):
    with pytest.raises(DefinitionError, match="no source of actions"):
        Catalog([source])


def test_resources_are_bound_by_type():
    books = Books({})
    assert Catalog([refund_payment]).bind([books, "something else"]) == {shop.Payments: books}
    with pytest.raises(DefinitionError, match=r"refund_payment \(books\) needs a Payments and no resource is one; pass one"):
        Catalog([refund_payment]).bind([])
    with pytest.raises(DefinitionError, match="2 resources are one"):
        Catalog([refund_payment]).bind([books, Books({})])
