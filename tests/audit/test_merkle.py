"""The tree is RFC 6962's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.audit import EMPTY_ROOT, RightEdge, leaf_hash, node_hash, root
from remit.errors import AuditError

# The eight inputs and roots that Certificate Transparency's implementations publish as test vectors.
LEAVES = [
    bytes.fromhex(each) for each in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@pytest.mark.parametrize("size", range(9))
def test_published_roots(size):
    assert root(map(leaf_hash, LEAVES[:size])).hex() == ROOTS[size]


def test_an_empty_tree_has_the_hash_of_nothing():
    assert RightEdge().root() == EMPTY_ROOT


def _recursive(hashes):
    """The definition as the RFC words it: split at the largest power of two below the size."""
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return node_hash(_recursive(hashes[:split]), _recursive(hashes[split:]))


@given(st.integers(1, 300))
def test_it_is_the_recursive_definition(size):
    hashes = [leaf_hash(b"%d" % number) for number in range(size)]
    assert root(hashes) == _recursive(hashes)


@given(st.integers(0, 70), st.integers(0, 70))
def test_a_right_edge_goes_on_from_its_stored_state(before, after):
    hashes = [leaf_hash(b"%d" % number) for number in range(before + after)]
    edge = RightEdge()
    for each in hashes[:before]:
        edge.append(each)
    resumed = RightEdge.from_bytes(edge.to_bytes())
    for each in hashes[before:]:
        resumed.append(each)
    assert (resumed.size, resumed.root()) == (before + after, root(hashes))


@pytest.mark.parametrize("state", [b"", b"\x00" * 7, (3).to_bytes(8, "big") + b"x" * 32, (1).to_bytes(8, "big") + b"x" * 31])
def test_a_damaged_state_is_refused(state):
    with pytest.raises(AuditError):
        RightEdge.from_bytes(state)
