"""Whether operations record a graph: a mode of each thread, and of each asynchronous task."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

#: The modes that have been entered and not left, the present one last: for each whether operations record a graph.
#: `needle.autograd.nodes` reads it in each operation.
entered: ContextVar[tuple[bool, ...]] = ContextVar("needle_grad_modes", default=(True,))


def is_grad_enabled() -> bool:
    """Whether operations record a graph in this thread."""
    return entered.get()[-1]


class set_grad:  # noqa: N801 (a function to those who call it)
    """Context manager and decorator under which operations record a graph, or do not.

    One object may be entered several times, also within itself. Decorated generators and asynchronous functions are in
    the mode while their own code runs, and not while their caller's does.
    """

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled

    def __enter__(self) -> None:
        entered.set((*entered.get(), self._enabled))

    def __exit__(self, *exc: object) -> None:
        # A generator that is closed by another thread than the one that ran it leaves a mode that it did not enter.
        entered.set(entered.get()[:-1] or (True,))

    def __call__(self, function: F) -> F:
        """`function` in this mode. Raises TypeError for a class, and for what cannot be called."""
        if inspect.isclass(function) or not callable(function):
            what = f"the class {function.__name__}" if inspect.isclass(function) else repr(function)
            raise TypeError(f"no_grad and enable_grad decorate functions and methods, not {what}")
        if inspect.isasyncgenfunction(function):
            return self._around_asynchronous_generator(function)  # type: ignore[return-value]
        if inspect.isgeneratorfunction(function):
            return self._around_generator(function)  # type: ignore[return-value]

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def asynchronous(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return await function(*args, **kwargs)

            return asynchronous  # type: ignore[return-value]

        @functools.wraps(function)
        def plain(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return plain  # type: ignore[return-value]

    def _around_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def generator(*args: Any, **kwargs: Any) -> Any:
            inner = function(*args, **kwargs)
            resume: Callable[[], Any] = functools.partial(next, inner)
            while True:
                try:
                    with self:
                        value = resume()
                except StopIteration as end:
                    return end.value
                try:
                    sent = yield value
                except GeneratorExit:
                    with self:
                        inner.close()
                    raise
                except BaseException as error:
                    resume = functools.partial(inner.throw, error)
                else:
                    resume = functools.partial(inner.send, sent)

        return generator

    def _around_asynchronous_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        async def generator(*args: Any, **kwargs: Any) -> Any:
            inner = function(*args, **kwargs)
            resume: Callable[[], Any] = inner.__anext__
            while True:
                try:
                    with self:
                        value = await resume()
                except StopAsyncIteration:
                    return
                try:
                    sent = yield value
                except GeneratorExit:
                    with self:
                        await inner.aclose()
                    raise
                except BaseException as error:
                    resume = functools.partial(inner.athrow, error)
                else:
                    resume = functools.partial(inner.asend, sent)

        return generator


def no_grad() -> set_grad:
    """Context manager and decorator under which operations record no graph."""
    return set_grad(False)


def enable_grad() -> set_grad:
    """Context manager and decorator that undoes a surrounding `no_grad`."""
    return set_grad(True)
