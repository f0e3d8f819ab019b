"""Random graphs of identifiers, many of them unified by one run of the program.

Starting a run costs more than a small loop does, so a workflow here holds one loop for each graph:
`g0017` is a graph whose edges stand as literals in `01_g0017.sql`, whose loop begins with
`04_g0017_unify_loop_iteration_1.sql` (the SQL of the identity example) and goes on with iterations
that the program generates. `05_publish.sql` copies the results of all loops into one table. Half of
the loops are declared in workflow.toml, the others have to be found.

A graph is determined by its number. To run one alone and see what came of it:

    python -m tests.program.graphs 17
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from executor.workflow.discover import built_in_profiles
from tests.examples.reference import Edge, Identifier, identity_iterations, partition_of_edges
from tests.examples.tables import tables
from tests.program.dwx import Ended, dwx

EXAMPLE = Path(__file__).parents[2] / "examples" / "identity_unification"
COLUMNS = "follower_id, follower_ns, leader_id, leader_ns"

Groups = list[list[int]]
"""What one source row each says: these nodes are one. Nodes are numbers from 0."""

ODD_ENDS = ("", "", "", ";", "'", "\\", "--", "ß", "`", " ${x}")
"""Ends of identifiers that have broken programs before."""


# --- kinds of graphs ------------------------------------------------------------------------------


def sparse(rng: random.Random, size: int) -> Groups:
    """About as many edges as nodes: some large components and some small ones."""
    return [[rng.randrange(size), rng.randrange(size)] for _ in range(size)]


def wide_rows(rng: random.Random, size: int) -> Groups:
    """Rows of up to four identifiers, as a table with four keys gives them."""
    return [[rng.randrange(2 * size) for _ in range(rng.randint(1, 4))] for _ in range(size)]


def chain(rng: random.Random, size: int) -> Groups:
    """The slowest of all: every node is joined to the next larger one only."""
    return [[node, node + 1] for node in range(size - 1)]


def shuffled_chain(rng: random.Random, size: int) -> Groups:
    return shuffled(rng, chain(rng, size), size)


def tree(rng: random.Random, size: int) -> Groups:
    grown = [[node, rng.randrange(node)] for node in range(1, size)]
    return shuffled(rng, grown, size)


def star(rng: random.Random, size: int) -> Groups:
    """One node in the middle, which may be the smallest, the largest or any other."""
    middle = rng.choice((0, size - 1, rng.randrange(size)))
    return [[middle, node] for node in range(size) if node != middle]


def clique(rng: random.Random, size: int) -> Groups:
    few = min(size, 8)
    return [[one, other] for one in range(few) for other in range(one)]


def several_components(rng: random.Random, size: int) -> Groups:
    """Graphs of other kinds side by side, their nodes mixed."""
    parts: Groups = []
    begin = 0
    for kind in rng.sample((sparse, chain, tree, star, clique), 3):
        part = kind(rng, max(2, size // 3))
        parts += [[begin + node for node in group] for group in part]
        begin += max(2, size // 3)
    return shuffled(rng, parts, begin)


def duplicates(rng: random.Random, size: int) -> Groups:
    """Every row several times, and both ways round."""
    once = sparse(rng, max(2, size // 2))
    return [group[:: rng.choice((1, -1))] for group in once for _ in range(3)]


def single_edge(rng: random.Random, size: int) -> Groups:
    return [[0, rng.randint(0, 1)]]


def loners(rng: random.Random, size: int) -> Groups:
    """Nobody knows anybody."""
    return [[node] for node in range(size)]


def empty(rng: random.Random, size: int) -> Groups:
    return []


KINDS: tuple[Callable[[random.Random, int], Groups], ...] = (
    sparse, wide_rows, chain, shuffled_chain, tree, star, clique, several_components, duplicates,
    single_edge, loners, empty,
)  # fmt: skip


def shuffled(rng: random.Random, groups: Groups, size: int) -> Groups:
    """The same graph, with its nodes in another order."""
    order = list(range(size))
    rng.shuffle(order)
    return [[order[node] for node in group] for group in groups]


# --- graphs ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Graph:
    """A graph as the loop gets it."""

    number: int
    kind: str
    edges: tuple[Edge, ...]

    @property
    def name(self) -> str:
        return f"g{self.number:04}"

    @property
    def is_declared(self) -> bool:
        return self.number % 2 == 0

    def __str__(self) -> str:
        kind = self.kind.replace("_", " ")
        alone = f"python -m tests.program.graphs {self.number}"
        return f"{self.name} ({kind}, {len(self.edges)} edges; alone: {alone})"


def graph(number: int, largest: int = 14) -> Graph:
    """The graph of this number."""
    rng = random.Random(number)
    kind = KINDS[number % len(KINDS)]
    groups = kind(rng, rng.randint(2, largest))
    ends = [rng.choice(ODD_ENDS) for _ in range(4 * largest)]
    spaces = [rng.randint(1, 3) if kind is not chain else 1 for _ in range(4 * largest)]

    def identifier(node: int) -> Identifier:
        return spaces[node], f"{node:03}{ends[node]}"

    return Graph(number, kind.__name__, edges_of([identifier(n) for n in one] for one in groups))


def edges_of(groups: Iterable[Sequence[Identifier]]) -> tuple[Edge, ...]:
    """Rows of the entry table: the smallest of each group leads all of it, itself too."""
    edges = []
    for group in groups:
        leader_ns, leader_id = min(group)
        edges += [(text, namespace, leader_id, leader_ns) for namespace, text in group]
    return tuple(edges)


# --- workflows ------------------------------------------------------------------------------------


def iteration_sql(prefix: str, number: int = 1) -> str:
    """The example's iteration for another id, without its USE statements."""
    text = (EXAMPLE / f"04_unify_loop_iteration_{number:02}.sql").read_text()
    _, _, statements = text.partition("USE SCHEMA ${schema};\n")
    return statements.replace("unified_id_", f"{prefix}_")


