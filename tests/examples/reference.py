"""What the example workflows must compute, written a second time without SQL.

Theory. Identity unification asks for connected components: source rows are hyperedges over
identifiers, and two identifiers belong to one person exactly when a path of rows joins them. The
workflow gets there by repeated joins; here a union-find does it in one pass over the raw rows.
Supplier reach asks for the shortest distance between all pairs of companies; the workflow doubles
paths, here a breadth-first search starts at every company. If both ways agree, an error would
have to be made twice in two different forms.

The cleaning of identifiers is written here with string methods, where the SQL uses regular
expressions, for the same reason. Rows come and go as plain tuples in the order of the columns
that each function names, as a database cursor returns them.

Run `python -m tests.examples.reference` to check this module against small cases that can be
worked out by hand.
"""

from __future__ import annotations

import base64
import hashlib
import json
import string
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

CUSTOMER_ID, EMAIL, PHONE = 1, 2, 3
"""The namespaces of identifiers, `follower_ns` and `id_key_type` in the tables."""

KEY_NAMES = {CUSTOMER_ID: "customer_id", EMAIL: "email", PHONE: "phone"}
"""The contents of `unified_id_keys`."""

Identifier = tuple[int, str]
"""Namespace and normalised text. Tuples compare as the structures in the SQL do."""

Partition = frozenset[frozenset[Identifier]]
"""The people: disjoint sets of identifiers."""

Edge = tuple[str, int, str, int]
"""A row of a graph table: follower_id, follower_ns, leader_id, leader_ns."""

SourceRow = tuple[str | None, str | None, str | None]
"""What a source row says of a person: customer number, e-mail address, telephone number."""

_WHITE_SPACE = " \t\n\x0b\f\r"
_MIX = 811_573_429_674_613


# --- identifiers ----------------------------------------------------------------------------------


def normalise_customer_id(text: str | None) -> str | None:
    """Return `C` and seven digits, or None for anything else and for the placeholder of zeros."""
    if text is None:
        return None
    kept = "".join(c for c in text if c in string.ascii_letters + string.digits).upper()
    is_number = len(kept) == 8 and kept[0] == "C" and all(c in string.digits for c in kept[1:])
    return kept if is_number and kept != "C0000000" else None


def normalise_email(text: str | None) -> str | None:
    """Return the address in small letters without white space, or None if it cannot be one."""
    if text is None:
        return None
    kept = "".join(c for c in text if c not in _WHITE_SPACE).lower()
    if kept == "test@test.com" or ";" in kept or kept.count("@") != 1:
        return None
    local, domain = kept.split("@")
    host, dot, country = domain.rpartition(".")
    is_country = len(country) >= 2 and all(c in string.ascii_lowercase for c in country)
    return kept if local and host and dot and is_country else None


def normalise_phone(text: str | None) -> str | None:
    """Return `+49` and the national number, or None if it cannot be one or is the call centre's."""
    if text is None:
        return None
    kept = "".join(c for c in text if c in string.digits + "+")
    for prefix in ("+49", "0049", "0"):
        if kept.startswith(prefix):
            national = kept[len(prefix) :]
            break
    else:
        return None
    if not 7 <= len(national) <= 13 or "+" in national or national[0] == "0":
        return None
    return None if national == "305550100" else f"+49{national}"


def identifiers(row: SourceRow) -> tuple[Identifier, ...]:
    """Return the usable identifiers of a source row, smallest first."""
    customer_id, email, phone = row
    candidates = (
        (CUSTOMER_ID, normalise_customer_id(customer_id)),
        (EMAIL, normalise_email(email)),
        (PHONE, normalise_phone(phone)),
    )
    return tuple((namespace, text) for namespace, text in candidates if text is not None)


def entry_edges(rows: Iterable[SourceRow]) -> set[Edge]:
    """Return what `unified_id_graph_unify_loop_0` must hold after 02, from the raw source rows."""
    edges: set[Edge] = set()
    for row in rows:
        found = identifiers(row)
        for namespace, text in found:
            edges.add((text, namespace, found[0][1], found[0][0]))
    return edges


