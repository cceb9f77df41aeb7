"""Hooks: functions that a module calls before and after its `forward`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

Hook = Callable[..., Any]


class _Registered(NamedTuple):
    hook: Hook
    with_kwargs: bool


class RemovableHandle:
    """What registering a hook returns: `remove()` takes the hook away, and so does the end of a `with` block."""

    def __init__(self, hooks: list[_Registered], registered: _Registered) -> None:
        self._hooks = hooks
        self._registered = registered

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        self._hooks[:] = [one for one in self._hooks if one is not self._registered]

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


class Hooks:
    """The hooks of one module, in the order in which they are called."""

    def __init__(self) -> None:
        self._before: list[_Registered] = []
        self._after: list[_Registered] = []

    def add(self, hook: Hook, *, before: bool, prepend: bool, with_kwargs: bool) -> RemovableHandle:
        """Register `hook`, to be called before or after `forward`. Raises TypeError for what cannot be called."""
        if not callable(hook):
            raise TypeError(f"a hook must be a function, not {type(hook).__name__}")
        hooks, registered = self._before if before else self._after, _Registered(hook, with_kwargs)
        hooks.insert(0 if prepend else len(hooks), registered)
        return RemovableHandle(hooks, registered)

    def before(self) -> list[Hook]:
        """The hooks before `forward`."""
        return [one.hook for one in self._before]

    def after(self) -> list[Hook]:
        """The hooks after `forward`."""
        return [one.hook for one in self._after]

    def call(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """`module.forward(*args, **kwargs)`, with what the hooks make of the arguments and of the result."""
        for hook, with_kwargs in tuple(self._before):
            changed = hook(module, args, kwargs) if with_kwargs else hook(module, args)
            if changed is None:
                continue
            if not with_kwargs:
                args = changed if isinstance(changed, tuple) else (changed,)
            elif isinstance(changed, tuple) and len(changed) == 2:
                args, kwargs = changed
            else:
                raise TypeError(f"a pre-hook with_kwargs must return None or (args, kwargs), not {changed!r}")
        result = module.forward(*args, **kwargs)
        for hook, with_kwargs in tuple(self._after):
            changed = hook(module, args, kwargs, result) if with_kwargs else hook(module, args, result)
            result = result if changed is None else changed
        return result
