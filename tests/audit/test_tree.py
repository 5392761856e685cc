"""The tree against published vectors and against one as slow and plain as the RFC writes it."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.tree import (
    EMPTY,
    WIDTH,
    Accumulator,
    ProofInvalid,
    Tree,
    check_consistency,
    check_inclusion,
    fold,
    leaf_hash,
)
from tests.audit.evidence import naive_path, naive_proof, naive_root

VECTOR_LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
VECTOR_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""The roots of Certificate Transparency's reference implementation for its eight test leaves."""
A, B, C = (
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
)
D, E, F = (
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
)

MANY = [sha256(b"%d" % i).digest() for i in range(3 * WIDTH * WIDTH // 2)]


def tree(size: int, leaves: Sequence[bytes] = MANY) -> Tree:
    """Over leaf hashes; every tile is made anew from the leaves."""

    def tiles(level: int, tile: int, width: int) -> list[bytes]:
        span = WIDTH**level
        first = tile * WIDTH
        return [fold(leaves[i * span : (i + 1) * span]) for i in range(first, first + width)]

    return Tree(size, tiles)


def vector(size: int) -> Tree:
    return tree(size, [leaf_hash(bytes.fromhex(text)) for text in VECTOR_LEAVES])


def test_published_roots() -> None:
    assert tree(0).root() == EMPTY == bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    assert [vector(size).root().hex() for size in range(1, 9)] == VECTOR_ROOTS


@pytest.mark.parametrize(
    ("index", "size", "path"),
    [(0, 1, []), (0, 8, [A, B, C]), (5, 8, [D, E, VECTOR_ROOTS[3]]), (2, 3, [VECTOR_ROOTS[1]]), (1, 5, [VECTOR_ROOTS[0], B, D])],
)
def test_published_audit_paths(index: int, size: int, path: list[str]) -> None:
    assert [one.hex() for one in vector(size).inclusion(index)] == path


@pytest.mark.parametrize(("old", "new", "path"), [(1, 1, []), (1, 8, [A, B, C]), (6, 8, [F, E, VECTOR_ROOTS[3]]), (2, 5, [B, D])])
def test_published_consistency_proofs(old: int, new: int, path: list[str]) -> None:
    assert [one.hex() for one in vector(new).consistency(old)] == path


def test_the_tree_of_seven_leaves_in_the_rfc() -> None:
    """RFC 9162, section 2.1.5, names the nodes: a … g of the leaves, h = ab, i = cd, j = ef, k = hi, l = jg."""
    leaves = MANY[:7]
    a, b, c, d, e, f, g = leaves
    h, i, j = (naive_root(leaves[n : n + 2]) for n in (0, 2, 4))
    k, m = naive_root(leaves[:4]), naive_root(leaves[4:])
    assert tree(7).inclusion(0) == [b, i, m]
    assert tree(7).inclusion(3) == [c, h, m]
    assert tree(7).inclusion(4) == [f, g, k]
    assert tree(7).inclusion(6) == [j, k]
    assert tree(7).consistency(3) == [c, d, h, m]
    assert tree(7).consistency(4) == [m]
    assert tree(7).consistency(6) == [j, g, k]
    assert {a, e}.isdisjoint(tree(7).inclusion(6))


SIZES = st.one_of(st.integers(1, 40), st.integers(1, 3 * WIDTH), st.sampled_from([WIDTH - 1, WIDTH, WIDTH + 1, 2 * WIDTH]))


@given(SIZES, st.data())
def test_proofs_are_those_of_the_plain_tree_and_are_accepted(size: int, data: st.DataObject) -> None:
    leaves, made = MANY[:size], tree(size)
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    assert made.root() == naive_root(leaves)
    path, proof = made.inclusion(index), made.consistency(old)
    assert path == naive_path(index, leaves)
    assert proof == naive_proof(old, leaves)
    check_inclusion(index, size, leaves[index], path, made.root())
    check_consistency(old, size, naive_root(leaves[:old]), made.root(), proof)


@given(SIZES, st.data())
def test_a_proof_with_anything_changed_is_refused(size: int, data: st.DataObject) -> None:
    leaves, root = MANY[:size], tree(size).root()
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    older = naive_root(leaves[:old])
    path, proof = tree(size).inclusion(index), tree(size).consistency(old)

    def bent(hashes: list[bytes]) -> list[bytes]:
        place, bit = data.draw(st.integers(0, len(hashes) - 1)), data.draw(st.integers(0, 255))
        number = int.from_bytes(hashes[place], "big") ^ (1 << bit)
        return [*hashes[:place], number.to_bytes(32, "big"), *hashes[place + 1 :]]

    (flipped,) = bent([leaves[index]])
    (other,) = bent([root])
    wrong = [
        (index, size, flipped, path, root),
        (index, size, leaves[index], path, other),
        (index, size, leaves[index], [*path, root], root),
    ]
    wrong += [(size, size, leaves[index], path, root), (-1, size, leaves[index], path, root)]
    if path:
        wrong += [(index, size, leaves[index], bent(path), root), (index, size, leaves[index], path[:-1], root)]
        wrong += [(index ^ 1, size, leaves[index], path, root)] if index ^ 1 < size else []
    for one in wrong:
        with pytest.raises(ProofInvalid):
            check_inclusion(*one)
    (bent_older,) = bent([older])
    false = [(old, size, bent_older, root, proof), (old, size, older, other, proof), (old, size, older, root, [*proof, root])]
    false += [(old, size, older, root, bent(proof)), (old, size, older, root, proof[:-1])] if proof else []
    false += [(size + 1, size, older, root, proof)]
    for two in false:
        with pytest.raises(ProofInvalid):
            check_consistency(*two)


def test_trees_with_three_levels_of_tiles_are_right_at_their_borders() -> None:
    heads = Accumulator()
    roots = {0: heads.root()}
    for leaf in MANY:
        heads.add(leaf)
        roots[heads.size] = heads.root()
    assert roots[700] == naive_root(MANY[:700])
    for size in (WIDTH * WIDTH - 1, WIDTH * WIDTH, WIDTH * WIDTH + 1, len(MANY)):
        made = tree(size)
        assert made.root() == roots[size]
        for index in (0, 1, WIDTH - 1, WIDTH, size // 2, size - 1):
            check_inclusion(index, size, MANY[index], made.inclusion(index), roots[size])
        for old in (1, WIDTH, WIDTH + 1, size // 2, size - 1, size):
            check_consistency(old, size, roots[old], roots[size], made.consistency(old))


def test_nothing_is_proved_outside_a_tree() -> None:
    for index in (-1, 5):
        with pytest.raises(ValueError, match="no such leaf"):
            tree(5).inclusion(index)
    for old in (-1, 6):
        with pytest.raises(ValueError, match="not been that large"):
            tree(5).consistency(old)
    assert tree(5).consistency(0) == []
    check_consistency(0, 5, EMPTY, tree(5).root(), [])
    with pytest.raises(ProofInvalid):
        check_consistency(0, 5, tree(5).root(), tree(5).root(), [])
