"""Names of nodes: each its own, whatever names are there already."""

from __future__ import annotations

from onnx import GraphProto, TensorProto, helper

from edgesdk_converters.steps.node_order import name_nodes, names_in, unused_name


def chain(*names: str) -> GraphProto:
    """Return Relus one behind the other, with these names."""
    nodes = [helper.make_node("Relu", [f"x{i}"], [f"x{i + 1}"], name=name) for i, name in enumerate(names)]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1,)) for name in ("x0", f"x{len(names)}")]
    return helper.make_graph(nodes, "chain", ends[:1], ends[1:])


def named(*names: str) -> list[str]:
    graph = chain(*names)
    name_nodes(graph)
    return [node.name for node in graph.node]


def test_names_that_are_there_stay() -> None:
    assert named("a", "b") == ["a", "b"]


def test_nodes_without_a_name_and_second_ones_get_one() -> None:
    first, second, third = named("a", "", "a")
    assert first == "a"
    assert len({first, second, third}) == 3


def test_a_name_that_another_node_has_is_not_given() -> None:
    given = named("", "")[1]
    assert len(set(named(given, ""))) == 2
    assert named(given, "")[0] == given, "the one that had it keeps it"


def test_an_unused_name_is_taken_from_then_on() -> None:
    taken = {"a", "a/2"}
    assert [unused_name("a", taken), unused_name("a", taken), unused_name("b", taken)] == ["a/3", "a/4", "b"]


def test_names_inside_of_branches_count() -> None:
    branch = helper.make_graph([helper.make_node("Relu", ["x0"], ["inner"], name="within")], "then", [], [])
    node = helper.make_node("If", ["condition"], ["y"], name="either", then_branch=branch, else_branch=branch)
    graph = helper.make_graph([node], "outer", [], [])
    assert {"either", "condition", "y", "within", "inner", "x0"} <= names_in(graph)
