"""`no_grad` and `enable_grad`: reusable, within each other, and around generators, tasks and what raises."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

import needle as ndl


def records() -> bool:
    """Whether an operation records a graph."""
    return bool((ndl.Tensor([1.0]) * 2).requires_grad)


def test_one_object_is_entered_again_and_within_itself() -> None:
    mode = ndl.no_grad()
    with mode:
        with mode:
            assert not records()
        assert not records()
        with ndl.enable_grad(), mode:
            assert not records()
    assert records()
    with mode:
        assert not records()


def test_a_decorated_generator_is_in_the_mode_while_its_own_code_runs() -> None:
    inside: list[bool] = []

    @ndl.no_grad()
    def generate() -> Iterator[int]:
        try:
            for i in range(2):
                inside.append(records())
                try:
                    inside.append((yield i) == "sent" and records())
                except KeyError:
                    inside.append(records())
        finally:
            inside.append(records())
        return "returned"

    running = generate()
    assert next(running) == 0
    assert records()
    assert running.send("sent") == 1
    assert records()
    with pytest.raises(StopIteration, match="returned"):
        running.throw(KeyError())
    assert records()
    assert inside == [False] * 5

    inside.clear()
    running = generate()
    next(running)
    running.close()
    assert inside == [False] * 2


def test_tasks_have_modes_of_their_own() -> None:
    seen: list[tuple[str, bool]] = []

    @ndl.no_grad()
    async def evaluate() -> None:
        await asyncio.sleep(0)
        seen.append(("evaluating", records()))

    async def train() -> None:
        for _ in range(3):
            seen.append(("training", records()))
            await asyncio.sleep(0)

    @ndl.no_grad()
    async def batches() -> AsyncIterator[bool]:
        for _ in range(2):
            await asyncio.sleep(0)
            yield records()

    async def read() -> None:
        async for inside in batches():
            seen.append(("reading", inside))
            seen.append(("training", records()))

    async def everything() -> None:
        await asyncio.gather(evaluate(), train(), read())

    asyncio.run(everything())
    assert {name for name, _ in seen} == {"evaluating", "training", "reading"}
    assert all(recorded == (name == "training") for name, recorded in seen)


def test_an_exception_leaves_the_mode() -> None:
    @ndl.no_grad()
    def fail() -> None:
        raise KeyError

    @ndl.no_grad()
    def generate() -> Iterator[None]:
        yield
        raise KeyError

    with pytest.raises(KeyError):
        fail()
    with pytest.raises(KeyError):
        list(generate())
    assert records()


def test_a_generator_closed_by_another_thread_takes_no_mode_from_it() -> None:
    def generate() -> Iterator[None]:
        with ndl.no_grad():
            yield

    seen: list[bool] = []
    running = generate()
    for step in (lambda: next(running), running.close):
        thread = threading.Thread(target=lambda step=step: (step(), seen.append(records())))
        thread.start()
        thread.join()
    assert seen == [False, True]


@pytest.mark.parametrize("decorated", [ndl.Tensor, 3])
def test_what_is_no_function_is_refused(decorated: object) -> None:
    with pytest.raises(TypeError, match="decorate functions and methods, not"):
        ndl.no_grad()(decorated)  # type: ignore[type-var]