# --- people ---------------------------------------------------------------------------------------


class UnionFind:
    """Disjoint sets of identifiers that can only grow together; halves paths as it looks."""

    def __init__(self) -> None:
        self._parent: dict[Identifier, Identifier] = {}

    def find(self, item: Identifier) -> Identifier:
        """Return the representative of the set of `item`, which is made if it is new."""
        self._parent.setdefault(item, item)
        while self._parent[item] != item:
            self._parent[item] = self._parent[self._parent[item]]
            item = self._parent[item]
        return item

    def union(self, one: Identifier, other: Identifier) -> None:
        """Make one set of the sets of `one` and `other`, represented by the smallest member."""
        low, high = sorted((self.find(one), self.find(other)))
        self._parent[high] = low

    def sets(self) -> Partition:
        """Return all sets."""
        members: defaultdict[Identifier, set[Identifier]] = defaultdict(set)
        for item in self._parent:
            members[self.find(item)].add(item)
        return frozenset(frozenset(group) for group in members.values())


def components(groups: Iterable[Iterable[Identifier]]) -> Partition:
    """Return the connected components of identifiers, where those of one group are connected."""
    union_find = UnionFind()
    for group in groups:
        members = list(group)
        for member in members:
            union_find.union(members[0], member)
    return union_find.sets()


def partition_of_sources(rows: Iterable[SourceRow]) -> Partition:
    """Return the people behind the raw source rows: what the whole workflow must find."""
    return components(identifiers(row) for row in rows)


def partition_of_edges(edges: Iterable[Edge]) -> Partition:
    """Return the people in a graph table, converged or not: no iteration may change them."""
    return components(((f_ns, f_id), (l_ns, l_id)) for f_id, f_ns, l_id, l_ns in edges)


def partition_of_lookup(rows: Iterable[tuple[str, str, int]]) -> Partition:
    """Return the people in `unified_id_lookup`, from rows of (canonical_id, id, id_key_type).

    Raises ValueError if an identifier stands there twice: then it is not a partition.
    """
    people: defaultdict[str, set[Identifier]] = defaultdict(set)
    seen: set[Identifier] = set()
    for canonical_id, text, namespace in rows:
        if (namespace, text) in seen:
            raise ValueError(f"the lookup table holds {KEY_NAMES[namespace]} {text!r} twice")
        seen.add((namespace, text))
        people[canonical_id].add((namespace, text))
    return frozenset(frozenset(group) for group in people.values())


def canonical_id(leader: Identifier) -> str:
    """Return the canonical id of the person whose smallest identifier is `leader`."""
    namespace, text = leader
    digest = int.from_bytes(hashlib.sha256(f"{namespace}:{text}".encode()).digest()[:12], "big")
    mixed = digest ^ (_MIX << 36)  # the first 60 of these 96 bits
    return base64.urlsafe_b64encode(mixed.to_bytes(12, "big")).decode()


def lookup_of_sources(rows: Iterable[SourceRow]) -> set[tuple[str, str, int]]:
    """Return what `unified_id_lookup` must hold: (canonical_id, id, id_key_type)."""
    return {
        (canonical_id(min(person)), text, namespace)
        for person in partition_of_sources(rows)
        for namespace, text in person
    }


@dataclass(frozen=True, slots=True)
class Iteration:
    """What one iteration of the identity loop must report; all three count rows."""

    rows: int
    """Rows of the table after the iteration."""
    updated: int
    """Rows that the table before it did not have; 0 means converged."""
    residual: int
    """Followers that still have more than one leader."""


