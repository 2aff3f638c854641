"""What an execution came from."""

from pipeline.housekeeping.lineage import Execution, Lineage


def execution(number: int, *, inputs=(), outputs=(), cached: bool = False) -> Execution:
    return Execution(number, f"run{number}", "pets", f"N{number}", True, cached, frozenset(inputs), frozenset(outputs))


def test_origins_are_what_made_inputs_and_cached_outputs_and_what_made_theirs():
    executions = [
        execution(1, outputs=[10]),
        execution(2, inputs=[10], outputs=[20]),
        execution(3, outputs=[30]),
        execution(4, outputs=[20], cached=True),
        execution(5, inputs=[20, 30]),
        execution(6, outputs=[20], cached=True),
    ]
    lineage = Lineage({one.number: one for one in executions})
    assert lineage.with_origins([executions[3]]) == {1, 2, 4}
    assert lineage.with_origins([executions[4]]) == {1, 2, 3, 5}
    assert lineage.artifacts_of([2, 5]) == {10, 20, 30}
    assert lineage.makers[20].number == 2


def test_the_newest_success_counts_by_its_number():
    first, second = execution(1), Execution(2, "run2", "pets", "N1", is_success=True, is_cached=True)
    failed = Execution(3, "run3", "pets", "N1", is_success=False, is_cached=False)
    lineage = Lineage({one.number: one for one in (failed, second, first)})
    assert lineage.newest_successes("pets", []) == {"N1": second}
    assert lineage.newest_successes("pets", ["N2"]) == {}
    assert lineage.newest_successes("cars", []) == {}
