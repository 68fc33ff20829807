"""Proofs show what RFC 6962 defines, and nothing else passes for one."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from remit.audit import leaf_hash, node_hash, root
from remit.audit.proofs import check_consistency, check_inclusion, prove_consistency, prove_inclusion, root_of
from remit.errors import AuditError

MOST = 300
HASHES = [leaf_hash(b"%d" % number) for number in range(MOST)]
ROOTS = [root(HASHES[:size]) for size in range(MOST + 1)]


def nodes(level, index):
    whole = HASHES[index << level : index + 1 << level]
    assert len(whole) == 1 << level, "asked for a subtree that is not full"
    return root(whole)


def defined_path(index, hashes):
    """PATH(m, D[n]) as the RFC words it."""
    if len(hashes) == 1:
        return []
    split = 1 << (len(hashes) - 1).bit_length() - 1
    if index < split:
        return [*defined_path(index, hashes[:split]), root(hashes[split:])]
    return [*defined_path(index - split, hashes[split:]), root(hashes[:split])]


def defined_subproof(old, hashes, whole):
    """SUBPROOF(m, D[n], b) as the RFC words it."""
    if old == len(hashes):
        return [] if whole else [root(hashes)]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    if old <= split:
        return [*defined_subproof(old, hashes[:split], whole), root(hashes[split:])]
    return [*defined_subproof(old - split, hashes[split:], False), root(hashes[:split])]


def passes(check, *arguments):
    try:
        check(*arguments)
    except AuditError:
        return False
    return True


sizes = st.integers(1, MOST)


@given(sizes)
def test_the_root_is_that_of_the_leaves(size):
    assert root_of(size, nodes) == ROOTS[size]
    assert root_of(0, nodes) == ROOTS[0]


@given(sizes, st.data())
def test_a_leaf_is_proved_by_the_path_of_the_rfc(size, data):
    index = data.draw(st.integers(0, size - 1))
    proof = prove_inclusion(index, size, nodes)
    assert proof == defined_path(index, HASHES[:size])
    check_inclusion(HASHES[index], index, size, proof, ROOTS[size])


@given(sizes, st.data())
def test_growth_is_proved_by_the_proof_of_the_rfc(new, data):
    old = data.draw(st.integers(1, new))
    proof = prove_consistency(old, new, nodes)
    assert proof == defined_subproof(old, HASHES[:new], True)
    check_consistency(old, new, proof, ROOTS[old], ROOTS[new])


def test_every_small_tree_is_proved():
    for size in range(1, 35):
        for index in range(size):
            check_inclusion(HASHES[index], index, size, prove_inclusion(index, size, nodes), ROOTS[size])
        for old in range(size + 1):
            check_consistency(old, size, prove_consistency(old, size, nodes), ROOTS[old], ROOTS[size])


def tampered(draw, proof):
    """Draw another proof than this."""
    ways = ["longer", *(["bit", "shorter", "swapped", "doubled"] if proof else [])]
    at = draw(st.integers(0, max(len(proof) - 1, 0)))
    match draw(st.sampled_from(ways)):
        case "longer":
            changed = [*proof, HASHES[0]]
        case "bit":
            changed = [*proof[:at], bytes([proof[at][0] ^ 1]) + proof[at][1:], *proof[at + 1 :]]
        case "shorter":
            changed = proof[:at] + proof[at + 1 :]
        case "swapped":
            changed = [*proof[:at], *proof[at + 1 : at + 2], proof[at], *proof[at + 2 :]]
        case _:
            changed = [*proof[:at], proof[at], *proof[at:]]
    assume(changed != proof)
    return changed


@settings(max_examples=200)
@given(sizes, st.data())
def test_no_other_proof_of_a_leaf_passes(size, data):
    index, other = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, MOST - 1))
    proof = prove_inclusion(index, size, nodes)
    assert not passes(check_inclusion, HASHES[index], index, size, tampered(data.draw, proof), ROOTS[size])
    if other != index:
        assert not passes(check_inclusion, HASHES[other], index, size, proof, ROOTS[size])
        assert not passes(check_inclusion, HASHES[index], other, size, proof, ROOTS[size])
    assert not passes(check_inclusion, HASHES[index], index, size, proof, ROOTS[(size + 1) % MOST])


@settings(max_examples=200)
@given(sizes, st.data())
def test_no_other_proof_of_growth_passes(new, data):
    old, other = data.draw(st.integers(0, new)), data.draw(st.integers(0, MOST))
    proof = prove_consistency(old, new, nodes)
    assert not passes(check_consistency, old, new, tampered(data.draw, proof), ROOTS[old], ROOTS[new])
    if other != old:
        assert not passes(check_consistency, old, new, proof, ROOTS[other], ROOTS[new])
    if other != new and old:
        assert not passes(check_consistency, old, new, proof, ROOTS[old], ROOTS[other])


@given(st.integers(2, MOST), st.data())
def test_a_history_that_was_rewritten_is_not_growth(new, data):
    """Whoever changed an old leaf can prove growth from their own old tree, never from the one that was signed."""
    old, changed = data.draw(st.integers(1, new - 1)), data.draw(st.integers(0, new - 2))
    assume(changed < old)
    forged = [*HASHES[:changed], leaf_hash(b"forged"), *HASHES[changed + 1 : new]]
    proof = prove_consistency(old, new, lambda level, index: root(forged[index << level : index + 1 << level]))
    assert passes(check_consistency, old, new, proof, root(forged[:old]), root(forged))
    assert not passes(check_consistency, old, new, proof, ROOTS[old], root(forged))


@pytest.mark.parametrize(("index", "size"), [(0, 0), (5, 5), (-1, 5), (6, 5)])
def test_there_is_no_proof_of_a_leaf_that_is_not_there(index, size):
    for check in (lambda: prove_inclusion(index, size, nodes), lambda: check_inclusion(HASHES[0], index, size, [], ROOTS[size])):
        with pytest.raises(AuditError, match="there is no leaf"):
            check()


@pytest.mark.parametrize(("old", "new"), [(6, 5), (-1, 5)])
def test_a_log_does_not_shrink(old, new):
    for check in (lambda: prove_consistency(old, new, nodes), lambda: check_consistency(old, new, [], ROOTS[5], ROOTS[5])):
        with pytest.raises(AuditError, match="can't have become"):
            check()


def test_control_a_checker_that_forgets_the_sizes_would_let_a_node_pass_for_a_leaf():
    """Hashing up the path alone, as a careless checker does, accepts an inner node as a leaf of a smaller tree; ours does not."""

    def careless(leaf, index, proof, expected):
        for beside in proof:
            leaf = node_hash(beside, leaf) if index & 1 else node_hash(leaf, beside)
            index >>= 1
        return leaf == expected

    inner, proof = nodes(1, 0), prove_inclusion(0, 8, nodes)[1:]
    assert careless(inner, 0, proof, ROOTS[8])
    assert not passes(check_inclusion, inner, 0, 8, proof, ROOTS[8])


def test_control_a_checker_of_growth_that_forgets_the_old_root_would_let_a_rewrite_pass():
    forged = [leaf_hash(b"forged"), *HASHES[1:7]]
    proof = prove_consistency(3, 7, lambda level, index: root(forged[index << level : index + 1 << level]))
    assert passes(check_consistency, 3, 7, proof, root(forged[:3]), root(forged))  # what is left when the old root is not held against it
    assert not passes(check_consistency, 3, 7, proof, ROOTS[3], root(forged))