def identity_iterations(entry: Iterable[Edge]) -> list[Iteration]:
    """Return the iterations of the identity loop from loop_0 on; the last one has `updated` 0."""
    current = {((f_ns, f_id), (l_ns, l_id)) for f_id, f_ns, l_id, l_ns in entry}
    iterations: list[Iteration] = []
    while not iterations or iterations[-1].updated:
        best_of_follower: dict[Identifier, Identifier] = {}
        for follower, leader in current:
            best_of_follower[follower] = min(best_of_follower.get(follower, leader), leader)
        best_of_leader: dict[Identifier, Identifier] = {}
        for follower, leader in current:
            best = best_of_follower[follower]
            best_of_leader[leader] = min(best_of_leader.get(leader, best), best)
        following = {(follower, best_of_leader[leader]) for follower, leader in current}
        leaders = Counter(follower for follower, _ in following)
        residual = sum(1 for count in leaders.values() if count > 1)
        iterations.append(Iteration(len(following), len(following - current), residual))
        current = following
    return iterations


# --- suppliers ------------------------------------------------------------------------------------


def direct_suppliers(contracts: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return (company, supplier) of `reach_0`, from (buyer, seller) as they were typed."""
    pairs = {(buyer.strip(" ").upper(), seller.strip(" ").upper()) for buyer, seller in contracts}
    return {(company, supplier) for company, supplier in pairs if supplier and company != supplier}


def reach(direct: Iterable[tuple[str, str]]) -> set[tuple[str, str, int]]:
    """Return (company, supplier, hops) for all suppliers that a company reaches, itself left out.

    `hops` is the length of the shortest way; a direct supplier is one hop away.
    """
    suppliers: defaultdict[str, set[str]] = defaultdict(set)
    for company, supplier in direct:
        suppliers[company].add(supplier)
    return {row for company in list(suppliers) for row in _reach_from(company, suppliers)}


def _reach_from(
    company: str, suppliers: defaultdict[str, set[str]]
) -> Iterator[tuple[str, str, int]]:
    distance = {company: 0}
    waiting = deque([company])
    while waiting:
        here = waiting.popleft()
        for supplier in suppliers.get(here, ()):
            if supplier not in distance:
                distance[supplier] = distance[here] + 1
                yield company, supplier, distance[supplier]
                waiting.append(supplier)


def reach_updates(reached: Iterable[tuple[str, str, int]]) -> list[int]:
    """Return how many rows each round must add: those of up to 2, 4, 8 … hops; the last adds 0."""
    hops = [row[2] for row in reached]
    updates: list[int] = []
    known = 1
    while not updates or updates[-1]:
        updates.append(sum(1 for count in hops if known < count <= 2 * known))
        known *= 2
    return updates


# --- what Apache Spark says -----------------------------------------------------------------------


def checksum(rows: Iterable[Sequence[object]]) -> str:
    """Return 16 hexadecimal digits that depend on the rows but not on their order.

    A row is written as JSON: lists for arrays, objects for maps (keys as text) and structures, and
    the text of a date. Whoever reads arrays as text must parse them first.
    """
    lines = sorted(json.dumps(list(row), sort_keys=True, default=str) for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


SPARK_IDENTITY_1000 = {
    "crm_customers": (1035, "509f61816fb5042e"),
    "web_orders": (1514, "5be63e643f938c8d"),
    "support_tickets": (524, "b2772641e6691d1b"),
    "unified_id_graph_unify_loop_0": (4583, "fdc17938c3ac3b5d"),
    "unified_id_graph": (2909, "90dd7518a4e013e8"),
    "unified_id_lookup": (2909, "834cf8006a30c1d3"),
    "enriched_crm_customers": (1035, "92debae753fe72ee"),
    "enriched_web_orders": (1514, "9db37df824d6e793"),
    "enriched_support_tickets": (524, "1412d0d5c0027e27"),
    "master_customers": (867, "663d5cef51f0f8bc"),
    "unified_id_source_key_stats": (4, "b64db3c7cd4e1591"),
    "unified_id_result_key_stats": (1, "1811dc7b2fad7516"),
    "filter_lookup": (3, "971f4b8182f22154"),
    "column_lookup": (9, "84428f67e570fe58"),
}
"""Rows and checksum by table, as Apache Spark 4.0.1 made them with 1,000 customers."""

SPARK_SUPPLIERS_200 = {
    "companies": (200, "c4ed68479bc3f489"),
    "supply_contracts": (393, "c8f46d35abe7ba12"),
    "reach_0": (329, "6c5c07191fbd88b6"),
    "reach_final": (10680, "1d4028cdd237647f"),
    "supplier_reach": (10680, "6591aa369b5029e1"),
    "supplier_reach_statistics": (6, "a7d6e8a4fd9f0f14"),
}
"""Rows and checksum by table, as Apache Spark 4.0.1 made them with 200 companies."""


# --- this module ----------------------------------------------------------------------------------


def self_check() -> None:
    """Check this module against cases worked out by hand; raises AssertionError."""
    assert normalise_customer_id(" c-0000012") == "C0000012"
    assert [normalise_customer_id(t) for t in (None, "", "N/A", "C0000000", "C12")] == [None] * 5
    assert normalise_email(" Anna.B@Example.COM\t") == "anna.b@example.com"
    refused = (None, "", "N/A", "null", "Test@Test.com ", "a;b@x.org", "a@b@c.de", "@x.de", "a@.de")
    assert [normalise_email(text) for text in refused] == [None] * len(refused)
    spellings = ("+49 151 2345678", "0049-1512345678", "0151/2345678", " 01512345678")
    assert {normalise_phone(text) for text in spellings} == {"+491512345678"}
    wrong = (None, "", "null", "withheld", "0000000000", "030 5550100", "1512345678", "0151")
    assert [normalise_phone(text) for text in wrong] == [None] * len(wrong)

    rows: list[SourceRow] = [
        ("C0000001", "a@x.de", None),
        (None, "A@X.DE", "0151 2345678"),
        ("C0000002", "N/A", "+491512345678"),
        ("c0000003", None, "0000000000"),
        (None, "", "withheld"),
    ]
    first = {(1, "C0000001"), (1, "C0000002"), (2, "a@x.de"), (3, "+491512345678")}
    people = frozenset({frozenset(first), frozenset({(1, "C0000003")})})
    assert partition_of_sources(rows) == people
    assert partition_of_edges(entry_edges(rows)) == people
    assert partition_of_lookup(lookup_of_sources(rows)) == people
    assert len(canonical_id((1, "C0000001"))) == 16

    # A chain of ordered identifiers gives way one link at a time: the slowest case there is.
    for length in (1, 2, 5, 12):
        chain = {(f"{n + i:04}", 1, f"{n:04}", 1) for n in range(length) for i in (0, 1)}
        iterations = identity_iterations(chain)
        assert iterations[-1] == Iteration(rows=length + 1, updated=0, residual=0)
        assert len(iterations) == length
    assert identity_iterations([]) == [Iteration(0, 0, 0)]

    contracts = [("a", " b"), ("B", "c"), ("c", "a"), ("c", "d"), ("d", "d"), ("d", ""), ("A", "B")]
    assert direct_suppliers(contracts) == {("A", "B"), ("B", "C"), ("C", "A"), ("C", "D")}
    ways = reach(direct_suppliers(contracts))
    assert {row for row in ways if row[0] == "A"} == {("A", "B", 1), ("A", "C", 2), ("A", "D", 3)}
    assert not any(company == supplier for company, supplier, _ in ways)
    line = [(f"{n}", f"{n + 1}") for n in range(9)]
    assert reach_updates(reach(line)) == [8, 7 + 6, 5 + 4 + 3 + 2, 1, 0]

    assert checksum([(1, "a"), (2, None)]) == checksum([(2, None), (1, "a")])
    assert checksum([(1, "a")]) != checksum([(1, "a"), (1, "a")])


if __name__ == "__main__":
    self_check()
    print("the reference agrees with the cases worked out by hand")