def entry_sql(prefix: str, edges: Sequence[Edge]) -> str:
    """Makes the entry table and fills it."""
    table = f"${{catalog}}.${{schema}}.{prefix}_graph_unify_loop_0"
    made = (
        f"CREATE OR REPLACE TABLE {table} (\n"
        "  follower_id STRING, follower_ns INT, leader_id STRING, leader_ns INT\n) USING DELTA;\n"
    )
    rows = ",\n".join(
        f"  ({literal(f_id)}, {f_ns}, {literal(l_id)}, {l_ns})" for f_id, f_ns, l_id, l_ns in edges
    )
    return f"{made}\nINSERT INTO {table} VALUES\n{rows};\n" if edges else made


def literal(text: str) -> str:
    """A text as SQL; a placeholder in it is not one."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return "'" + escaped.replace("${", "$${") + "'"


def write_workflow(directory: Path, graphs: Sequence[Graph]) -> Path:
    directory.mkdir(parents=True)
    for one in graphs:
        (directory / f"01_{one.name}.sql").write_text(entry_sql(one.name, one.edges))
        (directory / f"04_{one.name}_unify_loop_iteration_1.sql").write_text(
            iteration_sql(one.name)
        )
    published = "\nUNION ALL\n".join(
        f"SELECT '{one.name}' AS graph, {COLUMNS} "
        f"FROM ${{catalog}}.${{schema}}.{one.name}_graph_unify_loop_final"
        for one in graphs
    )
    (directory / "05_publish.sql").write_text(
        f"CREATE OR REPLACE TABLE ${{catalog}}.${{schema}}.published AS\n{published};\n"
    )
    (directory / "workflow.toml").write_text(
        "\n".join(_declaration(one.name) for one in graphs if one.is_declared)
    )
    return directory


def _declaration(name: str) -> str:
    """The loop of a graph with the settings that the program has for identity unification."""
    profile = tomllib.loads(dict(built_in_profiles())["identity_unification"])
    table = f"${{catalog}}.${{schema}}.{name}_graph_unify_loop_"
    settings = {
        **profile["loop"][0],
        "name": name,
        "files": f"04_{name}_*.sql",
        "table": table + "{iteration}",
        "alias": table + "final",
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    return "\n".join(["[[loop]]", *lines, ""])


# --- one chain ------------------------------------------------------------------------------------

LOOP = "golden_id_graph_unify_loop_"
CANONICALIZE = """
CREATE OR REPLACE TABLE ${catalog}.${schema}.golden_id_lookup_tmp USING DELTA AS
SELECT leader_id AS canonical_id, follower_id AS id, follower_ns AS id_key_type
FROM ${catalog}.${schema}.golden_id_graph_unify_loop_final;

DROP TABLE IF EXISTS ${catalog}.${schema}.golden_id_lookup;
ALTER TABLE ${catalog}.${schema}.golden_id_lookup_tmp
  RENAME TO ${catalog}.${schema}.golden_id_lookup;

DROP TABLE IF EXISTS ${catalog}.${schema}.golden_id_graph;
ALTER TABLE ${catalog}.${schema}.golden_id_graph_unify_loop_final
  RENAME TO ${catalog}.${schema}.golden_id_graph;
