"""Descriptions come from docstrings of the three common styles."""

import pytest

from remit.actions.docstring import parse_docstring

GOOGLE = """Refund a payment.

    To the card it came from.

    Args:
        payment_id: The payment,
            as the provider names it.
        amount (Money): How much: in full or in part.

    Returns:
        The refund.
    """
NUMPY = """Refund a payment.

    To the card it came from.

    Parameters
    ----------
    payment_id : str
        The payment,
        as the provider names it.
    amount : Money, optional
        How much: in full or in part.

    Returns
    -------
    Refund
        The refund.
    """
SPHINX = """Refund a payment.

    To the card it came from.

    :param payment_id: The payment,
        as the provider names it.
    :param Money amount: How much: in full or in part.
    :returns: The refund.
    :raises Refused: The provider refused.
    """


@pytest.mark.parametrize("source", [GOOGLE, NUMPY, SPHINX], ids=["google", "numpy", "sphinx"])
def test_each_style(source):
    text, arguments = parse_docstring(source)
    assert text == "Refund a payment.\n\nTo the card it came from."
    assert arguments == {"payment_id": "The payment, as the provider names it.", "amount": "How much: in full or in part."}


@pytest.mark.parametrize(
    "source", [None, "", "One line.", "Args:", "Args:\n    - a list\n    : odd", "Parameters\n---", ":param", "Args:\n\n  x"]
)
def test_odd_docstrings_do_no_harm(source):
    text, arguments = parse_docstring(source)
    assert text in {"", "One line."}
    assert arguments in ({}, {"x": ""})