"""


def chain_of(length: int) -> tuple[Edge, ...]:
    """The edges of a chain of this many identifiers; the first leads all of them in the end."""
    names = [(1, f"{number:03}") for number in range(length)]
    return edges_of([names[place : place + 2] for place in range(length - 1)])


def write_chain(directory: Path, length: int, iterations: int = 3) -> Path:
    """An identity unification of a chain, called golden_id, with the files of some iterations."""
    directory.mkdir(parents=True, exist_ok=True)
    files = {
        f"04_unify_loop_iteration_{number:02}": iteration_sql("golden_id", number)
        for number in range(1, iterations + 1)
    }
    files["01_create_graph"] = entry_sql("golden_id", chain_of(length))
    files["05_canonicalize"] = CANONICALIZE
    for name, text in files.items():
        (directory / f"{name}.sql").write_text(text)
    return directory


# --- runs -----------------------------------------------------------------------------------------


def unify(graphs: Sequence[Graph], cwd: Path) -> list[str]:
    """Runs the loops of these graphs; returns what is wrong with any, in words."""
    write_workflow(cwd / "sql", graphs)
    ended = dwx(
        "run", "sql", "--local", "warehouse", "--prompt-timeout", "0", "--preflight", "off",
        "--checks", "off",  # that a graph is empty is right here
        cwd=cwd,
    )  # fmt: skip
    assert ended.exit_code == 0, (ended.last, ended.stderr)
    told = told_of(ended)
    with tables(cwd / "warehouse") as found:
        rows = found.rows("published", f"graph, {COLUMNS}")
    published: dict[str, list[Edge]] = {one.name: [] for one in graphs}
    for name, f_id, f_ns, l_id, l_ns in rows:
        published[name].append((f_id, f_ns, l_id, l_ns))
    return [
        f"{one}: {fault}"
        for one in graphs
        for fault in faults_of(one, told[one.name], published[one.name])
    ]


def told_of(ended: Ended) -> dict[str, list[Any]]:
    """The events `iteration`, `converged` and `alias_created` by name of the graph."""
    told: dict[str, list[Any]] = {}
    for event in ended.of("iteration", "converged", "alias_created"):
        table = event.final_table if event.type == "converged" else event.table
        told.setdefault(table.split(".")[-1].partition("_")[0], []).append(event)
    return told


def faults_of(graph: Graph, told: Sequence[Any], rows: Sequence[Edge]) -> list[str]:
    """What differs from an independent calculation."""
    wanted = identity_iterations(graph.edges)
    iterations = [event for event in told if event.type == "iteration"]
    faults = verdict_faults(iterations, graph.edges)
    last = [event.type for event in told[len(iterations) :]]
    if last != ["converged", "alias_created"]:
        faults.append(f"it ended with {last}")
    final = f"{graph.name}_graph_unify_loop_{len(iterations)}"
    sources = [event.from_.split(".")[-1] for event in told if event.type == "alias_created"]
    if sources != [final]:
        faults.append(f"published was {sources}, not {final}")
    if len(rows) != len(set(rows)) or len(rows) != wanted[-1].rows:
        faults.append(f"{len(rows)} rows were published, not {wanted[-1].rows}")
    if led(rows) != {
        member: min(person) for person in partition_of_edges(graph.edges) for member in person
    }:
        faults.append("the people are not those of a union-find")
    return faults


def verdict_faults(iterations: Sequence[Any], edges: Iterable[Edge]) -> list[str]:
    """Whether a loop reported what is so, and ended neither before its fixpoint nor after.

    The fixpoint shows in the number of undecided followers (`residual`) one iteration before it
    shows in that of the updated rows, often; a loop may end with either, whichever it counts.
    """
    wanted = identity_iterations(edges)
    faults = []
    for number, (event, one) in enumerate(zip(iterations, wanted, strict=False), 1):
        told = (event.iteration, event.updated, event.residual)
        right = (
            number,
            None if event.updated is None else one.updated,
            None if event.residual is None else one.residual,
        )
        if told != right or event.updated is event.residual is None:
            faults.append(f"iteration, updated and residual are {told}, not {right}")
        if event.rows is not None and event.rows != one.rows:
            faults.append(f"iteration {number} has {event.rows} rows, not {one.rows}")
    if not iterations or len(iterations) > len(wanted):
        faults.append(f"{len(iterations)} iterations instead of {len(wanted)}")
    elif wanted[len(iterations) - 1].residual:
        faults.append(f"{len(iterations)} iterations, with more to do")
    return faults


def led(rows: Iterable[Edge]) -> dict[Identifier, Identifier]:
    """The leader of each follower."""
    return {(f_ns, f_id): (l_ns, l_id) for f_id, f_ns, l_id, l_ns in rows}


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        alone = graph(int(argument))
        print(alone)
        for edge in alone.edges:
            print("  ", edge)
        for step in identity_iterations(alone.edges):
            print("  ", step)
        with tempfile.TemporaryDirectory() as folder:
            print("\n".join(unify([alone], Path(folder))) or "as it should be")
